//! A process that is killed loses nothing that it committed.
//!
//! Four threads of another process record events and tell of each that was accepted, by a write to
//! a file, which a kill cannot take back. After a SIGKILL at a random moment every event told of
//! must be in the log and its ring, at most one more of each thread, and none that is not whole.
#![cfg(unix)]

use etlring::codec::RecordHeader;
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::session::{ClassicEvent, Discarded, FileMode, Session, SyncMode, WhenFull};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const CLASS: Guid = Guid::from_u128(0x3f0c_5b1e_88aa_4c57_bd0e_6f1f_3a9a_7701);
const THREADS: u64 = 4;
/// What a thread tells that will record no more.
const QUIET: u64 = u64::MAX;
const DIRECTORY: &str = "ETLRING_CRASH_DIRECTORY";
const MODE: &str = "ETLRING_CRASH_MODE";

/// An event: its thread, its number there, and bytes that follow from both. Of changing length.
fn payload(thread: u64, number: u64) -> Vec<u8> {
    let mut bytes = [thread.to_le_bytes(), number.to_le_bytes()].concat();
    let mut state = thread << 56 ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 1;
    for _ in 0..number % 90 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.push(state as u8);
    }
    bytes
}

/// Records until it is killed; run by the tests below, in a process of its own.
#[test]
#[ignore = "run by another one"]
fn recording_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let builder = Session::builder("crash").log_file(directory.join("log.etl"));
    let session = match std::env::var(MODE).as_deref() {
        // Small buffers, many switches, a flush every few of them.
        Ok("log") => {
            builder.buffer_size(4096).maximum_buffers(64).flush_interval(Duration::from_millis(3))
        }
        // Buffers run out all the time, and are taken back while parts of them are being written.
        Ok("overwrite") => builder
            .buffer_size(4096)
            .maximum_buffers(6)
            .when_full(WhenFull::Overwrite)
            .sync(SyncMode::Flush)
            .flush_interval(Duration::from_millis(1)),
        Ok("circular") => {
            builder.buffer_size(4096).file_mode(FileMode::Circular).maximum_file_size_kb(256)
        }
        _ => return,
    };
    // Some are killed while they record, others when they have fallen quiet.
    let last = if std::env::var(MODE).as_deref() == Ok("overwrite") { 2_000 } else { u64::MAX };
    let session = session.start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (session, path) = (session.handle(), directory.join(format!("told.{thread}")));
            let mut told = OpenOptions::new().create(true).append(true).open(path).unwrap();
            scope.spawn(move || {
                for number in 0..last {
                    if session.write_classic(&event, &payload(thread, number)).is_ok() {
                        told.write_all(&number.to_le_bytes()).unwrap();
                    }
                }
                told.write_all(&QUIET.to_le_bytes()).unwrap();
                loop {
                    std::thread::park();
                }
            });
        }
    });
}

/// Numbers that a thread told of.
fn told(directory: &Path, thread: u64) -> Vec<u64> {
    let bytes = fs::read(directory.join(format!("told.{thread}"))).unwrap_or_default();
    bytes.chunks_exact(8).map(|n| u64::from_le_bytes(n.try_into().unwrap())).collect()
}

/// Numbers of each thread that are in the log, in time order. Every event must be whole.
fn found(log: &Path) -> Vec<Vec<u64>> {
    let trace = Trace::open(log).unwrap();
    let mut found = vec![Vec::new(); THREADS as usize];
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if view.provider() != Some(CLASS) {
            continue;
        }
        assert!(matches!(view.header(), RecordHeader::Classic(_)));
        let bytes = view.payload();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (thread, number) = (word(0), word(8));
        assert_eq!(bytes, payload(thread, number), "torn");
        found[thread as usize].push(number);
    }
    found
}

/// A process that records in `mode`, killed after `life` from its first event on.
fn kill(mode: &str, directory: &Path, life: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::recording_until_killed", "--ignored"])
        .env(DIRECTORY, directory)
        .env(MODE, mode)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while (0..THREADS).any(|thread| told(directory, thread).is_empty()) {
        assert!(child.try_wait().unwrap().is_none(), "ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(life);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "ended by itself");
}

/// What dissect.etl finds of a killed session, where `ETLRING_PYTHON` names a Python that has it; in
/// `mode`, if that matters to what must be there.
fn dissect(directory: &Path, mode: Option<&str>) {
    let Some(python) = std::env::var_os("ETLRING_PYTHON") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/killed.py");
    let output = Command::new(python).arg(script).arg(directory).args(mode).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// How many times to kill: more on request.
fn times(usual: u64) -> u64 {
    std::env::var("ETLRING_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// A moment between 0 and 60 ms, another one in each round and the same in each run.
fn life(round: u64) -> Duration {
    Duration::from_micros(round.wrapping_mul(7_919_000_003) % 60_000)
}

#[test]
fn every_event_told_of_is_in_the_log_and_its_ring() {
    for round in 1..=times(25) {
        let directory = tempfile::tempdir().unwrap();
        kill("log", directory.path(), life(round));
        let log = directory.path().join("log.etl");
        // A log by itself, and to a reader that believes the number of its buffers.
        let ring = directory.path().join("log.etl.ring");
        let places = Trace::open(&ring).unwrap().logfile().buffers_written();
        assert_eq!(u64::from(places) * 4096, fs::metadata(ring).unwrap().len());
        for (thread, found) in (0..).zip(found(&log)) {
            let told = told(directory.path(), thread);
            assert!(found.is_sorted_by(|a, b| a < b), "out of order or twice");
            let have: BTreeSet<u64> = found.iter().copied().collect();
            let missing = told.iter().filter(|n| !have.contains(n)).count();
            assert_eq!(missing, 0, "round {round}, thread {thread}, of {}", told.len());
            let known: BTreeSet<u64> = told.iter().copied().collect();
            let more: Vec<_> = found.iter().filter(|n| !known.contains(n)).collect();
            assert!(more.len() <= 1, "{more:?} behind {:?}", told.last());
            assert!(more.iter().all(|n| Some(*n) > told.last()));
        }

        dissect(directory.path(), None);

        // A service that restarts after a crash must just start, and keep what is there.
        let before =
            [fs::read(&log).unwrap(), fs::read(directory.path().join("log.etl.ring")).unwrap()];
        Session::builder("crash").log_file(&log).start().unwrap().stop().unwrap();
        let aside =
            ["log.etl.1", "log.etl.1.ring"].map(|n| fs::read(directory.path().join(n)).unwrap());
        assert!(before == aside);
        assert!(!directory.path().join("log.etl.ring").exists());
    }
}

#[test]
fn a_circular_log_has_the_newest_events_after_a_kill() {
    for round in 1..=times(10) {
        let directory = tempfile::tempdir().unwrap();
        kill("circular", directory.path(), life(round));
        let log = directory.path().join("log.etl");
        for (thread, found) in (0..).zip(found(&log)) {
            let told = told(directory.path(), thread);
            // One more may have been committed, and not told of any more.
            let more = found.iter().filter(|n| Some(*n) > told.last()).count();
            assert!(more <= 1, "round {round}, thread {thread}");
            let found = &found[..found.len() - more];
            // From the youngest back there is no hole; what others overtook altogether has none
            // either. A writer that the kill met when it had a buffer and had not yet emptied it
            // may have left an older one.
            let whole = found.iter().rev().zip(told.iter().rev()).take_while(|(a, b)| a == b);
            let older = found.len() - whole.count();
            assert!(older <= 60, "{older} of {}, round {round}, thread {thread}", found.len());
        }
    }
}

#[test]
fn the_newest_events_are_there_after_a_kill_where_the_oldest_give_way() {
    for round in 1..=times(10) {
        let directory = tempfile::tempdir().unwrap();
        kill("overwrite", directory.path(), life(round));
        let log = directory.path().join("log.etl");
        let places = Trace::open(directory.path().join("log.etl.ring")).unwrap();
        assert!(places.damage().is_empty(), "{:?}", places.damage());
        // Every event is whole: `found` looks at each byte.
        for (thread, found) in (0..).zip(found(&log)) {
            let mut told = told(directory.path(), thread);
            let quiet = told.last() == Some(&QUIET);
            told.retain(|n| *n != QUIET);
            assert!(found.is_sorted_by(|a, b| a < b), "out of order or twice");
            let known: BTreeSet<u64> = told.iter().copied().collect();
            let more = found.iter().filter(|n| !known.contains(n)).count();
            assert!(more <= usize::from(!quiet), "{more} that nobody told of, round {round}");
            // The newest are in a hand, and nobody takes them from there but to write them.
            if quiet {
                assert_eq!(found.last(), told.last(), "round {round}, thread {thread}");
            }
        }
        dissect(directory.path(), Some("overwriting"));
    }
}

/// What a forked child must not do and may do; run by the test below, in a process of its own,
/// since only a process with one thread may fork and then do as it likes.
#[test]
#[ignore = "run by another one"]
fn forking() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let log = directory.join("parent.etl");
    let session = Session::builder("parent").log_file(&log).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    session.write_classic(&event, &payload(0, 1)).unwrap();

    #[allow(unsafe_code)]
    // SAFETY: the child calls nothing that a lock of another thread could hold up: the flusher holds
    // none while it sleeps, and the allocator looks after itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let refused = session.write_classic(&event, &payload(0, 2)) == Err(Discarded::Forked);
        let flushed = session.flush().is_err();
        // Under the same name: the parent's is not this process's.
        let own = Session::builder("parent").log_file(directory.join("child.etl")).start();
        let own = own.unwrap();
        let accepted = own.write_classic(&event, &payload(1, 3)).is_ok();
        let done = own.stop().is_ok_and(|stats| stats.events_accepted == 1);
        // Of the parent's: nothing happens, and nothing hangs.
        let quiet = session.stop().is_ok();
        std::process::exit(i32::from(!(refused && flushed && accepted && done && quiet)));
    }
    let mut status = 0;
    #[allow(unsafe_code)]
    // SAFETY: waits for the child made above.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0));
    session.write_classic(&event, &payload(0, 4)).unwrap();
    assert!(directory.join("parent.etl.ring").exists());
    assert_eq!(session.stop().unwrap().events_accepted, 2);
    assert_eq!(found(&log)[0], [1, 4]);
    assert_eq!(found(&directory.join("child.etl"))[1], [3]);
}

#[test]
fn a_forked_child_leaves_its_parents_log_alone() {
    let directory = tempfile::tempdir().unwrap();
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::forking", "--ignored", "--test-threads=1"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}
