//! The examples, run as they are, and what they leave.
//!
//! Cargo builds them before it runs any test of the workspace. Where only this test was built they
//! may be missing: then it is skipped, but not where CI=true.

use crate::seen::{self, Seen, place};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn example(name: &str) -> Option<PathBuf> {
    let this = std::env::current_exe().unwrap();
    let directory = this.parent().and_then(Path::parent).unwrap().join("examples");
    let path = directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", path.display());
    eprintln!("skipped: {} is not built: cargo build --examples", path.display());
    None
}

/// Runs an example that writes one log. Gives what it printed and the events.
fn run(name: &str) -> Option<(String, Vec<Seen>)> {
    let (_directory, path) = place();
    let output = Command::new(example(name)?).arg(&path).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some((text.replace(path.to_str().unwrap(), "LOG"), seen::read(&path)))
}

/// Name, level, opcode and fields of each.
fn told(seen: &[Seen]) -> Vec<(&str, u8, u8, &str)> {
    seen.iter().map(|s| (&*s.name, s.level, s.opcode, &*s.fields)).collect()
}

#[test]
fn event() {
    let Some((text, seen)) = run("event") else { return };
    assert_eq!(text, "13 events in LOG\n");
    assert!(seen.iter().all(|seen| seen.provider_name == "Example-Shop"));
    assert_eq!(
        told(&seen[..1]),
        [(
            "Types",
            4,
            0,
            "i8=-128 u8=255 i16=-32768 u16=65535 i32=-2147483648 u32=4294967295 \
             i64=-9223372036854775808 u64=18446744073709551615 isize=-1 usize=1 f32=0.5 \
             f64=-0.25 bool=true text=caf\u{e9} bytes=0102ff words[ =1 =65535 ] \
             guid=3d1d9d66-1949-503e-878a-a9ae2aa63dbe time=2020-02-17T12:48:30.4203138Z \
             hex8=0x1f hex16=0x1ff hex32=0xabcdef hex64=0xffffffffffffffff nothing="
        )]
    );
    for customer in ["Ada", "Grace", "Edsger"] {
        let fields = format!("customer={customer}");
        let start = seen.iter().find(|seen| seen.fields == fields).unwrap();
        assert_eq!(start.related, None);
        let own: Vec<_> = seen.iter().filter(|s| s.activity == start.activity).cloned().collect();
        let expected = [
            ("Order", 4, 1, &*fields),
            ("Poured", 3, 0, "cup=1 degrees=91.5 sugar=true"),
            ("Poured", 3, 0, "cup=2 degrees=91.5 sugar=false"),
            ("Order", 4, 2, ""),
        ];
        assert_eq!(told(&own), expected);
    }
}

#[cfg(feature = "tracing")]
#[test]
fn tracing_layer() {
    let Some((text, seen)) = run("tracing_layer") else { return };
    assert_eq!(text, "26 events in LOG\n");
    assert!(seen.iter().all(|seen| seen.provider_name == "Example-Adder"));
    // Events are named by where they are; that is not the example's point.
    let short = |name| if str::starts_with(name, "event ") { "event" } else { name };
    let all: Vec<_> = told(&seen).into_iter().map(|(n, l, o, f)| (short(n), l, o, f)).collect();
    let expected = [
        ("line", 4, 1, "text=1 2 3"),
        ("number", 4, 1, "word=1"),
        ("event", 5, 0, "sum=1 half=0.5 even=false wide=1"),
        ("number", 4, 2, ""),
        ("number", 4, 1, "word=2"),
        ("event", 5, 0, "sum=3 half=1.5 even=false wide=3"),
        ("number", 4, 2, ""),
        ("number", 4, 1, "word=3"),
        ("event", 5, 0, "sum=6 half=3.0 even=true wide=6"),
        ("number", 4, 2, ""),
        ("event", 4, 0, "message=added words=[\"1\", \"2\", \"3\"]"),
        ("line", 4, 0, "sum=6"),
        ("line", 4, 2, ""),
        ("line", 4, 1, "text=4 five"),
        ("number", 4, 1, "word=4"),
        ("event", 5, 0, "sum=4 half=2.0 even=true wide=4"),
        ("number", 4, 2, ""),
        ("number", 4, 1, "word=five"),
        ("number", 4, 2, ""),
        ("event", 2, 0, "message=not added error=invalid digit found in string"),
        ("line", 4, 2, ""),
        ("line", 4, 1, "text="),
        ("event", 3, 0, "message=an empty line length=0"),
        ("event", 4, 0, "message=added words=[\"\"]"),
        ("line", 4, 0, "sum=0"),
        ("line", 4, 2, ""),
    ];
    assert_eq!(all, expected);
    // Numbers lie within their line.
    let line = seen[0].activity;
    assert_eq!((seen[1].related, seen[10].activity), (Some(line), line));
    assert_eq!(seen[2].activity, seen[1].activity);
}

#[cfg(feature = "log")]
#[test]
fn log_records() {
    let Some((text, seen)) = run("log_records") else { return };
    assert_eq!(text, "3 events in LOG\n");
    let told: Vec<_> = seen
        .iter()
        .map(|seen| {
            // The line's number is not the example's point.
            let (front, rest) = seen.fields.split_once(" line=").unwrap();
            let pairs = rest.split_once(' ').map_or("", |(_, pairs)| pairs);
            (&*seen.name, seen.level, format!("{front} {pairs}"))
        })
        .collect();
    let file = format!("file={}", Path::new("examples").join("log_records.rs").display());
    let expected = [
        ("door", 4, format!("message=open {file} guests=3 warm=true")),
        ("door", 3, format!("message=cold in here {file} draught=0.5 from=the window")),
        ("lock", 2, format!("message=jammed after 3 tries {file} tries=[1, 2, 3] code=42")),
    ];
    assert_eq!(told, expected);
}

/// A server of an example; killed when the test is done with it.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(directory: &Path) -> Option<Self> {
        let mut process = Command::new(example("flight_recorder")?)
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Some(Self { process, address })
    }

    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// The answer, once the server has closed the connection.
    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn flight_recorder_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path()) else { return };
    assert!(server.get("/").ends_with("\r\n\r\nhello\n"));
    assert!(server.get("/sleep/1").ends_with("slept 1 ms\n"));
    assert!(server.get("/missing").starts_with("HTTP/1.1 404 "));
    assert_eq!(server.send("nonsense\r\n\r\n"), "");
    assert!(server.get("/snapshot").contains("snapshot.etl"));
    assert_eq!(server.get("/panic"), "");
    drop(server);

    let starts = |seen: &[Seen]| -> Vec<String> {
        let starts = seen.iter().filter(|seen| seen.opcode == 1);
        starts.map(|seen| seen.fields.replace("path=", "")).collect()
    };
    let names = |seen: &[Seen], level| -> Vec<String> {
        let rare = seen.iter().filter(|seen| seen.level == level);
        rare.map(|seen| format!("{} {}", seen.name, seen.fields)).collect()
    };
    let log = seen::read(&directory.path().join("requests.etl"));
    assert_eq!(starts(&log), ["/", "/sleep/1", "/missing", "/snapshot", "/panic"]);
    let rare = ["NotFound path=/missing", "BadRequest error=no GET request"];
    assert_eq!(names(&log, 3), rare);
    assert_eq!(names(&log, 5), ["Sleeps ms=1"]);
    for start in log.iter().filter(|seen| seen.opcode == 1) {
        let stop = log.iter().find(|seen| seen.activity == start.activity && seen.opcode == 2);
        let status = stop.map(|stop| stop.fields.split(' ').next().unwrap());
        let expected = match &*start.fields {
            "path=/panic" => None,
            "path=/missing" => Some("status=404"),
            _ => Some("status=200"),
        };
        assert_eq!(status, expected, "{}", start.fields);
    }
    // The copies, up to when they were taken.
    let snapshot = seen::read(&directory.path().join("snapshot.etl"));
    assert_eq!(starts(&snapshot), ["/", "/sleep/1", "/missing", "/snapshot"]);
    assert_eq!(snapshot, log[..snapshot.len()]);
    let panic = seen::read(&directory.path().join("panic.etl"));
    assert_eq!(starts(&panic), starts(&log));
}

#[test]
fn flight_recorder_that_ends() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut server) = Server::start(directory.path()) else { return };
    assert!(server.get("/quit").ends_with("bye\n"));
    assert!(server.process.wait().unwrap().success());
    let log = seen::read(&directory.path().join("requests.etl"));
    let stop = log.iter().map(|seen| (&*seen.name, seen.opcode)).collect::<Vec<_>>();
    assert_eq!(stop, [("Request", 1), ("Request", 2)]);
}
