//! `etlring recompress`: the same records in buffers packed anew, or unpacked.

use crate::edited::{explain, make};
use crate::input::open_all;
use crate::outcome::{Failure, Outcome};
use crate::output::OutputArgs;
use etlring::edit::{self, Packing};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Arguments of `recompress`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring recompress boot.etl -o boot-small.etl")]
pub(crate) struct Args {
    /// Log file; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    /// Unpack: all buffers plain and of one size
    #[arg(long)]
    none: bool,
    /// Threads that pack; as many as there are processors if not given
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Threads that may be asked for.
const MOST_THREADS: usize = 256;

/// Runs `recompress`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    if args.threads.is_some_and(|threads| threads.get() > MOST_THREADS) {
        return Err(Failure::new(format!("--threads is at most {MOST_THREADS}; give fewer")));
    }
    let inputs = open_all(std::slice::from_ref(&args.file))?;
    let own = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = args.threads.unwrap_or_else(own);
    let packing = Packing { compressed: !args.none, threads };
    make(&inputs, &[&args.file], &args.output, args.json, |out| {
        edit::recompress(&inputs[0].trace, out, packing)
            .map_err(|error| explain(error, &inputs, &args.output))
    })
}
