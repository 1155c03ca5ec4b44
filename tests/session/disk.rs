//! A real disk that is full, a limit on the size of files, a log that somebody removed.
#![cfg(unix)]

use crate::replay::{PER_BUFFER, Replay, write_all};
use etlring::session::{FileMode, Session, SessionBuilder, SessionError};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn builder(path: &Path) -> SessionBuilder {
    Session::builder(&crate::name("disk"))
        .log_file(path)
        .buffer_size(4096)
        .flush_interval(Duration::ZERO)
}

#[test]
fn a_log_that_was_removed_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("inside");
    let path = inside.join("log.etl");
    fs::create_dir(&inside).unwrap();
    let session = builder(&path).start().unwrap();
    write_all(&session, 0..2 * PER_BUFFER + 5);
    session.flush().unwrap();
    fs::remove_dir_all(&inside).unwrap();
    // Two buffers were in it; the third is still in the ring.
    assert!(session.flush().is_err());
    assert_eq!(session.query().lost.io, 2 * PER_BUFFER);
    // Of these one becomes full while there is no directory.
    write_all(&session, 100..100 + PER_BUFFER);
    session.flush().unwrap_err();
    fs::create_dir(&inside).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    session.flush().unwrap();
    write_all(&session, 200..205);
    let Err(SessionError::Sink { stats, error }) = session.stop() else { panic!("no error") };
    assert!(error.to_string().ends_with("log.etl was removed"), "{error}");
    assert_eq!((stats.lost.io, stats.buffers_lost), (3 * PER_BUFFER, 3));
    assert_eq!(stats.attempted(), 3 * PER_BUFFER + 10);
    let log = Replay::whole(&path);
    assert_eq!(log.events, (121..126).chain(200..205).collect::<Vec<_>>());
    assert_eq!((u64::from(log.events_lost), log.buffers_lost), (stats.lost.io, 3));
}

/// On ext4 a large file has blocks behind its end while it grows. Nobody sees them but in `du`, and
/// what is finished has none.
#[cfg(target_os = "linux")]
#[test]
fn room_ahead_is_seen_by_nobody_and_given_back() {
    use etlring::sink::storage::{Disk, Storage};
    use std::os::unix::fs::MetadataExt;
    const MIB: u64 = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("grows");
    let mut file = Disk.create(&path).unwrap();
    let room = || fs::metadata(&path).unwrap().blocks() * 512;
    let bytes: Vec<u8> = (0..MIB).map(|at| (at % 251) as u8).collect();
    let mut most = 0;
    for at in 0..20 {
        let written = match at % 2 {
            0 => file.write_at(&bytes, at * MIB).unwrap(),
            _ => {
                let halves = bytes.split_at(bytes.len() / 2);
                let slices = [halves.0, halves.1].map(std::io::IoSlice::new);
                file.write_gathered_at(&slices, at * MIB).unwrap()
            }
        };
        assert_eq!(written as u64, MIB);
        let end = (at + 1) * MIB;
        assert_eq!(fs::metadata(&path).unwrap().len(), end);
        most = most.max(room().saturating_sub(end));
        // No more than the file is long, nor than 8 MiB; a few are the file system's own.
        assert!(room() <= end + end.min(8 * MIB) + MIB / 4, "{} of {end}", room());
    }
    if most < MIB {
        eprintln!("not ext4: no room ahead");
    }
    // To its length, to less, and not to more.
    file.truncate(20 * MIB).unwrap();
    file.sync().unwrap();
    assert!(room() <= 20 * MIB + MIB / 4, "{}", room());
    file.truncate(30 * MIB).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), 20 * MIB);
    assert!(fs::read(&path).unwrap().chunks(MIB as usize).all(|chunk| chunk == bytes));
    file.truncate(MIB).unwrap();
    assert_eq!(file.write_at(&bytes, MIB).unwrap() as u64, MIB);
    file.truncate(2 * MIB).unwrap();
    file.sync().unwrap();
    assert!(room() <= 2 * MIB + MIB / 4, "{}", room());
}

/// The directory that a test runs in which was started by another one.
pub(crate) const DIRECTORY: &str = "ETLRING_TEST_DIRECTORY";

/// Runs an ignored test of this binary in a process of its own, `setup` done before in the shell.
/// Gives what the shell said if `setup` failed.
pub(crate) fn run(
    test: &str,
    directory: &Path,
    setup: &str,
    around: &[&str],
) -> Result<(), String> {
    let me = std::env::current_exe().unwrap();
    let script =
        format!("{{ {setup}; }} || exit 99; exec \"$0\" --exact \"$1\" --ignored --nocapture");
    let (program, args) = around.split_first().unwrap();
    let done = Command::new(program)
        .args(args)
        .args(["sh", "-c", &script])
        .arg(me)
        .arg(test)
        .env(DIRECTORY, directory)
        .output();
    let done = match done {
        Ok(done) => done,
        Err(error) => return Err(error.to_string()),
    };
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    match done.status.code() {
        Some(0) if text.contains("1 passed") => Ok(()),
        // Of the shell, or of a program in front of it: nothing was run.
        Some(99) | Some(1) if !text.contains("running 1 test") => Err(text.trim().to_owned()),
        code => panic!("{test}: {code:?}\n{text}"),
    }
}

#[test]
fn a_full_disk_costs_what_does_not_fit_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let setup = format!("mount -t tmpfs -o size=64k tmpfs \"${DIRECTORY}\"");
    let run = |around: &[&str]| run("disk::on_a_full_disk", directory.path(), &setup, around);
    if let Err(error) = run(&["unshare", "-m"]).or_else(|_| run(&["unshare", "-r", "-m"])) {
        eprintln!("skipped: no small file system can be mounted here: {error}");
    }
}

#[test]
#[ignore = "run by another one"]
fn on_a_full_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    // 16 pages, of which the ballast takes four.
    let ballast = directory.join("ballast");
    fs::write(&ballast, [1; 4 * 4096]).unwrap();
    let path = directory.join("log.etl");
    let session = builder(&path).start().unwrap();
    write_all(&session, 0..20 * PER_BUFFER);
    assert!(session.flush().is_err());
    // Eleven buffers and the header; the last one is still in hand.
    assert_eq!(session.query().lost.io, 8 * PER_BUFFER);
    fs::remove_file(&ballast).unwrap();
    write_all(&session, 1000..1000 + 2 * PER_BUFFER);
    let Err(SessionError::Sink { error, stats }) = session.stop() else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!((stats.lost.io, stats.buffers_lost), (8 * PER_BUFFER, 8));
    let log = Replay::whole(&path);
    let expected: Vec<_> = (0..11 * PER_BUFFER)
        .chain(19 * PER_BUFFER..20 * PER_BUFFER)
        .chain(1000..1000 + 2 * PER_BUFFER)
        .collect();
    assert_eq!(log.events, expected);
    assert_eq!((u64::from(log.events_lost), log.buffers_lost), (stats.lost.io, 8));

    // Room that is not there cannot be reserved, and nothing is left of the attempt.
    let big = directory.join("big.etl");
    let error = builder(&big).maximum_file_size_mb(1).preallocate(true).start().unwrap_err();
    let SessionError::Io { error, .. } = error else { panic!("{error}") };
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(!big.exists());

    // Reserved room is there whatever comes.
    let room = directory.join("room.etl");
    fs::remove_file(&path).unwrap();
    let session = builder(&room).maximum_file_size_kb(32).preallocate(true).start().unwrap();
    fs::write(&ballast, [1; 64 * 1024]).unwrap_err();
    write_all(&session, 0..6 * PER_BUFFER);
    assert_eq!(session.stop().unwrap().events_accepted, 6 * PER_BUFFER);
    assert_eq!(Replay::whole(&room).buffers, 7);
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    let directory = tempfile::tempdir().unwrap();
    // In units of 512 bytes: ten buffers.
    run("disk::under_a_limit", directory.path(), "ulimit -f 80", &["env"]).unwrap();
}

#[test]
#[ignore = "run by another one"]
fn under_a_limit() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let path = directory.join("log.etl");
    let session = builder(&path).start().unwrap();
    write_all(&session, 0..12 * PER_BUFFER);
    let Err(SessionError::Sink { error, stats }) = session.stop() else { panic!("no error") };
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    assert_eq!((stats.lost.io, stats.buffers_lost), (3 * PER_BUFFER, 3));
    let log = Replay::whole(&path);
    assert_eq!((log.events, log.buffers), ((0..9 * PER_BUFFER).collect(), 10));

    let big = directory.join("big.etl");
    let error = builder(&big).maximum_file_size_mb(1).preallocate(true).start().unwrap_err();
    assert!(
        matches!(error, SessionError::Io { error, .. } if error.kind() == ErrorKind::FileTooLarge)
    );
    assert!(!big.exists());

    // A series stays below the limit.
    let pattern = directory.join("%d.etl");
    let builder = builder(&pattern).file_mode(FileMode::NewFile).maximum_file_size_kb(40);
    let session = builder.start().unwrap();
    write_all(&session, 0..30 * PER_BUFFER);
    assert_eq!(session.stop().unwrap().events_accepted, 30 * PER_BUFFER);
}
