//! What is wrong with bytes that are no message.

use crate::error::FormatError;
use crate::outside::message::VERSION;
use std::fmt;

/// Bytes that are no message: where, from its start, and what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// In bytes from the start of the message.
    pub offset: u32,
    /// What is wrong.
    pub fault: MessageFault,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageFault {
    /// A version that is not spoken here.
    Version(u16),
    /// A kind that is not known here.
    Kind(u16),
    /// A body or a text longer than allowed: bytes, most.
    TooLong(u32, u32),
    /// It ends too early: bytes needed, bytes there.
    Truncated(u32, u32),
    /// Bytes behind its end.
    LeftOver(u32),
    /// A text that is not UTF-8.
    Text,
    /// A path that is relative, or holds a NUL.
    Path,
    /// A number that this field does not have.
    Value(&'static str, u64),
    /// A buffer of records that is none.
    Buffer(FormatError),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message at {:#x}: ", self.offset)?;
        match self.fault {
            MessageFault::Version(found) => {
                write!(f, "version {found}, and {VERSION} is spoken here")
            }
            MessageFault::Kind(found) => write!(f, "unknown kind {found:#06x}"),
            MessageFault::TooLong(found, most) => write!(f, "{found} bytes, must be 0 to {most}"),
            MessageFault::Truncated(need, have) => write!(f, "needs {need} bytes, {have} left"),
            MessageFault::LeftOver(found) => write!(f, "{found} bytes behind its end"),
            MessageFault::Text => f.write_str("a text is not UTF-8"),
            MessageFault::Path => f.write_str("a path must be absolute, without a NUL"),
            MessageFault::Value(field, found) => write!(f, "{field} is {found}"),
            MessageFault::Buffer(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MessageError {}

impl MessageFault {
    pub(super) fn at(self, offset: usize) -> MessageError {
        MessageError { offset: u32::try_from(offset).unwrap_or(u32::MAX), fault: self }
    }
}
