//! Processes that log into the session of another one.
//!
//! Each event says which process and which thread it is of, and its number there. What is expected
//! of the log comes from what the processes say over a pipe or a file, not from the library.

use crate::{Ending, FIGURES, again, alone};
use etlring::format::Guid;
use etlring::outside::AttachError;
use etlring::provider::{Enable, Provider};
use etlring::reader::{Follow, Trace};
use etlring::session::{ClassicEvent, Clock, Session, SessionError, SessionStats};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

pub(crate) const CLASS: Guid = Guid::from_u128(0x8d2f_9c10_55aa_4c57_bd0e_6f1f_3a9a_77a7);
pub(crate) const EVENT: ClassicEvent = ClassicEvent::new(CLASS, 10, 4);
const PROVIDER: Guid = Guid::from_u128(0x8d2f_9c10_55aa_4c57_bd0e_6f1f_3a9a_77a8);
pub(crate) const NAME: &str = "shared";
/// How long anything that must happen may take before a test gives up.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(120);

/// An event's payload: whose it is, its number, and bytes that follow from both.
pub(crate) fn payload(process: u32, thread: u32, number: u64) -> Vec<u8> {
    let mut bytes = process.to_le_bytes().to_vec();
    bytes.extend(thread.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend((0..number % 70).map(|at| (at ^ number ^ u64::from(process)) as u8));
    bytes
}

/// Numbers of the events of each process and thread, in the order of the log. Every one is whole.
pub(crate) fn found(log: &Path) -> BTreeMap<(u32, u32), Vec<u64>> {
    let trace = Trace::open(log).unwrap();
    let mut found = BTreeMap::<_, Vec<u64>>::new();
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if view.provider() != Some(CLASS) {
            continue;
        }
        let bytes = view.payload();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (process, thread) = (word(0), word(4));
        let number = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
        assert_eq!(bytes, payload(process, thread, number), "torn");
        found.entry((process, thread)).or_default().push(number);
    }
    found
}

/// What a follower of a log has seen: each event is in the sum once, whatever their order.
pub(crate) struct Tail {
    follow: Follow,
    pub(crate) events: u64,
    pub(crate) sum: u64,
    pub(crate) gaps: u64,
}

impl Tail {
    pub(crate) fn new(log: &Path) -> Self {
        Self { follow: Follow::open(log).unwrap(), events: 0, sum: 0, gaps: 0 }
    }

    /// Looks once; says whether the log has ended.
    pub(crate) fn poll(&mut self) -> bool {
        let news = self.follow.poll().unwrap();
        assert_eq!(news.trace().damage(), []);
        let mut records = news.trace().records();
        while let Some(record) = records.next() {
            let record = record.unwrap();
            let view = record.view().unwrap();
            if view.provider() == Some(CLASS) {
                self.events += 1;
                self.sum = self.sum.wrapping_add(checksum(view.payload()));
            }
        }
        self.gaps +=
            news.gaps().iter().map(|gap| 1 + gap.end().abs_diff(*gap.start())).sum::<u64>();
        news.state().is_over()
    }

    /// All of a log that has ended.
    pub(crate) fn whole(log: &Path) -> Self {
        let mut tail = Self::new(log);
        while !tail.poll() {}
        tail
    }
}

/// A number for the identity of an event, which starts its payload.
fn checksum(payload: &[u8]) -> u64 {
    let words = payload[..16].chunks_exact(8);
    words.fold(0xCBF2_9CE4_8422_2325, |sum, word| {
        (sum ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(0x0100_0000_01B3_0101)
    })
}

pub(crate) fn owner(directory: &Path) -> (Session, PathBuf) {
    let log = directory.join("log.etl");
    let builder = Session::builder(NAME).log_file(&log).controllable().buffer_size(16 * 1024);
    let session = builder.flush_interval(Duration::from_millis(20)).start().unwrap();
    (session, log)
}

/// A role of this file in a process of its own, with its words.
pub(crate) fn role(role: &str, directory: &Path, words: &[&str]) -> Child {
    role_of(&format!("attach::{role}"), directory, words)
}

/// A role of any file.
pub(crate) fn role_of(role: &str, directory: &Path, words: &[&str]) -> Child {
    let mut command = again(role, directory);
    command.env("ETLRING_TEST_WORDS", words.join(" "));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn words() -> Option<Vec<String>> {
    let words = std::env::var("ETLRING_TEST_WORDS").ok()?;
    Some(words.split(' ').map(str::to_owned).collect())
}

/// Waits for a line of a process that starts so; gives the rest of it.
pub(crate) fn line(out: &mut BufReader<ChildStdout>, start: &str) -> String {
    let mut text = String::new();
    loop {
        text.clear();
        assert_ne!(out.read_line(&mut text).unwrap(), 0, "ended without {start:?}");
        // The test harness does not end its own line.
        if let Some(at) = text.find(start) {
            return text[at + start.len()..].trim().to_owned();
        }
    }
}

/// Waits until `is_so`, and fails if that never comes.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < GIVE_UP, "{what} did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(directory.join("run")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// Attaches, logs so many events from each of two threads, detaches and says how it went.
#[test]
#[ignore = "run by others"]
fn writer() {
    let Some(words) = words() else { return };
    let [process, events] = &words[..] else { panic!("{words:?}") };
    let (process, events): (u32, u64) = (process.parse().unwrap(), events.parse().unwrap());
    let session = Session::attach(NAME).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let session = session.handle();
            scope.spawn(move || {
                for number in 0..events {
                    let _ = session.write_classic(&EVENT, &payload(process, thread, number));
                }
            });
        }
    });
    let stats = session.stop().unwrap();
    println!("\ndone {} {}", stats.events_accepted, stats.lost.total());
}

pub(crate) fn numbers(text: &str) -> Vec<u64> {
    text.split(' ').map(|word| word.parse().unwrap()).collect()
}

#[test]
fn events_of_other_processes_are_in_the_log_once_each() {
    alone("attach::events_of_other_processes_are_in_the_log_once_each", |directory| {
        const EVENTS: u64 = 20_000;
        let (session, log) = owner(directory);
        let writers: Vec<_> = (1..=3u32)
            .map(|process| {
                let words = [process.to_string(), EVENTS.to_string()];
                role("writer", directory, &[&words[0], &words[1]])
            })
            .collect();
        for number in 0..EVENTS {
            let _ = session.write_classic(&EVENT, &payload(0, 0, number));
        }
        let (mut accepted, mut lost) = (0, 0);
        for mut writer in writers {
            let mut out = BufReader::new(writer.stdout.take().unwrap());
            let told = numbers(&line(&mut out, "done "));
            assert_eq!(told[0] + told[1], 2 * EVENTS);
            (accepted, lost) = (accepted + told[0], lost + told[1]);
            assert!(writer.wait().unwrap().success());
        }
        until("their leaving", || session.attached().processes == 0);
        let attached = session.attached();
        let stats = session.stop().unwrap();
        assert_eq!(stats.attempted(), 7 * EVENTS);
        assert_eq!((attached.detached, attached.died), (3, 0));
        assert_eq!(attached.damage.total(), 0, "{attached:?}");
        // Whatever the owner itself lost: the sums are told by the processes.
        let own = EVENTS - stats.events_accepted.saturating_sub(accepted);
        assert_eq!(stats.lost.total(), lost + own);
        check_whole(&log, &stats);
        assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
    });
}

/// Attaches and logs from two threads until it is killed; each number whose event was accepted is
/// told to a file of its thread, by a write that a kill cannot take back.
#[test]
#[ignore = "run by others"]
fn teller() {
    let Some(words) = words() else { return };
    let [process, events] = &words[..] else { panic!("{words:?}") };
    let (process, events): (u32, u64) = (process.parse().unwrap(), events.parse().unwrap());
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let session = Session::attach(NAME).maximum_buffers(16).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let session = session.handle();
            let path = directory.with_file_name(format!("told.{process}.{thread}"));
            let mut told = OpenOptions::new().create_new(true).append(true).open(path).unwrap();
            scope.spawn(move || {
                for number in 0..events {
                    let payload = payload(process, thread, number);
                    if session.write_classic(&EVENT, &payload).is_ok() {
                        told.write_all(&number.to_le_bytes()).unwrap();
                    }
                }
            });
        }
    });
    let stats = session.stop().unwrap();
    println!("\ndone {} {}", stats.events_accepted, stats.lost.total());
}

/// Follows a log to its end, and says what it has seen.
#[test]
#[ignore = "run by others"]
fn tail() {
    let Some(words) = words() else { return };
    let mut tail = Tail::new(Path::new(&words[0]));
    while !tail.poll() {
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("\nseen {} {} {}", tail.events, tail.sum, tail.gaps);
}

/// Numbers that a thread told of.
pub(crate) fn told(directory: &Path, process: u32, thread: u32) -> Vec<u64> {
    let bytes = fs::read(directory.join(format!("told.{process}.{thread}"))).unwrap_or_default();
    bytes.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().unwrap())).collect()
}

/// Four processes, one of them killed and another one started in its place, `kills` times.
fn kills(directory: &Path, kills: u32, events: u64, life: Duration) {
    let (session, log) = owner(directory);
    let mut tails = [(); 2].map(|()| Ending(role("tail", directory, &[log.to_str().unwrap()])));
    let all = events.to_string();
    let mut survivors: Vec<_> = (1..=3u32)
        .map(|process| role("teller", directory, &[&process.to_string(), &all]))
        .collect();
    for process in 4..4 + kills {
        let child = role("teller", directory, &[&process.to_string(), "18446744073709551615"]);
        let mut child = Ending(child);
        until("an event", || (0..2).all(|thread| !told(directory, process, thread).is_empty()));
        // Another moment of its life each time.
        std::thread::sleep(life * (process % 7) / 6);
        child.0.kill().unwrap();
        assert_eq!(child.0.wait().unwrap().signal(), Some(9), "ended by itself");
    }
    let (mut accepted, mut lost) = (0, 0);
    for survivor in &mut survivors {
        let mut out = BufReader::new(survivor.stdout.take().unwrap());
        let told = numbers(&line(&mut out, "done "));
        assert_eq!(told[0] + told[1], 2 * events);
        (accepted, lost) = (accepted + told[0], lost + told[1]);
        assert!(survivor.wait().unwrap().success());
    }
    until("their leaving", || session.attached().processes == 0);
    let attached = session.attached();
    let stats = session.stop().unwrap();
    let seen = tails.each_mut().map(|tail| {
        let mut out = BufReader::new(tail.0.stdout.take().unwrap());
        numbers(&line(&mut out, "seen "))
    });
    let whole = Tail::whole(&log);
    for tail in &seen {
        // A follower that is too slow for a ring is told so; this one has the log, too.
        assert_eq!(tail[..], [whole.events, whole.sum, 0], "events, sum, gaps of a tail");
    }
    println!(
        "\n{FIGURES}4 processes of 2 threads, {kills} kills, {} events in the log, {} lost; survivors \
         {accepted} accepted + {lost} lost of {}; two tails saw {} and {} with {} and {} gaps",
        stats.events_accepted,
        stats.lost.total(),
        6 * events,
        seen[0][0],
        seen[1][0],
        seen[0][2],
        seen[1][2],
    );
    assert_eq!((attached.detached, attached.died), (3, u64::from(kills)));
    assert_eq!(attached.damage.total(), 0, "{attached:?}");
    assert!(stats.events_accepted >= accepted && stats.lost.total() >= lost);
    check_whole(&log, &stats);
    let found = found(&log);
    let mut of_survivors = 0;
    for process in 1..4 + kills {
        for thread in 0..2 {
            let told = told(directory, process, thread);
            let found = found.get(&(process, thread)).map_or(&[][..], Vec::as_slice);
            let have: BTreeSet<_> = found.iter().collect();
            let missing = told.iter().filter(|number| !have.contains(number)).count();
            assert_eq!(missing, 0, "of {} told by {process}, {thread}", told.len());
            // The kill may have met it between an event and its telling.
            assert!(found.len() - told.len() <= usize::from(process > 3), "events made up");
            of_survivors += if process > 3 { 0 } else { found.len() as u64 };
        }
    }
    assert_eq!(of_survivors, accepted);
    assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
}

#[test]
fn what_killed_processes_committed_is_in_the_log_once() {
    alone("attach::what_killed_processes_committed_is_in_the_log_once", |directory| {
        kills(directory, 8, 50_000, Duration::from_millis(60));
    });
}

#[test]
#[ignore = "takes minutes"]
fn what_many_killed_processes_committed_is_in_the_log_once() {
    alone("attach::what_many_killed_processes_committed_is_in_the_log_once", |directory| {
        kills(directory, 40, 2_000_000, Duration::from_secs(2));
    });
}

/// Attaches and logs an event each time it is told to.
#[test]
#[ignore = "run by others"]
fn dictated() {
    if words().is_none() {
        return;
    }
    let session = Session::attach(NAME).start().unwrap();
    println!("\nattached");
    for (number, line) in (0..).zip(std::io::stdin().lines()) {
        line.unwrap();
        session.write_classic(&EVENT, &payload(1, 0, number)).unwrap();
        println!("\nlogged");
    }
    session.stop().unwrap();
}

#[test]
fn a_follower_sees_what_attached_processes_log() {
    alone("attach::a_follower_sees_what_attached_processes_log", |directory| {
        let (session, log) = owner(directory);
        let mut child = Ending(role("dictated", directory, &[]));
        let mut out = BufReader::new(child.0.stdout.take().unwrap());
        line(&mut out, "attached");
        let mut tail = Tail::new(&log);
        for number in 0..100u64 {
            child.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
            line(&mut out, "logged");
            session.flush().unwrap();
            // A buffer that is in the log already, and grows.
            until("the event", || {
                tail.poll();
                tail.events == number + 1
            });
        }
        drop(child.0.stdin.take());
        assert!(child.0.wait().unwrap().success());
        session.stop().unwrap();
        until("the end", || tail.poll());
        assert_eq!((tail.events, tail.gaps), (100, 0));
        assert_eq!(tail.sum, Tail::whole(&log).sum);
    });
}

/// Attaches, says when the provider is enabled and when it is not any more, and stops when told.
#[test]
#[ignore = "run by others"]
fn listener() {
    if words().is_none() {
        return;
    }
    let provider = Provider::register(PROVIDER, "Example-Attached");
    let session = Session::attach(NAME).start().unwrap();
    // What was enabled before is enabled when `start` returns.
    println!("\nattached {}", provider.is_enabled(4, 0));
    until("the level", || provider.is_enabled(5, 0));
    println!("\nenabled");
    until("the end", || !provider.is_enabled(1, 0));
    println!("\ndisabled");
    let mut word = String::new();
    let _ = std::io::stdin().read_line(&mut word);
    // The owner has stopped: so has this one, as if by itself.
    let stats = session.stop().unwrap();
    println!("\nstopped {}", stats.events_accepted);
}

#[test]
fn enabling_reaches_all_attached_processes() {
    alone("attach::enabling_reaches_all_attached_processes", |directory| {
        let (session, _) = owner(directory);
        session.enable_provider(PROVIDER, &Enable::new().level(4)).unwrap();
        let mut children: Vec<_> =
            (0..8).map(|_| Ending(role("listener", directory, &[]))).collect();
        let mut outs: Vec<_> = children
            .iter_mut()
            .map(|child| BufReader::new(child.0.stdout.take().unwrap()))
            .collect();
        for out in &mut outs {
            assert_eq!(line(out, "attached "), "true");
        }
        let client = etlring::outside::connect(NAME).unwrap();
        client.enable(PROVIDER, &Enable::new().level(5)).unwrap();
        outs.iter_mut().for_each(|out| drop(line(out, "enabled")));
        client.disable(PROVIDER).unwrap();
        outs.iter_mut().for_each(|out| drop(line(out, "disabled")));
        assert_eq!(session.attached().processes, 8);
        let controller = session.controller();
        session.stop().unwrap();
        let attached = controller.attached();
        assert_eq!((attached.detached, attached.died), (8, 0));
        for (child, out) in children.iter_mut().zip(&mut outs) {
            drop(child.0.stdin.take());
            assert_eq!(line(out, "stopped "), "0");
            assert!(child.0.wait().unwrap().success());
        }
    });
}

/// Owns the session until it is killed, or told to stop.
#[test]
#[ignore = "run by others"]
fn owning() {
    if words().is_none() {
        return;
    }
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let (session, _) = owner(directory.parent().unwrap());
    println!("\nowning");
    let mut word = String::new();
    let _ = std::io::stdin().read_line(&mut word);
    drop(session);
}

#[test]
fn a_dead_owner_leaves_attached_processes_what_they_had_not_given() {
    alone("attach::a_dead_owner_leaves_attached_processes_what_they_had_not_given", |directory| {
        let mut owner = Ending(role("owning", directory, &[]));
        let mut out = BufReader::new(owner.0.stdout.take().unwrap());
        line(&mut out, "owning");
        let session = Session::attach(NAME).maximum_buffers(32).start().unwrap();
        let mut accepted = Vec::new();
        for number in 0..3000 {
            if session.write_classic(&EVENT, &payload(1, 0, number)).is_ok() {
                accepted.push(number);
            }
            if number == 2000 {
                owner.0.kill().unwrap();
                owner.0.wait().unwrap();
            }
        }
        until("the end of the session", || !session.is_enabled());
        assert!(session.write_classic(&EVENT, &payload(1, 0, 3000)).is_err());
        let rings = files(directory, ".ring");
        let Err(SessionError::OwnerGone { stats }) = session.stop() else { panic!("no error") };
        assert_eq!(stats.events_accepted, accepted.len() as u64);
        assert_eq!(stats.attempted(), 3001);
        assert_eq!(files(directory, ".ring"), rings);
        let [ring] = &rings[..] else { panic!("{rings:?}") };
        // Neither log nor ring alone has all of it; together they do, the last flush in both.
        let mut have = BTreeSet::new();
        for log in [&directory.join("log.etl"), ring] {
            have.extend(found(log).remove(&(1, 0)).unwrap_or_default());
        }
        let missing: Vec<_> = accepted.iter().filter(|number| !have.contains(number)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    });
}

#[test]
fn what_cannot_be_attached_is_told_why() {
    alone("attach::what_cannot_be_attached_is_told_why", |directory| {
        let mut child = Ending(role("owning", directory, &[]));
        let mut out = BufReader::new(child.0.stdout.take().unwrap());
        line(&mut out, "owning");
        let error = Session::attach(NAME).clock(Clock::SystemTime).start().unwrap_err();
        let clocks = matches!(
            error,
            AttachError::Clock {
                owner: Some(Clock::PerformanceCounter),
                wanted: Some(Clock::SystemTime)
            }
        );
        assert!(clocks, "{error}");
        let error = Session::attach(NAME).maximum_buffers(100_000).start().unwrap_err();
        assert!(matches!(error, AttachError::Config(_)), "{error}");
        let error = Session::attach("nobody").start().unwrap_err();
        assert!(matches!(error, AttachError::Outside(_)), "{error}");
        let session = Session::attach(NAME).start().unwrap();
        let error = Session::attach(NAME).start().unwrap_err();
        assert!(matches!(error, AttachError::Session(SessionError::NameInUse(_))), "{error}");
        session.stop().unwrap();
        // Nothing is left of any of them.
        assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
        drop(child.0.stdin.take());
        assert!(child.0.wait().unwrap().success());

        let ring = Session::builder("ring").memory_ring().controllable().start().unwrap();
        let mut other = role("stranger", directory, &["ring"]);
        let mut out = BufReader::new(other.stdout.take().unwrap());
        let why = line(&mut out, "refused ");
        assert!(why.contains("overwrites its oldest"), "{why}");
        assert!(other.wait().unwrap().success());
        ring.stop().unwrap();
    });
}

/// Tries to be attached to a session that does not want it, and says why it was not.
#[test]
#[ignore = "run by others"]
fn stranger() {
    let Some(words) = words() else { return };
    println!("\nrefused {}", Session::attach(&words[0]).start().unwrap_err());
}

/// The events of one process that lost nothing, or told of what it lost: all of them, once, each
/// thread's in order.
pub(crate) fn check_one(log: &Path, process: u32, accepted: u64) {
    let found = found(log);
    let of = found.iter().filter(|((of, _), _)| *of == process);
    let count = of.map(|(of, numbers)| {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{of:?} out of order or twice");
        numbers.len() as u64
    });
    assert_eq!(count.sum::<u64>(), accepted);
}

/// What every log must be: as many events as were accepted, none twice, each thread's in order.
fn check_whole(log: &Path, stats: &SessionStats) {
    let found = found(log);
    for (of, numbers) in &found {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{of:?} out of order or twice");
    }
    assert_eq!(found.values().map(|n| n.len() as u64).sum::<u64>(), stats.events_accepted);
    let trace = Trace::open(log).unwrap();
    assert_eq!(u64::from(trace.logfile().events_lost()), stats.lost.total());
    assert!(trace.logfile().end_time().is_some());
}

#[test]
fn a_ring_file_that_was_left_is_in_nobodys_way() {
    alone("attach::a_ring_file_that_was_left_is_in_nobodys_way", |directory| {
        let (session, log) = owner(directory);
        let left = directory.join(format!("run/{NAME}.{}.1.ring", std::process::id()));
        fs::write(&left, b"of a process that died").unwrap();
        let mut writer = role("writer", directory, &["1", "10"]);
        let mut out = BufReader::new(writer.stdout.take().unwrap());
        assert_eq!(line(&mut out, "done "), "20 0");
        assert!(writer.wait().unwrap().success());
        let stats = session.stop().unwrap();
        assert_eq!(stats.events_accepted, 20);
        check_one(&log, 1, 20);
        assert_eq!(fs::read(left).unwrap(), b"of a process that died");
    });
}
