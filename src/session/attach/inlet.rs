//! Where the buffers of attached processes come into the log: the flusher's side.
//!
//! A buffer gets what the log knows it by when it first comes: a number behind all that came
//! before. Numbers of one lane are in the order of its records, since its process sends no buffer
//! before those that its lane gave up earlier.
//!
//! Its lanes a process gets when it is attached, and not when their first buffers come: these hold
//! records of some time ago, when another thread may still have had the lane, and the stamps of a
//! lane must not run backwards. They are given back when the process has gone and all of it is in
//! the log: whoever gets one next has later stamps and numbers.

use crate::codec::encode;
use crate::format::{BufferFlags, BufferHeader};
use crate::session::attach::hub::{Arrived, Process};
use crate::session::lane::Ring;
use std::collections::HashMap;
use zerocopy::IntoBytes;

/// What the log knows of attached processes.
#[derive(Debug)]
pub(crate) struct Inlet {
    /// By process and its number of the buffer.
    slots: HashMap<(u64, i64), Slot>,
    /// Slots of the log that are not in use.
    free: Vec<usize>,
    /// The first slot that none was yet.
    next: usize,
    logger_id: u16,
    /// Where a buffer is put together.
    pub(crate) space: Vec<u8>,
}

/// A buffer that is open.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its slot in the log.
    pub(crate) index: usize,
    sequence: i64,
    lane: u16,
    /// What could not be written when it came.
    pub(crate) unwritten: Option<Vec<u8>>,
}

impl Inlet {
    /// For a log whose first `slots` are those of the session's own ring.
    pub(crate) fn new(slots: u32, logger_id: u16) -> Self {
        Self {
            slots: HashMap::new(),
            free: Vec::new(),
            next: slots as usize,
            logger_id,
            space: Vec::new(),
        }
    }

    /// Puts a buffer together in `space` as the log has it, but for what is set when it is written;
    /// gives its slot, a new one if need be. `None` if its process has no such lane.
    pub(crate) fn place(&mut self, ring: &Ring, arrived: &Arrived) -> Option<usize> {
        let (process, number) = (arrived.process.id, arrived.checked.sequence);
        let lane = *arrived.process.lanes.get(usize::from(arrived.checked.lane))?;
        ring.use_lane_number(lane);
        let Self { slots, free, next, space, .. } = self;
        let slot = slots.entry((process, number)).or_insert_with(|| {
            let index = free.pop().unwrap_or_else(|| {
                *next += 1;
                *next - 1
            });
            Slot { index, sequence: ring.take_sequence(), lane, unwritten: None }
        });
        space.resize(ring.buffer_size() as usize, 0);
        let (size, filled) = (ring.buffer_size(), arrived.checked.filled);
        let mut header = encode::sealed_header(size, filled, slot.lane, slot.sequence);
        header.logger_id = self.logger_id.into();
        let lost = arrived.checked.lost_before;
        if lost != 0 {
            header.buffer_flags = header.flags().with(BufferFlags::EVENTS_LOST).0.into();
        }
        header.reserved[8..12].copy_from_slice(&lost.to_le_bytes());
        let records = BufferHeader::SIZE..filled as usize;
        space[..BufferHeader::SIZE].copy_from_slice(header.as_bytes());
        space[records.clone()].copy_from_slice(&arrived.bytes[records]);
        Some(slot.index)
    }

    /// Whether the buffer has a place already.
    pub(crate) fn is_open(&self, arrived: &Arrived) -> bool {
        self.slots.contains_key(&(arrived.process.id, arrived.checked.sequence))
    }

    /// Keeps what could not be written of a buffer that comes again; nothing if it was.
    pub(crate) fn keep(&mut self, arrived: &Arrived, unwritten: Option<Vec<u8>>) {
        let key = (arrived.process.id, arrived.checked.sequence);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.unwritten = unwritten;
        }
    }

    /// The buffer does not come again.
    pub(crate) fn close(&mut self, process: u64, sequence: i64) {
        if let Some(slot) = self.slots.remove(&(process, sequence)) {
            self.free.push(slot.index);
        }
    }

    /// A process has gone: its lanes are given back, and its open buffers stay as they are.
    pub(crate) fn leave(&mut self, ring: &Ring, process: &Process) -> Vec<Slot> {
        let open: Vec<_> = self.slots.keys().filter(|key| key.0 == process.id).copied().collect();
        let open = open.into_iter().filter_map(|key| self.slots.remove(&key)).collect::<Vec<_>>();
        self.free.extend(open.iter().map(|slot| slot.index));
        process.lanes.iter().for_each(|lane| ring.give_lane_number(*lane));
        open
    }
}
