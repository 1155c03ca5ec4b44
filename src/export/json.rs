//! JSON written straight into a buffer: numbers, GUIDs and hex without a formatter in between.

use crate::codec::Utf16;
use crate::export::text::is_unsafe;
use crate::format::Guid;

/// `"key":`, with a comma before it.
pub fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A whole number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    const PAIRS: &[u8; 200] = &pairs();
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while value >= 100 {
        let pair = 2 * (value % 100) as usize;
        value /= 100;
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    // Below 100, as the remainder above.
    let pair = 2 * (value % 100) as usize;
    if value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        digits[at] = PAIRS[pair + 1];
    }
    out.extend_from_slice(&digits[at..]);
}

/// A whole number with a sign if it needs one.
pub fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// A number or `null`.
pub fn optional(out: &mut Vec<u8>, value: Option<impl Into<u64>>) {
    match value {
        Some(value) => number(out, value.into()),
        None => out.extend_from_slice(b"null"),
    }
}

/// `"68fdd900-4a3e-11d1-84f4-0000f80464e3"`.
pub fn guid(out: &mut Vec<u8>, guid: Guid) {
    let digits = guid.to_u128();
    let mut text = *b"\"00000000-0000-0000-0000-000000000000\"";
    let mut shift = 128u32;
    for (at, slot) in text.iter_mut().enumerate() {
        if !matches!(at, 0 | 9 | 14 | 19 | 24 | 37) {
            shift -= 4;
            *slot = HEX[(digits >> shift) as usize & 15];
        }
    }
    out.extend_from_slice(&text);
}

/// Eight hex digits.
pub fn hex32(out: &mut Vec<u8>, value: u32) {
    let digit = |at: u32| HEX[(value >> (28 - 4 * at)) as usize & 15];
    out.extend_from_slice(&[0, 1, 2, 3, 4, 5, 6, 7].map(digit));
}

/// `"0x1f"`.
pub fn hex_string(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(b"\"0x");
    let digits = (64 - value.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|at| HEX[(value >> (4 * at) & 15) as usize]));
    out.push(b'"');
}

/// Bytes as a string of hex digits.
pub fn hex_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend(bytes.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]));
    out.push(b'"');
}

/// A string; besides what JSON demands, everything that could steer a terminal is escaped.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    if bytes.iter().all(|byte| PLAIN[usize::from(*byte)]) {
        out.extend_from_slice(bytes);
    } else {
        text.chars().for_each(|c| character(out, c));
    }
    out.push(b'"');
}

/// UTF-16 in little-endian bytes as a string.
pub fn utf16(out: &mut Vec<u8>, text: Utf16<'_>) {
    let units = text.0.chunks_exact(2);
    let plain = units.clone().all(|unit| matches!(unit, [low, 0] if PLAIN[usize::from(*low)]));
    out.push(b'"');
    if plain {
        out.extend(units.map(|unit| unit[0]));
    } else {
        text.chars().for_each(|c| character(out, c));
    }
    out.push(b'"');
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
                out.extend((0..4).rev().map(|at| HEX[usize::from(*unit >> (4 * at)) & 15]));
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// `00` to `99`.
const fn pairs() -> [u8; 200] {
    let mut pairs = [b'0'; 200];
    let (mut at, mut tens, mut ones) = (0, b'0', b'0');
    while at < pairs.len() {
        (pairs[at], pairs[at + 1]) = (tens, ones);
        (tens, ones) = if ones == b'9' { (tens + 1, b'0') } else { (tens, ones + 1) };
        at += 2;
    }
    pairs
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
    fn strings_are_read_back_and_steer_nothing() {
        for text in ["plain", "\"\\\n\x1b[1m\u{202e}\u{e0001}\u{1f600}"] {
            let json = written(|out| string(out, text));
            assert!(!json.chars().any(is_unsafe));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
