//! Some records of a log, and those that they need.
//!
//! ```text
//! for each buffer, in the order of the file: keep the records that are wanted
//!     all of them are  -> the buffer, as it was
//!     some are         -> joined to what is left of the buffer before it in its lane, if there is
//!                         room; else that goes out and this one waits
//!     none is          -> nothing; its marks of losses wait for the lane's next buffer
//! ```
//!
//! So a log of which everything is kept has the same buffers in the same order, and one of which
//! little is kept is not full of holes.

use super::draft::{Draft, Form, Losses};
use super::metadata::is_metadata;
use super::window::{Reach, Window};
use super::writer::{Head, LogWriter, first_data, redraft};
use super::{EditError, Edited};
use crate::codec::RecordView;
use crate::codec::finish::{self, Sealed, Totals};
use crate::format::{BufferHeader, FileTime, LogFileMode};
use crate::reader::{BufferEntry, Cursor, Record, Source, Trace};
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::num::NonZeroUsize;

/// What is kept beside the records that are wanted, and who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Records that others are decoded with: [`is_metadata`](super::is_metadata). Those in the
    /// header buffer stay in any case.
    pub metadata: bool,
    /// Threads that unpack compressed buffers, the caller's among them: see
    /// [`Trace::read_ahead`].
    pub threads: NonZeroUsize,
}

/// Everything, by one thread.
impl Default for Keep {
    fn default() -> Self {
        Self { metadata: true, threads: NonZeroUsize::MIN }
    }
}

/// Writes the records of `trace` that `wanted` takes, as a log of their own.
///
/// `wanted` is asked in the order of the file, with the time of each record as
/// [`Trace::time`] has it.
///
/// # Errors
///
/// [`EditError::Write`] if `out` does not take them.
///
/// ```
/// # use etlring::session::{ClassicEvent, Session};
/// # use etlring::format::Guid;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("orders.etl");
/// # let session = Session::builder("orders").log_file(&path).start()?;
/// # let placed = ClassicEvent::new(Guid::from_u128(0x6f1f_3a9a_7701), 10, 4);
/// # session.write_classic(&placed, b"one coffee")?;
/// # session.write_classic(&ClassicEvent::new(Guid::from_u128(1), 1, 4), b"")?;
/// # session.stop()?;
/// use etlring::edit::{self, Keep};
/// use etlring::reader::Trace;
/// let trace = Trace::open(&path)?;
/// let mut out = std::io::Cursor::new(Vec::new());
/// let edited = edit::filter(&trace, &mut out, Keep::default(), |_, view, _| {
///     view.opcode() == Some(10)
/// })?;
/// assert_eq!((edited.records, edited.left_out), (2, 1)); // the logfile header is a record
/// assert!(Trace::from_bytes(out.into_inner())?.damage().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn filter<S: Source + Sync>(
    trace: &Trace<S>,
    out: impl Write + Seek,
    keep: Keep,
    wanted: impl FnMut(&Record<'_>, &RecordView<'_>, FileTime) -> bool,
) -> Result<Edited, EditError> {
    trace.read_ahead(keep.threads, |ahead| {
        let records = ahead.records_of(0..trace.buffers().len());
        Filtering::new(records, keep, wanted, None).run(out)
    })
}

/// Writes the records of `trace` from `from` on and before `to`, as a log of their own: so that
/// parts that follow each other have each record once.
///
/// Buffers are found by an index of their first stamps, which costs a look at each. With
/// [`Keep::metadata`] the others are looked through for the records that are needed; without it
/// they are not read. In a damaged lane whose times run backwards, records of buffers that seem to
/// lie outside may be missed.
///
/// # Errors
///
/// [`EditError::Write`] if `out` does not take them.
pub fn cut<S: Source + Sync>(
    trace: &Trace<S>,
    out: impl Write + Seek,
    keep: Keep,
    from: FileTime,
    to: FileTime,
) -> Result<Edited, EditError> {
    let window = Window::of(trace, from, to);
    let inside = |_: &Record<'_>, _: &RecordView<'_>, time: FileTime| from <= time && time < to;
    trace.read_ahead(keep.threads, |ahead| {
        let is_read = |index: &usize| keep.metadata || window.reach(*index) != Reach::Outside;
        let records = ahead.records_of((0..trace.buffers().len()).filter(is_read));
        Filtering::new(records, keep, inside, Some(window)).run(out)
    })
}

struct Filtering<'t, S, F> {
    trace: &'t Trace<S>,
    records: Cursor<'t, S>,
    keep: Keep,
    wanted: F,
    window: Option<Window>,
    report: Edited,
    lanes: BTreeMap<u16, Lane>,
}

/// What waits in a lane.
#[derive(Default)]
struct Lane {
    /// What is left of some buffers.
    draft: Option<Draft>,
    /// The place in its lane of the buffer that was looked at last.
    rank: usize,
    losses: Losses,
}

/// What is left of a buffer.
struct Thinned {
    draft: Draft,
    /// Nothing of it was left out, and nothing is wrong with it.
    whole: bool,
    losses: Losses,
}

impl<'t, S: Source, F> Filtering<'t, S, F>
where
    F: FnMut(&Record<'_>, &RecordView<'_>, FileTime) -> bool,
{
    fn new(records: Cursor<'t, S>, keep: Keep, wanted: F, window: Option<Window>) -> Self {
        let report = Edited::default();
        let (trace, lanes) = (records.trace(), BTreeMap::new());
        Self { trace, records, keep, wanted, window, report, lanes }
    }

    fn run(mut self, out: impl Write + Seek) -> Result<Edited, EditError> {
        for error in self.trace.damage() {
            self.report.fault(0, *error);
        }
        let head = self.head();
        let logfile = self.trace.logfile();
        let form = Form::of(self.trace, &head, logfile.mode().has(LogFileMode::COMPRESSED));
        let mut writer = LogWriter::new(out, form, head)?;
        let ranks = ranks(self.trace.buffers());
        for (index, rank) in ranks.iter().enumerate().skip(first_data(self.trace)) {
            self.buffer(index, *rank, &mut writer)?;
        }
        for lane in std::mem::take(&mut self.lanes).into_values() {
            if let Some(draft) = lane.draft {
                writer.put(&draft)?;
            }
        }
        writer.finish(Totals::of(&logfile), &mut self.report)?;
        Ok(self.report)
    }

    /// The header buffer: its first record, and those of the others that are kept.
    fn head(&mut self) -> Head {
        let mut head = Head::of(self.trace);
        if first_data(self.trace) == 0 {
            return head;
        }
        let Thinned { draft, .. } = self.thin(0, Reach::Part);
        head.more = draft.body;
        head.more_records = draft.records;
        head
    }

    fn buffer<W: Write + Seek>(
        &mut self,
        index: usize,
        rank: usize,
        writer: &mut LogWriter<W>,
    ) -> Result<(), EditError> {
        let Some(entry) = self.trace.buffers().get(index) else { return Ok(()) };
        let reach = self.window.as_ref().map_or(Reach::Part, |window| window.reach(index));
        let mut lane = self.lanes.remove(&entry.lane).unwrap_or_default();
        let follows = rank == lane.rank.saturating_add(1);
        lane.rank = rank;
        if reach == Reach::Outside && !self.keep.metadata {
            lane.losses.add(Losses::of(entry.flags, 0));
            self.lanes.insert(entry.lane, lane);
            return Ok(());
        }
        let Thinned { mut draft, whole, losses } = self.thin(index, reach);
        if draft.records == 0 && (!whole || self.window.is_some()) {
            lane.losses.add(losses);
            self.lanes.insert(entry.lane, lane);
            return Ok(());
        }
        draft.take_losses(std::mem::take(&mut lane.losses));
        if let Some(before) = lane.draft.take() {
            if !whole && follows && before.may_join(&draft, writer.form()) {
                let mut joined = before;
                joined.join(&draft);
                draft = joined;
            } else {
                writer.put(&before)?;
            }
        }
        if whole {
            match self.packed(entry, &draft, writer.form()) {
                Some(bytes) => writer.put_sealed(&draft, &bytes)?,
                None => writer.put(&draft)?,
            }
        } else {
            lane.draft = Some(draft);
        }
        self.lanes.insert(entry.lane, lane);
        Ok(())
    }

    /// Takes the records of a buffer that are kept.
    fn thin(&mut self, index: usize, reach: Reach) -> Thinned {
        let Self { trace, records, report, wanted, keep, .. } = self;
        let is_head = index < first_data(trace);
        let mut whole = true;
        let draft = redraft(records, index, |draft, found| {
            let (record, view) = match found {
                Ok(both) => both,
                Err(error) => {
                    report.fault(0, error);
                    whole = false;
                    return;
                }
            };
            let time = trace.time(&record);
            let is_wanted = match reach {
                Reach::Inside => true,
                Reach::Part => wanted(&record, &view, time),
                Reach::Outside => false,
            };
            let needed = || (keep.metadata || is_head) && is_metadata(&view);
            if is_wanted || needed() {
                draft.push(record.raw().bytes, record.ticks());
                report.metadata = report.metadata.saturating_add(u64::from(!is_wanted));
            } else {
                report.left_out(1);
                whole = false;
            }
        });
        let losses = Losses::of(draft.header.flags(), draft.lost_before);
        Thinned { draft, whole, losses }
    }

    /// A compressed buffer that stays as it is: its own stream under a new header.
    fn packed(&self, entry: &BufferEntry, draft: &Draft, form: Form) -> Option<Vec<u8>> {
        if !entry.is_compressed() || entry.in_ring() || !form.compressed {
            return None;
        }
        let mut bytes = vec![0; entry.size as usize];
        let found = self.trace.source().read_at(entry.position, &mut bytes).ok()?;
        let filled = entry.filled_bytes;
        // What was read twice may have changed in between.
        let same = draft.header.filled_bytes.get() == filled
            && found == bytes.len()
            && draft.body.len().saturating_add(BufferHeader::SIZE) == filled as usize;
        if !same {
            return None;
        }
        let checksum = (!draft.torn).then_some(draft.lost_before);
        let sealed = Sealed { size: entry.size, filled, packed: true, checksum };
        finish::data_buffer(&mut bytes, &draft.header, sealed);
        Some(bytes)
    }
}

/// The place of each buffer in its lane, by sequence number and then as they lie in the file. The
/// header buffer is in a lane of its own.
pub(super) fn ranks(buffers: &[BufferEntry]) -> Vec<usize> {
    let mut order: Vec<usize> = (1..buffers.len()).collect();
    let key = |index: &usize| buffers.get(*index).map(|e| (e.lane, e.sequence, *index));
    order.sort_unstable_by_key(key);
    let mut ranks = vec![0; buffers.len()];
    let mut rank = 0usize;
    let mut lane = None;
    for index in order {
        let this = buffers.get(index).map(|entry| entry.lane);
        // Ranks of two lanes never follow each other.
        let step = if this == lane { 1 } else { 2 };
        (rank, lane) = (rank.saturating_add(step), this);
        if let Some(place) = ranks.get_mut(index) {
            *place = rank;
        }
    }
    ranks
}
