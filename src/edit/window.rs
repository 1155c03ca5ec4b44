//! The index of buffers by time: which of them a stretch of time touches.

use super::filter::ranks;
use crate::format::FileTime;
use crate::reader::{Source, Trace};

/// How much of a buffer lies in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All its records.
    Inside,
    /// Some, or it cannot be told from outside.
    Part,
    /// None.
    Outside,
}

/// What is known of each buffer without a look at more than its first record.
#[derive(Debug)]
pub(super) struct Window {
    reaches: Vec<Reach>,
}

impl Window {
    /// Compares the buffers of `trace` with the time from `from` on and before `to`.
    ///
    /// In a lane times do not run backwards: a buffer ends before the next one begins. Where the
    /// first stamps of a lane contradict that, nothing can be told of it.
    pub(super) fn of<S: Source>(trace: &Trace<S>, from: FileTime, to: FileTime) -> Self {
        let buffers = trace.buffers();
        let ranks = ranks(buffers);
        let mut order: Vec<usize> = (1..buffers.len()).collect();
        order.sort_by_key(|index| ranks.get(*index).copied());
        let mut reaches = vec![Reach::Part; buffers.len()];
        let clock = trace.clock();
        let span = (clock.first_ticks(from), clock.first_ticks(to));
        let lane_of = |index: &usize| buffers.get(*index).map(|entry| entry.lane);
        for lane in order.chunk_by(|a, b| lane_of(a) == lane_of(b)) {
            let firsts: Vec<_> = lane.iter().map(|index| trace.first_ticks(*index)).collect();
            if !firsts.iter().flatten().is_sorted() {
                continue;
            }
            // From the last one to the first: `next` is where what follows begins.
            let mut next = None;
            for (index, first) in lane.iter().zip(&firsts).rev() {
                let stamp = buffers.get(*index).map(|entry| trace.buffer_time(entry));
                let untimed_in = stamp.is_some_and(|time| from <= time && time < to);
                if let Some(place) = reaches.get_mut(*index) {
                    *place = reach(*first, next, span, untimed_in);
                }
                next = first.or(next);
            }
        }
        Self { reaches }
    }

    pub(super) fn reach(&self, index: usize) -> Reach {
        self.reaches.get(index).copied().unwrap_or(Reach::Part)
    }
}

/// Of a buffer whose timed records lie from `first` to `next`, the beginning of the one behind it.
/// Untimed ones count with the buffer's own stamp: `untimed_in` says where that lies.
fn reach(first: Option<u64>, next: Option<u64>, (from, to): (u64, u64), untimed_in: bool) -> Reach {
    let outside = first.is_none_or(|first| first >= to) || next.is_some_and(|next| next < from);
    let inside = first.is_none_or(|first| first >= from) && next.is_some_and(|next| next < to);
    match (untimed_in, outside, inside) {
        (false, true, _) => Reach::Outside,
        (true, false, true) => Reach::Inside,
        _ => Reach::Part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_looked_at() {
        let span = (100, 200);
        let all = [
            (Some(100), Some(150), true, Reach::Inside),
            // The next one may begin with the same stamp that this one ends with.
            (Some(100), Some(200), true, Reach::Part),
            (Some(99), Some(150), true, Reach::Part),
            (Some(100), None, true, Reach::Part),
            // Untimed records among them lie elsewhere.
            (Some(100), Some(150), false, Reach::Part),
            (Some(10), Some(99), false, Reach::Outside),
            (Some(10), Some(100), false, Reach::Part),
            (Some(200), None, false, Reach::Outside),
            (Some(200), Some(300), true, Reach::Part),
            (None, None, false, Reach::Outside),
            (None, None, true, Reach::Part),
        ];
        for (first, next, untimed_in, expected) in all {
            assert_eq!(reach(first, next, span, untimed_in), expected, "{first:?} {next:?}");
        }
    }
}
