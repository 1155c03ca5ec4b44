//! `etlring start` and what is done to the session that it has a program take up: `list`, `query`,
//! `flush`, `snapshot`, `enable`, `disable`, `update`, `stop`, `tail`.

use etlring::tracelogging::Level;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

etlring::provider!(Started = "Example-Started");

/// A program that has no code for its recording: it writes as many events as each line says, and
/// ends with its input.
#[test]
#[ignore = "a part of other tests"]
fn role_program() {
    if std::env::var_os("ETLRING_TEST_ROLE").is_none() {
        return;
    }
    let mut written = 0u64;
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        if line == "die" {
            // Nothing of this process ends as it should.
            std::process::abort();
        }
        for _ in 0..line.parse::<u64>().unwrap() {
            etlring::event!(Started, Level::INFO, "Counted", number: u64 = written);
            etlring::event!(Started, Level::VERBOSE, "Chatted", number: u64 = written);
            written += 1;
        }
        println!("written {written}");
    }
}

/// A program that runs under `etlring start`.
struct Program {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Program {
    /// Writes `count` events of each of two levels.
    fn write(&mut self, count: u64) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{count}").unwrap();
        let mut line = String::new();
        while !line.contains("written") {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the program ended");
        }
    }

    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        self.ended()
    }

    fn die(mut self) -> (Option<i32>, String) {
        writeln!(self.child.stdin.as_mut().unwrap(), "die").unwrap();
        self.ended()
    }

    fn ended(&mut self) -> (Option<i32>, String) {
        let mut told = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut told).unwrap();
        (self.child.wait().unwrap().code(), told)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, with a directory of sessions in `directory`, where it also runs.
fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etlring"));
    command.args(args).env("ETLRING_DIR", directory.join("run")).current_dir(directory);
    command.env_remove("ETLRING_SESSION").stdin(Stdio::null());
    command
}

fn run(directory: &Path, args: &[&str]) -> Output {
    command(directory, args).output().unwrap()
}

/// What a command that has done its work says.
fn said(directory: &Path, args: &[&str]) -> String {
    let output = run(directory, args);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*complaint), (Some(0), ""), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(directory: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&said(directory, args)).unwrap()
}

fn start(directory: &Path, args: &[&str]) -> Program {
    let mut command = command(directory, &[&["start"], args, &["--"]].concat());
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "sessions::role_program", "--ignored", "--nocapture"]);
    command.args(["--test-threads", "1"]).env("ETLRING_TEST_ROLE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    Program { child, out }
}

/// Numbers and names of the program's events in a log.
fn events(directory: &Path, log: &str) -> Vec<(String, u64)> {
    let args = ["dump", "--format", "jsonl", "--fields", "--provider", "Example-Started", log];
    let output = run(directory, &args);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let number = line["fields"]["number"].as_u64().unwrap();
        (line["name"].as_str().unwrap().to_owned(), number)
    };
    text.lines().map(line).collect()
}

fn counted(numbers: std::ops::Range<u64>) -> Vec<(String, u64)> {
    numbers.map(|number| ("Counted".to_owned(), number)).collect()
}

#[test]
fn a_program_is_recorded_without_code_and_steered_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut program = start(directory, &["web", "--buffers", "8", "--flush-ms", "0"]);
    program.write(1); // Nobody has asked for its events so far.
    assert_eq!(said(directory, &["enable", "web", "Example-Started", "--level", "4"]), "");
    program.write(10);

    let query = json(directory, &["query", "WEB", "--json"]);
    assert_eq!(query["name"], "web");
    assert_eq!(query["state"], "running");
    assert_eq!((&query["accepted"], &query["lost"]), (&10.into(), &0.into()));
    assert_eq!(query["maximum_buffers"], 8);
    assert_eq!(query["providers"][0]["name"], "Example-Started");
    assert_eq!(query["log_file"], directory.join("web.etl").to_str().unwrap());
    let text = said(directory, &["query", "web"]);
    assert!(text.contains("10 accepted") && text.contains("Example-Started"), "{text}");
    assert_eq!(json(directory, &["list", "--json"])[0], query);
    let list = said(directory, &["list"]);
    assert!(list.starts_with("web ") && list.contains("10 events, 0 lost"), "{list}");

    // A second start of the name does not get as far as its program.
    let again = run(directory, &["start", "Web", "--log", "other.etl", "--", "false"]);
    assert_eq!(again.status.code(), Some(2));

    assert_eq!(query["buffers_written"], 1);
    assert_eq!(said(directory, &["flush", "web"]), "");
    assert_eq!(json(directory, &["query", "web", "--json"])["buffers_written"], 2);
    assert_eq!(said(directory, &["update", "web", "--flush-ms", "250", "--buffers", "16"]), "");
    let query = json(directory, &["query", "web", "--json"]);
    assert_eq!(query["flush_interval_ms"], 250);
    assert_eq!(query["maximum_buffers"], 16);
    assert_eq!(said(directory, &["update", "web", "--log", "second.etl"]), "");
    assert_eq!(said(directory, &["disable", "web", "example-started"]), "");
    program.write(5);
    let guid = "--any=0x8000000000000000";
    assert_eq!(said(directory, &["enable", "web", &Started::GUID.to_string(), guid]), "");
    program.write(2);

    let stopped = json(directory, &["stop", "web", "--json"]);
    // Both levels, keyword 0 always passes.
    assert_eq!((&stopped["accepted"], &stopped["state"]), (&14.into(), &"stopped".into()));
    assert_eq!(said(directory, &["list"]), "");
    program.write(1);
    let (status, told) = program.end();
    assert_eq!((status, &*told), (Some(0), ""));
    assert_eq!(events(directory, "web.etl"), counted(1..11));
    assert_eq!(events(directory, "second.etl").len(), 4);
    for log in ["web.etl", "second.etl"] {
        assert_eq!(run(directory, &["verify", log]).status.code(), Some(0));
        assert!(!directory.join(format!("{log}.ring")).exists());
    }
}

#[test]
fn the_log_of_a_program_that_just_ends_or_dies_is_finished() {
    for dies in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let enable = "Example-Started,level=4";
        let mut program =
            start(directory, &["short", "--buffers", "8", "--flush-ms", "0", "--enable", enable]);
        program.write(100);
        let (status, told) = if dies { program.die() } else { program.end() };
        let expected = if dies { 128 + 6 } else { 0 };
        assert_eq!((status, &*told), (Some(expected), ""), "dies: {dies}");
        assert_eq!(json(directory, &["info", "short.etl", "--json"])["finished"], true);
        assert_eq!(events(directory, "short.etl"), counted(0..100));
        assert!(!directory.join("short.etl.ring").exists());
        assert_eq!(said(directory, &["list"]), "");

        // Nor is it replaced by the next one.
        let output = run(directory, &["start", "short", "--", "true"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains("is there already") && told.lines().count() == 1, "{told}");
        assert_eq!(events(directory, "short.etl").len(), 100);
    }
}

#[test]
fn every_process_may_have_a_session_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut one = start(directory, &["each-%p", "--enable", "Example-Started,level=4"]);
    let mut two = start(directory, &["each-%p", "--enable", "Example-Started,level=4"]);
    one.write(3);
    two.write(4);
    assert_eq!(json(directory, &["list", "--json"]).as_array().unwrap().len(), 2);
    assert_eq!(one.end().0, Some(0));
    assert_eq!(two.end().0, Some(0));
    let logs = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let logs: Vec<_> = logs.map(|name| name.into_string().unwrap()).collect();
    let logs: Vec<_> = logs.iter().filter(|name| name.ends_with(".etl")).collect();
    let mut counts: Vec<_> = logs.iter().map(|log| events(directory, log).len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [3, 4]);
}

#[test]
fn a_ring_in_memory_is_copied_on_demand() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let args = ["recorder", "--memory", "--buffers", "4", "--enable", "Example-Started,level=4"];
    let mut program = start(directory, &args);
    program.write(20);
    let taken = json(directory, &["snapshot", "recorder", "now.etl", "--json"]);
    assert_eq!(taken["buffers"], 1);
    assert_eq!(events(directory, "now.etl"), counted(0..20));
    let text = said(directory, &["snapshot", "recorder", "again.etl"]);
    assert_eq!(text, "1 buffers, 0 overwritten meanwhile\n");
    // What is no log is not replaced.
    std::fs::write(directory.join("mine.txt"), "mine").unwrap();
    let refused = run(directory, &["snapshot", "recorder", "mine.txt"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read(directory.join("mine.txt")).unwrap(), b"mine");
    let tail = run(directory, &["tail", "recorder"]);
    let told = String::from_utf8(tail.stderr).unwrap();
    assert!(tail.status.code() == Some(2) && told.contains("etlring snapshot recorder"), "{told}");
    assert_eq!(program.end(), (Some(0), String::new()));
}

#[test]
fn tail_follows_a_session_by_name_until_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let enable = "Example-Started,level=4";
    let mut program = start(directory, &["live", "--flush-ms", "0", "--enable", enable]);
    program.write(3);
    let args = ["tail", "live", "--format", "jsonl", "--fields", "--interval", "1"];
    let mut tail = command(directory, &args);
    tail.args(["--provider", "Example-Started"]).stdout(Stdio::piped());
    let mut tail = tail.spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut next = || {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        line["fields"]["number"].as_u64().unwrap()
    };
    assert_eq!([next(), next(), next()], [0, 1, 2]);
    program.write(2);
    assert_eq!([next(), next()], [3, 4]);
    // On into another file, and to its end.
    said(directory, &["update", "live", "--log", "on.etl"]);
    program.write(2);
    assert_eq!([next(), next()], [5, 6]);
    said(directory, &["stop", "live"]);
    assert!(lines.next().is_none());
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    assert_eq!(program.end().0, Some(0));
}

#[test]
fn a_dead_session_is_listed_with_what_recovers_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let program = std::env::current_exe().unwrap();
    let log = directory.join("it's.etl");
    let line = format!("name=gone;log={};enable=Example-Started,level=4", log.display());
    let mut child = Command::new(program)
        .args(["--exact", "sessions::role_program", "--ignored", "--nocapture"])
        .env("ETLRING_TEST_ROLE", "1")
        .env("ETLRING_SESSION", line)
        .env("ETLRING_DIR", directory.join("run"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut program = Program { child, out };
    program.write(7);
    program.child.kill().unwrap();
    program.child.wait().unwrap();

    let list = said(directory, &["list"]);
    let quoted = log.display().to_string().replace('\'', r"'\''");
    let expected = format!("etlring recover '{quoted}' -o");
    assert!(list.contains("dead") && list.contains(&expected), "{list}");
    let found = json(directory, &["list", "--json"]);
    assert_eq!((&found[0]["name"], &found[0]["state"]), (&"gone".into(), &"dead".into()));
    let query = run(directory, &["query", "gone"]);
    let told = String::from_utf8(query.stderr).unwrap();
    assert_eq!(query.status.code(), Some(2));
    assert!(told.lines().count() == 1 && told.contains(&expected), "{told}");

    // The command is one that a shell takes.
    let recover = found[0]["recover"].as_str().unwrap();
    let recover = recover.replacen("etlring", env!("CARGO_BIN_EXE_etlring"), 1);
    let status = Command::new("sh").args(["-c", &recover]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{recover}");
    assert_eq!(events(directory, "it's.whole.etl"), counted(0..7));

    assert!(said(directory, &["list", "--forget-dead"]).contains("dead"));
    assert_eq!(said(directory, &["list"]), "");
    assert!(log.exists());
}

#[test]
fn a_start_outlives_its_program_whatever_ends_it() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut program = start(directory, &["ended", "--enable", "Example-Started,level=4"]);
    program.write(5);
    let signal = |signal: &str| {
        let pid = program.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    };
    // A terminal sends this one to both, so it is not handed on.
    signal("-INT");
    signal("-TERM");
    let (status, told) = program.ended();
    assert_eq!((status, &*told), (Some(128 + 15), ""));
    assert_eq!(events(directory, "ended.etl"), counted(0..5));
    assert_eq!(json(directory, &["info", "ended.etl", "--json"])["finished"], true);
}

#[test]
fn a_command_is_passed_on_whole() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let output =
        run(directory, &["start", "a;b", "--", "sh", "-c", "echo $ETLRING_SESSION; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    let line = String::from_utf8(output.stdout).unwrap();
    let log = directory.join("a;b.etl").display().to_string().replace(';', "\\;");
    assert_eq!(line, format!("name=a\\;b;log={log}\n"));
    // Nobody has taken it up, and whoever wonders is told so.
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.lines().count() == 1 && told.contains("taken up"), "{told}");
    let output = run(directory, &["start", "killed", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn wrong_input_gives_status_2_and_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut program = start(directory, &["there", "--enable", "Example-Started"]);
    program.write(1);
    for args in [
        &["query"][..],
        &["query", "missing"],
        &["query", "../there"],
        &["query", ".."],
        &["query", "a/b"],
        &["query", ""],
        &["flush", "missing"],
        &["flush", "a/b"],
        &["stop", "missing"],
        &["stop", ".."],
        &["tail", "missing"],
        &["snapshot", "there"],
        &["snapshot", "missing", "out.etl"],
        &["snapshot", "there", "out.etl"],
        &["enable", "there"],
        &["enable", "there", ""],
        &["enable", "there", "{no guid}"],
        &["enable", "there", "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f"],
        &["enable", "there", "P", "--level", "256"],
        &["enable", "there", "P", "--any", "some"],
        &["enable", "missing", "P"],
        &["disable", "there"],
        &["disable", "missing", "P"],
        &["disable", "a/b", "P"],
        &["update", "there"],
        &["update", "there", "--flush-ms", "3600001"],
        &["update", "there", "--flush-ms", "18446744073709551615"],
        &["update", "there", "--buffers", "1"],
        &["update", "there", "--log", "missing/x.etl"],
        &["update", "missing", "--flush-ms", "1"],
        &["start", "there", "--", "true"],
        &["start", "new"],
        &["start", "a/b", "--log", "x.etl", "--", "true"],
        &["start", "..", "--", "true"],
        &["start", "new", "--enable", "P,level=x", "--", "true"],
        &["start", "new", "--memory", "--log", "x.etl", "--", "true"],
        &["start", "new", "--", "./no-such-program"],
        &["list", "there"],
    ] {
        let output = run(directory, args);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert_eq!((output.stdout.len(), told.lines().count()), (0, 1), "{args:?}: {told}");
    }
    assert!(!directory.join("out.etl").exists());
    let mut list = command(directory, &["list"]);
    let output = list.env("ETLRING_DIR", "not/absolute").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(program.end().0, Some(0));
}
