//! Which buffers are free, and which are full: two lock-free structures over buffer numbers.
//!
//! Neither holds memory of its own that is handed over, so neither has the ABA problem: a bit that
//! is set is free whoever set it, and a list that is only ever taken whole cannot have its middle
//! exchanged under a reader.

use crate::session::sync::{AtomicU32, AtomicU64, Ordering};
use std::ops::Range;
use std::sync::atomic::{AtomicU32 as Share, AtomicU64 as Hint, Ordering::Relaxed};

/// No number: the end of a list.
const NONE: u32 = u32::MAX;

/// A set of small numbers; any thread takes one and puts it back.
#[derive(Debug)]
pub(crate) struct IndexSet {
    words: Box<[AtomicU64]>,
    count: u32,
    /// How far [`take_turns`](Self::take_turns) has come, counted on from round to round. A hint:
    /// any value is right, so it is no atomic that loom needs to know of. It only grows: set back
    /// by a thread that was asleep, it would let the youngest buffer be taken for the oldest.
    turn: Hint,
    /// The numbers below this one take turns; the others are for when none of them is there. A hint
    /// as well.
    turns: Share,
}

impl IndexSet {
    /// The set of all numbers below `count`.
    pub(crate) fn full(count: u32) -> Self {
        let words = (0..count.div_ceil(64))
            .map(|word| {
                let bits = (count - word * 64).min(64);
                AtomicU64::new(u64::MAX >> (64 - bits))
            })
            .collect();
        Self { words, count, turn: Hint::new(0), turns: Share::new(0) }
    }

    /// The set of the numbers below `count` out of `most` that it may come to hold.
    pub(crate) fn of(count: u32, most: u32) -> Self {
        let set = Self::full(most);
        for (at, word) in (0..).zip(&set.words) {
            let bits = count.saturating_sub(at * 64).min(64);
            let kept = 1u64.checked_shl(bits).map_or(u64::MAX, |above| above - 1);
            // Nobody else knows of the set yet.
            word.fetch_and(kept, Ordering::Relaxed);
        }
        set
    }

    /// Makes the first `count` numbers the ones that take turns.
    pub(crate) fn with_turns(self, count: u32) -> Self {
        self.set_turns(count);
        self
    }

    /// The same while others take and put.
    pub(crate) fn set_turns(&self, count: u32) {
        self.turns.store(count.min(self.count), Relaxed);
    }

    /// How many numbers take turns.
    pub(crate) fn turns(&self) -> u32 {
        self.turns.load(Relaxed)
    }

    /// Takes the lowest number out of the set.
    pub(crate) fn take(&self) -> Option<u32> {
        self.take_within(0..self.count)
    }

    /// Takes the next number in turn out of the set, or the lowest of the others.
    ///
    /// A buffer that was just emptied lies in the cache of the flusher's processor, and to write
    /// there costs the writer twice an event. By its next turn it has left that cache; and with few
    /// that take turns it is still in the cache that all processors share. Buffers that a session
    /// never needs stay untouched. Where there is no such cache more take turns.
    pub(crate) fn take_turns(&self) -> Option<u32> {
        let (come, in_turn) = (self.turn.load(Relaxed), self.turns());
        let turns = u64::from(in_turn.max(1));
        #[expect(clippy::cast_possible_truncation, reason = "less than `turns`")]
        let next = (come % turns) as u32;
        let round = come - u64::from(next);
        if let Some(index) = self.take_within(next..in_turn) {
            self.turn.fetch_max(round + u64::from(index) + 1, Relaxed);
            return Some(index);
        }
        if let Some(index) = self.take_within(0..next) {
            self.turn.fetch_max(round + turns + u64::from(index) + 1, Relaxed);
            return Some(index);
        }
        self.take_within(in_turn..self.count)
    }

    /// Takes the one number whose turn it is, if it is in the set. Every number has its turn, of
    /// whichever thread, before any has its next.
    pub(crate) fn take_next(&self) -> Option<u32> {
        let turn = self.turn.fetch_add(1, Relaxed) % u64::from(self.count.max(1));
        #[expect(clippy::cast_possible_truncation, reason = "less than `count`")]
        let index = turn as u32;
        self.take_within(index..index + 1)
    }

    /// Takes the lowest number of `range` out of the set.
    fn take_within(&self, range: Range<u32>) -> Option<u32> {
        let words = range.start / 64..range.end.div_ceil(64);
        for at in words {
            let word = self.words.get(at as usize)?;
            let above = u64::MAX << range.start.saturating_sub(at * 64);
            let below = u64::MAX >> 64u32.saturating_sub(range.end - at * 64);
            let mut bits = word.load(Ordering::Relaxed);
            while bits & above & below != 0 {
                let bit = (bits & above & below).trailing_zeros();
                // Acquire pairs with the release in `put`: what the last owner did with the
                // buffer is done.
                match word.compare_exchange_weak(
                    bits,
                    bits & !(1 << bit),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => return Some(at * 64 + bit),
                    Err(now) => bits = now,
                }
            }
        }
        None
    }

    /// Puts `index` back. It must have been taken.
    pub(crate) fn put(&self, index: u32) {
        if let Some(word) = self.words.get(index as usize / 64) {
            let bit = 1u64 << (index % 64);
            // Release pairs with the acquire in `take`.
            let before = word.fetch_or(bit, Ordering::Release);
            if cfg!(any(debug_assertions, loom)) {
                assert_eq!(before & bit, 0, "{index} put back twice");
            }
        }
    }

    /// How many numbers are in the set, while others may take and put.
    pub(crate) fn count(&self) -> u32 {
        self.words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
    }
}

/// A list of numbers that many threads push to and one takes whole.
#[derive(Debug)]
pub(crate) struct IndexList {
    head: AtomicU32,
    /// `next[i]` follows `i`; written by the thread that pushes `i`.
    next: Box<[AtomicU32]>,
}

impl IndexList {
    /// An empty list for numbers below `count`.
    pub(crate) fn new(count: u32) -> Self {
        Self {
            head: AtomicU32::new(NONE),
            next: (0..count).map(|_| AtomicU32::new(NONE)).collect(),
        }
    }

    /// Adds `index`, which must not be in the list.
    pub(crate) fn push(&self, index: u32) {
        let Some(next) = self.next.get(index as usize) else { return };
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            next.store(head, Ordering::Relaxed);
            // Release pairs with the acquire in `take_all`: the buffer's records and its link.
            match self.head.compare_exchange_weak(head, index, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Empties the list into `out`, oldest first.
    pub(crate) fn take_all(&self, out: &mut Vec<u32>) {
        if self.head.load(Ordering::Relaxed) == NONE {
            return;
        }
        let start = out.len();
        // Acquire pairs with the release of every push whose node is in the list: each push
        // continues the release sequence of the one before it.
        let mut index = self.head.swap(NONE, Ordering::Acquire);
        while let Some(next) = self.next.get(index as usize) {
            out.push(index);
            index = next.load(Ordering::Relaxed);
        }
        out[start..].reverse();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::IndexSet;

    fn three(set: &IndexSet) -> Vec<u32> {
        (0..3)
            .map(|_| {
                let index = set.take_turns().expect("there are some");
                set.put(index);
                index
            })
            .collect()
    }

    #[test]
    fn more_and_then_fewer_take_turns() {
        let set = IndexSet::full(130).with_turns(2);
        assert_eq!(three(&set), [0, 1, 0]);
        set.set_turns(4);
        assert_eq!(three(&set), [3, 0, 1]);
        set.set_turns(1_000);
        assert_eq!(set.turns(), 130, "no more than there are");
        assert_eq!(three(&set), [6, 7, 8]);
        set.set_turns(1);
        assert_eq!(three(&set), [0, 0, 0]);
        let mut all: Vec<_> = std::iter::from_fn(|| set.take_turns()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..130).collect::<Vec<_>>(), "those behind come when they are needed");
    }
}
