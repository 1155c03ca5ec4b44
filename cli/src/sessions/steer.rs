//! `etlring flush`, `snapshot`, `enable`, `disable`, `update`, `stop`: what a session is told.

use crate::outcome::{Failure, Outcome, complain};
use crate::sessions::{EnableArgs, ProviderArg, connect, explain, provider, query};
use crate::text::count;
use etlring::outside::OutsideError;
use etlring::session::Update;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `flush`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring flush web\n\n\
Everything committed before it is in the log afterwards.")]
pub(crate) struct FlushArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
}

/// Runs `flush`.
pub(crate) fn flush(args: &FlushArgs) -> Result<Outcome, Failure> {
    done(connect(&args.name)?.flush())
}

/// Arguments of `snapshot`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring snapshot recorder now.etl\n\n\
For a memory ring or a circular log. The session's process writes the file; a relative path is \
taken against your directory. A finished log that lies there is replaced, nothing else is.")]
pub(crate) struct SnapshotArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Where the log goes
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `snapshot`.
pub(crate) fn snapshot(args: &SnapshotArgs) -> Result<Outcome, Failure> {
    let taken = connect(&args.name)?.snapshot(&args.path).map_err(|error| explain(&error))?;
    let text = if args.json {
        let (buffers, overwritten) = (taken.buffers, taken.buffers_overwritten);
        format!("{:#}\n", json!({ "buffers": buffers, "buffers_overwritten": overwritten }))
    } else {
        format!(
            "{} buffers, {} overwritten meanwhile\n",
            count(taken.buffers.into()),
            count(taken.buffers_overwritten.into())
        )
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::Clean)
}

/// Arguments of `enable`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring enable web Example-Orders --level 4\n\n\
A provider need not be registered yet. A second time changes what is wanted.")]
pub(crate) struct EnableProviderArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Provider, by GUID or by the name that its GUID follows from
    #[arg(value_name = "PROVIDER", value_parser = provider)]
    provider: ProviderArg,
    #[command(flatten)]
    enable: EnableArgs,
}

/// Runs `enable`.
pub(crate) fn enable(args: &EnableProviderArgs) -> Result<Outcome, Failure> {
    done(connect(&args.name)?.enable(args.provider.0, &args.enable.enable()))
}

/// Arguments of `disable`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring disable web Example-Orders")]
pub(crate) struct DisableArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Provider, by GUID or by the name that its GUID follows from
    #[arg(value_name = "PROVIDER", value_parser = provider)]
    provider: ProviderArg,
}

/// Runs `disable`.
pub(crate) fn disable(args: &DisableArgs) -> Result<Outcome, Failure> {
    done(connect(&args.name)?.disable(args.provider.0))
}

/// Arguments of `update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring update web --flush-ms 100")]
pub(crate) struct UpdateArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// How often the filled part of buffers goes to the log; 0 for only when full
    #[arg(long, value_name = "MS")]
    flush_ms: Option<u64>,
    /// Buffers of the session: more than it has, up to four times those it started with
    #[arg(long, value_name = "N")]
    buffers: Option<u32>,
    /// End the log file and go on in this one
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
}

/// Runs `update`.
pub(crate) fn update(args: &UpdateArgs) -> Result<Outcome, Failure> {
    if args.flush_ms.is_none() && args.buffers.is_none() && args.log.is_none() {
        return Err(Failure::new("nothing to change; give --flush-ms, --buffers or --log"));
    }
    let mut update = Update::new();
    if let Some(ms) = args.flush_ms {
        update = update.flush_interval(Duration::from_millis(ms));
    }
    if let Some(count) = args.buffers {
        update = update.maximum_buffers(count);
    }
    if let Some(path) = &args.log {
        update = update.log_file(path);
    }
    done(connect(&args.name)?.update(&update))
}

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring stop web\n\n\
The session ends, its process goes on. The log is complete when the command returns.")]
pub(crate) struct StopArgs {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs `stop`.
pub(crate) fn stop(args: &StopArgs) -> Result<Outcome, Failure> {
    let status = connect(&args.name)?.stop().map_err(|error| explain(&error))?;
    let outcome = query::print(&status, "stopped", args.json)?;
    match status.sink_error {
        None => Ok(outcome),
        Some(error) => {
            complain(format_args!("{}: its log was not written as it should: {error}", args.name));
            Ok(Outcome::Damaged)
        }
    }
}

fn done(result: Result<(), OutsideError>) -> Result<Outcome, Failure> {
    result.map(|()| Outcome::Clean).map_err(|error| explain(&error))
}
