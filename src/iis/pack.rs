//! Items one behind the other, as they lie in the payload of a record.
//!
//! Two passes: the first adds up how many bytes the items take at most and makes the key of their
//! names, the second writes them. What a value is was found out when it was made, so the passes
//! have few branches and no jump by type. Text of ASCII characters is widened eight at a time.

use crate::format::Guid;
use crate::iis::event::Form;
use crate::iis::{HttpTraceData, HttpTraceEventItem};

/// What a look at the items tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Bytes that the items take at most.
    pub(super) capacity: usize,
    /// What tells items apart whose names are static: see `kinds`.
    pub(super) key: u64,
}

/// Looks at the items; `None` if one is not what its type says, or is too large for any record.
#[inline]
pub(super) fn survey(items: &[HttpTraceEventItem<'_>]) -> Option<Survey> {
    let (mut capacity, mut key) = (0u64, 0u64);
    for item in items {
        capacity += u64::from(item.data.most);
        key = key.rotate_left(23).wrapping_add(mix(item.name, u64::from(item.data.data_type.0)));
        if let Some(meaning) = item.data_description {
            let value = item.data.to_number().unwrap_or(u64::MAX);
            key = key.rotate_left(23).wrapping_add(mix(meaning, !value));
        }
    }
    let is_right = capacity < u64::from(HttpTraceData::WRONG);
    let capacity = usize::try_from(capacity).ok()?;
    is_right.then_some(Survey { capacity, key })
}

/// A number of 64 bits of where a text lies, how long it is, and something else: the two halves of
/// a product, added.
#[inline(always)]
pub(super) fn mix(text: &str, other: u64) -> u64 {
    let place = text.as_ptr().addr() as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let rest = other.rotate_left(32) ^ text.len() as u64 ^ 0xD134_2543_DE82_EF95;
    let product = u128::from(place) * u128::from(rest);
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    let halves = (product as u64, (product >> 64) as u64);
    halves.0.wrapping_add(halves.1)
}

/// Room behind the items that makes writing them cheaper: values are stored 16 bytes at a time,
/// whatever their width is. Only where it does no harm: a record may be as large as a buffer.
#[inline]
pub(super) fn with_slack(capacity: usize) -> usize {
    if capacity < 2048 { capacity + 16 } else { capacity }
}

/// Writes the items to the start of `out`, which has room for their capacity, and says how many
/// bytes they took. A GUID without a value that comes first becomes `activity`.
#[inline]
pub(super) fn pack(items: &[HttpTraceEventItem<'_>], activity: Guid, out: &mut [u8]) -> usize {
    let mut out = Out { bytes: out, at: 0 };
    let mut first = activity;
    for item in items {
        let data = &item.data;
        if data.form == Form::Number {
            out.put_fixed(data.number, data.most as usize);
        } else if data.form == Form::Wide {
            out.put_wide(data.bytes);
        } else {
            match data.form {
                Form::Narrow => out.put_narrow(data.bytes),
                Form::Units => out.put_units(data.bytes),
                Form::NoGuid => out.put_long(first.0, 16),
                _ => out.put(data.bytes),
            }
        }
        first = Guid::ZERO;
    }
    out.at
}

/// Bytes that are filled from front to back.
struct Out<'o> {
    bytes: &'o mut [u8],
    at: usize,
}

impl Out<'_> {
    /// The first `width` bytes of a value; those behind them are written again.
    #[inline(always)]
    fn put_fixed(&mut self, value: u64, width: usize) {
        let bytes = value.to_le_bytes();
        match self.bytes[self.at..].first_chunk_mut::<8>() {
            Some(place) => *place = bytes,
            None => self.bytes[self.at..][..width].copy_from_slice(&bytes[..width]),
        }
        self.at += width;
    }

    /// The first `width` bytes of 16, as above.
    #[inline(always)]
    fn put_long(&mut self, value: [u8; 16], width: usize) {
        match self.bytes[self.at..].first_chunk_mut::<16>() {
            Some(place) => *place = value,
            None => self.bytes[self.at..][..width].copy_from_slice(&value[..width]),
        }
        self.at += width;
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        match bytes.first_chunk::<16>() {
            Some(guid) if bytes.len() == 16 => self.put_long(*guid, 16),
            _ => {
                self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
                self.at += bytes.len();
            }
        }
    }

    /// UTF-16 up to the first NUL, and a NUL.
    #[inline(never)]
    fn put_units(&mut self, bytes: &[u8]) {
        let mut units = bytes.chunks_exact(2);
        let end = units.position(|unit| unit == [0, 0]).map_or(bytes.len(), |at| at * 2);
        self.put(&bytes[..end]);
        self.put_fixed(0, 2);
    }

    /// Text and its terminator as UTF-16.
    #[inline]
    fn put_wide(&mut self, text: &[u8]) {
        let mut bytes = text;
        while let Some((eight, behind)) = bytes.split_first_chunk::<8>() {
            if !are_plain(u64::from_le_bytes(*eight)) {
                break;
            }
            self.put_long(widened(*eight), 16);
            bytes = behind;
        }
        // What is left of plain text in one piece: it lies in memory with what is in front of it.
        if let (1..8, Some(eight)) = (bytes.len(), text.last_chunk::<8>()) {
            let left = u64::from_le_bytes(*eight) >> (64 - 8 * bytes.len());
            let filled = left | ONES << (8 * bytes.len());
            if are_plain(filled) {
                self.put_long(widened(left.to_le_bytes()), 2 * bytes.len());
                bytes = &[];
            }
        }
        while let Some((byte, behind)) = bytes.split_first() {
            if !matches!(byte, 1..=0x7F) {
                self.put_any(bytes);
                break;
            }
            self.put_fixed((*byte).into(), 2);
            bytes = behind;
        }
        self.put_fixed(0, 2);
    }

    /// Text of any characters up to the first NUL, without a terminator.
    #[cold]
    fn put_any(&mut self, text: &[u8]) {
        // It was a `str`, and only whole ASCII characters were taken from its front.
        let text = std::str::from_utf8(text).unwrap_or_default();
        for unit in text.encode_utf16().take_while(|unit| *unit != 0) {
            self.put_fixed(unit.into(), 2);
        }
    }

    /// Bytes up to the first zero, and a zero.
    #[inline]
    fn put_narrow(&mut self, text: &[u8]) {
        let mut bytes = text;
        while let Some((eight, behind)) = bytes.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*eight);
            // As in `are_plain`, for bytes of any kind.
            if word.wrapping_sub(ONES) & !word & HIGH != 0 {
                break;
            }
            self.put_fixed(word, 8);
            bytes = behind;
        }
        while let Some((byte, behind)) = bytes.split_first() {
            if *byte == 0 {
                break;
            }
            self.put_fixed((*byte).into(), 1);
            bytes = behind;
        }
        self.put_fixed(0, 1);
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether the eight bytes are ASCII characters other than NUL.
#[inline(always)]
fn are_plain(word: u64) -> bool {
    // A byte below 0x80 has its high bit set after the subtraction only if it was 0, or if one
    // below it was.
    (word | word.wrapping_sub(ONES)) & HIGH == 0
}

/// Eight bytes as eight units of UTF-16.
#[inline(always)]
fn widened(bytes: [u8; 8]) -> [u8; 16] {
    let mut units = [0; 16];
    units.copy_from_slice(bytes.map(u16::from).map(u16::to_le_bytes).as_flattened());
    units
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iis::HttpTraceType;

    fn packed(data: HttpTraceData<'_>) -> Vec<u8> {
        let items = [HttpTraceEventItem::new("", 1u8), HttpTraceEventItem::new("", data)];
        let mut out = vec![0xEE; survey(&items).unwrap().capacity];
        let len = pack(&items, Guid::from_u128(7), &mut out);
        out[1..len].to_vec()
    }

    /// The naive twin.
    fn wide(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().take_while(|unit| *unit != 0).chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn text_is_widened_as_the_plain_way_does_it() {
        let long = "abcdefgh".repeat(5);
        for text in ["", "a", "abcdefg", "abcdefgh", &long, "abcdefgé", "é", "\u{1f600}tail long"]
        {
            assert_eq!(packed(text.into()), wide(text), "{text}");
        }
        for at in 0..20 {
            let mut text = "x".repeat(19);
            text.insert(at, '\0');
            assert_eq!(packed(text.as_str().into()), wide(&text));
            let mut text = "x".repeat(19);
            text.insert(at, '\u{7f}');
            text.insert(at, '\u{80}');
            assert_eq!(packed(text.as_str().into()), wide(&text));
        }
    }

    #[test]
    fn every_type_has_its_bytes() {
        use HttpTraceType as T;
        assert_eq!(packed((-2i16).into()), [0xFE, 0xFF]);
        assert_eq!(packed(true.into()), [1, 0, 0, 0]);
        assert_eq!(packed(b"GET\0x".into()), b"GET\0");
        assert_eq!(packed(HttpTraceData::bytes(T::LPCWSTR, b"a\0b\0\0\0c\0")), b"a\0b\0\0\0");
        assert_eq!(packed(HttpTraceData::bytes(T::LPCSTR, b"a")), b"a\0");
        assert_eq!(packed(HttpTraceData::bytes(T::LONGLONG, &[9; 8])), [9; 8]);
        for data_type in T::ALL {
            let bytes = packed(HttpTraceData::null(data_type));
            let empty = if data_type == T::LPCSTR { 1 } else { 2 };
            assert_eq!(bytes, vec![0; data_type.width().unwrap_or(empty)]);
        }
    }

    #[test]
    fn what_is_not_of_its_type_has_no_capacity() {
        use HttpTraceType as T;
        let wrong = [
            HttpTraceData::bytes(T::ULONG, &[1, 2, 3]),
            HttpTraceData::bytes(T::LPCWSTR, &[1, 2, 3]),
            HttpTraceData::bytes(T::LPCGUID, &[]),
            HttpTraceData::bytes(T(99), &[1]),
            HttpTraceData::null(T(0)),
        ];
        for data in wrong {
            assert_eq!(survey(&[HttpTraceEventItem::new("", data)]), None, "{data:?}");
        }
        assert_eq!(survey(&[]), Some(Survey { capacity: 0, key: 0 }));
    }
}
