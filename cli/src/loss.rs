//! Records that say what was lost: where, how much, and why.

use etlring::codec::TickClock;
use etlring::codec::{RecordHeader, RecordView};
use etlring::format::{FileTime, LOST_EVENT_GUID};

/// Type of a record that counts events.
const EVENTS: u8 = 32;
/// Type of a record that counts buffers.
const BUFFERS: u8 = 33;

/// One loss: how many of what between which times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// `events` or `buffers`.
    pub(crate) what: &'static str,
    pub(crate) count: u32,
    pub(crate) first_ticks: u64,
    pub(crate) last_ticks: u64,
    pub(crate) cause: &'static str,
}

impl Loss {
    /// The loss that a record tells of, if it is such a record.
    pub(crate) fn of(record: &RecordView<'_>) -> Option<Self> {
        let RecordHeader::Classic(header) = record.header() else { return None };
        if header.guid != LOST_EVENT_GUID {
            return None;
        }
        let what = match header.class_type {
            EVENTS => "events",
            BUFFERS => "buffers",
            _ => return None,
        };
        let payload: &[u8; 24] = record.payload().first_chunk()?;
        let long = |at: usize| Some(u64::from_le_bytes(*payload.get(at..)?.first_chunk()?));
        let word = |at: usize| Some(u32::from_le_bytes(*payload.get(at..)?.first_chunk()?));
        let cause = match word(20)? {
            1 => "no free buffer",
            2 => "too large for a buffer",
            3 => "no free lane",
            4 => "logged from within logging",
            5 => "the file was full",
            6 => "I/O error",
            _ => "unknown cause",
        };
        Some(Self { what, count: word(16)?, first_ticks: long(0)?, last_ticks: long(8)?, cause })
    }

    /// First and last time.
    pub(crate) fn times(&self, clock: TickClock) -> (FileTime, FileTime) {
        (clock.file_time(self.first_ticks), clock.file_time(self.last_ticks))
    }

    /// `12 events lost from 2020-… to 2020-…: no free buffer`.
    pub(crate) fn describe(&self, clock: TickClock) -> String {
        let (first, last) = self.times(clock);
        format!(
            "{} {} lost from {} to {}: {}",
            crate::text::count(u64::from(self.count)),
            self.what,
            crate::text::time(first),
            crate::text::time(last),
            self.cause
        )
    }
}

/// A loss as a JSON object.
pub(crate) fn json(loss: &Loss, clock: TickClock) -> serde_json::Value {
    let (first, last) = loss.times(clock);
    serde_json::json!({
        "what": loss.what,
        "count": loss.count,
        "cause": loss.cause,
        "first_ticks": loss.first_ticks,
        "last_ticks": loss.last_ticks,
        "first": crate::text::time(first),
        "last": crate::text::time(last),
    })
}
