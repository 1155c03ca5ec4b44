//! What the command promises to scripts, where it is easily forgotten.

use crate::{etlring, sample};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A log of 3000 events in buffers of 4 KiB, in a directory of its own.
fn log() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let options = ["--threads", "1", "--events", "3000", "--buffer-size", "4096"];
    let made = etlring(&[&["demo", "--out", text(&path)], &options[..]].concat());
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    (directory, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn damaged_records_are_status_1_where_nothing_of_them_is_shown() {
    let (_directory, path) = log();
    let mut bytes = fs::read(&path).unwrap();
    // No checksum tells of it, as in files from Windows: the first record of a buffer has no end.
    bytes[3 * 4096 + 0x38..3 * 4096 + 0x48].fill(0);
    bytes[3 * 4096 + 72..3 * 4096 + 74].fill(0xFF);
    fs::write(&path, bytes).unwrap();
    for args in [&["info"][..], &["info", "--json"], &["dump", "--limit", "0"], &["stats"]] {
        let output = etlring(&[args, &[text(&path)]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let told = stderr(&output);
        assert_eq!(told.lines().count(), 1, "{args:?}: {told}");
        assert!(told.contains("position 0x3048"), "{args:?}: {told}");
    }
    let info: Value =
        serde_json::from_slice(&etlring(&["info", "--json", text(&path)]).stdout).unwrap();
    assert_eq!((&info["damage"], &info["checksums_wrong"]), (&1.into(), &0.into()));
    assert!(stdout(&etlring(&["info", text(&path)])).contains(", 1 damaged place\n"));
    // What lies behind the limit is not looked at.
    let output = etlring(&["dump", "--limit", "3", text(&path)]);
    assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(0), 3));
}

#[test]
fn payloads_are_in_every_format_that_has_a_place_for_them() {
    let (_directory, path) = log();
    let csv = ["dump", "--format", "csv", "--limit", "9"];
    let rows = stdout(&etlring(&[&csv[..], &["--payload", text(&path)]].concat()));
    let without = stdout(&etlring(&[&csv[..], &[text(&path)]].concat()));
    let lines = ["dump", "--format", "jsonl", "--payload", "--limit", "9", text(&path)];
    let lines = stdout(&etlring(&lines));
    let payloads = lines.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap()["payload"].as_str().unwrap().to_owned()
    });
    let payloads = std::iter::once("payload".to_owned()).chain(payloads);
    for ((row, without), payload) in rows.lines().zip(without.lines()).zip(payloads) {
        assert_eq!(row, format!("{without},{payload}"));
    }
    let refused = etlring(&["dump", "--format", "xml", "--payload", text(&path)]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    assert!(stderr(&refused).contains("--payload"));
}

/// The largest payload that `demo` takes is one that fits.
#[test]
fn the_largest_event_of_a_buffer_is_recorded() {
    let options = ["--payload", "3976", "--buffer-size", "4096", "--events", "100", "--json"];
    let made = etlring(&[&["demo"], &options[..]].concat());
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let report: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(report["accepted"].as_u64() > Some(0) && report["accepted"] == report["replayed"]);
}

#[test]
fn times_need_no_zone() {
    let (_directory, path) = log();
    let lines = stdout(&etlring(&["dump", "--format", "jsonl", text(&path)]));
    let middle: Value = serde_json::from_str(lines.lines().nth(1500).unwrap()).unwrap();
    let time = middle["time"].as_str().unwrap();
    let from = |time: &str| {
        let output = etlring(&["dump", "--format", "jsonl", "--from", time, text(&path)]);
        assert_eq!(output.status.code(), Some(0), "{time}: {}", stderr(&output));
        stdout(&output)
    };
    let expected = from(time);
    assert!((1..=1501).contains(&expected.lines().count()));
    assert_eq!(from(time.strip_suffix('Z').unwrap()), expected);
    assert_eq!(from(&time.strip_suffix('Z').unwrap().replace('T', " ")), expected);
    assert_eq!(from(&time.replace('Z', "+00:00")), expected);
}

#[test]
fn what_finds_nothing_says_so() {
    let (directory, path) = log();
    let class = "b4a15c0e-7d2f-4f6b-9a51-0c3e6d58e7d1";
    let none = "00000000-0000-0000-0000-00000000beef";
    let out = directory.path().join("out.etl");
    let commands = [
        &["dump"][..],
        &["stats"],
        &["filter", "--force", "-o", text(&out)],
        &["export", "--to", "chrome", "-o", "-"],
    ];
    for command in commands {
        let told = |providers: &[&str]| {
            let providers = providers.iter().flat_map(|provider| ["--provider", provider]);
            let args: Vec<_> = command.iter().copied().chain([text(&path)]).collect();
            let output = etlring(&[args, providers.collect()].concat());
            assert_eq!(output.status.code(), Some(0), "{command:?}");
            stderr(&output)
        };
        assert_eq!(told(&[class, "EventTrace"]), "", "{command:?}");
        for wrong in ["No-Such-Provider", none, "Thread"] {
            let told = told(&[class, wrong]);
            assert!(told.starts_with(&format!("etlring: --provider {wrong}: ")), "{told}");
            assert_eq!(told.lines().count(), 1);
        }
    }
    for more in [&[][..], &["--provider", class]] {
        let args = [&["export", "--to", "folded", "-o", "-", text(&path)], more].concat();
        let output = etlring(&args);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
}

/// The names that need no look at the whole log are the same with fields and without.
#[test]
fn an_event_has_one_name() {
    let files = ["perfview_primitive-types.etl", "airbus_ShutdownPerfDiagLogger.etl"];
    for file in files {
        let Some(file) = sample(file) else { return };
        let names = |more: &[&str]| {
            let output = etlring(&[&["dump", "--format", "jsonl", &file], more].concat());
            let names = stdout(&output);
            let names = names.lines().map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                (line["provider_name"].clone(), line["name"].clone())
            });
            names.collect::<Vec<_>>()
        };
        let plain = names(&[]);
        assert!(plain.iter().filter(|(_, name)| name.is_string()).count() >= 5);
        assert!(plain == names(&["--fields"]), "{file}");
        // The columns of the text are those of the text with fields behind them.
        let rows = |more: &[&str]| {
            let output = etlring(&[&["dump", "--limit", "500", &file], more].concat());
            stdout(&output).lines().map(str::to_owned).collect::<Vec<_>>()
        };
        for (plain, decoded) in rows(&[]).iter().zip(rows(&["--fields"])) {
            assert!(decoded.starts_with(plain), "{plain}\n{decoded}");
        }
    }
}

#[cfg(unix)]
#[test]
fn file_names_need_not_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let (directory, path) = log();
    let names: [&[u8]; 2] = [b"a\xff\x1b[1m.etl", b"a\xfe\n.etl"];
    for name in names {
        let odd = directory.path().join(OsStr::from_bytes(name));
        if fs::copy(&path, &odd).is_err() {
            // A file system of text.
            return;
        }
        let byte = if name[1] == 0xFF { "\\xff" } else { "\\xfe" };
        let run = |args: &[&str], more: &[&OsStr]| {
            let output = Command::new(env!("CARGO_BIN_EXE_etlring"))
                .args(args)
                .arg(&odd)
                .args(more)
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
            stdout(&output)
        };
        let shown = run(&["info"], &[]);
        assert!(shown.contains(&format!("/a{byte}")) && !shown.contains('\x1b'), "{shown}");
        let info: Value = serde_json::from_str(&run(&["info", "--json"], &[])).unwrap();
        assert!(info["file"].as_str().unwrap().contains(byte));
        assert_eq!(run(&["verify"], &[]).lines().count(), 2);
        let out = directory.path().join(OsStr::from_bytes(&[name, b".new"].concat()));
        let made = run(&["filter"], &[OsStr::new("-o"), out.as_os_str()]);
        assert!(made.contains(byte) && made.lines().count() == 1 && out.exists(), "{made}");
        let missing = etlring_os(&[OsStr::new("info"), out.join("x").as_os_str()]);
        assert!(stderr(&missing).contains(byte) && stderr(&missing).lines().count() == 1);
    }
}

#[cfg(unix)]
fn etlring_os(args: &[&std::ffi::OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etlring")).args(args).output().unwrap()
}

#[test]
fn pages_of_the_manual_have_sections_with_names() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // An older page is replaced; what a link points to is not.
    fs::write(at("letter"), "a letter").unwrap();
    fs::write(at("etlring-dump.1"), "old").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(at("letter"), at("etlring-info.1")).unwrap();
    for _ in 0..2 {
        let made = etlring(&["man", "--out", text(directory.path())]);
        assert_eq!((made.status.code(), made.stdout.len()), (Some(0), 0), "{}", stderr(&made));
    }
    assert_eq!(fs::read_to_string(at("letter")).unwrap(), "a letter");
    let page = |name: &str| fs::read_to_string(at(name)).unwrap();
    for (name, heading) in [
        ("etlring.1", "EXIT STATUS"),
        ("etlring-dump.1", "EXAMPLES"),
        ("etlring-info.1", "EXAMPLES"),
        ("etlring-recompress.1", "EXAMPLES"),
    ] {
        let page = page(name);
        assert!(
            page.contains(&format!(".SH \"{heading}\"\n")) && !page.contains("EXTRA"),
            "{name}"
        );
    }
    assert_eq!(stdout(&etlring(&["man"])), page("etlring.1"));
    // A directory that is not there is made; what is there and is none is left alone.
    let made = etlring(&["man", "--out", text(&at("share/man/man1"))]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert_eq!(page("share/man/man1/etlring.1"), page("etlring.1"));
    assert_eq!(etlring(&["man", "--out", text(&at("letter"))]).status.code(), Some(2));
    assert_eq!(fs::read_to_string(at("letter")).unwrap(), "a letter");
}

/// As other tools write them: process ids in hex, levels by name.
#[test]
fn filters_take_numbers_in_hex_and_levels_by_name() {
    let (_directory, path) = log();
    let dump = |filter: &[&str]| {
        let output = etlring(&[&["dump", "--format", "jsonl", text(&path)], filter].concat());
        assert_eq!(output.status.code(), Some(0), "{filter:?}: {}", stderr(&output));
        stdout(&output)
    };
    let all = dump(&[]);
    let last: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    let number = |key: &str| last[key].as_u64().unwrap();
    for key in ["pid", "tid", "id"] {
        let [option, number] = [format!("--{key}"), number(key).to_string()];
        let hex = format!("{:#x}", number.parse::<u64>().unwrap());
        let found = dump(&[&option, &number]);
        assert!(found.lines().count() >= 3000 && found == dump(&[&option, &hex]), "{key}");
    }
    let names = ["critical", "error", "warning", "info", "verbose"];
    for (name, level) in names.into_iter().zip(["1", "2", "3", "4", "5"]) {
        assert_eq!(dump(&["--level", name]), dump(&["--level", level]), "{name}");
    }
    for wrong in [["--pid", "0x1ffffffff"], ["--id", "65536"], ["--level", "loud"]] {
        let output = etlring(&[&["dump", text(&path)], &wrong[..]].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}");
    }
    let output = etlring(&["dump", "--provider", "", text(&path)]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "no name");
}

/// A device without an end is no log after its first bytes, and memory is not filled with it.
#[cfg(target_os = "linux")]
#[test]
fn a_stream_without_an_end_is_refused_by_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let read = ["info", "dump", "stats", "verify"].map(|command| vec![command]);
    let made = ["filter", "cut", "merge", "recompress", "anonymize"];
    let made = made.map(|command| vec![command, "-o", text(&out)]);
    let sent = ["chrome", "pcapng", "folded", "freb", "html", "otlp-json"];
    let sent = sent.map(|format| vec!["export", "-o", text(&out), "--to", format]);
    for command in read.iter().chain(&made).chain(&sent) {
        let on = |device| etlring(&[&command[..], &[device]].concat());
        for device in ["/dev/zero", "/dev/urandom"] {
            let output = on(device);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{command:?}");
            let told = stderr(&output);
            assert!(told.starts_with(&format!("etlring: {device}: not an .etl log file: ")));
        }
        let output = on("/dev/null");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(stderr(&output).starts_with("etlring: /dev/null: is empty; "), "{command:?}");
    }
    let output = etlring(&["tail", "/dev/zero"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no regular file"), "{}", stderr(&output));
    let (_directory, log) = log();
    for option in ["--manifest", "--binary", "--mof", "--tmf"] {
        let output = etlring(&["dump", text(&log), option, "/dev/zero"]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{option}");
    }
    let output = etlring(&["recover", text(&log), "--ring", "/dev/zero", "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(!out.exists());
    let output = etlring(&["dump", "-", "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("give - once"), "{}", stderr(&output));
}

/// Help that nobody got is as little done as any other output.
#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_status_2() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_etlring"));
    let output = command.arg("--help").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
}

/// What the reference reader and a hex dump say of these files.
#[test]
fn reports_name_time_zones_and_processes() {
    let Some(file) = sample("airbus_AMSITrace.etl") else { return };
    let shown = stdout(&etlring(&["info", &file]));
    let zone = "\ntime zone     UTC+01:00, UTC+02:00 in daylight saving time\n";
    assert!(shown.contains(zone), "{shown}");
    let info: Value = serde_json::from_slice(&etlring(&["info", "--json", &file]).stdout).unwrap();
    let zone = &info["time_zone"];
    assert_eq!(
        (&zone["bias_minutes"], &zone["daylight_bias_minutes"]),
        (&(-60).into(), &(-60).into())
    );
    assert_eq!(zone["standard_name"], "@tzres.dll,-302");
    let fields = stdout(&etlring(&["dump", "--fields", &file]));
    assert!(fields.contains("Script=\"@{\\r\\nGUID=\\\"1DA87E53-"), "line ends are short");

    let Some(file) = sample("hw3d_trace.etl") else { return };
    assert!(stdout(&etlring(&["info", &file])).contains("\nmode          0x0 NONE\n"));

    let Some(file) = sample("airbus_ShutdownPerfDiagLogger.etl") else { return };
    let stats: Value =
        serde_json::from_slice(&etlring(&["stats", "--json", &file]).stdout).unwrap();
    let rows = stats["processes"].as_array().unwrap();
    let name = |pid: u64| rows.iter().find(|row| row["pid"] == pid).unwrap()["name"].as_str();
    assert_eq!((name(3856), name(4)), (Some("explorer.exe"), Some("System")));
    let text = stdout(&etlring(&["stats", &file]));
    assert!(text.contains("\n3856       explorer.exe "), "{text}");
}

#[test]
fn one_of_a_kind_is_no_plural() {
    let (directory, path) = log();
    let shown = stdout(&etlring(&["info", text(&path)]));
    assert!(shown.contains(", 1 processor at "), "{shown}");
    let shown = stdout(&etlring(&["verify", text(&path)]));
    assert!(shown.contains(" 1 lane, ") && shown.contains(" buffers, "), "{shown}");
    let out = directory.path().join("one.etl");
    let shown = etlring(&["filter", text(&path), "--pid", "4294967290", "-o", text(&out)]);
    assert!(stdout(&shown).contains(": 1 record in 1 buffer, "), "{}", stdout(&shown));
}
