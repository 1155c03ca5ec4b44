//! What one may do with a running session without owning it: look, flush, change, listen, stop.
//!
//! The calls are those of `ControlTrace`, as methods, and refuse what it refuses; an error has the
//! Win32 number that Windows would answer with.

use crate::codec::LogfileView;
use crate::format::{FileTime, LogFileMode};
#[cfg(unix)]
use crate::session::{
    attach::{FRAMES, Place, Terms, Welcome},
    clock,
    config::RingConfig,
};
use crate::session::{
    clock::Clock,
    config::{Config, ConfigError},
    desk::Order,
    directory::Claim,
    lane::HEADER_BYTES,
    live::Consumer,
    setting::Setting,
    shared::Shared,
    stats::{AttachStats, SessionStats},
    writer::SessionHandle,
};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

/// How long the processes that are attached to a session are waited for.
const ATTACHED: Duration = Duration::from_secs(10);
/// Lanes of one attached process: its threads that log at the same time.
#[cfg(unix)]
const MOST_LANES_OF_ONE: u32 = 64;

/// Controls a running session: cheap to clone, for any thread.
///
/// A [`Session`](crate::session::Session) dereferences to its controller, and
/// [`find`](crate::session::find) gives that of any session of the process by its name. A
/// controller dereferences to the session's [`SessionHandle`] for writing.
#[derive(Clone, Debug)]
pub struct Controller {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: SessionHandle,
    shared: Arc<Shared>,
    flusher: Thread,
    id: u64,
    started: FileTime,
    config: Config,
    /// The session's name, until the session has ended.
    claim: Mutex<Option<Claim>>,
    /// Lets callers from outside in, as long as it is there.
    door: Mutex<Option<Box<dyn fmt::Debug + Send>>>,
}

/// A controller that does not keep the session's memory.
#[derive(Clone, Debug)]
pub(crate) struct Weak(std::sync::Weak<Inner>);

impl Weak {
    pub(crate) fn upgrade(&self) -> Option<Controller> {
        Some(Controller { inner: self.0.upgrade()? })
    }
}

/// A session at one moment: its settings and counters (`EVENT_TRACE_PROPERTIES`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionProperties {
    /// Its name, unlike that of any other running session of the process.
    pub name: String,
    /// Number of the session, unlike that of any other session the process has had.
    pub id: u64,
    /// Number of the session as its buffers carry it (`LoggerId`).
    pub logger_id: u16,
    /// How the log grows, and what else Windows keeps in these bits (`LogFileMode`).
    pub mode: LogFileMode,
    /// What stamps the events (`Wnode.ClientContext`).
    pub clock: Clock,
    /// Bytes of a buffer.
    pub buffer_size: u32,
    /// Buffers whose memory was there from the start.
    pub minimum_buffers: u32,
    /// Buffers of the session.
    pub maximum_buffers: u32,
    /// How often the filled part of buffers in use goes to the log and to consumers; zero for only
    /// when full (`FlushTimer`).
    pub flush_interval: Duration,
    /// The log file in use; `None` where a sink takes the buffers, or only consumers do.
    pub log_file: Option<PathBuf>,
    /// When it started.
    pub start_time: FileTime,
    /// The flusher's thread, numbered as records number threads (`LoggerThreadId`).
    pub flusher_thread_id: u32,
    /// Consumers attached at this moment.
    pub consumers: usize,
    /// Pieces of buffers that consumers were too slow for, over all consumers
    /// (`RealTimeBuffersLost`).
    pub real_time_buffers_lost: u64,
    /// Other processes that write into the session.
    pub attached: AttachStats,
    /// What became of events and buffers (`NumberOfBuffers`, `FreeBuffers`, `EventsLost`,
    /// `BuffersWritten`, `LogBuffersLost`).
    pub stats: SessionStats,
}

/// What to change of a running session. Made by [`Update::new`]; what is not named stays.
///
/// | setting | may become |
/// |---|---|
/// | [`flush_interval`](Self::flush_interval) | 0, or 1 ms to 1 h |
/// | [`log_file`](Self::log_file) | another path, if the session writes to a log file |
/// | [`maximum_buffers`](Self::maximum_buffers) | more, up to four times what it was at start within 1 GiB, where the system has addresses for that (64-bit Unix); rings that overwrite stay as they are |
/// | [`minimum_buffers`](Self::minimum_buffers), [`buffer_size`](Self::buffer_size), [`clock`](Self::clock) | what they are, as on Windows |
///
/// The last two rows are there so that a caller who gives back all that
/// [`Controller::properties`] told is refused by name only what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an update changes a session only when it is given to it"]
pub struct Update {
    pub(crate) flush_interval: Option<Duration>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) maximum_buffers: Option<u32>,
    pub(crate) minimum_buffers: Option<u32>,
    pub(crate) buffer_size: Option<u32>,
    pub(crate) clock: Option<Clock>,
}

impl Update {
    /// Changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often the filled part of buffers in use goes to the log; zero for only when full.
    pub fn flush_interval(self, interval: Duration) -> Self {
        Self { flush_interval: Some(interval), ..self }
    }

    /// Ends the log file and goes on in this one; in numbered ones, with a `%d` in the name, if the
    /// log has such. What lies there is treated as
    /// [`FileSink::create`](crate::sink::FileSink::create) says.
    pub fn log_file(self, path: impl AsRef<Path>) -> Self {
        Self { log_file: Some(path.as_ref().to_owned()), ..self }
    }

    /// Buffers of the session.
    pub fn maximum_buffers(self, count: u32) -> Self {
        Self { maximum_buffers: Some(count), ..self }
    }

    /// Buffers whose memory was there from the start.
    pub fn minimum_buffers(self, count: u32) -> Self {
        Self { minimum_buffers: Some(count), ..self }
    }

    /// Bytes of a buffer.
    pub fn buffer_size(self, bytes: u32) -> Self {
        Self { buffer_size: Some(bytes), ..self }
    }

    /// What stamps the events.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }
}

/// A controller's call was refused. Nothing has changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ControlError {
    /// A setting is wrong.
    Config(ConfigError),
    /// A setting that no running session can change.
    Fixed(&'static str),
    /// The session writes to no log file, so there is none to change.
    NoLogFile,
    /// The session's buffers stay in a ring until they are overwritten: no consumer can be given
    /// them, but a snapshot can be taken. Windows excludes the two as well where the ring lies in
    /// memory (`EVENT_TRACE_BUFFERING_MODE`).
    NotRealTime,
    /// The session has stopped, or is that of the process that this one was forked from.
    Stopped,
    /// As many sessions as can have enabled this provider already: how many.
    TooManySessions(usize),
    /// This process knows as many providers as it may: how many.
    TooManyProviders(usize),
    /// Bits of an enable property that are not supported.
    Properties(u32),
    /// Filter data longer than allowed: bytes, most.
    Filter(usize, usize),
    /// The session has not enabled this provider.
    NotEnabled,
    /// Called from a signal handler that interrupted a call of its own kind.
    Reentered,
    /// The system refused something.
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

impl ControlError {
    /// The Win32 number that Windows has for it.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Config(error) => config_code(error),
            Self::Fixed(_) | Self::Properties(_) | Self::Filter(..) | Self::NotEnabled => {
                win32::INVALID_PARAMETER
            }
            Self::NoLogFile => win32::BAD_PATHNAME,
            Self::NotRealTime => win32::NOT_SUPPORTED,
            Self::Stopped => win32::WMI_INSTANCE_NOT_FOUND,
            Self::TooManySessions(_) | Self::TooManyProviders(_) => win32::NO_SYSTEM_RESOURCES,
            Self::Reentered => win32::INVALID_FUNCTION,
            Self::Io { error, .. } => io_code(error),
        }
    }
}

/// What Windows answers to a setting.
pub(crate) fn config_code(error: &ConfigError) -> u32 {
    match error {
        ConfigError::LogFileName(_) | ConfigError::Target => win32::BAD_PATHNAME,
        _ => win32::INVALID_PARAMETER,
    }
}

/// What Windows answers where the system here says no.
pub(crate) fn io_code(error: &io::Error) -> u32 {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            win32::BAD_PATHNAME
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => win32::ACCESS_DENIED,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => win32::DISK_FULL,
        io::ErrorKind::OutOfMemory => win32::OUTOFMEMORY,
        io::ErrorKind::Unsupported => win32::NOT_SUPPORTED,
        io::ErrorKind::InvalidInput => win32::INVALID_PARAMETER,
        _ => win32::GEN_FAILURE,
    }
}

/// Numbers of `winerror.h`.
pub(crate) mod win32 {
    pub(crate) const INVALID_FUNCTION: u32 = 1;
    pub(crate) const ACCESS_DENIED: u32 = 5;
    pub(crate) const OUTOFMEMORY: u32 = 14;
    pub(crate) const GEN_FAILURE: u32 = 31;
    pub(crate) const NOT_SUPPORTED: u32 = 50;
    pub(crate) const INVALID_PARAMETER: u32 = 87;
    pub(crate) const DISK_FULL: u32 = 112;
    pub(crate) const BAD_PATHNAME: u32 = 161;
    pub(crate) const ALREADY_EXISTS: u32 = 183;
    pub(crate) const NO_SYSTEM_RESOURCES: u32 = 1450;
    pub(crate) const WMI_INSTANCE_NOT_FOUND: u32 = 4201;
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Fixed(setting) => write!(f, "{setting} cannot change while the session runs"),
            Self::NoLogFile => f.write_str("the session has no log file"),
            Self::NotRealTime => {
                f.write_str("consumers are excluded by a memory ring and by FileMode::Circular")
            }
            Self::Stopped => f.write_str("the session has stopped"),
            Self::TooManySessions(most) => {
                write!(f, "{most} sessions have enabled this provider already")
            }
            Self::TooManyProviders(most) => {
                write!(f, "{most} providers are registered or enabled in this process already")
            }
            Self::Properties(bits) => write!(f, "enable properties {bits:#x} are not supported"),
            Self::Filter(len, most) => write!(f, "filter data is {len} bytes, must be 0 to {most}"),
            Self::NotEnabled => f.write_str("the session has not enabled this provider"),
            Self::Reentered => f.write_str("called from a signal handler within such a call"),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for ControlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl Controller {
    pub(crate) fn new(
        handle: SessionHandle,
        shared: Arc<Shared>,
        flusher: Thread,
        (id, started): (u64, FileTime),
        config: Config,
        claim: Claim,
    ) -> Self {
        let claim = Mutex::new(Some(claim));
        let door = Mutex::new(None);
        let inner = Inner { handle, shared, flusher, id, started, config, claim, door };
        let controller = Self { inner: Arc::new(inner) };
        controller.with_claim(|claim| {
            if let Some(claim) = claim {
                claim.publish(controller.downgrade());
            }
        });
        controller
    }

    fn with_claim(&self, with: impl FnOnce(&mut Option<Claim>)) {
        // The name is there or not, whoever panicked.
        with(&mut self.inner.claim.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Number of the session, unlike that of any other session the process has had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.config.name
    }

    /// A handle to write through, for another thread or owner.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        self.inner.handle.clone()
    }

    /// Settings and counters of this moment, without stopping anybody.
    #[must_use]
    pub fn properties(&self) -> SessionProperties {
        let Inner { shared, config, .. } = &*self.inner;
        let (consumers, real_time_buffers_lost) = shared.live.counts();
        SessionProperties {
            name: config.name.clone(),
            id: self.inner.id,
            logger_id: config.logger_id,
            mode: config.mode,
            clock: config.clock,
            buffer_size: config.buffer_size,
            minimum_buffers: config.minimum_buffers,
            maximum_buffers: self.inner.handle.buffers().0,
            flush_interval: shared.desk.flush_interval(),
            log_file: shared.log_file(),
            start_time: self.inner.started,
            flusher_thread_id: shared.desk.flusher_id(),
            consumers,
            real_time_buffers_lost,
            attached: self.attached(),
            stats: self.inner.handle.query(),
        }
    }

    /// The processes that write into the session, and what was wrong with what they sent.
    #[must_use]
    pub fn attached(&self) -> AttachStats {
        self.inner.shared.attached.stats()
    }

    /// Waits until everything committed before this call is in the log, and was given to consumers.
    ///
    /// # Errors
    ///
    /// The sink's error, if it failed meanwhile; an error that says so if the session has ended;
    /// [`io::ErrorKind::TimedOut`] if a process that is attached to the session did not answer, and
    /// everything else is in the log.
    pub fn flush(&self) -> io::Result<()> {
        if self.is_of_parent() {
            let what = "the session is the parent process's";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let shared = &self.inner.shared;
        let all = shared.attached.flush(ATTACHED);
        shared.flush(&self.inner.flusher)?;
        if !all {
            let what = "a process that is attached to the session does not answer";
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        Ok(())
    }

    /// Changes settings of the running session: all that `update` names, or none.
    ///
    /// # Errors
    ///
    /// [`ControlError::Config`] with the range if a value is wrong, [`ControlError::Fixed`] for a
    /// setting that cannot change, [`ControlError::NoLogFile`], [`ControlError::Stopped`],
    /// [`ControlError::Io`] if there is no room for more buffers or the new log file cannot be
    /// made; the buffers are there by then, since they are added before the file is changed.
    pub fn update(&self, update: &Update) -> Result<(), ControlError> {
        // In a forked child nobody would answer.
        if self.is_of_parent() || self.inner.shared.desk.is_ending() {
            return Err(ControlError::Stopped);
        }
        let config = &self.inner.config;
        let fixed = |same: bool, name| if same { Ok(()) } else { Err(ControlError::Fixed(name)) };
        fixed(update.buffer_size.is_none_or(|size| size == config.buffer_size), "buffer_size")?;
        fixed(update.clock.is_none_or(|clock| clock == config.clock), "clock")?;
        let minimum = config.minimum_buffers;
        fixed(update.minimum_buffers.is_none_or(|count| count == minimum), "minimum_buffers")?;
        let (now, most) = self.inner.handle.buffers();
        if let Some(count) = update.maximum_buffers {
            // Lowering it would take buffers away.
            range("maximum_buffers", count.into(), (now.into(), most.into()), "buffers")?;
        }
        if let Some(interval) = update.flush_interval.filter(|interval| !interval.is_zero()) {
            let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            range("flush_interval", ms, (1, 3_600_000), "ms")?;
        }

        if let Some(count) = update.maximum_buffers.filter(|count| *count > now) {
            self.order(Order::Buffers(count), || format!("add {} buffers", count - now))?;
        }
        if let Some(path) = &update.log_file {
            self.change_log_file(path)?;
        }
        if let Some(interval) = update.flush_interval {
            self.inner.shared.desk.set_flush_interval(interval);
        }
        Ok(())
    }

    fn change_log_file(&self, path: &Path) -> Result<(), ControlError> {
        // What they committed before is in the file that ends, of those that answer.
        self.inner.shared.attached.flush(ATTACHED);
        let Inner { config, shared, .. } = &*self.inner;
        if config.log_file_name.is_empty() {
            return Err(ControlError::NoLogFile);
        }
        if shared.log_file().is_some_and(|current| current == path) {
            return Ok(());
        }
        let name = path.to_string_lossy().into_owned();
        let units = name.encode_utf16().count();
        if !(1..=1024).contains(&units) || name.contains('\0') {
            return Err(ControlError::Config(ConfigError::LogFileName(units)));
        }
        let header = LogfileView::record_size(config.name.encode_utf16().count(), units);
        let (header, room) =
            (u32::try_from(header).unwrap_or(u32::MAX), config.buffer_size - HEADER_BYTES);
        if header > room {
            return Err(ControlError::Config(ConfigError::NamesTooLong(header, room)));
        }
        self.order(Order::LogFile(path.to_owned()), || format!("go on in {}", path.display()))
    }

    /// Has the flusher do something; `what` names it if it fails.
    fn order(&self, order: Order, what: impl Fn() -> String) -> Result<(), ControlError> {
        match self.inner.shared.desk.ask(order, &self.inner.flusher) {
            None => Err(ControlError::Stopped),
            Some(result) => result.map_err(|error| ControlError::Io { what: what(), error }),
        }
    }

    /// Ends the log file and goes on in the next one (`EVENT_TRACE_CONTROL_INCREMENT_FILE`).
    ///
    /// # Errors
    ///
    /// [`ControlError::Io`] if the session's log has no next file or it cannot be made,
    /// [`ControlError::Stopped`].
    pub fn increment_file(&self) -> Result<(), ControlError> {
        if self.is_of_parent() {
            return Err(ControlError::Stopped);
        }
        self.inner.shared.attached.flush(ATTACHED);
        self.order(Order::NextFile, || "go on in the next file".to_owned())
    }

    /// The log file that is written now: with numbered files the last one, with a delayed one
    /// `None` until it is made.
    #[must_use]
    pub fn log_file(&self) -> Option<PathBuf> {
        self.inner.shared.log_file()
    }

    /// Attaches a consumer, which gets the session's events within the flush interval. Up to 8 MiB
    /// of them wait for it.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotRealTime`] if the session's buffers stay in a ring that is overwritten.
    pub fn consumer(&self) -> Result<Consumer, ControlError> {
        self.attach(None, false)
    }

    /// The same with another limit to what waits. One piece of a buffer always may.
    ///
    /// # Errors
    ///
    /// As [`consumer`](Self::consumer).
    pub fn consumer_with_capacity(&self, bytes: usize) -> Result<Consumer, ControlError> {
        self.attach(Some(bytes), false)
    }

    /// Attaches one for another process, which does not wait for the session to flush.
    #[cfg(unix)]
    pub(crate) fn consumer_outside(&self, bytes: usize) -> Result<Consumer, ControlError> {
        self.attach(Some(bytes), true)
    }

    fn attach(&self, capacity: Option<usize>, prompt: bool) -> Result<Consumer, ControlError> {
        // In a forked child nobody would give it anything, or end it.
        if self.is_of_parent() {
            return Err(ControlError::Stopped);
        }
        let shared = &self.inner.shared;
        let consumer = shared.live.attach(capacity, prompt);
        let mut consumer = consumer.ok_or(ControlError::NotRealTime)?;
        // After it was attached: what is told from now on comes to it by itself.
        consumer.add_to_header(&shared.preamble.records());
        Ok(consumer)
    }

    /// The first error of the sink so far, if there was one.
    #[must_use]
    pub fn sink_error(&self) -> Option<String> {
        self.inner.shared.error_text()
    }

    /// Stops the session for whoever owns it, and waits until its log is complete. The owner's
    /// [`Session::stop`](crate::session::Session::stop) then tells how it went.
    pub fn stop_session(&self) {
        if self.is_of_parent() {
            return;
        }
        self.ask_to_end();
        self.inner.shared.wait_for_end();
        self.ended();
    }

    /// Disables what the session has enabled and asks the flusher to end.
    pub(crate) fn ask_to_end(&self) {
        if let Some(at_end) = self.inner.shared.desk.end() {
            at_end(self.inner.id);
        }
        self.inner.shared.attached.end(ATTACHED);
        self.inner.shared.ask_to_stop();
        self.inner.flusher.unpark();
    }

    /// Tells the processes that are attached what the session wants of a provider.
    pub(crate) fn tell_attached(&self, setting: &Setting) {
        self.inner.shared.attached.tell(setting);
    }

    /// What a process that is to be attached is told; its ring file's name starts with `ring_base`.
    #[cfg(unix)]
    pub(crate) fn terms(&self, ring_base: PathBuf) -> Terms {
        let Inner { handle, shared, config, .. } = &*self.inner;
        let clock = handle.clock_source();
        let (ring, flusher) = (handle.ring(), self.inner.flusher.clone());
        let place = Place { shared: Arc::clone(shared), ring, flusher };
        let interval = shared.desk.flush_interval().as_nanos();
        let welcome = Welcome {
            version: FRAMES,
            session: self.inner.id,
            clock: config.clock.number(),
            source: clock.number(),
            frequency: clock::frequency(clock),
            ticks: 0,
            buffer_size: config.buffer_size,
            most_buffers: config.maximum_buffers,
            lanes: MOST_LANES_OF_ONE,
            logger_id: config.logger_id,
            sequence: config.sequence as u16,
            flush_interval_ns: u64::try_from(interval).unwrap_or(u64::MAX),
            ring: Vec::new(),
        };
        let takes_buffers =
            matches!(config.ring, RingConfig::Memory | RingConfig::BesideLog { .. });
        Terms { place, welcome, clock, takes_buffers, ring_base }
    }

    /// Asks for a flush and does not wait for it.
    #[cfg(unix)]
    pub(crate) fn ask_to_flush(&self) {
        self.inner.shared.ask_to_flush(&self.inner.flusher);
    }

    /// Has `at_end` called with the session's id before it stops; `false` if it is stopping.
    pub(crate) fn at_end(&self, at_end: fn(u64)) -> bool {
        self.inner.shared.desk.at_end(at_end)
    }

    /// Lets callers in until the session has ended.
    pub(crate) fn set_door(&self, open: Box<dyn fmt::Debug + Send>) {
        *self.door() = Some(open);
    }

    fn door(&self) -> MutexGuard<'_, Option<Box<dyn fmt::Debug + Send>>> {
        // It is there or not, whoever panicked.
        self.inner.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A controller that does not keep the session's memory.
    pub(crate) fn downgrade(&self) -> Weak {
        Weak(Arc::downgrade(&self.inner))
    }

    /// The log file as the settings name it, made or not.
    #[cfg(unix)]
    pub(crate) fn configured_log_file(&self) -> Option<PathBuf> {
        let name = &self.inner.config.log_file_name;
        Some(PathBuf::from(name)).filter(|_| !name.is_empty())
    }

    /// Frees the name: the log is complete.
    pub(crate) fn ended(&self) {
        *self.door() = None;
        self.with_claim(|claim| *claim = None);
    }
}

impl Deref for Controller {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.inner.handle
    }
}

fn range(
    setting: &'static str,
    value: u64,
    (least, most): (u64, u64),
    unit: &'static str,
) -> Result<(), ControlError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let error = ConfigError::OutOfRange { setting, value, least, most, unit };
    Err(ControlError::Config(error))
}
