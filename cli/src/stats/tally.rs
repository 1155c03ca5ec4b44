//! Counts by process, thread and lane.

use crate::kinds::Count;
use std::collections::HashMap;
use std::hash::Hash;

/// Something that there are few of at a time.
pub(super) trait Key: Copy + Eq + Hash {
    /// Where those seen last are looked for first: any number, cheaply made.
    fn place(self) -> u32;
}

impl Key for Option<u32> {
    fn place(self) -> u32 {
        // Windows' process ids are multiples of four.
        self.map_or(0, |process| process / 4)
    }
}

/// Process and thread.
impl Key for (Option<u32>, Option<u32>) {
    fn place(self) -> u32 {
        self.0.place() ^ self.1.place()
    }
}

impl Key for u16 {
    fn place(self) -> u32 {
        self.into()
    }
}

/// How many are looked for without a hash table.
const PLACES: usize = 64;

/// Counts by a key. Records come in runs of one.
#[derive(Debug)]
pub(super) struct Tally<K> {
    counts: Vec<(K, Count)>,
    numbers: HashMap<K, usize>,
    lately: [usize; PLACES],
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: Vec::new(), numbers: HashMap::new(), lately: [0; PLACES] }
    }
}

impl<K: Key> Tally<K> {
    #[inline]
    pub(super) fn of(&mut self, key: K) -> &mut Count {
        let place = (key.place() as usize) % PLACES;
        let mut number = self.lately[place];
        if self.counts.get(number).is_none_or(|(own, _)| *own != key) {
            number = self.look_up(key);
            self.lately[place] = number;
        }
        &mut self.counts[number].1
    }

    #[cold]
    fn look_up(&mut self, key: K) -> usize {
        *self.numbers.entry(key).or_insert_with(|| {
            self.counts.push((key, Count::default()));
            self.counts.len() - 1
        })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = (K, Count)> + '_ {
        self.counts.iter().copied()
    }
}
