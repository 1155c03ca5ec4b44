//! Bytes to one value, by in-type and out-type.

use crate::codec::{Utf16, to_u32};
use crate::format::Guid;
use crate::schema::{DecodeFault, InType, OutType, Sid, Text, Value};
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use zerocopy::FromBytes;

/// How to read one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) in_type: InType,
    pub(super) out_type: OutType,
    /// Stated length: units of UTF-16, bytes of all else.
    pub(super) length: Option<u32>,
}

/// Reads the value at the start of `bytes` and says how many of them it takes. `pointer` is the
/// width of the writer's pointers, 4 or 8.
#[inline]
pub(super) fn read(
    bytes: &[u8],
    spec: Spec,
    pointer: usize,
) -> Result<(Value<'_>, usize), DecodeFault> {
    if let Some(width) = spec.in_type.width(pointer) {
        let own = take(bytes, width)?;
        return Ok((fixed(own, spec.in_type, spec.out_type), width));
    }
    varying(bytes, spec, pointer)
}

/// A value of stated width.
fn fixed(bytes: &[u8], in_type: InType, out_type: OutType) -> Value<'_> {
    let number = little(bytes);
    match in_type {
        InType::NULL => Value::Null,
        InType::INT8 | InType::INT16 | InType::INT32 | InType::INT64 => {
            integer(bytes, number, true, out_type)
        }
        InType::UINT8 | InType::UINT16 | InType::UINT32 | InType::UINT64 | InType::SIZE_T => {
            integer(bytes, number, false, out_type)
        }
        InType::FLOAT => Value::Float(f32::from_bits(low(number))),
        InType::DOUBLE => Value::Double(f64::from_bits(number)),
        InType::BOOLEAN => match out_type {
            OutType::Default | OutType::Boolean => boolean(number),
            _ => integer(bytes, number, false, out_type),
        },
        InType::GUID => Guid::read_from_bytes(bytes).map_or(Value::Binary(bytes), Value::Guid),
        InType::HEX_INT32 | InType::HEX_INT64 | InType::POINTER => match out_type {
            OutType::Win32Error | OutType::Unsigned => Value::Unsigned(number),
            OutType::Signed => Value::Signed(extend(number, bytes.len())),
            _ => Value::Hex(number),
        },
        InType::FILETIME => Value::FileTime(number),
        InType::SYSTEMTIME => system_time(bytes, out_type == OutType::DateTimeUtc),
        InType::UNICODE_CHAR => Value::Text(Text::Wide(Utf16(bytes))),
        InType::ANSI_CHAR => Value::Text(Text::of(bytes)),
        _ => Value::Binary(bytes),
    }
}

fn integer(bytes: &[u8], number: u64, signed: bool, out_type: OutType) -> Value<'_> {
    let plain = match signed {
        true => Value::Signed(extend(number, bytes.len())),
        false => Value::Unsigned(number),
    };
    match (out_type, bytes) {
        (OutType::Signed, _) => Value::Signed(extend(number, bytes.len())),
        (OutType::Unsigned | OutType::Win32Error, _) => Value::Unsigned(number),
        (OutType::Hex | OutType::Status, _) => Value::Hex(number),
        (OutType::Boolean, _) => boolean(number),
        (OutType::String, [_]) => Value::Text(Text::of(bytes)),
        (OutType::String, [_, _]) => Value::Text(Text::Wide(Utf16(bytes))),
        (OutType::Port, &[high, low]) => {
            Value::Unsigned(u64::from(u16::from_le_bytes([low, high])))
        }
        (OutType::Ipv4, &[a, b, c, d]) => Value::Ipv4([a, b, c, d]),
        _ => plain,
    }
}

fn boolean(number: u64) -> Value<'static> {
    match number {
        0 => Value::Bool(false),
        1 => Value::Bool(true),
        other => Value::Unsigned(other),
    }
}

/// A value whose width is stated, stands before it, or shows in it.
fn varying(bytes: &[u8], spec: Spec, pointer: usize) -> Result<(Value<'_>, usize), DecodeFault> {
    let Spec { in_type, out_type, length } = spec;
    let length = length.map(|length| length as usize);
    match in_type {
        InType::UNICODE_STRING => match length {
            Some(units) => {
                let own = take(bytes, units.saturating_mul(2))?;
                Ok((Value::Text(Text::Wide(Utf16::terminated(own))), own.len()))
            }
            None => {
                let (text, taken) = terminated(bytes);
                Ok((Value::Text(text), taken))
            }
        },
        InType::ANSI_STRING => {
            let own = match length {
                Some(length) => take(bytes, length)?,
                None => bytes,
            };
            let end = own.iter().position(|byte| *byte == 0);
            let text = own.get(..end.unwrap_or(own.len())).unwrap_or_default();
            let taken = match length {
                Some(length) => length,
                None => end.map_or(own.len(), |end| end.saturating_add(1)),
            };
            Ok((Value::Text(Text::of(text)), taken))
        }
        InType::BINARY => {
            let length = length.unwrap_or(if out_type == OutType::Ipv6 { 16 } else { bytes.len() });
            let own = take(bytes, length)?;
            Ok((binary(own, out_type), length))
        }
        InType::COUNTED_STRING | InType::WBEM_COUNTED_STRING => wide(bytes, counted(bytes, false)?),
        InType::REVERSED_COUNTED_STRING => wide(bytes, counted(bytes, true)?),
        InType::COUNTED_ANSI | InType::WBEM_COUNTED_ANSI => narrow(bytes, counted(bytes, false)?),
        InType::REVERSED_COUNTED_ANSI => narrow(bytes, counted(bytes, true)?),
        InType::COUNTED_BINARY => {
            let own = behind(bytes, 2, counted(bytes, false)?)?;
            Ok((binary(own, out_type), own.len().saturating_add(2)))
        }
        InType::HEX_DUMP => {
            let count = little(take(bytes, 4)?);
            let own = behind(bytes, 4, usize::try_from(count).unwrap_or(usize::MAX))?;
            Ok((binary(own, out_type), own.len().saturating_add(4)))
        }
        InType::REST_STRING => wide_value(bytes).map(|value| (value, bytes.len())),
        InType::REST_ANSI => Ok((Value::Text(Text::of(bytes)), bytes.len())),
        InType::SID => {
            let sid = Sid::parse(bytes).ok_or(DecodeFault::Sid)?;
            Ok((Value::Sid(sid), sid.as_bytes().len()))
        }
        InType::WBEM_SID => wbem_sid(bytes, pointer),
        other => Err(DecodeFault::Type(other)),
    }
}

/// UTF-16 up to its terminator, which may be missing at the end of the payload.
#[inline]
pub(super) fn terminated(bytes: &[u8]) -> (Text<'_>, usize) {
    let text = Utf16::terminated(bytes);
    (Text::Wide(text), text.0.len().saturating_add(2).min(bytes.len() & !1))
}

/// The size that stands in the two bytes before a counted value.
fn counted(bytes: &[u8], big_endian: bool) -> Result<usize, DecodeFault> {
    let count = u16::try_from(little(take(bytes, 2)?)).unwrap_or_default();
    Ok(usize::from(if big_endian { count.swap_bytes() } else { count }))
}

fn wide(bytes: &[u8], count: usize) -> Result<(Value<'_>, usize), DecodeFault> {
    let own = behind(bytes, 2, count)?;
    Ok((wide_value(own)?, count.saturating_add(2)))
}

/// UTF-16; an odd number of bytes is not that, and is kept as bytes.
fn wide_value(own: &[u8]) -> Result<Value<'_>, DecodeFault> {
    Ok(match own.len() % 2 {
        0 => Value::Text(Text::Wide(Utf16(own))),
        _ => Value::Binary(own),
    })
}

fn narrow(bytes: &[u8], count: usize) -> Result<(Value<'_>, usize), DecodeFault> {
    let own = behind(bytes, 2, count)?;
    Ok((Value::Text(Text::of(own)), count.saturating_add(2)))
}

fn binary(own: &[u8], out_type: OutType) -> Value<'_> {
    match out_type {
        OutType::Ipv6 => own.try_into().map_or(Value::Binary(own), Value::Ipv6),
        OutType::SocketAddress => {
            socket_address(own).map_or(Value::Binary(own), Value::SocketAddress)
        }
        _ => Value::Binary(own),
    }
}

/// A `SOCKADDR_IN` or `SOCKADDR_IN6` that holds nothing else.
fn socket_address(own: &[u8]) -> Option<SocketAddr> {
    const IPV4: &[u8] = &[2, 0];
    const IPV6: &[u8] = &[23, 0];
    let port = |bytes: &[u8]| u16::try_from(little(bytes)).map(u16::swap_bytes).ok();
    match own.get(..2)? {
        IPV4 => {
            let address: [u8; 4] = own.get(4..8)?.try_into().ok()?;
            let rest = own.get(8..)?;
            let zero = rest.len() <= 8 && rest.iter().all(|byte| *byte == 0);
            let address = SocketAddrV4::new(address.into(), port(own.get(2..4)?)?);
            zero.then_some(SocketAddr::V4(address))
        }
        IPV6 if own.len() == 28 => {
            let address: [u8; 16] = own.get(8..24)?.try_into().ok()?;
            let (flow, scope) = (little(own.get(4..8)?), little(own.get(24..28)?));
            let port = port(own.get(2..4)?)?;
            Some(SocketAddr::V6(SocketAddrV6::new(address.into(), port, low(flow), low(scope))))
        }
        _ => None,
    }
}

/// Two pointers without meaning and the identifier; or four zero bytes for none. Some writers put
/// an identifier behind zero pointers, so these alone do not tell.
fn wbem_sid(bytes: &[u8], pointer: usize) -> Result<(Value<'_>, usize), DecodeFault> {
    let skipped = pointer.saturating_mul(2);
    let sid = bytes.get(skipped..).and_then(Sid::parse);
    let likely = sid.is_some_and(|sid| sid.as_bytes().len() > 8);
    if little(take(bytes, 4)?) == 0 && !likely {
        return Ok((Value::Null, 4));
    }
    let sid = sid.ok_or(DecodeFault::Sid)?;
    Ok((Value::Sid(sid), skipped.saturating_add(sid.as_bytes().len())))
}

/// Words of a `SYSTEMTIME`; words that name no time are kept as bytes.
fn system_time(bytes: &[u8], utc: bool) -> Value<'_> {
    let mut words = [0u16; 8];
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::try_from(little(pair)).unwrap_or_default();
    }
    let [year, month, week_day, day, hour, minute, second, milli] = words;
    let sound = year <= 9999
        && (1..=12).contains(&month)
        && week_day <= 6
        && (1..=31).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60
        && milli <= 999;
    if sound { Value::SystemTime { words, utc } } else { Value::Binary(bytes) }
}

fn take(bytes: &[u8], need: usize) -> Result<&[u8], DecodeFault> {
    bytes.get(..need).ok_or(DecodeFault::Truncated(to_u32(need), to_u32(bytes.len())))
}

fn behind(bytes: &[u8], start: usize, count: usize) -> Result<&[u8], DecodeFault> {
    let need = start.saturating_add(count);
    take(bytes, need)?.get(start..).ok_or(DecodeFault::Truncated(to_u32(need), 0))
}

/// A file of text: UTF-16 with a byte order mark, else UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> String {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => Utf16(rest).to_string(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// At most eight little-endian bytes as a number.
#[inline]
pub(super) fn little(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => 0,
    }
}

/// The sign of a number of so many bytes, carried up.
#[inline]
pub(super) fn extend(number: u64, bytes: usize) -> i64 {
    let unused = 64u32.saturating_sub(to_u32(bytes).saturating_mul(8)).min(63);
    i64::from_le_bytes((number << unused).to_le_bytes()) >> unused
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
fn low(number: u64) -> u32 {
    number as u32
}
