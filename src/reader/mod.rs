//! Log files: opened, indexed, and read in file order or in time order.
//!
//! ```text
//!   file ──► Source ──► Trace ─────► Cursor   buffers as they lie in the file
//!            map,       index of  ├► Merge    all lanes of one file by time
//!            pread,     buffers,  └► MergeMany  several files by time
//!            slice      damage
//! ```
//!
//! [`Trace::open`] looks at every buffer's header once; records are found while a cursor walks.
//! They are borrowed: from the map or slice itself, and where a buffer is compressed or comes by
//! positioned reads, from a block that the cursor reuses. So cursors lend: a record lives until the
//! next call of `next`. Nothing is allocated per record.
//!
//! A session that was killed leaves a ring file beside its log. [`Trace::open`] reads the two as
//! one, [`Recovery`] writes them, in whatever state they are, as one finished log.
//!
//! Several threads: [`Trace::par_buffers`] shares out work that needs no order,
//! [`Trace::read_ahead`] unpacks compressed buffers before a cursor comes to them.
//!
//! Damage never stops what is whole. What the index found wrong is in [`Trace::damage`]; a cursor
//! yields a [`ReadError`] where a buffer's records break off and goes on with the next buffer.
//!
//! ```no_run
//! use etlring::reader::Trace;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trace = Trace::open("boot.etl")?;
//! let mut records = trace.by_time();
//! while let Some(record) = records.next() {
//!     let record = record?;
//!     let header = record.view()?;
//!     println!("{:?} lane {} {} bytes", header.ticks(), record.lane(), header.payload().len());
//! }
//! # Ok(())
//! # }
//! ```

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod ahead;
mod asides;
mod block;
mod cursor;
mod error;
mod filter;
mod follow;
mod guess;
mod index;
mod join;
mod lane;
mod many;
#[expect(
    unsafe_code,
    reason = "a memory map is only as constant as the file behind it; to prefetch takes a pointer"
)]
mod map;
mod merge;
mod open;
mod options;
mod parallel;
mod record;
mod recover;
mod ring;
mod sane;
mod source;
mod stream;
mod waiting;

pub use ahead::ReadAhead;
pub use cursor::Cursor;
pub use error::{Difference, OpenError, ReadError, ReadFault, RingError};
pub use filter::{Filter, Unwanted};
pub use follow::{Follow, Following, News};
pub use index::BufferEntry;
pub use join::RingState;
pub use many::MergeMany;
pub use map::map;
pub use merge::Merge;
pub(crate) use merge::Settled;
pub use open::Trace;
pub use options::{OpenOptions, ring_path};
pub use record::Record;
pub use recover::{Assumed, LeftOut, RecoverError, Recovered, Recovery, Salvage};
pub use ring::RingCopy;
pub use source::{FileOrBytes, Positioned, Source};
pub use stream::{MOST_STREAM_BYTES, read_stream};
