//! File order: buffers as they lie in the file, records as they lie in their buffer.

use crate::codec::{align8, stamped};
use crate::reader::{
    BufferEntry, ReadError, Record, Source, Trace,
    ahead::{Line, Loader},
    block::{Block, offset},
    record::Kind,
};
use std::ops::Range;

/// The records of a log file, or of some of its buffers, in file order; see [`Trace::records`].
///
/// Not an `Iterator`: a record is lent until the next call of [`next`](Self::next).
#[derive(Debug)]
pub struct Cursor<'t, S> {
    trace: &'t Trace<S>,
    block: Block<'t>,
    line: Option<&'t Line>,
    loader: Loader<'t>,
    /// Where the next record starts in the block.
    at: usize,
    /// What the index knows of the buffer that the block holds.
    entry: Option<&'t BufferEntry>,
    /// The buffer behind that one.
    begun: usize,
    /// The buffer to stop before.
    end: usize,
}

impl<'t, S: Source> Cursor<'t, S> {
    pub(crate) fn new(trace: &'t Trace<S>, buffers: Range<usize>) -> Self {
        Self::ahead(trace, None, buffers)
    }

    /// With threads that unpack buffers ahead, if there are any.
    pub(super) fn ahead(
        trace: &'t Trace<S>,
        line: Option<&'t Line>,
        buffers: Range<usize>,
    ) -> Self {
        let (block, loader) = (Block::default(), Loader::default());
        let mut cursor = Self { trace, block, line, loader, at: 0, entry: None, begun: 0, end: 0 };
        cursor.go_to(buffers);
        cursor
    }

    pub(crate) fn trace(&self) -> &'t Trace<S> {
        self.trace
    }

    /// Goes on with other buffers, named by their place among
    /// [`buffers`](Trace::buffers), in the memory that it has.
    pub fn go_to(&mut self, buffers: Range<usize>) {
        self.block.clear();
        (self.at, self.entry) = (0, None);
        (self.begun, self.end) = (buffers.start, buffers.end);
        if self.line.is_some() {
            let last = self.end.min(self.trace.buffers().len());
            self.loader = Loader::of(self.line, self.trace, self.begun..last);
        }
    }

    /// Goes on with one buffer, in the memory that it has, and leaves the threads ahead of it to
    /// their plan.
    pub(crate) fn go_to_one(&mut self, buffer: usize) {
        self.block.clear();
        (self.at, self.entry) = (0, None);
        (self.begun, self.end) = (buffer, buffer.saturating_add(1));
    }

    /// Has the threads ahead unpack these buffers in this order.
    pub(super) fn plan(&mut self, buffers: impl Iterator<Item = usize>) {
        self.loader = Loader::of(self.line, self.trace, buffers);
    }

    /// The next record, or what is wrong at this place; records behind the damage still follow.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<Record<'_>, ReadError>> {
        let found = self.block.stamped_at(self.at);
        let (Some(found), Some(entry)) = (found, self.entry) else { return self.next_slowly() };
        let start = self.at;
        // Neither can wrap: the record lies in the block.
        let size = usize::from(found.size);
        self.block.warm(start, size);
        self.at = start.wrapping_add(align8(size));
        let bytes = self.block.bytes().get(start..start.wrapping_add(size))?;
        let kind = Kind::typed(found.header_type);
        Some(Ok(Record::of(kind, offset(start), bytes, entry, self.begun.wrapping_sub(1))))
    }

    /// Passes over records as long as `is_known` says of each that it needs no more; the one that
    /// is refused comes from [`next`](Self::next).
    ///
    /// For work that has little to do with most records: to look at one here costs less than to be
    /// handed it. Ends before whatever takes more than a look to find, too: a message,
    /// a record without a stamp, damage, the end of a buffer. What [`next`](Self::next) gives then
    /// says which it was.
    ///
    /// ```
    /// # use etlring::session::Session;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("service.etl");
    /// # Session::builder("service").log_file(&path).start()?.stop()?;
    /// use etlring::reader::Trace;
    /// let trace = Trace::open(&path)?;
    /// let mut large = 0;
    /// let mut records = trace.records();
    /// loop {
    ///     records.skip_while(|record| record.raw().bytes.len() < 1024);
    ///     let Some(record) = records.next() else { break };
    ///     large += usize::from(record?.raw().bytes.len() >= 1024);
    /// }
    /// # assert_eq!(large, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn skip_while(&mut self, mut is_known: impl FnMut(&Record<'_>) -> bool) {
        let Some(entry) = self.entry else { return };
        loop {
            let bytes = self.block.bytes();
            let Some(found) = stamped(bytes, self.at) else { return };
            let size = usize::from(found.size);
            self.block.warm(self.at, size);
            let bytes = bytes.get(self.at..self.at.wrapping_add(size)).unwrap_or_default();
            let (kind, start) = (Kind::typed(found.header_type), offset(self.at));
            if !is_known(&Record::of(kind, start, bytes, entry, self.begun.wrapping_sub(1))) {
                return;
            }
            // Cannot wrap: the record lies in the block.
            self.at = self.at.wrapping_add(align8(size));
        }
    }

    /// The same for records of every kind, damage, and the ends of buffers.
    #[inline(never)]
    fn next_slowly(&mut self) -> Option<Result<Record<'_>, ReadError>> {
        while self.at >= self.block.bytes().len() {
            if let Some(error) = self.next_buffer()? {
                return Some(Err(error));
            }
        }
        let entry = self.entry?;
        match self.block.record_at(self.at)? {
            Ok((raw, behind)) => {
                self.at = behind;
                Some(Ok(Record::new(raw, entry, self.begun.saturating_sub(1))))
            }
            Err(error) => {
                self.at = usize::MAX;
                Some(Err(self.trace.damage_in(entry, error)))
            }
        }
    }

    /// Takes the next buffer in; `None` behind the last one.
    #[cold]
    fn next_buffer(&mut self) -> Option<Option<ReadError>> {
        let entry = self.trace.buffers().get(self.begun).filter(|_| self.begun < self.end)?;
        let index = self.begun;
        self.begun = index.saturating_add(1);
        (self.entry, self.at) = (Some(entry), 0);
        Some(self.loader.load(&mut self.block, self.trace, index, entry))
    }
}
