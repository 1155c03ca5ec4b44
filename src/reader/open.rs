//! A log file, opened: what its header says and where its buffers are.

use crate::codec::{LogfileView, RawRecord, Records, TickClock, buffer::BufferView, checksum};
use crate::error::{Fault, FormatError, Part};
use crate::format::{BufferHeader, BufferState, FileTime, LogFileMode};
use crate::reader::{
    BufferEntry, Cursor, Merge, OpenError, OpenOptions, Positioned, ReadError, Record, RingCopy,
    RingError, Source,
    block::{self, Block},
    index::Index,
    join::{Join, Joined, RingState},
    sane::{self, Trust},
};
use bytes::Bytes;
use std::{ops::Range, path::Path};

/// A log file whose buffers have been found.
///
/// Unfinished files, files of a crashed session, files cut short and files with damaged parts all
/// open; see [`damage`](Self::damage). Only a file without a readable logfile header does not.
#[derive(Debug)]
pub struct Trace<S> {
    source: S,
    index: Index,
    /// The file's first record, kept because a positioned source cannot lend it.
    first_record: Box<[u8]>,
    clock: TickClock,
    most_unpacked: u32,
    joined: Joined,
}

impl Trace<Bytes> {
    /// Opens and maps a file. A pipe is read to its end instead, as
    /// [`read_stream`](crate::reader::read_stream) does with
    /// [`MOST_STREAM_BYTES`](crate::reader::MOST_STREAM_BYTES).
    ///
    /// A session that runs, or was killed, has a ring beside its log: `<path>.ring`. It is read
    /// together with the log if it is of the same session, and left alone otherwise;
    /// [`ring`](Self::ring) tells. [`OpenOptions`] opens without it.
    ///
    /// See [`map`](super::map()) for what happens when another process cuts the file meanwhile.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read or is no log file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open(path)
    }

    /// A log file that is in memory already.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is no log file.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, OpenError> {
        Self::new(bytes.into())
    }

    /// The bytes of a record as [`Bytes`] that keep the map alive, without copying; a record that
    /// was unpacked from a compressed buffer is copied.
    #[must_use]
    pub fn record_bytes(&self, record: &Record<'_>) -> Bytes {
        let bytes = record.raw().bytes;
        let (whole, part) = (self.source.as_ptr_range(), bytes.as_ptr_range());
        if whole.start <= part.start && part.end <= whole.end {
            self.source.slice_ref(bytes)
        } else {
            Bytes::copy_from_slice(bytes)
        }
    }
}

impl Trace<Positioned> {
    /// Opens a file and reads each buffer when it is needed, without a map: a file that shrinks
    /// meanwhile gives an error and nothing worse. The ring beside it is read as [`open`] does.
    ///
    /// [`open`]: Trace::open
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read or is no log file.
    pub fn open_positioned(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        OpenOptions::new().open_positioned(path)
    }
}

impl<'a> Trace<&'a [u8]> {
    /// A log file in a slice.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it is no log file.
    pub fn from_slice(bytes: &'a [u8]) -> Result<Self, OpenError> {
        Self::new(bytes)
    }
}

impl<S: Source> Trace<S> {
    /// A log file from any source.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read or is no log file.
    pub fn new(source: S) -> Result<Self, OpenError> {
        let (first_record, state) = first_record(&source)?;
        let logfile = parse_logfile(&first_record)?;
        let compressed = logfile.mode().has(LogFileMode::COMPRESSED);
        if compressed {
            supported(state)?;
        }
        let mut trace = Self {
            clock: logfile.clock(),
            most_unpacked: block::most_unpacked(logfile.buffer_size()),
            index: Index::build(&source, logfile.buffer_size(), compressed),
            first_record,
            source,
            joined: Joined::default(),
        };
        trace.stamp_open_buffers();
        Ok(trace)
    }

    /// Buffers that were copied from a log whose first record is `first_record`, or from its ring,
    /// whole or in part. The first one stands for the header buffer.
    pub(crate) fn of_copies(
        source: S,
        first_record: Box<[u8]>,
        index: Index,
        joined: Joined,
    ) -> Result<Self, OpenError> {
        let logfile = parse_logfile(&first_record)?;
        let mut trace = Self {
            clock: logfile.clock(),
            most_unpacked: block::most_unpacked(logfile.buffer_size()),
            index,
            first_record,
            source,
            joined,
        };
        trace.stamp_open_buffers();
        Ok(trace)
    }

    /// Reads a ring together with the log: buffers that only the ring has, or of which it has more,
    /// come from there. [`open`](Trace::open) does so by itself with the ring beside a log.
    ///
    /// The copy must have been taken before the log was opened.
    ///
    /// # Errors
    ///
    /// [`RingError::Foreign`] if the ring is of another session. The log is as it was, then.
    pub fn join_ring(&mut self, ring: RingCopy) -> Result<(), RingError> {
        ring.belongs_to(&self.logfile()).map_err(RingError::Foreign)?;
        let join = Join::of(self, ring);
        self.joined = join.apply(&mut self.index);
        Ok(())
    }

    /// What became of the ring beside the log.
    #[must_use]
    pub fn ring(&self) -> &RingState {
        &self.joined.state
    }

    pub(crate) fn leave_ring_alone(&mut self, why: RingError) {
        self.joined.state = RingState::LeftAlone(why);
    }

    /// The records of a buffer that was taken from the ring.
    #[inline]
    pub(crate) fn copied(&self, entry: &BufferEntry) -> Option<&[u8]> {
        if entry.copy_number == 0 {
            return None;
        }
        self.joined.body(entry)
    }

    /// A buffer that is being filled has not been flushed, and its `TimeStamp` says nothing. It
    /// counts with its last stamp instead; where it has none, with the latest that there is.
    fn stamp_open_buffers(&mut self) {
        let state = |entry: &BufferEntry| entry.state == BufferState::GENERAL_LOGGING;
        let open = |entry: &BufferEntry| state(entry) && !entry.is_compressed();
        let mut latest = 0;
        let mut stamps = Vec::new();
        for (index, entry) in self.index.entries.iter().enumerate().skip(1) {
            if !open(entry) {
                latest = latest.max(entry.time_stamp);
                continue;
            }
            let mut block = Block::default();
            // What is wrong with it, a cursor says.
            let _ = block.load(self, entry);
            let last = sane::walk(block.bytes(), Trust::Sealed).last_ticks;
            let stamp = last.map(|ticks| self.buffer_stamp(ticks));
            latest = latest.max(stamp.unwrap_or(0));
            stamps.push((index, stamp));
        }
        for (index, stamp) in stamps {
            if let Some(entry) = self.index.entries.get_mut(index) {
                entry.time_stamp = stamp.unwrap_or(latest);
            }
        }
    }

    /// Where the bytes come from.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// What the file says of itself.
    ///
    /// # Panics
    ///
    /// Never: the header was checked when the file was opened.
    #[must_use]
    pub fn logfile(&self) -> LogfileView<'_> {
        #[expect(clippy::expect_used, reason = "the same bytes were parsed by `new`")]
        parse_logfile(&self.first_record).expect("checked by new")
    }

    /// What turns the ticks of its records into times.
    #[must_use]
    pub fn clock(&self) -> TickClock {
        self.clock
    }

    /// Its buffers, as they lie in the file; the first one holds the header.
    #[must_use]
    pub fn buffers(&self) -> &[BufferEntry] {
        &self.index.entries
    }

    /// What is wrong with its buffers. Records that break off within a buffer are not known here;
    /// a cursor says so when it gets there.
    #[must_use]
    pub fn damage(&self) -> &[ReadError] {
        &self.index.damage
    }

    /// Bytes at the end of the file that were allocated in advance and never written.
    #[must_use]
    pub fn unused_tail(&self) -> u64 {
        self.index.unused_tail
    }

    /// Its records in file order.
    #[must_use]
    pub fn records(&self) -> Cursor<'_, S> {
        Cursor::new(self, 0..usize::MAX)
    }

    /// The records of some of its buffers, named by their place among [`buffers`](Self::buffers).
    #[must_use]
    pub fn records_of(&self, buffers: Range<usize>) -> Cursor<'_, S> {
        Cursor::new(self, buffers)
    }

    /// Compares a buffer with the checksum it carries. A buffer without one, cut off by the end of
    /// the file, or not there, has nothing to compare. A buffer of the ring was compared when it
    /// was copied.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if they differ or the buffer cannot be read.
    pub fn verify_checksum(&self, buffer_index: usize) -> Result<checksum::State, ReadError> {
        let Some(entry) = self.buffers().get(buffer_index) else {
            return Ok(checksum::State::Absent);
        };
        if entry.copy_number != 0 {
            return self.joined.checksum(entry);
        }
        if !entry.has_checksum {
            return Ok(checksum::State::Absent);
        }
        let mut copy = Vec::new();
        let bytes = match self.source.as_slice() {
            Some(file) => {
                let from = usize::try_from(entry.position).unwrap_or(usize::MAX);
                file.get(from..from.saturating_add(entry.size as usize)).unwrap_or_default()
            }
            None => {
                copy.resize(entry.size as usize, 0);
                let found = self.source.read_at(entry.position, &mut copy);
                found.map_err(|error| ReadError::io(entry.position, &error))?;
                &copy
            }
        };
        match BufferView::parse(bytes) {
            Ok(view) => {
                view.verify_checksum().map_err(|error| ReadError::in_buffer(entry.position, error))
            }
            // Said by the index already.
            Err(_) => Ok(checksum::State::Absent),
        }
    }

    /// The first stamp of a buffer, named by its place among [`buffers`](Self::buffers), reading no
    /// more of it than needed: with those of its lane an index by time. `None` if it has no record
    /// with a stamp.
    #[must_use]
    pub fn first_ticks(&self, buffer_index: usize) -> Option<u64> {
        block::first_ticks(self, self.buffers().get(buffer_index)?)
    }

    /// Its records in time order.
    #[must_use]
    pub fn by_time(&self) -> Merge<'_, S> {
        Merge::new(self)
    }

    /// The time of a record: of its own stamp, or of its buffer's if it has none.
    #[inline]
    #[must_use]
    pub fn time(&self, record: &Record<'_>) -> FileTime {
        match record.ticks() {
            Some(ticks) => self.clock.file_time(ticks),
            None => self.buffer_time(record.buffer()),
        }
    }

    /// When a buffer was flushed.
    ///
    /// The relogger and private loggers write a `FILETIME` where others write ticks.
    #[must_use]
    pub fn buffer_time(&self, buffer: &BufferEntry) -> FileTime {
        let mode = self.logfile().mode();
        if mode.has(LogFileMode::RELOG) || mode.has(LogFileMode::PRIVATE_LOGGER) {
            return FileTime::saturating(i128::from(buffer.time_stamp));
        }
        self.clock.file_time(buffer.time_stamp)
    }

    /// A stamp as the buffers of this file have it: what [`buffer_time`](Self::buffer_time) undoes.
    fn buffer_stamp(&self, ticks: u64) -> u64 {
        let mode = self.logfile().mode();
        if mode.has(LogFileMode::RELOG) || mode.has(LogFileMode::PRIVATE_LOGGER) {
            return u64::try_from(self.clock.file_time(ticks).0).unwrap_or_default();
        }
        ticks
    }

    /// The bytes of the first record, the logfile header.
    pub(crate) fn header_record(&self) -> &[u8] {
        &self.first_record
    }

    pub(crate) fn most_unpacked(&self) -> u32 {
        self.most_unpacked
    }

    /// A fault in the records of a buffer, with its place in the file.
    pub(crate) fn damage_in(&self, entry: &BufferEntry, error: FormatError) -> ReadError {
        entry.damage(error.moved(72))
    }
}

/// The first record of the file, and the state word of its first buffer.
pub(crate) fn first_record(source: &impl Source) -> Result<(Box<[u8]>, u32), OpenError> {
    const MOST_BYTES: usize = BufferHeader::SIZE + u16::MAX as usize;
    let mut start = vec![0; MOST_BYTES];
    let found = source.read_at(0, &mut start)?;
    start.truncate(found);
    let (view, error) = BufferView::parse_damaged(&start);
    let Some(view) = view else {
        let short = Fault::Truncated(72, 0).at(Part::Buffer, 0);
        return Err(OpenError::NotALogfile(error.unwrap_or(short)));
    };
    let records = start.get(BufferHeader::SIZE..).unwrap_or_default();
    let missing = Fault::Truncated(8, 0).at(Part::RecordPrefix, 0);
    let raw = Records::new(records).next().unwrap_or(Err(missing)).map_err(not_a_logfile)?;
    LogfileView::parse(raw).map_err(not_a_logfile)?;
    if view.header().is_compressed() {
        return Err(OpenError::Unsupported("a compressed header buffer"));
    }
    Ok((raw.bytes.into(), view.header().state.get()))
}

/// Reads the logfile header from the bytes of the record that holds it.
pub(crate) fn parse_logfile(record: &[u8]) -> Result<LogfileView<'_>, OpenError> {
    let missing = Fault::Truncated(8, 0).at(Part::RecordPrefix, 0);
    let raw: RawRecord<'_> =
        Records::new(record).next().unwrap_or(Err(missing)).map_err(not_a_logfile)?;
    LogfileView::parse(raw).map_err(not_a_logfile)
}

fn not_a_logfile(error: FormatError) -> OpenError {
    OpenError::NotALogfile(error.moved(72))
}

/// In a compressed file the state of the first buffer names the method (`COMPRESSION_FORMAT_*`).
fn supported(state: u32) -> Result<(), OpenError> {
    match state & 0xFFFF {
        2 => Err(OpenError::Unsupported("buffers compressed with LZNT1")),
        4 => Err(OpenError::Unsupported("buffers compressed with XPRESS Huffman")),
        _ => Ok(()),
    }
}
