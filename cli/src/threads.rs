//! How many threads a subcommand reads with.

use crate::input::Input;
use crate::outcome::Failure;
use etlring::reader::Source;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

/// The option of subcommands that read with several threads.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ThreadArgs {
    /// Threads that work; as many as there are processors if not given, or one for a small log
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// Threads that may be asked for.
const MOST_THREADS: usize = 256;
/// Bytes of a log that are read before a second thread has started.
const SMALL_BYTES: u64 = 256 * 1024;

impl ThreadArgs {
    /// Tells the logs how many threads were asked for.
    pub(crate) fn give(self, inputs: &mut [Input]) -> Result<(), Failure> {
        if self.threads.is_some_and(|threads| threads.get() > MOST_THREADS) {
            return Err(Failure::new(format!("--threads is at most {MOST_THREADS}; give fewer")));
        }
        for input in inputs {
            input.threads = self.threads;
        }
        Ok(())
    }
}

impl Input {
    /// Threads that read it.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let own = || match self.trace.source().size() {
            ..SMALL_BYTES => NonZeroUsize::MIN,
            _ => available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        self.threads.unwrap_or_else(own)
    }
}
