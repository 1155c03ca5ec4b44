//! `export --to folded`: stacks for flame graphs.

use super::{Job, with_entry};
use crate::outcome::{Failure, Outcome, complain};
use crate::stacks::Joiner;
use etlring::export::folded::{Folded, is_sample};
use etlring::schema::images::Images;

/// `chosen`: the filters name events, which are then counted as samples otherwise are.
pub(super) fn run(job: &mut Job<'_>, chosen: bool) -> Result<Outcome, Failure> {
    let input = job.input();
    let mut images = Images::new();
    input.each_record(|record| images.learn(record));
    images.finish();
    input.complain_of(images.refused(), "images", "addresses in them are shown as numbers");
    let mut joiner = Joiner::new(input, job.selection.filter.from, true);
    let mut folded = Folded::new();
    let outcome = job.walk(|out, found| {
        if !chosen && !is_sample(found.view) {
            return;
        }
        let stack = joiner.of(found.view);
        with_entry(input, found, |entry| {
            folded.event(out, entry, stack, (input.decoder(), &images), chosen);
        });
    })?;
    folded.finish(&mut job.out.bytes);
    if folded.counted() == 0 {
        let none = match chosen {
            true => "none of the chosen events has a stack",
            false => {
                "no samples of the profiler among its events; --provider and --id choose others \
                 that have stacks"
            }
        };
        complain(format_args!("{}: {none}", input.name));
    }
    Ok(outcome)
}
