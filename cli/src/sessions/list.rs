//! `etlring list`: the sessions of this user, and what dead ones have left.

use crate::outcome::{Failure, Outcome};
use crate::sessions::{explain, json_of, recovery};
use crate::text::{self, count, escaped};
use etlring::outside::{self, Found};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring list\n\n\
Shows the controllable sessions of your processes. A session whose process was killed is shown as \
dead, with the command that makes a finished log of what it has left.")]
pub(crate) struct Args {
    /// Forget the dead ones afterwards; their logs stay
    #[arg(long)]
    forget_dead: bool,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Runs `list`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let found = outside::list().map_err(|error| explain(&error))?;
    let text = if args.json {
        format!("{:#}\n", found.iter().map(json_of_found).collect::<Value>())
    } else {
        found.iter().fold(String::new(), |mut text, found| {
            push(&mut text, found);
            text
        })
    };
    std::io::stdout().write_all(text.as_bytes())?;
    if args.forget_dead {
        for found in &found {
            if let Found::Dead(dead) = found {
                outside::remove_dead(&dead.name).map_err(|error| explain(&error))?;
            }
        }
    }
    Ok(Outcome::Clean)
}

fn push(text: &mut String, found: &Found) {
    let (name, state) = match found {
        Found::Running(status) => {
            let properties = &status.properties;
            let stats = &properties.stats;
            let mut state = format!(
                "process {}, {} events, {} lost",
                status.process_id,
                count(stats.events_accepted),
                count(stats.lost.total())
            );
            if let Some(log) = &properties.log_file {
                let _ = write!(state, ", {}", text::path(log));
            }
            (&properties.name, state)
        }
        Found::Dead(dead) => {
            (&dead.name, format!("dead, was process {}; {}", dead.process_id, recovery(dead)))
        }
        Found::Silent(name) => (name, "does not answer".to_owned()),
        Found::Unusable(name, why) => (name, format!("cannot be used: {why}")),
        _ => return,
    };
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{:20} {}", escaped(name).to_string(), escaped(&state));
}

fn json_of_found(found: &Found) -> Value {
    match found {
        Found::Running(status) => json_of(status, "running"),
        Found::Dead(dead) => {
            let log = dead.log_file.as_ref().map(|path| text::path(path.as_ref()));
            json!({
                "name": dead.name,
                "state": "dead",
                "pid": dead.process_id,
                "recover": log.as_ref().map(|_| recovery(dead)),
                "log_file": log,
            })
        }
        Found::Silent(name) => json!({ "name": name, "state": "silent" }),
        Found::Unusable(name, why) => json!({ "name": name, "state": "unusable", "why": why }),
        _ => Value::Null,
    }
}
