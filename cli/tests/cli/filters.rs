//! The filters of the command line, and the tables of `stats`, against what `dump` says of every
//! record.

use super::{etlring, names, sample, shared};
use etlring::format::Guid;
use etlring::session::{ClassicEvent, Session};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn dump(file: &str, args: &[&str]) -> Vec<Value> {
    let output = etlring(&[&["dump", "--format", "jsonl", file], args].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*told), (Some(0), ""), "{args:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stats(file: &str, args: &[&str]) -> Value {
    let output = etlring(&[&["stats", "--json", file], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether a key of a record is a number of the list.
fn is(record: &Value, key: &str, numbers: &[u64]) -> bool {
    record[key].as_u64().is_some_and(|number| numbers.contains(&number))
}

type Case<'a> = (&'a [&'a str], &'a dyn Fn(&Value) -> bool);

/// Goal: options take alternatives with commas and by repetition, all options hold together, and a
/// record that has no such thing stays where it is only unwanted. Method: a log of .NET, whose
/// records have tasks and opcodes, and one of the kernel, most of which have no process.
#[test]
fn alternatives_and_exceptions_take_what_the_records_say() {
    let Some(dot_net) = sample("perfview_gcevents.etl") else { return };
    let Some(kernel) = sample("airbus_ShutdownPerfDiagLogger.etl") else { return };
    let runtime = "e13c0d23-ccbc-4e12-931b-d9cc2eee27e4";
    let cases: &[Case<'_>] = &[
        (&["--id", "1,2"], &|r| is(r, "id", &[1, 2])),
        (&["--id", "1", "--id", "0x2"], &|r| is(r, "id", &[1, 2])),
        (&["--not-id", "1,2"], &|r| !is(r, "id", &[1, 2])),
        (&["--opcode", "start,134"], &|r| is(r, "opcode", &[1, 134])),
        (&["--not-opcode", "134", "--not-opcode", "info"], &|r| !is(r, "opcode", &[0, 134])),
        (&["--task", "1,2"], &|r| is(r, "task", &[1, 2])),
        (&["--not-task", "1"], &|r| !is(r, "task", &[1])),
        (&["--id", "1,2,5", "--not-opcode", "1"], &|r| {
            is(r, "id", &[1, 2, 5]) && !is(r, "opcode", &[1])
        }),
        (&["--provider", runtime, "--not-id", "5"], &|r| {
            r["provider"] == runtime && !is(r, "id", &[5])
        }),
        (&["--not-provider", runtime], &|r| r["provider"] != runtime),
        (&["--not-provider", "Microsoft-Windows-DotNETRuntime"], &|r| r["provider"] != runtime),
        (&["--provider", "EventTrace,Microsoft-Windows-DotNETRuntime"], &|_| true),
        (&["--provider", "EventTrace", "--provider", runtime], &|_| true),
        (&["--pid", "179596,179356"], &|r| is(r, "pid", &[179_596, 179_356])),
        (&["--not-pid", "179596"], &|r| !is(r, "pid", &[179_596])),
        (&["--not-tid", "168672"], &|r| !is(r, "tid", &[168_672])),
        (&["--level", "info", "--not-level", "always"], &|r| is(r, "level", &[1, 2, 3, 4])),
        (&["--not-match", "dotnet"], &|r| r["provider"] != runtime),
        (&["--match", "dotnet", "--match", "eventtrace"], &|_| true),
    ];
    let more: &[Case<'_>] = &[
        (&["--pid", "4,3856"], &|r| is(r, "pid", &[4, 3856])),
        // Most records say no process: they stay.
        (&["--not-pid", "4,3856"], &|r| !is(r, "pid", &[4, 3856])),
        (&["--not-pid", "4", "--not-opcode", "2,3"], &|r| {
            !is(r, "pid", &[4]) && !is(r, "opcode", &[2, 3])
        }),
        (&["--lane", "0,2", "--not-opcode", "2"], &|r| {
            is(r, "lane", &[0, 2]) && !is(r, "opcode", &[2])
        }),
        (&["--not-lane", "0"], &|r| !is(r, "lane", &[0])),
        (&["--not-task", "0"], &|_| true),
        (&["--task", "0"], &|_| false),
    ];
    for (file, cases) in [(&dot_net, cases), (&kernel, more)] {
        let all = dump(file, &[]);
        for (args, wanted) in cases {
            let expected: Vec<_> = all.iter().filter(|record| wanted(record)).collect();
            assert_eq!(expected.is_empty(), *args == ["--task", "0"], "{args:?}");
            let found = dump(file, args);
            assert!(found.iter().eq(expected.iter().copied()), "{args:?}");
            assert_eq!(stats(file, args)["events"], expected.len(), "{args:?}");
        }
    }
}

#[test]
fn a_filtered_log_has_the_same_records() {
    let Some(file) = sample("perfview_gcevents.etl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("few.etl");
    let out = out.to_str().unwrap();
    let args = ["--opcode", "start,stop", "--not-id", "1"];
    let rest = ["--no-metadata", "-o", out];
    let output = etlring(&[&["filter", &file], &args[..], &rest[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    let place = |record: &Value| {
        let keys = ["provider", "id", "opcode", "ticks", "lane", "crc32"];
        keys.map(|key| record[key].to_string())
    };
    let made: Vec<_> = dump(out, &args).iter().map(place).collect();
    let expected: Vec<_> = dump(&file, &args).iter().map(place).collect();
    assert!(!made.is_empty());
    assert_eq!(made, expected);
}

#[test]
fn exceptions_that_nothing_is_of_are_named_and_nonsense_is_refused() {
    let Some(file) = sample("perfview_gcevents.etl") else { return };
    let output = etlring(&["dump", "--not-provider", "Mispelt,EventTrace", &file]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("etlring: --not-provider Mispelt: no event is of it; "), "{told}");
    for wrong in [
        ["--pid", "4,"],
        ["--opcode", "begin"],
        ["--opcode", "256"],
        ["--task", "65536"],
        ["--not-id", "1;2"],
        ["--not-provider", ","],
        ["--not-activity", "1"],
    ] {
        let output = etlring(&["dump", wrong[0], wrong[1], &file]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

/// Goal: the tables by thread and lane add up to the log, and the usual ones stay what they are.
#[test]
fn stats_count_by_what_is_asked_for() {
    let Some(file) = sample("airbus_ShutdownPerfDiagLogger.etl") else { return };
    let all = dump(&file, &[]);
    let mut threads: BTreeMap<String, u64> = BTreeMap::new();
    let mut lanes: BTreeMap<String, u64> = BTreeMap::new();
    for record in &all {
        *threads.entry(format!("{} {}", record["pid"], record["tid"])).or_default() += 1;
        *lanes.entry(record["lane"].to_string()).or_default() += 1;
    }
    let usual = stats(&file, &[]);
    let asked = stats(&file, &["--by", "lane,thread", "--by", "process"]);
    let counts = |rows: &Value, name: &dyn Fn(&Value) -> String| -> BTreeMap<String, u64> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (name(row), row["events"].as_u64().unwrap())).collect()
    };
    let thread = |row: &Value| format!("{} {}", row["pid"], row["tid"]);
    assert_eq!(counts(&asked["threads"], &thread), threads);
    assert_eq!(counts(&asked["lanes"], &|row| row["lane"].to_string()), lanes);
    assert_eq!(asked["processes"], usual["processes"]);
    for key in ["providers", "ids", "levels", "processes"] {
        assert!(usual[key].is_array(), "{key}");
        assert_eq!(asked[key].is_array(), key == "processes", "{key}");
    }
    assert!(usual["threads"].is_null() && usual["lanes"].is_null());
    let rank = |rows: &Value, key: &str| -> Vec<u64> {
        rows.as_array().unwrap().iter().map(|row| row[key].as_u64().unwrap()).collect()
    };
    let by_bytes = stats(&file, &["--by", "id", "--sort", "bytes"]);
    assert!(rank(&usual["ids"], "events").is_sorted_by(|a, b| a >= b));
    assert!(rank(&by_bytes["ids"], "bytes").is_sorted_by(|a, b| a >= b));
    assert!(!rank(&usual["ids"], "bytes").is_sorted_by(|a, b| a >= b));
    let row = asked["threads"].as_array().unwrap().iter().find(|row| row["pid"] == 3856).unwrap();
    assert_eq!(row["name"], "explorer.exe");
    // Its buffers are the file's.
    let buffers: u64 =
        asked["lanes"].as_array().unwrap().iter().map(|row| row["buffers"].as_u64().unwrap()).sum();
    let info: Value = serde_json::from_slice(&etlring(&["info", "--json", &file]).stdout).unwrap();
    assert_eq!(info["buffers"].as_u64(), Some(buffers), "{}", info["buffers"]);

    let text = |args: &[&str]| {
        let output = etlring(&[&["stats", &file], args].concat());
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let titles = |text: &str| -> Vec<String> {
        let tables = text.lines().filter(|line| line.ends_with("SHARE      BYTES"));
        tables.map(|line| line.split("  ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(&text(&[])), ["PROVIDER", "EVENT", "LEVEL", "PROCESS"]);
    assert_eq!(titles(&text(&["--by", "lane,level,lane"])), ["LANE", "LEVEL"]);
    assert!(text(&["--by", "thread", "--rows", "3"]).contains("\nand "));
    assert_eq!(etlring(&["stats", "--by", "colour", &file]).status.code(), Some(2));
}

/// Goal: what is counted at a glance is what is counted record by record. Method: a filter that
/// refuses nothing makes `stats` ask for each record; of one file and of several, of which one
/// describes its events and one has lost what describes the same events, and of one that tells of
/// losses.
#[test]
fn stats_at_a_glance_are_those_of_every_record() {
    let Some(shared) = shared() else { return };
    let samples = shared.join("samples");
    let paths = names(&samples).into_iter().map(|name| samples.join(name));
    // The largest has nothing that the others have not.
    let paths = paths.filter(|path| path.metadata().unwrap().len() < 8 << 20);
    let files: Vec<String> = paths.map(|path| path.to_str().unwrap().to_owned()).collect();
    let files: Vec<String> = files.into_iter().filter(|name| name.ends_with(".etl")).collect();
    let same = |files: &[&str]| {
        let by = ["--by", "provider,id,level,process,thread,lane"];
        for form in [&["--json"][..], &["--rows", "1000000"]] {
            let run = |filter: &[&str]| {
                let output = etlring(&[&["stats"], form, &by[..], filter, files].concat());
                (output.status.code(), output.stdout, output.stderr)
            };
            let (glance, each) = (run(&[]), run(&["--not-pid", "4294967294"]));
            assert_eq!(glance.0, each.0, "{files:?}");
            assert!(glance == each, "{files:?} {form:?}");
            assert!(glance.1.len() > 500, "{files:?}");
        }
    };
    assert!(files.len() >= 19);
    files.iter().for_each(|file| same(&[file]));
    let named = |name: &str| files.iter().find(|file| file.ends_with(name)).unwrap().as_str();
    let twice = named("airbus_ShutdownPerfDiagLogger.etl");
    same(&[twice, named("perfview_gcevents.etl"), twice]);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (described, bare) = (named("demikernel_PktMon.etl"), &*path("bare.etl"));
    let without = ["--not-provider", "KernelTraceControl-EventMetadata", "--no-metadata"];
    let made = etlring(&[&["filter", described, "-o", bare], &without[..]].concat());
    assert_eq!(made.status.code(), Some(0));
    same(&[described, bare]);
    same(&[bare, described]);
    assert_eq!(stats(bare, &[described])["schemas"].as_array().unwrap().len(), 3);
    let logs = ["first.etl", "second.etl"].map(path);
    for log in &logs {
        let session = Session::builder("lossy").log_file(log).start().unwrap();
        let event = ClassicEvent::new(Guid::from_u128(0x1057), 10, 4);
        session.write_classic(&event, b"small").unwrap();
        session.write_classic(&event, &[0; 1 << 17]).unwrap_err();
        session.stop().unwrap();
    }
    let log = &*path("lossy.etl");
    let made = etlring(&["merge", &logs[0], &logs[1], "-o", log]);
    assert_eq!(made.status.code(), Some(0));
    let losses = &stats(log, &[])["losses"];
    assert_eq!((&losses[0]["count"], &losses[0]["records"]), (&json!(2), &json!(2)), "{losses}");
    same(&[log, twice, log]);
}
