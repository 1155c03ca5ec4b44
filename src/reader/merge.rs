//! Time order: a merge of lanes that are in order already.
//!
//! ```text
//!   lane 0   [buf 1: t t t t][buf 5: t t t]          a lane's buffers by sequence number;
//!   lane 1   [buf 2: t t][buf 3: t t t t][buf 6: t]   the next record of each is its *head*
//!   lane 2   [buf 4: t t t]
//!
//!   current = the lane whose head is least; waiting = all other heads, the least at hand
//!   next:  yield the current lane's head, step the lane, which reads one record ahead
//!          head still in the run (not behind the least of waiting)?   go on: one comparison
//!          else put it into waiting, take the least out
//! ```
//!
//! 1. The key of a head is its ticks, then the lane; a lane's own order (sequence, place in file,
//!    offset) is never compared, because a lane is walked in it. Records of a damaged lane whose
//!    times run backwards so keep their place in the lane.
//! 2. The header buffer is a lane of its own, before the lane that its processor index names:
//!    records were added to it when the session stopped.
//! 3. A record without ticks counts with its buffer's time stamp, which is usually the time of the
//!    flush and so later than the timed records behind it. It must not hold these up: the first one
//!    that the walk of a buffer meets puts the whole buffer *aside*, as one entry keyed (stamp,
//!    lane, sequence, offset); from there its untimed records are found one by one when their
//!    time has come, and the walk of the lane passes over them. One entry per buffer bounds the
//!    memory, whatever the records.
//! 4. An entry must be made before anything later than its stamp has been yielded. That is so of
//!    itself if the stamp is not before the records in front of the untimed one. Where it may be,
//!    because the stamp lies before the first record of the lane's next buffer or there is none,
//!    the buffer is looked through as soon as the lane looks at a record later than the stamp;
//!    when the merge is made, if the stamp even lies before the buffer's own first record (a stamp
//!    of zero, for example).
//!
//! Cost: a step parses a marker, a size and a stamp. With many lanes the processor cannot guess
//! what memory is needed next, so each lane asks for it well ahead ([`block::Block::warm`]).
//! Memory: one block per lane for compressed buffers and positioned sources; nothing but the heads
//! for a map. Should these blocks pass [`MOST_OWNED_BYTES`] (a hostile file can name 2,048 lanes of
//! 16 MiB), lanes give them back when they are left and load again when they are next.

use crate::format::FileTime;
use crate::reader::{
    ReadError, Record, Source, Trace,
    ahead::{Line, Loader},
    asides::{Aside, Asides, first_untimed},
    block::{self, Block},
    lane::{Lane, Turn, first_turn, lanes_of},
    waiting::{END, Key, Waiting, key, lane_of, ticks_of},
};

/// Memory that blocks of lanes other than the current one may hold together.
const MOST_OWNED_BYTES: usize = 1 << 30;

/// The records of a log file in time order; see [`Trace::by_time`].
///
/// Not an `Iterator`: a record is lent until the next call of [`next`](Self::next).
#[derive(Debug)]
pub struct Merge<'t, S> {
    trace: &'t Trace<S>,
    line: Option<&'t Line>,
    loader: Loader<'t>,
    #[expect(clippy::vec_box, reason = "a lane goes to the front and back, as a pointer")]
    lanes: Vec<Box<Lane<'t>>>,
    /// The lane that was yielded from last; [`NO_LANE`] if that was none.
    current: usize,
    /// That lane, taken out of `lanes`, where an empty one stands in its place; or that empty one.
    front: Box<Lane<'t>>,
    /// Heads of all lanes but the current one.
    waiting: Waiting,
    /// Ticks that continue the run of the current lane: not before the time sought, and its key
    /// less than all of `waiting` and `asides`.
    run: Run,
    asides: Asides<'t>,
    /// What was wrong last.
    damage: Option<ReadError>,
    /// Records before this are passed over.
    from: Option<FileTime>,
    from_ticks: u64,
    /// Memory held by the blocks of all lanes.
    owned_bytes: usize,
}

/// Ticks, first and last, that continue the run of a lane.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
}

impl Run {
    const NONE: Self = Self { first: 1, last: 0 };

    /// Of the lane `lane`, whose keys must be less than `limit`.
    #[inline]
    fn of(lane: usize, first: u64, limit: Key) -> Self {
        let ticks = ticks_of(limit);
        let last = if lane < lane_of(limit) { Some(ticks) } else { ticks.checked_sub(1) };
        last.map_or(Self::NONE, |last| Self { first, last })
    }

    #[inline]
    fn holds(self, ticks: u64) -> bool {
        (self.first <= ticks) & (ticks <= self.last)
    }
}

/// In place of a lane's index: none.
const NO_LANE: usize = usize::MAX;

/// What a merge has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The head of the current lane.
    Lane,
    /// The least of the records set aside.
    Aside,
    /// Damage, met on the way.
    Damage,
}

impl<'t, S: Source> Merge<'t, S> {
    pub(crate) fn new(trace: &'t Trace<S>) -> Self {
        Self::ahead(trace, None)
    }

    /// With threads that unpack buffers ahead, if there are any.
    pub(super) fn ahead(trace: &'t Trace<S>, line: Option<&'t Line>) -> Self {
        Self::starting(trace, line, None)
    }

    /// Only records at or after `time`; buffers that end before it are passed over whole.
    ///
    /// Starts the merge anew. In a damaged lane whose times run backwards, records of such buffers
    /// may be missed.
    #[must_use]
    pub fn seek(self, time: FileTime) -> Self {
        Self::starting(self.trace, self.line, Some(time))
    }

    /// The next record in time, or damage that was met on the way; records still follow it.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<Record<'_>, ReadError>> {
        let settled = self.settle()?;
        self.settled(settled)
    }

    fn starting(trace: &'t Trace<S>, line: Option<&'t Line>, from: Option<FileTime>) -> Self {
        let mut merge = Self {
            trace,
            line,
            loader: Loader::default(),
            lanes: lanes_of(trace.buffers()),
            current: NO_LANE,
            front: Box::default(),
            waiting: Waiting::new(std::iter::empty()),
            run: Run::NONE,
            asides: Asides::default(),
            damage: None,
            from,
            from_ticks: from.map_or(0, |time| trace.clock().first_ticks(time)),
            owned_bytes: 0,
        };
        for lane in 0..merge.lanes.len() {
            merge.survey(lane);
        }
        if line.is_some() {
            merge.loader = Loader::of(line, trace, merge.plan().into_iter());
        }
        // A lane waits with the least key until it is looked at for the first time.
        merge.waiting = Waiting::new((0..merge.lanes.len()).map(|lane| key(0, lane)));
        merge
    }

    /// The buffers in about the order in which they are needed: the first one of each lane at once,
    /// the others when they start.
    fn plan(&self) -> Vec<usize> {
        let mut plan = Vec::new();
        for lane in &self.lanes {
            let turns = lane.turns.get(lane.turn..).unwrap_or_default();
            plan.extend(turns.iter().enumerate().map(|(rank, turn)| {
                let stamp = || self.trace.buffers().get(turn.buffer).map(|entry| entry.time_stamp);
                (rank > 0, turn.first_ticks.or_else(stamp), turn.buffer)
            }));
        }
        plan.sort_unstable();
        plan.into_iter().map(|(_, _, buffer)| buffer).collect()
    }

    pub(crate) fn trace(&self) -> &'t Trace<S> {
        self.trace
    }

    /// What [`settle`](Self::settle) came to.
    #[inline]
    pub(crate) fn settled(&self, settled: Settled) -> Option<Result<Record<'_>, ReadError>> {
        match settled {
            Settled::Lane => self.front.record().map(Ok),
            Settled::Aside => self.asides.record(self.trace).map(Ok),
            Settled::Damage => self.damage.map(Err),
        }
    }

    /// Moves on to the next record in time; `None` behind the last one.
    ///
    /// What it comes to is said in a word and not handed out as a record: a record that two paths
    /// lead to lies in memory, and its reader waits for each word of it to be written.
    #[inline]
    pub(crate) fn settle(&mut self) -> Option<Settled> {
        match self.front.step() {
            Some(ticks) if self.run.holds(ticks) => Some(Settled::Lane),
            found => self.settle_slowly(found.is_some()),
        }
    }

    /// The same if the current lane's next record is not at hand, or behind the run.
    #[inline(never)]
    fn settle_slowly(&mut self, ready: bool) -> Option<Settled> {
        if ready {
            return self.change_lane(true);
        }
        match self.look() {
            Some(ticks) if self.run.holds(ticks) => Some(Settled::Lane),
            found => self.change_lane(found.is_some()),
        }
    }

    /// Looks for the current lane's next record and gives its stamp.
    #[inline]
    fn look(&mut self) -> Option<u64> {
        let found = self.front.look();
        if found.is_some_and(|ticks| ticks > self.front.late_after) {
            self.look_through();
        }
        found
    }

    /// Puts the untimed records of the current lane's buffer aside, before they are met.
    #[cold]
    fn look_through(&mut self) {
        let lane = &mut self.front;
        lane.late_after = u64::MAX;
        if !std::mem::replace(&mut lane.aside, true) {
            let buffer = lane.buffer;
            if let Some(offset) = first_untimed(lane.block.bytes(), lane.at) {
                self.put_aside(self.current, buffer, offset);
                self.set_limit();
            }
        }
    }

    /// The run of the current lane is over, or its next record is not at hand. `ready`: it has a
    /// head that was not yielded.
    #[inline(never)]
    fn change_lane(&mut self, mut ready: bool) -> Option<Settled> {
        loop {
            if self.current != NO_LANE && !ready {
                match self.advance() {
                    Advance::Head => ready = true,
                    Advance::End => self.end_lane(),
                    Advance::Damage(error) => {
                        self.set_limit();
                        self.damage = Some(error);
                        return Some(Settled::Damage);
                    }
                }
                self.set_limit();
            }
            if ready {
                let ticks = self.front.head().ticks;
                if self.run.holds(ticks) {
                    return Some(Settled::Lane);
                }
                if ticks < self.from_ticks {
                    ready = false;
                    continue;
                }
                if self.asides.least().is_none() {
                    // The usual case: the least waiting lane and this one change places.
                    ready = self.exchange(key(ticks, self.current))?;
                    if ready {
                        return Some(Settled::Lane);
                    }
                    continue;
                }
                self.wait(key(ticks, self.current));
            }
            if self.aside_is_next() {
                self.asides.take(self.trace);
                self.set_limit();
                return Some(Settled::Aside);
            }
            ready = self.enter_least()?;
            if ready {
                return Some(Settled::Lane);
            }
        }
    }

    /// Puts the current lane's head among the waiting ones and enters the least of these.
    #[inline]
    fn exchange(&mut self, head: Key) -> Option<bool> {
        self.leave();
        let least = self.waiting.exchange(head);
        self.enter(least)
    }

    /// Puts the current lane's head among the waiting ones.
    fn wait(&mut self, head: Key) {
        self.leave();
        self.waiting.push(head);
        self.current = NO_LANE;
    }

    /// Readies the current lane for waiting and puts it back among the others.
    #[inline]
    fn leave(&mut self) {
        self.front.ready = true;
        if self.owned_bytes > MOST_OWNED_BYTES {
            self.give_back();
            self.front.released = true;
        }
        self.exchange_front();
    }

    /// Gives the memory of the current lane's block back.
    #[cold]
    fn give_back(&mut self) {
        let block = &mut self.front.block;
        self.owned_bytes = self.owned_bytes.saturating_sub(block.owned_bytes());
        block.release();
    }

    /// Takes the current lane to the front, or puts it back.
    #[inline]
    fn exchange_front(&mut self) {
        if let Some(lane) = self.lanes.get_mut(self.current) {
            std::mem::swap(lane, &mut self.front);
        }
    }

    /// Makes the least waiting lane the current one and says whether it has its head already.
    fn enter_least(&mut self) -> Option<bool> {
        let least = self.waiting.pop()?;
        self.enter(least)
    }

    #[inline]
    fn enter(&mut self, least: Key) -> Option<bool> {
        self.current = lane_of(least);
        self.exchange_front();
        self.set_limit();
        if self.front.released {
            self.take_back()?;
        }
        Some(std::mem::take(&mut self.front.ready))
    }

    /// Loads the current lane's buffer anew.
    #[cold]
    fn take_back(&mut self) -> Option<()> {
        let lane = &mut self.front;
        lane.released = false;
        let entry = self.trace.buffers().get(lane.buffer)?;
        // What is wrong with it was said when it was loaded first.
        let _ = lane.block.load(self.trace, entry);
        self.owned_bytes = self.owned_bytes.saturating_add(lane.block.owned_bytes());
        Some(())
    }

    fn end_lane(&mut self) {
        self.give_back();
        self.exchange_front();
        self.current = NO_LANE;
    }

    /// Takes the limit of the current lane anew.
    #[inline]
    fn set_limit(&mut self) {
        let aside = self.asides.least().map_or(END, |aside| key(aside.stamp, aside.lane));
        let limit = self.waiting.least().min(aside);
        self.run = Run::of(self.current, self.from_ticks, limit);
    }

    /// Whether the least record set aside comes before every head.
    fn aside_is_next(&self) -> bool {
        let Some(aside) = self.asides.least() else { return false };
        let head = self.waiting.least();
        let own = key(aside.stamp, aside.lane);
        if own != head {
            return own < head;
        }
        let Some(lane) = self.lanes.get(aside.lane).filter(|lane| lane.ready) else {
            return false;
        };
        let sequence = self.trace.buffers().get(lane.buffer).map_or(0, |entry| entry.sequence);
        let start = lane.head().start as usize;
        (aside.sequence, aside.offset) < (sequence, start)
    }

    /// Walks the current lane to its next timed record. Untimed ones on the way are put aside.
    fn advance(&mut self) -> Advance {
        loop {
            if self.front.step().is_some() || self.look().is_some() {
                return Advance::Head;
            }
            let lane = &mut self.front;
            match lane.block.record_at(lane.at) {
                Some(Ok((_, behind))) => {
                    let offset = std::mem::replace(&mut lane.at, behind);
                    if !std::mem::replace(&mut lane.aside, true) {
                        let buffer = lane.buffer;
                        self.put_aside(self.current, buffer, offset);
                    }
                }
                Some(Err(error)) => {
                    lane.at = usize::MAX;
                    if let Some(entry) = self.trace.buffers().get(lane.buffer) {
                        return Advance::Damage(self.trace.damage_in(entry, error));
                    }
                }
                None => match self.next_buffer() {
                    None => return Advance::End,
                    Some(None) => {}
                    Some(Some(error)) => return Advance::Damage(error),
                },
            }
        }
    }

    /// Loads the current lane's next buffer; `None` if there is none, else what is wrong with it.
    fn next_buffer(&mut self) -> Option<Option<ReadError>> {
        let lane = &mut self.front;
        let turn = *lane.turns.get(lane.turn)?;
        lane.turn = lane.turn.saturating_add(1);
        let entry = self.trace.buffers().get(turn.buffer)?;
        lane.entry = Some(entry);

        let before = lane.block.owned_bytes();
        let error = self.loader.load(&mut lane.block, self.trace, turn.buffer, entry);
        let owned = self.owned_bytes.saturating_add(lane.block.owned_bytes());
        self.owned_bytes = owned.saturating_sub(before);
        (lane.buffer, lane.at, lane.aside) = (turn.buffer, 0, turn.aside);
        lane.clear();

        // Point 4 above: may the stamp lie before the records in front of an untimed one?
        let behind = lane.turns.get(lane.turn..).unwrap_or_default();
        let next = behind.iter().find_map(|turn| turn.first_ticks);
        let is_early = !turn.aside && next.is_none_or(|next| entry.time_stamp < next);
        lane.late_after = if is_early { entry.time_stamp } else { u64::MAX };
        Some(error)
    }

    /// Sets the untimed records of a buffer aside, from the one at `offset` on.
    fn put_aside(&mut self, lane: usize, buffer: usize, offset: usize) {
        let Some(entry) = self.trace.buffers().get(buffer) else { return };
        if self.from.is_some_and(|from| self.trace.buffer_time(entry) < from) {
            return;
        }
        let (stamp, sequence) = (entry.time_stamp, entry.sequence);
        self.asides.put(Aside { stamp, lane, sequence, offset, buffer });
    }

    /// Finds where each buffer of a lane starts in time, and the buffers whose untimed records
    /// come before their timed ones; passes over what ends before the time sought.
    fn survey(&mut self, lane_index: usize) {
        let trace = self.trace;
        let Some(lane) = self.lanes.get_mut(lane_index) else { return };
        let mut turns = std::mem::take(&mut lane.turns);
        for turn in &mut turns {
            let Some(entry) = trace.buffers().get(turn.buffer) else { continue };
            turn.first_ticks = block::first_ticks(trace, entry);
            if turn.first_ticks.is_none_or(|first| entry.time_stamp < first) {
                self.put_all_aside(lane_index, turn);
            }
        }
        let begin = first_turn(&turns, self.from_ticks);
        for turn in turns.iter_mut().take(begin).filter(|turn| !turn.aside) {
            self.put_all_aside(lane_index, turn);
        }
        if let Some(lane) = self.lanes.get_mut(lane_index) {
            (lane.turns, lane.turn) = (turns, begin);
        }
    }

    fn put_all_aside(&mut self, lane: usize, turn: &mut Turn) {
        let Some(entry) = self.trace.buffers().get(turn.buffer) else { return };
        turn.aside = true;
        if self.from.is_some_and(|from| self.trace.buffer_time(entry) < from) {
            return;
        }
        let mut block = Block::default();
        // What is wrong with it is said when the lane gets there.
        let _ = block.load(self.trace, entry);
        if let Some(offset) = first_untimed(block.bytes(), 0) {
            self.put_aside(lane, turn.buffer, offset);
        }
    }
}

enum Advance {
    Head,
    End,
    Damage(ReadError),
}
