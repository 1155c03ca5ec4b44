//! What can go wrong with a file: nothing to start with, or damage at a place.

use crate::error::FormatError;
use crate::format::FileTime;
use std::{error::Error, fmt, io};

/// Damage at a place of the file. What was whole before and behind it is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Where it is, in bytes from the start of the file. Within a compressed buffer, where that
    /// buffer starts.
    pub position: u64,
    /// The file is the ring beside the log, not the log.
    pub in_ring: bool,
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
    /// A live buffer changed each time it was copied.
    Changing,
    /// A record of a buffer that no checksum proves has an earlier stamp than the one before it:
    /// what was there before shows through.
    Backwards,
    /// A record of a torn buffer lies on 512 bytes that hold only zeros or only ones: they were
    /// never written.
    Unwritten,
    /// A place of a ring whose header is no buffer's.
    NoBuffer,
}

impl ReadError {
    /// Damage in the buffer that starts at `buffer`, at the error's offset.
    pub(crate) fn in_buffer(buffer: u64, error: FormatError) -> Self {
        let position = buffer.saturating_add(u64::from(error.offset));
        Self::new(position, ReadFault::Format(error))
    }

    /// A fault at a position of the log.
    pub(crate) fn new(position: u64, fault: ReadFault) -> Self {
        Self { position, in_ring: false, fault }
    }

    /// The same in a ring.
    pub(crate) fn of_ring(self) -> Self {
        Self { in_ring: true, ..self }
    }

    /// Damage in a compressed buffer, whose offsets are no file positions.
    pub(crate) fn in_compressed(buffer: u64, error: FormatError) -> Self {
        Self::new(buffer, ReadFault::Format(error))
    }

    /// A read at `position` that failed.
    pub(crate) fn io(position: u64, error: &io::Error) -> Self {
        Self::new(position, ReadFault::Io(error.kind()))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.in_ring { "ring " } else { "" };
        write!(f, "{file}position {:#x}: {}", self.position, self.fault)
    }
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(error) => write!(f, "{error}"),
            Self::Io(kind) => write!(f, "cannot read: {kind}"),
            Self::Changing => f.write_str("buffer changed each time it was copied"),
            Self::Backwards => f.write_str("record is older than the one before it"),
            Self::Unwritten => f.write_str("record lies on a sector that was never written"),
            Self::NoBuffer => f.write_str("no buffer header"),
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
    /// A pipe or device from which more bytes come than these, which is what is kept of one.
    TooLong(u64),
    /// The ring that was asked for cannot be read together with the log.
    Ring(RingError),
}

/// Why a ring is not read together with a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum RingError {
    /// The system could not open or read it.
    Io(io::Error),
    /// It holds no logfile header and no buffers that tell their size.
    NotARing(FormatError),
    /// It is of another session than the log: the first thing in which they differ.
    Foreign(Difference),
}

/// In what the headers of a log and a ring differ: the log's, the ring's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// `BufferSize`, in bytes.
    BufferSize(u32, u32),
    /// `StartTime`.
    StartTime(FileTime, FileTime),
    /// The ticks that belong to it.
    StartTicks(u64, u64),
    /// The clock's type.
    ClockType(u32, u32),
    /// The name of the session.
    SessionName,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotALogfile(error) => write!(f, "not an .etl log file: {error}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::TooLong(most) => write!(f, "more than {most} bytes come from it"),
            Self::Ring(error) => write!(f, "ring: {error}"),
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotARing(error) => write!(f, "not a ring file: {error}"),
            Self::Foreign(difference) => write!(f, "of another session: {difference}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BufferSize(log, ring) => {
                write!(f, "its BufferSize is {ring}, the log's {log}")
            }
            Self::StartTime(log, ring) => {
                write!(f, "its StartTime is {}, the log's {}", ring.0, log.0)
            }
            Self::StartTicks(log, ring) => {
                write!(f, "it starts at tick {ring}, the log at {log}")
            }
            Self::ClockType(log, ring) => write!(f, "its clock is {ring}, the log's {log}"),
            Self::SessionName => f.write_str("the names of the sessions differ"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotALogfile(error) => Some(error),
            Self::Unsupported(_) | Self::TooLong(_) => None,
            Self::Ring(error) => Some(error),
        }
    }
}

impl Error for RingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::NotARing(error) => Some(error),
            Self::Foreign(_) => None,
        }
    }
}

impl From<io::Error> for RingError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
