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

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etlring::reader::Trace;
use std::hint::black_box;
use std::time::Duration;

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/reader/log.rs"]
mod log;

/// Records, and bytes of their payloads.
type Answer = (u64, u64);

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

fn decode(file: &[u8]) -> Answer {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.records();
    let mut answer = (0, 0);
    while let Some(record) = records.next() {
        add(&mut answer, &record.unwrap());
    }
    answer
}

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

fn touch(file: &[u8]) -> u64 {
    file.iter().step_by(64).map(|byte| u64::from(*byte)).sum()
}

fn bench(c: &mut Criterion, name: &str, file: &[u8]) {
    let (records, payload) = decode(file);
    assert_eq!(merge(file), (records, payload));
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(records));
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function("touch", |b| b.iter(|| touch(black_box(file))));
    group.bench_function("walk", |b| b.iter(|| assert_eq!(walk(black_box(file)).0, records)));
    group.bench_function("decode", |b| {
        b.iter(|| assert_eq!(decode(black_box(file)), (records, payload)));
    });
    group.bench_function("merge", |b| {
        b.iter(|| assert_eq!(merge(black_box(file)), (records, payload)));
    });
    group.finish();
}

fn own(c: &mut Criterion) {
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
    assert_eq!(walk(&log.bytes).0, 64 * u64::from(LANES) * PER_BUFFER + 1);
    bench(c, "own", &log.bytes);
}

fn sample(c: &mut Criterion) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/samples/etwanalyzer_TraceLoggingTester.etl"
    );
    match std::fs::read(path) {
        Ok(file) => bench(c, "sample", &file),
        Err(error) => eprintln!("skipped: {path}: {error}"),
    }
}

criterion_group!(benches, own, sample);
criterion_main!(benches);
