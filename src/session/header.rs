//! The header buffer of a log: its first one, written again as its counts change.

use crate::codec::{BufferView, LogfileView, Records, TickClock, checksum, encode};
use crate::format::{
    BufferFlags, BufferHeader, BufferType, ClockType, LogFileMode, LogfileHeader64,
    SystemTraceHeader, TimeZoneInformation,
};
use crate::session::{
    clock::{self, Anchor, Clock, Source},
    config::Config,
    lane::HEADER_BYTES,
};
use std::ops::Range;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Where the logfile header lies in the first buffer.
const FIELDS: Range<usize> = {
    let start = BufferHeader::SIZE + SystemTraceHeader::SIZE;
    start..start + LogfileHeader64::SIZE
};
/// All that changes lies in front of this; one sector, so it reaches a disk whole or not at all.
const START: usize = 512;
const _: () = assert!(FIELDS.end <= START);
/// Records behind the logfile header take at most the buffer divided by this.
pub(crate) const EXTRA_SHARE: u32 = 2;

/// The header buffer of one file.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) fields: LogfileHeader64,
    /// The fields as they were last written.
    written: LogfileHeader64,
    record: SystemTraceHeader,
    name: String,
    logger_id: u16,
    /// Whole records behind the logfile header.
    extra: Vec<u8>,
    buffer: Vec<u8>,
}

impl Header {
    /// The header of a session's log.
    pub(crate) fn new(config: &Config, clock: Source, start: &Anchor) -> Self {
        let rate = clock::frequency(clock);
        let mut fields = LogfileHeader64::new_zeroed();
        fields.buffer_size = config.buffer_size.into();
        // Windows 10, log layout 1.5: what every reader knows.
        [fields.major_version, fields.minor_version] = [10, 0];
        [fields.sub_version, fields.sub_minor_version] = [1, 5];
        fields.provider_version = 19_045.into();
        fields.number_of_processors = config.lanes().into();
        fields.timer_resolution = 156_250.into();
        fields.maximum_file_size = config.file.maximum_size.into();
        fields.log_file_mode = config.mode.0.into();
        fields.buffers_written = 1.into();
        fields.start_buffers = 1.into();
        fields.pointer_size = 8.into();
        // Of the clock itself where records count its ticks; else of the processor, to be read.
        fields.cpu_speed_mhz = clock::megahertz(match clock {
            Source::Counter | Source::Tick | Source::Monotonic => rate,
            Source::SystemTime => clock::frequency(Source::of(Clock::PerformanceCounter)),
        })
        .into();
        fields.time_zone = utc();
        fields.boot_time = clock::boot_time().0.into();
        fields.perf_freq = rate.into();
        fields.start_time = start.time.0.into();
        fields.reserved_flags = config.clock.clock_type().0.into();

        let mut record = SystemTraceHeader::new_zeroed();
        record.version = 2;
        record.thread_id = clock::thread_id().into();
        record.process_id = std::process::id().into();
        record.system_time = start.ticks.into();
        Self {
            fields,
            written: LogfileHeader64::new_zeroed(),
            record,
            name: config.name.clone(),
            logger_id: config.logger_id,
            extra: Vec::new(),
            buffer: vec![0xFF; config.buffer_size as usize],
        }
    }

    /// The header of a log that the session `name` goes on with, from its first buffer. `None` if
    /// that is no whole buffer of 64-bit layout.
    pub(crate) fn of_existing(buffer: Vec<u8>, name: &str) -> Option<Self> {
        let view = BufferView::parse(&buffer).ok()?;
        let logger_id = view.header().logger_id.get();
        let logfile = LogfileView::parse(view.records().next()?.ok()?).ok()?;
        if logfile.bits() != 64 {
            return None;
        }
        let record = *logfile.record_header();
        let fields = LogfileHeader64::read_from_bytes(buffer.get(FIELDS)?).ok()?;
        Some(Self {
            fields,
            written: LogfileHeader64::new_zeroed(),
            record,
            name: name.to_owned(),
            logger_id,
            extra: Vec::new(),
            buffer,
        })
    }

    /// What is to stand behind the logfile header of buffers that are made from now on.
    pub(crate) fn set_extra(&mut self, records: Vec<u8>) {
        self.extra = records;
    }

    /// The whole buffer, made anew for a file of this name.
    pub(crate) fn make(&mut self, log_file_name: &str) -> &[u8] {
        let space = &mut self.buffer[BufferHeader::SIZE..];
        let size = encode::logfile64(space, &self.record, &self.fields, &self.name, log_file_name)
            .map_or(0, |size| size.next_multiple_of(8));
        let size = size + put_extra(space.get_mut(size..).unwrap_or_default(), &self.extra);
        let filled = HEADER_BYTES + u32::try_from(size).unwrap_or_default();
        let buffer_size = self.fields.buffer_size.get();
        let mut header = encode::sealed_header(buffer_size, filled, 0, 0);
        header.logger_id = self.logger_id.into();
        header.buffer_type = BufferType::HEADER.0.into();
        let flags = BufferFlags::FLUSH_MARKER.with(BufferFlags::PROC_INDEX);
        header.buffer_flags = flags.0.into();
        // The buffer holds a header: neither can fail.
        let _ = encode::seal(&mut self.buffer, &header);
        self.sum();
        &self.buffer
    }

    /// The whole buffer with the fields as they are now, its checksum not. For consumers: what was
    /// written to the log stays what it was.
    pub(crate) fn peek(&mut self) -> &[u8] {
        self.buffer[FIELDS].copy_from_slice(self.fields.as_bytes());
        &self.buffer
    }

    /// The whole buffer as it heads a ring's file of so many places, its checksum not made anew.
    /// What was written to the log stays what it was.
    pub(crate) fn of_ring(&mut self, places: u32) -> &[u8] {
        // Some readers take the number for that of buffers in this file.
        let fields = LogfileHeader64 { buffers_written: places.into(), ..self.fields };
        self.buffer[FIELDS].copy_from_slice(fields.as_bytes());
        &self.buffer
    }

    /// The whole buffer with the fields as they are now.
    pub(crate) fn bytes(&mut self) -> &[u8] {
        self.buffer[FIELDS].copy_from_slice(self.fields.as_bytes());
        self.sum();
        &self.buffer
    }

    fn sum(&mut self) {
        self.written = self.fields;
        if let Ok(field) = checksum::field(&self.buffer, 0) {
            self.buffer[0x38..0x48].copy_from_slice(&field);
        }
    }

    /// The part of the buffer in which all changes lie.
    pub(crate) fn start(&mut self) -> &[u8] {
        let start = self.bytes();
        &start[..start.len().min(START)]
    }

    /// Whether the fields are others than those that were written last.
    pub(crate) fn has_changed(&self) -> bool {
        self.fields != self.written
    }

    /// What was written last did not arrive.
    pub(crate) fn not_written(&mut self) {
        self.written = LogfileHeader64::new_zeroed();
    }

    /// Sets the clock's rate.
    pub(crate) fn set_rate(&mut self, rate: u64) {
        self.fields.perf_freq = rate.into();
        self.fields.cpu_speed_mhz = clock::megahertz(rate).into();
    }

    /// The clock of the file.
    pub(crate) fn clock(&self) -> TickClock {
        TickClock {
            clock_type: ClockType(self.fields.reserved_flags.get()),
            start_ticks: self.record.system_time.get(),
            start_time: crate::format::FileTime(self.fields.start_time.get()),
            perf_freq: self.fields.perf_freq.get(),
            cpu_speed_mhz: self.fields.cpu_speed_mhz.get(),
        }
    }

    /// How the file grows.
    pub(crate) fn mode(&self) -> LogFileMode {
        LogFileMode(self.fields.log_file_mode.get())
    }
}

/// Copies as many whole records as there is room for.
fn put_extra(space: &mut [u8], extra: &[u8]) -> usize {
    let mut size = 0;
    for record in Records::new(extra).map_while(Result::ok) {
        let end = size + record.bytes.len().next_multiple_of(8);
        let Some(place) = space.get_mut(size..end) else { break };
        let (bytes, padding) = place.split_at_mut(record.bytes.len());
        bytes.copy_from_slice(record.bytes);
        padding.fill(0);
        size = end;
    }
    size
}

/// Coordinated universal time, under that name.
fn utc() -> TimeZoneInformation {
    let mut zone = TimeZoneInformation::new_zeroed();
    for (unit, letter) in zone.standard_name.iter_mut().zip("UTC".encode_utf16()) {
        unit.set(letter);
    }
    zone.daylight_name = zone.standard_name;
    zone
}
