//! The trace-event format of Chrome and Perfetto: JSON that their viewers open.
//!
//! | record | event |
//! |---|---|
//! | opcode `Start` and its `Stop` | one `X` on the thread where they nest, else a pair `b`, `e` |
//! | `Start` that was never stopped | `b` alone: it did not end |
//! | `Stop` without a start; `Start` that the next one tells again in another version | `i` |
//! | context switch | `X` on the track of its processor, from the switch before: who ran |
//! | `StackWalk` | none: it is a part of another event |
//! | any other | `i` on its thread, or on the track of its processor if it names none |
//!
//! Names of processes, threads and processors are `M` events. Times are microseconds since the log
//! started, with nanoseconds behind the point: since 1970 they would be more than a double holds.
//! Kernel events keep their own words for the life of processes and threads and make no spans.
//!
//! # Bounds
//!
//! Starts that wait are bounded ([`MOST_OPEN`](super::spans::MOST_OPEN)), so are processors
//! (65,536); everything else is written at once.

use crate::export::spans::{Key, Open, Spans, Thread};
use crate::export::{Entry, fields::JsonFields, json, title};
use crate::format::{Group, Guid};
use crate::schema::{Decoder, Shape, Source, Value, Visitor};
use std::collections::{HashMap, HashSet};
use std::io::Write;

/// The process of the tracks of processors. Windows' own process ids are multiples of 4.
const PROCESSORS: u32 = 0x7FFF_FFFF;
/// Processes and threads whose names are known to be written.
const MOST_NAMED: usize = 1 << 17;
/// Windows writes this where it knows no process or thread.
const NOBODY: u32 = u32::MAX;

const START: u8 = 1;
const STOP: u8 = 2;

/// Writes one trace. Keep the order: [`head`](Self::head), events, [`tail`](Self::tail).
#[derive(Debug)]
pub struct Chrome {
    start_nanos: i128,
    empty: bool,
    spans: Spans,
    /// Who runs on each processor, and since when.
    running: HashMap<u16, (u32, i128)>,
    named: HashSet<Track>,
    fields: JsonFields,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Track {
    Process(u32),
    Thread(Thread),
}

impl Chrome {
    /// Of a log that started at this time, in nanoseconds since 1970.
    #[must_use]
    pub fn new(start_nanos: i128) -> Self {
        Self {
            start_nanos,
            empty: true,
            spans: Spans::default(),
            running: HashMap::new(),
            named: HashSet::new(),
            fields: JsonFields::default(),
            text: Vec::new(),
        }
    }

    /// What stands before the first event.
    pub fn head(&mut self, out: &mut Vec<u8>) {
        put(out, format_args!("{{\"displayTimeUnit\":\"ns\",\"otherData\":{{"));
        put(out, format_args!("\"start_unix_nanos\":\"{}\"}},\"traceEvents\":[", self.start_nanos));
    }

    /// One record, logged `nanos` nanoseconds after 1970; `decoder` knows who is who.
    pub fn event(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_, '_>,
        nanos: i128,
        decoder: &Decoder,
    ) {
        const STACK_WALK: Group = Group(0x18);
        const THREADS: Group = Group(5);
        const CSWITCH: u8 = 36;
        let group = entry.view.group();
        if group == Some(STACK_WALK) {
            return;
        }
        let nanos = nanos.saturating_sub(self.start_nanos);
        if (group, entry.view.opcode()) == (Some(THREADS), Some(CSWITCH)) {
            let mut switch = Switch::default();
            let _ = entry.event.walk(&mut switch);
            if let (Some(old), Some(new)) = (switch.old, switch.new) {
                self.switch(out, entry, nanos, decoder, (old, new));
                return;
            }
        }
        let thread = self.thread_of(entry, decoder);
        self.name_track(out, thread, entry, decoder);
        match (group, entry.view.opcode()) {
            (None, Some(START)) => self.start(out, entry, nanos, thread),
            (None, Some(STOP)) => self.stop(out, entry, nanos, thread),
            _ => self.instant(out, entry, nanos, thread),
        }
    }

    /// What stands behind the last event.
    pub fn tail(&mut self, out: &mut Vec<u8>) {
        for (number, open) in self.spans.drain() {
            self.begin_only(out, number, &open);
        }
        out.extend_from_slice(b"\n]}\n");
    }

    /// Process and thread of an event; its processor's track if it has none.
    fn thread_of(&self, entry: &Entry<'_, '_>, decoder: &Decoder) -> Thread {
        let known = |id: Option<u32>| id.filter(|id| *id != NOBODY);
        let (process, thread) = (known(entry.view.process_id()), known(entry.view.thread_id()));
        if let (Some(process), Some(thread)) = (process, thread) {
            return (process, thread);
        }
        let mut named = Named::default();
        if entry.view.group().is_some() {
            let _ = entry.event.walk(&mut named);
        }
        let ticks = entry.view.ticks().unwrap_or_default();
        let thread = thread.or(named.thread);
        let owner = || thread.and_then(|thread| decoder.process_of_thread(thread, ticks));
        match (process.or(named.process).or_else(owner), thread) {
            (Some(process), thread) => (process, thread.unwrap_or(0)),
            (None, Some(thread)) => (0, thread),
            (None, None) => (PROCESSORS, u32::from(entry.lane)),
        }
    }

    fn instant(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>, nanos: i128, thread: Thread) {
        self.begin(out);
        json::string(out, &title(entry));
        category(out, entry);
        out.extend_from_slice(b",\"ph\":\"i\",\"s\":\"t\"");
        place(out, nanos, thread);
        out.extend_from_slice(b",\"args\":");
        arguments(out, entry, &mut self.fields);
        out.push(b'}');
    }

    fn start(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>, nanos: i128, thread: Thread) {
        self.text.clear();
        let title = title(entry);
        json::string(&mut self.text, stem(&title));
        category(&mut self.text, entry);
        let split = self.text.len();
        arguments(&mut self.text, entry, &mut self.fields);
        let text = self.text.as_slice().into();
        let event = (entry.view.id().unwrap_or(0), entry.view.version().unwrap_or(0));
        let open = Open { nanos, thread, event, text, arguments: split };
        let key = key(entry, thread, &title);
        if let Some(twin) = self.spans.twin(&key, &open) {
            self.begin(out);
            out.extend_from_slice(head(&twin));
            out.extend_from_slice(b",\"ph\":\"i\",\"s\":\"t\"");
            place(out, twin.nanos, twin.thread);
            out.extend_from_slice(b",\"args\":");
            out.extend_from_slice(tail(&twin));
            out.push(b'}');
        }
        for (number, open) in self.spans.start(key, open) {
            self.begin_only(out, number, &open);
        }
    }

    fn stop(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>, nanos: i128, thread: Thread) {
        let title = title(entry);
        let Some(closed) = self.spans.stop(&key(entry, thread, &title), thread) else {
            self.instant(out, entry, nanos, thread);
            return;
        };
        let open = &closed.open;
        if closed.nested {
            self.begin(out);
            out.extend_from_slice(head(open));
            out.extend_from_slice(b",\"ph\":\"X\",\"dur\":");
            micros(out, nanos.saturating_sub(open.nanos).max(0));
            place(out, open.nanos, open.thread);
            out.extend_from_slice(b",\"args\":{\"start\":");
            out.extend_from_slice(tail(open));
            out.extend_from_slice(b",\"stop\":");
            arguments(out, entry, &mut self.fields);
            out.extend_from_slice(b"}}");
            return;
        }
        self.begin_only(out, closed.number, open);
        self.begin(out);
        out.extend_from_slice(head(open));
        put(out, format_args!(",\"ph\":\"e\",\"id\":\"{:#x}\"", closed.number));
        // The pair is one track of the process where it began.
        place(out, nanos.max(open.nanos), open.thread);
        out.extend_from_slice(b",\"args\":{\"stop\":");
        arguments(out, entry, &mut self.fields);
        out.extend_from_slice(b"}}");
    }

    /// The beginning of a span that does not nest, or that never ended.
    fn begin_only(&mut self, out: &mut Vec<u8>, number: u64, open: &Open) {
        self.begin(out);
        out.extend_from_slice(head(open));
        put(out, format_args!(",\"ph\":\"b\",\"id\":\"{number:#x}\""));
        place(out, open.nanos, open.thread);
        out.extend_from_slice(b",\"args\":{\"start\":");
        out.extend_from_slice(tail(open));
        out.extend_from_slice(b"}}");
    }

    /// A processor goes from one thread to another.
    fn switch(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_, '_>,
        nanos: i128,
        decoder: &Decoder,
        (old, new): (u32, u32),
    ) {
        let track = (PROCESSORS, u32::from(entry.lane));
        self.name_track(out, track, entry, decoder);
        let since = self.running.insert(entry.lane, (new, nanos));
        // Thread 0 is idle. The thread that ran before the first switch did so since nobody knows.
        let Some((_, since)) = since.filter(|(thread, _)| *thread == old && old != 0) else {
            return;
        };
        let ticks = entry.view.ticks().unwrap_or_default();
        let process = decoder.process_of_thread(old, ticks);
        let name = process.and_then(|process| decoder.process_name(process, ticks));
        self.begin(out);
        json::string(out, name.unwrap_or("thread"));
        // The name of a track's slice stands without its thread, so that colours are by process.
        put(out, format_args!(",\"cat\":\"CSwitch\",\"ph\":\"X\",\"dur\":"));
        micros(out, nanos.saturating_sub(since).max(0));
        place(out, since, track);
        put(out, format_args!(",\"args\":{{\"tid\":{old}"));
        if let Some(process) = process {
            put(out, format_args!(",\"pid\":{process}"));
        }
        if let Some(name) = decoder.thread_name(old, ticks) {
            json::key(out, "thread_name");
            json::string(out, name);
        }
        out.extend_from_slice(b",\"switch\":");
        arguments(out, entry, &mut self.fields);
        out.extend_from_slice(b"}}");
    }

    /// `M` events, once for each process and thread.
    fn name_track(
        &mut self,
        out: &mut Vec<u8>,
        thread: Thread,
        entry: &Entry<'_, '_>,
        decoder: &Decoder,
    ) {
        if self.named.contains(&Track::Thread(thread)) {
            return;
        }
        if self.named.len() >= MOST_NAMED {
            // Names written again do no harm.
            self.named.clear();
        }
        self.named.insert(Track::Thread(thread));
        let ticks = entry.view.ticks().unwrap_or_default();
        let (process, number) = thread;
        let processor = format!("CPU {number}");
        let (of_process, of_thread) = if process == PROCESSORS {
            (Some("Processors"), Some(&*processor))
        } else {
            (decoder.process_name(process, ticks), decoder.thread_name(number, ticks))
        };
        if self.named.insert(Track::Process(process)) {
            if let Some(name) = of_process {
                self.name(out, "process_name", thread, name);
            }
            if process == PROCESSORS {
                self.begin(out);
                out.extend_from_slice(b"\"process_sort_index\",\"ph\":\"M\"");
                place(out, 0, thread);
                out.extend_from_slice(b",\"args\":{\"sort_index\":-1}}");
            }
        }
        if let Some(name) = of_thread {
            self.name(out, "thread_name", thread, name);
        }
    }

    fn name(&mut self, out: &mut Vec<u8>, what: &str, thread: Thread, name: &str) {
        self.begin(out);
        json::string(out, what);
        out.extend_from_slice(b",\"ph\":\"M\"");
        place(out, 0, thread);
        out.extend_from_slice(b",\"args\":{\"name\":");
        json::string(out, name);
        out.extend_from_slice(b"}}");
    }

    /// The comma before an event, and its first key.
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.empty { b"\n{\"name\":" } else { b",\n{\"name\":" });
        self.empty = false;
    }
}

/// Name and category of a start.
fn head(open: &Open) -> &[u8] {
    &open.text[..open.arguments]
}

/// Arguments of a start.
fn tail(open: &Open) -> &[u8] {
    &open.text[open.arguments..]
}

/// What an event has in common with its counterpart.
fn key(entry: &Entry<'_, '_>, thread: Thread, title: &str) -> Key {
    let activity = entry.view.activity_id().unwrap_or(Guid::ZERO);
    let task = entry.view.descriptor().map_or(0, |descriptor| descriptor.task.get());
    let stem = if task == 0 { stem(title) } else { "" };
    Key {
        provider: entry.view.provider().unwrap_or(Guid::ZERO),
        task,
        activity,
        thread: (activity == Guid::ZERO).then(|| (thread, stem.into())),
    }
}

/// A name without what says that it is a beginning or an end.
fn stem(name: &str) -> &str {
    const ENDS: [&str; 6] = ["Start", "Stop", "Begin", "End", "Started", "Stopped"];
    let stem = ENDS.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let stem = stem.trim_end_matches(['/', '_', ' ', '.', ':']);
    if stem.is_empty() { name } else { stem }
}

fn category(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    json::key(out, "cat");
    // A category is a list: a comma would make two of one.
    let name = entry.event.provider_name().unwrap_or("unknown");
    if name.contains(',') {
        json::string(out, &name.replace(',', " "));
    } else {
        json::string(out, name);
    }
}

/// Time, process and thread.
fn place(out: &mut Vec<u8>, nanos: i128, (process, thread): Thread) {
    json::key(out, "ts");
    micros(out, nanos);
    put(out, format_args!(",\"pid\":{process},\"tid\":{thread}"));
}

/// Nanoseconds as microseconds, nothing rounded.
fn micros(out: &mut Vec<u8>, nanos: i128) {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    put(out, format_args!("{sign}{}.{:03}", nanos / 1000, nanos % 1000));
}

/// What an event says: a JSON object.
fn arguments(out: &mut Vec<u8>, entry: &Entry<'_, '_>, fields: &mut JsonFields) {
    let view = entry.view;
    out.extend_from_slice(b"{\"id\":");
    json::optional(out, view.id());
    json::key(out, "opcode");
    json::optional(out, view.opcode());
    json::key(out, "level");
    json::optional(out, view.level());
    json::key(out, "cpu");
    json::number(out, u64::from(entry.lane));
    if let Some(provider) = view.provider() {
        json::key(out, "provider");
        json::guid(out, provider);
    }
    if let Some(activity) = view.activity_id().filter(|activity| *activity != Guid::ZERO) {
        json::key(out, "activity");
        json::guid(out, activity);
    }
    if entry.event.source() == Source::Tmf {
        if let Some(message) = entry.event.message() {
            json::key(out, "message");
            json::string(out, &message);
        }
    }
    json::key(out, "fields");
    let walked = fields.write(out, entry.event);
    let rest = walked.map_or(entry.event.payload(), |walked| walked.rest);
    if !rest.is_empty() {
        json::key(out, "rest");
        json::hex_bytes(out, rest);
    }
    out.push(b'}');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}

fn number(value: &Value<'_>) -> Option<u32> {
    value.to_count().and_then(|number| u32::try_from(number).ok())
}

/// The threads of a context switch.
#[derive(Default)]
struct Switch {
    old: Option<u32>,
    new: Option<u32>,
}

impl Visitor for Switch {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        match name {
            "OldThreadId" => self.old = number(value),
            "NewThreadId" => self.new = number(value),
            _ => {}
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}

/// Process and thread that a kernel event without them in its header names in its fields.
#[derive(Default)]
struct Named {
    process: Option<u32>,
    thread: Option<u32>,
}

impl Visitor for Named {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        match name {
            "ProcessId" | "PID" => self.process = self.process.or(number(value)),
            "ThreadId" | "TThreadId" | "IssuingThreadId" => {
                self.thread = self.thread.or(number(value));
            }
            _ => {}
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
