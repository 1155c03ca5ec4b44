//! One record and where it came from.

use crate::codec::{MessageView, RawRecord, RecordKind, RecordView};
use crate::error::FormatError;
use crate::format::{BufferHeader, HeaderType};
use crate::reader::{BufferEntry, ReadError};

/// One record of a log file, borrowed until the cursor moves on.
///
/// Its marker and size are checked. [`view`](Self::view) takes the header apart, for those who need
/// more than bytes and time.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    kind: Kind,
    offset: u32,
    buffer: &'a BufferEntry,
    buffer_index: usize,
}

/// A [`RecordKind`] as one number: the header type of a typed record, or one of those below.
///
/// A `RecordKind` is stored as two bytes and read as eight. Where a record is made in one function
/// and read in another it lies in memory, and a processor that has just stored bytes hands them on
/// to a read of the same width only; for a wider one it waits until they are in the cache, and
/// every branch on the kind waits with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind(u16);

impl Kind {
    const MESSAGE: Self = Self(0x100);
    /// The marker is in the record.
    const OTHER: Self = Self(0x200);

    #[inline]
    pub(super) fn typed(header_type: HeaderType) -> Self {
        Self(u16::from(header_type.0))
    }

    #[inline]
    pub(super) fn of(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Typed(header_type) => Self::typed(header_type),
            RecordKind::Message => Self::MESSAGE,
            RecordKind::Other(_) => Self::OTHER,
        }
    }

    /// Of a typed record.
    #[inline]
    fn header_type(self) -> Option<HeaderType> {
        let [header_type, is_untyped] = self.0.to_le_bytes();
        (is_untyped == 0).then_some(HeaderType(header_type))
    }

    /// Of the record `bytes`.
    #[inline]
    fn get(self, bytes: &[u8]) -> RecordKind {
        match (self.header_type(), self) {
            (Some(header_type), _) => RecordKind::Typed(header_type),
            (None, Self::MESSAGE) => RecordKind::Message,
            _ => {
                let marker = bytes.first_chunk().copied().unwrap_or_default();
                RecordKind::Other(u32::from_le_bytes(marker))
            }
        }
    }
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) fn new(raw: RawRecord<'a>, buffer: &'a BufferEntry, buffer_index: usize) -> Self {
        let RawRecord { kind, offset, bytes } = raw;
        Self { bytes, kind: Kind::of(kind), offset, buffer, buffer_index }
    }

    #[inline]
    pub(super) fn of(
        kind: Kind,
        offset: u32,
        bytes: &'a [u8],
        buffer: &'a BufferEntry,
        buffer_index: usize,
    ) -> Self {
        Self { bytes, kind, offset, buffer, buffer_index }
    }

    /// The record as bytes, from its marker to the end of its payload, with its kind; its offset
    /// counts from the first record of the buffer.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> RawRecord<'a> {
        self.raw_of(self.kind.get(self.bytes))
    }

    #[inline]
    fn raw_of(&self, kind: RecordKind) -> RawRecord<'a> {
        RawRecord { kind, offset: self.offset, bytes: self.bytes }
    }

    /// The header taken apart, and the payload behind it.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the record is too small for the header, items or fields that it names. The
    /// records behind it are not touched by that.
    #[inline(always)]
    pub fn view(&self) -> Result<RecordView<'a>, ReadError> {
        let view = match self.kind.header_type() {
            Some(header_type) => RecordView::parse(self.raw_of(RecordKind::Typed(header_type))),
            None => RecordView::parse(self.raw()),
        };
        view.map_err(|error| self.damage(error))
    }

    #[cold]
    fn damage(&self, error: FormatError) -> ReadError {
        self.buffer.damage(error.moved(HEADER_BYTES))
    }

    /// The time stamp, in ticks of the session's clock; `None` for messages without one and for
    /// unknown headers.
    #[inline]
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        ticks(&self.raw())
    }

    /// What places the record in time: its stamp, or that of its buffer if it has none.
    #[inline]
    #[must_use]
    pub fn order_ticks(&self) -> u64 {
        self.ticks().unwrap_or(self.buffer.time_stamp)
    }

    /// The buffer that holds it, as the index knows it.
    #[inline]
    #[must_use]
    pub fn buffer(&self) -> &'a BufferEntry {
        self.buffer
    }

    /// Which buffer of the file that is, counted from 0, the header buffer.
    #[inline]
    #[must_use]
    pub fn buffer_index(&self) -> usize {
        self.buffer_index
    }

    /// The lane (processor) that wrote it.
    #[inline]
    #[must_use]
    pub fn lane(&self) -> u16 {
        self.buffer.lane
    }

    /// Sequence number of its buffer.
    #[inline]
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.buffer.sequence
    }

    /// Where it starts, in bytes from the start of the file; for a record of a compressed buffer,
    /// where that buffer starts.
    #[must_use]
    pub fn position(&self) -> u64 {
        let offset = if self.buffer.is_compressed() {
            0
        } else {
            u64::from(self.offset).saturating_add(u64::from(HEADER_BYTES))
        };
        self.buffer.position.saturating_add(offset)
    }
}

/// Bytes of a buffer before its first record.
const HEADER_BYTES: u32 = 72;
const _: () = assert!(BufferHeader::SIZE == HEADER_BYTES as usize);

/// The time stamp of a record, without taking the rest of its header apart.
#[inline]
pub(crate) fn ticks(raw: &RawRecord<'_>) -> Option<u64> {
    let at = match raw.kind {
        RecordKind::Typed(HeaderType::PERFINFO64 | HeaderType::PERFINFO32) => 8,
        RecordKind::Typed(HeaderType(1..=4 | 10 | 11 | 18..=21)) => 16,
        RecordKind::Message => return message_ticks(raw),
        RecordKind::Typed(_) | RecordKind::Other(_) => return None,
    };
    let stamp = raw.bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*stamp))
}

#[cold]
fn message_ticks(raw: &RawRecord<'_>) -> Option<u64> {
    MessageView::parse(raw.bytes).ok()?.ticks()
}
