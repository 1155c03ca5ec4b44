//! A session: started, asked, flushed, stopped.

#[cfg(unix)]
use crate::session::attach::{Link, Sender};
use crate::session::{
    append::{self, AppendError, Existing, Failed},
    clock::{self, Anchor, Source},
    config::{Config, ConfigError, RingConfig, SessionBuilder},
    control::{Controller, config_code, io_code, win32},
    directory::Claim,
    door::Door,
    flusher::Flusher,
    header::Header,
    keeper::Keeper,
    lane::{Backing, Policy, Ring, RingSize},
    log::{Log, Target},
    shared::Shared,
    snapshot::{SnapshotStats, Snapshots},
    stats::SessionStats,
    writer::SessionHandle,
};
use crate::sink::{RingFile, clear, hold, keep_left_over, keep_unfinished, storage::Disk};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A recording session: a ring of buffers, the threads that fill it, and the log they go to.
///
/// Looking at it, flushing and changing it, and attaching consumers is done through
/// [`Controller`], which this dereferences to; writing through [`SessionHandle`], which that
/// dereferences to and any thread may have a clone of. Dropping the session stops it;
/// [`stop`](Self::stop) does so too and tells how it went.
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
    controller: Controller,
    shared: Arc<Shared>,
    /// The flusher, or the keeper.
    flusher: Option<JoinHandle<()>>,
    /// Of a ring whose oldest buffers are overwritten.
    snapshots: Option<Arc<Snapshots>>,
    /// Of a session that is another process's.
    #[cfg(unix)]
    link: Option<Arc<Link>>,
}

/// A session could not be started, or its log is not whole.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// A setting is wrong.
    Config(ConfigError),
    /// A running session of this process, or a [controllable](SessionBuilder::controllable) one of
    /// this user, has the name, in whatever case of its letters.
    NameInUse(String),
    /// The session cannot go on with the log that is there.
    Append(AppendError),
    /// The system refused something.
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
    /// The session has stopped, but the sink had failed: buffers did not reach the log, the
    /// counters tell how many; or, with none lost, the log was not synced or its header is late.
    Sink {
        /// The first error of the sink.
        error: io::Error,
        /// The final counters.
        stats: SessionStats,
    },
    /// The session is another process's, and that process ended or did not answer. What it had not
    /// taken into its log by then is in this process's ring file, for `recover`.
    OwnerGone {
        /// The final counters of this process.
        stats: SessionStats,
    },
    /// The flusher ended by a panic in the sink; what it had not written is lost.
    FlusherPanicked,
}

impl SessionError {
    /// The Win32 number that Windows has for it.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Config(error) => config_code(error),
            Self::NameInUse(_) => win32::ALREADY_EXISTS,
            Self::Append(_) => win32::INVALID_PARAMETER,
            Self::Io { error, .. } | Self::Sink { error, .. } => io_code(error),
            Self::OwnerGone { .. } => win32::WMI_INSTANCE_NOT_FOUND,
            Self::FlusherPanicked => win32::GEN_FAILURE,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::NameInUse(name) => write!(f, "a session named {name:?} is running already"),
            Self::Append(error) => error.fmt(f),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Sink { error, stats } if stats.buffers_lost == 0 => {
                write!(f, "log has every event, but was not written as it should: {error}")
            }
            Self::Sink { error, stats } => write!(
                f,
                "log is not whole, {} buffers with {} events lost: {error}",
                stats.buffers_lost, stats.lost.io
            ),
            Self::OwnerGone { .. } => f.write_str(
                "the process whose session this is has gone, the rest is in the ring file",
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
            Self::NameInUse(_) | Self::OwnerGone { .. } | Self::FlusherPanicked => None,
        }
    }
}

impl Session {
    /// Settings for a session of this name.
    pub fn builder(name: &str) -> SessionBuilder {
        SessionBuilder::new(name)
    }

    /// Starts a session whose full buffers go to `target`, at `path` if that is a file.
    pub(crate) fn start(
        mut config: Config,
        mut target: Target,
        path: Option<PathBuf>,
        claim: Claim,
    ) -> Result<Self, SessionError> {
        let id = number(&mut config);
        let existing = match &mut target {
            Target::File(file) if config.file.append => {
                append::open(file, &config).map_err(|error| match error {
                    Failed::Differs(error) => SessionError::Append(error),
                    Failed::Io(error) => failed(format!("open {}", config.log_file_name))(error),
                })?
            }
            Target::File(_) | Target::Other(_) | Target::Owner(_) => None,
        };
        let (ring_file, backing) = match path {
            Some(path) => ring_beside(&path, &config)?,
            None => (None, Backing::Anonymous),
        };
        Self::start_log((id, claim), config, target, existing, ring_file, backing)
    }

    fn start_log(
        (id, claim): (u64, Claim),
        config: Config,
        target: Target,
        existing: Option<Existing>,
        ring_file: Option<RingFile>,
        backing: Backing,
    ) -> Result<Self, SessionError> {
        let undo = RemoveUnlessStarted(ring_file.as_ref().map(RingFile::path));
        let first = 1 + existing.as_ref().map_or(0, |log| log.last_sequence);
        let policy = match config.overwrites {
            true => Policy::CollectOrOverwrite,
            false => Policy::Collect,
        };
        let (ring, collector) = Ring::new(id, ring_size(&config, first), policy, backing)
            .map_err(failed("map the ring".to_owned()))?;
        let clock = Source::of(config.clock);
        let shared = shared_by(&config);
        let started = clock::wall_clock();
        let what = match &target {
            Target::File(_) => format!("create {}", config.log_file_name),
            Target::Other(_) | Target::Owner(_) => "write the log's header".to_owned(),
        };
        let log = Log::new(target, existing, &config, clock, Arc::clone(&shared))
            .map_err(failed(what))?;
        let flusher = Flusher::new(collector, log, ring_file, &config, clock, Arc::clone(&shared));
        let flusher = spawn(move || flusher.run())?;
        undo.forget();
        let handle = SessionHandle::new(ring, clock, &config, Arc::clone(&shared));
        let thread = flusher.thread().clone();
        let controller =
            Controller::new(handle, Arc::clone(&shared), thread, (id, started), config, claim);
        Ok(Self {
            controller,
            shared,
            flusher: Some(flusher),
            snapshots: None,
            #[cfg(unix)]
            link: None,
        })
    }

    /// Starts a session that overwrites its oldest buffers: in the log file at `path`, or in
    /// memory.
    pub(crate) fn start_ring(
        mut config: Config,
        path: Option<PathBuf>,
        claim: Claim,
    ) -> Result<Self, SessionError> {
        let id = number(&mut config);
        // Held until the log is finished: by it a follower knows that somebody is at work.
        let mut lock = None;
        let backing = match path {
            Some(path) => {
                let create = failed(format!("create {}", path.display()));
                let file = clear(&mut Disk, &path)
                    .and_then(|()| keep_left_over(&mut Disk, &path))
                    .and_then(|()| Disk::create_mapped(&path, ring_bytes(&config)));
                let file = file.map_err(create)?;
                lock = hold(&file);
                Backing::File(file)
            }
            None => Backing::Anonymous,
        };
        let (ring, collector) = Ring::new(id, ring_size(&config, 1), Policy::Overwrite, backing)
            .map_err(failed("map the ring".to_owned()))?;
        let clock = Source::of(config.clock);
        let shared = shared_by(&config);
        shared.live.refuse();
        let start = Anchor::take(clock);
        let header = Header::new(&config, clock, &start);
        let snapshots =
            Snapshots::new(Arc::clone(&ring), Arc::clone(&shared), clock, start, header.clone());
        let keeper = Keeper::new(collector, header, start, &config, clock, Arc::clone(&shared));
        let keeper = spawn(move || {
            keeper.run();
            drop(lock);
        })?;
        let handle = SessionHandle::new(ring, clock, &config, Arc::clone(&shared));
        let snapshots = Some(Arc::new(snapshots));
        let thread = keeper.thread().clone();
        let started = start.time;
        let controller =
            Controller::new(handle, Arc::clone(&shared), thread, (id, started), config, claim);
        Ok(Self {
            controller,
            shared,
            flusher: Some(keeper),
            snapshots,
            #[cfg(unix)]
            link: None,
        })
    }

    /// Writes what the ring holds to a new log file, while writers go on: they are neither stopped
    /// nor slowed. For a [memory ring](SessionBuilder::memory_ring) or a
    /// [circular log](crate::session::FileMode::Circular); takes as much memory as it writes.
    ///
    /// What lies at `path` is treated as [`FileSink::create`](crate::sink::FileSink::create) says.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the session's buffers go elsewhere; any error of writing
    /// the file.
    pub fn snapshot(&self, path: impl AsRef<Path>) -> io::Result<SnapshotStats> {
        self.snapshots()?.take(path.as_ref())
    }

    /// From now on a panic of any thread of the process writes a snapshot to `path` first, as long
    /// as the session lives. The hook that was set before is called afterwards.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot), but for those of writing.
    pub fn snapshot_on_panic(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        let snapshots = Arc::downgrade(self.snapshots()?);
        let path = path.into();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Some(snapshots) = snapshots.upgrade() {
                // Where there is a panic already there is nobody to tell.
                let _ = snapshots.try_take(&path);
            }
            before(panic);
        }));
        Ok(())
    }

    fn snapshots(&self) -> io::Result<&Arc<Snapshots>> {
        self.snapshots.as_ref().filter(|_| !self.controller.is_of_parent()).ok_or_else(|| {
            let what = "a snapshot is made of a memory ring or a circular log";
            io::Error::new(io::ErrorKind::Unsupported, what)
        })
    }

    /// Starts a session whose full buffers go to the process whose session this is, and lie in a
    /// file at `ring` until they are in its log.
    #[cfg(unix)]
    pub(crate) fn start_attached(
        mut config: Config,
        claim: Claim,
        link: &Arc<Link>,
        ring: &Path,
    ) -> Result<Self, SessionError> {
        let logger_id = config.logger_id;
        let id = number(&mut config);
        config.logger_id = logger_id;
        let made = RingFile::create_at(ring, ring_bytes(&config));
        let (ring, file) = made.map_err(failed(format!("create {}", ring.display())))?;
        let target = Target::Owner(Box::new(Sender::new(Arc::clone(link))));
        let backing = Backing::File(file);
        let mut session = Self::start_log((id, claim), config, target, None, Some(ring), backing)?;
        session.shared.preamble.refuse();
        session.link = Some(Arc::clone(link));
        Ok(session)
    }

    /// Lets callers from outside in.
    pub(crate) fn open(&self, door: Box<dyn Door>) -> Result<(), SessionError> {
        let open = door.open(&self.controller, self.snapshots.as_ref());
        self.controller.set_door(open.map_err(failed("listen to callers".to_owned()))?);
        Ok(())
    }

    /// Controls this session from another thread or owner.
    #[must_use]
    pub fn controller(&self) -> Controller {
        self.controller.clone()
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
        let stats = self.controller.query();
        if self.controller.is_of_parent() {
            return Ok(stats);
        }
        #[cfg(unix)]
        if self.link.as_ref().is_some_and(|link| !link.has_bye()) {
            return Err(SessionError::OwnerGone { stats });
        }
        match self.shared.take_error() {
            None => Ok(stats),
            Some(error) => Err(SessionError::Sink { error, stats }),
        }
    }

    /// Ends the flusher; `None` if it had panicked.
    fn end(&mut self) -> Option<()> {
        let flusher = self.flusher.take()?;
        if self.controller.is_of_parent() {
            // It runs in the parent, and there it ends the log. Here it can only be forgotten.
            std::mem::forget(flusher);
            return Some(());
        }
        self.controller.ask_to_end();
        let joined = flusher.join().ok();
        self.controller.ended();
        joined
    }
}

/// The ring's place beside the log at `path`, or in memory where there is none to be had.
fn ring_beside(path: &Path, config: &Config) -> Result<(Option<RingFile>, Backing), SessionError> {
    let RingConfig::BesideLog { required } = config.ring else {
        return Ok((None, Backing::Anonymous));
    };
    // Before the new ring is there: what lies there moves aside together with its own.
    let made =
        keep_unfinished(&mut Disk, path).and_then(|()| RingFile::create(path, ring_bytes(config)));
    match made {
        Ok((ring, file)) => Ok((Some(ring), Backing::File(file))),
        Err(error) if required => Err(failed(format!("create {}.ring", path.display()))(error)),
        // A session is more than its safety net.
        Err(_) => Ok((None, Backing::Anonymous)),
    }
}

/// What the session's threads and handles share, with the settings that may change.
fn shared_by(config: &Config) -> Arc<Shared> {
    let shared = Arc::new(Shared::default());
    shared.desk.set_flush_interval(config.flush_interval);
    shared
}

/// Gives the session its number, unlike any other of this process.
fn number(config: &mut Config) -> u64 {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    let id = SESSIONS.fetch_add(1, Ordering::Relaxed) + 1;
    config.logger_id = u16::try_from(id % 0xFFFF).unwrap_or_default().max(1);
    id
}

fn ring_size(config: &Config, first_sequence: u64) -> RingSize {
    RingSize {
        buffer_size: config.buffer_size,
        buffers: config.maximum_buffers,
        most: config.most_buffers(),
        resident: config.minimum_buffers,
        logger_id: config.logger_id,
        first_sequence,
        one_lane: config.one_lane,
        lanes: config.most_lanes,
    }
}

/// Bytes of a file with a header buffer and the ring.
fn ring_bytes(config: &Config) -> u64 {
    (u64::from(config.maximum_buffers) + 1) * u64::from(config.buffer_size)
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, SessionError> {
    std::thread::Builder::new()
        .name("etlring-flusher".to_owned())
        .spawn(run)
        .map_err(failed("start the flusher thread".to_owned()))
}

/// The error of something that the system refused.
fn failed(what: String) -> impl FnOnce(io::Error) -> SessionError {
    move |error| SessionError::Io { what, error }
}

/// Removes a new ring file when a session cannot be started.
struct RemoveUnlessStarted(Option<PathBuf>);

impl RemoveUnlessStarted {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for RemoveUnlessStarted {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Nothing is in it; what cannot be removed is moved aside by the next session.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Deref for Session {
    type Target = Controller;

    fn deref(&self) -> &Controller {
        &self.controller
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}
