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
//! far away more and more buffers take turns, up to [`MOST`] bytes; they need memory first, and
//! while the flusher gives it to them others are filled. Not where buffers come slowly: what was
//! not written just now is far from everybody, and a pause after each buffer hides what it costs.

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A buffer of so many is looked at: a look takes as long as writing a tenth of one.
const EVERY: u32 = 16;
/// Bytes of the buffers that join in, or leave, after a look: to give them memory takes as long as
/// to write them.
const STEP: u32 = 512 << 10;
/// Bytes of the buffers that take turns at most, unless more did from the start: as much leaves the
/// caches of every processor, and more takes more memory.
const MOST: u32 = 32 << 20;
/// Nanoseconds until a line is seen, at least, that is far away. Measured: 13 to 26 where a cache
/// is shared, 93 to 140 where none is.
const FAR: u64 = 60;

/// Buffers of one look that took longer to come are not looked at.
const SOON: Duration = Duration::from_millis(100);

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
    /// How many more, or fewer, at a time.
    step: u32,
    /// How many of them are as large as [`MOST`].
    most: u32,
    /// The most that ever did: they have memory.
    reached: u32,
    /// Buffers since the last look, and when the first of them came.
    since: u32,
    first: Option<Instant>,
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
    /// At first `least` buffers of a ring take turns, of `all` that have `buffer_size` bytes.
    pub(super) fn new(least: u32, resident: u32, all: u32, buffer_size: u32) -> Self {
        let mut rotation = Self {
            range: least..least,
            now: least,
            step: (STEP / buffer_size).max(1),
            most: MOST / buffer_size,
            reached: resident.max(least),
            since: 0,
            first: None,
            was_far: false,
        };
        rotation.grow(all);
        rotation
    }

    /// There are so many buffers now.
    pub(super) fn grow(&mut self, all: u32) {
        self.range.end = self.range.end.max(all.min(self.most));
    }

    /// Whether a full buffer that came `now` is to be looked at.
    pub(super) fn is_due(&mut self, now: impl Fn() -> Instant) -> bool {
        if self.range.is_empty() {
            return false;
        }
        let first = *self.first.get_or_insert_with(&now);
        self.since += 1;
        if self.since < EVERY {
            return false;
        }
        (self.since, self.first) = (0, None);
        now().duration_since(first) <= SOON
    }

    /// Notes how long it took until a line was seen. Two looks that agree change something: a
    /// single one may have been interrupted.
    pub(super) fn note(&mut self, nanos: u64) -> Option<Change> {
        let is_far = nanos >= FAR;
        let agree = is_far == std::mem::replace(&mut self.was_far, is_far);
        let turns = match (agree, is_far) {
            (true, true) => self.now.saturating_add(self.step).min(self.range.end),
            (true, false) => self.now.saturating_sub(self.step).max(self.range.start),
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

/// The last whole page of what is filled: of two pages at least, or there may be none.
fn last_page(buffer: &[u8], filled: usize) -> Option<&[u8]> {
    let end = filled.min(buffer.len()) / PAGE * PAGE;
    buffer.get(end.checked_sub(PAGE)?..end)
}

/// Nanoseconds until a line of the last page of a buffer is seen, on the average; `None` if there
/// is no such page.
pub(super) fn time_to_see(buffer: &[u8], filled: usize) -> Option<u64> {
    let page = last_page(buffer, filled)?;
    // To read the clock is dear on some systems.
    let nothing = Instant::now().elapsed();
    // Where the page is costs time, too, which is not asked for here.
    let zero = black_box(0);
    let mut seen = usize::from(black_box(page[0])) & zero;
    let start = Instant::now();
    for line in LINES {
        // The place of each depends on what the last one holds: they are waited for in turn.
        seen = usize::from(page[64 * line + seen]) & zero;
    }
    black_box(seen);
    let nanos = start.elapsed().saturating_sub(nothing).as_nanos();
    u64::try_from(nanos).ok().map(|nanos| nanos / LINES.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(rotation: &mut Rotation) -> Option<Change> {
        rotation.note(FAR)
    }

    fn near(rotation: &mut Rotation) -> Option<Change> {
        rotation.note(FAR - 1)
    }

    const SIZE: u32 = 64 << 10;

    #[test]
    fn more_take_turns_while_the_writer_is_far_away() {
        let mut rotation = Rotation::new(32, 32, 50, SIZE);
        assert_eq!(far(&mut rotation), None, "one look may be wrong");
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 32..40, turns: 40 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..48, turns: 48 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 48..50, turns: 50 }));
        assert_eq!(far(&mut rotation), None, "there are no more");
        rotation.grow(60);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 50..58, turns: 58 }));
    }

    #[test]
    fn fewer_do_when_it_is_near_again_and_memory_is_asked_for_once() {
        let mut rotation = Rotation::new(32, 36, 512, SIZE);
        far(&mut rotation);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 36..40, turns: 40 }));
        assert_eq!(near(&mut rotation), None);
        assert_eq!(near(&mut rotation), Some(Change { need_memory: 32..32, turns: 32 }));
        assert_eq!(near(&mut rotation), None);
        assert_eq!(far(&mut rotation), None);
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..40, turns: 40 }));
        assert_eq!(far(&mut rotation), Some(Change { need_memory: 40..48, turns: 48 }));
    }

    #[test]
    fn no_more_memory_is_taken_than_helps() {
        let last = |least, all, size| {
            let mut rotation = Rotation::new(least, least, all, size);
            (0..2_000).filter_map(|_| far(&mut rotation)).last().map(|change| change.turns)
        };
        assert_eq!(last(32, 100_000, SIZE), Some(512), "32 MiB");
        assert_eq!(last(4, 64, 1 << 20), Some(32));
        assert_eq!(last(2, 64, 16 << 20), None);
        assert_eq!(last(600, 1_000, SIZE), None, "more did from the start");
        let mut large = Rotation::new(4, 4, 64, 1 << 20);
        far(&mut large);
        assert_eq!(far(&mut large), Some(Change { need_memory: 4..5, turns: 5 }));
    }

    #[test]
    fn one_buffer_of_sixteen_is_looked_at_if_they_come_soon() {
        let start = Instant::now();
        let mut rotation = Rotation::new(2, 2, 8, SIZE);
        for _ in 0..3 {
            assert_eq!((1..).find(|_| rotation.is_due(|| start)), Some(EVERY));
        }
        let later = |n: u32| start + SOON * n / (EVERY - 1);
        assert!(!(0..EVERY - 1).any(|n| rotation.is_due(|| later(n))));
        assert!(rotation.is_due(|| later(EVERY - 1)));
        assert!(!(0..EVERY).any(|n| rotation.is_due(|| later(2 * n))));
        let mut rotation = Rotation::new(8, 8, 8, SIZE);
        assert!(!(0..100).any(|_| rotation.is_due(|| start)), "there is nothing to decide");
    }

    #[test]
    fn the_last_whole_page_is_looked_at() {
        let buffer = vec![0x5A; 3 * PAGE];
        let at = |filled| last_page(&buffer, filled).map(<[u8]>::as_ptr_range);
        let page = |n: usize| Some(buffer[n * PAGE..][..PAGE].as_ptr_range());
        assert_eq!(at(PAGE - 1), None);
        assert_eq!((at(PAGE), at(2 * PAGE - 1)), (page(0), page(0)));
        assert_eq!((at(2 * PAGE), at(3 * PAGE), at(usize::MAX)), (page(1), page(2), page(2)));
        assert_eq!(time_to_see(&buffer, PAGE - 1), None);
        assert!(time_to_see(&buffer, 2 * PAGE).is_some());
    }
}
