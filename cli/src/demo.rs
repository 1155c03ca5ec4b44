//! `etlring demo`: records from several threads, stops, replays the file, and balances the account.

use crate::json;
use crate::outcome::{Failure, Outcome};
use crate::text::{self, count, counted, escaped, size};
use clap::builder::RangedU64ValueParser;
use etlring::format::{Guid, LOST_EVENT_GUID};
use etlring::reader::Trace;
use etlring::session::{ClassicEvent, Session, SessionStats};
use std::fmt::Write as _;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Class of the events that the demo records.
const CLASS: Guid = Guid::from_u128(0xb4a1_5c0e_7d2f_4f6b_9a51_0c3e_6d58_e7d1);

/// Bytes of payload of the largest event: its size is a number of 16 bits.
const MOST_PAYLOAD: u32 = 65_535 - 48;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring demo --threads 4 --events 1000000 --out demo.etl\n\n\
Exits with 0 only if every accepted event is replayed.")]
pub(crate) struct Args {
    /// Where the log goes, and stays; without it a temporary file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Threads that record at the same time
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1024))]
    threads: u32,
    /// Events in all
    #[arg(long, default_value_t = 1_000_000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=1_000_000_000_000))]
    events: u64,
    /// Bytes of payload of each event
    #[arg(long, default_value_t = 28, value_name = "BYTES", value_parser = RangedU64ValueParser::<usize>::new().range(8..=MOST_PAYLOAD.into()))]
    payload: usize,
    /// Bytes of a buffer
    #[arg(long, default_value_t = 65_536, value_name = "BYTES")]
    buffer_size: u32,
    /// Buffers of the session
    #[arg(long, default_value_t = 512, value_name = "N")]
    buffers: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the demo found.
struct Report {
    stats: SessionStats,
    /// Events that the replay found.
    replayed: u64,
    /// Records that tell of losses.
    loss_records: u64,
    /// Replayed events whose payload or order within their thread was not what was written.
    wrong: u64,
    bytes: u64,
    /// Of the recording, stop included.
    seconds: f64,
    /// Of the slowest thread, per event that it tried.
    ns_per_event: f64,
    replay_seconds: f64,
}

/// What the demo's logs are known by.
const SESSION: &str = "etlring demo";

/// Bytes before the payload of an event: the header of the buffer and that of the event.
const HEADERS: u32 = 72 + 48;
/// Sizes of buffers that a session takes.
const BUFFER_SIZES: RangeInclusive<u32> = 4096..=16 << 20;

/// Runs `demo`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    // What is wrong with the size itself the session says.
    let most = args.buffer_size.saturating_sub(HEADERS).min(MOST_PAYLOAD);
    if BUFFER_SIZES.contains(&args.buffer_size) && args.payload > most as usize {
        return Err(Failure::new(format!(
            "--payload is {} bytes, must be 8 to {most} with --buffer-size {}; no event would fit",
            args.payload, args.buffer_size
        )));
    }
    let path = match &args.out {
        Some(path) if is_another_log(path) => {
            let name = text::path(path);
            return Err(Failure::new(format!(
                "{name}: is another log; name a file for the demo's"
            )));
        }
        Some(path) => path.clone(),
        None => std::env::temp_dir().join(format!("etlring-demo-{}.etl", std::process::id())),
    };
    let report = record_and_replay(args, &path);
    if args.out.is_none() {
        // Nothing was asked to stay; what cannot be removed is the system's to clear.
        let _ = std::fs::remove_file(&path);
    }
    let report = report?;
    let text = if args.json { report.json(args, &path) } else { report.text(args, &path) };
    std::io::stdout().write_all(text.as_bytes())?;
    report.judge()
}

/// Whether a log lies there that no demo has made: it is not the demo's to replace.
fn is_another_log(path: &Path) -> bool {
    // A pipe by that name would be waited for.
    if !std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let trace = Trace::open(path);
    trace.is_ok_and(|trace| trace.logfile().session_name().to_string() != SESSION)
}

fn record_and_replay(args: &Args, path: &Path) -> Result<Report, Failure> {
    let (stats, seconds, ns_per_event) = record(args, path)?;
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut report = Report {
        stats,
        replayed: 0,
        loss_records: 0,
        wrong: 0,
        bytes,
        seconds,
        ns_per_event,
        replay_seconds: 0.0,
    };
    report.replay(args, path)?;
    Ok(report)
}

/// Records; gives the session's counters, the seconds and the cost of an event to its caller.
fn record(args: &Args, path: &Path) -> Result<(SessionStats, f64, f64), Failure> {
    let session = Session::builder(SESSION)
        .log_file(path)
        .buffer_size(args.buffer_size)
        .maximum_buffers(args.buffers)
        .start()
        .map_err(Failure::new)?;
    let event = ClassicEvent::new(CLASS, 10, 4);
    let start = Instant::now();
    let slowest = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..args.threads)
            .map(|thread| {
                let handle = session.handle();
                let mut payload = vec![0; args.payload];
                let events = share(args, thread);
                scope.spawn(move || {
                    let start = Instant::now();
                    for number in 0..events {
                        fill(&mut payload, thread, number);
                        // What is refused is counted by the session.
                        let _ = handle.write_classic(&event, &payload);
                    }
                    start.elapsed().as_secs_f64() * 1e9 / events.max(1) as f64
                })
            })
            .collect();
        writers.into_iter().filter_map(|writer| writer.join().ok()).fold(0.0, f64::max)
    });
    let stats = session.stop().map_err(Failure::new)?;
    Ok((stats, start.elapsed().as_secs_f64(), slowest))
}

/// Events of one thread: an even share, the first ones one more.
fn share(args: &Args, thread: u32) -> u64 {
    let threads = u64::from(args.threads);
    args.events / threads + u64::from(u64::from(thread) < args.events % threads)
}

/// Writes who and which into a payload: the rest stays as it is.
fn fill(payload: &mut [u8], thread: u32, number: u64) {
    let mark = u64::from(thread) << 48 | number & 0xFFFF_FFFF_FFFF;
    payload[..8].copy_from_slice(&mark.to_le_bytes());
}

impl Report {
    /// Reads the file back in time order.
    fn replay(&mut self, args: &Args, path: &Path) -> Result<(), Failure> {
        let start = Instant::now();
        let trace = Trace::open(path).map_err(Failure::new)?;
        let mut next = vec![0u64; args.threads as usize];
        let mut records = trace.by_time();
        while let Some(record) = records.next() {
            let record = record.map_err(Failure::new)?;
            let view = record.view().map_err(Failure::new)?;
            match view.provider() {
                Some(CLASS) => {
                    self.replayed += 1;
                    let expected =
                        view.payload().len() == args.payload && in_order(view.payload(), &mut next);
                    self.wrong += u64::from(!expected);
                }
                Some(LOST_EVENT_GUID) => self.loss_records += 1,
                _ => {}
            }
        }
        self.replay_seconds = start.elapsed().as_secs_f64();
        Ok(())
    }

    fn judge(&self) -> Result<Outcome, Failure> {
        if self.replayed != self.stats.events_accepted {
            let (accepted, replayed) = (self.stats.events_accepted, self.replayed);
            let why = format!("{accepted} events were accepted, but {replayed} replayed");
            return Err(Failure::new(why));
        }
        if self.wrong != 0 {
            let why = format!("{} events came back changed or out of order", self.wrong);
            return Err(Failure::new(why));
        }
        Ok(Outcome::Clean)
    }

    fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds.max(1e-9)
    }

    fn json(&self, args: &Args, path: &Path) -> String {
        let out = args.out.as_ref().map(|_| text::path(path));
        let report = serde_json::json!({
            "attempted": self.stats.attempted(),
            "accepted": self.stats.events_accepted,
            "lost": self.stats.lost.total(),
            "replayed": self.replayed,
            "loss_records": self.loss_records,
            "ns_per_event": self.ns_per_event,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "mb_per_second": self.megabytes_per_second(),
            "replay_seconds": self.replay_seconds,
            "replay_events_per_second": self.replayed as f64 / self.replay_seconds.max(1e-9),
            "threads": args.threads,
            "lanes": self.stats.lanes,
            "file": out,
        });
        json::short_report(&report)
    }

    fn text(&self, args: &Args, path: &Path) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<10}{value}");
        };
        let percent = 100.0 * self.stats.lost.total() as f64 / self.stats.attempted().max(1) as f64;
        line(
            "attempted",
            format!(
                "{:>15} events by {}",
                count(self.stats.attempted()),
                counted(args.threads.into(), "thread")
            ),
        );
        line("accepted", format!("{:>15}", count(self.stats.events_accepted)));
        line("lost", format!("{:>15} ({percent:.1} %)", count(self.stats.lost.total())));
        line(
            "replayed",
            format!(
                "{:>15} in time order, {:.1} M/s",
                count(self.replayed),
                self.replayed as f64 / 1e6 / self.replay_seconds.max(1e-9)
            ),
        );
        line("caller", format!("{:>15.1} ns per event", self.ns_per_event));
        line("log", format!("{:>15} at {:.0} MB/s", size(self.bytes), self.megabytes_per_second()));
        if args.out.is_some() {
            let shown = escaped(&text::path(path)).to_string();
            let _ = writeln!(text, "\nwritten to {shown}; next: etlring info {shown}");
        }
        if self.loss_records != 0 {
            let _ = writeln!(
                text,
                "\nwhere events were lost: {} in the log",
                counted(self.loss_records, "record")
            );
        }
        text
    }
}

/// Whether the payload is one that `fill` made, and later than the last of its thread.
fn in_order(payload: &[u8], next: &mut [u64]) -> bool {
    let Some(mark) = payload.first_chunk::<8>() else { return false };
    let mark = u64::from_le_bytes(*mark);
    let (thread, number) = (mark >> 48, mark & 0xFFFF_FFFF_FFFF);
    let Some(next) = usize::try_from(thread).ok().and_then(|thread| next.get_mut(thread)) else {
        return false;
    };
    let in_order = number >= *next;
    *next = number + 1;
    in_order
}
