//! What kind of event a record is.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U64},
};

/// Identity and class of an event (`EVENT_DESCRIPTOR`), part of every [`EventHeader`].
///
#[doc = include_str!("../../spec/tables/event-descriptor.md")]
///
/// Source: Microsoft, `evntprov.h` `EVENT_DESCRIPTOR`; spec/04-record-headers.md.
///
/// [`EventHeader`]: crate::format::EventHeader
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct EventDescriptor {
    pub id: U16,
    pub version: u8,
    pub channel: u8,
    pub level: u8,
    pub opcode: u8,
    pub task: U16,
    pub keyword: U64,
}

layout!(EventDescriptor = 16 {
    0x00 id: 2, 0x02 version: 1, 0x03 channel: 1, 0x04 level: 1, 0x05 opcode: 1,
    0x06 task: 2, 0x08 keyword: 8,
});

impl EventDescriptor {
    /// An event of this id and level; everything else zero.
    #[must_use]
    pub const fn new(id: u16, level: u8) -> Self {
        let [low, high] = [(id & 0xFF) as u8, (id >> 8) as u8];
        Self {
            id: U16::from_bytes([low, high]),
            version: 0,
            channel: 0,
            level,
            opcode: 0,
            task: U16::ZERO,
            keyword: U64::ZERO,
        }
    }
}
