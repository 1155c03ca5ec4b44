//! The other side: collecting what writers gave up, taking buffers back, looking at what is
//! published, stopping.

use super::{
    Course, EMPTY_HAND, HEADER_BYTES, Hand, Lane, Policy, Range, Ring, STOPPED, overwrite::events,
};
use crate::format::BufferHeader;
use crate::session::{
    backlog::Waiting,
    sync::{Ordering, yield_now},
};
use std::sync::Arc;

/// The one party that empties a ring. There is one per ring, made with it.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(super) ring: Arc<Ring>,
    /// Buffers collected and not yet asked for, newest first.
    batch: Vec<u32>,
    /// Full ones that were waiting at the last look and were not yet asked for, newest first.
    waiting: Vec<Waiting>,
}

/// A full buffer that was collected. Until it is [claimed](Collector::claim) a writer may take it
/// back, if the ring lets it.
#[derive(Debug)]
#[must_use = "a buffer that is not claimed is lost to the ring"]
pub(crate) enum Full {
    /// The collector's own.
    Collected(Sealed),
    /// It waits.
    Waiting(Waiting),
}

impl Full {
    /// Which buffer of the ring, from 0.
    pub(crate) fn index(&self) -> u32 {
        match self {
            Self::Collected(sealed) => sealed.buffer,
            Self::Waiting(waiting) => waiting.index,
        }
    }
}

/// Keeps a buffer that is in a hand, or was a moment ago, from being taken back by a writer.
#[derive(Debug)]
pub(crate) struct Hold {
    ring: Arc<Ring>,
    index: u32,
}

impl Hold {
    fn new(ring: &Arc<Ring>, index: u32) -> Self {
        if let Some(overwriting) = &ring.exchange.overwriting {
            overwriting.backlog.hold(index);
        }
        Self { ring: Arc::clone(ring), index }
    }

    /// Where the buffer stands in its lane, if the ring keeps account of that.
    pub(crate) fn course(&self) -> Option<Course> {
        self.ring.exchange.overwriting.as_ref()?.course(self.index)
    }

    /// Notes that the first `events` events of the buffer, up to `end`, are in the log.
    pub(crate) fn logged(&self, end: u32, events: u64) {
        if let Some(overwriting) = &self.ring.exchange.overwriting {
            overwriting.logged(self.index, end, events);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(overwriting) = &self.ring.exchange.overwriting {
            overwriting.backlog.release(self.index);
        }
    }
}

/// A buffer that the collector owns: no writer will touch it again before it is released.
#[derive(Debug)]
#[must_use = "a buffer that is not released is lost to the ring"]
pub(crate) struct Sealed {
    pub(super) buffer: u32,
    /// The number that its lane had, if nobody may have it before the buffer is released: so that
    /// no younger buffer of that number is in the log before this one.
    number: Option<u32>,
}

impl Sealed {
    /// Which buffer of the ring, from 0.
    pub(crate) fn index(&self) -> u32 {
        self.buffer
    }
}

/// What came of [`Collector::steal`].
#[derive(Debug)]
pub(crate) enum Stolen {
    /// The buffer that the lane had. It may have taken another one meanwhile.
    Buffer(Sealed),
    /// The lane has none.
    Nothing,
    /// The owner is writing.
    Busy,
}

/// The published part of a buffer that a writer has in hand.
#[derive(Debug)]
pub(crate) struct Published<'a> {
    /// Which buffer of the ring, from 0.
    pub(crate) index: u32,
    /// The header, with the `FilledBytes` that `records` ends at.
    pub(crate) header: BufferHeader,
    /// The records published so far.
    pub(crate) records: &'a [u8],
    /// As long as it is kept these bytes stay as they are.
    pub(crate) hold: Hold,
}

impl Collector {
    pub(super) fn new(ring: &Arc<Ring>) -> Self {
        Self { ring: Arc::clone(ring), batch: Vec::new(), waiting: Vec::new() }
    }

    /// The ring.
    pub(crate) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// Collects the buffers that writers have given up so far, for [`next_full`](Self::next_full).
    pub(crate) fn collect(&mut self) {
        if let Some(overwriting) = &self.ring.exchange.overwriting {
            // What was not asked for since the last time still waits.
            self.waiting.clear();
            overwriting.backlog.waiting(&mut self.waiting);
            return;
        }
        self.batch.reverse();
        self.ring.exchange.full.take_all(&mut self.batch);
        self.batch.reverse();
    }

    /// The next of the collected buffers, in the order of giving up.
    pub(crate) fn next_full(&mut self) -> Option<Full> {
        match self.waiting.pop() {
            Some(waiting) => Some(Full::Waiting(waiting)),
            None => self.batch.pop().map(|buffer| Full::Collected(Sealed { buffer, number: None })),
        }
    }

    /// Where a full buffer stands in the order of filling, if a writer may have begun it anew since
    /// the log met it. If one has taken it back by now the number is that one's.
    pub(crate) fn sequence_of(&self, full: &Full) -> Option<i64> {
        match full {
            Full::Collected(_) => None,
            Full::Waiting(waiting) => {
                self.ring.exchange.overwriting.as_ref()?.sequence(waiting.index)
            }
        }
    }

    /// Takes a collected buffer to write it; `None` if a writer was quicker.
    pub(crate) fn claim(&mut self, full: Full) -> Option<Sealed> {
        match full {
            Full::Collected(sealed) => Some(sealed),
            Full::Waiting(waiting) => {
                let backlog = &self.ring.exchange.overwriting.as_ref()?.backlog;
                let buffer = waiting.index;
                backlog.take(waiting).then_some(Sealed { buffer, number: None })
            }
        }
    }

    /// Takes the oldest buffer that waits and has the number of the lane that this one had.
    /// Nobody else has that number, so it comes before this one.
    pub(crate) fn claim_older(&mut self, sealed: &Sealed) -> Option<Sealed> {
        let overwriting = self.ring.exchange.overwriting.as_ref()?;
        let buffer = overwriting.take_oldest_of(sealed.number?)?;
        Some(Sealed { buffer, number: None })
    }

    /// Where a buffer stands in its lane, if the ring keeps account of that.
    pub(crate) fn course(&self, sealed: &Sealed) -> Option<Course> {
        self.ring.exchange.overwriting.as_ref()?.course(sealed.buffer)
    }

    /// The whole of a buffer.
    pub(crate) fn bytes_mut<'b>(&'b self, sealed: &'b mut Sealed) -> &'b mut [u8] {
        let range = 0..self.ring.memory.buffer_size();
        // SAFETY: a `Sealed` is the only way to a buffer that is in no hand, no list and no set.
        unsafe { self.ring.memory.nth(sealed.buffer).bytes_mut(range) }
    }

    /// Sets `FilledBytes` of a buffer whose records the collector wrote itself.
    pub(crate) fn fill(&self, sealed: &Sealed, filled: u32) {
        // Relaxed: nobody else looks before the buffer is free again.
        self.ring.memory.nth(sealed.buffer).store_filled(filled, Ordering::Relaxed);
    }

    /// Where a buffer stands in the order of filling.
    pub(crate) fn sequence(&self, sealed: &Sealed) -> i64 {
        // SAFETY: a `Sealed` is the only way to a buffer that is in no hand, no list and no set.
        let header = unsafe { self.ring.memory.nth(sealed.buffer).begun_header() };
        header.sequence_number.get()
    }

    /// Empties a buffer and makes it free.
    pub(crate) fn release(&mut self, sealed: Sealed) {
        // SAFETY: as in `bytes_mut`; the token ends here.
        unsafe { self.ring.memory.nth(sealed.buffer).reset() };
        self.ring.exchange.free.put(sealed.buffer);
        if let Some(number) = sealed.number {
            self.ring.exchange.numbers.put(number);
        }
    }

    /// Leaves a buffer where the oldest are overwritten, to be so in its turn.
    pub(crate) fn keep(&mut self, sealed: Sealed, ticks: u64) {
        self.ring.give_up(sealed.buffer, ticks);
    }

    /// How many buffers take turns.
    pub(crate) fn turns(&self) -> u32 {
        self.ring.exchange.free.turns()
    }

    /// Has more or fewer buffers take turns. Those of `need_memory` have it from now on, where a
    /// system knows how.
    pub(crate) fn set_turns(&mut self, turns: u32, need_memory: Range<u32>) {
        self.ring.memory.make_resident(need_memory);
        self.ring.exchange.free.set_turns(turns);
    }

    /// Takes any buffer that is in no hand, as it is.
    pub(crate) fn take_any(&mut self) -> Option<Sealed> {
        self.ring.exchange.free.take().map(|buffer| Sealed { buffer, number: None })
    }

    /// Puts the log's header buffer in front of the ring, if that is in a file: without its
    /// checksum, which would be false for a moment whenever a field is set, until it is the last.
    pub(crate) fn put_log_header(&mut self, header: &[u8], last: bool) {
        self.ring.memory.put_log_header(header, last);
    }

    /// The buffer in the hand of `lane` and its `FilledBytes`, at some moment.
    pub(crate) fn glance(&self, lane: &Lane) -> Option<(u32, u32)> {
        let buffer = self.ring.held(lane, Ordering::Relaxed)?;
        Some((buffer.index(), buffer.load_filled(Ordering::Relaxed)))
    }

    /// What the writer of `lane` has published of the buffer in its hand. Not for
    /// [`Policy::Overwrite`], where a writer may take that buffer again: see [`Ring::pin`].
    ///
    /// The writer may go on, and may even give the buffer up: it is recycled by this collector
    /// alone, which is borrowed until the view is gone, or by a writer, which the view's hold keeps
    /// from it.
    pub(crate) fn peek<'a>(&'a self, lane: &Lane) -> Option<Published<'a>> {
        debug_assert_ne!(self.ring.policy, Policy::Overwrite);
        // Acquire pairs with the swap in `Entered::switch`: the header is there.
        let buffer = self.ring.held(lane, Ordering::Acquire)?;
        let hold = Hold::new(&self.ring, buffer.index());
        // Acquire as above. The buffer may have been given up, and begun anew by whoever took it,
        // before it was held; then the hand is another one by now.
        if self.ring.overwrites_full() && lane.hand.load(Ordering::Acquire) != buffer.start() {
            return None;
        }
        Some(self.view(hold))
    }

    fn view(&self, hold: Hold) -> Published<'_> {
        // Acquire pairs with the release in `Space::publish_bytes`.
        let buffer = self.ring.memory.nth(hold.index);
        let filled = buffer.load_filled(Ordering::Acquire);
        // SAFETY:
        // - What lies below `FilledBytes` does not change until the buffer is recycled, and that
        //   takes this collector, mutably, or a writer, which the hold keeps from it.
        // - The header was written before the hand was published and is not written again.
        let (header, records) = unsafe { buffer.published(HEADER_BYTES..filled) };
        Published { index: hold.index, header, records, hold }
    }

    /// Takes the buffer of `lane` from its hand, unless its owner is writing at this moment.
    ///
    /// After [`stop`](Self::stop) a `Nothing` is final. A `Busy` may still be a writer that is only
    /// finding out that the session is over: ask again.
    pub(crate) fn steal(&mut self, lane: &Lane) -> Stolen {
        // Acquire pairs with the release that clears it. Read before the hand: a writer that was
        // seen to have left has its last hand seen too.
        let busy = lane.busy.load(Ordering::Acquire) != 0;
        if lane.hand.load(Ordering::Relaxed) == EMPTY_HAND {
            return if busy { Stolen::Busy } else { Stolen::Nothing };
        }
        // AcqRel pairs with the swaps in `Entered::switch`.
        let word = lane.hand.swap(EMPTY_HAND, Ordering::AcqRel);
        let Some(Hand { buffer, number }) = self.ring.in_hand(word) else { return Stolen::Busy };
        self.ring.barrier.heavy();
        // Acquire as above: what the writer did to the buffer is seen.
        if lane.busy.load(Ordering::Acquire) != 0
            && lane
                .hand
                .compare_exchange(EMPTY_HAND, word, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        {
            return Stolen::Busy;
        }
        self.ring.note_latest(lane);
        let Some(overwriting) = &self.ring.exchange.overwriting else {
            self.ring.exchange.numbers.put(number);
            return Stolen::Buffer(Sealed { buffer, number: None });
        };
        let filled = self.ring.memory.nth(buffer).load_filled(Ordering::Relaxed);
        // SAFETY: in no hand, no list and no set, so nobody begins it anew.
        let records = unsafe { self.ring.memory.nth(buffer).records(HEADER_BYTES..filled) };
        overwriting.ended(buffer, number, events(records).count() as u64);
        Stolen::Buffer(Sealed { buffer, number: Some(number) })
    }

    /// Whether older buffers of the lane that a held one is of wait to be collected: until then it
    /// is not known whether events are missing in front of it.
    pub(crate) fn has_older(&self, held: &BufferHeader) -> bool {
        let overwriting = self.ring.exchange.overwriting.as_ref();
        overwriting.is_some_and(|o| o.oldest_of(held.lane().into()).is_some())
    }

    /// The log no longer has a part of a buffer. Tells whether it comes again: not if a writer has
    /// taken it back since it had this number.
    pub(crate) fn unlog(&self, index: usize, sequence: i64) -> bool {
        let Some(overwriting) = &self.ring.exchange.overwriting else { return true };
        // Others are another process's.
        let Some(index) = u32::try_from(index).ok().filter(|at| *at < self.ring.most_buffers())
        else {
            return true;
        };
        let hold = Hold::new(&self.ring, index);
        // Whoever takes it at this moment has begun it anew then, who gives it up has done so.
        for lane in self.ring.lanes() {
            while self.is_switching(lane) {
                yield_now();
            }
        }
        let start = self.ring.memory.nth(index).start();
        // Acquire pairs with the swap in `Entered::switch`: its number is there.
        let mut hands = self.ring.lanes().map(|lane| lane.hand.load(Ordering::Acquire));
        let is_there = overwriting.backlog.is_waiting(index) || hands.any(|hand| hand == start);
        let comes_again = is_there && overwriting.sequence(index) == Some(sequence);
        if comes_again {
            hold.logged(HEADER_BYTES, 0);
        }
        comes_again
    }

    /// Whether a thread owns `lane`.
    pub(crate) fn is_owned(&self, lane: &Lane) -> bool {
        lane.owned.load(Ordering::Relaxed) != 0
    }

    /// Ends writing: no reservation succeeds after this returns.
    pub(crate) fn stop(&mut self) {
        // Pairs, through the barrier, with the load in `Entered::state`.
        self.ring.set_state(None, STOPPED);
        self.ring.barrier.heavy();
    }

    /// Whether `lane` holds a buffer; if its owner is busy without one, it is between two.
    pub(crate) fn has_buffer(&self, lane: &Lane) -> bool {
        lane.hand.load(Ordering::Relaxed) != EMPTY_HAND
    }

    /// Whether the owner of `lane` may be between two buffers, the old one on its way to the full
    /// ones.
    pub(crate) fn is_switching(&self, lane: &Lane) -> bool {
        // Acquire pairs with the release that clears it: then the old buffer is in the list.
        lane.busy.load(Ordering::Acquire) != 0 && !self.has_buffer(lane)
    }

    /// Closes out a lane whose owner holds a reservation after [`stop`](Self::stop): what it
    /// published is what counts, and its buffer stays its own for ever.
    pub(crate) fn close<'a>(&'a mut self, lane: &Lane) -> Option<Published<'a>> {
        // Pairs, through the barrier, with the load of `closed` in
        // `Space::publish_bytes`.
        lane.closed.store(1, Ordering::Relaxed);
        self.ring.barrier.heavy();
        let published = self.peek(lane);
        let end = published.as_ref().map_or(HEADER_BYTES, |p| p.header.filled_bytes.get());
        lane.closed.store(end, Ordering::Release);
        published
    }

    /// As [`close`](Self::close) where the buffers are the log. Tells whether there was a buffer.
    pub(crate) fn close_in_place(&mut self, lane: &Lane) -> bool {
        // As in `close`.
        lane.closed.store(1, Ordering::Relaxed);
        self.ring.barrier.heavy();
        let end = self.glance(lane).map(|(_, filled)| filled);
        lane.closed.store(end.unwrap_or(HEADER_BYTES), Ordering::Release);
        end.is_some()
    }

    /// Adds buffers until there are `count`. Where they lie in a file it has room for them.
    pub(crate) fn grow(&mut self, count: u32) {
        for buffer in self.ring.buffers()..count.min(self.ring.most_buffers()) {
            // SAFETY: it was in no set so far, so nobody else knows of it.
            unsafe { self.ring.memory.nth(buffer).reset() };
            // Relaxed: for who wants to know how many there are; the set hands the buffer over.
            self.ring.buffers.store(buffer + 1, Ordering::Relaxed);
            self.ring.exchange.free.put(buffer);
        }
    }

    /// A free buffer for the collector's own records, with its header begun, under lane `number`,
    /// with `lost` events before it.
    pub(crate) fn own_buffer(&mut self, number: u32, lost: u32) -> Option<Sealed> {
        let buffer = self.ring.take_empty()?;
        let sequence = self.ring.exchange.next_sequence.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `buffer` came from the free set, so it is this thread's alone.
        unsafe { self.ring.memory.nth(buffer).begin(number, sequence, lost) };
        self.ring.begun(buffer, number, sequence);
        Some(Sealed { buffer, number: None })
    }
}
