//! A log that another process is writing, followed from outside.
//!
//! ```text
//!   ring   [ buf 7: r r r│r ][ free ][ buf 9: r│r r ][ buf 8 ]     │ what was given last time
//!   log    [ header ][ buf 1 ] ... [ buf 6 ][ buf 7: r r r ]       │ next place to look at
//! ```
//!
//! A poll looks at the ring first and then at the log: whatever leaves the ring meanwhile is in the
//! log by then. Both are read by positioned reads, which their writer does not notice. A buffer is
//! known by its sequence number, and of each one it is remembered up to where its records were
//! given; bytes before that never change, in neither file.
//!
//! 1. *Ring*: the header of each place, and of those that have grown the new bytes. They count if
//!    the sequence number was the same before and after; if not, the log has them later.
//! 2. *Log*: places behind the last one looked at, up to the end. And places that may be written
//!    again: those whose buffer was in the ring. A buffer that was known to the log before a look
//!    at the ring, and is not found there, was written for the last time before; then its place
//!    is looked at once more and never again. A buffer that was never found in the ring may be of
//!    a process that is attached to the session: as where there is no ring.
//! 3. Of a number that is in neither any more nothing can come; if not all of it was seen that is
//!    told as a gap. A log without a ring cannot tell: there a place counts as written for the last
//!    time when three later buffers of its lane were in the log before, since a session keeps the
//!    order of a lane's buffers from one flush to the next.
//!
//! A circular log is its own ring: there is no step 2, and what is overwritten between two polls is
//! a gap.
//!
//! A session holds a shared `flock` on its ring, or on its circular log, from before its header is
//! there until it has finished the log. Who can lock it alone, and finds the log still unfinished
//! afterwards, knows that its process is dead.
//!
//! Cost of a poll: 72 bytes for each place of the ring and for each buffer in use, and what is
//! new. Memory: what is new, at most [`MOST_BYTES`] of the log and once the ring.
//!
//! Source: spec/13-recovery.md.

mod copies;
mod news;
mod numbers;

use crate::codec::{LogfileView, to_u32};
use crate::error::{Fault, Part as Where};
use crate::format::{BufferHeader, BufferState, LogFileMode, MAX_BUFFER_SIZE};
use crate::reader::{
    OpenError, Positioned, ReadError, RingCopy, RingError, Source, index, open, ring, ring_path,
};
use copies::{copy, copy_behind};
pub use news::{Following, News};
use news::{Gathered, Part};
use numbers::Numbers;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of the log that one poll takes in, but for the last buffer.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Places of a ring that are looked at: no session has more buffers.
const MOST_PLACES: u64 = 1 << 20;
/// Without a ring: later buffers of its lane until a place is written for the last time.
const LATER_BUFFERS: u32 = 3;
const HEADER_BYTES: u32 = 72;

/// A log that may still be written, by this process or another one.
///
/// ```no_run
/// use etlring::reader::Follow;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut follow = Follow::open("service.etl")?;
/// loop {
///     let news = follow.poll()?;
///     let mut records = news.by_time();
///     while let Some(record) = records.next() {
///         println!("{:?}", record?.view()?.ticks());
///     }
///     if news.state().is_over() {
///         break;
///     }
///     std::thread::sleep(std::time::Duration::from_millis(50));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    log: Positioned,
    ring: Option<Positioned>,
    ring_error: Option<RingError>,
    buffer_size: u32,
    /// The buffers lie in the log for good.
    circular: bool,
    /// The log was finished when it was opened: there is nothing to be compared.
    plain: bool,
    header: BufferHeader,
    first_record: Box<[u8]>,
    header_given: bool,
    state: Following,
    /// The last poll found nothing.
    quiet: bool,
    /// The session is dead.
    dead: bool,

    /// The next place of the log.
    next: u64,
    /// Buffers that are in use, by number.
    known: HashMap<i64, Seen>,
    /// Places that may be written again.
    unsettled: BTreeMap<u64, Unsettled>,
    /// Buffers of each lane in the log.
    of_lane: HashMap<u16, u32>,
    done: Numbers,
    /// Numbers found in the ring by the last look.
    present: HashSet<i64>,
    newest: i64,
}

/// How much of a buffer was given.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Its records up to here, from its start.
    end: u32,
    /// That was all of it.
    sealed: bool,
    /// It was found in the ring.
    in_ring: bool,
    /// The place of the log that it has; 0 if none.
    place: u64,
}

const UNSEEN: Seen = Seen { end: HEADER_BYTES, sealed: false, in_ring: false, place: 0 };

/// A place of the log that may be written again.
#[derive(Clone, Copy, Debug)]
struct Unsettled {
    sequence: i64,
    lane: u16,
    /// How many buffers of its lane the log had, this one too.
    nth: u32,
}

/// What a look at a place of the log found.
enum Found {
    /// Nothing yet.
    Nothing,
    /// No buffer's header.
    Damage(ReadError),
    Buffer(i64, u16),
}

impl Follow {
    /// Opens a log, to be followed from its beginning.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read, is no log file, or is compressed: no session writes such
    /// a log, so it does not grow.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        // A pipe by that name would be waited for.
        let found = fs::metadata(path)?;
        if found.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        if !found.is_file() {
            return Err(OpenError::Unsupported("following what is no regular file"));
        }
        let log = Positioned::new(File::open(path)?)?;
        let (first_record, _) = open::first_record(&log)?;
        let logfile = open::parse_logfile(&first_record)?;
        if logfile.mode().has(LogFileMode::COMPRESSED) {
            return Err(OpenError::Unsupported("following a compressed log"));
        }
        let buffer_size = logfile.buffer_size();
        if !(HEADER_BYTES..=MAX_BUFFER_SIZE).contains(&buffer_size) {
            let fault = Fault::Length(buffer_size, HEADER_BYTES, MAX_BUFFER_SIZE);
            return Err(OpenError::NotALogfile(fault.at(Where::LogfileHeader, HEADER_BYTES)));
        }
        let plain = news::is_finished(&logfile);
        let circular = logfile.mode().has(LogFileMode::CIRCULAR) && !plain;
        let missing = Fault::Truncated(HEADER_BYTES, 0).at(Where::Buffer, 0);
        let header = ring::header_at(&log, 0)?.ok_or(OpenError::NotALogfile(missing))?;
        Ok(Self {
            path: path.to_owned(),
            log,
            ring: None,
            ring_error: None,
            buffer_size,
            circular,
            plain,
            header,
            first_record,
            header_given: false,
            state: Following::Live,
            quiet: false,
            dead: false,
            next: 1,
            known: HashMap::new(),
            unsettled: BTreeMap::new(),
            of_lane: HashMap::new(),
            done: Numbers::default(),
            present: HashSet::new(),
            newest: 0,
        })
    }

    /// What the log says of itself, as of the last poll.
    ///
    /// # Panics
    ///
    /// Never: the header was checked when it was read.
    #[must_use]
    pub fn logfile(&self) -> LogfileView<'_> {
        #[expect(clippy::expect_used, reason = "the same bytes were parsed when they were read")]
        open::parse_logfile(&self.first_record).expect("checked before")
    }

    /// Whether buffers in use are seen: there is a ring beside the log, or the log is circular.
    /// Otherwise events come when the session flushes them, and the death of its process is not
    /// noticed.
    #[must_use]
    pub fn sees_buffers_in_use(&self) -> bool {
        self.ring.is_some() || self.circular
    }

    /// Why the ring beside the log is left alone, if it is.
    #[must_use]
    pub fn ring_error(&self) -> Option<&RingError> {
        self.ring_error.as_ref()
    }

    /// What is new since the last call. The first call gives the log from its beginning, in
    /// portions of some megabytes.
    ///
    /// Over all calls every committed record is given once, or the number of its buffer is among
    /// the [gaps](News::gaps). The records of one call are in time order; those of a later one may
    /// be earlier, as their buffer was looked at before they were written.
    ///
    /// # Errors
    ///
    /// What the system says. Nothing is lost by that: the next call tries again.
    pub fn poll(&mut self) -> Result<News, OpenError> {
        let mut news = Gathered::new(&self.header);
        if self.state.is_over() {
            return news.finish(&self.first_record, self.state);
        }
        self.find_ring();
        let ring = if self.circular { Some(&self.log) } else { self.ring.as_ref() };
        let mut abandoned = self.dead || self.quiet && ring.is_some_and(is_left);
        // After the lock was looked at: a session finishes its log before it lets go.
        self.read_header()?;
        let finished = news::is_finished(&self.logfile());
        abandoned &= !finished;
        let removed = !finished && !abandoned && has_no_name(&self.log);
        self.dead = abandoned;
        let last = finished || abandoned || removed;

        // From here on what was gathered must not be lost: a failed read is told as damage.
        self.give_header(&mut news);
        if self.circular || !finished {
            self.look_at_ring(last, &mut news);
        } else {
            self.present.clear();
        }
        let at_end = self.circular || self.look_at_log(last, &mut news);
        if at_end && !self.plain {
            self.forget_what_is_gone(last, &mut news);
        }
        self.state = match () {
            () if !at_end => Following::Behind,
            () if finished => Following::Finished,
            () if abandoned => Following::Abandoned,
            () if removed => Following::Removed,
            () => Following::Live,
        };
        let news = news.finish(&self.first_record, self.state)?;
        self.quiet = news.is_empty();
        Ok(news)
    }

    /// Opens the ring, if it is there by now and belongs to the log.
    fn find_ring(&mut self) {
        if self.ring.is_some() || self.plain || self.circular {
            return;
        }
        let path = ring_path(&self.path);
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            return;
        }
        let opened = File::open(path).and_then(Positioned::new).map_err(RingError::Io);
        let belongs = opened.and_then(|ring| {
            let header = RingCopy::header_of(&ring)?;
            header.belongs_to(&self.logfile()).map_err(RingError::Foreign)?;
            Ok(ring)
        });
        match belongs {
            Ok(ring) => (self.ring, self.ring_error) = (Some(ring), None),
            Err(error) => self.ring_error = Some(error),
        }
    }

    /// Reads the logfile header again. One that is just being written counts as the old one.
    fn read_header(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; self.first_record.len()];
        let found = self.log.read_at(u64::from(HEADER_BYTES), &mut bytes)?;
        if found == bytes.len() && open::parse_logfile(&bytes).is_ok() {
            self.first_record = bytes.into();
        }
        Ok(())
    }

    /// The records of the header buffer, once.
    fn give_header(&mut self, news: &mut Gathered) {
        if self.header_given {
            return;
        }
        let filled = self.header.filled_bytes.get().clamp(HEADER_BYTES, self.buffer_size);
        match copy(&self.log, 0, HEADER_BYTES, filled) {
            Ok(body) => {
                let part = Part { header: self.header, position: 0, begin: HEADER_BYTES, body };
                news.add_header(part);
                self.header_given = true;
            }
            Err(error) => news.damage(ReadError::io(0, &error)),
        }
    }

    /// Takes what the buffers in use have more. `last`: nobody changes them any more.
    fn look_at_ring(&mut self, last: bool, news: &mut Gathered) {
        self.present.clear();
        let own = self.ring.take();
        let Some(ring) = (if self.circular { Some(&self.log) } else { own.as_ref() }) else {
            return;
        };
        let size = u64::from(self.buffer_size);
        let places = ring.size_now().unwrap_or(0).checked_div(size).unwrap_or(0);
        for place in 1..places.min(MOST_PLACES) {
            let position = place.saturating_mul(size);
            let seen = Ring {
                file: ring,
                buffer_size: self.buffer_size,
                position,
                known: &mut self.known,
                done: &self.done,
            };
            match seen.look() {
                Ok(Look::Nothing) => {}
                Ok(Look::NoBuffer) => {
                    if last {
                        let error = ReadError::new(position, crate::reader::ReadFault::NoBuffer);
                        news.damage(if self.circular { error } else { error.of_ring() });
                    }
                }
                Ok(Look::Buffer(sequence, part)) => {
                    self.present.insert(sequence);
                    self.newest = self.newest.max(sequence);
                    if let Some(part) = part {
                        news.add(part, !self.circular);
                    }
                }
                Err(error) => {
                    let error = ReadError::io(position, &error);
                    news.damage(if self.circular { error } else { error.of_ring() });
                }
            }
        }
        self.ring = own;
    }

    /// Takes what the log has more; says whether that was all.
    fn look_at_log(&mut self, last: bool, news: &mut Gathered) -> bool {
        // Only now: what left the ring before it was looked at is within.
        if let Err(error) = self.log.look_at_size() {
            news.damage(ReadError::io(0, &error));
            return last;
        }
        let waiting: Vec<(u64, Unsettled)> =
            self.unsettled.iter().map(|(place, at)| (*place, *at)).collect();
        let known_before = self.of_lane.clone();
        for (place, at) in waiting {
            let seen = self.known.get(&at.sequence).filter(|seen| seen.place == place);
            let Some(Seen { in_ring, .. }) = seen.copied() else {
                // A later place has the number: no session of ours writes this one again.
                self.unsettled.remove(&place);
                continue;
            };
            let looked =
                matches!(self.look_at_place(place, last, news), Ok((Found::Buffer(..), _)));
            let settled = if in_ring {
                !self.present.contains(&at.sequence)
            } else {
                let now = known_before.get(&at.lane).copied().unwrap_or(0);
                now.saturating_sub(at.nth) >= LATER_BUFFERS
            };
            if looked && settled {
                self.unsettled.remove(&place);
                self.known.remove(&at.sequence);
                self.done.insert(at.sequence);
            }
        }

        let mut taken = 0u64;
        let size = u64::from(self.buffer_size);
        loop {
            let position = self.next.saturating_mul(size);
            if position.saturating_add(u64::from(HEADER_BYTES)) > self.log.size() {
                return true;
            }
            if taken >= MOST_BYTES {
                return false;
            }
            let (found, bytes) = match self.look_at_place(self.next, last, news) {
                Ok(found) => found,
                Err(error) => {
                    news.damage(ReadError::io(position, &error));
                    // Not for ever, if that is the end.
                    return last;
                }
            };
            taken = taken.saturating_add(u64::from(bytes.max(HEADER_BYTES)));
            match found {
                Found::Nothing if !last => return true,
                Found::Nothing => {}
                // It may be just being written, unless something lies behind it.
                Found::Damage(_) if !last && !self.is_behind(self.next) => return true,
                Found::Damage(error) => news.damage(error),
                Found::Buffer(sequence, lane) if !self.plain => {
                    self.newest = self.newest.max(sequence);
                    let nth = self.of_lane.entry(lane).or_default();
                    *nth = nth.saturating_add(1);
                    self.unsettled.insert(self.next, Unsettled { sequence, lane, nth: *nth });
                }
                Found::Buffer(..) => {}
            }
            self.next = self.next.saturating_add(1);
        }
    }

    /// Whether a sound buffer lies behind a place.
    fn is_behind(&self, place: u64) -> bool {
        let position = place.saturating_add(1).saturating_mul(u64::from(self.buffer_size));
        let header = ring::header_at(&self.log, position).ok().flatten();
        header.is_some_and(|header| is_buffer(&header, self.buffer_size))
    }

    /// Takes what a place of the log has more, and says how many bytes that was.
    fn look_at_place(
        &mut self,
        place: u64,
        last: bool,
        news: &mut Gathered,
    ) -> io::Result<(Found, u32)> {
        let position = place.saturating_mul(u64::from(self.buffer_size));
        let Some(header) = ring::header_at(&self.log, position)? else {
            return Ok((Found::Nothing, 0));
        };
        if index::is_zero(&header) {
            return Ok((Found::Nothing, 0));
        }
        if !index::looks_like_header(&header, self.buffer_size)
            || header.buffer_size.get() != self.buffer_size
        {
            let size = header.buffer_size.get();
            let fault = Fault::Length(size, self.buffer_size, self.buffer_size);
            let error = ReadError::in_buffer(position, fault.at(Where::Buffer, 0));
            return Ok((Found::Damage(error), 0));
        }
        let sequence = header.sequence_number.get();
        let found = Found::Buffer(sequence, header.lane());
        // A number that is done, or has another place, was another buffer's.
        let known = self.known.get(&sequence).copied();
        let known = known.filter(|seen| seen.place == 0 || seen.place == place);
        let anew = self.plain || self.done.contains(sequence);
        let seen = Seen { place, sealed: true, ..known.filter(|_| !anew).unwrap_or(UNSEEN) };
        if header.filled_bytes.get() > seen.end {
            let Some(part) = copy_behind(&self.log, position, &header, seen.end)? else {
                return Ok((Found::Nothing, 0));
            };
            let want = header.filled_bytes.get();
            let (end, bytes) = (part.end(), to_u32(part.body.len()));
            if end < want {
                if !last {
                    return Ok((Found::Nothing, 0));
                }
                let fault = Fault::Truncated(want, end).at(Where::Buffer, 0);
                news.damage(ReadError::in_buffer(position, fault));
            }
            news.add(part, false);
            if !self.plain {
                self.known.insert(sequence, Seen { end, ..seen });
            }
            return Ok((found, bytes));
        }
        if !self.plain {
            self.known.insert(sequence, seen);
        }
        Ok((found, 0))
    }

    /// Takes the numbers of which nothing can come as dealt with, and tells the gaps.
    fn forget_what_is_gone(&mut self, last: bool, news: &mut Gathered) {
        let in_log: HashSet<i64> = self.unsettled.values().map(|at| at.sequence).collect();
        let (present, done) = (&self.present, &mut self.done);
        let mut lost = Vec::new();
        self.known.retain(|sequence, seen| {
            let stays = in_log.contains(sequence) || present.contains(sequence);
            if stays && !last {
                return true;
            }
            done.insert(*sequence);
            if !stays && !seen.sealed {
                lost.push(*sequence);
            }
            false
        });
        lost.sort_unstable();
        news.gaps.extend(lost.into_iter().map(|number| number..=number));
        if last {
            self.unsettled.clear();
        }
        let sure = if last || self.done.is_full() {
            i64::MAX
        } else if self.circular {
            // Round after round: what is older than all places was overwritten.
            let size = u64::from(self.buffer_size);
            let places = self.log.size().checked_div(size).unwrap_or(0);
            self.newest.saturating_sub(i64::try_from(places).unwrap_or(i64::MAX))
        } else {
            return;
        };
        news.gaps.extend(self.done.fill(sure, &self.known));
    }
}

/// A place of the ring.
struct Ring<'f> {
    file: &'f Positioned,
    buffer_size: u32,
    position: u64,
    known: &'f mut HashMap<i64, Seen>,
    done: &'f Numbers,
}

enum Look {
    Nothing,
    NoBuffer,
    /// Its number and what it has more.
    Buffer(i64, Option<Part>),
}

impl Ring<'_> {
    fn look(self) -> io::Result<Look> {
        let Some(header) = ring::header_at(self.file, self.position)? else {
            return Ok(Look::Nothing);
        };
        let sequence = header.sequence_number.get();
        if header.state.get() == BufferState::FREE.0 {
            return Ok(Look::Nothing);
        }
        if !is_buffer(&header, self.buffer_size) {
            return Ok(Look::NoBuffer);
        }
        if self.done.contains(sequence) {
            return Ok(Look::Buffer(sequence, None));
        }
        let seen = self.known.entry(sequence).or_insert(UNSEEN);
        seen.in_ring = true;
        let sealed = header.state.get() == BufferState::FLUSH.0;
        if header.filled_bytes.get() <= seen.end {
            seen.sealed |= sealed;
            return Ok(Look::Buffer(sequence, None));
        }
        let part = copy_behind(self.file, self.position, &header, seen.end)?;
        if let Some(part) = &part {
            seen.end = part.end();
            seen.sealed = sealed;
        }
        Ok(Look::Buffer(sequence, part))
    }
}

/// Whether a header is that of a buffer in use, by all that no moment can change.
fn is_buffer(header: &BufferHeader, buffer_size: u32) -> bool {
    let state = BufferState(header.state.get());
    matches!(state, BufferState::GENERAL_LOGGING | BufferState::FLUSH)
        && header.buffer_size.get() == buffer_size
        && header.sequence_number.get() >= 1
        && !header.is_compressed()
        && index::looks_like_header(header, buffer_size)
}

/// Whether the file has been removed.
fn has_no_name(file: &Positioned) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        file.file().metadata().is_ok_and(|found| found.nlink() == 0)
    }
    // Elsewhere an open file keeps its name.
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Whether no process holds the lock of a ring.
fn is_left(ring: &Positioned) -> bool {
    #[cfg(unix)]
    {
        use rustix::fs::{FlockOperation, flock};
        let file = ring.file();
        let free = flock(file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if free {
            // It is given back when the file is closed at the latest.
            let _ = flock(file, FlockOperation::Unlock);
        }
        free
    }
    #[cfg(not(unix))]
    {
        let _ = ring;
        false
    }
}
