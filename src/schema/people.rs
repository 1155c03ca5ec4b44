//! Names of processes and threads, and the processes of threads, as kernel records tell them.

use crate::schema::hash::Seed;
use std::collections::HashMap;

/// What is kept of one kind; a file of nothing else holds more than any machine has.
const MOST: usize = 1 << 17;
/// Holders of one number, which are kept in order as they come.
const MOST_OF_ONE: usize = 1 << 12;
/// Bytes of a name.
const MOST_NAME: usize = 1024;

/// What a number stands for, each from a time on: numbers are used again.
#[derive(Clone, Debug)]
pub(super) struct Timed<T> {
    by_number: HashMap<u32, Vec<(u64, T)>, Seed>,
    count: usize,
}

/// Names by number.
pub(super) type Names = Timed<Box<str>>;

impl<T> Default for Timed<T> {
    fn default() -> Self {
        Self { by_number: HashMap::default(), count: 0 }
    }
}

impl<T> Timed<T> {
    /// `number` stands for `what` from `ticks` on.
    pub(super) fn set(&mut self, number: u32, ticks: u64, what: T) {
        if self.count >= MOST {
            return;
        }
        let known = self.by_number.entry(number).or_default();
        match known.binary_search_by_key(&ticks, |(from, _)| *from) {
            Ok(at) => {
                if let Some(entry) = known.get_mut(at) {
                    entry.1 = what;
                }
            }
            Err(at) if known.len() < MOST_OF_ONE => {
                known.insert(at, (ticks, what));
                self.count = self.count.saturating_add(1);
            }
            Err(_) => {}
        }
    }

    /// `number` stood for `what` at some time; holds only where nothing better is known.
    pub(super) fn set_untimed(&mut self, number: u32, what: T) {
        if !self.by_number.contains_key(&number) {
            self.set(number, 0, what);
        }
    }

    /// What it stands for at a time; the first one for times before it.
    pub(super) fn at(&self, number: u32, ticks: u64) -> Option<&T> {
        let known = self.by_number.get(&number)?;
        let behind = known.partition_point(|(from, _)| *from <= ticks);
        known.get(behind.saturating_sub(1)).map(|(_, what)| what)
    }
}

impl Names {
    /// `number` bears `name` from `ticks` on.
    pub(super) fn add(&mut self, number: u32, ticks: u64, name: &str) {
        if !name.is_empty() && name.len() <= MOST_NAME {
            self.set(number, ticks, name.into());
        }
    }

    /// `number` bore `name` at some time; holds only where nothing better is known.
    pub(super) fn add_untimed(&mut self, number: u32, name: &str) {
        if !name.is_empty() && name.len() <= MOST_NAME {
            self.set_untimed(number, name.into());
        }
    }

    /// The name at a time; the first one for times before it.
    pub(super) fn get(&self, number: u32, ticks: u64) -> Option<&str> {
        self.at(number, ticks).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_from_their_time_on() {
        let mut names = Names::default();
        names.add(7, 100, "second");
        names.add(7, 50, "first");
        names.add_untimed(7, "never");
        names.add_untimed(8, "only");
        assert_eq!(
            [0, 50, 99, 100, 200].map(|at| names.get(7, at).unwrap()),
            ["first", "first", "first", "second", "second"]
        );
        assert_eq!((names.get(8, 5), names.get(9, 5)), (Some("only"), None));
    }
}
