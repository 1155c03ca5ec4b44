//! The log file: made for its owner, never in place of something that matters.

use etlring::format::Guid;
use etlring::session::{ClassicEvent, FileMode, Session, SessionError};
use std::fs;
use std::path::Path;

const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);

fn start(path: &Path) -> Result<Session, SessionError> {
    Session::builder(&crate::name("files")).log_file(path).start()
}

#[test]
fn a_finished_log_is_replaced_and_an_unfinished_one_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = start(&path).unwrap();
    session.write_classic(&EVENT, b"first").unwrap();
    session.stop().unwrap();
    let finished = fs::read(&path).unwrap();

    let session = start(&path).unwrap();
    session.write_classic(&EVENT, b"second").unwrap();
    session.flush().unwrap();
    assert_ne!(fs::read(&path).unwrap(), finished);
    // The log and its ring.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    // What a killed process leaves: the bytes as they are now.
    let unfinished = fs::read(&path).unwrap();
    session.stop().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

    for number in 1..=3 {
        fs::write(&path, &unfinished).unwrap();
        start(&path).unwrap().stop().unwrap();
        let aside = directory.path().join(format!("log.etl.{number}"));
        assert_eq!(fs::read(aside).unwrap(), unfinished);
    }
}

#[test]
fn what_a_power_cut_left_keeps_no_session_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    // The length reached the disk, the bytes did not.
    fs::write(&path, [0; 200_000]).unwrap();
    start(&path).unwrap().stop().unwrap();
    let aside = directory.path().join("log.etl.1");
    assert_eq!(fs::read(aside).unwrap(), [0; 200_000]);
    // Nor does it if the session wants to go on with it.
    fs::write(&path, [0; 100]).unwrap();
    let session =
        Session::builder(&crate::name("files")).log_file(&path).file_mode(FileMode::Append);
    session.start().unwrap().stop().unwrap();
    assert_eq!(fs::read(directory.path().join("log.etl.2")).unwrap(), [0; 100]);
}

#[test]
fn what_is_no_log_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("text"), "a letter to a friend").unwrap();
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("empty"), "").unwrap();
    for (name, reason) in [("text", "is not a log file"), ("directory", "is not a regular file")] {
        let error = start(&at(name)).unwrap_err().to_string();
        assert!(error.ends_with(reason), "{error}");
    }
    assert_eq!(fs::read_to_string(at("text")).unwrap(), "a letter to a friend");
    start(&at("empty")).unwrap().stop().unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_the_file_is_private() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("precious"), "precious").unwrap();
    symlink(at("precious"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for name in ["link", "dangling"] {
        let error = start(&at(name)).unwrap_err().to_string();
        assert!(error.ends_with("is not a regular file"), "{error}");
    }
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
    assert!(!at("nowhere").exists());
    let session = start(&at("log")).unwrap();
    let mode = fs::metadata(at("log")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    session.stop().unwrap();
}
