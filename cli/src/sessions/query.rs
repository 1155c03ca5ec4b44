//! `etlring query`: what a session is, and how it fares.

use crate::outcome::{Failure, Outcome};
use crate::sessions::{connect, explain, json_of};
use crate::text::{self, count, escaped, size};
use etlring::outside::SessionStatus;
use std::fmt::Write as _;
use std::io::Write;

/// Arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring query web --json")]
pub(crate) struct Args {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `query`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let status = connect(&args.name)?.query().map_err(|error| explain(&error))?;
    print(&status, "running", args.json)
}

/// Prints how a session fares.
pub(crate) fn print(status: &SessionStatus, state: &str, json: bool) -> Result<Outcome, Failure> {
    let text = if json { format!("{:#}\n", json_of(status, state)) } else { text_of(status) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::Clean)
}

fn text_of(status: &SessionStatus) -> String {
    let properties = &status.properties;
    let stats = &properties.stats;
    let lost = &stats.lost;
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{name:14}{}", escaped(&value));
    };
    line("session", properties.name.clone());
    line("process", status.process_id.to_string());
    line("started", text::time(properties.start_time));
    let log = properties.log_file.as_ref().map(|path| text::path(path.as_ref()));
    line("log file", log.unwrap_or_else(|| "none".to_owned()));
    line(
        "buffers",
        format!(
            "{} of {}, {} free, {} written, {} lost",
            count(properties.maximum_buffers.into()),
            size(properties.buffer_size.into()),
            count(stats.buffers_free.into()),
            count(stats.buffers_written),
            count(stats.buffers_lost)
        ),
    );
    let ring = if stats.ring_file { "in a file, survives a kill" } else { "in memory" };
    line("ring", ring.to_owned());
    let interval = properties.flush_interval;
    let flush = if interval.is_zero() {
        "when buffers are full".to_owned()
    } else {
        format!("every {} ms", interval.as_millis())
    };
    line("flush", flush);
    line("lanes", stats.lanes.to_string());
    line("consumers", properties.consumers.to_string());
    line("events", format!("{} accepted", count(stats.events_accepted)));
    let mut name = "lost";
    for (cause, events) in [
        ("no free buffer", lost.no_free_buffer),
        ("too large", lost.too_large),
        ("no lane", lost.no_lane),
        ("within another event", lost.reentered),
        ("log file full", lost.file_full),
        ("not written", lost.io),
    ] {
        if events != 0 {
            line(std::mem::take(&mut name), format!("{} {cause}", count(events)));
        }
    }
    if let Some(error) = &status.sink_error {
        line("error", error.clone());
    }
    let mut name = "providers";
    for provider in &status.providers {
        line(std::mem::take(&mut name), format!("{} {}", provider.guid, provider.name));
    }
    let more = usize::try_from(status.providers_enabled).unwrap_or(usize::MAX);
    let more = more.saturating_sub(status.providers.len());
    if more != 0 {
        line("", format!("and {more} more"));
    }
    out
}
