//! What can be wrong with bytes: one small, copyable error for all of `format` and `codec`.

use core::fmt;

/// Bytes that are not what the format says: which part, where, and what is wrong with it.
///
/// 24 bytes, `Copy`, no allocation: a scan of millions of records can make one for each.
/// `offset` counts from the start of the slice that was parsed; the reader's error adds the file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// The structure being read.
    pub part: Part,
    /// Where it starts, in bytes.
    pub offset: u32,
    /// What is wrong.
    pub fault: Fault,
}

impl FormatError {
    /// The same error seen from a slice that starts `bytes` earlier.
    #[must_use]
    pub fn moved(self, bytes: u32) -> Self {
        Self { offset: self.offset.saturating_add(bytes), ..self }
    }
}

/// The structures of the format, named as in `spec/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// A whole buffer: header, records, filler.
    Buffer,
    /// The word in the buffer header that says where its records end.
    FilledBytes,
    /// The compressed stream of a buffer.
    Compressed,
    /// The checksum in the buffer header.
    Checksum,
    /// The first eight bytes of a record: marker and size.
    RecordPrefix,
    /// A record: its header and everything behind it.
    Record,
    /// The fixed header of a record.
    RecordHeader,
    /// One extended data item of an event.
    ExtendedItem,
    /// The optional fields of a message.
    MessageFields,
    /// The payload of the first record of a log file.
    LogfileHeader,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffer => "buffer",
            Self::FilledBytes => "FilledBytes",
            Self::Compressed => "compressed stream",
            Self::Checksum => "checksum",
            Self::RecordPrefix => "record marker",
            Self::Record => "record",
            Self::RecordHeader => "record header",
            Self::ExtendedItem => "extended item",
            Self::MessageFields => "message fields",
            Self::LogfileHeader => "logfile header",
        })
    }
}

/// What is wrong with a [`Part`]. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The input ends too early: bytes needed, bytes there.
    Truncated(u32, u32),
    /// A length contradicts what surrounds it: found, least, most.
    Length(u32, u32, u32),
    /// The four bytes where a record should start are no record marker.
    Marker(u32),
    /// The first record is not the logfile header: its header type, its group and type.
    NotLogfileHeader(u8, u16),
    /// A match reaches back before the start of the output: distance, bytes written so far.
    Distance(u32, u32),
    /// The stream ended after fewer bytes than promised, or has more: produced, promised.
    Produced(u32, u32),
    /// The checksum does not match: stored, computed.
    Mismatch(u32, u32),
    /// The space given to the encoder is too small: bytes needed, bytes there.
    NoSpace(u32, u32),
    /// A buffer that should be sealed and not compressed is not: its state.
    State(u32),
}

impl Fault {
    /// Puts the fault in its place.
    #[must_use]
    pub fn at(self, part: Part, offset: u32) -> FormatError {
        FormatError { part, offset, fault: self }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x} ", self.part, self.offset)?;
        match self.fault {
            Fault::Truncated(need, have) => write!(f, "needs {need} bytes, {have} left"),
            Fault::Length(found, least, most) if least == most => {
                write!(f, "is {found} bytes, not {least}")
            }
            Fault::Length(found, least, most) => {
                write!(f, "is {found} bytes, not {least} to {most}")
            }
            Fault::Marker(found) => write!(f, "is no marker: {found:#010x}"),
            Fault::NotLogfileHeader(kind, hook) => {
                write!(f, "is no logfile header: header type {kind:#04x}, hook {hook:#06x}")
            }
            Fault::Distance(back, done) => write!(f, "reaches {back} bytes back, {done} are there"),
            Fault::Produced(found, want) => write!(f, "gives {found} bytes, not {want}"),
            Fault::Mismatch(stored, found) => {
                write!(f, "is {stored:#010x}, computed {found:#010x}")
            }
            Fault::NoSpace(need, have) => write!(f, "needs {need} bytes, given {have}"),
            Fault::State(state) => write!(f, "has state {state}, or is compressed"),
        }
    }
}

impl core::error::Error for FormatError {}

const _: () = assert!(size_of::<FormatError>() == 24);
