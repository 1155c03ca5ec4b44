//! `etlring stats`: how many events and bytes, from whom, when, and what was lost.
//!
//! One walk over the headers: records are counted by their kind, and what a kind is called is asked
//! once, when the schemas of the file are known, which may lie behind the events. Payloads are
//! decoded only on request, to say how much of them becomes fields.

mod extent;
mod rate;
mod tables;
mod tally;

use crate::input::{Input, open_with};
use crate::json::report;
use crate::kinds::{CLASSIC, Count, Heading, INSTANCE, Id, Kinds};
use crate::loss::Losses;
use crate::names::{Extras, Names, kind};
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::SelectArgs;
use crate::text::{self, count, counted, size, span};
use crate::threads::ThreadArgs;
use crate::walk::{Flow, Found, Order, Watcher, walk_again, walk_watched};
use etlring::codec::{RawRecord, RecordKind, RecordView};
use etlring::format::{FileTime, Guid};
use etlring::reader::{FileOrBytes, Record, Trace};
use etlring::schema::{Coverage, Decoder, Source, Undecoded};
use extent::Extent;
use rate::Rate;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tables::{By, Sort, Thread};
use tally::Tally;

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring stats --level warning --by provider,thread boot.etl")]
pub(crate) struct Args {
    /// Log files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object, with all rows
    #[arg(long)]
    json: bool,
    /// Tables to show, in this order; several with commas [default: provider,id,level,process]
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    by: Vec<By>,
    /// Which rows of a table come first
    #[arg(long, value_enum, value_name = "WHAT", default_value = "events")]
    sort: Sort,
    /// Rows of each table; JSON has all
    #[arg(long, value_name = "N", default_value_t = 20)]
    rows: usize,
    /// Also decode all payloads and say how much of them becomes fields
    #[arg(long)]
    decode: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    schemas: SchemaArgs,
    #[command(flatten)]
    select: SelectArgs,
}

/// Runs `stats`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut inputs = open_with(&args.files, &args.schemas.load()?)?;
    args.threads.give(&mut inputs)?;
    let start = inputs.iter().map(|input| input.trace.logfile().start_time()).min();
    let start = start.unwrap_or_default();
    let selection = args.select.resolve(start)?;
    let mut names = Names::default();
    let by = By::tables(&args.by);
    let more = by.contains(&By::Thread) || by.contains(&By::Lane);
    let mut stats = Stats::new(inputs.len(), start, args.sort, more);
    for input in &inputs {
        stats.losses.add_log(input);
    }
    let decoders = inputs.iter().map(|input| input.given().clone()).collect();
    let mut counting = Counting { stats: &mut stats, inputs: &inputs, decoders };
    let outcome = walk_watched(&inputs, Order::File, &selection, &mut names, &mut counting)?;
    let decoders = counting.decoders;
    stats.sum_up(&inputs);
    for (input, decoder) in inputs.iter().zip(&decoders) {
        input.complain_of(decoder.refused(), "schemas", "their events are shown as bytes");
    }
    let by_payload = stats.name_kinds(&decoders);
    if by_payload || args.decode {
        stats.decoded = args.decode.then(Coverage::default);
        walk_again(&inputs, &selection, &mut names, |found| stats.look_into(found, &decoders));
    }
    stats.name_processes(&decoders);
    selection.complain_of_unseen();
    let report = if args.json {
        report(&stats.json(&by, &inputs, &mut names))
    } else {
        stats.text(&by, args.rows, &inputs, &mut names)
    };
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(outcome)
}

/// The walk: counts records and learns what they say of each other.
struct Counting<'s> {
    stats: &'s mut Stats,
    inputs: &'s [Input],
    /// By file.
    decoders: Vec<Decoder>,
}

impl Watcher for Counting<'_> {
    #[inline(always)]
    fn glance(&mut self, file: usize, input: &Input, record: &Record<'_>) -> bool {
        let Ok(view) = RecordView::parse(record.raw()) else { return false };
        let Some(heading) = Heading::at_a_glance(&view) else { return false };
        let Some(count) = self.stats.kinds.plain(file, &heading) else { return false };
        count.add(record.raw().bytes.len());
        self.stats.add_heading(&heading, file, record, &input.trace);
        true
    }

    fn learn(&mut self, file: usize, record: RawRecord<'_>) {
        if describes_events(record) {
            self.decoders[file].learn(record);
        }
    }

    fn take(&mut self, found: &Found<'_>, names: &mut Names) -> Flow {
        self.stats.add(found, &self.inputs[found.file], names);
        Ok(ControlFlow::Continue(()))
    }
}

/// Whether a record may describe others. Of the kernel's, which are most of many logs, those about
/// processes do: they have their names.
fn describes_events(record: RawRecord<'_>) -> bool {
    /// The upper byte of the hook (`EVENT_TRACE_GROUP_PROCESS`), at 7 in these headers.
    const PROCESS: u8 = 3;
    match record.kind {
        RecordKind::Typed(header) if header.has_size_at_4() => {
            record.bytes.get(7) == Some(&PROCESS)
        }
        _ => true,
    }
}

struct Stats {
    /// Of all events, and from when to when they are; known in the end.
    all: Count,
    span: Option<(FileTime, FileTime)>,
    providers: HashMap<Option<Guid>, Count>,
    ids: HashMap<Id, (Count, String)>,
    named: HashMap<Guid, HashMap<Box<str>, Count>>,
    levels: HashMap<Option<u8>, Count>,
    processes: Tally<Option<u32>>,
    /// What they were called last, where a log says it.
    process_names: HashMap<u32, String>,
    sort: Sort,
    /// What is counted only if it is asked for.
    more: Option<Box<More>>,
    kinds: Kinds,
    schemas: BTreeMap<Source, u64>,
    /// Of the payloads, if they were asked for.
    decoded: Option<Coverage>,
    rate: Rate,
    extent: Extent,
    losses: Losses,
}

#[derive(Default)]
struct More {
    threads: Tally<Thread>,
    thread_names: HashMap<u32, String>,
    lanes: Tally<u16>,
}

impl Stats {
    fn new(files: usize, start: FileTime, sort: Sort, more: bool) -> Self {
        Self {
            all: Count::default(),
            span: None,
            providers: HashMap::new(),
            ids: HashMap::new(),
            named: HashMap::new(),
            levels: HashMap::new(),
            processes: Tally::default(),
            process_names: HashMap::new(),
            sort,
            more: more.then(Box::default),
            kinds: Kinds::default(),
            schemas: BTreeMap::new(),
            decoded: None,
            rate: Rate::from(start),
            extent: Extent::of(files),
            losses: Losses::default(),
        }
    }

    /// Counts a record.
    fn add(&mut self, found: &Found<'_>, input: &Input, names: &mut Names) {
        let (view, raw) = (found.view, found.record.raw());
        let heading = Heading::of(view);
        self.add_heading(&heading, found.file, found.record, found.trace);
        if view.has_items() && self.add_by_own_name(found, input, names) {
            return;
        }
        let is_plain = || {
            let teaches = describes_events(raw) && Decoder::may_learn_from(raw);
            !view.has_items() && !teaches
        };
        let kind = self.kinds.of(found, &heading, is_plain);
        kind.count.add(raw.bytes.len());
        if kind.may_be_loss {
            self.losses.add_record(view, found.trace.clock());
        }
    }

    /// Counts a record by what is not asked of its kind in the end.
    #[inline(always)]
    fn add_heading(
        &mut self,
        heading: &Heading,
        file: usize,
        record: &Record<'_>,
        trace: &Trace<FileOrBytes>,
    ) {
        let bytes = record.raw().bytes.len();
        self.processes.of(heading.process).add(bytes);
        if let Some(more) = &mut self.more {
            more.threads.of((heading.process, heading.thread)).add(bytes);
            more.lanes.of(record.lane()).add(bytes);
        }
        if let Some(ticks) = heading.ticks {
            self.rate.add_at(file, ticks, || trace.clock());
            self.extent.add(file, ticks);
        }
    }

    /// Learns what a record with extended items tells. Events that carry their own names are
    /// counted by these, one by one; whether this is one.
    fn add_by_own_name(&mut self, found: &Found<'_>, input: &Input, names: &mut Names) -> bool {
        let view = found.view;
        let bytes = found.record.raw().bytes.len();
        let extras = Extras::of(view);
        names.learn(view, &extras);
        if !extras.names {
            return false;
        }
        let event = input.given().describe(view);
        if event.source() != Source::TraceLogging {
            return false;
        }
        self.add_schema(event.source());
        self.add_id(view, event.name(), bytes);
        self.providers.entry(view.provider()).or_default().add(bytes);
        self.levels.entry(view.level()).or_default().add(bytes);
        true
    }

    /// Takes sums of what was counted, now that all is.
    fn sum_up(&mut self, inputs: &[Input]) {
        self.processes.rows().for_each(|(_, count)| self.all.join(count));
        self.span = self.extent.times(inputs);
    }

    fn add_schema(&mut self, source: Source) {
        *self.schemas.entry(source).or_default() += 1;
    }

    /// Asks for the names of all kinds, now that the schemas are known. Whether there are kinds of
    /// which each record must be asked.
    fn name_kinds(&mut self, decoders: &[Decoder]) -> bool {
        let mut kinds = std::mem::take(&mut self.kinds);
        let mut sources = Vec::new();
        for seen in &kinds.seen {
            let raw = seen.sample();
            let view = RecordView::parse(raw);
            let event = view.as_ref().ok().map(|view| decoders[seen.kind.file].describe(view));
            let name = event.as_ref().and_then(|event| event.name()).map(str::to_owned);
            sources.push((event.map_or(Source::None, |event| event.source()), name));
        }
        // What a payload of IIS looks like decides what it is called; a log that describes such
        // events may do so for any class.
        let is_iis = sources.iter().any(|(source, _)| *source == Source::Iis);
        for (seen, (source, name)) in kinds.seen.iter_mut().zip(&sources) {
            let n = seen.count;
            self.providers.entry(seen.kind.provider).or_default().join(n);
            self.levels.entry(seen.kind.level).or_default().join(n);
            let is_classic = matches!(seen.kind.header, CLASSIC | INSTANCE);
            let may_differ = matches!(source, Source::Iis | Source::None);
            seen.by_payload = is_iis && is_classic && may_differ;
            if seen.by_payload {
                continue;
            }
            *self.schemas.entry(*source).or_default() += n.events;
            match (name, seen.kind.provider) {
                (Some(name), Some(provider)) => {
                    let names = self.named.entry(provider).or_default();
                    names.entry(name.as_str().into()).or_default().join(n);
                }
                _ => {
                    let id = seen.kind.id();
                    let text = || (Count::default(), seen.text.clone());
                    self.ids.entry(id).or_insert_with(text).0.join(n);
                }
            }
        }
        let any = kinds.seen.iter().any(|seen| seen.by_payload);
        self.kinds = kinds;
        any
    }

    /// Asks for the names of all processes and threads, now that every record that tells one has
    /// been seen.
    fn name_processes(&mut self, decoders: &[Decoder]) {
        let name = |pid| decoders.iter().find_map(|decoder| decoder.process_name(pid, u64::MAX));
        let processes = self.processes.rows().filter_map(|(pid, _)| pid);
        self.process_names =
            processes.filter_map(|pid| Some((pid, name(pid)?.to_owned()))).collect();
        if let Some(more) = &mut self.more {
            let name = |tid| decoders.iter().find_map(|known| known.thread_name(tid, u64::MAX));
            let threads = more.threads.rows().filter_map(|((_, tid), _)| tid);
            let named = threads.filter_map(|tid| Some((tid, name(tid)?.to_owned())));
            more.thread_names = named.collect();
        }
    }

    /// Takes in what only its payload says of a record.
    fn look_into(&mut self, found: &Found<'_>, decoders: &[Decoder]) {
        let view = found.view;
        let event = decoders[found.file].describe(view);
        if let Some(coverage) = &mut self.decoded {
            coverage.add(view, &event);
        }
        if self.kinds.of(found, &Heading::of(view), || false).by_payload {
            self.add_schema(event.source());
            self.add_id(view, event.name(), found.record.raw().bytes.len());
        }
    }

    fn add_id(&mut self, view: &RecordView<'_>, name: Option<&str>, bytes: usize) {
        if let (Some(name), Some(provider)) = (name, view.provider()) {
            let names = self.named.entry(provider).or_default();
            match names.get_mut(name) {
                Some(count) => count.add(bytes),
                None => names.entry(name.into()).or_default().add(bytes),
            }
            return;
        }
        let id = (view.provider(), view.header_name(), view.id(), view.opcode());
        self.ids.entry(id).or_insert_with(|| (Count::default(), kind(view))).0.add(bytes);
    }

    fn json(&self, by: &[By], inputs: &[Input], names: &mut Names) -> Value {
        let mut report = json!({
            "files": inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
            "events": self.all.events,
            "bytes": self.all.bytes,
            "first": self.span.map(|(first, _)| text::time(first)),
            "last": self.span.map(|(_, last)| text::time(last)),
            "schemas": self.schemas.iter().map(|(source, events)| json!({
                "source": source.name(), "events": events,
            })).collect::<Vec<_>>(),
            "rate": self.rate.json(),
        });
        for by in by {
            report[by.key()] = self.table_json(*by, inputs, names);
        }
        if let Some(decoded) = &self.decoded {
            report["decoded"] = json!({
                "events": decoded.whole(),
                "sources": decoded.sources().map(|(source, n)| json!({
                    "source": source.name(), "events": n.records, "whole": n.whole,
                })).collect::<Vec<_>>(),
                "rest": decoded.reasons().map(|(reason, events)| json!({
                    "reason": reason.name(), "events": events,
                })).collect::<Vec<_>>(),
            });
        }
        self.losses.put_json(&mut report);
        report
    }

    fn text(&self, by: &[By], rows: usize, inputs: &[Input], names: &mut Names) -> String {
        let mut out = format!("{}, {}", counted(self.all.events, "event"), size(self.all.bytes));
        if let Some((first, last)) = self.span {
            let lasted = last.0.saturating_sub(first.0);
            let (first, last) = (text::time(first), text::time(last));
            let _ = write!(out, ", from {first} to {last} ({})", span(lasted));
        }
        out.push('\n');
        for by in by {
            self.table_text(*by, rows, inputs, names, &mut out);
        }
        match &self.decoded {
            Some(decoded) => self.decoded_text(decoded, &mut out),
            None => self.schemas_text(&mut out),
        }
        self.rate.text(&mut out);
        let mut name = "\nLOST";
        for loss in self.losses.lines() {
            let _ = writeln!(out, "{name:4}  {loss}");
            name = "";
        }
        out
    }
}

impl Stats {
    /// Where the schemas are from.
    fn schemas_text(&self, out: &mut String) {
        let _ = writeln!(out, "\n{:52} {:>13} {:>7}", "SCHEMA", "EVENTS", "SHARE");
        for (source, events) in &self.schemas {
            #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
            let share = *events as f64 * 100.0 / self.all.events.max(1) as f64;
            let _ = writeln!(out, "{:52} {:>13} {share:>6.1}%", source.name(), count(*events));
        }
    }

    /// How much was decoded, by where the schemas are from.
    fn decoded_text(&self, decoded: &Coverage, out: &mut String) {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let share = |part: u64, all: u64| part as f64 * 100.0 / all.max(1) as f64;
        let _ = writeln!(out, "\n{:52} {:>13} {:>7}", "DECODED, BY SCHEMA", "EVENTS", "WHOLE");
        for (source, n) in decoded.sources() {
            let whole = share(n.whole, n.records);
            let _ = writeln!(out, "{:52} {:>13} {whole:>6.1}%", source.name(), count(n.records));
        }
        let whole = share(decoded.whole(), self.all.events);
        let _ = writeln!(out, "{:52} {:>13} {whole:>6.1}%", "all", count(self.all.events));
        let mut heading = "\nNOT DECODED\n";
        for (reason, events) in decoded.reasons() {
            let help = match reason {
                Undecoded::Manifest => "; try --manifest or --binary",
                Undecoded::Class => "; try --mof",
                Undecoded::Message => "; try --tmf",
                _ => "",
            };
            let reason = format!("{}{help}", reason.name());
            let _ = writeln!(out, "{heading}{reason:58} {:>7}", count(events));
            heading = "";
        }
    }
}
