//! A log followed while another process writes it: each event once, or the gap is told.

use etlring::format::Guid;
use etlring::reader::{Follow, Following, News, OpenError, Trace};
use etlring::session::{ClassicEvent, FileMode, Session, SessionBuilder};
use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CLASS: Guid = Guid::from_u128(0x8d7e_02c4_51aa_4e0c_a1d7_5f80_9be2_6c13);
const THREADS: u64 = 4;
/// Of each thread.
const EVENTS: u64 = 20_000;
const DIRECTORY: &str = "ETLRING_FOLLOW_DIRECTORY";
const NUMBER: &str = "ETLRING_FOLLOW_NUMBER";

/// Lane, sequence number and offset of an event, its thread and its number there.
type Event = (u16, i64, u32, u64, u64);

fn payload(thread: u64, number: u64) -> Vec<u8> {
    let mut bytes = [thread.to_le_bytes(), number.to_le_bytes()].concat();
    bytes.extend((0..number % 90).map(|at| (at ^ number ^ thread).to_le_bytes()[0]));
    bytes
}

fn event() -> ClassicEvent {
    ClassicEvent::new(CLASS, 10, 4)
}

/// Thread and number of an event, which must be whole; `None` of other records.
fn numbers(record: &etlring::reader::Record<'_>) -> Option<(u64, u64)> {
    let view = record.view().unwrap();
    let bytes = (view.provider() == Some(CLASS)).then(|| view.payload())?;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(bytes, payload(word(0), word(8)), "torn");
    Some((word(0), word(8)))
}

/// The events of a log and its ring, as the reader of whole logs has them.
fn in_log(log: &Path) -> BTreeSet<Event> {
    let trace = Trace::open(log).unwrap();
    let mut found = BTreeSet::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        if let Some((thread, number)) = numbers(&record) {
            let offset = record.raw().offset + 72;
            assert!(found.insert((record.lane(), record.sequence(), offset, thread, number)));
        }
    }
    found
}

/// What a follower has so far.
#[derive(Default)]
struct Seen {
    events: BTreeSet<Event>,
    gaps: Vec<RangeInclusive<i64>>,
}

impl Seen {
    /// Takes what is new: in time order, nothing for the second time. Says how many events it was.
    fn add(&mut self, news: &News) -> usize {
        let before = self.events.len();
        let mut latest = 0;
        let mut records = news.by_time();
        while let Some(record) = records.next() {
            let record = record.unwrap();
            assert!(record.order_ticks() >= latest, "out of order");
            latest = record.order_ticks();
            let Some((thread, number)) = numbers(&record) else { continue };
            let event = (record.lane(), record.sequence(), news.offset(&record), thread, number);
            assert!(self.events.insert(event), "{event:?} for the second time");
        }
        assert_eq!(news.trace().damage(), []);
        self.gaps.extend_from_slice(news.gaps());
        self.events.len() - before
    }

    /// Follows to the end.
    fn follow_through(&mut self, follow: &mut Follow) -> Following {
        loop {
            let news = follow.poll().unwrap();
            self.add(&news);
            if news.state().is_over() {
                return news.state();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn builder(log: &Path) -> SessionBuilder {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("follow {}", NEXT.fetch_add(1, Ordering::Relaxed));
    Session::builder(&name).log_file(log).buffer_size(4096).maximum_buffers(64)
}

fn wait_for(path: &Path) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn spawn(test: &str, directory: &Path, number: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("follow::{test}"), "--ignored", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(NUMBER, number)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Where a child works; `None` if nobody asked for one.
fn child() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(DIRECTORY)?.into(), std::env::var(NUMBER).ok()?))
}

/// Records numbered events; for ever, if it is to be killed.
#[test]
#[ignore = "run by another one"]
fn recording() {
    let Some((directory, events)) = child() else { return };
    let events = events.parse().unwrap();
    let log = directory.join("log.etl");
    let session = builder(&log).flush_interval(Duration::from_millis(3)).start().unwrap();
    fs::write(directory.join("begun"), "").unwrap();
    wait_for(&directory.join("go"));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let session = session.handle();
            scope.spawn(move || {
                for number in 0..events {
                    // What finds no room is lost, and in nobody's log.
                    let _ = session.write_classic(&event(), &payload(thread, number));
                    if number % 500 == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
    session.stop().unwrap();
}

/// Follows to the end and says what it saw.
#[test]
#[ignore = "run by another one"]
fn following() {
    let Some((directory, number)) = child() else { return };
    let mut follow = Follow::open(directory.join("log.etl")).unwrap();
    let mut seen = Seen::default();
    let news = follow.poll().unwrap();
    seen.add(&news);
    assert!(follow.sees_buffers_in_use());
    fs::write(directory.join(format!("ready.{number}")), "").unwrap();
    let state = seen.follow_through(&mut follow);
    let text = format!("{state:?}\n{:?}\n{:?}", seen.gaps, seen.events);
    fs::write(directory.join(format!("seen.{number}")), text).unwrap();
}

#[test]
fn two_followers_see_every_event_of_another_process_once() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mut writer = spawn("recording", directory.path(), &EVENTS.to_string());
    wait_for(&at("begun"));
    let followers = ["1", "2"].map(|number| spawn("following", directory.path(), number));
    wait_for(&at("ready.1"));
    wait_for(&at("ready.2"));
    fs::write(at("go"), "").unwrap();
    assert!(writer.wait().unwrap().success());
    for mut follower in followers {
        assert!(follower.wait().unwrap().success());
    }
    let log = in_log(&at("log.etl"));
    assert!(!log.is_empty());
    for number in ["1", "2"] {
        let seen = fs::read_to_string(at(&format!("seen.{number}"))).unwrap();
        let expected = format!("Finished\n[]\n{log:?}");
        assert!(seen == expected, "{} and {}", &seen[..40], &expected[..40]);
    }
}

#[cfg(unix)]
#[test]
fn a_follower_has_everything_of_a_killed_process_and_says_so() {
    for round in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log.etl");
        let mut writer = spawn("recording", directory.path(), &u64::MAX.to_string());
        wait_for(&directory.path().join("begun"));
        let mut follow = Follow::open(&log).unwrap();
        let mut seen = Seen::default();
        fs::write(directory.path().join("go"), "").unwrap();
        while seen.events.len() < 500 * round {
            let news = follow.poll().unwrap();
            assert!(!news.state().is_over());
            seen.add(&news);
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        assert_eq!(seen.follow_through(&mut follow), Following::Abandoned);
        assert!(follow.poll().unwrap().is_empty());
        let log = in_log(&log);
        assert!(seen.events == log, "{} and {}", seen.events.len(), log.len());
        assert_eq!(seen.gaps, []);
    }
}

#[test]
fn what_is_committed_is_seen_at_once_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let session = builder(&log).flush_interval(Duration::ZERO).start().unwrap();
    let mut follow = Follow::open(&log).unwrap();
    let mut seen = Seen::default();
    let first = follow.poll().unwrap();
    assert!(!first.is_empty(), "the header is a record, too");
    assert_eq!(seen.add(&first), 0);
    for number in 0..500 {
        session.write_classic(&event(), &payload(0, number)).unwrap();
        // In the ring only, in the log as a part of a buffer, and as the whole of it.
        if number % 7 == 0 {
            session.flush().unwrap();
        }
        if number % 3 == 0 {
            assert_eq!(seen.add(&follow.poll().unwrap()) as u64, if number == 0 { 1 } else { 3 });
            assert!(follow.poll().unwrap().is_empty());
        }
    }
    session.stop().unwrap();
    assert_eq!(seen.follow_through(&mut follow), Following::Finished);
    assert_eq!(seen.events, in_log(&log));
    assert_eq!(seen.gaps, []);
}

#[test]
fn a_log_without_a_ring_is_followed_as_it_is_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let session = builder(&log).ring_file(false).flush_interval(Duration::ZERO).start().unwrap();
    let mut follow = Follow::open(&log).unwrap();
    let mut seen = Seen::default();
    for number in 0..2000 {
        session.write_classic(&event(), &payload(0, number)).unwrap();
        if number % 10 == 0 {
            session.flush().unwrap();
            seen.add(&follow.poll().unwrap());
            assert_eq!(seen.events.len() as u64, number + 1);
        }
    }
    assert!(!follow.sees_buffers_in_use());
    session.stop().unwrap();
    assert_eq!(seen.follow_through(&mut follow), Following::Finished);
    assert_eq!(seen.events, in_log(&log));
}

#[test]
fn what_a_circular_log_overwrote_is_told_by_number() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let session = builder(&log).file_mode(FileMode::Circular).maximum_file_size_kb(64);
    let session = session.start().unwrap();
    let mut follow = Follow::open(&log).unwrap();
    let mut seen = Seen::default();
    let mut written = 0;
    // More than the log holds between two looks, then less.
    for count in [5, 5000, 20, 40, 3000, 10] {
        for _ in 0..count {
            session.write_classic(&event(), &payload(0, written)).unwrap();
            written += 1;
        }
        seen.add(&follow.poll().unwrap());
        assert_eq!(seen.events.last().map(|event| event.4), Some(written - 1));
    }
    session.stop().unwrap();
    assert_eq!(seen.follow_through(&mut follow), Following::Finished);
    // Events go up by one within a buffer and from a buffer to the next one: where they do not,
    // buffers between them, or the earlier one itself, were told.
    let told = |number: i64| seen.gaps.iter().any(|gap| gap.contains(&number));
    let events: Vec<_> = seen.events.iter().collect();
    let mut holes = 0;
    for pair in events.windows(2) {
        if pair[0].4 + 1 != pair[1].4 {
            holes += 1;
            assert!((pair[0].1..pair[1].1).any(told), "{pair:?}, {:?}", seen.gaps);
        }
    }
    assert!(holes >= 2);
    let last: BTreeSet<_> = in_log(&log);
    assert!(last.is_subset(&seen.events));
}

/// Goal: nobody waits for a circular log whose session is dead, nor gives a living one up.
/// Method: a copy has no session; the log has one, and is looked at as often as a copy is.
#[cfg(unix)]
#[test]
fn a_circular_log_is_alive_as_long_as_it_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let (log, left) = (directory.path().join("log.etl"), directory.path().join("left.etl"));
    let session = builder(&log).file_mode(FileMode::Circular).maximum_file_size_kb(64);
    let session = session.start().unwrap();
    for number in 0..10 {
        session.write_classic(&event(), &payload(0, number)).unwrap();
    }
    fs::copy(&log, &left).unwrap();
    let (mut gone, mut dead) = (Seen::default(), Follow::open(&left).unwrap());
    assert_eq!(gone.follow_through(&mut dead), Following::Abandoned);
    assert_eq!(gone.events.len(), 10);

    let (mut seen, mut follow) = (Seen::default(), Follow::open(&log).unwrap());
    for _ in 0..100 {
        let news = follow.poll().unwrap();
        seen.add(&news);
        assert_eq!(news.state(), Following::Live);
    }
    assert_eq!(seen.events, gone.events);
    session.stop().unwrap();
    assert_eq!(seen.follow_through(&mut follow), Following::Finished);
}

#[cfg(unix)]
#[test]
fn a_log_that_is_removed_ends() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let session = builder(&log).flush_interval(Duration::ZERO).start().unwrap();
    session.write_classic(&event(), &payload(0, 1)).unwrap();
    let mut follow = Follow::open(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let mut seen = Seen::default();
    assert_eq!(seen.follow_through(&mut follow), Following::Removed);
    assert_eq!(seen.events.len(), 1);
    drop(session);
}

#[test]
fn finished_logs_of_windows_come_whole_and_end() {
    let Some(samples) = super::samples::samples() else { return };
    let mut compared = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "etl") {
            continue;
        }
        let mut follow = match Follow::open(&path) {
            Ok(follow) => follow,
            Err(OpenError::Unsupported(_)) => continue,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        let mut found = BTreeSet::new();
        let mut count = 0;
        loop {
            let news = follow.poll().unwrap();
            let mut records = news.by_time();
            while let Some(record) = records.next() {
                let record = record.unwrap();
                count += 1;
                found.insert((record.position(), digest(record.raw().bytes)));
            }
            if news.state() != Following::Behind {
                let finished = follow.logfile().end_time().is_some();
                assert_eq!(news.state() == Following::Finished, finished, "{}", path.display());
                break;
            }
        }
        let trace = Trace::open(&path).unwrap();
        let mut expected = BTreeSet::new();
        let mut records = trace.records();
        while let Some(record) = records.next() {
            let record = record.unwrap();
            expected.insert((record.position(), digest(record.raw().bytes)));
        }
        assert!(found == expected && count == expected.len(), "{}", path.display());
        compared += 1;
    }
    assert!(compared > 0);
}

/// Enough of a hash to tell records apart.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

#[test]
fn what_is_no_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let kind = |error: OpenError| match error {
        OpenError::Io(error) => Some(error.kind()),
        _ => None,
    };
    let missing = Follow::open(at("missing.etl")).unwrap_err();
    assert_eq!(kind(missing), Some(std::io::ErrorKind::NotFound));
    let found = Follow::open(directory.path()).unwrap_err();
    assert_eq!(kind(found), Some(std::io::ErrorKind::IsADirectory));
    for bytes in [&b""[..], &[0; 4096], &b"nothing to see here ".repeat(500)] {
        fs::write(at("text.etl"), bytes).unwrap();
        let refused = Follow::open(at("text.etl"));
        assert!(matches!(refused, Err(OpenError::NotALogfile(_))), "{refused:?}");
    }
}

#[test]
fn damage_ends_neither_the_follower_nor_its_patience() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let session = builder(&at("log.etl")).flush_interval(Duration::ZERO).start().unwrap();
    for number in 0..200 {
        session.write_classic(&event(), &payload(0, number)).unwrap();
    }
    session.flush().unwrap();
    let whole = ["log.etl", "log.etl.ring"].map(|name| fs::read(at(name)).unwrap());
    session.stop().unwrap();
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    let mut followed = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for file in &mut bytes {
            // Mostly in the headers of the first few buffers, where it hurts.
            for _ in 0..random(6) {
                let most = if random(2) == 0 { 72 } else { 4096 };
                let place = random(4) * 4096 + random(most);
                if let Some(byte) = file.get_mut(place) {
                    *byte = random(256).to_le_bytes()[0];
                }
            }
            if random(4) == 0 {
                file.truncate(random(6 * 4096));
            }
        }
        fs::write(at("bad.etl"), &bytes[0]).unwrap();
        fs::write(at("bad.etl.ring"), &bytes[1]).unwrap();
        let Ok(mut follow) = Follow::open(at("bad.etl")) else { continue };
        followed += 1;
        for _ in 0..4 {
            let news = follow.poll().unwrap();
            let mut records = news.by_time();
            while let Some(record) = records.next() {
                let _ = record.and_then(|record| record.view().map(|_| ()));
            }
        }
    }
    assert!(followed > 100);
}
