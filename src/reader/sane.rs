//! Which records of one buffer are whole, and which of them may be believed.
//!
//! A sealed buffer is believed: its checksum holds, or it never had one, and then its structure is
//! all there is to judge. A buffer that is still open has no checksum yet, and a torn one has one
//! that does not hold; of both a power cut may have kept some sectors of 512 bytes and not others.
//! What then shows through is what was there before:
//!
//! | there before | told by |
//! |---|---|
//! | filler, or nothing | no marker of a known kind where a record must start; in a torn buffer also a sector of nothing but ones or zeros under a record |
//! | an older buffer | a stamp that lies before the one in front of it: in a lane stamps never run backwards |
//!
//! A payload that is half old under a header that is new tells nothing; only a checksum can.

use crate::codec::{LossRecord, Lost, RawRecord, RecordHeader, RecordView, Records, align8};
use crate::error::{Fault, FormatError, Part};
use crate::reader::{ReadFault, record};
use std::ops::Range;

/// How far the bytes of a buffer may be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its checksum holds or is absent: a record that is too small for its header is passed over.
    Sealed,
    /// It is being filled and has no checksum yet: records end at the first that cannot be.
    Open,
    /// Its checksum does not hold: the same, and sectors are looked at.
    Torn,
}

/// What a walk over the records of a buffer found. Offsets count from the first record.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// End of the whole records, without the padding of the last one.
    pub(crate) end: usize,
    pub(crate) records: u64,
    pub(crate) first_ticks: Option<u64>,
    /// The greatest stamp.
    pub(crate) last_ticks: Option<u64>,
    /// Where the records break off, and why.
    pub(crate) fault: Option<(usize, ReadFault)>,
    /// Records before `end` that are not whole.
    pub(crate) bad: Vec<Range<usize>>,
    /// What is wrong with each of these.
    pub(crate) faults: Vec<ReadFault>,
    /// What its loss records add up to.
    pub(crate) events_lost: u64,
    pub(crate) buffers_lost: u64,
}

/// Walks the records of `body`, the bytes of a buffer behind its header up to `FilledBytes`.
pub(crate) fn walk(body: &[u8], trust: Trust) -> Walked {
    let mut walked = Walked::default();
    let mut sectors = Sectors { body, good: 1 };
    for next in Records::new(body) {
        let raw = match next {
            Ok(raw) => raw,
            Err(error) => {
                walked.fault = Some((error.offset as usize, ReadFault::Format(error)));
                break;
            }
        };
        let at = raw.offset as usize;
        let end = at.saturating_add(raw.bytes.len());
        let ticks = record::ticks(&raw);
        let backwards = ticks.is_some_and(|ticks| walked.last_ticks.is_some_and(|l| ticks < l));
        let view = match RecordView::parse(raw) {
            _ if trust != Trust::Sealed && backwards => Err(ReadFault::Backwards),
            _ if trust == Trust::Torn && !sectors.written(at, end) => Err(ReadFault::Unwritten),
            Ok(view) if trust != Trust::Sealed && is_unknown(&view) => {
                Err(ReadFault::Format(no_record(&raw)))
            }
            Ok(view) => Ok(view),
            Err(error) => Err(ReadFault::Format(error)),
        };
        match view {
            Ok(view) => walked.add(&view, ticks),
            Err(fault) if trust == Trust::Sealed => {
                walked.bad.push(at..end);
                walked.faults.push(fault);
            }
            Err(fault) => {
                walked.fault = Some((at, fault));
                break;
            }
        }
        walked.end = end;
    }
    walked
}

/// Whether a record is of a kind that nobody knows. No session of ours writes such.
fn is_unknown(view: &RecordView<'_>) -> bool {
    matches!(view.header(), RecordHeader::Unknown)
}

fn no_record(raw: &RawRecord<'_>) -> FormatError {
    let marker = raw.bytes.first_chunk().map_or(0, |marker| u32::from_le_bytes(*marker));
    Fault::Marker(marker).at(Part::RecordPrefix, raw.offset)
}

impl Walked {
    /// Every fault with its offset: records that are passed over, then where the rest breaks off.
    pub(crate) fn all_faults(&self) -> impl Iterator<Item = (usize, ReadFault)> + '_ {
        let starts = self.bad.iter().map(|bad| bad.start);
        starts.zip(self.faults.iter().copied()).chain(self.fault)
    }

    fn add(&mut self, view: &RecordView<'_>, ticks: Option<u64>) {
        self.records = self.records.saturating_add(1);
        self.first_ticks = self.first_ticks.or(ticks);
        self.last_ticks = self.last_ticks.max(ticks);
        if let Some(loss) = LossRecord::of(view) {
            let total = match loss.what {
                Lost::Events => &mut self.events_lost,
                Lost::Buffers => &mut self.buffers_lost,
            };
            *total = total.saturating_add(u64::from(loss.count));
        }
    }
}

/// Adds the records of `body` up to `end`, without those in `bad`, one behind the other, the
/// padding behind each zero.
pub(crate) fn copy_whole(body: &[u8], end: usize, bad: &[Range<usize>], out: &mut Vec<u8>) {
    let whole = Records::new(body.get(..end).unwrap_or(body)).map_while(Result::ok);
    let mut bad = bad.iter().peekable();
    for raw in whole {
        if bad.next_if(|bad| bad.start == raw.offset as usize).is_some() {
            continue;
        }
        out.extend_from_slice(raw.bytes);
        out.resize(align8(out.len()), 0);
    }
}

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Bytes of the buffer before its first record.
const HEADER_BYTES: usize = 72;

/// The sectors of a buffer, looked at once, front to back.
struct Sectors<'b> {
    body: &'b [u8],
    /// Sectors before this one have been written. The first one holds the header.
    good: usize,
}

impl Sectors<'_> {
    /// Whether every sector under the record from `at` to `end` has been written.
    fn written(&mut self, at: usize, end: usize) -> bool {
        let sector = |offset: usize| offset.saturating_add(HEADER_BYTES) / SECTOR_BYTES;
        let last = sector(end.saturating_sub(1).max(at));
        while self.good <= last {
            let from = self.good.saturating_mul(SECTOR_BYTES).saturating_sub(HEADER_BYTES);
            let to = from.saturating_add(SECTOR_BYTES).min(self.body.len());
            let bytes = self.body.get(from..to).unwrap_or_default();
            if bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == 0xFF) {
                return false;
            }
            self.good = self.good.saturating_add(1);
        }
        true
    }
}
