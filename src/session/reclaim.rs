//! Taking buffers back from lanes: from quiet ones while buffers are few, from all at the end.

use crate::session::lane::{Collector, Lane, Sealed, Stolen};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a lane must have been quiet before its buffer is taken back.
const QUIET: Duration = Duration::from_millis(1);
/// How long the end waits for a writer that holds a reservation.
const GRACE: Duration = Duration::from_secs(1);
/// How long it waits before it looks again.
const PAUSE: Duration = Duration::from_micros(50);

/// What the last look for quiet lanes saw.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// By lane: the buffer in hand and its end.
    seen: Vec<Option<(u32, u32)>>,
    at: Instant,
}

impl Lookout {
    pub(crate) fn new() -> Self {
        Self { seen: Vec::new(), at: Instant::now() }
    }

    /// Buffers of lanes without an owner and of lanes that were quiet since the last look, as many
    /// as it takes for a quarter of all to be free.
    pub(crate) fn quiet(&mut self, collector: &mut Collector) -> Vec<Sealed> {
        let ring = Arc::clone(collector.ring());
        let low = (ring.buffers() / 4).max(1);
        let mut taken = Vec::new();
        if ring.buffers_free() >= low || self.at.elapsed() < QUIET {
            return taken;
        }
        self.at = Instant::now();
        let enough = (low - ring.buffers_free()) as usize;
        for (at, lane) in ring.lanes().enumerate() {
            let now = collector.glance(lane);
            if self.seen.len() == at {
                self.seen.push(None);
            }
            let quiet = now.is_some() && (self.seen[at] == now || !collector.is_owned(lane));
            self.seen[at] = now;
            if quiet && taken.len() < enough {
                if let Stolen::Buffer(sealed) = collector.steal(lane) {
                    taken.push(sealed);
                }
            }
        }
        taken
    }
}

/// Ends writing and takes the buffer of every lane. Of a writer that holds a reservation for
/// longer than a second `close_out` takes what is published; it says whether there was a buffer.
pub(crate) fn take_all(
    collector: &mut Collector,
    mut close_out: impl FnMut(&mut Collector, &Lane) -> bool,
) -> Vec<Sealed> {
    collector.stop();
    let ring = Arc::clone(collector.ring());
    let deadline = Instant::now() + GRACE;
    let mut taken = Vec::new();
    for lane in ring.lanes() {
        loop {
            match collector.steal(lane) {
                // Once more: the lane may have taken another one meanwhile.
                Stolen::Buffer(sealed) => taken.push(sealed),
                Stolen::Nothing => break,
                // Between two buffers no writer stays for long, and the old one is in nobody's
                // hand: there is no closing out, only waiting.
                Stolen::Busy if Instant::now() < deadline || !collector.has_buffer(lane) => {
                    thread::sleep(PAUSE);
                }
                // Unless its writer went on to another buffer at this very moment.
                Stolen::Busy if close_out(collector, lane) => break,
                Stolen::Busy => {}
            }
        }
    }
    taken
}
