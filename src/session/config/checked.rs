//! Settings that passed every check.

use super::{KERNEL_LOGGER_NAME, MAX_BUFFERS, SequenceMode};
use crate::format::{LogFileMode, MAX_LANES};
use crate::session::clock::Clock;
use std::time::Duration;

/// What the settings say of the log file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileConfig {
    /// In bytes; 0 for no bound.
    pub(crate) maximum_bytes: u64,
    /// As the logfile header tells it.
    pub(crate) maximum_size: u32,
    pub(crate) new_file_interval: Option<Duration>,
    pub(crate) delay_open: bool,
    pub(crate) append: bool,
}

/// Where the ring lies, and what becomes of its full buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingConfig {
    /// In memory; they go to the sink.
    Memory,
    /// In a file beside the log; they go to the log.
    BesideLog {
        /// Whether memory will not do.
        required: bool,
    },
    /// In memory; they stay until they are overwritten.
    Recorder,
    /// In the log file itself; they stay until they are overwritten.
    Circular,
    /// In a file of their own; they go to the process whose session this is.
    #[cfg(unix)]
    Attached,
}

/// Settings that passed every check.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) name: String,
    /// The log file as the settings name it; empty without one.
    pub(crate) log_file_name: String,
    pub(crate) buffer_size: u32,
    pub(crate) minimum_buffers: u32,
    pub(crate) maximum_buffers: u32,
    pub(crate) flush_interval: Duration,
    pub(crate) clock: Clock,
    pub(crate) mode: LogFileMode,
    pub(crate) sequence: SequenceMode,
    pub(crate) file: FileConfig,
    pub(crate) ring: RingConfig,
    pub(crate) one_lane: bool,
    /// How long a writer waits for a free buffer.
    pub(crate) patience: Option<Duration>,
    /// Whether one that finds none takes the oldest full one back.
    pub(crate) overwrites: bool,
    /// Number of the session within the process; given at start.
    pub(crate) logger_id: u16,
    /// Lanes that can hold a buffer at a time.
    pub(crate) most_lanes: u16,
}

impl Config {
    /// Lanes that are to be expected: each holds a buffer.
    pub(crate) fn lanes(&self) -> u32 {
        self.maximum_buffers.min(u32::from(MAX_LANES))
    }

    /// How far the number of buffers may be raised while the session runs: four times, within
    /// 1 GiB. Memory is taken when it is raised; until then it is addresses, of which only some
    /// systems have plenty. A ring that overwrites stays as it is: its buffers are the log.
    pub(crate) fn most_buffers(&self) -> u32 {
        const RESERVED_BYTES: u32 = 1 << 30;
        let grows = matches!(self.ring, RingConfig::Memory | RingConfig::BesideLog { .. });
        if !grows || cfg!(not(all(unix, target_pointer_width = "64"))) {
            return self.maximum_buffers;
        }
        let most = (RESERVED_BYTES / self.buffer_size).min(MAX_BUFFERS);
        self.maximum_buffers.saturating_mul(4).min(most).max(self.maximum_buffers)
    }

    /// Whether it bears the name of the session that only the kernel writes to.
    pub(crate) fn is_kernel_logger(&self) -> bool {
        self.name.eq_ignore_ascii_case(KERNEL_LOGGER_NAME)
    }
}
