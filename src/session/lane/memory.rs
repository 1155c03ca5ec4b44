//! The bytes of a ring: one mapping, cut into buffers.

use super::{BufferFlags, BufferState, HEADER_BYTES, Range, RingSize};
use crate::format::{BufferHeader, BufferType};
use crate::session::sync::{AtomicU32, Ordering};
#[cfg(all(target_os = "linux", not(loom)))]
use crate::sink::storage::write_zeros;
use std::ptr;
use std::sync::atomic::compiler_fence;
use zerocopy::{FromBytes, IntoBytes};

/// Where `FilledBytes` lies in a buffer, and the first byte behind it.
const FILLED: Range<usize> = 0x30..0x34;

/// Bytes of the longest payload that [`Buffer::put_record`] takes.
pub(crate) const SMALL: usize = 64;

/// The buffers. Which thread may touch which bytes is the business of `lane`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Memory {
    /// Where the first buffer starts.
    base: *mut u8,
    /// Bytes of a buffer, as wide as what every event compares with it.
    bytes_of_buffer: u64,
    size: RingSize,
    /// Bytes in front of the first buffer: the log's header buffer, where there is one.
    front: usize,
    #[cfg(not(loom))]
    map: memmap2::MmapRaw,
    #[cfg(loom)]
    model: model::Model,
}

// SAFETY:
// - The mapping is owned and unmapped with the value; its address does not depend on a thread.
// - Access to the bytes is by unsafe functions whose callers say why they may.
unsafe impl Send for Memory {}
// SAFETY: as above; `FilledBytes` is only ever touched as an atomic while it is shared.
unsafe impl Sync for Memory {}

/// Where the bytes of a ring lie.
#[derive(Debug)]
pub(crate) enum Backing {
    /// In memory of the process.
    Anonymous,
    /// In a file, behind a header buffer: place 0 of a log, the buffers are the others. The file is
    /// new and that long already, and its blocks are allocated: a store into a hole of a file kills
    /// the process when the disk is full.
    #[cfg_attr(loom, expect(dead_code, reason = "the model lies in memory"))]
    File(std::fs::File),
}

impl Memory {
    /// Every buffer empty and free, its header in place.
    pub(super) fn new(size: RingSize, backing: Backing) -> std::io::Result<Self> {
        let memory = Self::map(size, backing)?;
        // One page of each buffer is touched: without this a system reads those around it, too,
        // and there go three quarters of the time that a session takes to start.
        #[cfg(all(unix, not(loom)))]
        let _ = memory.map.advise(memmap2::Advice::Random);
        for buffer in 0..size.buffers {
            // SAFETY: nobody else knows of the memory yet.
            unsafe { memory.nth(buffer).reset() };
        }
        #[cfg(all(unix, not(loom)))]
        let _ = memory.map.advise(memmap2::Advice::Normal);
        Ok(memory)
    }

    #[cfg(not(loom))]
    fn map(mut size: RingSize, backing: Backing) -> std::io::Result<Self> {
        let buffer_size = size.buffer_size as usize;
        let front = if matches!(backing, Backing::File(_)) { buffer_size } else { 0 };
        let map = |buffers: u32| {
            let mut options = memmap2::MmapOptions::new();
            options.len(front + buffer_size * buffers as usize);
            match &backing {
                Backing::Anonymous => options.map_anon().map(memmap2::MmapRaw::from),
                // Addresses behind the file's end are nobody's until it has grown.
                Backing::File(file) => options.map_raw(file),
            }
        };
        let map = match map(size.most) {
            // Not so many addresses here: then the ring stays as it is.
            Err(_) if size.most > size.buffers => {
                size.most = size.buffers;
                map(size.buffers)?
            }
            mapped => mapped?,
        };
        #[cfg(target_os = "linux")]
        {
            let resident = front + buffer_size * size.resident as usize;
            if let Backing::File(file) = &backing {
                // What is written is in memory for a fifth of what it costs if each page is read,
                // from a file that holds nothing yet, for the first store into it. If it cannot be
                // written the first stores see to that.
                let _ = write_zeros(file, front as u64..resident as u64);
            }
            // Without this the first pass over the ring pays for its page faults. A kernel older
            // than 5.14 says no, and the faults are paid.
            let _ = map.advise_range(memmap2::Advice::PopulateWrite, 0, resident);
        }
        let base = map.as_mut_ptr().wrapping_add(front);
        Ok(Self { base, bytes_of_buffer: size.buffer_size.into(), size, front, map })
    }

    #[cfg(loom)]
    fn map(size: RingSize, backing: Backing) -> std::io::Result<Self> {
        debug_assert!(size.resident <= size.buffers && matches!(backing, Backing::Anonymous));
        let mut model = model::Model::new(size);
        let bytes_of_buffer = size.buffer_size.into();
        Ok(Self { base: model.base(), bytes_of_buffer, size, front: 0, model })
    }

    /// Gives buffers their memory, whoever may be using them.
    pub(super) fn make_resident(&self, buffers: Range<u32>) {
        let buffers = buffers.start.min(self.size.most)..buffers.end.min(self.size.most);
        #[cfg(all(target_os = "linux", not(loom)))]
        if !buffers.is_empty() {
            let at = |buffer: u32| self.front + self.size.buffer_size as usize * buffer as usize;
            let range = at(buffers.start)..at(buffers.end);
            // As in `map`: where the system says no the first stores see to that.
            let _ = self.map.advise_range(
                memmap2::Advice::PopulateWrite,
                range.start,
                range.end - range.start,
            );
        }
        #[cfg(not(all(target_os = "linux", not(loom))))]
        let _ = buffers;
    }

    pub(super) fn is_in_file(&self) -> bool {
        self.front != 0
    }

    /// Writes the log's header buffer in front of the ring, if there is room for it; its checksum
    /// only if it is the last one.
    pub(super) fn put_log_header(&self, header: &[u8], last: bool) {
        #[cfg(not(loom))]
        if header.len() == self.front {
            let checksum = if last { 0x38..0x48 } else { 0..0 };
            for part in [0..0x38, 0x48..header.len(), checksum] {
                let to = self.map.as_mut_ptr().wrapping_add(part.start);
                // SAFETY:
                // - The first `front` bytes lie in the mapping.
                // - They belong to the collector, of which there is one, and this is its only way
                //   to them; other processes read them as bytes that may change.
                unsafe { ptr::copy(header[part.clone()].as_ptr(), to, part.len()) };
            }
        }
        #[cfg(loom)]
        debug_assert!(self.front == 0 && !last, "{} bytes", header.len());
    }

    pub(super) fn buffer_size(&self) -> u32 {
        self.size.buffer_size
    }

    /// As [`buffer_size`](Self::buffer_size).
    #[inline(always)]
    pub(super) fn bytes_of_buffer(&self) -> u64 {
        self.bytes_of_buffer
    }

    /// How many buffers have addresses.
    pub(super) fn most(&self) -> u32 {
        self.size.most
    }

    /// The buffer with this number.
    pub(super) fn nth(&self, index: u32) -> Buffer<'_> {
        assert!(index < self.size.most, "no such buffer");
        // Wrapping, because it needs no promise: every use states its own.
        let start = self.base.wrapping_add(index as usize * self.size.buffer_size as usize);
        Buffer { memory: self, start }
    }

    /// The buffer at a [`start`](Buffer::start); `None` for null.
    ///
    /// # Safety
    ///
    /// - It is the start of a buffer of this memory, or null.
    #[inline(always)]
    pub(super) unsafe fn at(&self, start: *mut u8) -> Option<Buffer<'_>> {
        let buffer = Buffer { memory: self, start };
        debug_assert!(start.is_null() || self.nth(buffer.index()).start == start);
        (!start.is_null()).then_some(buffer)
    }

    fn empty_header(&self, state: BufferState) -> BufferHeader {
        BufferHeader {
            buffer_size: self.size.buffer_size.into(),
            saved_offset: HEADER_BYTES.into(),
            current_offset: HEADER_BYTES.into(),
            reference_count: 0.into(),
            time_stamp: 0.into(),
            sequence_number: 0.into(),
            clock: 0.into(),
            processor_index: 0.into(),
            logger_id: self.size.logger_id.into(),
            state: state.0.into(),
            filled_bytes: HEADER_BYTES.into(),
            buffer_flags: BufferFlags::PROC_INDEX.0.into(),
            buffer_type: BufferType::GENERIC.0.into(),
            reserved: [0; 16],
        }
    }
}

/// One buffer of a [`Memory`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer<'a> {
    memory: &'a Memory,
    start: *mut u8,
}

impl<'a> Buffer<'a> {
    /// Where it starts.
    #[inline(always)]
    pub(super) fn start(self) -> *mut u8 {
        self.start
    }

    /// Its number.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of buffers")]
    pub(super) fn index(self) -> u32 {
        let offset = self.start.addr() - self.memory.base.addr();
        (offset / self.memory.size.buffer_size as usize) as u32
    }

    /// Reads the word that says what is valid.
    #[inline(always)]
    pub(super) fn load_filled(self, order: Ordering) -> u32 {
        u32::from_le(self.filled().load(order))
    }

    /// Stores the word that says what is valid.
    #[inline(always)]
    pub(super) fn store_filled(self, filled: u32, order: Ordering) {
        self.filled().store(filled.to_le(), order);
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn filled(self) -> &'a AtomicU32 {
        let word = self.start.wrapping_add(FILLED.start).cast();
        // SAFETY:
        // - The four bytes lie in the mapping, for as long as the memory does: `Memory::nth`, and
        //   the promise of whoever calls `Memory::at`.
        // - They are aligned: the mapping is to a page, buffers to 8, the offset is 0x30.
        // - While they are shared they are only touched through this reference.
        unsafe { AtomicU32::from_ptr(word) }
    }

    #[cfg(loom)]
    fn filled(self) -> &'a AtomicU32 {
        self.memory.model.filled(self.index())
    }

    /// Bytes of the buffer, to write.
    ///
    /// # Safety
    ///
    /// - The range lies within the buffer.
    /// - Nobody else reads or writes these bytes while the slice lives.
    #[inline(always)]
    pub(super) unsafe fn bytes_mut(self, range: Range<u32>) -> &'a mut [u8] {
        debug_assert!(range.start <= range.end && range.end <= self.memory.size.buffer_size);
        #[cfg(loom)]
        self.memory.model.written(self.index(), range.clone());
        let start = self.start.wrapping_add(range.start as usize);
        // SAFETY:
        // - The range lies in the mapping: the caller's promise.
        // - Mapped memory is initialised: zero at first, and bytes ever after.
        // - Exclusive: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, (range.end - range.start) as usize) }
    }

    /// Bytes of the buffer, to read.
    ///
    /// # Safety
    ///
    /// - The range lies within the buffer.
    /// - Nobody writes these bytes while the slice lives.
    unsafe fn bytes(self, range: Range<u32>) -> &'a [u8] {
        debug_assert!(range.start <= range.end && range.end <= self.memory.size.buffer_size);
        #[cfg(loom)]
        self.memory.model.read(self.index(), range.clone());
        let start = self.start.wrapping_add(range.start as usize);
        // SAFETY: as in `bytes_mut`, shared.
        unsafe { std::slice::from_raw_parts(start, (range.end - range.start) as usize) }
    }

    /// The header as the writer began it, with the end of `records`, and these records.
    ///
    /// # Safety
    ///
    /// - The range lies within the buffer, and nobody writes it or the header while they are used.
    pub(super) unsafe fn published(self, records: Range<u32>) -> (BufferHeader, &'a [u8]) {
        let mut header = [0; BufferHeader::SIZE];
        // `FilledBytes` lies between: the writer may be storing it.
        // SAFETY: the caller's promise; the word itself is left out.
        header[..FILLED.start].copy_from_slice(unsafe { self.bytes(0..0x30) });
        header[FILLED].copy_from_slice(&records.end.to_le_bytes());
        // SAFETY: as above.
        let behind = unsafe { self.bytes(0x34..HEADER_BYTES) };
        header[FILLED.end..].copy_from_slice(behind);
        let header = BufferHeader::read_from_bytes(&header).unwrap_or_else(|_| unreachable!());
        // SAFETY: the caller's promise.
        (header, unsafe { self.bytes(records) })
    }

    /// Writes a record with a payload of at most [`SMALL`] bytes, and clears its padding.
    ///
    /// The payload is copied as pieces that overlap: no loop and no call, so that the path of an
    /// event needs no registers saved.
    ///
    /// # Safety
    ///
    /// - The range from `start`, `need` bytes long, lies within the buffer, and nobody else reads
    ///   or writes it.
    /// - `need` is the length of header and payload, up to the next multiple of 8, and the payload
    ///   is not longer than [`SMALL`].
    #[inline(always)]
    pub(super) unsafe fn put_record<const N: usize>(
        self,
        (start, need): (u32, u32),
        header: [u64; N],
        payload: &[u8],
    ) {
        #[cfg(loom)]
        self.memory.model.written(self.index(), start..start + need);
        let len = payload.len();
        debug_assert!(len <= SMALL && (8 * N + len).next_multiple_of(8) == need as usize);
        let target = self.start.wrapping_add(start as usize);
        // SAFETY: the last eight bytes of the range: it is as long as the header at least.
        unsafe { target.wrapping_add(need as usize - 8).cast::<u64>().write_unaligned(0) };
        // What of these eight bytes is header or payload is written now.
        // SAFETY: the first bytes of the range, which is as long as the header at least.
        unsafe { target.cast::<[u64; N]>().write_unaligned(header.map(u64::to_le)) };
        let (from, body) = (payload.as_ptr(), target.wrapping_add(8 * N));
        let copy = |at: usize, count: usize| {
            let (from, to) = (from.wrapping_add(at), body.wrapping_add(at));
            // SAFETY:
            // - In each arm `at + count` is at most `len`, so the piece lies in the payload, and in
            //   the range behind the header.
            // - A payload is borrowed and the range is the caller's alone: they do not overlap.
            unsafe { ptr::copy_nonoverlapping(from, to, count) };
        };
        // As numbers: of copies that overlap the compiler shortens one, where it knows the length,
        // and then has three to do.
        let copy16 = |at: usize| {
            let (from, to) = (from.wrapping_add(at).cast::<u128>(), body.wrapping_add(at).cast());
            // SAFETY: as in `copy`; any bytes are a number.
            let number = unsafe { from.read_unaligned() };
            // SAFETY: as in `copy`.
            unsafe { ptr::write_unaligned(to, number) };
        };
        match len {
            16..=32 => {
                copy16(0);
                copy16(len - 16);
            }
            33.. => {
                copy16(0);
                copy16(16);
                copy16(len - 32);
                copy16(len - 16);
            }
            8.. => {
                copy(0, 8);
                copy(len - 8, 8);
            }
            4.. => {
                copy(0, 4);
                copy(len - 4, 4);
            }
            2.. => {
                copy(0, 2);
                copy(len - 2, 2);
            }
            1 => copy(0, 1),
            0 => {}
        }
    }

    /// Writes everything of a header but `FilledBytes`.
    ///
    /// # Safety
    ///
    /// - The buffer is the caller's alone.
    unsafe fn put_header(self, header: &BufferHeader) {
        let bytes = header.as_bytes();
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0..0x30) }.copy_from_slice(&bytes[..FILLED.start]);
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0x34..HEADER_BYTES) }.copy_from_slice(&bytes[FILLED.end..]);
    }

    /// Makes a buffer one of lane `number`, with no records yet.
    ///
    /// # Safety
    ///
    /// - The buffer is the caller's alone, and empty.
    pub(super) unsafe fn begin(self, number: u32, sequence: u64, lost: u32) {
        let mut header = self.memory.empty_header(BufferState::GENERAL_LOGGING);
        header.sequence_number = i64::try_from(sequence).unwrap_or(i64::MAX).into();
        header.processor_index = u16::try_from(number).unwrap_or(u16::MAX).into();
        if lost != 0 {
            header.buffer_flags = BufferFlags::PROC_INDEX.with(BufferFlags::EVENTS_LOST).0.into();
        }
        header.reserved[8..12].copy_from_slice(&lost.to_le_bytes());
        // SAFETY: the caller's promise.
        unsafe { self.put_header(&header) };
    }

    /// Ends the filling of a buffer that stays in the ring. Without a checksum: that would cost
    /// the writer as much as the records did.
    ///
    /// # Safety
    ///
    /// - Nobody else writes the buffer, or reads what this writes.
    pub(super) unsafe fn close(self, ticks: u64) {
        let filled = self.load_filled(Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0x04..0x08) }.copy_from_slice(&filled.to_le_bytes());
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0x08..0x0C) }.copy_from_slice(&filled.to_le_bytes());
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0x10..0x18) }.copy_from_slice(&ticks.to_le_bytes());
        compiler_fence(Ordering::SeqCst);
        let state = BufferState::FLUSH.0.to_le_bytes();
        // SAFETY: the caller's promise.
        unsafe { self.bytes_mut(0x2C..0x30) }.copy_from_slice(&state);
    }

    /// The header as the buffer was begun, without `FilledBytes`; what [`close`](Self::close)
    /// writes is left out.
    ///
    /// # Safety
    ///
    /// - The buffer is not begun or emptied meanwhile.
    pub(super) unsafe fn begun_header(self) -> BufferHeader {
        let mut header = self.memory.empty_header(BufferState::GENERAL_LOGGING);
        let bytes = header.as_mut_bytes();
        for range in [0x18..0x20, 0x28..0x2C, 0x34..HEADER_BYTES] {
            let (start, end) = (range.start as usize, range.end as usize);
            // SAFETY: the caller's promise.
            bytes[start..end].copy_from_slice(unsafe { self.bytes(range) });
        }
        header
    }

    /// Published records.
    ///
    /// # Safety
    ///
    /// - The range lies between header and `FilledBytes`; the buffer is not begun meanwhile.
    pub(super) unsafe fn records(self, range: Range<u32>) -> &'a [u8] {
        // SAFETY: the caller's promise: published bytes do not change.
        unsafe { self.bytes(range) }
    }

    /// Empties a buffer.
    ///
    /// # Safety
    ///
    /// - The buffer is the caller's alone.
    pub(super) unsafe fn reset(self) {
        // First, so that a process that is killed in between leaves no old records under a new
        // header. Relaxed: the free set's release publishes it.
        self.store_filled(HEADER_BYTES, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { self.put_header(&self.memory.empty_header(BufferState::FREE)) };
    }
}

/// The memory as loom sees it: `FilledBytes` as loom's atomics, and a cell beside every eight bytes
/// that notices two threads meeting there.
#[cfg(loom)]
mod model {
    use super::{AtomicU32, Range, RingSize};
    use crate::session::sync::UnsafeCell;

    #[derive(Debug)]
    pub(super) struct Model {
        bytes: Box<[u64]>,
        filled: Box<[AtomicU32]>,
        watch: Box<[UnsafeCell<()>]>,
        words: usize,
    }

    impl Model {
        pub(super) fn new(size: RingSize) -> Self {
            let words = size.buffer_size as usize / 8;
            let all = words * size.buffers as usize;
            Self {
                bytes: vec![0; all].into(),
                filled: (0..size.buffers).map(|_| AtomicU32::new(0)).collect(),
                watch: (0..all).map(|_| UnsafeCell::new(())).collect(),
                words,
            }
        }

        pub(super) fn base(&mut self) -> *mut u8 {
            self.bytes.as_mut_ptr().cast()
        }

        pub(super) fn filled(&self, buffer: u32) -> &AtomicU32 {
            &self.filled[buffer as usize]
        }

        pub(super) fn written(&self, buffer: u32, range: Range<u32>) {
            self.cells(buffer, range).iter().for_each(|cell| cell.with_mut(|_| ()));
        }

        pub(super) fn read(&self, buffer: u32, range: Range<u32>) {
            self.cells(buffer, range).iter().for_each(|cell| cell.with(|_| ()));
        }

        fn cells(&self, buffer: u32, range: Range<u32>) -> &[UnsafeCell<()>] {
            let first = buffer as usize * self.words;
            &self.watch[first + range.start as usize / 8..first + range.end as usize / 8]
        }
    }
}
