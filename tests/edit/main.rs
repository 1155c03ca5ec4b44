//! New logs from old ones: what they must have in common, and what they must not.
#![allow(missing_docs, clippy::cast_possible_truncation)]

mod anonymize;
mod clock;
mod cut;
mod filter;
#[path = "../reader/log.rs"]
#[allow(dead_code)]
mod log;
mod merge;
#[path = "../common/reads.rs"]
mod reads;
mod recompress;
mod samples;

use etlring::reader::{Source, Trace};

/// What must stay of a record: lane, ticks, bytes; by time. The logfile header is only its length:
/// its counts may change.
type Row = (u16, Option<u64>, Vec<u8>);

fn rows<S: Source>(trace: &Trace<S>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let bytes = record.raw().bytes.to_vec();
        let is_header = record.buffer_index() == 0 && record.raw().offset == 0;
        let bytes = if is_header { vec![0; bytes.len()] } else { bytes };
        rows.push((record.lane(), record.ticks(), bytes));
    }
    rows
}

/// A new log in memory, and what was said of it.
fn made(
    edit: impl FnOnce(
        &mut std::io::Cursor<Vec<u8>>,
    ) -> Result<etlring::edit::Edited, etlring::edit::EditError>,
) -> (Vec<u8>, etlring::edit::Edited) {
    let mut out = std::io::Cursor::new(Vec::new());
    let edited = edit(&mut out).unwrap();
    let bytes = out.into_inner();
    check(&bytes, &edited);
    (bytes, edited)
}

/// A new log is whole, finished, sealed, and holds what is said.
fn check(log: &[u8], edited: &etlring::edit::Edited) {
    let trace = Trace::from_slice(log).unwrap();
    assert_eq!(trace.damage(), []);
    assert_eq!(log.len() as u64, edited.bytes);
    assert_eq!(trace.buffers().len() as u64, edited.buffers);
    let logfile = trace.logfile();
    assert_eq!(u64::from(logfile.buffers_written()), edited.buffers);
    assert_eq!(logfile.end_time(), Some(edited.end_time));
    let mut records = trace.records();
    let mut count = 0;
    while let Some(record) = records.next() {
        assert!(record.unwrap().view().is_ok());
        count += 1;
    }
    assert_eq!(count, edited.records);
    for (index, buffer) in trace.buffers().iter().enumerate() {
        assert!(u32::from(buffer.lane) < logfile.number_of_processors());
        trace.verify_checksum(index).unwrap();
    }
}
