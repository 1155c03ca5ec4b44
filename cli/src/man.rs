//! `etlring man`: the manual pages, one for the command and one for each subcommand.

use crate::outcome::{Failure, Outcome};
use clap::CommandFactory;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring man --out ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Directory for the pages; without it, the page of the command goes to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs `man`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let command = crate::Cli::command();
    let Some(directory) = &args.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        return Ok(Outcome::Clean);
    };
    clap_mangen::generate_to(command, directory).map_err(|error| {
        Failure::new(format_args!(
            "cannot write pages into {}: {error}; name a directory that exists",
            directory.display()
        ))
    })?;
    Ok(Outcome::Clean)
}
