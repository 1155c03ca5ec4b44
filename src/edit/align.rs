//! Stamps of several clocks on one of them.

use crate::codec::{LogfileView, LossRecord, RecordHeader, RecordView, Records, TickClock};
use crate::format::{FileTime, LogFileMode, LogfileHeader32, LogfileHeader64, SystemTraceHeader};
use crate::reader::{BufferEntry, Record, Source, Trace};
use zerocopy::{FromBytes, little_endian::I64};

/// The clocks of some logs, and the one that their records will be stamped by.
#[derive(Debug)]
pub(super) struct Clocks {
    /// The log whose clock and header the new log has.
    pub(super) base: usize,
    clock: TickClock,
    /// Buffers of the new log are stamped with a `FILETIME`.
    in_file_time: bool,
    of_files: Vec<OfFile>,
}

#[derive(Debug)]
struct OfFile {
    clock: TickClock,
    in_file_time: bool,
    /// Nothing changes: it is the new clock.
    is_same: bool,
}

impl Clocks {
    /// `None` if there is no log.
    pub(super) fn of<S: Source>(traces: &[&Trace<S>]) -> Option<Self> {
        let starts = || traces.iter().map(|trace| trace.clock());
        let first = starts().next()?;
        let can_say = |clock: TickClock| first.ticks_from(&clock, clock.start_ticks).is_some();
        let base = if starts().all(can_say) {
            0
        } else {
            let earliest = starts().enumerate().min_by_key(|(_, clock)| clock.start_time);
            earliest.map_or(0, |(file, _)| file)
        };
        let trace = traces.get(base)?;
        let clock = trace.clock();
        let of_files = traces
            .iter()
            .map(|trace| OfFile {
                clock: trace.clock(),
                in_file_time: stamps_file_time(trace),
                is_same: is_same(&clock, &trace.clock()),
            })
            .collect();
        let begin = starts().map(|clock| clock.start_time).min()?;
        let clock = clock.anchored_before(begin);
        Some(Self { base, clock, in_file_time: stamps_file_time(trace), of_files })
    }

    /// Where a record lies on the new clock; `None` if it cannot say so.
    pub(super) fn stamp<S: Source>(
        &self,
        trace: &Trace<S>,
        file: usize,
        record: &Record<'_>,
    ) -> Option<u64> {
        match record.ticks() {
            Some(ticks) => self.ticks(file, ticks),
            None => Some(self.clock.first_ticks(trace.buffer_time(record.buffer()))),
        }
    }

    fn ticks(&self, file: usize, ticks: u64) -> Option<u64> {
        let of_file = self.of_files.get(file)?;
        if of_file.is_same { Some(ticks) } else { self.clock.ticks_from(&of_file.clock, ticks) }
    }

    /// The stamp of a buffer as the new log's buffers have it.
    pub(super) fn buffer_stamp<S: Source>(
        &self,
        trace: &Trace<S>,
        file: usize,
        entry: &BufferEntry,
    ) -> u64 {
        let of_file = self.of_files.get(file);
        if of_file.is_some_and(|of| of.is_same && of.in_file_time == self.in_file_time) {
            return entry.time_stamp;
        }
        let time = trace.buffer_time(entry);
        if self.in_file_time {
            return u64::try_from(time.0).unwrap_or_default();
        }
        self.clock.first_ticks(time)
    }

    /// Puts the stamps in the bytes of a record on the new clock: its own, and those in payloads
    /// that are known to hold some.
    pub(super) fn set_stamps(&self, file: usize, record: &mut [u8]) {
        if self.of_files.get(file).is_none_or(|of| of.is_same) {
            return;
        }
        for at in places(record).into_iter().flatten() {
            let Some(place) = record.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<8>())
            else {
                continue;
            };
            let ticks = u64::from_le_bytes(*place);
            // A stamp of 0 in a payload says that there is none.
            if let Some(ticks) = self.ticks(file, ticks).filter(|_| ticks != 0) {
                *place = ticks.to_le_bytes();
            }
        }
    }

    /// Puts the anchor of the new clock into the record of the logfile header.
    pub(super) fn set_anchor(&self, record: &mut [u8]) {
        let parsed = Records::new(record).next().and_then(Result::ok).map(LogfileView::parse);
        let Some(Ok(logfile)) = parsed else { return };
        let wide = logfile.bits() == 64;
        let Some((header, payload)) = record.split_at_mut_checked(SystemTraceHeader::SIZE) else {
            return;
        };
        if let Ok((header, _)) = SystemTraceHeader::mut_from_prefix(header) {
            header.system_time = self.clock.start_ticks.into();
        }
        let start = I64::new(self.clock.start_time.0);
        if wide {
            if let Ok((fields, _)) = LogfileHeader64::mut_from_prefix(payload) {
                fields.start_time = start;
            }
        } else if let Ok((fields, _)) = LogfileHeader32::mut_from_prefix(payload) {
            fields.start_time = start;
        }
    }
}

/// Kernel records whose payload begins with a stamp: group, types, first version that has it.
const WITH_STAMP: &[(u8, &[u8], u16)] = &[
    // A hard fault: when it began.
    (0x02, &[32], 0),
    // Registry: when the call began.
    (0x09, &[10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27], 2),
    // Last branches: the sample they are of.
    (0x0C, &[32], 0),
    // Interrupts and deferred calls: when they began.
    (0x0F, &[50, 66, 67, 68, 69], 0),
    // Stacks: the event that they are of.
    (0x18, &[32, 37, 38], 0),
];

/// Where stamps lie in a record.
fn places(record: &[u8]) -> [Option<usize>; 3] {
    let raw = Records::new(record).next().and_then(Result::ok);
    let Some(view) = raw.and_then(|raw| RecordView::parse(raw).ok()) else { return [None; 3] };
    let payload = record.len().saturating_sub(view.payload().len());
    let own = match view.header() {
        RecordHeader::PerfInfo(_) => Some(8),
        RecordHeader::Message(message) => message.ticks_offset(),
        RecordHeader::Unknown => None,
        _ => Some(16),
    };
    let (kind, version) = (view.opcode().unwrap_or_default(), view.version().unwrap_or_default());
    let begins_with_one = |(group, kinds, least): &(u8, &[u8], u16)| {
        view.group().is_some_and(|of| of.0 == *group) && kinds.contains(&kind) && version >= *least
    };
    let inner = if WITH_STAMP.iter().any(begins_with_one) {
        [Some(payload), None]
    } else if LossRecord::of(&view).is_some() {
        [Some(payload), Some(payload.saturating_add(8))]
    } else {
        [None, None]
    };
    let [a, b] = inner;
    [own, a, b]
}

/// Whether buffers of a log are stamped with a `FILETIME`.
fn stamps_file_time<S: Source>(trace: &Trace<S>) -> bool {
    let mode = trace.logfile().mode();
    mode.has(LogFileMode::RELOG) || mode.has(LogFileMode::PRIVATE_LOGGER)
}

/// Whether two clocks give every stamp the same time.
fn is_same(one: &TickClock, other: &TickClock) -> bool {
    one == other || {
        let early = FileTime(one.start_time.0.min(other.start_time.0));
        one.anchored_before(early) == other.anchored_before(early)
    }
}
