//! `export --to chrome`: trace-event JSON.

use super::{Job, nanos, with_entry};
use crate::outcome::{Failure, Outcome};
use etlring::export::chrome::Chrome;

pub(super) fn run(job: &mut Job<'_>) -> Result<Outcome, Failure> {
    let input = job.input();
    let mut chrome = Chrome::new(input.trace.logfile().start_time().to_unix_nanos());
    chrome.head(&mut job.out.bytes);
    let outcome = job.walk(|out, found| {
        let nanos = nanos(input, found);
        with_entry(input, found, |entry| chrome.event(out, entry, nanos, input.decoder()));
    })?;
    chrome.tail(&mut job.out.bytes);
    Ok(outcome)
}
