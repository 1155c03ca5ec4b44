//! Several logs as one, by time, on one clock.
//!
//! ```text
//!   log 0 ─► by time ─► stamp on the first clock ─► ┐
//!   log 1 ─► by time ─► stamp on the first clock ─► ┼► least stamp ─► lane ─► its buffer
//!   log 2 ─► ...                                    ┘
//! ```
//!
//! 1. *One clock*: that of the first log, or of the one that began first if some stamp would lie
//!    before the first one's zero. Stamps of the others are set by the anchors of both headers,
//!    exactly and rounded as [`ticks_from`](crate::codec::TickClock::ticks_from) says. With them
//!    the stamps inside of stack walks, of the kernel's DPC and interrupt records, and of loss
//!    records; no other payload is touched.
//! 2. *Lanes*: a processor is the same in all logs of one start of one machine, so their lanes of
//!    one number become one, by time. Logs of others get lanes of their own behind. Only if there
//!    are more of them than a log can name, lanes of one number are put together all the same.
//! 3. *Parts*: logs of one session, cut or filtered from one log. A record that several of them
//!    have, in one lane with one stamp and the same bytes, is there once; as often as it is in the
//!    one that has it most.
//! 4. One logfile header: that of the log whose clock is taken. Its `StartTime` is that of the
//!    first log to begin, its `EndTime` that of the last to end, its losses are those of all
//!    sessions.
//! 5. Where stamps are equal, the earlier argument comes first.

use super::align::Clocks;
use super::draft::{Draft, Form, Losses};
use super::lanes::Lanes;
use super::metadata::is_logfile_header;
use super::parts::{Group, Parts, Taken};
use super::recompress::head_of;
use super::writer::{LogWriter, first_data};
use super::{EditError, Edited};
use crate::codec::finish::Totals;
use crate::codec::{RecordView, Records, checksum, encode, to_u32};
use crate::error::{Fault, Part};
use crate::format::{FileTime, LogFileMode};
use crate::reader::{Merge, ReadError, Settled, Source, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::io::{Seek, Write};

/// Writes the records of all `traces` as one log.
///
/// # Errors
///
/// [`EditError::Nothing`] without a trace, [`EditError::Clock`] if a log has times that the clock
/// of the new one cannot say, [`EditError::Write`] if `out` does not take what is written.
pub fn merge<S: Source>(traces: &[&Trace<S>], out: impl Write + Seek) -> Result<Edited, EditError> {
    let clocks = Clocks::of(traces).ok_or(EditError::Nothing)?;
    let base = *traces.get(clocks.base).ok_or(EditError::Nothing)?;
    let mut report = Edited::default();
    for (file, trace) in traces.iter().enumerate() {
        for error in trace.damage() {
            report.fault(file, *error);
        }
    }
    let mut head = head_of(base, &mut report);
    let totals = totals(traces, base);
    clocks.set_anchor(&mut head.record);
    let compressed = base.logfile().mode().has(LogFileMode::COMPRESSED);
    let sizes = traces.iter().map(|trace| Form::of(trace, &head, compressed).buffer_size);
    let buffer_size = sizes.max().unwrap_or(0).max(LEAST_SIZE);
    let form = Form { buffer_size, compressed };
    let parts = Parts::of(traces);
    let in_header = Records::new(&head.more).map_while(Result::ok);
    let mut merging = Merging {
        traces,
        lanes: Lanes::of(traces),
        files: traces.iter().map(|t| File { merge: t.by_time(), settled: None }).collect(),
        waiting: BinaryHeap::new(),
        drafts: BTreeMap::new(),
        sequence: 0,
        told: HashSet::new(),
        in_header: in_header.map(|raw| raw.bytes.to_vec()).collect(),
        clocks,
        parts,
        report,
        writer: LogWriter::new(out, form, head)?,
    };
    merging.run()?;
    let Merging { writer, mut report, .. } = merging;
    writer.finish(totals, &mut report)?;
    Ok(report)
}

/// Any record has room in an empty buffer of this size.
const LEAST_SIZE: u32 = 4096;

/// The header's counts over all logs.
fn totals<S: Source>(traces: &[&Trace<S>], base: &Trace<S>) -> Totals {
    let mut totals = Totals::of(&base.logfile());
    let parts = Parts::of(traces);
    let ends = || traces.iter().map(|trace| trace.logfile().end_time());
    // Of an unfinished one the last stamp tells.
    let end = if ends().any(|end| end.is_none()) { None } else { ends().flatten().max() };
    totals.end_time = end.unwrap_or(FileTime(0));
    let sum = |of: &dyn Fn(&Trace<S>) -> u32| {
        parts.sessions().fold(0u32, |all, session| {
            let most = session
                .into_iter()
                .filter_map(|file| traces.get(file).map(|trace| of(trace)))
                .max();
            all.saturating_add(most.unwrap_or(0))
        })
    };
    totals.events_lost = sum(&|trace| trace.logfile().events_lost());
    totals.buffers_lost = sum(&|trace| trace.logfile().buffers_lost());
    totals
}

struct File<'t, S> {
    merge: Merge<'t, S>,
    settled: Option<Settled>,
}

struct Merging<'t, S, W> {
    traces: &'t [&'t Trace<S>],
    clocks: Clocks,
    lanes: Lanes,
    parts: Parts,
    files: Vec<File<'t, S>>,
    /// Stamp on the new clock and file of each file's next record.
    waiting: BinaryHeap<Reverse<(u64, usize)>>,
    /// Records of the new header buffer, which are not put into lanes as well.
    in_header: HashSet<Vec<u8>>,
    /// The buffer in hand of each lane.
    drafts: BTreeMap<u16, Draft>,
    sequence: i64,
    /// Buffers whose losses have been taken over: session, lane, sequence number.
    told: HashSet<(usize, u16, i64)>,
    report: Edited,
    writer: LogWriter<W>,
}

impl<S: Source, W: Write + Seek> Merging<'_, S, W> {
    fn run(&mut self) -> Result<(), EditError> {
        for file in 0..self.files.len() {
            self.advance(file)?;
        }
        let mut group = Group::default();
        while let Some(Reverse((stamp, file))) = self.waiting.pop() {
            group.clear();
            self.take(file, &mut group)?;
            let session = self.parts.session(file);
            if self.parts.is_shared(session) {
                // All that the parts of this session have at this stamp.
                while let Some(&Reverse((next, other))) = self.waiting.peek() {
                    if next > stamp || self.parts.session(other) != session {
                        break;
                    }
                    self.waiting.pop();
                    self.take(other, &mut group)?;
                }
                group.unite();
            }
            for index in 0..group.len() {
                self.place(&group, index)?;
            }
        }
        for draft in std::mem::take(&mut self.drafts).into_values() {
            self.put(draft)?;
        }
        Ok(())
    }

    /// Moves a file on to its next record, which then waits for its turn.
    fn advance(&mut self, file: usize) -> Result<(), EditError> {
        let (Some(this), Some(trace)) = (self.files.get_mut(file), self.traces.get(file)) else {
            return Ok(());
        };
        while let Some(settled) = this.merge.settle() {
            this.settled = Some(settled);
            match this.merge.settled(settled) {
                Some(Err(error)) => self.report.fault(file, error),
                Some(Ok(record)) => {
                    let stamp = self.clocks.stamp(trace, file, &record);
                    self.waiting.push(Reverse((stamp.ok_or(EditError::Clock(file))?, file)));
                    return Ok(());
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Adds the record that a file has come to to `group`, on the new clock.
    fn take(&mut self, file: usize, group: &mut Group) -> Result<(), EditError> {
        let trace = self.traces.get(file);
        let record = self.files.get(file).and_then(|this| {
            let settled = this.settled?;
            this.merge.settled(settled)?.ok()
        });
        if let (Some(trace), Some(record)) = (trace, record) {
            let entry = record.buffer();
            let taken = Taken {
                file,
                lane: entry.lane,
                buffer: record.buffer_index(),
                sequence: entry.sequence,
                stamp: self.clocks.buffer_stamp(trace, file, entry),
            };
            let bytes = group.push(taken, record.raw().bytes);
            self.clocks.set_stamps(file, bytes);
        }
        self.advance(file)
    }

    /// Puts a record into its lane.
    fn place(&mut self, group: &Group, index: usize) -> Result<(), EditError> {
        let Some((taken, bytes)) = group.get(index) else { return Ok(()) };
        let raw = Records::new(bytes).next().and_then(Result::ok);
        let Some(view) = raw.and_then(|raw| RecordView::parse(raw).ok()) else {
            let at = self.traces.get(taken.file).and_then(|t| t.buffers().get(taken.buffer));
            let fault = Fault::Truncated(8, to_u32(bytes.len())).at(Part::RecordHeader, 0);
            let position = at.map_or(0, |entry| entry.position);
            self.report.fault(taken.file, ReadError::in_compressed(position, fault));
            return Ok(());
        };
        let is_base = taken.file == self.clocks.base;
        let first = self.traces.get(taken.file).map_or(0, |trace| first_data(trace));
        if taken.buffer < first
            && (is_base || is_logfile_header(&view) || self.in_header.contains(bytes))
        {
            return Ok(());
        }
        let lane = self.lanes.lane(taken.file, taken.lane);
        let ticks = view.ticks();
        let form = self.writer.form();
        let is_full = |draft: &Draft| {
            let stamp = draft.header.time_stamp.get();
            !draft.fits(bytes.len(), form)
                || stamp != taken.stamp && (draft.has_untimed || ticks.is_none())
        };
        if self.drafts.get(&lane).is_some_and(is_full) {
            if let Some(draft) = self.drafts.remove(&lane) {
                self.put(draft)?;
            }
        }
        let new = || {
            let mut header = encode::sealed_header(0, 0, lane, 0);
            header.time_stamp = taken.stamp.into();
            Draft::new(header)
        };
        let losses = self.losses(taken);
        let draft = self.drafts.entry(lane).or_insert_with(new);
        draft.header.time_stamp = taken.stamp.into();
        draft.take_losses(losses);
        draft.push(bytes, ticks);
        Ok(())
    }

    /// What the buffer of a record says of losses before it, once for each buffer of a session.
    fn losses(&mut self, taken: &Taken) -> Losses {
        let key = (self.parts.session(taken.file), taken.lane, taken.sequence);
        let trace = self.traces.get(taken.file);
        let entry = trace.and_then(|trace| trace.buffers().get(taken.buffer));
        let (Some(trace), Some(entry), true) = (trace, entry, self.told.insert(key)) else {
            return Losses::default();
        };
        match trace.verify_checksum(taken.buffer) {
            Ok(checksum::State::Valid { events_lost }) => Losses::of(entry.flags, events_lost),
            Ok(checksum::State::Absent) => Losses::of(entry.flags, 0),
            Err(error) => {
                self.report.fault(taken.file, error);
                Losses::of(entry.flags, 0)
            }
        }
    }

    /// Writes a buffer under the next number.
    fn put(&mut self, mut draft: Draft) -> Result<(), EditError> {
        self.sequence = self.sequence.saturating_add(1);
        draft.header.sequence_number = self.sequence.into();
        self.writer.put(&draft)
    }
}
