//! The least of many keys of which one changes at a time: a tournament whose losers are kept.
//!
//! ```text
//!                 0: winner                 keys of four lanes: a 5, b 2, c 9, d 4
//!                 1: d 4                    each inner place keeps who lost there
//!              2: a 5    3: c 9
//!              a    b    c    d             next winner: only b's way up is played again
//! ```
//!
//! The place that a lane plays at first is told from its number, so nothing is searched, and each
//! game is one comparison without a branch: who wins cannot be guessed. The runner-up lost to the
//! winner itself, so it is the least on the winner's way up.

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
    #[expect(clippy::cast_possible_truncation, reason = "`key` put a `usize` there")]
    let lane = key as u64 as usize;
    lane
}

/// Behind every key: the key of a lane that has ended.
pub(super) const END: Key = Key::MAX;

/// The keys of all lanes.
#[derive(Debug)]
pub(super) struct Tournament {
    /// The winner, then who lost at each inner place. Places 2n and 2n + 1 play for place n; lane i
    /// starts below place (lanes + i) / 2.
    places: Box<[Key]>,
}

impl Tournament {
    /// Every lane with the least key that it can have.
    pub(super) fn new(lanes: usize) -> Self {
        let mut tournament = Self { places: vec![key(0, 0); lanes.max(1)].into() };
        if lanes == 0 {
            tournament.put(0, END);
        }
        // Of equal ticks the lower lane wins everywhere, so lane 0 is the winner. At each inner
        // place the greater of the two lanes that won below loses: that of its second half.
        let mut winners: Vec<usize> = (0..lanes.saturating_mul(2)).map(|i| i.saturating_sub(lanes)).collect();
        for place in (1..lanes).rev() {
            let below = place.saturating_mul(2);
            let pair = [winners.get(below), winners.get(below.saturating_add(1))];
            let [Some(&a), Some(&b)] = pair else { continue };
            tournament.put(place, key(0, a.max(b)));
            if let Some(winner) = winners.get_mut(place) {
                *winner = a.min(b);
            }
        }
        tournament
    }

    /// The least key.
    #[inline]
    pub(super) fn winner(&self) -> Key {
        self.places.first().copied().unwrap_or(END)
    }

    /// The least key but that of the winner.
    #[inline]
    pub(super) fn runner_up(&self) -> Key {
        let mut least = END;
        let mut place = self.start(lane_of(self.winner()));
        while let Some(lost) = self.places.get(place).filter(|_| place > 0) {
            least = least.min(*lost);
            place /= 2;
        }
        least
    }

    /// Gives the winner's lane another key.
    #[inline]
    pub(super) fn replace(&mut self, key: Key) {
        let mut place = self.start(lane_of(self.winner()));
        let mut winner = key;
        while let Some(lost) = self.places.get_mut(place).filter(|_| place > 0) {
            (winner, *lost) = (winner.min(*lost), winner.max(*lost));
            place /= 2;
        }
        self.put(0, winner);
    }

    /// The first inner place on a lane's way up; none for the only lane.
    #[inline]
    fn start(&self, lane: usize) -> usize {
        self.places.len().saturating_add(lane) / 2
    }

    fn put(&mut self, place: usize, key: Key) {
        if let Some(own) = self.places.get_mut(place) {
            *own = key;
        }
    }
}
