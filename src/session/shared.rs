//! What the flusher and the handles of its session tell each other.

use crate::session::{
    attach::Hub as Attached,
    desk::Desk,
    live::Hub,
    preamble::Preamble,
    sequence::Sequence,
    stats::EventsLost,
    sync::{AtomicU64, Ordering},
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What the flusher shares with the session's handles.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Buffers in the log, the header buffer included.
    pub(crate) buffers_written: AtomicU64,
    /// Buffers that the sink failed to write.
    pub(crate) buffers_lost: AtomicU64,
    /// Events in these buffers.
    pub(crate) events_lost_io: AtomicU64,
    /// Events that found no lane.
    pub(crate) no_lane: Span,
    /// Events within events that found none.
    pub(crate) reentered: Span,
    /// Events that the file, being full, had no room for.
    pub(crate) file_full: Span,
    control: Mutex<Control>,
    answered: Condvar,
    /// What controllers ask for.
    pub(crate) desk: Desk,
    /// Where consumers are attached.
    pub(crate) live: Arc<Hub>,
    /// The session's own count of messages.
    pub(crate) sequence: Sequence,
    /// What every file of the log holds besides its header.
    pub(crate) preamble: Preamble,
    /// Other processes that write into the session.
    pub(crate) attached: Attached,
}

/// What is asked of the flusher, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) flushes_asked: u64,
    pub(crate) flushes_done: u64,
    pub(crate) stop: bool,
    pub(crate) ended: bool,
    /// The first error of the sink.
    error: Option<io::Error>,
    /// Errors of the sink so far.
    errors: u64,
    log_file: Option<PathBuf>,
}

/// Events lost for one cause, from when to when.
#[derive(Debug, Default)]
pub(crate) struct Span {
    pub(crate) count: AtomicU64,
    pub(crate) first: AtomicU64,
    pub(crate) last: AtomicU64,
}

impl Span {
    /// Counts `count` events, the first and the last of which have these stamps.
    pub(crate) fn add(&self, count: u64, first: u64, last: u64) {
        if count != 0 && self.count.fetch_add(count, Ordering::Relaxed) == 0 {
            self.first.store(first, Ordering::Relaxed);
        }
        self.last.fetch_max(last, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn control(&self) -> MutexGuard<'_, Control> {
        // Nothing in here is left half done by a panic.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log file that is written now.
    pub(crate) fn log_file(&self) -> Option<PathBuf> {
        self.control().log_file.clone()
    }

    /// Says which file is written from now on.
    pub(crate) fn set_log_file(&self, path: &Path) {
        self.control().log_file = Some(path.to_owned());
    }

    /// Asks for a flush and waits for it. Gives the sink's first error if one came up meanwhile.
    pub(crate) fn flush(&self, flusher: &thread::Thread) -> io::Result<()> {
        let mut control = self.control();
        control.flushes_asked += 1;
        let (mine, errors) = (control.flushes_asked, control.errors);
        flusher.unpark();
        while control.flushes_done < mine && !control.ended {
            control = self.answered.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        let done = control.flushes_done >= mine && control.errors == errors;
        if done { Ok(()) } else { Err(control.first_error()) }
    }

    /// Asks for a flush and does not wait for it.
    #[cfg(unix)]
    pub(crate) fn ask_to_flush(&self, flusher: &thread::Thread) {
        self.control().flushes_asked += 1;
        flusher.unpark();
    }

    /// How many flushes were asked for so far, and whether the end was.
    pub(crate) fn asked(&self) -> (u64, bool) {
        let control = self.control();
        (control.flushes_asked, control.stop)
    }

    /// Whether any of the first `asked` flushes is yet to be done.
    pub(crate) fn is_asked(&self, asked: u64) -> bool {
        self.control().flushes_done < asked
    }

    /// The first `asked` flushes are done.
    pub(crate) fn answer(&self, asked: u64) {
        let mut control = self.control();
        if control.flushes_done < asked {
            control.flushes_done = asked;
            drop(control);
            self.answered.notify_all();
        }
    }

    /// Asks the flusher to end.
    pub(crate) fn ask_to_stop(&self) {
        self.control().stop = true;
    }

    /// Waits until the flusher has ended.
    pub(crate) fn wait_for_end(&self) {
        let control = self.control();
        let ended = self.answered.wait_while(control, |control| !control.ended);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }

    /// The sink's first error, as text.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.control().error.as_ref().map(ToString::to_string)
    }

    /// Takes the sink's first error.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.control().error.take()
    }

    /// Counts buffers that did not reach the log, with the events that are only in them.
    pub(crate) fn lose_buffers(&self, buffers: u64, events: u64, error: io::Error) {
        self.events_lost_io.fetch_add(events, Ordering::Relaxed);
        self.buffers_lost.fetch_add(buffers, Ordering::Relaxed);
        self.note_error(error);
    }

    /// What was lost in no lane.
    pub(crate) fn lost(&self) -> EventsLost {
        EventsLost {
            no_lane: self.no_lane.count.load(Ordering::Relaxed),
            reentered: self.reentered.count.load(Ordering::Relaxed),
            file_full: self.file_full.count.load(Ordering::Relaxed),
            io: self.events_lost_io.load(Ordering::Relaxed),
            ..EventsLost::default()
        }
    }

    /// Remembers the first error for whoever stops the session.
    pub(crate) fn note_error(&self, error: io::Error) {
        let mut control = self.control();
        control.errors += 1;
        control.error.get_or_insert(error);
    }
}

/// Tells whoever waits for the flusher that nothing will come any more, also when a sink panics.
pub(crate) struct Ended(pub(crate) Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.live.end();
        self.0.attached.close();
        self.0.desk.close();
        self.0.control().ended = true;
        self.0.answered.notify_all();
    }
}

impl Control {
    /// A copy of the first error: an `io::Error` cannot be cloned.
    fn first_error(&self) -> io::Error {
        match &self.error {
            Some(error) => io::Error::new(error.kind(), error.to_string()),
            None => io::Error::other("the flusher ended"),
        }
    }
}
