//! Taking buffers back from lanes: from quiet ones while buffers are few, from all at the end.

use crate::session::lane::{Collector, Lane, Sealed, Stolen};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long the end waits for a writer that holds a reservation.
const GRACE: Duration = Duration::from_secs(1);
/// How long it waits before it looks again.
const PAUSE: Duration = Duration::from_micros(50);

/// Looks for quiet lanes whose buffers others could use.
///
/// Where few buffers are free a lane is soon called quiet. Where they are not, only one is that was
/// so for long: each time it is taken from, a lane's next event begins another buffer, and that one
/// another place in the log.
#[derive(Debug)]
pub(crate) struct Lookout {
    urgent: Look,
    calm: Look,
}

/// One way of looking.
#[derive(Debug)]
struct Look {
    /// How long a lane must have been quiet.
    quiet: Duration,
    /// Quarters of all buffers that shall be free.
    quarters: u32,
    /// By lane: the buffer in hand and its end at the last look.
    seen: Vec<Option<(u32, u32)>>,
    at: Instant,
}

impl Lookout {
    pub(crate) fn new() -> Self {
        Self {
            urgent: Look::new(Duration::from_millis(1), 1),
            calm: Look::new(Duration::from_secs(1), 3),
        }
    }

    /// Buffers of lanes without an owner and of lanes that were quiet since the last look, as many
    /// as others could use.
    pub(crate) fn quiet(&mut self, collector: &mut Collector) -> Vec<Sealed> {
        let mut taken = self.urgent.quiet(collector);
        taken.append(&mut self.calm.quiet(collector));
        taken
    }
}

impl Look {
    fn new(quiet: Duration, quarters: u32) -> Self {
        Self { quiet, quarters, seen: Vec::new(), at: Instant::now() }
    }

    fn quiet(&mut self, collector: &mut Collector) -> Vec<Sealed> {
        let mut taken = Vec::new();
        if self.at.elapsed() < self.quiet {
            return taken;
        }
        let ring = Arc::clone(collector.ring());
        let low = (u64::from(ring.buffers()) * u64::from(self.quarters) / 4).max(1);
        let enough = low.saturating_sub(u64::from(ring.buffers_free()));
        if enough == 0 {
            return taken;
        }
        self.at = Instant::now();
        for (at, lane) in ring.lanes().enumerate() {
            let now = collector.glance(lane);
            if self.seen.len() == at {
                self.seen.push(None);
            }
            let quiet = now.is_some() && (self.seen[at] == now || !collector.is_owned(lane));
            self.seen[at] = now;
            if quiet && (taken.len() as u64) < enough {
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
/// `collector` finds the collector in what it needs for that.
pub(crate) fn take_all<T>(
    whole: &mut T,
    collector: impl Fn(&mut T) -> &mut Collector,
    mut close_out: impl FnMut(&mut T, &Lane) -> bool,
) -> Vec<Sealed> {
    collector(whole).stop();
    let ring = Arc::clone(collector(whole).ring());
    let deadline = Instant::now() + GRACE;
    let mut taken = Vec::new();
    for lane in ring.lanes() {
        loop {
            match collector(whole).steal(lane) {
                // Once more: the lane may have taken another one meanwhile.
                Stolen::Buffer(sealed) => taken.push(sealed),
                Stolen::Nothing => break,
                // Between two buffers no writer stays for long, and the old one is in nobody's
                // hand: there is no closing out, only waiting.
                Stolen::Busy if Instant::now() < deadline || !collector(whole).has_buffer(lane) => {
                    thread::sleep(PAUSE);
                }
                // Unless its writer went on to another buffer at this very moment.
                Stolen::Busy if close_out(whole, lane) => break,
                Stolen::Busy => {}
            }
        }
    }
    taken
}
