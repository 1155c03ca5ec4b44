//! What the calls answer.

use crate::session::Discarded;
use std::fmt;

/// A call was refused, or its event was discarded. Named as in `winerror.h`; [`code`](Self::code)
/// is the number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceError {
    /// `ERROR_INVALID_HANDLE`: the handle is null, or its session has stopped, is that of the
    /// process that this one was forked from, or is the NT Kernel Logger.
    InvalidHandle,
    /// `ERROR_NOT_ENOUGH_MEMORY`: no buffer is free. The event is discarded and counted.
    NotEnoughMemory,
    /// `ERROR_OUTOFMEMORY`: buffers may be free, but there is no lane to hold one. The event is
    /// discarded and counted.
    OutOfMemory,
    /// `ERROR_INVALID_PARAMETER`: which one, and what is wrong with it.
    InvalidParameter(&'static str),
    /// `ERROR_INVALID_FLAG_NUMBER`: the flags of a `TraceEvent`.
    InvalidFlagNumber,
    /// `ERROR_MORE_DATA`: the event does not fit a buffer of the session. It is counted as lost.
    MoreData,
    /// `ERROR_ARITHMETIC_OVERFLOW`: the event is larger than any may be. It is counted as lost by
    /// each session that wanted it.
    ArithmeticOverflow,
    /// `ERROR_INVALID_FLAGS`: the flags of a `TraceEventInstance`.
    InvalidFlags,
}

impl TraceError {
    /// The Win32 number.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::InvalidHandle => 6,
            Self::NotEnoughMemory => 8,
            Self::OutOfMemory => 14,
            Self::InvalidParameter(_) => 87,
            Self::InvalidFlagNumber => 186,
            Self::MoreData => 234,
            Self::ArithmeticOverflow => 534,
            Self::InvalidFlags => 1004,
        }
    }

    /// The name in `winerror.h`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::InvalidHandle => "ERROR_INVALID_HANDLE",
            Self::NotEnoughMemory => "ERROR_NOT_ENOUGH_MEMORY",
            Self::OutOfMemory => "ERROR_OUTOFMEMORY",
            Self::InvalidParameter(_) => "ERROR_INVALID_PARAMETER",
            Self::InvalidFlagNumber => "ERROR_INVALID_FLAG_NUMBER",
            Self::MoreData => "ERROR_MORE_DATA",
            Self::ArithmeticOverflow => "ERROR_ARITHMETIC_OVERFLOW",
            Self::InvalidFlags => "ERROR_INVALID_FLAGS",
        }
    }
}

/// What a call that names its session answers when the session has done with the event.
#[inline]
pub(super) fn answer(written: Result<(), Discarded>) -> Result<(), TraceError> {
    written.or_else(refused)
}

#[cold]
fn refused(discarded: Discarded) -> Result<(), TraceError> {
    match discarded {
        // A session that pauses wants nothing, as a provider that is not enabled.
        Discarded::Disabled => Ok(()),
        Discarded::Stopped | Discarded::Forked => Err(TraceError::InvalidHandle),
        Discarded::NoFreeBuffer => Err(TraceError::NotEnoughMemory),
        Discarded::NoLane | Discarded::Reentered => Err(TraceError::OutOfMemory),
        Discarded::TooLarge => Err(TraceError::MoreData),
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::InvalidHandle => "no session or provider to write to",
            Self::NotEnoughMemory => "no free buffer, event discarded",
            Self::OutOfMemory => "no free lane, event discarded",
            Self::InvalidParameter(what) => what,
            Self::InvalidFlagNumber | Self::InvalidFlags => {
                "flags are without WNODE_FLAG_TRACED_GUID, or have others that do not belong here"
            }
            Self::MoreData => "event does not fit a buffer of the session",
            Self::ArithmeticOverflow => "event is larger than 64 KiB",
        };
        write!(f, "{what} ({}, {})", self.name(), self.code())
    }
}

impl std::error::Error for TraceError {}
