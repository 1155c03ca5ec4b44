//! What an event costs in an attached process: instructions, counted by valgrind, which do not depend
//! on what else the machine does.

use crate::again;
use crate::attach::{EVENT, NAME, line, payload, words};
use etlring::session::{Session, SessionHandle};
use std::io::BufReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const EVENTS: u64 = 4000;

/// The loop that is counted, and nothing else: its name is given to valgrind.
#[inline(never)]
fn counted_loop(session: &SessionHandle, bytes: &[u8]) -> u64 {
    (0..EVENTS).filter(|_| session.write_classic(&EVENT, bytes).is_ok()).count() as u64
}

/// Logs in the session of another process, or in one of its own that lies in a file, too. Its
/// buffers hold all of the events.
#[test]
#[ignore = "run by another one"]
fn counted() {
    let Some(words) = words() else { return };
    let directory = tempfile::tempdir().unwrap();
    let session = if words[0] == "attached" {
        Session::attach(NAME).maximum_buffers(64).start().unwrap()
    } else {
        let builder = Session::builder(NAME).log_file(directory.path().join("own.etl"));
        builder.buffer_size(16 * 1024).maximum_buffers(64).start().unwrap()
    };
    let bytes = &payload(1, 1, 0)[..16];
    // Takes the lane and its first buffer.
    session.write_classic(&EVENT, bytes).unwrap();
    assert_eq!(counted_loop(&session, bytes), EVENTS);
    session.stop().unwrap();
    println!("\ndone");
}

fn under_valgrind(options: &[String], like: &Command) -> Child {
    let mut command = Command::new("valgrind");
    command.args(options).arg(like.get_program()).args(like.get_args());
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Instructions of the loop.
fn instructions(directory: &Path, who: &str) -> u64 {
    let out = directory.join(format!("callgrind.{who}"));
    let options = [
        "--quiet".to_owned(),
        "--tool=callgrind".to_owned(),
        "--toggle-collect=*counted_loop*".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let mut like = again("cost::counted", directory);
    like.env("ETLRING_TEST_WORDS", who);
    let output = under_valgrind(&options, &like).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(out).unwrap();
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.expect("a sum of instructions").trim().parse().unwrap()
}

#[test]
fn an_event_costs_in_an_attached_process_what_it_costs_in_the_owner() {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: there is no valgrind");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Under valgrind, too, or it would read another clock.
    let mut like = again("attach::owning", directory.path());
    like.env("ETLRING_TEST_WORDS", "");
    let mut owner =
        crate::Ending(under_valgrind(&["--quiet".to_owned(), "--tool=none".to_owned()], &like));
    let mut out = BufReader::new(owner.0.stdout.take().unwrap());
    line(&mut out, "owning");
    let own = instructions(directory.path(), "own");
    let attached = instructions(directory.path(), "attached");
    drop(owner.0.stdin.take());
    assert!(owner.0.wait().unwrap().success());
    eprintln!("{} instructions an event by itself, {} attached", own / EVENTS, attached / EVENTS);
    assert!(own > EVENTS, "nothing was counted");
    let more = own.abs_diff(attached) * 100 / own;
    assert!(more < 5, "{own} by itself, {attached} attached");
}
