//! Going on with a log that was finished.
//!
//! All times of a file count from its first stamp, at one rate. So a session can go on with a file
//! only if its clock is the one that the file was stamped with: the same kind, the same rate, and
//! running since. The last is seen by turning the ticks of this moment into a time by the file's
//! rule and comparing that with the wall clock: after a restart of the machine they are far apart.

use crate::format::{BufferFlags, BufferHeader, BufferState, ClockType, LogFileMode};
use crate::session::{
    clock::{self, Anchor, DRIFT_PPM, Source},
    config::Config,
    header::Header,
};
use crate::sink::FileSink;
use std::fmt;
use std::io;
use zerocopy::FromBytes;

/// How far a clock may be off the wall clock beside that, in units of 100 ns.
const OFF: u64 = 10_000;

/// A session cannot go on with the log that is there. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// Another size of buffers, in bytes.
    BufferSize {
        /// The file's.
        file: u32,
        /// The session's.
        session: u32,
    },
    /// One of them has one lane for all threads, the other one for each.
    Lanes {
        /// Lanes of the file.
        file: u32,
        /// Most lanes of the session.
        session: u32,
    },
    /// Another clock.
    ClockType {
        /// The file's.
        file: ClockType,
        /// The session's.
        session: ClockType,
    },
    /// A clock of another rate, in ticks per second.
    Frequency {
        /// The file's.
        file: u64,
        /// The session's.
        session: u64,
    },
    /// The clock is not the one that stamped the file, or the wall clock was set meanwhile: by the
    /// file's rule the time now is off by this many microseconds.
    ClockOff(i64),
    /// The time now lies before the end of the file, by this many microseconds.
    BeforeEnd(i64),
    /// The file does not end behind its last buffer: its length and the size of a buffer, in bytes.
    NotWhole(u64, u32),
    /// The buffer at this place is none that a session could have written.
    Damaged(u64),
    /// The file is compressed, circular, of 32-bit layout or without a readable header.
    Layout,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot append to what is there: ")?;
        match self {
            Self::BufferSize { file, session } => {
                write!(f, "its buffers have {file} bytes, the session's {session}")
            }
            Self::Lanes { file, session } => {
                write!(f, "it has {file} lanes, the session up to {session}")
            }
            Self::ClockType { file, session } => {
                write!(f, "its clock is of type {}, the session's of type {}", file.0, session.0)
            }
            Self::Frequency { file, session } => {
                write!(f, "its clock has {file} ticks per second, the session's {session}")
            }
            Self::ClockOff(micros) => {
                let why = "the machine was started again, or the time set";
                write!(f, "by its clock the time now is off by {micros} us: {why}")
            }
            Self::BeforeEnd(micros) => {
                write!(f, "it ends {micros} us after the time now: the time was set back")
            }
            Self::NotWhole(size, buffer_size) => {
                write!(f, "its {size} bytes are no multiple of its buffers' {buffer_size}")
            }
            Self::Damaged(position) => write!(f, "its buffer {position} is damaged"),
            Self::Layout => f.write_str("it is compressed, circular or of 32-bit layout"),
        }
    }
}

impl std::error::Error for AppendError {}

/// A log to go on with.
pub(crate) struct Existing {
    pub(crate) header: Header,
    /// Its buffers, the header buffer included.
    pub(crate) buffers: u64,
    /// The highest sequence number in it.
    pub(crate) last_sequence: u64,
    /// What its times count from.
    pub(crate) start: Anchor,
    /// Whether the start is good enough to measure the clock's rate by.
    pub(crate) refines: bool,
}

/// Why a log was not opened.
#[derive(Debug)]
pub(crate) enum Failed {
    Io(io::Error),
    Differs(AppendError),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<AppendError> for Failed {
    fn from(error: AppendError) -> Self {
        Self::Differs(error)
    }
}

/// Opens the finished log under the sink's name and makes it the sink's file, if the session can go
/// on with it. `None` if there is no such log.
pub(crate) fn open(sink: &mut FileSink, config: &Config) -> Result<Option<Existing>, Failed> {
    let Some(mut file) = sink.open_finished()? else { return Ok(None) };
    let mut prefix = [0; BufferHeader::SIZE];
    file.read(0, &mut prefix)?;
    let size = u32::from_le_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]);
    // The header buffer of a compressed file has a size of its own; it is not read for one that
    // no session could have.
    if size != config.buffer_size {
        return Err(AppendError::BufferSize { file: size, session: config.buffer_size }.into());
    }
    let mut buffer = vec![0; size as usize];
    file.read(0, &mut buffer)?;
    let mut header = Header::of_existing(buffer, &config.name).ok_or(AppendError::Layout)?;
    let (start, refines) = compare(&header, config)?;

    let length = file.size()?;
    if length % u64::from(size) != 0 {
        return Err(AppendError::NotWhole(length, size).into());
    }
    let buffers = length / u64::from(size);
    let mut last_sequence = 0;
    for position in 1..buffers {
        file.read(position * u64::from(size), &mut prefix)?;
        let sequence = sequence_of(&prefix, size).ok_or(AppendError::Damaged(position))?;
        last_sequence = sequence.max(last_sequence);
    }
    let mode = header.mode().with(LogFileMode::APPEND).with(config.mode);
    header.fields.log_file_mode = mode.0.into();
    header.fields.maximum_file_size = config.file.maximum_size.into();
    sink.go_on_in(file);
    Ok(Some(Existing { header, buffers, last_sequence, start, refines }))
}

/// The number of a sound data buffer.
fn sequence_of(prefix: &[u8], size: u32) -> Option<u64> {
    let (header, _) = BufferHeader::ref_from_prefix(prefix).ok()?;
    let filled = (BufferHeader::SIZE as u64..=u64::from(size))
        .contains(&u64::from(header.filled_bytes.get()));
    let sound = header.buffer_size.get() == size
        && filled
        && header.state.get() == BufferState::FLUSH.0
        && !header.flags().has(BufferFlags::COMPRESSED);
    u64::try_from(header.sequence_number.get()).ok().filter(|_| sound)
}

/// Whether a session can go on with the log of this header. Gives what its times count from.
fn compare(header: &Header, config: &Config) -> Result<(Anchor, bool), AppendError> {
    let mode = header.mode();
    if mode.has(LogFileMode::COMPRESSED)
        || mode.has(LogFileMode::CIRCULAR)
        || header.fields.buffer_size.get() != config.buffer_size
    {
        return Err(AppendError::Layout);
    }
    let one_lane = LogFileMode::NO_PER_PROCESSOR_BUFFERING;
    if mode.has(one_lane) != config.mode.has(one_lane) {
        let file = header.fields.number_of_processors.get();
        return Err(AppendError::Lanes { file, session: config.lanes() });
    }
    let clock = header.clock();
    let session = config.clock.clock_type();
    if clock.clock_type != session {
        return Err(AppendError::ClockType { file: clock.clock_type, session });
    }
    let source = Source::of(config.clock);
    let rate = clock::frequency(source);
    let file_rate = match clock.clock_type {
        ClockType::CPU_CYCLES => u64::from(clock.cpu_speed_mhz) * 1_000_000,
        ClockType::QPC => clock.perf_freq,
        _ => rate,
    };
    // Cycles are told in whole megahertz.
    let rounding = if clock.clock_type == ClockType::CPU_CYCLES { 500_000 } else { 0 };
    if file_rate.abs_diff(rate) > rate / 1_000_000 * DRIFT_PPM + rounding {
        return Err(AppendError::Frequency { file: file_rate, session: rate });
    }

    let now = Anchor::take(source);
    let by_file = clock.file_time(now.ticks);
    let passed = now.time.0.saturating_sub(clock.start_time.0);
    let off = by_file.0.saturating_sub(now.time.0);
    let drift = passed.unsigned_abs() / 1_000_000 * DRIFT_PPM
        + passed.unsigned_abs().saturating_mul(rounding) / rate.max(1);
    if off.unsigned_abs() > OFF + drift {
        return Err(AppendError::ClockOff(off / 10));
    }
    let early = header.fields.end_time.get().saturating_sub(by_file.0);
    if early > 0 {
        return Err(AppendError::BeforeEnd(early / 10));
    }
    // The monotonic clock at the start, as the wall clock has it: it was not set since.
    let nanos = u64::try_from(passed).ok().and_then(|passed| passed.checked_mul(100));
    let nanos = nanos.and_then(|nanos| now.nanos.checked_sub(nanos));
    let start = Anchor {
        ticks: clock.start_ticks,
        nanos: nanos.unwrap_or_default(),
        time: clock.start_time,
    };
    Ok((start, nanos.is_some()))
}
