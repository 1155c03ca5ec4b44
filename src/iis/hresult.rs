//! What calls answer: the numbers of Windows.

use std::fmt;

/// An `HRESULT`. Negative numbers are failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct HResult(pub i32);

impl HResult {
    /// It was done, or there was nothing to do.
    pub const S_OK: Self = Self(0);
    /// It cannot be done.
    pub const E_FAIL: Self = Self::of(0x8000_4005);
    /// There was no space.
    pub const E_OUTOFMEMORY: Self = Self::of(0x8007_000E);
    /// `ERROR_INVALID_PARAMETER` (87).
    pub const INVALID_PARAMETER: Self = Self::of(0x8007_0057);
    /// `ERROR_NOT_FOUND` (1168).
    pub const NOT_FOUND: Self = Self::of(0x8007_0490);

    const fn of(number: u32) -> Self {
        Self(i32::from_le_bytes(number.to_le_bytes()))
    }

    /// Whether it was done (`SUCCEEDED`).
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 >= 0
    }

    /// The number without a sign, as documents show it.
    #[must_use]
    pub const fn code(self) -> u32 {
        u32::from_le_bytes(self.0.to_le_bytes())
    }

    /// As a result, for `?`.
    ///
    /// # Errors
    ///
    /// Itself, if it is a failure.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for HResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::S_OK => "S_OK",
            Self::E_FAIL => "E_FAIL",
            Self::E_OUTOFMEMORY => "E_OUTOFMEMORY",
            Self::INVALID_PARAMETER => "ERROR_INVALID_PARAMETER",
            Self::NOT_FOUND => "ERROR_NOT_FOUND",
            _ => return write!(f, "{:#010x}", self.code()),
        };
        write!(f, "{name} ({:#010x})", self.code())
    }
}

impl std::error::Error for HResult {}
