//! Hashes for the decoder's own tables: a multiplication for each word of a key, from a start that
//! nobody can guess, since keys are input and must not be made to collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Starts hashers; each has its own start.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    state: u64,
    factor: u64,
}

impl Default for Seed {
    fn default() -> Self {
        let random = RandomState::new();
        Self { state: random.hash_one(0), factor: random.hash_one(1) | 1 }
    }
}

impl BuildHasher for Seed {
    type Hasher = Folded;

    #[inline]
    fn build_hasher(&self) -> Folded {
        Folded { state: self.state, factor: self.factor }
    }
}

/// Multiplies and folds the halves of the product onto each other.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    state: u64,
    factor: u64,
}

impl Folded {
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word).wrapping_mul(u128::from(self.factor));
        // The word again: zero times anything would forget all that came before.
        self.state = (product as u64) ^ (product >> 64) as u64 ^ word.rotate_left(32);
    }
}

impl Hasher for Folded {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, behind)) = rest.split_first_chunk() {
            self.fold(u64::from_le_bytes(*word));
            rest = behind;
        }
        if !rest.is_empty() {
            let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.fold(last);
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.fold(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.fold(value);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.fold(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state.wrapping_mul(self.factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_that_are_near_each_other_are_spread() {
        let seed = Seed::default();
        let keys: Vec<[u8; 19]> = (0..4096u16)
            .map(|n| {
                let mut key = [7; 19];
                key[..2].copy_from_slice(&n.to_le_bytes());
                key
            })
            .collect();
        let all: HashSet<_> = keys.iter().map(|key| seed.hash_one(key)).collect();
        assert_eq!(all.len(), keys.len());
        // A table of 4096 places would have 2589 of them in use, within about 20.
        let places: HashSet<_> = all.iter().map(|hash| hash & 4095).collect();
        assert!(places.len() > 2300, "{}", places.len());
        assert_ne!(seed.hash_one(b"key"), Seed::default().hash_one(b"key"));
    }
}
