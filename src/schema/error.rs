//! Why a payload could not be decoded to its end.

use crate::schema::InType;
use core::fmt;

/// What stopped a decoder, and where. The record is still a record, and the fields before this one
/// have been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Bytes from the start of the payload.
    pub offset: u32,
    /// What is wrong there.
    pub fault: DecodeFault,
}

/// What is wrong with a payload or with the schema that describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The payload ends within a value: bytes needed, bytes left.
    Truncated(u32, u32),
    /// A type that is not known; its size is not known either.
    Type(InType),
    /// Bytes that are no security identifier.
    Sid,
    /// The schema breaks off or contradicts itself.
    Schema,
    /// Structures lie deeper in each other than [`MOST_DEPTH`](super::MOST_DEPTH).
    Depth,
    /// More values than a record can mean to have; see [`MOST_WORK`](super::MOST_WORK).
    Work,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "payload at {:#x}: ", self.offset)?;
        match self.fault {
            DecodeFault::Truncated(need, have) => {
                write!(f, "a value of {need} bytes, {have} are left")
            }
            DecodeFault::Type(in_type) => write!(f, "a value of unknown type {}", in_type.0),
            DecodeFault::Sid => f.write_str("no security identifier"),
            DecodeFault::Schema => f.write_str("the schema breaks off or contradicts itself"),
            DecodeFault::Depth => f.write_str("structures are nested too deeply"),
            DecodeFault::Work => f.write_str("too many values"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a file that the user gave cannot be read as schemas, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    /// Bytes from the start of the file.
    pub position: u64,
    /// What is wrong there.
    pub reason: Box<str>,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.position, self.reason)
    }
}

impl core::error::Error for SchemaError {}
