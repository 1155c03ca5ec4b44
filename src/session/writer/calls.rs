//! What the calls of `message` need of a session beyond whole events.

use super::{SessionHandle, Stamp};
use crate::session::{
    config::SequenceMode, lane::HEADER_BYTES, sequence::GLOBAL, stats::Discarded,
};

impl SessionHandle {
    /// Whether the session bears the name of the one that only the kernel writes to.
    #[inline]
    pub(crate) fn is_kernel_logger(&self) -> bool {
        self.is_kernel_logger
    }

    /// Whether its messages may have numbers.
    #[inline]
    pub(crate) fn has_sequence(&self) -> bool {
        self.sequence != SequenceMode::None
    }

    /// The number of a message whose space is taken, so that a message that is refused leaves no
    /// hole.
    #[inline]
    pub(crate) fn next_sequence(&self) -> u32 {
        match self.sequence {
            SequenceMode::Global => GLOBAL.next(),
            SequenceMode::Local | SequenceMode::None => self.shared.sequence.next(),
        }
    }

    /// Bytes for records in an empty buffer.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        (self.ring.buffer_size() - HEADER_BYTES) as usize
    }

    /// Refuses an event that a call's own rule finds too large, and counts it.
    #[cold]
    pub(crate) fn refuse_too_large(&self) -> Discarded {
        self.space(usize::MAX).map_or_else(|discarded| discarded, |_| Discarded::TooLarge)
    }
}

impl Stamp {
    /// The writer: its thread and its process.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "takes the two parts apart")]
    pub(crate) fn thread_and_process(self) -> (u32, u32) {
        (self.ids as u32, (self.ids >> 32) as u32)
    }
}
