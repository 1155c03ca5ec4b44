//! `etlring cut`: the records of a stretch of time as a log of their own.

use crate::edited::{EditArgs, explain, make};
use crate::input::open_all;
use crate::outcome::{Failure, Outcome};
use crate::select::{Moment, moment};
use crate::threads::ThreadArgs;
use etlring::edit::{self, Keep};
use etlring::format::FileTime;

/// Arguments of `cut`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring cut boot.etl --from 12.5 --to 20 -o middle.etl\n\nA record at \
--to itself is not taken, so that parts that follow each other have each record once; etlring merge \
makes one log of them again. Only the buffers of that time are read with --no-metadata; without it \
the others are looked through for what the records are decoded with."
)]
pub(crate) struct Args {
    #[command(flatten)]
    edit: EditArgs,
    /// From this time on: RFC 3339, in UTC if it names no zone, or seconds from the start of the
    /// log
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    from: Option<Moment>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    to: Option<Moment>,
    /// Leave out records of other times even if some are decoded with them
    #[arg(long)]
    no_metadata: bool,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs `cut`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut inputs = open_all(std::slice::from_ref(&args.edit.log.file))?;
    args.threads.give(&mut inputs)?;
    let trace = &inputs[0].trace;
    let start = trace.logfile().start_time();
    let from = args.from.map_or(FileTime(i64::MIN), |moment| moment.resolve(start));
    let to = args.to.map_or(FileTime(i64::MAX), |moment| moment.resolve(start));
    if from > to {
        return Err(Failure::new("--from lies after --to; give the earlier time first"));
    }
    let keep = Keep { metadata: !args.no_metadata, threads: inputs[0].threads() };
    make(&inputs, &[&args.edit.log.file], &args.edit.output, args.edit.log.json, |out| {
        edit::cut(trace, out, keep, from, to)
            .map_err(|error| explain(error, &inputs, &args.edit.output))
    })
}
