//! Windows' own logs through every edit.

use crate::{made, rows};
use etlring::edit::{self, Keep, Packing};
use etlring::format::FileTime;
use etlring::reader::Trace;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The samples up to `most` bytes; none, with a message, where they are missing and need not be
/// there.
fn samples(most: u64) -> Vec<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    let Ok(entries) = std::fs::read_dir(&directory) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
        eprintln!("skipped: {} is missing", directory.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let small = |path: &PathBuf| std::fs::metadata(path).unwrap().len() <= most;
    let mut all: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "etl") && small(path)).collect();
    all.sort();
    all
}

/// Logs that never ended: their header is completed.
const UNFINISHED: &str = "s4_CldFlt2";

#[test]
fn filtered_by_nothing_they_are_the_same() {
    for path in samples(5 << 20) {
        let trace = Trace::open(&path).unwrap();
        let (new, edited) = made(|out| edit::filter(&trace, out, Keep::default(), |_, _, _| true));
        assert_eq!((edited.left_out, edited.fault_count), (0, 0));
        let new = Trace::from_bytes(new).unwrap();
        assert_eq!(rows(&new), rows(&trace), "{}", path.display());
        // The logfile header, too: nothing in it has changed.
        let first = |trace: &Trace<bytes::Bytes>| {
            let mut records = trace.records();
            records.next().unwrap().unwrap().raw().bytes.to_vec()
        };
        let unfinished = path.to_string_lossy().contains(UNFINISHED);
        assert_eq!(first(&new) == first(&trace), !unfinished, "{}", path.display());
    }
}

#[test]
fn cut_in_three_and_merged_they_are_the_same() {
    for path in samples(2 << 20) {
        let trace = Trace::open(&path).unwrap();
        let all = rows(&trace);
        let mut times: Vec<_> =
            all.iter().filter_map(|row| row.1).map(|t| trace.clock().file_time(t)).collect();
        times.sort_unstable();
        let [a, b] = [times[times.len() / 3], times[2 * times.len() / 3]];
        for metadata in [true, false] {
            let ends = [FileTime(i64::MIN), a, b, FileTime(i64::MAX)];
            let parts: Vec<_> = ends
                .windows(2)
                .map(|w| {
                    made(|out| {
                        edit::cut(&trace, out, Keep { metadata, ..Keep::default() }, w[0], w[1])
                    })
                    .0
                })
                .map(|part| Trace::from_bytes(part).unwrap())
                .collect();
            let order: Vec<_> = parts.iter().rev().collect();
            let (merged, _) = made(|out| edit::merge(&order, out));
            assert_eq!(rows(&Trace::from_bytes(merged).unwrap()), all, "{}", path.display());
        }
    }
}

#[test]
fn packed_they_are_the_same_and_not_larger_than_windows_packs_them() {
    let threads = NonZeroUsize::new(2).unwrap();
    for path in samples(5 << 20) {
        let trace = Trace::open(&path).unwrap();
        let pack = |trace: &Trace<bytes::Bytes>, compressed| {
            made(|out| edit::recompress(trace, out, Packing { compressed, threads })).0
        };
        let packed = pack(&trace, true);
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        // Within a tenth of Windows' own where it is packed; ours are smaller.
        let name = path.display();
        assert!(packed.len() <= size + size / 10, "{name}: {} of {size}", packed.len());
        let packed = Trace::from_bytes(packed).unwrap();
        assert_eq!(rows(&packed), rows(&trace), "{name}");
        let plain = Trace::from_bytes(pack(&packed, false)).unwrap();
        assert_eq!(rows(&plain), rows(&trace), "{name}");
    }
}
