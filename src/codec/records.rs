//! The records of one buffer.

use crate::codec::{align8, to_u32};
use crate::error::{Fault, FormatError, Part};
use crate::format::{HeaderType, MARKER_EVENT_TRACE, MARKER_MESSAGE, MARKER_TRACE};
use core::iter::FusedIterator;

/// Bytes every record has at least: marker, size and what shares their words.
const PREFIX_BYTES: usize = 8;

/// Which header a record has, as its marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A typed header; the type may be one that nobody knows.
    Typed(HeaderType),
    /// A message of `TraceMessage`.
    Message,
    /// A trace record of neither kind, marker kept. It has a size and nothing else that is known.
    Other(u32),
}

/// One record: its bytes, from marker to the end of its payload, without alignment padding.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Which header it has.
    pub kind: RecordKind,
    /// Where it starts, in bytes from the first record of the buffer.
    pub offset: u32,
    /// The record, 8 bytes at least and 65,535 at most.
    pub bytes: &'a [u8],
}

/// The header types whose bit is set have their stamp 8 bytes behind the marker's first.
const STAMP_AT_8: u32 = bits(&[16, 17]);
/// The same for 16 bytes.
const STAMP_AT_16: u32 = bits(&[1, 2, 3, 4, 10, 11, 18, 19, 20, 21]);

const fn bits(types: &[u8]) -> u32 {
    match types {
        [] => 0,
        [first, rest @ ..] => 1 << *first | bits(rest),
    }
}

/// What time order needs of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamped {
    /// Which header it has.
    pub(crate) header_type: HeaderType,
    /// Bytes of the record.
    pub(crate) size: usize,
    /// Its time stamp.
    pub(crate) ticks: u64,
}

/// The record at `at`, read in one look and without a branch that its kind decides: kinds come in
/// no order that could be guessed.
///
/// `None` says nothing: the record may be a message, lie too close to the end, have no stamp, or be
/// none. [`Records`] tells.
#[inline]
pub(crate) fn stamped(bytes: &[u8], at: usize) -> Option<Stamped> {
    const TYPED: u32 = MARKER_TRACE | MARKER_EVENT_TRACE;
    let rest = bytes.get(at..)?;
    let [m0, m1, m2, m3, s0, s1, _, _] = *rest.first_chunk::<PREFIX_BYTES>()?;
    let near = u64::from_le_bytes(*rest.get(8..)?.first_chunk()?);
    let far = u64::from_le_bytes(*rest.get(16..)?.first_chunk()?);

    let bit = 1u32.checked_shl(u32::from(m2))?;
    let header_type = HeaderType(m2);
    let size = if header_type.has_size_at_4() { [s0, s1] } else { [m0, m1] };
    let size = usize::from(u16::from_le_bytes(size));
    let is_near = STAMP_AT_8 & bit != 0;
    let (ticks, least) = if is_near { (near, 16) } else { (far, 24) };
    let is_known = (STAMP_AT_8 | STAMP_AT_16) & bit != 0;
    let is_typed = u32::from_le_bytes([m0, m1, m2, m3]) & TYPED == TYPED;
    let is_whole = size >= least && size <= rest.len();
    (is_known & is_typed & is_whole).then_some(Stamped { header_type, size, ticks })
}

/// The records of one buffer, front to back, borrowed from it.
///
/// Yields at most one error, last: behind a size that cannot be trusted the next record cannot be
/// found. The records before it are good.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    offset: u32,
}

impl<'a> Records<'a> {
    /// Records of `bytes`, the filled part of a buffer behind its header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Where the next record starts, in bytes from the first one.
    #[must_use]
    pub fn offset(&self) -> u32 {
        self.offset
    }

    #[inline]
    fn advance(&mut self) -> Result<RawRecord<'a>, FormatError> {
        let Some(prefix) = self.rest.first_chunk::<PREFIX_BYTES>() else {
            let fault = Fault::Truncated(to_u32(PREFIX_BYTES), to_u32(self.rest.len()));
            return Err(fault.at(Part::RecordPrefix, self.offset));
        };
        let [m0, m1, m2, m3, s0, s1, _, _] = *prefix;
        let marker = u32::from_le_bytes([m0, m1, m2, m3]);
        if marker & MARKER_TRACE == 0 || marker == u32::MAX {
            return Err(Fault::Marker(marker).at(Part::RecordPrefix, self.offset));
        }

        let header_type = HeaderType(m2);
        let (kind, size) = if marker & MARKER_EVENT_TRACE != 0 {
            let size = if header_type.has_size_at_4() { [s0, s1] } else { [m0, m1] };
            (RecordKind::Typed(header_type), size)
        } else if marker & MARKER_MESSAGE != 0 {
            (RecordKind::Message, [m0, m1])
        } else {
            (RecordKind::Other(marker), [m0, m1])
        };
        let size = usize::from(u16::from_le_bytes(size));
        let bytes = match self.rest.get(..size) {
            Some(bytes) if size >= PREFIX_BYTES => bytes,
            _ => return Err(self.bad_size(size)),
        };

        let record = RawRecord { kind, offset: self.offset, bytes };
        let step = align8(size);
        self.rest = self.rest.get(step..).unwrap_or_default();
        self.offset = self.offset.wrapping_add(to_u32(step));
        Ok(record)
    }

    #[cold]
    fn bad_size(&self, size: usize) -> FormatError {
        let size = to_u32(size);
        let fault = Fault::Length(size, to_u32(PREFIX_BYTES), to_u32(self.rest.len()));
        fault.at(Part::Record, self.offset)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RawRecord<'a>, FormatError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.advance().inspect_err(|_| self.rest = &[]))
    }
}

impl FusedIterator for Records<'_> {}
