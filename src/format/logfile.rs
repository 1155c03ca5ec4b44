//! What a log file says of itself: the payload of its first record.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I32, I64, U16, U32, U64},
};

/// A calendar date in a time zone's rules (`SYSTEMTIME`).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // named as in SYSTEMTIME
pub struct SystemTime {
    pub year: U16,
    pub month: U16,
    pub day_of_week: U16,
    pub day: U16,
    pub hour: U16,
    pub minute: U16,
    pub second: U16,
    pub milliseconds: U16,
}

/// Time zone of the machine that wrote the log (`TIME_ZONE_INFORMATION`).
///
#[doc = include_str!("../../spec/tables/time-zone-information.md")]
///
/// Source: Microsoft, `TIME_ZONE_INFORMATION`; spec/07-logfile-header.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct TimeZoneInformation {
    pub bias: I32,
    pub standard_name: [U16; 32],
    pub standard_date: SystemTime,
    pub standard_bias: I32,
    pub daylight_name: [U16; 32],
    pub daylight_date: SystemTime,
    pub daylight_bias: I32,
}

layout!(TimeZoneInformation = 172 {
    0x00 bias: 4, 0x04 standard_name: 64, 0x44 standard_date: 16, 0x54 standard_bias: 4,
    0x58 daylight_name: 64, 0x98 daylight_date: 16, 0xA8 daylight_bias: 4,
});

/// `TRACE_LOGFILE_HEADER` of a 64-bit writer.
///
#[doc = include_str!("../../spec/tables/logfile-header-64.md")]
///
/// Source: Microsoft, `evntrace.h` `TRACE_LOGFILE_HEADER`; spec/07-logfile-header.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct LogfileHeader64 {
    pub buffer_size: U32,
    pub major_version: u8,
    pub minor_version: u8,
    pub sub_version: u8,
    pub sub_minor_version: u8,
    pub provider_version: U32,
    pub number_of_processors: U32,
    pub end_time: I64,
    pub timer_resolution: U32,
    pub maximum_file_size: U32,
    pub log_file_mode: U32,
    pub buffers_written: U32,
    pub start_buffers: U32,
    pub pointer_size: U32,
    pub events_lost: U32,
    pub cpu_speed_mhz: U32,
    pub logger_name: U64,
    pub log_file_name: U64,
    pub time_zone: TimeZoneInformation,
    pub padding: [u8; 4],
    pub boot_time: I64,
    pub perf_freq: U64,
    pub start_time: I64,
    pub reserved_flags: U32,
    pub buffers_lost: U32,
}

layout!(LogfileHeader64 = 280 {
    0x00 buffer_size: 4, 0x04 major_version: 1, 0x05 minor_version: 1, 0x06 sub_version: 1,
    0x07 sub_minor_version: 1, 0x08 provider_version: 4, 0x0C number_of_processors: 4,
    0x10 end_time: 8, 0x18 timer_resolution: 4, 0x1C maximum_file_size: 4,
    0x20 log_file_mode: 4, 0x24 buffers_written: 4, 0x28 start_buffers: 4,
    0x2C pointer_size: 4, 0x30 events_lost: 4, 0x34 cpu_speed_mhz: 4,
    0x38 logger_name: 8, 0x40 log_file_name: 8, 0x48 time_zone: 172, 0xF4 padding: 4,
    0xF8 boot_time: 8, 0x100 perf_freq: 8, 0x108 start_time: 8,
    0x110 reserved_flags: 4, 0x114 buffers_lost: 4,
});

/// `TRACE_LOGFILE_HEADER` of a 32-bit writer: the two pointers take half the space.
///
#[doc = include_str!("../../spec/tables/logfile-header-32.md")]
///
/// Source: Microsoft, `evntrace.h` `TRACE_LOGFILE_HEADER`; spec/07-logfile-header.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct LogfileHeader32 {
    pub buffer_size: U32,
    pub major_version: u8,
    pub minor_version: u8,
    pub sub_version: u8,
    pub sub_minor_version: u8,
    pub provider_version: U32,
    pub number_of_processors: U32,
    pub end_time: I64,
    pub timer_resolution: U32,
    pub maximum_file_size: U32,
    pub log_file_mode: U32,
    pub buffers_written: U32,
    pub start_buffers: U32,
    pub pointer_size: U32,
    pub events_lost: U32,
    pub cpu_speed_mhz: U32,
    pub logger_name: U32,
    pub log_file_name: U32,
    pub time_zone: TimeZoneInformation,
    pub padding: [u8; 4],
    pub boot_time: I64,
    pub perf_freq: U64,
    pub start_time: I64,
    pub reserved_flags: U32,
    pub buffers_lost: U32,
}

layout!(LogfileHeader32 = 272 {
    0x00 buffer_size: 4, 0x04 major_version: 1, 0x05 minor_version: 1, 0x06 sub_version: 1,
    0x07 sub_minor_version: 1, 0x08 provider_version: 4, 0x0C number_of_processors: 4,
    0x10 end_time: 8, 0x18 timer_resolution: 4, 0x1C maximum_file_size: 4,
    0x20 log_file_mode: 4, 0x24 buffers_written: 4, 0x28 start_buffers: 4,
    0x2C pointer_size: 4, 0x30 events_lost: 4, 0x34 cpu_speed_mhz: 4,
    0x38 logger_name: 4, 0x3C log_file_name: 4, 0x40 time_zone: 172, 0xEC padding: 4,
    0xF0 boot_time: 8, 0xF8 perf_freq: 8, 0x100 start_time: 8,
    0x108 reserved_flags: 4, 0x10C buffers_lost: 4,
});

/// How a log file grows and what its session does (`EVENT_TRACE_*_MODE_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct LogFileMode(pub u32);

named_bits!(LogFileMode: u32 {
    /// Buffers are appended until the maximum size.
    SEQUENTIAL = 0x0000_0001,
    /// The oldest buffers are overwritten.
    CIRCULAR = 0x0000_0002,
    /// An existing log is continued.
    APPEND = 0x0000_0004,
    /// A new file at each maximum size.
    NEWFILE = 0x0000_0008,
    /// The flush timer counts milliseconds.
    USE_MS_FLUSH_TIMER = 0x0000_0010,
    /// The file has its full size from the start.
    PREALLOCATE = 0x0000_0020,
    /// The session cannot be stopped.
    NONSTOPPABLE = 0x0000_0040,
    /// Only privileged writers.
    SECURE = 0x0000_0080,
    /// Live consumers.
    REAL_TIME = 0x0000_0100,
    /// The file is made at the first event.
    DELAY_OPEN_FILE = 0x0000_0200,
    /// Memory ring only.
    BUFFERING = 0x0000_0400,
    /// Written by the traced process itself.
    PRIVATE_LOGGER = 0x0000_0800,
    /// A header buffer is written.
    ADD_HEADER = 0x0000_1000,
    /// Sizes count KB.
    USE_KBYTES_FOR_SIZE = 0x0000_2000,
    /// Sequence numbers shared by all sessions.
    USE_GLOBAL_SEQUENCE = 0x0000_4000,
    /// Sequence numbers of this session.
    USE_LOCAL_SEQUENCE = 0x0000_8000,
    /// Written by the relogger.
    RELOG = 0x0001_0000,
    /// Private, inside the process.
    PRIVATE_IN_PROC = 0x0002_0000,
    /// Buffer interface.
    BUFFER_INTERFACE = 0x0004_0000,
    /// Kernel debugger filter.
    KD_FILTER = 0x0008_0000,
    /// Real-time relogging.
    REALTIME_RELOG = 0x0010_0000,
    /// Debugging of lost events.
    LOST_EVENTS_DEBUG = 0x0020_0000,
    /// Stops at hybrid shutdown.
    STOP_ON_HYBRID_SHUTDOWN = 0x0040_0000,
    /// Lives through hybrid shutdown.
    PERSIST_ON_HYBRID_SHUTDOWN = 0x0080_0000,
    /// Buffers in paged memory.
    USE_PAGED_MEMORY = 0x0100_0000,
    /// Kernel records.
    SYSTEM_LOGGER = 0x0200_0000,
    /// Compressed buffers.
    COMPRESSED = 0x0400_0000,
    /// Its failures do not stop providers.
    INDEPENDENT_SESSION = 0x0800_0000,
    /// One lane for all processors.
    NO_PER_PROCESSOR_BUFFERING = 0x1000_0000,
    /// Writers wait for buffers.
    BLOCKING = 0x2000_0000,
    /// Added to triage dumps.
    ADDTO_TRIAGE_DUMP = 0x8000_0000,
});
