//! JSON written straight into a buffer: numbers, GUIDs and hex without a formatter in between.

use crate::codec::Utf16;
use crate::export::text::is_unsafe;
use crate::format::Guid;

/// `"key":`, with a comma before it. The key is written as it is.
#[inline]
pub fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A whole number.
#[inline]
pub fn number(out: &mut Vec<u8>, value: u64) {
    const BLOCK: u64 = 100_000_000;
    if value < 10 {
        out.push(b'0' + (value & 15) as u8);
    } else if value < BLOCK {
        leading(out, value);
    } else {
        large(out, value);
    }
}

/// A number of more than eight digits.
fn large(out: &mut Vec<u8>, value: u64) {
    const BLOCK: u64 = 100_000_000;
    let (high, low) = (value / BLOCK, value % BLOCK);
    if high < BLOCK {
        leading(out, high);
    } else {
        leading(out, high / BLOCK);
        out.extend_from_slice(&eight_digits(high % BLOCK));
    }
    out.extend_from_slice(&eight_digits(low));
}

/// A number below 10^8 without leading zeros.
#[inline]
fn leading(out: &mut Vec<u8>, value: u64) {
    let digits = u64::from_le_bytes(eight_digits(value)) - ZEROS;
    // The first digits are the low bytes.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    first(out, (digits | ZEROS) >> (8 * zeros), 8 - zeros as usize);
}

/// The first `count` bytes of a word; stored whole and cut, which is faster than a copy of a
/// length that only the run knows.
#[inline]
fn first(out: &mut Vec<u8>, word: u64, count: usize) {
    let end = out.len() + count;
    out.extend_from_slice(&word.to_le_bytes());
    out.truncate(end);
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Eight decimal digits of a number below 10^8, all of them at once in the lanes of a word: split
/// in halves of four digits, these in pairs, these in digits. A multiplication by 10486 / 2^20
/// divides by 100, one by 103 / 2^10 by 10, each exactly for what its lane can hold.
#[inline]
pub fn eight_digits(value: u64) -> [u8; 8] {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7F_0000_007F;
    let pairs = hundreds | (halves - 100 * hundreds) << 16;
    let tens = ((pairs * 103) >> 10) & 0x000F_000F_000F_000F;
    (tens | (pairs - 10 * tens) << 8 | ZEROS).to_le_bytes()
}

/// A whole number with a sign if it needs one.
#[inline]
pub fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// A number or `null`.
#[inline]
pub fn optional(out: &mut Vec<u8>, value: Option<impl Into<u64>>) {
    match value {
        Some(value) => number(out, value.into()),
        None => out.extend_from_slice(b"null"),
    }
}

/// `"68fdd900-4a3e-11d1-84f4-0000f80464e3"`.
pub fn guid(out: &mut Vec<u8>, guid: Guid) {
    let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7] = guid.0;
    let a = hex_digits(u32::from_le_bytes([a0, a1, a2, a3]));
    let b = hex_digits(u32::from_le_bytes([c0, c1, b0, b1]));
    let c = hex_digits(u32::from_le_bytes([d3, d2, d1, d0]));
    let d = hex_digits(u32::from_le_bytes([d7, d6, d5, d4]));
    let mut text = *b"\"00000000-0000-0000-0000-000000000000\"";
    text[1..9].copy_from_slice(&a);
    text[10..14].copy_from_slice(&b[..4]);
    text[15..19].copy_from_slice(&b[4..]);
    text[20..24].copy_from_slice(&c[..4]);
    text[25..29].copy_from_slice(&c[4..]);
    text[29..37].copy_from_slice(&d);
    out.extend_from_slice(&text);
}

/// The hexadecimal digits of a word, all of them at once: its nibbles are spread over the bytes of
/// a larger word, first digit lowest, and those above nine are moved on to the letters.
#[inline]
fn hex_digits(value: u32) -> [u8; 8] {
    let mut nibbles = u64::from(value.swap_bytes());
    nibbles = (nibbles | nibbles << 16) & 0x0000_FFFF_0000_FFFF;
    nibbles = (nibbles | nibbles << 8) & 0x00FF_00FF_00FF_00FF;
    nibbles = (nibbles >> 4 | nibbles << 8) & 0x0F0F_0F0F_0F0F_0F0F;
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (nibbles + ZEROS + letters * u64::from(b'a' - b'9' - 1)).to_le_bytes()
}

/// Eight hex digits.
#[inline]
pub fn hex32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&hex_digits(value));
}

/// `"0x1f"`.
#[inline]
pub fn hex_string(out: &mut Vec<u8>, value: u64) {
    out.push(b'"');
    hex_number(out, value);
    out.push(b'"');
}

/// `0x1f`.
#[inline]
pub(crate) fn hex_number(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(b"0x");
    let [a, b, c, d, high @ ..] = value.to_le_bytes();
    let (high, low) = (u32::from_le_bytes(high), u32::from_le_bytes([a, b, c, d]));
    let start = if high == 0 { low } else { high };
    let zeros = (start.leading_zeros() / 4).min(7);
    let digits = u64::from_le_bytes(hex_digits(start));
    first(out, digits >> (8 * zeros), 8 - zeros as usize);
    if high != 0 {
        out.extend_from_slice(&hex_digits(low));
    }
}

/// Bytes as a string of hex digits.
pub fn hex_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = word.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        out.extend_from_slice(&hex_digits(word));
    }
    for byte in words.remainder() {
        out.extend_from_slice(&hex_digits(u32::from(*byte))[6..]);
    }
    out.push(b'"');
}

/// A string; besides what JSON demands, everything that could steer a terminal is escaped.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// The inside of a string.
pub(crate) fn escape(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let (plain, behind) = rest.split_at(plain_bytes(rest.as_bytes()));
        out.extend_from_slice(plain.as_bytes());
        let mut characters = behind.chars();
        let Some(c) = characters.next() else { return };
        character(out, c);
        rest = characters.as_str();
    }
}

/// How many bytes from the first one stand in a string as they are.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        if !all_plain(u64::from_le_bytes(*word)) {
            break;
        }
        rest = behind;
    }
    let last = rest.iter().take_while(|byte| PLAIN[usize::from(**byte)]).count();
    bytes.len() - rest.len() + last
}

/// Whether all eight bytes of a word stand in a string as they are: none below a blank, above a
/// tilde, a quote or a backslash. A borrow that runs from one byte into the next only starts at a
/// byte that is none of these itself.
#[inline]
fn all_plain(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * b'"' as u64));
    let backslash = zero(word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    let delete = word.wrapping_add(ONES);
    (quote | backslash | control | delete | word) & TOPS == 0
}

/// UTF-16 in little-endian bytes as a string.
pub fn utf16(out: &mut Vec<u8>, text: Utf16<'_>) {
    out.push(b'"');
    let mut rest = text.0;
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        match narrow(block) {
            Some(bytes) => out.extend_from_slice(&bytes),
            None if !ascii(out, block) => break,
            None => {}
        }
        rest = behind;
    }
    if rest.len() >= 16 || !ascii(out, rest) {
        Utf16(rest).chars().for_each(|c| character(out, c));
    }
    out.push(b'"');
}

/// Eight units as bytes, if all of them stand in a string as they are.
#[inline]
fn narrow(block: &[u8; 16]) -> Option<[u8; 8]> {
    const HIGH: u64 = 0xFF00_FF00_FF00_FF00;
    let (a, b) = block.split_first_chunk()?;
    let (a, b) = (u64::from_le_bytes(*a), u64::from_le_bytes(b.try_into().ok()?));
    let pack = |units: u64| {
        let pairs = (units | units >> 8) & 0x0000_FFFF_0000_FFFF;
        (pairs | pairs >> 16) & u64::from(u32::MAX)
    };
    let bytes = pack(a) | pack(b) << 32;
    ((a | b) & HIGH == 0 && all_plain(bytes)).then_some(bytes.to_le_bytes())
}

/// Appends units if all of them are ASCII; else nothing, so that no pair of surrogates is torn.
fn ascii(out: &mut Vec<u8>, units: &[u8]) -> bool {
    let start = out.len();
    for unit in units.chunks_exact(2) {
        match *unit {
            [low, 0] if PLAIN[usize::from(low)] => out.push(low),
            [low, 0] if low.is_ascii() => character(out, char::from(low)),
            _ => {
                out.truncate(start);
                return false;
            }
        }
    }
    true
}

/// Bytes that stand in a string as they are.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'"' | b'\\');
        byte += 1;
    }
    plain
};

/// One character within a string.
#[inline]
pub fn character(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        c if is_unsafe(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&hex_digits(u32::from(*unit))[4..]);
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_those_of_the_formatter() {
        for value in [0, 7, 10, 99, 100, 101, 12_345, u64::MAX, u64::MAX / 10] {
            assert_eq!(written(|out| number(out, value)), value.to_string());
        }
        assert_eq!(written(|out| signed(out, i64::MIN)), i64::MIN.to_string());
        let id = Guid::from_u128(0x68fdd900_4a3e_11d1_84f4_0000f80464e3);
        assert_eq!(written(|out| guid(out, id)), format!("\"{id}\""));
        assert_eq!(written(|out| hex32(out, 0x1f)), "0000001f");
        assert_eq!(written(|out| hex_string(out, 0)), "\"0x0\"");
        assert_eq!(written(|out| hex_string(out, u64::MAX)), "\"0xffffffffffffffff\"");
    }

    #[test]
    fn digits_of_every_number_of_digits_are_right() {
        for shift in 0..64 {
            for near in [0u64, 1, 2, 9, 10] {
                let value = (1u64 << shift).wrapping_sub(near).wrapping_mul(3);
                assert_eq!(written(|out| number(out, value)), value.to_string());
                assert_eq!(written(|out| hex_string(out, value)), format!("\"{value:#x}\""));
            }
        }
        for power in 0..20 {
            let power = 10u64.pow(power);
            for value in [power - 1, power, power + 1] {
                assert_eq!(written(|out| number(out, value)), value.to_string());
            }
        }
        // Every pair of digits in each place of a block.
        for value in (0..100_000_000u64).step_by(9_973) {
            assert_eq!(eight_digits(value)[..], *format!("{value:08}").as_bytes());
        }
        for length in 0..9 {
            let bytes: Vec<u8> = (0x9F..).step_by(11).take(length).collect();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(written(|out| hex_bytes(out, &bytes)), format!("\"{digits}\""));
        }
    }

    /// One character after the other, as the fast paths must not differ from.
    fn slow(text: &str) -> String {
        written(|out| {
            out.push(b'"');
            text.chars().for_each(|c| character(out, c));
            out.push(b'"');
        })
    }

    #[test]
    fn every_character_is_escaped_in_every_place_of_a_block() {
        let special = (0..0x180).chain([0x202e, 0x2060, 0xd7ff, 0xe000, 0x1f600, 0xe0001]);
        for c in special.filter_map(char::from_u32) {
            for before in 0..18 {
                for after in [0, 1, 7, 8, 15, 16] {
                    let text = format!("{}{c}{}", "x".repeat(before), "y".repeat(after));
                    assert_eq!(written(|out| string(out, &text)), slow(&text));
                    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                    assert_eq!(written(|out| utf16(out, Utf16(&units))), slow(&text));
                }
            }
        }
        // Halves of pairs, alone and apart, and half a unit.
        for units in [&b"\x00\xd8a\0"[..], b"a\0\x00\xdc\x00\xd8", b"a\0b", b"a"] {
            let units = [&b"x\0".repeat(7)[..], units].concat();
            let text: String = Utf16(&units).chars().collect();
            assert_eq!(written(|out| utf16(out, Utf16(&units))), slow(&text));
        }
    }

    #[test]
    fn strings_are_read_back_and_steer_nothing() {
        for text in ["plain", "\"\\\n\x1b[1m\u{202e}\u{e0001}\u{1f600}"] {
            let json = written(|out| string(out, text));
            assert!(!json.chars().any(is_unsafe));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
