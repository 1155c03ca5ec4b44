//! The header of a log: found, found elsewhere, or made up, and completed at the end.

use super::{Assumed, Item, LeftOut, RecoverError, Recovered};
use crate::codec::finish::{self, Totals};
use crate::codec::{LogfileView, Records, align8, checksum, encode, to_u32};
use crate::error::{Fault, FormatError, Part};
use crate::format::{
    BufferHeader, BufferType, ClockType, FileTime, HeaderType, LogFileMode, LogfileHeader64,
    MAX_BUFFER_SIZE, SystemTraceHeader,
};
use crate::reader::{
    BufferEntry, ReadError, RingCopy, Source,
    guess::{self, Layout},
    index, ring,
    sane::{self, Trust},
};
use zerocopy::{FromBytes, FromZeros};

/// What is known of the head of a log.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How its buffers lie.
    pub(super) layout: Option<Layout>,
    /// The logfile header record of the log, or of the ring.
    record: Option<Vec<u8>>,
    /// The log's own was found.
    own: bool,
    /// The header of the first buffer, if it is sound.
    buffer: Option<BufferHeader>,
    /// The records behind the first one, and how many.
    more: Vec<u8>,
    more_records: u64,
}

/// Stamps between these are system time: 2000-01-01 and 2100-01-01 as `FILETIME`.
const SYSTEM_TIMES: std::ops::Range<u64> = 125_911_584_000_000_000..157_469_184_000_000_000;

impl Found {
    /// Looks at the start of a log.
    pub(super) fn read(
        &mut self,
        log: &dyn Source,
        report: &mut Recovered,
    ) -> Result<(), RecoverError> {
        let mut start = vec![0; BufferHeader::SIZE.saturating_add(usize::from(u16::MAX))];
        let found = log.read_at(0, &mut start)?;
        start.truncate(found);
        let body = start.get(BufferHeader::SIZE..).unwrap_or_default();
        let missing = Fault::Truncated(8, to_u32(body.len())).at(Part::RecordPrefix, 0);
        let first = Records::new(body).next().unwrap_or(Err(missing));
        let checked = first.and_then(|raw| LogfileView::parse(raw).map(|logfile| (raw, logfile)));
        let (raw, logfile) = match checked {
            Ok(both) => both,
            Err(error) => {
                report.left_out.push(at_head(error.moved(72)));
                return self.guess(log, report);
            }
        };
        self.own = true;
        self.record = Some(raw.bytes.to_vec());
        let compressed = logfile.mode().has(LogFileMode::COMPRESSED);
        let size = logfile.buffer_size();
        let least =
            if compressed { 72 } else { to_u32(align8(raw.bytes.len())).saturating_add(72) };
        self.buffer = BufferHeader::read_from_prefix(&start).ok().map(|(header, _)| header);
        if compressed {
            if let Some(2 | 4) = self.buffer.map(|header| header.state.get() & 0xFFFF) {
                let what = "buffers compressed with LZNT1 or XPRESS Huffman";
                return Err(RecoverError::Unsupported(what));
            }
        }
        self.take_more(log, size, report)?;
        if !(least..=MAX_BUFFER_SIZE).contains(&size) {
            let fault = Fault::Length(size, least, MAX_BUFFER_SIZE);
            report.left_out.push(at_head(fault.at(Part::LogfileHeader, 72)));
            return self.guess(log, report);
        }
        self.layout = Some(Layout { buffer_size: size, compressed });
        if !compressed && !leads_on(log, size)? {
            self.doubt_size(log, size, report)?;
        }
        Ok(())
    }

    /// The records behind the logfile header in the first buffer.
    fn take_more(
        &mut self,
        log: &dyn Source,
        size: u32,
        report: &mut Recovered,
    ) -> Result<(), RecoverError> {
        let sound = |header: &BufferHeader| {
            let size = header.buffer_size.get();
            (72..=MAX_BUFFER_SIZE).contains(&size)
                && (72..=size).contains(&header.filled_bytes.get())
                && !header.is_compressed()
        };
        let Some(header) = self.buffer.filter(sound) else {
            let found = self.buffer.take().map_or(0, |header| header.buffer_size.get());
            let fault = Fault::Length(found, 72, size).at(Part::Buffer, 0);
            report.left_out.push(at_head(fault));
            return Ok(());
        };
        let mut bytes = vec![0; header.filled_bytes.get() as usize];
        let found = log.read_at(0, &mut bytes)?;
        bytes.truncate(found);
        if let Err(error) = checksum::verify(&bytes) {
            report.left_out.push(at_head(error));
        }
        let body = bytes.get(BufferHeader::SIZE..).unwrap_or_default();
        let first = self.record.as_ref().map_or(0, |record| align8(record.len()));
        let rest = body.get(first..).unwrap_or_default();
        let walked = sane::walk(rest, Trust::Sealed);
        sane::copy_whole(rest, walked.end, &walked.bad, &mut self.more);
        self.more_records = walked.records;
        for (offset, why) in walked.all_faults() {
            let position = (first as u64).saturating_add(72).saturating_add(offset as u64);
            let error = ReadError::new(position, why);
            report.left_out.push(LeftOut { error, sequence: Some(0), records_kept: 1 });
        }
        Ok(())
    }

    /// Takes the layout that the buffers themselves name.
    fn guess(&mut self, log: &dyn Source, report: &mut Recovered) -> Result<(), RecoverError> {
        self.layout = guess::layout(log)?;
        if let Some(layout) = self.layout {
            report.assumed.push(Assumed::BufferSize(layout.buffer_size));
        }
        Ok(())
    }

    /// No buffer follows at the header's `BufferSize`: perhaps that number is what is damaged.
    fn doubt_size(
        &mut self,
        log: &dyn Source,
        size: u32,
        report: &mut Recovered,
    ) -> Result<(), RecoverError> {
        let other = guess::layout(log)?.filter(|layout| layout.buffer_size != size);
        if let Some(layout) = other.filter(|layout| !layout.compressed) {
            let (found, want) = (size, layout.buffer_size);
            let fault = Fault::Length(found, want, want).at(Part::LogfileHeader, 72);
            report.left_out.push(at_head(fault));
            report.assumed.push(Assumed::BufferSize(layout.buffer_size));
            self.layout = Some(layout);
        }
        Ok(())
    }

    /// Takes from a ring what the log does not have.
    pub(super) fn take_ring(&mut self, ring: &RingCopy) {
        let layout = Layout { buffer_size: ring.buffer_size(), compressed: false };
        self.layout = self.layout.or(Some(layout));
        if self.record.is_none() {
            self.record = ring.header_record().map(<[u8]>::to_vec);
        }
    }

    pub(super) fn logfile(&self) -> Option<LogfileView<'_>> {
        ring::parse(self.record.as_deref()?).ok()
    }

    pub(super) fn mode(&self) -> LogFileMode {
        self.logfile().map(|logfile| logfile.mode()).unwrap_or_default()
    }

    /// Size of the buffers that are written.
    pub(super) fn buffer_size(&self) -> u32 {
        self.layout.map_or(0, |layout| layout.buffer_size)
    }

    /// Whether buffers may be packed.
    pub(super) fn is_compressed(&self) -> bool {
        self.layout.is_some_and(|layout| layout.compressed)
    }

    /// Whether what lies at the start of the log is its header buffer, and no data buffer of a log
    /// that has lost its start.
    pub(super) fn is_header_buffer(&self, entry: &BufferEntry) -> bool {
        self.own || entry.buffer_type == BufferType::HEADER || entry.sequence == 0
    }

    /// The header buffer of the finished log.
    pub(super) fn complete(&self, items: &[Item], report: &mut Recovered) -> Vec<u8> {
        let mut record = match &self.record {
            Some(record) => record.clone(),
            None => made_up(items, self.buffer_size(), report),
        };
        self.patch(&mut record, items, report);
        report.records = self.more_records.saturating_add(1);

        let mut out = vec![0; BufferHeader::SIZE];
        out.extend_from_slice(&record);
        out.resize(align8(out.len()), 0);
        out.extend_from_slice(&self.more);
        let filled = to_u32(out.len());
        let own = self.buffer.map_or(filled, |header| header.buffer_size.get());
        let size = if self.is_compressed() { own } else { self.buffer_size() }.max(filled);
        out.resize(size as usize, 0xFF);

        finish::header_buffer(&mut out, filled, self.buffer.as_ref());
        out
    }

    /// Completes the fields that a session completes when it stops.
    fn patch(&self, record: &mut [u8], items: &[Item], report: &mut Recovered) {
        let Ok(logfile) = ring::parse(record) else { return };
        let more = sane::walk(&self.more, Trust::Sealed).last_ticks;
        let last = items.iter().filter_map(|item| item.last_ticks).max().max(more);
        let clock = logfile.clock();
        let latest = last.map_or(clock.start_time, |ticks| clock.file_time(ticks));
        // Zero would say that it is not finished.
        let end = logfile.end_time().unwrap_or(latest.max(clock.start_time).max(FileTime(1)));
        let lanes = items.iter().map(|item| u32::from(item.lane()).saturating_add(1)).max();
        let lanes = lanes.unwrap_or(1).max(logfile.number_of_processors());
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let mut totals = Totals::of(&logfile);
        totals.set_compressed(self.is_compressed());
        totals.buffer_size = self.buffer_size();
        totals.end_time = end;
        totals.number_of_processors = lanes;
        totals.buffers_written = clamp(report.buffers);
        totals.events_lost = clamp(report.events_lost);
        totals.buffers_lost = clamp(report.buffers_lost);
        totals.put(record);
        report.end_time = end;
    }
}

/// A logfile header for buffers that have lost theirs: the rules stand in the head of `recover`.
fn made_up(items: &[Item], buffer_size: u32, report: &mut Recovered) -> Vec<u8> {
    let first = items.iter().filter_map(|item| item.first_ticks).min().unwrap_or(0);
    let last = items.iter().filter_map(|item| item.last_ticks).max().unwrap_or(0);
    let system_time = SYSTEM_TIMES.contains(&first) && SYSTEM_TIMES.contains(&last);
    let assumed = if system_time { Assumed::SystemTime } else { Assumed::Clock };
    report.assumed.push(assumed);

    let mut fields = LogfileHeader64::new_zeroed();
    fields.buffer_size = buffer_size.into();
    [fields.major_version, fields.minor_version] = [10, 0];
    [fields.sub_version, fields.sub_minor_version] = [1, 5];
    fields.timer_resolution = 156_250.into();
    fields.log_file_mode = LogFileMode::SEQUENTIAL.0.into();
    fields.start_buffers = 1.into();
    fields.pointer_size = 8.into();
    fields.cpu_speed_mhz = 10.into();
    fields.perf_freq = 10_000_000.into();
    let start = if system_time { i64::try_from(first).ok() } else { None };
    fields.start_time = start.unwrap_or(FileTime::UNIX_EPOCH.0).into();
    let clock = if system_time { ClockType::SYSTEM_TIME } else { ClockType::QPC };
    fields.reserved_flags = clock.0.into();
    let mut header = SystemTraceHeader::new_zeroed();
    header.version = 2;
    header.header_type = HeaderType::SYSTEM64.0;
    header.system_time = first.into();
    let mut out = vec![0; LogfileView::record_size(NAME.len(), 0)];
    let size = encode::logfile64(&mut out, &header, &fields, NAME, "").unwrap_or(0);
    out.truncate(size);
    out
}

/// The session of a log that no longer names its own.
const NAME: &str = "recovered";

/// Whether a buffer follows the first one, or space that was never written.
fn leads_on(log: &dyn Source, size: u32) -> Result<bool, RecoverError> {
    let mut bytes = [0; BufferHeader::SIZE];
    let found = log.read_at(u64::from(size), &mut bytes)?;
    let Ok(header) = BufferHeader::read_from_bytes(&bytes) else { return Ok(false) };
    let sound = header.buffer_size.get() == size && index::looks_like_header(&header, size);
    Ok(found == BufferHeader::SIZE && (sound || index::is_zero(&header)))
}

/// Something wrong with the header buffer.
fn at_head(error: FormatError) -> LeftOut {
    LeftOut { error: ReadError::in_buffer(0, error), sequence: Some(0), records_kept: 0 }
}
