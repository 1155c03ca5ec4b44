//! `etlring tail` of a session without a log file, and of one that goes from file to file.

use etlring::format::Guid;
use etlring::session::{ClassicEvent, FileMode, Session};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const CLASS: Guid = Guid::from_u128(0x4b0d_9e27_0f3c_4d55_8c0b_62e9_1d47_aa35);

/// A program with a session named `stream`, which does what it reads: a number of events to write,
/// `next` for the next file, a path for another log, `stop`.
#[test]
#[ignore = "run by others"]
fn role_session() {
    let Ok(kind) = std::env::var("ETLRING_TEST_SESSION") else { return };
    let builder = Session::builder("Stream").controllable().flush_interval(Duration::ZERO);
    let builder = match kind.as_str() {
        "real time" => builder.real_time(),
        "files" => builder.log_file("log-%d.etl").file_mode(FileMode::NewFile),
        other => panic!("{other}"),
    };
    // Of a size that never begins a new file by itself.
    let builder = if kind == "files" { builder.maximum_file_size_mb(64) } else { builder };
    let session = builder.start().unwrap();
    println!("\ndone");
    let mut written = 0u64;
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "next" => session.increment_file().unwrap(),
            "stop" => break,
            text if text.ends_with(".etl") => {
                let update = etlring::session::Update::new().log_file(text);
                session.update(&update).unwrap();
            }
            number => {
                for _ in 0..number.parse::<u64>().unwrap() {
                    let event = ClassicEvent::new(CLASS, 10, 4);
                    session.write_classic(&event, &written.to_le_bytes()).unwrap();
                    written += 1;
                }
            }
        }
        println!("\ndone");
    }
    session.stop().unwrap();
    println!("\ndone");
    std::process::exit(0);
}

struct Program {
    child: Child,
    input: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Program {
    fn start(directory: &Path, kind: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "stream::role_session", "--ignored", "--nocapture"]);
        command.args(["--test-threads", "1"]).env("ETLRING_TEST_SESSION", kind);
        command.env("ETLRING_DIR", directory.join("run")).current_dir(directory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut program = Self { child, input, out };
        program.done();
        program
    }

    fn done(&mut self) {
        let mut line = String::new();
        while line != "done\n" {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the program ended");
        }
    }

    fn tell(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
        self.done();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tail of the program's session, and what it shows.
struct Tail {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Tail {
    fn start(directory: &Path, interval: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etlring"));
        command.args(["tail", "stream", "--format", "jsonl", "--payload", "--interval", interval]);
        command.args(["--provider", &CLASS.to_string()]);
        command.env("ETLRING_DIR", directory.join("run")).current_dir(directory);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn number(&mut self) -> Option<u64> {
        let mut line = String::new();
        (self.out.read_line(&mut line).unwrap() != 0).then(|| {
            let line: Value = serde_json::from_str(&line).unwrap();
            u64::from_str_radix(line["payload"].as_str().unwrap(), 16).unwrap().swap_bytes()
        })
    }

    /// Everything up to its end, its status, and what it complained of.
    fn end(mut self) -> (Vec<u64>, Option<i32>, String) {
        let numbers = std::iter::from_fn(|| self.number()).collect();
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        (numbers, self.child.wait().unwrap().code(), told)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the session says that it has so many consumers.
fn consumers(directory: &Path, wanted: u64) {
    for _ in 0..60_000 {
        let mut query = Command::new(env!("CARGO_BIN_EXE_etlring"));
        query.args(["query", "stream", "--json"]).env("ETLRING_DIR", directory.join("run"));
        let status: Value = serde_json::from_slice(&query.output().unwrap().stdout).unwrap();
        if status["consumers"] == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("no {wanted} consumers");
}

#[test]
fn a_session_without_a_log_is_followed_by_several_until_it_stops() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path(), "real time");
    program.tell("3");
    let mut tails: Vec<_> = (0..3).map(|_| Tail::start(directory.path(), "1")).collect();
    consumers(directory.path(), 3);
    // Nothing is flushed: what comes is looked for.
    for at in [3, 4, 5] {
        program.tell("1");
        for tail in &mut tails {
            // What was there before comes from buffers in use, if at all.
            let first = loop {
                match tail.number() {
                    Some(0..=2) => {}
                    other => break other,
                }
            };
            assert_eq!(first, Some(at));
        }
    }
    program.tell("2000");
    program.tell("stop");
    for tail in tails {
        let (numbers, status, told) = tail.end();
        assert_eq!((numbers, status, &*told), ((6..2006).collect(), Some(0), ""));
    }
}

#[test]
fn the_death_of_a_session_without_a_log_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut program = Program::start(directory.path(), "real time");
    let mut tail = Tail::start(directory.path(), "1");
    consumers(directory.path(), 1);
    program.tell("1");
    assert_eq!(tail.number(), Some(0));
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    let (numbers, status, told) = tail.end();
    assert_eq!((numbers, status), (Vec::new(), Some(1)));
    assert!(
        told.contains("has died; all that came is shown") && told.lines().count() == 1,
        "{told}"
    );
}

/// Goal: no file is missed, however quickly the session goes from one to the next, and ends.
/// Method: the tail looks once, and sleeps while everything else happens.
#[test]
fn files_that_come_and_go_between_two_looks_are_all_shown() {
    let directory = tempfile::tempdir().unwrap();
    // Of somebody else, in the middle of the row.
    std::fs::write(directory.path().join("log-3.etl"), "mine").unwrap();
    std::fs::write(directory.path().join("on-2.etl"), "mine").unwrap();
    let mut program = Program::start(directory.path(), "files");
    program.tell("2");
    let mut tail = Tail::start(directory.path(), "3000");
    assert_eq!([tail.number(), tail.number()], [Some(0), Some(1)]);
    for round in 0..8 {
        program.tell("2");
        program.tell(if round == 4 { "on-%d.etl" } else { "next" });
    }
    program.tell("2");
    // A row of another name is told by the session alone, while it runs.
    for at in 2..20 {
        assert_eq!(tail.number(), Some(at));
    }
    for _ in 0..5 {
        program.tell("2");
        program.tell("next");
    }
    program.tell("2");
    program.tell("stop");
    let (numbers, status, told) = tail.end();
    assert_eq!((numbers, status, &*told), ((20..32).collect(), Some(0), ""));
}
