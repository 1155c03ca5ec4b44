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

/// Where a typed record has its stamp.
#[cfg(feature = "std")]
#[derive(Clone, Copy)]
struct Place {
    /// Which word the stamp is.
    word: StampWord,
    /// Where the stamp ends, less one; [`NO_STAMP`] if there is none.
    below: u16,
}

#[cfg(feature = "std")]
#[derive(Clone, Copy)]
#[repr(u8)]
enum StampWord {
    Near = 1,
    Far = 2,
}

/// No size is greater.
#[cfg(feature = "std")]
const NO_STAMP: u16 = u16::MAX;

/// By header type.
#[cfg(feature = "std")]
const PLACES: [Place; 256] = {
    const FAR: Place = Place { word: StampWord::Far, below: 24 - 1 };
    const NEAR: Place = Place { word: StampWord::Near, below: 16 - 1 };
    let mut places = [Place { below: NO_STAMP, ..FAR }; 256];
    let [_, a, b, c, d, _, _, _, _, _, e, f, _, _, _, _, g, h, i, j, k, l, ..] = &mut places;
    [*a, *b, *c, *d, *e, *f, *i, *j, *k, *l] = [FAR; 10];
    [*g, *h] = [NEAR; 2];
    places
};

/// The header types whose size is at +4, as bits. All are below 32, and those that are not have no
/// stamp.
#[cfg(feature = "std")]
const SIZE_AT_4: u32 = {
    let mut bits = 0u32;
    let mut number = 0u8;
    while number < 32 {
        bits |= (HeaderType(number).has_size_at_4() as u32) << number;
        number += 1;
    }
    bits
};

/// What time order needs of a record.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamped {
    /// Which header it has.
    pub(crate) header_type: HeaderType,
    /// Bytes of the record.
    pub(crate) size: u16,
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
    const TYPED: u32 = MARKER_TRACE | MARKER_EVENT_TRACE;
    let (words, _) = <[U64; 3]>::ref_from_prefix(rest).ok()?;
    let [word, ..] = words;
    let word = word.get();
    let [m0, m1, header_type, m3, s0, s1, s2, s3] = word.to_le_bytes();
    // The next record is found no sooner than its size is known, so no table is asked for that.
    let is_at_4 = SIZE_AT_4.wrapping_shr(header_type.into()) & 1 != 0;
    let marker = u32::from_le_bytes([m0, m1, header_type, m3]);
    let sized = if is_at_4 { u32::from_le_bytes([s0, s1, s2, s3]) } else { marker };
    let [s0, s1, ..] = sized.to_le_bytes();
    let size = u16::from_le_bytes([s0, s1]);

    let place = PLACES.get(usize::from(header_type))?;
    let ticks = words.get(place.word as usize)?;
    let is_typed = marker & TYPED == TYPED;
    let is_whole = (size > place.below) & (usize::from(size) <= room);
    let header_type = HeaderType(header_type);
    let found = Stamped { header_type, size, ticks: ticks.get() };
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
            let bit = number < 32 && SIZE_AT_4 >> number & 1 != 0;
            assert_eq!(bit, header_type.has_size_at_4(), "{number}");
            assert_eq!(place.below != NO_STAMP, header_type.bits().is_some(), "{number}");
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
                    assert_eq!(record.bytes.len(), usize::from(seen.size));
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
