//! Settings of a session, checked before anything is made.

mod check;
mod checked;
mod error;

pub(crate) use checked::{Config, RingConfig};
pub use error::ConfigError;

#[cfg(unix)]
use crate::format::MAX_LANES;
#[cfg(unix)]
use crate::session::attach::Welcome;
use crate::session::log::Target;
use crate::session::{
    clock::Clock,
    controller::{Session, SessionError},
    directory::Claim,
    door::TakeName,
};
use crate::sink::{
    FileName, FileOptions, FileSink, NullSink, Series, Sink,
    storage::{Disk, Storage},
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the session numbers the messages that ask for it (`TRACE_MESSAGE_SEQUENCE`): from 1 on, and
/// behind 4,294,967,295 from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SequenceMode {
    /// Not at all: a message that asks for a number is refused.
    #[default]
    None,
    /// One count for this session (`EVENT_TRACE_USE_LOCAL_SEQUENCE`).
    Local,
    /// One count for all sessions of the process that ask for it
    /// (`EVENT_TRACE_USE_GLOBAL_SEQUENCE`).
    Global,
}

/// Name of the session that only the kernel writes to (`KERNEL_LOGGER_NAME`).
const KERNEL_LOGGER_NAME: &str = "NT Kernel Logger";

/// How the log file grows (`EVENT_TRACE_FILE_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FileMode {
    /// Buffer after buffer, up to the maximum size if there is one. From then on events are lost,
    /// and counted as [`file_full`](crate::session::EventsLost::file_full). What lies under the
    /// name already is treated as [`FileSink::create`] says.
    #[default]
    Sequential,
    /// As sequential, behind the buffers of the finished log that lies under the name. It must
    /// have the same size of buffers and the same clock, or the session does not start, and
    /// [`AppendError`](crate::session::AppendError) says why. Where there is none one is made.
    Append,
    /// At the maximum size, or at the age that
    /// [`new_file_interval`](SessionBuilder::new_file_interval) sets, recording goes on in a new
    /// file. The name's `%d` stands for its number: one more than the highest that is there, so
    /// that files of earlier sessions stay.
    NewFile,
    /// A file of the maximum size from the start, whose pages are the session's buffers: nothing is
    /// copied or written, and a killed process leaves all that it committed. When the file is full
    /// the oldest buffer is overwritten; the header never is. The size takes the place of
    /// [`maximum_buffers`](SessionBuilder::maximum_buffers). Buffers have no checksum before the
    /// session stops.
    Circular,
}

/// What a writer does when no buffer is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It discards its event at once, and counts it.
    #[default]
    Discard,
    /// It takes back the oldest full buffer that is not being written to the log yet, so that the
    /// newest events are kept. Those that were in it are lost, and counted as
    /// [`no_free_buffer`](crate::session::EventsLost::no_free_buffer); the log tells where they are
    /// missing. It does not wait for anybody. Only where every buffer is in use by another thread
    /// or being written does it discard its own event. A memory ring and a circular log do as much
    /// whatever is asked.
    Overwrite,
    /// It waits for a buffer, up to so long, and discards its event only then. Not for threads that
    /// must not sleep.
    Block(Duration),
}

/// When the log file is brought to the disk, so that it survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SyncMode {
    /// When the system thinks fit. The log survives the end of the process all the same.
    #[default]
    Never,
    /// At each flush interval and each [`flush`](crate::session::Controller::flush), when a file is
    /// begun and when it is ended.
    Flush,
}

/// Longest name of a session or a log file, in UTF-16 units.
pub(crate) const MAX_NAME: usize = 1024;
/// Most memory of one session: 64 GiB, or what fits an address.
pub(crate) const MAX_RING_BYTES: u64 = if usize::BITS >= 64 { 64 << 30 } else { 1 << 30 };
/// Memory that is there from the start where the oldest buffers are overwritten.
const RESIDENT_BYTES: u32 = 64 << 20;
/// Most buffers: more than any use, less than the special numbers.
pub(crate) const MAX_BUFFERS: u32 = 1 << 20;
/// Longest flush interval: an hour.
pub(crate) const MAX_FLUSH_MS: u32 = 3_600_000;

/// Settings of a session that is not started yet. Made by [`Session::builder`].
///
/// | setting | default | range |
/// |---|---|---|
/// | [`buffer_size`](Self::buffer_size) | 64 KiB | 4 KiB to 16 MiB, a multiple of 1 KiB |
/// | [`minimum_buffers`](Self::minimum_buffers) | 32, or the maximum if that is less | 1 to the maximum |
/// | [`maximum_buffers`](Self::maximum_buffers) | 512 | 2 to 1,048,576 |
/// | [`flush_interval`](Self::flush_interval) | 1 s | 0, or 1 ms to 1 h |
/// | [`clock`](Self::clock) | performance counter | [`Clock`] |
/// | [`sequence`](Self::sequence) | none | [`SequenceMode`] |
/// | [`file_mode`](Self::file_mode) | sequential | [`FileMode`] |
/// | [`maximum_file_size_mb`](Self::maximum_file_size_mb) | none | 1 to 4,294,967,295, three buffers at least |
/// | [`maximum_file_size_kb`](Self::maximum_file_size_kb) | none | 1 to 4,294,967,295, three buffers at least |
/// | [`new_file_interval`](Self::new_file_interval) | none | 1 s to 366 days |
/// | [`files_kept`](Self::files_kept) | all | 2 to 1,000,000 |
/// | [`preallocate`](Self::preallocate) | no | needs a maximum file size |
/// | [`delay_open`](Self::delay_open) | no | not with [`FileMode::Append`] |
/// | [`sync`](Self::sync) | never | [`SyncMode`] |
/// | [`storage`](Self::storage) | [`Disk`] | any [`Storage`] |
/// | [`ring_file`](Self::ring_file) | for a log file, if it can be made | needs [`Disk`] |
/// | [`real_time`](Self::real_time) | no | not with [`FileMode::Append`], nor a ring that is overwritten |
/// | [`memory_ring`](Self::memory_ring) | no | instead of a log file or a sink |
/// | [`one_lane`](Self::one_lane) | no | |
/// | [`controllable`](Self::controllable) | no | Unix |
/// | [`when_full`](Self::when_full) | discard | [`WhenFull`], up to 1 h |
#[must_use = "a builder makes a session only when it is started"]
pub struct SessionBuilder {
    name: String,
    log_file: Option<PathBuf>,
    sink: Option<Box<dyn Sink>>,
    buffer_size: u32,
    minimum_buffers: Option<u32>,
    maximum_buffers: u32,
    flush_interval: Duration,
    clock: Clock,
    sequence: SequenceMode,
    file_mode: FileMode,
    maximum_file_size: Option<FileSize>,
    new_file_interval: Option<Duration>,
    files_kept: Option<u32>,
    preallocate: bool,
    delay_open: bool,
    sync: SyncMode,
    storage: Option<Box<dyn Storage>>,
    memory_ring: bool,
    one_lane: bool,
    ring_file: Option<bool>,
    when_full: WhenFull,
    real_time: bool,
    behind: Option<TakeName>,
}

/// A size as the logfile header tells it.
#[derive(Clone, Copy, Debug)]
enum FileSize {
    Mb(u32),
    Kb(u32),
}

impl FileSize {
    fn bytes(self) -> u64 {
        match self {
            Self::Mb(mb) => u64::from(mb) << 20,
            Self::Kb(kb) => u64::from(kb) << 10,
        }
    }
}

impl SessionBuilder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            log_file: None,
            sink: None,
            buffer_size: 64 * 1024,
            minimum_buffers: None,
            maximum_buffers: 512,
            flush_interval: Duration::from_secs(1),
            clock: Clock::default(),
            sequence: SequenceMode::default(),
            file_mode: FileMode::default(),
            maximum_file_size: None,
            new_file_interval: None,
            files_kept: None,
            preallocate: false,
            delay_open: false,
            sync: SyncMode::default(),
            storage: None,
            memory_ring: false,
            one_lane: false,
            ring_file: None,
            when_full: WhenFull::default(),
            real_time: false,
            behind: None,
        }
    }

    /// The log file to write; with [`FileMode::NewFile`] the pattern of its names.
    pub fn log_file(self, path: impl AsRef<Path>) -> Self {
        Self { log_file: Some(path.as_ref().to_owned()), ..self }
    }

    /// Where buffers go instead of a log file.
    pub fn sink(self, sink: impl Sink + 'static) -> Self {
        Self { sink: Some(Box::new(sink)), ..self }
    }

    /// No log: events stay in memory, the newest ones always, until
    /// [`Session::snapshot`](crate::session::Session::snapshot) writes them to a file
    /// (`EVENT_TRACE_BUFFERING_MODE`). When all buffers are full the oldest is overwritten.
    pub fn memory_ring(self) -> Self {
        Self { memory_ring: true, ..self }
    }

    /// Has all threads write into one lane (`EVENT_TRACE_NO_PER_PROCESSOR_BUFFERING`), so that the
    /// order of the file is the order of the events. Threads then wait for each other, for the time
    /// of an event; one that finds another asleep in the lane gives up after a while, and its event
    /// is lost as [`no_lane`](crate::session::EventsLost::no_lane).
    pub fn one_lane(self) -> Self {
        Self { one_lane: true, ..self }
    }

    /// Whether the buffers lie in a file beside the log, `app.etl.ring` for `app.etl`, so that a
    /// killed process loses nothing that it committed. Its room is taken from the disk at start,
    /// `maximum_buffers + 1` buffers; a session that stops removes it. A circular log needs none.
    ///
    /// If nothing is said a session does without where the file cannot be made, on a full disk for
    /// instance; [`SessionStats::ring_file`](crate::session::SessionStats::ring_file) tells.
    pub fn ring_file(self, ring_file: bool) -> Self {
        Self { ring_file: Some(ring_file), ..self }
    }

    /// What a writer does when no buffer is free. A memory ring and a circular log overwrite their
    /// oldest buffer in any case.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }

    /// Bytes of a buffer. No record is larger than a buffer less 72 bytes.
    ///
    /// An event for which a new buffer is begun takes its caller some hundred nanoseconds more.
    /// Where the slowest of a thousand calls counts, 1 MiB keeps such calls rarer than that; the
    /// default loses less where events come flat out.
    pub fn buffer_size(self, bytes: u32) -> Self {
        Self { buffer_size: bytes, ..self }
    }

    /// Buffers whose memory is there from the start; the others get theirs when first used, or when
    /// the flusher finds that the session is better off with more.
    pub fn minimum_buffers(self, count: u32) -> Self {
        Self { minimum_buffers: Some(count), ..self }
    }

    /// Buffers of the session. What becomes of events when all are full says
    /// [`when_full`](Self::when_full).
    pub fn maximum_buffers(self, count: u32) -> Self {
        Self { maximum_buffers: count, ..self }
    }

    /// How often the filled part of buffers in use goes to the log; zero for only when full.
    pub fn flush_interval(self, interval: Duration) -> Self {
        Self { flush_interval: interval, ..self }
    }

    /// What stamps the events.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// How messages are numbered (see [`message`](crate::message)). The choice stands in the log
    /// file's mode.
    pub fn sequence(self, sequence: SequenceMode) -> Self {
        Self { sequence, ..self }
    }

    /// How the log file grows.
    pub fn file_mode(self, mode: FileMode) -> Self {
        Self { file_mode: mode, ..self }
    }

    /// Size that no log file exceeds, in units of 1,048,576 bytes. Replaces a size in KB.
    pub fn maximum_file_size_mb(self, mb: u32) -> Self {
        Self { maximum_file_size: Some(FileSize::Mb(mb)), ..self }
    }

    /// Size that no log file exceeds, in units of 1,024 bytes. Replaces a size in MB.
    pub fn maximum_file_size_kb(self, kb: u32) -> Self {
        Self { maximum_file_size: Some(FileSize::Kb(kb)), ..self }
    }

    /// Age at which [`FileMode::NewFile`] goes on in a new file, if anything is in the old one.
    pub fn new_file_interval(self, interval: Duration) -> Self {
        Self { new_file_interval: Some(interval), ..self }
    }

    /// How many files of [`FileMode::NewFile`] stay, the current one among them: when a new one is
    /// begun those of the lowest numbers are removed, of earlier sessions too.
    pub fn files_kept(self, count: u32) -> Self {
        Self { files_kept: Some(count), ..self }
    }

    /// Reserves the room of the whole file when it is made, so that it can be written whatever else
    /// fills the disk. What is not used is given back at the end.
    pub fn preallocate(self, preallocate: bool) -> Self {
        Self { preallocate, ..self }
    }

    /// Makes the file only when the first buffer goes there: a session without events leaves none.
    /// A file that cannot be made then is told as any error of the sink is, and tried again.
    pub fn delay_open(self, delay: bool) -> Self {
        Self { delay_open: delay, ..self }
    }

    /// When the file is brought to the disk.
    pub fn sync(self, sync: SyncMode) -> Self {
        Self { sync, ..self }
    }

    /// Where log files are made, instead of the machine's file system.
    pub fn storage(self, storage: impl Storage + 'static) -> Self {
        Self { storage: Some(Box::new(storage)), ..self }
    }

    /// Says in the log that the session is read while it runs, and allows it to have no log at all
    /// (`EVENT_TRACE_REAL_TIME_MODE`). Not with a [memory ring](Self::memory_ring), as on Windows,
    /// where buffering mode excludes it, nor with [`FileMode::Circular`]: their buffers pass nobody
    /// before they are overwritten. Consumers may be attached with or without it:
    /// [`Controller::consumer`](crate::session::Controller::consumer).
    pub fn real_time(self) -> Self {
        Self { real_time: true, ..self }
    }

    /// Has the session reached from outside, through a door that is made so.
    pub(crate) fn behind(self, take: TakeName) -> Self {
        Self { behind: Some(take), ..self }
    }

    /// Settings of a session that is another process's: those of its own that this process may
    /// choose, and the owner's.
    #[cfg(unix)]
    pub(crate) fn attached(self, welcome: &Welcome) -> Result<Config, ConfigError> {
        let sequence = [SequenceMode::None, SequenceMode::Local, SequenceMode::Global];
        let builder = Self {
            sink: Some(Box::new(NullSink)),
            buffer_size: welcome.buffer_size,
            sequence: sequence.get(usize::from(welcome.sequence)).copied().unwrap_or_default(),
            ..self
        };
        if builder.when_full == WhenFull::Overwrite {
            return Err(ConfigError::Excludes("WhenFull::Overwrite", "attach"));
        }
        let mut config = builder.check()?;
        let most = u64::from(welcome.most_buffers);
        check::range("maximum_buffers", config.maximum_buffers.into(), 2, most, "buffers")?;
        config.ring = RingConfig::Attached;
        config.logger_id = welcome.logger_id;
        config.most_lanes = u16::try_from(welcome.lanes).unwrap_or(MAX_LANES);
        Ok(config)
    }

    /// Starts the session.
    ///
    /// # Errors
    ///
    /// [`SessionError::Config`] names the setting that is wrong and its range;
    /// [`SessionError::NameInUse`] if a running session of the process has the name, or a
    /// controllable one of the user and this is to be one, too;
    /// [`SessionError::Append`] says why the session cannot go on with the log that is there;
    /// [`SessionError::Io`] if the file, the memory or the flusher thread cannot be made.
    pub fn start(mut self) -> Result<Session, SessionError> {
        let config = self.check().map_err(SessionError::Config)?;
        // Before the log is touched: it may be that of the session that has the name.
        let in_use = || SessionError::NameInUse(self.name.clone());
        let claim = Claim::new(&self.name).ok_or_else(in_use)?;
        let door = self.behind.map(|take| take(&self.name)).transpose()?;
        let log_file = self.log_file.take();
        let session = match (config.ring, self.sink.take(), log_file) {
            (RingConfig::Recorder | RingConfig::Circular, _, path) => {
                Session::start_ring(config, path, claim)
            }
            (_, Some(sink), _) => Session::start(config, Target::Other(sink), None, claim),
            (_, None, Some(path)) => {
                let target = Target::File(Box::new(self.file_sink(path.clone(), &config)?));
                Session::start(config, target, Some(path), claim)
            }
            (_, None, None) => {
                Session::start(config, Target::Other(Box::new(NullSink)), None, claim)
            }
        }?;
        if let Some(door) = door {
            session.open(door)?;
        }
        Ok(session)
    }

    fn file_sink(&mut self, path: PathBuf, config: &Config) -> Result<FileSink, SessionError> {
        let name = match self.file_mode {
            FileMode::NewFile => Series::new(&path).map(FileName::Series),
            FileMode::Sequential | FileMode::Append | FileMode::Circular => {
                Some(FileName::One(path))
            }
        };
        let name = name.ok_or(SessionError::Config(ConfigError::FileNumber))?;
        let options = FileOptions {
            allocate: if self.preallocate { config.file.maximum_bytes } else { 0 },
            sync: self.sync == SyncMode::Flush,
            files_kept: self.files_kept,
        };
        let storage = self.storage.take().unwrap_or_else(|| Box::new(Disk));
        Ok(FileSink::new(storage, name, options))
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder")
            .field("name", &self.name)
            .field("log_file", &self.log_file)
            .field("buffer_size", &self.buffer_size)
            .field("minimum_buffers", &self.minimum_buffers)
            .field("maximum_buffers", &self.maximum_buffers)
            .field("flush_interval", &self.flush_interval)
            .field("clock", &self.clock)
            .field("sequence", &self.sequence)
            .field("file_mode", &self.file_mode)
            .field("maximum_file_size", &self.maximum_file_size)
            .field("new_file_interval", &self.new_file_interval)
            .field("files_kept", &self.files_kept)
            .field("preallocate", &self.preallocate)
            .field("delay_open", &self.delay_open)
            .field("sync", &self.sync)
            .field("memory_ring", &self.memory_ring)
            .field("one_lane", &self.one_lane)
            .field("ring_file", &self.ring_file)
            .field("when_full", &self.when_full)
            .field("real_time", &self.real_time)
            .field("controllable", &self.behind.is_some())
            .finish_non_exhaustive()
    }
}
