//! Work on buffers by several threads, its results in the order of the file.
//!
//! ```text
//!   buffers   0   1   2   3   4   5   6   7  …
//!             ▲   ▲       ▲       ▲
//!             │   │       │       └ next: whoever is free begins with this one
//!             │   └───────┴ two threads are at work on these
//!             └ first: its result is handed over next
//! ```
//!
//! 1. Whoever is free begins the next buffer, in order, so one that takes long holds up nobody.
//! 2. The caller's own thread hands results over, in order. As long as the first is not ready it
//!    works like the others, so with `n` threads `n` are at work and none only waits.
//! 3. Nobody begins a buffer more than [`AHEAD`] per thread behind the first: what a caller that
//!    writes slowly lets pile up is bounded.
//!
//! A buffer is thousands of records, so a lock per buffer costs nothing that can be measured.

use crate::reader::{Cursor, Source, Trace};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

/// Results that may wait to be handed over, for each thread.
const AHEAD: usize = 4;

impl<S: Source + Sync> Trace<S> {
    /// Has up to `threads` threads, the caller's among them, look at some of the buffers, named by
    /// their place among [`buffers`](Self::buffers), and gives `take` what they found, in order:
    /// the same, whatever the number of threads.
    ///
    /// `work` is shown one buffer at a time: a cursor over its records, and what `init` made for
    /// this thread. Unpacking a compressed buffer is part of that, so a compressed log is read
    /// nearly `threads` times as fast. An error of `take` ends everything.
    ///
    /// Memory: for each thread one buffer, as a [`Cursor`] has it, and a few results that wait for
    /// their turn.
    ///
    /// # Errors
    ///
    /// What `take` returns.
    ///
    /// # Panics
    ///
    /// If `work` panics.
    ///
    /// ```
    /// # use etlring::session::Session;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("service.etl");
    /// # Session::builder("service").log_file(&path).start()?.stop()?;
    /// use etlring::reader::{ReadError, Trace};
    /// let trace = Trace::open(&path)?;
    /// let threads = std::thread::available_parallelism()?;
    /// let mut records = 0u64;
    /// trace.par_buffers(
    ///     0..usize::MAX,
    ///     threads,
    ///     || (),
    ///     |(), _buffer, cursor| {
    ///         let mut found = 0;
    ///         while let Some(record) = cursor.next() {
    ///             record?;
    ///             found += 1;
    ///         }
    ///         Ok::<u64, ReadError>(found)
    ///     },
    ///     |_buffer, found| {
    ///         records += found?;
    ///         Ok::<(), ReadError>(())
    ///     },
    /// )?;
    /// assert!(records > 0); // the logfile header is one
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn par_buffers<'t, T, R: Send, E>(
        &'t self,
        buffers: Range<usize>,
        threads: NonZeroUsize,
        init: impl Fn() -> T + Sync,
        work: impl Fn(&mut T, usize, &mut Cursor<'t, S>) -> R + Sync,
        mut take: impl FnMut(usize, R) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = buffers.end.min(self.buffers().len());
        let start = buffers.start.min(end);
        let worker = || {
            let (mut cursor, mut own, work) = (self.records_of(0..0), init(), &work);
            move |at: usize| {
                let buffer = start.saturating_add(at);
                cursor.go_to(buffer..buffer.saturating_add(1));
                work(&mut own, buffer, &mut cursor)
            }
        };
        let take = |at: usize, result| take(start.saturating_add(at), result);
        in_order(end.saturating_sub(start), threads, &worker, take)
    }
}

/// Does the pieces of work 0 to `count`, and hands their results to `take` in order.
fn in_order<W, R, E>(
    count: usize,
    threads: NonZeroUsize,
    worker: &(impl Fn() -> W + Sync),
    mut take: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E>
where
    W: FnMut(usize) -> R,
    R: Send,
{
    let threads = threads.get().min(count);
    if threads <= 1 {
        let mut work = worker();
        return (0..count).try_for_each(|at| take(at, work(at)));
    }
    let line = Line::new(count, threads);
    thread::scope(|scope| {
        // However this ends, by an error or a panic of `take`, the others must not go on.
        let _end = EndOfWork(&line);
        for _ in 1..threads {
            if !spawn(scope, || line.help(worker())) {
                break;
            }
        }
        let mut work = worker();
        for at in 0..count {
            // Nothing comes if a helper panicked; the scope says so.
            let Some(result) = line.first(&mut work) else { break };
            take(at, result)?;
        }
        Ok(())
    })
}

/// Starts a thread, if there can be one more: with fewer the work is the same.
pub(super) fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() + Send + 'scope,
) -> bool {
    thread::Builder::new().name("etlring-reader".to_owned()).spawn_scoped(scope, run).is_ok()
}

/// Takes a lock. What it guards is whole even if a thread that had it panicked: nothing is called
/// under it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for `condition` with the lock given back meanwhile.
pub(super) fn wait<'m, T>(condition: &Condvar, guard: MutexGuard<'m, T>) -> MutexGuard<'m, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Pieces of work in order, and the results that wait.
struct Line<R> {
    count: usize,
    most: usize,
    state: Mutex<State<R>>,
    /// A helper waits here for room.
    room: Condvar,
    /// The caller waits here for the first result.
    done: Condvar,
}

struct State<R> {
    /// The next piece that nobody has begun.
    next: usize,
    /// The first whose result was not handed over.
    first: usize,
    /// Results from `first` up to `next`; `None` is being worked on.
    results: VecDeque<Option<R>>,
    /// No helper may begin another piece.
    is_over: bool,
}

impl<R> Line<R> {
    fn new(count: usize, threads: usize) -> Self {
        let state = State { next: 0, first: 0, results: VecDeque::new(), is_over: false };
        let most = threads.saturating_mul(AHEAD);
        let (room, done) = (Condvar::new(), Condvar::new());
        Self { count, most, state: Mutex::new(state), room, done }
    }

    /// What a helper does until nothing is left to begin.
    fn help(&self, mut work: impl FnMut(usize) -> R) {
        // Without its result the caller would wait for ever.
        let end = EndOfWork(self);
        let mut state = lock(&self.state);
        while !state.is_over && state.next < self.count {
            let Some(at) = self.begin(&mut state) else {
                state = wait(&self.room, state);
                continue;
            };
            drop(state);
            let result = work(at);
            state = lock(&self.state);
            if state.finish(at, result) {
                self.done.notify_one();
            }
        }
        drop(state);
        std::mem::forget(end);
    }

    /// The next piece, if there is room for its result.
    fn begin(&self, state: &mut State<R>) -> Option<usize> {
        let at = state.next;
        if at >= self.count || state.results.len() >= self.most {
            return None;
        }
        state.next = at.saturating_add(1);
        state.results.push_back(None);
        Some(at)
    }

    /// The first result that was not handed over. Until it is ready the caller works, too.
    fn first(&self, work: &mut impl FnMut(usize) -> R) -> Option<R> {
        let mut state = lock(&self.state);
        loop {
            if let Some(Some(_)) = state.results.front() {
                let was_full = state.results.len() >= self.most;
                state.first = state.first.saturating_add(1);
                let result = state.results.pop_front().flatten();
                drop(state);
                if was_full {
                    self.room.notify_all();
                }
                return result;
            }
            if let Some(at) = self.begin(&mut state) {
                drop(state);
                let result = work(at);
                state = lock(&self.state);
                state.finish(at, result);
            } else if state.is_over {
                return None;
            } else {
                state = wait(&self.done, state);
            }
        }
    }
}

impl<R> State<R> {
    /// Keeps the result of a piece; whether it is the first.
    fn finish(&mut self, at: usize, result: R) -> bool {
        let place = at.wrapping_sub(self.first);
        if let Some(slot) = self.results.get_mut(place) {
            *slot = Some(result);
        }
        place == 0
    }
}

/// Ends the work of all when it is dropped.
struct EndOfWork<'l, R>(&'l Line<R>);

impl<R> Drop for EndOfWork<'_, R> {
    fn drop(&mut self) {
        lock(&self.0.state).is_over = true;
        self.0.room.notify_all();
        self.0.done.notify_all();
    }
}
