//! Which buffers of an attached process its owner has had, so that none is taken twice and none is
//! missing when the process dies.
//!
//! The process numbers the buffers of its ring from 1. One that is being filled may come again and
//! again, each time with the same records and more; one that came for the last time is done. Of a
//! process that keeps the rules at most as many are open as its ring has buffers, and the done ones
//! are runs of numbers with at most that many holes: so what is kept here is bounded, and a process
//! that does not keep the rules is told by it.

use std::collections::BTreeMap;

/// What has come of a buffer that is still open.
#[derive(Clone, Copy, Debug)]
struct Open {
    filled: u32,
    so_far: News,
}

/// What a buffer holds, or what is new of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) events: u64,
    /// What its loss records add up to.
    pub(crate) lost: u64,
}

/// The buffers of one process.
#[derive(Debug)]
pub(crate) struct Ledger {
    open: BTreeMap<i64, Open>,
    /// Runs of numbers that are done: the first of each and the one behind the last.
    done: BTreeMap<i64, i64>,
    /// Buffers of the ring.
    most: usize,
}

impl News {
    fn behind(self, before: Self) -> Option<Self> {
        let events = self.events.checked_sub(before.events)?;
        Some(Self { events, lost: self.lost.checked_sub(before.lost)? })
    }
}

/// Why a buffer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It was done before.
    Done,
    /// Its number cannot be, it holds less than before, or more are open than there can be.
    Wrong,
}

impl Ledger {
    /// Of a ring with so many buffers.
    pub(crate) fn new(buffers: u32) -> Self {
        Self { open: BTreeMap::new(), done: BTreeMap::new(), most: buffers as usize }
    }

    /// Takes a buffer that is filled to `filled` with so much; gives what of that is new.
    pub(crate) fn take(
        &mut self,
        sequence: i64,
        filled: u32,
        holds: News,
        last: bool,
    ) -> Result<News, Unfit> {
        if sequence < 1 || sequence == i64::MAX {
            return Err(Unfit::Wrong);
        }
        if self.is_done(sequence) {
            return Err(Unfit::Done);
        }
        let known = self.open.get(&sequence).copied();
        let before = known.unwrap_or(Open { filled: 0, so_far: News::default() });
        let news = holds.behind(before.so_far);
        let Some(news) = news.filter(|_| filled >= before.filled) else {
            return Err(Unfit::Wrong);
        };
        if last {
            if !self.finish(sequence) {
                return Err(Unfit::Wrong);
            }
            self.open.remove(&sequence);
        } else {
            if known.is_none() && self.open.len() >= self.most {
                return Err(Unfit::Wrong);
            }
            self.open.insert(sequence, Open { filled, so_far: holds });
        }
        Ok(news)
    }

    /// Whether a buffer came for the last time.
    pub(crate) fn is_done(&self, sequence: i64) -> bool {
        self.done.range(..=sequence).next_back().is_some_and(|(_, end)| sequence < *end)
    }

    /// Notes a number as done; `false` if that makes more holes than there can be.
    fn finish(&mut self, sequence: i64) -> bool {
        let before = self.done.range(..sequence).next_back().map(|(start, end)| (*start, *end));
        let start = match before {
            Some((start, end)) if end == sequence => start,
            _ => sequence,
        };
        let after = self.done.remove(&(sequence + 1));
        self.done.insert(start, after.unwrap_or(sequence + 1));
        self.done.len() <= self.most + 2
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(events: u64) -> News {
        News { events, lost: 0 }
    }

    #[test]
    fn a_buffer_counts_its_new_events_and_is_done_once() {
        let mut ledger = Ledger::new(4);
        assert_eq!(ledger.take(1, 100, of(2), false), Ok(of(2)));
        assert_eq!(ledger.take(1, 180, of(5), false), Ok(of(3)));
        assert_eq!(ledger.take(1, 100, of(5), false), Err(Unfit::Wrong), "shorter");
        assert_eq!(ledger.take(1, 180, of(4), true), Err(Unfit::Wrong), "fewer");
        assert_eq!(ledger.take(1, 180, of(5), true), Ok(of(0)));
        assert_eq!(ledger.take(1, 180, of(5), true), Err(Unfit::Done));
        assert_eq!(ledger.take(0, 180, of(5), true), Err(Unfit::Wrong));
        assert_eq!(ledger.take(-7, 180, of(5), true), Err(Unfit::Wrong));
        assert_eq!(ledger.take(i64::MAX, 180, of(5), true), Err(Unfit::Wrong));
    }

    #[test]
    fn runs_grow_together_in_any_order() {
        let mut ledger = Ledger::new(8);
        for sequence in [3, 1, 2, 7, 5, 6, 4] {
            assert!(!ledger.is_done(sequence));
            assert_eq!(ledger.take(sequence, 80, of(1), true), Ok(of(1)));
        }
        assert!((1..=7).all(|sequence| ledger.is_done(sequence)) && !ledger.is_done(8));
        assert_eq!(ledger.done.len(), 1);
    }

    #[test]
    fn more_open_ones_and_more_holes_than_buffers_are_refused() {
        let mut ledger = Ledger::new(2);
        assert!(
            ledger.take(1, 80, of(1), false).is_ok() && ledger.take(2, 80, of(1), false).is_ok()
        );
        assert_eq!(ledger.take(3, 80, of(1), false), Err(Unfit::Wrong));
        let taken =
            (10..30).step_by(2).filter(|n| ledger.take(*n, 80, of(1), true).is_ok()).count();
        assert_eq!(taken, 4);
    }
}
