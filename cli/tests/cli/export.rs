//! Logs for other tools, as scripts meet them.

use crate::{etlring, sample};
use etlring::format::{EventDescriptor, Guid};
use etlring::session::{Event, Session};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

fn export(file: &str, format: &str, more: &[&str]) -> Vec<u8> {
    let args = [&["export", file, "--to", format, "-o", "-"], more].concat();
    let output = etlring(&args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A log of the library's own session: a span with an event in it.
fn recorded(path: &Path) {
    let provider = Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa);
    // A name is one session's, and tests run side by side.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("export {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let session = Session::builder(&name).log_file(path).start().unwrap();
    let handle = session.handle();
    for (id, opcode) in [(1, 1), (2, 0), (3, 2)] {
        let mut descriptor = EventDescriptor::new(id, 4);
        descriptor.opcode = opcode;
        descriptor.task = 5.into();
        handle.write_event(&Event::new(provider, descriptor), b"payload").unwrap();
    }
    drop(handle);
    session.stop().unwrap();
}

#[test]
fn our_own_logs_open_in_other_tools() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.etl");
    recorded(&path);
    let file = path.to_str().unwrap();

    let json: Value = serde_json::from_slice(&export(file, "chrome", &[])).unwrap();
    let events = json["traceEvents"].as_array().unwrap();
    let span = events.iter().find(|event| event["ph"] == "X").unwrap();
    let inner = events.iter().find(|event| event["args"]["id"] == 2).unwrap();
    assert_eq!(span["pid"].as_u64(), Some(u64::from(std::process::id())));
    let time = |event: &Value, key: &str| event[key].as_f64().unwrap();
    assert!(time(span, "ts") <= time(inner, "ts"));
    assert!(time(inner, "ts") <= time(span, "ts") + time(span, "dur"));

    // The filters of dump hold, and a file is written as standard output is.
    let whole = export(file, "otlp-json", &["--id", "2"]);
    let line: Value = serde_json::from_slice(&whole).unwrap();
    let records = &line["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records.as_array().unwrap().len(), 1);
    assert!(export(file, "otlp-json", &["--until", "-1"]).is_empty());
    let out = directory.path().join("out.jsonl");
    let to = ["-o", out.to_str().unwrap()];
    let args = [&["export", file, "--to", "otlp-json", "--id", "2"], &to[..]].concat();
    assert!(etlring(&args).status.success());
    assert_eq!(std::fs::read(&out).unwrap(), whole);
    assert!(export(file, "folded", &[]).is_empty());
    // No packets: said so, and an empty capture.
    let output = etlring(&["export", file, "--to", "pcapng", "-o", "-"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 52));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no packets"));
}

#[test]
fn wrong_outputs_are_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.etl");
    recorded(&path);
    let before = std::fs::read(&path).unwrap();
    let file = path.to_str().unwrap();
    let inside = directory.path().join("none/out.json");
    let link = directory.path().join("link.json");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for wrong in [file, inside.to_str().unwrap(), link.to_str().unwrap(), "/"] {
        let output = etlring(&["export", file, "--to", "chrome", "-o", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{wrong}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before, "the log itself is left alone");
    if Path::new("/dev/full").exists() {
        let output = etlring(&["export", file, "--to", "chrome", "-o", "/dev/full"]);
        assert_eq!(output.status.code(), Some(2));
    }
    let none = etlring(&["export", file, "--to", "chrome"]);
    assert_eq!(none.status.code(), Some(2), "an output must be named");
}

#[test]
fn pktmon_packets_are_all_there() {
    let Some(file) = sample("demikernel_PktMon.etl") else { return };
    // 114 events of id 160, 38 received and 76 sent, of 98 bytes each.
    let capture = export(&file, "pcapng", &[]);
    let (mut packets, mut directions, mut rest) = (0, [0; 3], &capture[..]);
    while let Some(head) = rest.first_chunk::<8>() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let length = word(4) as usize;
        if u32::from_le_bytes(head[..4].try_into().unwrap()) == 6 {
            packets += 1;
            assert_eq!((word(20), word(24)), (98, 98));
            // The option of flags comes first, behind 98 bytes and their padding.
            assert_eq!(word(128), 4 << 16 | 2);
            directions[word(132) as usize] += 1;
        }
        rest = &rest[length..];
    }
    assert_eq!((packets, directions), (114, [0, 38, 76]));
}

#[test]
fn samples_of_the_profiler_have_their_stacks() {
    let Some(file) = sample("perfview_net.4.5.2.x64.etl") else { return };
    let text = String::from_utf8(export(&file, "folded", &[])).unwrap();
    let count = |line: &str| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap();
    assert_eq!(text.lines().map(count).sum::<u64>(), 79_528);
    assert!(text.lines().any(|line| line.contains(";ntoskrnl.exe+0x")));
    // Of chosen events those with a stack: image loads.
    let text = String::from_utf8(export(&file, "folded", &["--provider", "Image"])).unwrap();
    assert!(text.lines().count() > 20 && text.lines().all(|line| line.contains(";Load ")));
}

#[test]
fn dump_shows_joined_stacks() {
    let Some(file) = sample("perfview_net.4.5.2.x64.etl") else { return };
    let stacks = |more: &[&str]| {
        let args = [&["dump", "--format", "jsonl", "--fields", &file], more].concat();
        let text = String::from_utf8(etlring(&args).stdout).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let joined = |event: &Value| event["header"] != "event" && event["stack"].is_array();
        let times = events.filter(joined).map(|event| event["time"].as_str().unwrap().to_owned());
        times.collect::<Vec<_>>()
    };
    // As joined by hand in tests/conformance/exports.py.
    let all = stacks(&[]);
    assert_eq!(all.len(), 7746);
    // The walk ahead seeks where the walk does.
    let late = &all[7000];
    let expected = all.iter().filter(|time| *time >= late).count();
    assert_eq!(stacks(&["--from", late]).len(), expected);
}
