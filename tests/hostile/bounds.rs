//! Memory and work against the size of what is read.

use crate::allocations::{allocations, peak};
use crate::log::{Log, classic, untimed};
use etlring::edit::{self, Keep};
use etlring::format::FileTime;
use etlring::reader::{Source, Trace};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most that `work` held at one time, and what it did: bytes read, calls of the source and
/// allocations.
fn cost(bytes: &[u8], work: impl FnOnce(&Trace<&Reads<'_>>)) -> (isize, u64) {
    let source = Reads { bytes, work: AtomicU64::new(0) };
    let before = allocations();
    let peak = peak(|| {
        if let Ok(trace) = Trace::new(&source) {
            work(&trace);
        }
    });
    (peak, source.work.load(Relaxed) + 32 * (allocations() - before))
}

struct Reads<'a> {
    bytes: &'a [u8],
    work: AtomicU64,
}

impl Source for &Reads<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let found = self.bytes.read_at(position, out)?;
        self.work.fetch_add(16 + found as u64, Relaxed);
        Ok(found)
    }
}

/// Logs of about `n` kilobytes that make each part of the reader work hardest.
fn adversaries(n: u16) -> Vec<(&'static str, Vec<u8>)> {
    let size = 4096;
    let mut all = Vec::new();
    let mut log = Log::new(size);
    for sequence in 1..=n {
        let records: Vec<_> = (0..60).map(|k| classic(5_000 - k, 1, 8)).collect();
        log.buffer(sequence % 2_000, i64::from(n - sequence), 1, &records);
    }
    all.push(("as many lanes as there can be, backwards", log.bytes));
    let mut log = Log::new(size);
    for sequence in 1..=n {
        log.buffer(0, 1, 0, &(0..150).map(untimed).collect::<Vec<_>>());
        let _ = sequence;
    }
    all.push(("nothing but untimed records, of one number and stamp", log.bytes));
    let mut log = Log::new(size);
    for sequence in 1..=n {
        log.buffer(0, i64::from(sequence), 9_000, &[classic(7, 1, 3_900)]);
    }
    let mut zeros = log.bytes.clone();
    for (number, buffer) in zeros.chunks_mut(size).enumerate().skip(1) {
        if number % 2 == 0 {
            buffer[..72].fill(0);
        }
    }
    all.push(("every second buffer never written", zeros));
    let mut sizes = log.bytes.clone();
    sizes.chunks_mut(size).skip(1).for_each(|buffer| buffer[0] ^= 8);
    all.push(("no buffer of the right size", sizes));
    let mut log = Log::with_mode(size, 0x0400_0001);
    for sequence in 1..=n {
        let at = log.compressed(0, i64::from(sequence), 9_000, &[classic(7, 1, 1_000)]);
        if sequence % 2 == 0 {
            log.bytes[at..at + 4].fill(0);
            log.bytes[at + 72 + 4 + 32] ^= 0xFF;
        }
    }
    all.push(("every second compressed buffer of no size", log.bytes));
    let mut log = Log::new(size);
    let mut state = 88_172_645_463_325_252u64;
    for _ in 0..n {
        log.bytes.extend((0..size / 8).flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        }));
    }
    all.push(("noise", log.bytes));
    all
}

type Work = (&'static str, fn(&Trace<&Reads<'_>>));

const WORKS: &[Work] = &[
    ("file order", |trace| {
        let mut records = trace.records();
        while records.next().is_some() {}
    }),
    ("time order", |trace| {
        let mut records = trace.by_time();
        while records.next().is_some() {}
    }),
    ("filter", |trace| {
        let odd = |number: u64| number % 2 == 1;
        let mut number = 0;
        let out = io::Cursor::new(Vec::new());
        let _ = edit::filter(trace, out, Keep::default(), |_, _, _| {
            number += 1;
            odd(number)
        });
    }),
    ("cut", |trace| {
        let (from, to) = (FileTime(0), FileTime(i64::MAX));
        let _ = edit::cut(
            trace,
            io::Cursor::new(Vec::new()),
            Keep { metadata: false, ..Keep::default() },
            from,
            to,
        );
    }),
    ("merge", |trace| {
        let _ = edit::merge(&[trace, trace], io::Cursor::new(Vec::new()));
    }),
];

/// Goal: work grows with the input and not faster, memory stays within a multiple of it.
/// Method: each adversary at n and 2n; operations are counted, so that every run says the same.
#[test]
fn twice_the_input_is_twice_the_work() {
    const N: u16 = 150;
    for ((name, once), (_, twice)) in adversaries(N).into_iter().zip(adversaries(2 * N)) {
        for (what, work) in WORKS {
            let (_, first) = cost(&once, work);
            let (peak, second) = cost(&twice, work);
            let ratio = second as f64 / first.max(1) as f64;
            println!("{name}, {what}: peak {peak} of {}, work x {ratio:.3}", twice.len());
            assert!(ratio <= 2.1, "{name}, {what}: {first} and {second}");
            // The output of an edit lies in memory here: it counts twice, and so while it grows.
            let inputs = if *what == "merge" { 2 } else { 1 };
            let most = (1 << 20) + 8 * inputs * twice.len() as isize;
            assert!(peak <= most, "{name}, {what}: {peak} bytes of {}", twice.len());
        }
    }
}
