//! The same event through etlring and through those that a program might take instead.
//!
//! ```text
//! bash run.sh [EVENTS]       builds all, measures all, prints one table; or
//! peers [EVENTS]             the Rust ones alone
//! peers PEER EVENT calls|paced|1|2 EVENTS DIRECTORY     one measurement, as `key=value`
//! ```
//!
//! Each measurement is a process of its own, because most loggers can be set up but once. The
//! *long* event is what a service logs: time, thread, a `u64`, a `u32`, 16 bytes of text; the
//! *short* one has the `u64` alone. Text loggers write a line with time, level, thread and these.
//!
//! - *calls*: what one call costs the caller, timed alone: bursts of 1,000 with 2 ms between them,
//!   so that every background thread keeps up. The cost of reading the clock is taken off. Of a
//!   thousand calls one comes after a pause, when the caches hold something else.
//! - *paced*: the same, one call each microsecond from a thread that never sleeps.
//! - The *bare ring* is no recorder and keeps nothing: it shows how much of a call's time is the
//!   machine's.
//! - *kept*: one or two threads log flat out; the time ends when all is in the file and the logger
//!   is shut down. What was kept is counted by reading the file back, whatever the logger says of
//!   itself; what is missing was lost. CPU is that of the whole process, per kept event.

mod bare;
mod etl;
mod measure;
mod rust;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A logger that is set up to write into a directory.
pub trait Peer: Sync + Sized {
    /// Sets it up.
    fn start(directory: &Path) -> Self;
    /// The long event.
    fn long(&self, a: u64, b: u32, text: &str);
    /// The short event.
    fn short(&self, a: u64);
    /// What goes round a thousand events of one thread, where something must.
    fn batch<T>(&self, run: impl FnOnce() -> T) -> T {
        run()
    }
    /// Shuts it down: afterwards everything that will ever be in the file is there.
    fn finish(self);
    /// Events in the directory.
    fn kept(directory: &Path) -> u64 {
        measure::lines(directory)
    }
}

/// The long event's 28 bytes.
fn payload(a: u64, b: u32, text: &str) -> [u8; 28] {
    let mut payload = [0; 28];
    payload[..8].copy_from_slice(&a.to_le_bytes());
    payload[8..12].copy_from_slice(&b.to_le_bytes());
    payload[12..].copy_from_slice(text.as_bytes());
    payload
}

/// No recorder: nothing of it is kept.
const BARE: &str = "bare ring";

/// Names, and what measures each.
const PEERS: &[(&str, fn(&measure::Task) -> measure::Outcome)] = &[
    (BARE, measure::run::<bare::Bare>),
    ("etlring", measure::run::<etl::Direct>),
    ("etlring, 1 MiB buffers", measure::run::<etl::Large>),
    ("etlring event!", measure::run::<etl::Macro>),
    ("etlring tracing layer", measure::run::<etl::Layer>),
    ("tracing-appender drops", measure::run::<rust::AppenderDrops>),
    ("tracing-appender blocks", measure::run::<rust::AppenderBlocks>),
    ("fastrace", measure::run::<rust::Fastrace>),
    ("ftlog", measure::run::<rust::Ftlog>),
    ("fast_log", measure::run::<rust::FastLog>),
    ("spdlog-rs drops", measure::run::<rust::SpdlogDrops>),
    ("spdlog-rs blocks", measure::run::<rust::SpdlogBlocks>),
    ("flexi_logger", measure::run::<rust::Flexi>),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [peer, event, what, events, directory] = &args[..] {
        let Some((_, run)) = PEERS.iter().find(|(name, _)| name == peer) else {
            eprintln!("no peer {peer}");
            return ExitCode::from(2);
        };
        let Some(way) = measure::Way::of(what) else {
            eprintln!("no way to measure: {what}");
            return ExitCode::from(2);
        };
        let task = measure::Task {
            long: event == "long",
            way,
            events: events.parse().expect("a number of events"),
            directory: PathBuf::from(directory),
        };
        println!("{}", run(&task));
        return ExitCode::SUCCESS;
    }
    let events = match args.first().map(|events| events.parse::<u64>()) {
        None => 2_000_000,
        Some(Ok(events)) => events,
        Some(Err(_)) => {
            eprintln!("usage: peers [EVENTS]");
            return ExitCode::from(2);
        }
    };
    table(events);
    ExitCode::SUCCESS
}

/// Measures everything, one process after the other.
fn table(events: u64) {
    let own = std::env::current_exe().expect("this program");
    let mut peers: Vec<(String, PathBuf)> =
        PEERS.iter().map(|(name, _)| ((*name).to_owned(), own.clone())).collect();
    // Programs in other languages take the same arguments and give the same answer.
    for (name, variable) in [
        ("spdlog C++ drops", "PEERS_SPDLOG"),
        ("spdlog C++ blocks", "PEERS_SPDLOG"),
        ("LTTng-UST", "PEERS_LTTNG"),
    ] {
        match std::env::var_os(variable) {
            Some(program) => peers.push((name.to_owned(), program.into())),
            None => println!("left out: {name}, which is not built"),
        }
    }
    println!("{events} events, each thread; times in ns, kept in M events/s, lost in %");
    let titles = [
        "p50", "p99", "p99.9", "p99 p", "p99.9 p", "kept 1T", "lost", "CPU", "kept 2T", "lost",
        "CPU", "bytes",
    ];
    println!("{}", line("peer", "event", &titles));
    for event in ["long", "short"] {
        for (name, program) in &peers {
            let [calls, paced, one, two] = ["calls", "paced", "1", "2"]
                .map(|what| measured(program, name, event, what, events));
            let row = [
                calls("p50"),
                calls("p99"),
                calls("p99.9"),
                paced("p99"),
                paced("p99.9"),
                one("kept"),
                one("lost"),
                one("cpu"),
                two("kept"),
                two("lost"),
                two("cpu"),
                one("bytes"),
            ];
            println!("{}", line(name, event, &row));
        }
    }
}

/// One line of the table, with bars between what one kind of measurement gave.
fn line(peer: &str, event: &str, cells: &[impl AsRef<str>]) -> String {
    let mut out = format!("{peer:<24} {event:<5}");
    for (at, cell) in cells.iter().enumerate() {
        let bar = if matches!(at, 0 | 3 | 5 | 8 | 11) { " |" } else { "" };
        out += &format!("{bar} {:>7}", cell.as_ref());
    }
    out
}

/// The outcome of one process, by key; `failed` where there is none.
fn measured(
    program: &Path,
    name: &str,
    event: &str,
    what: &str,
    events: u64,
) -> impl Fn(&str) -> String {
    let directory = std::env::temp_dir().join(format!("etlring-peers-{}", std::process::id()));
    // Left by a measurement that failed.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).expect("a directory for the logs");
    let output = Command::new(program)
        .args([name, event, what, &events.to_string()])
        .arg(&directory)
        .output()
        .expect("runs");
    let _ = std::fs::remove_dir_all(&directory);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        eprintln!("{name}, {event}, {what}: {}", String::from_utf8_lossy(&output.stderr));
    }
    move |key| {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(found, _)| *found == key)
            .map(|(_, value)| value.to_owned())
            .next_back()
            .unwrap_or_else(|| "failed".to_owned())
    }
}
