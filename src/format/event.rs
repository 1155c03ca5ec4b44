//! Header of the records that `EventWrite` writes.

use crate::format::{EventDescriptor, Guid};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// Header of an event record (`EVENT_HEADER`, header types 18 and 19).
///
#[doc = include_str!("../../spec/tables/event-header.md")]
///
/// Source: Microsoft, `evntcons.h` `EVENT_HEADER`; spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct EventHeader {
    pub size: U16,
    pub header_type: u8,
    pub marker_flags: u8,
    pub flags: U16,
    pub event_property: U16,
    pub thread_id: U32,
    pub process_id: U32,
    pub time_stamp: U64,
    pub provider_id: Guid,
    pub descriptor: EventDescriptor,
    pub kernel_time: U32,
    pub user_time: U32,
    pub activity_id: Guid,
}

layout!(EventHeader = 80 {
    0x00 size: 2, 0x02 header_type: 1, 0x03 marker_flags: 1, 0x04 flags: 2,
    0x06 event_property: 2, 0x08 thread_id: 4, 0x0C process_id: 4, 0x10 time_stamp: 8,
    0x18 provider_id: 16, 0x28 descriptor: 16, 0x38 kernel_time: 4, 0x3C user_time: 4,
    0x40 activity_id: 16,
});

impl EventHeader {
    /// The flag word as [`EventFlags`].
    #[must_use]
    pub fn flags(&self) -> EventFlags {
        EventFlags(self.flags.get())
    }
}

/// Flags of an event record (`EVENT_HEADER.Flags`); only the first and third are seen on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct EventFlags(pub u16);

named_bits!(EventFlags: u16 {
    /// Extended items follow the header.
    EXTENDED_INFO = 0x0001,
    /// From a private session.
    PRIVATE_SESSION = 0x0002,
    /// The payload is one UTF-16 string with its terminator.
    STRING_ONLY = 0x0004,
    /// A message (added by the consumer).
    TRACE_MESSAGE = 0x0008,
    /// No processor times.
    NO_CPUTIME = 0x0010,
    /// 32-bit writer (added by the consumer).
    HEADER_32_BIT = 0x0020,
    /// 64-bit writer (added by the consumer).
    HEADER_64_BIT = 0x0040,
    /// Decode by control GUID (added by the consumer).
    DECODE_GUID = 0x0080,
    /// A classic record (added by the consumer).
    CLASSIC_HEADER = 0x0100,
    /// The processor is named by index (added by the consumer).
    PROCESSOR_INDEX = 0x0200,
});
