//! A log in any state, and its ring, made into one finished log.
//!
//! ```text
//!   log ──► header, or what stands in for it      ┐
//!           index ──► each buffer: checksum, walk ├─► one of each sequence ──► header with totals
//!   ring ─► copy ──► each buffer: checksum, walk  ┘   number, ascending         buffers, sealed
//! ```
//!
//! | lost | taken instead | [`Assumed`] |
//! |---|---|---|
//! | the log's header | the ring's | `HeaderFromRing` |
//! | both headers, or their `BufferSize` | the size that most buffers name | `BufferSize` |
//! | both headers | a clock: system time if the stamps look so, else 10 MHz from 1970 | `SystemTime`, `Clock` |
//! | one of two headers | that log and ring belong together | `RingBelongs` |
//!
//! First everything is looked at and nothing is kept but a plan: 150 bytes for each buffer. Then
//! the plan is written, so that the header, which comes first, can say what follows. The ring is in
//! memory; of the log one buffer is at a time.
//!
//! What a buffer gives: all its whole records. The first that is not whole ends an open or torn
//! buffer; in a buffer that nothing speaks against it is only taken out. A torn buffer's records
//! are not proven, so the buffer that is written carries no checksum; every other does.
//!
//! Source: spec/13-recovery.md.

mod buffer;
mod header;

use crate::codec::LogfileView;
use crate::error::{Fault, FormatError};
use crate::format::{BufferFlags, FileTime, LogFileMode};
use crate::reader::{
    Difference, ReadError, ReadFault, RingCopy, Source, guess,
    index::Index,
    join::{Places, Strength},
};
use buffer::{Examined, Form, Item};
use std::{collections::HashMap, error::Error, fmt, io};

/// What to make a finished log of: a log, its ring, or both.
///
/// ```
/// use etlring::reader::Recovery;
/// # let torn: &[u8] = &[0; 100];
/// match Recovery::new().log(&torn).examine() {
///     Ok(found) => {
///         let mut whole = Vec::new();
///         found.write(&mut whole)?;
///         println!("{} records", found.report().records);
///     }
///     Err(nothing) => println!("{nothing}"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Default)]
pub struct Recovery<'s> {
    log: Option<&'s dyn Source>,
    ring: Option<RingCopy>,
    leave_out_torn: bool,
}

/// What was found, ready to be written.
pub struct Salvage<'s> {
    log: Option<&'s dyn Source>,
    ring: Option<RingCopy>,
    items: Vec<Item>,
    header: Vec<u8>,
    form: Form,
    report: Recovered,
}

/// What a recovery gives and what it leaves out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Buffers of the new log, its header buffer among them.
    pub buffers: u64,
    /// Those that came from the ring.
    pub buffers_from_ring: u64,
    /// Buffers whose checksum did not hold: their records are not proven.
    pub buffers_torn: u64,
    /// Records of the new log, those of the header buffer among them.
    pub records: u64,
    /// Events that the log says were lost.
    pub events_lost: u64,
    /// Buffers that the log says were lost, and those that were left out whole.
    pub buffers_lost: u64,
    /// Buffers that a finished log says it has and that are not there: it was cut.
    pub buffers_missing: u64,
    /// When the new log ends.
    pub end_time: FileTime,
    /// What was left out, by position, the log's first.
    pub left_out: Vec<LeftOut>,
    /// What had to be assumed because it was lost.
    pub assumed: Vec<Assumed>,
}

/// A place that could not be recovered whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Where and why.
    pub error: ReadError,
    /// Sequence number of the buffer, if it is known.
    pub sequence: Option<i64>,
    /// Records of that buffer that were recovered all the same.
    pub records_kept: u64,
}

/// Something that a damaged log no longer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assumed {
    /// The log's header is lost; the ring's stands in for it.
    HeaderFromRing,
    /// The size of buffers is the one that most of them name, in bytes.
    BufferSize(u32),
    /// The stamps look like system time and are taken for it.
    SystemTime,
    /// Nothing is known of the clock: times count from 1970 at 10 MHz. Their order is right, what
    /// they say is not.
    Clock,
    /// That the ring is the log's: one of them has no header to tell.
    RingBelongs,
}

/// Why nothing was recovered.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecoverError {
    /// A file could not be read.
    Io(io::Error),
    /// Neither a header nor a buffer was found.
    Nothing,
    /// The ring is of another session than the log.
    ForeignRing(Difference),
    /// The log is compressed by a method that is not read here.
    Unsupported(&'static str),
}

impl<'s> Recovery<'s> {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the log.
    #[must_use]
    pub fn log(mut self, log: &'s dyn Source) -> Self {
        self.log = Some(log);
        self
    }

    /// Takes a ring, which must have been copied before the log was opened if its session runs.
    #[must_use]
    pub fn ring(mut self, ring: RingCopy) -> Self {
        self.ring = Some(ring);
        self
    }

    /// Leaves buffers out whose checksum does not hold, instead of keeping their whole records.
    #[must_use]
    pub fn leave_out_torn(mut self, leave_out: bool) -> Self {
        self.leave_out_torn = leave_out;
        self
    }

    /// Looks at everything.
    ///
    /// # Errors
    ///
    /// [`RecoverError`] if there is nothing to recover, or not from these files.
    pub fn examine(self) -> Result<Salvage<'s>, RecoverError> {
        let mut report = Recovered::default();
        let found = self.header_and_layout(&mut report)?;
        let mut items = Vec::new();
        if let (Some(log), Some(layout)) = (self.log, found.layout) {
            items = self.items_of_log(log, &found, layout, &mut report);
        }
        self.add_ring(&mut items, &mut report);
        let found_count = items.len();
        items.retain(|item| item.records > 0 && !(item.torn && self.leave_out_torn));
        report.buffers_lost = found_count.saturating_sub(items.len()) as u64;
        report.left_out.sort_by_key(|place| (place.error.in_ring, place.error.position));
        report.left_out.dedup_by_key(|place| place.error);

        let relogged = found.mode().has(LogFileMode::RELOG);
        if !relogged {
            items.sort_by_key(|item| item.sequence());
        }
        if let Some(last) = items.last_mut() {
            last.add_flag(BufferFlags::FLUSH_MARKER);
        }
        let lost = Losses::of(&items, &found, self.ring.as_ref());
        report.events_lost = lost.events;
        report.buffers_lost = report.buffers_lost.saturating_add(lost.buffers);
        report.buffers = (items.len() as u64).saturating_add(1);
        let header = found.complete(&items, &mut report);
        report.records =
            items.iter().map(|item| item.records).fold(report.records, u64::saturating_add);
        report.buffers_torn = items.iter().filter(|item| item.torn).count() as u64;
        report.buffers_from_ring = items.iter().filter(|item| item.in_ring()).count() as u64;
        let form = Form { buffer_size: found.buffer_size(), compressed: found.is_compressed() };
        Ok(Salvage { log: self.log, ring: self.ring, items, header, form, report })
    }

    /// What stands at the head of the new log, and how the old one is laid out.
    fn header_and_layout(&self, report: &mut Recovered) -> Result<header::Found, RecoverError> {
        let mut found = header::Found::default();
        if let Some(log) = self.log {
            found.read(log, report)?;
        }
        let Some(ring) = &self.ring else {
            return if found.layout.is_some() { Ok(found) } else { Err(RecoverError::Nothing) };
        };
        match (found.logfile(), ring.logfile()) {
            (Some(log), Some(_)) => ring.belongs_to(&log).map_err(RecoverError::ForeignRing)?,
            (log, in_ring) => {
                let size = found.layout.map(|layout| layout.buffer_size);
                let size = size.filter(|size| *size != ring.buffer_size());
                if let Some(size) = size {
                    let difference = Difference::BufferSize(size, ring.buffer_size());
                    return Err(RecoverError::ForeignRing(difference));
                }
                if self.log.is_some() && found.layout.is_some() {
                    report.assumed.push(Assumed::RingBelongs);
                }
                if self.log.is_some() && log.is_none() && in_ring.is_some() {
                    report.assumed.push(Assumed::HeaderFromRing);
                }
            }
        }
        found.take_ring(ring);
        Ok(found)
    }

    /// Every data buffer of the log that gives records.
    fn items_of_log(
        &self,
        log: &dyn Source,
        found: &header::Found,
        layout: guess::Layout,
        report: &mut Recovered,
    ) -> Vec<Item> {
        let index = Index::build(log, layout.buffer_size, layout.compressed);
        report.left_out.extend(index.damage.iter().map(|error| LeftOut {
            error: *error,
            sequence: None,
            records_kept: 0,
        }));
        let finished = found.logfile().filter(|logfile| logfile.end_time().is_some());
        if let Some(logfile) = finished.filter(|l| !l.mode().has(LogFileMode::CIRCULAR)) {
            let written = u64::from(logfile.buffers_written());
            report.buffers_missing = written.saturating_sub(index.entries.len() as u64);
        }
        let mut items = Vec::new();
        for entry in &index.entries {
            if entry.position == 0 && found.is_header_buffer(entry) {
                continue;
            }
            let examined = buffer::examine(log, entry);
            let end = entry.position.saturating_add(u64::from(layout.buffer_size));
            if examined.item.is_whole() && end > log.size() {
                // Cut, but all its records are there.
                let cut = |error: &ReadError| {
                    error.position == entry.position
                        && matches!(
                            error.fault,
                            ReadFault::Format(FormatError { fault: Fault::Truncated(..), .. })
                        )
                };
                report.left_out.retain(|place| !cut(&place.error));
            }
            self.take(examined, &mut items, report);
        }
        buffer::settle_stamps(&mut items);
        items
    }

    /// Adds a buffer that gives something, and says what it does not give.
    fn take(&self, examined: Examined, items: &mut Vec<Item>, report: &mut Recovered) {
        let Examined { item, faults } = examined;
        let out = item.torn && self.leave_out_torn;
        let kept = if out { 0 } else { item.records };
        let sequence = Some(item.sequence());
        let place = |error| LeftOut { error, sequence, records_kept: kept };
        report.left_out.extend(faults.iter().copied().map(place));
        // One that gives nothing stays until it is known whether the ring has more of it.
        if item.records > 0 || !item.is_whole() {
            items.push(item);
        }
    }

    /// Puts the buffers of the ring among those of the log: of two with one number the stronger.
    fn add_ring(&self, items: &mut Vec<Item>, report: &mut Recovered) {
        let Some(ring) = &self.ring else { return };
        report.left_out.extend(ring.faults().iter().map(|error| LeftOut {
            error: *error,
            sequence: None,
            records_kept: 0,
        }));
        let mut replaced = Vec::new();
        let mut best: HashMap<i64, (Strength, usize)> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let this = (item.strength(), index);
            let known = best.entry(item.sequence()).or_insert(this);
            if this.0 > known.0 {
                *known = this;
            }
        }
        for (number, taken) in ring.buffers().iter().enumerate() {
            let examined = buffer::of_ring(taken, number);
            let strength = examined.item.strength();
            let known = best.get(&examined.item.sequence()).copied();
            if known.is_some_and(|(known, _)| known >= strength) {
                continue;
            }
            let before = items.len();
            self.take(examined, items, report);
            let Some(item) = items.get(before).cloned() else { continue };
            let mut index = before;
            if let Some((_, of_log)) = known {
                index = of_log;
                items.truncate(before);
                if let Some(old) = items.get_mut(of_log) {
                    replaced.push(old.places());
                    *old = item;
                }
            }
            best.insert(taken.header.sequence_number.get(), (strength, index));
        }
        // What is wrong with a buffer of the log is no loss where the ring has more of it. But a
        // header that is lost is lost, whatever lies in its place.
        let replaced = Places::of(replaced);
        report.left_out.retain(|place| {
            let of_header = place.sequence == Some(0);
            place.error.in_ring || of_header || !replaced.contain(place.error.position)
        });
    }
}

impl Salvage<'_> {
    /// What will be written, and what will not.
    #[must_use]
    pub fn report(&self) -> &Recovered {
        &self.report
    }

    /// Writes the new log.
    ///
    /// # Errors
    ///
    /// What the system says of reading or writing; [`io::ErrorKind::UnexpectedEof`] if a file has
    /// become shorter since it was examined.
    pub fn write(&self, out: &mut (impl io::Write + ?Sized)) -> io::Result<()> {
        out.write_all(&self.header)?;
        let mut space = Vec::new();
        for item in &self.items {
            item.put(self.log, self.ring.as_ref(), self.form, &mut space)?;
            out.write_all(&space)?;
        }
        out.flush()
    }
}

/// What headers, loss records and checksums say was lost.
struct Losses {
    events: u64,
    buffers: u64,
}

impl Losses {
    /// The greatest of what each of them says: each is a lower bound.
    fn of(items: &[Item], found: &header::Found, ring: Option<&RingCopy>) -> Self {
        let sum = |of: fn(&Item) -> u64| items.iter().map(of).fold(0, u64::saturating_add);
        let ring = ring.and_then(RingCopy::logfile);
        let headers = || found.logfile().into_iter().chain(ring);
        let events = headers().map(|logfile: LogfileView<'_>| logfile.events_lost()).max();
        let buffers = headers().map(|logfile| logfile.buffers_lost()).max();
        Self {
            events: u64::from(events.unwrap_or(0))
                .max(sum(|item| item.events_marked))
                .max(sum(|item| u64::from(item.lost_before))),
            buffers: u64::from(buffers.unwrap_or(0)).max(sum(|item| item.buffers_marked)),
        }
    }
}

impl fmt::Debug for Recovery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, ring, leave_out_torn } = self;
        f.debug_struct("Recovery")
            .field("log", &log.map(Source::size))
            .field("ring", ring)
            .field("leave_out_torn", leave_out_torn)
            .finish()
    }
}

impl fmt::Debug for Salvage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage").field("report", &self.report).finish_non_exhaustive()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        match self.sequence {
            Some(number) => write!(f, " (buffer {number}, {} records kept)", self.records_kept),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderFromRing => f.write_str("the log's header is lost; the ring's is used"),
            Self::BufferSize(size) => {
                write!(f, "no header names the size of buffers; most say {size} bytes")
            }
            Self::SystemTime => f.write_str("no header names the clock; it looks like system time"),
            Self::Clock => f.write_str(
                "no header names the clock; times count from 1970 at 10 MHz, and only their order \
                 is right",
            ),
            Self::RingBelongs => {
                f.write_str("without both headers nothing tells whether the ring is the log's")
            }
        }
    }
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Nothing => f.write_str("no logfile header and no buffer found"),
            Self::ForeignRing(difference) => write!(f, "ring of another session: {difference}"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
        }
    }
}

impl Error for RecoverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for RecoverError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
