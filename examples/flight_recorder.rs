//! A small HTTP server with a flight recorder: the last 4 MB of what it did are always in a file,
//! whatever ends the process.
//!
//! ```text
//! cargo run --example flight_recorder -- DIRECTORY [PORT]
//!
//! /            an answer
//! /sleep/MS    one that takes its time
//! /snapshot    a copy of the recorder, as DIRECTORY/snapshot.etl, while the server goes on
//! /panic       a bug; its thread's last words are in DIRECTORY/panic.etl
//! /quit        the end
//! ```
//!
//! DIRECTORY/requests.etl is the recorder itself. Kill the server with SIGKILL and look:
//! `cargo run -- dump --fields DIRECTORY/requests.etl`.

use etlring::provider::{Enable, activity};
use etlring::session::{FileMode, Session};
use etlring::tracelogging::Level;
use etlring::{event, provider};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

provider!(Http = "Example-Http");

/// What events are about.
mod opcode {
    pub(super) const START: u8 = 1;
    pub(super) const STOP: u8 = 2;
}

/// Longest first line of a request.
const LONGEST: u64 = 8 * 1024;
/// How long a client may take for it.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let directory = PathBuf::from(args.next().ok_or("usage: flight_recorder DIRECTORY [PORT]")?);
    let port = args.next().and_then(|port| port.to_str()?.parse().ok()).unwrap_or(0);

    // The pages of the file are the session's buffers; the oldest are overwritten.
    let session = Session::builder("flight recorder")
        .log_file(directory.join("requests.etl"))
        .file_mode(FileMode::Circular)
        .maximum_file_size_mb(4)
        .start()?;
    session.enable_provider(Http::GUID, &Enable::new().level(Level::VERBOSE.0))?;
    session.snapshot_on_panic(directory.join("panic.etl"))?;

    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let server = Server { session: &session, directory: &directory, address, ends: false.into() };
    std::thread::scope(|scope| {
        for client in listener.incoming() {
            if server.ends.load(Ordering::Relaxed) {
                break;
            }
            let server = &server;
            match client {
                // A panic ends its thread, not the server.
                Ok(client) => drop(scope.spawn(move || {
                    let _ = catch_unwind(AssertUnwindSafe(|| server.serve(&client)));
                })),
                Err(error) => {
                    event!(Http, Level::ERROR, "AcceptFailed", error: &str = &error.to_string());
                }
            }
        }
    });
    println!("{} events recorded", session.stop()?.events_accepted);
    Ok(())
}

struct Server<'a> {
    session: &'a Session,
    directory: &'a Path,
    address: SocketAddr,
    ends: AtomicBool,
}

impl Server<'_> {
    /// Everything that one request does belongs to one activity. It is all recorded by the time
    /// that the connection is closed.
    fn serve(&self, client: &TcpStream) {
        let start = Instant::now();
        let _activity = activity::scope(activity::create());
        let path = match read_path(client) {
            Ok(path) => path,
            Err(error) => {
                event!(Http, Level::WARNING, "BadRequest", error: &str = &error.to_string());
                return;
            }
        };
        event!(Http, Level::INFO, "Request", { opcode: opcode::START }, path: &str = &path);
        let (status, body) = self.answer(&path);
        if let Err(error) = respond(client, status, &body) {
            event!(Http, Level::WARNING, "ClientGone", error: &str = &error.to_string());
        }
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        event!(
            Http, Level::INFO, "Request", { opcode: opcode::STOP },
            status: u16 = status, body_bytes: usize = body.len(), micros: u64 = micros
        );
    }

    fn answer(&self, path: &str) -> (u16, String) {
        if let Some(ms) = path.strip_prefix("/sleep/").and_then(|ms| ms.parse::<u16>().ok()) {
            event!(Http, Level::VERBOSE, "Sleeps", ms: u16 = ms);
            std::thread::sleep(Duration::from_millis(ms.into()));
            return (200, format!("slept {ms} ms\n"));
        }
        match path {
            "/" => (200, "hello\n".into()),
            "/snapshot" => match self.session.snapshot(self.directory.join("snapshot.etl")) {
                Ok(stats) => (200, format!("{} buffers in snapshot.etl\n", stats.buffers)),
                Err(error) => {
                    event!(Http, Level::ERROR, "NoSnapshot", error: &str = &error.to_string());
                    (500, "no snapshot\n".into())
                }
            },
            "/panic" => panic!("somebody asked for it"),
            "/quit" => {
                self.ends.store(true, Ordering::Relaxed);
                // Wakes the loop that waits for clients.
                let _ = TcpStream::connect(self.address);
                (200, "bye\n".into())
            }
            _ => {
                event!(Http, Level::WARNING, "NotFound", path: &str = path);
                (404, "not found\n".into())
            }
        }
    }
}

/// The path of a GET.
fn read_path(client: &TcpStream) -> io::Result<String> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(client.take(LONGEST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = match *line.split_whitespace().collect::<Vec<_>>() {
        ["GET", path, version] if version.starts_with("HTTP/") => Some(path.to_owned()),
        _ => None,
    };
    // The headers, which are of no interest, up to the empty line.
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    path.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no GET request"))
}

fn respond(mut client: &TcpStream, status: u16, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(client, "HTTP/1.1 {status} -\r\nConnection: close\r\n")?;
    write!(client, "Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}")
}
