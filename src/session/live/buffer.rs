//! What a consumer is given of a session: records in a buffer of their own, and what it missed.

use crate::codec::{BufferView, LogfileView, RecordView, Records, TickClock, checksum, encode};
use crate::error::{Fault, FormatError, Part};
use crate::format::{
    BufferFlags, BufferHeader, BufferState, BufferType, LOST_EVENT_GUID, MAX_BUFFER_SIZE,
};
use crate::session::lane::HEADER_BYTES;
use bytes::Bytes;
use std::fmt;
use zerocopy::{FromBytes, IntoBytes};

/// Records of a live session: a buffer of its own, without filler, its checksum valid.
///
/// It is cheap to clone, and keeps its bytes for as long as it lives. `BufferSize` is its length;
/// sequence number, lane and flags are those of the session's buffer.
#[derive(Clone)]
pub struct LiveBuffer {
    bytes: Bytes,
}

/// What a consumer was too slow for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Events, the session's own loss records not counted.
    pub events: u64,
    /// Pieces of buffers that they were in.
    pub buffers: u64,
    /// Time of the first of them, in ticks; 0 if none of them has one.
    pub first_ticks: u64,
    /// Time of the last of them, in ticks.
    pub last_ticks: u64,
}

impl LiveBuffer {
    /// The session's clock, of a header buffer.
    pub(crate) fn clock(&self) -> Option<TickClock> {
        let record = self.records().next()?.ok()?;
        Some(LogfileView::parse(record).ok()?.clock())
    }

    pub(crate) fn empty() -> Self {
        let header = encode::sealed_header(HEADER_BYTES, HEADER_BYTES, 0, 0);
        Self { bytes: Bytes::copy_from_slice(header.as_bytes()) }
    }

    /// What is new of `buffer` behind its first `from` bytes, at this time; `None` if that is
    /// nothing. The header need not be final, but for what a writer begins a buffer with and
    /// `FilledBytes`.
    pub(crate) fn cut(buffer: &[u8], from: u32, ticks: u64) -> Option<Self> {
        let (header, _) = BufferHeader::ref_from_prefix(buffer).ok()?;
        let records = buffer.get(from as usize..header.filled_bytes.get() as usize)?;
        if records.is_empty() && header.buffer_type.get() != BufferType::HEADER.0 {
            return None;
        }
        let size = HEADER_BYTES.saturating_add(u32::try_from(records.len()).ok()?);
        let mut header = *header;
        header.buffer_size = size.into();
        header.saved_offset = size.into();
        header.current_offset = size.into();
        header.filled_bytes = size.into();
        header.time_stamp = ticks.into();
        header.state = BufferState::FLUSH.0.into();
        let mut lost = header.reserved[8..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        if from > HEADER_BYTES {
            // What was lost before the buffer was said with its first records.
            lost = 0;
            let flags = header.buffer_flags.get() & !BufferFlags::EVENTS_LOST.0;
            header.buffer_flags = flags.into();
        }

        Some(Self::sealed(&header, &[records], lost))
    }

    /// The same buffer with more records, whole ones, behind those that it has. If they do not fit
    /// a buffer it stays as it is.
    pub(crate) fn with_records(&self, more: &[u8]) -> Self {
        let mut header = *self.view().header();
        let records = self.bytes.get(BufferHeader::SIZE..).unwrap_or_default();
        let Ok(size) = u32::try_from(self.bytes.len() + more.len()) else { return self.clone() };
        if more.is_empty() || size > MAX_BUFFER_SIZE {
            return self.clone();
        }
        header.buffer_size = size.into();
        header.saved_offset = size.into();
        header.current_offset = size.into();
        header.filled_bytes = size.into();
        Self::sealed(&header, &[records, more], 0)
    }

    /// Puts a buffer together whose header is final but for the checksum.
    fn sealed(header: &BufferHeader, records: &[&[u8]], lost: u32) -> Self {
        let mut bytes = Vec::with_capacity(header.buffer_size.get() as usize);
        bytes.extend_from_slice(header.as_bytes());
        records.iter().for_each(|records| bytes.extend_from_slice(records));
        if let Ok(field) = checksum::field(&bytes, lost) {
            bytes[0x38..0x48].copy_from_slice(&field);
        }
        Self { bytes: bytes.into() }
    }

    /// Takes bytes that came from elsewhere for a buffer, if they are one as a session makes it:
    /// as long as it says, uncompressed, sealed, and with a checksum that holds. Its records are
    /// looked at when they are read.
    ///
    /// # Errors
    ///
    /// [`FormatError`] with the first thing that is not so.
    pub fn parse(bytes: Bytes) -> Result<Self, FormatError> {
        let length = |part, found, at| {
            let have = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            Fault::Length(found, have, have).at(part, at)
        };
        let header = *BufferView::parse(&bytes)?.header();
        if header.buffer_size.get() as usize != bytes.len() {
            return Err(length(Part::Buffer, header.buffer_size.get(), 0));
        }
        if header.filled_bytes.get() as usize != bytes.len() {
            return Err(length(Part::FilledBytes, header.filled_bytes.get(), 0x30));
        }
        let state = header.state.get();
        if state != BufferState::FLUSH.0 || header.is_compressed() {
            return Err(Fault::State(state).at(Part::Buffer, 0x2C));
        }
        let word = |field: &[u8; 16], at: usize| {
            field.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b))
        };
        let field = checksum::field(&bytes, word(&header.reserved, 8))?;
        if field != header.reserved {
            let fault = Fault::Mismatch(word(&header.reserved, 4), word(&field, 4));
            return Err(fault.at(Part::Checksum, 0x38));
        }
        Ok(Self { bytes })
    }

    /// The buffer: header and records.
    ///
    /// # Panics
    ///
    /// Never: the session made it, or it was checked.
    #[must_use]
    pub fn view(&self) -> BufferView<'_> {
        BufferView::parse(&self.bytes).unwrap_or_else(|_| unreachable!("made here, or checked"))
    }

    /// The records, in their order.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        self.view().records()
    }

    /// The bytes, shared and not copied.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What a consumer misses that does not get this buffer.
    pub(crate) fn missed(&self) -> Missed {
        let mut missed = Missed { buffers: 1, ..Missed::default() };
        let records = self.records().map_while(Result::ok).map(RecordView::parse);
        for record in records.flatten().filter(|r| r.provider() != Some(LOST_EVENT_GUID)) {
            missed.events += 1;
            if let Some(ticks) = record.ticks() {
                missed.spans(ticks, ticks);
            }
        }
        missed
    }
}

impl fmt::Debug for LiveBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.view().header();
        f.debug_struct("LiveBuffer")
            .field("sequence_number", &header.sequence_number.get())
            .field("lane", &header.lane())
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

impl Missed {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.buffers += other.buffers;
        if other.last_ticks != 0 {
            self.spans(other.first_ticks, other.last_ticks);
        }
    }

    fn spans(&mut self, first: u64, last: u64) {
        let is_first = self.last_ticks == 0;
        self.first_ticks = if is_first { first } else { self.first_ticks.min(first) };
        self.last_ticks = self.last_ticks.max(last);
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.buffers == 0
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, buffers, first_ticks, last_ticks } = self;
        write!(f, "{events} events in {buffers} buffers, ticks {first_ticks} to {last_ticks}")
    }
}
