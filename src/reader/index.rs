//! Where the buffers of a file are: one pass over their headers.
//!
//! ```text
//!   at = 0
//!   while a header fits behind `at`:
//!     all zero             nothing was ever written here: look on at buffer_size steps;
//!                          no header found = unused tail, no damage
//!     believable size      an entry; at += size
//!     otherwise            damage; go on at the next multiple of buffer_size that looks like a
//!                          header (uncompressed), or at the next byte that does (compressed)
//! ```
//!
//! `BuffersWritten` is never trusted, and `SavedOffset` never looked at. In an uncompressed file
//! the logfile header's `BufferSize` is the size of every buffer, so another number in a buffer is
//! believed only if a header, or the end of the file, lies behind it.
//!
//! Cost: 72 bytes read per buffer, 40 bytes of memory for each.

use crate::codec::checksum;
use crate::error::{Fault, FormatError, Part};
use crate::format::{BufferFlags, BufferHeader, BufferState, BufferType};
use crate::reader::{ReadError, Source};
use zerocopy::{FromBytes, IntoBytes};

/// One buffer of a log file, as its header describes it and as far as the file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferEntry {
    /// Where it starts, in bytes from the start of the file.
    pub position: u64,
    /// Bytes it takes in the file, header included; less than its header says if the file ends
    /// before.
    pub size: u32,
    /// End of its records, in bytes from its start; if it is compressed, once unpacked. Within
    /// `size` if it is not.
    pub filled_bytes: u32,
    /// When it was flushed: ticks of the session's clock, or a `FILETIME` in relogged files and
    /// those of private loggers.
    pub time_stamp: u64,
    /// Its place among the buffers of the session.
    pub sequence: i64,
    /// The lane (processor) whose records it holds.
    pub lane: u16,
    /// What happened to it.
    pub flags: BufferFlags,
    /// What it was used for in memory.
    pub state: BufferState,
    /// What it holds.
    pub buffer_type: BufferType,
    /// Which of the copied buffers it is, counted from 1; 0 if it is read where it lies in the log.
    pub(crate) copy_number: u32,
    /// The copy was made of the ring.
    pub(crate) of_ring: bool,
    /// It carries a checksum: without one, nobody needs to read it to compare.
    pub(crate) has_checksum: bool,
}

impl BufferEntry {
    /// Whether it was taken from the ring beside the log; `position` is then that in the ring.
    #[inline]
    #[must_use]
    pub fn in_ring(&self) -> bool {
        self.of_ring
    }

    /// What `header` says of a buffer at `position` that takes `size` bytes there.
    pub(crate) fn new(header: &BufferHeader, position: u64, size: u32, filled_bytes: u32) -> Self {
        Self {
            position,
            size,
            filled_bytes,
            time_stamp: header.time_stamp.get(),
            sequence: header.sequence_number.get(),
            lane: header.lane(),
            flags: header.flags(),
            state: BufferState(header.state.get()),
            buffer_type: BufferType(header.buffer_type.get()),
            copy_number: 0,
            of_ring: false,
            has_checksum: header.reserved.starts_with(&checksum::MAGIC),
        }
    }

    /// Whether its records are one compressed stream.
    #[inline]
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.flags.has(BufferFlags::COMPRESSED)
    }

    /// Whether its records have to be unpacked from the file: a copy has them plain.
    pub(crate) fn is_packed_in_file(&self) -> bool {
        self.is_compressed() && self.copy_number == 0
    }

    /// Damage in it; the error's offset counts from its start.
    pub(crate) fn damage(&self, error: FormatError) -> ReadError {
        let damage = if self.is_compressed() {
            ReadError::in_compressed(self.position, error)
        } else {
            ReadError::in_buffer(self.position, error)
        };
        ReadError { in_ring: self.in_ring(), ..damage }
    }

    /// Bytes behind the header that hold records, or the compressed stream.
    pub(crate) fn body_bytes(&self) -> u32 {
        let end = if self.is_compressed() { self.size } else { self.filled_bytes };
        end.saturating_sub(HEADER_BYTES)
    }

    /// Where the records, or the compressed stream, start in the file.
    pub(crate) fn body_position(&self) -> u64 {
        self.position.saturating_add(u64::from(HEADER_BYTES))
    }
}

/// Every buffer that was found, and what was wrong on the way.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) entries: Vec<BufferEntry>,
    pub(crate) damage: Vec<ReadError>,
    /// Bytes at the end of the file that were allocated and never written.
    pub(crate) unused_tail: u64,
}

impl Index {
    /// Indexes `source`, whose buffers are `buffer_size` bytes unless they are compressed; 0 if
    /// that is not known.
    pub(crate) fn build(
        source: &(impl Source + ?Sized),
        buffer_size: u32,
        compressed: bool,
    ) -> Self {
        let buffer_size = if buffer_size < HEADER_BYTES { 0 } else { buffer_size };
        let mut walk = Walk {
            source,
            end: source.size(),
            step: if compressed { 0 } else { buffer_size },
            index: Self::default(),
        };
        let mut at = Some(0);
        while let Some(position) = at {
            at = walk.buffer_at(position);
        }
        walk.index
    }
}

const HEADER_BYTES: u32 = 72;
const _: () = assert!(BufferHeader::SIZE == HEADER_BYTES as usize);

struct Walk<'s, S: ?Sized> {
    source: &'s S,
    end: u64,
    /// Size of every buffer of an uncompressed file; 0 where they vary.
    step: u32,
    index: Index,
}

impl<S: Source + ?Sized> Walk<'_, S> {
    /// Takes in what lies at `position`; where to go on.
    fn buffer_at(&mut self, position: u64) -> Option<u64> {
        let rest = self.end.checked_sub(position).filter(|rest| *rest > 0)?;
        let header = match self.header(position) {
            Ok(Some(header)) => header,
            Ok(None) => return self.last_bytes(position, rest),
            Err(error) => {
                self.index.damage.push(error);
                return None;
            }
        };
        if is_zero(&header) {
            return self.unused(position);
        }
        let size = header.buffer_size.get();
        if let Some(size) = self.believed_size(&header, position, rest) {
            return self.entry(header, size, position, rest);
        }
        let fault = Fault::Length(size, self.step.max(HEADER_BYTES), self.step_or(u32::MAX));
        self.damage(position, fault);
        if self.step != 0 && looks_like_header(&header, self.step) {
            return self.entry(header, self.step, position, rest);
        }
        self.resync(position)
    }

    /// How far it is from this buffer to the next, if the header can be believed.
    fn believed_size(&self, header: &BufferHeader, position: u64, rest: u64) -> Option<u32> {
        let size = header.buffer_size.get();
        if size < HEADER_BYTES {
            return None;
        }
        if size == self.step {
            return Some(size);
        }
        let behind = position.saturating_add(u64::from(size));
        let fits = u64::from(size) <= rest;
        if self.step == 0 {
            return Some(size).filter(|size| fits || looks_like_header(header, *size));
        }
        let followed = behind == self.end
            || matches!(self.header(behind), Ok(Some(next))
                if is_zero(&next) || looks_like_header(&next, next.buffer_size.get()));
        Some(size).filter(|_| fits && followed)
    }

    fn entry(&mut self, header: BufferHeader, size: u32, at: u64, rest: u64) -> Option<u64> {
        let there = u32::try_from(rest.min(u64::from(size))).unwrap_or(size);
        let mut filled = header.filled_bytes.get();
        let most = if header.is_compressed() { u32::MAX } else { size };
        if !(HEADER_BYTES..=most).contains(&filled) {
            let fault = Fault::Length(filled, HEADER_BYTES, most);
            self.index.damage.push(ReadError::in_buffer(at, fault.at(Part::FilledBytes, 0x30)));
            filled = filled.clamp(HEADER_BYTES, most);
        }
        if there < size {
            self.damage(at, Fault::Truncated(size, there));
        }
        if !header.is_compressed() {
            filled = filled.min(there);
        }
        self.index.entries.push(BufferEntry::new(&header, at, there, filled));
        at.checked_add(u64::from(size))
    }

    /// Bytes at the end that are too few for a header: damage, unless they are zero.
    fn last_bytes(&mut self, position: u64, rest: u64) -> Option<u64> {
        let mut bytes = [0; BufferHeader::SIZE];
        let found = self.source.read_at(position, &mut bytes).unwrap_or(0);
        if bytes.iter().take(found).all(|byte| *byte == 0) {
            self.index.unused_tail = rest;
        } else {
            let have = u32::try_from(rest).unwrap_or(HEADER_BYTES);
            self.damage(position, Fault::Truncated(HEADER_BYTES, have));
        }
        None
    }

    /// A header of zeros: nothing was written here. Damage only if something was behind it.
    fn unused(&mut self, position: u64) -> Option<u64> {
        let next = self.next_header(position);
        if next.is_some() {
            self.damage(position, Fault::Length(0, HEADER_BYTES, self.step_or(u32::MAX)));
        } else {
            self.index.unused_tail = self.end.saturating_sub(position);
        }
        next
    }

    /// The next place behind `position` that looks like a header.
    fn resync(&mut self, position: u64) -> Option<u64> {
        self.next_header(position)
    }

    fn next_header(&self, position: u64) -> Option<u64> {
        if self.step == 0 {
            return self.next_compressed(position);
        }
        let step = u64::from(self.step);
        let mut at = position.checked_next_multiple_of(step)?;
        if at == position {
            at = at.checked_add(step)?;
        }
        while at < self.end {
            let header = self.header(at).ok()??;
            if looks_like_header(&header, self.step) && header.buffer_size.get() == self.step {
                return Some(at);
            }
            at = at.checked_add(step)?;
        }
        None
    }

    /// Compressed buffers start anywhere, so every byte is tried; one pass over the file at most
    /// for each stretch of damage.
    fn next_compressed(&self, position: u64) -> Option<u64> {
        const FIRST: usize = 1024;
        const MOST: usize = 64 * 1024;
        // Most stretches are short: what lies behind one is not read for it.
        let mut piece = vec![0; FIRST];
        let mut from = position.checked_add(1)?;
        loop {
            let found = self.source.read_at(from, &mut piece).ok()?;
            let bytes = piece.get(..found)?;
            let hit = bytes.windows(BufferHeader::SIZE).position(|window| {
                let Ok(header) = BufferHeader::ref_from_bytes(window) else { return false };
                header.is_compressed() && looks_like_header(header, header.buffer_size.get())
            });
            if let Some(hit) = hit {
                return from.checked_add(hit as u64);
            }
            if found < piece.len() {
                return None;
            }
            from = from.checked_add((found.saturating_sub(BufferHeader::SIZE - 1)) as u64)?;
            piece.resize(piece.len().saturating_mul(2).min(MOST), 0);
        }
    }

    /// The header at `position`; `None` if the file ends within it.
    fn header(&self, position: u64) -> Result<Option<BufferHeader>, ReadError> {
        let mut header = [0; BufferHeader::SIZE];
        let found = self
            .source
            .read_at(position, &mut header)
            .map_err(|error| ReadError::io(position, &error))?;
        let header = BufferHeader::read_from_bytes(&header).ok();
        Ok(header.filter(|_| found == BufferHeader::SIZE))
    }

    fn step_or(&self, other: u32) -> u32 {
        if self.step == 0 { other } else { self.step }
    }

    fn damage(&mut self, position: u64, fault: Fault) {
        self.index.damage.push(ReadError::in_buffer(position, fault.at(Part::Buffer, 0)));
    }
}

pub(crate) fn is_zero(header: &BufferHeader) -> bool {
    header.as_bytes().iter().all(|byte| *byte == 0)
}

/// Whether the words that every writer fills the same way are as they should be.
pub(crate) fn looks_like_header(header: &BufferHeader, size: u32) -> bool {
    let filled = header.filled_bytes.get();
    size >= HEADER_BYTES
        && filled >= HEADER_BYTES
        && (filled <= size || header.is_compressed() && filled <= MOST_UNPACKED)
        && header.flags().0 & !KNOWN_FLAGS == 0
        && header.buffer_type.get() <= BufferType::DBG_INFO.0
        && header.state.get() <= 6
        && header.reference_count.get() == 0
}

const KNOWN_FLAGS: u16 = 0x7F;
/// Largest output of one compressed buffer: its header and the largest buffer of a session.
const MOST_UNPACKED: u32 = 16 * 1024 * 1024 + HEADER_BYTES;
