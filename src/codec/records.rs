//! The records of one buffer.

use crate::codec::{align8, to_u32};
use crate::error::{Fault, FormatError, Part};
use crate::format::{HeaderType, MARKER_EVENT_TRACE, MARKER_MESSAGE, MARKER_TRACE};
use core::iter::FusedIterator;
#[cfg(feature = "std")]
use zerocopy::{FromBytes, little_endian::U64};

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

/// By header type: where the stamp of a typed record ends, less one; [`NO_STAMP`] if there is none.
/// Above these bits, by how many bits of the first word the size lies behind its place in others:
/// 32 where it is the word at +4.
#[cfg(feature = "std")]
const PLACES: [u32; 256] = {
    const NEAR: u32 = 16 - 1;
    const FAR: u32 = 24 - 1;
    const FAR4: u32 = FAR | 32 << SHIFT_BITS;
    const NEAR4: u32 = NEAR | 32 << SHIFT_BITS;
    let mut places = [NO_STAMP; 256];
    let [_, a, b, c, d, _, _, _, _, _, e, f, _, _, _, _, g, h, i, j, k, l, ..] = &mut places;
    [*a, *b, *c, *d] = [FAR4; 4];
    [*e, *f, *i, *j, *k, *l] = [FAR; 6];
    [*g, *h] = [NEAR4; 2];
    places
};
/// No size is greater.
#[cfg(feature = "std")]
const NO_STAMP: u32 = u16::MAX as u32;
#[cfg(feature = "std")]
const SHIFT_BITS: u32 = 16;

/// What time order needs of a record.
#[cfg(feature = "std")]
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
#[cfg(feature = "std")]
#[inline]
pub(crate) fn stamped(bytes: &[u8], at: usize) -> Option<Stamped> {
    let rest = bytes.get(at..)?;
    stamped_in(rest, rest.len())
}

/// The same for the record at the start of `rest`, of which only the first bytes need be there;
/// `room` bytes are in the buffer.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn stamped_in(rest: &[u8], room: usize) -> Option<Stamped> {
    const TYPED: u64 = (MARKER_TRACE | MARKER_EVENT_TRACE) as u64;
    let ([word, near, far], _) = <[U64; 3]>::ref_from_prefix(rest).ok()?;
    let word = word.get();
    let [_, _, header_type, ..] = word.to_le_bytes();
    let place = *PLACES.get(usize::from(header_type))?;

    let [s0, s1, ..] = word.wrapping_shr(place >> SHIFT_BITS).to_le_bytes();
    let size = u16::from_le_bytes([s0, s1]);
    let below = place & NO_STAMP;
    let ticks = if below < 16 { near } else { far };
    let is_typed = word & TYPED == TYPED;
    let is_whole = (u32::from(size) > below) & (usize::from(size) <= room);
    let header_type = HeaderType(header_type);
    let found = Stamped { header_type, size: size.into(), ticks: ticks.get() };
    (is_typed & is_whole).then_some(found)
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

#[cfg(all(test, feature = "std"))]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test may panic")]
    use super::*;

    #[test]
    fn the_places_are_those_of_the_types() {
        for number in 0..=u8::MAX {
            let header_type = HeaderType(number);
            let place = PLACES[usize::from(number)];
            assert_eq!(place >> SHIFT_BITS == 32, header_type.has_size_at_4(), "{number}");
            assert_eq!(place & NO_STAMP != NO_STAMP, header_type.bits().is_some(), "{number}");
        }
    }

    /// Goal: one look sees what the careful reading sees. Method: each type and both flags of a
    /// marker, sizes around every bound, cut at each length.
    #[test]
    fn one_look_sees_what_the_careful_reading_sees() {
        let mut bytes: [u8; 40] = core::array::from_fn(|n| to_u32(n).to_le_bytes()[0] | 0x80);
        for number in 0..=u8::MAX {
            for (flags, size) in [0x90, 0xC0, 0x40, 0xFF].iter().flat_map(|flags| {
                [0u8, 7, 8, 15, 16, 17, 23, 24, 25, 32, 40, 41].map(|size| (*flags, size))
            }) {
                bytes[..6].copy_from_slice(&[size, 0, number, flags, size, 0]);
                for end in 0..=bytes.len() {
                    let Some(seen) = stamped(&bytes[..end], 0) else { continue };
                    let record = Records::new(&bytes[..end]).next().unwrap().unwrap();
                    assert_eq!(record.kind, RecordKind::Typed(seen.header_type));
                    assert_eq!(record.bytes.len(), seen.size);
                    let at = if matches!(number, 16 | 17) { 8 } else { 16 };
                    let stamp = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                    assert_eq!(seen.ticks, stamp, "{number} {size}");
                }
            }
        }
        bytes[..6].copy_from_slice(&[24, 0, 19, 0xC0, 0, 0]);
        assert!(stamped(&bytes, 0).is_some());
    }
}
