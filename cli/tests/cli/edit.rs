//! `filter`, `cut`, `merge`, `recompress`: what they make, and what they leave alone.

use super::{etlring, names, sample};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A log of the library's own session in a directory of its own.
fn log() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let options = ["--threads", "2", "--events", "3000", "--payload", "40"];
    let output = etlring(&[&["demo", "--out", text(&path)], &options[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    (directory, path)
}

fn ok(args: &[&str]) -> Value {
    let output = etlring(&[args, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{args:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refused(args: &[&str], why: &str) {
    let output = etlring(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(why) && stderr.contains("; "), "{stderr}");
}

#[test]
fn logs_are_made_of_logs() {
    let (directory, log) = log();
    let path = |name: &str| directory.path().join(name);
    let [all, few, first, rest, both, packed] =
        ["all", "few", "first", "rest", "both", "packed"].map(|name| path(&format!("{name}.etl")));
    // Each event but the logfile header, whose counts change, and where its buffer lies.
    let dump = |path: &Path| {
        let output = etlring(&["dump", "--format", "csv", text(path)]);
        assert_eq!(output.status.code(), Some(0));
        let lines = String::from_utf8(output.stdout).unwrap();
        let events = lines.lines().skip(1).filter(|line| !line.contains("68fdd900"));
        let without_buffer = |line: &str| {
            let columns = line.split(',').enumerate().filter(|(column, _)| *column != 3);
            columns.map(|(_, text)| text.to_owned()).collect::<Vec<_>>()
        };
        events.map(without_buffer).collect::<Vec<_>>()
    };
    let whole = dump(&log);

    let made = ok(&["filter", text(&log), "-o", text(&all)]);
    assert_eq!((&made["left_out"], &made["faults"]), (&0.into(), &0.into()));
    assert!(dump(&all) == whole);
    let made = ok(&["filter", text(&log), "--pid", "4294967290", "-o", text(&few)]);
    assert_eq!((made["records"].as_u64(), made["left_out"].as_u64()), (Some(1), Some(3000)));

    let middle = &whole[whole.len() / 2][0];
    ok(&["cut", text(&log), "--to", middle, "-o", text(&first)]);
    ok(&["cut", text(&log), "--from", middle, "-o", text(&rest)]);
    assert_eq!(dump(&first).len(), whole.len() / 2);
    ok(&["merge", text(&rest), text(&first), "-o", text(&both)]);
    assert!(dump(&both) == whole);

    let made = ok(&["recompress", text(&log), "-o", text(&packed)]);
    assert!(made["bytes"].as_u64() < made["bytes_before"].as_u64());
    assert!(dump(&packed) == whole);
    ok(&["recompress", "--none", text(&packed), "-o", text(&all), "--force"]);
    assert!(dump(&all) == whole);
    for log in [&few, &both, &packed, &all] {
        assert_eq!(etlring(&["verify", text(log)]).status.code(), Some(0), "{}", log.display());
    }
    refused(&["cut", text(&log), "--from", "5", "--to", "4", "-o", text(&path("x"))], "--from");
    for command in ["filter", "cut", "recompress", "anonymize"] {
        refused(&[command, text(&log), "--threads", "999", "-o", text(&path("x"))], "--threads");
    }
}

/// Goal: the number of threads changes nothing that is said. Method: a packed log, whole, damaged
/// in the middle of its buffers and cut off, under every subcommand that reads with several.
#[test]
fn threads_change_nothing() {
    let (directory, log) = log();
    let path = |name: &str| directory.path().join(name);
    let (whole, damaged, cut) = (path("packed.etl"), path("damaged.etl"), path("cut.etl"));
    ok(&["recompress", text(&log), "-o", text(&whole)]);
    let mut bytes = fs::read(&whole).unwrap();
    fs::write(&cut, &bytes[..bytes.len() * 2 / 3]).unwrap();
    for place in [1, 2, 4].map(|part| bytes.len() * part / 5) {
        bytes[place..place + 40].fill(0x5A);
    }
    fs::write(&damaged, &bytes).unwrap();
    for (log, status) in [(&whole, 0), (&damaged, 1), (&cut, 1)] {
        for command in ["stats", "stats --json", "verify", "dump", "dump --order file"] {
            let said = |threads: &str| {
                let mut args: Vec<_> = command.split(' ').collect();
                args.extend(["--threads", threads, text(log)]);
                let output = etlring(&args);
                assert_eq!(output.status.code(), Some(status), "{command} {}", log.display());
                (output.stdout, output.stderr)
            };
            let one = said("1");
            assert!(said("2") == one && said("5") == one, "{command} {}", log.display());
        }
    }
    // Those that make a log make the same one and say the same.
    let key = path("key");
    fs::write(&key, "sixteen bytes are enough").unwrap();
    let out = path("out.etl");
    let cut_out = ["cut", "--from", "0", "--to", "3600"];
    let commands: [&[&str]; 6] = [
        &["filter"],
        &["filter", "--opcode", "10", "--not-tid", "0", "--no-metadata"],
        &cut_out,
        &[&cut_out[..], &["--no-metadata"]].concat(),
        &["anonymize", "--key", text(&key)],
        &["recompress"],
    ];
    for (log, status) in [(&whole, 0), (&damaged, 1), (&cut, 1)] {
        for command in commands {
            let made = |threads: &str| {
                let rest = ["--threads", threads, text(log), "-o", text(&out), "--force"];
                let output = etlring(&[command, &rest].concat());
                assert_eq!(output.status.code(), Some(status), "{command:?} {}", log.display());
                (output.stdout, output.stderr, fs::read(&out).unwrap())
            };
            let one = made("1");
            assert!(made("2") == one && made("5") == one, "{command:?} {}", log.display());
        }
    }
    for command in ["stats", "verify", "dump"] {
        refused(&[command, text(&whole), "--threads", "999"], "--threads");
        refused(&[command, text(&whole), "--threads", "0"], "--threads");
    }
}

#[test]
fn nothing_that_is_there_is_touched() {
    let (directory, log) = log();
    let path = |name: &str| directory.path().join(name);
    let before = fs::read(&log).unwrap();
    let letter = path("letter.txt");
    fs::write(&letter, "a letter").unwrap();
    fs::create_dir(path("directory")).unwrap();
    let to = |out: &Path, why: &str, force: bool| {
        for command in ["filter", "cut", "recompress", "merge", "anonymize", "recover"] {
            let mut args = vec![command, text(&log), "-o", text(out)];
            args.extend(force.then_some("--force"));
            refused(&args, why);
        }
    };
    to(Path::new("-"), "name a file", false);
    to(&letter, "--force", false);
    to(&log, "it is an input", false);
    to(&log, "it is an input", true);
    to(&path("directory"), "no regular file", true);
    to(&path("nowhere/new.etl"), "check the path", true);
    to(Path::new("/"), "names no file", true);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&letter, path("link")).unwrap();
        std::os::unix::fs::symlink(path("gone"), path("dangling")).unwrap();
        to(&path("link"), "symbolic link", true);
        to(&path("dangling"), "symbolic link", false);
        fs::hard_link(&log, path("second.etl")).unwrap();
        to(&path("second.etl"), "it is an input", true);
        let fifo = path("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        to(&fifo, "no regular file", true);
    }
    assert_eq!(fs::read_to_string(&letter).unwrap(), "a letter");
    assert_eq!(fs::read(&log).unwrap(), before);
    assert!(!path("gone").exists());
    assert!(!names(directory.path()).iter().any(|name| name.contains("part")));

    // With leave it is replaced, and whole.
    ok(&["filter", text(&log), "-o", text(&letter), "--force"]);
    assert_eq!(etlring(&["verify", text(&letter)]).status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_output_is_for_nobody_elses_eyes_and_not_there_until_it_is_whole() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, log) = log();
    let out = directory.path().join("new.etl");
    let script = format!("umask 000; exec \"$0\" filter {} -o {}", text(&log), text(&out));
    let made = std::process::Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_etlring")])
        .output()
        .unwrap();
    assert_eq!(made.status.code(), Some(0));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    // A file that may not grow: the log is not there, nor is half of it.
    fs::remove_file(&out).unwrap();
    let script =
        format!("trap '' XFSZ; ulimit -f 64; exec \"$0\" filter {} -o {}", text(&log), text(&out));
    let full = std::process::Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_etlring")])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("free some space"), "{stderr}");
    assert_eq!(names(directory.path()), ["log.etl"]);
}

#[test]
fn damage_gives_status_1_and_what_was_whole() {
    let Some(file) = sample("airbus_AMSITrace.etl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let bytes = fs::read(file).unwrap();
    let cut = path("cut.etl");
    fs::write(&cut, &bytes[..bytes.len() - 65_000]).unwrap();
    for command in ["filter", "cut", "merge", "recompress", "anonymize"] {
        let out = path(command);
        let output = etlring(&[command, text(&cut), "-o", text(&out)]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("position 0x"), "{command}");
        assert_eq!(etlring(&["verify", text(&out)]).status.code(), Some(0), "{command}");
    }
}
