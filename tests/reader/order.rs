//! Time order is the stable sort of all records by (ticks, lane, sequence, offset).

use crate::log::{Log, START_TIME, classic, untimed};
use etlring::codec::TickClock;
use etlring::format::{ClockType, FileTime, LogFileMode};
use etlring::reader::{MergeMany, Record, Trace};

/// Ticks that place a record, lane, sequence, offset: what the order is defined by.
type Key = (u64, u16, i64, u32);

fn key(record: &Record<'_>) -> Key {
    (record.order_ticks(), record.lane(), record.sequence(), record.raw().offset)
}

/// The naive twin: all records in file order, sorted.
fn sorted(file: &[u8]) -> Vec<Key> {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.records();
    let mut keys = Vec::new();
    while let Some(record) = records.next() {
        keys.push(key(&record.unwrap()));
    }
    keys.sort();
    keys
}

fn merged(file: &[u8]) -> Vec<Key> {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.by_time();
    let mut keys = Vec::new();
    while let Some(record) = records.next() {
        keys.push(key(&record.unwrap()));
    }
    keys
}

/// A small generator, so that a failure is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Lanes in order, their buffers shuffled in the file, many equal ticks, untimed records, stamps
/// before, amid and behind the times of their buffers; with or without compression.
fn random_log(seed: u64, compressed: bool) -> Vec<u8> {
    let mut random = Random(seed);
    let mode = if compressed { LogFileMode::COMPRESSED.0 } else { 1 };
    let mut log = Log::with_mode(4096, mode);
    let mut buffers = Vec::new();
    let mut ticks = [1_000u64; 5];
    for sequence in 1..=random.below(24) {
        let lane = random.below(5);
        let clock = &mut ticks[usize::try_from(lane).unwrap()];
        let first = *clock;
        let records: Vec<_> = (0..random.below(12))
            .map(|n| {
                if random.below(5) == 0 {
                    return untimed(u16::try_from(n).unwrap());
                }
                *clock += random.below(4);
                classic(*clock, 1, usize::try_from(random.below(40)).unwrap())
            })
            .collect();
        let stamp = match random.below(6) {
            0 => 0,
            1 => first.saturating_sub(random.below(30)),
            2 => first + random.below(20),
            3 => 132_000_000_000_000_000,
            _ => *clock,
        };
        buffers.push((
            u16::try_from(lane).unwrap(),
            i64::try_from(sequence).unwrap(),
            stamp,
            records,
        ));
    }
    while !buffers.is_empty() {
        let at = usize::try_from(random.below(buffers.len() as u64)).unwrap();
        let (lane, sequence, stamp, records) = buffers.swap_remove(at);
        if compressed && random.below(3) > 0 {
            log.compressed(lane, sequence, stamp, &records);
        } else {
            log.buffer(lane, sequence, stamp, &records);
        }
    }
    log.bytes
}

#[test]
fn the_merge_is_the_sort() {
    for seed in 0..3_000 {
        let log = random_log(seed, false);
        assert_eq!(merged(&log), sorted(&log), "seed {seed}");
    }
}

#[test]
fn the_merge_of_compressed_lanes_is_the_sort() {
    for seed in 0..1_000 {
        let log = random_log(seed, true);
        assert_eq!(merged(&log), sorted(&log), "seed {seed}");
    }
}

/// Records of a lane whose times run backwards keep their place in the lane: each counts with the
/// latest time that the lane has come to.
#[test]
fn lanes_that_run_backwards_merge_by_the_latest_time_so_far() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut log = Log::with_mode(4096, 1);
        let mut expected = Vec::new();
        let (mut ticks, mut latest) = ([1_000u64; 4], [0u64; 4]);
        for sequence in 1..=random.below(16) {
            let lane = usize::try_from(random.below(4)).unwrap();
            let mut records = Vec::new();
            for number in 0..1 + random.below(14) {
                let clock = &mut ticks[lane];
                *clock = (*clock + random.below(6)).saturating_sub(random.below(9) / 5 * 7);
                latest[lane] = latest[lane].max(*clock);
                expected.push((latest[lane], lane, sequence, number, *clock));
                records.push(classic(*clock, 1, usize::try_from(random.below(40)).unwrap()));
            }
            // No record counts with the stamp: all have times.
            let lane = u16::try_from(lane).unwrap();
            log.buffer(lane, i64::try_from(sequence).unwrap(), u64::MAX >> 1, &records);
        }
        expected.sort_unstable();
        let expected: Vec<_> = expected
            .iter()
            .map(|(_, lane, sequence, _, ticks)| (*ticks, *lane, *sequence))
            .collect();
        let found: Vec<_> = merged(&log.bytes)
            .into_iter()
            .filter(|(_, _, sequence, _)| *sequence > 0)
            .map(|(ticks, lane, sequence, _)| {
                (ticks, usize::from(lane), u64::try_from(sequence).unwrap())
            })
            .collect();
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
fn a_seek_is_the_merge_without_what_is_earlier() {
    for seed in 0..500 {
        let log = random_log(seed, seed % 2 == 1);
        for after in [0, 1, 7, 20, 1_000_000] {
            let time = FileTime(START_TIME + after);
            let trace = Trace::from_slice(&log).unwrap();
            let later = |record: &Record<'_>| trace.time(record) >= time;

            let mut all = trace.by_time();
            let mut expected = Vec::new();
            while let Some(record) = all.next() {
                let record = record.unwrap();
                expected.extend(Some(key(&record)).filter(|_| later(&record)));
            }
            let mut sought = trace.by_time().seek(time);
            let mut found = Vec::new();
            while let Some(record) = sought.next() {
                found.push(key(&record.unwrap()));
            }
            assert_eq!(found, expected, "seed {seed}, {after} ticks");
        }
    }
}

#[test]
fn a_seek_to_the_least_time_passes_nothing_over() {
    // Times before the least that a `FileTime` can say read as that one.
    let (start_ticks, start_time) = (u64::MAX, FileTime(i64::MIN + 5));
    let (perf_freq, cpu_speed_mhz) = (10_000_000, 0);
    let clock_type = ClockType::QPC;
    let clock = TickClock { clock_type, start_ticks, start_time, perf_freq, cpu_speed_mhz };
    for ticks in [0, 1, u64::MAX - 6] {
        let time = clock.file_time(ticks);
        assert_eq!(time, FileTime(i64::MIN));
        assert!(clock.first_ticks(time) <= ticks, "{ticks}");
    }
    assert_eq!(clock.first_ticks(FileTime(i64::MIN + 1)), u64::MAX - 4);
}

#[test]
fn a_lane_that_runs_backwards_keeps_its_order() {
    let mut log = Log::new(4096);
    log.buffer(1, 1, 5_000, &[classic(2_000, 1, 0), classic(1_500, 2, 0), classic(2_100, 3, 0)]);
    log.buffer(2, 2, 5_000, &[classic(1_700, 4, 0), classic(2_050, 5, 0)]);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let mut records = trace.by_time();
    let mut marks = Vec::new();
    while let Some(record) = records.next() {
        marks.push(record.unwrap().view().unwrap().opcode().unwrap());
    }
    assert_eq!(marks, [0, 4, 1, 2, 5, 3]);
}

/// What several files give together: time, file, place in the file.
type Found = Vec<(FileTime, usize, usize)>;

fn merged_many(traces: &[Trace<&[u8]>], mut records: MergeMany<'_, &[u8]>) -> Found {
    let mut found = Vec::new();
    let mut places = vec![0; traces.len()];
    while let Some((file, record)) = records.next() {
        found.push((traces[file].time(&record.unwrap()), file, places[file]));
        places[file] += 1;
    }
    found
}

/// Logs of many buffers.
fn long_logs() -> impl Iterator<Item = Vec<u8>> {
    let long = |log: &Vec<u8>| Trace::from_slice(log).unwrap().buffers().len() > 15;
    (0..).map(|seed| random_log(seed, false)).filter(long)
}

#[test]
fn several_files_are_merged_by_time() {
    let logs: Vec<_> = long_logs().take(3).collect();
    let traces: Vec<_> = logs.iter().map(|log| Trace::from_slice(log).unwrap()).collect();
    let times = |trace: &Trace<&[u8]>| {
        let mut records = trace.by_time();
        let mut times = Vec::new();
        while let Some(record) = records.next() {
            times.push(trace.time(&record.unwrap()));
        }
        times
    };
    let times: Vec<_> = traces.iter().map(times).collect();
    for from in [i64::MIN, START_TIME, START_TIME + 1, START_TIME + 13, i64::MAX] {
        let from = FileTime(from);
        let mut expected = Vec::new();
        for (file, times) in times.iter().enumerate() {
            let later = times.iter().filter(|time| **time >= from);
            expected.extend(later.enumerate().map(|(place, time)| (*time, file, place)));
        }
        expected.sort();
        assert!(from.0 > START_TIME + 13 || expected.len() > 100, "a weak test");
        let many = MergeMany::new(&traces);
        assert_eq!(merged_many(&traces, many.seek(from)), expected, "from {from:?}");
        if from.0 == i64::MIN {
            assert_eq!(merged_many(&traces, MergeMany::new(&traces)), expected);
        }
    }
}

#[test]
fn damage_in_one_of_several_files_stops_none_of_them() {
    let logs: Vec<_> = long_logs().take(2).collect();
    let whole = Trace::from_slice(&logs[0]).unwrap();
    let mut torn = logs[0].clone();
    // The marker of the first record of a buffer.
    let mut buffers = whole.buffers().iter().skip(1);
    let buffer = buffers.find(|buffer| buffer.filled_bytes > 72).unwrap();
    let at = usize::try_from(buffer.position).unwrap() + 72;
    torn[at..at + 8].fill(0xAA);
    let traces = [&torn, &logs[1]].map(|log| Trace::from_slice(log).unwrap());
    let alone = traces.each_ref().map(|trace| {
        let mut records = trace.by_time();
        let mut counts = (0, 0);
        while let Some(record) = records.next() {
            if record.is_ok() { counts.0 += 1 } else { counts.1 += 1 }
        }
        counts
    });
    assert_eq!(alone[0].1, 1);
    let mut found = [(0, 0); 2];
    let mut records = MergeMany::new(&traces);
    while let Some((file, record)) = records.next() {
        if record.is_ok() { found[file].0 += 1 } else { found[file].1 += 1 }
    }
    assert_eq!(found, alone);
}
