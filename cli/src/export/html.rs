//! `export --to html`: the requests of a log as one page.

use super::{Args, Job, entries};
use crate::outcome::{Failure, Outcome, complain};
use etlring::export::page::Page;
use etlring::export::requests::{Request, Requests};

/// Memory that the events of one request may take: a browser has to hold all of them.
const MOST_BYTES: usize = 64 << 20;

/// Runs it.
pub(super) fn run(args: &Args, job: &mut Job<'_>) -> Result<Outcome, Failure> {
    let rules = args.freb.rules();
    let mut requests = Requests::new(MOST_BYTES);
    let mut page = Page::new();
    let mut seen = 0u64;
    let mut done = |request: Request| {
        seen += 1;
        match rules.judge(&request) {
            _ if rules.is_empty() => page.add(&request, None),
            None => {}
            failure => page.add(&request, failure.as_ref()),
        }
    };
    let outcome = entries(job.inputs, &job.selection, |entry| requests.add(entry, &mut done))?;
    requests.finish(&mut done);
    let written = page.len();
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    job.out.bytes = page.finish(&name.unwrap_or_default());
    complain(format_args!("{written} of {seen} requests written"));
    Ok(outcome)
}
