//! `etlring export`: a log in the form of another tool, one module for each.

mod freb;
mod html;

use crate::input::{Input, open_with};
use crate::names::Names;
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::UntilSelectArgs;
use crate::walk::{Flow, Order, walk};
use clap::ValueEnum;
use etlring::export::Entry;
use std::fs;
use std::path::{Path, PathBuf};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    etlring export --to freb --status 400-599 -o failed iis.etl\n  etlring export --to html -o iis.html iis.etl")]
pub(crate) struct Args {
    /// Log file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is written
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: Format,
    /// Where to: a file, or of freb a directory
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    freb: freb::FrebArgs,
    #[command(flatten)]
    schemas: SchemaArgs,
    #[command(flatten)]
    select: UntilSelectArgs,
}

/// What a log is turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A Failed Request Tracing document (XML) for each request, as IIS writes them
    Freb,
    /// The requests of a web server as one page (HTML) that loads nothing
    Html,
}

/// Runs `export`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    refuse_input(&args.file, &args.output)?;
    let inputs = open_with(std::slice::from_ref(&args.file), &args.schemas.load()?)?;
    match args.to {
        Format::Freb => freb::run(args, &inputs),
        Format::Html => html::run(args, &inputs),
    }
}

impl Args {
    /// Calls `each` for every record that was asked for, by time.
    fn entries(
        &self,
        inputs: &[Input],
        mut each: impl FnMut(&Entry<'_, '_>) -> Result<(), Failure>,
    ) -> Result<Outcome, Failure> {
        let start = inputs.iter().map(|input| input.trace.logfile().start_time()).min();
        let selection = self.select.resolve(start.unwrap_or_default())?;
        walk(inputs, Order::Time, &selection, &mut Names::default(), |found, _| -> Flow {
            let input = &inputs[found.file];
            let view = &found.view;
            let decoder = input.decoder();
            let ticks = view.ticks().unwrap_or_default();
            each(&Entry {
                view,
                event: &decoder.describe(view),
                time: found.time,
                lane: found.record.lane(),
                buffer_index: found.record.buffer_index(),
                process_name: view.process_id().and_then(|pid| decoder.process_name(pid, ticks)),
                timer_resolution: input.trace.logfile().timer_resolution(),
            })?;
            Ok(std::ops::ControlFlow::Continue(()))
        })
    }
}

/// The output must not be the input.
fn refuse_input(input: &Path, output: &Path) -> Result<(), Failure> {
    let same = match (fs::canonicalize(input), fs::canonicalize(output)) {
        (Ok(input), Ok(output)) => input == output || same_file(&input, &output),
        _ => false,
    };
    if same {
        let name = output.display();
        return Err(Failure::new(format!("{name} is the log itself; name another output")));
    }
    Ok(())
}

/// Whether two paths are links to one file.
#[cfg(unix)]
fn same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path: &Path| fs::metadata(path).ok().map(|data| (data.dev(), data.ino()));
    number(a).is_some() && number(a) == number(b)
}

#[cfg(not(unix))]
fn same_file(_: &Path, _: &Path) -> bool {
    false
}

/// Why the output cannot be written.
fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}; name another place with -o", path.display()))
}
