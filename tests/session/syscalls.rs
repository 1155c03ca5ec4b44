//! Single system calls of a real process fail, as strace makes them: nothing else is changed.
#![cfg(target_os = "linux")]

use crate::disk::{DIRECTORY, run};
use crate::replay::{PER_BUFFER, Replay, files, write_all};
use etlring::session::{Session, SessionError, SyncMode};
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
    &["openat", "pwrite64", "fdatasync", "fsync", "fallocate", "mmap", "ftruncate"];

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
