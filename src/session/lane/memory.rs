//! The bytes of a ring: one mapping, cut into buffers.

use super::{BufferFlags, BufferState, HEADER_BYTES, Range, RingSize};
use crate::format::{BufferHeader, BufferType};
use crate::session::sync::{AtomicU32, Ordering};
use zerocopy::{FromBytes, IntoBytes};

/// Where `FilledBytes` lies in a buffer, and the first byte behind it.
const FILLED: Range<usize> = 0x30..0x34;

/// The buffers. Which thread may touch which bytes is the business of `lane`.
#[derive(Debug)]
pub(super) struct Memory {
    base: *mut u8,
    size: RingSize,
    #[cfg(not(loom))]
    _map: memmap2::MmapMut,
    #[cfg(loom)]
    model: model::Model,
}

// SAFETY:
// - The mapping is owned and unmapped with the value; its address does not depend on a thread.
// - Access to the bytes is by unsafe functions whose callers say why they may.
unsafe impl Send for Memory {}
// SAFETY: as above; `FilledBytes` is only ever touched as an atomic while it is shared.
unsafe impl Sync for Memory {}

impl Memory {
    /// Every buffer empty and free, its header in place.
    pub(super) fn new(size: RingSize) -> std::io::Result<Self> {
        let memory = Self::map(size)?;
        for buffer in 0..size.buffers {
            // SAFETY: nobody else knows of the memory yet.
            unsafe { memory.at(buffer).reset() };
        }
        Ok(memory)
    }

    #[cfg(not(loom))]
    fn map(size: RingSize) -> std::io::Result<Self> {
        let bytes = size.buffer_size as usize * size.buffers as usize;
        let mut map = memmap2::MmapOptions::new().len(bytes).map_anon()?;
        #[cfg(target_os = "linux")]
        {
            // Without this the first pass over the ring pays for its page faults. A kernel older
            // than 5.14 says no, and the faults are paid.
            let resident = size.buffer_size as usize * size.resident as usize;
            let _ = map.advise_range(memmap2::Advice::PopulateWrite, 0, resident);
        }
        Ok(Self { base: map.as_mut_ptr(), size, _map: map })
    }

    #[cfg(loom)]
    fn map(size: RingSize) -> std::io::Result<Self> {
        debug_assert!(size.resident <= size.buffers);
        let mut model = model::Model::new(size);
        Ok(Self { base: model.base(), size, model })
    }

    #[inline(always)]
    pub(super) fn buffer_size(&self) -> u32 {
        self.size.buffer_size
    }

    pub(super) fn buffers(&self) -> u32 {
        self.size.buffers
    }

    /// Finds a buffer. Everything that is done to one starts here.
    #[inline(always)]
    pub(super) fn at(&self, index: u32) -> Buffer<'_> {
        assert!(index < self.size.buffers, "no such buffer");
        let offset = index as usize * self.size.buffer_size as usize;
        // Wrapping, because it needs no promise: every use states its own.
        Buffer { memory: self, index, start: self.base.wrapping_add(offset) }
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
    #[cfg_attr(not(loom), expect(dead_code, reason = "the model goes by number"))]
    index: u32,
    start: *mut u8,
}

impl<'a> Buffer<'a> {
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
        // - The four bytes lie in the mapping, for as long as the memory does: `Memory::at`.
        // - They are aligned: the mapping is to a page, buffers to 8, the offset is 0x30.
        // - While they are shared they are only touched through this reference.
        unsafe { AtomicU32::from_ptr(word) }
    }

    #[cfg(loom)]
    fn filled(self) -> &'a AtomicU32 {
        self.memory.model.filled(self.index)
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
        self.memory.model.written(self.index, range.clone());
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
        self.memory.model.read(self.index, range.clone());
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

    /// Empties a buffer.
    ///
    /// # Safety
    ///
    /// - The buffer is the caller's alone.
    pub(super) unsafe fn reset(self) {
        // SAFETY: the caller's promise.
        unsafe { self.put_header(&self.memory.empty_header(BufferState::FREE)) };
        // Relaxed: the free set's release publishes it.
        self.store_filled(HEADER_BYTES, Ordering::Relaxed);
    }
}

/// The memory as loom sees it: `FilledBytes` as loom's atomics, and a cell beside every eight bytes
/// that notices two threads meeting there.
#[cfg(loom)]
mod model {
    use super::{AtomicU32, Range, RingSize};
    use loom::cell::UnsafeCell;

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
