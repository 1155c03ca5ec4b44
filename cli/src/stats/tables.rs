//! Who logged how much: the tables of `stats`.

use super::Stats;
use crate::input::Input;
use crate::kinds::Count;
use crate::names::Names;
use crate::text::{self, count, escaped, size};
use clap::ValueEnum;
use etlring::format::{BufferFlags, Guid};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// What records are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// Provider or kernel class
    Provider,
    /// Provider with the event's name, or with its numbers where it has none
    Id,
    /// Level
    Level,
    /// Process that logged
    Process,
    /// Thread that logged, with its process
    Thread,
    /// Lane: the processor in a log from Windows. Its buffers, and those marked after losses
    Lane,
}

/// Which rows come first; those of lanes are in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// Those of the most events
    #[default]
    Events,
    /// Those of the most bytes
    Bytes,
}

impl By {
    const USUAL: [Self; 4] = [Self::Provider, Self::Id, Self::Level, Self::Process];

    /// Those that were asked for, each once; the usual ones if none was.
    pub(super) fn tables(asked: &[Self]) -> Vec<Self> {
        let mut tables = Vec::new();
        for by in if asked.is_empty() { &Self::USUAL } else { asked } {
            if !tables.contains(by) {
                tables.push(*by);
            }
        }
        tables
    }

    /// Its key in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Id => "ids",
            Self::Level => "levels",
            Self::Process => "processes",
            Self::Thread => "threads",
            Self::Lane => "lanes",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Provider => "PROVIDER",
            Self::Id => "EVENT",
            Self::Level => "LEVEL",
            Self::Process => "PROCESS",
            Self::Thread => "PROCESS    THREAD",
            Self::Lane => "LANE       BUFFERS",
        }
    }
}

/// Process and thread.
pub(super) type Thread = (Option<u32>, Option<u32>);

/// Columns of what a row is of, more where a name needs them.
const WIDTH: usize = 52;

/// What a row is of.
enum Row {
    Provider(Option<Guid>),
    Event(Option<Guid>, String),
    Level(Option<u8>),
    Process(Option<u32>),
    Thread(Thread),
    Lane(u16, Buffers),
}

/// The buffers of a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Buffers {
    all: u64,
    /// Those that events, or buffers, were lost before.
    after_events: u64,
    after_buffers: u64,
}

impl Stats {
    pub(super) fn table_json(&self, by: By, inputs: &[Input], names: &mut Names) -> Value {
        let row = |(row, n): (Row, Count)| {
            let mut value = self.row_json(&row, names);
            value["events"] = n.events.into();
            value["bytes"] = n.bytes.into();
            value
        };
        self.rows(by, inputs).into_iter().map(row).collect()
    }

    /// At most so many rows, and how many more there are.
    pub(super) fn table_text(
        &self,
        by: By,
        most: usize,
        inputs: &[Input],
        names: &mut Names,
        out: &mut String,
    ) {
        let rows = self.rows(by, inputs);
        let hidden = rows.len().saturating_sub(most);
        let rows = rows.iter().take(most);
        let rows: Vec<_> = rows.map(|(row, n)| (self.row_text(row, names), n)).collect();
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let (title, width) = (by.title(), width.max(WIDTH));
        let _ = writeln!(out, "\n{title:width$} {:>13} {:>7} {:>10}", "EVENTS", "SHARE", "BYTES");
        for (name, n) in rows {
            #[expect(clippy::cast_precision_loss, reason = "one digit is shown")]
            let share = n.events as f64 * 100.0 / self.all.events.max(1) as f64;
            let (events, bytes) = (count(n.events), size(n.bytes));
            let _ = writeln!(out, "{name:width$} {events:>13} {share:>6.1}% {bytes:>10}");
        }
        if hidden > 0 {
            let _ = writeln!(out, "and {} more", count(hidden as u64));
        }
    }

    /// As they are sorted; lanes by number.
    fn rows(&self, by: By, inputs: &[Input]) -> Vec<(Row, Count)> {
        fn of<K: Ord>(
            sort: Sort,
            rows: impl Iterator<Item = (K, Count)>,
            row: impl Fn(K) -> Row,
        ) -> Vec<(Row, Count)> {
            most_first(rows, sort).into_iter().map(|(key, n)| (row(key), n)).collect()
        }
        let sort = self.sort;
        match (by, &self.more) {
            (By::Provider, _) => of(sort, copied(&self.providers), Row::Provider),
            (By::Id, _) => of(sort, self.events(), |(guid, event)| Row::Event(guid, event)),
            (By::Level, _) => of(sort, copied(&self.levels), Row::Level),
            (By::Process, _) => of(sort, self.processes.rows(), Row::Process),
            (By::Thread, Some(more)) => of(sort, more.threads.rows(), Row::Thread),
            (By::Lane, Some(more)) => {
                let counts: BTreeMap<u16, Count> = more.lanes.rows().collect();
                let buffers = buffers_of(inputs);
                let of = |lane: &u16| buffers.get(lane).copied().unwrap_or_default();
                counts.iter().map(|(lane, n)| (Row::Lane(*lane, of(lane)), *n)).collect()
            }
            (By::Thread | By::Lane, None) => Vec::new(),
        }
    }

    /// Provider and name or kind of each sort of event.
    fn events(&self) -> impl Iterator<Item = ((Option<Guid>, String), Count)> + '_ {
        let ids = self.ids.iter().map(|(id, (count, kind))| ((id.0, kind.clone()), *count));
        let named = self.named.iter().flat_map(|(provider, names)| {
            names.iter().map(|(name, count)| ((Some(*provider), name.to_string()), *count))
        });
        ids.chain(named)
    }

    fn process_name(&self, pid: Option<u32>) -> Option<&str> {
        self.process_names.get(&pid?).map(String::as_str)
    }

    fn thread_name(&self, tid: Option<u32>) -> Option<&str> {
        self.more.as_ref()?.thread_names.get(&tid?).map(String::as_str)
    }

    fn row_json(&self, row: &Row, names: &mut Names) -> Value {
        let text = |guid: Option<Guid>| guid.map(|guid| guid.to_string());
        let mut name = |guid: Option<Guid>| guid.and_then(|g| names.provider(g).map(str::to_owned));
        match row {
            Row::Provider(guid) => json!({"provider": text(*guid), "name": name(*guid)}),
            Row::Event(guid, event) => {
                json!({"provider": text(*guid), "provider_name": name(*guid), "event": event})
            }
            Row::Level(level) => json!({"level": level}),
            Row::Process(pid) => json!({"pid": pid, "name": self.process_name(*pid)}),
            Row::Thread((pid, tid)) => json!({
                "pid": pid,
                "tid": tid,
                "name": self.process_name(*pid),
                "thread_name": self.thread_name(*tid),
            }),
            Row::Lane(lane, buffers) => json!({
                "lane": lane,
                "buffers": buffers.all,
                "marked_events_lost": buffers.after_events,
                "marked_buffers_lost": buffers.after_buffers,
            }),
        }
    }

    fn row_text(&self, row: &Row, names: &mut Names) -> String {
        let mut provider = |guid: Option<Guid>| match guid {
            Some(guid) => match names.provider(guid) {
                Some(name) => escaped(name).to_string(),
                None => guid.to_string(),
            },
            None => "-".to_owned(),
        };
        match row {
            Row::Provider(guid) => provider(*guid),
            Row::Event(guid, event) => format!("{} / {}", provider(*guid), escaped(event)),
            Row::Level(level) => {
                level.map_or("-".to_owned(), |l| format!("{l} {}", text::level(l)))
            }
            Row::Process(pid) => line(&[id(*pid)], &[self.process_name(*pid)]),
            Row::Thread((pid, tid)) => {
                let names = [self.process_name(*pid), self.thread_name(*tid)];
                line(&[id(*pid), id(*tid)], &names)
            }
            Row::Lane(lane, buffers) => {
                let marked = |number: u64, what: &str| {
                    (number > 0).then(|| format!("{} after lost {what}", count(number)))
                };
                let events = marked(buffers.after_events, "events");
                let lost = marked(buffers.after_buffers, "buffers");
                let columns = [lane.to_string(), count(buffers.all)];
                line(&columns, &[events.as_deref(), lost.as_deref()])
            }
        }
    }
}

/// A process or thread; no process is -1.
fn id(number: Option<u32>) -> String {
    number.filter(|number| *number != u32::MAX).map_or("-".to_owned(), |n| n.to_string())
}

/// Numbers in columns, and what is known beside them.
fn line(numbers: &[String], words: &[Option<&str>]) -> String {
    let mut line: String = numbers.iter().map(|number| format!("{number:<10} ")).collect();
    let words: Vec<_> = words.iter().flatten().map(|word| escaped(word).to_string()).collect();
    line.push_str(&words.join(", "));
    line.truncate(line.trim_end().len());
    line
}

fn buffers_of(inputs: &[Input]) -> HashMap<u16, Buffers> {
    let mut lanes: HashMap<u16, Buffers> = HashMap::new();
    for entry in inputs.iter().flat_map(|input| input.trace.buffers()) {
        let lane = lanes.entry(entry.lane).or_default();
        lane.all += 1;
        lane.after_events += u64::from(entry.flags.has(BufferFlags::EVENTS_LOST));
        lane.after_buffers += u64::from(entry.flags.has(BufferFlags::BUFFER_LOST));
    }
    lanes
}

fn copied<K: Copy>(counts: &HashMap<K, Count>) -> impl Iterator<Item = (K, Count)> + '_ {
    counts.iter().map(|(key, count)| (*key, *count))
}

/// Rows by events or bytes, most first; equal ones in the order of their keys, so that runs agree.
fn most_first<K: Ord>(rows: impl Iterator<Item = (K, Count)>, sort: Sort) -> Vec<(K, Count)> {
    let most = |n: &Count| match sort {
        Sort::Events => n.events,
        Sort::Bytes => n.bytes,
    };
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by(|a, b| most(&b.1).cmp(&most(&a.1)).then_with(|| a.0.cmp(&b.0)));
    rows
}
