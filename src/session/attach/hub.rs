//! Where the processes attached to a session meet its flusher: the owner's side of all of them.
//!
//! ```text
//!   a thread for each process          this hub                      the flusher
//!   ──────────────────────────         ────────────────────          ──────────────────
//!   reads, checks, counts      ──────► inbox, bounded per process ─► takes, renumbers, writes
//!   waits for room             ◄────── room                       ◄─ taken
//!                                      what sessions want of providers
//!   writes to the process      ◄────── to be sent, per process    ◄─ enable, flush, stop
//! ```
//!
//! No lock is held while anything is read, written or waited for, so a process that hangs holds up
//! nobody but its own two threads.

#[cfg(shuttle)]
#[allow(missing_docs, missing_debug_implementations, reason = "for tests/shuttle only")]
pub mod model;

use crate::format::{BufferHeader, Guid};
use crate::session::attach::{
    check::{Checked, Wrong},
    ledger::News,
    wire::{kind, number_frame},
};
use crate::session::lane::Ring;
use crate::session::setting::{Counts, Setting};
use crate::session::shared::Shared;
use crate::session::stats::{AttachStats, EventsLost, SessionStats};
use crate::session::sync::locks::{AtomicUsize, Condvar, Mutex, MutexGuard};
use std::collections::{BTreeMap, VecDeque};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Processes that may be attached to one session at a time.
const MOST_PROCESSES: usize = 64;
/// Lanes that attached processes may have at a time, all together; the others are for the owner's
/// own threads.
const MOST_LANES: usize = 1536;
/// Bytes of the log that the buffers of one process which wait for the flusher take, unless a
/// single one takes more.
const INBOX_BYTES: usize = 1 << 20;
/// Things that the flusher takes out of the inbox before it looks after the session's own buffers
/// again: a process that sends many must not make the owner lose events.
const MOST_AT_ONCE: usize = 8;
/// Messages that wait for a process before it is given up: it reads none.
const MOST_UNSENT: usize = 16 * 1024;

/// The processes attached to a session.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    /// Room in the inbox, a flush that was answered, a process that has gone.
    changed: Condvar,
    /// How many things lie in the inbox, for a look without the lock.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
    /// The number of the last process.
    last_id: u64,
    /// What the session wants, by provider.
    wanted: BTreeMap<Guid, Setting>,
    inbox: VecDeque<Item>,
    /// Flushes asked for.
    flushes: u64,
    /// Nobody is let in any more.
    ending: bool,
    /// Nobody empties the inbox any more.
    closed: bool,
    /// Of processes that have gone.
    past: SessionStats,
    stats: AttachStats,
}

/// A process, as the hub knows it.
#[derive(Debug)]
struct Member {
    process: Arc<Process>,
    /// It has its ring, and may be told things.
    ready: bool,
    sums: Sums,
    /// Bytes of the log that what is in the inbox of it takes.
    waiting: usize,
    /// The last flush that it has answered.
    flushed: u64,
    /// All of it is in the log.
    settled: bool,
}

/// What has become of a process's events.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Events that were given to the log.
    accepted: u64,
    /// What it says itself.
    told: Counts,
    /// What its loss records add up to: of a process that died it may be more.
    in_records: u64,
}

impl Sums {
    fn lost(&self) -> EventsLost {
        let mut lost = EventsLost::of_causes(self.told.lost);
        // A number that a process made up must not hide what the others lost.
        let total = self.told.lost.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
        if total > LARGEST {
            lost = EventsLost { no_free_buffer: LARGEST, ..EventsLost::default() };
        }
        let more = self.in_records.min(LARGEST).saturating_sub(lost.total());
        lost.no_free_buffer += more;
        lost
    }

    /// Adds what is believed of it.
    fn add_to(&self, sums: &mut SessionStats) {
        let more = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count.min(LARGEST));
        more(&mut sums.events_accepted, self.accepted);
        more(&mut sums.events_disabled, self.told.disabled);
        more(&mut sums.events_after_stop, self.told.after_stop);
        let (mut lost, own) = (sums.lost.by_cause(), self.lost().by_cause());
        lost.iter_mut().zip(own).for_each(|(sum, count)| more(sum, count));
        sums.lost = EventsLost::of_causes(lost);
    }
}

/// Most that is believed of one process's counts, so that the sums of all tell something: no cause
/// of them reaches the end of its 64 bits before 65,536 processes have lied.
const LARGEST: u64 = 1 << 48;

/// What lies in the inbox.
#[derive(Debug)]
pub(crate) enum Item {
    /// A buffer that was checked.
    Buffer(Arrived),
    /// One that did not pass, and does not come again.
    Damaged(Arc<Process>),
    /// Nothing more comes of this process.
    Gone(Arc<Process>),
}

/// A buffer of another process.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) process: Arc<Process>,
    pub(crate) checked: Checked,
    /// Header and records; the header is not to be used.
    pub(crate) bytes: Vec<u8>,
    /// Bytes of a buffer in the log.
    pub(crate) takes: u32,
    /// What was not in it when it came before.
    pub(crate) news: News,
    /// It does not come again.
    pub(crate) last: bool,
    /// Its process waits to hear that it is in the log.
    pub(crate) awaited: bool,
}

impl Arrived {
    /// Whether no record is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.checked.filled as usize == BufferHeader::SIZE
    }
}

/// An attached process: what its two threads and the flusher share.
#[derive(Debug)]
pub(crate) struct Process {
    /// Unlike that of any other process that the session has had.
    pub(crate) id: u64,
    /// The log's lanes that are its own, by its own numbers.
    pub(crate) lanes: Vec<u16>,
    stream: UnixStream,
    outgoing: Mutex<Outgoing>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Outgoing {
    frames: VecDeque<Vec<u8>>,
    /// Buffers that it need not keep, and how many of them it was told of.
    taken: u64,
    told: u64,
    /// Nothing more is to be sent behind what is there.
    closed: bool,
}

impl Member {
    /// One that is not ready.
    fn new(process: &Arc<Process>, flushed: u64) -> Self {
        Self {
            process: Arc::clone(process),
            ready: false,
            sums: Sums::default(),
            waiting: 0,
            flushed,
            settled: false,
        }
    }
}

impl Process {
    fn new(id: u64, lanes: Vec<u16>, stream: UnixStream) -> Self {
        Self { id, lanes, stream, outgoing: Mutex::default(), wake: Condvar::new() }
    }

    fn outgoing(&self) -> MutexGuard<'_, Outgoing> {
        // Nothing in here is left half done by a panic.
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a frame sent.
    pub(crate) fn send(&self, frame: Vec<u8>) {
        let mut outgoing = self.outgoing();
        if outgoing.frames.len() >= MOST_UNSENT {
            // It reads nothing: as if it had died.
            drop(outgoing);
            return self.cut_off();
        }
        outgoing.frames.push_back(frame);
        drop(outgoing);
        self.wake.notify_one();
    }

    /// Has everything sent that the session wants. It may be any number of frames.
    fn send_all(&self, frames: impl Iterator<Item = Vec<u8>>) {
        self.outgoing().frames.extend(frames);
        self.wake.notify_one();
    }

    /// One more of its buffers need not be kept.
    pub(crate) fn taken(&self) {
        self.outgoing().taken += 1;
        self.wake.notify_one();
    }

    /// What is to be sent next; `None` when nothing will be.
    pub(crate) fn next_frame(&self) -> Option<Vec<u8>> {
        let mut outgoing = self.outgoing();
        loop {
            if outgoing.taken != outgoing.told {
                outgoing.told = outgoing.taken;
                return Some(number_frame(kind::TAKEN, outgoing.told));
            }
            if let Some(frame) = outgoing.frames.pop_front() {
                return Some(frame);
            }
            if outgoing.closed {
                return None;
            }
            outgoing = self.wake.wait(outgoing).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Sends what is there and nothing more.
    pub(crate) fn close(&self) {
        self.outgoing().closed = true;
        self.wake.notify_one();
    }

    /// Ends the connection, for both sides.
    pub(crate) fn cut_off(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.close();
    }
}

/// Why a process is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Full,
    Ending,
}

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no process has had.
    pub(crate) fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.last_id += 1;
        state.last_id
    }

    /// Lets a process in under a number that is its own, with as many lanes as it may have of
    /// `wanted`. It is not told anything yet.
    pub(crate) fn admit(
        &self,
        stream: UnixStream,
        id: u64,
        wanted: u32,
        ring: &Ring,
    ) -> Result<Arc<Process>, NoRoom> {
        let mut state = self.state();
        if state.ending || state.closed {
            return Err(NoRoom::Ending);
        }
        let taken: usize = state.members.iter().map(|member| member.process.lanes.len()).sum();
        let wanted = (wanted as usize).min(MOST_LANES.saturating_sub(taken));
        if state.members.len() >= MOST_PROCESSES || wanted == 0 {
            return Err(NoRoom::Full);
        }
        let lanes: Vec<_> = (0..wanted).map_while(|_| ring.take_lane_number()).collect();
        if lanes.is_empty() {
            return Err(NoRoom::Full);
        }
        let process = Arc::new(Process::new(id, lanes, stream));
        let flushed = state.flushes;
        state.members.push(Member::new(&process, flushed));
        Ok(process)
    }

    /// Tells a process all that the session wants, and from now on every change of it.
    pub(crate) fn join(&self, process: &Process) {
        let mut state = self.state();
        // Under the lock: what is told later comes behind this.
        let wanted = state.wanted.values().map(Setting::frame);
        process.send_all(wanted.chain([number_frame(kind::BEGIN, 0)]));
        if state.ending {
            process.send(number_frame(kind::STOP, 0));
        }
        state.stats.processes += 1;
        let flushes = state.flushes;
        if let Some(member) = state.member(process.id) {
            (member.ready, member.flushed) = (true, flushes);
        }
    }

    /// A process has gone, `died` without a word.
    pub(crate) fn leave(&self, process: &Process, died: bool) {
        let mut state = self.state();
        let Some(at) = state.members.iter().position(|m| m.process.id == process.id) else {
            return;
        };
        let member = state.members.swap_remove(at);
        member.sums.add_to(&mut state.past);
        if member.ready {
            state.stats.processes -= 1;
            *(if died { &mut state.stats.died } else { &mut state.stats.detached }) += 1;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Tells every process what the session now wants of a provider.
    pub(crate) fn tell(&self, setting: &Setting) {
        let mut state = self.state();
        match setting {
            Setting::Enable { guid, .. } => drop(state.wanted.insert(*guid, setting.clone())),
            Setting::Disable { guid } => drop(state.wanted.remove(guid)),
            Setting::Capture { .. } => {}
        }
        let frame = setting.frame();
        state.ready().for_each(|member| member.process.send(frame.clone()));
    }

    /// Asks every process to flush, and waits until all have, or have gone. `false` if some had not
    /// after so long.
    pub(crate) fn flush(&self, patience: Duration) -> bool {
        let mut state = self.state();
        if state.ready().next().is_none() {
            return true;
        }
        state.flushes += 1;
        let mine = state.flushes;
        state.ready().for_each(|member| member.process.send(number_frame(kind::FLUSH, mine)));
        let (_state, late) = self.wait(state, patience, |state| {
            !state.closed && state.ready().any(|member| member.flushed < mine)
        });
        !late
    }

    /// Lets nobody in any more, asks every process to stop, and waits until all have gone. Those
    /// that have not after so long are cut off, and what is in their rings is taken.
    ///
    /// Whoever ends a session that is ending already waits with the first: what the processes have
    /// yet to send needs the flusher, which stops next.
    pub(crate) fn end(&self, patience: Duration) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.ending, true) {
            // Those that are not ready are told when they are.
            state.ready().for_each(|member| member.process.send(number_frame(kind::STOP, 0)));
        }
        let here = |state: &mut State| !state.closed && !state.members.is_empty();
        let (state, late) = self.wait(state, patience, here);
        if late {
            state.members.iter().for_each(|member| member.process.cut_off());
            let _ = self.wait(state, patience, here);
        }
    }

    /// Nobody empties the inbox any more. Gives what is in it.
    pub(crate) fn close(&self) -> VecDeque<Item> {
        let mut state = self.state();
        (state.ending, state.closed) = (true, true);
        state.members.iter().for_each(|member| member.process.cut_off());
        self.waiting.store(0, Ordering::Relaxed);
        let items = std::mem::take(&mut state.inbox);
        drop(state);
        self.changed.notify_all();
        items
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        patience: Duration,
        mut on: impl FnMut(&mut State) -> bool,
    ) -> (MutexGuard<'a, State>, bool) {
        let deadline = Instant::now() + patience;
        while on(&mut state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (state, true);
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        (state, false)
    }

    /// Puts something of a process into the inbox, as soon as there is room; `false` if there never
    /// will be. A buffer takes all of its bytes in the log, however few of them came.
    pub(crate) fn put(&self, item: Item) -> bool {
        let Some((id, len)) = item.charge() else { return false };
        let mut state = self.state();
        loop {
            if state.closed {
                return false;
            }
            let Some(member) = state.member(id) else { return false };
            if member.waiting == 0 || member.waiting + len <= INBOX_BYTES {
                member.waiting += len;
                break;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.inbox.push_back(item);
        self.waiting.store(state.inbox.len(), Ordering::Relaxed);
        true
    }

    /// Says that nothing more comes of a process, and waits until what came of it is in the log;
    /// `false` if it never will be.
    pub(crate) fn settle(&self, process: &Arc<Process>, wake: &std::thread::Thread) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.inbox.push_back(Item::Gone(Arc::clone(process)));
        self.waiting.store(state.inbox.len(), Ordering::Relaxed);
        wake.unpark();
        loop {
            if state.member(process.id).is_none_or(|member| member.settled) {
                return true;
            }
            if state.closed {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// How many things have come that were not taken.
    pub(crate) fn waiting(&self) -> usize {
        // Relaxed: who puts something in wakes the flusher, or a later look finds it.
        self.waiting.load(Ordering::Relaxed)
    }

    /// The first things that have come since the last call, a few of them.
    pub(crate) fn take(&self) -> VecDeque<Item> {
        if self.waiting() == 0 {
            return VecDeque::new();
        }
        let mut state = self.state();
        let count = state.inbox.len().min(MOST_AT_ONCE);
        let items: VecDeque<_> = state.inbox.drain(..count).collect();
        for (id, len) in items.iter().filter_map(Item::charge) {
            if let Some(member) = state.member(id) {
                member.waiting = member.waiting.saturating_sub(len);
            }
        }
        self.waiting.store(state.inbox.len(), Ordering::Relaxed);
        drop(state);
        self.changed.notify_all();
        items
    }

    /// Everything of a process is in the log.
    pub(crate) fn settled(&self, process: &Process) {
        if let Some(member) = self.state().member(process.id) {
            member.settled = true;
        }
        self.changed.notify_all();
    }

    /// A process has flushed.
    pub(crate) fn flushed(&self, process: &Process, number: u64) {
        let mut state = self.state();
        let most = state.flushes;
        if let Some(member) = state.member(process.id) {
            member.flushed = member.flushed.max(number.min(most));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// What a process says of its losses.
    pub(crate) fn told(&self, process: &Process, counts: Counts) {
        if let Some(member) = self.state().member(process.id) {
            member.sums.told = counts;
        }
    }

    /// Counts events that were given to the log, and what the loss records among them say.
    pub(crate) fn accepted(&self, process: &Process, news: News) {
        if let Some(member) = self.state().member(process.id) {
            member.sums.accepted += news.events;
            member.sums.in_records = member.sums.in_records.saturating_add(news.lost);
        }
    }

    /// Counts what is wrong with what a process sent or left.
    pub(crate) fn damaged(&self, what: Damaged) {
        let damage = &mut self.state().stats.damage;
        let count = match what {
            Damaged::Message => &mut damage.messages,
            Damaged::Ring => &mut damage.rings,
            Damaged::Sequence => &mut damage.sequences,
            Damaged::Buffer(Wrong::Header) => &mut damage.headers,
            Damaged::Buffer(Wrong::Lane) => &mut damage.lanes,
            Damaged::Buffer(Wrong::Checksum) => &mut damage.checksums,
            Damaged::Buffer(Wrong::Record) => &mut damage.records,
            Damaged::Buffer(Wrong::Stamp) => &mut damage.stamps,
        };
        *count += 1;
    }

    /// The processes, and what was wrong with what they sent.
    pub(crate) fn stats(&self) -> AttachStats {
        self.state().stats
    }

    /// What has become of their events.
    pub(crate) fn sums(&self) -> SessionStats {
        let state = self.state();
        let mut sums = state.past;
        state.members.iter().for_each(|member| member.sums.add_to(&mut sums));
        sums
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damaged {
    Message,
    Ring,
    Sequence,
    Buffer(Wrong),
}

impl State {
    fn member(&mut self, id: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.process.id == id)
    }

    fn ready(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.ready)
    }
}

impl Item {
    /// Whose it is, and the bytes of the log that it takes; `None` of what always finds room.
    fn charge(&self) -> Option<(u64, usize)> {
        match self {
            Self::Buffer(arrived) => Some((arrived.process.id, arrived.takes as usize)),
            Self::Damaged(process) => Some((process.id, 1)),
            Self::Gone(_) => None,
        }
    }
}

/// What the threads of the processes have of the session.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) shared: Arc<Shared>,
    pub(crate) ring: Arc<Ring>,
    pub(crate) flusher: std::thread::Thread,
}

impl Place {
    pub(crate) fn hub(&self) -> &Hub {
        &self.shared.attached
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(count: u64) -> Sums {
        let told = Counts { lost: [count; 6], ..Counts::default() };
        Sums { told, ..Sums::default() }
    }

    #[test]
    fn who_lies_hides_nothing_of_what_others_lost() {
        let mut past = SessionStats::default();
        for _ in 0..1000 {
            of(u64::MAX).add_to(&mut past);
        }
        let before = past.lost.by_cause();
        of(5).add_to(&mut past);
        assert_eq!(past.lost.by_cause(), before.map(|count| count + 5));
    }

    #[test]
    fn a_process_has_but_so_much_in_the_inbox() {
        const ITEMS: usize = 100;
        let hub = Hub::default();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let process = Arc::new(Process::new(1, Vec::new(), ours));
        let member = Member { ready: true, ..Member::new(&process, 0) };
        hub.state().members.push(member);
        let arrived = |sequence| Arrived {
            process: Arc::clone(&process),
            checked: Checked {
                sequence,
                lane: 0,
                filled: 80,
                events: 1,
                events_lost: 0,
                lost_before: 0,
                first: 0,
                last: 0,
                cut: None,
            },
            bytes: Vec::new(),
            takes: u32::try_from(INBOX_BYTES / 4).unwrap(),
            news: News::default(),
            last: true,
            awaited: true,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..100).for_each(|sequence| assert!(hub.put(Item::Buffer(arrived(sequence)))));
            });
            let mut taken = Vec::new();
            while taken.len() < ITEMS {
                assert!(hub.state().inbox.len() <= 4);
                let items = hub.take();
                taken.extend(items.iter().map(|item| match item {
                    Item::Buffer(arrived) => arrived.checked.sequence,
                    other => panic!("{other:?}"),
                }));
                std::thread::yield_now();
            }
            assert_eq!(taken, (0..100).collect::<Vec<_>>());
        });
        assert_eq!(hub.state().members[0].waiting, 0);
        // Of things that weigh little, too, only a few come at once.
        for _ in 0..3 * MOST_AT_ONCE {
            assert!(hub.put(Item::Damaged(Arc::clone(&process))));
        }
        assert_eq!([hub.take().len(), hub.waiting()], [MOST_AT_ONCE, 2 * MOST_AT_ONCE]);
    }
}
