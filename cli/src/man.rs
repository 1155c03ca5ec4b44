//! `etlring man`: the manual pages, one for the command and one for each subcommand.

use crate::outcome::{Failure, Outcome};
use crate::text;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring man --out ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Directory for the pages, made if it is not there; without it, the page of the command goes
    /// to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs `man`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut command = crate::Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = &args.out else {
        std::io::stdout().write_all(&page(&Man::new(command), EXIT_STATUS)?)?;
        return Ok(Outcome::Clean);
    };
    let refused = |error: io::Error| {
        let directory = text::path(directory);
        Failure::new(format!(
            "cannot write pages into {directory}: {error}; name another directory"
        ))
    };
    fs::create_dir_all(directory).map_err(refused)?;
    let pages = command.get_subcommands().filter(|one| !one.is_hide_set());
    let pages = pages.map(|one| (one.clone(), EXAMPLES)).collect::<Vec<_>>();
    for (command, heading) in pages.into_iter().chain([(command, EXIT_STATUS)]) {
        write(directory, command, heading).map_err(refused)?;
    }
    Ok(Outcome::Clean)
}

/// What stands behind the options of the command, and of a subcommand.
const EXIT_STATUS: &str = "EXIT STATUS";
const EXAMPLES: &str = "EXAMPLES";

/// A page whose last section has a name.
fn page(man: &Man, heading: &str) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    let text = String::from_utf8_lossy(&page);
    Ok(text.replace("\n.SH EXTRA\n", &format!("\n.SH \"{heading}\"\n")).into_bytes())
}

/// Writes a page, which takes the place of an older one; a link by its name is not followed.
fn write(directory: &Path, command: Command, heading: &str) -> io::Result<()> {
    let man = Man::new(command);
    let path = directory.join(man.get_filename());
    let page = page(&man, heading)?;
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() || found.is_symlink() => fs::remove_file(&path)?,
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(&page)
}
