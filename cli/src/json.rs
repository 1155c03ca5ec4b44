//! JSON on its way out: lines gathered before they are written, and the library's writers.

pub(crate) use etlring::export::json::{
    guid, hex_bytes, hex_string, hex32, key, number, optional, string,
};
use std::io::Write;

/// Bytes gathered before they go to standard output.
const FLUSH_BYTES: usize = 128 * 1024;

/// Lines on their way out.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    /// What is written next; append to it.
    pub(crate) text: Vec<u8>,
    out: W,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { text: Vec::with_capacity(FLUSH_BYTES + 4096), out }
    }

    /// Ends a line; writes what has gathered if that is enough.
    pub(crate) fn end(&mut self) -> std::io::Result<()> {
        self.text.push(b'\n');
        if self.text.len() >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what has gathered.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        let written = self.out.write_all(&self.text).and_then(|()| self.out.flush());
        self.text.clear();
        written
    }
}
