//! Pausing, flushing, stopping, and what is told when a sink fails.

use crate::log;
use bytes::BufMut;
use etlring::codec::{BufferView, LogfileView};
use etlring::format::Guid;
use etlring::session::{ClassicEvent, Discarded, Session, SessionError};
use etlring::sink::{MemorySink, Sink};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);

#[test]
fn paused_and_stopped_sessions_say_so() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("pause").sink(sink).start().unwrap();
    let handle = session.handle();
    assert!(handle.is_enabled());
    handle.write_classic(&EVENT, b"1").unwrap();
    handle.set_enabled(false);
    assert_eq!(handle.write_classic(&EVENT, b"2"), Err(Discarded::Disabled));
    assert!(!session.is_enabled());
    session.set_enabled(true);
    handle.write_classic(&EVENT, b"3").unwrap();
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.events_disabled), (2, 1));
    assert_eq!(stats.lost.total(), 0);

    assert_eq!(handle.write_classic(&EVENT, b"4"), Err(Discarded::Stopped));
    handle.set_enabled(true);
    assert_eq!(handle.write_classic(&EVENT, b"5"), Err(Discarded::Stopped));
    let after = handle.query();
    assert_eq!((after.events_after_stop, after.attempted()), (2, 5));
    let log = log.take();
    let (_, buffers) = log::read(&log);
    assert_eq!(log::events(&buffers).count(), 2);
}

#[test]
fn flush_brings_every_committed_event_to_the_log() {
    let (sink, log) = MemorySink::new();
    let session =
        Session::builder("flush").sink(sink).flush_interval(Duration::ZERO).start().unwrap();
    for n in 1..=20u64 {
        session.write_classic(&EVENT, &n.to_le_bytes()).unwrap();
        session.flush().unwrap();
        let now = log.to_vec();
        // Not finished, but whole: header, and one buffer rewritten in its place.
        assert_eq!(now.len(), 2 * 65536);
        let header = BufferView::parse(&now).unwrap();
        let header = LogfileView::parse(header.records().next().unwrap().unwrap()).unwrap();
        assert_eq!((header.buffers_written(), header.end_time()), (2, None));
        let buffer = BufferView::parse(&now[65536..]).unwrap();
        assert_eq!(buffer.records().count() as u64, n);
        buffer.verify_checksum().unwrap();
    }
    session.stop().unwrap();
    assert_eq!(log::events(&log::read(&log.take()).1).count(), 20);
}

#[test]
fn the_flush_interval_does_it_unasked() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("interval")
        .sink(sink)
        .flush_interval(Duration::from_millis(5))
        .start()
        .unwrap();
    session.write_classic(&EVENT, b"seen").unwrap();
    while log.to_vec().len() < 2 * 65536 {
        std::thread::sleep(Duration::from_millis(1));
    }
    session.stop().unwrap();
}

#[test]
fn dropping_a_session_stops_it() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("drop").sink(sink).start().unwrap();
    let handle = session.handle();
    handle.write_classic(&EVENT, b"kept").unwrap();
    drop(session);
    assert_eq!(handle.write_classic(&EVENT, b"late"), Err(Discarded::Stopped));
    let log = log.take();
    let (header, buffers) = log::read(&log);
    assert!(header.end_time().is_some());
    assert_eq!(log::events(&buffers).count(), 1);
}

#[test]
fn stop_does_not_wait_for_ever_for_an_open_reservation() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("open").sink(sink).start().unwrap();
    let handle = session.handle();
    let (reserved, is_reserved) = mpsc::channel();
    let (stopped, is_stopped) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        handle.write_classic(&EVENT, b"before").unwrap();
        let mut record = handle.reserve_classic(&EVENT, 8).unwrap();
        reserved.send(()).unwrap();
        is_stopped.recv().unwrap();
        record.put_slice(b"too late");
        (record.commit(), handle.query())
    });
    is_reserved.recv().unwrap();
    let stats = session.stop().unwrap();
    stopped.send(()).unwrap();
    let (commit, after) = writer.join().unwrap();
    assert_eq!(commit, Err(Discarded::Stopped));
    assert_eq!((stats.events_accepted, after.events_after_stop), (1, 1));
    let log = log.take();
    let (_, buffers) = log::read(&log);
    let payloads: Vec<_> = log::events(&buffers).map(|record| record.payload()).collect();
    assert_eq!(payloads, [b"before"]);
}

#[test]
fn stop_waits_for_writers_and_loses_nothing_they_were_promised() {
    for _ in 0..50 {
        let (sink, log) = MemorySink::new();
        let session = Session::builder("race").sink(sink).start().unwrap();
        let accepted = AtomicU64::new(0);
        let started = AtomicBool::new(false);
        let (stats, handle) = std::thread::scope(|scope| {
            for _ in 0..3 {
                let handle = session.handle();
                let (accepted, started) = (&accepted, &started);
                scope.spawn(move || {
                    while handle.write_classic(&EVENT, &[1; 32]) != Err(Discarded::Stopped) {
                        accepted.fetch_add(1, Ordering::Relaxed);
                        started.store(true, Ordering::Relaxed);
                    }
                });
            }
            while !started.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            let handle = session.handle();
            (session.stop().unwrap(), handle)
        });
        let after = handle.query();
        let events = log::events(&log::read(&log.take()).1).count() as u64;
        assert_eq!(stats.events_accepted, events);
        assert_eq!(after.events_accepted + after.lost.total(), accepted.into_inner());
        assert_eq!(after.events_after_stop, 3);
    }
}

/// A sink that fails for some positions, as often as it is asked to.
struct Failing {
    log: MemorySink,
    failures: u64,
}

impl Sink for Failing {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        if position == 2 && self.failures > 0 {
            self.failures -= 1;
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space"));
        }
        self.log.write(position, buffer)
    }

    fn finish(&mut self, buffers: u64, buffer_size: u32) -> io::Result<()> {
        self.log.finish(buffers, buffer_size)
    }
}

#[test]
fn a_failing_sink_is_told_at_stop_and_never_to_a_writer() {
    let (sink, log) = MemorySink::new();
    let sink = Failing { log: sink, failures: 3 };
    let session = Session::builder("failing")
        .sink(sink)
        .buffer_size(4096)
        .flush_interval(Duration::ZERO)
        .start()
        .unwrap();
    // 26 records of 152 bytes fit a buffer; the second, third and fourth buffer are refused.
    for _ in 0..26 * 8 {
        session.write_classic(&EVENT, &[0; 100]).unwrap();
    }
    let Err(SessionError::Sink { error, stats }) = session.stop() else { panic!("no error") };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!((stats.buffers_lost, stats.lost.io), (3, 3 * 26));
    assert_eq!((stats.events_accepted, stats.attempted()), (5 * 26, 8 * 26));

    let log = log.take();
    let mut rest = &log[4096..];
    let (mut events, mut flagged) = (0, 0);
    while !rest.is_empty() {
        let view = BufferView::parse(rest).unwrap();
        flagged += usize::from(view.header().buffer_flags.get() & 4 != 0);
        events += view.records().count();
        rest = &rest[4096..];
    }
    // One record tells of the buffers.
    assert_eq!((events, flagged), (5 * 26 + 1, 1));
    let header = BufferView::parse(&log).unwrap();
    let header = LogfileView::parse(header.records().next().unwrap().unwrap()).unwrap();
    assert_eq!((header.events_lost(), header.buffers_lost()), (78, 3));
}

struct Panicking;

impl Sink for Panicking {
    fn write(&mut self, position: u64, _: &[u8]) -> io::Result<()> {
        assert!(position == 0, "a sink with a bug");
        Ok(())
    }

    fn finish(&mut self, _: u64, _: u32) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panicking_sink_hangs_nobody() {
    let session = Session::builder("panic").sink(Panicking).start().unwrap();
    session.write_classic(&EVENT, b"doomed").unwrap();
    assert!(session.flush().is_err());
    assert!(matches!(session.stop(), Err(SessionError::FlusherPanicked)));
}

#[test]
fn several_sessions_share_a_thread() {
    let (sinks, logs): (Vec<_>, Vec<_>) = (0..3).map(|_| MemorySink::new()).unzip();
    let sessions: Vec<_> = sinks
        .into_iter()
        .zip(["one of three", "two of three", "three of three"])
        .map(|(sink, name)| Arc::new(Session::builder(name).sink(sink).start().unwrap()))
        .collect();
    for n in 0..900 {
        sessions[n % 3].write_classic(&EVENT, &(n as u32).to_le_bytes()).unwrap();
    }
    drop(sessions);
    for log in logs {
        assert_eq!(log::events(&log::read(&log.take()).1).count(), 300);
    }
}
