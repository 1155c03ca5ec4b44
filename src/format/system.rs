//! Headers of the records that the kernel writes about itself.

use crate::format::Group;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};

/// Header of a kernel record (`SYSTEM_TRACE_HEADER`).
///
#[doc = include_str!("../../spec/tables/system-trace-header.md")]
///
/// Source: spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct SystemTraceHeader {
    pub version: u8,
    pub version_flags: u8,
    pub header_type: u8,
    pub marker_flags: u8,
    pub size: U16,
    pub hook_type: u8,
    pub group: u8,
    pub thread_id: U32,
    pub process_id: U32,
    pub system_time: U64,
    pub kernel_time: U32,
    pub user_time: U32,
}

layout!(SystemTraceHeader = 32 {
    0x00 version: 1, 0x01 version_flags: 1, 0x02 header_type: 1, 0x03 marker_flags: 1,
    0x04 size: 2, 0x06 hook_type: 1, 0x07 group: 1, 0x08 thread_id: 4, 0x0C process_id: 4,
    0x10 system_time: 8, 0x18 kernel_time: 4, 0x1C user_time: 4,
});

/// Header of a kernel record without processor times (`COMPACT_TRACE_HEADER`).
///
#[doc = include_str!("../../spec/tables/compact-trace-header.md")]
///
/// Source: spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct CompactTraceHeader {
    pub version: u8,
    pub version_flags: u8,
    pub header_type: u8,
    pub marker_flags: u8,
    pub size: U16,
    pub hook_type: u8,
    pub group: u8,
    pub thread_id: U32,
    pub process_id: U32,
    pub system_time: U64,
}

layout!(CompactTraceHeader = 24 {
    0x00 version: 1, 0x01 version_flags: 1, 0x02 header_type: 1, 0x03 marker_flags: 1,
    0x04 size: 2, 0x06 hook_type: 1, 0x07 group: 1, 0x08 thread_id: 4, 0x0C process_id: 4,
    0x10 system_time: 8,
});

/// Header of a performance record (`PERFINFO_TRACE_HEADER`); counters may follow it.
///
#[doc = include_str!("../../spec/tables/perfinfo-trace-header.md")]
///
/// Source: spec/04-record-headers.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct PerfInfoTraceHeader {
    pub version: u8,
    pub version_flags: u8,
    pub header_type: u8,
    pub marker_flags: u8,
    pub size: U16,
    pub hook_type: u8,
    pub group: u8,
    pub time_stamp: U64,
}

layout!(PerfInfoTraceHeader = 16 {
    0x00 version: 1, 0x01 version_flags: 1, 0x02 header_type: 1, 0x03 marker_flags: 1,
    0x04 size: 2, 0x06 hook_type: 1, 0x07 group: 1, 0x08 time_stamp: 8,
});

impl PerfInfoTraceHeader {
    /// Bit of `version_flags`: a `u64` PEBS index follows the header.
    pub const PEBS_INDEX: u8 = 0x80;
    /// Bits of `version_flags`: how many `u64` counters follow the header and the PEBS index.
    pub const PMC_COUNT: u8 = 0x07;

    /// Whether a PEBS index follows the header.
    #[must_use]
    pub const fn has_pebs_index(&self) -> bool {
        self.version_flags & Self::PEBS_INDEX != 0
    }

    /// How many performance counters follow, 0 to 7.
    #[must_use]
    pub const fn pmc_count(&self) -> u8 {
        self.version_flags & Self::PMC_COUNT
    }
}

/// Group and type of a kernel record in one number (`HookId`).
const fn hook(group: u8, hook_type: u8) -> u16 {
    (group as u16) << 8 | hook_type as u16
}

macro_rules! hooks {
    ($($name:ident),*) => {$(
        impl $name {
            /// Group and type in one number (`HookId`): `group << 8 | hook_type`.
            #[must_use]
            pub const fn hook_id(&self) -> u16 {
                hook(self.group, self.hook_type)
            }

            /// The kernel group that the record belongs to.
            #[must_use]
            pub const fn group(&self) -> Group {
                Group(self.group)
            }
        }
    )*};
}

hooks!(SystemTraceHeader, CompactTraceHeader, PerfInfoTraceHeader);
