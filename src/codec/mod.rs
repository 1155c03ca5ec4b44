//! Bytes to checked views and back. `no_std`, no allocation, no panic on any input.
//!
//! ```text
//!   file bytes ──► BufferView ──► Records ──► RawRecord ──► RecordView ──► payload
//!                  one check      one check    bytes and      typed header,  borrowed
//!                  of a header    per record   header type    items          from the input
//! ```
//!
//! A view is checked once, when it is made, and is plain field access from then on. Everything is
//! borrowed from the input; nothing is copied. What is wrong is said as a [`FormatError`] with the
//! place; what was whole before it has been yielded.
//!
//! The other direction is [`encode`]: it writes the same structures into space that the caller
//! gives, in a session's buffer or anywhere else.
//!
//! [`FormatError`]: crate::error::FormatError

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![forbid(unsafe_code)]

pub mod buffer;
pub mod checksum;
pub mod clock;
pub mod encode;
#[cfg(feature = "std")]
pub(crate) mod finish;
pub mod items;
pub mod logfile;
pub mod loss;
pub mod message;
pub mod record;
pub mod records;
pub mod xpress;

pub use buffer::{BufferView, Content};
pub use clock::TickClock;
pub use items::{ExtendedItem, ExtendedItems};
pub use logfile::{LogfileView, Utf16};
pub use loss::{LossRecord, Lost};
pub use message::MessageView;
pub use record::{RecordHeader, RecordView};
pub use records::{RawRecord, RecordKind, Records};
#[cfg(feature = "std")]
pub(crate) use records::{Stamped, stamped, stamped_in};

/// `len` rounded up to the 8 bytes that every record and item is aligned to.
pub(crate) const fn align8(len: usize) -> usize {
    len.saturating_add(7) & !7
}

/// A length as the 32-bit number that offsets and faults use; saturates.
pub(crate) const fn to_u32(len: usize) -> u32 {
    if len > u32::MAX as usize {
        return u32::MAX;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the line above")]
    let len = len as u32;
    len
}
