//! What can be wrong with the settings of a session.

use super::{MAX_NAME, MAX_RING_BYTES};
use std::fmt;

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
    /// None of `log_file`, `sink`, `memory_ring` and `real_time` was set, or several of the first
    /// three were.
    Target,
    /// The first setting makes no sense without the second.
    Needs(&'static str, &'static str),
    /// The two settings exclude each other.
    Excludes(&'static str, &'static str),
    /// The log file's name must have one `%d`, in its last part, and be UTF-8 there.
    FileNumber,
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
            Self::Target => f.write_str(
                "one of log_file, sink and memory_ring must be set, or none with real_time",
            ),
            Self::Needs(setting, other) => write!(f, "{setting} needs {other}"),
            Self::Excludes(setting, other) => write!(f, "{setting} excludes {other}"),
            Self::FileNumber => {
                f.write_str("log_file must hold %d once, in the name itself, for FileMode::NewFile")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
