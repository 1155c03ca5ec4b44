//! Full buffers that wait, written several at once.
//!
//! A file system does less for one write of eight buffers than for eight writes: it takes memory in
//! larger pieces, and looks once where the file ends. On ext4 that is a third of what a write of
//! 64 KiB costs, if the write is one such piece: they lie at multiples of their size, and a write
//! that does not falls into several. But what is written together is free together, so it is a
//! small share of the ring; and nothing waits for more to come: a buffer that is alone is written
//! at once.

use super::{
    Flusher,
    rotation::{Change, time_to_see},
};
use crate::format::BufferFlags;
use crate::session::{
    lane::{Full, Sealed},
    log::Refused,
    seal::{filled_of, lost_field},
};
use crate::sink::storage::MOST_GATHERED;
use std::time::Instant;

/// Most bytes at once. Twice as many would gain half as much again, and take half of the buffers
/// that take turns away from the writers.
const MOST_BYTES: usize = 512 << 10;
/// At most one of so many buffers of the ring is kept from being free by others.
const SHARE: usize = 8;

impl Flusher {
    /// Seals a collected buffer and writes it, or has it wait for the next one, up to
    /// [`write_gathered`](Self::write_gathered). Not if a writer has taken it back meanwhile.
    pub(super) fn gather(&mut self, full: Full) {
        let Some(mut sealed) = self.collector.claim(full) else { return };
        let index = sealed.index() as usize;
        if self.rotation.is_due(Instant::now) {
            self.look(&mut sealed);
        }
        self.mark(&mut sealed);
        if !self.log.gathers(index, self.gathered.len()) {
            // In the order in which they were given up.
            self.write_gathered();
            self.write_marked(sealed, BufferFlags::default());
            return;
        }
        let bytes = self.collector.bytes_mut(&mut sealed);
        self.outlet.sealed(index, bytes, self.clock.now());
        self.gathered.push(sealed);
        if self.gathered.len() >= self.most_gathered() {
            self.write_gathered();
        }
    }

    /// Has as many buffers take turns as is best for a writer that is so far away.
    fn look(&mut self, sealed: &mut Sealed) {
        let bytes = self.collector.bytes_mut(sealed);
        let seen = time_to_see(bytes, filled_of(bytes) as usize);
        if let Some(Change { turns, need_memory }) = seen.and_then(|ns| self.rotation.note(ns)) {
            self.collector.set_turns(turns, need_memory);
        }
    }

    /// Buffers of the next write at most. Where it may have [`MOST_BYTES`] it ends where a piece of
    /// that size ends in the file.
    fn most_gathered(&self) -> usize {
        let ring = self.collector.ring();
        let (buffers, size) = (ring.buffers() as usize, ring.buffer_size() as usize);
        let most = MOST_GATHERED.min(buffers / SHARE).min(MOST_BYTES / size);
        if most * size < MOST_BYTES {
            return most;
        }
        let begun = self.log.next_position() % most as u64;
        most - usize::try_from(begun).unwrap_or_default()
    }

    /// Writes and frees what was gathered. A buffer that cannot be written is lost; those behind it
    /// are tried again.
    pub(super) fn write_gathered(&mut self) {
        while !self.gathered.is_empty() {
            let Self { collector, log, gaps, gathered, .. } = self;
            let mut buffers: [&mut [u8]; MOST_GATHERED] = std::array::from_fn(|_| &mut [][..]);
            let count = gathered.len().min(buffers.len());
            for (buffer, sealed) in buffers.iter_mut().zip(&mut *gathered) {
                *buffer = collector.bytes_mut(sealed);
            }
            let (written, result) = log.write_gathered(&mut buffers[..count]);
            for mut sealed in gathered.drain(..written) {
                gaps.counted(lost_field(collector.bytes_mut(&mut sealed)));
                log.done(sealed.index() as usize);
                collector.release(sealed);
            }
            if let Err(error) = result {
                let mut sealed = gathered.remove(0);
                let index = sealed.index() as usize;
                log.lose(index, collector.bytes_mut(&mut sealed), Refused::Io(error));
                collector.release(sealed);
            }
        }
    }

    /// Says in a buffer that a writer filled what is missing in front of it.
    pub(super) fn mark(&mut self, sealed: &mut Sealed) {
        self.log.meets(sealed.index() as usize, self.collector.sequence(sealed));
        let course = self.collector.course(sealed);
        let bytes = self.collector.bytes_mut(sealed);
        self.gaps.mark(bytes, course);
        self.gaps.settle(bytes, course, course.map_or(0, |course| course.events));
    }
}
