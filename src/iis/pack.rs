//! Items one behind the other, as they lie in the payload of a record.
//!
//! Two passes: the first adds up how many bytes the items take at most and looks at what they are,
//! the second writes them. Text of ASCII characters is widened eight characters at a time.

use crate::format::Guid;
use crate::iis::{HttpTraceData, HttpTraceEventItem, HttpTraceType};

/// Bytes that the items take at most; `None` if one is not what its type says.
#[inline]
pub(super) fn capacity(items: &[HttpTraceEventItem<'_>]) -> Option<usize> {
    let mut sum = 0usize;
    for item in items {
        sum = sum.checked_add(most(&item.data)?)?;
    }
    Some(sum)
}

#[inline]
fn most(data: &HttpTraceData<'_>) -> Option<usize> {
    use HttpTraceType as T;
    Some(match data {
        HttpTraceData::Byte(_) | HttpTraceData::Char(_) => 1,
        HttpTraceData::UShort(_) | HttpTraceData::Short(_) => 2,
        HttpTraceData::ULong(_) | HttpTraceData::Long(_) | HttpTraceData::Bool(_) => 4,
        HttpTraceData::ULongLong(_) | HttpTraceData::LongLong(_) => 8,
        HttpTraceData::Guid(_) => 16,
        // No character has more units in UTF-16 than bytes in UTF-8.
        HttpTraceData::Wide(text) => text.len().checked_mul(2)?.checked_add(2)?,
        HttpTraceData::Narrow(text) | HttpTraceData::Bytes(T::LPCSTR, text) => {
            text.len().checked_add(1)?
        }
        HttpTraceData::Bytes(T::LPCWSTR, text) if text.len() % 2 == 0 => {
            text.len().checked_add(2)?
        }
        HttpTraceData::Null(T::LPCSTR) => 1,
        HttpTraceData::Null(T::LPCWSTR) => 2,
        HttpTraceData::Null(data_type) => data_type.width()?,
        HttpTraceData::Bytes(data_type, bytes) => {
            data_type.width().filter(|width| *width == bytes.len())?
        }
    })
}

/// Writes the items to the start of `out`, which has room for their [`capacity`], and says how many
/// bytes they took. A GUID without a value that comes first becomes `activity`.
#[inline]
pub(super) fn pack(items: &[HttpTraceEventItem<'_>], activity: Guid, out: &mut [u8]) -> usize {
    use HttpTraceType as T;
    let mut rest = &mut *out;
    for (index, item) in items.iter().enumerate() {
        match &item.data {
            HttpTraceData::ULong(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::Wide(text) => put_wide(&mut rest, text),
            HttpTraceData::Narrow(text) | HttpTraceData::Bytes(T::LPCSTR, text) => {
                put_narrow(&mut rest, text);
            }
            HttpTraceData::Guid(value) => put(&mut rest, &value.0),
            HttpTraceData::Bool(value) => put(&mut rest, &u32::from(*value).to_le_bytes()),
            HttpTraceData::Byte(value) => put(&mut rest, &[*value]),
            HttpTraceData::UShort(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::ULongLong(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::Char(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::Short(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::Long(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::LongLong(value) => put(&mut rest, &value.to_le_bytes()),
            HttpTraceData::Bytes(T::LPCWSTR, text) => {
                let mut units = text.chunks_exact(2);
                let end = units.position(|unit| unit == [0, 0]).map_or(text.len(), |at| at * 2);
                put(&mut rest, &text[..end]);
                put(&mut rest, &[0, 0]);
            }
            HttpTraceData::Bytes(_, bytes) => put(&mut rest, bytes),
            HttpTraceData::Null(T::LPCGUID) if index == 0 => put(&mut rest, &activity.0),
            HttpTraceData::Null(T::LPCSTR) => put(&mut rest, &[0]),
            HttpTraceData::Null(T::LPCWSTR) => put(&mut rest, &[0, 0]),
            HttpTraceData::Null(data_type) => {
                put(&mut rest, &[0; 16][..data_type.width().unwrap_or(0)]);
            }
        }
    }
    let left = rest.len();
    out.len() - left
}

/// Moves `bytes` to the front of `rest`, which goes on behind them.
#[inline(always)]
fn put(rest: &mut &mut [u8], bytes: &[u8]) {
    let (target, behind) = std::mem::take(rest).split_at_mut(bytes.len());
    target.copy_from_slice(bytes);
    *rest = behind;
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether the eight bytes are ASCII characters other than NUL.
#[inline(always)]
fn are_plain(bytes: &[u8; 8]) -> bool {
    let word = u64::from_le_bytes(*bytes);
    // A byte below 0x80 has its high bit set after the subtraction only if it was 0, or if one
    // below it was.
    (word | word.wrapping_sub(ONES)) & HIGH == 0
}

/// Text and its terminator as UTF-16.
#[inline]
fn put_wide(rest: &mut &mut [u8], text: &str) {
    let mut bytes = text.as_bytes();
    while let Some((eight, behind)) = bytes.split_first_chunk::<8>() {
        if !are_plain(eight) {
            break;
        }
        put(rest, eight.map(u16::from).map(u16::to_le_bytes).as_flattened());
        bytes = behind;
    }
    while let Some((byte, behind)) = bytes.split_first() {
        if !matches!(byte, 1..=0x7F) {
            break;
        }
        put(rest, &[*byte, 0]);
        bytes = behind;
    }
    if !bytes.is_empty() {
        put_any(rest, &text[text.len() - bytes.len()..]);
    }
    put(rest, &[0, 0]);
}

/// Text of any characters up to the first NUL, without a terminator.
#[cold]
fn put_any(rest: &mut &mut [u8], text: &str) {
    for unit in text.encode_utf16().take_while(|unit| *unit != 0) {
        put(rest, &unit.to_le_bytes());
    }
}

/// Bytes up to the first zero, and a zero.
#[inline]
fn put_narrow(rest: &mut &mut [u8], text: &[u8]) {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    put(rest, &text[..end]);
    put(rest, &[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(data: HttpTraceData<'_>) -> Vec<u8> {
        let items = [HttpTraceEventItem::new("", 1u8), HttpTraceEventItem::new("", data)];
        let mut out = vec![0xEE; capacity(&items).unwrap()];
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
            assert_eq!(capacity(&[HttpTraceEventItem::new("", data)]), None, "{data:?}");
        }
        assert_eq!(capacity(&[]), Some(0));
    }
}
