//! Events from a signal handler, in the middle of events of the thread that it interrupts.
#![cfg(unix)]

use crate::allocations::allocations;
use crate::replay::Replay;
use etlring::format::Guid;
use etlring::session::{ClassicEvent, Session, SessionHandle};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static SESSION: OnceLock<SessionHandle> = OnceLock::new();
static HANDLED: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
const EVENT: ClassicEvent = ClassicEvent::new(Guid::from_u128(9), 10, 4);

extern "C" fn handler(_: libc::c_int) {
    if let Some(session) = SESSION.get() {
        let before = allocations();
        let _ = session.write_classic(&EVENT, b"from the handler");
        ALLOCATED.fetch_add(allocations() - before, Ordering::Relaxed);
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_signal_handler_may_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = Session::builder(&crate::name("signals")).log_file(&path).start().unwrap();
    // The first event of a thread takes a lane, which may allocate.
    session.write_classic(&EVENT, b"first").unwrap();
    assert!(SESSION.set(session.handle()).is_ok());
    let action = handler as extern "C" fn(libc::c_int);
    #[allow(unsafe_code)]
    // SAFETY: the handler does what its own test shows that a handler may do.
    let before = unsafe { libc::signal(libc::SIGUSR1, action as libc::sighandler_t) };
    assert_ne!(before, libc::SIG_ERR);

    // A signal sent while one is pending is the same signal, so the sender waits for its handler.
    let signals = 1_000;
    #[allow(unsafe_code)]
    // SAFETY: the thread that asks lives until the other one is joined.
    let me = unsafe { libc::pthread_self() } as usize;
    let sender = std::thread::spawn(move || {
        for sent in 1..=signals {
            #[allow(unsafe_code)]
            // SAFETY: the thread still runs, see above.
            unsafe {
                libc::pthread_kill(me as libc::pthread_t, libc::SIGUSR1);
            }
            while HANDLED.load(Ordering::Relaxed) < sent {
                std::thread::yield_now();
            }
        }
    });
    let mut events = 0;
    while !sender.is_finished() {
        let _ = session.write_classic(&EVENT, b"of the thread");
        events += 1;
    }
    sender.join().unwrap();

    let handled = HANDLED.load(Ordering::Relaxed);
    assert_eq!(handled, signals);
    assert_eq!(ALLOCATED.load(Ordering::Relaxed), 0);
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), 1 + events + handled);
    assert_eq!(stats.events_accepted + stats.lost.total(), stats.attempted());
    assert!(Replay::whole(&path).finished);
}
