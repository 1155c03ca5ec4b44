//! What a ring costs: overwritten in memory, in a circular log, beside a log, while snapshots are
//! taken. Beside it a bare ring: a thread's own memory, where the same bytes are put with a stamp
//! and their end, and nobody else may ever come.
//!
//! Not a criterion bench: each round is one recording flat out, by one thread, the kinds alternating,
//! since a machine changes its mind from minute to minute. Printed per kind as medians over the
//! rounds: nanoseconds of wall time and of CPU of the whole process per event, both as multiples of
//! one clock read, and events lost. The event is one that the compiler does not know. Then the
//! percentiles of single calls of two threads, each timed by itself, with and without snapshots of
//! the 64 MiB ring that they fill.
//!
//! `cargo bench --bench rings`; files go to the current directory's file system, `target/`.

mod common;

use common::{clock_ns, cpu_seconds};
use etlring::format::Guid;
use etlring::session::{ClassicEvent, Clock, FileMode, Session, SessionBuilder, SessionStats};
use etlring::sink::NullSink;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EVENTS: u64 = 10_000_000;
const ROUNDS: usize = 7;
const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);
const PAYLOAD: [u8; 28] = [0x5A; 28];

/// A kind of session, by name.
type Kind = (&'static str, fn(&Path) -> SessionBuilder);

const KINDS: [Kind; 6] = [
    ("64 MiB ring", |_| memory_ring(1024)),
    ("64 MiB ring, tick", |_| memory_ring(1024).clock(Clock::FlusherTick)),
    ("4 MiB ring", |_| memory_ring(64)),
    ("4 MiB ring, tick", |_| memory_ring(64).clock(Clock::FlusherTick)),
    ("circular log", |path| {
        Session::builder("rings")
            .log_file(path)
            .file_mode(FileMode::Circular)
            .maximum_file_size_mb(64)
    }),
    ("null sink", |_| Session::builder("rings").sink(NullSink)),
];

fn memory_ring(buffers: u32) -> SessionBuilder {
    Session::builder("rings").memory_ring().maximum_buffers(buffers)
}

fn main() {
    // `cargo test --benches` runs this too, with `--test`: then one short round shows that it runs.
    let test = std::env::args().any(|arg| arg == "--test");
    let (events, rounds) = if test { (10_000, 1) } else { (EVENTS, ROUNDS) };
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("ring.etl");
    let clock_ns = clock_ns();
    println!("clock read {clock_ns:.2} ns; {events} events of 80 bytes, {rounds} rounds");

    let mut results = KINDS.map(|_| (Vec::new(), Vec::new(), Vec::new()));
    let mut bare = [1024, 64].map(|buffers| (buffers, Vec::new()));
    for _ in 0..rounds {
        for (buffers, times) in &mut bare {
            times.push(Bare::new(*buffers).record(events) * 1e9 / events as f64);
        }
        for ((_, kind), result) in KINDS.iter().zip(&mut results) {
            let (seconds, cpu, stats) = record(kind(&path), events);
            result.0.push(seconds * 1e9 / events as f64);
            result.1.push(cpu * 1e9 / events as f64);
            result.2.push(100.0 * stats.lost.total() as f64 / stats.attempted() as f64);
        }
    }
    for (buffers, times) in &mut bare {
        let (least, median, most) = spread(times);
        println!(
            "bare, {:2} MiB, tick  wall {median:5.1} ns ({least:.1} to {most:.1})",
            *buffers / 16
        );
    }
    for ((name, _), (wall, cpu, lost)) in KINDS.iter().zip(&mut results) {
        let (wall, cpu) = (spread(wall), spread(cpu));
        println!(
            "{name:18} wall {:5.1} ns ({:.1} to {:.1}), {:.2} clock reads; cpu {:5.1} ns ({:.1} to \
             {:.1}), {:.2} clock reads; lost {:.1} %",
            wall.1,
            wall.0,
            wall.2,
            wall.1 / clock_ns,
            cpu.1,
            cpu.0,
            cpu.2,
            cpu.1 / clock_ns,
            spread(lost).1,
        );
    }

    beside_log(&path, rounds, if test { 1 } else { 400 }, clock_ns);
    for snapshots in [false, true, false, true] {
        percentiles(directory.path(), snapshots, if test { 10 } else { 2_000 });
    }
}

/// One recording flat out: wall and CPU seconds of the events alone, and what became of them.
fn record(builder: SessionBuilder, events: u64) -> (f64, f64, SessionStats) {
    let session = builder.start().expect("starts");
    let handle = session.handle();
    // Once: to hide a pointer at each event takes two stores and two loads.
    let (event, payload) = (black_box(&EVENT), black_box(&PAYLOAD));
    let (start, cpu) = (Instant::now(), cpu_seconds());
    for _ in 0..events {
        let _ = handle.write_classic(event, payload);
    }
    let spent = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    (spent.0, spent.1, session.stop().expect("the log is whole"))
}

/// What no recorder can do without: a thread's own ring of 64 KiB buffers, the bytes of a record, a
/// stamp from memory, the end that readers look for.
struct Bare {
    memory: Vec<u8>,
    buffer: usize,
    filled: usize,
    ends: Vec<AtomicUsize>,
    tick: AtomicU64,
}

impl Bare {
    const SIZE: usize = 64 * 1024;
    const HEADER: usize = 72;

    fn new(buffers: usize) -> Self {
        Self {
            memory: vec![0x5A; buffers * Self::SIZE],
            buffer: 0,
            filled: Self::HEADER,
            ends: (0..buffers).map(|_| AtomicUsize::new(0)).collect(),
            tick: AtomicU64::new(1),
        }
    }

    /// Seconds of so many events.
    fn record(mut self, events: u64) -> f64 {
        let (event, payload) = (black_box(&EVENT), black_box(&PAYLOAD));
        let start = Instant::now();
        for _ in 0..events {
            self.put(event, payload);
        }
        start.elapsed().as_secs_f64()
    }

    #[inline(never)]
    fn put(&mut self, event: &ClassicEvent, payload: &[u8; 28]) {
        if self.filled + 80 > Self::SIZE {
            self.buffer = (self.buffer + 1) % self.ends.len();
            self.filled = Self::HEADER;
        }
        let at = self.buffer * Self::SIZE + self.filled;
        let Some(record) = self.memory[at..].first_chunk_mut::<80>() else { return };
        let ticks = self.tick.load(Ordering::Relaxed);
        let first = 0xC014_004C | u64::from(event.class_type) << 32 | u64::from(event.level) << 40;
        record[..8].copy_from_slice(&first.to_le_bytes());
        record[8..16].copy_from_slice(&self.ends.len().to_le_bytes());
        record[16..24].copy_from_slice(&ticks.to_le_bytes());
        record[24..40].copy_from_slice(&event.class.0);
        record[40..48].fill(0);
        record[48..76].copy_from_slice(payload);
        self.filled += 80;
        self.ends[self.buffer].store(self.filled, Ordering::Release);
    }
}

/// Bursts into a log whose ring lies in memory and in a file, alternating.
fn beside_log(path: &Path, rounds: usize, bursts: usize, clock_ns: f64) {
    let mut results = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (in_file, result) in [false, true].into_iter().zip(&mut results) {
            let builder = Session::builder("rings").log_file(path).ring_file(in_file);
            let session = builder.start().expect("starts");
            let mut times = Vec::new();
            for _ in 0..bursts {
                let start = Instant::now();
                for _ in 0..1_000 {
                    let _ = session.write_classic(black_box(&EVENT), black_box(&PAYLOAD));
                }
                times.push(start.elapsed().as_secs_f64() * 1e6);
                session.flush().expect("flushes");
            }
            result.push(spread(&mut times).1);
            session.stop().expect("the log is whole");
        }
    }
    let [memory, file] = results.each_mut().map(|times| spread(times));
    println!(
        "bursts of 1000 into a log: ring in memory {:.1} ns ({:.2} clock reads), in a file {:.1} ns, \
         ratio {:.3}",
        memory.1,
        memory.1 / clock_ns,
        file.1,
        file.1 / memory.1
    );
}

/// Times of single calls of two threads into a 64 MiB ring, while snapshots are taken or not.
fn percentiles(directory: &Path, snapshots: bool, milliseconds: u64) {
    let session = Session::builder("rings").memory_ring().maximum_buffers(1024).start();
    let session = session.expect("starts");
    let end = AtomicBool::new(false);
    let mut taken = 0;
    let mut times: Vec<u32> = std::thread::scope(|scope| {
        let writers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut times = Vec::with_capacity(20_000_000);
                while !end.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let _ = session.write_classic(black_box(&EVENT), black_box(&PAYLOAD));
                    times.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
                }
                times
            })
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(milliseconds) {
            if snapshots {
                session.snapshot(directory.join("snapshot.etl")).expect("a snapshot");
                taken += 1;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        end.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    });
    times.sort_unstable();
    // In parts of ten thousand.
    let at = |share: usize| times[(times.len() - 1) / 10_000 * share];
    println!(
        "calls of two threads, {taken:2} snapshots: p50 {} p99 {} p99.9 {} p99.99 {} ns, clock \
         included, of {} calls",
        at(5_000),
        at(9_900),
        at(9_990),
        at(9_999),
        times.len()
    );
}

/// Least, median, most.
fn spread(values: &mut [f64]) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}
