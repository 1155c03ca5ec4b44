//! Full buffers that wait for the flusher, where a writer may take the oldest one back.
//!
//! A word for each buffer: 0 while the buffer does not wait, else when it was given up, counted in
//! buffers; and how often somebody holds it. Whoever exchanges a word for 0 has the buffer: the
//! flusher to write it, or a writer that found no other. Places in the order are never used twice,
//! so that an exchange cannot mistake a buffer for what it was before.
//!
//! A buffer that is held is not taken. The flusher holds those that it reads while they are in a
//! writer's hand; they may be given up meanwhile, and then wait.

use crate::session::sync::{AtomicU64, Ordering};

/// One who holds a buffer.
const HOLD: u64 = 1;
/// All who do; what is above them is the place in the order.
const HOLDS: u32 = 8;
/// How often a writer looks for the oldest buffer. Each failure is a buffer that another thread
/// took in between, or began to hold.
const LOOKS: u32 = 64;

/// The buffers of a ring that wait.
#[derive(Debug)]
pub(crate) struct Backlog {
    words: Box<[AtomicU64]>,
    /// The next place in the order.
    next: AtomicU64,
}

/// A buffer that waits, or did a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiting {
    place: u64,
    pub(crate) index: u32,
}

impl Backlog {
    /// Nothing waits of `count` buffers.
    pub(crate) fn new(count: u32) -> Self {
        Self { words: (0..count).map(|_| AtomicU64::new(0)).collect(), next: AtomicU64::new(1) }
    }

    /// Has a buffer wait, behind all that do.
    pub(crate) fn push(&self, index: u32) {
        let Some(word) = self.words.get(index as usize) else { return };
        // AcqRel pairs with the load in `waiting`: who sees this place taken sees all buffers that
        // this thread, and who had its lane before, gave up earlier.
        let place = self.next.fetch_add(1, Ordering::AcqRel);
        // Release pairs with the acquire of whoever takes the buffer: its records are there.
        let before = word.fetch_add(place << HOLDS, Ordering::Release);
        debug_assert_eq!(before >> HOLDS, 0, "{index} given up twice");
    }

    /// Takes the oldest buffer that nobody holds, of the first `count`.
    pub(crate) fn take_oldest(&self, count: u32) -> Option<u32> {
        for _ in 0..LOOKS {
            let words = (0..count).zip(&self.words);
            let waiting = words.filter_map(|(index, word)| {
                // Relaxed: the exchange decides.
                let word = word.load(Ordering::Relaxed);
                let (place, holds) = (word >> HOLDS, word & ((1 << HOLDS) - 1));
                (place != 0 && holds == 0).then_some(Waiting { place, index })
            });
            let oldest = waiting.min()?;
            if self.take(oldest) {
                return Some(oldest.index);
            }
        }
        None
    }

    /// Takes a buffer, if it still waits in this place and nobody holds it.
    pub(crate) fn take(&self, waiting: Waiting) -> bool {
        let Some(word) = self.words.get(waiting.index as usize) else { return false };
        // Acquire pairs with the releases in `push` and `release`: what the writer did, and what
        // the flusher did while it held the buffer, is done.
        let now = waiting.place << HOLDS;
        word.compare_exchange(now, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Adds what waits at this moment to `out`, the youngest first. If a buffer of a lane is there
    /// every older one of the lane is that still waits.
    pub(crate) fn waiting(&self, out: &mut Vec<Waiting>) {
        // Acquire pairs with the release in `push`. What is given up while this looks has a place
        // behind the line: older ones of its lane may have been looked for too early.
        let line = self.next.load(Ordering::Acquire);
        let start = out.len();
        out.extend(self.all().filter(|waiting| waiting.place < line));
        out[start..].sort_unstable_by_key(|waiting| std::cmp::Reverse(waiting.place));
    }

    /// All buffers that wait, held or not, by index.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waiting> {
        // Acquire pairs with the release in `push`: what is known of a buffer that waits is what
        // was noted before. Whether it still does finds out who takes it.
        let places = self.words.iter().map(|word| word.load(Ordering::Acquire) >> HOLDS);
        (0..)
            .zip(places)
            .filter_map(|(index, place)| (place != 0).then_some(Waiting { place, index }))
    }

    /// Keeps a buffer from being taken, if it is not taken already.
    pub(crate) fn hold(&self, index: u32) {
        if let Some(word) = self.words.get(index as usize) {
            // Acquire pairs with `push`, through whoever took the buffer since: that its giver's
            // hand is empty is seen.
            word.fetch_add(HOLD, Ordering::Acquire);
        }
    }

    /// Whether a buffer waits.
    pub(crate) fn is_waiting(&self, index: u32) -> bool {
        let word = self.words.get(index as usize);
        // Acquire as in `all`.
        word.is_some_and(|word| word.load(Ordering::Acquire) >> HOLDS != 0)
    }

    /// Whether somebody holds a buffer.
    pub(crate) fn is_held(&self, index: u32) -> bool {
        let word = self.words.get(index as usize);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & ((1 << HOLDS) - 1) != 0)
    }

    /// Ends a hold.
    pub(crate) fn release(&self, index: u32) {
        if let Some(word) = self.words.get(index as usize) {
            // Release pairs with the acquire in `take`: what was read is read.
            word.fetch_sub(HOLD, Ordering::Release);
        }
    }
}
