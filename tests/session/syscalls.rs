//! Single system calls of a real process fail, as strace makes them: nothing else is changed.
#![cfg(target_os = "linux")]

use crate::disk::{DIRECTORY, run};
use crate::replay::{PER_BUFFER, Replay, files, write_all};
use etlring::session::{Session, SessionError, SyncMode};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const EVENTS: u64 = 6 * PER_BUFFER;

/// The child: one session, its account checked against its file.
#[test]
#[ignore = "run by another one"]
fn one_session() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let path = directory.join("log.etl");
    let session = Session::builder("syscalls")
        .log_file(&path)
        .buffer_size(4096)
        .maximum_buffers(16)
        .flush_interval(Duration::ZERO)
        .maximum_file_size_kb(64)
        .preallocate(true)
        .sync(SyncMode::Flush)
        .start();
    let session = match session {
        Ok(session) => session,
        Err(SessionError::Io { error, .. }) => {
            // Nothing is left of a session that did not start.
            assert!(files(&directory).is_empty(), "{error}: {:?}", files(&directory));
            return;
        }
        Err(other) => panic!("{other}"),
    };
    let mut next = 0;
    for more in [30, 5, EVENTS - 35] {
        write_all(&session, next..next + more);
        next += more;
        let _ = session.flush();
    }
    let (stats, error) = match session.stop() {
        Ok(stats) => (stats, None),
        Err(SessionError::Sink { error, stats }) => (stats, Some(error)),
        Err(other) => panic!("{other}"),
    };
    assert_eq!((stats.attempted(), stats.lost.total()), (EVENTS, stats.lost.io));
    assert_eq!(stats.lost.io > 0, stats.buffers_lost > 0);
    assert!(error.is_some() || stats.lost.io == 0);
    // The call that fails may be this one.
    let bytes = std::fs::read(&path).or_else(|_| std::fs::read(&path)).unwrap();
    let log = Replay::of(bytes);
    assert_eq!((log.events.len() as u64, log.torn), (stats.events_accepted, 0), "{error:?}");
    if log.finished {
        assert_eq!(u64::from(log.events_lost), stats.lost.io);
    }
}

/// Runs the child once for each fault. Gives how many came to pass; `None` without strace.
fn matrix(calls: &[&str], errors: &[&str], times: u32) -> Option<usize> {
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut injected = 0;
    for (call, error) in calls.iter().flat_map(|call| errors.iter().map(move |e| (call, e))) {
        for nth in 1..=times {
            let (directory, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
            let trace = out.path().join("trace");
            // Only calls that have to do with these files.
            let (log, ring) = (at("log.etl"), at("log.etl.ring"));
            let mut strace = vec!["strace", "-f", "-qqq", "-o", trace.to_str().unwrap()];
            strace.extend(["-P", &log, "-P", &ring]);
            let fault = format!("inject={call}:error={error}:when={nth}");
            strace.extend(["-e", &fault]);
            if let Err(error) = run("syscalls::one_session", directory.path(), "true", &strace) {
                eprintln!("strace does not work here: {error}");
                return None;
            }
            let trace = std::fs::read_to_string(trace).unwrap();
            injected += usize::from(trace.contains("(INJECTED)"));
        }
    }
    Some(injected)
}

const CALLS: &[&str] =
    &["openat", "pwrite64", "pwritev", "fdatasync", "fsync", "fallocate", "mmap", "ftruncate"];

#[test]
fn a_system_call_may_fail() {
    match matrix(CALLS, &["ENOSPC", "EINTR"], 2) {
        Some(cells) => assert!(cells >= 12, "only {cells} faults came to pass"),
        None => eprintln!("skipped: no strace"),
    }
}

#[test]
#[ignore = "a minute"]
fn every_system_call_may_fail() {
    if let Some(cells) = matrix(CALLS, &["ENOSPC", "EIO", "EINTR", "EDQUOT"], 8) {
        println!("{cells} cells");
    }
}

/// The child of the test below: records, tells of each event that was accepted, and ends.
#[test]
#[ignore = "run by another one"]
fn one_session_that_tells() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let mut told = std::fs::File::create(directory.join("told")).unwrap();
    let session = Session::builder("syscalls")
        .log_file(directory.join("log.etl"))
        .buffer_size(4096)
        .maximum_buffers(16)
        .flush_interval(Duration::ZERO)
        .start()
        .unwrap();
    for n in 0..EVENTS {
        write_all(&session, n..n + 1);
        told.write_all(&n.to_le_bytes()).unwrap();
        if n % 8 == 4 {
            session.flush().unwrap();
        }
    }
    session.stop().unwrap();
}

/// Kills the child at each call that has to do with its log or the ring, entering or leaving it.
#[test]
fn a_kill_at_any_system_call_loses_nothing() {
    let me = std::env::current_exe().unwrap();
    let mut kills = 0;
    for nth in 1.. {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let ran = Command::new("strace")
            .args([
                "-f",
                "-qqq",
                "-o",
                "/dev/null",
                "-P",
                &at("log.etl"),
                "-P",
                &at("log.etl.ring"),
            ])
            .args(["-e", &format!("inject=all:signal=SIGKILL:when={nth}")])
            .arg(&me)
            .args(["--exact", "syscalls::one_session_that_tells", "--ignored"])
            .env(DIRECTORY, directory.path())
            .output();
        let Ok(ran) = ran else {
            eprintln!("skipped: no strace");
            return;
        };
        let text = String::from_utf8_lossy(&ran.stdout);
        let ended = text.contains("1 passed");
        if !ended && ran.status.success() || text.contains("FAILED") {
            panic!("{nth}: {text}\n{}", String::from_utf8_lossy(&ran.stderr));
        }
        if !ended && nth == 1 && !directory.path().join("told").exists() {
            eprintln!("skipped: strace does not work here");
            return;
        }
        let told =
            std::fs::read(directory.path().join("told")).unwrap_or_default().len() as u64 / 8;
        let found = match etlring::reader::Trace::open(at("log.etl")) {
            Ok(trace) => Replay::of_trace(&trace).events,
            // It was killed before there was a log.
            Err(error) => {
                assert_eq!(told, 0, "{nth}: {error}");
                Vec::new()
            }
        };
        let more = found.len() as u64 - told.min(found.len() as u64);
        assert!(found.len() as u64 >= told && more <= 1, "{nth}: {} of {told}", found.len());
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>(), "{nth}");
        if ended {
            assert_eq!(told, EVENTS);
            break;
        }
        kills += 1;
    }
    println!("{kills} kills");
    assert!(kills > 25, "only {kills} kills");
}
