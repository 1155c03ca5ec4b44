//! Processes that are killed at every system call that they make while one is attached to the other.
//!
//! Whichever of the two it is, and wherever: what an attached process was told to be accepted is
//! there exactly once, nothing else is, and whoever comes next is served. The places are counted
//! over all threads of a process, each call twice: entered and left.

use crate::attach::{EVENT, NAME, files, found, line, payload, role_of, told, until, words};
use crate::tracer::{Traced, kill_at};
use crate::{Ending, FIGURES, alone};
use etlring::reader::{Positioned, Recovery, RingCopy, ring_path};
use etlring::session::{Session, SessionError};
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Numbers of events: some before a flush, enough for several buffers, some more.
const EVENTS: u64 = 1200;
/// Places between two that are tried where not all are.
const STRIDE: u32 = 23;

fn owner(directory: &Path, log: &str) -> (Session, PathBuf) {
    let log = directory.join(log);
    let builder = Session::builder(NAME).log_file(&log).controllable().buffer_size(16 * 1024);
    // Flushes come when they are asked for, so that two runs are much the same.
    let session = builder.maximum_buffers(8).flush_interval(Duration::ZERO).start().unwrap();
    (session, log)
}

/// Attaches to the session, logs, flushes, detaches; each event that was accepted goes to `accepted`.
fn visit(process: u32, mut accepted: impl FnMut(u64)) -> Result<Result<(), SessionError>, ()> {
    let session = Session::attach(NAME).maximum_buffers(8).start().map_err(drop)?;
    for number in 0..EVENTS {
        if session.write_classic(&EVENT, &payload(process, 0, number)).is_ok() {
            accepted(number);
        }
        if number == 5 || number == EVENTS - 5 {
            let _ = session.flush();
        }
    }
    Ok(session.stop().map(drop))
}

/// The attached process of the first test. It tells of what was accepted in pieces: a kill at a call
/// that tells is a kill of the test's own.
#[test]
#[ignore = "run by others"]
fn visitor() {
    let Some(words) = words() else { return };
    let process = words[0].parse().unwrap();
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let path = directory.with_file_name(format!("told.{process}.0"));
    let mut told = OpenOptions::new().create_new(true).append(true).open(path).unwrap();
    println!("\nready");
    let mut word = String::new();
    std::io::stdin().read_line(&mut word).unwrap();
    let mut kept = Vec::new();
    let stopped = visit(process, |number| {
        kept.extend(number.to_le_bytes());
        if number < 8 || number % 100 == 0 || number + 8 > EVENTS {
            told.write_all(&kept).unwrap();
            kept.clear();
        }
    });
    stopped.unwrap().unwrap();
    std::process::exit(0);
}

/// Starts a role that waits for a word, has it traced and killed at its `nth` place, and does
/// something meanwhile that is told when it may begin.
fn traced<R>(
    name: &str,
    directory: &Path,
    word: &str,
    nth: u32,
    meanwhile: impl FnOnce(&mut Ending) -> R,
) -> Option<(Traced, R)> {
    let mut child = Ending(role_of(name, directory, &[word]));
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    line(&mut out, "ready");
    let (id, (go, begun)) = (i32::try_from(child.0.id()).unwrap(), std::sync::mpsc::channel());
    std::thread::scope(move |scope| {
        let tracer = scope.spawn(move || kill_at(id, nth, || go.send(()).unwrap()));
        // Not sent where nothing can be traced.
        let result = begun.recv().ok().map(|()| meanwhile(&mut child));
        let traced = tracer.join().unwrap()?;
        // The tracer has waited for it, so nobody else can, and its number may be another's.
        drop(child.0.stdin.take());
        std::mem::forget(child);
        assert!(traced.killed || traced.status == 0, "{nth}: {traced:?}");
        Some((traced, result?))
    })
}

/// Every `stride`th place of an attached process.
fn kill_visitors(directory: &Path, stride: u32) {
    let (session, log) = owner(directory, "log.etl");
    let (mut kills, mut attached, mut begun) = (0u64, 0u64, 0u64);
    for nth in (1..).step_by(stride as usize) {
        let word = nth.to_string();
        let ran = traced("killed::visitor", directory, &word, nth, |child| {
            child.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
        });
        let Some((traced, ())) = ran else { return };
        until(&format!("leaving ({nth})"), || session.attached().processes == 0);
        until(&format!("end of its ring ({nth})"), || files(directory, ".ring").is_empty());
        let stats = session.attached();
        let now = stats.died + stats.detached;
        // It is counted from when its ring is there, a moment before it may log.
        let logged = !told(directory, nth, 0).is_empty();
        until(&format!("end in the counts ({nth})"), || {
            let stats = session.attached();
            stats.died + stats.detached >= attached + u64::from(logged)
        });
        assert!(now <= attached + 1, "{nth}: {stats:?}");
        attached = now.max(attached + u64::from(logged));
        begun += u64::from(logged);
        if !traced.killed {
            break;
        }
        kills += 1;
    }
    let attached = session.attached();
    assert_eq!(attached.damage.total(), 0, "{attached:?}");
    assert!(attached.died >= begun / 2 && attached.died + attached.detached >= begun);
    session.stop().unwrap();
    let mut found = found(&log);
    for nth in (1..=kills as u32 * stride + 1).step_by(stride as usize) {
        let (told, found) = (told(directory, nth, 0), found.remove(&(nth, 0)).unwrap_or_default());
        // Those that were told of, and perhaps some that could not be told any more.
        let whole = found.starts_with(&told) && found.is_sorted_by(|a, b| a < b);
        assert!(whole, "{nth}: {} told, {} found", told.len(), found.len());
        assert!(found.last().is_none_or(|last| *last < EVENTS), "{nth}: made up");
    }
    assert!(found.is_empty());
    println!(
        "\n{FIGURES}an attached process was killed at {kills} places, {begun} of them after its first event"
    );
    assert!(kills > 150 / u64::from(stride), "only {kills} kills");
}

#[test]
fn an_attached_process_may_be_killed_at_a_system_call() {
    alone("killed::an_attached_process_may_be_killed_at_a_system_call", |directory| {
        kill_visitors(directory, STRIDE);
    });
}

#[test]
#[ignore = "a minute"]
fn an_attached_process_may_be_killed_at_every_system_call() {
    alone("killed::an_attached_process_may_be_killed_at_every_system_call", |directory| {
        kill_visitors(directory, 1);
    });
}

/// The owner of the second test.
#[test]
#[ignore = "run by others"]
fn visited() {
    let Some(words) = words() else { return };
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let (session, _) = owner(directory.parent().unwrap(), &format!("{}.etl", words[0]));
    println!("\nready");
    let mut word = String::new();
    let _ = std::io::stdin().read_line(&mut word);
    session.stop().unwrap();
    std::process::exit(0);
}

/// Numbers of the events of a process in what `recover` makes of a log and its ring, or of a ring.
fn recovered(log: Option<&Path>, ring: Option<&Path>, process: u32) -> Vec<u64> {
    let open = |path: &Path| Positioned::new(File::open(path).unwrap()).unwrap();
    let log = log.map(open);
    let mut recovery = Recovery::new();
    if let Some(log) = &log {
        recovery = recovery.log(log);
    }
    if let Some(ring) = ring {
        recovery = recovery.ring(RingCopy::take(&open(ring)).unwrap());
    }
    let out = tempfile::NamedTempFile::new().unwrap();
    let salvage = recovery.examine().unwrap();
    assert!(salvage.report().left_out.is_empty(), "{:?}", salvage.report());
    salvage.write(&mut out.as_file()).unwrap();
    found(out.path()).remove(&(process, 0)).unwrap_or_default()
}

/// Every `stride`th place of an owner, from before another process attaches to its own end.
fn kill_owners(directory: &Path, stride: u32) {
    let (mut kills, mut left) = (0u64, 0u64);
    for nth in (1..).step_by(stride as usize) {
        let word = nth.to_string();
        let ran = traced("killed::visited", directory, &word, nth, |child| {
            let mut accepted = BTreeSet::new();
            let result = visit(nth, |number| assert!(accepted.insert(number)));
            // Ends the owner if it lives.
            drop(child.0.stdin.take());
            (accepted, result)
        });
        let Some((traced, (accepted, result))) = ran else { return };
        let log = directory.join(format!("{word}.etl"));
        let ring = ring_path(&log);
        let ring = Some(&*ring).filter(|ring| ring.exists());
        let in_log = recovered(Some(&log), ring, nth);
        let rings = files(directory, ".ring");
        let in_ring = match &rings[..] {
            [] => Vec::new(),
            [ring] => {
                let numbers = recovered(None, Some(ring), nth);
                fs::remove_file(ring).unwrap();
                left += 1;
                numbers
            }
            _ => panic!("{nth}: {rings:?}"),
        };
        for numbers in [&in_log, &in_ring] {
            assert!(numbers.is_sorted_by(|a, b| a < b), "{nth}: out of order or twice");
            assert!(numbers.iter().all(|number| accepted.contains(number)), "{nth}: made up");
        }
        let have: BTreeSet<u64> = [in_log, in_ring].concat().into_iter().collect();
        assert_eq!(have, accepted, "{nth}: {result:?}");
        match result {
            Ok(Ok(())) => assert!(rings.is_empty(), "{nth}: {rings:?}"),
            Ok(Err(SessionError::OwnerGone { stats })) => {
                assert_eq!(stats.attempted(), EVENTS, "{nth}");
                assert_eq!(stats.events_accepted, accepted.len() as u64, "{nth}");
                // None is left where the owner had everything, and could not say so any more.
            }
            Ok(Err(error)) => panic!("{nth}: {error}"),
            // It was not attached.
            Err(()) => assert!(rings.is_empty(), "{nth}: {rings:?}"),
        }
        if !traced.killed {
            assert!(result.is_ok_and(|stopped| stopped.is_ok()), "{nth}");
            break;
        }
        kills += 1;
    }
    println!(
        "\n{FIGURES}an owner was killed at {kills} places; {left} rings were left and recovered"
    );
    assert!(kills > 150 / u64::from(stride), "only {kills} kills");
    assert!(left > kills / 10, "{left} rings were left");
}

#[test]
fn an_owner_may_be_killed_at_a_system_call() {
    alone("killed::an_owner_may_be_killed_at_a_system_call", |directory| {
        kill_owners(directory, STRIDE);
    });
}

#[test]
#[ignore = "minutes"]
fn an_owner_may_be_killed_at_every_system_call() {
    alone("killed::an_owner_may_be_killed_at_every_system_call", |directory| {
        kill_owners(directory, 1);
    });
}
