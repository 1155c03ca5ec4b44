//! Where full buffers go.
//!
//! A [`Sink`] is given whole buffers with their place in the log, in units of a buffer. The same
//! place may be written again: a buffer that is still being filled is written at each flush
//! interval, and the header buffer, place 0, whenever its counts change. What a sink must not do is
//! keep a buffer's bytes: they belong to the session again when `write` returns.
//!
//! A [`FileSink`] is what a session makes of its log file's name. Which file a buffer goes to, and
//! when the next one is begun, is the session's business; how a file is made, written and ended is
//! here; what the system does, or a test in its place, is below, in [`storage`].

mod file;
mod memory;
mod ring;
mod series;
pub mod storage;

pub use file::FileSink;
pub(crate) use file::{FileName, FileOptions, LogFile, clear, keep_unfinished, offset_of};
pub use memory::{MemoryLog, MemorySink, NullSink};
pub(crate) use ring::{RingFile, hold, keep_left_over};
pub(crate) use series::Series;

use std::io;

/// Takes the buffers of a session, on the session's flusher thread.
pub trait Sink: Send {
    /// Writes one whole buffer at `position`, counted in buffers from the start of the log.
    ///
    /// # Errors
    ///
    /// Any I/O error. The session counts the buffer as lost, remembers the first error for its
    /// `stop` and goes on; the position is used again for the next buffer.
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()>;

    /// Ends the log after `buffers` buffers of `buffer_size` bytes; what may lie behind them goes.
    ///
    /// # Errors
    ///
    /// Any I/O error; it reaches the session's `stop`.
    fn finish(&mut self, buffers: u64, buffer_size: u32) -> io::Result<()>;
}
