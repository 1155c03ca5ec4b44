//! `recompress`: there and back.

use crate::log::{Log, classic, untimed};
use crate::{made, rows};
use etlring::edit::{self, Packing};
use etlring::format::LogFileMode;
use etlring::reader::Trace;
use std::num::NonZeroUsize;

fn packing(compressed: bool, threads: usize) -> Packing {
    Packing { compressed, threads: NonZeroUsize::new(threads).unwrap() }
}

fn log() -> Log {
    let mut log = Log::new(8192);
    for sequence in 1..=40u16 {
        let first = 2_000 + u64::from(sequence) * 50;
        let count = 1 + u64::from(sequence) % 50;
        let mut records: Vec<_> = (0..count).map(|n| classic(first + n, n as u8, 40)).collect();
        records.push(untimed(sequence));
        log.buffer(sequence % 3, i64::from(sequence), first + 50, &records);
    }
    log
}

#[test]
fn packed_and_unpacked_is_the_same_log() {
    let log = log();
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let mut first: Option<Vec<u8>> = None;
    for threads in [1, 2, 3, 100] {
        let (packed, _) = made(|out| edit::recompress(&trace, out, packing(true, threads)));
        assert!(packed.len() < log.bytes.len() / 4);
        let again = Trace::from_slice(&packed).unwrap();
        assert!(again.logfile().mode().has(LogFileMode::COMPRESSED));
        assert_eq!(again.logfile().version()[2..], [2, 0]);
        assert!(again.buffers()[1..].iter().all(|buffer| buffer.is_compressed()));
        assert_eq!(rows(&again), rows(&trace));
        let (plain, _) = made(|out| edit::recompress(&again, out, packing(false, threads)));
        let plain_trace = Trace::from_slice(&plain).unwrap();
        assert!(!plain_trace.logfile().mode().has(LogFileMode::COMPRESSED));
        assert_eq!(rows(&plain_trace), rows(&trace));
        assert_eq!(plain.len(), log.bytes.len());
        // The number of threads changes nothing.
        assert_eq!(first.get_or_insert_with(|| packed.clone()), &packed);
    }
}

#[test]
fn bytes_that_do_not_pack_stay_plain_in_a_packed_log() {
    let mut log = Log::new(4096);
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(3_000)
    .collect();
    let mut record = classic(5_000, 1, noise.len());
    record[48..].copy_from_slice(&noise);
    log.buffer(0, 1, 6_000, &[record]);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let (packed, _) = made(|out| edit::recompress(&trace, out, packing(true, 1)));
    let packed = Trace::from_slice(&packed).unwrap();
    assert!(!packed.buffers()[1].is_compressed());
    assert_eq!(u64::from(packed.buffers()[1].size), 72 + 3_048);
    assert_eq!(rows(&packed), rows(&trace));
}
