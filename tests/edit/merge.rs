//! `merge`: clocks, lanes, parts.

use crate::log::{Log, START_TICKS, START_TIME, classic, untimed};
use crate::{made, rows};
use etlring::edit;
use etlring::format::{ClockType, FileTime, LogfileHeader64};
use etlring::reader::Trace;
use zerocopy::FromBytes;

const SIZE: usize = 4096;

/// Where the logfile header lies in a log.
const HEADER: std::ops::Range<usize> = 104..104 + 280;

fn change(log: &mut Log, change: impl FnOnce(&mut LogfileHeader64)) {
    let (fields, _) = LogfileHeader64::mut_from_prefix(&mut log.bytes[HEADER]).unwrap();
    change(fields);
}

fn start_ticks(log: &mut Log, ticks: u64) {
    log.bytes[88..96].copy_from_slice(&ticks.to_le_bytes());
}

/// Events of one mark at these times behind the start, on a clock of `freq` that began with `ticks`.
fn log(mark: u8, boot: i64, freq: u64, ticks: u64, start: i64, times: &[u64]) -> Log {
    let mut log = Log::new(SIZE);
    change(&mut log, |fields| {
        fields.perf_freq = freq.into();
        fields.start_time = start.into();
        fields.boot_time = boot.into();
    });
    start_ticks(&mut log, ticks);
    let records: Vec<_> = times
        .iter()
        .map(|units| {
            classic(
                ticks + (u128::from(*units) * u128::from(freq)).div_ceil(10_000_000) as u64,
                mark,
                16,
            )
        })
        .collect();
    log.buffer(3, 1, ticks + 1_000_000, &records);
    log
}

/// Time behind `START_TIME`, lane and mark of the events, by time.
fn events(trace: &Trace<&[u8]>) -> Vec<(i64, u16, u8)> {
    let mut found = Vec::new();
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if record.buffer_index() > 0 {
            let time = trace.time(&record).0 - START_TIME;
            found.push((time, record.lane(), view.opcode().unwrap()));
        }
    }
    found
}

#[test]
fn clocks_are_aligned_by_their_anchors() {
    let first = log(1, 7, 10_000_000, START_TICKS, START_TIME, &[0, 100, 200, 300]);
    let fast = log(2, 8, 2_596_123_457, 1 << 40, START_TIME + 50, &[0, 100, 200]);
    let slow = log(3, 9, 3_579_545, 1 << 30, START_TIME - 70, &[0, 70, 1_000]);
    let mut system = log(4, 10, 10_000_000, START_TIME as u64, START_TIME, &[30, 40]);
    change(&mut system, |fields| fields.reserved_flags = ClockType::SYSTEM_TIME.0.into());
    let all = [&first, &fast, &slow, &system];
    let traces: Vec<_> = all.iter().map(|log| Trace::from_slice(&log.bytes[..]).unwrap()).collect();
    let mut expected: Vec<_> = traces
        .iter()
        .enumerate()
        .flat_map(|(file, trace)| {
            // Lanes of other machines come behind: four of each.
            let moved = |(time, lane, mark)| (time, lane + 4 * file as u16, mark);
            events(trace).into_iter().map(moved).collect::<Vec<_>>()
        })
        .collect();
    expected.sort_by_key(|(time, lane, _)| (*time, *lane));
    let (new, edited) = made(|out| edit::merge(&traces.iter().collect::<Vec<_>>(), out));
    let new = Trace::from_slice(&new).unwrap();
    assert_eq!(events(&new), expected);
    assert_eq!(edited.records, 1 + 12);
    assert_eq!(new.logfile().perf_freq(), 10_000_000);
    // It begins with the first of them; the first log's own stamps are what they were.
    assert!(new.logfile().start_time() <= FileTime(START_TIME - 70));
    let ticks: Vec<_> = rows(&new).into_iter().filter(|row| row.0 == 3).map(|row| row.1).collect();
    assert_eq!(ticks, [0, 100, 200, 300].map(|units| Some(START_TICKS + units)));
}

#[test]
fn the_log_that_began_first_gives_the_clock_if_the_first_one_cannot() {
    // On the first clock, the other began before tick 0.
    let late = log(1, 7, 10_000_000, START_TICKS, START_TIME, &[0, 100]);
    let early = log(2, 8, 10_000_000, 500, START_TIME - 1_000_000, &[0, 100]);
    let traces = [&late, &early].map(|log| Trace::from_slice(&log.bytes[..]).unwrap());
    let (new, _) = made(|out| edit::merge(&[&traces[0], &traces[1]], out));
    let new = Trace::from_slice(&new).unwrap();
    assert_eq!(new.clock().start_ticks, 500);
    let times: Vec<_> = events(&new).iter().map(|event| (event.0, event.2)).collect();
    assert_eq!(times, [(-1_000_000, 2), (-999_900, 2), (0, 1), (100, 1)]);
}

#[test]
fn one_machine_has_its_processors_once() {
    let kernel = log(1, 7, 10_000_000, START_TICKS, START_TIME, &[0, 100, 200, 300]);
    let user = log(2, 7, 10_000_000, START_TICKS + 50, START_TIME + 50, &[0, 50, 150]);
    let traces = [&kernel, &user].map(|log| Trace::from_slice(&log.bytes[..]).unwrap());
    let (new, _) = made(|out| edit::merge(&[&traces[0], &traces[1]], out));
    let new = Trace::from_slice(&new).unwrap();
    assert_eq!(new.buffers().len(), 2);
    let of = |time, mark| (time, 3, mark);
    let expected =
        [of(0, 1), of(50, 2), of(100, 1), of(100, 2), of(200, 1), of(200, 2), of(300, 1)];
    assert_eq!(events(&new), expected);
}

#[test]
fn what_parts_share_is_there_once() {
    let mut whole = Log::new(SIZE);
    let twice = classic(START_TICKS + 5, 9, 8);
    let own = |mark| classic(START_TICKS + 5, mark, 8);
    whole.buffer(0, 1, 5_000, &[own(1), twice.clone(), own(2), twice.clone(), untimed(4)]);
    let mut part = Log::new(SIZE);
    part.buffer(0, 1, 5_000, std::slice::from_ref(&twice));
    let mut other = Log::new(SIZE);
    other.buffer(0, 1, 5_000, &[twice.clone(), untimed(4)]);
    let traces = [&whole, &part, &other].map(|log| Trace::from_slice(&log.bytes[..]).unwrap());
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let order = order.map(|index| &traces[index]);
        let (new, _) = made(|out| edit::merge(&order, out));
        assert_eq!(rows(&Trace::from_slice(&new).unwrap()), rows(&traces[0]));
    }
    // Of two sessions the same record is two records.
    let mut stranger = Log::new(SIZE);
    stranger.buffer(0, 1, 5_000, &[twice]);
    change(&mut stranger, |fields| fields.start_time = (START_TIME + 1).into());
    let stranger = Trace::from_slice(&stranger.bytes[..]).unwrap();
    let (_, edited) = made(|out| edit::merge(&[&traces[1], &stranger], out));
    assert_eq!(edited.records, 3);
}

#[test]
fn losses_are_those_of_all_sessions() {
    let mut logs = [1, 2, 3].map(|n| log(n, 7, 10_000_000, START_TICKS, START_TIME, &[0]));
    for (log, lost) in logs.iter_mut().zip([5, 5, 8]) {
        change(log, |fields| fields.events_lost = lost.into());
    }
    // The first two are parts of one session.
    change(&mut logs[2], |fields| fields.start_time = (START_TIME + 10).into());
    let traces: Vec<_> =
        logs.iter().map(|log| Trace::from_slice(&log.bytes[..]).unwrap()).collect();
    let (_, edited) = made(|out| edit::merge(&traces.iter().collect::<Vec<_>>(), out));
    assert_eq!(edited.events_lost, 13);
}

#[test]
fn nothing_is_refused() {
    let none: &[&Trace<&[u8]>] = &[];
    let failed = edit::merge(none, std::io::Cursor::new(Vec::new()));
    assert!(matches!(failed, Err(edit::EditError::Nothing)));
}
