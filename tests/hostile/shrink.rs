//! A file that others change while it is read.

use crate::log::{Log, classic};
use etlring::edit::{self, Keep};
use etlring::reader::{OpenOptions, ReadFault};
use std::fs::File;
use std::io::Cursor;

const SIZE: usize = 4096;

fn log() -> Vec<u8> {
    let mut log = Log::new(SIZE);
    for sequence in 1..=50u16 {
        let first = 2_000 + u64::from(sequence) * 30;
        let records: Vec<_> = (0..30).map(|n| classic(first + n, 1, 40)).collect();
        log.buffer(sequence % 4, i64::from(sequence), first + 30, &records);
    }
    log.bytes
}

/// Goal: whoever reads a file that is cut meanwhile gets what is left of it, and errors.
/// Method: cut after it was opened and at each place of a walk, in both orders.
#[test]
fn a_file_that_shrinks_gives_errors() {
    let bytes = log();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let mut cases = 0;
    for left in [0, 1, 71, 72, 100, SIZE, SIZE + 71, SIZE + 72, 10 * SIZE + 500, 50 * SIZE] {
        for after in [0, 1, 29, 31, 400] {
            std::fs::write(&path, &bytes).unwrap();
            let trace = OpenOptions::new().open_any(&path).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let (mut whole, mut short) = (0u32, 0u32);
            let mut records = trace.by_time();
            for _ in 0..after {
                whole += u32::from(records.next().unwrap().is_ok());
            }
            file.set_len(left as u64).unwrap();
            while let Some(record) = records.next() {
                match record {
                    Ok(_) => whole += 1,
                    Err(error) => {
                        assert!(matches!(error.fault, ReadFault::Format(_)), "{error:?}");
                        short += 1;
                    }
                }
            }
            assert!(whole < 1 + 50 * 30 && short > 0, "{left} after {after}: {whole} and {short}");
            // An edit says so, and makes a log of the rest.
            let mut out = Cursor::new(Vec::new());
            let edited = edit::filter(&trace, &mut out, Keep::default(), |_, _, _| true).unwrap();
            assert!(edited.fault_count > 0 && edited.records < whole.max(1_500).into());
            cases += 1;
        }
    }
    println!("shrinking: {cases} cases, 0 deaths");
}

#[test]
fn a_file_that_is_replaced_is_read_to_its_end() {
    let bytes = log();
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("log.etl"), directory.path().join("other"));
    std::fs::write(&path, &bytes).unwrap();
    std::fs::write(&other, b"nothing").unwrap();
    let trace = OpenOptions::new().open_any(&path).unwrap();
    let mut records = trace.records();
    records.next().unwrap().unwrap();
    std::fs::rename(&other, &path).unwrap();
    let mut count = 1;
    while let Some(record) = records.next() {
        record.unwrap();
        count += 1;
    }
    assert_eq!(count, 1 + 50 * 30);
}

/// What is written over a file while it is read may be anything: it is checked when it is read.
#[test]
fn a_file_that_is_overwritten_gives_records_or_errors() {
    let bytes = log();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    for fill in [0u8, 0xFF, 0xC0, 0x13] {
        std::fs::write(&path, &bytes).unwrap();
        let trace = OpenOptions::new().open_any(&path).unwrap();
        std::fs::write(&path, vec![fill; bytes.len()]).unwrap();
        crate::all_of(&trace, bytes.len());
    }
}
