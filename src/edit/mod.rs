//! New logs from old ones: filtered, cut, merged, packed anew, made anonymous.
//!
//! ```text
//!   Trace ──► which records, which lane, which stamp ──► Draft ──► LogWriter ──► new log
//!   (reader)   filter  cut  merge  recompress  anonymize   one buffer   header last
//! ```
//!
//! The result is as genuine as what it was made of: the same logfile header, buffers of one lane
//! each with their records in order, a finished file. What holds for all of them:
//!
//! - Records are copied as bytes; headers, extended items and stamps stay what they were. Only
//!   [`merge`] changes stamps, and only of logs with another clock than the first; only
//!   [`anonymize`] changes what a record says.
//! - Damage is left out and told ([`Edited::faults`]); what is whole is in the new log.
//! - Losses are carried over: the counts of the header, loss records, and the marks of buffers,
//!   which go to the next buffer of their lane where their own is left out.
//! - A new log is finished: `EndTime` 0 becomes the time of the last stamp. Buffers carry a
//!   checksum, but for those whose own did not hold.
//!
//! The output needs [`Seek`](std::io::Seek): the header comes first in a file and is known last. An
//! output that failed holds half a log; remove it.
//!
//! Memory: the buffers in hand, one per lane. Source: spec/17-editing.md.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod align;
mod anonymize;
mod draft;
mod error;
mod filter;
mod lanes;
mod merge;
mod metadata;
mod recompress;

mod parts;
mod window;
mod writer;

pub use anonymize::{Anonymous, Replace, anonymize};
pub use error::{EditError, Edited};
pub use filter::{Keep, cut, filter};
pub use merge::merge;
pub use metadata::is_metadata;
pub use recompress::{Packing, recompress};
