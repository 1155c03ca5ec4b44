//! `etlring recover`: a torn, killed or unfinished log, and its ring, into one finished log.

use crate::input::read_any_stream;
use crate::json;
use crate::outcome::{Failure, Outcome, complain};
use crate::output::{Output, OutputArgs};
use crate::text::{self, count, counted, escaped};
use etlring::reader::{
    Positioned, RecoverError, Recovered, Recovery, RingCopy, RingError, Salvage, Source, ring_path,
};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Arguments of `recover`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring recover service.etl -o service-whole.etl\n\nA ring that lies \
beside the log (service.etl.ring) is read with it. FILE may be the ring itself, or a log that is \
gone and has left only its ring."
)]
pub(crate) struct Args {
    /// Log file, or its ring; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The ring of the log, if it does not lie beside it
    #[arg(long, value_name = "RING")]
    ring: Option<PathBuf>,
    /// Leave the ring beside the log alone
    #[arg(long, conflicts_with = "ring")]
    no_ring: bool,
    #[command(flatten)]
    output: OutputArgs,
    /// Leave out every buffer whose checksum does not hold, instead of keeping its whole records
    #[arg(long)]
    leave_out_torn: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `recover`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let mut damaged = false;
    // The ring first: what leaves it from now on is in the log when that is looked at.
    let ring = find_ring(args).map(|path| (copy(&path), path));
    let log = open_log(args, ring.is_some())?;
    let ring = ring.and_then(|(ring, path)| match ring {
        Ok(ring) => Some(Ok((path, ring))),
        // What was asked for by name must be there; a ring that merely lies there need not be read.
        Err(error) if args.ring.is_some() || log.is_none() => {
            Some(Err(Failure::new(format!("{}: {error}; {HELP}", text::path(&path)))))
        }
        Err(error) => {
            damaged = true;
            complain(format_args!("{}: {error}; left alone", text::path(&path)));
            None
        }
    });
    let ring = ring.transpose()?;
    let (salvage, ring) = examine(args, log.as_deref(), ring)?;
    let report = salvage.report();
    damaged |= !report.left_out.is_empty() || !report.assumed.is_empty();
    damaged |= report.buffers_missing > 0;
    write(args, ring.as_deref(), &salvage)?;

    tell(args, report);
    let text = if args.json {
        json::report(&json_of(args, ring.as_deref(), report))
    } else {
        text_of(args, report)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::of(damaged))
}

/// Puts a finished log in the place of one whose process has ended without finishing it, and of its
/// ring. Says whether all of it was whole.
pub(crate) fn finish(log: &Path) -> Result<Outcome, Failure> {
    let args = Args {
        file: log.to_owned(),
        ring: None,
        no_ring: false,
        output: OutputArgs::over(log),
        leave_out_torn: false,
        json: false,
    };
    let ring = find_ring(&args).map(|path| (copy(&path), path));
    let source = open_log(&args, ring.is_some())?;
    let ring = match ring {
        Some((Ok(ring), path)) => Some((path, ring)),
        Some((Err(error), path)) if source.is_none() => {
            return Err(Failure::new(format!("{}: {error}; {HELP}", text::path(&path))));
        }
        _ => None,
    };
    let (salvage, ring) = examine(&args, source.as_deref(), ring)?;
    let report = salvage.report();
    let damaged = !report.left_out.is_empty() || report.buffers_missing > 0;
    tell(&args, report);
    // The log is an input that is meant to go.
    write_to(args.output.create(&[])?, &args, &salvage)?;
    if let Some(ring) = ring {
        // All that was in it is in the log; readers leave it alone.
        let _ = fs::remove_file(ring);
    }
    Ok(Outcome::of(damaged))
}

const HELP: &str = "give a log or a ring that a session wrote";

/// The ring that belongs to the file that was named, if there is one.
fn find_ring(args: &Args) -> Option<PathBuf> {
    if args.no_ring {
        return None;
    }
    if let Some(ring) = &args.ring {
        return Some(ring.clone());
    }
    if is_ring(&args.file) {
        return Some(args.file.clone());
    }
    let beside = ring_path(&args.file);
    // A pipe by that name would be waited for.
    let there = fs::symlink_metadata(&beside).is_ok_and(|found| found.is_file());
    Some(beside).filter(|_| there && args.file.as_os_str() != "-")
}

/// Whether a file is named as a ring is.
fn is_ring(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "ring")
}

/// The log; `None` if only its ring is to be read.
fn open_log(args: &Args, has_ring: bool) -> Result<Option<Box<dyn Source>>, Failure> {
    if args.file.as_os_str() == "-" {
        let bytes = read_any_stream(io::stdin().lock()).map_err(|error| {
            Failure::new(format!("standard input: {error}; save it to a file and try that"))
        })?;
        return Ok(Some(Box::new(bytes)));
    }
    if args.ring.is_none() && !args.no_ring && is_ring(&args.file) {
        return Ok(None);
    }
    let refuse = |why: &dyn std::fmt::Display, help: &str| {
        Failure::new(format!("{}: {why}; {help}", text::path(&args.file)))
    };
    let file = match File::open(&args.file) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && has_ring => {
            complain(format_args!("{}: {error}; only its ring is read", text::path(&args.file)));
            return Ok(None);
        }
        Err(error) => return Err(refuse(&error, "check the path")),
    };
    match file.metadata() {
        Ok(found) if found.is_dir() => {
            Err(refuse(&io::Error::from(ErrorKind::IsADirectory), "name a file in it"))
        }
        Ok(found) if !found.is_file() => {
            let bytes = read_any_stream(file);
            Ok(Some(Box::new(bytes.map_err(|error| refuse(&error, "copy it to a file"))?)))
        }
        Ok(_) => {
            let log = Positioned::new(file).map_err(|error| refuse(&error, "copy it first"))?;
            Ok(Some(Box::new(log)))
        }
        Err(error) => Err(refuse(&error, "copy it first")),
    }
}

fn copy(path: &Path) -> Result<RingCopy, RingError> {
    RingCopy::take(&Positioned::new(File::open(path)?)?)
}

/// Looks at everything. A ring that merely lies there and is of another session is left alone.
fn examine<'s>(
    args: &Args,
    log: Option<&'s dyn Source>,
    ring: Option<(PathBuf, RingCopy)>,
) -> Result<(Salvage<'s>, Option<PathBuf>), Failure> {
    let start = || {
        let recovery = Recovery::new().leave_out_torn(args.leave_out_torn);
        match log {
            Some(log) => recovery.log(log),
            None => recovery,
        }
    };
    let named = |path: &Option<PathBuf>, error: &RecoverError| {
        let path = path.as_deref().filter(|_| log.is_none()).unwrap_or(&args.file);
        Failure::new(format!("{}: {error}; {HELP}", text::path(path)))
    };
    let (path, recovery) = match ring {
        Some((path, ring)) => (Some(path), start().ring(ring)),
        None => (None, start()),
    };
    match recovery.examine() {
        Ok(salvage) => Ok((salvage, path)),
        Err(error @ RecoverError::ForeignRing(_)) if args.ring.is_none() => {
            let name = path.unwrap_or_default();
            complain(format_args!("{}: {error}; left alone", text::path(&name)));
            start().examine().map(|salvage| (salvage, None)).map_err(|error| named(&None, &error))
        }
        Err(error) => Err(named(&path, &error)),
    }
}

/// Makes the output.
fn write(args: &Args, ring: Option<&Path>, salvage: &Salvage<'_>) -> Result<(), Failure> {
    let inputs: Vec<&Path> = [Some(args.file.as_path()), ring].into_iter().flatten().collect();
    write_to(args.output.create(&inputs)?, args, salvage)
}

fn write_to(output: Output, args: &Args, salvage: &Salvage<'_>) -> Result<(), Failure> {
    let written = output.file().and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        salvage.write(&mut out)
    });
    written.map_err(|error| {
        let out = text::path(&args.output.output);
        Failure::new(format!("cannot write {out}: {error}; free some space"))
    })?;
    output.commit()
}

/// Places that are named one by one.
const NAMED: usize = 100;

/// What was left out and what was assumed, on stderr.
fn tell(args: &Args, report: &Recovered) {
    for assumed in &report.assumed {
        complain(format_args!("{}: {assumed}", text::path(&args.file)));
    }
    if report.buffers_missing > 0 {
        let (file, missing) = (text::path(&args.file), report.buffers_missing);
        let missing = counted(missing, "buffer");
        complain(format_args!("{file}: {missing} of those that its header counts not there"));
    }
    for place in report.left_out.iter().take(NAMED) {
        complain(format_args!("{}: {place}", text::path(&args.file)));
    }
    if report.left_out.len() > NAMED {
        let more = (report.left_out.len() - NAMED) as u64;
        complain(format_args!("and {} more", counted(more, "place")));
    }
}

fn text_of(args: &Args, report: &Recovered) -> String {
    let out = text::path(&args.output.output);
    let mut text = format!(
        "{}: {} in {}",
        escaped(&out),
        counted(report.records, "record"),
        counted(report.buffers, "buffer")
    );
    let mut add = |number: u64, what: &str| {
        if number > 0 {
            text.push_str(&format!(", {} {what}", count(number)));
        }
    };
    add(report.buffers_from_ring, "from the ring");
    add(report.buffers_torn, "torn");
    add(report.left_out.len() as u64, "places left out");
    add(report.events_lost, "events lost");
    add(report.buffers_lost, "buffers lost");
    text.push('\n');
    text
}

fn json_of(args: &Args, ring: Option<&Path>, report: &Recovered) -> serde_json::Value {
    let left_out: Vec<_> = report
        .left_out
        .iter()
        .map(|place| {
            serde_json::json!({
                "in_ring": place.error.in_ring,
                "position": place.error.position,
                "fault": place.error.fault.to_string(),
                "sequence": place.sequence,
                "records_kept": place.records_kept,
            })
        })
        .collect();
    serde_json::json!({
        "file": text::path(&args.file),
        "ring": ring.map(text::path),
        "output": text::path(&args.output.output),
        "records": report.records,
        "buffers": report.buffers,
        "buffers_from_ring": report.buffers_from_ring,
        "buffers_torn": report.buffers_torn,
        "buffers_missing": report.buffers_missing,
        "events_lost": report.events_lost,
        "buffers_lost": report.buffers_lost,
        "end_time": text::time(report.end_time),
        "assumed": report.assumed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "left_out": left_out,
    })
}
