//! The attached side: what the flusher of an attached session has in place of a log, and what it
//! shares with the thread that listens to the owner.
//!
//! # Order
//!
//! The owner numbers buffers as they come, and the numbers of a lane must be in the order of its
//! records. A flush looks at buffers in use, and may see a lane's newest one before the flusher has
//! collected the one that the lane gave up just before. So what a flush puts together is held until
//! its end: by then the full buffers have been collected once more, and whatever a lane gave up
//! earlier has gone first.
//!
//! # Nothing is lost with the owner
//!
//! A buffer that was sent for the last time stays in the ring, sealed, until the owner says that it
//! is in the log. If the owner dies the ring file has everything that it had not said so of.

use crate::session::attach::wire::{self, BUFFER_PREFIX, frame_header, kind};
use crate::session::setting::Counts;
use crate::session::shared::Shared;
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a session that is to stop waits for an owner that does not read.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The connection to the owner: what the flusher and the listening thread share.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    /// The owner knows of the ring: it may be sent something. Until then this is the flusher's no
    /// more than anybody's.
    ready: AtomicBool,
    /// The owner has gone, and the connection with it.
    gone: AtomicBool,
    /// Buffers that the owner has in its log.
    taken: AtomicU64,
    /// The last flush that the owner asked for.
    flush_wanted: AtomicU64,
    /// The owner has everything, and said so.
    bye: Mutex<bool>,
    changed: Condvar,
}

impl Link {
    pub(crate) fn new(stream: UnixStream) -> io::Result<Self> {
        // So that one who waits for the owner finds out that it is to stop.
        stream.set_write_timeout(Some(LOOK))?;
        Ok(Self {
            stream,
            ready: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            flush_wanted: AtomicU64::new(0),
            bye: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    /// The owner was told of the ring.
    pub(crate) fn set_ready(&self) {
        // Release pairs with the acquire in `flushed`: what was sent before was sent whole.
        self.ready.store(true, Ordering::Release);
    }

    /// Whether the owner has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// The owner has gone, or does not do what it should.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.changed.notify_all();
    }

    /// The owner has so many buffers in its log.
    pub(crate) fn set_taken(&self, count: u64) {
        self.taken.fetch_max(count, Ordering::Relaxed);
    }

    /// The owner asks for a flush.
    pub(crate) fn want_flush(&self, number: u64) {
        self.flush_wanted.fetch_max(number, Ordering::Relaxed);
    }

    /// The owner has everything.
    pub(crate) fn set_bye(&self) {
        *self.bye.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether the owner has said that it has everything.
    pub(crate) fn has_bye(&self) -> bool {
        *self.bye.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Waits until the owner has everything; `false` if that does not come.
    fn wait_for_bye(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut bye = self.bye.lock().unwrap_or_else(PoisonError::into_inner);
        while !*bye {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_gone() {
                return *bye;
            }
            let waited = self.changed.wait_timeout(bye, left.min(LOOK));
            bye = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// What the flusher of an attached session sends its buffers with.
#[derive(Debug)]
pub(crate) struct Sender {
    link: Arc<Link>,
    /// Says whether the session is to stop.
    shared: Option<Arc<Shared>>,
    /// Buffers in use, by their place in the ring, until the flush ends.
    held: BTreeMap<usize, Vec<u8>>,
    /// Buffers that were sent for the last time.
    sent: u64,
    /// When it was first seen that the session is to stop while the owner does not read.
    waiting_since: Option<Instant>,
}

impl Sender {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, shared: None, held: BTreeMap::new(), sent: 0, waiting_since: None }
    }

    /// Looks there for whether the session is to stop.
    pub(crate) fn belongs_to(&mut self, shared: &Arc<Shared>) {
        self.shared = Some(Arc::clone(shared));
    }

    /// Whether the owner has gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.link.is_gone()
    }

    /// Takes a complete buffer, header and records. If it is the last time it is sent.
    pub(crate) fn write(&mut self, index: usize, buffer: &[u8], last: bool) -> io::Result<()> {
        if self.is_gone() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !last {
            self.held.insert(index, buffer.to_vec());
            return Ok(());
        }
        self.held.remove(&index);
        self.send_buffer(buffer, true)?;
        self.sent += 1;
        Ok(())
    }

    /// Number of the last buffer that was sent for the last time.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Buffers that the owner has in its log.
    pub(crate) fn taken(&self) -> u64 {
        self.link.taken.load(Ordering::Relaxed)
    }

    /// The flush that the owner wants, before one begins.
    pub(crate) fn flush_wanted(&self) -> u64 {
        self.link.flush_wanted.load(Ordering::Relaxed)
    }

    /// A flush has ended, which the owner wanted under this number.
    pub(crate) fn flushed(&mut self, counts: &Counts, number: u64) -> io::Result<()> {
        if !self.link.ready.load(Ordering::Acquire) {
            // The session is only being started, and has no events.
            return Ok(());
        }
        self.send_held(false)?;
        self.send(&counts.frame())?;
        self.send(&wire::number_frame(kind::FLUSHED, number))
    }

    /// Everything was sent. Waits until the owner has it in its log.
    pub(crate) fn end(&mut self, counts: &Counts) -> io::Result<()> {
        self.send_held(true)?;
        self.send(&counts.frame())?;
        self.send(&wire::frame(kind::GOODBYE, &[]))?;
        let done = self.link.wait_for_bye();
        // Ends the thread that listens.
        self.link.set_gone();
        if done { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    fn send_held(&mut self, last: bool) -> io::Result<()> {
        let mut held: Vec<_> = std::mem::take(&mut self.held).into_values().collect();
        held.sort_by_key(|buffer| sequence_of(buffer));
        held.iter().try_for_each(|buffer| self.send_buffer(buffer, last))
    }

    fn send_buffer(&mut self, buffer: &[u8], last: bool) -> io::Result<()> {
        let header = frame_header(kind::BUFFER, BUFFER_PREFIX + buffer.len());
        let [a, b, c, d, e, f, g, h] = header;
        let last = u8::from(last);
        self.send(&[a, b, c, d, e, f, g, h, last, 0, 0, 0, 0, 0, 0, 0])?;
        self.send(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { link, shared, waiting_since, .. } = self;
        let sent = wire::send(&link.stream, bytes, || {
            // The owner is slow. Writers do not wait for it: this thread does.
            if link.is_gone() {
                return false;
            }
            if !shared.as_ref().is_some_and(|shared| shared.asked().1) {
                return true;
            }
            waiting_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
        });
        // Half a frame may have gone: nothing can follow it.
        sent.inspect_err(|_| link.set_gone())
    }
}

fn sequence_of(buffer: &[u8]) -> i64 {
    let bytes = buffer.get(0x18..0x20).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| i64::from_le_bytes(*bytes))
}
