//! Several threads read what one does, in the same order, within bounded memory.

use crate::allocations::Group;
use crate::log::{Log, classic, untimed};
use crate::samples::samples;
use etlring::format::FileTime;
use etlring::reader::{Cursor, Merge, ReadError, Source, Trace};
use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

const COMPRESSED: u32 = 0x0400_0001;

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// A record, or what was wrong in its place: buffer, offset, and a hash of its bytes.
type Row = Result<(usize, u32, u32), ReadError>;

/// What can be read record by record.
trait Next {
    fn row(&mut self) -> Option<Row>;

    fn rows(mut self) -> Vec<Row>
    where
        Self: Sized,
    {
        std::iter::from_fn(|| self.row()).collect()
    }
}

impl<S: Source> Next for Cursor<'_, S> {
    fn row(&mut self) -> Option<Row> {
        let record = self.next()?;
        Some(record.map(|r| (r.buffer_index(), r.raw().offset, crc32fast::hash(r.raw().bytes))))
    }
}

impl<S: Source> Next for Merge<'_, S> {
    fn row(&mut self) -> Option<Row> {
        let record = self.next()?;
        Some(record.map(|r| (r.buffer_index(), r.raw().offset, crc32fast::hash(r.raw().bytes))))
    }
}

/// The rows of all buffers, found by threads.
fn par_rows<S: Source + Sync>(trace: &Trace<S>, count: usize) -> Vec<Row> {
    let (mut all, mut next) = (Vec::new(), 0);
    let work = |(): &mut (), buffer: usize, cursor: &mut Cursor<'_, S>| {
        let rows: Vec<Row> = std::iter::from_fn(|| cursor.row()).collect();
        assert!(rows.iter().flatten().all(|row| row.0 == buffer));
        rows
    };
    let done = trace.par_buffers(
        0..usize::MAX,
        threads(count),
        || (),
        work,
        |buffer, rows| {
            assert_eq!(buffer, next, "in order, each once");
            next += 1;
            all.extend(rows);
            Ok::<(), Infallible>(())
        },
    );
    done.unwrap();
    assert_eq!(next, trace.buffers().len());
    all
}

/// Every way to read `trace` with threads against the same with one.
fn agrees<S: Source + Sync>(trace: &Trace<S>, what: &str) {
    agrees_with(trace, &[1, 2, 3, 8], what);
}

fn agrees_with<S: Source + Sync>(trace: &Trace<S>, counts: &[usize], what: &str) {
    let (by_file, by_time) = (trace.records().rows(), trace.by_time().rows());
    let middle = trace.buffers()[trace.buffers().len() / 2];
    let seeks = [trace.buffer_time(&middle), FileTime(i64::MAX)];
    let sought = seeks.map(|time| trace.by_time().seek(time).rows());
    for &count in counts {
        assert!(par_rows(trace, count) == by_file, "{what}: by buffers, {count} threads");
        trace.read_ahead(threads(count), |ahead| {
            assert!(ahead.records().rows() == by_file, "{what}: by file, {count} threads");
            assert!(ahead.by_time().rows() == by_time, "{what}: by time, {count} threads");
            for (time, rows) in seeks.iter().zip(&sought) {
                let found = ahead.by_time().seek(*time).rows();
                assert!(found == *rows, "{what}: from {time:?}, {count} threads");
            }
        });
    }
}

/// A compressed log of `buffers` in three lanes, some of whose records have no stamp.
fn packed(buffers: u16) -> Log {
    let mut log = Log::with_mode(64 * 1024, COMPRESSED);
    for sequence in 1..=buffers {
        let first = 2_000 + u64::from(sequence) * 40;
        let mut records: Vec<_> = (0..60).map(|n| classic(first + n, 1, 90)).collect();
        if sequence % 5 == 0 {
            records.insert(7, untimed(sequence));
        }
        log.compressed(sequence % 3, i64::from(sequence), first + 60, &records);
    }
    log
}

#[test]
fn samples_are_read_alike() {
    let Some(directory) = samples() else { return };
    let mut packed = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = path.metadata().unwrap().len();
        if path.extension().is_some_and(|e| e == "etl") && bytes < 8 << 20 {
            let name = path.display().to_string();
            let mapped = Trace::open(&path).unwrap();
            packed += usize::from(mapped.buffers().iter().any(|buffer| buffer.is_compressed()));
            agrees_with(&mapped, &[2], &name);
            if bytes < 1 << 20 {
                agrees_with(&Trace::open_positioned(&path).unwrap(), &[2, 3], &name);
            }
        }
    }
    assert!(packed >= 3, "the samples have compressed files");
}

#[test]
fn damage_is_told_in_its_place() {
    let good = packed(60);
    let trace = Trace::from_slice(&good.bytes).unwrap();
    agrees(&trace, "whole");
    let buffers: Vec<_> = trace.buffers()[1..].to_vec();
    let mut bytes = good.bytes.clone();
    for (number, buffer) in buffers.iter().enumerate() {
        let at = usize::try_from(buffer.position).unwrap();
        match number % 7 {
            // A match in place of a literal, which reaches back too far or changes what follows.
            0 => bytes[at + 72 + 3] ^= 0x80,
            2 => bytes[at + 72 + 36 * 40 + 3] ^= 0x80,
            // The size of a record: it breaks off.
            3 => bytes[at + 72 + 4] ^= 1,
            // It claims more than its stream gives.
            5 => bytes[at + 0x30..at + 0x34].fill(0x03),
            _ => {}
        }
    }
    let damaged = Trace::from_slice(&bytes).unwrap();
    let errors = damaged.records().rows().iter().filter(|row| row.is_err()).count();
    assert!(errors > 20, "{errors}");
    agrees(&damaged, "damaged");
    for cut in [bytes.len() - 1, bytes.len() - 500, bytes.len() / 2, 70_000] {
        agrees(&Trace::from_slice(&bytes[..cut]).unwrap(), "cut");
    }
}

#[test]
fn a_stretch_of_buffers_keeps_its_numbers() {
    let log = packed(20);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "it is asked what becomes of that")]
    for (range, expected) in [(5..9, 5..9), (19..99, 19..21), (7..3, 0..0), (50..60, 0..0)] {
        let mut seen = Vec::new();
        let take = |buffer, index| {
            seen.push((buffer, index));
            Ok::<(), Infallible>(())
        };
        trace.par_buffers(range, threads(2), || (), |(), index, _| index, take).unwrap();
        assert_eq!(seen, expected.map(|n| (n, n)).collect::<Vec<_>>());
    }
}

#[test]
fn an_error_ends_the_work() {
    let log = packed(60);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    for count in [1, 2, 8] {
        let begun = AtomicUsize::new(0);
        let work = |(): &mut (), index: usize, _: &mut Cursor<'_, &[u8]>| {
            begun.fetch_add(1, Ordering::SeqCst);
            index
        };
        let take = |buffer, _| if buffer == 3 { Err("enough") } else { Ok(()) };
        assert_eq!(trace.par_buffers(0..61, threads(count), || (), work, take), Err("enough"));
        let begun = begun.load(Ordering::SeqCst);
        // Those ahead of the fourth, and what was in work.
        assert!(begun <= 4 + 4 * count, "{begun} of 61 with {count} threads");
    }
}

#[test]
fn a_panic_is_passed_on() {
    let log = packed(60);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    for count in [1, 2, 8] {
        let work = |(): &mut (), index: usize, _: &mut Cursor<'_, &[u8]>| {
            assert!(index != 20, "planned");
        };
        let run =
            || trace.par_buffers(0..61, threads(count), || (), work, |_, ()| Ok::<(), ()>(()));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "{count} threads");
        let run = || {
            trace.read_ahead(threads(count), |ahead| {
                let _ = ahead.records().next();
                panic!("planned");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "{count} threads");
    }
}

/// Panics when a helper reads what lies behind `safe`.
struct Fragile<'a> {
    bytes: &'a [u8],
    safe: u64,
    caller: thread::ThreadId,
}

impl Source for &Fragile<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        assert!(position < self.safe || thread::current().id() == self.caller, "planned");
        self.bytes.read_at(position, out)
    }
}

/// Goal: a cursor does not wait for a helper that is gone. Method: a source that panics in any
/// thread but the caller's.
#[test]
fn a_helper_that_panics_holds_nobody_up() {
    let log = packed(60);
    let whole = Trace::from_slice(&log.bytes).unwrap().records().rows();
    let source = Fragile {
        bytes: &log.bytes,
        safe: log.bytes.len() as u64 / 2,
        caller: thread::current().id(),
    };
    let trace = Trace::new(&source).unwrap();
    let mut rows = Vec::new();
    let run = || trace.read_ahead(threads(3), |ahead| rows = ahead.records().rows());
    let _ = catch_unwind(AssertUnwindSafe(run));
    assert!(rows == whole, "everything was read");
}

#[test]
fn cursors_do_not_disturb_each_other() {
    let log = packed(60);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let (by_file, by_time) = (trace.records().rows(), trace.by_time().rows());
    trace.read_ahead(threads(3), |ahead| {
        let (mut one, mut other) = (ahead.records(), ahead.by_time());
        let mut rows = (Vec::new(), Vec::new());
        for step in 0.. {
            let (a, b) = (one.row(), (step % 3 != 0).then(|| other.row()).flatten());
            if a.is_none() && b.is_none() && step % 3 != 0 {
                break;
            }
            rows.0.extend(a);
            rows.1.extend(b);
            if step == 1_000 {
                // A third one, left at once.
                let _ = ahead.records().row();
            }
        }
        assert!(rows.0 == by_file);
        assert!(rows.1 == by_time);
        // One that goes back and forth.
        for range in [0..usize::MAX, 9..11, 3..4, 40..99] {
            one.go_to(range.clone());
            let rows: Vec<Row> = std::iter::from_fn(|| one.row()).collect();
            assert!(rows == trace.records_of(range).rows());
        }
    });
}

/// A source that keeps its readers until a number of them are there at once.
struct Meeting<'a> {
    bytes: &'a [u8],
    /// Readers at once, those that are there, and the most there were.
    readers: Mutex<(usize, usize, usize)>,
    met: Condvar,
}

/// Long enough on any machine: only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Source for &Meeting<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut readers = self.readers.lock().unwrap();
        readers.1 += 1;
        readers.2 = readers.2.max(readers.1);
        self.met.notify_all();
        let alone = |readers: &mut (usize, usize, usize)| readers.2 < readers.0;
        let (mut readers, timeout) = self.met.wait_timeout_while(readers, PATIENCE, alone).unwrap();
        if timeout.timed_out() {
            // Nobody else waits for as long.
            readers.0 = 0;
        }
        readers.1 -= 1;
        drop(readers);
        self.bytes.read_at(position, out)
    }
}

/// Goal: as many threads unpack as were asked for. Method: no read ends before so many have begun.
#[test]
fn all_threads_are_at_work() {
    let log = packed(60);
    for count in [2, 3, 5] {
        let readers = Mutex::new((0, 0, 0));
        let source = Meeting { bytes: &log.bytes, readers, met: Condvar::new() };
        let trace = Trace::new(&source).unwrap();
        let most = trace.read_ahead(threads(count), |ahead| {
            *source.readers.lock().unwrap() = (count, 0, 0);
            assert!(ahead.records().rows().len() > 60);
            source.readers.lock().unwrap().2
        });
        assert_eq!(most, count, "by file");
        *source.readers.lock().unwrap() = (count, 0, 0);
        let done = |_, ()| Ok::<(), Infallible>(());
        let work = |(): &mut (), _, cursor: &mut Cursor<'_, _>| assert!(cursor.row().is_some());
        trace.par_buffers(0..61, threads(count), || (), work, done).unwrap();
        assert_eq!(source.readers.lock().unwrap().2, count, "by buffers");
    }
}

/// A source whose readers count as one group.
struct Counted<'a> {
    bytes: &'a [u8],
    group: &'static Group,
}

impl Source for Counted<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        // Every thread asks before it unpacks.
        self.group.join();
        Some(self.bytes)
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        self.bytes.read_at(position, out)
    }
}

/// The most bytes that all threads held together while they read.
fn peak(bytes: &[u8], count: usize, read: impl FnOnce(&Trace<Counted<'_>>) + Send) -> isize {
    let group: &'static Group = Box::leak(Box::default());
    // On a thread of its own, which counts for this and nothing else.
    let run = || read(&Trace::new(Counted { bytes, group }).unwrap());
    thread::scope(|scope| scope.spawn(run).join()).unwrap();
    let peak = group.peak();
    println!("{count} threads: {peak} bytes");
    peak
}

/// Goal: what is unpacked ahead is bounded in number and in bytes, whatever a log claims.
/// Method: all threads' allocations, while a cursor stands still and then goes on.
#[test]
fn memory_is_bounded() {
    // Each claims 64 MiB, the most that is believed, and its stream breaks off.
    let mut log = packed(40);
    let trace = Trace::from_slice(&log.bytes).unwrap();
    let places: Vec<_> = trace.buffers()[1..].iter().map(|buffer| buffer.position).collect();
    for position in places {
        let at = usize::try_from(position).unwrap() + 0x30;
        log.bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        log.bytes[at + 72 - 0x30 + 3] ^= 0x80;
    }
    const MIB: isize = 1 << 20;
    for count in [2, 4] {
        let held = peak(&log.bytes, count, |trace| {
            trace.read_ahead(threads(count), |ahead| {
                assert!(ahead.records().rows().iter().filter(|row| row.is_err()).count() >= 40);
            });
        });
        // The cursor's own, and one ahead.
        assert!(held > 16 * MIB, "{held}: the log claims something");
        assert!(held <= (64 + 64 + 2) * MIB, "{held} bytes with {count} threads");
        let held = peak(&log.bytes, count, |trace| drop(par_rows(trace, count)));
        let each = isize::try_from(count).unwrap() * 64;
        assert!(held <= (each + 2) * MIB, "{held} bytes with {count} threads");
    }
    // Many small ones, of which the cursor takes none for a while.
    let log = packed(400);
    for count in [2, 4] {
        let held = peak(&log.bytes, count, |trace| {
            trace.read_ahead(threads(count), |ahead| {
                let mut records = ahead.records();
                for _ in 0..100 {
                    let _ = records.row();
                }
                // As far ahead as it gets: this is no more than a chance to go too far.
                thread::sleep(std::time::Duration::from_millis(30));
                while records.row().is_some() {}
            });
        });
        // A buffer unpacks to 8,448 bytes, in 16 KiB.
        let most = (4 * count + count + 2) * 16 * 1024 + 64 * 1024;
        assert!(held <= isize::try_from(most).unwrap(), "{held} bytes with {count} threads");
    }
}
