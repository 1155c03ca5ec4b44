//! Sessions whose writers take the oldest full buffer back when none is free.

use crate::fake::Fake;
use crate::log;
use crate::replay::{PER_BUFFER, Replay, write};
use etlring::format::{EventDescriptor, Guid, LogFileMode};
use etlring::reader::{MergeMany, Trace};
use etlring::session::{
    ClassicEvent, Delivery, Event, FileMode, Session, SessionBuilder, SessionHandle, SyncMode,
    WhenFull,
};
use etlring::sink::{MemoryLog, MemorySink, Sink, storage::Storage};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const BUFFER: u32 = 4096;

fn builder() -> SessionBuilder {
    Session::builder(&crate::name("overwrite"))
        .buffer_size(BUFFER)
        .flush_interval(Duration::ZERO)
        .when_full(WhenFull::Overwrite)
}

/// Whether a sink may go on, and how many writes it was asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<(bool, u64)>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn set_closed(&self, closed: bool) {
        self.state.lock().unwrap().0 = closed;
        self.changed.notify_all();
    }

    /// Waits until a write waits.
    pub(crate) fn wait_for_one(&self, before: u64) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |(_, asked)| *asked <= before).unwrap());
    }

    fn asked(&self) -> u64 {
        self.state.lock().unwrap().1
    }

    /// Asks to write, and waits until that is allowed.
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |(closed, _)| *closed).unwrap());
    }
}

/// A sink in memory behind a gate.
#[derive(Debug)]
struct Gated {
    gate: Arc<Gate>,
    sink: MemorySink,
}

impl Sink for Gated {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        if position > 0 {
            self.gate.pass();
        }
        self.sink.write(position, buffer)
    }

    fn finish(&mut self, buffers: u64, size: u32) -> io::Result<()> {
        self.sink.finish(buffers, size)
    }
}

fn gated() -> (Gated, Arc<Gate>, MemoryLog) {
    let (sink, log) = MemorySink::new();
    let gate = Arc::new(Gate::default());
    (Gated { gate: Arc::clone(&gate), sink }, gate, log)
}

fn write_range(session: &SessionHandle, numbers: Range<u64>) {
    numbers.for_each(|n| write(session, n).unwrap());
}

/// Numbers of the events in a buffer.
fn numbers(buffer: &log::Buffer<'_>) -> Vec<u64> {
    log::events(std::slice::from_ref(buffer))
        .map(|event| u64::from_le_bytes(*event.payload().first_chunk().unwrap()))
        .collect()
}

#[test]
fn the_newest_events_are_kept_and_the_log_says_where_the_others_are_missing() {
    let (sink, gate, log) = gated();
    gate.set_closed(true);
    let session = builder().sink(sink).maximum_buffers(4).start().unwrap();
    // The first buffer is being written, and nobody takes it.
    write_range(&session, 0..PER_BUFFER + 1);
    gate.wait_for_one(0);
    // The others are taken back again and again.
    let last = 40 * PER_BUFFER + 5;
    write_range(&session, PER_BUFFER + 1..last);
    let stats = session.query();
    assert_eq!(stats.attempted(), last);
    assert_eq!(stats.lost.total(), stats.lost.no_free_buffer);
    assert!(stats.lost.total() > 0);
    gate.set_closed(false);
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), last);

    let log = log.take();
    let (header, mut buffers) = log::read_with_holes(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let found: Vec<Vec<u64>> = buffers.iter().map(numbers).filter(|n| !n.is_empty()).collect();
    // One that was being written, and of three others what they held last.
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], (0..PER_BUFFER).collect::<Vec<_>>());
    let newest = found[1..].concat();
    assert_eq!(newest, (newest[0]..last).collect::<Vec<_>>());
    let missing = newest[0] - PER_BUFFER;
    assert_eq!((stats.events_accepted, stats.lost.total()), (last - missing, missing));
    assert_eq!(u64::from(header.events_lost()), missing);

    // The flag and the count stand where the events are missing, once.
    let counts: Vec<u64> = buffers.iter().map(|buffer| buffer.events_lost.into()).collect();
    assert_eq!((counts[0], counts[1], counts.iter().sum()), (0, missing, missing));
    // The records name the span: behind the last event before it, up to the first behind it.
    let losses = log::losses(&buffers);
    let told: u64 = losses.iter().map(|loss| u64::from(loss.count)).sum();
    assert_eq!(told, missing);
    let ticks = |buffer: &log::Buffer<'_>, at: fn(&[u64]) -> u64| {
        let all: Vec<u64> =
            log::events(std::slice::from_ref(buffer)).map(|event| event.ticks().unwrap()).collect();
        at(&all)
    };
    let before = ticks(&buffers[0], |all| all[all.len() - 1]);
    let behind = ticks(&buffers[1], |all| all[0]);
    assert!(losses.iter().all(|loss| (loss.class_type, loss.cause) == (32, 1)));
    assert!(losses.iter().all(|loss| loss.first >= before && loss.last >= loss.first));
    assert!(losses.iter().map(|loss| loss.first).min().unwrap() <= behind);
}

#[test]
fn what_is_in_the_log_already_is_not_lost_with_its_buffer() {
    let (sink, gate, log) = gated();
    let session = builder().sink(sink).maximum_buffers(3).start().unwrap();
    // Five events, which a flush brings to the log. Their buffer stays in hand.
    write_range(&session, 0..5);
    session.flush().unwrap();
    let before = gate.asked();
    gate.set_closed(true);
    // Another lane keeps the flusher busy.
    let handle = session.handle();
    std::thread::spawn(move || write_range(&handle, 1000..1000 + PER_BUFFER + 1)).join().unwrap();
    gate.wait_for_one(before);
    // Two buffers are this thread's and the other's; the oldest full one is the one in the log.
    let last = 5 * PER_BUFFER;
    write_range(&session, 5..last);
    gate.set_closed(false);
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), last + PER_BUFFER + 1);

    let log = log.take();
    let (_, mut buffers) = log::read_with_holes(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let found: Vec<u64> = buffers.iter().flat_map(numbers).collect();
    assert_eq!(found.len() as u64, stats.events_accepted);
    let mine: Vec<u64> = found.iter().copied().filter(|n| *n < 1000).collect();
    assert!(mine.starts_with(&[0, 1, 2, 3, 4]), "{mine:?}");
    let missing = last - mine.len() as u64;
    assert_eq!(stats.lost.total(), missing);
    assert!(missing >= PER_BUFFER - 5);
    assert_eq!(mine[5..], (5 + missing..last).collect::<Vec<_>>());
    assert_eq!(found.len() - mine.len(), PER_BUFFER as usize + 1);
    let gap = buffers.iter().find(|buffer| numbers(buffer).contains(&(5 + missing))).unwrap();
    assert_eq!(u64::from(gap.events_lost), missing);
    let told: u64 = log::losses(&buffers).iter().map(|loss| u64::from(loss.count)).sum();
    assert_eq!(told, missing);
}

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7702);

/// Event `n` of a thread, of one of two kinds and of changing length.
fn write_of(session: &SessionHandle, thread: u64, n: u64) -> bool {
    let mut payload = [thread.to_le_bytes(), n.to_le_bytes()].concat();
    payload.resize(16 + (n * 7 % 150) as usize, n as u8);
    match n % 2 {
        0 => session.write_classic(&ClassicEvent::new(CLASS, 10, 4), &payload).is_ok(),
        _ => session.write_event(&Event::new(CLASS, EventDescriptor::new(1, 4)), &payload).is_ok(),
    }
}

/// Writes from several threads as fast as they can; gives the last event of each that was taken.
/// It is in a hand, so that nobody takes it back. One that never finds a buffer has none.
fn stress(session: &Session, threads: u64, events: u64) -> Vec<Option<u64>> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let newest = |last, n| write_of(session, thread, n).then_some(n).or(last);
                    (0..events).fold(None, newest)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

/// Numbers of each thread, by ascending stamp.
fn by_thread(buffers: &[log::Buffer<'_>]) -> BTreeMap<u64, Vec<u64>> {
    let mut found: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in log::events(buffers) {
        let word = |at: usize| u64::from_le_bytes(event.payload()[at..at + 8].try_into().unwrap());
        let n = word(8);
        assert_eq!(event.payload().len() as u64, 16 + n * 7 % 150);
        assert!(event.payload()[16..].iter().all(|byte| *byte == n as u8), "torn");
        found.entry(word(0)).or_default().push((event.ticks().unwrap(), n));
    }
    let in_order = |mut of: Vec<(u64, u64)>| {
        of.sort_unstable();
        of.into_iter().map(|(_, n)| n).collect()
    };
    found.into_iter().map(|(thread, of)| (thread, in_order(of))).collect()
}

/// A sink that is slow now and then.
#[derive(Debug)]
struct Uneven(MemorySink);

impl Sink for Uneven {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        if position % 3 == 1 {
            std::thread::sleep(Duration::from_micros(300));
        }
        self.0.write(position, buffer)
    }

    fn finish(&mut self, buffers: u64, size: u32) -> io::Result<()> {
        self.0.finish(buffers, size)
    }
}

#[test]
fn it_balances_whatever_threads_and_flushes_do() {
    const EVENTS: u64 = 20_000;
    for (threads, buffers, interval) in [(1, 2, 0), (4, 6, 0), (4, 6, 1), (3, 40, 1), (8, 4, 1)] {
        let (sink, log) = MemorySink::new();
        let session = builder().sink(Uneven(sink)).maximum_buffers(buffers);
        let session = session.flush_interval(Duration::from_millis(interval)).start().unwrap();
        stress(&session, threads, EVENTS);
        let stats = session.stop().unwrap();
        assert_eq!(stats.attempted(), threads * EVENTS);
        assert_eq!(stats.lost.total(), stats.lost.no_free_buffer);

        let log = log.take();
        let (header, mut in_log) = log::read_with_holes(&log);
        in_log.sort_by_key(|buffer| buffer.header.sequence_number.get());
        let found = by_thread(&in_log);
        let count: usize = found.values().map(Vec::len).sum();
        assert_eq!(count as u64, stats.events_accepted, "{threads} threads, {buffers} buffers");
        assert!(found.values().all(|of| of.is_sorted_by(|a, b| a < b)));
        assert_eq!(u64::from(header.events_lost()), stats.lost.total());
        let told: u64 = log::losses(&in_log).iter().map(|loss| u64::from(loss.count)).sum();
        assert_eq!(told, stats.lost.total());
        let counted: u64 = in_log.iter().map(|buffer| u64::from(buffer.events_lost)).sum();
        assert!(counted <= told, "{counted} counted in headers, {told} told");
        if threads == 1 {
            // What is missing in front of a buffer, by its events, is what its header counts.
            assert_eq!(counted, told);
            let mut next = 0;
            for buffer in &in_log {
                let events = log::events(std::slice::from_ref(buffer));
                let mut events = events
                    .map(|event| u64::from_le_bytes(event.payload()[8..16].try_into().unwrap()));
                let Some(first) = events.next() else { continue };
                assert_eq!(u64::from(buffer.events_lost), first - next);
                next = events.last().unwrap_or(first) + 1;
            }
        }
    }
}

#[test]
fn every_kind_of_log_may_be_written_so() {
    const EVENTS: u64 = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    type Set = fn(SessionBuilder) -> SessionBuilder;
    let kinds: [(&str, Set); 7] = [
        ("sequential.etl", |b| b),
        ("no-ring.etl", |b| b.ring_file(false)),
        ("append.etl", |b| b.file_mode(FileMode::Append)),
        ("bounded.etl", |b| b.maximum_file_size_kb(256)),
        ("delayed.etl", |b| b.delay_open(true).sync(SyncMode::Flush)),
        ("one-lane.etl", SessionBuilder::one_lane),
        ("%d.series.etl", |b| b.file_mode(FileMode::NewFile).maximum_file_size_kb(128)),
    ];
    for (name, set) in kinds {
        let session = set(builder().log_file(path(name)).maximum_buffers(3));
        let session = session.flush_interval(Duration::from_millis(1)).start().unwrap();
        let newest = stress(&session, 2, EVENTS);
        let stats = session.stop().unwrap();
        assert_eq!(stats.attempted(), 2 * EVENTS, "{name}");
        assert_eq!(stats.buffers_lost, 0, "{name}");

        let mut files = vec![path(name)];
        if name.starts_with('%') {
            files = crate::replay::files(directory.path());
            files.retain(|file| file.to_string_lossy().ends_with(".series.etl"));
        }
        let traces: Vec<_> = files.iter().map(|file| Trace::open(file).unwrap()).collect();
        for trace in &traces {
            assert!(trace.damage().is_empty(), "{name}: {:?}", trace.damage());
        }
        let lost: u64 = traces.iter().map(|t| u64::from(t.logfile().events_lost())).sum();
        let (mut events, mut next) = (0, [0; 2]);
        // By time through all files of a series: a buffer that the flusher had in hand for a moment
        // may come into a later file than the one that its writer filled meanwhile.
        let mut records = MergeMany::new(&traces);
        while let Some((_, record)) = records.next() {
            let record = record.unwrap();
            let view = record.view().unwrap();
            if view.provider() != Some(CLASS) {
                continue;
            }
            let word =
                |at: usize| u64::from_le_bytes(view.payload()[at..at + 8].try_into().unwrap());
            let (next, n) = (&mut next[word(0) as usize], word(8));
            assert!(n >= *next, "{name}: {n} again");
            *next = n + 1;
            events += 1;
        }
        assert_eq!((events, lost), (stats.events_accepted, stats.lost.total()), "{name}");
        // In one lane the other thread may have gone on in the buffer, and given it up.
        if stats.lost.file_full == 0 && !name.starts_with("one-lane") {
            assert!(
                next.iter().zip(newest).all(|(next, n)| *next == n.map_or(0, |n| n + 1)),
                "{name}: {next:?}"
            );
        }
        assert!(!path(&format!("{name}.ring")).exists());
    }
}

#[test]
fn rings_that_overwrite_anyway_take_the_setting() {
    let session = builder().memory_ring().maximum_buffers(4).start().unwrap();
    write_range(&session, 0..20 * PER_BUFFER);
    assert_eq!(session.stop().unwrap().lost.total(), 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let circular = builder().log_file(&path).file_mode(FileMode::Circular);
    let session = circular.maximum_file_size_kb(20).start().unwrap();
    write_range(&session, 0..20 * PER_BUFFER);
    assert_eq!(session.stop().unwrap().lost.total(), 0);
    let log = Replay::whole(&path);
    assert_eq!(log.events, (16 * PER_BUFFER..20 * PER_BUFFER).collect::<Vec<_>>());
    assert!(log.mode.has(LogFileMode::CIRCULAR));
}

#[test]
fn a_consumer_gets_what_is_left_and_is_told_of_the_rest() {
    let session = builder().real_time().maximum_buffers(3).start().unwrap();
    let mut consumer = session.consumer_with_capacity(usize::MAX).unwrap();
    let newest = stress(&session, 2, 20_000);
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), 40_000);
    let (mut events, mut told, mut next) = (0u64, 0u64, [0; 2]);
    for delivery in consumer.by_ref() {
        let Delivery::Buffer(buffer) = delivery else { panic!("{delivery:?}") };
        for record in buffer.view().records() {
            let view = etlring::codec::RecordView::parse(record.unwrap()).unwrap();
            if let Some(loss) = etlring::codec::LossRecord::of(&view) {
                told += u64::from(loss.count);
            } else {
                let word =
                    |at: usize| u64::from_le_bytes(view.payload()[at..at + 8].try_into().unwrap());
                let (next, n) = (&mut next[word(0) as usize], word(8));
                assert!(n >= *next, "{n} again");
                *next = n + 1;
                events += 1;
            }
        }
    }
    assert_eq!((events, told), (stats.events_accepted, stats.lost.total()));
    assert!(next.iter().zip(newest).all(|(next, n)| *next == n.map_or(0, |n| n + 1)), "{next:?}");
}

/// A writer that holds a reservation when the session stops is closed out. Older buffers of its
/// lane that wait at that moment are not missing in front of what it published.
#[test]
fn what_waits_is_not_missing_in_front_of_a_buffer_that_is_closed_out() {
    let (sink, gate, log) = gated();
    gate.set_closed(true);
    let session = builder().sink(sink).maximum_buffers(4).start().unwrap();
    write_range(&session, 0..PER_BUFFER + 1);
    gate.wait_for_one(0);
    // The second one waits, the third one is in hand.
    write_range(&session, PER_BUFFER + 1..2 * PER_BUFFER + 3);
    let event = ClassicEvent::new(CLASS, 10, 4);
    std::mem::forget(session.reserve_classic(&event, 8).unwrap());
    let opener = {
        let gate = Arc::clone(&gate);
        std::thread::spawn(move || {
            // Sooner than the stop is asked for it would only show nothing.
            std::thread::sleep(Duration::from_millis(100));
            gate.set_closed(false);
        })
    };
    let stats = session.stop().unwrap();
    opener.join().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (2 * PER_BUFFER + 3, 0));
    let log = log.take();
    let (_, mut buffers) = log::read_with_holes(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let found: Vec<u64> = buffers.iter().flat_map(numbers).collect();
    assert_eq!(found, (0..2 * PER_BUFFER + 3).collect::<Vec<_>>());
    let counts: Vec<u32> = buffers.iter().map(|buffer| buffer.events_lost).collect();
    assert!(counts.iter().all(|count| *count == 0), "{counts:?}");
}

/// What the header of a buffer that was closed out counts is not counted by the last one again.
#[test]
fn what_a_closed_out_buffer_counts_is_counted_once() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder(&crate::name("closed-out")).sink(sink).buffer_size(BUFFER);
    let session = session.flush_interval(Duration::ZERO).start().unwrap();
    let too_large = || session.write_classic(&ClassicEvent::new(CLASS, 10, 4), &[0; 5000]);
    write_range(&session, 0..5);
    too_large().unwrap_err();
    // Its second buffer counts it.
    write_range(&session, 5..PER_BUFFER + 1);
    // Nobody counts that one before the end.
    too_large().unwrap_err();
    std::mem::forget(session.reserve_classic(&ClassicEvent::new(CLASS, 10, 4), 8).unwrap());
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (PER_BUFFER + 1, 2));
    let log = log.take();
    let (_, mut buffers) = log::read_with_holes(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let counts: Vec<u32> = buffers.iter().map(|buffer| buffer.events_lost).collect();
    assert_eq!(counts, [0, 1, 1]);
    let told: Vec<u32> = log::losses(&buffers).iter().map(|loss| loss.count).collect();
    assert_eq!(told, [1, 1]);
}

/// Five events are in the log when their buffer, the first of three, gives way and is filled anew.
fn a_buffer_of_which_a_part_was_in_the_log(
    session: SessionBuilder,
    fake: &Fake,
    last: u64,
    meanwhile: impl FnOnce(),
) -> Session {
    let gate = Arc::new(Gate::default());
    let session = session.storage(fake.clone()).maximum_buffers(5).start().unwrap();
    write_range(&session, 0..5);
    session.flush().unwrap();
    gate.set_closed(true);
    fake.world().gate = Some(Arc::clone(&gate));
    // Another lane keeps the flusher busy.
    let handle = session.handle();
    std::thread::spawn(move || write_range(&handle, 1000..1000 + PER_BUFFER + 1)).join().unwrap();
    gate.wait_for_one(0);
    // Three buffers are this thread's.
    write_range(&session, 5..last);
    meanwhile();
    gate.set_closed(false);
    session
}

/// A series writes those first that have a place in the file. One that was begun anew has none.
#[test]
fn a_series_keeps_the_order_of_what_was_begun_anew() {
    let fake = Fake::default();
    let series = builder().log_file("log-%d.etl").file_mode(FileMode::NewFile);
    let series = series.maximum_file_size_kb(64);
    // It is given up again, and the second one gives way for the last; the third waits all along.
    let last = 4 * PER_BUFFER + 10;
    let session = a_buffer_of_which_a_part_was_in_the_log(series, &fake, last, || ());
    let stats = session.stop().unwrap();
    let [(_, log)] = &fake.files()[..] else { panic!("one file") };
    let (_, buffers) = log::read_with_holes(log);
    let mine: Vec<_> =
        buffers.iter().filter(|buffer| numbers(buffer).iter().any(|n| *n < 1000)).collect();
    let found: Vec<u64> = mine.iter().flat_map(|buffer| numbers(buffer)).collect();
    assert_eq!(found, (0..5).chain(2 * PER_BUFFER..last).collect::<Vec<_>>());
    let counts: Vec<u64> = mine.iter().map(|buffer| buffer.events_lost.into()).collect();
    assert_eq!(counts, [0, 2 * PER_BUFFER - 5, 0, 0]);
    assert_eq!(stats.lost.total(), 2 * PER_BUFFER - 5);
}

/// The events that only a removed file has are lost with it, whatever became of their buffer.
#[test]
fn a_removed_file_takes_what_gave_way_otherwise() {
    let fake = Fake::default();
    // Begun anew it is in hand.
    let last = 3 * PER_BUFFER + 10;
    let log = builder().log_file("log.etl");
    let session = a_buffer_of_which_a_part_was_in_the_log(log, &fake, last, || {
        fake.clone().remove("log.etl".as_ref()).unwrap();
    });
    session.flush().unwrap_err();
    let Err(etlring::session::SessionError::Sink { stats, .. }) = session.stop() else {
        panic!("no error")
    };
    assert_eq!(stats.attempted(), last + PER_BUFFER + 1);
    let [(_, log)] = &fake.files()[..] else { panic!("one file") };
    let (_, buffers) = log::read_with_holes(log);
    let found: Vec<u64> = buffers.iter().flat_map(numbers).collect();
    assert_eq!(found.len() as u64, stats.events_accepted, "{found:?}");
}

/// A loss of one cause is told wherever its one record fits beside the event.
#[test]
fn large_events_are_told_of_in_place() {
    let (sink, gate, log) = gated();
    gate.set_closed(true);
    let session = builder().sink(sink).maximum_buffers(4).start().unwrap();
    // Each has a buffer of its own, with room for one loss record.
    let large = || session.write_classic(&ClassicEvent::new(CLASS, 10, 4), &[1; 3880]).unwrap();
    (0..2).for_each(|_| large());
    gate.wait_for_one(0);
    (2..10).for_each(|_| large());
    gate.set_closed(false);
    let stats = session.stop().unwrap();
    assert_eq!((stats.attempted(), stats.events_accepted), (10, 4));
    let log = log.take();
    let (_, buffers) = log::read_with_holes(&log);
    let told: u64 = log::losses(&buffers).iter().map(|loss| u64::from(loss.count)).sum();
    assert_eq!((buffers.len(), told), (4, 6));
}
