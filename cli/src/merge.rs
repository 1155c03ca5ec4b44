//! `etlring merge`: several logs as one, on one clock.

use crate::edited::{explain, make};
use crate::input::open_all;
use crate::outcome::{Failure, Outcome};
use crate::output::OutputArgs;
use etlring::edit;
use etlring::reader::Trace;
use std::path::{Path, PathBuf};

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring merge kernel.etl service.etl -o both.etl\n\nThe new log has the \
header and the clock of the first one. Parts of one log, as etlring cut makes them, become that log \
again: what several of them have is there once."
)]
pub(crate) struct Args {
    /// Log files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `merge`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let inputs = open_all(&args.files)?;
    let paths: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    let traces: Vec<&Trace<_>> = inputs.iter().map(|input| &input.trace).collect();
    make(&inputs, &paths, &args.output, args.json, |out| {
        edit::merge(&traces, out).map_err(|error| explain(error, &inputs, &args.output))
    })
}
