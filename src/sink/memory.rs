//! Logs that never reach a disk.

use crate::sink::Sink;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the whole log in memory, as the bytes that a file would have.
#[derive(Debug)]
pub struct MemorySink {
    log: MemoryLog,
}

/// The log of a [`MemorySink`], to be read while the session runs and after.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog(Arc<Mutex<Vec<u8>>>);

impl MemorySink {
    /// An empty log and the sink that fills it.
    #[must_use]
    pub fn new() -> (Self, MemoryLog) {
        let log = MemoryLog::default();
        (Self { log: log.clone() }, log)
    }
}

impl MemoryLog {
    /// A copy of the log as it is now.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the log out, leaving an empty one.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for MemorySink {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
        let position = usize::try_from(position).map_err(|_| too_large())?;
        let start = position.checked_mul(buffer.len()).ok_or_else(too_large)?;
        let end = start.checked_add(buffer.len()).ok_or_else(too_large)?;
        let mut log = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < end {
            let more = end - log.len();
            log.try_reserve(more).map_err(|_| too_large())?;
            log.resize(end, 0);
        }
        log[start..end].copy_from_slice(buffer);
        Ok(())
    }

    fn finish(&mut self, buffers: u64, buffer_size: u32) -> io::Result<()> {
        let end = buffers.saturating_mul(u64::from(buffer_size));
        let mut log = self.log.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        Ok(())
    }
}

/// Takes every buffer and keeps none: to measure the recorder alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullSink;

impl Sink for NullSink {
    fn write(&mut self, _position: u64, _buffer: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _buffers: u64, _buffer_size: u32) -> io::Result<()> {
        Ok(())
    }
}
