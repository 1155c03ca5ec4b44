//! Settings of a session, checked before anything is made.

use crate::codec::LogfileView;
use crate::format::{LogFileMode, MAX_BUFFER_SIZE, MAX_LANES, MIN_BUFFER_SIZE};
use crate::session::{
    clock::Clock,
    controller::{Session, SessionError},
    lane::HEADER_BYTES,
};
use crate::sink::{FileSink, Sink};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the session numbers its messages (`TRACE_MESSAGE_SEQUENCE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum SequenceMode {
    /// Messages carry no sequence numbers.
    #[default]
    None,
    /// One count for this session.
    Local,
    /// One count for all sessions of the process that ask for it.
    Global,
}

/// A setting that no session can be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number out of its range: setting, value, least, most, unit.
    OutOfRange {
        /// The builder's method.
        setting: &'static str,
        /// What was asked for.
        value: u64,
        /// Least that is allowed.
        least: u64,
        /// Most that is allowed.
        most: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// `buffer_size` is no multiple of 1 KiB.
    Unaligned(u32),
    /// The buffers together exceed what a process can map.
    TooMuchMemory(u64),
    /// The session's name is empty, longer than 1,024 UTF-16 units or holds a NUL; its length.
    Name(usize),
    /// The log file's name is longer than 1,024 UTF-16 units or holds a NUL; its length.
    LogFileName(usize),
    /// The two names do not fit the header buffer: bytes they need with the header, bytes there.
    NamesTooLong(u32, u32),
    /// Neither `log_file` nor `sink` was set, or both were.
    Target,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { setting, value, least, most, unit } => {
                write!(f, "{setting} is {value} {unit}, must be {least} to {most}")
            }
            Self::Unaligned(size) => {
                write!(f, "buffer_size is {size} bytes, must be a multiple of 1024")
            }
            Self::TooMuchMemory(bytes) => write!(
                f,
                "maximum_buffers times buffer_size is {bytes} bytes, must be 1 to {MAX_RING_BYTES}"
            ),
            Self::Name(len) => write!(
                f,
                "name has {len} UTF-16 units, must be 1 to {MAX_NAME} without a NUL among them"
            ),
            Self::LogFileName(len) => write!(
                f,
                "log_file has {len} UTF-16 units, must be 1 to {MAX_NAME} without a NUL among them"
            ),
            Self::NamesTooLong(need, room) => write!(
                f,
                "name and log_file make a header of {need} bytes, buffer_size allows {room}"
            ),
            Self::Target => f.write_str("exactly one of log_file and sink must be set"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Longest name of a session or a log file, in UTF-16 units.
const MAX_NAME: usize = 1024;
/// Most memory of one session: 64 GiB, or what fits an address.
const MAX_RING_BYTES: u64 = if usize::BITS >= 64 { 64 << 30 } else { 1 << 30 };
/// Most buffers: more than any use, less than the special numbers.
const MAX_BUFFERS: u32 = 1 << 20;

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
}

/// Settings that passed every check.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    /// Name of the log file as the logfile header tells it.
    pub(crate) log_file_name: String,
    pub(crate) buffer_size: u32,
    pub(crate) minimum_buffers: u32,
    pub(crate) maximum_buffers: u32,
    pub(crate) flush_interval: Duration,
    pub(crate) clock: Clock,
    pub(crate) mode: LogFileMode,
    /// Number of the session within the process; given at start.
    pub(crate) logger_id: u16,
}

impl Config {
    /// Lanes that are to be expected: each holds a buffer.
    pub(crate) fn lanes(&self) -> u32 {
        self.maximum_buffers.min(u32::from(MAX_LANES))
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
        }
    }

    /// The log file to write. What lies there already is treated as [`FileSink::create`] says.
    pub fn log_file(self, path: impl AsRef<Path>) -> Self {
        Self { log_file: Some(path.as_ref().to_owned()), ..self }
    }

    /// Where buffers go instead of a log file.
    pub fn sink(self, sink: impl Sink + 'static) -> Self {
        Self { sink: Some(Box::new(sink)), ..self }
    }

    /// Bytes of a buffer. No record is larger than a buffer less 72 bytes.
    pub fn buffer_size(self, bytes: u32) -> Self {
        Self { buffer_size: bytes, ..self }
    }

    /// Buffers whose memory is there from the start; the others get theirs when first used.
    pub fn minimum_buffers(self, count: u32) -> Self {
        Self { minimum_buffers: Some(count), ..self }
    }

    /// Buffers of the session. When all are full, events are discarded.
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

    /// How messages are numbered. The choice stands in the log file's mode.
    pub fn sequence(self, sequence: SequenceMode) -> Self {
        Self { sequence, ..self }
    }

    /// Starts the session.
    ///
    /// # Errors
    ///
    /// [`SessionError::Config`] names the setting that is wrong and its range;
    /// [`SessionError::Io`] if the file, the memory or the flusher thread cannot be made.
    pub fn start(mut self) -> Result<Session, SessionError> {
        let config = self.check().map_err(SessionError::Config)?;
        let sink: Box<dyn Sink> = match (self.sink.take(), &self.log_file) {
            (Some(sink), None) => sink,
            (None, Some(path)) => Box::new(FileSink::create(path).map_err(|error| {
                SessionError::Io { what: format!("create {}", path.display()), error }
            })?),
            _ => return Err(SessionError::Config(ConfigError::Target)),
        };
        Session::start(config, sink)
    }

    fn check(&self) -> Result<Config, ConfigError> {
        let range = |setting, value, least, most, unit| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange { setting, value, least, most, unit })
            }
        };
        let size = self.buffer_size;
        let (least, most) = (u64::from(MIN_BUFFER_SIZE), u64::from(MAX_BUFFER_SIZE));
        range("buffer_size", u64::from(size), least, most, "bytes")?;
        if size % 1024 != 0 {
            return Err(ConfigError::Unaligned(size));
        }
        let maximum = self.maximum_buffers;
        range("maximum_buffers", u64::from(maximum), 2, u64::from(MAX_BUFFERS), "buffers")?;
        let minimum = self.minimum_buffers.unwrap_or(maximum.min(32));
        range("minimum_buffers", u64::from(minimum), 1, u64::from(maximum), "buffers")?;
        let memory = u64::from(size) * u64::from(maximum);
        if memory > MAX_RING_BYTES {
            return Err(ConfigError::TooMuchMemory(memory));
        }
        if !self.flush_interval.is_zero() {
            let ms = u64::try_from(self.flush_interval.as_millis()).unwrap_or(u64::MAX);
            range("flush_interval", ms, 1, 3_600_000, "ms")?;
        }
        let units = |name: &str| name.encode_utf16().count();
        let name_units = units(&self.name);
        if !(1..=MAX_NAME).contains(&name_units) || self.name.contains('\0') {
            return Err(ConfigError::Name(name_units));
        }
        if self.log_file.is_some() == self.sink.is_some() {
            return Err(ConfigError::Target);
        }
        let log_file_name = self
            .log_file
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default();
        let file_units = units(&log_file_name);
        let empty = self.log_file.is_some() && log_file_name.is_empty();
        if file_units > MAX_NAME || empty || log_file_name.contains('\0') {
            return Err(ConfigError::LogFileName(file_units));
        }
        let header = LogfileView::record_size(name_units, file_units);
        let header = u32::try_from(header).unwrap_or(u32::MAX);
        if header > size - HEADER_BYTES {
            return Err(ConfigError::NamesTooLong(header, size - HEADER_BYTES));
        }

        let sequence = match self.sequence {
            SequenceMode::None => LogFileMode(0),
            SequenceMode::Local => LogFileMode::USE_LOCAL_SEQUENCE,
            SequenceMode::Global => LogFileMode::USE_GLOBAL_SEQUENCE,
        };
        Ok(Config {
            name: self.name.clone(),
            log_file_name,
            buffer_size: size,
            minimum_buffers: minimum,
            maximum_buffers: maximum,
            flush_interval: self.flush_interval,
            clock: self.clock,
            mode: LogFileMode::SEQUENTIAL.with(sequence),
            logger_id: 0,
        })
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
            .finish_non_exhaustive()
    }
}
