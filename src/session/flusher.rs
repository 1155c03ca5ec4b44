//! The session's one thread: it takes full buffers to the sink and keeps some free.
//!
//! ```text
//!   every turn      collect full buffers, seal, write, free
//!                   few free? take the buffers of quiet lanes back
//!   every interval  write the filled part of buffers in use to the place they own; header counts
//!   stop            wait for writers, take everything, tell the last losses, complete the header
//! ```
//!
//! Nobody wakes it but `flush` and `stop`: a wake costs a writer 7 µs. It looks by itself, with a
//! pause that doubles from 50 µs to 2 ms while there is nothing to do.

use crate::codec::{RecordView, Records, TickClock, checksum, encode};
use crate::format::{
    BufferFlags, BufferHeader, BufferState, BufferType, ClockType, LOST_EVENT_GUID,
    LogfileHeader64, SystemTraceHeader, TimeZoneInformation,
};
use crate::session::{
    clock::{self, Anchor, Clock, Source},
    config::Config,
    lane::{Collector, HEADER_BYTES, Lane, Loss, Published, Sealed, Stolen},
    stats::LossCause,
    sync::{AtomicU64, Ordering},
    writer::{LOSS_RECORD, LostEvents, put_loss},
};
use crate::sink::Sink;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Shortest and longest pause between two turns without work.
const PAUSE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));
/// How long a lane must have been quiet before its buffer is taken back.
const QUIET: Duration = Duration::from_millis(1);
/// How long `stop` waits for a writer that holds a reservation.
const GRACE: Duration = Duration::from_secs(1);

/// What the flusher shares with the session's handles.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Buffers in the log, the header buffer included.
    pub(crate) buffers_written: AtomicU64,
    /// Buffers that the sink failed to write.
    pub(crate) buffers_lost: AtomicU64,
    /// Events in these buffers.
    pub(crate) events_lost_io: AtomicU64,
    /// Events that found no lane.
    pub(crate) no_lane: AtomicU64,
    no_lane_first: AtomicU64,
    no_lane_last: AtomicU64,
    control: Mutex<Control>,
    answered: Condvar,
}

/// What is asked of the flusher, and what came of it.
#[derive(Debug, Default)]
struct Control {
    flushes_asked: u64,
    flushes_done: u64,
    stop: bool,
    ended: bool,
    /// The first error of the sink.
    error: Option<io::Error>,
    /// Errors of the sink so far.
    errors: u64,
}

impl Shared {
    fn control(&self) -> MutexGuard<'_, Control> {
        // Nothing in here is left half done by a panic.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an event that found no lane.
    pub(crate) fn lose_without_lane(&self, ticks: u64) {
        if self.no_lane.fetch_add(1, Ordering::Relaxed) == 0 {
            self.no_lane_first.store(ticks, Ordering::Relaxed);
        }
        self.no_lane_last.fetch_max(ticks, Ordering::Relaxed);
    }

    /// Asks for a flush and waits for it. Gives the sink's first error if one came up meanwhile.
    pub(crate) fn flush(&self, flusher: &thread::Thread) -> io::Result<()> {
        let mut control = self.control();
        control.flushes_asked += 1;
        let (mine, errors) = (control.flushes_asked, control.errors);
        flusher.unpark();
        while control.flushes_done < mine && !control.ended {
            control = self.answered.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        let done = control.flushes_done >= mine && control.errors == errors;
        if done { Ok(()) } else { Err(control.first_error()) }
    }

    /// Asks the flusher to end.
    pub(crate) fn ask_to_stop(&self) {
        self.control().stop = true;
    }

    /// The sink's first error, as text.
    pub(crate) fn error_text(&self) -> Option<String> {
        self.control().error.as_ref().map(ToString::to_string)
    }

    /// Takes the sink's first error.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.control().error.take()
    }

    /// Counts a buffer that did not reach the log, with the events that are only in it.
    fn lose_buffer(&self, events: u64, error: io::Error) {
        self.events_lost_io.fetch_add(events, Ordering::Relaxed);
        self.buffers_lost.fetch_add(1, Ordering::Relaxed);
        self.note_error(error);
    }

    fn note_error(&self, error: io::Error) {
        let mut control = self.control();
        control.errors += 1;
        control.error.get_or_insert(error);
    }
}

impl Control {
    /// A copy of the first error: an `io::Error` cannot be cloned.
    fn first_error(&self) -> io::Error {
        match &self.error {
            Some(error) => io::Error::new(error.kind(), error.to_string()),
            None => io::Error::other("the flusher ended"),
        }
    }
}

/// The flusher's state; lives on its thread.
pub(crate) struct Flusher {
    collector: Collector,
    sink: Box<dyn Sink>,
    clock: Source,
    start: Anchor,
    shared: Arc<Shared>,
    flush_interval: Duration,
    header: Header,
    /// By buffer of the ring: its place in the log, once it has one, and how much is written there.
    places: Vec<Place>,
    /// Places given out so far, the header's included.
    next_position: u64,
    /// By lane: the buffer and end that the last look for quiet lanes saw.
    seen: Vec<(u32, u32)>,
    last_look: Instant,
    /// Buffers lost since the last one that was written.
    buffers_missing: bool,
    /// Where a buffer that is still being filled is put together.
    scratch: Vec<u8>,
}

/// Tells whoever waits for a flush that none will come any more, also when a sink panics.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.control().ended = true;
        self.0.answered.notify_all();
    }
}

/// Where a buffer stands in the log.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    position: Option<u64>,
    written: u32,
}

impl Flusher {
    /// Writes the header buffer and is ready to run.
    pub(crate) fn new(
        collector: Collector,
        mut sink: Box<dyn Sink>,
        config: &Config,
        clock: Source,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let start = Anchor::take(clock);
        let mut header = Header::new(config, clock, &start);
        sink.write(0, header.bytes())?;
        shared.buffers_written.store(1, Ordering::Relaxed);
        Ok(Self {
            collector,
            sink,
            clock,
            start,
            shared,
            flush_interval: config.flush_interval,
            header,
            places: vec![Place::default(); config.maximum_buffers as usize],
            next_position: 1,
            seen: Vec::new(),
            last_look: Instant::now(),
            buffers_missing: false,
            scratch: vec![0; config.buffer_size as usize],
        })
    }

    /// Runs until the session is stopped.
    pub(crate) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        let mut next_flush = Instant::now() + self.flush_interval;
        let mut pause = PAUSE.0;
        loop {
            let (asked, stop) = {
                let control = self.shared.control();
                (control.flushes_asked, control.stop)
            };
            if stop {
                break;
            }
            let mut worked = self.write_full();
            worked |= self.take_back_quiet();

            let due = !self.flush_interval.is_zero() && Instant::now() >= next_flush;
            if due || self.shared.control().flushes_done < asked {
                self.write_partial();
                self.write_given_up_meanwhile();
                self.update_header(None);
                next_flush = Instant::now() + self.flush_interval;
                self.answer(asked);
            }
            pause = if worked { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            if !worked {
                thread::park_timeout(pause);
            }
        }
        self.finish();
    }

    fn answer(&self, asked: u64) {
        let mut control = self.shared.control();
        if control.flushes_done < asked {
            control.flushes_done = asked;
            drop(control);
            self.shared.answered.notify_all();
        }
    }

    /// Writes and frees the buffers that writers gave up until now: those given up meanwhile wait
    /// for the next turn, or busy writers would keep the flusher from everything else. Tells
    /// whether there was one.
    fn write_full(&mut self) -> bool {
        let mut worked = false;
        self.collector.collect();
        while let Some(sealed) = self.collector.next_full() {
            self.write_sealed(sealed, BufferFlags::default());
            worked = true;
        }
        worked
    }

    /// Writes what was in hand when the turn began and given up before its lane was looked at.
    fn write_given_up_meanwhile(&mut self) {
        let ring = Arc::clone(self.collector.ring());
        for lane in ring.lanes() {
            // No writer stays there for long.
            while self.collector.is_switching(lane) {
                thread::yield_now();
            }
        }
        self.write_full();
    }

    /// Takes buffers back from lanes without an owner and from lanes that were quiet since the last
    /// look, while less than a quarter of the buffers is free. Tells whether it took one.
    fn take_back_quiet(&mut self) -> bool {
        let ring = Arc::clone(self.collector.ring());
        let low = (ring.buffers() / 4).max(1);
        if ring.buffers_free() >= low || self.last_look.elapsed() < QUIET {
            return false;
        }
        self.last_look = Instant::now();
        let mut worked = false;
        for (at, lane) in ring.lanes().enumerate() {
            if self.seen.len() == at {
                self.seen.push((u32::MAX, 0));
            }
            let Some(now) = self.collector.peek(lane) else { continue };
            let now = (now.index, now.header.filled_bytes.get());
            let quiet = self.seen[at] == now || !self.collector.is_owned(lane);
            self.seen[at] = now;
            if !quiet || ring.buffers_free() >= low {
                continue;
            }
            if let Stolen::Buffer(sealed) = self.collector.steal(lane) {
                self.write_sealed(sealed, BufferFlags::default());
                worked = true;
            }
        }
        worked
    }

    /// Writes what is published of the buffers in use, each to the place it has or now gets.
    fn write_partial(&mut self) {
        let ring = Arc::clone(self.collector.ring());
        for lane in ring.lanes() {
            let Some(published) = self.collector.peek(lane) else { continue };
            let index = published.index as usize;
            let filled = published.header.filled_bytes.get();
            if filled <= self.places[index].written.max(HEADER_BYTES) {
                continue;
            }
            put_together(&published, &mut self.scratch, self.clock.now());
            let position = self.position_of(index);
            match self.sink.write(position, &self.scratch) {
                Ok(()) => self.placed(index, position, filled),
                // Not lost yet: the buffer comes again when it is full.
                Err(error) => self.shared.note_error(error),
            }
        }
    }

    /// Seals a buffer, writes it and frees it.
    fn write_sealed(&mut self, mut sealed: Sealed, mut flags: BufferFlags) {
        if self.buffers_missing {
            flags = flags.with(BufferFlags::BUFFER_LOST);
        }
        let index = sealed.index() as usize;
        let filled = self.collector.filled(&sealed);
        let bytes = self.collector.bytes_mut(&mut sealed);
        let lost = lost_field(bytes);
        complete(bytes, filled, self.clock.now(), flags, lost);
        let position = self.position_of(index);
        match self.sink.write(position, bytes) {
            Ok(()) => {
                self.placed(index, position, filled);
                self.buffers_missing = false;
            }
            Err(error) => {
                let events = events_behind(bytes, self.places[index].written);
                self.shared.lose_buffer(events, error);
                self.buffers_missing = true;
            }
        }
        self.places[index] = Place::default();
        self.collector.release(sealed);
    }

    /// The place in the log that a buffer of the ring has, or gets if it is written now.
    fn position_of(&self, index: usize) -> u64 {
        self.places[index].position.unwrap_or(self.next_position)
    }

    fn placed(&mut self, index: usize, position: u64, filled: u32) {
        self.places[index] = Place { position: Some(position), written: filled };
        if position == self.next_position {
            self.next_position += 1;
            self.shared.buffers_written.store(self.next_position, Ordering::Relaxed);
        }
    }

    /// Ends the log.
    fn finish(&mut self) {
        self.collector.stop();
        let ring = Arc::clone(self.collector.ring());
        let deadline = Instant::now() + GRACE;
        let mut last = Vec::new();
        for lane in ring.lanes() {
            loop {
                match self.collector.steal(lane) {
                    // Once more: the lane may have taken another one meanwhile.
                    Stolen::Buffer(sealed) => last.push(sealed),
                    Stolen::Nothing => break,
                    // Between two buffers no writer stays for long, and the old one is in nobody's
                    // hand: there is no closing out, only waiting.
                    Stolen::Busy
                        if Instant::now() < deadline || !self.collector.has_buffer(lane) =>
                    {
                        thread::sleep(PAUSE.0);
                    }
                    // Unless its writer went on to another buffer at this very moment.
                    Stolen::Busy if self.close_out(lane) => break,
                    Stolen::Busy => {}
                }
            }
        }
        self.write_full();

        // By sequence, as they would have come.
        last.sort_by_key(|sealed| self.collector.sequence(sealed));
        let losses = self.untold();
        let mut left = last.len();
        for sealed in last {
            left -= 1;
            let marker = left == 0 && losses.is_empty();
            let flags = if marker { BufferFlags::FLUSH_MARKER } else { BufferFlags::default() };
            self.write_sealed(sealed, flags);
        }
        self.tell(&losses);

        let stop = Anchor::take(self.clock);
        self.update_header(Some(&stop));
        let end = self.sink.finish(self.next_position, ring.buffer_size());
        if let Err(error) = end {
            self.shared.note_error(error);
        }
    }

    /// Takes what a lane published whose writer holds on to a reservation. Tells whether the lane
    /// had a buffer.
    fn close_out(&mut self, lane: &Lane) -> bool {
        let Some(published) = self.collector.close(lane) else { return false };
        let index = published.index as usize;
        let filled = published.header.filled_bytes.get();
        put_together(&published, &mut self.scratch, self.clock.now());
        let position = self.position_of(index);
        match self.sink.write(position, &self.scratch) {
            Ok(()) => self.placed(index, position, filled),
            Err(error) => {
                let events = events_behind(&self.scratch, self.places[index].written);
                self.shared.lose_buffer(events, error);
            }
        }
        true
    }

    /// The losses that no record has told of: writers are gone, nobody else will.
    fn untold(&self) -> Vec<(LostEvents, u64)> {
        let mut losses = Vec::new();
        for lane in self.collector.ring().lanes() {
            for (loss, cause) in lane.tally.losses.iter().zip(Loss::CAUSES) {
                let lost = LostEvents::of(loss, cause);
                if lost.count != 0 {
                    losses.push((lost, lane.ids()));
                }
            }
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ids = u64::from(std::process::id()) << 32;
        let lost = |first, last, count, cause, class_type| {
            (LostEvents { first, last, count, cause, class_type }, ids)
        };
        let shared = &self.shared;
        if load(&shared.no_lane) != 0 {
            let (first, last) = (load(&shared.no_lane_first), load(&shared.no_lane_last));
            let count = load(&shared.no_lane);
            losses.push(lost(first, last, count, LossCause::NO_LANE, LostEvents::EVENTS));
        }
        if load(&shared.buffers_lost) != 0 {
            let (first, last) = (self.start.ticks, self.clock.now());
            let count = load(&shared.buffers_lost);
            losses.push(lost(first, last, count, LossCause::IO, LostEvents::BUFFERS));
        }
        losses
    }

    /// Writes loss records into buffers of the flusher's own.
    fn tell(&mut self, losses: &[(LostEvents, u64)]) {
        let size = self.collector.ring().buffer_size() as usize;
        let per_buffer = (size - HEADER_BYTES as usize) / LOSS_RECORD;
        let mut chunks = losses.chunks(per_buffer).peekable();
        while let Some(chunk) = chunks.next() {
            let Some(mut sealed) = self.collector.own_buffer(0) else { return };
            let ticks = self.clock.now().max(self.collector.ring().latest_ticks());
            let bytes = self.collector.bytes_mut(&mut sealed);
            let mut at = HEADER_BYTES as usize;
            for &(lost, ids) in chunk {
                put_loss(&mut bytes[at..at + LOSS_RECORD], lost, ticks, ids);
                at += LOSS_RECORD;
            }
            self.collector.fill(&sealed, u32::try_from(at).unwrap_or(HEADER_BYTES));
            let flags = if chunks.peek().is_none() {
                BufferFlags::FLUSH_MARKER
            } else {
                BufferFlags::default()
            };
            self.write_sealed(sealed, flags);
        }
    }

    /// Brings the counts of the header up to date, and at the end its times.
    fn update_header(&mut self, stop: Option<&Anchor>) {
        let before = self.header.fields;
        let ring = self.collector.ring();
        let fields = &mut self.header.fields;
        let mut lost = self.shared.no_lane.load(Ordering::Relaxed)
            + self.shared.events_lost_io.load(Ordering::Relaxed);
        for lane in ring.lanes() {
            lost += lane.tally.losses.iter().map(|l| l.count.load(Ordering::Relaxed)).sum::<u64>();
        }
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        fields.events_lost = clamp(lost).into();
        fields.buffers_lost = clamp(self.shared.buffers_lost.load(Ordering::Relaxed)).into();
        fields.buffers_written = clamp(self.next_position).into();
        let lanes = fields.number_of_processors.get().max(ring.lanes_used());
        fields.number_of_processors = lanes.into();
        if let Some(stop) = stop {
            fields.number_of_processors = ring.lanes_used().max(1).into();
            if let Some(rate) = clock::refined_frequency(self.clock, &self.start, stop) {
                fields.perf_freq = rate.into();
                fields.cpu_speed_mhz = mhz(rate).into();
            }
            let rate = TickClock {
                clock_type: ClockType(fields.reserved_flags.get()),
                start_ticks: self.start.ticks,
                start_time: self.start.time,
                perf_freq: fields.perf_freq.get(),
                cpu_speed_mhz: fields.cpu_speed_mhz.get(),
            };
            // By the log's own clock, so that no record lies behind the end.
            fields.end_time = rate.file_time(stop.ticks).0.into();
        }
        if self.header.fields != before {
            if let Err(error) = self.sink.write(0, self.header.bytes()) {
                self.shared.note_error(error);
            }
        }
    }
}

/// Puts a buffer that is still being filled together as the log has it.
fn put_together(published: &Published<'_>, scratch: &mut [u8], ticks: u64) {
    let (header, rest) = scratch.split_at_mut(BufferHeader::SIZE);
    header.copy_from_slice(published.header.as_bytes());
    rest[..published.records.len()].copy_from_slice(published.records);
    let lost = lost_field(scratch);
    let filled = published.header.filled_bytes.get();
    complete(scratch, filled, ticks, BufferFlags::default(), lost);
}

/// Events lost before this buffer, where the writer began it: spec/11-checksum.md.
fn lost_field(buffer: &[u8]) -> u32 {
    match buffer.get(0x40..0x44) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Makes a buffer what a file has: header final, filler behind the records, checksum.
fn complete(buffer: &mut [u8], filled: u32, ticks: u64, flags: BufferFlags, lost: u32) {
    buffer[filled as usize..].fill(0xFF);
    if let Ok((header, _)) = BufferHeader::mut_from_prefix(buffer) {
        header.saved_offset = filled.into();
        header.current_offset = filled.into();
        header.time_stamp = ticks.into();
        header.state = BufferState::FLUSH.0.into();
        header.buffer_flags = header.flags().with(flags).0.into();
    }
    if let Ok(field) = checksum::field(buffer, lost) {
        buffer[0x38..0x48].copy_from_slice(&field);
    }
}

/// Events in a sealed buffer behind its first `written` bytes, our own loss records left out.
fn events_behind(buffer: &[u8], written: u32) -> u64 {
    let filled = BufferHeader::ref_from_prefix(buffer).map_or(0, |(h, _)| h.filled_bytes.get());
    let records = buffer.get(BufferHeader::SIZE..filled as usize).unwrap_or_default();
    let events = Records::new(records).map_while(Result::ok).filter(|raw| {
        let ours = RecordView::parse(*raw).is_ok_and(|r| r.provider() == Some(LOST_EVENT_GUID));
        raw.offset + HEADER_BYTES >= written && !ours
    });
    events.count() as u64
}

fn mhz(rate: u64) -> u32 {
    u32::try_from((rate + 500_000) / 1_000_000).unwrap_or(u32::MAX).max(1)
}

/// The header buffer: the file's first one, written again as its counts change.
struct Header {
    fields: LogfileHeader64,
    record: SystemTraceHeader,
    name: String,
    log_file_name: String,
    logger_id: u16,
    buffer: Vec<u8>,
}

impl Header {
    fn new(config: &Config, clock: Source, start: &Anchor) -> Self {
        let rate = clock::frequency(clock);
        let lanes = config.lanes();
        let mut fields = LogfileHeader64::new_zeroed();
        fields.buffer_size = config.buffer_size.into();
        // Windows 10, log layout 1.5: what every reader knows.
        [fields.major_version, fields.minor_version] = [10, 0];
        [fields.sub_version, fields.sub_minor_version] = [1, 5];
        fields.provider_version = 19_045.into();
        fields.number_of_processors = lanes.into();
        fields.timer_resolution = 156_250.into();
        fields.log_file_mode = config.mode.0.into();
        fields.buffers_written = 1.into();
        fields.start_buffers = 1.into();
        fields.pointer_size = 8.into();
        // Of the clock itself where records count its ticks; else of the processor, to be read.
        fields.cpu_speed_mhz = mhz(match clock {
            Source::Counter | Source::Tick | Source::Monotonic => rate,
            Source::SystemTime => clock::frequency(Source::of(Clock::PerformanceCounter)),
        })
        .into();
        fields.time_zone = utc();
        fields.boot_time = clock::boot_time().0.into();
        fields.perf_freq = rate.into();
        fields.start_time = start.time.0.into();
        fields.reserved_flags = config.clock.clock_type().0.into();

        let mut record = SystemTraceHeader::new_zeroed();
        record.version = 2;
        record.thread_id = clock::thread_id().into();
        record.process_id = std::process::id().into();
        record.system_time = start.ticks.into();
        Self {
            fields,
            record,
            name: config.name.clone(),
            log_file_name: config.log_file_name.clone(),
            logger_id: config.logger_id,
            buffer: vec![0xFF; config.buffer_size as usize],
        }
    }

    /// The whole buffer as it is now.
    fn bytes(&mut self) -> &[u8] {
        let space = &mut self.buffer[BufferHeader::SIZE..];
        let names = (&self.name, &self.log_file_name);
        let size = encode::logfile64(space, &self.record, &self.fields, names.0, names.1)
            .map_or(0, |size| size.next_multiple_of(8));
        let filled = HEADER_BYTES + u32::try_from(size).unwrap_or_default();
        let buffer_size = self.fields.buffer_size.get();
        let mut header = encode::sealed_header(buffer_size, filled, 0, 0);
        header.logger_id = self.logger_id.into();
        header.buffer_type = BufferType::HEADER.0.into();
        let flags = BufferFlags::FLUSH_MARKER.with(BufferFlags::PROC_INDEX);
        header.buffer_flags = flags.0.into();
        // The buffer holds a header: neither can fail.
        let _ = encode::seal(&mut self.buffer, &header);
        if let Ok(field) = checksum::field(&self.buffer, 0) {
            self.buffer[0x38..0x48].copy_from_slice(&field);
        }
        &self.buffer
    }
}

/// Coordinated universal time, under that name.
fn utc() -> TimeZoneInformation {
    let mut zone = TimeZoneInformation::new_zeroed();
    for (unit, letter) in zone.standard_name.iter_mut().zip("UTC".encode_utf16()) {
        unit.set(letter);
    }
    zone.daylight_name = zone.standard_name;
    zone
}
