//! Items one behind the other, as they lie in the payload of a record.
//!
//! Two passes: the first adds up how many bytes the items take at most and makes the key of their
//! names, the second writes them. What a value is was found out when it was made, so the passes
//! have few branches and no jump by type. A value is stored as 8 or 16 bytes, whatever its width
//! is, and the next one overwrites what was too much. Text is looked at and widened eight
//! characters at a time.

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
/// whatever their width is.
pub(super) const SLACK: usize = 16;

/// A capacity with slack, where that does no harm: a record may be as large as a buffer.
pub(super) fn with_slack(capacity: usize) -> usize {
    if capacity < 2048 { capacity + SLACK } else { capacity }
}

/// Where items are written.
pub(super) trait Room {
    /// Stores the first `width` bytes of a value at a place. What lies behind them may be
    /// overwritten. A value for which there is no room is left out.
    fn put<const N: usize>(&mut self, at: usize, value: [u8; N], width: usize);
}

/// Room of a size that is known when the program is built, with slack for whole values: a store
/// costs one compare.
impl<const ROOM: usize> Room for [u8; ROOM] {
    #[inline(always)]
    fn put<const N: usize>(&mut self, at: usize, value: [u8; N], _: usize) {
        debug_assert!(at <= ROOM - N, "{at} of {ROOM}");
        if at <= ROOM - N {
            self[at..][..N].copy_from_slice(&value);
        }
    }
}

/// Room that may be just enough.
impl Room for [u8] {
    #[inline(always)]
    fn put<const N: usize>(&mut self, at: usize, value: [u8; N], width: usize) {
        debug_assert!(at + width <= self.len(), "{at} and {width} of {}", self.len());
        let behind = self.get_mut(at..).unwrap_or_default();
        if let Some(place) = behind.first_chunk_mut() {
            *place = value;
        } else if let Some(place) = behind.get_mut(..width) {
            place.copy_from_slice(&value[..width]);
        }
    }
}

/// Writes the items to the start of `room` and says how many bytes they take. It has to have room
/// for their capacity. A GUID without a value that comes first becomes `activity`.
#[inline(always)]
pub(super) fn pack(
    items: &[HttpTraceEventItem<'_>],
    activity: &Guid,
    room: &mut (impl Room + ?Sized),
) -> usize {
    let mut at = 0;
    for item in items {
        let data = &item.data;
        match data.form {
            Form::Number => {
                room.put(at, data.number.to_le_bytes(), data.most as usize);
                at += data.most as usize;
            }
            Form::Wide => at = put_wide(room, at, data.bytes),
            Form::NoGuid => {
                // No item takes no bytes.
                let is_first = at == 0;
                room.put(at, if is_first { activity.0 } else { [0; 16] }, 16);
                at += 16;
            }
            _ => at = put_other(room, at, data),
        }
    }
    at
}

/// Writes a value of another form, and says where it ends. This and `put_wide` stand apart, so that
/// the numbers in between find everything in registers.
#[inline(never)]
fn put_other(room: &mut (impl Room + ?Sized), at: usize, data: &HttpTraceData<'_>) -> usize {
    match data.form {
        Form::Narrow => put_until_zero(room, at, data.bytes, ONES),
        Form::Units => put_until_zero(room, at, data.bytes, UNITS),
        Form::Guid => {
            room.put(at, data.bytes.first_chunk().copied().unwrap_or([0; 16]), 16);
            at + 16
        }
        Form::Number | Form::Wide | Form::NoGuid | Form::Wrong => at,
    }
}

/// UTF-8 up to the first NUL and a NUL, as UTF-16.
#[inline(never)]
fn put_wide(room: &mut (impl Room + ?Sized), mut at: usize, text: &[u8]) -> usize {
    let Some(last) = text.last_chunk::<8>() else {
        if text.is_empty() {
            room.put(at, [0; 2], 2);
            return at + 2;
        }
        let word = short(text);
        if word & HIGH != 0 {
            return put_any(room, at, text);
        }
        room.put(at, spread(word), 2 * first_zero(word, ONES) + 2);
        return at + 2 * first_zero(word, ONES) + 2;
    };
    let mut rest = text;
    // Each is stored before it is looked at: loaded as a number first, it would be taken apart in
    // registers to be widened.
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        room.put(at, widened(eight), 16);
        let word = u64::from_le_bytes(*eight);
        if word & HIGH != 0 {
            return put_any(room, at, rest);
        }
        if zeros(word, ONES) != 0 {
            return at + 2 * first_zero(word, ONES) + 2;
        }
        at += 16;
        rest = behind;
    }
    if !rest.is_empty() {
        // Once more with some of those in front of them.
        let back = 2 * (8 - rest.len());
        room.put(at - back, widened(last), 16);
        let word = u64::from_le_bytes(*last);
        if word & HIGH != 0 {
            return put_any(room, at, rest);
        }
        if zeros(word, ONES) != 0 {
            return at - back + 2 * first_zero(word, ONES) + 2;
        }
        at += 2 * rest.len();
    }
    room.put(at, [0; 2], 2);
    at + 2
}

/// The same of any characters.
#[cold]
fn put_any(room: &mut (impl Room + ?Sized), mut at: usize, text: &[u8]) -> usize {
    // It was a `str`, and only whole ASCII characters were taken from its front.
    let text = std::str::from_utf8(text).unwrap_or_default();
    for unit in text.encode_utf16().take_while(|unit| *unit != 0).chain([0]) {
        room.put(at, unit.to_le_bytes(), 2);
        at += 2;
    }
    at
}

/// Units up to the first one that is zero, and that.
#[inline(always)]
fn put_until_zero(room: &mut (impl Room + ?Sized), mut at: usize, text: &[u8], low: u64) -> usize {
    let width = if low == UNITS { 2 } else { 1 };
    let mut rest = text;
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        room.put(at, *eight, 8);
        let word = u64::from_le_bytes(*eight);
        if zeros(word, low) != 0 {
            return at + first_zero(word, low) + width;
        }
        at += 8;
        rest = behind;
    }
    // What is left, with zeros behind it.
    let word = match text.last_chunk::<8>() {
        Some(_) if rest.is_empty() => 0,
        Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        None => short(rest),
    };
    let end = first_zero(word, low) + width;
    room.put(at, word.to_le_bytes(), end);
    at + end
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
const UNITS: u64 = 0x0001_0001_0001_0001;

/// Not 0 if one of the word's units is: of its bytes if `low` has their lowest bits, of its 16-bit
/// units if it has theirs. The lowest bit that is set is the highest of the first such unit.
#[inline(always)]
fn zeros(word: u64, low: u64) -> u64 {
    // The subtraction sets the high bit of a unit that was 0. The borrow of one may do so in those
    // above it.
    word.wrapping_sub(low) & !word & low.rotate_right(1)
}

/// How many bytes are in front of the first such unit.
#[inline(always)]
fn first_zero(word: u64, low: u64) -> usize {
    let bits = zeros(word, low).trailing_zeros() as usize;
    if low == UNITS { bits / 16 * 2 } else { bits / 8 }
}

/// Up to seven bytes with zeros behind them, made of pieces that overlap.
#[inline(always)]
fn short(text: &[u8]) -> u64 {
    let shift = |value: u64, bytes: usize| value << (8 * (bytes & 7));
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | shift(last, text.len() - 4);
    }
    let (Some(first), Some(last)) = (text.first(), text.last()) else { return 0 };
    let middle = text.len() / 2;
    u64::from(*first) | shift(text[middle].into(), middle) | shift((*last).into(), text.len() - 1)
}

/// Eight bytes as eight units of UTF-16.
#[inline(always)]
fn widened(bytes: &[u8; 8]) -> [u8; 16] {
    let mut units = [0; 16];
    for (unit, byte) in units.chunks_exact_mut(2).zip(bytes) {
        unit.copy_from_slice(&u16::from(*byte).to_le_bytes());
    }
    units
}

/// The same of bytes that are in a register.
#[inline(always)]
fn spread(word: u64) -> [u8; 16] {
    let four = |word: u64| {
        let pairs = (word | word << 16) & 0x0000_FFFF_0000_FFFF;
        (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF
    };
    let (low, high) = (four(word & 0xFFFF_FFFF), four(word >> 32));
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iis::HttpTraceType;

    fn packed(data: HttpTraceData<'_>) -> Vec<u8> {
        let items = [HttpTraceEventItem::new("", 1u8), HttpTraceEventItem::new("", data)];
        let mut just_enough = vec![0xEE; survey(&items).unwrap().capacity];
        let len = pack(&items, &Guid::from_u128(7), &mut just_enough[..]);
        let mut more = [0xDD; 256];
        assert_eq!(pack(&items, &Guid::from_u128(7), &mut more), len);
        assert_eq!(just_enough[..len], more[..len]);
        just_enough[1..len].to_vec()
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
    fn strings_of_any_length_end_at_their_first_zero() {
        use HttpTraceType as T;
        let bytes: Vec<u8> = (1..=30).map(|byte| (byte * 8) | 1).collect();
        for len in 0..=bytes.len() {
            let ascii: String = bytes[..len].iter().map(|byte| char::from(byte & 0x7F)).collect();
            for zero in 0..=len {
                let mut narrow = bytes[..len].to_vec();
                narrow.extend_from_slice(b"\0behind it");
                // One that does not belong to a unit, and one that does.
                let mut units = vec![0x61, 0];
                units.extend(narrow.iter().flat_map(|byte| [0, *byte]));
                let mut text = ascii.clone();
                for at in [len, zero] {
                    narrow[at] = 0;
                    text.insert(at, '\0');
                    units[2 * at + 3] = 0;
                }
                let end = 2 * zero + 2;
                assert_eq!(packed(narrow.as_slice().into()), [&narrow[..zero], &[0]].concat());
                assert_eq!(packed(narrow[..zero].into()), [&narrow[..zero], &[0]].concat());
                assert_eq!(packed(text.as_str().into()), wide(&text));
                assert_eq!(packed(text[..zero].into()), wide(&text));
                let expected = [&units[..end], &[0, 0]].concat();
                assert_eq!(packed(HttpTraceData::bytes(T::LPCWSTR, &units)), expected);
                assert_eq!(packed(HttpTraceData::bytes(T::LPCWSTR, &units[..end])), expected);
            }
        }
    }

    #[test]
    fn only_the_first_guid_without_a_value_is_that_of_the_request() {
        let null = HttpTraceEventItem::new("", HttpTraceData::null(HttpTraceType::LPCGUID));
        let own = Guid::from_u128(9);
        let items = [null, HttpTraceEventItem::new("", &own), null];
        let mut out = [0xEE; 64];
        let activity = Guid::from_u128(7);
        assert_eq!(pack(&items, &activity, &mut out), 48);
        assert_eq!(out[..48], [activity.0, own.0, [0; 16]].concat());
        assert_eq!(pack(&items, &activity, &mut out[..48]), 48);
        assert_eq!(out[..48], [activity.0, own.0, [0; 16]].concat());
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
