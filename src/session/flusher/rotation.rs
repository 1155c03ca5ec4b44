//! How many buffers take turns.
//!
//! A buffer that comes again soon is still in the caches, which makes it cheap to write: to whoever
//! shares these caches. A writer that does not, its processor being in another complex or socket,
//! must have every line taken out of the flusher's first. Measured, 80-byte events flat out, ns of
//! the writer and of both:
//!
//! | buffers in turn | 2 MiB | 8 MiB | 16 MiB | 32 MiB |
//! |---|--:|--:|--:|--:|
//! | processors that share a cache | 14, 30 | 14, 30 | 14, 31 | 13, 31 |
//! | processors far apart | 113, 143 | 62, 85 | 36, 58 | 19, 40 |
//!
//! So now and then the flusher looks how long it takes to see what a writer wrote last. If that is
//! far away more and more buffers take turns, up to all of them; they need memory first, and while
//! the flusher gives it to them others are filled.

use std::hint::black_box;
use std::ops::Range;
use std::time::Instant;

/// A buffer of so many is looked at: a look takes as long as writing a tenth of one.
const EVERY: u32 = 16;
/// Buffers that join in after a look that found a writer far away.
const STEP: u32 = 8;
/// Nanoseconds until a line is seen, at least, that is far away. Measured: 13 to 26 where a cache
/// is shared, 93 to 140 where none is.
const FAR: u64 = 60;

/// The part of a buffer that is looked at, one page: some of its lines, in an order that no
/// processor foresees.
const PAGE: usize = 4096;
const LINES: [usize; 8] = [37, 11, 52, 23, 6, 45, 30, 17];

/// How many buffers take turns, and when that is looked at next.
#[derive(Debug)]
pub(super) struct Rotation {
    /// How many do so at least, and at most.
    range: Range<u32>,
    now: u32,
    /// The most that ever did: they have memory.
    reached: u32,
    /// Buffers since the last look.
    since: u32,
    /// What the last look found.
    was_far: bool,
}

/// What is to be done after a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Buffers that need memory now.
    pub(super) need_memory: Range<u32>,
    /// How many shall take turns.
    pub(super) turns: u32,
}

impl Rotation {
    /// At first `least` buffers of a ring take turns, at last all of them.
    pub(super) fn new(least: u32, resident: u32, all: u32) -> Self {
        let reached = resident.max(least);
        Self { range: least..all.max(least), now: least, reached, since: 0, was_far: false }
    }

    /// There are more buffers now.
    pub(super) fn grow(&mut self, all: u32) {
        self.range.end = self.range.end.max(all);
    }

    /// Whether the next full buffer is to be looked at.
    pub(super) fn is_due(&mut self) -> bool {
        self.since += 1;
        self.since >= EVERY && !self.range.is_empty()
    }

    /// Notes how long it took until a line was seen. Two looks that agree change something: a
    /// single one may have been interrupted.
    pub(super) fn note(&mut self, nanos: u64) -> Option<Change> {
        self.since = 0;
        let is_far = nanos >= FAR;
        let agree = is_far == std::mem::replace(&mut self.was_far, is_far);
        let turns = match (agree, is_far) {
            (true, true) => self.now.saturating_add(STEP).min(self.range.end),
            (true, false) => self.range.start,
            (false, _) => self.now,
        };
        if turns == self.now {
            return None;
        }
        self.now = turns;
        let need_memory = self.reached.min(turns)..turns;
        self.reached = self.reached.max(turns);
        Some(Change { need_memory, turns })
    }
}

/// Nanoseconds until a line of the last whole page below `filled` is seen, on the average; `None`
/// if there is none.
pub(super) fn time_to_see(buffer: &[u8], filled: usize) -> Option<u64> {
    let end = filled.min(buffer.len()) / PAGE * PAGE;
    let page = buffer.get(end.checked_sub(PAGE)?..end)?;
    // Where the page is costs time, too, which is not asked for here.
    let zero = black_box(0);
    let mut seen = usize::from(black_box(page[0])) & zero;
    let start = Instant::now();
    for line in LINES {
        // The place of each depends on what the last one holds: they are waited for in turn.
        seen = usize::from(page[64 * line + seen]) & zero;
    }
    black_box(seen);
    u64::try_from(start.elapsed().as_nanos()).ok().map(|nanos| nanos / LINES.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(rotation: &mut Rotation) -> Option<Change> {
        rotation.note(FAR)
    }

    #[test]
    fn all_take_turns_when_the_writer_is_far_away() {
        let mut rotation = Rotation::new(32, 32, 50);
        assert_eq!(far(&mut rotation), None, "one look may be wrong");
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 32..40, turns: 40 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..48, turns: 48 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 48..50, turns: 50 }));
        assert_eq!(far(&mut rotation), None, "there are no more");
        rotation.grow(60);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 50..58, turns: 58 }));
    }

    #[test]
    fn few_do_when_it_is_near_again_and_memory_is_asked_for_once() {
        let mut rotation = Rotation::new(32, 36, 512);
        far(&mut rotation);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 36..40, turns: 40 }));
        assert_eq!(rotation.note(FAR - 1), None);
        assert_eq!(rotation.note(0), Some(Change { need_memory: 32..32, turns: 32 }));
        assert_eq!(rotation.note(0), None);
        assert_eq!(far(&mut rotation), None);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..40, turns: 40 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..48, turns: 48 }));
    }

    #[test]
    fn one_buffer_of_sixteen_is_looked_at() {
        let mut rotation = Rotation::new(2, 2, 8);
        for _ in 0..3 {
            assert_eq!((1..).find(|_| rotation.is_due()), Some(EVERY));
            rotation.note(0);
        }
        let mut rotation = Rotation::new(8, 8, 8);
        assert!((0..100).all(|_| !rotation.is_due()), "there is nothing to decide");
    }

    #[test]
    fn the_last_whole_page_is_looked_at() {
        let buffer = vec![0x5A; 3 * PAGE];
        assert_eq!(time_to_see(&buffer, PAGE - 1), None);
        for filled in [PAGE, PAGE + 1, 3 * PAGE, usize::MAX] {
            assert!(time_to_see(&buffer, filled).is_some(), "{filled}");
        }
    }
}
