//! Real files from Windows: the digests that an independent reader computed are ours too.

use etlring::reader::{Record, Trace};
use serde_json::Value;
use std::fmt::Write;
use std::path::PathBuf;

/// `../shared/samples`; `None`, with a message, where they are missing and need not be there.
pub(crate) fn samples() -> Option<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    if directory.join("expected.jsonl").is_file() {
        return Some(directory);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
    eprintln!("skipped: {} is missing", directory.display());
    None
}

/// What the reference reader hashes of a record: a JSON array with Python's spaces.
fn line(trace: &Trace<bytes::Bytes>, record: &Record<'_>) -> String {
    let view = record.view().unwrap();
    let payload = view.payload();
    let mut line = format!("[\"{}\", ", view.header_name());
    match view.provider() {
        Some(guid) => write!(line, "\"{guid}\"").unwrap(),
        None => line.push_str("null"),
    }
    let ticks = view.ticks();
    let time = ticks.map(|ticks| trace.clock().file_time(ticks).0.to_string());
    let numbers = [
        view.id().map(|n| n.to_string()),
        view.process_id().map(|n| n.to_string()),
        view.thread_id().map(|n| n.to_string()),
        ticks.map(|n| n.to_string()),
        time,
        Some(payload.len().to_string()),
    ];
    for number in numbers {
        write!(line, ", {}", number.as_deref().unwrap_or("null")).unwrap();
    }
    write!(line, ", \"{:08x}\"]", crc32fast::hash(payload)).unwrap();
    line
}

#[test]
fn digests_are_those_of_the_reference_reader() {
    let Some(directory) = samples() else { return };
    let expected = std::fs::read_to_string(directory.join("expected.jsonl")).unwrap();
    for row in expected.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let name = row["file"].as_str().unwrap();
        let trace = Trace::open(directory.join(name)).unwrap();
        assert_eq!(trace.damage(), [], "{name}");
        let mut digest = crc32fast::Hasher::new();
        let mut count = 0u64;
        let mut records = trace.records();
        while let Some(record) = records.next() {
            digest.update(line(&trace, &record.unwrap()).as_bytes());
            count += 1;
        }
        assert_eq!(count, row["expect"]["records"], "{name}");
        assert_eq!(format!("{:08x}", digest.finalize()), row["expect"]["digest"], "{name}");
    }
}

#[test]
fn time_order_never_runs_backwards_and_leaves_nothing_out() {
    let Some(directory) = samples() else { return };
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "etl") {
            continue;
        }
        let trace = Trace::open(&path).unwrap();
        let mut records = trace.records();
        let mut in_file = 0u64;
        while records.next().is_some() {
            in_file += 1;
        }
        let mut records = trace.by_time();
        let (mut by_time, mut last) = (0u64, (0, 0, 0, 0));
        while let Some(record) = records.next() {
            let record = record.unwrap();
            let offset = record.raw().offset;
            let key = (record.order_ticks(), record.lane(), record.sequence(), offset);
            assert!(last <= key, "{}: {last:?} before {key:?}", path.display());
            last = key;
            by_time += 1;
        }
        assert_eq!(by_time, in_file, "{}", path.display());
    }
}
