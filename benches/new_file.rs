//! What reaches a new file when a producer runs flat out, against a bare `write(2)`.
//!
//! Not a criterion bench: each round is one whole recording of ten million events, alternating with
//! the same number of bytes written in 64 KiB blocks to another new file, because a page cache
//! changes its mind from minute to minute. Printed per round and as medians: kept bytes per second
//! against the bare write's, CPU of the whole process per kept event against one clock read, events
//! lost; beside them what no recorder into a file can do without, the bare write's own CPU and one
//! clock read, and how far the two processors were apart before and behind the recording. A second
//! series paces the producer at half of the median rate: nothing may be lost there.
//!
//! `cargo bench --bench new_file`; files go to the current directory's file system, `target/`.

mod common;

use common::{clock_ns, cpu_seconds, handover_ns};
use etlring::format::Guid;
use etlring::session::{ClassicEvent, Session, SessionStats};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

const EVENTS: u64 = 10_000_000;
const ROUNDS: usize = 7;
const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);
const PAYLOAD: [u8; 28] = [0x5A; 28];
const RECORD_BYTES: u64 = 80;

struct Round {
    stats: SessionStats,
    seconds: f64,
    cpu_seconds: f64,
}

fn main() {
    // `cargo test --benches` runs this too, with `--test`: then one short round shows that it runs.
    let events = if std::env::args().any(|arg| arg == "--test") { 10_000 } else { EVENTS };
    let rounds = if events == EVENTS { ROUNDS } else { 1 };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("new.etl");
    let clock_ns = clock_ns();
    println!("clock read {clock_ns:.2} ns; {events} events of {RECORD_BYTES} bytes");

    let (mut kept_ratios, mut cpu_ratios, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut floors = Vec::new();
    for round in 1..=rounds {
        let before = handover_ns();
        let log = record(&path, events, None);
        let behind = handover_ns();
        let kept = log.stats.events_accepted as f64;
        let bytes = log.stats.events_accepted * RECORD_BYTES;
        let bare = bare_write(&path, bytes);
        let bare_rate = bytes as f64 / bare.0;
        let floor_ns = clock_ns + bare.1 * 1e9 / kept;
        let rate = bytes as f64 / log.seconds;
        let cpu_ns = log.cpu_seconds * 1e9 / kept;
        println!(
            "round {round}: kept {:5.1} M/s, {:5.0} MB/s, bare write {:5.0} MB/s, ratio {:.2}; \
             lost {:4.1} %; cpu {:5.1} ns per kept event, {:.2} clock reads; floor {:.1} ns, \
             {:.2}; processors {:.0} and {:.0} ns apart",
            kept / log.seconds / 1e6,
            rate / 1e6,
            bare_rate / 1e6,
            rate / bare_rate,
            100.0 * log.stats.lost.total() as f64 / log.stats.attempted() as f64,
            cpu_ns,
            cpu_ns / clock_ns,
            floor_ns,
            cpu_ns / floor_ns,
            before,
            behind,
        );
        floors.push(cpu_ns / floor_ns);
        kept_ratios.push(rate / bare_rate);
        cpu_ratios.push(cpu_ns / clock_ns);
        rates.push(kept / log.seconds);
    }
    println!(
        "medians: kept {:.2} of the bare write, cpu {:.2} clock reads per kept event, {:.2} of the \
         floor",
        median(&mut kept_ratios),
        median(&mut cpu_ratios),
        median(&mut floors)
    );

    let half = median(&mut rates) / 2.0;
    for round in 1..=rounds.min(3) {
        let log = record(&path, events, Some(half));
        println!(
            "half rate {round}: {:.1} M/s, lost {} of {}",
            log.stats.events_accepted as f64 / log.seconds / 1e6,
            log.stats.lost.total(),
            log.stats.attempted()
        );
    }
}

/// One recording with default settings; the stop is part of it.
fn record(path: &Path, events: u64, per_second: Option<f64>) -> Round {
    let _ = std::fs::remove_file(path);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let session = Session::builder("new file").log_file(path).start().expect("starts");
    match per_second {
        None => (0..events).for_each(|_| write(&session)),
        Some(rate) => {
            // A hundred at a time, when they are due.
            for block in 0..events / 100 {
                let due = Duration::from_secs_f64(block as f64 * 100.0 / rate);
                while start.elapsed() < due {
                    std::hint::spin_loop();
                }
                (0..100).for_each(|_| write(&session));
            }
        }
    }
    let stats = session.stop().expect("the log is whole");
    Round { stats, seconds: start.elapsed().as_secs_f64(), cpu_seconds: cpu_seconds() - cpu }
}

fn write(session: &Session) {
    // What is refused is counted by the session.
    let _ = session.write_classic(black_box(&EVENT), black_box(&PAYLOAD));
}

/// Seconds, and those of the processor, for as many bytes in 64 KiB blocks to a new file.
fn bare_write(path: &Path, bytes: u64) -> (f64, f64) {
    let _ = std::fs::remove_file(path);
    let block = vec![0x5A; 64 * 1024];
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut file = File::create(path).expect("a file");
    for _ in 0..bytes.div_ceil(block.len() as u64) {
        file.write_all(&block).expect("room");
    }
    (start.elapsed().as_secs_f64(), cpu_seconds() - cpu)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
