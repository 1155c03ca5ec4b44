#![no_main]
//! Whatever a file holds, each edit of it is refused or gives a log without a fault, with no record
//! that was not there.

use etlring::edit::{self, EditError, Edited, Keep, Packing};
use etlring::format::FileTime;
use etlring::reader::{Source, Trace};
use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use std::num::NonZeroUsize;

type Out = Cursor<Vec<u8>>;

/// Records of a log in time order, as bytes; the logfile header is only its length.
fn records<S: Source>(trace: &Trace<S>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let Ok(record) = record else { continue };
        let is_header = record.buffer().position == 0 && record.raw().offset == 0;
        if record.view().is_ok() && !is_header {
            all.push(record.raw().bytes.to_vec());
        }
    }
    all
}

/// Whether every record has a stamp and none lies before the one in front of it.
fn in_order<S: Source>(trace: &Trace<S>) -> bool {
    let mut last = 0;
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        match record.map(|record| record.ticks()) {
            Ok(Some(ticks)) if ticks >= last => last = ticks,
            _ => return false,
        }
    }
    true
}

fn made(edit: impl FnOnce(&mut Out) -> Result<Edited, EditError>) -> Option<Trace<bytes::Bytes>> {
    let mut out = Cursor::new(Vec::new());
    let edited = match edit(&mut out) {
        Ok(edited) => edited,
        Err(EditError::Expands(_) | EditError::Clock(_)) => return None,
        Err(error) => panic!("{error:?}"),
    };
    let trace = Trace::from_bytes(out.into_inner()).expect("a log");
    assert_eq!(trace.damage(), []);
    assert_eq!(trace.buffers().len() as u64, edited.buffers);
    assert_eq!(records(&trace).len() as u64 + 1, edited.records);
    for index in 0..trace.buffers().len() {
        assert!(trace.verify_checksum(index).is_ok());
    }
    Some(trace)
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = Trace::from_slice(bytes) else { return };
    let before = records(&trace);
    let keep = Keep::default();
    let all = made(|out| edit::filter(&trace, out, keep, |_, _, _| true));
    if let Some(all) = &all {
        assert!(records(all) == before);
    }
    let mut turn = false;
    let half = made(|out| {
        edit::filter(&trace, out, Keep { metadata: false, ..Keep::default() }, |_, _, _| {
            turn = !turn;
            turn
        })
    });
    for compressed in [true, false] {
        let packing = Packing { compressed, threads: NonZeroUsize::MIN };
        if let Some(packed) = made(|out| edit::recompress(&trace, out, packing)) {
            assert!(records(&packed) == before);
        }
    }
    let middle = trace.logfile().start_time();
    made(|out| edit::cut(&trace, out, keep, FileTime(i64::MIN), middle));
    if let (Some(all), Some(half)) = (&all, &half) {
        if let Some(merged) = made(|out| edit::merge(&[half, all], out)) {
            // Two parts of one log are that log, if its times do not run backwards.
            let (found, expected) = (records(&merged).len(), before.len());
            assert!(found >= expected && (found == expected || !in_order(all)));
        }
    }
});
