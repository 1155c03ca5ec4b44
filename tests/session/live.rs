//! Real-time consumers: what they get, what they miss, and that nobody waits for them.

use crate::log;
use etlring::codec::{LogfileView, RecordView, checksum};
use etlring::format::{BufferFlags, Guid, LOST_EVENT_GUID, LogFileMode};
use etlring::session::{ClassicEvent, Consumer, Delivery, LiveBuffer, Missed, NoDelivery, Session};
use etlring::sink::{MemoryLog, MemorySink, Sink};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);
/// Long enough for anything that happens at all.
const SOON: Duration = Duration::from_secs(20);

/// A session that flushes only when asked.
fn quiet(name: &str) -> (Session, MemoryLog) {
    let (sink, log) = MemorySink::new();
    let builder = Session::builder(name).sink(sink).buffer_size(4096);
    (builder.flush_interval(Duration::from_secs(3600)).start().unwrap(), log)
}

/// Payload of event `n` of thread `thread`.
fn payload(thread: u32, n: u32) -> Vec<u8> {
    let mut bytes = [thread.to_le_bytes(), n.to_le_bytes()].concat();
    bytes.resize(8 + n as usize % 60, n as u8);
    bytes
}

/// The records of a piece, every byte of its structure checked; loss records left out.
fn events(buffer: &LiveBuffer) -> Vec<RecordView<'_>> {
    let view = buffer.view();
    assert_eq!(view.bytes().len(), buffer.bytes().len());
    assert_eq!(view.header().filled_bytes.get() as usize, buffer.bytes().len());
    assert_eq!(view.header().state.get(), 3);
    assert!(matches!(view.verify_checksum(), Ok(checksum::State::Valid { .. })));
    let records = buffer.records().map(|raw| RecordView::parse(raw.unwrap()).unwrap());
    records.filter(|record| record.provider() != Some(LOST_EVENT_GUID)).collect()
}

fn next_buffer(consumer: &mut Consumer) -> LiveBuffer {
    match consumer.next_within(SOON) {
        Ok(Delivery::Buffer(buffer)) => buffer,
        other => panic!("{other:?}"),
    }
}

/// What one consumer was given.
#[derive(Default)]
struct Given {
    /// By thread: the numbers of its events, as they came.
    events: HashMap<u32, Vec<u32>>,
    count: u64,
    missed: Vec<Missed>,
}

impl Given {
    fn add(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Buffer(buffer) => {
                for record in events(buffer) {
                    let bytes = record.payload();
                    let word =
                        |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
                    assert_eq!(bytes, payload(word(0), word(4)));
                    self.events.entry(word(0)).or_default().push(word(4));
                    self.count += 1;
                }
            }
            Delivery::Missed(missed) => self.missed.push(*missed),
            other => panic!("{other:?}"),
        }
    }

    /// Reads until the session ends.
    fn all(consumer: Consumer) -> Self {
        let mut given = Self::default();
        consumer.for_each(|delivery| given.add(&delivery));
        given
    }

    fn missed(&self) -> u64 {
        self.missed.iter().map(|missed| missed.events).sum()
    }
}

#[test]
fn pieces_hold_what_is_new_and_nothing_twice() {
    let (session, log) = quiet("pieces");
    let mut consumer = session.consumer().unwrap();
    assert_eq!(consumer.next_within(Duration::ZERO).unwrap_err(), NoDelivery::Yet);
    let write = |n| session.write_classic(&EVENT, &payload(0, n)).unwrap();
    let numbers = |buffer: &LiveBuffer| -> Vec<u8> {
        events(buffer).iter().map(|record| record.payload()[4]).collect()
    };
    write(0);
    session.flush().unwrap();
    let first = next_buffer(&mut consumer);
    write(1);
    write(2);
    session.flush().unwrap();
    // Nothing new, nothing delivered.
    session.flush().unwrap();
    let second = next_buffer(&mut consumer);
    assert_eq!(consumer.next_within(Duration::ZERO).unwrap_err(), NoDelivery::Yet);
    write(3);
    session.stop().unwrap();
    let third = next_buffer(&mut consumer);
    assert_eq!(consumer.next_within(SOON).unwrap_err(), NoDelivery::Ended);
    assert!(consumer.next().is_none());

    assert_eq!([&first, &second, &third].map(numbers), [vec![0], vec![1, 2], vec![3]]);
    for piece in [&first, &second, &third] {
        assert_eq!(piece.view().header().sequence_number.get(), 1);
        assert_eq!(piece.view().header().lane(), 0);
    }
    assert_eq!(log::events(&log::read(&log.take()).1).count(), 4);
}

#[test]
fn every_consumer_gets_every_event_in_order_while_threads_write() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("all")
        .sink(sink)
        .buffer_size(4096)
        .maximum_buffers(4096)
        .flush_interval(Duration::from_millis(1))
        .start()
        .unwrap();
    let consumers = [(); 3].map(|()| session.consumer_with_capacity(1 << 30).unwrap());
    let (given, accepted) = std::thread::scope(|scope| {
        let readers = consumers.map(|consumer| scope.spawn(move || Given::all(consumer)));
        let writers: Vec<_> = (0..4u32)
            .map(|thread| {
                let handle = session.handle();
                scope.spawn(move || {
                    let write = |n: &u32| handle.write_classic(&EVENT, &payload(thread, *n));
                    (0..20_000).filter(|n| write(n).is_ok()).collect::<Vec<u32>>()
                })
            })
            .collect();
        // Flushes at every moment, beside those by time.
        while !writers.iter().all(|writer| writer.is_finished()) {
            session.flush().unwrap();
        }
        let accepted: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let stats = session.stop().unwrap();
        let count: usize = accepted.iter().map(Vec::len).sum();
        assert_eq!(stats.events_accepted, count as u64);
        (readers.map(|reader| reader.join().unwrap()), accepted)
    });
    for given in given {
        assert_eq!(given.missed, []);
        for (thread, accepted) in (0..).zip(&accepted) {
            assert!(given.events[&thread] == *accepted, "thread {thread}");
        }
    }
    log::read(&log.take());
}

#[test]
fn one_copy_is_shared() {
    let (session, _log) = quiet("shared");
    let (mut one, mut two) = (session.consumer().unwrap(), session.consumer().unwrap());
    session.write_classic(&EVENT, &payload(0, 0)).unwrap();
    session.flush().unwrap();
    let (one, two) = (next_buffer(&mut one), next_buffer(&mut two));
    assert_eq!(one.bytes().as_ptr(), two.bytes().as_ptr());
}

#[test]
fn a_slow_consumer_is_told_exactly_what_it_missed() {
    let (session, log) = quiet("slow");
    // Room for one piece, whatever its size.
    let mut slow = session.consumer_with_capacity(1).unwrap();
    let fast = session.consumer_with_capacity(1 << 30).unwrap();
    let mut given = Given::default();
    let write = |range: std::ops::Range<u32>| {
        for n in range {
            session.write_classic(&EVENT, &payload(7, n)).unwrap();
            session.flush().unwrap();
        }
    };
    write(0..5); // 0 is queued, 1 to 4 are missed
    given.add(&slow.next().unwrap());
    given.add(&slow.next().unwrap());
    write(5..8); // 5 is queued, 6 and 7 are missed
    given.add(&slow.next().unwrap());
    write(8..10); // 8 comes behind what was missed, and is the one that is queued; 9 is missed
    session.stop().unwrap();
    assert_eq!(slow.missed_so_far().events, 7);
    slow.by_ref().for_each(|delivery| given.add(&delivery));

    assert_eq!(given.events[&7], [0, 5, 8]);
    let log = log.take();
    let (_, buffers) = log::read(&log);
    let ticks: Vec<_> = log::events(&buffers).map(|record| record.ticks().unwrap()).collect();
    assert_eq!(ticks.len(), 10);
    let missed = |first: usize, last: usize| {
        let events = (last - first + 1) as u64;
        Missed { events, buffers: events, first_ticks: ticks[first], last_ticks: ticks[last] }
    };
    assert_eq!(given.missed, [missed(1, 4), missed(6, 7), missed(9, 9)]);
    assert_eq!(slow.missed_so_far(), Missed { events: 7, buffers: 7, ..missed(1, 9) });
    // The other one has nothing to do with it.
    let fast = Given::all(fast);
    assert_eq!((fast.count, fast.missed.len()), (10, 0));
}

#[test]
fn a_consumer_that_never_reads_holds_up_nobody() {
    let (session, log) = quiet("idle reader");
    let idle = session.consumer_with_capacity(10_000).unwrap();
    let fast = session.consumer_with_capacity(1 << 30).unwrap();
    let accepted = (0..30_000u32)
        .filter(|n| session.write_classic(&EVENT, &payload(0, *n)).is_ok())
        .count() as u64;
    let controller = session.controller();
    let stats = session.stop().unwrap();
    let properties = controller.properties();
    assert_eq!(properties.real_time_buffers_lost, idle.missed_so_far().buffers);
    assert_eq!(stats.events_accepted, accepted);
    let idle = Given::all(idle);
    assert!(idle.count > 0 && idle.missed.len() == 1);
    assert_eq!(idle.count + idle.missed(), accepted);
    assert_eq!(Given::all(fast).count, accepted);
    assert_eq!(log::events(&log::read(&log.take()).1).count() as u64, accepted);
}

#[test]
fn the_sessions_own_losses_are_told_apart_from_those_of_a_consumer() {
    let (sink, _log) = MemorySink::new();
    let session =
        Session::builder("two losses").sink(sink).buffer_size(4096).maximum_buffers(2).start();
    let session = session.unwrap();
    let (slow, fast) = (
        session.consumer_with_capacity(1).unwrap(),
        session.consumer_with_capacity(1 << 30).unwrap(),
    );
    for n in 0..50_000 {
        let _ = session.write_classic(&EVENT, &payload(0, n));
    }
    let stats = session.stop().unwrap();
    assert!(stats.lost.no_free_buffer > 0);
    let (mut told, mut flagged) = (0, 0);
    let (mut count, mut given) = (0, Given::default());
    for delivery in fast {
        let Delivery::Buffer(buffer) = &delivery else { panic!("{delivery:?}") };
        let has_flag = buffer.view().header().flags().has(BufferFlags::EVENTS_LOST);
        let Ok(checksum::State::Valid { events_lost }) = buffer.view().verify_checksum() else {
            panic!("no checksum")
        };
        assert_eq!(has_flag, events_lost != 0);
        flagged += u64::from(events_lost);
        for raw in buffer.records() {
            let record = RecordView::parse(raw.unwrap()).unwrap();
            if record.provider() == Some(LOST_EVENT_GUID) {
                told += u64::from(u32::from_le_bytes(record.payload()[16..20].try_into().unwrap()));
            } else {
                count += 1;
            }
        }
        given.add(&delivery);
    }
    assert_eq!((count, told), (stats.events_accepted, stats.lost.total()));
    // What was lost at the end has no buffer behind it.
    assert!(flagged <= told);
    let slow = Given::all(slow);
    assert_eq!(slow.count + slow.missed(), stats.events_accepted);
}

#[test]
fn a_session_may_have_no_log_at_all() {
    let session = Session::builder("no log").real_time().start().unwrap();
    assert_eq!(session.properties().mode, LogFileMode::REAL_TIME);
    assert_eq!(session.properties().log_file, None);
    let consumer = session.consumer().unwrap();
    for n in 0..100 {
        session.write_classic(&EVENT, &payload(0, n)).unwrap();
    }
    let header = consumer.header().clone();
    let clock = consumer.clock().unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 100);
    let first = header.records().next().unwrap().unwrap();
    let logfile = LogfileView::parse(first).unwrap();
    assert_eq!(logfile.mode(), LogFileMode::REAL_TIME);
    assert_eq!(logfile.session_name().chars().collect::<String>(), "no log");
    for delivery in consumer {
        let Delivery::Buffer(buffer) = delivery else { panic!("{delivery:?}") };
        for record in events(&buffer) {
            let time = clock.file_time(record.ticks().unwrap());
            assert!(time.0.abs_diff(logfile.start_time().0) < 600_000_000);
        }
    }
}

#[test]
fn a_log_that_is_also_read_live_says_so() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("both").sink(sink).real_time().start().unwrap();
    let consumer = session.consumer().unwrap();
    session.write_classic(&EVENT, &payload(0, 1)).unwrap();
    session.stop().unwrap();
    assert_eq!(Given::all(consumer).count, 1);
    let log = log.take();
    let (header, buffers) = log::read(&log);
    assert_eq!(header.mode(), LogFileMode::SEQUENTIAL.with(LogFileMode::REAL_TIME));
    assert_eq!(log::events(&buffers).count(), 1);
}

#[test]
fn events_come_within_the_flush_interval_unasked() {
    for (name, interval) in [("5 ms", 5), ("zero: a second for consumers", 0)] {
        let (sink, _log) = MemorySink::new();
        let session = Session::builder(name)
            .sink(sink)
            .flush_interval(Duration::from_millis(interval))
            .start()
            .unwrap();
        let mut consumer = session.consumer().unwrap();
        session.write_classic(&EVENT, &payload(0, 3)).unwrap();
        let start = Instant::now();
        assert_eq!(events(&next_buffer(&mut consumer)).len(), 1);
        assert!(start.elapsed() < Duration::from_secs(10), "{name}: {:?}", start.elapsed());
    }
}

/// Lets writers go to their end, whatever becomes of the test.
struct AllowAll<'a>(&'a AtomicU32);

impl Drop for AllowAll<'_> {
    fn drop(&mut self) {
        self.0.store(u32::MAX, Ordering::Relaxed);
    }
}

#[test]
fn consumers_come_and_go_while_threads_write() {
    let (sink, _log) = MemorySink::new();
    let session = Session::builder("come and go")
        .sink(sink)
        .maximum_buffers(2048)
        .flush_interval(Duration::from_millis(1))
        .start()
        .unwrap();
    let witness = session.consumer_with_capacity(1 << 30).unwrap();
    // Numbers that each thread may come to. What is looked at here is not loss, so however long a
    // round takes it has no more events than fit the buffers and the witness.
    let allowed = AtomicU32::new(0);
    const ROUNDS: u32 = 100;
    const EACH: u32 = 5_000;
    let accepted: u64 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2u32)
            .map(|thread| {
                let (session, allowed) = (&session, &allowed);
                scope.spawn(move || {
                    let write = |n: u32| session.write_classic(&EVENT, &payload(thread, n)).is_ok();
                    let mut accepted = 0;
                    for n in 0..ROUNDS * EACH {
                        while n >= allowed.load(Ordering::Relaxed) {
                            std::thread::sleep(Duration::from_micros(200));
                        }
                        accepted += u64::from(write(n));
                        if n % 64 == 0 {
                            std::thread::sleep(Duration::from_micros(20));
                        }
                    }
                    accepted
                })
            })
            .collect();
        let _all = AllowAll(&allowed);
        for _ in 0..ROUNDS {
            let mut consumer = session.consumer().unwrap();
            allowed.fetch_add(EACH, Ordering::Relaxed);
            assert!(session.properties().consumers >= 2);
            let mut given = Given::default();
            given.add(&Delivery::Buffer(next_buffer(&mut consumer)));
            // Each thread's events without a gap, from wherever it began.
            for numbers in given.events.values() {
                assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            }
        }
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(session.properties().consumers, 1);
    assert_eq!(session.stop().unwrap().events_accepted, accepted);
    assert_eq!(Given::all(witness).count, accepted);
}

#[test]
fn waiting_consumers_end_with_the_session() {
    let (session, _log) = quiet("ends");
    let controller = session.controller();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let consumer = session.consumer().unwrap();
                scope.spawn(move || Given::all(consumer).count)
            })
            .collect();
        std::thread::sleep(Duration::from_millis(20));
        session.write_classic(&EVENT, &payload(0, 0)).unwrap();
        session.stop().unwrap();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() == 1));
    });
    // One that comes too late has nothing to wait for.
    let mut late = controller.consumer().unwrap();
    assert_eq!(late.next_within(SOON).unwrap_err(), NoDelivery::Ended);
    assert_eq!(late.header().records().count(), 1);
}

#[test]
fn consumers_do_not_wait_for_a_flusher_that_panicked() {
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
    let session = Session::builder("panicked").sink(Panicking).start().unwrap();
    let consumer = session.consumer().unwrap();
    session.write_classic(&EVENT, &payload(0, 0)).unwrap();
    assert!(session.flush().is_err());
    assert!(Given::all(consumer).count <= 1);
}
