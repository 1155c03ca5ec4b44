//! What a lane counts: events recorded, and events lost.

use super::Ring;
use crate::session::{
    stats::{EventsLost, LossCause},
    sync::{AtomicU32, AtomicU64, Ordering},
};

/// Counters of one lane. Only its owner writes them, so adding is a load and a store.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Tally {
    /// Events committed.
    pub(crate) accepted: AtomicU64,
    /// Events refused while paused.
    pub(crate) disabled: AtomicU64,
    /// Events refused after the stop.
    pub(crate) stopped: AtomicU64,
    /// The last stamp, where the clock may be set back.
    pub(crate) last_ticks: AtomicU64,
    /// Losses by cause, numbered as [`Loss::CAUSES`].
    pub(crate) losses: [Loss; 3],
    /// Of those that found no buffer: recorded, in whichever lane, and given up for newer ones.
    pub(crate) overwritten: AtomicU64,
    /// Of the others, how many the header of a buffer of this lane counts.
    pub(crate) counted: AtomicU64,
    /// One more than the index of the buffer that the last switch began; 0 if it failed.
    pub(crate) buffer: AtomicU32,
}

/// Losses of one cause in one lane.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    /// All of them.
    pub(crate) count: AtomicU64,
    /// How many of them a loss record has told of.
    pub(crate) told: AtomicU64,
    /// Ticks of the first one that was not yet told.
    pub(crate) first: AtomicU64,
    /// Ticks of the last one.
    pub(crate) last: AtomicU64,
}

/// Adds to a counter that only the caller writes.
#[inline(always)]
pub(crate) fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Loss {
    /// What the losses of a lane are, in their order.
    pub(crate) const CAUSES: [LossCause; 3] =
        [LossCause::NO_FREE_BUFFER, LossCause::TOO_LARGE, LossCause::NO_LANE];

    /// How many no loss record has told of yet.
    pub(crate) fn untold(&self) -> u64 {
        self.count.load(Ordering::Relaxed).wrapping_sub(self.told.load(Ordering::Relaxed))
    }

    /// Counts `count` more, between these ticks.
    pub(crate) fn note(&self, count: u64, first: u64, last: u64) {
        self.untell(0, first, last);
        add(&self.count, count);
    }

    /// A record that told of `count`, between these ticks, will not be in the log: they are to be
    /// told again.
    pub(crate) fn untell(&self, count: u64, first: u64, last: u64) {
        let none = self.untold() == 0;
        let earliest = if none { first } else { self.first.load(Ordering::Relaxed).min(first) };
        self.first.store(earliest, Ordering::Relaxed);
        let latest = if none { last } else { self.last.load(Ordering::Relaxed).max(last) };
        self.last.store(latest, Ordering::Relaxed);
        add(&self.told, count.wrapping_neg());
    }
}

impl Tally {
    /// Losses that no header of this lane's buffers counts yet. Those of events that were recorded
    /// once are left out: their own lane counts them.
    pub(crate) fn uncounted(&self) -> u64 {
        let all: u64 = self.losses.iter().map(|loss| loss.count.load(Ordering::Relaxed)).sum();
        let elsewhere = self.overwritten.load(Ordering::Relaxed);
        all.wrapping_sub(elsewhere).wrapping_sub(self.counted.load(Ordering::Relaxed))
    }
}

/// What all lanes of a ring have counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Events committed, and not given up for newer ones.
    pub(crate) accepted: u64,
    /// Events refused while paused.
    pub(crate) disabled: u64,
    /// Events refused after the stop.
    pub(crate) stopped: u64,
    /// Events lost, for the causes that lanes know.
    pub(crate) lost: EventsLost,
}

impl Ring {
    /// The counts of this moment.
    pub(crate) fn sums(&self) -> Sums {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (mut sums, mut overwritten) = (Sums::default(), 0);
        for Tally { accepted, disabled, stopped, losses, overwritten: more, .. } in
            self.lanes().map(|lane| &lane.tally)
        {
            let [no_free_buffer, too_large, no_lane] = losses;
            overwritten += load(more);
            sums.accepted += load(accepted);
            sums.disabled += load(disabled);
            sums.stopped += load(stopped);
            sums.lost.no_free_buffer += load(&no_free_buffer.count);
            sums.lost.too_large += load(&too_large.count);
            sums.lost.no_lane += load(&no_lane.count);
        }
        sums.accepted = sums.accepted.saturating_sub(overwritten);
        sums
    }
}
