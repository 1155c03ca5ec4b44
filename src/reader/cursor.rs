//! File order: buffers as they lie in the file, records as they lie in their buffer.

use crate::reader::{ReadError, Record, Source, Trace, block::Block};
use std::ops::Range;

/// The records of a log file, or of some of its buffers, in file order; see [`Trace::records`].
///
/// Not an `Iterator`: a record is lent until the next call of [`next`](Self::next).
#[derive(Debug)]
pub struct Cursor<'t, S> {
    trace: &'t Trace<S>,
    block: Block<'t>,
    /// Where the next record starts in the block.
    at: usize,
    /// The buffer behind the one that the block holds.
    begun: usize,
    /// The buffer to stop before.
    end: usize,
}

impl<'t, S: Source> Cursor<'t, S> {
    pub(crate) fn new(trace: &'t Trace<S>, buffers: Range<usize>) -> Self {
        Self { trace, block: Block::default(), at: 0, begun: buffers.start, end: buffers.end }
    }

    /// The next record, or what is wrong at this place; records behind the damage still follow.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<Record<'_>, ReadError>> {
        while self.at >= self.block.bytes().len() {
            if let Some(error) = self.next_buffer()? {
                return Some(Err(error));
            }
        }
        self.block.warm(self.at);
        let index = self.begun.saturating_sub(1);
        let entry = self.trace.buffers().get(index)?;
        match self.block.record_at(self.at)? {
            Ok((raw, behind)) => {
                self.at = behind;
                Some(Ok(Record::new(raw, entry, index)))
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
        self.begun = self.begun.saturating_add(1);
        self.at = 0;
        Some(self.block.load(self.trace, entry))
    }
}
