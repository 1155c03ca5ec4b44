//! Records that are passed over at a look are those that would have been handed out.

use crate::images::Random;
use crate::samples::samples;
use etlring::reader::{Cursor, ReadError, Record, Source, Trace};

/// A record, or what was wrong in its place: buffer, offset, and a hash of its bytes.
type Row = Result<(usize, u32, u32), ReadError>;

fn row(record: &Record<'_>) -> (usize, u32, u32) {
    let raw = record.raw();
    (record.buffer_index(), raw.offset, crc32fast::hash(raw.bytes))
}

/// What `next` alone gives.
fn plain<S: Source>(mut records: Cursor<'_, S>) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(record) = records.next() {
        rows.push(record.map(|record| row(&record)));
    }
    rows
}

/// The same with records passed over until one is refused, of eight about one; and how many were
/// passed over.
fn skipping<S: Source>(mut records: Cursor<'_, S>, random: &mut Random) -> (Vec<Row>, usize) {
    let (mut rows, mut passed) = (Vec::new(), 0);
    loop {
        records.skip_while(|record| {
            let is_known = random.below(8) > 0;
            if is_known {
                rows.push(Ok(row(record)));
                passed += 1;
            }
            is_known
        });
        let Some(record) = records.next() else { return (rows, passed) };
        rows.push(record.map(|record| row(&record)));
    }
}

/// Goal: nothing is lost, shown twice or shown otherwise. Method: every sample from memory and from
/// its file, whole and with bytes overwritten here and there, against a walk by `next` alone.
#[test]
fn skipped_records_are_those_that_next_would_give() {
    let Some(directory) = samples() else { return };
    let (mut random, mut all, mut passed, mut damaged) = (Random(7), 0, 0, 0);
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // The largest one has nothing that the others have not.
        if path.extension().is_none_or(|extension| extension != "etl")
            || path.metadata().unwrap().len() > 8 << 20
        {
            continue;
        }
        let from_file = Trace::open_positioned(&path).unwrap();
        let expected = plain(from_file.records());
        let (found, skipped) = skipping(from_file.records(), &mut random);
        assert_eq!(found, expected, "{}", path.display());
        (all, passed) = (all + expected.len(), passed + skipped);

        let mut bytes = std::fs::read(&path).unwrap();
        for _ in 0..if bytes.len() > 1 << 20 { 1 } else { 4 } {
            for _ in 0..20 {
                // Behind the start of the logfile header, without which nothing opens.
                let at = 512 + random.below(bytes.len() - 512);
                bytes[at] = u8::try_from(random.below(256)).unwrap();
            }
            let Ok(trace) = Trace::from_slice(&bytes) else { continue };
            let expected = plain(trace.records());
            damaged += expected.iter().filter(|row| row.is_err()).count();
            let found = skipping(trace.records(), &mut random).0;
            assert_eq!(found, expected, "{}", path.display());
        }
    }
    // Of the records without damage most are passed over, and of those with it some are faulty.
    assert!(passed > all / 2 && passed < all, "{passed} of {all}");
    assert!(damaged > 0);
}

/// Goal: before the first record and behind the last one there is nothing to pass over.
#[test]
fn there_is_nothing_to_skip_where_there_is_no_record() {
    let Some(directory) = samples() else { return };
    let trace = Trace::open(directory.join("perfview_primitive-types.etl")).unwrap();
    let mut records = trace.records();
    records.skip_while(|_| panic!("no buffer has been begun"));
    while records.next().is_some() {}
    records.skip_while(|_| panic!("there are no more"));
    assert!(records.next().is_none());
}
