//! The thread of a session whose buffers stay where they are: a memory ring, or a circular log.
//!
//! Writers hand buffers on to each other, so there is little to do: keep the time for those who
//! ask for no better, take buffers of quiet lanes back when all others are in hand, keep the counts
//! of a circular log's header up to date, and end it.

use crate::format::BufferFlags;
use crate::session::{
    clock::{self, Anchor, Source},
    config::{Config, RingConfig},
    header::Header,
    lane::{Collector, HEADER_BYTES},
    log::Totals,
    reclaim::{self, Lookout},
    seal::{complete, filled_of},
    shared::{Ended, Shared},
    sync::Ordering,
};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Between two turns.
const PAUSE: Duration = Duration::from_millis(2);

/// The keeper's state; lives on its thread.
pub(crate) struct Keeper {
    collector: Collector,
    header: Header,
    start: Anchor,
    clock: Source,
    shared: Arc<Shared>,
    lookout: Lookout,
    /// The name of the log file, if the ring is one.
    log_file_name: Option<String>,
    /// The change of the preamble that its header has.
    preamble: u64,
}

impl Keeper {
    /// Writes the header buffer of a circular log.
    pub(crate) fn new(
        mut collector: Collector,
        mut header: Header,
        start: Anchor,
        config: &Config,
        clock: Source,
        shared: Arc<Shared>,
    ) -> Self {
        let is_log = config.ring == RingConfig::Circular;
        if is_log {
            let buffers = u64::from(config.maximum_buffers) + 1;
            header.fields.buffers_written = clamp(buffers).into();
            collector.put_log_header(header.make(&config.log_file_name), false);
            shared.buffers_written.store(buffers, Ordering::Relaxed);
        }
        collector.ring().set_tick(clock.now());
        let log_file_name = is_log.then(|| config.log_file_name.clone());
        let lookout = Lookout::new();
        Self { collector, header, start, clock, shared, lookout, log_file_name, preamble: 0 }
    }

    /// Runs until the session is stopped.
    pub(crate) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        self.shared.desk.set_flusher_id(clock::thread_id());
        let mut last_flush = Instant::now();
        loop {
            let (asked, stop) = self.shared.asked();
            if stop {
                break;
            }
            let now = self.clock.now();
            self.collector.ring().set_tick(now);
            for sealed in self.lookout.quiet(&mut self.collector) {
                self.collector.keep(sealed, now);
            }
            for wish in self.shared.desk.wishes() {
                let (_, answer) = wish.take();
                let why = "the log is the ring, which stays in its file";
                answer(Err(io::Error::new(io::ErrorKind::Unsupported, why)));
            }
            let interval = self.shared.desk.flush_interval();
            let due = !interval.is_zero() && last_flush.elapsed() >= interval;
            if due || self.shared.is_asked(asked) {
                self.update_header();
                last_flush = Instant::now();
                self.shared.answer(asked);
            }
            thread::park_timeout(PAUSE);
        }
        self.finish();
    }

    fn update_header(&mut self) {
        let Some(name) = &self.log_file_name else { return };
        let totals = Totals::of(self.collector.ring(), &self.shared);
        let fields = &mut self.header.fields;
        fields.events_lost = clamp(totals.events_lost).into();
        let lanes = fields.number_of_processors.get().max(totals.lanes);
        fields.number_of_processors = lanes.into();
        let preamble = self.shared.preamble.changes();
        if preamble != self.preamble {
            self.preamble = preamble;
            self.header.set_extra(self.shared.preamble.records());
            self.collector.put_log_header(self.header.make(name), false);
        } else if self.header.has_changed() {
            self.collector.put_log_header(self.header.bytes(), false);
        }
    }

    /// Ends writing, and completes a circular log.
    fn finish(&mut self) {
        // What a closed lane published is in the log already.
        let last = reclaim::take_all(
            &mut self.collector,
            |collector| collector,
            |collector, lane| collector.close_in_place(lane),
        );
        let now = self.clock.now();
        for sealed in last {
            self.collector.keep(sealed, now);
        }
        if self.log_file_name.is_none() {
            return;
        }
        while let Some(mut sealed) = self.collector.take_any() {
            let bytes = self.collector.bytes_mut(&mut sealed);
            let filled = filled_of(bytes);
            if filled > HEADER_BYTES {
                let stamp = u64::from_le_bytes(bytes[0x10..0x18].try_into().unwrap_or_default());
                complete(bytes, filled, stamp, BufferFlags::default());
            }
        }
        self.update_header();
        let stop = Anchor::take(self.clock);
        if let Some(rate) = clock::refined_frequency(self.clock, &self.start, &stop) {
            self.header.set_rate(rate);
        }
        let lanes = self.collector.ring().lanes_used().max(1);
        self.header.fields.number_of_processors = lanes.into();
        self.header.fields.end_time = self.header.clock().file_time(stop.ticks).0.into();
        self.collector.put_log_header(self.header.bytes(), true);
    }
}

fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
