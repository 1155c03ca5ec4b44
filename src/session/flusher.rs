//! The session's one thread: it takes full buffers to the sink and keeps some free.
//!
//! ```text
//!   every turn      collect full buffers, claim, seal, write some at once, free
//!                   few free? take the buffers of quiet lanes back
//!   every interval  write the filled part of buffers in use to the place they own; header counts
//!   stop            wait for writers, take everything, tell the last losses, complete the header
//! ```
//!
//! Nobody wakes it but `flush` and `stop`: a wake costs a writer 7 µs. It looks by itself, with a
//! pause that doubles from 50 µs to 2 ms while there is nothing to do.

mod arrivals;
mod gaps;
mod gather;
mod losses;
mod rotation;

use crate::format::{BufferFlags, BufferHeader};
use crate::session::{
    attach::Inlet,
    clock::{self, Source},
    config::Config,
    desk::Order,
    lane::{Collector, Course, Full, Hold, Lane, Published, Sealed, Stolen},
    live::Outlet,
    log::{Log, Refused, Totals},
    reclaim::{self, Lookout},
    seal::{events_behind, filled_of, lost_field},
    setting::Counts,
    shared::{Ended, Shared},
};
use crate::sink::RingFile;
use gaps::Gaps;
use rotation::Rotation;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use zerocopy::IntoBytes;

/// Shortest and longest pause between two turns without work.
const PAUSE: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(2));
/// How often consumers get what is new where the log is not flushed by time.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How often those consumers get it that are in other processes.
const PROMPT_INTERVAL: Duration = Duration::from_millis(20);
/// How long a session that ends waits until another process has what it sent.
const TAKEN: Duration = Duration::from_secs(10);
/// Times that a writer is asked for its buffer before a file ends without the rest of it.
const TRIES: u32 = 50;

/// The flusher's state; lives on its thread.
pub(crate) struct Flusher {
    collector: Collector,
    log: Log,
    /// The file that the ring lies in.
    ring_file: Option<RingFile>,
    clock: Source,
    shared: Arc<Shared>,
    lookout: Lookout,
    /// Where a buffer that is still being filled is put together.
    scratch: Vec<u8>,
    /// Full buffers that are written together; none between two turns.
    gathered: Vec<Sealed>,
    /// Full buffers that wait until those with a place in the file are written.
    waiting: Vec<Full>,
    /// Where consumers get their share.
    outlet: Outlet,
    /// Where buffers of other processes come in.
    #[cfg_attr(not(unix), expect(dead_code, reason = "nobody is attached"))]
    inlet: Inlet,
    /// Where the log is another process's: buffers that it has not said to be in there.
    awaiting: VecDeque<(u64, Sealed)>,
    /// Where events are missing.
    gaps: Gaps,
    /// How many buffers take turns.
    rotation: Rotation,
}

impl Flusher {
    /// Ready to run.
    pub(crate) fn new(
        collector: Collector,
        mut log: Log,
        ring_file: Option<RingFile>,
        config: &Config,
        clock: Source,
        shared: Arc<Shared>,
    ) -> Self {
        collector.ring().set_tick(clock.now());
        let live = Arc::clone(&shared.live);
        let outlet = Outlet::new(live, collector.ring().most_buffers(), log.header());
        let inlet = Inlet::new(config.most_buffers(), config.logger_id);
        let resident = config.minimum_buffers;
        let (all, size) = (config.maximum_buffers, config.buffer_size);
        let rotation = Rotation::new(collector.turns(), resident, all, size);
        let mut flusher = Self {
            collector,
            log,
            ring_file,
            clock,
            shared,
            lookout: Lookout::new(),
            scratch: vec![0; config.buffer_size as usize],
            gathered: Vec::new(),
            waiting: Vec::new(),
            outlet,
            inlet,
            awaiting: VecDeque::new(),
            gaps: Gaps::default(),
            rotation,
        };
        flusher.update_ring_file();
        flusher
    }

    /// Puts the log's header in front of the ring, and the ring beside the log.
    fn update_ring_file(&mut self) {
        let Some(ring) = &mut self.ring_file else { return };
        if let Some(path) = self.log.path() {
            if let Err(error) = ring.follow(path) {
                self.shared.note_error(error);
            }
        }
        let buffers = self.collector.ring().buffers();
        self.collector.put_log_header(self.log.ring_header(buffers), false);
    }

    /// Runs until the session is stopped.
    pub(crate) fn run(mut self) {
        let _ended = Ended(Arc::clone(&self.shared));
        self.shared.desk.set_flusher_id(clock::thread_id());
        let (mut last_flush, mut last_shown) = (Instant::now(), Instant::now());
        let mut pause = PAUSE.0;
        loop {
            let (asked, stop) = self.shared.asked();
            if stop || self.is_abandoned() {
                break;
            }
            self.collector.ring().set_tick(self.clock.now());
            let mut worked = self.write_full();
            worked |= self.take_in() > 0;
            worked |= self.release_taken();
            worked |= self.take_back_quiet();
            if self.log.is_due() {
                if let Err(error) = self.next_file() {
                    self.shared.note_error(error);
                }
            }

            worked |= self.obey();

            let due = self.flush_interval().is_some_and(|every| last_flush.elapsed() >= every);
            if due || self.shared.is_asked(asked) {
                self.flush();
                last_flush = Instant::now();
                self.shared.answer(asked);
            }
            if self.shared.live.is_prompt() && last_shown.elapsed() >= PROMPT_INTERVAL {
                self.show();
                last_shown = Instant::now();
            }
            pause = if worked { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
            if !worked {
                thread::park_timeout(pause);
            }
        }
        self.finish();
    }

    /// Time between two flushes. Consumers are not left waiting for a buffer to be full.
    fn flush_interval(&self) -> Option<Duration> {
        let interval = self.shared.desk.flush_interval();
        if interval.is_zero() {
            return self.shared.live.is_wanted().then_some(LIVE_INTERVAL);
        }
        Some(interval)
    }

    /// Does what controllers have ordered. Tells whether there was something.
    fn obey(&mut self) -> bool {
        let wishes = self.shared.desk.wishes();
        let any = !wishes.is_empty();
        for wish in wishes {
            let (order, answer) = wish.take();
            answer(match order {
                Order::NextFile => self.next_file(),
                Order::LogFile(path) => self.change_log_file(&path),
                Order::Buffers(count) => self.grow(count),
            });
        }
        any
    }

    /// Adds buffers until there are `count`.
    fn grow(&mut self, count: u32) -> io::Result<()> {
        if let Some(ring) = &mut self.ring_file {
            let buffers = u64::from(count) + 1;
            ring.extend(buffers * u64::from(self.collector.ring().buffer_size()))?;
        }
        self.collector.grow(count);
        self.rotation.grow(count);
        self.update_ring_file();
        Ok(())
    }

    /// Goes on in another log file, as [`next_file`](Self::next_file) does in the next one.
    fn change_log_file(&mut self, path: &Path) -> io::Result<()> {
        self.write_full();
        self.take_all_in();
        self.take_buffers(|_, _| true);
        self.log.change_file(path, &self.totals())?;
        self.update_ring_file();
        Ok(())
    }

    /// Brings everything that was committed before to the log.
    fn flush(&mut self) {
        let wanted = self.log.owner().map(|owner| owner.flush_wanted());
        let Self { collector, log, .. } = self;
        log.look_after_file(|index, sequence| collector.unlog(index, sequence));
        self.take_all_in();
        self.write_partial();
        self.write_given_up_meanwhile();
        self.log.update_header(&self.totals());
        self.update_ring_file();
        self.log.sync();
        let counts = wanted.map(|_| self.counts());
        if let (Some(owner), Some(counts), Some(wanted)) = (self.log.owner(), counts, wanted) {
            // One that has gone is seen on the next turn.
            let _ = owner.flushed(&counts, wanted);
        }
    }

    /// Gives consumers what was committed before. The log is left as it is, but for full buffers.
    fn show(&mut self) {
        let ring = Arc::clone(self.collector.ring());
        for lane in ring.lanes() {
            let Some(published) = self.collector.peek(lane) else { continue };
            let index = published.index as usize;
            if self.outlet.has_news(index, &published.header)
                && !self.collector.has_older(&published.header)
            {
                put_together(&published, &mut self.scratch);
                self.gaps.mark(&mut self.scratch, published.hold.course());
                self.outlet.partial(index, &self.scratch, self.clock.now());
            }
        }
        self.write_given_up_meanwhile();
    }

    /// Goes on in the next file of a series: what was committed before is in the one that ends, if
    /// it has room for that. A writer in the middle of an event is not waited for; its buffer may
    /// then stand in both, a part in each.
    ///
    /// If the file cannot be made recording goes on in the old one. Where there are no further
    /// files the error is [`io::ErrorKind::Unsupported`].
    pub(crate) fn next_file(&mut self) -> io::Result<()> {
        if self.log.is_series() {
            self.write_full();
            self.take_all_in();
            self.take_buffers(|_, _| true);
        }
        self.begin_next_file()
    }

    fn begin_next_file(&mut self) -> io::Result<()> {
        self.log.next_file(&self.totals())?;
        self.update_ring_file();
        Ok(())
    }

    /// Goes on in the next file because the old one is full.
    fn next_file_when_full(&mut self) -> io::Result<()> {
        self.take_buffers(Log::has_place);
        // What was taken may have needed it already.
        if self.log.is_full() { self.begin_next_file() } else { Ok(()) }
    }

    /// Writes the buffers in hand of which `wanted` is true.
    fn take_buffers(&mut self, wanted: impl Fn(&Log, usize) -> bool) {
        let ring = Arc::clone(self.collector.ring());
        for lane in ring.lanes() {
            for _ in 0..TRIES {
                let Some(published) = self.collector.peek(lane) else { break };
                let index = published.index as usize;
                self.log.meets(index, published.header.sequence_number.get());
                let older = self.collector.has_older(&published.header);
                drop(published);
                if older || !wanted(&self.log, index) {
                    break;
                }
                match self.collector.steal(lane) {
                    Stolen::Buffer(sealed) => {
                        self.write_stolen(sealed);
                        break;
                    }
                    Stolen::Nothing => break,
                    Stolen::Busy => thread::yield_now(),
                }
            }
        }
    }

    /// Writes and frees the buffers that writers gave up until now: those given up meanwhile wait
    /// for the next turn, or busy writers would keep the flusher from everything else. Tells
    /// whether there was one.
    fn write_full(&mut self) -> bool {
        let mut worked = false;
        self.collector.collect();
        let in_order = !self.log.is_series();
        while let Some(full) = self.collector.next_full() {
            worked = true;
            self.collector.ring().set_tick(self.clock.now());
            if let Some(sequence) = self.collector.sequence_of(&full) {
                self.log.meets(full.index() as usize, sequence);
            }
            if in_order || self.log.has_place(full.index() as usize) {
                self.gather(full);
            } else {
                self.waiting.push(full);
            }
        }
        // A new file may have to be begun for these.
        let mut waiting = std::mem::take(&mut self.waiting);
        for full in waiting.drain(..) {
            self.gather(full);
        }
        self.waiting = waiting;
        self.write_gathered();
        self.outlet.publish();
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

    /// Takes buffers of quiet lanes back while few are free. Tells whether it took one.
    fn take_back_quiet(&mut self) -> bool {
        let mut taken = self.lookout.quiet(&mut self.collector);
        let worked = !taken.is_empty();
        if worked && self.log.owner().is_some() {
            // The owner numbers buffers as they come. What a lane gave up before it took the one
            // that was now taken from it, and what went on under its number since, has been
            // collected by now or is collected here.
            self.collector.collect();
            while let Some(full) = self.collector.next_full() {
                taken.extend(self.collector.claim(full));
            }
            taken.sort_by_key(|sealed| self.collector.sequence(sealed));
        }
        for sealed in taken {
            self.write_stolen(sealed);
        }
        worked
    }

    /// Writes a buffer that was taken from its lane, behind what the lane gave up before it began
    /// this one.
    fn write_stolen(&mut self, sealed: Sealed) {
        while let Some(older) = self.collector.claim_older(&sealed) {
            self.write_sealed(older, BufferFlags::default());
        }
        self.write_sealed(sealed, BufferFlags::default());
    }

    /// Writes what is published of the buffers in use, each to the place it has or now gets.
    fn write_partial(&mut self) {
        let ring = Arc::clone(self.collector.ring());
        for lane in ring.lanes() {
            let Some(published) = self.collector.peek(lane) else { continue };
            let (index, filled) = (published.index as usize, published.header.filled_bytes.get());
            self.log.meets(index, published.header.sequence_number.get());
            // What was given up meanwhile comes first.
            if !self.log.has_news(index, filled) || self.collector.has_older(&published.header) {
                continue;
            }
            put_together(&published, &mut self.scratch);
            let hold = published.hold;
            match self.write_part(index, &hold, hold.course()) {
                Ok(()) => {}
                // Not lost yet: the buffer comes again when it is full.
                Err(Refused::Io(error)) => self.shared.note_error(error),
                Err(Refused::Full) => {}
            }
        }
    }

    /// Writes what was put together of a buffer that may yet be filled. With `course` it is known
    /// what is missing in front of it.
    fn write_part(
        &mut self,
        index: usize,
        hold: &Hold,
        course: Option<Course>,
    ) -> Result<(), Refused> {
        self.gaps.mark(&mut self.scratch, course);
        self.outlet.partial(index, &self.scratch, self.clock.now());
        if self.log.needs_next_file(index) {
            // The buffer may be given up meanwhile: what was put together is still true.
            self.next_file_when_full().map_err(Refused::Io)?;
        }
        let filled = filled_of(&self.scratch);
        let events = hold.course().map_or(0, |_| events_behind(&self.scratch, 0).events);
        let (new, lost) = (self.log.is_new(index), lost_field(&self.scratch));
        self.log.write(index, &mut self.scratch, BufferFlags::default(), false)?;
        self.gaps.counted(if new { lost } else { 0 });
        self.gaps.settle(&self.scratch, course, events);
        hold.logged(filled, events);
        Ok(())
    }

    /// Writes what a lane has published whose writer holds a reservation for too long. Tells
    /// whether there was a buffer.
    fn close_out(&mut self, lane: &Lane) -> bool {
        // What the lane gave up before comes first, and is not missing.
        self.write_full();
        let Some(published) = self.collector.close(lane) else { return false };
        let (index, header) = (published.index as usize, published.header);
        put_together(&published, &mut self.scratch);
        let hold = published.hold;
        self.log.meets(index, header.sequence_number.get());
        let course = hold.course().filter(|_| !self.collector.has_older(&header));
        if let Err(why) = self.write_part(index, &hold, course) {
            self.log.lose(index, &self.scratch, why);
        }
        true
    }

    /// Seals a buffer that a writer filled, writes it and frees it.
    fn write_sealed(&mut self, mut sealed: Sealed, flags: BufferFlags) {
        self.mark(&mut sealed);
        self.write_marked(sealed, flags);
    }

    /// Seals a buffer, writes it and frees it.
    fn write_marked(&mut self, mut sealed: Sealed, flags: BufferFlags) {
        let index = sealed.index() as usize;
        let begun = if self.log.needs_next_file(index) {
            self.next_file_when_full().map_err(Refused::Io)
        } else {
            Ok(())
        };
        let flags = flags.with(self.log.missing_flag());
        let bytes = self.collector.bytes_mut(&mut sealed);
        self.outlet.sealed(index, bytes, self.clock.now());
        let (new, lost) = (self.log.is_new(index), lost_field(bytes));
        match begun.and_then(|()| self.log.write(index, bytes, flags, true)) {
            Ok(()) => {
                self.gaps.counted(if new { lost } else { 0 });
                self.log.done(index);
            }
            // It stays in the ring's file, and is not lost.
            Err(_) if self.log.owner().is_some() => return,
            Err(why) => self.log.lose(index, bytes, why),
        }
        if let Some(owner) = self.log.owner() {
            // Until it is in the log the ring's file has the only copy that survives the owner.
            self.awaiting.push_back((owner.sent(), sealed));
            return;
        }
        self.collector.release(sealed);
    }

    /// Whether the log was another process's, and that has gone.
    fn is_abandoned(&mut self) -> bool {
        self.log.owner().is_some_and(|owner| owner.is_gone())
    }

    /// Frees the buffers of which the process whose log it is has said that they are in there.
    /// Tells whether there was one.
    fn release_taken(&mut self) -> bool {
        let Some(taken) = self.log.owner().map(|owner| owner.taken()) else { return false };
        let mut worked = false;
        while self.awaiting.front().is_some_and(|(number, _)| *number <= taken) {
            if let Some((_, sealed)) = self.awaiting.pop_front() {
                self.collector.release(sealed);
                worked = true;
            }
        }
        worked
    }

    /// What the process whose log it is is to know.
    fn counts(&self) -> Counts {
        let sums = self.collector.ring().sums();
        let mut lost = sums.lost;
        lost.add(&self.shared.lost());
        Counts { lost: lost.by_cause(), disabled: sums.disabled, after_stop: sums.stopped }
    }

    /// Ends the log.
    fn finish(&mut self) {
        if self.is_abandoned() {
            // What is in the ring stays in its file.
            self.collector.stop();
            return;
        }
        self.take_all_in();
        let mut last = reclaim::take_all(
            self,
            |flusher| &mut flusher.collector,
            |flusher, lane| flusher.close_out(lane),
        );
        self.write_full();

        // By sequence, as they would have come.
        last.sort_by_key(|sealed| self.collector.sequence(sealed));
        let Self { collector, log, .. } = self;
        log.look_after_file(|index, sequence| {
            let is = |sealed: &Sealed| {
                sealed.index() as usize == index && collector.sequence(sealed) == sequence
            };
            last.iter().any(is) || collector.unlog(index, sequence)
        });
        let quiet = self.untold().is_empty();
        let mut left = last.len();
        for sealed in last {
            left -= 1;
            let marker = left == 0 && quiet;
            let flags = if marker { BufferFlags::FLUSH_MARKER } else { BufferFlags::default() };
            self.write_sealed(sealed, flags);
        }
        self.take_all_in();
        self.log.use_kept_back();
        self.wait_until_taken();
        let losses = self.untold();
        self.tell(losses);
        self.outlet.publish();
        self.log.end(&self.totals());
        let counts = self.counts();
        let is_attached = self.log.owner().is_some();
        if self.log.owner().is_some_and(|owner| owner.end(&counts).is_err()) {
            return;
        }
        if let Some(ring) = &self.ring_file {
            // Everything in it is in the log, or counted as lost.
            match ring.remove() {
                // The process whose log it is has done so.
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_attached => {}
                Err(error) => self.shared.note_error(error),
                Ok(()) => {}
            }
        }
    }

    /// Waits for buffers to be free: those that tell of losses need one.
    fn wait_until_taken(&mut self) {
        let deadline = Instant::now() + TAKEN;
        while !self.awaiting.is_empty() && !self.is_abandoned() && Instant::now() < deadline {
            if !self.release_taken() {
                thread::sleep(PAUSE.0);
            }
        }
    }

    fn totals(&self) -> Totals {
        Totals::of(self.collector.ring(), &self.shared)
    }
}

/// Puts a buffer that is still being filled together.
fn put_together(published: &Published<'_>, scratch: &mut [u8]) {
    let (header, rest) = scratch.split_at_mut(BufferHeader::SIZE);
    header.copy_from_slice(published.header.as_bytes());
    rest[..published.records.len()].copy_from_slice(published.records);
}
