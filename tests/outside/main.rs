//! Sessions reached from outside: each test in a process of its own, with a directory of its own.
#![cfg(unix)]
#![allow(missing_docs, clippy::cast_possible_truncation)]

mod attach;
mod control;
mod cost;
#[cfg(target_os = "linux")]
mod forked;
mod hostile;
#[cfg(target_os = "linux")]
mod killed;
mod messages;
mod places;
mod rogue;
mod siege;
mod stream;
#[cfg(target_os = "linux")]
mod tracer;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Tells a process that it is the one that a test runs in.
const INSIDE: &str = "ETLRING_TEST_INSIDE";

/// What a line starts with that is to be seen although the test passed.
const FIGURES: &str = "figures: ";

/// Runs `body` in a process of its own, whose directory of sessions is new and made by the first
/// session: the place comes from the environment, which threads share.
fn alone(test: &str, body: impl FnOnce(&Path)) {
    if std::env::var(INSIDE).as_deref() == Ok(test) {
        let directory = std::env::var_os("ETLRING_DIR").map(PathBuf::from).unwrap();
        body(directory.parent().unwrap());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let output = again(test, directory.path()).output().unwrap();
    passed(test, &output);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(at) = line.find(FIGURES) {
            println!("{}", &line[at..]);
        }
    }
}

/// This program again, for this test or role alone.
fn again(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--include-ignored", "--test-threads", "1"]);
    command.env("ETLRING_DIR", directory.join("run")).env(INSIDE, test).stdin(Stdio::null());
    command
}

fn passed(test: &str, output: &Output) {
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {}\n{told}\n{complaints}", output.status);
    assert!(told.contains("1 passed"), "{test} did not run:\n{told}");
}

/// A child that is ended with the test, however that goes.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
