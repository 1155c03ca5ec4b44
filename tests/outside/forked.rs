//! A process that forks while it is attached, or while others are attached to it, and then dies: its
//! child has the connection open for as long as it lives, and the lock on the ring file.

use crate::attach::{EVENT, NAME, files, found, line, owner, payload, role_of, until, words};
use crate::{Ending, alone};
use etlring::session::{Session, SessionError};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

const EVENTS: u64 = 500;

/// Forks a child that lives until the standard input ends, and then waits to be killed.
#[allow(unsafe_code)]
fn fork_and_wait() -> ! {
    // SAFETY: the child only waits and ends, in calls that may be made after a fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no child");
    if child == 0 {
        // What it calls is async-signal-safe, and it does not return.
        loop {
            let mut byte = 0u8;
            // SAFETY: one byte is read into one byte.
            if unsafe { libc::read(0, (&raw mut byte).cast(), 1) } < 1 {
                // SAFETY: always.
                unsafe { libc::_exit(0) }
            }
        }
    }
    println!("\nforked");
    loop {
        std::thread::park();
    }
}

/// Attaches, logs, some of it flushed and some not, forks.
#[test]
#[ignore = "run by others"]
fn attached_parent() {
    if words().is_none() {
        return;
    }
    let session = Session::attach(NAME).start().unwrap();
    for number in 0..EVENTS {
        session.write_classic(&EVENT, &payload(1, 0, number)).unwrap();
        if number == EVENTS / 2 {
            session.flush().unwrap();
        }
    }
    fork_and_wait();
}

#[test]
fn the_death_of_an_attached_process_is_seen_while_its_child_lives() {
    alone("forked::the_death_of_an_attached_process_is_seen_while_its_child_lives", |directory| {
        let (session, log) = owner(directory);
        let mut parent = Ending(role_of("forked::attached_parent", directory, &[]));
        let mut out = BufReader::new(parent.0.stdout.take().unwrap());
        line(&mut out, "forked");
        let mut alive = parent.0.stdin.take().unwrap();
        parent.0.kill().unwrap();
        parent.0.wait().unwrap();
        until("the end of the process", || session.attached().died == 1);
        // The child is there, or this could not be written.
        alive.write_all(b"x").unwrap();
        assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
        assert_eq!(session.attached().damage.total(), 0);
        session.stop().unwrap();
        assert_eq!(found(&log)[&(1, 0)], (0..EVENTS).collect::<Vec<_>>());
    });
}

/// Owns the session, forks when something was logged.
#[test]
#[ignore = "run by others"]
fn owning_parent() {
    if words().is_none() {
        return;
    }
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let (session, _) = owner(directory.parent().unwrap());
    println!("\nowning");
    until("an attached process", || session.attached().processes == 1);
    fork_and_wait();
}

#[test]
fn the_death_of_an_owner_is_seen_while_its_child_lives() {
    alone("forked::the_death_of_an_owner_is_seen_while_its_child_lives", |directory: &Path| {
        let mut parent = Ending(role_of("forked::owning_parent", directory, &[]));
        let mut out = BufReader::new(parent.0.stdout.take().unwrap());
        line(&mut out, "owning");
        let session = Session::attach(NAME).start().unwrap();
        line(&mut out, "forked");
        let mut alive = parent.0.stdin.take().unwrap();
        parent.0.kill().unwrap();
        parent.0.wait().unwrap();
        until("the end of the session", || !session.is_enabled());
        alive.write_all(b"x").unwrap();
        let Err(SessionError::OwnerGone { .. }) = session.stop() else { panic!("no error") };
    });
}
