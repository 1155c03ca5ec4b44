//! Buffers of a new log made final, from those of an old one: the only place that does so.
//!
//! `recover` and `edit` put records into a buffer; what its header must then say is said here, so
//! that a log made of another is as genuine as one that a session closed.

use crate::codec::{LogfileView, Records, checksum, encode};
use crate::format::{
    BufferFlags, BufferHeader, BufferState, BufferType, FileTime, LogFileMode, LogfileHeader32,
    LogfileHeader64, SystemTraceHeader,
};
use zerocopy::{FromBytes, IntoBytes, little_endian::I64};

/// What is new about a data buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    /// Bytes it takes in the file.
    pub(crate) size: u32,
    /// End of its records, once unpacked.
    pub(crate) filled: u32,
    /// Its records are one compressed stream.
    pub(crate) packed: bool,
    /// Events lost in its lane before it, if it gets a checksum. What nothing proves gets none.
    pub(crate) checksum: Option<u32>,
}

/// Writes the header of a complete data buffer in front of what it holds: `found` with what is new.
/// Nothing stale is left in it.
pub(crate) fn data_buffer(out: &mut [u8], found: &BufferHeader, sealed: Sealed) {
    let mut header = *found;
    let packed = BufferFlags::COMPRESSED.0;
    let flags = if sealed.packed { header.flags().0 | packed } else { header.flags().0 & !packed };
    header.buffer_flags = flags.into();
    header.buffer_size = sealed.size.into();
    header.saved_offset = sealed.filled.into();
    header.current_offset = sealed.filled.into();
    header.filled_bytes = sealed.filled.into();
    header.reference_count = 0.into();
    header.clock = 0.into();
    header.state = BufferState::FLUSH.0.into();
    header.buffer_type = BufferType::GENERIC.0.into();
    header.reserved = [0; 16];
    let _ = header.write_to_prefix(out);
    let Some(events_lost) = sealed.checksum else { return };
    if let Ok(field) = checksum::field(out, events_lost) {
        header.reserved = field;
        let _ = header.write_to_prefix(out);
    }
}

/// Makes a header buffer final whose records lie in `out` up to `filled`. Lane, session and flags
/// are those of `own`, the first buffer of the old log, where there is one.
pub(crate) fn header_buffer(out: &mut [u8], filled: u32, own: Option<&BufferHeader>) {
    let size = crate::codec::to_u32(out.len());
    let mut header = encode::sealed_header(size, filled, 0, 0);
    let flags = BufferFlags::FLUSH_MARKER.with(BufferFlags::PROC_INDEX);
    header.buffer_flags = flags.0.into();
    if let Some(own) = own {
        header.processor_index = own.processor_index;
        header.logger_id = own.logger_id;
        let flags = own.flags().with(BufferFlags::FLUSH_MARKER).0;
        // A header buffer is never compressed.
        header.buffer_flags = (flags & !BufferFlags::COMPRESSED.0).into();
    }
    header.buffer_type = BufferType::HEADER.0.into();
    // The buffer holds a header: neither can fail.
    let _ = encode::seal(out, &header);
    if let (Ok(field), Some(place)) = (checksum::field(out, 0), out.get_mut(0x38..0x48)) {
        place.copy_from_slice(&field);
    }
}

/// The fields of a logfile header that are only known when the log is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) buffer_size: u32,
    pub(crate) mode: LogFileMode,
    /// Version of the log's layout, major and minor.
    pub(crate) layout: [u8; 2],
    pub(crate) end_time: FileTime,
    pub(crate) number_of_processors: u32,
    pub(crate) buffers_written: u32,
    pub(crate) events_lost: u32,
    pub(crate) buffers_lost: u32,
}

impl Totals {
    /// As `logfile` has them.
    pub(crate) fn of(logfile: &LogfileView<'_>) -> Self {
        let [_, _, major, minor] = logfile.version();
        Self {
            buffer_size: logfile.buffer_size(),
            mode: logfile.mode(),
            layout: [major, minor],
            end_time: logfile.end_time().unwrap_or(FileTime(0)),
            number_of_processors: logfile.number_of_processors(),
            buffers_written: logfile.buffers_written(),
            events_lost: logfile.events_lost(),
            buffers_lost: logfile.buffers_lost(),
        }
    }

    /// Says whether the log is compressed.
    pub(crate) fn set_compressed(&mut self, compressed: bool) {
        let packed = LogFileMode::COMPRESSED.0;
        let mode = self.mode.0;
        self.mode = LogFileMode(if compressed { mode | packed } else { mode & !packed });
    }

    /// Writes them into the record of a logfile header; does nothing to other bytes.
    pub(crate) fn put(&self, record: &mut [u8]) {
        let parsed = Records::new(record).next().and_then(Result::ok).map(LogfileView::parse);
        let Some(Ok(logfile)) = parsed else { return };
        let wide = logfile.bits() == 64;
        let payload = record.get_mut(SystemTraceHeader::SIZE..).unwrap_or_default();
        macro_rules! put {
            ($layout:ty) => {
                if let Ok((fields, _)) = <$layout>::mut_from_prefix(payload) {
                    fields.buffer_size = self.buffer_size.into();
                    fields.log_file_mode = self.mode.0.into();
                    [fields.sub_version, fields.sub_minor_version] = self.layout;
                    fields.end_time = I64::new(self.end_time.0);
                    fields.number_of_processors = self.number_of_processors.into();
                    fields.buffers_written = self.buffers_written.into();
                    fields.events_lost = self.events_lost.into();
                    fields.buffers_lost = self.buffers_lost.into();
                }
            };
        }
        if wide {
            put!(LogfileHeader64);
        } else {
            put!(LogfileHeader32);
        }
    }
}
