//! `etlring info`.

use crate::outcome::{Failure, Outcome};

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs it.
pub(crate) fn run(_: &Args) -> Result<Outcome, Failure> {
    Ok(Outcome::Clean)
}
