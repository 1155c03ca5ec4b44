//! Several full buffers written at once.

use super::{Log, Target};
use crate::format::BufferFlags;
use crate::session::seal::{complete, filled_of};
use std::io;

impl Log {
    /// Whether a full buffer can be written together with `before` others that come before it: what
    /// is not in the log at all, to a file that has room for all of them.
    pub(crate) fn gathers(&self, index: usize, before: usize) -> bool {
        let next = self.next_position.saturating_add(before as u64);
        matches!(self.target, Target::File(_))
            && self.next_position != 0
            && self.is_new(index)
            && next < self.most.saturating_sub(self.kept_back)
    }

    /// The place of the next buffer that is not in the log at all.
    pub(crate) fn next_position(&self) -> u64 {
        self.next_position
    }

    /// Completes buffers that [`gathers`](Self::gathers) and writes them, for good. Gives how many
    /// of them are in the log, and why the next one is not; those behind that one may be written
    /// again. Their places are yet to be [`done`](Log::done).
    pub(crate) fn write_gathered(&mut self, buffers: &mut [&mut [u8]]) -> (usize, io::Result<()>) {
        let mut flags = self.missing_flag();
        for buffer in &mut *buffers {
            complete(buffer, filled_of(buffer), self.clock.now(), flags);
            flags = BufferFlags::default();
        }
        let Target::File(sink) = &mut self.target else {
            return (0, Err(io::ErrorKind::Unsupported.into()));
        };
        let (written, result) = sink.write_gathered(self.next_position, buffers);
        if written != 0 {
            self.next_position += written as u64;
            self.tell_buffers();
        }
        (written, result)
    }
}
