//! `etlring dump`: one line per event.

use crate::heads::Heads;
use crate::input::{Input, open_with};
use crate::json::{self, Lines};
use crate::loss;
use crate::names::{self, Extras, Names};
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::SelectArgs;
use crate::stacks::Joiner;
use crate::text::{self, Colors, Times, escaped};
use crate::threads::ThreadArgs;
use crate::walk::{Flow, Found, Order, walk};
use clap::ValueEnum;
use etlring::codec::{LossRecord, RecordHeader, RecordView};
use etlring::export::csv::{self, Csv};
use etlring::export::fields::{JsonFields, text_fields};
use etlring::export::{Entry, xml};
use etlring::format::Guid;
use etlring::schema::{Description, Source};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Arguments of `dump`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring dump --format jsonl --provider Thread --from 1.5 boot.etl\n\n\
An event of which no name is known is shown by its numbers: id, opcode (op), task and version (v), \
the last two where they are not 0; --fields finds more names."
)]
pub(crate) struct Args {
    /// Log files; - is standard input. Several are merged in time order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How each event is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
    /// Which order events come in
    #[arg(long, value_enum, default_value = "time", value_name = "ORDER")]
    order: Order,
    /// Stop after this many events and do not look for damage behind them; 0 shows none and looks
    /// at all
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    show: ShowArgs,
}

/// Which events are shown, and what of them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Decode the fields of events, and name them by what the log says of them; given schemas imply
    /// it
    #[arg(long)]
    fields: bool,
    /// Write payloads as hex
    #[arg(long)]
    pub(crate) payload: bool,
    #[command(flatten)]
    pub(crate) schemas: SchemaArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
}

impl ShowArgs {
    /// Whether fields are decoded.
    pub(crate) fn fields(&self) -> bool {
        self.fields || !self.schemas.is_empty()
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for people: time, lane, process, thread, level, provider, event, bytes
    Text,
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values, always with fields
    Csv,
    /// The elements of tracerpt, always with fields and never with --payload
    Xml,
}

/// Runs `dump`.
pub(crate) fn run(args: &Args, colors: Colors) -> Result<Outcome, Failure> {
    let show = &args.show;
    if show.payload && args.format == Format::Xml {
        return Err(Failure::new(
            "--payload has no place in the elements of xml; give --format jsonl or csv",
        ));
    }
    let mut inputs = open_with(&args.files, &show.schemas.load()?)?;
    args.threads.give(&mut inputs)?;
    let start = inputs.iter().map(|input| input.trace.logfile().start_time()).min();
    let selection = show.select.resolve(start.unwrap_or_default())?;
    let stdout = std::io::stdout();
    let mut lines = Lines::new(stdout.lock());
    let mut writer = Writer::new(&inputs, show.payload, show.fields(), colors);
    if args.format == Format::Jsonl && writer.fields {
        let (from, by_time) = (selection.filter.from, args.order == Order::Time);
        writer.stacks = inputs.iter().map(|input| Joiner::new(input, from, by_time)).collect();
    }
    match args.format {
        Format::Text if stdout.is_terminal() => {
            writer.heading(&mut lines.text);
            lines.end()?;
        }
        Format::Csv => {
            lines.text.extend_from_slice(csv::HEADER.as_bytes());
            lines.text.extend_from_slice(if show.payload { b",payload" } else { b"" });
            lines.end()?;
        }
        Format::Xml => lines.text.extend_from_slice(xml::HEAD.as_bytes()),
        _ => {}
    }

    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut each = |found: &Found<'_>, names: &mut Names| -> Flow {
        if left == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        match args.format {
            Format::Jsonl => writer.object(&mut lines.text, found, names),
            Format::Text => writer.row(&mut lines.text, found, names),
            Format::Csv | Format::Xml => writer.entry(&mut lines.text, found, args.format),
        }
        lines.end()?;
        left -= 1;
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let outcome = walk(&inputs, args.order, &selection, &mut Names::default(), &mut each);
    if args.format == Format::Xml {
        lines.text.extend_from_slice(xml::TAIL.as_bytes());
    }
    lines.flush()?;
    // Behind the limit there may be some.
    if outcome.is_ok() && (left > 0 || args.limit == Some(0)) {
        selection.complain_of_unseen();
    }
    outcome
}

/// Writes events as text or as JSON.
pub(crate) struct Writer<'i> {
    inputs: &'i [Input],
    payload: bool,
    fields: bool,
    colors: Colors,
    many_files: bool,
    /// The records are a part of a log of buffers of this size.
    part_of: Option<u32>,
    times: Times,
    json: JsonFields,
    heads: Heads,
    csv: Csv,
    /// Scratch.
    hex: Vec<u8>,
    /// One for each input, where fields are wanted.
    stacks: Vec<Joiner<'i>>,
}

impl<'i> Writer<'i> {
    /// Of records of `inputs`.
    pub(crate) fn new(inputs: &'i [Input], payload: bool, fields: bool, colors: Colors) -> Self {
        Self {
            inputs,
            payload,
            fields,
            colors,
            many_files: inputs.len() > 1,
            part_of: None,
            times: Times::default(),
            json: JsonFields::default(),
            heads: Heads::default(),
            csv: Csv::default(),
            hex: Vec::new(),
            stacks: Vec::new(),
        }
    }

    /// Of records that are a part of a log.
    pub(crate) fn of_part(
        inputs: &'i [Input],
        payload: bool,
        fields: bool,
        colors: Colors,
    ) -> Self {
        let size = inputs.first().map(|input| input.trace.logfile().buffer_size());
        Self { part_of: size, ..Self::new(inputs, payload, fields, colors) }
    }

    /// One JSON object, without its line end.
    pub(crate) fn object(&mut self, out: &mut Vec<u8>, found: &Found<'_>, names: &mut Names) {
        let view = found.view;
        let extras = self.extras_of(view, names);
        out.extend_from_slice(b"{\"buffer\":");
        json::optional(out, self.place(found));
        out.extend_from_slice(b",\"lane\":");
        json::number(out, u64::from(found.record.lane()));
        out.extend_from_slice(self.heads.head(view));
        out.extend_from_slice(b",\"pid\":");
        json::optional(out, view.process_id());
        out.extend_from_slice(b",\"tid\":");
        json::optional(out, view.thread_id());
        self.when(out, found);
        payload(out, view, self.payload);
        event_keys(out, view);
        if let Some(related) = extras.related {
            json::key(out, "related");
            json::guid(out, related);
        }
        match self.stacks.get_mut(found.file) {
            Some(joiner) => {
                if let Some(found) = joiner.of(view) {
                    stack(out, found.addresses.iter().copied());
                }
            }
            None => {
                if let Some(own) = extras.stack {
                    stack(out, own.addresses());
                }
            }
        }
        if let Some(loss) = LossRecord::of(view) {
            json::key(out, "loss");
            let clock = self.inputs[found.file].trace.clock();
            out.extend_from_slice(loss::object(&loss, clock).to_string().as_bytes());
        }
        if self.fields {
            self.decoded(out, found, extras.names, names);
        } else {
            let event = || self.inputs[found.file].given().describe(view);
            let mut write = |out: &mut Vec<u8>| event_names(out, &event(), view, names);
            if extras.names {
                write(out);
            } else {
                out.extend_from_slice(self.heads.names(found.file, write));
            }
        }
        if self.many_files {
            json::key(out, "file");
            json::string(out, &self.inputs[found.file].name);
        }
        out.push(b'}');
    }

    /// What the items of an event say; nothing else has items.
    fn extras_of<'a>(&mut self, view: &RecordView<'a>, names: &mut Names) -> Extras<'a> {
        if !matches!(view.header(), RecordHeader::Event(_)) {
            return Extras::default();
        }
        let extras = Extras::of(view);
        if names.learn(view, &extras) {
            self.heads.forget_names();
        }
        extras
    }

    /// Which buffer of the file holds a record; of a part of a log that is found by its position,
    /// and not known while the buffer lies in the ring.
    fn place(&self, found: &Found<'_>) -> Option<u64> {
        match self.part_of {
            None => Some(found.record.buffer_index() as u64),
            Some(_) if found.record.buffer().in_ring() => None,
            Some(size) => found.record.position().checked_div(u64::from(size)),
        }
    }

    /// `provider_name`, `name`, `fields`, and what no field took.
    fn decoded(
        &mut self,
        out: &mut Vec<u8>,
        found: &Found<'_>,
        own_names: bool,
        names: &mut Names,
    ) {
        let view = found.view;
        let decoder = self.inputs[found.file].decoder();
        let event = decoder.describe(view);
        let ticks = view.ticks().unwrap_or_default();
        let process = view.process_id().and_then(|pid| decoder.process_name(pid, ticks));
        if let Some(name) = process {
            json::key(out, "process_name");
            json::string(out, name);
        }
        if let Some(name) = view.thread_id().and_then(|tid| decoder.thread_name(tid, ticks)) {
            json::key(out, "thread_name");
            json::string(out, name);
        }
        if own_names {
            event_names(out, &event, view, names);
        } else {
            let names = self.heads.names(found.file, |out| event_names(out, &event, view, names));
            out.extend_from_slice(names);
        }
        // Of a manifest event the fields say the same in fewer words.
        if let Some(message) = message_of(&event) {
            json::key(out, "message");
            json::string(out, &message);
        }
        out.extend_from_slice(b",\"fields\":");
        let walked = self.json.write(out, &event);
        let rest = walked.map_or(event.payload(), |walked| walked.rest);
        if !rest.is_empty() {
            json::key(out, "rest");
            json::hex_bytes(out, rest);
        }
        if let Some(error) = walked.and_then(|walked| walked.error) {
            json::key(out, "decode_error");
            json::string(out, &error.to_string());
        }
    }

    /// A row of values or an element; both hold fields in any case.
    fn entry(&mut self, out: &mut Vec<u8>, found: &Found<'_>, format: Format) {
        let input = &self.inputs[found.file];
        let view = found.view;
        let decoder = input.decoder();
        let ticks = view.ticks().unwrap_or_default();
        let entry = Entry {
            view,
            event: &decoder.describe(view),
            time: found.time(),
            lane: found.record.lane(),
            buffer_index: found.record.buffer_index(),
            process_name: view.process_id().and_then(|pid| decoder.process_name(pid, ticks)),
            timer_resolution: input.trace.logfile().timer_resolution(),
        };
        if format == Format::Xml {
            return xml::event(out, &entry);
        }
        self.csv.row(out, &entry);
        if self.payload {
            // Digits need no quotes.
            out.push(b',');
            self.hex.clear();
            json::hex_bytes(&mut self.hex, view.payload());
            out.extend(self.hex.iter().filter(|byte| **byte != b'"'));
        }
    }

    /// `ticks`, `filetime` and `time`.
    fn when(&mut self, out: &mut Vec<u8>, found: &Found<'_>) {
        let ticks = found.view.ticks();
        out.extend_from_slice(b",\"ticks\":");
        json::optional(out, ticks);
        out.extend_from_slice(b",\"filetime\":");
        if ticks.is_some() {
            self.times.push_both(out, found.time());
            out.push(b'"');
        } else {
            out.extend_from_slice(b"null");
        }
    }

    fn heading(&self, out: &mut Vec<u8>) {
        let line = format!(
            "{:28}  {:>4} {:>6} {:>6}  {:8} {:38} {:28} {:>9}",
            "TIME (UTC)", "LANE", "PID", "TID", "LEVEL", "PROVIDER", "EVENT", "PAYLOAD"
        );
        out.extend_from_slice(self.colors.paint("1", line.trim_end()).as_bytes());
    }

    /// One line of columns, without its end.
    pub(crate) fn row(&mut self, out: &mut Vec<u8>, found: &Found<'_>, names: &mut Names) {
        let view = found.view;
        self.extras_of(view, names);
        let input = &self.inputs[found.file];
        let decoder = if self.fields { input.decoder() } else { input.given() };
        let described = decoder.describe(view);
        self.times.push(out, found.time());
        let number = |n: Option<u32>| {
            n.map_or("-".to_owned(), |n| match n {
                u32::MAX => "-".to_owned(),
                n => n.to_string(),
            })
        };
        let level = view.level().filter(|level| *level != 0);
        let level_text = format!("{:8}", level.map_or("", text::level));
        let provider = match view.provider() {
            Some(guid) => match described.provider_name().or_else(|| names.provider(guid)) {
                Some(name) => escaped(name).to_string(),
                None => guid.to_string(),
            },
            None => "-".to_owned(),
        };
        let own = described.name().filter(|name| !name.is_empty());
        let event = match (LossRecord::of(view), own) {
            (Some(loss), _) => loss::describe(&loss, input.trace.clock()),
            (None, Some(name)) => {
                format!("{}{}", escaped(name), names::opcode_beside(view, &described))
            }
            (None, None) => names::kind(view),
        };
        // Writing into a vector cannot fail.
        let _ = write!(
            out,
            "  {:>4} {:>6} {:>6}  {} {:38} {:28} {:>9}",
            found.record.lane(),
            number(view.process_id()),
            number(view.thread_id()),
            self.colors.level(view.level(), &level_text),
            self.colors.paint("36", &format!("{provider:38}")),
            event,
            text::size(view.payload().len() as u64),
        );
        if self.fields {
            text_of_fields(out, &described);
        }
        if self.payload {
            out.extend_from_slice(b"  ");
            json::hex_bytes(out, view.payload());
        }
        if self.many_files {
            let _ = write!(out, "  {}", escaped(&self.inputs[found.file].name));
        }
    }
}

/// `provider_name` and `name`.
fn event_names(
    out: &mut Vec<u8>,
    event: &Description<'_>,
    view: &RecordView<'_>,
    names: &mut Names,
) {
    let name = match (event.provider_name(), view.provider()) {
        (None, Some(guid)) => names.provider(guid),
        (own, _) => own,
    };
    if let Some(name) = name {
        json::key(out, "provider_name");
        json::string(out, name);
    }
    if let Some(name) = event.name() {
        json::key(out, "name");
        json::string(out, name);
    }
}

/// The text of a WPP message.
fn message_of(event: &Description<'_>) -> Option<String> {
    if event.source() == Source::Tmf { event.message() } else { None }
}

/// Fields behind the columns of a line, and what none of them took as hex.
fn text_of_fields(out: &mut Vec<u8>, event: &Description<'_>) {
    if let Some(message) = message_of(event) {
        let _ = write!(out, "  {}", escaped(&message));
    }
    let before = out.len();
    out.extend_from_slice(b"  ");
    let walked = text_fields(out, event);
    if out.len() == before + 2 {
        out.truncate(before);
    }
    let rest = walked.map_or(event.payload(), |walked| walked.rest);
    if !rest.is_empty() {
        let _ = write!(out, "  +{} bytes ", rest.len());
        json::hex_bytes(out, rest);
    }
    if let Some(error) = walked.and_then(|walked| walked.error) {
        let _ = write!(out, "  ({error})");
    }
}

/// `len`, `crc32` and on request the bytes.
fn payload(out: &mut Vec<u8>, view: &RecordView<'_>, bytes: bool) {
    let payload = view.payload();
    out.extend_from_slice(b",\"len\":");
    json::number(out, payload.len() as u64);
    out.extend_from_slice(b",\"crc32\":");
    out.push(b'"');
    json::hex32(out, crc32fast::hash(payload));
    out.push(b'"');
    if bytes {
        json::key(out, "payload");
        json::hex_bytes(out, payload);
    }
}

/// What only some headers have.
fn event_keys(out: &mut Vec<u8>, view: &RecordView<'_>) {
    match view.header() {
        RecordHeader::Event(header) => {
            let descriptor = &header.descriptor;
            out.extend_from_slice(b",\"channel\":");
            json::number(out, u64::from(descriptor.channel));
            out.extend_from_slice(b",\"task\":");
            json::number(out, u64::from(descriptor.task.get()));
            out.extend_from_slice(b",\"keyword\":");
            json::hex_string(out, descriptor.keyword.get());
            if header.activity_id != Guid::ZERO {
                out.extend_from_slice(b",\"activity\":");
                json::guid(out, header.activity_id);
            }
        }
        RecordHeader::Message(message) => {
            if let Some(sequence) = message.sequence() {
                json::key(out, "sequence");
                json::number(out, u64::from(sequence));
            }
            if let Some(component) = message.component() {
                json::key(out, "component");
                json::number(out, u64::from(component));
            }
        }
        _ => {}
    }
}

/// Addresses, innermost first.
fn stack(out: &mut Vec<u8>, addresses: impl Iterator<Item = u64>) {
    json::key(out, "stack");
    out.push(b'[');
    for (at, address) in addresses.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::hex_string(out, address);
    }
    out.push(b']');
}
