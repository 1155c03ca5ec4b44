//! `etlring stats`: how many events and bytes, from whom, when, and what was lost.
//!
//! One walk over the headers: records are counted by their kind, and what a kind is called is asked
//! once, when the schemas of the file are known, which may lie behind the events. Payloads are
//! decoded only on request, to say how much of them becomes fields.

use crate::input::{Input, open_with};
use crate::json::report;
use crate::kinds::{CLASSIC, Count, INSTANCE, Id, Kinds, Processes};
use crate::loss::Losses;
use crate::names::{Extras, Names, kind};
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::SelectArgs;
use crate::text::{self, count, counted, escaped, size, span};
use crate::threads::ThreadArgs;
use crate::walk::{Flow, Found, Order, walk_again, walk_seeing};
use etlring::codec::{RawRecord, RecordKind, RecordView, TickClock};
use etlring::format::{FileTime, Guid};
use etlring::schema::{Coverage, Decoder, Source, Undecoded};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::Hash;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring stats --level warning boot.etl")]
pub(crate) struct Args {
    /// Log files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object, with all rows
    #[arg(long)]
    json: bool,
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

/// Rows of a table in text; JSON has all.
const ROWS: usize = 20;
/// Columns of what a row is of, more where a name needs them.
const WIDTH: usize = 52;

/// Runs `stats`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut inputs = open_with(&args.files, &args.schemas.load()?)?;
    args.threads.give(&mut inputs)?;
    let start = inputs.iter().map(|input| input.trace.logfile().start_time()).min();
    let start = start.unwrap_or_default();
    let selection = args.select.resolve(start)?;
    let mut names = Names::default();
    let mut stats = Stats { rate: Rate::from(start), ..Stats::default() };
    for input in &inputs {
        stats.losses.add_log(input);
    }
    let mut decoders: Vec<Decoder> = inputs.iter().map(|input| input.given().clone()).collect();
    let outcome = walk_seeing(
        &inputs,
        Order::File,
        &selection,
        &mut names,
        |file, record| {
            if describes_events(record) {
                decoders[file].learn(record);
            }
        },
        |found, names| stats.add(found, &inputs, names),
    )?;
    for (input, decoder) in inputs.iter().zip(&decoders) {
        input.complain_of(decoder.refused(), "schemas", "their events are shown as bytes");
    }
    let by_payload = stats.name_kinds(&decoders);
    if by_payload || args.decode {
        stats.decoded = args.decode.then(Coverage::default);
        walk_again(&inputs, &selection, &mut names, |found| stats.look_into(found, &decoders))?;
    }
    stats.name_processes(&decoders);
    selection.complain_of_unseen();
    let report =
        if args.json { report(&stats.json(&inputs, &mut names)) } else { stats.text(&mut names) };
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(outcome)
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

#[derive(Default)]
struct Stats {
    all: Count,
    providers: HashMap<Option<Guid>, Count>,
    ids: HashMap<Id, (Count, String)>,
    named: HashMap<Guid, HashMap<Box<str>, Count>>,
    levels: HashMap<Option<u8>, Count>,
    processes: Processes,
    /// What they were called last, where a log says it.
    process_names: HashMap<u32, String>,
    kinds: Kinds,
    schemas: BTreeMap<Source, u64>,
    /// Of the payloads, if they were asked for.
    decoded: Option<Coverage>,
    rate: Rate,
    span: Option<(FileTime, FileTime)>,
    losses: Losses,
}

impl Stats {
    fn add(&mut self, found: &Found<'_>, inputs: &[Input], names: &mut Names) -> Flow {
        let view = found.view;
        let bytes = found.record.raw().bytes.len();
        self.all.add(bytes);
        self.processes.of(view.process_id()).add(bytes);
        let mut event = None;
        if view.has_items() {
            let extras = Extras::of(view);
            names.learn(view, &extras);
            // Events that carry their own names are named one by one.
            let own = extras.names.then(|| inputs[found.file].given().describe(view));
            event = own.filter(|event| event.source() == Source::TraceLogging);
        }
        let kind = match &event {
            Some(event) => {
                self.add_schema(event.source());
                self.add_id(view, event.name(), bytes);
                self.providers.entry(view.provider()).or_default().add(bytes);
                self.levels.entry(view.level()).or_default().add(bytes);
                None
            }
            None => Some(self.kinds.of(found)),
        };
        if let Some(ticks) = view.ticks() {
            let clock = inputs[found.file].trace.clock();
            self.rate.add_at(found.file, ticks, clock);
            let (first, last) = self.span.get_or_insert((found.time, found.time));
            (*first, *last) = ((*first).min(found.time), (*last).max(found.time));
        }
        if let Some(kind) = kind {
            kind.count.add(bytes);
            if kind.may_be_loss {
                self.losses.add_record(view, inputs[found.file].trace.clock());
            }
        }
        Ok(ControlFlow::Continue(()))
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

    /// Asks for the names of all processes, now that every record that tells one has been seen.
    fn name_processes(&mut self, decoders: &[Decoder]) {
        let name = |pid| decoders.iter().find_map(|decoder| decoder.process_name(pid, u64::MAX));
        let processes = self.processes.rows().filter_map(|(pid, _)| pid);
        self.process_names =
            processes.filter_map(|pid| Some((pid, name(pid)?.to_owned()))).collect();
    }

    fn process_name(&self, pid: Option<u32>) -> Option<&str> {
        self.process_names.get(&pid?).map(String::as_str)
    }

    /// Takes in what only its payload says of a record.
    fn look_into(&mut self, found: &Found<'_>, decoders: &[Decoder]) {
        let view = found.view;
        let event = decoders[found.file].describe(view);
        if let Some(coverage) = &mut self.decoded {
            coverage.add(view, &event);
        }
        if self.kinds.of(found).by_payload {
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

    /// Provider and name or kind of each sort of event.
    fn events(&self) -> Vec<((Option<Guid>, String), Count)> {
        let ids = self.ids.iter().map(|(id, (count, kind))| ((id.0, kind.clone()), *count));
        let named = self.named.iter().flat_map(|(provider, names)| {
            names.iter().map(|(name, count)| ((Some(*provider), name.to_string()), *count))
        });
        most_first(ids.chain(named))
    }

    fn json(&self, inputs: &[Input], names: &mut Names) -> Value {
        let row = |mut value: Value, count: Count| {
            value["events"] = count.events.into();
            value["bytes"] = count.bytes.into();
            value
        };
        let text = |guid: Option<Guid>| guid.map(|guid| guid.to_string());
        let mut name = |guid: Option<Guid>| guid.and_then(|g| names.provider(g).map(str::to_owned));
        let providers = most_first(copied(&self.providers)).into_iter();
        let providers: Vec<_> = providers
            .map(|(guid, count)| row(json!({"provider": text(guid), "name": name(guid)}), count))
            .collect();
        let ids: Vec<_> = self
            .events()
            .into_iter()
            .map(|((guid, event), count)| {
                let value =
                    json!({"provider": text(guid), "provider_name": name(guid), "event": event});
                row(value, count)
            })
            .collect();
        let levels: Vec<_> = most_first(copied(&self.levels)).into_iter().collect();
        let levels: Vec<_> =
            levels.into_iter().map(|(level, count)| row(json!({"level": level}), count)).collect();
        let processes: Vec<_> = most_first(self.processes.rows())
            .into_iter()
            .map(|(pid, count)| row(json!({"pid": pid, "name": self.process_name(pid)}), count))
            .collect();
        let mut report = json!({
            "files": inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
            "events": self.all.events,
            "bytes": self.all.bytes,
            "first": self.span.map(|(first, _)| text::time(first)),
            "last": self.span.map(|(_, last)| text::time(last)),
            "providers": providers,
            "ids": ids,
            "levels": levels,
            "processes": processes,
            "schemas": self.schemas.iter().map(|(source, events)| json!({
                "source": source.name(), "events": events,
            })).collect::<Vec<_>>(),
            "rate": self.rate.json(),
        });
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

    fn text(&self, names: &mut Names) -> String {
        let mut out = format!("{}, {}", counted(self.all.events, "event"), size(self.all.bytes));
        if let Some((first, last)) = self.span {
            let lasted = last.0.saturating_sub(first.0);
            let (first, last) = (text::time(first), text::time(last));
            let _ = write!(out, ", from {first} to {last} ({})", span(lasted));
        }
        out.push('\n');
        let mut provider = |guid: Option<Guid>| match guid {
            Some(guid) => match names.provider(guid) {
                Some(name) => escaped(name).to_string(),
                None => guid.to_string(),
            },
            None => "-".to_owned(),
        };
        let rows = most_first(copied(&self.providers)).into_iter();
        table(&mut out, "PROVIDER", self.all, rows.map(|(guid, n)| (provider(guid), n)));
        let rows = self
            .events()
            .into_iter()
            .map(|((guid, event), n)| (format!("{} / {}", provider(guid), escaped(&event)), n));
        table(&mut out, "EVENT", self.all, rows);
        let rows = most_first(copied(&self.levels)).into_iter().map(|(level, n)| {
            (level.map_or("-".to_owned(), |l| format!("{l} {}", text::level(l))), n)
        });
        table(&mut out, "LEVEL", self.all, rows);
        let process = |pid: Option<u32>| match (pid, self.process_name(pid)) {
            (None | Some(u32::MAX), _) => "-".to_owned(),
            (Some(pid), Some(name)) => format!("{pid:<10} {}", escaped(name)),
            (Some(pid), None) => pid.to_string(),
        };
        let rows = most_first(self.processes.rows()).into_iter();
        let rows = rows.map(|(pid, n)| (process(pid), n));
        table(&mut out, "PROCESS", self.all, rows);
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

fn copied<K: Copy>(counts: &HashMap<K, Count>) -> impl Iterator<Item = (K, Count)> + '_ {
    counts.iter().map(|(key, count)| (*key, *count))
}

/// Rows by events, most first; equal ones in the order of their keys, so that runs agree.
fn most_first<K: Ord + Hash>(rows: impl Iterator<Item = (K, Count)>) -> Vec<(K, Count)> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| b.1.events.cmp(&a.1.events).then_with(|| a.0.cmp(&b.0)));
    rows
}

fn table(
    out: &mut String,
    title: &str,
    all: Count,
    rows: impl ExactSizeIterator<Item = (String, Count)>,
) {
    let hidden = rows.len().saturating_sub(ROWS);
    let rows: Vec<_> = rows.take(ROWS).collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let width = width.max(WIDTH);
    let _ = writeln!(out, "\n{title:width$} {:>13} {:>7} {:>10}", "EVENTS", "SHARE", "BYTES");
    for (name, n) in rows {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let share = n.events as f64 * 100.0 / all.events.max(1) as f64;
        let (events, bytes) = (count(n.events), size(n.bytes));
        let _ = writeln!(out, "{name:width$} {events:>13} {share:>6.1}% {bytes:>10}");
    }
    if hidden > 0 {
        let _ = writeln!(out, "and {hidden} more");
    }
}

/// Events over time, in at most [`Rate::MOST`] steps: when there are more, two become one.
struct Rate {
    start: FileTime,
    /// Length of a step in 100 ns.
    step: i64,
    events: Vec<u64>,
    /// The step that was counted in last: file, first ticks, first ticks behind it, which step.
    lately: (usize, u64, u64, usize),
}

impl Default for Rate {
    fn default() -> Self {
        Self::from(FileTime(0))
    }
}

impl From<FileTime> for Rate {
    fn from(start: FileTime) -> Self {
        Self { start, step: Self::FIRST_STEP, events: Vec::new(), lately: (0, 0, 0, 0) }
    }
}

impl Rate {
    const MOST: usize = 40;
    const FIRST_STEP: i64 = 10_000;

    /// Counts an event at so many ticks. Events come in runs of one step: those are counted without
    /// a conversion.
    fn add_at(&mut self, file: usize, ticks: u64, clock: TickClock) {
        let (own, first, behind, at) = self.lately;
        if own == file && first <= ticks && ticks < behind {
            self.events[at] += 1;
            return;
        }
        let time = clock.file_time(ticks);
        self.add(time);
        let at = time.0.saturating_sub(self.start.0).max(0) / self.step;
        let from = self.start.0.saturating_add(at.saturating_mul(self.step));
        let to = from.saturating_add(self.step);
        let bounds = (clock.first_ticks(FileTime(from)), clock.first_ticks(FileTime(to)));
        self.lately = (file, bounds.0, bounds.1, usize::try_from(at).unwrap_or(usize::MAX));
    }

    fn add(&mut self, time: FileTime) {
        let since = time.0.saturating_sub(self.start.0).max(0);
        let mut at = usize::try_from(since / self.step).unwrap_or(usize::MAX);
        while at >= Self::MOST {
            self.events = self.events.chunks(2).map(|two| two.iter().sum()).collect();
            self.step = self.step.saturating_mul(2);
            at = usize::try_from(since / self.step).unwrap_or(usize::MAX);
        }
        if self.events.len() <= at {
            self.events.resize(at + 1, 0);
        }
        self.events[at] += 1;
    }

    fn steps(&self) -> impl Iterator<Item = (FileTime, u64)> + '_ {
        let mut from = self.start.0;
        self.events.iter().map(move |events| {
            let this = FileTime(from);
            from = from.saturating_add(self.step);
            (this, *events)
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds with fractions")]
    fn json(&self) -> Value {
        let seconds = self.step as f64 / 1e7;
        self.steps()
            .map(|(from, events)| {
                json!({"from": text::time(from), "seconds": seconds, "events": events})
            })
            .collect()
    }

    fn text(&self, out: &mut String) {
        const BAR: u64 = 40;
        let most = self.events.iter().copied().max().unwrap_or(0).max(1);
        let _ = writeln!(out, "\nRATE  events in each {}", span(self.step));
        for (from, events) in self.steps() {
            let bar = "#".repeat(usize::try_from((events * BAR).div_ceil(most)).unwrap_or(0));
            let line = format!("{}  {:>13}  {bar}", text::time(from), count(events));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_and_count_everything() {
        let mut rate = Rate::from(FileTime(0));
        for ms in 0..1000 {
            rate.add(FileTime(ms * 10_000));
        }
        rate.add(FileTime(-5));
        assert!(rate.events.len() <= Rate::MOST);
        assert_eq!(rate.events.iter().sum::<u64>(), 1001);
        assert_eq!(rate.step, 320_000);
        rate.add(FileTime(i64::MAX));
        assert_eq!(rate.events.iter().sum::<u64>(), 1002);
    }
}
