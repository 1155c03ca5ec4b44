//! Processes that log into the session of another one.
//!
//! Each event says which process and which thread it is of, and its number there. What is expected
//! of the log comes from what the processes say over a pipe or a file, not from the library.

use crate::{Ending, again, alone};
use etlring::format::Guid;
use etlring::outside::AttachError;
use etlring::provider::{Enable, Provider};
use etlring::reader::Trace;
use etlring::session::{ClassicEvent, Clock, Session, SessionError, SessionStats, WhenFull};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const CLASS: Guid = Guid::from_u128(0x8d2f_9c10_55aa_4c57_bd0e_6f1f_3a9a_77a7);
const EVENT: ClassicEvent = ClassicEvent::new(CLASS, 10, 4);
const PROVIDER: Guid = Guid::from_u128(0x8d2f_9c10_55aa_4c57_bd0e_6f1f_3a9a_77a8);
const NAME: &str = "shared";
/// How long anything that must happen may take before a test gives up.
const GIVE_UP: Duration = Duration::from_secs(120);

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

fn owner(directory: &Path) -> (Session, PathBuf) {
    let log = directory.join("log.etl");
    let builder = Session::builder(NAME).log_file(&log).controllable().buffer_size(16 * 1024);
    let session = builder.flush_interval(Duration::from_millis(20)).start().unwrap();
    (session, log)
}

/// A role of this file in a process of its own, with its words.
fn role(role: &str, directory: &Path, words: &[&str]) -> Child {
    let mut command = again(&format!("attach::{role}"), directory);
    command.env("ETLRING_TEST_WORDS", words.join(" "));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn words() -> Option<Vec<String>> {
    let words = std::env::var("ETLRING_TEST_WORDS").ok()?;
    Some(words.split(' ').map(str::to_owned).collect())
}

/// Waits for a line of a process that starts so; gives the rest of it.
fn line(out: &mut BufReader<ChildStdout>, start: &str) -> String {
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
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < GIVE_UP, "{what} did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
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

fn numbers(text: &str) -> Vec<u64> {
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
        until("their leaving", || session.query().attached.processes == 0);
        let stats = session.stop().unwrap();
        assert_eq!(stats.attempted(), 7 * EVENTS);
        assert_eq!((stats.attached.detached, stats.attached.died), (3, 0));
        assert_eq!(stats.attached.damage.total(), 0, "{stats:?}");
        // Whatever the owner itself lost: the sums are told by the processes.
        let own = EVENTS - stats.events_accepted.saturating_sub(accepted);
        assert_eq!(stats.lost.total(), lost + own);
        check_whole(&log, &stats);
        assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
    });
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
