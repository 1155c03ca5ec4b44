//! `etlring stats`: how many events and bytes, from whom, when, and what was lost.

use crate::input::{Input, open_with};
use crate::json::report;
use crate::loss::Losses;
use crate::names::{Extras, Names, kind};
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::SelectArgs;
use crate::text::{self, count, counted, escaped, size, span};
use crate::walk::{Flow, Found, Order, walk};
use etlring::codec::RecordView;
use etlring::format::{FileTime, Guid};
use etlring::schema::{Coverage, Undecoded};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring stats --level 3 boot.etl")]
pub(crate) struct Args {
    /// Log files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object, with all rows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    schemas: SchemaArgs,
    #[command(flatten)]
    select: SelectArgs,
}

/// Rows of a table in text; JSON has all.
const ROWS: usize = 20;

/// Runs `stats`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let inputs = open_with(&args.files, &args.schemas.load()?)?;
    let start = inputs.iter().map(|input| input.trace.logfile().start_time()).min();
    let start = start.unwrap_or_default();
    let selection = args.select.resolve(start)?;
    let mut names = Names::default();
    let mut stats = Stats { rate: Rate::from(start), ..Stats::default() };
    for input in &inputs {
        stats.losses.add_log(input);
    }
    let outcome = walk(&inputs, Order::File, &selection, &mut names, |found, names| {
        stats.add(found, &inputs, names)
    })?;
    selection.complain_of_unseen();
    let report =
        if args.json { report(&stats.json(&inputs, &mut names)) } else { stats.text(&mut names) };
    std::io::stdout().write_all(report.as_bytes())?;
    Ok(outcome)
}

/// Events and the bytes they take in the log, headers included.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: u64,
    bytes: u64,
}

impl Count {
    fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }
}

/// What an event is, where it has no name.
type Id = (Option<Guid>, &'static str, Option<u16>, Option<u8>);

#[derive(Default)]
struct Stats {
    all: Count,
    providers: HashMap<Option<Guid>, Count>,
    ids: HashMap<Id, (Count, String)>,
    named: HashMap<Guid, HashMap<Box<str>, Count>>,
    levels: HashMap<Option<u8>, Count>,
    processes: HashMap<Option<u32>, Count>,
    decoded: Coverage,
    rate: Rate,
    span: Option<(FileTime, FileTime)>,
    losses: Losses,
}

impl Stats {
    fn add(&mut self, found: &Found<'_>, inputs: &[Input], names: &mut Names) -> Flow {
        let view = &found.view;
        let bytes = found.record.raw().bytes.len();
        let extras = Extras::of(view);
        names.learn(view, &extras);
        self.all.add(bytes);
        self.providers.entry(view.provider()).or_default().add(bytes);
        self.levels.entry(view.level()).or_default().add(bytes);
        self.processes.entry(view.process_id()).or_default().add(bytes);
        let event = inputs[found.file].decoder().describe(view);
        self.decoded.add(view, &event);
        self.add_id(view, event.name(), bytes);
        if view.ticks().is_some() {
            self.rate.add(found.time);
            let (first, last) = self.span.get_or_insert((found.time, found.time));
            (*first, *last) = ((*first).min(found.time), (*last).max(found.time));
        }
        self.losses.add_record(view, inputs[found.file].trace.clock());
        Ok(ControlFlow::Continue(()))
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
        let processes: Vec<_> = most_first(copied(&self.processes))
            .into_iter()
            .map(|(pid, count)| row(json!({"pid": pid}), count))
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
            "decoded": {
                "events": self.decoded.whole(),
                "sources": self.decoded.sources().map(|(source, n)| json!({
                    "source": source.name(), "events": n.records, "whole": n.whole,
                })).collect::<Vec<_>>(),
                "rest": self.decoded.reasons().map(|(reason, events)| json!({
                    "reason": reason.name(), "events": events,
                })).collect::<Vec<_>>(),
            },
            "rate": self.rate.json(),
        });
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
        let rows = most_first(copied(&self.processes)).into_iter().map(|(pid, n)| {
            (pid.filter(|pid| *pid != u32::MAX).map_or("-".to_owned(), |pid| pid.to_string()), n)
        });
        table(&mut out, "PROCESS", self.all, rows);
        self.decoded_text(&mut out);
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
    /// How much was decoded, by where the schemas are from.
    fn decoded_text(&self, out: &mut String) {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let share = |part: u64, all: u64| part as f64 * 100.0 / all.max(1) as f64;
        let _ = writeln!(out, "\n{:52} {:>13} {:>7}", "DECODED, BY SCHEMA", "EVENTS", "WHOLE");
        for (source, n) in self.decoded.sources() {
            let whole = share(n.whole, n.records);
            let _ = writeln!(out, "{:52} {:>13} {whole:>6.1}%", source.name(), count(n.records));
        }
        let whole = share(self.decoded.whole(), self.all.events);
        let _ = writeln!(out, "{:52} {:>13} {whole:>6.1}%", "all", count(self.all.events));
        let mut heading = "\nNOT DECODED\n";
        for (reason, events) in self.decoded.reasons() {
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
    let _ = writeln!(out, "\n{title:52} {:>13} {:>7} {:>10}", "EVENTS", "SHARE", "BYTES");
    for (name, n) in rows.take(ROWS) {
        #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
        let share = n.events as f64 * 100.0 / all.events.max(1) as f64;
        let (events, bytes) = (count(n.events), size(n.bytes));
        let _ = writeln!(out, "{name:52} {events:>13} {share:>6.1}% {bytes:>10}");
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
}

impl Default for Rate {
    fn default() -> Self {
        Self::from(FileTime(0))
    }
}

impl From<FileTime> for Rate {
    fn from(start: FileTime) -> Self {
        Self { start, step: Self::FIRST_STEP, events: Vec::new() }
    }
}

impl Rate {
    const MOST: usize = 40;
    const FIRST_STEP: i64 = 10_000;

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
