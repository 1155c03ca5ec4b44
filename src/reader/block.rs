//! The records of one buffer as bytes: borrowed where they lie in memory, else in a reused block.

use crate::codec::{RawRecord, Records, Stamped, stamped, stamped_in, xpress};
use crate::error::{Fault, FormatError, Part};
use crate::format::MAX_BUFFER_SIZE;
use crate::reader::{
    BufferEntry, ReadError, Source, Trace,
    map::{LINE_BYTES, fetch_line},
    record,
};
use std::fmt;

/// The unpacked records of one buffer. Loading the next buffer reuses the memory.
#[derive(Default)]
pub(crate) struct Block<'t> {
    borrowed: Option<&'t [u8]>,
    owned: Vec<u8>,
    len: usize,
}

/// How far ahead of the walk bytes are asked for. See [`Block::warm`].
const WARM_AHEAD: usize = 2048;
/// Lines that are asked for with each record, whatever its size. Nearly all records are smaller;
/// lines asked for again cost less than a branch on sizes that come in no order. Where lines are
/// loaded instead, and each is waited for, it is only those of the record's size.
const WARM_LINES: usize = if cfg!(target_arch = "x86_64") { 8 } else { 1 };

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("bytes", &self.bytes().len()).finish_non_exhaustive()
    }
}

impl<'t> Block<'t> {
    /// The records, as far as they could be had.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.borrowed {
            Some(bytes) => bytes,
            None => self.owned.get(..self.len).unwrap_or_default(),
        }
    }

    /// The record at `at` and where the one behind it starts; `None` at the end.
    #[inline]
    pub(crate) fn record_at(
        &self,
        at: usize,
    ) -> Option<Result<(RawRecord<'_>, usize), FormatError>> {
        record_at(self.bytes(), at)
    }

    /// The record at `at` if it is one of those that are read in one look; see [`stamped`].
    #[inline]
    pub(crate) fn stamped_at(&self, at: usize) -> Option<Stamped> {
        stamped(self.bytes(), at)
    }

    /// Asks for the bytes that lie [`WARM_AHEAD`] of the record at `at`, which has `size` of them:
    /// as many as the walk goes on by, or more.
    ///
    /// A walk finds the next record only when it has read the size of this one, so without this it
    /// would wait for memory once per record. The processor guesses ahead by itself for small
    /// records in one lane, but not for large ones or for many lanes in turn.
    #[inline]
    pub(crate) fn warm(&self, at: usize, size: usize) {
        // What was unpacked or read just now is in the cache.
        let Some(bytes) = self.borrowed else { return };
        let from = at.wrapping_add(WARM_AHEAD);
        for line in 0..WARM_LINES {
            fetch_line(bytes, from.wrapping_add(line.wrapping_mul(LINE_BYTES)));
        }
        let mut line = WARM_LINES.wrapping_mul(LINE_BYTES);
        while line < size {
            fetch_line(bytes, from.wrapping_add(line));
            line = line.wrapping_add(LINE_BYTES);
        }
    }

    /// Bytes of memory that the block holds itself.
    pub(crate) fn owned_bytes(&self) -> usize {
        self.owned.capacity()
    }

    /// Forgets the records and keeps the memory.
    pub(crate) fn clear(&mut self) {
        (self.borrowed, self.len) = (None, 0);
    }

    /// Gives that memory back; the records are gone.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// Takes over what another block, which only unpacks, has unpacked, and gives its own memory
    /// for it.
    pub(crate) fn exchange(&mut self, other: Block<'static>) -> Block<'static> {
        self.clear();
        let owned = std::mem::replace(&mut self.owned, other.owned);
        self.len = other.len;
        Block { owned, ..Block::default() }
    }

    /// Takes the memory from whatever core used it last. Unpacking would wait for it line by line,
    /// since it reads again what it has just written; to write it front to back waits for many
    /// lines at once.
    pub(crate) fn own(&mut self) {
        self.owned.fill(0);
    }

    /// [`load`](Self::load) of a compressed buffer of the file, which never borrows.
    pub(crate) fn unpack_of<S: Source>(
        &mut self,
        trace: &Trace<S>,
        entry: &BufferEntry,
    ) -> Option<ReadError> {
        self.clear();
        let most_unpacked = trace.most_unpacked();
        if let Some(bytes) = trace.source().as_slice() {
            return self.unpack(body(bytes, entry), entry, most_unpacked);
        }
        let mut stream = Block::default();
        let failed = stream.read(trace.source(), entry);
        let damaged = self.unpack(stream.bytes(), entry, most_unpacked);
        failed.or(damaged)
    }

    /// Takes the records of the buffer `entry`. What is whole is there afterwards, even if there
    /// is an error too.
    pub(crate) fn load<S: Source>(
        &mut self,
        trace: &'t Trace<S>,
        entry: &BufferEntry,
    ) -> Option<ReadError> {
        self.clear();
        if let Some(copied) = trace.copied(entry) {
            self.borrow(copied);
            return None;
        }
        if entry.is_compressed() {
            return self.unpack_of(trace, entry);
        }
        match trace.source().as_slice() {
            Some(bytes) => {
                self.borrow(body(bytes, entry));
                None
            }
            None => self.read(trace.source(), entry),
        }
    }

    fn borrow(&mut self, bytes: &'t [u8]) {
        self.borrowed = Some(bytes);
        for line in (0..WARM_AHEAD.min(bytes.len())).step_by(LINE_BYTES) {
            fetch_line(bytes, line);
        }
    }

    fn read<S: Source>(&mut self, source: &S, entry: &BufferEntry) -> Option<ReadError> {
        let position = entry.body_position();
        let want = entry.body_bytes();
        let space = self.space(want);
        match source.read_at(position, space) {
            Ok(found) => {
                self.len = found;
                let have = u32::try_from(found).unwrap_or(want);
                (have < want).then(|| {
                    let fault = Fault::Truncated(want, have).at(Part::Buffer, 0);
                    ReadError::in_buffer(entry.position, fault)
                })
            }
            Err(error) => Some(ReadError::io(position, &error)),
        }
    }

    fn unpack(&mut self, stream: &[u8], entry: &BufferEntry, most: u32) -> Option<ReadError> {
        let want = entry.filled_bytes.saturating_sub(72);
        let size = want.min(most);
        let space = self.space(size);
        let unpacked = xpress::decompress(stream, space);
        self.len = match unpacked {
            Ok(()) => size as usize,
            Err(error) => produced(error).min(size) as usize,
        };
        let error = match unpacked {
            Err(error) => error.moved(72),
            Ok(()) if size < want => Fault::NoSpace(want, size).at(Part::Compressed, 72),
            Ok(()) => return None,
        };
        Some(ReadError::in_compressed(entry.position, error))
    }

    fn space(&mut self, size: u32) -> &mut [u8] {
        let size = size as usize;
        if self.owned.len() < size {
            // Zeroed by the allocator, and not copied as a resize would. Rounded up, so that
            // buffers filled a little more each time do not need new memory each time.
            self.owned = vec![0; size.checked_next_power_of_two().unwrap_or(size)];
        }
        self.owned.get_mut(..size).unwrap_or_default()
    }
}

/// A place in a block as records have it.
#[inline]
pub(crate) fn offset(at: usize) -> u32 {
    // No buffer is larger than its 32-bit size.
    #[expect(clippy::cast_possible_truncation, reason = "the line above")]
    let offset = at as u32;
    offset
}

/// The record at `at` of a buffer's records, and where the one behind it starts.
#[inline]
pub(crate) fn record_at(
    bytes: &[u8],
    at: usize,
) -> Option<Result<(RawRecord<'_>, usize), FormatError>> {
    let mut records = Records::new(bytes.get(at..)?);
    let record = records.next()?;
    let offset = offset(at);
    Some(match record {
        Ok(raw) => {
            let behind = at.saturating_add(records.offset() as usize);
            Ok((RawRecord { offset, ..raw }, behind))
        }
        Err(error) => Err(error.moved(offset)),
    })
}

/// The stamp of the first record that has one, reading no more than needed.
pub(crate) fn first_ticks<S: Source>(trace: &Trace<S>, entry: &BufferEntry) -> Option<u64> {
    const PEEK_BYTES: u32 = 256;
    /// Of what a stream gives: a record that is cut off says nothing there.
    const PEEK_PACKED_BYTES: u32 = 1024;
    /// Of a stream that gives as many, even if it is nothing but literals.
    const PEEK_STREAM_BYTES: u32 = 1200;
    let mut block = Block::default();
    if trace.source().as_slice().is_none() || entry.is_compressed() {
        let mut start = *entry;
        if entry.is_compressed() {
            start.filled_bytes = entry.filled_bytes.min(PEEK_PACKED_BYTES.saturating_add(72));
            start.size = entry.size.min(PEEK_STREAM_BYTES.saturating_add(72));
        } else {
            start.filled_bytes = entry.filled_bytes.min(PEEK_BYTES);
        }
        // A part of a stream is damage to the codec; what came out of it is not.
        let _ = block.load(trace, &start);
        if let Some(ticks) = first_ticks_of(block.bytes()) {
            return Some(ticks);
        }
        // A large record reaches behind what was read. Whether a stream has it whole, nobody knows.
        if !entry.is_compressed() {
            if let Some(ticks) = first_ticks_in(block.bytes(), entry.body_bytes() as usize) {
                return Some(ticks);
            }
        }
    }
    let _ = block.load(trace, entry);
    first_ticks_of(block.bytes())
}

/// The stamp of the record that `bytes`, the start of `room` bytes of records, ends in.
fn first_ticks_in(bytes: &[u8], room: usize) -> Option<u64> {
    let mut records = Records::new(bytes);
    let mut at = 0;
    while let Some(Ok(_)) = records.next() {
        at = records.offset() as usize;
    }
    stamped_in(bytes.get(at..)?, room.checked_sub(at)?).map(|found| found.ticks)
}

fn first_ticks_of(bytes: &[u8]) -> Option<u64> {
    Records::new(bytes).map_while(Result::ok).find_map(|raw| record::ticks(&raw))
}

/// Bytes that are good in the output of a stream that broke off.
pub(crate) fn produced(error: FormatError) -> u32 {
    match error.fault {
        Fault::Produced(produced, _) | Fault::Distance(_, produced) => produced,
        _ => 0,
    }
}

/// Most bytes that one compressed buffer may unpack to, in a file whose header names `buffer_size`.
///
/// The header's number may be a lie, so it is believed up to four times the format's own bound.
pub(crate) fn most_unpacked(buffer_size: u32) -> u32 {
    buffer_size.clamp(MAX_BUFFER_SIZE, 4 * MAX_BUFFER_SIZE)
}

fn body<'b>(file: &'b [u8], entry: &BufferEntry) -> &'b [u8] {
    let from = usize::try_from(entry.body_position()).unwrap_or(usize::MAX);
    let to = from.saturating_add(entry.body_bytes() as usize);
    file.get(from..to.min(file.len())).unwrap_or_default()
}
