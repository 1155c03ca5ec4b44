//! The header of every buffer.

use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{I32, I64, U16, U32, U64},
};

/// Smallest buffer a session may use, in bytes (`MIN_ETW_BUFFER_SIZE` is 1 KiB; ETW's API takes 4).
pub const MIN_BUFFER_SIZE: u32 = 4 * 1024;
/// Largest buffer a session may use, in bytes (`MAX_ETW_BUFFER_SIZE` since Windows 8).
pub const MAX_BUFFER_SIZE: u32 = 16 * 1024 * 1024;
/// Processor indices a buffer header can name: 11 bits, the last one kept free.
pub const MAX_LANES: u16 = 2047;

/// First 72 bytes of every buffer in a log file (`WMI_BUFFER_HEADER`, `ETW_BUFFER_HEADER`).
///
#[doc = include_str!("../../spec/tables/buffer-header.md")]
///
/// Source: spec/02-buffer.md.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
#[allow(missing_docs)] // the table above documents the fields
pub struct BufferHeader {
    pub buffer_size: U32,
    pub saved_offset: U32,
    pub current_offset: U32,
    pub reference_count: I32,
    pub time_stamp: U64,
    pub sequence_number: I64,
    pub clock: U64,
    pub processor_index: U16,
    pub logger_id: U16,
    pub state: U32,
    pub filled_bytes: U32,
    pub buffer_flags: U16,
    pub buffer_type: U16,
    pub reserved: [u8; 16],
}

layout!(BufferHeader = 72 {
    0x00 buffer_size: 4, 0x04 saved_offset: 4, 0x08 current_offset: 4, 0x0C reference_count: 4,
    0x10 time_stamp: 8, 0x18 sequence_number: 8, 0x20 clock: 8,
    0x28 processor_index: 2, 0x2A logger_id: 2, 0x2C state: 4,
    0x30 filled_bytes: 4, 0x34 buffer_flags: 2, 0x36 buffer_type: 2, 0x38 reserved: 16,
});

impl BufferHeader {
    /// The processor, or with our own logs the lane, whose records the buffer holds.
    ///
    /// With [`BufferFlags::PROC_INDEX`] the low 11 bits of the word at 0x28; without it (Vista and
    /// 7) the low byte, because the high byte is then the alignment of the records.
    #[must_use]
    pub fn lane(&self) -> u16 {
        let mask = if self.flags().has(BufferFlags::PROC_INDEX) { 0x07FF } else { 0x00FF };
        self.processor_index.get() & mask
    }

    /// What happened to the buffer: [`BufferFlags`] of the word at 0x34.
    #[must_use]
    pub fn flags(&self) -> BufferFlags {
        BufferFlags(self.buffer_flags.get())
    }

    /// Whether the bytes behind the header are one compressed stream.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.flags().has(BufferFlags::COMPRESSED)
    }
}

/// What a buffer in memory is used for (`ETW_BUFFER_STATE`); 3 in every data buffer of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferState(pub u32);

named_values!(BufferState {
    /// Nobody uses it.
    FREE = 0 "free",
    /// A writer fills it.
    GENERAL_LOGGING = 1 "general logging",
    /// Used for context switches.
    CSWITCH = 2 "context switch",
    /// Sealed: no writer will touch it again.
    FLUSH = 3 "flush",
    /// Waits to be compressed.
    PENDING_COMPRESSION = 4 "pending compression",
    /// Compressed.
    COMPRESSED = 5 "compressed",
});

/// What a buffer holds (`ETW_BUFFER_TYPE`); in files 4 for the first one and 0 for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferType(pub u16);

named_values!(BufferType {
    /// Records of providers.
    GENERIC = 0 "generic",
    /// Rundown records.
    RUNDOWN = 1 "rundown",
    /// Context switches.
    CTX_SWAP = 2 "context swap",
    /// A reference time.
    REFTIME = 3 "reference time",
    /// The first buffer of a log file.
    HEADER = 4 "header",
    /// Batched records.
    BATCHED = 5 "batched",
    /// Marks an empty buffer.
    EMPTY_MARKER = 6 "empty marker",
    /// Debugger information.
    DBG_INFO = 7 "debug info",
});

/// What happened to a buffer (`BufferFlag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct BufferFlags(pub u16);

named_bits!(BufferFlags: u16 {
    /// The last buffer of a flush.
    FLUSH_MARKER = 0x01,
    /// Events were lost before this buffer.
    EVENTS_LOST = 0x02,
    /// Buffers were lost before this buffer.
    BUFFER_LOST = 0x04,
    /// The real-time backup was corrupt.
    RTBACKUP_CORRUPT = 0x08,
    /// Came from a real-time backup.
    RTBACKUP = 0x10,
    /// The word at 0x28 is a 16-bit processor index.
    PROC_INDEX = 0x20,
    /// The records are one compressed stream.
    COMPRESSED = 0x40,
});
