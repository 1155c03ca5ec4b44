//! A source that tells what was read of it.

use etlring::reader::Source;
use std::io;
use std::sync::Mutex;

/// Bytes that are only lent by reads, each of which is noted.
pub(crate) struct Reads<'a> {
    bytes: &'a [u8],
    /// Position and bytes asked for.
    pub(crate) read: Mutex<Vec<(u64, usize)>>,
}

impl<'a> Reads<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: Mutex::default() }
    }
}

impl Source for &Reads<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        self.read.lock().unwrap().push((position, out.len()));
        self.bytes.read_at(position, out)
    }
}
