//! Extended data items: what may stand between an event's header and its payload.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned, little_endian::U16};

/// Header of one extended item as it stands in the file.
///
/// In memory Windows shows `EVENT_HEADER_EXTENDED_DATA_ITEM`, 16 bytes with a pointer; the file has
/// these 8 bytes with the data behind them.
///
#[doc = include_str!("../../spec/tables/extended-item-header.md")]
///
/// Source: observed; spec/05-extended-items.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct ExtendedItemHeader {
    pub total_size: U16,
    pub ext_type: U16,
    pub linkage: U16,
    pub data_size: U16,
}

layout!(ExtendedItemHeader = 8 {
    0x00 total_size: 2, 0x02 ext_type: 2, 0x04 linkage: 2, 0x06 data_size: 2,
});

impl ExtendedItemHeader {
    /// Whether another item follows this one (bit 0 of `linkage`).
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.linkage.get() & 1 != 0
    }
}

/// What an extended item holds (`EVENT_HEADER_EXT_TYPE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExtType(pub u16);

named_values!(ExtType {
    /// A GUID: the activity that this one came from.
    RELATED_ACTIVITYID = 1 "related activity id",
    /// A security identifier.
    SID = 2 "sid",
    /// A `u32`: terminal session.
    TS_ID = 3 "terminal session id",
    /// Instance, parent instance, parent GUID.
    INSTANCE_INFO = 4 "instance info",
    /// `u64` match id, then `u32` addresses.
    STACK_TRACE32 = 5 "stack trace 32",
    /// `u64` match id, then `u64` addresses.
    STACK_TRACE64 = 6 "stack trace 64",
    /// A `u64`.
    PEBS_INDEX = 7 "pebs index",
    /// `u64` counters.
    PMC_COUNTERS = 8 "pmc counters",
    /// Package name and the like.
    PSM_KEY = 9 "psm key",
    /// A `u64`.
    EVENT_KEY = 10 "event key",
    /// TraceLogging: name and fields of the event.
    EVENT_SCHEMA_TL = 11 "event schema",
    /// Name and traits of the provider.
    PROV_TRAITS = 12 "provider traits",
    /// A `u64`.
    PROCESS_START_KEY = 13 "process start key",
    /// A GUID.
    CONTROL_GUID = 14 "control guid",
    /// A `u64`.
    QPC_DELTA = 15 "qpc delta",
    /// A GUID.
    CONTAINER_ID = 16 "container id",
    /// `u64` match id, `u32` key, 4 bytes of padding.
    STACK_KEY32 = 17 "stack key 32",
    /// `u64` match id, `u64` key.
    STACK_KEY64 = 18 "stack key 64",
});
