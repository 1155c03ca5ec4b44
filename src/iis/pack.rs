//! Items one behind the other, as they lie in the payload of a record.
//!
//! Two passes: the first adds up how many bytes the items take at most and makes the key of their
//! names, the second writes them. Each looks once at what a value is: that look is a jump. Text of ASCII characters is widened eight characters at a time.

use crate::format::Guid;
use crate::iis::{HttpTraceData, HttpTraceEventItem, HttpTraceType};

/// What a look at the items tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Bytes that the items take at most.
    pub(super) capacity: usize,
    /// What tells items apart whose names are static: see `kinds`.
    pub(super) key: u64,
}

/// Looks at the items; `None` if one is not what its type says.
#[inline]
pub(super) fn survey(items: &[HttpTraceEventItem<'_>]) -> Option<Survey> {
    let (mut capacity, mut key) = (0usize, 0u64);
    for item in items {
        let (data_type, most) = measure(&item.data)?;
        // At most 2^57 items fit in memory, each of less than half of it: no sum of real items
        // comes near the end, and one that does is far too large for a record anyway.
        capacity = capacity.saturating_add(most);
        key = key.rotate_left(23).wrapping_add(mix(item.name, u64::from(data_type.0)));
        if let Some(meaning) = item.data_description {
            let value = item.data.number().unwrap_or(u64::MAX);
            key = key.rotate_left(23).wrapping_add(mix(meaning, !value));
        }
    }
    Some(Survey { capacity, key })
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

/// Type and most bytes of a value; `None` if it is not what its type says.
#[inline(always)]
fn measure(data: &HttpTraceData<'_>) -> Option<(HttpTraceType, usize)> {
    use HttpTraceType as T;
    Some(match *data {
        HttpTraceData::Byte(_) => (T::BYTE, 1),
        HttpTraceData::Char(_) => (T::CHAR, 1),
        HttpTraceData::UShort(_) => (T::USHORT, 2),
        HttpTraceData::Short(_) => (T::SHORT, 2),
        HttpTraceData::ULong(_) => (T::ULONG, 4),
        HttpTraceData::Long(_) => (T::LONG, 4),
        HttpTraceData::Bool(_) => (T::BOOL, 4),
        HttpTraceData::ULongLong(_) => (T::ULONGLONG, 8),
        HttpTraceData::LongLong(_) => (T::LONGLONG, 8),
        HttpTraceData::Guid(_) => (T::LPCGUID, 16),
        // No character has more units in UTF-16 than bytes in UTF-8.
        HttpTraceData::Wide(text) => (T::LPCWSTR, text.len().saturating_mul(2).saturating_add(2)),
        HttpTraceData::Narrow(text) => (T::LPCSTR, text.len().saturating_add(1)),
        HttpTraceData::Bytes(data_type, bytes) => (data_type, bytes_of(data_type, bytes)?),
        HttpTraceData::Null(T::LPCGUID) => (T::LPCGUID, 16),
        HttpTraceData::Null(data_type) => (data_type, bytes_of_null(data_type)?),
    })
}

fn bytes_of(data_type: HttpTraceType, bytes: &[u8]) -> Option<usize> {
    match data_type {
        HttpTraceType::LPCSTR => Some(bytes.len().saturating_add(1)),
        HttpTraceType::LPCWSTR => (bytes.len() % 2 == 0).then(|| bytes.len().saturating_add(2)),
        fixed => fixed.width().filter(|width| *width == bytes.len()),
    }
}

fn bytes_of_null(data_type: HttpTraceType) -> Option<usize> {
    match data_type {
        HttpTraceType::LPCSTR => Some(1),
        HttpTraceType::LPCWSTR => Some(2),
        fixed => fixed.width(),
    }
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
    for (index, item) in items.iter().enumerate() {
        match item.data {
            HttpTraceData::Byte(value) => out.put_fixed(value.into(), 1),
            HttpTraceData::Char(value) => out.put_fixed(low(value.to_le_bytes()), 1),
            HttpTraceData::UShort(value) => out.put_fixed(value.into(), 2),
            HttpTraceData::Short(value) => out.put_fixed(low(value.to_le_bytes()), 2),
            HttpTraceData::ULong(value) => out.put_fixed(value.into(), 4),
            HttpTraceData::Long(value) => out.put_fixed(low(value.to_le_bytes()), 4),
            HttpTraceData::Bool(value) => out.put_fixed(value.into(), 4),
            HttpTraceData::ULongLong(value) => out.put_fixed(value, 8),
            HttpTraceData::LongLong(value) => out.put_fixed(low(value.to_le_bytes()), 8),
            HttpTraceData::Guid(value) => out.put_guid(value),
            HttpTraceData::Wide(text) => out.put_wide(text),
            HttpTraceData::Narrow(text) => out.put_narrow(text),
            HttpTraceData::Null(HttpTraceType::LPCGUID) if index == 0 => out.put_guid(activity),
            HttpTraceData::Null(data_type) => {
                out.put(&[0; 16][..bytes_of_null(data_type).unwrap_or(0)]);
            }
            HttpTraceData::Bytes(data_type, bytes) => out.put_bytes(data_type, bytes),
        }
    }
    out.at
}

/// A number of at most eight bytes, without its sign.
#[inline(always)]
fn low<const N: usize>(bytes: [u8; N]) -> u64 {
    let mut all = [0; 8];
    all[..N].copy_from_slice(&bytes);
    u64::from_le_bytes(all)
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

    #[inline(always)]
    fn put_guid(&mut self, guid: Guid) {
        self.put_long(guid.0, 16);
    }

    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..][..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    #[inline(never)]
    fn put_bytes(&mut self, data_type: HttpTraceType, bytes: &[u8]) {
        match data_type {
            HttpTraceType::LPCSTR => self.put_narrow(bytes),
            HttpTraceType::LPCWSTR => {
                let mut units = bytes.chunks_exact(2);
                let end = units.position(|unit| unit == [0, 0]).map_or(bytes.len(), |at| at * 2);
                self.put(&bytes[..end]);
                self.put(&[0, 0]);
            }
            _ => self.put(bytes),
        }
    }

    /// Text and its terminator as UTF-16.
    #[inline]
    fn put_wide(&mut self, text: &str) {
        let mut bytes = text.as_bytes();
        while let Some((eight, behind)) = bytes.split_first_chunk::<8>() {
            if !are_plain(u64::from_le_bytes(*eight)) {
                break;
            }
            self.put_long(widened(*eight), 16);
            bytes = behind;
        }
        // What is left of plain text in one piece: it lies in memory with what is in front of it.
        if let (1..8, Some(eight)) = (bytes.len(), text.as_bytes().last_chunk::<8>()) {
            let left = u64::from_le_bytes(*eight) >> (64 - 8 * bytes.len());
            let filled = left | ONES << (8 * bytes.len());
            if are_plain(filled) {
                self.put_long(widened(left.to_le_bytes()), 2 * bytes.len());
                bytes = &[];
            }
        }
        while let Some((byte, behind)) = bytes.split_first() {
            if !matches!(byte, 1..=0x7F) {
                self.put_any(&text[text.len() - bytes.len()..]);
                break;
            }
            self.put_fixed((*byte).into(), 2);
            bytes = behind;
        }
        self.put_fixed(0, 2);
    }

    /// Text of any characters up to the first NUL, without a terminator.
    #[cold]
    fn put_any(&mut self, text: &str) {
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
        assert_eq!(packed(HttpTraceData::Bytes(T::LPCWSTR, b"a\0b\0\0\0c\0")), b"a\0b\0\0\0");
        assert_eq!(packed(HttpTraceData::Bytes(T::LPCSTR, b"a")), b"a\0");
        assert_eq!(packed(HttpTraceData::Bytes(T::LONGLONG, &[9; 8])), [9; 8]);
        for data_type in T::ALL {
            let bytes = packed(HttpTraceData::Null(data_type));
            let empty = if data_type == T::LPCSTR { 1 } else { 2 };
            assert_eq!(bytes, vec![0; data_type.width().unwrap_or(empty)]);
        }
    }

    #[test]
    fn what_is_not_of_its_type_has_no_capacity() {
        use HttpTraceType as T;
        let wrong = [
            HttpTraceData::Bytes(T::ULONG, &[1, 2, 3]),
            HttpTraceData::Bytes(T::LPCWSTR, &[1, 2, 3]),
            HttpTraceData::Bytes(T::LPCGUID, &[]),
            HttpTraceData::Bytes(T(99), &[1]),
            HttpTraceData::Null(T(0)),
        ];
        for data in wrong {
            assert_eq!(survey(&[HttpTraceEventItem::new("", data)]), None, "{data:?}");
        }
        assert_eq!(survey(&[]), Some(Survey { capacity: 0, key: 0 }));
    }
}
