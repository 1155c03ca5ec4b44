//! The marker that starts every record.

/// Marker bit 31: this is a trace record (`TRACE_HEADER_FLAG`), always set.
pub const MARKER_TRACE: u32 = 0x8000_0000;
/// Marker bit 30: bits 16 to 23 name the header type (`TRACE_HEADER_EVENT_TRACE`).
pub const MARKER_EVENT_TRACE: u32 = 0x4000_0000;
/// Marker bit 28: a message record (`TRACE_MESSAGE`).
pub const MARKER_MESSAGE: u32 = 0x1000_0000;

/// Which header a typed record has (`TRACE_HEADER_TYPE_*`), third byte of the marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HeaderType(pub u8);

named_values!(HeaderType {
    /// Kernel record, 32-bit writer.
    SYSTEM32 = 1 "system",
    /// Kernel record, 64-bit writer.
    SYSTEM64 = 2 "system",
    /// Kernel record without processor times, 32-bit writer.
    COMPACT32 = 3 "compact",
    /// Kernel record without processor times, 64-bit writer.
    COMPACT64 = 4 "compact",
    /// `TraceEvent` record, 32-bit writer.
    FULL_HEADER32 = 10 "classic",
    /// `TraceEventInstance` record, 32-bit writer.
    INSTANCE32 = 11 "instance",
    /// Named by Windows, never seen.
    TIMED = 12 "timed",
    /// An error while logging; never seen.
    ERROR = 13 "error",
    /// Named by Windows, not used.
    WNODE_HEADER = 14 "wnode",
    /// A message; on disk messages have no typed marker.
    MESSAGE = 15 "message",
    /// Performance record, 32-bit writer.
    PERFINFO32 = 16 "perfinfo",
    /// Performance record, 64-bit writer.
    PERFINFO64 = 17 "perfinfo",
    /// `EventWrite` record, 32-bit writer.
    EVENT_HEADER32 = 18 "event",
    /// `EventWrite` record, 64-bit writer.
    EVENT_HEADER64 = 19 "event",
    /// `TraceEvent` record, 64-bit writer.
    FULL_HEADER64 = 20 "classic",
    /// `TraceEventInstance` record, 64-bit writer.
    INSTANCE64 = 21 "instance",
});

impl HeaderType {
    /// Whether the record's size is the word at +4, because the word at +0 holds version and flags.
    #[must_use]
    pub const fn has_size_at_4(self) -> bool {
        matches!(self.0, 1..=4 | 16 | 17)
    }

    /// Pointer width of the record's writer in bits, for the types that tell it.
    #[must_use]
    pub const fn bits(self) -> Option<u8> {
        match self.0 {
            1 | 3 | 10 | 11 | 16 | 18 => Some(32),
            2 | 4 | 17 | 19 | 20 | 21 => Some(64),
            _ => None,
        }
    }
}
