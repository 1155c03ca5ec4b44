//! A session: started, asked, flushed, stopped.

use crate::session::{
    append::{self, AppendError, Failed},
    clock::Source,
    config::{Config, ConfigError, SessionBuilder},
    flusher::Flusher,
    lane::{Backing, Policy, Ring, RingSize},
    log::{Log, Target},
    shared::Shared,
    stats::SessionStats,
    writer::SessionHandle,
};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A recording session: a ring of buffers, the threads that fill it, and the log they go to.
///
/// Writing is done through [`SessionHandle`], which this dereferences to and any thread may have a
/// clone of. Dropping the session stops it; [`stop`](Self::stop) does so too and tells how it went.
///
/// ```
/// use etlring::format::{EventDescriptor, Guid};
/// use etlring::session::{Event, Session};
/// use etlring::sink::MemorySink;
///
/// let (sink, log) = MemorySink::new();
/// let session = Session::builder("checkout").sink(sink).start()?;
/// let provider = Guid::from_u128(0x5a5c_36d4_6d1f_4a0e_8c39_3a1f_0d7e_42aa);
///
/// std::thread::scope(|scope| {
///     for id in 1..=4 {
///         let handle = session.handle();
///         scope.spawn(move || {
///             let event = Event::new(provider, EventDescriptor::new(id, 4));
///             handle.write_event(&event, b"paid")
///         });
///     }
/// });
///
/// let stats = session.stop()?;
/// assert_eq!((stats.events_accepted, stats.lost.total()), (4, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    handle: SessionHandle,
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
}

/// A session could not be started, or its log is not whole.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// A setting is wrong.
    Config(ConfigError),
    /// The session cannot go on with the log that is there.
    Append(AppendError),
    /// The system refused something.
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// The session has stopped, but buffers did not reach the log. The counters tell how many.
    Sink {
        /// The first error of the sink.
        error: io::Error,
        /// The final counters.
        stats: SessionStats,
    },
    /// The flusher ended by a panic in the sink; what it had not written is lost.
    FlusherPanicked,
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Append(error) => error.fmt(f),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Sink { error, stats } => write!(
                f,
                "log is not whole, {} buffers with {} events lost: {error}",
                stats.buffers_lost, stats.lost.io
            ),
            Self::FlusherPanicked => f.write_str("the sink panicked, the log is not finished"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Append(error) => Some(error),
            Self::Io { error, .. } | Self::Sink { error, .. } => Some(error),
            Self::FlusherPanicked => None,
        }
    }
}

impl Session {
    /// Settings for a session of this name.
    pub fn builder(name: &str) -> SessionBuilder {
        SessionBuilder::new(name)
    }

    pub(crate) fn start(mut config: Config, mut target: Target) -> Result<Self, SessionError> {
        /// Sessions of this process so far.
        static SESSIONS: AtomicU64 = AtomicU64::new(0);
        let id = SESSIONS.fetch_add(1, Ordering::Relaxed) + 1;
        config.logger_id = u16::try_from(id % 0xFFFF).unwrap_or_default().max(1);

        let failed = |what: String| move |error| SessionError::Io { what, error };
        let existing = match &mut target {
            Target::File(file) if config.file.append => {
                append::open(file, &config).map_err(|error| match error {
                    Failed::Differs(error) => SessionError::Append(error),
                    Failed::Io(error) => failed(format!("open {}", config.log_file_name))(error),
                })?
            }
            Target::File(_) | Target::Other(_) => None,
        };
        let size = RingSize {
            buffer_size: config.buffer_size,
            buffers: config.maximum_buffers,
            resident: config.minimum_buffers,
            logger_id: config.logger_id,
            first_sequence: 1 + existing.as_ref().map_or(0, |log| log.last_sequence),
        };
        let (ring, collector) = Ring::new(id, size, Policy::Collect, Backing::Anonymous)
            .map_err(failed("map the ring".to_owned()))?;
        let clock = Source::of(config.clock);
        let shared = Arc::new(Shared::default());
        let what = match &target {
            Target::File(_) => format!("create {}", config.log_file_name),
            Target::Other(_) => "write the log's header".to_owned(),
        };
        let log = Log::new(target, existing, &config, clock, Arc::clone(&shared))
            .map_err(failed(what))?;
        let flusher = Flusher::new(collector, log, &config, clock, Arc::clone(&shared));
        let flusher = std::thread::Builder::new()
            .name("etlring-flusher".to_owned())
            .spawn(move || flusher.run())
            .map_err(failed("start the flusher thread".to_owned()))?;
        let handle = SessionHandle::new(ring, clock, Arc::clone(&shared));
        Ok(Self { handle, shared, flusher: Some(flusher) })
    }

    /// A handle to write through, for another thread or owner.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        self.handle.clone()
    }

    /// Waits until everything committed before this call is in the log.
    ///
    /// # Errors
    ///
    /// The sink's error, if it failed meanwhile.
    pub fn flush(&self) -> io::Result<()> {
        match &self.flusher {
            Some(flusher) => self.shared.flush(flusher.thread()),
            None => Ok(()),
        }
    }

    /// The log file that is written now: with numbered files the last one, with a delayed one
    /// `None` until it is made.
    #[must_use]
    pub fn log_file(&self) -> Option<PathBuf> {
        self.shared.log_file()
    }

    /// The first error of the sink so far, if there was one.
    #[must_use]
    pub fn sink_error(&self) -> Option<String> {
        self.shared.error_text()
    }

    /// Stops recording, writes everything, completes the logfile header and ends the log.
    ///
    /// Waits for writers in the middle of an event; one that holds a reservation for longer than a
    /// second is closed out, and its `commit` says so.
    ///
    /// # Errors
    ///
    /// [`SessionError::Sink`] with the first error if any write failed, now or earlier.
    pub fn stop(mut self) -> Result<SessionStats, SessionError> {
        self.end().ok_or(SessionError::FlusherPanicked)?;
        let stats = self.handle.query();
        match self.shared.take_error() {
            None => Ok(stats),
            Some(error) => Err(SessionError::Sink { error, stats }),
        }
    }

    /// Ends the flusher; `None` if it had panicked.
    fn end(&mut self) -> Option<()> {
        let flusher = self.flusher.take()?;
        self.shared.ask_to_stop();
        flusher.thread().unpark();
        flusher.join().ok()
    }
}

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
