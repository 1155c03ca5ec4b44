//! `export --to otlp`, `otlp-json`: OpenTelemetry's logs.

use super::{Job, nanos, with_entry};
use crate::outcome::{Failure, Outcome};
use etlring::export::otlp::Otlp;

pub(super) use etlring::export::otlp::Encoding;

pub(super) fn run(job: &mut Job<'_>, encoding: Encoding) -> Result<Outcome, Failure> {
    let input = job.input();
    let mut otlp = Otlp::new(encoding);
    let outcome = job.walk(|out, found| {
        let nanos = nanos(input, found);
        with_entry(input, found, |entry| otlp.event(out, entry, nanos));
    })?;
    otlp.finish(&mut job.out.bytes);
    Ok(outcome)
}
