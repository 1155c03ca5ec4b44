//! `etlring verify`: every buffer and record looked at, each fault named with its place.

use crate::input::{Input, OneLog, open};
use crate::json::report;
use crate::loss::Losses;
use crate::outcome::{Failure, Outcome, complain};
use crate::text::{count, counted, escaped};
use crate::threads::ThreadArgs;
use etlring::codec::checksum::State;
use etlring::codec::{Lost, TickClock};
use etlring::format::{BufferState, LogFileMode};
use etlring::reader::{BufferEntry, Cursor, FileOrBytes, ReadError, Trace};
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::Write;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring verify service.etl")]
pub(crate) struct Args {
    #[command(flatten)]
    log: OneLog,
    #[command(flatten)]
    threads: ThreadArgs,
}

type Records<'t> = Cursor<'t, FileOrBytes>;

/// Runs `verify`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut input = open(&args.log.file)?;
    args.threads.give(std::slice::from_mut(&mut input))?;
    let mut report = Report::default();
    let looked = report.look(&input);
    report.structure(&input);
    report.checksums(&looked);
    report.lanes(&input, &looked);
    report.counts(&input);
    report.faults.sort_by_key(|fault| (fault.in_ring, fault.position));

    let text = if args.log.json { report.json(&input) } else { report.text(&input) };
    std::io::stdout().write_all(text.as_bytes())?;
    if let Some(first) = report.faults.first() {
        let n = report.faults.len();
        let faults = counted(n as u64, "fault");
        let (place, what) = (first.place(), &first.what);
        complain(format_args!("{}: {faults}, the first at {place}: {what}", input.name));
    }
    Ok(Outcome::of(!report.faults.is_empty()))
}

/// A place of a circular file or a ring in which nothing is; it has no number.
fn is_free(buffer: &BufferEntry) -> bool {
    buffer.state == BufferState::FREE && buffer.filled_bytes <= 72
}

/// What one buffer says, without what lies around it.
#[derive(Debug)]
struct Looked {
    checksum: Result<State, ReadError>,
    records: u64,
    wrong: Vec<Wrong>,
    /// Its first and last record with a stamp.
    first: Option<Stamped>,
    last: Option<Stamped>,
    /// How many of `wrong` were found before the stamp of that first one.
    wrong_before_first: usize,
}

#[derive(Debug)]
enum Wrong {
    Damage(ReadError),
    Fault(Fault),
}

/// A record with a stamp.
#[derive(Clone, Copy, Debug)]
struct Stamped {
    ticks: u64,
    position: u64,
    lane: u16,
}

/// The fault that the later of two records of a lane has the earlier stamp.
fn backwards(one: Stamped, next: Stamped) -> Option<Fault> {
    let what = || {
        let (ticks, lane, before) = (next.ticks, next.lane, one.ticks);
        format!("ticks {ticks} of lane {lane} come after {before} at {:#x}", one.position)
    };
    (next.ticks < one.ticks).then(|| Fault::new("time", next.position, what()))
}

impl Looked {
    /// Looks at a buffer, and at what its records say of losses.
    fn at(trace: &Trace<FileOrBytes>, index: usize, records: &mut Records<'_>) -> (Self, Losses) {
        let mut looked = Self {
            checksum: trace.verify_checksum(index),
            records: 0,
            wrong: Vec::new(),
            first: None,
            last: None,
            wrong_before_first: 0,
        };
        let mut losses = Losses::default();
        if !is_free(&trace.buffers()[index]) {
            looked.walk(trace.clock(), records, &mut losses);
        }
        (looked, losses)
    }

    fn walk(&mut self, clock: TickClock, records: &mut Records<'_>, losses: &mut Losses) {
        while let Some(record) = records.next() {
            let viewed = record.and_then(|record| Ok((record, record.view()?)));
            let (record, view) = match viewed {
                Ok(both) => both,
                Err(error) => {
                    self.wrong.push(Wrong::Damage(error));
                    continue;
                }
            };
            self.records += 1;
            losses.add_record(&view, clock);
            if let Some(error) = view.items().find_map(Result::err) {
                let fault = Fault::new("structure", record.position(), error.to_string());
                self.wrong.push(Wrong::Fault(fault));
            }
            let Some(ticks) = view.ticks() else { continue };
            let this = Stamped { ticks, position: record.position(), lane: record.lane() };
            match self.last {
                None => {
                    self.first = Some(this);
                    self.wrong_before_first = self.wrong.len();
                }
                Some(last) => self.wrong.extend(backwards(last, this).map(Wrong::Fault)),
            }
            self.last = Some(this);
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug)]
struct Fault {
    /// The position is one of the ring beside the log.
    in_ring: bool,
    position: u64,
    check: &'static str,
    what: String,
}

impl Fault {
    fn new(check: &'static str, position: u64, what: impl Into<String>) -> Self {
        Self { in_ring: false, position, check, what: what.into() }
    }

    fn place(&self) -> String {
        let file = if self.in_ring { "ring " } else { "" };
        format!("{file}position {:#x}", self.position)
    }
}

#[derive(Debug, Default)]
struct Report {
    faults: Vec<Fault>,
    /// What is unusual and no fault.
    notes: Vec<String>,
    records: u64,
    losses: Losses,
    checksums: u64,
    lanes: usize,
}

impl Report {
    fn fault(&mut self, check: &'static str, position: u64, what: impl Into<String>) {
        self.faults.push(Fault::new(check, position, what));
    }

    fn damage(&mut self, check: &'static str, error: &ReadError) {
        let (in_ring, position, what) = (error.in_ring, error.position, error.fault.to_string());
        // A torn buffer of the ring is damage of the index and a checksum that does not hold.
        let known =
            |fault: &Fault| fault.in_ring && fault.position == position && fault.what == what;
        if !in_ring || !self.faults.iter().any(known) {
            self.faults.push(Fault { in_ring, position, check, what });
        }
    }

    fn structure(&mut self, input: &Input) {
        for error in input.trace.damage() {
            self.damage("structure", error);
        }
        if input.trace.unused_tail() > 0 {
            let unused = count(input.trace.unused_tail());
            self.notes.push(format!("{unused} bytes at the end were allocated and never written"));
        }
    }

    /// Looks at all buffers, each by itself.
    fn look(&mut self, input: &Input) -> Vec<Looked> {
        self.losses.add_log(input);
        let mut all = Vec::new();
        let trace = &input.trace;
        let buffers = 0..trace.buffers().len();
        let look = |(): &mut (), index: usize, records: &mut Records<'_>| {
            Looked::at(trace, index, records)
        };
        let done = input.trace.par_buffers(
            buffers,
            input.threads(),
            || (),
            look,
            |_, looked| {
                let (looked, losses) = looked;
                self.records += looked.records;
                self.losses.join(&losses);
                all.push(looked);
                Ok::<(), Infallible>(())
            },
        );
        match done {
            Ok(()) => all,
            Err(never) => match never {},
        }
    }

    fn checksums(&mut self, looked: &[Looked]) {
        for buffer in looked {
            match &buffer.checksum {
                Ok(State::Valid { .. }) => self.checksums += 1,
                Ok(State::Absent) => {}
                Err(error) => self.damage("checksum", error),
            }
        }
    }

    /// Sequence numbers, records and times of each lane, its buffers by sequence number.
    fn lanes(&mut self, input: &Input, looked: &[Looked]) {
        let buffers = input.trace.buffers();
        let mut lanes: BTreeMap<(u16, bool), Vec<usize>> = BTreeMap::new();
        for (index, buffer) in buffers.iter().enumerate() {
            if is_free(buffer) {
                continue;
            }
            // The header buffer was added to when the session ended: no lane's time holds for it.
            lanes.entry((buffer.lane, index != 0)).or_default().push(index);
        }
        let mut out_of_order = 0;
        for order in lanes.values_mut() {
            let in_file = order.clone();
            order.sort_by_key(|index| (buffers[*index].sequence, *index));
            out_of_order += order.iter().zip(&in_file).filter(|(a, b)| a != b).count();
            for two in order.windows(2) {
                let (one, next) = (&buffers[two[0]], &buffers[two[1]]);
                if one.sequence == next.sequence {
                    let what = format!(
                        "sequence number {} of lane {} is already that of the buffer at {:#x}",
                        next.sequence, next.lane, one.position
                    );
                    self.fault("sequence", next.position, what);
                }
            }
            self.lane(order.iter().map(|index| &looked[*index]));
        }
        self.lanes =
            lanes.keys().map(|(lane, _)| lane).collect::<std::collections::BTreeSet<_>>().len();
        if out_of_order > 0 {
            let what = "buffers lie in the file in another order than their lane filled them";
            self.notes.push(format!("{} {what}", count(out_of_order as u64)));
        }
        self.gaps(input);
    }

    /// Numbers that no buffer has. Sessions count over all lanes, so only the whole tells.
    fn gaps(&mut self, input: &Input) {
        let mut numbers: Vec<_> = input
            .trace
            .buffers()
            .iter()
            .skip(1)
            .filter(|b| !is_free(b))
            .map(|b| b.sequence)
            .collect();
        numbers.sort_unstable();
        let missing: u64 = numbers.windows(2).map(|two| two[1].abs_diff(two[0]).max(1) - 1).sum();
        if missing > 0 {
            let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
            let missing = count(missing);
            self.notes
                .push(format!("{missing} of the sequence numbers {first} to {last} are missing"));
        }
    }

    /// What is wrong in the buffers of a lane, and from one to the next.
    fn lane<'l>(&mut self, order: impl Iterator<Item = &'l Looked>) {
        let mut latest = None;
        for buffer in order {
            let between = latest.zip(buffer.first).and_then(|(one, next)| backwards(one, next));
            for (place, wrong) in buffer.wrong.iter().enumerate() {
                if place == buffer.wrong_before_first {
                    self.faults.extend(between.clone());
                }
                match wrong {
                    Wrong::Damage(error) => self.damage("structure", error),
                    Wrong::Fault(fault) => self.faults.push(fault.clone()),
                }
            }
            if buffer.wrong_before_first >= buffer.wrong.len() {
                self.faults.extend(between);
            }
            latest = buffer.last.or(latest);
        }
    }

    fn counts(&mut self, input: &Input) {
        let logfile = input.trace.logfile();
        let found = input.trace.buffers().len() as u64;
        let written = u64::from(logfile.buffers_written());
        if logfile.end_time().is_none() {
            let what = "the log was not finished: it is still open, or its session was killed";
            self.notes.push(what.to_owned());
        } else if written != found && logfile.mode().has(LogFileMode::CIRCULAR) {
            // It counts what was written, also what was overwritten since.
            self.notes.push(format!("the header says {written} buffers, the file has {found}"));
        } else if written != found && input.trace.ring().is_joined() {
            self.notes.push(format!(
                "the header says {written} buffers, with the ring {found} are there"
            ));
        } else if written != found {
            let what = format!("the header says {written} buffers, {found} are there");
            self.fault("counts", 72, what);
        }
        let finished = logfile.end_time().is_some();
        for (what, said) in [
            (Lost::Events, u64::from(logfile.events_lost())),
            (Lost::Buffers, u64::from(logfile.buffers_lost())),
        ] {
            let told = self.losses.told(what);
            let name = if what == Lost::Events { "events" } else { "buffers" };
            if finished && told > said {
                let what = format!(
                    "the header says {said} {name} were lost, records in the buffers {told}"
                );
                self.fault("counts", 72, what);
            } else if finished && told > 0 && told < said {
                self.notes.push(format!("of {said} lost {name} records tell of {told} only"));
            }
        }
    }

    fn text(&self, input: &Input) -> String {
        let mut out = format!(
            "{}: {}, {}, {}, {} valid, {} lost\n",
            escaped(&input.name),
            counted(input.trace.buffers().len() as u64, "buffer"),
            counted(self.lanes as u64, "lane"),
            counted(self.records, "record"),
            counted(self.checksums, "checksum"),
            counted(input.trace.logfile().events_lost().into(), "event"),
        );
        // Writing into a string cannot fail.
        if self.losses.lines().len() > 1 {
            for loss in self.losses.lines().iter().skip(1) {
                let _ = writeln!(out, "lost: {loss}");
            }
        }
        for note in &self.notes {
            let _ = writeln!(out, "note: {note}");
        }
        for fault in &self.faults {
            let (place, check) = (fault.place(), fault.check);
            let _ = writeln!(out, "fault: {place}: {check}: {}", escaped(&fault.what));
        }
        out.push_str(if self.faults.is_empty() { "no faults\n" } else { "" });
        out
    }

    fn json(&self, input: &Input) -> String {
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|fault| {
                json!({
                    "in_ring": fault.in_ring,
                    "position": fault.position,
                    "check": fault.check,
                    "fault": fault.what,
                })
            })
            .collect();
        let mut value = json!({
            "file": input.name,
            "buffers": input.trace.buffers().len(),
            "lanes": self.lanes,
            "records": self.records,
            "checksums_valid": self.checksums,
            "notes": self.notes,
            "faults": faults,
        });
        self.losses.put_json(&mut value);
        report(&value)
    }
}
