//! Names of processes and threads, as kernel records tell them.

use crate::schema::hash::Seed;
use std::collections::HashMap;

/// Names that are kept; a file of nothing else holds more than any machine has.
const MOST_NAMES: usize = 1 << 17;
/// Bytes of a name.
const MOST_NAME: usize = 1024;

/// Names by number, each from a time on: numbers are used again.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    by_number: HashMap<u32, Vec<(u64, Box<str>)>, Seed>,
    count: usize,
}

impl Names {
    /// `number` bears `name` from `ticks` on.
    pub(super) fn add(&mut self, number: u32, ticks: u64, name: &str) {
        if name.is_empty() || name.len() > MOST_NAME || self.count >= MOST_NAMES {
            return;
        }
        let known = self.by_number.entry(number).or_default();
        match known.binary_search_by_key(&ticks, |(from, _)| *from) {
            Ok(at) => {
                if let Some(entry) = known.get_mut(at) {
                    entry.1 = name.into();
                }
            }
            Err(at) => {
                known.insert(at, (ticks, name.into()));
                self.count = self.count.saturating_add(1);
            }
        }
    }

    /// `number` bore `name` at some time; holds only where nothing better is known.
    pub(super) fn add_untimed(&mut self, number: u32, name: &str) {
        if !self.by_number.contains_key(&number) {
            self.add(number, 0, name);
        }
    }

    /// The name at a time; the first one for times before it.
    pub(super) fn get(&self, number: u32, ticks: u64) -> Option<&str> {
        let known = self.by_number.get(&number)?;
        let behind = known.partition_point(|(from, _)| *from <= ticks);
        known.get(behind.saturating_sub(1)).map(|(_, name)| &**name)
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
