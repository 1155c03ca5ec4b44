//! `etlring filter`: some records of a log as a log of their own.

use crate::edited::{EditArgs, explain, make};
use crate::input::open_with;
use crate::names::Names;
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::select::SelectArgs;
use crate::threads::ThreadArgs;
use etlring::edit::{self, Keep};
use std::path::PathBuf;

/// Arguments of `filter`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring filter boot.etl --provider Microsoft-Windows-Kernel-Process \
--level 3 -o errors.etl\n\nRecords keep their headers, lanes and raw times. Schemas, manifests and \
names that the chosen records are decoded with stay in the log; --no-metadata leaves them out."
)]
pub(crate) struct Args {
    #[command(flatten)]
    edit: EditArgs,
    /// Leave out records that were not chosen even if others are decoded with them
    #[arg(long)]
    no_metadata: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    schemas: SchemaArgs,
}

/// Runs `filter`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let decoder = args.schemas.load()?;
    let mut inputs = open_with(std::slice::from_ref(&args.edit.log.file), &decoder)?;
    args.threads.give(&mut inputs)?;
    let input = &inputs[0];
    let selection = args.select.resolve(input.trace.logfile().start_time())?;
    let mut names = Names::default();
    // It is kept without being asked for; a provider that is its own is there.
    if let Some(Ok(header)) = input.trace.records().next() {
        let (lane, time) = (header.lane(), input.trace.time(&header));
        let _ = header.view().map(|view| selection.takes(&view, lane, time, &mut names, input));
    }
    let keep = Keep { metadata: !args.no_metadata, threads: input.threads() };
    let schemas = args.schemas.paths();
    let mut paths = vec![args.edit.log.file.as_path()];
    paths.extend(schemas.iter().map(PathBuf::as_path));
    let made = make(&inputs, &paths, &args.edit.output, args.edit.log.json, |out| {
        edit::filter(&input.trace, out, keep, |record, view, time| {
            selection.takes(view, record.lane(), time, &mut names, input)
        })
        .map_err(|error| explain(error, &inputs, &args.edit.output))
    })?;
    selection.complain_of_unseen();
    Ok(made)
}
