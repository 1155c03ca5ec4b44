//! `export --to freb`: numbered documents in a directory, one for each request that failed.

use super::{Args, entries};
use crate::input::Input;
use crate::outcome::{Failure, Outcome, complain};
use crate::select::Selection;
use crate::text;
use etlring::export::freb::{Options, document, file_name};
use etlring::export::requests::{FailureRules, Request, Requests, StatusRanges};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

/// What only documents of requests have.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Failed requests")]
pub(crate) struct FrebArgs {
    /// Only requests with one of these status codes: 404, 404.2, 400-599, with commas. Of several
    /// conditions one is enough; without any, all requests are written
    #[arg(long, value_name = "CODES")]
    status: Option<StatusRanges>,
    /// Only requests that took this long, in milliseconds
    #[arg(long, value_name = "MS")]
    time_taken: Option<u64>,
    /// Only requests with an event of this level or a more severe one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    verbosity: Option<u8>,
    /// Name of the computer, which a log does not tell
    #[arg(long, value_name = "NAME", default_value = "")]
    computer: String,
    /// Largest document in KiB; 0 is no limit
    #[arg(long, value_name = "KIB", default_value_t = 1024)]
    max_size: u32,
}

impl FrebArgs {
    /// When a request has failed.
    pub(super) fn rules(&self) -> FailureRules {
        FailureRules {
            status: self.status.clone().unwrap_or_default(),
            time_taken: self.time_taken.map(Duration::from_millis),
            verbosity: self.verbosity,
        }
    }
}

/// Runs it.
pub(super) fn run(
    args: &Args,
    inputs: &[Input],
    selection: &Selection,
) -> Result<Outcome, Failure> {
    let directory = &args.output.output;
    if directory.as_os_str() == "-" {
        return Err(Failure::new("documents need a directory; name one with -o"));
    }
    make_directory(directory).map_err(|error| unwritable(directory, &error))?;
    let most_bytes = (args.freb.max_size as usize).saturating_mul(1024);
    let options = Options { computer: args.freb.computer.clone(), most_bytes };
    let rules = args.freb.rules();
    // A document takes more bytes than its events do in memory.
    let most = if most_bytes == 0 { usize::MAX } else { most_bytes.saturating_mul(2) };
    let mut requests = Requests::new(most);
    let (mut seen, mut written) = (0u64, 0u64);
    let mut result = Ok(());
    let mut done = |request: Request| {
        seen += 1;
        let Some(failure) = rules.judge(&request) else { return };
        if result.is_ok() {
            written += 1;
            result = write(directory, written, &document(&request, &failure, &options));
        }
    };
    let outcome = entries(inputs, selection, |entry| requests.add(entry, &mut done));
    requests.finish(&mut done);
    result?;
    let outcome = outcome?;
    selection.complain_of_unseen();
    let name = text::path(directory);
    match seen {
        0 => complain("the log has no events of requests; nothing was written"),
        _ => complain(format_args!("{written} of {seen} requests written to {name}")),
    }
    Ok(outcome)
}

/// Makes the directory, for nobody else's eyes, unless it is there; a link is not followed.
fn make_directory(directory: &Path) -> io::Result<()> {
    if fs::symlink_metadata(directory).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is a symbolic link"));
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)
}

/// Writes a document that is not there yet.
fn write(directory: &Path, number: u64, document: &[u8]) -> Result<(), Failure> {
    let path = directory.join(file_name(number));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path);
    file.and_then(|mut file| file.write_all(document)).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let name = text::path(&path);
            Failure::new(format!("{name} is there already; name an empty directory with -o"))
        }
        _ => unwritable(&path, &error),
    })
}

/// Why the output cannot be written.
fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}; name another place with -o", text::path(path)))
}
