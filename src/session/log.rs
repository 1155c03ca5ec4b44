//! The log of a session: which buffer stands where, in which file.
//!
//! ```text
//!   file   │ header │ place 1 │ place 2 │ ... │ place n │            maximum size
//!              ▲         ▲         ▲              ▲
//!              │         └─────────┴──────────────┴── taken when a buffer is first written there,
//!              │                                      full or not; written again until it is full
//!              └── counts, at each flush; times, when the file ends
//! ```
//!
//! At the maximum size a sequential log takes no more; its last place is kept for the records that
//! tell of what was lost. A series goes on in its next file. A buffer that stands in the old file
//! and is still being filled then is written there for the last time; if its writer cannot be
//! interrupted, the records behind go into the new file, as a buffer of the same lane and number.

mod gathered;

use crate::format::BufferFlags;
use crate::session::{
    append::Existing,
    attach::Sender,
    clock::{self, Anchor, Source},
    config::Config,
    header::Header,
    lane::{HEADER_BYTES, Ring},
    seal::{complete, events_behind, filled_of, leave_out},
    shared::Shared,
    sync::Ordering,
};
use crate::sink::{FileSink, LogFile, Sink, offset_of};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where buffers go.
pub(crate) enum Target {
    File(Box<FileSink>),
    Other(Box<dyn Sink>),
    /// The process whose session this is.
    #[cfg_attr(not(unix), expect(dead_code, reason = "nobody is attached"))]
    Owner(Box<Sender>),
}

/// Why a buffer was not written.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The file has its maximum size.
    Full,
    Io(io::Error),
}

/// Counts of the session that a header tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) events_lost: u64,
    pub(crate) buffers_lost: u64,
    pub(crate) lanes: u32,
}

impl Totals {
    /// The counts of this moment.
    pub(crate) fn of(ring: &Ring, shared: &Shared) -> Self {
        let others = shared.attached.sums().lost.total();
        Self {
            events_lost: ring.sums().lost.total() + shared.lost().total() + others,
            buffers_lost: shared.buffers_lost.load(Ordering::Relaxed),
            lanes: ring.lanes_used(),
        }
    }
}

/// How long to wait before a file that could not be made is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The log; belongs to the flusher.
pub(crate) struct Log {
    target: Target,
    header: Header,
    clock: Source,
    /// What times count from.
    start: Anchor,
    /// Whether `start` is good enough to measure the clock's rate by.
    refines: bool,
    buffer_size: u32,
    /// By buffer of the ring.
    places: Vec<Place>,
    /// Places given out in the current file, the header's included; 0 while there is no file.
    next_position: u64,
    /// The first place of this session: 1, or more if it went on with a log.
    first_position: u64,
    /// Places that a file may have.
    most: u64,
    /// Of these, kept for the last losses.
    kept_back: u64,
    /// Age at which the next file is begun.
    interval: Option<Duration>,
    begun_at: Instant,
    /// When a file may be made again, and why it could not.
    retry: Option<(Instant, io::ErrorKind, String)>,
    base: Base,
    /// Buffers lost since the last one that was written.
    buffers_missing: bool,
    /// Where a buffer is put together of which a part stands in an earlier file.
    rest: Vec<u8>,
    shared: Arc<Shared>,
}

/// What the counts of the current file start from.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    /// Losses that earlier files tell.
    events_lost: u64,
    buffers_lost: u64,
    /// Losses that the file told before this session.
    events_before: u64,
    buffers_before: u64,
    /// Lanes that it had then.
    lanes_before: u32,
    /// Buffers in earlier files.
    buffers: u64,
}

/// Where a buffer of the ring stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Of the buffer that stands there, in the order of filling.
    sequence: i64,
    /// In the current file.
    position: Option<u64>,
    /// `FilledBytes` of what stands there.
    written: u32,
    /// Bytes of records that stand in an earlier file.
    elsewhere: u32,
}

impl Log {
    /// Writes the header buffer, unless the file is to be made later.
    pub(crate) fn new(
        target: Target,
        existing: Option<Existing>,
        config: &Config,
        clock: Source,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let start = Anchor::take(clock);
        let most = match config.file.maximum_bytes {
            0 => u64::MAX,
            bytes => bytes / u64::from(config.buffer_size),
        };
        let is_series = matches!(&target, Target::File(file) if file.is_series());
        let mut log = Self {
            target,
            header: Header::new(config, clock, &start),
            clock,
            start,
            refines: true,
            buffer_size: config.buffer_size,
            places: vec![Place::default(); config.most_buffers() as usize],
            next_position: 0,
            first_position: 1,
            most,
            kept_back: u64::from(most != u64::MAX && !is_series),
            interval: config.file.new_file_interval,
            begun_at: Instant::now(),
            retry: None,
            base: Base::default(),
            buffers_missing: false,
            rest: Vec::new(),
            shared,
        };
        if let Target::Owner(sender) = &mut log.target {
            sender.belongs_to(&log.shared);
        }
        match existing {
            Some(existing) => log.go_on_with(existing)?,
            None if config.file.delay_open => {}
            None => log.begin()?,
        }
        Ok(log)
    }

    /// Goes on with a log that was finished.
    fn go_on_with(&mut self, existing: Existing) -> io::Result<()> {
        self.header = existing.header;
        (self.start, self.refines) = (existing.start, existing.refines);
        let fields = &mut self.header.fields;
        self.base.events_before = fields.events_lost.get().into();
        self.base.buffers_before = fields.buffers_lost.get().into();
        self.base.lanes_before = fields.number_of_processors.get();
        fields.end_time = 0.into();
        self.next_position = existing.buffers;
        self.first_position = existing.buffers;
        let header = self.header.start();
        if let Target::File(sink) = &mut self.target {
            if let Some(file) = sink.current() {
                file.write_start(header)?;
                self.shared.set_log_file(file.path());
            }
        }
        self.tell_buffers();
        Ok(())
    }

    /// Makes the file and writes its header buffer.
    fn begin(&mut self) -> io::Result<()> {
        self.header.set_extra(self.shared.preamble.records());
        match &mut self.target {
            Target::Other(sink) => sink.write(0, self.header.make(""))?,
            Target::Owner(_) => {
                // For the ring's file; the log has its owner's.
                self.header.make("");
            }
            Target::File(sink) => {
                // Made when the session was checked, if it is the first one.
                let file = sink.make()?;
                let file = begin_file(sink, file, &mut self.header)?;
                self.go_on_in(file);
            }
        }
        self.begun();
        Ok(())
    }

    /// Makes a file that has its header buffer the current one.
    fn go_on_in(&mut self, file: LogFile) {
        let Target::File(sink) = &mut self.target else { return };
        self.shared.set_log_file(file.path());
        sink.go_on_in(file);
        if let Err(error) = sink.remove_oldest() {
            self.shared.note_error(error);
        }
    }

    /// Nothing but the header buffer is in the current file.
    fn begun(&mut self) {
        self.next_position = 1;
        self.first_position = 1;
        self.begun_at = Instant::now();
        self.tell_buffers();
    }

    /// Makes a file, unless that failed a moment ago.
    fn with_patience(&mut self, make: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if let Some((until, kind, text)) = &self.retry {
            if Instant::now() < *until {
                return Err(io::Error::new(*kind, text.clone()));
            }
        }
        self.retry = None;
        make(self).inspect_err(|error| {
            self.retry = Some((Instant::now() + RETRY, error.kind(), error.to_string()));
        })
    }

    /// Whether a buffer can only be written to a file that is yet to be made.
    pub(crate) fn needs_next_file(&self, index: usize) -> bool {
        self.is_series() && self.is_full() && self.places[index].position.is_none()
    }

    /// Whether the current file takes no further buffer.
    pub(crate) fn is_full(&self) -> bool {
        self.next_position >= self.most
    }

    /// Whether the current file has reached its age.
    pub(crate) fn is_due(&self) -> bool {
        let old = self.interval.is_some_and(|interval| self.begun_at.elapsed() >= interval);
        // A file without buffers waits for some; a failure waits for its time.
        old && self.next_position > 1
            && self.retry.as_ref().is_none_or(|(until, ..)| Instant::now() >= *until)
    }

    /// Whether there is a next file to go on in.
    pub(crate) fn is_series(&self) -> bool {
        matches!(&self.target, Target::File(file) if file.is_series())
    }

    /// Whether the buffer stands in the current file.
    pub(crate) fn has_place(&self, index: usize) -> bool {
        self.places[index].position.is_some()
    }

    /// Goes on in the next file of the series and ends the one before. If the next one cannot be
    /// made the old one stays.
    pub(crate) fn next_file(&mut self, totals: &Totals) -> io::Result<()> {
        if !self.is_series() {
            let why = "the log has one file only";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        self.go_on(totals)
    }

    /// Goes on in the file at `path`, or in a new one of the series that `path` names if the log is
    /// a series, and ends the one before. If it cannot be made the old one stays.
    pub(crate) fn change_file(&mut self, path: &Path, totals: &Totals) -> io::Result<()> {
        let Target::File(sink) = &mut self.target else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the log is no file"));
        };
        let before = sink.rename(path)?;
        // Whatever went wrong before was another file's.
        self.retry = None;
        self.go_on(totals).inspect_err(|_| {
            self.retry = None;
            if let Target::File(sink) = &mut self.target {
                sink.set_name(before);
            }
        })
    }

    fn go_on(&mut self, totals: &Totals) -> io::Result<()> {
        if self.next_position == 0 {
            return self.with_patience(Self::begin);
        }
        let mut header = self.header.clone();
        header.set_extra(self.shared.preamble.records());
        if let Some(rate) = self.rate(&Anchor::take(self.clock)) {
            header.set_rate(rate);
        }
        header.fields.buffers_written = 1.into();
        header.fields.events_lost = 0.into();
        header.fields.buffers_lost = 0.into();
        let mut next = None;
        self.with_patience(|log| {
            let Target::File(sink) = &mut log.target else { return Ok(()) };
            let file = sink.make()?;
            next = Some(begin_file(sink, file, &mut header)?);
            Ok(())
        })?;

        self.end(totals);
        self.base = Base {
            events_lost: totals.events_lost,
            buffers_lost: totals.buffers_lost,
            buffers: self.base.buffers + self.next_position,
            ..Base::default()
        };
        self.header = header;
        for place in self.places.iter_mut().filter(|place| place.position.is_some()) {
            let here = place.written.saturating_sub(HEADER_BYTES);
            let (sequence, elsewhere) = (place.sequence, place.elsewhere + here);
            *place = Place { sequence, elsewhere, ..Place::default() };
        }
        if let Some(next) = next {
            self.go_on_in(next);
        }
        self.begun();
        Ok(())
    }

    /// The buffer has this number now. If it had another one, a writer took it back and began it
    /// anew: what stands in the log of the old one stays there.
    pub(crate) fn meets(&mut self, index: usize, sequence: i64) {
        if self.places[index].sequence != sequence {
            self.places[index] = Place { sequence, ..Place::default() };
        }
    }

    /// Whether nothing of the buffer is in the log.
    pub(crate) fn is_new(&self, index: usize) -> bool {
        let place = &self.places[index];
        place.position.is_none() && place.elsewhere == 0
    }

    /// How much of a ring's buffer that is filled to `filled` is not in the log.
    pub(crate) fn has_news(&self, index: usize, filled: u32) -> bool {
        let place = &self.places[index];
        filled.saturating_sub(place.elsewhere) > place.written.max(HEADER_BYTES)
    }

    /// Completes a buffer and writes it to the place it has or now gets, without what stands in an
    /// earlier file; `last` if it will not be written again.
    pub(crate) fn write(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        flags: BufferFlags,
        last: bool,
    ) -> Result<(), Refused> {
        let elsewhere = self.places[index].elsewhere;
        if elsewhere == 0 {
            return self.write_rest(index, buffer, flags, last);
        }
        // In a copy: if this fails the buffer comes again, or is lost, as a whole.
        let mut rest = std::mem::take(&mut self.rest);
        rest.clear();
        rest.extend_from_slice(buffer);
        leave_out(&mut rest, elsewhere);
        let written = if filled_of(&rest) == HEADER_BYTES {
            Ok(())
        } else {
            self.write_rest(index, &mut rest, flags, last)
        };
        self.rest = rest;
        written
    }

    /// Completes what is not in an earlier file and writes it.
    fn write_rest(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        flags: BufferFlags,
        last: bool,
    ) -> Result<(), Refused> {
        let filled = filled_of(buffer);
        complete(buffer, filled, self.clock.now(), flags);
        let position = self.position_of(index)?;
        match &mut self.target {
            Target::Other(sink) => sink.write(position, buffer),
            Target::File(sink) => sink.write(position, buffer),
            Target::Owner(sender) => sender.write(index, &buffer[..filled as usize], last),
        }
        .map_err(Refused::Io)?;
        let place = &mut self.places[index];
        (place.position, place.written) = (Some(position), filled);
        if position == self.next_position {
            self.next_position += 1;
            self.tell_buffers();
        }
        Ok(())
    }

    /// The place in the file that a buffer of the ring has, or gets if it is written now.
    fn position_of(&mut self, index: usize) -> Result<u64, Refused> {
        if let Some(position) = self.places[index].position {
            return Ok(position);
        }
        if self.next_position == 0 {
            self.with_patience(Self::begin).map_err(Refused::Io)?;
        }
        if self.next_position >= self.most.saturating_sub(self.kept_back) {
            return Err(Refused::Full);
        }
        Ok(self.next_position)
    }

    /// The flag that says that buffers are missing in front of the next one.
    pub(crate) fn missing_flag(&self) -> BufferFlags {
        if self.buffers_missing { BufferFlags::BUFFER_LOST } else { BufferFlags::default() }
    }

    /// The buffer is given back to the ring, in the log for good.
    pub(crate) fn done(&mut self, index: usize) {
        self.places[index] = Place::default();
        self.buffers_missing = false;
    }

    /// The buffer is given back to the ring without being in the log, or not all of it. Counts what
    /// is lost.
    pub(crate) fn lose(&mut self, index: usize, buffer: &[u8], why: Refused) {
        let place = &self.places[index];
        let missing = events_behind(buffer, place.elsewhere + place.written.max(HEADER_BYTES));
        match why {
            // It stands there with every event and was only to be completed, or it only tells of
            // losses, which the header does too.
            Refused::Io(error) if missing.events == 0 => {
                self.shared.note_error(error);
            }
            Refused::Full => {
                self.shared.file_full.add(missing.events, missing.first, missing.last);
            }
            Refused::Io(error) => {
                self.shared.lose_buffers(1, missing.events, error);
                self.buffers_missing = true;
            }
        }
        self.places[index] = Place::default();
    }

    /// The place that was kept back may be used now.
    pub(crate) fn use_kept_back(&mut self) {
        self.kept_back = 0;
    }

    /// How many more buffers the file takes.
    pub(crate) fn places_left(&self) -> u64 {
        if self.is_series() { u64::MAX } else { self.most.saturating_sub(self.next_position) }
    }

    /// The header buffer as it is now.
    pub(crate) fn header(&mut self) -> &[u8] {
        self.header.peek()
    }

    /// The header buffer as it is now, for the file of a ring of so many buffers.
    pub(crate) fn ring_header(&mut self, buffers: u32) -> &[u8] {
        self.header.of_ring(buffers.saturating_add(1))
    }

    /// Where the current file lies.
    pub(crate) fn path(&mut self) -> Option<&Path> {
        match &mut self.target {
            Target::File(sink) => sink.current().map(|file| file.path()),
            Target::Other(_) | Target::Owner(_) => None,
        }
    }

    /// Where buffers go if the log is another process's.
    pub(crate) fn owner(&mut self) -> Option<&mut Sender> {
        match &mut self.target {
            Target::Owner(sender) => Some(sender),
            Target::File(_) | Target::Other(_) => None,
        }
    }

    /// Makes room for another buffer than those of the session's ring.
    #[cfg(unix)]
    pub(crate) fn make_room(&mut self, index: usize) {
        if index >= self.places.len() {
            self.places.resize(index + 1, Place::default());
        }
    }

    /// Ticks at the start of the session.
    pub(crate) fn start_ticks(&self) -> u64 {
        self.start.ticks
    }

    /// Brings the counts of the header up to date.
    pub(crate) fn update_header(&mut self, totals: &Totals) {
        if self.next_position == 0 {
            return;
        }
        self.count(totals);
        if !self.header.has_changed() {
            return;
        }
        // A log that is never ended has the rate of its last flush, not the guess of its start.
        if let Some(rate) = self.rate(&Anchor::take(self.clock)) {
            self.header.set_rate(rate);
        }
        let written = match &mut self.target {
            Target::Other(sink) => sink.write(0, self.header.bytes()),
            Target::Owner(_) => {
                self.header.bytes();
                Ok(())
            }
            Target::File(sink) => {
                sink.current().map_or(Ok(()), |file| file.write_start(self.header.start()))
            }
        };
        if let Err(error) = written {
            self.header.not_written();
            self.shared.note_error(error);
        }
    }

    /// Makes what was written survive a power cut, if the session asked for that.
    pub(crate) fn sync(&mut self) {
        let synced = match &mut self.target {
            Target::File(sink) if sink.syncs() => sink.current().map_or(Ok(()), LogFile::sync),
            Target::File(_) | Target::Other(_) | Target::Owner(_) => Ok(()),
        };
        if let Err(error) = synced {
            self.shared.note_error(error);
        }
    }

    /// Ends the current file: cuts off what lies behind the last buffer, then completes the
    /// header, so that what is called finished is.
    pub(crate) fn end(&mut self, totals: &Totals) {
        if self.next_position == 0 {
            return;
        }
        let stop = Anchor::take(self.clock);
        self.count(totals);
        let lanes = totals.lanes.max(self.base.lanes_before).max(1);
        self.header.fields.number_of_processors = lanes.into();
        if let Some(rate) = self.rate(&stop) {
            self.header.set_rate(rate);
        }
        // By the log's own clock, so that no record lies behind the end.
        self.header.fields.end_time = self.header.clock().file_time(stop.ticks).0.into();

        let (buffers, size) = (self.next_position, self.buffer_size);
        let shared = Arc::clone(&self.shared);
        let note = |result: io::Result<()>| {
            if let Err(error) = result {
                shared.note_error(error);
            }
        };
        match &mut self.target {
            Target::Owner(_) => {}
            Target::Other(sink) => {
                note(sink.write(0, self.header.bytes()));
                note(sink.finish(buffers, size));
            }
            Target::File(sink) => {
                let syncs = sink.syncs();
                let Some(file) = sink.current() else { return };
                note(file.trim(buffers.saturating_mul(u64::from(size))));
                if syncs {
                    note(file.sync());
                }
                note(file.write_start(self.header.start()));
                if syncs {
                    note(file.sync());
                }
            }
        }
    }

    /// Looks whether the file was removed. What is in it is lost then, but for what is still in the
    /// ring: `is_there` says so of a buffer by its number, and sees to it that it comes as a whole.
    /// A new file is made as soon as that can be done.
    pub(crate) fn look_after_file(&mut self, is_there: impl Fn(usize, i64) -> bool) {
        let Target::File(sink) = &mut self.target else { return };
        let Some(file) = sink.current() else { return };
        // Whoever cannot tell says nothing.
        if !matches!(file.has_name(), Ok(false)) {
            return;
        }
        for (index, place) in self.places.iter_mut().enumerate() {
            if place.position.is_some() && !is_there(index, place.sequence) {
                *place = Place::default();
            }
        }
        let mut held: Vec<u64> = self.places.iter().filter_map(|place| place.position).collect();
        held.sort_unstable();
        let (mut events, mut buffers) = (0, 0);
        let mut buffer = vec![0; self.buffer_size as usize];
        for position in self.first_position..self.next_position {
            if held.binary_search(&position).is_ok() {
                continue;
            }
            buffers += 1;
            let offset = offset_of(position, buffer.len());
            let read = offset.and_then(|offset| file.read(offset, &mut buffer));
            if read.is_ok_and(|read| read == buffer.len()) {
                events += events_behind(&buffer, 0).events;
            }
        }
        let gone = format!("{} was removed", file.path().display());
        sink.forget();
        for place in &mut self.places {
            *place = Place { position: None, written: 0, ..*place };
        }
        self.next_position = 0;
        let told = self.base;
        self.base = Base { events_before: 0, buffers_before: 0, lanes_before: 0, ..told };
        self.tell_buffers();
        self.shared.lose_buffers(buffers, events, io::Error::new(io::ErrorKind::NotFound, gone));
        self.buffers_missing = true;
    }

    /// Sets the counts of the header.
    fn count(&mut self, totals: &Totals) {
        let base = &self.base;
        let clamp = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let events = totals.events_lost.saturating_sub(base.events_lost) + base.events_before;
        let buffers = totals.buffers_lost.saturating_sub(base.buffers_lost) + base.buffers_before;
        let fields = &mut self.header.fields;
        fields.events_lost = clamp(events).into();
        fields.buffers_lost = clamp(buffers).into();
        fields.buffers_written = clamp(self.next_position).into();
        let lanes = fields.number_of_processors.get().max(totals.lanes);
        fields.number_of_processors = lanes.into();
    }

    /// The clock's rate over the whole session.
    fn rate(&self, now: &Anchor) -> Option<u64> {
        if self.refines { clock::refined_frequency(self.clock, &self.start, now) } else { None }
    }

    fn tell_buffers(&self) {
        let buffers = self.base.buffers + self.next_position;
        self.shared.buffers_written.store(buffers, Ordering::Relaxed);
    }
}

/// Writes the header into a new file, which tells its name there.
fn begin_file(sink: &mut FileSink, file: LogFile, header: &mut Header) -> io::Result<LogFile> {
    let name = file.path().to_string_lossy().into_owned();
    sink.begin(file, header.make(&name))
}
