//! 16-byte identifiers as Windows stores them.

use core::{fmt, str::FromStr};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A `GUID` in file order: the first three groups little-endian, the last eight bytes as written.
///
/// ```
/// use etlring::format::Guid;
/// let guid = Guid::from_u128(0x68fdd900_4a3e_11d1_84f4_0000f80464e3);
/// assert_eq!(guid.to_string(), "68fdd900-4a3e-11d1-84f4-0000f80464e3");
/// assert_eq!(guid.0[..4], [0x00, 0xd9, 0xfd, 0x68]);
/// assert_eq!("{68FDD900-4A3E-11D1-84F4-0000F80464E3}".parse(), Ok(guid));
/// ```
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// All bits zero (`GUID_NULL`).
    pub const ZERO: Self = Self([0; 16]);

    /// From the number whose hexadecimal digits are those of the written form.
    #[must_use]
    pub const fn from_u128(number: u128) -> Self {
        // Named by group and significance: the last eight bytes are written most significant first.
        let [d7, d6, d5, d4, d3, d2, d1, d0, c0, c1, b0, b1, a0, a1, a2, a3] = number.to_le_bytes();
        Self([a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7])
    }

    /// The number whose hexadecimal digits are those of the written form.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        let [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7] = self.0;
        u128::from_le_bytes([d7, d6, d5, d4, d3, d2, d1, d0, c0, c1, b0, b1, a0, a1, a2, a3])
    }

    /// Whether all bits are zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Guid {
    /// Lower case, no braces: `68fdd900-4a3e-11d1-84f4-0000f80464e3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.to_u128();
        let group = |shift: u32, bits: u32| (n >> shift) & ((1 << bits) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            group(96, 32),
            group(80, 16),
            group(64, 16),
            group(48, 16),
            group(0, 48)
        )
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseGuidError;

impl fmt::Display for ParseGuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a GUID of the form 68fdd900-4a3e-11d1-84f4-0000f80464e3")
    }
}

impl core::error::Error for ParseGuidError {}

/// Hexadecimal digits by their byte: without a branch on each, which nobody could guess. Tables of
/// the library have more than a thousand GUIDs.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        let [upper, lower] = [b"0123456789ABCDEF", b"0123456789abcdef"];
        digits[upper[digit as usize] as usize] = digit;
        digits[lower[digit as usize] as usize] = digit;
        digit += 1;
    }
    digits
};
/// No digit is greater.
const NO_DIGIT: u8 = u8::MAX;

impl FromStr for Guid {
    type Err = ParseGuidError;

    /// With or without braces, either case.
    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let inner: &[u8; 36] = inner.as_bytes().try_into().map_err(|_| ParseGuidError)?;
        let (mut number, mut all_digits, mut dashes) = (0u128, 0, true);
        for (place, byte) in inner.iter().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                dashes &= *byte == b'-';
            } else {
                let digit = DIGITS.get(usize::from(*byte)).copied().unwrap_or(NO_DIGIT);
                all_digits |= digit;
                number = number << 4 | u128::from(digit);
            }
        }
        if all_digits < 16 && dashes { Ok(Self::from_u128(number)) } else { Err(ParseGuidError) }
    }
}
