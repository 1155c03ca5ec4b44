#![no_main]
//! A log and a ring of any bytes: what is recovered is a finished log in which nothing is wrong,
//! with as many records as were said, and recovering that again changes nothing. Read as one, the
//! two give the same records in file order and by time.

use etlring::codec::checksum::State;
use etlring::reader::{Recovered, Recovery, RingCopy, Trace};
use libfuzzer_sys::fuzz_target;

/// Most bytes that the compressed buffers of one input may claim, so that it takes little time.
const MOST: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((&[options, low, high], files)) = input.split_first_chunk() else { return };
    let split = usize::from(u16::from_le_bytes([low, high])).min(files.len());
    let (log, ring) = files.split_at(split);
    let strict = options & 1 != 0;
    if packed(log) > MOST || packed(ring) > MOST {
        return;
    }
    read_as_one(log, ring);
    let Some((out, report)) = recover(log, ring, strict) else { return };
    check(&out, &report, strict);
    let (again, second) = recover(&out, &[], strict).expect("what was recovered is a log");
    assert_eq!(second.left_out, [], "what was recovered is whole");
    assert_eq!(second.records, report.records);
    // A buffer that nothing proved has a checksum the second time.
    if report.buffers_torn == 0 {
        assert!(again == out);
    }
});

fn recover(log: &[u8], ring: &[u8], strict: bool) -> Option<(Vec<u8>, Recovered)> {
    let mut recovery = Recovery::new().leave_out_torn(strict);
    if !log.is_empty() {
        recovery = recovery.log(&log);
    }
    if let Ok(ring) = RingCopy::take(&ring) {
        recovery = recovery.ring(ring);
    }
    let found = recovery.examine().ok()?;
    let mut out = Vec::new();
    found.write(&mut out).expect("memory takes it");
    Some((out, found.report().clone()))
}

fn check(out: &[u8], report: &Recovered, strict: bool) {
    let trace = Trace::from_slice(out).expect("a log");
    assert_eq!(trace.damage(), []);
    assert_eq!(trace.buffers().len() as u64, report.buffers);
    assert_eq!(trace.logfile().end_time(), Some(report.end_time));
    let mut records = trace.records();
    let mut count = 0;
    while let Some(record) = records.next() {
        record.and_then(|record| record.view()).expect("a whole record");
        count += 1;
    }
    assert_eq!(count, report.records);
    let mut unproven = 0;
    for index in 0..trace.buffers().len() {
        let sum = trace.verify_checksum(index).expect("no checksum is wrong");
        unproven += u64::from(sum == State::Absent);
    }
    assert_eq!(unproven, report.buffers_torn);
    assert!(!strict || unproven == 0);
}

fn read_as_one(log: &[u8], ring: &[u8]) {
    let Ok(mut trace) = Trace::from_slice(log) else { return };
    let Ok(ring) = RingCopy::take(&ring) else { return };
    let before = trace.buffers().len();
    if trace.join_ring(ring).is_err() {
        assert!(!trace.ring().is_joined());
    }
    assert!(trace.buffers().len() >= before);
    let (mut by_file, mut by_time) = (0, 0);
    let mut records = trace.records();
    while let Some(record) = records.next() {
        by_file += usize::from(record.is_ok());
    }
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        by_time += usize::from(record.is_ok());
    }
    assert_eq!(by_file, by_time);
}

/// What the packed buffers of a file claim to hold.
fn packed(bytes: &[u8]) -> u64 {
    let Ok(trace) = Trace::from_slice(bytes) else { return 0 };
    let packed = trace.buffers().iter().filter(|entry| entry.is_compressed());
    packed.map(|entry| u64::from(entry.filled_bytes)).sum()
}
