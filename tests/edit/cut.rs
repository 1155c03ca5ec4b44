//! `cut` and the index of buffers by time.

use crate::log::{Log, START_TICKS, START_TIME, classic, untimed};
use crate::reads::Reads;
use crate::{made, rows};
use etlring::edit::{self, Keep};
use etlring::format::FileTime;
use etlring::reader::Trace;

const SIZE: usize = 4096;

/// A log of `count` buffers in three lanes; each has twenty records, one tick apart.
fn log(count: u16) -> Log {
    let mut log = Log::new(SIZE);
    for sequence in 1..=count {
        let first = START_TICKS + u64::from(sequence) * 20;
        let mut records: Vec<_> = (0..20).map(|n| classic(first + n, n as u8, 16)).collect();
        records.push(untimed(sequence));
        log.buffer(sequence % 3, i64::from(sequence), first + 25, &records);
    }
    log
}

fn at(ticks: u64) -> FileTime {
    FileTime(START_TIME + (ticks - START_TICKS) as i64)
}

#[test]
fn parts_have_each_record_once_and_are_the_log_together() {
    let log = log(30);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let all = rows(&trace);
    for edge in (START_TICKS + 20..START_TICKS + 640).step_by(7) {
        let keep = Keep { metadata: false, ..Keep::default() };
        let (before, a) = made(|out| edit::cut(&trace, out, keep, FileTime(i64::MIN), at(edge)));
        let (behind, b) = made(|out| edit::cut(&trace, out, keep, at(edge), FileTime(i64::MAX)));
        // Both have the logfile header.
        assert_eq!(a.records + b.records, all.len() as u64 + 1, "{edge}");
        let (before, behind) =
            (Trace::from_slice(&before).unwrap(), Trace::from_slice(&behind).unwrap());
        for order in [[&before, &behind], [&behind, &before]] {
            let (merged, _) = made(|out| edit::merge(&order, out));
            assert_eq!(rows(&Trace::from_slice(&merged).unwrap()), all, "{edge}");
        }
    }
}

/// Goal: the rest of the file is not read. Method: bytes read of each buffer outside the time.
#[test]
fn only_the_buffers_of_the_time_are_read() {
    let log = log(300);
    let source = Reads::new(&log.bytes);
    let trace = Trace::new(&source).unwrap();
    source.read.lock().unwrap().clear();
    let (from, to) = (START_TICKS + 100 * 20, START_TICKS + 103 * 20);
    let keep = Keep { metadata: false, ..Keep::default() };
    let (new, edited) = made(|out| edit::cut(&trace, out, keep, at(from), at(to)));
    // 60 timed ones, 3 untimed ones whose buffers were flushed in that time, the logfile header.
    assert_eq!((edited.records, rows(&Trace::from_slice(&new).unwrap()).len()), (64, 64));
    let read = source.read.lock().unwrap();
    let whole = read.iter().filter(|(_, bytes)| *bytes > 256).map(|(position, _)| position);
    let buffers: std::collections::BTreeSet<_> = whole.map(|at| at / SIZE as u64).collect();
    // Of each of the three lanes those of the time and the one before them, which may reach into
    // it; and the header buffer.
    assert!(buffers.len() <= 1 + 3 * 3, "{buffers:?}");
    let bytes: usize = read.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes < log.bytes.len() / 4, "{bytes} of {}", log.bytes.len());
}

#[test]
fn an_empty_time_leaves_the_header() {
    let log = log(10);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let keep = Keep { metadata: false, ..Keep::default() };
    for (from, to) in
        [(at(1_000_000), at(1_000_001)), (at(5_000), at(5_000)), (at(2_000), at(1_500))]
    {
        let (_, edited) = made(|out| edit::cut(&trace, out, keep, from, to));
        assert_eq!((edited.records, edited.buffers), (1, 1));
    }
}
