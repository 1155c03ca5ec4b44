#![no_main]
//! A file of any bytes: file order and time order hold the same records and the same damage, a seek
//! holds what comes after it, and neither the kind of source nor a second file changes that.

use etlring::codec::checksum::State;
use etlring::format::FileTime;
use etlring::reader::{MergeMany, ReadError, Record, Source, Trace};
use libfuzzer_sys::fuzz_target;
use std::io;

/// Most bytes that the compressed buffers of one input may claim, so that it takes little time.
const MOST: u64 = 1 << 20;

/// The same bytes, to be had only by reading them.
struct Copied<'a>(&'a [u8]);

impl Source for Copied<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(position, out)
    }
}

/// What a record is known by: its buffer, its place there, its stamp, its time.
type Known = (usize, u32, Option<u64>, FileTime);

/// What a walk yields.
#[derive(Debug, Default, PartialEq)]
struct Walk {
    records: Vec<Known>,
    damage: Vec<ReadError>,
}

impl Walk {
    fn add<S: Source>(&mut self, trace: &Trace<S>, next: Result<Record<'_>, ReadError>) {
        match next {
            Ok(record) => self.records.push(look(trace, &record)),
            Err(error) => self.damage.push(error),
        }
    }

    /// The walk without its order.
    fn sorted(mut self) -> Self {
        self.records.sort_unstable();
        self.damage.sort_unstable_by_key(|error| error.position);
        self
    }
}

fuzz_target!(|bytes: &[u8]| {
    let copied = Trace::new(Copied(bytes));
    let Ok(trace) = Trace::from_slice(bytes) else { return assert!(copied.is_err()) };
    let copied = copied.unwrap();
    assert_eq!(trace.buffers(), copied.buffers());
    assert_eq!(trace.damage(), copied.damage());
    assert!(trace.unused_tail() <= bytes.len() as u64);
    let mut end = 0;
    for entry in trace.buffers() {
        assert!(entry.position >= end, "buffers do not overlap");
        end = entry.position + u64::from(entry.size);
    }
    assert!(end <= bytes.len() as u64);
    let packed = trace.buffers().iter().filter(|entry| entry.is_compressed());
    if packed.map(|entry| u64::from(entry.filled_bytes)).sum::<u64>() > MOST {
        return;
    }

    for index in 0..=trace.buffers().len() {
        let found = trace.verify_checksum(index);
        assert_eq!(found, copied.verify_checksum(index));
        assert!(index < trace.buffers().len() || found == Ok(State::Absent));
    }

    let by_file = by_file(&trace);
    assert_eq!(by_file, self::by_file(&copied));
    let by_time = by_time(&trace, None);
    assert_eq!(by_time, self::by_time(&copied, None));
    assert_eq!(by_file.sorted(), self::by_time(&trace, None).sorted());

    // A file that was cut has its whole records before the cut.
    let cut = bytes.last().map_or(0, |part| bytes.len() * usize::from(*part) / 256);
    let Ok(part) = Trace::from_slice(&bytes[..cut]) else { return };
    let part_by_time = self::by_time(&part, None);
    assert_eq!(self::by_file(&part).sorted(), self::by_time(&part, None).sorted());
    assert_eq!(many(&[&trace, &part], None), [by_time, part_by_time]);

    let Some(&(.., time)) = self::by_file(&trace).records.get(cut % 16) else { return };
    check_seek(&trace, time);
    check_seek(&part, time);
    let sought = [&trace, &part].map(|trace| self::by_time(trace, Some(time)));
    assert_eq!(many(&[&trace, &part], Some(time)), sought);
});

fn by_file<S: Source>(trace: &Trace<S>) -> Walk {
    let (mut walk, mut cursor) = (Walk::default(), trace.records());
    while let Some(next) = cursor.next() {
        walk.add(trace, next);
    }
    assert!(cursor.next().is_none(), "an end is the end");
    assert!(walk.records.is_sorted_by_key(|record| (record.0, record.1)));
    walk
}

fn by_time<S: Source>(trace: &Trace<S>, from: Option<FileTime>) -> Walk {
    let (mut walk, mut merge) = (Walk::default(), trace.by_time());
    if let Some(from) = from {
        merge = merge.seek(from);
    }
    while let Some(next) = merge.next() {
        walk.add(trace, next);
    }
    assert!(merge.next().is_none(), "an end is the end");
    walk
}

/// The walks of several files that are one by time.
fn many(traces: &[&Trace<&[u8]>; 2], from: Option<FileTime>) -> [Walk; 2] {
    let mut walks = [Walk::default(), Walk::default()];
    let mut merge = MergeMany::new(traces.iter().copied());
    if let Some(from) = from {
        merge = merge.seek(from);
    }
    while let Some((file, next)) = merge.next() {
        walks[file].add(traces[file], next);
    }
    walks
}

/// What a seek yields is the part of the whole that is not before `time`, if no time runs back.
fn check_seek(trace: &Trace<&[u8]>, time: FileTime) {
    let (all, sought) = (by_time(trace, None).records, by_time(trace, Some(time)).records);
    // At the end of all ticks there is nothing to round up to.
    let late = |record: &&Known| record.3 >= time || record.2 == Some(u64::MAX);
    assert!(sought.iter().all(|record| late(&record)));
    if all.iter().filter_map(|record| record.2).is_sorted() {
        let sure = |record: &Known| record.2 != Some(u64::MAX) && record.3 >= time;
        let sure = |records: &[Known]| records.iter().copied().filter(sure).collect::<Vec<_>>();
        assert_eq!(sure(&sought), sure(&all));
    }
}

/// Asks a record everything.
fn look<S: Source>(trace: &Trace<S>, record: &Record<'_>) -> Known {
    let entry = record.buffer();
    assert_eq!(*entry, trace.buffers()[record.buffer_index()]);
    assert_eq!((record.lane(), record.sequence()), (entry.lane, entry.sequence));
    let raw = record.raw();
    if !entry.is_compressed() {
        let end = record.position() + raw.bytes.len() as u64;
        assert!(end <= entry.position + u64::from(entry.filled_bytes));
    }
    if let Ok(view) = record.view() {
        assert_eq!(view.ticks(), record.ticks());
        assert_eq!(view.raw().bytes, raw.bytes);
    }
    assert_eq!(record.order_ticks(), record.ticks().unwrap_or(entry.time_stamp));
    (record.buffer_index(), raw.offset, record.ticks(), trace.time(record))
}
