//! The keys of the lanes that wait in a merge, the least of them at hand.
//!
//! ```text
//!   near   [ 9 | 7 | 4 | 3 ]  sorted, least last     far   a heap; none less than any of near
//!                        ^
//!                      least
//! ```
//!
//! When a run is over, its lane's next head goes in and the least comes out. Most heads go back to
//! near where they came from: lanes that are busy have their next record soon, and those that are
//! not stand far behind. So a sorted list of a few keys, gone through from its least end, takes a
//! head in with two or three comparisons, where a heap of all lanes would take its whole depth, and
//! the limit of the next run is known without a search. With more lanes than the list has room for,
//! the heap keeps what the list does not, and fills it when it is empty.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Ticks, then lane: `ticks << 64 | lane`.
pub(super) type Key = u128;

/// The key of a lane that is next at `ticks`.
#[inline]
pub(super) const fn key(ticks: u64, lane: usize) -> Key {
    (ticks as Key) << 64 | lane as Key
}

/// The lane of a key.
#[inline]
pub(super) const fn lane_of(key: Key) -> usize {
    (key & u64::MAX as Key) as usize
}

/// The ticks of a key.
#[inline]
pub(super) const fn ticks_of(key: Key) -> u64 {
    (key >> 64) as u64
}

/// Behind every key.
pub(super) const END: Key = Key::MAX;

/// Keys in the sorted list.
const NEAR: usize = 32;

/// Keys of which the least is at hand.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The greatest first.
    near: [Key; NEAR],
    count: usize,
    far: BinaryHeap<Reverse<Key>>,
    /// The least of `far`.
    edge: Key,
}

impl Waiting {
    /// Of these keys.
    pub(super) fn new(keys: impl Iterator<Item = Key>) -> Self {
        let far: BinaryHeap<_> = keys.map(Reverse).collect();
        let mut waiting = Self { near: [END; NEAR], count: 0, far, edge: END };
        waiting.fill();
        waiting
    }

    /// The least key; [`END`] if there is none.
    #[inline]
    pub(super) fn least(&self) -> Key {
        let last = self.count.wrapping_sub(1);
        self.near.get(last).copied().unwrap_or(END)
    }

    /// Takes the least key out.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let least = self.least();
        self.count = self.count.checked_sub(1)?;
        if self.count == 0 {
            self.fill();
        }
        Some(least)
    }

    /// Puts `key` in and takes the least out, which must be less.
    #[inline]
    pub(super) fn exchange(&mut self, key: Key) -> Key {
        let least = self.least();
        if key >= self.edge {
            self.exchange_far(key);
            return least;
        }
        self.place(key);
        least
    }

    #[cold]
    fn exchange_far(&mut self, key: Key) {
        self.far.push(Reverse(key));
        let _ = self.pop();
    }

    /// Puts `key` in.
    pub(super) fn push(&mut self, key: Key) {
        if key >= self.edge || self.count == NEAR {
            self.far.push(Reverse(key));
            if key < self.edge {
                // The list was full and `key` may be less than some of it.
                let near = self.near.iter().take(std::mem::take(&mut self.count));
                self.far.extend(near.copied().map(Reverse));
                self.fill();
            }
            return;
        }
        self.count = self.count.saturating_add(1);
        self.place(key);
    }

    /// Puts `key` into the list: from its least end, which is free, keys that are less move there.
    #[inline]
    fn place(&mut self, key: Key) {
        let mut place = self.count.wrapping_sub(1);
        while let Some(next) = self.near.get(place.wrapping_sub(1)).copied() {
            if next >= key {
                break;
            }
            self.set(place, next);
            place = place.wrapping_sub(1);
        }
        self.set(place, key);
    }

    /// Fills the list, which is empty, with the least of the heap.
    #[cold]
    fn fill(&mut self) {
        let count = self.far.len().min(NEAR);
        for place in (0..count).rev() {
            if let Some(Reverse(key)) = self.far.pop() {
                self.set(place, key);
            }
        }
        self.count = count;
        self.edge = self.far.peek().map_or(END, |Reverse(key)| *key);
    }

    #[inline]
    fn set(&mut self, place: usize, key: Key) {
        if let Some(own) = self.near.get_mut(place) {
            *own = key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the least always comes out. Method: random steps against a sorted vector, with few
    /// keys, as many as the list holds, and many more.
    #[test]
    fn the_least_comes_out() {
        let mut state = 7u64;
        let mut random = |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33).checked_rem(end).unwrap_or_default()
        };
        for lanes in [0, 1, 2, 31, 32, 33, 200] {
            let keys = (0..lanes).map(|lane| key(random(50), lane));
            let mut model: Vec<_> = keys.collect();
            let mut waiting = Waiting::new(model.iter().copied());
            for step in 0..2_000 {
                model.sort_unstable();
                let least = model.first().copied();
                assert_eq!(waiting.least(), least.unwrap_or(END), "{lanes} lanes, step {step}");
                let ticks = least.map_or(0, |key| (key >> 64) as u64);
                match (random(3), least) {
                    (0, Some(least)) => {
                        assert_eq!(waiting.pop(), Some(model.remove(0)));
                        assert!(least < END);
                    }
                    (1, Some(least)) => {
                        let new = key(ticks + random(40) + 1, lane_of(least));
                        model.remove(0);
                        model.push(new);
                        assert_eq!(waiting.exchange(new), least);
                    }
                    _ if model.len() <= lanes => {
                        let new = key(ticks.saturating_sub(3) + random(9), 1_000 + step);
                        model.push(new);
                        waiting.push(new);
                    }
                    _ => {}
                }
            }
        }
    }
}
