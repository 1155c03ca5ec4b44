//! `etlring tail`: follows a log, or a session by its name, while another process writes it.

use crate::dump::{ShowArgs, Writer};
use crate::input::{Input, explain};
use crate::json::Lines;
use crate::names::Names;
use crate::outcome::{Failure, Outcome, complain};
use crate::select::Selection;
use crate::sessions;
use crate::text::{self, Colors};
use crate::walk::{Flow, Found, Order, walk};
use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;
use etlring::format::LogFileMode;
use etlring::outside::{self, Client, OutsideError};
use etlring::reader::{Follow, Following, News, OpenError};
use etlring::schema::Decoder;
use std::collections::VecDeque;
use std::fs;
use std::io::{Stdout, StdoutLock};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring tail --level 3 service.etl\n\n\
Ends when the session that writes the log has ended, or with Ctrl-C. Events that are not flushed \
yet come from the ring beside the log. Events of one look are in time order.\n\n\
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
    let mut path = match &session {
        Some(session) => log_of(session)?,
        None => args.file.clone(),
    };
    let name = text::path(&path);
    let mut follow = open(&path)?;
    let stdout: Stdout = std::io::stdout();
    let mut tail = Tail {
        args,
        colors,
        fields: args.show.fields(),
        selection: args.show.select.resolve(follow.logfile().start_time())?,
        names: Names::default(),
        decoder: args.show.schemas.load()?,
        lines: Lines::new(stdout.lock()),
        backlog: Some(VecDeque::new()),
        outcome: Outcome::Clean,
        name,
    };
    let mut said = false;
    loop {
        let news =
            follow.poll().map_err(|error| Failure::new(format_args!("{}: {error}", tail.name)))?;
        let state = news.state();
        if !said && !state.is_over() && !follow.sees_buffers_in_use() {
            said = true;
            match follow.ring_error() {
                Some(why) => complain(format_args!("{}.ring: {why}; left alone", tail.name)),
                None => complain(format_args!(
                    "{}: no ring beside it; events come when they are flushed",
                    tail.name
                )),
            }
        }
        tail.show(news)?;
        match state {
            Following::Finished => match session.as_ref().and_then(|s| next_log(s, &path)) {
                Some(next) => {
                    follow = open(&next)?;
                    tail.name = text::path(&next);
                    path = next;
                }
                None => return Ok(tail.outcome),
            },
            Following::Abandoned => {
                complain(format_args!(
                    "{0}: its process ended without finishing it; all that was committed is \
                     shown. etlring recover {0} makes a finished log of it",
                    tail.name
                ));
                return Ok(Outcome::Damaged);
            }
            Following::Removed => {
                complain(format_args!("{}: was removed or replaced", tail.name));
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

/// The log that a session writes.
fn log_of(session: &Client) -> Result<PathBuf, Failure> {
    let status = session.query().map_err(|error| sessions::explain(&error))?;
    let name = session.name();
    match status.properties.log_file {
        Some(log) => Ok(log),
        None if status.properties.mode.has(LogFileMode::BUFFERING) => {
            Err(Failure::new(format_args!(
                "{name} keeps its events in memory; etlring snapshot {name} FILE copies them"
            )))
        }
        None => Err(Failure::new(format_args!(
            "{name} writes no log file at this moment; a consumer in its process sees its events"
        ))),
    }
}

/// The log that a session has gone on in; `None` if it has ended, too, or has no other one.
fn next_log(session: &Client, path: &Path) -> Option<PathBuf> {
    /// A session tells its next log, or is gone, a moment after it has finished one.
    const PATIENCE: Duration = Duration::from_secs(10);
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let log = session.query().ok()?.properties.log_file;
        if let Some(next) = log.filter(|next| next != path) {
            // Of numbered files some may lie between the two.
            return Some(numbered_after(path, &next).filter(|p| p.is_file()).unwrap_or(next));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// The name that comes after `path`, where `next` is one of a higher number of the same pattern.
fn numbered_after(path: &Path, next: &Path) -> Option<PathBuf> {
    let (path, next) = (path.to_str()?, next.to_str()?);
    let same = std::iter::zip(path.chars(), next.chars()).take_while(|(a, b)| a == b);
    let same: usize = same.map(|(c, _)| c.len_utf8()).sum();
    let start = path[..same].trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = |text: &str| -> Option<(u32, usize)> {
        let digits = text[start..].find(|c: char| !c.is_ascii_digit())?;
        Some((text[start..start + digits].parse().ok()?, start + digits))
    };
    let ((from, end), (to, next_end)) = (number(path)?, number(next)?);
    let same_pattern = path[end..] == next[next_end..] && from < to;
    same_pattern.then(|| format!("{}{}{}", &path[..start], from + 1, &path[end..]).into())
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

struct Tail<'a> {
    args: &'a Args,
    name: String,
    colors: Colors,
    fields: bool,
    selection: Selection,
    names: Names,
    /// Knows what was given and what the log has taught so far.
    decoder: Decoder,
    lines: Lines<StdoutLock<'a>>,
    /// The last lines of what was there at the start, until all of that was read.
    backlog: Option<VecDeque<Vec<u8>>>,
    outcome: Outcome,
}

impl Tail<'_> {
    fn show(&mut self, news: News) -> Result<(), Failure> {
        let caught_up = news.state() != Following::Behind;
        let gaps = news.gaps().to_vec();
        if !news.is_empty() {
            self.events(news)?;
        }
        if caught_up {
            for line in self.backlog.take().into_iter().flatten() {
                self.lines.text.extend_from_slice(&line);
                self.lines.end()?;
            }
        }
        self.lines.flush()?;
        for gap in gaps {
            self.outcome = Outcome::Damaged;
            complain(format_args!("{}: {}", self.name, describe(&gap)));
        }
        Ok(())
    }

    fn events(&mut self, news: News) -> Result<(), Failure> {
        let given = std::mem::take(&mut self.decoder);
        let inputs = [Input::part(self.name.clone(), news.into_trace(), given)];
        let mut writer = Writer::of_part(&inputs, self.args.show.payload, self.fields, self.colors);
        let (args, lines, backlog) = (self.args, &mut self.lines, &mut self.backlog);
        let mut line = Vec::new();
        let mut each = |found: &Found<'_>, names: &mut Names| -> Flow {
            let out = if backlog.is_some() { &mut line } else { &mut lines.text };
            match args.format {
                Format::Jsonl => writer.object(out, found, names),
                Format::Text => writer.row(out, found, names),
            }
            match backlog {
                Some(_) if args.last == 0 => line.clear(),
                Some(last) => {
                    // The memory of the line that goes is that of the next one.
                    let old = if last.len() == args.last { last.pop_front() } else { None };
                    let next = old.unwrap_or_default();
                    last.push_back(std::mem::replace(&mut line, next));
                    line.clear();
                }
                None => lines.end()?,
            }
            Ok(ControlFlow::Continue(()))
        };
        let walked = walk(&inputs, Order::Time, &self.selection, &mut self.names, &mut each)?;
        if walked == Outcome::Damaged {
            self.outcome = Outcome::Damaged;
        }
        let [input] = inputs;
        if self.fields {
            // Schemas may stand in any record, also in those that nobody asked for.
            let _ = input.decoder();
        }
        self.decoder = input.into_decoder();
        Ok(())
    }
}

/// What passed unseen.
fn describe(gap: &RangeInclusive<i64>) -> String {
    if gap.start() == gap.end() {
        return format!("buffer {} passed unseen, or a part of it", gap.start());
    }
    format!("buffers {} to {} passed unseen, or parts of them", gap.start(), gap.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_numbered_files_lie_others() {
        let after = |path: &str, next: &str| numbered_after(Path::new(path), Path::new(next));
        assert_eq!(after("/a/b-1.etl", "/a/b-4.etl"), Some("/a/b-2.etl".into()));
        assert_eq!(after("/a/b-9.etl", "/a/b-10.etl"), Some("/a/b-10.etl".into()));
        assert_eq!(after("/a/b-19.etl", "/a/b-21.etl"), Some("/a/b-20.etl".into()));
        assert_eq!(after("/a/b2-1.etl", "/a/b2-3.etl"), Some("/a/b2-2.etl".into()));
        for (path, next) in [("/a/b-4.etl", "/a/b-1.etl"), ("/a/b.etl", "/a/c.etl"), ("b-1", "b-2")]
        {
            assert_eq!(after(path, next), None);
        }
    }
}
