//! The process around a session: programs that it starts, and its end.
#![cfg(unix)]

use bytes::BufMut;
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::session::{ClassicEvent, Discarded, Session};
use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const DIRECTORY: &str = "ETLRING_PROCESS_DIRECTORY";
const EVENT: ClassicEvent = ClassicEvent::new(Guid::from_u128(11), 10, 4);

/// Runs an ignored test of this file in a process of its own.
fn child(test: &str, directory: &std::path::Path) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn programs_that_the_process_starts_inherit_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = Session::builder(&crate::name("exec")).log_file(&path).start().unwrap();
    session.write_classic(&EVENT, b"before").unwrap();
    session.flush().unwrap();
    let files = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let files = String::from_utf8(files.stdout).unwrap();
    let own = std::fs::read_dir("/proc/self/fd").unwrap();
    let own = own.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    assert!(own.into_iter().any(|file| file == path), "this process has the log open");
    assert!(files.contains("->") && !files.contains("log.etl"), "{files}");
    session.stop().unwrap();
}

static SESSION: OnceLock<Session> = OnceLock::new();

extern "C" fn at_exit() {
    if let Some(session) = SESSION.get() {
        // A thread that is ending has no thread-locals any more; this one has, or has not.
        session.write_classic(&EVENT, &2u32.to_le_bytes()).unwrap();
    }
}

/// Exits with a session that nobody stops; run by the test below.
#[test]
#[ignore = "run by another one"]
fn exiting() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let builder = Session::builder("exits").log_file(directory.join("log.etl"));
    let session = SESSION.get_or_init(|| builder.start().unwrap());
    #[allow(unsafe_code)]
    // SAFETY: the function takes nothing and is there until the process ends.
    let registered = unsafe { libc::atexit(at_exit) };
    assert_eq!(registered, 0);
    session.write_classic(&EVENT, &1u32.to_le_bytes()).unwrap();
    std::process::exit(7);
}

#[test]
fn an_exit_loses_nothing_and_its_handlers_may_log() {
    let directory = tempfile::tempdir().unwrap();
    let output = child("process::exiting", directory.path());
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    // Nobody stopped it, so part of it is in the ring.
    let trace = Trace::open(directory.path().join("log.etl")).unwrap();
    assert!(trace.ring().is_joined());
    let mut events = Vec::new();
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if view.provider() == Some(EVENT.class) {
            events.push(view.payload().to_vec());
        }
    }
    assert_eq!(events, [1u32.to_le_bytes(), 2u32.to_le_bytes()]);
}

/// Commits a reservation of its parent's, as a forked child; run by the test below.
#[test]
#[ignore = "run by another one"]
fn forking() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let path = directory.join("log.etl");
    let session = Session::builder("forks").log_file(&path).start().unwrap();
    session.write_classic(&EVENT, b"before").unwrap();
    let mut record = session.reserve_classic(&EVENT, 16).unwrap();
    record.put_slice(b"reserved");
    let (go, mut gone) = std::os::unix::net::UnixStream::pair().unwrap();
    #[allow(unsafe_code)]
    // SAFETY: the child calls nothing that a lock of another thread could hold up: the flusher holds
    // none while it sleeps, and the allocator looks after itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(go);
        // The parent has gone on in the same buffer.
        let _ = gone.read(&mut [0]);
        let refused = record.commit() == Err(Discarded::Forked);
        std::process::exit(i32::from(!refused));
    }
    record.commit().unwrap();
    for _ in 0..100 {
        session.write_classic(&EVENT, b"behind").unwrap();
    }
    drop(go);
    let mut status = 0;
    #[allow(unsafe_code)]
    // SAFETY: waits for the child made above.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0));
    session.write_classic(&EVENT, b"last").unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 103);
    let trace = Trace::open(&path).unwrap();
    let mut records = trace.by_time();
    let mut found = Vec::new();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if view.provider() == Some(Guid::from_u128(11)) {
            found.push(view.payload().to_vec());
        }
    }
    assert_eq!(
        (found.len(), &found[1][..], &found[102][..]),
        (103, &b"reserved"[..], &b"last"[..])
    );
}

#[test]
fn a_reservation_is_not_committed_by_a_forked_child() {
    let directory = tempfile::tempdir().unwrap();
    let output = child("process::forking", directory.path());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
