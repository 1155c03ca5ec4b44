//! `etlring tail`: follows a log, or a session by its name, while another process writes it.

mod next;
mod show;
mod stream;

use crate::dump::ShowArgs;
use crate::input::{self, explain};
use crate::outcome::{Failure, Outcome, complain};
use crate::sessions;
use crate::text::{self, Colors};
use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use etlring::format::LogFileMode;
use etlring::outside::{self, Client, OutsideError};
use etlring::reader::{Follow, Following, OpenError};
use next::Files;
use show::Shown;
use std::fs;
use std::io::Stdout;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring tail --level 3 service.etl\n\n\
Ends when the session that writes the log has ended, or with Ctrl-C. Events that are not flushed \
yet come from the ring beside the log; those of a session without a log come from the session, \
from now on. Events of one look are in time order.\n\n\
Of several files that a session writes one after the other, FILE alone is followed. An event of \
it may be missing if its buffer was begun in the file before, which has the rest: follow that one \
too.")]
pub(crate) struct Args {
    /// Log file, or a running session where no file has its name; a row of files is followed to the
    /// end of the one that is named, that of a session to the end of the session
    #[arg(value_name = "FILE|SESSION")]
    file: PathBuf,
    /// How each event is written
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    format: Format,
    /// How many of the events that are there already are shown first
    #[arg(long, default_value_t = 10, value_name = "N")]
    last: usize,
    /// Milliseconds between two looks
    #[arg(long, default_value_t = 50, value_name = "MS", value_parser = RangedU64ValueParser::<u64>::new().range(1..=3_600_000))]
    interval: u64,
    #[command(flatten)]
    show: ShowArgs,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Aligned columns for people
    Text,
    /// One JSON object per line
    Jsonl,
}

/// Runs `tail`.
pub(crate) fn run(args: &Args, colors: Colors) -> Result<Outcome, Failure> {
    let session = session(&args.file)?;
    let stdout: Stdout = std::io::stdout();
    match &session {
        None if is_finished(&args.file) => whole(args, colors, &stdout),
        None => follow(args, colors, &stdout, args.file.clone(), None),
        Some(session) => match log_of(session)? {
            Some(log) => follow(args, colors, &stdout, log, Some(session)),
            None => stream::run(args, colors, &stdout, session),
        },
    }
}

/// Whether a log does not grow any more: it is finished, or compressed as no session writes it.
fn is_finished(path: &Path) -> bool {
    // A pipe would be waited for.
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    is_file
        && match Follow::open(path) {
            Ok(follow) => follow.logfile().end_time().is_some(),
            Err(error) => matches!(error, OpenError::Unsupported(_)),
        }
}

/// Shows a log that does not grow, and names its damage, as `dump` does.
fn whole(args: &Args, colors: Colors, stdout: &Stdout) -> Result<Outcome, Failure> {
    let input = input::open(&args.file)?;
    let start = input.trace.logfile().start_time();
    let mut shown = Shown::new(args, colors, stdout, input.name, start)?;
    shown.show_whole(input.trace)?;
    Ok(shown.outcome())
}

/// Shows a log that grows, and with a session those that the session goes on in.
fn follow(
    args: &Args,
    colors: Colors,
    stdout: &Stdout,
    mut path: PathBuf,
    session: Option<&Client>,
) -> Result<Outcome, Failure> {
    let name = text::path(&path);
    let mut follow = open(&path)?;
    let mut shown = Shown::new(args, colors, stdout, name, follow.logfile().start_time())?;
    let mut files = session.map(|session| Files::new(session, &path, &follow));
    let mut said = false;
    loop {
        let news =
            follow.poll().map_err(|error| Failure::new(format_args!("{}: {error}", shown.name)))?;
        let state = news.state();
        if !said && !state.is_over() && !follow.sees_buffers_in_use() {
            said = true;
            match follow.ring_error() {
                Some(why) => complain(format_args!("{}.ring: {why}; left alone", shown.name)),
                None => complain(format_args!(
                    "{}: no ring beside it; events come when they are flushed",
                    shown.name
                )),
            }
        }
        let gaps = news.gaps().to_vec();
        let trace = (!news.is_empty()).then(|| news.into_trace());
        shown.show(trace, 0, state != Following::Behind)?;
        for gap in gaps {
            shown.damage(format_args!("{}", describe(&gap)));
        }
        match state {
            Following::Finished => match files.as_mut().and_then(Files::next) {
                Some(next) => {
                    if next.gone > 0 {
                        let files = text::counted(next.gone.into(), "later file");
                        shown.damage(format_args!("{files} removed before anybody looked"));
                    }
                    (path, follow) = (next.path, next.follow);
                    shown.name = text::path(&path);
                }
                None => return Ok(shown.outcome()),
            },
            Following::Abandoned => {
                shown.damage(format_args!(
                    "its process ended without finishing it; all that was committed is shown. \
                     etlring recover {} makes a finished log of it",
                    text::path(&path)
                ));
                return Ok(Outcome::Damaged);
            }
            Following::Removed => {
                shown.damage(format_args!("was removed or replaced"));
                return Ok(Outcome::Damaged);
            }
            Following::Behind => {}
            _ => std::thread::sleep(Duration::from_millis(args.interval)),
        }
    }
}

/// The running session of that name, where no file has it.
fn session(name: &Path) -> Result<Option<Client>, Failure> {
    let text = name.to_str().filter(|text| !text.contains(['/', '\\']));
    let (Err(error), Some(text)) = (fs::symlink_metadata(name), text) else { return Ok(None) };
    match outside::connect(text) {
        Ok(session) => Ok(Some(session)),
        Err(OutsideError::NotFound(_) | OutsideError::Name(_)) => Err(Failure::new(format_args!(
            "{}: {error}, nor is a session of that name running; etlring list shows those that are",
            text::path(name)
        ))),
        // Where sessions cannot be reached it was meant as a file.
        Err(OutsideError::Unsupported) => Ok(None),
        Err(error) => Err(sessions::explain(&error)),
    }
}

/// The log that a session writes, if it writes one.
fn log_of(session: &Client) -> Result<Option<PathBuf>, Failure> {
    let status = session.query().map_err(|error| sessions::explain(&error))?;
    let name = session.name();
    match status.properties.log_file {
        None if status.properties.mode.has(LogFileMode::BUFFERING) => {
            Err(Failure::new(format_args!(
                "{name} keeps its events in memory; etlring snapshot {name} FILE copies them"
            )))
        }
        log => Ok(log),
    }
}

fn open(path: &Path) -> Result<Follow, Failure> {
    let name = text::path(path);
    Follow::open(path).map_err(|error| match error {
        OpenError::Unsupported(what) => Failure::new(format_args!(
            "{name}: not supported: {what}; it does not grow: read it with etlring dump"
        )),
        _ => Failure::new(explain(&name, &error)),
    })
}

/// What passed unseen.
fn describe(gap: &RangeInclusive<i64>) -> String {
    if gap.start() == gap.end() {
        return format!("buffer {} passed unseen, or a part of it", gap.start());
    }
    format!("buffers {} to {} passed unseen, or parts of them", gap.start(), gap.end())
}
