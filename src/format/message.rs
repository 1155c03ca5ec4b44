//! Header of the records that `TraceMessage` writes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U16};

/// Header of a message record (`MESSAGE_TRACE_HEADER`); the optional fields follow it.
///
#[doc = include_str!("../../spec/tables/message-trace-header.md")]
///
/// Source: Microsoft, `TraceMessage`; spec/06-messages.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct MessageTraceHeader {
    pub size: U16,
    pub reserved: u8,
    pub version: u8,
    pub message_number: U16,
    pub option_flags: U16,
}

layout!(MessageTraceHeader = 8 {
    0x00 size: 2, 0x02 reserved: 1, 0x03 version: 1, 0x04 message_number: 2, 0x06 option_flags: 2,
});

impl MessageTraceHeader {
    /// Fourth byte of every message: trace record, message.
    pub const VERSION: u8 = 0x90;

    /// Which optional fields follow.
    #[must_use]
    pub fn flags(&self) -> MessageFlags {
        MessageFlags(self.option_flags.get())
    }
}

/// Which optional fields a message has (`TRACE_MESSAGE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct MessageFlags(pub u16);

named_bits!(MessageFlags: u16 {
    /// A `u32` sequence number.
    SEQUENCE = 0x01,
    /// A GUID: of the provider's message file.
    GUID = 0x02,
    /// A `u32` component id instead of the GUID; wins if both are set.
    COMPONENTID = 0x04,
    /// A `u64` time stamp.
    TIMESTAMP = 0x08,
    /// Obsolete; alone it leaves 8 bytes without a stamp.
    PERFORMANCE_TIMESTAMP = 0x10,
    /// `u32` thread id and `u32` process id.
    SYSTEMINFO = 0x20,
    /// The writer had 32-bit pointers.
    POINTER32 = 0x40,
    /// The writer had 64-bit pointers.
    POINTER64 = 0x80,
});
