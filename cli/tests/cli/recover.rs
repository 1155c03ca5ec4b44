//! `recover`, and what the other commands say of a log beside its ring.

use super::{agree, etlring, reference, shared};
use serde_json::Value;
use std::path::{Path, PathBuf};

const SIZE: usize = 4096;
/// Where the state of a buffer stands, and its checksum.
const STATE: usize = 0x2C;
const SUM: std::ops::Range<usize> = 0x38..0x48;

/// A log of the library's own session, and what a killed one leaves: the second half of its buffers
/// is in the ring only, and one of them is open.
struct Killed {
    directory: tempfile::TempDir,
    whole: PathBuf,
    log: PathBuf,
    ring: PathBuf,
    /// Where in the ring the open buffer lies.
    open: usize,
}

fn killed() -> Killed {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (whole, log, ring) = (path("whole.etl"), path("killed.etl"), path("killed.etl.ring"));
    let options =
        ["--threads", "2", "--events", "3000", "--payload", "40", "--buffer-size", "4096"];
    let out = ["demo", "--out", text(&whole)];
    let output = etlring(&[&out[..], &options].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(&whole).unwrap();
    let mut buffers: Vec<Vec<u8>> = bytes.chunks(SIZE).map(<[u8]>::to_vec).collect();
    assert!(buffers.len() > 20);
    // Unfinished: EndTime 0. The checksum is that of a finished header; so there is none.
    buffers[0][104 + 16..104 + 24].fill(0);
    buffers[0][SUM].fill(0);
    let half = buffers.len() / 2;
    std::fs::write(&log, buffers[..half].concat()).unwrap();
    let mut places = vec![buffers[0].clone()];
    places.extend(buffers[half..].iter().rev().cloned());
    // One that the log has too.
    places.push(buffers[half - 1].clone());
    let open = 3;
    places[open][STATE] = 1;
    places[open][SUM].fill(0);
    std::fs::write(&ring, places.concat()).unwrap();
    Killed { directory, whole, log, ring, open: open * SIZE }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Records in time order, but for the logfile header and where each one lies.
fn records(path: &Path) -> Vec<Value> {
    let output = etlring(&["dump", "--format", "jsonl", text(path)]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|mut row| {
        row["buffer"] = Value::Null;
        if row["provider"] == "68fdd900-4a3e-11d1-84f4-0000f80464e3" {
            row["crc32"] = Value::Null;
        }
        row
    })
    .collect()
}

fn json(args: &[&str]) -> (Option<i32>, Value) {
    let output = etlring(args);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"));
    (output.status.code(), value)
}

#[test]
fn every_command_reads_the_ring_beside_a_log() {
    let killed = killed();
    assert_eq!(records(&killed.log), records(&killed.whole));
    for command in ["info", "stats", "verify"] {
        let output = etlring(&[command, text(&killed.log)]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command}: {stdout}");
        assert!(output.stderr.is_empty());
    }
    let (_, info) = json(&["info", "--json", text(&killed.log)]);
    assert_eq!((&info["ring"], &info["finished"]), (&"joined".into(), &false.into()));
    assert!(info["buffers_from_ring"].as_u64() > Some(5));
    assert_eq!(info["buffers_open"], 1);

    // One of another session is left alone, and that is said.
    let mut ring = std::fs::read(&killed.ring).unwrap();
    ring[72 + 16] ^= 1;
    std::fs::write(&killed.ring, &ring).unwrap();
    let output = etlring(&["info", text(&killed.log)]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("of another session") && stderr.contains("left alone"), "{stderr}");
    assert!(records(&killed.log).len() < records(&killed.whole).len());
}

#[test]
fn recover_makes_a_finished_log_of_log_and_ring() {
    let killed = killed();
    let out = killed.directory.path().join("out.etl");
    let output = etlring(&["recover", text(&killed.log), "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("from the ring") && !said.contains("left out"), "{said}");
    assert_eq!(records(&out), records(&killed.whole));
    let (status, verify) = json(&["verify", "--json", text(&out)]);
    assert_eq!((status, &verify["faults"]), (Some(0), &Value::Array(Vec::new())));
    assert_eq!(verify["checksums_valid"], verify["buffers"]);
    let (_, info) = json(&["info", "--json", text(&out)]);
    assert_eq!(info["finished"], true);
    assert_eq!(info["buffers_written"], info["buffers"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // The ring alone, by its own name and by that of a log that is gone.
    let only = killed.directory.path().join("ring-only.etl");
    let (status, report) = json(&["recover", "--json", text(&killed.ring), "-o", text(&only)]);
    assert_eq!((status, &report["left_out"]), (Some(0), &Value::Array(Vec::new())));
    assert_eq!(report["buffers_from_ring"].as_u64(), report["buffers"].as_u64().map(|n| n - 1));
    std::fs::remove_file(&killed.log).unwrap();
    let again = killed.directory.path().join("again.etl");
    let output = etlring(&["recover", text(&killed.log), "-o", text(&again)]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("only its ring is read"));
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&only).unwrap());
}

#[test]
fn recover_names_what_it_leaves_out() {
    let killed = killed();
    let path = |name: &str| killed.directory.path().join(name);
    // A torn buffer in the log, a record that cannot be in the open buffer of the ring.
    let mut log = std::fs::read(&killed.log).unwrap();
    log[3 * SIZE + 1000] ^= 4;
    std::fs::write(&killed.log, &log).unwrap();
    let mut ring = std::fs::read(&killed.ring).unwrap();
    let first = killed.open + 72;
    let second = first + usize::from(u16::from_le_bytes([ring[first], ring[first + 1]]));
    let second = second.next_multiple_of(8);
    ring[second + 3] = 0;
    std::fs::write(&killed.ring, &ring).unwrap();

    let (status, report) = json(&["recover", "--json", text(&killed.log), "-o", text(&path("a"))]);
    assert_eq!(status, Some(1));
    let places: Vec<_> = report["left_out"].as_array().unwrap().iter().collect();
    assert_eq!(places.len(), 2);
    assert_eq!(places[0]["position"], 3 * SIZE + 0x38);
    assert_eq!((&places[1]["in_ring"], &places[1]["position"]), (&true.into(), &second.into()));
    assert_eq!(places[1]["records_kept"], 1);
    assert_eq!(report["buffers_torn"], 1);
    let output =
        etlring(&["recover", "--leave-out-torn", text(&killed.log), "-o", text(&path("b"))]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&format!("ring position {second:#x}")), "{stderr}");
    assert!(stderr.contains("position 0x3038: checksum"), "{stderr}");
    assert!(records(&path("b")).len() < records(&path("a")).len());
    for out in ["a", "b"] {
        assert_eq!(etlring(&["verify", text(&path(out))]).status.code(), Some(0));
    }

    // A header that is lost is assumed, and said to be.
    let mut headless = log.clone();
    headless[..SIZE].fill(0);
    std::fs::write(path("headless.etl"), &headless).unwrap();
    let output = etlring(&["recover", text(&path("headless.etl")), "-o", text(&path("c"))]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("most say 4096 bytes") && stderr.contains("only their order"),
        "{stderr}"
    );
}

#[test]
fn recover_touches_nothing_that_is_there() {
    let killed = killed();
    let path = |name: &str| killed.directory.path().join(name);
    let before = std::fs::read(&killed.log).unwrap();
    std::fs::write(path("letter"), "a letter").unwrap();
    let mut outputs = vec![killed.log.clone(), path("letter"), killed.directory.path().into()];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(path("target"), path("link")).unwrap();
        outputs.push(path("link"));
    }
    outputs.push(path("none").join("out.etl"));
    for out in &outputs {
        let output = etlring(&["recover", text(&killed.log), "-o", text(out)]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{}: {stderr}", out.display());
        assert!(stderr.starts_with("etlring: cannot create ") && stderr.lines().count() == 1);
    }
    assert_eq!(std::fs::read(&killed.log).unwrap(), before);
    assert_eq!(std::fs::read_to_string(path("letter")).unwrap(), "a letter");
    assert!(!path("target").exists());

    // What cannot be recovered leaves no output.
    std::fs::write(path("text.etl"), b"nothing to see here\n".repeat(500)).unwrap();
    for input in ["missing.etl", "text.etl", "missing.etl.ring"] {
        let output = etlring(&["recover", text(&path(input)), "-o", text(&path("new"))]);
        assert_eq!(output.status.code(), Some(2), "{input}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{input}");
        assert!(!path("new").exists());
    }
    let (ring, new) = (path("letter"), path("new"));
    let output = etlring(&["recover", text(&killed.log), "--ring", text(&ring), "-o", text(&new)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!path("new").exists());
}

/// Samples that were cut, recovered, and read by the reference reader: it finds what `dump` finds
/// in the new log, and the new log has what the reference reader finds in the whole buffers of the
/// old one.
#[test]
fn what_was_recovered_is_read_by_the_reference_reader() {
    let Some(shared) = shared() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for entry in std::fs::read_dir(shared.join("samples")).unwrap() {
        let sample = entry.unwrap().path();
        let size = std::fs::metadata(&sample).map_or(0, |found| found.len());
        if sample.extension().is_none_or(|extension| extension != "etl") || size > 400_000 {
            continue;
        }
        let bytes = std::fs::read(&sample).unwrap();
        for part in [5, 9] {
            let cut = bytes.len() * part / 10 + 1;
            let (input, out) = (path("cut.etl"), path("out.etl"));
            let _ = std::fs::remove_file(&out);
            std::fs::write(&input, &bytes[..cut]).unwrap();
            let output = etlring(&["recover", text(&input), "-o", text(&out)]);
            assert!(output.status.code().is_some_and(|code| code < 2), "{}", sample.display());
            let dump = etlring(&["dump", "--format", "jsonl", "--order", "time", text(&out)]);
            assert_eq!(dump.status.code(), Some(0));
            let found = String::from_utf8(dump.stdout).unwrap();
            let by_reference = reference(&shared, &out, "time");
            assert_eq!(found.lines().count(), by_reference.lines().count());
            assert!(found.lines().zip(by_reference.lines()).all(|(a, b)| agree(a, b)));

            // The reference reader stops before a buffer that is cut.
            let whole = |text: &str| -> Vec<(String, String, String)> {
                let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
                let rows = rows.filter(|row| row["header"] != "system" || row["id"] != 0);
                let key = |row: &Value, key: &str| row[key].to_string();
                rows.map(|row| (key(&row, "lane"), key(&row, "ticks"), key(&row, "crc32")))
                    .collect()
            };
            let recovered = whole(&found);
            for row in whole(&reference(&shared, &input, "time")) {
                assert!(recovered.contains(&row), "{} cut at {cut}: {row:?}", sample.display());
            }
        }
    }
}
