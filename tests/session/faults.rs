//! The disk fails: the host lives, what is lost is counted exactly, what is not lost can be read.

use crate::fake::{Call, Fake, Fault, Wrong};
use crate::replay::{PER_BUFFER, Replay, write, write_all};
use etlring::session::{FileMode, Session, SessionBuilder, SessionError, SyncMode};
use std::io::ErrorKind;
use std::time::Duration;

const EVENTS: u64 = 10 * PER_BUFFER;
const FOREVER: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Sequential,
    Preallocated,
    NewFile,
    Append,
}

fn builder(mode: Mode, fake: &Fake) -> SessionBuilder {
    let builder = Session::builder(&crate::name("faults"))
        .storage(fake.clone())
        .buffer_size(4096)
        .flush_interval(Duration::ZERO)
        .sync(SyncMode::Flush);
    match mode {
        Mode::Sequential => builder.log_file("log.etl"),
        Mode::Preallocated => {
            builder.log_file("log.etl").maximum_file_size_kb(80).preallocate(true)
        }
        Mode::NewFile => builder
            .log_file("log-%d.etl")
            .file_mode(FileMode::NewFile)
            .maximum_file_size_kb(16)
            .preallocate(true),
        Mode::Append => builder.log_file("log.etl").file_mode(FileMode::Append),
    }
}

/// One session in which one thing goes wrong. Tells whether it came to that.
fn cell(mode: Mode, fault: Fault) -> bool {
    let context = format!("{mode:?} {fault:?}");
    let fake = Fake::default();
    let before = if mode == Mode::Append { 40 } else { 0 };
    if before != 0 {
        let session = builder(mode, &fake).start().unwrap();
        write_all(&session, EVENTS..EVENTS + before);
        session.stop().unwrap();
    }
    fake.set(Some(fault));
    let session = match builder(mode, &fake).start() {
        Ok(session) => session,
        Err(SessionError::Io { error, .. }) => {
            let harmless = matches!(fault.wrong, Wrong::Error(ErrorKind::Interrupted));
            assert!(fault.wrong != Wrong::Short, "{context}: {error}");
            assert!(!harmless || fault.times == FOREVER, "{context}: {error}");
            assert_eq!(fake.files().len(), usize::from(before != 0), "{context}");
            return true;
        }
        Err(other) => panic!("{context}: {other}"),
    };
    // Some buffers are written before they are full, and then again.
    let mut failures = 0;
    for (start, end) in [(0, 40), (40, 45), (45, 130), (130, 160), (160, EVENTS)] {
        for n in start..end {
            while session.query().buffers_free < 2 {
                std::thread::yield_now();
            }
            write(&session, n).unwrap();
        }
        failures += u64::from(end < EVENTS && session.flush().is_err());
    }
    let (stats, error) = match session.stop() {
        Ok(stats) => (stats, None),
        Err(SessionError::Sink { error, stats }) => (stats, Some(error)),
        Err(other) => panic!("{context}: {other}"),
    };
    let wrong = fake.world().wrong;

    // The account balances, and the files hold exactly what counts as accepted.
    assert_eq!(stats.attempted(), EVENTS, "{context}");
    assert_eq!(stats.lost.total(), stats.lost.io, "{context}");
    assert_eq!(stats.lost.io > 0, stats.buffers_lost > 0, "{context}");
    let logs: Vec<_> = fake.files().into_iter().map(|(_, bytes)| Replay::of(bytes)).collect();
    let mut events: Vec<_> = logs.iter().flat_map(|log| log.events.clone()).collect();
    events.sort_unstable();
    let found = events.len();
    events.dedup();
    assert_eq!(events.len(), found, "{context}: an event is there twice");
    assert_eq!(found as u64, stats.events_accepted + before, "{context}");
    for log in &logs {
        assert_eq!(log.torn, 0, "{context}");
    }
    if error.is_none() {
        assert_eq!((failures, stats.lost.io), (0, 0), "{context}");
        assert!(logs.iter().all(|log| log.finished), "{context}");
    }
    let harmless = matches!(fault.wrong, Wrong::Short | Wrong::Error(ErrorKind::Interrupted));
    if harmless && fault.times < FOREVER || wrong == 0 {
        assert!(error.is_none(), "{context}: {error:?}");
    }
    // Headers tell the losses, if it is not just they that could not be written.
    if logs.iter().all(|log| log.finished) {
        let told: u64 = logs.iter().map(|log| u64::from(log.events_lost)).sum();
        assert_eq!(told, stats.lost.io, "{context}");
        let told: u64 = logs.iter().map(|log| u64::from(log.buffers_lost)).sum();
        assert_eq!(told, stats.buffers_lost, "{context}");
    }
    wrong > 0
}

/// Every kind of call, wrong in every way, at the nth time: `step` apart.
fn matrix(step: impl Fn(u64) -> u64) {
    let errors = [
        ErrorKind::StorageFull,
        ErrorKind::QuotaExceeded,
        ErrorKind::Interrupted,
        ErrorKind::FileTooLarge,
        ErrorKind::Other,
    ];
    let mut ways: Vec<_> = errors.into_iter().map(Wrong::Error).collect();
    ways.extend([Wrong::Short, Wrong::Torn]);
    let calls = [Call::Create, Call::Write, Call::Allocate, Call::Sync, Call::SyncNames];
    let mut cells = 0;
    for mode in [Mode::Sequential, Mode::Preallocated, Mode::NewFile, Mode::Append] {
        for (call, wrong) in calls.iter().flat_map(|call| ways.iter().map(move |way| (*call, *way)))
        {
            let bytes_go = matches!(wrong, Wrong::Short | Wrong::Torn);
            if bytes_go && call != Call::Write {
                continue;
            }
            for times in [1, 2, FOREVER] {
                // Half of what was to be written, again and again, comes to an end as well.
                if wrong == Wrong::Torn && times != 1 {
                    continue;
                }
                let mut nth = 1;
                while cell(mode, Fault { call, nth, times, wrong }) {
                    cells += 1;
                    nth += step(nth);
                }
            }
        }
    }
    println!("{cells} cells");
    assert!(cells > 300, "only {cells} cells");
}

#[test]
fn every_call_may_fail_at_any_time() {
    matrix(|nth| 1 + nth / 3);
}

#[test]
#[ignore = "minutes"]
fn every_call_may_fail_at_every_time() {
    matrix(|_| 1);
}

#[test]
fn recording_resumes_when_it_can() {
    let fake = Fake::default();
    let session = builder(Mode::Sequential, &fake).start().unwrap();
    write_all(&session, 0..2 * PER_BUFFER);
    session.flush().unwrap();
    let full = Fault {
        call: Call::Write,
        nth: 1,
        times: FOREVER,
        wrong: Wrong::Error(ErrorKind::StorageFull),
    };
    fake.set(Some(full));
    write_all(&session, 100..100 + 3 * PER_BUFFER + 1);
    assert!(session.flush().is_err());
    fake.set(None);
    // The one event that is in no full buffer is not lost yet.
    write_all(&session, 200..205);
    session.flush().unwrap();
    let Err(SessionError::Sink { error, stats }) = session.stop() else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!((stats.lost.io, stats.buffers_lost), (3 * PER_BUFFER, 3));
    let [(_, log)] = <[_; 1]>::try_from(fake.files()).unwrap();
    let log = Replay::of(log);
    let expected: Vec<_> =
        (0..2 * PER_BUFFER).chain([100 + 3 * PER_BUFFER]).chain(200..205).collect();
    assert_eq!((log.events, log.told), (expected, vec![(33, 3, 6)]));
    assert_eq!((log.events_lost, log.buffers_lost), (3 * PER_BUFFER as u32, 3));
}

#[test]
fn of_a_buffer_that_was_written_in_part_nothing_is_left() {
    for mode in [Mode::Sequential, Mode::Preallocated] {
        let fake = Fake::default();
        let session = builder(mode, &fake).start().unwrap();
        write_all(&session, 0..5);
        fake.set(Some(Fault { call: Call::Write, nth: 1, times: 1, wrong: Wrong::Torn }));
        session.flush().unwrap_err();
        assert_eq!(fake.world().wrong, 1);
        // As a kill would find it.
        let log = Replay::of(fake.files().remove(0).1);
        assert_eq!((log.torn, log.finished, log.events), (0, false, vec![]), "{mode:?}");
        session.flush().unwrap();
        let log = Replay::of(fake.files().remove(0).1);
        assert_eq!((log.torn, log.events), (0, vec![0, 1, 2, 3, 4]), "{mode:?}");
        drop(session);
    }
}

#[test]
fn a_series_whose_next_file_cannot_be_made_goes_on_later() {
    let fake = Fake::default();
    let session = builder(Mode::NewFile, &fake).start().unwrap();
    write_all(&session, 0..3 * PER_BUFFER);
    let fault = Fault {
        call: Call::Allocate,
        nth: 1,
        times: FOREVER,
        wrong: Wrong::Error(ErrorKind::StorageFull),
    };
    fake.set(Some(fault));
    write_all(&session, 100..100 + 2 * PER_BUFFER + 1);
    assert!(session.flush().is_err());
    fake.set(None);
    std::thread::sleep(Duration::from_millis(150));
    session.flush().unwrap();
    let Err(SessionError::Sink { stats, .. }) = session.stop() else { panic!("no error") };
    assert_eq!((stats.lost.io, stats.buffers_lost), (2 * PER_BUFFER, 2));
    let logs: Vec<_> = fake.files().into_iter().map(|(_, bytes)| Replay::of(bytes)).collect();
    assert_eq!(logs.len(), 2);
    assert_eq!(logs[0].events, (0..3 * PER_BUFFER).collect::<Vec<_>>());
    assert_eq!(logs[1].events, [100 + 2 * PER_BUFFER]);
    // Of the two that were lost, the first file's end tells: they were, while it was written.
    assert_eq!((logs[0].events_lost, logs[1].events_lost), (2 * PER_BUFFER as u32, 0));
}

#[test]
fn what_stands_in_an_earlier_file_is_not_lost() {
    const STARTED: u64 = 5;
    let fake = Fake::default();
    let session = builder(Mode::NewFile, &fake).start().unwrap();
    write_all(&session, 0..STARTED);
    session.flush().unwrap();
    // The lane is busy from here on: its buffer stays where it is when the next file is begun.
    let event = etlring::session::ClassicEvent::new(etlring::format::Guid::ZERO, 0, 0);
    let open = session.reserve_classic(&event, 8).unwrap();
    let others = |numbers| {
        let handle = session.handle();
        std::thread::spawn(move || write_all(&handle, numbers)).join().unwrap();
    };
    others(100..100 + 2 * PER_BUFFER + 1);
    session.flush().unwrap();
    assert_eq!(fake.files().len(), 2);
    let fault = Fault {
        call: Call::Create,
        nth: 1,
        times: FOREVER,
        wrong: Wrong::Error(ErrorKind::StorageFull),
    };
    fake.set(Some(fault));
    drop(open);
    // The second file is full now, and the buffer of two files is given up.
    others(200..200 + 3 * PER_BUFFER);
    write_all(&session, STARTED..PER_BUFFER + 1);
    assert!(session.flush().is_err());
    fake.set(None);
    std::thread::sleep(Duration::from_millis(150));
    session.flush().unwrap();
    let Err(SessionError::Sink { stats, .. }) = session.stop() else { panic!("no error") };
    assert_eq!((stats.lost.io, stats.buffers_lost), (PER_BUFFER - STARTED, 1));
    let logs: Vec<_> = fake.files().into_iter().map(|(_, bytes)| Replay::of(bytes)).collect();
    let events: Vec<_> = logs.iter().flat_map(|log| log.events.clone()).collect();
    assert_eq!(events.len() as u64, stats.events_accepted);
    assert!(logs[0].events.starts_with(&[0, 1, 2, 3, 4]));
    assert!(!events.contains(&STARTED) && events.contains(&PER_BUFFER));
}
