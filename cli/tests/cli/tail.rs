//! `etlring tail`: what was there, what comes, and how it ends.

use super::{etlring, sample};
use etlring::format::Guid;
use etlring::session::{ClassicEvent, FileMode, Session};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const CLASS: Guid = Guid::from_u128(0x4b0d_9e27_0f3c_4d55_8c0b_62e9_1d47_aa34);

fn session(name: &str, log: &std::path::Path) -> Session {
    Session::builder(name).log_file(log).flush_interval(Duration::ZERO).start().unwrap()
}

fn write(session: &Session, number: u64) {
    session.write_classic(&ClassicEvent::new(CLASS, 10, 4), &number.to_le_bytes()).unwrap();
}

/// The number of an event of ours in a line of `--format jsonl --payload`.
fn number(line: &str) -> u64 {
    let line: Value = serde_json::from_str(line).unwrap();
    let bytes = line["payload"].as_str().unwrap();
    u64::from_str_radix(bytes, 16).unwrap().swap_bytes()
}

#[test]
fn the_last_events_of_a_finished_log_are_those_of_dump() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let recorder = session("tail finished", &log);
    for at in 0..100 {
        write(&recorder, at);
    }
    recorder.stop().unwrap();
    let log = log.to_str().unwrap();
    for format in ["text", "jsonl"] {
        let dump = etlring(&["dump", "--format", format, log]);
        let dump = String::from_utf8(dump.stdout).unwrap();
        let lines: Vec<_> = dump.lines().collect();
        for last in [0, 1, 10, 1000] {
            let tail = etlring(&["tail", "--format", format, "--last", &last.to_string(), log]);
            assert_eq!((tail.status.code(), tail.stderr.len()), (Some(0), 0));
            let tail = String::from_utf8(tail.stdout).unwrap();
            let expected = &lines[lines.len().saturating_sub(last)..];
            assert_eq!(tail.lines().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn events_come_while_they_are_recorded_and_the_end_too() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log.etl");
    let recorder = session("tail live", &log);
    for at in 0..5 {
        write(&recorder, at);
    }
    let provider = CLASS.to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_etlring"))
        .args(["tail", "--format", "jsonl", "--payload", "--last", "2", "--interval", "1"])
        .args(["--provider", &provider, log.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || number(&lines.next().unwrap().unwrap());
    assert_eq!([next(), next()], [3, 4]);
    // Nothing is flushed: what comes comes from the ring.
    for at in 5..20 {
        write(&recorder, at);
        assert_eq!(next(), at);
    }
    recorder.stop().unwrap();
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_log_whose_process_is_gone_is_shown_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let recorder = session("tail gone", &at("log.etl"));
    for number in 0..5 {
        write(&recorder, number);
    }
    // As a kill would leave them: nobody holds the copies.
    std::fs::copy(at("log.etl"), at("left.etl")).unwrap();
    std::fs::copy(at("log.etl.ring"), at("left.etl.ring")).unwrap();
    let left = at("left.etl");
    let left = left.to_str().unwrap();
    let provider = CLASS.to_string();
    let output =
        etlring(&["tail", "--format", "jsonl", "--payload", "--provider", &provider, left]);
    assert_eq!(output.status.code(), Some(1));
    let numbers: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.lines().count() == 1 && stderr.contains("etlring recover"), "{stderr}");
    recorder.stop().unwrap();
}

/// A circular log has no ring beside it: it is one.
#[cfg(unix)]
#[test]
fn a_circular_log_whose_process_is_gone_ends_too() {
    let directory = tempfile::tempdir().unwrap();
    let (log, left) = (directory.path().join("log.etl"), directory.path().join("left.etl"));
    let recorder = Session::builder("tail circular").log_file(&log).buffer_size(4096);
    let recorder = recorder.file_mode(FileMode::Circular).maximum_file_size_kb(64);
    let recorder = recorder.start().unwrap();
    for number in 0..5 {
        write(&recorder, number);
    }
    std::fs::copy(&log, &left).unwrap();
    let provider = CLASS.to_string();
    let args = ["tail", "--format", "jsonl", "--payload", "--interval", "1", "--provider"];
    let gone = etlring(&[&args[..], &[&provider, left.to_str().unwrap()]].concat());
    assert_eq!(gone.status.code(), Some(1));
    let numbers: Vec<_> = String::from_utf8(gone.stdout).unwrap().lines().map(number).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    assert!(String::from_utf8(gone.stderr).unwrap().contains("etlring recover"));

    // The log itself is held by its session: it goes on, and ends whole.
    let mut child = Command::new(env!("CARGO_BIN_EXE_etlring"))
        .args(args)
        .args([&provider, log.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || number(&lines.next().unwrap().unwrap());
    assert_eq!([next(), next(), next(), next(), next()], [0, 1, 2, 3, 4]);
    for at in 5..20 {
        write(&recorder, at);
        assert_eq!(next(), at);
    }
    recorder.stop().unwrap();
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Goal: a log that does not grow is shown as `dump` shows it, damage and all. Method: samples and a
/// packed log, whole and damaged: within a buffer, at its head, cut off behind its last record, in
/// the header buffer.
#[test]
fn a_finished_log_is_shown_and_its_damage_named_as_dump_does() {
    let directory = tempfile::tempdir().unwrap();
    let broken = directory.path().join("broken.etl");
    let path = broken.to_str().unwrap();
    let compare = |bytes: &[u8], status: i32, what: &str| {
        std::fs::write(&broken, bytes).unwrap();
        let dump = etlring(&["dump", "--format", "jsonl", path]);
        let tail = etlring(&["tail", "--format", "jsonl", "--last", "7", path]);
        assert_eq!(tail.status.code(), Some(status), "{what}");
        assert_eq!(dump.status.code(), Some(status), "{what}");
        let lines: Vec<_> = dump.stdout.split_inclusive(|byte| *byte == b'\n').collect();
        assert!(tail.stdout == lines[lines.len().saturating_sub(7)..].concat(), "{what}");
        assert_eq!(tail.stderr, dump.stderr, "{what}");
        let told = String::from_utf8(tail.stderr).unwrap();
        assert_eq!(told.contains("position 0x"), status == 1, "{what}: {told}");
    };
    for name in
        ["airbus_AMSITrace.etl", "s4_waasmedic.20251005_113019_195.etl", "demikernel_PktMon.etl"]
    {
        let Some(sample) = sample(name) else { return };
        let whole = std::fs::read(sample).unwrap();
        compare(&whole, 0, name);
        // Of one the last buffer is mostly filler, of the other the header buffer.
        compare(&whole[..whole.len() - 100], 1, name);
        compare(&whole[..6800], 1, name);
        let mut holed = whole.clone();
        holed[whole.len() / 2..whole.len() / 2 + 2000].fill(0xEE);
        compare(&holed, 1, name);
    }
}
