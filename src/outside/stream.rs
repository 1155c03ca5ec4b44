//! The session's side of consumers in other processes: a thread for each.
//!
//! ```text
//!   flusher ──► queue, bounded ──► thread ──► socket ──► caller
//!               full: counted                 full: the thread waits, nobody else
//! ```
//!
//! A caller that does not read keeps its own thread waiting and, at most, the bytes of its queue in
//! memory; what does not fit there is counted and told to it, as with any
//! [`Consumer`](crate::session::Consumer). Of one that hangs up its thread knows within
//! [`ROUND`]. When the session has stopped its end waits until callers have what is left, for as
//! long as they take it.

use crate::outside::message::Live;
use crate::outside::wire::send;
use crate::session::{Consumer, Delivery, NoDelivery};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Consumers of other processes at a time.
pub(crate) const MOST_CONSUMERS: usize = 64;
/// How long a thread waits for something to send before it looks whether the caller is there.
const ROUND: Duration = Duration::from_millis(250);
/// How long a caller may take nothing once the session has stopped.
const STALL: Duration = Duration::from_secs(2);
/// How long it may take for all that is left then.
const LAST: Duration = Duration::from_secs(8);

/// Those that are let in, counted: shared by the door and the threads.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    count: Mutex<usize>,
    left: Condvar,
}

/// A place among them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Callers>);

impl Callers {
    /// A place, if there is one.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let mut count = self.count();
        if *count >= MOST_CONSUMERS {
            return None;
        }
        *count += 1;
        Some(Seat(Arc::clone(self)))
    }

    /// Waits until all have gone. The session has stopped: they do, soon.
    pub(crate) fn wait(&self) {
        let patience = LAST + Duration::from_secs(1);
        let waited = self.left.wait_timeout_while(self.count(), patience, |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        // A number is not left half done.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.left.notify_all();
    }
}

/// Gives a caller what `consumer` gets, on a thread of its own. Without a thread it sees the
/// connection end.
pub(crate) fn serve(consumer: Consumer, stream: UnixStream, seat: Seat) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let visit = Visit { consumer, stream, ended: None };
    std::thread::Builder::new()
        .name("etlring-consumer".to_owned())
        .spawn(move || {
            visit.run();
            drop(seat);
        })
        .map(drop)
}

struct Visit {
    consumer: Consumer,
    stream: UnixStream,
    /// When the session was first seen to have stopped.
    ended: Option<Instant>,
}

impl Visit {
    fn run(mut self) {
        let mut live = Live::Header(self.consumer.header().clone());
        loop {
            if self.send(&live.encode()).is_err() || matches!(live, Live::Ended) {
                return;
            }
            live = loop {
                match self.consumer.next_within(ROUND) {
                    Ok(Delivery::Buffer(buffer)) => break Live::Buffer(buffer),
                    Ok(Delivery::Missed(missed)) => break Live::Missed(missed),
                    Err(NoDelivery::Ended) => break Live::Ended,
                    // A caller has nothing more to say: whatever comes is its end.
                    Err(NoDelivery::Yet) if self.is_ready(PollFlags::IN, Duration::ZERO) => return,
                    Err(NoDelivery::Yet) => {}
                }
            };
        }
    }

    /// Sends all of `bytes`, however long the caller takes; an error if it has gone, or takes too
    /// long after the session's end.
    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut moved = Instant::now();
        while !bytes.is_empty() {
            match send(&self.stream, bytes) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    moved = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_ready(PollFlags::OUT, ROUND);
                    if self.consumer.has_ended() {
                        let ended = *self.ended.get_or_insert_with(Instant::now);
                        if moved.max(ended).elapsed() >= STALL || ended.elapsed() >= LAST {
                            return Err(ErrorKind::TimedOut.into());
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the connection is ready for `what` within the time, or broken.
    fn is_ready(&self, what: PollFlags, within: Duration) -> bool {
        let mut polled = [PollFd::new(&self.stream, what)];
        let timeout = Timespec::try_from(within).ok();
        poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0)
    }
}
