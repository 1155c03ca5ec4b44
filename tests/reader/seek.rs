//! A seek reads what lies at and behind the time sought, and of the rest the first stamps.

use crate::log::{Log, START_TICKS, START_TIME, classic, untimed};
use crate::reads::Reads;
use etlring::format::{FileTime, LogFileMode};
use etlring::reader::Trace;

const BUFFERS: u16 = 300;
/// Ticks from one buffer to the next.
const STEP: u64 = 20;
/// Behind the last stamped record of a buffer.
const FLUSHED: u64 = 25;

/// Buffers in three lanes; each has twenty records, one tick apart, and one without a stamp.
fn log(compressed: bool) -> Log {
    let mode = if compressed { LogFileMode::COMPRESSED.0 } else { 1 };
    let mut log = Log::with_mode(16 * 1024, mode);
    for sequence in 1..=BUFFERS {
        let first = START_TICKS + u64::from(sequence) * STEP;
        let mut records: Vec<_> = (0..STEP).map(|n| classic(first + n, 1, 600)).collect();
        records.push(untimed(1));
        let (lane, number) = (sequence % 3, i64::from(sequence));
        if compressed {
            log.compressed(lane, number, first + FLUSHED, &records);
        } else {
            log.buffer(lane, number, first + FLUSHED, &records);
        }
    }
    log
}

/// Goal: what lies before the time is not read. Method: bytes of every read, and which buffers were
/// read for more than their first stamp.
#[test]
fn what_lies_before_the_time_is_not_read() {
    for compressed in [false, true] {
        let log = log(compressed);
        let source = Reads::new(&log.bytes);
        let trace = Trace::new(&source).unwrap();
        let opened: usize =
            std::mem::take(&mut *source.read.lock().unwrap()).iter().map(|(_, bytes)| bytes).sum();
        // The first record, and a header for each buffer.
        assert!(opened <= (1 << 17) + 73 * usize::from(BUFFERS + 1), "{opened}");

        let from = BUFFERS - 9;
        let time = FileTime(START_TIME + i64::from(from) * STEP as i64);
        let mut records = trace.by_time().seek(time);
        let mut found = 0;
        while let Some(record) = records.next() {
            assert!(trace.time(&record.unwrap()) >= time);
            found += 1;
        }
        // Those of the last ten buffers, and untimed ones whose buffer was flushed in that time.
        assert_eq!(found, 10 * (STEP + 1) + 1, "{compressed}");

        let read = std::mem::take(&mut *source.read.lock().unwrap());
        let whole = read.iter().filter(|(_, bytes)| *bytes > 2048).map(|(at, _)| at);
        let index = |at: &u64| trace.buffers().partition_point(|entry| entry.position <= *at) - 1;
        let mut whole: Vec<_> = whole.map(index).collect();
        whole.sort_unstable();
        whole.dedup();
        // Of each lane also the buffer before, which might reach into the time.
        let least = usize::from(from) - 3;
        assert!(whole.iter().all(|index| *index >= least), "{compressed}: {whole:?}");
        let bytes: usize = read.iter().map(|(_, bytes)| bytes).sum();
        println!("compressed {compressed}: {bytes} of {} bytes read", log.bytes.len());
        assert!(bytes < log.bytes.len() / 4, "{compressed}: {bytes} of {}", log.bytes.len());
    }
}
