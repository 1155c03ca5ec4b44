//! The protocol of the ring with nothing around it, for `tests/loom` and `tests/shuttle.rs`.
//!
//! Lanes are named by number and entered by whoever says that the lane is its own; events are
//! numbers below 65,536, in messages of eight bytes. Only compiled under `--cfg loom`.

use super::{
    Backing, Collector, Entered, Lane, Policy, RUNNING, Ring, RingSize, Sealed, Space, Stolen, add,
};
use crate::format::MessageTraceHeader;
use crate::session::{
    stats::Discarded,
    sync::{Ordering, yield_now},
};
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

/// A ring whose lanes are made at once.
#[derive(Debug)]
pub struct Model {
    ring: Arc<Ring>,
    lanes: Vec<Lane>,
    /// Events that gave way to newer ones. The order in which it changes says nothing.
    gave_way: std::sync::Mutex<Vec<u64>>,
}

/// The collector of a [`Model`], with what it has collected.
#[derive(Debug)]
pub struct Collected {
    collector: Collector,
    model: Arc<Model>,
    /// Events of the buffers collected so far, each buffer with its sequence number.
    pub buffers: Vec<(i64, Vec<u64>)>,
}

/// An open reservation.
#[derive(Debug)]
pub struct Open<'a>(Space<'a>);

impl Model {
    /// `buffers` buffers of `events` events each, `lanes` lanes.
    pub fn new(buffers: u32, events: u32, lanes: usize) -> (Arc<Self>, Collected) {
        Self::with(Policy::Collect, buffers, events, lanes)
    }

    /// As [`new`](Self::new), the oldest buffer to be overwritten.
    pub fn overwriting(buffers: u32, events: u32, lanes: usize) -> (Arc<Self>, Collected) {
        Self::with(Policy::Overwrite, buffers, events, lanes)
    }

    /// As [`new`](Self::new), a writer that finds no buffer to take the oldest full one back.
    pub fn taking_back(buffers: u32, events: u32, lanes: usize) -> (Arc<Self>, Collected) {
        Self::with(Policy::CollectOrOverwrite, buffers, events, lanes)
    }

    fn with(policy: Policy, buffers: u32, events: u32, lanes: usize) -> (Arc<Self>, Collected) {
        let size = RingSize {
            buffer_size: super::HEADER_BYTES + 8 * events,
            buffers,
            most: buffers,
            resident: 0,
            logger_id: 1,
            first_sequence: 1,
            one_lane: false,
            lanes: crate::format::MAX_LANES,
        };
        let (ring, collector) = Ring::new(1, size, policy, Backing::Anonymous).expect("memory");
        let lanes = (0..lanes).map(|_| Lane::new()).collect();
        let model = Arc::new(Self { ring, lanes, gave_way: std::sync::Mutex::default() });
        let collected = Collected { collector, model: Arc::clone(&model), buffers: Vec::new() };
        (model, collected)
    }

    fn enter(&self, lane: usize) -> Entered<'_> {
        // SAFETY: each test gives a lane to one thread.
        unsafe { self.ring.enter_lane(&self.lanes[lane], self.ring.barrier) }
            .expect("not entered twice")
    }

    /// Takes space for one event in `lane`, as `SessionHandle` does.
    pub fn open(&self, lane: usize) -> Result<Open<'_>, Discarded> {
        let entered = self.enter(lane);
        if entered.state() != RUNNING {
            return Err(Discarded::Stopped);
        }
        let mut entered = match entered.reserve(8) {
            Ok(space) => return Ok(Open(space)),
            Err(entered) => entered,
        };
        let lane = entered.lane();
        let fresh = entered.switch(0, 0, |gave_way| {
            let [no_free_buffer, ..] = &lane.tally.losses;
            add(&no_free_buffer.count, gave_way.events);
            add(&lane.tally.overwritten, gave_way.events);
            let events = events(gave_way.records);
            assert_eq!(gave_way.events, events.len() as u64);
            self.gave_way.lock().expect("no panic").extend(events);
        })?;
        entered.reserve_in(fresh, 8).map(Open).map_err(|_| Discarded::TooLarge)
    }

    /// What a snapshot would copy of a buffer: its lane's number, where it stands in the order of
    /// filling, what stood before it in its lane, and its events.
    pub fn pin(&self, index: u32) -> Option<(u16, i64, i64, Vec<u64>)> {
        let pinned = self.ring.pin(index)?;
        let (header, records) = pinned.published();
        let events = events(records);
        Some((header.lane(), header.sequence_number.get(), pinned.previous(), events))
    }

    /// Takes a lane that nobody has, as a thread does at its first event.
    pub fn claim(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.claim(0))
    }

    /// Gives a lane back, as a thread does at its end.
    pub fn disown(&self, lane: usize) {
        self.lanes[lane].disown();
    }

    /// Events that gave way to newer ones, and how many the lanes have counted as such.
    pub fn gave_way(&self) -> (Vec<u64>, u64) {
        let counted = |lane: &Lane| lane.tally.overwritten.load(Ordering::Relaxed);
        let events = self.gave_way.lock().expect("no panic").clone();
        (events, self.lanes.iter().map(counted).sum())
    }

    /// Buffers in nobody's hand.
    pub fn free(&self) -> u32 {
        self.ring.buffers_free()
    }

    /// Whether nobody is in `lane`.
    pub fn is_left(&self, lane: usize) -> bool {
        self.lanes[lane].busy.load(Ordering::Relaxed) == 0
    }

    /// Writes one event.
    pub fn write(&self, lane: usize, event: u64) -> Result<(), Discarded> {
        self.open(lane)?.commit(event)
    }
}

impl Open<'_> {
    /// Fills the reservation and publishes it.
    pub fn commit(mut self, event: u64) -> Result<(), Discarded> {
        let header = MessageTraceHeader {
            size: 8.into(),
            reserved: 0,
            version: MessageTraceHeader::VERSION,
            message_number: u16::try_from(event).expect("a small number").into(),
            option_flags: 0.into(),
        };
        self.0.bytes().copy_from_slice(header.as_bytes());
        self.0.commit(8)
    }
}

fn events(records: &[u8]) -> Vec<u64> {
    let (headers, rest) =
        <[MessageTraceHeader]>::ref_from_prefix_with_elems(records, records.len() / 8)
            .expect("unaligned, and so many");
    assert!(rest.is_empty());
    headers.iter().map(|header| header.message_number.get().into()).collect()
}

impl Collected {
    fn keep(&mut self, mut sealed: Sealed) {
        let sequence = self.collector.sequence(&sealed);
        let buffer = self.collector.ring.memory.nth(sealed.buffer);
        let filled = buffer.load_filled(Ordering::Relaxed) as usize;
        let bytes = self.collector.bytes_mut(&mut sealed);
        let events = events(&bytes[super::HEADER_BYTES as usize..filled]);
        self.buffers.push((sequence, events));
        self.collector.release(sealed);
    }

    /// Collects the buffers that writers gave up.
    pub fn collect(&mut self) {
        self.collector.collect();
        while let Some(full) = self.collector.next_full() {
            if let Some(sealed) = self.collector.claim(full) {
                self.keep(sealed);
            }
        }
    }

    /// What `lane` has published of the buffer in its hand.
    pub fn peek(&self, lane: usize) -> Vec<u64> {
        self.collector.peek(&self.model.lanes[lane]).map_or(Vec::new(), |p| events(p.records))
    }

    /// Puts what `lane` has published of the buffer in its hand into the log, as the flusher does.
    pub fn put_partial(&mut self, lane: usize) -> Vec<u64> {
        let model = Arc::clone(&self.model);
        let Some(published) = self.collector.peek(&model.lanes[lane]) else { return Vec::new() };
        let events = events(published.records);
        published.hold.logged(published.header.filled_bytes.get(), events.len() as u64);
        events
    }

    /// Takes the buffer of `lane` back, unless its owner is writing.
    pub fn steal(&mut self, lane: usize) {
        let model = Arc::clone(&self.model);
        if let Stolen::Buffer(sealed) = self.collector.steal(&model.lanes[lane]) {
            self.keep(sealed);
        }
    }

    /// Ends writing and collects everything, as the flusher does; waits for writers.
    pub fn finish(&mut self) {
        self.collector.stop();
        let model = Arc::clone(&self.model);
        for lane in 0..model.lanes.len() {
            loop {
                match self.collector.steal(&model.lanes[lane]) {
                    Stolen::Buffer(sealed) => self.keep(sealed),
                    Stolen::Busy => yield_now(),
                    Stolen::Nothing => break,
                }
            }
        }
        self.collect();
    }

    /// Ends writing and closes `lane` out whatever its owner does.
    pub fn stop_and_close(&mut self, lane: usize) -> Vec<u64> {
        self.collector.stop();
        let model = Arc::clone(&self.model);
        let lane = &model.lanes[lane];
        loop {
            if let Some(published) = self.collector.close(lane) {
                return events(published.records);
            }
            if !self.collector.is_switching(lane) && !self.collector.has_buffer(lane) {
                return Vec::new();
            }
            yield_now();
        }
    }

    /// Everything collected, in the order of filling.
    pub fn events(&mut self) -> Vec<u64> {
        self.buffers.sort_by_key(|(sequence, _)| *sequence);
        self.buffers.iter().flat_map(|(_, events)| events.iter().copied()).collect()
    }
}
