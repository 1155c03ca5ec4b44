//! `etlring stats`.

use crate::outcome::{Failure, Outcome};

/// Arguments of `stats`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs it.
pub(crate) fn run(_: &Args) -> Result<Outcome, Failure> {
    Ok(Outcome::Clean)
}
