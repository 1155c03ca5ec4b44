//! In a forked child the parent's session is no handle to write to.
#![cfg(unix)]

use crate::code;
use etlring::format::MessageFlags;
use etlring::message::{MessageId, trace_message, trace_message_va};
use std::process::Command;

/// Run by the test below, in a process of its own, since only a process with one thread may fork
/// and then do as it likes.
#[test]
#[ignore = "run by another one"]
fn forking() {
    if std::env::var_os("ETLRING_FORKING").is_none() {
        return;
    }
    let (session, log) = crate::session("parent");
    let handle = session.handle();
    let (flags, id) = (MessageFlags::TIMESTAMP, MessageId::None);
    let all = || {
        [
            code(trace_message(&handle, flags, id, 1, &[b"x"])),
            code(trace_message_va(&handle, flags, id, 1, [&b"x"[..]])),
            code(crate::trace_event::plain(&handle)),
            code(crate::instance::plain(&handle)),
        ]
    };
    assert_eq!(all(), [0; 4]);
    #[allow(unsafe_code)]
    // SAFETY: the child calls nothing that a lock of another thread could hold up: the flusher holds
    // none while it sleeps, and the allocator looks after itself.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let refused = all() == [6; 4];
        std::process::exit(i32::from(!refused));
    }
    let mut status = 0;
    #[allow(unsafe_code)]
    // SAFETY: waits for the child made above.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!((waited, status), (pid, 0));
    assert_eq!(all(), [0; 4]);
    assert_eq!(session.stop().unwrap().events_accepted, 8);
    assert_eq!(crate::payloads(&log).len(), 8);
}

/// `trace_message`, `trace_message_va`, `trace_event` and `trace_event_instance` all answer 6.
#[test]
fn in_a_child() {
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "forked::forking", "--ignored", "--test-threads=1"])
        .env("ETLRING_FORKING", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}
