//! How a subcommand ends: the exit status and the line that says why.

use crate::text::escaped;
use std::{fmt, io, process::ExitCode};

/// How far a subcommand got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Outcome {
    /// Everything was whole: status 0.
    Clean,
    /// Done, but the input is damaged: status 1.
    Damaged,
    /// What a command that was run ended with.
    Status(u8),
}

/// Why a subcommand was not done: status 2.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One line: why, and what would help.
    Because(String),
    /// Standard output did not take what was written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn new(why: impl fmt::Display) -> Self {
        Self::Because(why.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Outcome {
    /// Clean or damaged.
    pub(crate) fn of(damaged: bool) -> Self {
        if damaged { Self::Damaged } else { Self::Clean }
    }

    /// The exit status, after the reason has gone to stderr.
    pub(crate) fn report(result: Result<Self, Failure>) -> ExitCode {
        match result {
            Ok(Self::Clean) => ExitCode::SUCCESS,
            Ok(Self::Damaged) => ExitCode::from(1),
            Ok(Self::Status(status)) => ExitCode::from(status),
            Err(Failure::Because(why)) => {
                complain(why);
                ExitCode::from(2)
            }
            // Whoever read the output has had enough (`etlring dump log | head`): no complaint.
            Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(Failure::Output(error)) => {
                complain(format_args!("cannot write the output: {error}"));
                ExitCode::from(2)
            }
        }
    }
}

/// Ends the command for what clap found: help is what was asked for, anything else is one line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            return Outcome::report(
                error.print().map(|()| Outcome::Clean).map_err(Failure::Output),
            );
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            complain("no subcommand; try --help")
        }
        _ => {
            let text = error.render().to_string();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let told = lines.take_while(|line| !line.starts_with("Usage:"));
            let told = told.filter(|line| !line.starts_with("For more information"));
            let line = told.collect::<Vec<_>>().join(" ");
            complain(format_args!("{}; try --help", line.trim_start_matches("error: ")));
        }
    }
    ExitCode::from(2)
}

/// One line on stderr. A closed stderr is nobody's problem.
pub(crate) fn complain(line: impl fmt::Display) {
    use std::io::Write;
    let line = line.to_string();
    let _ = writeln!(io::stderr(), "etlring: {}", escaped(&line));
}
