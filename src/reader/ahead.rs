//! Compressed buffers unpacked by other threads before a cursor comes to them.
//!
//! ```text
//!   plan      7  3  9  4  8  2  …     buffers in the order in which they are needed, as far as
//!             ▲     ▲     ▲           that can be told before they are read
//!             │     │     └ next: whoever is free begins with this one
//!             │     └ being unpacked
//!             └ unpacked; waits to be taken
//! ```
//!
//! 1. The plan is a guess and nothing depends on it. A cursor asks for the buffer it needs: if that
//!    is unpacked it takes it, if nobody has begun it, it does so itself. So records and errors
//!    come as they would without helpers, each error with its own buffer.
//! 2. A cursor whose buffer is in work elsewhere begins the next one of the plan rather than wait:
//!    with `n` threads `n` are at work.
//! 3. What is unpacked and not yet taken is bounded: [`MOST_BUFFERS`] for each thread, and
//!    [`MOST_BYTES`] in all, but for a single buffer larger than that.
//! 4. A new cursor brings a new plan, and what was unpacked for the old one is dropped; an older
//!    cursor goes on by itself.
//!
//! Helpers sleep when there is no more room and are called when half of it is free again: to call
//! one costs as much as to unpack a small buffer.

use crate::reader::{
    BufferEntry, Cursor, Merge, ReadError, Source, Trace,
    block::Block,
    parallel::{lock, spawn, wait},
};
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex};
use std::thread;

/// Unpacked buffers that may wait, for each thread.
const MOST_BUFFERS: usize = 4;
/// Their bytes together.
const MOST_BYTES: usize = 64 << 20;
/// Memory of a buffer that is kept for another one.
const MOST_SPARE_BYTES: usize = 1 << 20;

/// A log whose compressed buffers are unpacked ahead; see [`Trace::read_ahead`].
#[derive(Debug)]
pub struct ReadAhead<'t, S> {
    trace: &'t Trace<S>,
    line: Option<&'t Line>,
}

impl<S: Source + Sync> Trace<S> {
    /// Calls `read`, while up to `threads` threads, the caller's among them, unpack the buffers
    /// that it will come to. Records, errors and their order are those of one thread.
    ///
    /// A log that is not compressed is read by the caller's thread alone: there is nothing to do
    /// ahead. For work that needs no order, [`par_buffers`](Self::par_buffers) shares all of it.
    ///
    /// Memory beyond that of the cursor: at most four unpacked buffers for each thread, and 64 MiB
    /// of them, or one that is larger, rounded up to powers of two.
    ///
    /// ```
    /// # use etlring::session::Session;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("service.etl");
    /// # Session::builder("service").log_file(&path).start()?.stop()?;
    /// use etlring::reader::Trace;
    /// let trace = Trace::open(&path)?;
    /// let threads = std::thread::available_parallelism()?;
    /// let found = trace.read_ahead(threads, |ahead| {
    ///     let mut found = 0;
    ///     let mut records = ahead.by_time();
    ///     while let Some(record) = records.next() {
    ///         found += usize::from(record.is_ok());
    ///     }
    ///     found
    /// });
    /// assert!(found > 0); // the logfile header is one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_ahead<R>(
        &self,
        threads: NonZeroUsize,
        read: impl FnOnce(ReadAhead<'_, S>) -> R,
    ) -> R {
        let packed = self.buffers().iter().filter(|entry| entry.is_packed_in_file()).count();
        let threads = threads.get().min(packed);
        if threads <= 1 {
            return read(ReadAhead { trace: self, line: None });
        }
        let line = Line::new(threads);
        thread::scope(|scope| {
            // However `read` ends, the helpers must not go on.
            let _end = EndOfWork(&line);
            for _ in 1..threads {
                if !spawn(scope, || line.help(self)) {
                    break;
                }
            }
            read(ReadAhead { trace: self, line: Some(&line) })
        })
    }
}

impl<'t, S: Source> ReadAhead<'t, S> {
    /// The records in file order, as [`Trace::records`] has them.
    #[must_use]
    pub fn records(&self) -> Cursor<'t, S> {
        Cursor::ahead(self.trace, self.line, 0..usize::MAX)
    }

    /// A cursor that will go to one after the other of these buffers.
    pub(crate) fn records_of(&self, buffers: impl Iterator<Item = usize>) -> Cursor<'t, S> {
        let mut cursor = Cursor::ahead(self.trace, self.line, 0..0);
        cursor.plan(buffers);
        cursor
    }

    /// The records in time order, as [`Trace::by_time`] has them.
    #[must_use]
    pub fn by_time(&self) -> Merge<'t, S> {
        Merge::ahead(self.trace, self.line)
    }
}

/// Where a cursor has its buffers from: this thread, or a line of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loader<'t> {
    line: Option<(&'t Line, u64)>,
}

impl<'t> Loader<'t> {
    /// Of a line of threads, which are to unpack these buffers in this order.
    pub(super) fn of<S: Source>(
        line: Option<&'t Line>,
        trace: &Trace<S>,
        buffers: impl Iterator<Item = usize>,
    ) -> Self {
        let entries = trace.buffers();
        let is_packed = |at: &usize| entries.get(*at).is_some_and(BufferEntry::is_packed_in_file);
        Self { line: line.map(|line| (line, line.plan(buffers.filter(is_packed), entries.len()))) }
    }

    /// As [`Block::load`], of the buffer with this index.
    pub(super) fn load<'b, S: Source>(
        self,
        block: &mut Block<'b>,
        trace: &'b Trace<S>,
        index: usize,
        entry: &BufferEntry,
    ) -> Option<ReadError> {
        let line = self.line.filter(|_| entry.is_packed_in_file());
        match line.and_then(|(line, plan)| line.take(trace, plan, index, block)) {
            Some(error) => error,
            None => block.load(trace, entry),
        }
    }
}

/// Threads that unpack, and what they have unpacked.
pub(super) struct Line {
    most_buffers: usize,
    state: Mutex<State>,
    /// Helpers wait here for a plan, or for room.
    work: Condvar,
    /// Cursors wait here for the buffer they need.
    done: Condvar,
}

#[derive(Default)]
struct State {
    /// Which plan this is.
    number: u64,
    /// Compressed buffers in the order in which they are needed.
    plan: Vec<usize>,
    /// The first of the plan that nobody has looked at.
    next: usize,
    /// For each buffer of the log whether somebody unpacks it, or has.
    begun: Vec<bool>,
    /// Those that wait to be taken; `None` is being unpacked.
    ahead: HashMap<usize, Option<Unpacked>>,
    /// Bytes that these have, or will have.
    bytes: usize,
    /// Memory of buffers that were taken.
    spare: Vec<Block<'static>>,
    /// Helpers that wait.
    idle: usize,
    /// No helper may begin another buffer.
    is_over: bool,
}

struct Unpacked {
    block: Block<'static>,
    error: Option<ReadError>,
    /// What it counts in `bytes`.
    bytes: usize,
}

/// A buffer to be unpacked.
struct Job {
    plan: u64,
    buffer: usize,
    bytes: usize,
    block: Block<'static>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("most_buffers", &self.most_buffers).finish_non_exhaustive()
    }
}

impl Line {
    fn new(threads: usize) -> Self {
        Self {
            most_buffers: threads.saturating_mul(MOST_BUFFERS),
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    /// Drops the plan there was for a new one, and gives its number.
    fn plan(&self, buffers: impl Iterator<Item = usize>, count: usize) -> u64 {
        let plan = buffers.collect();
        let mut state = lock(&self.state);
        (state.number, state.plan) = (state.number.wrapping_add(1), plan);
        (state.next, state.bytes) = (0, 0);
        state.begun = vec![false; count];
        state.ahead.clear();
        self.work.notify_all();
        self.done.notify_all();
        state.number
    }

    /// What a helper does until the end.
    fn help<S: Source>(&self, trace: &Trace<S>) {
        let mut state = lock(&self.state);
        while !state.is_over {
            let Some(job) = self.begin(&mut state, trace) else {
                state.idle = state.idle.saturating_add(1);
                state = wait(&self.work, state);
                state.idle = state.idle.saturating_sub(1);
                continue;
            };
            drop(state);
            self.run(job, trace);
            state = lock(&self.state);
        }
    }

    /// The next buffer of the plan, if there is room for it.
    fn begin<S: Source>(&self, state: &mut State, trace: &Trace<S>) -> Option<Job> {
        while let Some(buffer) = state.plan.get(state.next).copied() {
            let begun = state.begun.get_mut(buffer)?;
            if !*begun {
                let filled = trace.buffers().get(buffer)?.filled_bytes;
                let bytes = filled.min(trace.most_unpacked()) as usize;
                let all = state.bytes.saturating_add(bytes);
                let waiting = state.ahead.len();
                if waiting >= self.most_buffers || waiting > 0 && all > MOST_BYTES {
                    return None;
                }
                *begun = true;
                (state.bytes, state.next) = (all, state.next.saturating_add(1));
                state.ahead.insert(buffer, None);
                let block = state.spare.pop().unwrap_or_default();
                return Some(Job { plan: state.number, buffer, bytes, block });
            }
            state.next = state.next.saturating_add(1);
        }
        None
    }

    /// Unpacks a buffer and puts it among those that wait.
    fn run<S: Source>(&self, job: Job, trace: &Trace<S>) {
        let Job { plan, buffer, bytes, mut block } = job;
        // Should the source panic, a cursor must not wait for the buffer.
        let failed = NotDone { line: self, plan, buffer };
        let entry = trace.buffers().get(buffer);
        block.own();
        let error = entry.and_then(|entry| block.unpack_of(trace, entry));
        std::mem::forget(failed);
        let mut state = lock(&self.state);
        if state.number == plan {
            state.ahead.insert(buffer, Some(Unpacked { block, error, bytes }));
            self.done.notify_all();
        }
    }

    /// Puts a buffer into `block` and says what is wrong with it; `None` if the caller has to load
    /// it.
    fn take<S: Source>(
        &self,
        trace: &Trace<S>,
        plan: u64,
        buffer: usize,
        block: &mut Block<'_>,
    ) -> Option<Option<ReadError>> {
        let mut state = lock(&self.state);
        while state.number == plan {
            match state.ahead.get(&buffer) {
                Some(Some(_)) => {
                    let unpacked = state.ahead.remove(&buffer).flatten()?;
                    state.bytes = state.bytes.saturating_sub(unpacked.bytes);
                    let used = block.exchange(unpacked.block);
                    if used.owned_bytes() <= MOST_SPARE_BYTES {
                        state.spare.push(used);
                    }
                    let is_half_free = state.ahead.len() <= self.most_buffers / 2;
                    if state.idle > 0 && is_half_free && state.bytes <= MOST_BYTES / 2 {
                        self.work.notify_all();
                    }
                    return Some(unpacked.error);
                }
                Some(None) => match self.begin(&mut state, trace) {
                    Some(job) => {
                        drop(state);
                        self.run(job, trace);
                        state = lock(&self.state);
                    }
                    None => state = wait(&self.done, state),
                },
                None => {
                    if let Some(begun) = state.begun.get_mut(buffer) {
                        *begun = true;
                    }
                    break;
                }
            }
        }
        None
    }
}

/// Ends the work of the helpers when it is dropped.
struct EndOfWork<'l>(&'l Line);

impl Drop for EndOfWork<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).is_over = true;
        self.0.work.notify_all();
    }
}

/// Leaves a buffer to the cursor when it is dropped.
struct NotDone<'l> {
    line: &'l Line,
    plan: u64,
    buffer: usize,
}

impl Drop for NotDone<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.line.state);
        if state.number == self.plan {
            state.ahead.remove(&self.buffer);
            self.line.done.notify_all();
        }
    }
}
