//! Sequence numbers that are dealt with, as ranges: few, since numbers are given in a row.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

/// A set of sequence numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// First and last of each range; ranges neither touch nor overlap.
    ranges: BTreeMap<i64, i64>,
}

/// Ranges that are kept; beyond them the holes are told as gaps.
const MOST_RANGES: usize = 1 << 16;

impl Numbers {
    pub(super) fn contains(&self, number: i64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    pub(super) fn insert(&mut self, number: i64) {
        self.insert_range(number, number);
    }

    /// Whether there are so many holes that they cannot all be remembered.
    pub(super) fn is_full(&self) -> bool {
        self.ranges.len() > MOST_RANGES
    }

    /// Takes the holes between the ranges, up to the number `to`, as dealt with and gives them.
    /// Those in `open` stay as they are.
    pub(super) fn fill<T>(&mut self, to: i64, open: &HashMap<i64, T>) -> Vec<RangeInclusive<i64>> {
        let mut open: Vec<i64> = open.keys().copied().collect();
        open.sort_unstable();
        let mut holes = Vec::new();
        let pairs = self.ranges.iter().zip(self.ranges.keys().skip(1));
        for ((_, before), behind) in pairs {
            let mut from = before.saturating_add(1);
            let last = behind.saturating_sub(1).min(to);
            let begun = open.partition_point(|number| *number < from);
            for number in open.get(begun..).unwrap_or_default() {
                if *number > last {
                    break;
                }
                if from < *number {
                    holes.push(from..=number.saturating_sub(1));
                }
                from = number.saturating_add(1);
            }
            if from <= last {
                holes.push(from..=last);
            }
        }
        for hole in &holes {
            self.insert_range(*hole.start(), *hole.end());
        }
        holes
    }

    fn insert_range(&mut self, first: i64, last: i64) {
        let (mut first, mut last) = (first, last);
        if let Some((&start, &end)) = self.ranges.range(..=first).next_back() {
            if end.saturating_add(1) >= first {
                (first, last) = (start, last.max(end));
            }
        }
        while let Some((&start, &end)) = self.ranges.range(first..).next() {
            if start > last.saturating_add(1) {
                break;
            }
            last = last.max(end);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_what_is_neither_known_nor_open() {
        let mut numbers = Numbers::default();
        for number in [5, 7, 6, 20, 12, 30] {
            numbers.insert(number);
        }
        assert!([5, 6, 7, 12, 20, 30].iter().all(|number| numbers.contains(*number)));
        assert!([4, 8, 11, 13, 31].iter().all(|number| !numbers.contains(*number)));
        let open = HashMap::from([(8, ()), (10, ()), (19, ()), (40, ())]);
        assert_eq!(numbers.fill(15, &open), [9..=9, 11..=11, 13..=15]);
        assert_eq!(numbers.fill(i64::MAX, &open), [16..=18, 21..=29]);
        assert_eq!(numbers.fill(i64::MAX, &open), []);
        assert!(!numbers.contains(10) && numbers.contains(25));
        numbers.insert(10);
        numbers.insert(8);
        numbers.insert(19);
        assert_eq!(numbers.ranges, BTreeMap::from([(5, 30)]));
    }
}
