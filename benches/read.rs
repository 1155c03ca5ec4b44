//! How fast records are read: walked in file order, merged in time order, their headers decoded.
//!
//! Unit: records per second (`elem/s`). The floor of each is `touch`: read one byte of every
//! 64-byte line that holds records and do nothing else; it is given in the same records. Each
//! routine checks its answer against the number of records that were written.
//!
//! | group | input |
//! |---|---|
//! | `own` | 4 lanes of 80-byte records in 64 KiB buffers, 16 MiB; lanes change every 8 records |
//! | `sample` | the 43 MB sample from Windows, if it lies in `../shared/samples` |
//! | `packed` | the compressed sample from there; its floor is that of its compressed bytes |
//! | `packed_bytes` | the same, as bytes of the file per second (`B/s`), with one thread and two |
//!
//! `packed_bytes` reads by buffers ([`Trace::par_buffers`]), in file order and in time order
//! ([`Trace::read_ahead`]), headers decoded each time: what a second core is worth.
//!
//! `--once GROUP/WAY` in place of criterion's arguments reads once, so that instructions can be
//! counted; see `benches/README.md`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use etlring::reader::{Cursor, Trace};
use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::time::Duration;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/reader/log.rs"]
mod log;

/// Records, and bytes of their payloads.
type Answer = (u64, u64);

#[inline(never)]
fn walk(file: &[u8]) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.records();
    let mut answer = (0, 0);
    while let Some(record) = records.next() {
        answer.0 += 1;
        answer.1 += record.unwrap().raw().bytes.len() as u64;
    }
    answer
}

#[inline(never)]
fn decode(file: &[u8]) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.records();
    let mut answer = (0, 0);
    while let Some(record) = records.next() {
        add(&mut answer, &record.unwrap());
    }
    answer
}

#[inline(never)]
fn merge(file: &[u8]) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.by_time();
    let mut answer = (0, 0);
    while let Some(record) = records.next() {
        add(&mut answer, &record.unwrap());
    }
    answer
}

/// Decodes every field of the header and counts the payload.
#[inline]
fn add(answer: &mut Answer, record: &etlring::reader::Record<'_>) {
    let view = record.view().unwrap();
    black_box((view.ticks(), view.process_id(), view.thread_id(), view.provider()));
    black_box((view.id(), view.version(), view.level(), view.opcode(), record.lane()));
    answer.0 += 1;
    answer.1 += view.payload().len() as u64;
}

#[inline(never)]
fn touch(file: &[u8]) -> u64 {
    file.iter().step_by(64).map(|byte| u64::from(*byte)).sum()
}

/// Buffers in any order, each by whatever thread is free.
#[inline(never)]
fn by_buffers(file: &[u8], threads: NonZeroUsize) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    let mut answer = (0, 0);
    let work = |(): &mut (), _: usize, records: &mut Cursor<'_, &[u8]>| {
        let mut answer = (0, 0);
        while let Some(record) = records.next() {
            add(&mut answer, &record.unwrap());
        }
        answer
    };
    let take = |_, found: Answer| {
        answer = (answer.0 + found.0, answer.1 + found.1);
        Ok::<(), Infallible>(())
    };
    trace.par_buffers(0..usize::MAX, threads, || (), work, take).unwrap();
    answer
}

#[inline(never)]
fn ahead_by_file(file: &[u8], threads: NonZeroUsize) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    trace.read_ahead(threads, |ahead| {
        let mut records = ahead.records();
        let mut answer = (0, 0);
        while let Some(record) = records.next() {
            add(&mut answer, &record.unwrap());
        }
        answer
    })
}

#[inline(never)]
fn ahead_by_time(file: &[u8], threads: NonZeroUsize) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    trace.read_ahead(threads, |ahead| {
        let mut records = ahead.by_time();
        let mut answer = (0, 0);
        while let Some(record) = records.next() {
            add(&mut answer, &record.unwrap());
        }
        answer
    })
}

/// A way to read with threads, by name.
type SharedWay = (&'static str, fn(&[u8], NonZeroUsize) -> Answer);

const SHARED_WAYS: &[SharedWay] =
    &[("buffers", by_buffers), ("decode", ahead_by_file), ("merge", ahead_by_time)];

fn bench_shared(c: &mut Criterion, name: &str, file: &[u8]) {
    let expected = decode(file);
    let mut group = c.benchmark_group(format!("{name}_bytes"));
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for (way, read) in SHARED_WAYS {
        for threads in [1, 2].map(|count| NonZeroUsize::new(count).unwrap()) {
            let id = BenchmarkId::new(*way, threads);
            group.bench_function(id, |b| {
                b.iter(|| assert_eq!(read(black_box(file), threads), expected));
            });
        }
    }
    group.finish();
}

/// A way to read, by name.
type Way = (&'static str, fn(&[u8]) -> Answer);

const WAYS: &[Way] = &[("walk", walk), ("decode", decode), ("merge", merge)];

fn bench(c: &mut Criterion, name: &str, file: &[u8]) {
    let (records, payload) = decode(file);
    assert_eq!(merge(file), (records, payload));
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(records));
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function("touch", |b| b.iter(|| touch(black_box(file))));
    for (way, read) in WAYS {
        group.bench_function(*way, |b| b.iter(|| assert_eq!(read(black_box(file)).0, records)));
    }
    group.finish();
}

/// 4 lanes of 80-byte records.
fn own() -> Vec<u8> {
    const LANES: u16 = 4;
    const PER_BUFFER: u64 = 818;
    let mut log = log::Log::new(64 * 1024);
    for sequence in 0..64 {
        for lane in 0..LANES {
            let first = sequence * PER_BUFFER;
            let ticks = |n: u64| 2_000 + n / 8 * u64::from(LANES) + u64::from(lane);
            let records: Vec<_> =
                (first..first + PER_BUFFER).map(|n| log::classic(ticks(n), 1, 32)).collect();
            let stamp = ticks(first + PER_BUFFER);
            log.buffer(lane, i64::try_from(sequence).unwrap() + 1, stamp, &records);
        }
    }
    log.bytes
}

/// The input of a group; `None`, with a message, if it is not there.
fn input(group: &str) -> Option<Vec<u8>> {
    let name = match group {
        "own" => return Some(own()),
        "sample" => "etwanalyzer_TraceLoggingTester.etl",
        "packed" => "perfview_net.4.5.2.x64.etl",
        _ => return None,
    };
    let path = format!("{}/../shared/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).inspect_err(|error| eprintln!("skipped: {path}: {error}")).ok()
}

fn groups(c: &mut Criterion) {
    for group in ["own", "sample", "packed"] {
        if let Some(file) = input(group) {
            bench(c, group, &file);
            if group == "packed" {
                bench_shared(c, group, &file);
            }
        }
    }
}

/// `--once GROUP/WAY` reads once and says how much: for those who count instructions.
fn once(what: &str) -> Option<()> {
    let (group, way) = what.split_once('/')?;
    let (_, read) = WAYS.iter().find(|(name, _)| *name == way)?;
    let (records, payload) = read(&input(group)?);
    println!("{records} records, {payload} bytes of payload");
    Some(())
}

criterion_group!(benches, groups);

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--once").skip(1);
    if let Some(what) = arguments.next() {
        return once(&what).expect("--once GROUP/WAY");
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
