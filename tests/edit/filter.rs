//! `filter`: what is kept, what is joined, and what becomes of losses.

use crate::log::{Log, START_TIME, classic, untimed};
use crate::{made, rows};
use etlring::codec::checksum::State;
use etlring::edit::{self, Keep};
use etlring::format::{BufferFlags, FileTime};
use etlring::reader::{ReadFault, Trace};

const SIZE: usize = 4096;

/// Ten buffers in two lanes with ten records each: marks 0 to 9, and stamps that count on.
fn log() -> Log {
    let mut log = Log::new(SIZE);
    for sequence in 1..=10u16 {
        let first = 2_000 + u64::from(sequence) * 10;
        let records: Vec<_> = (0..10).map(|n| classic(first + u64::from(n), n, 30)).collect();
        log.buffer(sequence % 2, i64::from(sequence), first + 10, &records);
    }
    log
}

#[test]
fn everything_is_the_same_log() {
    let log = log();
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let (new, edited) = made(|out| edit::filter(&trace, out, Keep::default(), |_, _, _| true));
    assert_eq!((edited.left_out, edited.metadata, edited.fault_count), (0, 0, 0));
    let new = Trace::from_slice(&new).unwrap();
    assert_eq!(rows(&new), rows(&trace));
    let buffers = |trace: &Trace<&[u8]>| -> Vec<_> {
        let all = trace.buffers().iter();
        all.map(|b| (b.position, b.lane, b.sequence, b.time_stamp, b.filled_bytes)).collect()
    };
    assert_eq!(buffers(&new)[1..], buffers(&trace)[1..]);
}

#[test]
fn what_is_left_of_buffers_is_joined_in_its_lane() {
    let log = log();
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let keep = Keep { metadata: false, ..Keep::default() };
    let odd = |mark: u8| mark % 2 == 1;
    let (new, edited) =
        made(|out| edit::filter(&trace, out, keep, |_, view, _| view.opcode().is_some_and(odd)));
    assert_eq!((edited.records, edited.left_out), (51, 50));
    let new = Trace::from_slice(&new).unwrap();
    // Each lane's 25 records of 80 bytes fit one buffer.
    assert_eq!(new.buffers().len(), 3);
    let mut expected = rows(&trace);
    expected.retain(|(_, _, bytes)| bytes.len() != 78 || odd(bytes[4]));
    assert_eq!(rows(&new), expected);
}

#[test]
fn a_buffer_with_untimed_records_keeps_its_stamp() {
    let mut log = Log::new(SIZE);
    for sequence in 1..=4u16 {
        let stamp = 5_000 + u64::from(sequence);
        let first = 2_000 + 10 * u64::from(sequence);
        let records = [classic(first, 1, 8), untimed(sequence), classic(first + 1, 2, 8)];
        log.buffer(0, i64::from(sequence), stamp, &records);
    }
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let keep = Keep { metadata: false, ..Keep::default() };
    let (new, _) =
        made(|out| edit::filter(&trace, out, keep, |_, view, _| view.opcode() != Some(2)));
    let new = Trace::from_slice(&new).unwrap();
    let mut times = Vec::new();
    let mut records = new.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        if record.ticks().is_none() {
            times.push(record.order_ticks());
        }
    }
    assert_eq!(times, [5_001, 5_002, 5_003, 5_004]);
}

/// Goal: no mark of a loss is gone because the buffer that bore it is. Method: a log of our own
/// session's kind, with marks and counts, filtered down to its last buffer of each lane.
#[test]
fn losses_go_to_the_next_buffer_of_the_lane() {
    let mut log = log();
    for (number, lost) in [(3usize, 5u32), (5, 7), (4, 11)] {
        let buffer = &mut log.bytes[number * SIZE..][..SIZE];
        buffer[0x34] |= BufferFlags::EVENTS_LOST.0 as u8;
        let field = etlring::codec::checksum::field(buffer, lost).unwrap();
        buffer[0x38..0x48].copy_from_slice(&field);
    }
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let keep = Keep { metadata: false, ..Keep::default() };
    let (new, _) =
        made(|out| edit::filter(&trace, out, keep, |record, _, _| record.sequence() >= 9));
    let new = Trace::from_slice(&new).unwrap();
    let lost: Vec<_> = new
        .buffers()
        .iter()
        .enumerate()
        .skip(1)
        .map(|(index, buffer)| {
            assert!(buffer.flags.has(BufferFlags::EVENTS_LOST));
            let State::Valid { events_lost } = new.verify_checksum(index).unwrap() else {
                panic!("no checksum")
            };
            (buffer.lane, events_lost)
        })
        .collect();
    assert_eq!(lost, [(1, 12), (0, 11)]);
}

#[test]
fn damage_is_left_out_and_told() {
    let mut log = log();
    // The third record of buffer 4 says that it has no size.
    let at = 4 * SIZE + 72 + 2 * 80;
    log.bytes[at..at + 2].fill(0);
    // Buffer 6 has a checksum that does not hold.
    log.bytes[6 * SIZE + 0x38..][..4].copy_from_slice(b"ELR1");
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    let edited = edit::filter(&trace, &mut out, Keep::default(), |_, _, _| true).unwrap();
    assert_eq!((edited.records, edited.fault_count), (1 + 100 - 8, 2));
    let places: Vec<_> = edited.faults.iter().map(|(_, error)| error.position).collect();
    assert_eq!(places, [at as u64, (6 * SIZE + 0x38) as u64]);
    assert!(edited.faults.iter().all(|(_, error)| matches!(error.fault, ReadFault::Format(_))));
    let new = out.into_inner();
    let new = Trace::from_slice(&new).unwrap();
    assert_eq!(new.damage(), []);
    // What nothing proves shall not seem proven.
    let states: Vec<_> =
        (0..new.buffers().len()).map(|i| new.verify_checksum(i).unwrap()).collect();
    let absent = states.iter().filter(|state| **state == State::Absent).count();
    assert_eq!(absent, 1);
}

#[test]
fn an_unfinished_log_is_finished() {
    let log = log();
    let trace = Trace::from_slice(&log.bytes).unwrap();
    assert_eq!(trace.logfile().end_time(), None);
    let (_, edited) = made(|out| {
        edit::filter(&trace, out, Keep::default(), |_, view, _| view.opcode() == Some(0))
    });
    // The last record of mark 0 was logged at tick 2100, 1,100 behind the start.
    assert_eq!(edited.end_time, FileTime(START_TIME + 1_100));
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full(u64);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 =
                self.0.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl std::io::Seek for Full {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let log = log();
    let trace = Trace::from_slice(&log.bytes).unwrap();
    for room in 0..12 {
        let failed = edit::filter(&trace, Full(room * 4096), Keep::default(), |_, _, _| true);
        assert_eq!(failed.is_ok(), room > 11, "{room}");
        let failed = edit::merge(&[&trace], Full(room * 4096));
        assert!(failed.is_err() || room > 3, "{room}");
    }
}

/// The header buffer's own header is so damaged that the index begins with a data buffer.
#[test]
fn a_lost_header_buffer_costs_no_record() {
    let mut log = log();
    log.bytes[..4].fill(0xF0);
    log.bytes[0x0C] = 1;
    let trace = Trace::from_slice(&log.bytes).unwrap();
    assert_eq!(trace.buffers().first().map(|entry| entry.position), Some(SIZE as u64));
    let mut out = std::io::Cursor::new(Vec::new());
    let edited = edit::filter(&trace, &mut out, Keep::default(), |_, _, _| true).unwrap();
    assert_eq!((edited.records, edited.fault_count), (1 + 100, 1));
    let mut out = std::io::Cursor::new(Vec::new());
    assert_eq!(edit::merge(&[&trace], &mut out).unwrap().records, 1 + 100);
}
