//! A new log on its way out: buffers as they come, the header buffer last, in its place.

use super::draft::{Draft, Form};
use super::{EditError, Edited};
use crate::codec::finish::{self, Totals};
use crate::codec::{
    LogfileView, RecordView, Records, align8, checksum, encode, to_u32, xpress::Compressor,
};
use crate::format::{BufferHeader, FileTime, MAX_BUFFER_SIZE};
use crate::reader::{Cursor, ReadError, Record, Source, Trace};
use std::io::{Seek, SeekFrom, Write};
use zerocopy::{FromBytes, FromZeros};

/// The first buffer of an old log, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Its own header.
    pub(super) buffer: BufferHeader,
    /// The record of the logfile header.
    pub(super) record: Vec<u8>,
    /// The other records that the new one shall have.
    pub(super) more: Vec<u8>,
    pub(super) more_records: u64,
}

impl Head {
    /// The header buffer of `trace` without its other records.
    pub(super) fn of<S: Source>(trace: &Trace<S>) -> Self {
        let buffer = match first_data(trace) {
            0 => encode::sealed_header(0, 0, 0, 0),
            _ => header_of(trace, 0),
        };
        let record = trace.header_record().to_vec();
        Self { buffer, record, more: Vec::new(), more_records: 0 }
    }

    /// End of its records, from the start of the buffer.
    pub(super) fn filled(&self) -> u32 {
        let records = align8(self.record.len()).saturating_add(self.more.len());
        to_u32(records.saturating_add(BufferHeader::SIZE))
    }

    pub(super) fn logfile(&self) -> Option<LogfileView<'_>> {
        LogfileView::parse(Records::new(&self.record).next()?.ok()?).ok()
    }
}

/// The first buffer that is not the header buffer: 0 in a log whose header buffer is so damaged
/// that the index does not have it.
pub(super) fn first_data<S: Source>(trace: &Trace<S>) -> usize {
    let first = trace.buffers().first();
    usize::from(first.is_some_and(|entry| entry.position == 0 && !entry.in_ring()))
}

/// A buffer made anew: `each` is shown its records, but the logfile header, and whatever is
/// damaged, and puts into the draft what the new log shall have of it. `records` is any cursor of
/// the log; its memory serves for one buffer after the other.
pub(super) fn redraft<S: Source>(
    records: &mut Cursor<'_, S>,
    index: usize,
    mut each: impl FnMut(&mut Draft, Result<(Record<'_>, RecordView<'_>), ReadError>),
) -> Draft {
    let trace = records.trace();
    let mut draft = Draft::new(header_of(trace, index));
    match trace.verify_checksum(index) {
        Ok(checksum::State::Valid { events_lost }) => draft.lost_before = events_lost,
        Ok(checksum::State::Absent) => {}
        Err(error) => {
            draft.torn = true;
            each(&mut draft, Err(error));
        }
    }
    records.go_to_one(index);
    let mut is_header = index < first_data(trace);
    while let Some(record) = records.next() {
        let found = record.and_then(|record| Ok((record, record.view()?)));
        // A damaged one is a fault wherever it is.
        if !std::mem::take(&mut is_header) || found.is_err() {
            each(&mut draft, found);
        }
    }
    draft
}

/// The header of a buffer of `trace` as it lies in the file; what the index knows of it if it came
/// from a ring or cannot be read any more.
pub(super) fn header_of<S: Source>(trace: &Trace<S>, index: usize) -> BufferHeader {
    let Some(entry) = trace.buffers().get(index) else { return BufferHeader::new_zeroed() };
    let mut bytes = [0; BufferHeader::SIZE];
    if !entry.in_ring() {
        let found = trace.source().read_at(entry.position, &mut bytes);
        if let (Ok(BufferHeader::SIZE), Ok(header)) = (found, BufferHeader::read_from_bytes(&bytes))
        {
            // Another one lies there if the file was changed meanwhile.
            let known = (entry.lane, entry.sequence, entry.flags);
            if (header.lane(), header.sequence_number.get(), header.flags()) == known {
                return header;
            }
        }
    }
    let size = entry.size;
    let mut header = encode::sealed_header(size, entry.filled_bytes, entry.lane, entry.sequence);
    header.time_stamp = entry.time_stamp.into();
    header.buffer_flags = header.flags().with(entry.flags).0.into();
    header
}

/// Size of plain buffers that a header is believed without a buffer of that size.
const USUAL_SIZE: u32 = 1 << 20;
/// What other sizes are a multiple of.
const SIZE_STEP: u32 = 4096;

impl Form {
    /// Buffers for the records of `trace` behind the header buffer `head`.
    ///
    /// Plain buffers are all of one size and written whole. So a size that is large and that no
    /// buffer of the log has is not believed: what the fullest needs is enough.
    pub(super) fn of<S: Source>(trace: &Trace<S>, head: &Head, compressed: bool) -> Self {
        let session = trace.logfile().buffer_size();
        let entries = || trace.buffers().iter().skip(first_data(trace));
        let filled = entries().map(|entry| entry.filled_bytes).max().unwrap_or(0);
        let need = filled.min(trace.most_unpacked()).max(head.filled());
        let largest = trace.buffers().iter().map(|entry| entry.size).max().unwrap_or(0);
        let is_believed = session <= USUAL_SIZE || session <= largest.min(MAX_BUFFER_SIZE);
        let buffer_size = if compressed {
            session.max(head.filled())
        } else if session >= need && is_believed {
            session
        } else {
            need.checked_next_multiple_of(SIZE_STEP).unwrap_or(need)
        };
        Self { buffer_size, compressed }
    }
}

/// Bytes that the header buffer of a compressed log is a multiple of, as Windows has it.
const HEADER_STEP: u32 = 512;

/// A new log, half written.
pub(super) struct LogWriter<W> {
    out: W,
    form: Form,
    head: Head,
    header_size: u32,
    pub(super) packer: Box<Compressor>,
    space: Vec<u8>,
    buffers: u64,
    bytes: u64,
    records: u64,
    /// Above every lane.
    lanes: u32,
    last_ticks: Option<u64>,
}

impl<W: Write + Seek> LogWriter<W> {
    /// Starts a log whose header buffer holds `head`. `form` must have room for that.
    pub(super) fn new(mut out: W, form: Form, head: Head) -> Result<Self, EditError> {
        let filled = head.filled();
        let header_size = if form.compressed {
            let least = filled.checked_next_multiple_of(HEADER_STEP).unwrap_or(filled);
            let own = head.buffer.buffer_size.get();
            let is_short = head.logfile().is_some_and(|logfile| own < logfile.buffer_size());
            if is_short { least.max(own.min(1 << 16)) } else { least }
        } else {
            form.buffer_size.max(filled)
        };
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&vec![0; header_size as usize])?;
        let records = head.more_records.saturating_add(1);
        Ok(Self {
            out,
            form,
            head,
            header_size,
            packer: Box::default(),
            space: Vec::new(),
            buffers: 1,
            bytes: u64::from(header_size),
            records,
            lanes: 1,
            last_ticks: None,
        })
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Writes a buffer.
    pub(super) fn put(&mut self, draft: &Draft) -> Result<(), EditError> {
        let mut space = std::mem::take(&mut self.space);
        draft.seal(self.form, &mut self.packer, &mut space);
        let written = self.put_sealed(draft, &space);
        self.space = space;
        written
    }

    /// Writes a buffer that was sealed already, `draft` being what it was made of.
    pub(super) fn put_sealed(&mut self, draft: &Draft, bytes: &[u8]) -> Result<(), EditError> {
        self.out.write_all(bytes)?;
        self.buffers = self.buffers.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.records = self.records.saturating_add(draft.records);
        self.lanes = self.lanes.max(u32::from(draft.header.lane()).saturating_add(1));
        self.last_ticks = self.last_ticks.max(draft.last_ticks);
        Ok(())
    }

    /// Writes the header buffer and says what the log holds. `totals` have what the caller wants
    /// to be other than in the old header.
    pub(super) fn finish(
        mut self,
        mut totals: Totals,
        report: &mut Edited,
    ) -> Result<(), EditError> {
        let Some(logfile) = self.head.logfile() else {
            let fault = crate::error::Fault::Truncated(8, 0);
            let error = fault.at(crate::error::Part::LogfileHeader, 72);
            return Err(EditError::Header(ReadError::in_buffer(0, error)));
        };
        let clock = logfile.clock();
        if totals.end_time.0 == 0 {
            let more = crate::edit::metadata::last_ticks(&self.head.more);
            let last = self.last_ticks.max(more);
            let latest = last.map_or(clock.start_time, |ticks| clock.file_time(ticks));
            // Zero would say that it is not finished.
            totals.end_time = latest.max(clock.start_time).max(FileTime(1));
        }
        totals.buffer_size = self.form.buffer_size;
        totals.set_compressed(self.form.compressed);
        totals.number_of_processors = totals.number_of_processors.max(self.lanes);
        totals.buffers_written = u32::try_from(self.buffers).unwrap_or(u32::MAX);
        let mut record = std::mem::take(&mut self.head.record);
        totals.put(&mut record);

        let mut header = vec![0; BufferHeader::SIZE];
        header.extend_from_slice(&record);
        header.resize(align8(header.len()), 0);
        header.extend_from_slice(&self.head.more);
        let filled = to_u32(header.len());
        header.resize(self.header_size as usize, 0xFF);
        finish::header_buffer(&mut header, filled, Some(&self.head.buffer));
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header)?;
        self.out.flush()?;

        report.records = self.records;
        report.buffers = self.buffers;
        report.bytes = self.bytes;
        report.end_time = totals.end_time;
        report.events_lost = totals.events_lost;
        report.buffers_lost = totals.buffers_lost;
        Ok(())
    }
}
