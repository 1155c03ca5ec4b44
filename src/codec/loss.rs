//! Loss records: what a log itself says it has lost, where, and why.
//!
//! ```text
//!   payload  0x00 u64 ticks of the first loss     0x08 u64 ticks of the last loss
//!            0x10 u32 how many                    0x14 u32 cause
//! ```
//!
//! Source: spec/12-loss.md.

use crate::codec::record::{RecordHeader, RecordView};
use crate::format::LOST_EVENT_GUID;
use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// One loss: how many of what, from when to when, in ticks of the session's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossRecord {
    /// What was lost.
    pub what: Lost,
    /// How many.
    pub count: u32,
    /// When the first one was.
    pub first_ticks: u64,
    /// When the last one was.
    pub last_ticks: u64,
    /// Why: a cause of spec/12-loss.md, or one that it does not know.
    pub cause: u32,
}

/// What a [`LossRecord`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lost {
    /// Events that found no place: type 32.
    Events,
    /// Buffers that could not be written: type 33.
    Buffers,
}

impl LossRecord {
    /// The loss that `record` tells of, if it is such a record and has the whole payload.
    #[must_use]
    pub fn of(record: &RecordView<'_>) -> Option<Self> {
        let RecordHeader::Classic(header) = record.header() else { return None };
        if header.guid != LOST_EVENT_GUID {
            return None;
        }
        let what = match header.class_type {
            32 => Lost::Events,
            33 => Lost::Buffers,
            _ => return None,
        };
        let (payload, _) = Payload::ref_from_prefix(record.payload()).ok()?;
        Some(Self {
            what,
            count: payload.count.get(),
            first_ticks: payload.first_ticks.get(),
            last_ticks: payload.last_ticks.get(),
            cause: payload.cause.get(),
        })
    }
}

/// As in the drawing above.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Payload {
    first_ticks: U64,
    last_ticks: U64,
    count: U32,
    cause: U32,
}

const _: () = assert!(size_of::<Payload>() == 24);
