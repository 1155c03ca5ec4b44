//! What can go wrong with a file: nothing to start with, or damage at a place.

use crate::error::FormatError;
use std::{error::Error, fmt, io};

/// Damage at a place of the file. What was whole before and behind it is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Where it is, in bytes from the start of the file. Within a compressed buffer, where that
    /// buffer starts.
    pub position: u64,
    /// What is wrong; its offsets count from the start of the buffer.
    pub fault: ReadFault,
}

/// What is wrong at the place of a [`ReadError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadFault {
    /// The bytes are not what the format says.
    Format(FormatError),
    /// The system could not read them.
    Io(io::ErrorKind),
}

impl ReadError {
    /// Damage in the buffer that starts at `buffer`, at the error's offset.
    pub(crate) fn in_buffer(buffer: u64, error: FormatError) -> Self {
        let position = buffer.saturating_add(u64::from(error.offset));
        Self { position, fault: ReadFault::Format(error) }
    }

    /// Damage in a compressed buffer, whose offsets are no file positions.
    pub(crate) fn in_compressed(buffer: u64, error: FormatError) -> Self {
        Self { position: buffer, fault: ReadFault::Format(error) }
    }

    /// A read at `position` that failed.
    pub(crate) fn io(position: u64, error: &io::Error) -> Self {
        Self { position, fault: ReadFault::Io(error.kind()) }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position {:#x}: ", self.position)?;
        match self.fault {
            ReadFault::Format(error) => write!(f, "{error}"),
            ReadFault::Io(kind) => write!(f, "cannot read: {kind}"),
        }
    }
}

impl Error for ReadError {}

/// Why a file cannot be read at all.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The system could not open or read it.
    Io(io::Error),
    /// It does not begin as a log file does: there is no logfile header to be found.
    NotALogfile(FormatError),
    /// A log file with something that this reader does not read.
    Unsupported(&'static str),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotALogfile(error) => write!(f, "not an .etl log file: {error}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotALogfile(error) => Some(error),
            Self::Unsupported(_) => None,
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
