//! What one look at a live log found.

use crate::codec::LogfileView;
use crate::format::BufferHeader;
use crate::reader::{
    BufferEntry, FileOrBytes, Merge, OpenError, ReadError, Record, Trace, index::Index,
    join::Joined,
};
use bytes::Bytes;
use std::ops::RangeInclusive;

/// Whether more is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Following {
    /// The log may grow.
    Live,
    /// There is more already, which this look had no room for: look again at once.
    Behind,
    /// The log is finished, and all of it was given.
    Finished,
    /// Its session ended without finishing it, as a killed process does. All that was committed was
    /// given; [`Recovery`](crate::reader::Recovery) makes a finished log of it.
    Abandoned,
    /// The log has lost its name: it was removed, or another file was put in its place. What was
    /// in it was given, and what the ring had at that moment.
    Removed,
}

impl Following {
    /// Whether nothing comes any more.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Abandoned | Self::Removed)
    }
}

/// What is new since the last look; see [`Follow::poll`](super::Follow::poll).
#[derive(Debug)]
pub struct News {
    trace: Trace<FileOrBytes>,
    /// Where the records of each of the trace's buffers begin, from the start of the buffer.
    begins: Vec<u32>,
    gaps: Vec<RangeInclusive<i64>>,
    state: Following,
}

impl News {
    /// The new records in time order.
    #[must_use]
    pub fn by_time(&self) -> Merge<'_, FileOrBytes> {
        self.trace.by_time()
    }

    /// The same as a log of its own, whose buffers are the parts of buffers that are new. Those of
    /// one buffer have one sequence number. `position` of a part is such that the positions of its
    /// records are those in the file.
    #[must_use]
    pub fn trace(&self) -> &Trace<FileOrBytes> {
        &self.trace
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_trace(self) -> Trace<FileOrBytes> {
        self.trace
    }

    /// Where a record starts in its buffer, in bytes from the start of that. Lane, sequence number
    /// and this name a record for good.
    #[must_use]
    pub fn offset(&self, record: &Record<'_>) -> u32 {
        let begin = self.begins.get(record.buffer_index()).copied().unwrap_or(HEADER_BYTES);
        begin.saturating_add(record.raw().offset)
    }

    /// Sequence numbers of buffers of which something may have passed unseen: overwritten, or taken
    /// from the ring without reaching the log. A number that never held an event counts too. Each
    /// is told once.
    #[must_use]
    pub fn gaps(&self) -> &[RangeInclusive<i64>] {
        &self.gaps
    }

    /// Whether more is to come.
    #[must_use]
    pub fn state(&self) -> Following {
        self.state
    }

    /// Whether there is nothing in it: no part of a buffer, no gap, no damage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begins.len() <= 1
            && self.gaps.is_empty()
            && self.trace.damage().is_empty()
            && self.trace.buffers().first().is_none_or(|header| header.copy_number == 0)
    }
}

const HEADER_BYTES: u32 = 72;

/// News in the making.
#[derive(Debug)]
pub(super) struct Gathered {
    index: Index,
    joined: Joined,
    begins: Vec<u32>,
    pub(super) gaps: Vec<RangeInclusive<i64>>,
}

/// Records of a buffer, from somewhere on.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) header: BufferHeader,
    /// Of the buffer, in its file.
    pub(super) position: u64,
    /// Where the records begin, from the start of the buffer.
    pub(super) begin: u32,
    pub(super) body: Vec<u8>,
}

impl Part {
    /// Where the records end, from the start of the buffer.
    pub(super) fn end(&self) -> u32 {
        self.begin.saturating_add(crate::codec::to_u32(self.body.len()))
    }
}

impl Gathered {
    /// Nothing but an empty buffer in place of the header's.
    pub(super) fn new(header: &BufferHeader) -> Self {
        let entry = BufferEntry::new(header, 0, HEADER_BYTES, HEADER_BYTES);
        let index = Index { entries: vec![entry], ..Index::default() };
        let begins = vec![HEADER_BYTES];
        Self { index, joined: Joined::default(), begins, gaps: Vec::new() }
    }

    /// The header buffer has records, and nobody saw them yet.
    pub(super) fn add_header(&mut self, part: Part) {
        let mut entry = entry_of(&part);
        self.joined.add(&mut entry, part.body.into());
        if let Some(first) = self.index.entries.first_mut() {
            *first = entry;
        }
    }

    pub(super) fn add(&mut self, part: Part, of_ring: bool) {
        let mut entry = entry_of(&part);
        self.begins.push(part.begin);
        self.joined.add(&mut entry, part.body.into());
        entry.of_ring = of_ring;
        self.index.entries.push(entry);
    }

    pub(super) fn damage(&mut self, error: ReadError) {
        self.index.damage.push(error);
    }

    pub(super) fn finish(self, first_record: &[u8], state: Following) -> Result<News, OpenError> {
        let Self { index, joined, begins, gaps } = self;
        let trace =
            Trace::of_copies(FileOrBytes::Bytes(Bytes::new()), first_record.into(), index, joined)?;
        Ok(News { trace, begins, gaps, state })
    }
}

fn entry_of(part: &Part) -> BufferEntry {
    let before = u64::from(part.begin.saturating_sub(HEADER_BYTES));
    let size = HEADER_BYTES.saturating_add(crate::codec::to_u32(part.body.len()));
    BufferEntry::new(&part.header, part.position.saturating_add(before), size, size)
}

/// Whether a header says that the log is finished.
pub(super) fn is_finished(logfile: &LogfileView<'_>) -> bool {
    logfile.end_time().is_some()
}
