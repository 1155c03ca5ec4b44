//! What controllers ask of a running session, beside flush and stop.
//!
//! A *wish* is something only the flusher can do, since the log is its own: it finds wishes on its
//! next turn, and the controller waits for the answer. A flusher that ends answers what is left.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// Where wishes lie, and the settings that may change while the session runs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    flush_interval_ns: AtomicU64,
    /// The flusher's thread, as records number threads; 0 until it runs.
    flusher_id: AtomicU32,
    /// Whether there are wishes, for a look without the lock.
    asked: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    wishes: Vec<Wish>,
    /// No flusher will come any more.
    closed: bool,
    /// The session is ending or has ended.
    ending: bool,
    at_end: Option<fn(u64)>,
}

/// What only the flusher can do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ends the log file and goes on in the next one.
    NextFile,
    /// Ends the log file and goes on in this one, or in the first of this series.
    LogFile(PathBuf),
    /// Adds buffers until there are so many.
    Buffers(u32),
}

/// An order, and who waits for it.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) order: Order,
    answer: SyncSender<io::Result<()>>,
}

impl Wish {
    /// Takes it apart: what to do, and where to say what came of it.
    pub(crate) fn take(self) -> (Order, impl FnOnce(io::Result<()>)) {
        let answer = self.answer;
        // Nobody listening is no concern of the flusher's.
        (self.order, move |result| drop(answer.send(result)))
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often buffers in use are written; zero for only when they are full.
    pub(crate) fn flush_interval(&self) -> Duration {
        Duration::from_nanos(self.flush_interval_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn set_flush_interval(&self, interval: Duration) {
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        self.flush_interval_ns.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn flusher_id(&self) -> u32 {
        self.flusher_id.load(Ordering::Relaxed)
    }

    pub(crate) fn set_flusher_id(&self, thread_id: u32) {
        self.flusher_id.store(thread_id, Ordering::Relaxed);
    }

    /// Has the flusher do something, and waits for it; `None` if it has ended.
    pub(crate) fn ask(&self, order: Order, flusher: &Thread) -> Option<io::Result<()>> {
        let (answer, answered) = sync_channel(1);
        {
            let mut state = self.state();
            if state.closed {
                return None;
            }
            state.wishes.push(Wish { order, answer });
            self.asked.store(1, Ordering::Relaxed);
        }
        flusher.unpark();
        answered.recv().ok()
    }

    /// What was asked for since the last call.
    pub(crate) fn wishes(&self) -> Vec<Wish> {
        if self.asked.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let mut state = self.state();
        self.asked.store(0, Ordering::Relaxed);
        std::mem::take(&mut state.wishes)
    }

    /// The flusher has ended: nobody needs to wait any more.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.wishes.clear();
    }

    /// Has `at_end` called with the session's id before it stops; `false` if it is too late. The
    /// first one stays.
    pub(crate) fn at_end(&self, at_end: fn(u64)) -> bool {
        let mut state = self.state();
        state.at_end.get_or_insert(at_end);
        !state.ending
    }

    /// Whether the session is ending or has ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.state().ending
    }

    /// Marks the session as ending. Gives what is to be called then, the first time.
    pub(crate) fn end(&self) -> Option<fn(u64)> {
        let mut state = self.state();
        state.ending = true;
        state.at_end.take()
    }
}
