//! Sessions that overwrite their oldest buffers: memory rings, their snapshots, circular logs.

use crate::replay::{PER_BUFFER, Replay, write, write_all};
use etlring::format::{Guid, LogFileMode};
use etlring::reader::Trace;
use etlring::session::{
    ClassicEvent, Clock, Discarded, FileMode, Session, SessionBuilder, SessionError, WhenFull,
};
use etlring::sink::{NullSink, Sink};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

fn builder() -> SessionBuilder {
    Session::builder(&crate::name("rings")).buffer_size(4096).flush_interval(Duration::ZERO)
}

fn snapshot(session: &Session) -> Replay {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshot.etl");
    session.snapshot(&path).unwrap();
    Replay::whole(&path)
}

#[test]
fn a_memory_ring_keeps_the_newest_events() {
    let session = builder().memory_ring().maximum_buffers(8).start().unwrap();
    assert!(snapshot(&session).events.is_empty());
    for n in 0..5 {
        write(&session, n).unwrap();
    }
    // A buffer in hand is part of it.
    assert_eq!(snapshot(&session).events, (0..5).collect::<Vec<_>>());

    // 100 buffers full and 3 events: eight are there, the last with three.
    let last = 100 * PER_BUFFER + 3;
    for n in 5..last {
        write(&session, n).unwrap();
    }
    let log = snapshot(&session);
    assert_eq!(log.events, (93 * PER_BUFFER..last).collect::<Vec<_>>());
    assert_eq!((log.buffers, log.buffers_written, log.torn), (9, 9, 0));
    assert_eq!(log.mode, LogFileMode::SEQUENTIAL);
    assert_eq!((log.events_lost, log.finished), (0, true));
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (last, 0));
}

#[test]
fn a_snapshot_is_for_rings_only() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let session = builder().log_file(&log).start().unwrap();
    let error = session.snapshot(directory.path().join("snapshot.etl")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(session.snapshot_on_panic("x.etl").is_err());
}

/// Numbers by lane, in order, of a log whose payloads start with one.
fn by_lane(path: &Path) -> BTreeMap<u16, Vec<u64>> {
    let trace = Trace::open(path).unwrap();
    assert!(trace.damage().is_empty(), "{:?}", trace.damage());
    let mut lanes = BTreeMap::<_, Vec<u64>>::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let payload = record.view().unwrap().payload().to_vec();
        // The logfile header is a record too.
        if let [a, b, c, d, e, f, g, h, rest @ ..] = payload.as_slice() {
            if rest.len() == 92 {
                let number = u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                lanes.entry(record.lane()).or_default().push(number);
            }
        }
    }
    lanes
}

/// Ends the writers of a test, when it fails too.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn snapshots_have_no_hole_while_writers_go_on() {
    let session = builder().memory_ring().maximum_buffers(64).start().unwrap();
    let stop = AtomicBool::new(false);
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for n in 0.. {
                    write(&session, n).unwrap();
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let _stop = StopAtEnd(&stop);
        for round in 0..200 {
            let path = directory.path().join(format!("{round}.etl"));
            let stats = session.snapshot(&path).unwrap();
            let lanes = by_lane(&path);
            let events: usize = lanes.values().map(Vec::len).sum();
            assert!(events == 0 || stats.buffers > 0);
            for (lane, numbers) in lanes {
                let first = numbers[0];
                let whole: Vec<u64> = (first..first + numbers.len() as u64).collect();
                assert_eq!(numbers, whole, "lane {lane} of round {round}, {stats:?}");
            }
            std::fs::remove_file(path).unwrap();
        }
    });
    let stats = session.stop().unwrap();
    assert_eq!(stats.lost.total(), 0);
}

#[test]
fn a_panic_leaves_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("panic.etl");
    let session = builder().memory_ring().maximum_buffers(4).start().unwrap();
    session.snapshot_on_panic(&path).unwrap();
    for n in 0..7 {
        write(&session, n).unwrap();
    }
    let handle = session.handle();
    let panicked = std::thread::spawn(move || {
        write(&handle, 7).unwrap();
        panic!("as the test wants it");
    });
    assert!(panicked.join().is_err());
    assert_eq!(Replay::whole(&path).events, (0..8).collect::<Vec<_>>());
    session.stop().unwrap();
    // Without the session the hook does nothing.
    std::fs::remove_file(&path).unwrap();
    assert!(std::thread::spawn(|| panic!("as the test wants it")).join().is_err());
    assert!(!path.exists());
}

#[test]
fn a_circular_log_holds_the_newest_events_and_its_header() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    // The header and 15 buffers.
    let circular =
        || builder().log_file(&path).file_mode(FileMode::Circular).maximum_file_size_kb(64);
    for (buffers, more, first) in [(3, 0, 0), (15, 0, 0), (15, 1, 1), (44, 9, 30), (300, 26, 286)] {
        let session = circular().start().unwrap();
        assert!(!directory.path().join("log.etl.ring").exists());
        let events = buffers * PER_BUFFER + more;
        for n in 0..events {
            write(&session, n).unwrap();
        }
        // What is there before the end is there at once.
        let running = Replay::of(std::fs::read(&path).unwrap());
        assert_eq!(running.events, (first * PER_BUFFER..events).collect::<Vec<_>>());
        assert!(!running.finished);
        let stats = session.stop().unwrap();
        assert_eq!((stats.events_accepted, stats.lost.total()), (events, 0));
        let log = Replay::of(std::fs::read(&path).unwrap());
        assert_eq!(log.events, running.events);
        assert_eq!(
            (log.mode, log.maximum_file_size),
            (LogFileMode::CIRCULAR.with(LogFileMode::USE_KBYTES_FOR_SIZE), 64)
        );
        // Free ones have no checksum.
        let free = 15usize.saturating_sub(events.div_ceil(PER_BUFFER) as usize);
        assert_eq!((log.buffers_written, log.torn, log.finished), (16, free, true));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 64 * 1024);
    }
}

#[test]
fn many_threads_share_few_buffers_of_a_ring() {
    // More threads than buffers, each with a buffer in hand when it falls quiet.
    let session = builder().memory_ring().maximum_buffers(8).start().unwrap();
    let together = std::sync::Barrier::new(33);
    std::thread::scope(|scope| {
        for thread in 0..32u64 {
            let (session, together) = (&session, &together);
            scope.spawn(move || {
                let event = ClassicEvent::new(Guid::from_u128(7), 10, 4);
                let mut accepted = 0u64;
                while accepted < 50 {
                    // Until the keeper has taken the buffer of a quiet one.
                    match session.write_classic(&event, &thread.to_le_bytes()) {
                        Ok(()) => accepted += 1,
                        Err(Discarded::NoFreeBuffer) => {
                            std::thread::sleep(Duration::from_millis(1))
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
                together.wait();
            });
        }
        together.wait();
    });
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, 32 * 50);
    assert_eq!(stats.attempted(), stats.events_accepted + stats.lost.no_free_buffer);
}

/// A sink that takes a buffer when it is told to.
#[derive(Debug)]
struct Slow(Receiver<()>);

impl Sink for Slow {
    fn write(&mut self, position: u64, _: &[u8]) -> io::Result<()> {
        if position != 0 {
            let _ = self.0.recv_timeout(Duration::from_secs(10));
        }
        Ok(())
    }

    fn finish(&mut self, _: u64, _: u32) -> io::Result<()> {
        Ok(())
    }
}

fn slow(when_full: WhenFull) -> (Session, Sender<()>) {
    let (go, wait) = channel();
    let builder = builder().sink(Slow(wait)).maximum_buffers(2).when_full(when_full);
    (builder.start().unwrap(), go)
}

#[test]
fn a_writer_that_may_wait_loses_nothing() {
    let (session, go) = slow(WhenFull::Block(Duration::from_secs(60)));
    let session = Arc::new(session);
    let writer = {
        let session = Arc::clone(&session);
        std::thread::spawn(move || {
            for n in 0..20 * PER_BUFFER {
                write(&session, n).unwrap();
            }
        })
    };
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2));
        go.send(()).unwrap();
    }
    writer.join().unwrap();
    drop(go);
    let stats = Arc::into_inner(session).unwrap().stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (20 * PER_BUFFER, 0));
}

#[test]
fn a_writer_waits_as_long_as_it_may_and_no_longer() {
    let patience = Duration::from_millis(30);
    let (session, go) = slow(WhenFull::Block(patience));
    let mut n = 0;
    let start = loop {
        let start = Instant::now();
        match write(&session, n) {
            Ok(()) => n += 1,
            Err(discarded) => {
                assert_eq!(discarded, Discarded::NoFreeBuffer);
                break start;
            }
        }
    };
    assert!(start.elapsed() >= patience);
    assert!(n >= 2 * PER_BUFFER);
    drop(go);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.no_free_buffer), (n, 1));
}

#[test]
fn a_stop_does_not_wait_for_those_who_wait() {
    let (session, go) = slow(WhenFull::Block(Duration::from_secs(3600)));
    let handle = session.handle();
    let writer = std::thread::spawn(move || (0..).find_map(|n| write(&handle, n).err()).unwrap());
    std::thread::sleep(Duration::from_millis(20));
    drop(go);
    let stats = session.stop().unwrap();
    assert_eq!(writer.join().unwrap(), Discarded::Stopped);
    assert_eq!(stats.lost.total(), 0);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let refused = |builder: SessionBuilder| match builder.start() {
        Err(SessionError::Config(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let block = WhenFull::Block(Duration::from_secs(1));
    let circular = || builder().log_file("x.etl").file_mode(FileMode::Circular);
    for (builder, text) in [
        (builder().memory_ring().when_full(block), "WhenFull::Block excludes memory_ring"),
        (circular(), "FileMode::Circular needs maximum_file_size"),
        (
            circular().maximum_file_size_kb(64).when_full(block),
            "WhenFull::Block excludes FileMode::Circular",
        ),
        (
            circular().maximum_file_size_kb(64).ring_file(true),
            "ring_file excludes FileMode::Circular",
        ),
        (
            circular().maximum_file_size_kb(8),
            "maximum_file_size_kb is 8 KB, must be 12 to 4294967295",
        ),
        (builder().memory_ring().ring_file(true), "ring_file needs log_file"),
        (
            builder().log_file("x.etl").memory_ring(),
            "one of log_file, sink and memory_ring must be set, or none with real_time",
        ),
        (
            builder().log_file("x.etl").when_full(WhenFull::Block(Duration::ZERO)),
            "when_full is 0 ms, must be 1 to 3600000",
        ),
    ] {
        assert_eq!(refused(builder), text);
    }
}

#[test]
fn the_flushers_tick_stamps_in_order_and_near_the_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = builder().log_file(&path).clock(Clock::FlusherTick).start().unwrap();
    for n in 0..50 {
        write_all(&session, n..n + 1);
        std::thread::sleep(Duration::from_millis(1));
    }
    session.stop().unwrap();
    let trace = Trace::open(&path).unwrap();
    let (start, end) = (trace.logfile().start_time(), trace.logfile().end_time().unwrap());
    let mut records = trace.records();
    let mut stamps = Vec::new();
    while let Some(record) = records.next() {
        stamps.push(trace.time(&record.unwrap()));
    }
    assert_eq!(stamps.len(), 51);
    assert!(stamps.is_sorted());
    assert!(stamps.iter().all(|time| (start..=end).contains(time)));
    // It moves on: not all at the start.
    assert!(stamps.iter().collect::<std::collections::BTreeSet<_>>().len() > 5);
}

#[test]
fn one_lane_has_the_events_of_all_threads_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = builder().log_file(&path).one_lane().maximum_buffers(2048).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let session = &session;
            scope.spawn(move || {
                for n in 0..2_000 {
                    // Where another thread is asleep in the lane it is tried again.
                    while write(session, thread << 32 | n) == Err(Discarded::NoLane) {}
                }
            });
        }
    });
    // An event within an event cannot wait for the one around it.
    let event = ClassicEvent::new(Guid::from_u128(7), 10, 4);
    let open = session.reserve_classic(&event, 8).unwrap();
    assert_eq!(write(&session, 0), Err(Discarded::Reentered));
    drop(open);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lanes), (8_000, 1));
    assert_eq!(stats.lost.total(), stats.lost.no_lane + 1);
    assert_eq!(stats.lost.reentered, 1);

    let trace = Trace::open(&path).unwrap();
    assert!(trace.logfile().mode().has(LogFileMode::NO_PER_PROCESSOR_BUFFERING));
    let mut records = trace.records();
    let mut stamps = Vec::new();
    let mut next = [0; 4];
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        stamps.push(view.ticks().unwrap());
        if view.payload().len() == 100 {
            let number = view.payload().first_chunk().unwrap();
            let number = u64::from_le_bytes(*number);
            let next = &mut next[(number >> 32) as usize];
            assert_eq!(number & 0xFFFF_FFFF, *next);
            *next += 1;
        }
    }
    assert!(stamps.is_sorted(), "file order is time order");
    assert_eq!(next, [2_000; 4]);
}

#[test]
fn thousands_of_quiet_threads_leave_the_buffers_to_the_busy_ones() {
    const QUIET: usize = 5_000;
    let session = Session::builder(&crate::name("crowd")).sink(NullSink).maximum_buffers(64);
    let session = session.buffer_size(4096).flush_interval(Duration::ZERO).start().unwrap();
    let event = ClassicEvent::new(Guid::from_u128(7), 10, 4);
    let (arrived, over) = (std::sync::Barrier::new(QUIET + 1), std::sync::Barrier::new(QUIET + 1));
    let lost = std::thread::scope(|scope| {
        for _ in 0..QUIET {
            std::thread::Builder::new()
                .stack_size(64 * 1024)
                .spawn_scoped(scope, || {
                    while session.write_classic(&event, b"one each").is_err() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    arrived.wait();
                    over.wait();
                })
                .unwrap();
        }
        arrived.wait();
        // What they have in hand is taken back when they have been quiet for long.
        let patience = Instant::now() + Duration::from_secs(60);
        while session.query().buffers_free < 48 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(session.query().buffers_free >= 48);
        let lost = ten_busy_threads(&session);
        over.wait();
        lost
    });
    session.stop().unwrap();
    let session = Session::builder(&crate::name("ten")).sink(NullSink).maximum_buffers(64);
    let session = session.buffer_size(4096).flush_interval(Duration::ZERO).start().unwrap();
    let alone = ten_busy_threads(&session);
    // What a loaded machine loses at is no business of a test; on an idle one both are 0.
    println!("lost {lost} in the crowd, {alone} alone, of 200,000");
}

/// Events that ten threads lose of 200,000, at a rate that ten threads alone can have.
fn ten_busy_threads(session: &Session) -> u64 {
    let event = ClassicEvent::new(Guid::from_u128(7), 10, 4);
    let before = session.query();
    std::thread::scope(|busy| {
        for _ in 0..10 {
            busy.spawn(|| {
                for n in 0..20_000u32 {
                    let _ = session.write_classic(&event, &n.to_le_bytes());
                    if n % 50 == 0 {
                        std::thread::sleep(Duration::from_micros(500));
                    }
                }
            });
        }
    });
    let after = session.query();
    assert_eq!(after.attempted() - before.attempted(), 200_000);
    after.lost.total() - before.lost.total()
}
