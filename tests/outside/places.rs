//! What lies, or was put, where sessions have their entries.

use super::{Ending, again, alone, passed};
use crate::attach::until;
use etlring::format::{EventDescriptor, Guid};
use etlring::outside::{self, AttachError, DirectoryFault, Found, OutsideError};
use etlring::reader::Trace;
use etlring::session::{Discarded, Event, Session, SessionError};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

const PROVIDER: Guid = Guid::from_u128(0x7d2b_9c54_0e18_4f6a_8b3d_51c0_96ae_f273);

/// Why a session in `directory` does not start; it leaves no log then.
fn refusal(directory: &Path, name: &str) -> OutsideError {
    let log = directory.join("log.etl");
    let error = Session::builder(name).log_file(&log).controllable().start().unwrap_err();
    let SessionError::Io { error, .. } = error else { panic!("{error:?}") };
    assert!(!log.exists() && !directory.join("log.etl.ring").exists());
    *error.into_inner().unwrap().downcast().unwrap()
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

fn run(directory: &Path) -> std::path::PathBuf {
    let run = directory.join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
    run
}

#[test]
fn a_directory_that_is_not_the_users_alone_is_refused() {
    alone("places::a_directory_that_is_not_the_users_alone_is_refused", |directory| {
        let run = directory.join("run");
        let faults = |fault: DirectoryFault| {
            let refused = refusal(directory, "web");
            let is = |e: &OutsideError| matches!(e, OutsideError::Directory(_, f) if *f == fault);
            assert!(is(&refused), "{refused:?}");
            let refused = outside::connect("web").unwrap_err();
            assert!(is(&refused), "{refused:?}");
            let refused = outside::list().unwrap_err();
            assert!(is(&refused), "{refused:?}");
        };
        fs::write(&run, "mine").unwrap();
        faults(DirectoryFault::NoDirectory);
        assert_eq!(fs::read(&run).unwrap(), b"mine");
        fs::remove_file(&run).unwrap();

        fifo(&run);
        faults(DirectoryFault::NoDirectory);
        assert!(fs::symlink_metadata(&run).unwrap().file_type().is_fifo());
        fs::remove_file(&run).unwrap();

        let other = directory.join("other");
        fs::create_dir(&other).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o700)).unwrap();
        symlink(&other, &run).unwrap();
        faults(DirectoryFault::Link);
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
        fs::remove_file(&run).unwrap();

        symlink(directory.join("nowhere"), &run).unwrap();
        faults(DirectoryFault::Link);
        assert!(!directory.join("nowhere").exists());
        fs::remove_file(&run).unwrap();

        fs::create_dir(&run).unwrap();
        for mode in [0o755, 0o770, 0o701] {
            fs::set_permissions(&run, Permissions::from_mode(mode)).unwrap();
            faults(DirectoryFault::Mode(mode));
        }
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    });
}

#[test]
fn what_is_no_entry_is_left_alone() {
    alone("places::what_is_no_entry_is_left_alone", |directory| {
        let run = run(directory);
        let victim = directory.join("victim");
        for (name, is_lock) in [("web.lock", true), ("web.sock", false)] {
            let path = run.join(name);
            let planted = |what: &str| {
                let refused = refusal(directory, "web");
                assert!(
                    matches!(&refused, OutsideError::Planted(found) if *found == path),
                    "{what} at {name}: {refused:?}"
                );
                // Who looks is not made to wait either.
                let _ = outside::connect("web").unwrap_err();
                let _ = outside::list().unwrap();
                assert!(!outside::remove_dead("web").unwrap_or(false), "{what} at {name}");
            };
            fs::write(&victim, "precious").unwrap();
            symlink(&victim, &path).unwrap();
            planted("link");
            assert_eq!(fs::read_link(&path).unwrap(), victim);
            fs::remove_file(&path).unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"precious");

            symlink(directory.join("nowhere"), &path).unwrap();
            planted("link to nothing");
            assert!(!directory.join("nowhere").exists());
            fs::remove_file(&path).unwrap();

            fifo(&path);
            planted("pipe");
            assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
            fs::remove_file(&path).unwrap();

            fs::create_dir(&path).unwrap();
            planted("directory");
            assert!(fs::symlink_metadata(&path).unwrap().is_dir());
            fs::remove_dir(&path).unwrap();

            if is_lock {
                fs::hard_link(&victim, &path).unwrap();
                planted("second name");
                assert_eq!(fs::read(&path).unwrap(), b"precious");
                fs::remove_file(&path).unwrap();
                let _socket = UnixListener::bind(&path).unwrap();
                planted("socket");
                fs::remove_file(&path).unwrap();
            } else {
                fs::write(&path, "mine").unwrap();
                planted("file");
                assert_eq!(fs::read(&path).unwrap(), b"mine");
                fs::remove_file(&path).unwrap();
            }
            fs::remove_file(&victim).unwrap();
        }
        let log = directory.join("log.etl");
        let session = Session::builder("web").log_file(&log).controllable().start().unwrap();
        session.stop().unwrap();
    });
}

#[test]
fn names_that_are_paths_are_refused() {
    alone("places::names_that_are_paths_are_refused", |directory| {
        let long = "a".repeat(65);
        for name in ["../web", "a/b", ".", "..", ".web", "a\\b", "a\nb", "a\u{7f}", &long] {
            let refused = refusal(directory, name);
            assert!(matches!(refused, OutsideError::Name(_)), "{name}: {refused:?}");
            let refused = outside::connect(name).unwrap_err();
            assert!(matches!(refused, OutsideError::Name(_)), "{name}: {refused:?}");
        }
        assert!(!directory.join("run").exists());
    });
}

/// Starts a role that tells when it is ready, and waits for that.
fn started(role: &str, directory: &Path) -> (Ending, BufReader<ChildStdout>, String) {
    let mut command = again(role, directory);
    let mut child = Ending(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") && !line.contains("in use") {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "{role} said nothing");
    }
    (child, out, line)
}

#[test]
#[ignore = "a part of other tests"]
fn role_recorder() {
    if std::env::var(super::INSIDE).as_deref() != Ok("places::role_recorder") {
        return;
    }
    let run = std::env::var_os("ETLRING_DIR").unwrap();
    let log = Path::new(&run).with_file_name(format!("{}.etl", std::process::id()));
    match Session::builder("Recorder").log_file(&log).controllable().start() {
        Ok(session) => {
            let event = Event::new(PROVIDER, EventDescriptor::new(1, 4));
            for number in 0..100u64 {
                session.write_event(&event, &number.to_le_bytes()).unwrap();
            }
            println!("ready");
            let _ = std::io::stdin().read(&mut [0]);
            session.stop().unwrap();
        }
        Err(SessionError::NameInUse(_)) => println!("in use"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_dead_are_told_from_the_living_and_replaced() {
    alone("places::the_dead_are_told_from_the_living_and_replaced", |directory| {
        let (mut child, _out, _) = started("places::role_recorder", directory);
        let pid = child.0.id();
        let log = directory.join(format!("{pid}.etl"));
        assert!(!outside::remove_dead("recorder").unwrap());
        child.0.kill().unwrap();
        child.0.wait().unwrap();

        let error = outside::connect("RECORDER").unwrap_err();
        let OutsideError::Dead(dead) = error else { panic!("{error:?}") };
        assert_eq!(dead.name, "Recorder");
        assert_eq!((dead.process_id, dead.log_file.as_deref()), (pid, Some(&*log)));
        let [Found::Dead(listed)] = &outside::list().unwrap()[..] else { panic!() };
        assert_eq!(*listed, *dead);
        // Looking has changed nothing.
        assert!(directory.join("run/recorder.lock").exists());
        assert!(directory.join("run/recorder.sock").exists());

        let next = directory.join("next.etl");
        let session = Session::builder("recorder").log_file(&next).controllable().start().unwrap();
        let status = outside::connect("recorder").unwrap().query().unwrap();
        assert_eq!(status.process_id, std::process::id());
        session.stop().unwrap();
        assert_eq!(fs::read_dir(directory.join("run")).unwrap().count(), 0);
        // What the dead one had committed is all there.
        assert_eq!(events(&log), 100);
    });
}

#[test]
fn the_dead_can_be_forgotten() {
    alone("places::the_dead_can_be_forgotten", |directory| {
        let (mut child, _out, _) = started("places::role_recorder", directory);
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        // An entry that was torn is still one of the dead.
        fs::write(directory.join("run/recorder.lock"), [1, 0, 0]).unwrap();
        let error = outside::connect("recorder").unwrap_err();
        let OutsideError::Dead(dead) = error else { panic!("{error:?}") };
        assert_eq!((&*dead.name, dead.process_id, dead.log_file), ("recorder", 0, None));
        assert!(outside::remove_dead("Recorder").unwrap());
        assert!(!outside::remove_dead("recorder").unwrap());
        assert!(outside::list().unwrap().is_empty());
        assert_eq!(fs::read_dir(directory.join("run")).unwrap().count(), 0);
    });
}

#[test]
fn of_many_that_race_for_a_name_one_has_it() {
    alone("places::of_many_that_race_for_a_name_one_has_it", |directory| {
        for _ in 0..4 {
            let racers: Vec<_> = std::thread::scope(|scope| {
                let race = || scope.spawn(|| started("places::role_recorder", directory));
                let racers: Vec<_> = (0..4).map(|_| race()).collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            let winners = racers.iter().filter(|(_, _, line)| line.contains("ready")).count();
            assert_eq!(winners, 1);
            for (mut child, mut out, line) in racers {
                drop(child.0.stdin.take());
                let mut told = line.into_bytes();
                out.read_to_end(&mut told).unwrap();
                let status = child.0.wait().unwrap();
                let output = std::process::Output { status, stdout: told, stderr: Vec::new() };
                passed("places::role_recorder", &output);
            }
            assert_eq!(fs::read_dir(directory.join("run")).unwrap().count(), 0);
        }
    });
}

#[test]
fn a_session_may_be_stopped_while_writers_write() {
    alone("places::a_session_may_be_stopped_while_writers_write", |directory| {
        let log = directory.join("log.etl");
        let session = Session::builder("busy").log_file(&log).controllable().start().unwrap();
        let (accepted, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        let begun = std::sync::Barrier::new(5);
        let last = std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let event = Event::new(PROVIDER, EventDescriptor::new(1, 4));
                    let mut number = 0u64;
                    loop {
                        match session.write_event(&event, &number.to_le_bytes()) {
                            Ok(()) => accepted.fetch_add(1, Ordering::Relaxed),
                            Err(Discarded::Stopped) => break,
                            Err(_) => lost.fetch_add(1, Ordering::Relaxed),
                        };
                        number += 1;
                        if number == 100 {
                            begun.wait();
                        }
                    }
                });
            }
            begun.wait();
            outside::connect("busy").unwrap().stop().unwrap()
        });
        let stats = session.stop().unwrap();
        assert_eq!(stats.events_accepted, accepted.into_inner());
        assert_eq!(stats.lost.total(), lost.into_inner());
        assert_eq!(last.properties.stats.buffers_written, stats.buffers_written);
        assert_eq!(events(&log), stats.events_accepted);
    });
}

fn events(log: &Path) -> u64 {
    let trace = Trace::open(log).unwrap();
    let mut records = trace.by_time();
    let mut events = 0;
    while let Some(record) = records.next() {
        events += u64::from(record.unwrap().view().unwrap().provider() == Some(PROVIDER));
    }
    events
}

/// The user that has nothing.
const NOBODY: u32 = 65_534;

#[test]
fn another_user_gets_nothing() {
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    alone("places::another_user_gets_nothing", |directory| {
        // Open up to the directory itself, which must keep them out.
        fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
        let exe = directory.join("tests");
        fs::copy(std::env::current_exe().unwrap(), &exe).unwrap();
        let log = directory.join("log.etl");
        let session = Session::builder("mine").log_file(&log).controllable().start().unwrap();
        let as_nobody = |role: &str| {
            let role = format!("places::{role}");
            let like_us = again(&role, directory);
            let mut command = std::process::Command::new(&exe);
            command
                .args(like_us.get_args())
                .envs(like_us.get_envs().filter_map(|(k, v)| Some((k, v?))));
            let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
            passed(&role, &output);
        };
        as_nobody("role_stranger");
        // Were the directory open, the session itself would look who is there.
        let run = directory.join("run");
        fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
        as_nobody("role_stranger");
        let sock = run.join("mine.sock");
        fs::set_permissions(&sock, Permissions::from_mode(0o666)).unwrap();
        as_nobody("role_caller");
        fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(outside::connect("mine").unwrap().query().unwrap().providers_enabled, 0);
        session.stop().unwrap();
    });
}

#[test]
#[ignore = "a part of other tests"]
fn role_stranger() {
    if std::env::var(super::INSIDE).as_deref() != Ok("places::role_stranger") {
        return;
    }
    let owner = |error: &OutsideError| {
        matches!(error, OutsideError::Directory(_, DirectoryFault::Owner(0)))
    };
    let listed = outside::list().unwrap_err();
    assert!(owner(&listed), "{listed:?}");
    let found = outside::connect("mine").unwrap_err();
    assert!(owner(&found), "{found:?}");
    let attached = Session::attach("mine").start().unwrap_err();
    assert!(matches!(&attached, AttachError::Outside(error) if owner(error)), "{attached:?}");
    let started = Session::builder("other").memory_ring().controllable().start().unwrap_err();
    let SessionError::Io { error, .. } = started else { panic!("{started:?}") };
    let error: OutsideError = *error.into_inner().unwrap().downcast().unwrap();
    assert!(owner(&error), "{error:?}");
    let run = std::env::var_os("ETLRING_DIR").unwrap();
    let lock = fs::File::open(Path::new(&run).join("mine.lock")).unwrap_err();
    assert_eq!(lock.kind(), std::io::ErrorKind::PermissionDenied);
    let log = fs::File::open(Path::new(&run).with_file_name("log.etl")).unwrap_err();
    assert_eq!(log.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
#[ignore = "a part of other tests"]
fn role_caller() {
    use etlring::outside::message::{Answer, Request};
    if std::env::var(super::INSIDE).as_deref() != Ok("places::role_caller") {
        return;
    }
    let run = std::env::var_os("ETLRING_DIR").unwrap();
    for request in [Request::Query, Request::Stop] {
        let path = Path::new(&run).join("mine.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        // It may have hung up already.
        let _ = stream.write_all(&request.encode());
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // Where the request crossed the answer the system may drop both.
        if read.is_ok() && !answer.is_empty() {
            let answer = Answer::decode(&answer);
            assert!(matches!(answer, Ok(Answer::Refused(5, _))), "{answer:?}");
        }
    }
}

#[test]
fn who_lost_its_lock_leaves_that_of_its_successor() {
    alone("places::who_lost_its_lock_leaves_that_of_its_successor", |directory| {
        let builder = Session::builder("recorder").log_file(directory.join("first.etl"));
        let first = builder.controllable().start().unwrap();
        // As a cleaner of /tmp does.
        fs::remove_file(directory.join("run/recorder.lock")).unwrap();
        let (mut child, _out, _) = started("places::role_recorder", directory);
        first.stop().unwrap();
        let found = outside::connect("recorder").unwrap().query().unwrap();
        assert_eq!(found.process_id, child.0.id());
        drop(child.0.stdin.take());
        assert!(child.0.wait().unwrap().success());
        assert_eq!(fs::read_dir(directory.join("run")).unwrap().count(), 0);
    });
}

#[test]
fn what_a_cleaner_removed_is_made_again() {
    alone("places::what_a_cleaner_removed_is_made_again", |directory| {
        let session = Session::builder("recorder").log_file(directory.join("log.etl"));
        let session = session.controllable().start().unwrap();
        let run = directory.join("run");
        let (lock, socket) = (run.join("recorder.lock"), run.join("recorder.sock"));
        let entry = fs::read(&lock).unwrap();
        // Whoever calls has the session look after its files; so does a minute.
        let caller = outside::connect("recorder").unwrap();
        fs::remove_file(&lock).unwrap();
        caller.query().unwrap();
        until("the lock is there", || fs::read(&lock).is_ok_and(|now| now == entry));
        let in_use = Session::builder("recorder").log_file(directory.join("other.etl"));
        let in_use = in_use.controllable().start();
        assert!(matches!(in_use, Err(SessionError::NameInUse(_))), "{in_use:?}");
        // Everything, and the directory: a connection outlives it.
        let mut connected = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        fs::remove_dir_all(&run).unwrap();
        connected.write_all(&etlring::outside::message::Request::Query.encode()).unwrap();
        until("the session is found", || {
            matches!(&outside::list().unwrap()[..], [Found::Running(_)])
        });
        assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
        session.stop().unwrap();
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    });
}

#[test]
fn what_lies_behind_an_entry_is_passed_over() {
    alone("places::what_lies_behind_an_entry_is_passed_over", |directory| {
        let session = Session::builder("web").log_file(directory.join("log.etl"));
        let session = session.controllable().start().unwrap();
        let lock = directory.join("run/web.lock");
        let whole = fs::read(&lock).unwrap();
        session.stop().unwrap();
        // A process was killed while it put a shorter entry in the place of a longer one.
        fs::write(&lock, [&whole[..], b"the end of a longer path"].concat()).unwrap();
        fs::set_permissions(&lock, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let found = outside::list().unwrap();
        let [Found::Dead(dead)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(dead.log_file, Some(directory.join("log.etl")));
        assert_eq!(dead.process_id, std::process::id());
    });
}
