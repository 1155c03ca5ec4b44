//! What came of an edit, and what can stop it.

use crate::format::FileTime;
use crate::reader::ReadError;
use std::{error::Error, fmt, io};

/// What a new log holds, and what was wrong with the old ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Edited {
    /// Records of the new log, its logfile header among them.
    pub records: u64,
    /// Those of them that were kept only because others need them to be decoded.
    pub metadata: u64,
    /// Whole records of the old logs that are not in it.
    pub left_out: u64,
    /// Its buffers, the header buffer among them.
    pub buffers: u64,
    /// Its size.
    pub bytes: u64,
    /// When it ends.
    pub end_time: FileTime,
    /// Events that it says were lost.
    pub events_lost: u32,
    /// Buffers that it says were lost.
    pub buffers_lost: u32,
    /// Damage of the old logs, with the place of each among those given: the first of it.
    pub faults: Vec<(usize, ReadError)>,
    /// All damage, counted.
    pub fault_count: u64,
}

/// Faults that are kept one by one; a file of noise has millions.
const MOST_FAULTS: usize = 1000;

impl Edited {
    pub(super) fn fault(&mut self, file: usize, error: ReadError) {
        self.fault_count = self.fault_count.saturating_add(1);
        if self.faults.len() < MOST_FAULTS {
            self.faults.push((file, error));
        }
    }

    pub(super) fn left_out(&mut self, count: u64) {
        self.left_out = self.left_out.saturating_add(count);
    }
}

/// Why there is no new log.
#[derive(Debug)]
#[non_exhaustive]
pub enum EditError {
    /// The output did not take what was written.
    Write(io::Error),
    /// The header of a log cannot be read any more, or a first record does not fit a buffer.
    Header(ReadError),
    /// No log was given.
    Nothing,
    /// The new log would have so many bytes, out of all proportion to the old one.
    Expands(u64),
    /// The records of this log have times that the clock of the first one cannot say.
    Clock(usize),
}

impl From<io::Error> for EditError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(error) => write!(f, "{error}"),
            Self::Header(error) => write!(f, "its header is gone: {error}"),
            Self::Nothing => f.write_str("no log was given"),
            Self::Expands(bytes) => write!(f, "it would grow to {bytes} bytes"),
            Self::Clock(file) => {
                write!(f, "log {file} has times that the first one's clock cannot say")
            }
        }
    }
}

impl Error for EditError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            Self::Header(error) => Some(error),
            Self::Nothing | Self::Expands(_) | Self::Clock(_) => None,
        }
    }
}
