//! The same records from a slice, from `Bytes`, from a map and by positioned reads.

use crate::log::{Log, classic, untimed};
use etlring::format::LogFileMode;
use etlring::reader::{ReadFault, Source, Trace};
use std::fs::{File, OpenOptions};
use std::io::Write;

fn log(mode: u32) -> Vec<u8> {
    let mut log = Log::with_mode(4096, mode);
    for sequence in 1..10 {
        let ticks = 2_000 + u64::try_from(sequence).unwrap() * 10;
        let records = [classic(ticks, 1, 30), untimed(3), classic(ticks + 1, 2, 100)];
        let lane = u16::try_from(sequence % 3).unwrap();
        if mode == LogFileMode::COMPRESSED.0 {
            log.compressed(lane, sequence, ticks + 2, &records);
        } else {
            log.buffer(lane, sequence, ticks + 2, &records);
        }
    }
    log.bytes
}

/// All records in both orders, as bytes with their places.
fn all<S: Source>(trace: &Trace<S>) -> Vec<(usize, u64, Vec<u8>)> {
    assert_eq!(trace.damage(), []);
    let mut found = Vec::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        found.push((record.buffer_index(), record.position(), record.raw().bytes.to_vec()));
    }
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        found.push((record.buffer_index(), record.position(), record.raw().bytes.to_vec()));
    }
    found
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn all_sources_agree() {
    for mode in [1, LogFileMode::COMPRESSED.0] {
        let bytes = log(mode);
        let file = file(&bytes);
        let expected = all(&Trace::from_slice(&bytes).unwrap());
        assert_eq!(expected.len(), 2 * 28);
        assert_eq!(all(&Trace::from_bytes(bytes).unwrap()), expected);
        assert_eq!(all(&Trace::open(file.path()).unwrap()), expected);
        assert_eq!(all(&Trace::open_positioned(file.path()).unwrap()), expected);
        let any = etlring::reader::OpenOptions::new().open_any(file.path()).unwrap();
        assert!(any.source().as_slice().is_none(), "a file is not read as a whole");
        assert_eq!(all(&any), expected);
    }
}

/// What has no size beforehand is read to its end.
#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_read_as_a_file_is() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let bytes = log(1);
    let expected = all(&Trace::from_slice(&bytes).unwrap());
    let options = etlring::reader::OpenOptions::new();
    std::thread::scope(|scope| {
        let write = || std::fs::write(&pipe, &bytes).unwrap();
        scope.spawn(write);
        assert_eq!(all(&options.open_any(&pipe).unwrap()), expected);
        scope.spawn(write);
        assert_eq!(all(&options.open(&pipe).unwrap()), expected);
    });
}

#[test]
fn a_record_outlives_its_trace_without_a_copy() {
    let file = file(&log(1));
    let trace = Trace::open(file.path()).unwrap();
    let map = trace.source().as_ptr_range();
    let mut records = trace.by_time();
    let record = records.next().unwrap().unwrap();
    let bytes = trace.record_bytes(&record);
    assert_eq!(bytes, record.raw().bytes);
    assert!(map.contains(&bytes.as_ptr()), "not copied");
    let expected = bytes.to_vec();
    drop(records);
    drop(trace);
    assert_eq!(bytes, expected);
}

#[test]
fn a_record_of_a_packed_buffer_outlives_it_as_a_copy() {
    let trace = Trace::from_bytes(log(LogFileMode::COMPRESSED.0)).unwrap();
    let mut records = trace.records_of(3..4);
    while let Some(record) = records.next() {
        let record = record.unwrap();
        assert_eq!(trace.record_bytes(&record), record.raw().bytes);
    }
}

#[test]
fn a_file_that_shrinks_gives_errors() {
    let file = file(&log(1));
    let trace = Trace::open_positioned(file.path()).unwrap();
    OpenOptions::new().write(true).open(file.path()).unwrap().set_len(4096 * 3 + 100).unwrap();
    let mut records = trace.records();
    let (mut good, mut bad) = (0, Vec::new());
    while let Some(record) = records.next() {
        match record {
            Ok(_) => good += 1,
            Err(error) => bad.push(error),
        }
    }
    assert_eq!(good, 1 + 2 * 3);
    assert!(bad.len() >= 7 && bad.iter().all(|error| matches!(error.fault, ReadFault::Format(_))));
    assert!(bad[0].position >= 3 * 4096);
}

#[test]
fn what_cannot_be_opened_says_so() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Trace::open(directory.path()).is_err());
    assert!(Trace::open(directory.path().join("none.etl")).is_err());
    let empty = directory.path().join("empty.etl");
    File::create(&empty).unwrap();
    assert!(Trace::open(&empty).is_err() && Trace::open_positioned(&empty).is_err());
}
