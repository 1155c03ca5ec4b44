//! `etlring completions`: a script for the shell.

use crate::outcome::{Failure, Outcome};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring completions bash > ~/.local/share/bash-completion/completions/etlring"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs `completions`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "etlring", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Outcome::Clean)
}
