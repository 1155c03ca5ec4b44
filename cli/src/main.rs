//! The `etlring` command: records, replays and checks Windows `.etl` trace logs on any system.
//!
//! One file per subcommand; what they share:
//!
//! | module | what |
//! |---|---|
//! | [`input`] | files and standard input, opened or explained |
//! | [`select`] | the filters of the command line; [`schemas`] the schemas it names |
//! | [`output`] | the file that a subcommand makes; [`edited`] a new log in it |
//! | [`walk`] | records in the order asked for, damage on stderr |
//! | [`names`] | of providers and events; [`stacks`] the stacks of events |
//! | [`threads`] | how many threads read |
//! | [`text`] | times, sizes, escapes, colour; [`json`] the same for JSON |
//! | [`sessions`] | sessions of other processes |
//! | [`kinds`] | records counted by what their headers say |
//! | [`loss`] | the records that say what was lost where |

mod anonymize;
mod completions;
mod cut;
mod demo;
mod dump;
mod edited;
mod export;
mod filter;
mod heads;
mod info;
mod input;
mod json;
mod kinds;
mod loss;
mod man;
mod merge;
mod names;
mod outcome;
mod output;
mod progress;
mod recompress;
mod recover;
mod schemas;
mod select;
mod sessions;
mod stacks;
mod stats;
mod tail;
mod text;
mod threads;
mod verify;
mod walk;

use clap::{Parser, Subcommand, ValueEnum};
use outcome::Outcome;
use std::process::ExitCode;

/// Record, replay and check Windows .etl trace logs on any system
#[derive(Debug, Parser)]
#[command(name = "etlring", version, max_term_width = 100, after_help = EXIT_STATUS)]
struct Cli {
    /// When to colour the output; NO_COLOR is honoured
    #[arg(long, value_enum, default_value = "auto", global = true, value_name = "WHEN")]
    color: When,
    #[command(subcommand)]
    command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 clean; 1 done, but the input is damaged (what was whole \
is in the output, the damage on stderr with its file position); 2 not done.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Record from several threads through the library's own session, stop, and replay the file
    Demo(demo::Args),
    /// What a log file says of itself: header, clock, times, buffers, lanes, losses
    Info(info::Args),
    /// One line per event, in time order or file order
    Dump(dump::Args),
    /// Events and bytes by provider, id, level and process; rate over time; losses
    Stats(stats::Args),
    /// Walk every buffer and record and name each fault with its position
    Verify(verify::Args),
    /// Make a finished log of a torn, killed or unfinished one, and of its ring
    Recover(recover::Args),
    /// Follow a log that is being written, or a running session
    Tail(tail::Args),
    /// Run a command with a session prepared for it
    Start(sessions::start::Args),
    /// The sessions that are running, and what dead ones have left
    List(sessions::list::Args),
    /// What a running session is, and how it fares
    Query(sessions::query::Args),
    /// Bring what a running session holds to its log
    Flush(sessions::steer::FlushArgs),
    /// Copy the ring of a running session to a log
    Snapshot(sessions::steer::SnapshotArgs),
    /// Enable a provider for a running session
    Enable(sessions::steer::EnableProviderArgs),
    /// Disable a provider for a running session
    Disable(sessions::steer::DisableArgs),
    /// Change settings of a running session
    Update(sessions::steer::UpdateArgs),
    /// Stop a running session
    Stop(sessions::steer::StopArgs),
    /// Write a log for another tool: Perfetto, Wireshark, flame graphs, OpenTelemetry
    Export(export::Args),
    /// Make a new log of some of a log's records
    Filter(filter::Args),
    /// Make a new log of the records of a stretch of time
    Cut(cut::Args),
    /// Make one log of several, on one clock
    Merge(merge::Args),
    /// Compress a log's buffers, or unpack them
    Recompress(recompress::Args),
    /// Replace what names people and machines in a log
    Anonymize(anonymize::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages into a directory
    Man(man::Args),
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return outcome::usage(&error),
    };
    let colors = text::Colors::choose(cli.color);
    let outcome = match cli.command {
        Command::Info(args) => info::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Dump(args) => dump::run(&args, colors),
        Command::Stats(args) => stats::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Tail(args) => tail::run(&args, colors),
        Command::Start(args) => sessions::start::run(&args),
        Command::List(args) => sessions::list::run(&args),
        Command::Query(args) => sessions::query::run(&args),
        Command::Flush(args) => sessions::steer::flush(&args),
        Command::Snapshot(args) => sessions::steer::snapshot(&args),
        Command::Enable(args) => sessions::steer::enable(&args),
        Command::Disable(args) => sessions::steer::disable(&args),
        Command::Update(args) => sessions::steer::update(&args),
        Command::Stop(args) => sessions::steer::stop(&args),
        Command::Export(args) => export::run(&args),
        Command::Filter(args) => filter::run(&args),
        Command::Cut(args) => cut::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Recompress(args) => recompress::run(&args),
        Command::Anonymize(args) => anonymize::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    Outcome::report(outcome)
}
