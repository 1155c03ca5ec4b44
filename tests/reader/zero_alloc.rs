//! Reading an uncompressed file allocates nothing per record.

use crate::allocations::allocations;
use crate::log::{Log, classic, untimed};
use etlring::reader::Trace;

/// A file of `buffers` buffers in four lanes with `records` records each.
fn log(buffers: u16, records: u64) -> Vec<u8> {
    let mut log = Log::new(64 * 1024);
    for sequence in 1..=buffers {
        let first = 2_000 + u64::from(sequence) * records;
        let mut all: Vec<_> = (0..records).map(|n| classic(first + n, 1, 8)).collect();
        all.push(untimed(1));
        log.buffer(sequence % 4, i64::from(sequence), first + records, &all);
    }
    log.bytes
}

/// Walks both ways; records found, and allocations made by both cursors together.
fn walk(file: &[u8]) -> (u64, u64) {
    let trace = Trace::from_slice(file).unwrap();
    let before = allocations();
    let mut count = 0;
    let mut records = trace.records();
    while let Some(record) = records.next() {
        count += u64::from(record.unwrap().view().is_ok());
    }
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        count += u64::from(record.unwrap().view().is_ok());
    }
    (count, allocations() - before)
}

#[test]
fn more_records_need_no_more_allocations() {
    let (few, for_few) = walk(&log(40, 10));
    let (many, for_many) = walk(&log(40, 1_000));
    assert_eq!((few, many), (2 * (40 * 11 + 1), 2 * (40 * 1_001 + 1)));
    assert_eq!(for_few, for_many, "allocations depend on records");
    assert!(for_many < 40, "{for_many} allocations: a handful per lane");
}
