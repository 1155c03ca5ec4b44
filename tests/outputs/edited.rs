//! New logs of a log.

use crate::File;
use etlring::edit::{self, Anonymous, Keep, Packing};
use etlring::format::FileTime;
use etlring::reader::Trace;
use etlring::schema::Decoder;
use std::io::Cursor;
use std::num::NonZeroUsize;

type Log = Trace<bytes::Bytes>;

/// Every edit once. What an edit refuses is a file that says why.
pub(crate) fn files_of(trace: &Log) -> Vec<File> {
    let keep = Keep::default();
    let middle = middle(trace);
    let mut count = 0u32;
    let mut files = vec![
        made("filtered.etl", |out| {
            edit::filter(trace, out, keep, |_, _, _| {
                count += 1;
                count % 3 != 0
            })
        }),
        made("first.etl", |out| edit::cut(trace, out, keep, FileTime(i64::MIN), middle)),
        made("second.etl", |out| edit::cut(trace, out, keep, middle, FileTime(i64::MAX))),
        made("packed.etl", |out| edit::recompress(trace, out, packing(true))),
        made("plain.etl", |out| edit::recompress(trace, out, packing(false))),
        made("anonymous.etl", |out| {
            let decoder = decoder(trace);
            edit::anonymize(trace, out, &decoder, &Anonymous::default(), &mut replace)
        }),
    ];
    let halves: Vec<_> =
        files[1..3].iter().filter_map(|(_, log)| Log::from_bytes(log.clone()).ok()).collect();
    let halves: Vec<_> = halves.iter().collect();
    files.push(made("merged.etl", |out| edit::merge(&halves, out)));
    files
}

/// Knows what the log says of its own events.
pub(crate) fn decoder(trace: &Log) -> Decoder {
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        if let Ok(record) = record {
            decoder.learn(record.raw());
        }
    }
    decoder
}

fn made(
    name: &str,
    edit: impl FnOnce(&mut Cursor<Vec<u8>>) -> Result<edit::Edited, edit::EditError>,
) -> File {
    let mut out = Cursor::new(Vec::new());
    match edit(&mut out) {
        Ok(_) => (name.to_owned(), out.into_inner()),
        Err(error) => (format!("{name}.refused"), error.to_string().into_bytes()),
    }
}

/// One thread, so that this runs where there is no other.
fn packing(compressed: bool) -> Packing {
    Packing { compressed, threads: NonZeroUsize::MIN }
}

/// The time of the record in the middle.
fn middle(trace: &Log) -> FileTime {
    let mut times = Vec::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        if let Ok(record) = record {
            times.push(trace.time(&record));
        }
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A stand-in for a keyed hash.
fn replace(old: &[u8], new: &mut [u8]) {
    for (at, byte) in new.iter_mut().enumerate() {
        let hash = old.iter().fold(at as u64 ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        *byte = hash.to_le_bytes()[4];
    }
}
