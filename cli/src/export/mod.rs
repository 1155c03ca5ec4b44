//! `etlring export`: a log for other tools. One file per format; what they share is here.

mod chrome;
mod folded;
mod freb;
mod html;
#[cfg(feature = "otlp")]
mod otlp;
mod pcapng;

use crate::input::{Input, open_with};
use crate::names::Names;
use crate::outcome::{Failure, Outcome};
use crate::output::{self, OutputArgs};
use crate::schemas::SchemaArgs;
use crate::select::{Selection, UntilSelectArgs};
use crate::text;
use crate::walk::{Found, Order, walk};
use clap::ValueEnum;
use etlring::export::Entry;
use etlring::schema::Description;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    etlring export boot.etl --to chrome -o boot.json\n  \
    etlring export iis.etl --to freb --status 400-599 -o failed\n  \
    etlring export iis.etl --to html -o iis.html")]
pub(crate) struct Args {
    /// Log file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to make of it
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    freb: freb::FrebArgs,
    #[command(flatten)]
    schemas: SchemaArgs,
    #[command(flatten)]
    select: UntilSelectArgs,
}

/// Formats of other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Trace-event JSON for Perfetto and chrome://tracing
    Chrome,
    /// Packets of NDIS captures and pktmon for Wireshark
    Pcapng,
    /// Sampled call stacks for flame graphs, a line each
    Folded,
    /// A Failed Request Tracing document (XML) for each request, as IIS writes them
    Freb,
    /// The requests of a web server as one page (HTML) that loads nothing
    Html,
    /// OpenTelemetry logs: protobuf messages, each behind its length in four bytes
    #[cfg(feature = "otlp")]
    Otlp,
    /// OpenTelemetry logs: JSON, a line each
    #[cfg(feature = "otlp")]
    OtlpJson,
}

/// Runs `export`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let inputs = open_with(std::slice::from_ref(&args.file), &args.schemas.load()?)?;
    let selection = args.select.resolve(inputs[0].trace.logfile().start_time())?;
    let stream = |write: &dyn Fn(&mut Job<'_>) -> Result<Outcome, Failure>| {
        let (selection, out) = (selection.clone(), Output::create(args)?);
        let mut job = Job { inputs: &inputs, selection, out };
        let outcome = write(&mut job)?;
        job.out.finish()?;
        job.selection.complain_of_unseen();
        Ok(outcome)
    };
    match args.to {
        Format::Chrome => stream(&chrome::run),
        Format::Pcapng => stream(&pcapng::run),
        Format::Folded => stream(&|job| folded::run(job, args.select.chooses_events())),
        Format::Freb => freb::run(args, &inputs, &selection),
        Format::Html => stream(&|job| html::run(args, job)),
        #[cfg(feature = "otlp")]
        Format::Otlp => stream(&|job| otlp::run(job, otlp::Encoding::Protobuf)),
        #[cfg(feature = "otlp")]
        Format::OtlpJson => stream(&|job| otlp::run(job, otlp::Encoding::Json)),
    }
}

/// What is exported, from where and to where.
struct Job<'i> {
    inputs: &'i [Input],
    selection: Selection,
    out: Output,
}

impl<'i> Job<'i> {
    fn input(&self) -> &'i Input {
        &self.inputs[0]
    }

    /// Calls `each` for every record chosen, in time order; what it appends is written.
    fn walk(&mut self, mut each: impl FnMut(&mut Vec<u8>, &Found<'_>)) -> Result<Outcome, Failure> {
        let Self { inputs, selection, out } = self;
        walk(inputs, Order::Time, selection, &mut Names::default(), |found, _| {
            each(&mut out.bytes, found);
            out.drain()?;
            Ok(ControlFlow::Continue(()))
        })
    }
}

/// What the library's writers want to know of a record.
fn with_entry<T>(input: &Input, found: &Found<'_>, write: impl FnOnce(&Entry<'_, '_>) -> T) -> T {
    let view = found.view;
    let decoder = input.decoder();
    let event: &Description<'_> = &decoder.describe(view);
    let ticks = view.ticks().unwrap_or_default();
    write(&Entry {
        view,
        event,
        time: found.time(),
        lane: found.record.lane(),
        buffer_index: found.record.buffer_index(),
        process_name: view.process_id().and_then(|pid| decoder.process_name(pid, ticks)),
        timer_resolution: input.trace.logfile().timer_resolution(),
    })
}

/// Calls `each` for every record chosen, in time order.
fn entries(
    inputs: &[Input],
    selection: &Selection,
    mut each: impl FnMut(&Entry<'_, '_>),
) -> Result<Outcome, Failure> {
    walk(inputs, Order::Time, selection, &mut Names::default(), |found, _| {
        with_entry(&inputs[found.file], found, &mut each);
        Ok(ControlFlow::Continue(()))
    })
}

/// Nanoseconds since 1970 of a record, as fine as the log's clock is.
fn nanos(input: &Input, found: &Found<'_>) -> i128 {
    match found.view.ticks() {
        Some(ticks) => input.trace.clock().unix_nanos(ticks),
        None => found.time().to_unix_nanos(),
    }
}

/// Bytes gathered before they are written.
const DRAIN_BYTES: usize = 256 * 1024;

/// A file or standard output.
struct Output {
    /// What is written next; append to it.
    bytes: Vec<u8>,
    /// The file; `None` for standard output.
    file: Option<output::Output>,
    name: String,
}

impl Output {
    fn create(args: &Args) -> Result<Self, Failure> {
        let path = &*args.output.output;
        let name = text::path(path);
        let file = if name == "-" {
            None
        } else {
            let schemas = args.schemas.paths();
            let mut inputs = vec![&*args.file];
            inputs.extend(schemas.iter().map(PathBuf::as_path));
            Some(args.output.create(&inputs)?)
        };
        Ok(Self { bytes: Vec::with_capacity(2 * DRAIN_BYTES), file, name })
    }

    /// Writes what has gathered, if that is enough.
    fn drain(&mut self) -> Result<(), Failure> {
        if self.bytes.len() >= DRAIN_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let Some(file) = &self.file else {
            io::stdout().lock().write_all(&self.bytes).map_err(Failure::Output)?;
            self.bytes.clear();
            return Ok(());
        };
        let written = file.file().and_then(|mut file| file.write_all(&self.bytes));
        self.bytes.clear();
        written.map_err(|error| Failure::new(format!("{}: {error}; free some space", self.name)))
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        match self.file {
            Some(file) => file.commit(),
            None => io::stdout().flush().map_err(Failure::Output),
        }
    }
}
