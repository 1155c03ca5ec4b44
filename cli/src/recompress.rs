//! `etlring recompress`: the same records in buffers packed anew, or unpacked.

use crate::edited::{EditArgs, explain, make};
use crate::input::open_all;
use crate::outcome::{Failure, Outcome};
use crate::threads::ThreadArgs;
use etlring::edit::{self, Packing};

/// Arguments of `recompress`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring recompress boot.etl -o boot-small.etl")]
pub(crate) struct Args {
    #[command(flatten)]
    edit: EditArgs,
    /// Unpack: all buffers plain and of one size
    #[arg(long)]
    none: bool,
    #[command(flatten)]
    threads: ThreadArgs,
}

/// Runs `recompress`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut inputs = open_all(std::slice::from_ref(&args.edit.log.file))?;
    args.threads.give(&mut inputs)?;
    let packing = Packing { compressed: !args.none, threads: inputs[0].threads() };
    make(&inputs, &[&args.edit.log.file], &args.edit.output, args.edit.log.json, |out| {
        edit::recompress(&inputs[0].trace, out, packing)
            .map_err(|error| explain(error, &inputs, &args.edit.output))
    })
}
