//! Taking the oldest full buffer back, where a writer finds none free.
//!
//! Every buffer carries what whoever takes it must know without looking at its records: how many
//! events it holds and when they came. It is written by the thread that begins or gives up the
//! buffer, and read by the one that takes it from the [`Backlog`], which orders the two.
//!
//! So that the log says where events are missing, each lane number counts on what was recorded
//! under it, or lost before one of its buffers. A buffer says how far the count had come when it
//! was begun; the flusher, which knows how far it had come with the last buffer in the log, finds
//! the difference in between:
//!
//! ```text
//!   in the log           taken back            in the log
//!   │ to 40 │            │ 40 to 66 │          │ from 66: 26 are missing
//! ```

use super::{Entered, HEADER_BYTES, Hand, Lane, Ring, add};
use crate::codec::{LossRecord, RawRecord, RecordView, Records};
use crate::session::backlog::{Backlog, Waiting};
use crate::session::sync::{AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// What a ring has whose writers may take buffers back.
#[derive(Debug)]
pub(super) struct Overwriting {
    pub(super) backlog: Backlog,
    /// By buffer.
    fillings: Box<[Filling]>,
    /// The ring's.
    numbers_of: Arc<[AtomicU32]>,
    /// By lane number: events recorded so far and losses counted.
    counts: Box<[AtomicU64]>,
}

/// How a buffer is being filled.
#[derive(Debug, Default)]
struct Filling {
    /// The count of its number when it was begun, with the losses that its header counts.
    start: AtomicU64,
    /// What its lane had accepted then.
    accepted: AtomicU64,
    /// Ticks when it was begun, and when it was given up.
    from: AtomicU64,
    until: AtomicU64,
    /// Events in it; 0 before it is given up, or taken from its lane.
    events: AtomicU64,
    /// Where it stands in the order of filling.
    sequence: AtomicU64,
    /// Events of it that are in the log, and above [`EVENTS`] bits the end of their records.
    logged: AtomicU64,
}

/// Bits for a number of events in one buffer.
const EVENTS: u32 = 32;

/// Events that gave way to newer ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GaveWay<'a> {
    /// How many.
    pub(crate) events: u64,
    /// Ticks not behind the first, and not before the last.
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// The records of their buffer that are not in the log.
    pub(crate) records: &'a [u8],
}

/// Where a buffer stands among what was recorded in its lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// The count when it was begun, with the losses that its header counts.
    pub(crate) start: u64,
    /// Events in it, if it was given up.
    pub(crate) events: u64,
}

impl Overwriting {
    pub(super) fn new(buffers: u32, numbers: u32, numbers_of: Arc<[AtomicU32]>) -> Self {
        Self {
            numbers_of,
            backlog: Backlog::new(buffers),
            fillings: (0..buffers).map(|_| Filling::default()).collect(),
            counts: (0..numbers).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Notes that a buffer is begun in `lane`, under `number`, with `lost` events in its header.
    pub(super) fn begun(
        &self,
        (index, sequence): (u32, u64),
        lane: &Lane,
        number: u32,
        lost: u32,
        ticks: u64,
    ) {
        let Some(filling) = self.fillings.get(index as usize) else { return };
        let Some(count) = self.counts.get(number as usize) else { return };
        // A number is in one hand at a time; its next owner sees this through the set of them.
        add(count, lost.into());
        let accepted = lane.tally.accepted.load(Ordering::Relaxed);
        filling.start.store(count.load(Ordering::Relaxed), Ordering::Relaxed);
        filling.accepted.store(accepted, Ordering::Relaxed);
        filling.from.store(ticks, Ordering::Relaxed);
        filling.sequence.store(sequence, Ordering::Relaxed);
        filling.events.store(0, Ordering::Relaxed);
        filling.logged.store(0, Ordering::Relaxed);
    }

    /// What `lane` accepted since it began a buffer.
    fn accepted(&self, index: u32, lane: &Lane) -> u64 {
        let before = self
            .fillings
            .get(index as usize)
            .map_or(0, |filling| filling.accepted.load(Ordering::Relaxed));
        lane.tally.accepted.load(Ordering::Relaxed).wrapping_sub(before)
    }

    /// Has a buffer wait that has `events` events, of lane `number`.
    fn give_up(&self, index: u32, number: u32, events: u64, ticks: u64) {
        if let Some(filling) = self.fillings.get(index as usize) {
            filling.until.store(ticks, Ordering::Relaxed);
        }
        self.ended(index, number, events);
        self.backlog.push(index);
    }

    /// Notes that a buffer will have no more than so many events.
    pub(super) fn ended(&self, index: u32, number: u32, events: u64) {
        if let Some(filling) = self.fillings.get(index as usize) {
            filling.events.store(events, Ordering::Relaxed);
        }
        if let Some(count) = self.counts.get(number as usize) {
            add(count, events);
        }
    }

    /// The oldest buffer of this lane number that waits. One that was given up before the caller's
    /// look at the lane's hand is seen.
    pub(super) fn oldest_of(&self, number: u32) -> Option<Waiting> {
        let is_of = |index: u32| {
            let of = self.numbers_of.get(index as usize);
            of.is_some_and(|of| of.load(Ordering::Relaxed) == number)
        };
        self.backlog.all().filter(|waiting| is_of(waiting.index)).min()
    }

    /// Takes it.
    pub(super) fn take_oldest_of(&self, number: u32) -> Option<u32> {
        loop {
            let oldest = self.oldest_of(number)?;
            if self.backlog.take(oldest) {
                return Some(oldest.index);
            }
            // Else a writer was quicker, or the caller holds it.
            if self.backlog.is_held(oldest.index) {
                return None;
            }
        }
    }

    /// Notes that the first `events` of a held buffer, up to `end`, are in the log.
    pub(super) fn logged(&self, index: u32, end: u32, events: u64) {
        if let Some(filling) = self.fillings.get(index as usize) {
            filling.logged.store(u64::from(end) << EVENTS | events, Ordering::Relaxed);
        }
    }

    /// Where a buffer stands in the order of filling; of one that the caller neither has nor holds
    /// it may be a later one's number.
    pub(super) fn sequence(&self, index: u32) -> Option<i64> {
        let filling = self.fillings.get(index as usize)?;
        i64::try_from(filling.sequence.load(Ordering::Relaxed)).ok()
    }

    /// Where a buffer stands in its lane that the caller has, or holds.
    pub(super) fn course(&self, index: u32) -> Option<Course> {
        let filling = self.fillings.get(index as usize)?;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        Some(Course { start: load(&filling.start), events: load(&filling.events) })
    }
}

impl Ring {
    /// Takes the oldest full buffer and empties it, once `look` has seen what gives way.
    pub(super) fn overwrite(&self, look: impl FnOnce(GaveWay<'_>)) -> Option<u32> {
        let overwriting = self.exchange.overwriting.as_ref()?;
        let index = overwriting.backlog.take_oldest(self.buffers())?;
        let buffer = self.memory.nth(index);
        if let Some(filling) = overwriting.fillings.get(index as usize) {
            let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
            let logged = load(&filling.logged);
            let (in_log, end) = (logged & ((1 << EVENTS) - 1), logged >> EVENTS);
            let filled = buffer.load_filled(Ordering::Relaxed);
            let start = u32::try_from(end).unwrap_or(filled).clamp(HEADER_BYTES, filled);
            look(GaveWay {
                events: load(&filling.events).wrapping_sub(in_log),
                from: load(&filling.from),
                until: load(&filling.until),
                // SAFETY: taken from the backlog, so nobody begins it anew before this thread does;
                // the slice does not outlive the call.
                records: unsafe { buffer.records(start..filled) },
            });
        }
        // SAFETY: taken from the backlog, so it is this thread's alone.
        unsafe { buffer.reset() };
        Some(index)
    }
}

impl Entered<'_> {
    /// Passes on a buffer that this lane had in hand.
    pub(super) fn give_up(&self, hand: Hand, ticks: u64) {
        let index = hand.buffer;
        let Some(overwriting) = &self.ring.exchange.overwriting else {
            return self.ring.give_up(index, ticks);
        };
        // The collector may take a buffer from the hand for a moment, so that this lane begins the
        // next one, and put it back when that is full: what was accepted meanwhile is not in it.
        let began_last = self.lane.tally.buffer.load(Ordering::Relaxed) == index + 1;
        let events = if began_last {
            overwriting.accepted(index, self.lane)
        } else {
            let buffer = self.ring.memory.nth(index);
            // Relaxed: this thread stored it last.
            let filled = buffer.load_filled(Ordering::Relaxed);
            // SAFETY: out of the hand, and not yet waiting: nobody begins it anew.
            events(unsafe { buffer.records(HEADER_BYTES..filled) }).count() as u64
        };
        overwriting.give_up(index, hand.number, events, ticks);
    }
}

/// The records of a buffer that are events: all but those that tell of losses.
pub(crate) fn events(records: &[u8]) -> impl Iterator<Item = RawRecord<'_>> {
    let tells = |raw| RecordView::parse(raw).is_ok_and(|record| LossRecord::of(&record).is_some());
    Records::new(records).map_while(Result::ok).filter(move |raw| !tells(*raw))
}
