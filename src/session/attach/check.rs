//! Whether the bytes that another process gave are a buffer.
//!
//! What is looked at is what a reader of the log relies on, and what would let one process harm the
//! records of another: sizes, lane, the chain of records, their kinds, and stamps that run
//! backwards or lie outside of the session. What a record says of itself (provider, thread,
//! payload) is the process's own business.

use crate::codec::{LossRecord, Lost, RecordHeader, RecordView, Records, checksum};
use crate::format::{BufferFlags, BufferHeader, BufferState, BufferType};
use crate::session::{clock::Source, lane::HEADER_BYTES};
use zerocopy::FromBytes;

/// What a buffer must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) buffer_size: u32,
    pub(crate) lanes: u32,
    pub(crate) clock: Source,
    /// When the process was attached, in ticks.
    pub(crate) start_ticks: u64,
    /// How far a stamp may lie before the start or behind the present, in ticks: processors of one
    /// machine may differ by less.
    pub(crate) slack: u64,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Its sizes, type, state or flags.
    Header,
    /// Its lane.
    Lane,
    /// Its checksum.
    Checksum,
    /// A record.
    Record,
    /// A stamp.
    Stamp,
}

/// A buffer that was looked at.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Its number in its process.
    pub(crate) sequence: i64,
    /// Its lane there.
    pub(crate) lane: u16,
    /// End of its records.
    pub(crate) filled: u32,
    /// Events among them.
    pub(crate) events: u64,
    /// What its loss records add up to.
    pub(crate) events_lost: u64,
    /// Events lost in its lane before it.
    pub(crate) lost_before: u32,
    /// Stamps of the first and the last event.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// What is wrong behind `filled`; nothing in a buffer that came over the connection.
    pub(crate) cut: Option<Wrong>,
}

impl Rules {
    /// Looks at a buffer that came over the connection: all of it must be right.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<Checked, Wrong> {
        let (header, lost_before) = self.header(bytes)?;
        if header.state.get() != BufferState::FLUSH.0 {
            return Err(Wrong::Header);
        }
        match checksum::verify(bytes) {
            Ok(checksum::State::Valid { .. }) => {}
            _ => return Err(Wrong::Checksum),
        }
        let checked = self.walk(&header, bytes, lost_before);
        match checked.cut {
            None => Ok(checked),
            Some(wrong) => Err(wrong),
        }
    }

    /// Looks at a buffer that a process has left in its ring: what is right of it up to the first
    /// thing that is not.
    pub(crate) fn check_left(&self, bytes: &[u8]) -> Result<Checked, Wrong> {
        let (header, lost_before) = self.header(bytes)?;
        match BufferState(header.state.get()) {
            BufferState::GENERAL_LOGGING => {}
            // Without a sum it was being sealed.
            BufferState::FLUSH if checksum::verify(bytes).is_ok() => {}
            BufferState::FLUSH => return Err(Wrong::Checksum),
            _ => return Err(Wrong::Header),
        }
        Ok(self.walk(&header, bytes, lost_before))
    }

    fn header(&self, bytes: &[u8]) -> Result<(BufferHeader, u32), Wrong> {
        let (header, _) = BufferHeader::read_from_prefix(bytes).map_err(|_| Wrong::Header)?;
        let filled = header.filled_bytes.get();
        let sound = header.buffer_size.get() == self.buffer_size
            && (HEADER_BYTES..=self.buffer_size).contains(&filled)
            && bytes.len() == filled as usize
            && header.buffer_type.get() == BufferType::GENERIC.0
            && header.flags().has(BufferFlags::PROC_INDEX)
            && !header.is_compressed()
            && header.sequence_number.get() >= 1;
        if !sound {
            return Err(Wrong::Header);
        }
        if u32::from(header.processor_index.get()) >= self.lanes {
            return Err(Wrong::Lane);
        }
        let [.., a, b, c, d, _, _, _, _] = header.reserved;
        Ok((header, u32::from_le_bytes([a, b, c, d])))
    }

    fn walk(&self, header: &BufferHeader, bytes: &[u8], lost_before: u32) -> Checked {
        let mut checked = Checked {
            sequence: header.sequence_number.get(),
            lane: header.processor_index.get(),
            filled: HEADER_BYTES,
            events: 0,
            events_lost: 0,
            lost_before,
            first: 0,
            last: 0,
            cut: None,
        };
        let stamps = self.stamps();
        let body = bytes.get(BufferHeader::SIZE..).unwrap_or_default();
        let mut latest = 0;
        for raw in Records::new(body) {
            let Some(view) = raw.ok().and_then(|raw| RecordView::parse(raw).ok()) else {
                checked.cut = Some(Wrong::Record);
                break;
            };
            if matches!(view.header(), RecordHeader::Unknown | RecordHeader::System(_)) {
                // A record of the system's own kind could be taken for a header of the log.
                checked.cut = Some(Wrong::Record);
                break;
            }
            let ticks = view.ticks();
            if ticks.is_some_and(|ticks| ticks < latest || !stamps.contains(&ticks)) {
                checked.cut = Some(Wrong::Stamp);
                break;
            }
            latest = ticks.unwrap_or(latest);
            let raw = view.raw();
            let end = raw.offset as usize + raw.bytes.len().next_multiple_of(8);
            let end = end.min(body.len()) + BufferHeader::SIZE;
            checked.filled = u32::try_from(end).unwrap_or(self.buffer_size);
            match LossRecord::of(&view) {
                Some(LossRecord { what: Lost::Events, count, .. }) => {
                    checked.events_lost += u64::from(count);
                }
                Some(_) => {}
                None => {
                    checked.events += 1;
                    checked.first = if checked.events == 1 { latest } else { checked.first };
                    checked.last = latest;
                }
            }
        }
        checked
    }

    /// Stamps that can be.
    fn stamps(&self) -> std::ops::RangeInclusive<u64> {
        match self.clock {
            // The system's time may be set back while a session runs.
            Source::SystemTime => 0..=u64::MAX,
            source => {
                let now = source.now();
                self.start_ticks.saturating_sub(self.slack)..=now.saturating_add(self.slack)
            }
        }
    }
}
