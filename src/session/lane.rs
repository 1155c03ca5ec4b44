//! One lane: a buffer in the hand of one writer at a time. The ring's protocol, and its memory.
//!
//! ```text
//!   buffer  0 ........ 72 ............ filled ............ size
//!           | header    | records        | free             |
//!                                        ^ FilledBytes, the only word that says what is valid
//!
//!               take                    publish: one release store of FilledBytes
//!     free ────────────► in hand ◄──┐
//!      ▲                 │    │     └── reserve, fill, commit
//!      │                 │    └───────► stolen from a quiet lane ──┐
//!      │          switch ▼                                         ▼
//!      └── release ──── full ────────── collected, sealed, written to the sink
//! ```
//!
//! Who may do what:
//!
//! | step | by | other side sees it through |
//! |---|---|---|
//! | take a free buffer | the lane's writer | `IndexSet`: acquire of the collector's release |
//! | fill `filled..`, publish | the lane's writer | `FilledBytes`: release, acquire in `Collector::peek` |
//! | give up a buffer (switch) | the lane's writer | `IndexList`: release, acquire in `Collector::next_full` |
//! | steal a buffer | the collector | the lane's `hand` word and its `busy` word, see below |
//! | reset and free a buffer | the collector | `IndexSet`: release |
//! | overwrite a buffer | the lane's writer | its `Claim`, where a snapshot looks |
//! | take a full buffer back | any writer | its word in the `Backlog`: acquire, as the collector |
//!
//! # The hot path
//!
//! ```text
//!   busy = 1                 plain store
//!   light barrier            nothing but the compiler's order, see `Barrier`
//!   state == running?        load of a word that never changes
//!   hand -> buffer, filled   two loads
//!   fits?                    compare
//!   ... copy the record ...
//!   filled = end             release store: the commit
//!   closed == 0?             load of a word that never changes
//!   busy = 0                 release store
//! ```
//!
//! No read-modify-write: only the thread that owns a lane enters it, and `busy` keeps it from
//! entering twice (a signal handler, a `Debug` that logs): the inner event goes through one of a
//! few lanes that nobody owns and whoever sets `busy` first has.
//!
//! # Taking a buffer back
//!
//! The collector wants the buffer of a quiet lane, whose owner might wake at any moment. It swaps
//! the lane's `hand` for "nothing", passes the heavy barrier and looks at `busy`:
//!
//! - not busy: whoever enters from now on finds an empty hand. The buffer is the collector's.
//! - busy: the owner may hold the old buffer's address in a register. The collector puts the hand
//!   back with a compare-exchange; if the owner has meanwhile found the hand empty and taken
//!   another buffer, it is done with the old one, and that is the collector's after all.
//!
//! With the buffer comes the lane's number in the log, which lies beside the buffer and is written
//! by whoever begins it.
//!
//! The owner for its part gives up a buffer by swapping it out of `hand`, never by assuming that it
//! is still there, and looks at what its own later swap pushes out.
//!
//! # Stopping
//!
//! The collector sets `state`, passes the heavy barrier and takes each lane's buffer, as above. A
//! busy lane is asked again: its owner may be in the middle of an event, or only finding out. A
//! writer that holds a reservation for longer than the grace period is closed out: `closed` says
//! so, what it had published is taken, and its `commit`, which looks at `closed` after it
//! publishes, learns whether its record made it.
//!
//! # Taking a full buffer back
//!
//! With [`Policy::CollectOrOverwrite`] full buffers wait in a `Backlog`. The collector takes one
//! when it is about to write it; a writer that finds none free takes the oldest, and what was in
//! it is lost. Whichever exchanges the buffer's word has it. So a buffer may change below the
//! collector while it looks at one that is in a hand; it holds the buffer first and then looks
//! whether the hand is still the same: if it is, nobody can take the buffer before it is let go.
//!
//! # Rings that overwrite
//!
//! With [`Policy::Overwrite`] no collector takes full buffers: a writer that gives one up puts it
//! back into the set, as it is, and every buffer has its turn to be begun anew. Each turn is one
//! writer's. A turn whose buffer is in a hand passes; see `pin` for those that are being read.

mod collector;
mod memory;
#[cfg(loom)]
#[allow(missing_docs, clippy::missing_errors_doc, reason = "for tests/loom only")]
pub mod model;
mod overwrite;
mod pin;
mod quick;
mod reservation;
mod tally;
mod thread;
mod writing;

pub(crate) use collector::{Collector, Full, Hold, Published, Sealed, Stolen};
pub(crate) use memory::{Backing, SMALL};
pub(crate) use overwrite::{Course, GaveWay, events};
pub use reservation::Reservation;
use tally::Tally;
pub(crate) use tally::{Loss, add};
pub(crate) use thread::generation;
pub(crate) use writing::{Entered, Fresh, Space};

use crate::format::{BufferFlags, BufferHeader, BufferState, MAX_LANES};
use crate::session::{
    clock,
    pool::{IndexList, IndexSet},
    sync::{AtomicPtr, AtomicU32, AtomicU64, Barrier, Ordering},
};
use memory::{Buffer, Memory};
use overwrite::Overwriting;
use pin::Claim;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use thread::Lanes;

/// Bytes of a buffer's header.
pub(crate) const HEADER_BYTES: u32 = 72;
const _: () = assert!(BufferHeader::SIZE == HEADER_BYTES as usize);

/// The session records.
pub(crate) const RUNNING: u32 = 0;
/// The session is paused: writers turn away.
pub(crate) const PAUSED: u32 = 1;
/// The session is over.
pub(crate) const STOPPED: u32 = 2;

/// In the state of a ring whose writers must fence although the platform knows better: the cheap
/// barrier was refused. It keeps events off the quick path, which does without.
const FENCED: u32 = 4;

/// `hand` of a lane that holds no buffer.
const EMPTY_HAND: *mut u8 = ptr::null_mut();

/// What a lane holds: a buffer and, with it, a number among the lanes of the log.
#[derive(Clone, Copy, Debug)]
struct Hand {
    buffer: u32,
    number: u32,
}

/// One writer's place. Fields of one line are written by the owner alone, but for `hand` and
/// `closed`, which the collector may exchange.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Lane {
    /// Not 0 while somebody is between `enter` and leaving: 1 for the owner, the number of its
    /// thread for who is in a lane that nobody owns.
    busy: AtomicU32,
    /// 0 while open; 1 while the collector closes it; then the `FilledBytes` it closed at.
    closed: AtomicU32,
    /// Where the buffer in hand starts, or [`EMPTY_HAND`]: all that an event needs to know of it.
    hand: AtomicPtr<u8>,
    /// The owner as records have it: thread, and process in the upper half.
    ids: AtomicU64,
    /// What the owner counts; see `writer`.
    pub(crate) tally: Tally,
    /// Whether a thread owns the lane.
    owned: AtomicU32,
}

/// What a thread with these `ids` leaves in a lane that nobody owns while it is there.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is the thread")]
fn guest(ids: u64) -> u32 {
    (ids as u32).max(1)
}

impl Lane {
    pub(crate) fn new() -> Self {
        Self {
            busy: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            hand: AtomicPtr::new(EMPTY_HAND),
            ids: AtomicU64::new(0),
            tally: Tally::default(),
            owned: AtomicU32::new(0),
        }
    }

    /// Makes the calling thread the owner, if the lane has none.
    fn claim(&self, ids: u64) -> bool {
        // Acquire pairs with the release in `disown`: all that the last owner did is seen.
        // A lane that is busy and has no owner was left by `mem::forget`; it stays out of use.
        let claimed = self.owned.load(Ordering::Relaxed) == 0
            && self.busy.load(Ordering::Relaxed) == 0
            && self.owned.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // Once more, now that all of the last owner is seen: then it stays owned by nobody alive.
        if !claimed || self.busy.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.ids.store(ids, Ordering::Relaxed);
        clock::after_loads();
        true
    }

    /// Ends what `enter` began.
    #[inline(always)]
    fn leave(&self) {
        // Release pairs with the acquire loads of `busy` in the collector.
        self.busy.store(0, Ordering::Release);
    }

    /// Whether the thread with these `ids` is in it, a lane that nobody owns.
    fn has_guest(&self, ids: u64) -> bool {
        // Relaxed: only that thread itself has stored its number, and it is the one that asks.
        self.busy.load(Ordering::Relaxed) == guest(ids)
    }

    /// Thread and process of the owner, as records have them.
    #[inline(always)]
    pub(crate) fn ids(&self) -> u64 {
        self.ids.load(Ordering::Relaxed)
    }

    /// Ends the ownership. A buffer in hand stays: the next owner goes on filling it, or the
    /// collector takes it back.
    fn disown(&self) {
        self.owned.store(0, Ordering::Release);
    }
}

/// The buffers of a session and everything its writers share.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ring {
    /// Which session, unlike any other of this process.
    id: u64,
    state: AtomicU32,
    barrier: Barrier,
    memory: Memory,
    /// The time as the flusher last looked; for sessions that are content with that.
    tick: AtomicU64,
    /// Who takes the buffers that writers give up.
    policy: Policy,
    /// How many buffers there are; grows only.
    buffers: AtomicU32,
    /// Whether all threads write into one lane.
    one_lane: bool,
    /// The process that made the ring.
    generation: u64,
    lanes: Lanes,
    exchange: Exchange,
}

/// What becomes of a buffer that a writer gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The collector takes it, empties it and sets it free.
    Collect,
    /// So it does, unless a writer needs a buffer first, and finds none free: it takes the one that
    /// waits for longest.
    CollectOrOverwrite,
    /// It stays as it is until a writer needs it: the oldest one is overwritten.
    Overwrite,
}

/// What is touched once per buffer, away from what is read at every event.
#[derive(Debug)]
#[repr(align(128))]
struct Exchange {
    free: IndexSet,
    full: IndexList,
    /// Numbers that lanes with a buffer carry.
    numbers: IndexSet,
    /// By buffer: the number that it was begun under, for whoever has it from a hand.
    numbers_of: Arc<[AtomicU32]>,
    /// One more than the highest number handed out.
    numbers_used: AtomicU32,
    next_sequence: AtomicU64,
    /// By buffer, where the oldest are overwritten: who keeps it from that. See `pin`.
    claims: Box<[Claim]>,
    /// By lane number, where the oldest are overwritten: its last buffer's place in the order.
    latest_of: Box<[AtomicU64]>,
    /// The last stamp of any buffer given up, where the clock may be set back.
    latest: AtomicU64,
    /// In the place of `full`, where writers may take buffers back.
    overwriting: Option<Overwriting>,
}

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingSize {
    /// Bytes of a buffer, a multiple of 8.
    pub(crate) buffer_size: u32,
    /// How many there are from the start.
    pub(crate) buffers: u32,
    /// How many there may come to be: as many as have addresses.
    pub(crate) most: u32,
    /// How many of them have their memory from the start.
    pub(crate) resident: u32,
    /// Number of the session, written into every buffer.
    pub(crate) logger_id: u16,
    /// Sequence number of the first buffer.
    pub(crate) first_sequence: u64,
    /// Whether all threads write into one lane.
    pub(crate) one_lane: bool,
    /// Lanes that can hold a buffer at a time.
    pub(crate) lanes: u16,
}

impl RingSize {
    /// How many buffers take turns from the start: as many as leave the caches of one processor,
    /// and stay in the one that all share, before it is their turn again. Measured: with 2 an
    /// event costs twice as much as with 32, with 512 half as much again. It may be otherwise where
    /// they share none: the flusher sees to that.
    fn in_turns(&self) -> u32 {
        const BYTES: u32 = 2 << 20;
        self.resident.min((BYTES / self.buffer_size).max(4))
    }
}

impl Ring {
    /// A ring and the one collector that may empty it.
    pub(crate) fn new(
        id: u64,
        size: RingSize,
        policy: Policy,
        backing: Backing,
    ) -> std::io::Result<(Arc<Self>, Collector)> {
        let memory = Memory::new(size, backing)?;
        let most = memory.most();
        // Where the oldest is overwritten every buffer takes its turn, or it is not the oldest.
        // A writer keeps its number from one buffer to the next: there may be more of them in use
        // than buffers.
        let numbers = u32::from(size.lanes.min(MAX_LANES));
        let (turns, claims, latest) = match policy {
            Policy::Collect | Policy::CollectOrOverwrite => (size.in_turns(), 0, 0),
            Policy::Overwrite => (size.buffers, size.buffers, numbers),
        };
        let numbers_of: Arc<[_]> = (0..most).map(|_| AtomicU32::new(0)).collect();
        let overwriting = (policy == Policy::CollectOrOverwrite)
            .then(|| Overwriting::new(most, numbers, Arc::clone(&numbers_of)));
        let barrier = Barrier::new();
        let ring = Arc::new(Self {
            id,
            state: AtomicU32::new(RUNNING | if barrier.is_usual() { 0 } else { FENCED }),
            barrier,
            memory,
            tick: AtomicU64::new(0),
            policy,
            buffers: AtomicU32::new(size.buffers),
            one_lane: size.one_lane,
            generation: thread::generation(),
            lanes: Lanes::new(),
            exchange: Exchange {
                free: IndexSet::of(size.buffers, most).with_turns(turns),
                claims: (0..claims).map(|_| Claim::default()).collect(),
                latest_of: (0..latest).map(|_| AtomicU64::new(0)).collect(),
                full: IndexList::new(most),
                numbers: IndexSet::full(numbers),
                numbers_of,
                latest: AtomicU64::new(0),
                numbers_used: AtomicU32::new(0),
                next_sequence: AtomicU64::new(size.first_sequence),
                overwriting,
            },
        });
        let collector = Collector::new(&ring);
        Ok((ring, collector))
    }

    /// Bytes of a buffer.
    pub(crate) fn buffer_size(&self) -> u32 {
        self.memory.buffer_size()
    }

    /// How many buffers there are.
    pub(crate) fn buffers(&self) -> u32 {
        self.buffers.load(Ordering::Relaxed)
    }

    /// How many buffers there may come to be.
    pub(crate) fn most_buffers(&self) -> u32 {
        self.memory.most()
    }

    /// Whether they lie in a file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.memory.is_in_file()
    }

    /// How many buffers nobody uses.
    pub(crate) fn buffers_free(&self) -> u32 {
        self.exchange.free.count()
    }

    /// One more than the highest lane number handed out.
    pub(crate) fn lanes_used(&self) -> u32 {
        self.exchange.numbers_used.load(Ordering::Relaxed)
    }

    /// [`RUNNING`], [`PAUSED`] or [`STOPPED`].
    #[inline(always)]
    pub(crate) fn state(&self) -> u32 {
        self.state.load(Ordering::Relaxed) & !FENCED
    }

    /// Whether it is [`RUNNING`], and the barrier the platform's usual one.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        self.state.load(Ordering::Relaxed) == RUNNING
    }

    fn set_state(&self, from: Option<u32>, to: u32) {
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            let fenced = state & FENCED;
            from.is_none_or(|from| state == from | fenced).then_some(to | fenced)
        });
    }

    /// The number that the next buffer to be begun will get.
    pub(crate) fn next_sequence(&self) -> i64 {
        i64::try_from(self.exchange.next_sequence.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// Pauses or resumes; a stopped ring stays stopped.
    pub(crate) fn set_paused(&self, paused: bool) {
        let (from, to) = if paused { (RUNNING, PAUSED) } else { (PAUSED, RUNNING) };
        self.set_state(Some(from), to);
    }

    /// The time of the flusher's last look.
    #[inline(always)]
    pub(crate) fn tick(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// Sets the time for writers that read [`tick`](Self::tick).
    pub(crate) fn set_tick(&self, ticks: u64) {
        self.tick.store(ticks, Ordering::Relaxed);
    }

    /// The buffer in the hand of `lane`, one of this ring's.
    #[inline(always)]
    fn held(&self, lane: &Lane, order: Ordering) -> Option<Buffer<'_>> {
        // SAFETY: a hand holds the start of a buffer of its ring, or null.
        unsafe { self.memory.at(lane.hand.load(order)) }
    }

    /// What the word of a hand says. The caller has seen it by an acquire load or swap, or is the
    /// lane's owner.
    fn in_hand(&self, word: *mut u8) -> Option<Hand> {
        // SAFETY: a hand holds the start of a buffer of its ring, or null.
        let buffer = unsafe { self.memory.at(word) }?.index();
        // Relaxed: stored before the buffer was put into the hand.
        let number = self.exchange.numbers_of.get(buffer as usize)?.load(Ordering::Relaxed);
        Some(Hand { buffer, number })
    }

    /// Passes on a buffer that its writer is done with.
    fn give_up(&self, index: u32, ticks: u64) {
        match self.policy {
            Policy::Collect | Policy::CollectOrOverwrite => self.exchange.full.push(index),
            Policy::Overwrite => {
                // SAFETY: the buffer is the caller's, who took it from a lane's hand. Whoever has
                // it pinned reads nothing that this writes.
                unsafe { self.memory.nth(index).close(ticks) };
                self.exchange.free.put(index);
            }
        }
    }

    /// An empty buffer for the caller alone, to be begun. With [`Policy::Overwrite`] nobody can pin
    /// it before [`begun`](Self::begun) is called.
    fn take_empty(&self) -> Option<u32> {
        if self.policy != Policy::Overwrite {
            return self.exchange.free.take_turns();
        }
        for _ in 0..self.buffers() {
            let line = self.next_sequence();
            let Some(index) = self.exchange.free.take_next() else { continue };
            let buffer = self.memory.nth(index);
            // SAFETY: `index` came from the set, so nobody begins or empties it.
            if unsafe { buffer.begun_header() }.sequence_number.get() >= line {
                // This thread slept for a whole round, and the buffer is one of the youngest.
                self.exchange.free.put(index);
            } else if self.claim(index) {
                // Whoever has a buffer pinned puts it back; there are others.
                // SAFETY: as above, and nobody has it pinned.
                unsafe { buffer.reset() };
                return Some(index);
            }
        }
        None
    }

    /// Whether a writer may take a full buffer back.
    fn overwrites_full(&self) -> bool {
        self.exchange.overwriting.is_some()
    }

    /// Keeps the last stamp of `lane` for whoever gets its number next.
    fn note_latest(&self, lane: &Lane) {
        let last = lane.tally.last_ticks.load(Ordering::Relaxed);
        if last != 0 {
            self.exchange.latest.fetch_max(last, Ordering::Relaxed);
        }
    }

    /// The last stamp of any buffer given up, where the clock may be set back; else 0.
    pub(crate) fn latest_ticks(&self) -> u64 {
        self.exchange.latest.load(Ordering::Relaxed)
    }

    /// A number for a buffer that another process has filled, behind all that were given so far.
    #[cfg(unix)]
    pub(crate) fn take_sequence(&self) -> i64 {
        let sequence = self.exchange.next_sequence.fetch_add(1, Ordering::Relaxed);
        i64::try_from(sequence).unwrap_or(i64::MAX)
    }

    /// A lane of the log for another process.
    #[cfg(unix)]
    pub(crate) fn take_lane_number(&self) -> Option<u16> {
        self.exchange.numbers.take().and_then(|number| u16::try_from(number).ok())
    }

    /// Such a lane has records.
    #[cfg(unix)]
    pub(crate) fn use_lane_number(&self, number: u16) {
        self.exchange.numbers_used.fetch_max(u32::from(number) + 1, Ordering::Relaxed);
    }

    /// Gives such a lane back: all of its buffers are in the log.
    #[cfg(unix)]
    pub(crate) fn give_lane_number(&self, number: u16) {
        self.exchange.numbers.put(u32::from(number));
    }

    /// Every lane that ever had an owner.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter()
    }

    /// Enters `lane`, unless its owner is in it already.
    ///
    /// # Safety
    ///
    /// - The calling thread owns `lane`, which is a lane of this ring.
    /// - `barrier` is the ring's, or nothing is done with the entry before
    ///   [`is_plain`](Self::is_plain) said yes.
    #[inline(always)]
    unsafe fn enter_lane<'a>(&'a self, lane: &'a Lane, barrier: Barrier) -> Option<Entered<'a>> {
        if lane.busy.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // Pairs, through the barrier, with the loads of `busy` in `Collector::steal` and `stop`.
        lane.busy.store(1, Ordering::Relaxed);
        barrier.light();
        Some(Entered { ring: self, lane, barrier, _not_send: PhantomData })
    }

    /// Enters `lane`, one of those that nobody owns, for one event, unless somebody is in it.
    fn enter_shared<'a>(&'a self, lane: &'a Lane, ids: u64) -> Option<Entered<'a>> {
        // Acquire pairs with the release of who left it last.
        lane.busy.compare_exchange(0, guest(ids), Ordering::Acquire, Ordering::Relaxed).ok()?;
        lane.ids.store(ids, Ordering::Relaxed);
        clock::after_loads();
        self.barrier.light();
        Some(Entered { ring: self, lane, barrier: self.barrier, _not_send: PhantomData })
    }
}
