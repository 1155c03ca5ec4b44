//! The wire structs of a log file, and nothing else.
//!
//! Every struct here is the bytes of the file: `repr(C)`, little-endian, alignment 1. It may be
//! borrowed from any address of a mapped file. There is no parsing here (that is [`codec`]) and no
//! judgement: unknown values are values, kept in open newtypes such as [`HeaderType`].
//!
//! | bytes in the file | struct | spec |
//! |---|---|---|
//! | first 72 of every buffer | [`BufferHeader`] | `spec/02-buffer.md` |
//! | kernel records | [`SystemTraceHeader`], [`CompactTraceHeader`], [`PerfInfoTraceHeader`] | `spec/04-record-headers.md` |
//! | `TraceEvent` records | [`EventTraceHeader`], [`EventInstanceGuidHeader`] | `spec/04-record-headers.md` |
//! | `EventWrite` records | [`EventHeader`], [`ExtendedItemHeader`] | `spec/05-extended-items.md` |
//! | `TraceMessage` records | [`MessageTraceHeader`] | `spec/06-messages.md` |
//! | payload of the first record | [`LogfileHeader32`], [`LogfileHeader64`] | `spec/07-logfile-header.md` |
//!
//! The table above each struct is the one in `spec/tables`; the offsets are asserted when the
//! crate is compiled, and `tests/format` compares table and struct.
//!
//! [`codec`]: crate::codec

/// Checks a wire struct against its numbers at compile time and lists them for `tests/format`.
macro_rules! layout {
    ($name:ident = $size:literal { $($offset:literal $field:ident : $len:literal),* $(,)? }) => {
        const _: () = assert!(size_of::<$name>() == $size && align_of::<$name>() == 1);
        $(const _: () = assert!(core::mem::offset_of!($name, $field) == $offset);)*
        impl $name {
            /// Bytes this struct takes in the file.
            pub const SIZE: usize = $size;
            /// Field name, offset and size, in file order.
            pub const LAYOUT: &'static [(&'static str, usize, usize)] =
                &[$((stringify!($field), $offset, $len)),*];
        }
    };
}

/// Names the known values of an open newtype and prints them by name.
macro_rules! named_values {
    ($name:ident {
        $($(#[$doc:meta])* $constant:ident = $value:literal $text:literal),* $(,)?
    }) => {
        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name of a known value.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

/// Names the bits of a flag word and adds the usual questions.
macro_rules! named_bits {
    ($name:ident: $int:ty { $($(#[$doc:meta])* $constant:ident = $value:literal),* $(,)? }) => {
        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Every named bit with its name, lowest first.
            pub const NAMES: &'static [($int, &'static str)] =
                &[$(($value, stringify!($constant))),*];

            /// Whether all bits of `other` are set.
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These bits and those of `other`.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
    };
}

mod buffer;
mod classic;
mod descriptor;
mod event;
mod extended;
mod group;
mod guid;
mod header_type;
mod logfile;
mod message;
mod system;
mod time;

pub use buffer::{
    BufferFlags, BufferHeader, BufferState, BufferType, MAX_BUFFER_SIZE, MAX_LANES, MIN_BUFFER_SIZE,
};
pub use classic::{EventInstanceGuidHeader, EventTraceHeader};
pub use descriptor::EventDescriptor;
pub use event::{EventFlags, EventHeader};
pub use extended::{ExtType, ExtendedItemHeader};
pub use group::{Group, LOST_EVENT_GUID};
pub use guid::{Guid, ParseGuidError};
pub use header_type::{HeaderType, MARKER_EVENT_TRACE, MARKER_MESSAGE, MARKER_TRACE};
pub use logfile::{LogFileMode, LogfileHeader32, LogfileHeader64, SystemTime, TimeZoneInformation};
pub use message::{MessageFlags, MessageTraceHeader};
pub use system::{CompactTraceHeader, PerfInfoTraceHeader, SystemTraceHeader};
pub use time::{ClockType, FileTime, TICKS_PER_SECOND};
