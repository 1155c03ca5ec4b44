//! Real-time consumers: who reads a session's events while it records.
//!
//! ```text
//!              flusher thread                                   any thread
//!  ┌─────────────────────────────────────┐
//!  │ sealed buffer ─┐                    │      ┌─► queue ──► Consumer
//!  │                ├─► piece ─► publish ├──────┤
//!  │ partial one ───┘   one copy         │      └─► queue ──► Consumer
//!  └─────────────────────────────────────┘          bounded; full: counted as missed
//! ```
//!
//! A piece is what is new of one buffer since it was last looked at, behind that buffer's header:
//! a small buffer of its own, which the codec reads like any other. It is copied once, and all
//! consumers share the copy. Where nobody is attached nothing is copied.
//!
//! # Order
//!
//! The pieces of a lane come in the order in which they were recorded. The flusher may see a lane's
//! newest buffer before an older one that the writer has just given up, so a piece waits until the
//! full buffers have been collected once more: whatever its lane gave up earlier is among them.
//!
//! # A slow consumer
//!
//! Its queue is full: what does not fit is not queued but counted, with the times of its first and
//! last event, and told in its place as soon as there is room. The flusher holds a queue's lock for
//! a push and a consumer for a pop, so neither waits for what the other does with the events.

mod buffer;

use crate::codec::TickClock;
use crate::format::BufferHeader;
use crate::session::lane::HEADER_BYTES;
pub use buffer::{LiveBuffer, Missed};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use zerocopy::FromBytes;

/// Bytes that wait for a consumer before it misses something, where nothing else is asked for.
const CAPACITY: usize = 8 << 20;

/// Reads the events of a running session, within its flush interval.
///
/// Made by [`Controller::consumer`](crate::session::Controller::consumer), which a session
/// dereferences to. It is an iterator that waits for the next [`Delivery`] and ends when the
/// session has stopped and everything is read. Dropping it detaches it.
///
/// A consumer gets what is recorded after it was attached, and up to a flush interval of what was
/// recorded before. It may miss events, when it is slow, but then it is told so in their place; it
/// never holds up a writer, the log, or another consumer.
///
/// ```
/// use etlring::codec::RecordView;
/// use etlring::format::{EventDescriptor, Guid};
/// use etlring::session::{Delivery, Event, Session};
///
/// // No log file: what no consumer reads is gone.
/// let session = Session::builder("live doc").real_time().start()?;
/// let consumer = session.consumer()?;
/// let provider = Guid::from_u128(0x5a5c_36d4_6d1f_4a0e_8c39_3a1f_0d7e_42aa);
/// session.write_event(&Event::new(provider, EventDescriptor::new(7, 4)), b"paid")?;
/// session.stop()?;
///
/// let mut payloads = Vec::new();
/// for delivery in consumer {
///     match delivery {
///         Delivery::Buffer(buffer) => {
///             for record in buffer.records() {
///                 payloads.push(RecordView::parse(record?)?.payload().to_vec());
///             }
///         }
///         Delivery::Missed(missed) => panic!("too slow: {missed}"),
///         _ => {}
///     }
/// }
/// assert_eq!(payloads, [b"paid"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Consumer {
    hub: Arc<Hub>,
    queue: Arc<Queue>,
    header: LiveBuffer,
}

/// What a [`Consumer`] is given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// Records of one lane, in their order.
    Buffer(LiveBuffer),
    /// Records that would stand here, but did not fit the consumer's queue.
    Missed(Missed),
}

/// Why there is nothing to deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDelivery {
    /// Nothing came within the time.
    Yet,
    /// The session has stopped and everything is read.
    Ended,
}

impl Consumer {
    /// The next delivery, waited for no longer than `timeout`; zero does not wait.
    ///
    /// # Errors
    ///
    /// [`NoDelivery`] says whether there may be one later.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Delivery, NoDelivery> {
        // A time too far away to be counted is for ever.
        self.queue.pop(Instant::now().checked_add(timeout))
    }

    /// The session's header buffer as it was at the start. Its first record is what
    /// [`LogfileView`](crate::codec::LogfileView) reads: names, clock, sizes. Behind it stand those
    /// that explain others and were written before this consumer was attached.
    #[must_use]
    pub fn header(&self) -> &LiveBuffer {
        &self.header
    }

    /// Turns the ticks of the session's records into times.
    #[must_use]
    pub fn clock(&self) -> Option<TickClock> {
        self.header.clock()
    }

    /// Records of the header buffer that were written before this consumer was attached.
    pub(crate) fn add_to_header(&mut self, records: &[u8]) {
        self.header = self.header.with_records(records);
    }

    /// Whether the session has stopped. There may be more to read.
    #[cfg(unix)]
    pub(crate) fn has_ended(&self) -> bool {
        self.queue.state().ended
    }

    /// All that this consumer has missed so far, told or not.
    #[must_use]
    pub fn missed_so_far(&self) -> Missed {
        self.queue.state().missed_so_far
    }
}

impl Iterator for Consumer {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        self.queue.pop(None).ok()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.hub.detach(&self.queue);
    }
}

/// What waits for one consumer.
#[derive(Debug)]
struct Queue {
    state: Mutex<Waiting>,
    /// Something was pushed, or the session ended.
    changed: Condvar,
    /// Bytes that may wait; a single piece may be larger.
    capacity: usize,
    /// Whether the flush interval is too long for it.
    prompt: bool,
}

#[derive(Debug, Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    /// Of the buffers among them.
    bytes: usize,
    /// Missed since the last delivery, and not told yet.
    missed: Missed,
    missed_so_far: Missed,
    ended: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here is left half done by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `buffer`; `false` if it does not fit.
    fn push(&self, buffer: &LiveBuffer) -> bool {
        let len = buffer.bytes().len();
        let mut state = self.state();
        if !state.deliveries.is_empty() && state.bytes.saturating_add(len) > self.capacity {
            return false;
        }
        if !state.missed.is_nothing() {
            let missed = std::mem::take(&mut state.missed);
            state.deliveries.push_back(Delivery::Missed(missed));
        }
        state.bytes += len;
        state.deliveries.push_back(Delivery::Buffer(buffer.clone()));
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Counts what was not queued. The consumer may have made room meanwhile; there is but one who
    /// pushes, so it is told before anything that comes later.
    fn miss(&self, missed: Missed) {
        let mut state = self.state();
        state.missed.add(missed);
        state.missed_so_far.add(missed);
        drop(state);
        self.changed.notify_one();
    }

    fn end(&self) {
        self.state().ended = true;
        self.changed.notify_one();
    }

    /// Waits until `deadline`, or for ever, for something to deliver.
    fn pop(&self, deadline: Option<Instant>) -> Result<Delivery, NoDelivery> {
        let mut state = self.state();
        loop {
            if let Some(delivery) = state.deliveries.pop_front() {
                if let Delivery::Buffer(buffer) = &delivery {
                    state.bytes -= buffer.bytes().len();
                }
                return Ok(delivery);
            }
            if !state.missed.is_nothing() {
                return Ok(Delivery::Missed(std::mem::take(&mut state.missed)));
            }
            if state.ended {
                return Err(NoDelivery::Ended);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(NoDelivery::Yet);
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

/// Where consumers are attached: the side that controllers, consumers and the flusher share.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// How many there are, for a look without the lock.
    attached: AtomicUsize,
    /// How many of them do not wait for the session to flush.
    prompt: AtomicUsize,
    /// Pieces that somebody was too slow for.
    buffers_missed: AtomicU64,
    members: Mutex<Members>,
}

#[derive(Debug, Default)]
struct Members {
    queues: Vec<Arc<Queue>>,
    /// The session's header buffer, once there is one.
    header: Option<LiveBuffer>,
    ended: bool,
    refuses: bool,
}

impl Hub {
    fn members(&self) -> MutexGuard<'_, Members> {
        // Nothing in here is left half done by a panic.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches a consumer for which up to `capacity` bytes wait; a `prompt` one gets what is new
    /// without waiting for a flush. `None` where there are no pieces to be had.
    pub(crate) fn attach(
        self: &Arc<Self>,
        capacity: Option<usize>,
        prompt: bool,
    ) -> Option<Consumer> {
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            capacity: capacity.unwrap_or(CAPACITY),
            prompt,
        });
        let mut members = self.members();
        if members.refuses {
            return None;
        }
        if members.ended {
            queue.end();
        } else {
            members.queues.push(Arc::clone(&queue));
            self.count(&members);
        }
        let header = members.header.clone().unwrap_or_else(LiveBuffer::empty);
        drop(members);
        Some(Consumer { hub: Arc::clone(self), queue, header })
    }

    /// Lets nobody be attached.
    pub(crate) fn refuse(&self) {
        self.members().refuses = true;
    }

    fn detach(&self, queue: &Arc<Queue>) {
        let mut members = self.members();
        members.queues.retain(|other| !Arc::ptr_eq(other, queue));
        self.count(&members);
    }

    fn count(&self, members: &Members) {
        let prompt = members.queues.iter().filter(|queue| queue.prompt).count();
        self.prompt.store(prompt, Ordering::Relaxed);
        // Relaxed: an event that is written after this is seen by the flusher after it, too,
        // through the word that commits it.
        self.attached.store(members.queues.len(), Ordering::Relaxed);
    }

    /// How many consumers there are, and pieces that they were too slow for.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let missed = self.buffers_missed.load(Ordering::Relaxed);
        (self.attached.load(Ordering::Relaxed), missed)
    }

    /// Whether anybody is attached.
    pub(crate) fn is_wanted(&self) -> bool {
        self.attached.load(Ordering::Relaxed) != 0
    }

    /// Whether somebody is attached who does not wait for the session to flush.
    pub(crate) fn is_prompt(&self) -> bool {
        self.prompt.load(Ordering::Relaxed) != 0
    }

    /// Lets every consumer read what it has, and end.
    pub(crate) fn end(&self) {
        let mut members = self.members();
        members.ended = true;
        members.queues.drain(..).for_each(|queue| queue.end());
        self.count(&members);
    }
}

/// The flusher's side: what it has seen of each buffer, and the pieces that wait for their turn.
#[derive(Debug)]
pub(crate) struct Outlet {
    hub: Arc<Hub>,
    /// By buffer of the ring: where the next piece starts, of the buffer with this number.
    seen: Vec<(i64, u32)>,
    staged: Vec<Staged>,
}

/// A piece, and what orders it among those of its lane.
#[derive(Debug)]
struct Staged {
    sequence: i64,
    from: u32,
    buffer: LiveBuffer,
}

impl Outlet {
    /// For a ring of so many buffers, whose header buffer is `header`.
    pub(crate) fn new(hub: Arc<Hub>, buffers: u32, header: &[u8]) -> Self {
        hub.members().header = LiveBuffer::cut(header, HEADER_BYTES, 0);
        Self { hub, seen: vec![(0, 0); buffers as usize], staged: Vec::new() }
    }

    /// Whether buffer `index`, which has this header now, has what nobody was given.
    pub(crate) fn has_news(&self, index: usize, header: &BufferHeader) -> bool {
        let (number, seen) = self.seen.get(index).copied().unwrap_or_default();
        let is_same = number == header.sequence_number.get();
        let seen = if is_same { seen.max(HEADER_BYTES) } else { HEADER_BYTES };
        header.filled_bytes.get() > seen
    }

    /// Takes what is new of buffer `index` at this time. It is still in use.
    pub(crate) fn partial(&mut self, index: usize, buffer: &[u8], ticks: u64) {
        if index >= self.seen.len() {
            // Of another process.
            self.seen.resize(index + 1, (0, 0));
        }
        let Some(seen) = self.seen.get_mut(index) else { return };
        let Ok((header, _)) = BufferHeader::ref_from_prefix(buffer) else { return };
        let sequence = header.sequence_number.get();
        // A writer may have taken the buffer back and begun it anew.
        let from = if seen.0 == sequence { seen.1.max(HEADER_BYTES) } else { HEADER_BYTES };
        *seen = (sequence, header.filled_bytes.get());
        if self.hub.is_wanted() {
            if let Some(piece) = LiveBuffer::cut(buffer, from, ticks) {
                self.staged.push(Staged { sequence, from, buffer: piece });
            }
        }
    }

    /// Takes what is new of buffer `index` at this time. It is about to be used again.
    pub(crate) fn sealed(&mut self, index: usize, buffer: &[u8], ticks: u64) {
        self.partial(index, buffer, ticks);
        if let Some(seen) = self.seen.get_mut(index) {
            *seen = (0, 0);
        }
    }

    /// Hands out what was taken. To be called when the full buffers were collected after the last
    /// partial one was taken: then every piece's predecessors are here, or gone before.
    pub(crate) fn publish(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        self.staged.sort_by_key(|piece| (piece.sequence, piece.from));
        let members = self.hub.members();
        for Staged { buffer, .. } in self.staged.drain(..) {
            let mut missed = None;
            for queue in members.queues.iter().filter(|queue| !queue.push(&buffer)) {
                // Looked for without a queue's lock, and once.
                queue.miss(*missed.get_or_insert_with(|| buffer.missed()));
                self.hub.buffers_missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}
