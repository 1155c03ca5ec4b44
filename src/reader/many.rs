//! Several files as one, by time.
//!
//! Clocks of different sessions have nothing in common but the wall, so files are merged by
//! `FILETIME`; records of one file keep the order that they have there, and where two files say the
//! same time the earlier argument comes first.

use crate::format::FileTime;
use crate::reader::{Merge, ReadError, Record, Source, Trace, merge::Settled};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The records of several log files in time order.
///
/// Not an `Iterator`: a record is lent until the next call of [`next`](Self::next).
#[derive(Debug)]
pub struct MergeMany<'t, S> {
    files: Vec<File<'t, S>>,
    /// Time and file of each file's next record, but the current one's.
    waiting: BinaryHeap<Reverse<(FileTime, usize)>>,
    /// The file that was yielded from last.
    current: Option<usize>,
}

#[derive(Debug)]
struct File<'t, S> {
    merge: Merge<'t, S>,
    settled: Option<Settled>,
}

impl<'t, S: Source> MergeMany<'t, S> {
    /// The records of `traces`.
    pub fn new(traces: impl IntoIterator<Item = &'t Trace<S>>) -> Self {
        Self::starting(traces.into_iter().map(Trace::by_time).collect())
    }

    /// Only records at or after `time`. Starts the merge anew.
    #[must_use]
    pub fn seek(self, time: FileTime) -> Self {
        Self::starting(self.files.into_iter().map(|file| file.merge.seek(time)).collect())
    }

    fn starting(merges: Vec<Merge<'t, S>>) -> Self {
        let waiting = (0..merges.len()).map(|file| Reverse((FileTime(i64::MIN), file))).collect();
        let files = merges.into_iter().map(|merge| File { merge, settled: None }).collect();
        Self { files, waiting, current: None }
    }

    /// The index of the file and its next record in time, or damage that was met in it; records
    /// still follow it.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<(usize, Result<Record<'_>, ReadError>)> {
        let (index, settled) = self.settle()?;
        Some((index, self.files.get(index)?.merge.settled(settled)?))
    }

    fn settle(&mut self) -> Option<(usize, Settled)> {
        let mut index = self.current.take().or_else(|| self.least())?;
        loop {
            let file = self.files.get_mut(index)?;
            let settled = match file.settled.take() {
                // It waited for its turn with this record, and now it has come.
                Some(settled) => Some(settled),
                None => match file.merge.settle() {
                    Some(settled) if !self.must_wait(index, settled) => Some(settled),
                    _ => None,
                },
            };
            if let Some(settled) = settled {
                self.current = Some(index);
                return Some((index, settled));
            }
            index = self.least()?;
        }
    }

    /// Whether another file's record is earlier; then the file waits with this one.
    fn must_wait(&mut self, index: usize, settled: Settled) -> bool {
        let Some(file) = self.files.get_mut(index) else { return false };
        let Some(Ok(record)) = file.merge.settled(settled) else { return false };
        let key = (file.merge.trace().time(&record), index);
        let wait = self.waiting.peek().is_some_and(|Reverse(least)| *least < key);
        if wait {
            file.settled = Some(settled);
            self.waiting.push(Reverse(key));
        }
        wait
    }

    fn least(&mut self) -> Option<usize> {
        self.waiting.pop().map(|Reverse((_, file))| file)
    }
}
