//! The numbers of messages: a count for each session, and one that sessions share.

use std::sync::atomic::{AtomicU32, Ordering};

/// A count of messages, away from everything that is only read: each message that wants a number
/// takes the line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Sequence(AtomicU32);

/// The count of all sessions that share one.
pub(crate) static GLOBAL: Sequence = Sequence(AtomicU32::new(0));

impl Sequence {
    /// The next number: 1 at first, and 0 behind the largest.
    pub(crate) fn next(&self) -> u32 {
        // Relaxed: the number says nothing about other memory, and no two threads get the same.
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}
