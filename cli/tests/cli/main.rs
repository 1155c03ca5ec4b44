//! The command as scripts meet it: output, exit status, one line on stderr.

mod bridge;
mod contract;
mod edit;
mod export;
mod fields;
mod filters;
mod injection;
mod outputs;
mod recover;
mod requests;
#[cfg(unix)]
mod sessions;
#[cfg(unix)]
mod stream;
mod tail;

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn etlring(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etlring")).args(args).output().unwrap()
}

/// `../shared`; `None`, with a message, where it is missing and need not be there.
fn shared() -> Option<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    if directory.join("peers/etlref.py").is_file() {
        return Some(directory);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
    eprintln!("skipped: {} is missing", directory.display());
    None
}

fn sample(name: &str) -> Option<String> {
    let path = shared()?.join("samples").join(name);
    Some(path.to_str().unwrap().to_owned())
}

/// Names in a directory, in their order.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What the reference reader prints; `ETLRING_PYTHON` names a Python that is quick at compressed files.
fn reference(shared: &Path, file: &Path, order: &str) -> String {
    let python = std::env::var("ETLRING_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = shared.join("peers/etlref.py");
    let output =
        Command::new(python).arg(script).arg(file).args(["--order", order]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every key of `expected` has the same value in `found`.
fn agree(found: &str, expected: &str) -> bool {
    let found: Value = serde_json::from_str(found).unwrap();
    let expected: Value = serde_json::from_str(expected).unwrap();
    expected.as_object().unwrap().iter().all(|(key, value)| found.get(key) == Some(value))
}

#[test]
fn jsonl_of_every_sample_is_that_of_the_reference_reader() {
    let Some(shared) = shared() else { return };
    for entry in std::fs::read_dir(shared.join("samples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "etl") {
            continue;
        }
        for order in ["file", "time"] {
            let file = path.to_str().unwrap();
            let output = etlring(&["dump", "--format", "jsonl", "--order", order, file]);
            assert_eq!(output.status.code(), Some(0), "{file}");
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{file}");
            let found = String::from_utf8(output.stdout).unwrap();
            let expected = reference(&shared, &path, order);
            assert_eq!(found.lines().count(), expected.lines().count(), "{file} by {order}");
            for (at, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
                assert!(agree(found, expected), "{file} by {order}, {at}:\n{found}\n{expected}");
            }
        }
    }
}

#[test]
fn wrong_input_gives_status_2_and_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("empty.etl"), b"").unwrap();
    std::fs::write(path("text.etl"), b"nothing to see here\n".repeat(50)).unwrap();
    for command in ["info", "dump", "stats", "verify", "tail"] {
        for file in [path("missing.etl"), path("empty.etl"), path("text.etl"), path("")] {
            let output = etlring(&[command, &file]);
            assert_eq!(output.status.code(), Some(2), "{command} {file}");
            assert!(output.stdout.is_empty(), "{command} {file}");
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(stderr.lines().count(), 1, "{command} {file}: {stderr}");
            assert!(stderr.starts_with("etlring: ") && stderr.contains("; "), "{stderr}");
        }
    }
}

#[test]
fn a_truncated_file_gives_status_1_and_what_was_whole() {
    let Some(file) = sample("airbus_AMSITrace.etl") else { return };
    let bytes = std::fs::read(file).unwrap();
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    cut.write_all(&bytes[..bytes.len() - 65_000]).unwrap();
    let cut = cut.path().to_str().unwrap();
    for command in ["info", "dump", "stats", "verify", "tail"] {
        let output = etlring(&[command, cut]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(!output.stdout.is_empty(), "{command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("position 0x"), "{command}");
    }
}

#[test]
fn samples_are_whole() {
    let Some(shared) = shared() else { return };
    for entry in std::fs::read_dir(shared.join("samples")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.to_str().unwrap();
        if !file.ends_with(".etl") {
            continue;
        }
        for command in ["info", "stats", "verify"] {
            let output = etlring(&[command, "--json", file]);
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{command} {file}: {text}");
            assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
        }
    }
}

#[test]
fn standard_input_serves() {
    let Some(file) = sample("perfview_primitive-types.etl") else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_etlring"))
        .args(["dump", "--format", "jsonl", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&file).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, etlring(&["dump", "--format", "jsonl", &file]).stdout);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_closed_pipe_is_quiet() {
    let Some(file) = sample("airbus_ShutdownPerfDiagLogger.etl") else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_etlring"))
        .args(["dump", "--format", "jsonl", &file])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn filters_take_what_they_say() {
    let Some(file) = sample("perfview_primitive-types.etl") else { return };
    let count = |args: &[&str]| {
        let output = etlring(&[&["dump", "--format", "jsonl", &file], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        output.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!(count(&[]), 7);
    assert_eq!(count(&["--provider", "SOLAR_system"]), 5);
    assert_eq!(count(&["--provider", "EventTrace"]), 2);
    assert_eq!(count(&["--match", "primitivetypes"]), 5);
    // The log's own name, a field of its header, holds it as well.
    assert_eq!(count(&["--match", "primitive"]), 6);
    assert_eq!(count(&["--pid", "33984"]), 5);
    assert_eq!(count(&["--level", "4"]), 2);
    assert_eq!(count(&["--from", "3.5"]), 3);
    assert_eq!(count(&["--to", "2021-09-09T14:59:33Z"]), 2);
    assert_eq!(count(&["--limit", "3"]), 3);
    assert_eq!(count(&["--limit", "0"]), 0);
}

#[test]
fn help_has_an_example_and_usage_errors_are_status_2() {
    for command in [
        "info",
        "dump",
        "stats",
        "verify",
        "tail",
        "recover",
        "filter",
        "cut",
        "merge",
        "recompress",
        "anonymize",
        "completions",
        "man",
    ] {
        let output = etlring(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains("Example: etlring"), "{command}");
        assert_eq!(etlring(&[command, "--no-such-thing"]).status.code(), Some(2));
    }
    assert_eq!(etlring(&["dump", "--format", "csv", "x.etl"]).status.code(), Some(2));
}

#[test]
fn demo_balances_and_leaves_a_log_that_the_other_commands_read() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("demo.etl");
    let log = log.to_str().unwrap();
    let roomy = ["--threads", "3", "--events", "30000", "--payload", "100"];
    let tight = ["--events", "30000", "--buffers", "2", "--buffer-size", "4096"];
    for options in [&roomy[..], &tight[..]] {
        let output = etlring(&[&["demo", "--json", "--out", log], options].concat());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let number = |key: &str| report[key].as_u64().unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(number("attempted"), 30_000);
        assert_eq!(number("accepted") + number("lost"), 30_000);
        assert_eq!(number("replayed"), number("accepted"));
        assert!(report["ns_per_event"].as_f64() > Some(0.0));
        assert!(report["seconds"].as_f64() > Some(0.0));
        assert_eq!(number("bytes"), std::fs::metadata(log).unwrap().len());
        assert_eq!(number("lost") > 0, number("loss_records") > 0);

        let info = etlring(&["info", "--json", log]);
        let info: Value = serde_json::from_slice(&info.stdout).unwrap();
        assert!(
            info.to_string().contains(&format!("\"events_lost\":{}", number("lost"))),
            "{info}"
        );
        // Losses are summed by cause, with their times, and the marked buffers are counted.
        let sum = |report: &Value| -> u64 {
            let losses = report["losses"].as_array().unwrap().iter();
            losses.map(|loss| loss["count"].as_u64().unwrap()).sum()
        };
        assert_eq!(sum(&info), number("lost"));
        let marked = info["marked_events_lost"]["buffers"].as_u64().unwrap();
        assert_eq!(marked > 0, number("lost") > 0);
        for loss in info["losses"].as_array().unwrap() {
            let time = |key: &str| loss[key].as_str().unwrap().to_owned();
            assert!(time("first") <= time("last") && loss["cause"] != "unknown cause");
            assert!(time("first").as_str() >= info["start_time"].as_str().unwrap());
        }
        for command in ["stats", "verify"] {
            let report = etlring(&[command, "--json", log]);
            let report: Value = serde_json::from_slice(&report.stdout).unwrap();
            assert_eq!(report["losses"], info["losses"], "{command}");
            let text = etlring(&[command, log]);
            let text = String::from_utf8(text.stdout).unwrap();
            assert_eq!(text.contains("events lost from"), number("lost") > 0, "{text}");
        }
        let dump = etlring(&["dump", "--format", "jsonl", log]);
        let told = String::from_utf8(dump.stdout).unwrap();
        let told = told.lines().filter(|line| line.contains("\"loss\":{")).count() as u64;
        assert_eq!(told, number("loss_records"));

        assert_eq!(etlring(&["verify", log]).status.code(), Some(0));
        let dump = etlring(&["dump", "--format", "jsonl", "--order", "file", log]);
        let records = String::from_utf8(dump.stdout).unwrap().lines().count() as u64;
        // The logfile header is a record, too.
        assert_eq!(records, number("accepted") + number("loss_records") + 1);
    }
}

#[test]
fn demo_refuses_what_cannot_be_recorded() {
    for (options, reason) in [
        (&["--threads", "0"][..], "1..=1024"),
        (&["--payload", "7"], "8..=65487"),
        (
            &["--payload", "65417"],
            "--payload is 65417 bytes, must be 8 to 65416 with --buffer-size",
        ),
        (&["--payload", "3977", "--buffer-size", "4096"], "must be 8 to 3976"),
        (&["--buffer-size", "1000"], "buffer_size is 1000 bytes, must be 4096 to 16777216"),
        (&["--buffers", "1"], "maximum_buffers is 1 buffers, must be 2 to 1048576"),
        (&["--out", "/nonexistent/demo.etl"], "cannot create /nonexistent/demo.etl"),
        (&["--out", "/"], "is not a regular file"),
    ] {
        let output = etlring(&[&["demo"], options].concat());
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {complaint}");
        assert!(complaint.contains(reason), "{options:?}: {complaint}");
        assert!(output.stdout.is_empty());
    }
    // Nothing of what is there is touched.
    let directory = tempfile::tempdir().unwrap();
    let letter = directory.path().join("letter.txt");
    std::fs::write(&letter, "a letter").unwrap();
    let output = etlring(&["demo", "--out", letter.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&letter).unwrap(), "a letter");
}
