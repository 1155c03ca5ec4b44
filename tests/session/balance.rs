//! Accepted and lost make up what was attempted, whatever the threads do.

use crate::log;
use etlring::format::{EventDescriptor, Guid};
use etlring::session::{ClassicEvent, Discarded, Event, Session};
use etlring::sink::{MemoryLog, MemorySink, Sink};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);
const PROVIDER: Guid = Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa);

/// Payload of event `n` of thread `thread`: both, and bytes that depend on them.
fn payload(thread: u32, n: u32) -> Vec<u8> {
    let len = 8 + (n.wrapping_mul(2_654_435_761) >> 22) as usize % 200;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(thread.to_le_bytes());
    bytes.extend(n.to_le_bytes());
    bytes.extend((8..len).map(|at| (at as u32 ^ n ^ thread) as u8));
    bytes
}

/// Writes from several threads; gives back which events were accepted, by thread.
fn stress(session: &Session, threads: u32, events: u32) -> Vec<Vec<u32>> {
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let classic = ClassicEvent::new(CLASS, 10, 4);
                    let event = Event::new(PROVIDER, EventDescriptor::new(3, 4));
                    let write = |n: &u32| match n % 2 {
                        0 => session.write_classic(&classic, &payload(thread, *n)),
                        _ => session.write_event(&event, &payload(thread, *n)),
                    };
                    (0..events).filter(|n| write(n).is_ok()).collect()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    })
}

/// The log has exactly the accepted events, each whole and each thread's in order.
fn check(log: &[u8], accepted: &[Vec<u32>]) -> u64 {
    let (header, mut buffers) = log::read(log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let mut found: HashMap<u32, Vec<(u64, u32)>> = HashMap::new();
    for record in log::events(&buffers) {
        let bytes = record.payload();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(bytes, payload(word(0), word(4)));
        found.entry(word(0)).or_default().push((record.ticks().unwrap(), word(4)));
    }
    for (thread, accepted) in (0..).zip(accepted) {
        let mut found = found.remove(&thread).unwrap_or_default();
        // A thread may change lanes; its stamps still follow its order.
        found.sort_unstable();
        let found: Vec<u32> = found.into_iter().map(|(_, n)| n).collect();
        assert_eq!(&found, accepted, "thread {thread}");
    }
    assert!(found.is_empty());
    u64::from(header.events_lost())
}

#[test]
fn with_room_nothing_is_lost() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("room").sink(sink).maximum_buffers(1024).start().unwrap();
    let accepted = stress(&session, 4, 20_000);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.attempted()), (80_000, 80_000));
    assert_eq!(check(&log.take(), &accepted), 0);
}

#[test]
fn with_two_small_buffers_it_balances_and_the_log_says_where() {
    let (sink, log) = MemorySink::new();
    let session =
        Session::builder("small").sink(sink).buffer_size(4096).maximum_buffers(2).start().unwrap();
    let accepted = stress(&session, 4, 50_000);
    let stats = session.stop().unwrap();
    let count: usize = accepted.iter().map(Vec::len).sum();
    assert_eq!(stats.events_accepted, count as u64);
    assert_eq!(stats.attempted(), 200_000);
    assert_eq!(stats.lost.total(), stats.lost.no_free_buffer);
    assert!(stats.lost.total() > 10_000, "lost {}", stats.lost.total());

    let log = log.take();
    assert_eq!(check(&log, &accepted), stats.lost.total());
    let (header, buffers) = log::read(&log);
    let losses = log::losses(&buffers);
    let told: u64 = losses.iter().map(|loss| u64::from(loss.count)).sum();
    assert_eq!(told, stats.lost.total());
    for loss in &losses {
        assert_eq!((loss.class_type, loss.cause), (32, 1));
        assert!(loss.first <= loss.last && loss.count > 0);
        assert!(loss.first >= header.record_header().system_time.get());
    }
    // A loss told in place lies before every event behind it in its buffer.
    for buffer in &buffers {
        let in_buffer: u32 =
            log::losses(std::slice::from_ref(buffer)).iter().map(|l| l.count).sum();
        assert!(buffer.events_lost == 0 || buffer.events_lost == in_buffer);
    }
}

#[test]
fn threads_come_and_go_and_lanes_are_used_again() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("short").sink(sink).start().unwrap();
    for thread in 0..1000u32 {
        let handle = session.handle();
        std::thread::spawn(move || {
            handle.write_classic(&ClassicEvent::new(CLASS, 10, 4), &payload(thread, 0)).unwrap();
        })
        .join()
        .unwrap();
    }
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lanes), (1000, 1));
    // One lane, and its buffer handed on from thread to thread.
    assert!(stats.buffers_written <= 4, "{}", stats.buffers_written);
    assert_eq!(check(&log.take(), &vec![vec![0]; 1000]), 0);
}

#[test]
fn ten_thousand_threads_at_work_in_turns() {
    const AT_ONCE: u32 = 40;
    const ROUNDS: u32 = 250;
    let (sink, log) = MemorySink::new();
    let session = Session::builder("many").sink(sink).maximum_buffers(1024).start().unwrap();
    for round in 0..ROUNDS {
        std::thread::scope(|scope| {
            for thread in round * AT_ONCE..(round + 1) * AT_ONCE {
                let session = &session;
                scope.spawn(move || {
                    let event = ClassicEvent::new(CLASS, 10, 4);
                    session.write_classic(&event, &payload(thread, 0)).unwrap();
                    session.write_classic(&event, &payload(thread, 1)).unwrap();
                });
            }
        });
    }
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (20_000, 0));
    assert!(stats.lanes <= AT_ONCE, "{}", stats.lanes);
    assert_eq!(check(&log.take(), &vec![vec![0, 1]; 10_000]), 0);
}

#[test]
fn events_within_events_have_lanes_and_a_cause_of_their_own() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("within").sink(sink).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    let mut open = Vec::new();
    let refused = loop {
        match session.reserve_classic(&event, 8) {
            Ok(record) => open.push(record),
            Err(why) => break why,
        }
        assert!(open.len() < 1000, "no end");
    };
    assert_eq!(refused, Discarded::Reentered);
    assert!(open.len() > 1, "one event at least fits within another");
    let accepted = open.len() as u64;
    open.into_iter().for_each(|record| record.commit().unwrap());
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.reentered), (accepted, 1));
    assert_eq!(stats.lost.total(), 1);
    let log = log.take();
    let (header, buffers) = log::read(&log);
    assert_eq!(header.events_lost(), 1);
    let told = log::losses(&buffers);
    assert_eq!(told.iter().map(|loss| (loss.count, loss.cause)).collect::<Vec<_>>(), [(1, 4)]);
}

#[test]
fn events_of_dying_threads_are_kept() {
    struct Last(etlring::session::SessionHandle);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.write_classic(&ClassicEvent::new(CLASS, 10, 4), &payload(0, 1)).unwrap();
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });

    let (sink, log) = MemorySink::new();
    let session = Session::builder("dying").sink(sink).start().unwrap();
    let handle = session.handle();
    // Set before the first event, so that it is destroyed after the thread's lanes are.
    std::thread::spawn(move || {
        LAST.with(|last| *last.borrow_mut() = Some(Last(handle.clone())));
        handle.write_classic(&ClassicEvent::new(CLASS, 10, 4), &payload(0, 0)).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 2);
    check(&log.take(), &[vec![0, 1]]);
}

/// A sink that waits until it is let go.
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Sink for Gate {
    fn write(&mut self, position: u64, _: &[u8]) -> io::Result<()> {
        let mut open = self.0.0.lock().unwrap();
        while position > 0 && !*open {
            open = self.0.1.wait(open).unwrap();
        }
        Ok(())
    }

    fn finish(&mut self, _: u64, _: u32) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_sink_stops_no_writer() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let session = Session::builder("stall")
        .sink(Gate(Arc::clone(&gate)))
        .buffer_size(4096)
        .maximum_buffers(4)
        .start()
        .unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    let results: Vec<_> = (0..1000).map(|_| session.write_classic(&event, &[0; 100])).collect();
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    // 26 records of 152 bytes fit a buffer, and there are four.
    assert_eq!(accepted, 4 * 26);
    assert!(results[accepted..].iter().all(|result| *result == Err(Discarded::NoFreeBuffer)));
    let stats = session.query();
    assert_eq!((stats.events_accepted, stats.lost.no_free_buffer), (104, 896));
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(session.stop().unwrap().attempted(), 1000);
}

#[test]
fn idle_threads_do_not_starve_busy_ones() {
    let (sink, log) = MemorySink::new();
    let session =
        Session::builder("idle").sink(sink).buffer_size(4096).maximum_buffers(16).start().unwrap();
    let (mut idle, mut accepted) = (Vec::new(), Vec::new());
    let release = Arc::new(std::sync::Barrier::new(65));
    for thread in 0..64u32 {
        let (handle, release) = (session.handle(), Arc::clone(&release));
        idle.push(std::thread::spawn(move || {
            // Each gets its one event in sooner or later: others' buffers are taken back.
            let event = ClassicEvent::new(CLASS, 10, 4);
            let mut tries = 0;
            while handle.write_classic(&event, &payload(thread, 0)).is_err() {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
                assert!(tries < 20_000, "thread {thread} starves");
            }
            release.wait();
        }));
        accepted.push(vec![0]);
    }
    release.wait();
    idle.into_iter().for_each(|thread| thread.join().unwrap());
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, 64);
    check(&log.take(), &accepted);
}

/// Writes events of one buffer each until `lost` were discarded, and gives how many were not.
fn fill(session: &Session, payload: &[u8], lost: u64) -> u64 {
    let event = ClassicEvent::new(CLASS, 10, 4);
    let mut discarded = 0;
    let mut accepted = 0;
    while discarded < lost {
        match session.write_classic(&event, payload) {
            Ok(()) => accepted += 1,
            Err(_) => discarded += 1,
        }
    }
    accepted
}

/// A session of two buffers, and the gate that its log waits at.
fn gated(name: &str) -> (Session, MemoryLog, Arc<(Mutex<bool>, Condvar)>) {
    let (sink, log) = MemorySink::new();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let session = Session::builder(name)
        .sink(Before(Gate(Arc::clone(&gate)), sink))
        .buffer_size(4096)
        .maximum_buffers(2)
        .flush_interval(Duration::ZERO)
        .start()
        .unwrap();
    (session, log, gate)
}

#[test]
fn buffers_without_room_for_a_loss_record_still_say_that_events_are_missing() {
    let (session, log, gate) = gated("exact");
    // Fills a buffer to its last byte, so that no loss record has room beside it.
    let payload = vec![7; 4096 - 72 - 48];
    assert_eq!(fill(&session, &payload, 5), 2);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    // Another one, as soon as there is a buffer; each failure before is one more that is lost.
    let event = ClassicEvent::new(CLASS, 10, 4);
    let mut lost = 5;
    while session.write_classic(&event, &payload).is_err() {
        lost += 1;
    }
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (3, lost));

    let log = log.take();
    let (_, mut buffers) = log::read(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let counts: Vec<u64> = buffers.iter().map(|buffer| buffer.events_lost.into()).collect();
    // In front of the third, and told in a buffer of the session's own, which counts nothing anew.
    assert_eq!(counts, [0, 0, lost, 0]);
    let told = log::losses(&buffers);
    assert_eq!(told.iter().map(|loss| u64::from(loss.count)).sum::<u64>(), lost);
}

#[test]
fn losses_behind_the_last_buffer_are_flagged_where_they_are_told() {
    let (session, log, gate) = gated("behind");
    assert_eq!(fill(&session, &[7; 4096 - 72 - 48], 9), 2);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(session.stop().unwrap().lost.total(), 9);
    let log = log.take();
    let (_, mut buffers) = log::read(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let counts: Vec<u32> = buffers.iter().map(|buffer| buffer.events_lost).collect();
    // `read` has compared the flag with the count.
    assert_eq!(counts, [0, 0, 9]);
    let told = log::losses(&buffers[2..]);
    assert_eq!(told.iter().map(|loss| (loss.count, loss.cause)).collect::<Vec<_>>(), [(9, 1)]);
}

/// A sink behind another one, which may make it wait.
struct Before(Gate, MemorySink);

impl Sink for Before {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        self.0.write(position, buffer)?;
        self.1.write(position, buffer)
    }

    fn finish(&mut self, buffers: u64, size: u32) -> io::Result<()> {
        self.1.finish(buffers, size)
    }
}
