//! However a process ends, what it recorded is there: the guard is forgotten, a panic, `exit`, a
//! kill. Each end is that of a process of its own, which tells of its events on standard output.

use crate::seen;
use etlring::provider::Enable;
use etlring::session::Session;
use etlring::tracelogging::Level;
use etlring::{event, provider};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const END: &str = "ETLRING_BRIDGE_END";
const LOG: &str = "ETLRING_BRIDGE_LOG";

provider!(Ends = "Test-Ends");

/// Records, and ends as it is told; run by the tests below, in a process of its own.
#[test]
#[ignore = "run by another one"]
fn recording_until_the_end() {
    let Ok(end) = std::env::var(END) else { return };
    let path = PathBuf::from(std::env::var_os(LOG).unwrap());
    let session = Session::builder("ends").log_file(path).start().unwrap();
    session.enable_provider(Ends::GUID, &Enable::new()).unwrap();
    let record = |n: u64| {
        write(n);
        // Told only after it was recorded.
        writeln!(std::io::stdout(), "recorded {n}").unwrap();
        std::io::stdout().flush().unwrap();
    };
    (0..100).for_each(record);
    match &*end {
        // The runner of the tests ends the process; nothing of ours is dropped.
        "forget" => std::mem::forget(session),
        "exit" => std::process::exit(3),
        "abort" => std::process::abort(),
        // In a thread of its own, and the session is never dropped.
        "panic" => {
            std::mem::forget(session);
            panic!("on purpose");
        }
        "kill" => {
            for n in 100.. {
                record(n);
            }
        }
        _ => unreachable!("{end}"),
    }
}

#[cfg(not(feature = "tracing"))]
fn write(n: u64) {
    assert_eq!(event!(Ends, Level::INFO, "Event", n: u64 = n), 1);
}

/// Every other event goes through `tracing`.
#[cfg(feature = "tracing")]
fn write(n: u64) {
    use tracing_subscriber::layer::SubscriberExt;
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let layer = etlring::bridge::tracing::layer(Ends::NAME);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    if n % 2 == 0 {
        assert_eq!(event!(Ends, Level::INFO, "Event", n: u64 = n), 1);
    } else {
        tracing::info!(n);
    }
}

/// Runs the process to its end, or kills it once it has recorded `kill_at`. Every event that it
/// told of must be in what it left, and none twice.
fn ends(end: &str, kill_at: Option<u64>) {
    let (_directory, path) = seen::place();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::recording_until_the_end", "--exact", "--ignored", "--nocapture"])
        .env(END, end)
        .env(LOG, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The first one stands behind what the runner of the tests says.
        let Some((_, number)) = line.split_once("recorded ") else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        told.push(number);
        if kill_at == Some(number) {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(told.len() >= 100, "{end}: {} events", told.len());
    let found: Vec<u64> = seen::fields(&path)
        .iter()
        .map(|fields| fields.strip_prefix("n=").unwrap().parse().unwrap())
        .collect();
    // One more may have been recorded and not told of.
    let most = told.len() + usize::from(kill_at.is_some());
    assert!(found.len() == told.len() || found.len() == most, "{end}: {}", found.len());
    assert_eq!(found[..told.len()], told, "{end}");
}

#[test]
fn a_guard_that_is_forgotten() {
    ends("forget", None);
}

#[test]
fn a_panic() {
    ends("panic", None);
}

#[test]
fn exit_and_abort() {
    ends("exit", None);
    ends("abort", None);
}

#[test]
fn a_kill() {
    ends("kill", Some(100));
    ends("kill", Some(2500));
}

/// A value that logs when it is shown. Run in a process of its own, whose only subscriber is the
/// program's: `tracing` lets no other one be entered twice.
#[cfg(feature = "tracing")]
#[test]
#[ignore = "run by another one"]
fn talking() {
    use std::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    struct Talks(u32);
    impl fmt::Debug for Talks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if self.0 > 0 {
                tracing::info!(within = ?Talks(self.0 - 1));
            }
            write!(f, "{}", self.0)
        }
    }

    let Some(path) = std::env::var_os(LOG) else { return };
    let session = Session::builder("talks").log_file(path).start().unwrap();
    session.enable_provider(Ends::GUID, &Enable::new()).unwrap();
    let subscriber =
        tracing_subscriber::registry().with(etlring::bridge::tracing::layer(Ends::NAME));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for _ in 0..2 {
        tracing::info!(talks = ?Talks(2), n = 1);
    }
    session.stop().unwrap();
}

#[cfg(feature = "tracing")]
#[test]
fn a_value_that_logs_while_it_is_recorded() {
    let (_directory, path) = seen::place();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["crash::talking", "--exact", "--ignored"])
        .env(LOG, &path)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let once = ["within=0", "within=1", "talks=2 n=1"];
    assert_eq!(seen::fields(&path), [once, once].concat());
}
