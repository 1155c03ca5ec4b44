//! Values of fields, borrowed from the payload they were read in.

use crate::codec::Utf16;
use crate::format::Guid;
use crate::schema::{map::ValueMap, time};
use core::fmt::{self, Write};
use core::net::SocketAddr;

/// One value of a field.
///
/// `Display` writes it as text for people, without a unit. Text is written as it is: what prints it
/// escapes what its medium cannot hold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A number with a sign.
    Signed(i64),
    /// A number without a sign.
    Unsigned(u64),
    /// A number that is meant as bits: a pointer, flags, a status.
    Hex(u64),
    /// Single precision.
    Float(f32),
    /// Double precision.
    Double(f64),
    /// True or false; a boolean that is neither 0 nor 1 comes as [`Unsigned`](Self::Unsigned).
    Bool(bool),
    /// Text.
    Text(Text<'a>),
    /// Bytes.
    Binary(&'a [u8]),
    /// An identifier.
    Guid(Guid),
    /// 100 ns units since 1601-01-01 UTC.
    FileTime(u64),
    /// Year, month, day of week, day, hour, minute, second, millisecond.
    SystemTime {
        /// The eight words.
        words: [u16; 8],
        /// Whether they are known to be UTC.
        utc: bool,
    },
    /// A security identifier.
    Sid(Sid<'a>),
    /// An IPv4 address.
    Ipv4([u8; 4]),
    /// An IPv6 address.
    Ipv6([u8; 16]),
    /// An address and a port.
    SocketAddress(SocketAddr),
    /// A number that a map names.
    Mapped {
        /// The names.
        map: &'a ValueMap,
        /// The number.
        value: u64,
    },
}

impl Value<'_> {
    /// The number of an integer, for counts and lengths that other fields refer to.
    #[must_use]
    pub fn to_count(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) | Self::Hex(value) | Self::Mapped { value, .. } => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            Self::Bool(value) => Some(u64::from(value)),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Null => Ok(()),
            Self::Signed(value) => write!(f, "{value}"),
            Self::Unsigned(value) => write!(f, "{value}"),
            Self::Hex(value) => write!(f, "{value:#x}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text}"),
            Self::Binary(bytes) => hex(f, bytes),
            Self::Guid(guid) => write!(f, "{guid}"),
            Self::FileTime(units) => time::file_time(f, units),
            Self::SystemTime { words, utc } => time::system_time(f, words, utc),
            Self::Sid(sid) => write!(f, "{sid}"),
            Self::Ipv4(bytes) => write!(f, "{}", core::net::Ipv4Addr::from(bytes)),
            Self::Ipv6(bytes) => write!(f, "{}", core::net::Ipv6Addr::from(bytes)),
            Self::SocketAddress(address) => write!(f, "{address}"),
            Self::Mapped { map, value } => map.write(f, value),
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Text as it lies in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// UTF-8, and ASCII with it.
    Utf8(&'a str),
    /// Bytes of a code page that is not known; shown as Windows-1252, which has a character for
    /// each byte.
    Narrow(&'a [u8]),
    /// UTF-16; lone surrogates are shown as U+FFFD.
    Wide(Utf16<'a>),
}

impl<'a> Text<'a> {
    /// Text in bytes: UTF-8 if it can be that.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text),
            Err(_) => Self::Narrow(bytes),
        }
    }

    /// Calls `each` with every character until it fails.
    ///
    /// # Errors
    ///
    /// The first error of `each`.
    #[inline]
    pub fn try_each<E>(self, mut each: impl FnMut(char) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Utf8(text) => text.chars().try_for_each(each),
            Self::Narrow(bytes) => bytes.iter().try_for_each(|byte| each(windows_1252(*byte))),
            Self::Wide(text) => text.chars().try_for_each(each),
        }
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(self) -> bool {
        match self {
            Self::Utf8(text) => text.is_empty(),
            Self::Narrow(bytes) => bytes.is_empty(),
            Self::Wide(text) => text.is_empty(),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Utf8(text) => f.write_str(text),
            text => text.try_each(|c| f.write_char(c)),
        }
    }
}

/// The character of a byte in Windows-1252; the five bytes without one are the controls of
/// Latin-1, so that no two bytes look alike.
fn windows_1252(byte: u8) -> char {
    const UPPER: [char; 32] = [
        '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}',
        '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}',
        '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}',
        '\u{178}',
    ];
    let upper = usize::from(byte).checked_sub(0x80).and_then(|at| UPPER.get(at));
    upper.copied().unwrap_or(char::from(byte))
}

/// A security identifier, its size checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sid<'a>(&'a [u8]);

impl<'a> Sid<'a> {
    /// The identifier at the start of `bytes`: a revision, a number of subauthorities (at most
    /// 15), six bytes of authority, four bytes for each subauthority.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let &[revision, count, ..] = bytes else { return None };
        if revision != 1 || count > 15 {
            return None;
        }
        bytes.get(..usize::from(count).saturating_mul(4).saturating_add(8)).map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Display for Sid<'_> {
    /// `S-1-5-21-...`; an authority of more than 32 bits is hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.get(2..8).unwrap_or_default();
        let authority = authority.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        match u32::try_from(authority) {
            Ok(authority) => write!(f, "S-1-{authority}")?,
            Err(_) => write!(f, "S-1-{authority:#014x}")?,
        }
        for word in self.0.get(8..).unwrap_or_default().chunks_exact(4) {
            let word = word.iter().rev().fold(0u32, |value, byte| value << 8 | u32::from(*byte));
            write!(f, "-{word}")?;
        }
        Ok(())
    }
}
