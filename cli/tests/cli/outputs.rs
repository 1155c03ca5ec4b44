//! Every command that makes a file, and every place where it must not make one.
#![cfg(unix)]

use crate::etlring;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Commands with an output, how it is named, and whether it is a directory or replaces what such a
/// command has made before.
const COMMANDS: &[(&[&str], &str, Kind)] = &[
    (&["filter"], "-o", Kind::File),
    (&["cut"], "-o", Kind::File),
    (&["merge"], "-o", Kind::File),
    (&["recompress"], "-o", Kind::File),
    (&["anonymize"], "-o", Kind::File),
    (&["recover"], "-o", Kind::File),
    (&["export", "--to", "chrome"], "-o", Kind::File),
    (&["export", "--to", "pcapng"], "-o", Kind::File),
    (&["export", "--to", "folded"], "-o", Kind::File),
    (&["export", "--to", "html"], "-o", Kind::File),
    (&["export", "--to", "otlp"], "-o", Kind::File),
    (&["export", "--to", "otlp-json"], "-o", Kind::File),
    (&["export", "--to", "freb"], "-o", Kind::Directory),
    (&["demo", "--events", "10"], "--out", Kind::Demo),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    File,
    Directory,
    /// Has no input.
    Demo,
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A log of a request and its ring, in a directory of its own.
fn log() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    crate::requests::record(&log);
    (directory, log)
}

/// Everything below a directory: names, modes, what links point to, what is in files.
fn state(directory: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let content = match () {
            () if found.is_symlink() => text(&fs::read_link(&path).unwrap()).into(),
            () if found.is_file() => fs::read(&path).unwrap(),
            () => Vec::new(),
        };
        all.push((path.clone(), found.permissions().mode(), content));
        if found.is_dir() {
            all.extend(state(&path));
        }
    }
    all.sort();
    all
}

/// Goal: no command follows a link, changes what it reads, or writes into what is no file.
/// Method: each command with each such place, with --force and without; nothing has changed.
#[test]
fn nothing_that_is_there_is_followed_or_overwritten() {
    let (directory, log) = log();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("letter"), "a letter").unwrap();
    fs::write(path("log.etl.ring"), "a ring").unwrap();
    fs::create_dir(path("inner")).unwrap();
    for (to, link) in [
        ("letter", "to-letter"),
        ("log.etl", "to-log"),
        ("gone", "dangling"),
        ("inner", "to-inner"),
    ] {
        std::os::unix::fs::symlink(path(to), path(link)).unwrap();
    }
    fs::hard_link(&log, path("second-name")).unwrap();
    assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
    let before = state(directory.path());
    let mut cases = 0;
    for (command, out, kind) in COMMANDS {
        let places = ["to-letter", "to-log", "dangling", "fifo", "letter/x", "to-inner"];
        let inputs = ["log.etl", "./log.etl", "inner/../log.etl", "second-name", "log.etl.ring"];
        let none: &[&str] = &[];
        let more = if *kind == Kind::Demo { none } else { &inputs };
        for place in places.iter().chain(more) {
            for force in [false, true] {
                let mut args = command.to_vec();
                let place = path(place);
                args.extend([out, text(&place)]);
                if *kind != Kind::Demo {
                    args.push(text(&log));
                    args.extend(force.then_some("--force"));
                }
                if command[0] == "recover" {
                    args.push("--no-ring");
                }
                let output = Command::new(env!("CARGO_BIN_EXE_etlring"))
                    .args(&args)
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
                assert!(output.stdout.is_empty() && told.contains("; ") || *kind == Kind::Demo);
                let reasons = told.lines().filter(|line| !line.contains("left alone")).count();
                assert_eq!(reasons, 1, "{args:?}: {told}");
                assert!(state(directory.path()) == before, "{args:?} changed something");
                cases += 1;
            }
        }
    }
    println!("outputs: {cases} places refused, nothing changed");
}

/// What is read besides the log is no output either.
#[test]
fn schemas_and_keys_are_inputs() {
    let (directory, log) = log();
    let path = |name: &str| directory.path().join(name);
    let mof = "[Guid(\"{b4a15c0e-7d2f-4f6b-9a51-0c3e6d58e7d1}\"), EventType(1)]\n\
               class A : EventTrace { [WmiDataId(1)] uint32 A; };";
    fs::write(path("a.mof"), mof).unwrap();
    fs::write(path("key"), [7; 32]).unwrap();
    let before = state(directory.path());
    let (mof, key, whole) = (path("a.mof"), path("key"), directory.path().to_owned());
    for (command, given, out) in [
        (&["filter"][..], ["--mof", text(&mof)], &mof),
        (&["filter"], ["--mof", text(&whole)], &mof),
        (&["anonymize"], ["--mof", text(&whole)], &mof),
        (&["anonymize"], ["--key", text(&key)], &key),
        (&["export", "--to", "chrome"], ["--mof", text(&whole)], &mof),
    ] {
        let args = [command, &given, &["--force", "-o", text(out), text(&log)]].concat();
        let output = etlring(&args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains("it is an input"), "{args:?}: {told}");
        assert!(state(directory.path()) == before, "{args:?} changed something");
    }
}

/// Whatever the mask of the process is.
#[test]
fn what_is_made_is_for_nobody_elses_eyes() {
    let (directory, log) = log();
    for (number, (command, out, kind)) in COMMANDS.iter().enumerate() {
        let place = directory.path().join(format!("out{number}"));
        let mut args = command.to_vec();
        args.extend([out, text(&place)]);
        if *kind != Kind::Demo {
            args.push(text(&log));
        }
        let made = Command::new("sh")
            .args(["-c", "umask 000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_etlring")])
            .args(&args)
            .output()
            .unwrap();
        assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        if *kind == Kind::Directory {
            assert_eq!(mode(&place), 0o700);
            for entry in fs::read_dir(&place).unwrap() {
                assert_eq!(mode(&entry.unwrap().path()), 0o600);
            }
        } else {
            assert_eq!(mode(&place), 0o600, "{command:?}");
        }
    }
}
