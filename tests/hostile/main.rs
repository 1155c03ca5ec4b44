//! Files that mean harm: every one gives records or typed errors, in bounded time and memory.
//!
//! `everything` does with a file all that the library can do with one. Long sweeps are ignored, and
//! a part of each, spread over the whole, runs always.
#![allow(missing_docs, clippy::cast_possible_truncation)]

#[path = "../common/allocations.rs"]
mod allocations;
mod attack;
mod bounds;
mod corpus;
#[path = "../reader/log.rs"]
#[allow(dead_code)]
mod log;
mod shrink;
mod sweep;

use etlring::edit::{self, Anonymous, Keep, Packing};
use etlring::format::FileTime;
use etlring::reader::{MergeMany, Source, Trace};
use etlring::schema::{Decoder, Shape, Value, Visitor};
use std::io::Cursor;
use std::num::NonZeroUsize;

/// Counts what it is shown.
#[derive(Default)]
struct Count(u64);

impl Visitor for Count {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.0 += 1 + name.len() as u64 / 16;
        // Everything can be written.
        if self.0 < 1_000 {
            let _ = value.to_string();
        }
    }
    fn begin(&mut self, _: &str, _: Shape) {
        self.0 += 1;
    }
    fn end(&mut self, _: Shape) {}
}

/// Records that every walk finds, or `None` if the file is no log.
fn everything(bytes: &[u8]) -> Option<u64> {
    let trace = Trace::from_slice(bytes).ok()?;
    Some(all_of(&trace, bytes.len()))
}

/// Walks a trace, decodes it, and makes of it what can be made: each is a log without damage.
fn all_of<S: Source + Sync>(trace: &Trace<S>, size: usize) -> u64 {
    let (mut whole, mut views, mut faults) = (0u64, 0u64, 0u64);
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        match record {
            Ok(record) => {
                whole += 1;
                views += u64::from(record.view().is_ok());
                decoder.learn(record.raw());
                let _ = (trace.time(&record), record.position());
            }
            Err(_) => faults += 1,
        }
        // A record has eight bytes at least; unpacked ones come from a stream that has a byte for
        // as many as 16 MiB.
        assert!(whole + faults <= 64 + size as u64 * 4_096, "more records than bytes");
    }
    let mut by_time = trace.by_time();
    let mut in_time = 0;
    while let Some(record) = by_time.next() {
        let Ok(record) = record else { continue };
        in_time += 1;
        let Ok(view) = record.view() else { continue };
        let _ = (view.ticks(), view.provider(), view.items().count());
        let mut count = Count::default();
        let description = decoder.describe(&view);
        let _ = (description.walk(&mut count), description.message().map(|m| m.len()));
        assert!(count.0 < 1 << 20, "more fields than a payload has room for");
    }
    assert_eq!(in_time, whole);
    let mut sought = trace.by_time().seek(FileTime(trace.logfile().start_time().0));
    while sought.next().is_some() {}
    let mut many = MergeMany::new([trace, trace]);
    while many.next().is_some() {}

    // The logfile header is kept apart, also where its buffer says that it holds nothing.
    let views = views + 1;
    let keep = Keep::default();
    let all = made(|out| edit::filter(trace, out, keep, |_, _, _| true), views);
    let (past, middle) = (FileTime(i64::MIN), trace.logfile().start_time());
    made(|out| edit::cut(trace, out, keep, past, middle), u64::MAX);
    made(
        |out| {
            edit::cut(
                trace,
                out,
                Keep { metadata: false, ..Keep::default() },
                middle,
                FileTime(i64::MAX),
            )
        },
        u64::MAX,
    );
    let mut zero = |_: &[u8], new: &mut [u8]| new.fill(0);
    let what = Anonymous::default();
    made(|out| edit::anonymize(trace, out, &decoder, &what, &mut zero), u64::MAX);
    for compressed in [true, false] {
        let packing = Packing { compressed, threads: NonZeroUsize::MIN };
        made(|out| edit::recompress(trace, out, packing), views);
    }
    if let Some(all) = all {
        let again = Trace::from_bytes(all).unwrap();
        let merged = edit::merge(&[&again, &again], Cursor::new(Vec::new()));
        assert!(matches!(merged, Ok(_) | Err(edit::EditError::Clock(_))), "{merged:?}");
    }
    whole
}

/// A log that was made is whole, whatever it was made of.
fn made(
    edit: impl FnOnce(&mut Cursor<Vec<u8>>) -> Result<edit::Edited, edit::EditError>,
    most: u64,
) -> Option<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let edited = edit(&mut out).ok()?;
    let bytes = out.into_inner();
    let trace = Trace::from_slice(&bytes).unwrap();
    assert_eq!(trace.damage(), []);
    let mut records = trace.records();
    let mut count = 0;
    while let Some(record) = records.next() {
        assert!(record.unwrap().view().is_ok());
        count += 1;
    }
    assert_eq!(count, edited.records);
    assert!(count <= most, "{count} records of {most}");
    drop(records);
    drop(trace);
    Some(bytes)
}
