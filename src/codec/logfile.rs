//! The first record of a log file: what the file says of itself.

use crate::codec::{
    align8,
    clock::TickClock,
    records::{RawRecord, RecordKind},
    to_u32,
};
use crate::error::{Fault, FormatError, Part};
use crate::format::{
    ClockType, FileTime, HeaderType, LogFileMode, LogfileHeader32, LogfileHeader64,
    SystemTraceHeader, TimeZoneInformation,
};
use core::fmt::{self, Write};
use zerocopy::FromBytes;

/// The logfile header of either width, with the names behind it.
///
/// The width is that of the record (header type 1 or 2), which is also the `PointerSize` field's.
#[derive(Clone, Copy, Debug)]
pub struct LogfileView<'a> {
    header: &'a SystemTraceHeader,
    fields: Fields<'a>,
    names: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Fields<'a> {
    Bits32(&'a LogfileHeader32),
    Bits64(&'a LogfileHeader64),
}

/// Reads one field that both widths have.
macro_rules! field {
    ($self:ident . $($name:ident).+) => {
        match $self.fields {
            Fields::Bits32(h) => h.$($name).+,
            Fields::Bits64(h) => h.$($name).+,
        }
    };
}

impl<'a> LogfileView<'a> {
    /// Reads the logfile header from the first record of a file.
    ///
    /// # Errors
    ///
    /// [`Fault::NotLogfileHeader`] if the record is no kernel record of group 0 and type 0,
    /// [`Fault::Truncated`] if it ends before the last fixed field does.
    pub fn parse(record: RawRecord<'a>) -> Result<Self, FormatError> {
        let (kind, bits64) = match record.kind {
            RecordKind::Typed(kind @ HeaderType::SYSTEM32) => (kind.0, false),
            RecordKind::Typed(kind @ HeaderType::SYSTEM64) => (kind.0, true),
            RecordKind::Typed(kind) => return Err(foreign(kind.0, 0, record)),
            RecordKind::Message => return Err(foreign(HeaderType::MESSAGE.0, 0, record)),
            RecordKind::Other(marker) => {
                return Err(Fault::Marker(marker).at(Part::LogfileHeader, record.offset));
            }
        };
        let Ok((header, payload)) = SystemTraceHeader::ref_from_prefix(record.bytes) else {
            return Err(short(SystemTraceHeader::SIZE, record));
        };
        if header.hook_id() != 0 {
            return Err(foreign(kind, header.hook_id(), record));
        }
        let (fields, names) = if bits64 {
            let (fields, names) = LogfileHeader64::ref_from_prefix(payload)
                .map_err(|_| short(SystemTraceHeader::SIZE + LogfileHeader64::SIZE, record))?;
            (Fields::Bits64(fields), names)
        } else {
            let (fields, names) = LogfileHeader32::ref_from_prefix(payload)
                .map_err(|_| short(SystemTraceHeader::SIZE + LogfileHeader32::SIZE, record))?;
            (Fields::Bits32(fields), names)
        };
        Ok(Self { header, fields, names })
    }

    /// The header of the record; its time belongs to [`start_time`](Self::start_time).
    #[must_use]
    pub fn record_header(&self) -> &'a SystemTraceHeader {
        self.header
    }

    /// Pointer width of the writer in bits.
    #[must_use]
    pub fn bits(&self) -> u8 {
        match self.fields {
            Fields::Bits32(_) => 32,
            Fields::Bits64(_) => 64,
        }
    }

    /// Size of an uncompressed buffer, in bytes.
    #[must_use]
    pub fn buffer_size(&self) -> u32 {
        field!(self.buffer_size).get()
    }

    /// System version major, minor; log layout major, minor.
    #[must_use]
    pub fn version(&self) -> [u8; 4] {
        [
            field!(self.major_version),
            field!(self.minor_version),
            field!(self.sub_version),
            field!(self.sub_minor_version),
        ]
    }

    /// Build number of the system.
    #[must_use]
    pub fn provider_version(&self) -> u32 {
        field!(self.provider_version).get()
    }

    /// Processors of the machine, or lanes of the session; every buffer's index is below it.
    #[must_use]
    pub fn number_of_processors(&self) -> u32 {
        field!(self.number_of_processors).get()
    }

    /// When the session started.
    #[must_use]
    pub fn start_time(&self) -> FileTime {
        FileTime(field!(self.start_time).get())
    }

    /// When the session stopped; `None` while it runs and after a crash.
    #[must_use]
    pub fn end_time(&self) -> Option<FileTime> {
        Some(FileTime(field!(self.end_time).get())).filter(|time| time.0 != 0)
    }

    /// When the machine started.
    #[must_use]
    pub fn boot_time(&self) -> FileTime {
        FileTime(field!(self.boot_time).get())
    }

    /// Period of the system timer in 100 ns: the unit of the processor times in records.
    #[must_use]
    pub fn timer_resolution(&self) -> u32 {
        field!(self.timer_resolution).get()
    }

    /// Size the file may grow to, in MB, or in KB with [`LogFileMode::USE_KBYTES_FOR_SIZE`]; 0 for
    /// no bound.
    #[must_use]
    pub fn maximum_file_size(&self) -> u32 {
        field!(self.maximum_file_size).get()
    }

    /// How the file grows.
    #[must_use]
    pub fn mode(&self) -> LogFileMode {
        LogFileMode(field!(self.log_file_mode).get())
    }

    /// Buffers in the file, the first one included. A hint: 0 in an unfinished file.
    #[must_use]
    pub fn buffers_written(&self) -> u32 {
        field!(self.buffers_written).get()
    }

    /// Events that found no space.
    #[must_use]
    pub fn events_lost(&self) -> u32 {
        field!(self.events_lost).get()
    }

    /// Buffers that could not be written.
    #[must_use]
    pub fn buffers_lost(&self) -> u32 {
        field!(self.buffers_lost).get()
    }

    /// Speed of the processor in million cycles a second.
    #[must_use]
    pub fn cpu_speed_mhz(&self) -> u32 {
        field!(self.cpu_speed_mhz).get()
    }

    /// The `PointerSize` field, 4 or 8.
    #[must_use]
    pub fn pointer_size(&self) -> u32 {
        field!(self.pointer_size).get()
    }

    /// Ticks per second of clock 1.
    #[must_use]
    pub fn perf_freq(&self) -> u64 {
        field!(self.perf_freq).get()
    }

    /// Time zone of the machine.
    #[must_use]
    pub fn time_zone(&self) -> &'a TimeZoneInformation {
        match self.fields {
            Fields::Bits32(h) => &h.time_zone,
            Fields::Bits64(h) => &h.time_zone,
        }
    }

    /// Which clock stamped the records.
    #[must_use]
    pub fn clock_type(&self) -> ClockType {
        ClockType(field!(self.reserved_flags).get())
    }

    /// What turns the ticks of this file into times.
    #[must_use]
    pub fn clock(&self) -> TickClock {
        TickClock {
            clock_type: self.clock_type(),
            start_ticks: self.header.system_time.get(),
            start_time: self.start_time(),
            perf_freq: self.perf_freq(),
            cpu_speed_mhz: self.cpu_speed_mhz(),
        }
    }

    /// Name of the session.
    #[must_use]
    pub fn session_name(&self) -> Utf16<'a> {
        Utf16::terminated(self.names)
    }

    /// Name of the log file, as it was when the session started.
    #[must_use]
    pub fn log_file_name(&self) -> Utf16<'a> {
        let session = self.session_name().0.len().saturating_add(2);
        Utf16::terminated(self.names.get(session..).unwrap_or_default())
    }

    /// Bytes of a logfile header record with names of these many UTF-16 units, aligned.
    #[must_use]
    pub fn record_size(session_units: usize, file_units: usize) -> usize {
        let names = session_units.saturating_add(file_units).saturating_add(2).saturating_mul(2);
        align8(names.saturating_add(SystemTraceHeader::SIZE + LogfileHeader64::SIZE))
    }
}

/// UTF-16 text in little-endian bytes, as it lies in a record. Displayed with U+FFFD for lone
/// surrogates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf16<'a>(pub &'a [u8]);

impl<'a> Utf16<'a> {
    /// The text up to the first terminator, or all of it if there is none.
    #[must_use]
    pub fn terminated(bytes: &'a [u8]) -> Self {
        let mut rest = bytes;
        // Four units at a time: taking one from each lane sets the top bit of a lane that was zero,
        // or of one above it.
        while let Some((block, behind)) = rest.split_first_chunk() {
            let units = u64::from_le_bytes(*block);
            if units.wrapping_sub(0x0001_0001_0001_0001) & !units & 0x8000_8000_8000_8000 != 0 {
                break;
            }
            rest = behind;
        }
        let last = rest.chunks_exact(2).take_while(|unit| unit != &[0, 0]).count();
        let taken = bytes.len().saturating_sub(rest.len()).saturating_add(last.saturating_mul(2));
        Self(bytes.get(..taken).unwrap_or_default())
    }

    /// The characters.
    pub fn chars(self) -> impl Iterator<Item = char> + 'a {
        let units = self.0.chunks_exact(2).map(|unit| match unit {
            &[low, high] => u16::from_le_bytes([low, high]),
            _ => 0,
        });
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.len() < 2
    }
}

impl fmt::Display for Utf16<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| f.write_char(c))
    }
}

#[cold]
fn foreign(kind: u8, hook: u16, record: RawRecord<'_>) -> FormatError {
    Fault::NotLogfileHeader(kind, hook).at(Part::LogfileHeader, record.offset)
}

#[cold]
fn short(need: usize, record: RawRecord<'_>) -> FormatError {
    let need = to_u32(need);
    Fault::Truncated(need, to_u32(record.bytes.len())).at(Part::LogfileHeader, record.offset)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test")]
    use super::*;

    #[test]
    fn text_ends_where_a_walk_unit_by_unit_says() {
        // Units that a search four at a time could take for a terminator, or miss one behind.
        const UNITS: [[u8; 2]; 6] = [[0, 0], [1, 0], [0, 1], [0, 0x80], [0xFF, 0x7F], [0xFF, 0xFF]];
        for seed in 0..20_000usize {
            let mut bytes = [0u8; 23];
            let mut rest = seed;
            for unit in bytes.chunks_exact_mut(2) {
                unit.copy_from_slice(&UNITS[rest % UNITS.len()]);
                rest = rest / UNITS.len() + seed * 7;
            }
            for end in 0..bytes.len() {
                let bytes = &bytes[..end];
                let units = bytes.chunks_exact(2).take_while(|unit| unit != &[0, 0]).count();
                assert_eq!(Utf16::terminated(bytes).0, &bytes[..2 * units]);
            }
        }
    }
}
