//! `export --to html`: the requests of a log as one page.

use super::{Args, unwritable};
use crate::input::Input;
use crate::outcome::{Failure, Outcome, complain};
use etlring::export::page::Page;
use etlring::export::requests::{Request, Requests};
use std::fs;
use std::io::Write;

/// Memory that the events of one request may take: a browser has to hold all of them.
const MOST_BYTES: usize = 64 << 20;

/// Runs it.
pub(super) fn run(args: &Args, inputs: &[Input]) -> Result<Outcome, Failure> {
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
    let outcome = args.entries(inputs, |entry| {
        requests.add(entry, &mut done);
        Ok(())
    })?;
    requests.finish(&mut done);
    let written = page.len();
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let html = page.finish(&name.unwrap_or_default());
    if args.output.as_os_str() == "-" {
        std::io::stdout().lock().write_all(&html)?;
    } else {
        fs::write(&args.output, html).map_err(|error| unwritable(&args.output, &error))?;
    }
    complain(format_args!("{written} of {seen} requests written"));
    Ok(outcome)
}
