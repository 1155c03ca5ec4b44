//! Headers of the records that `TraceEvent` and `TraceEventInstance` write.

use crate::format::Guid;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// Header of a classic record (`EVENT_TRACE_HEADER`, header types 10 and 20).
///
#[doc = include_str!("../../spec/tables/event-trace-header.md")]
///
/// Source: Microsoft, `evntrace.h` `EVENT_TRACE_HEADER`; spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct EventTraceHeader {
    pub size: U16,
    pub header_type: u8,
    pub marker_flags: u8,
    pub class_type: u8,
    pub class_level: u8,
    pub class_version: U16,
    pub thread_id: U32,
    pub process_id: U32,
    pub time_stamp: U64,
    pub guid: Guid,
    pub kernel_time: U32,
    pub user_time: U32,
}

layout!(EventTraceHeader = 48 {
    0x00 size: 2, 0x02 header_type: 1, 0x03 marker_flags: 1,
    0x04 class_type: 1, 0x05 class_level: 1, 0x06 class_version: 2,
    0x08 thread_id: 4, 0x0C process_id: 4, 0x10 time_stamp: 8, 0x18 guid: 16,
    0x28 kernel_time: 4, 0x2C user_time: 4,
});

/// Header of an instance record (`EVENT_INSTANCE_GUID_HEADER`, header types 11 and 21).
///
#[doc = include_str!("../../spec/tables/event-instance-guid-header.md")]
///
/// Source: spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct EventInstanceGuidHeader {
    pub base: EventTraceHeader,
    pub instance_id: U32,
    pub parent_instance_id: U32,
    pub parent_guid: Guid,
}

layout!(EventInstanceGuidHeader = 72 {
    0x00 base: 48, 0x30 instance_id: 4, 0x34 parent_instance_id: 4, 0x38 parent_guid: 16,
});
