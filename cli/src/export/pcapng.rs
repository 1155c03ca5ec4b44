//! `export --to pcapng`: captured packets.

use super::{Job, nanos, with_entry};
use crate::outcome::{Failure, Outcome, complain};
use etlring::export::pcapng::Pcapng;

pub(super) fn run(job: &mut Job<'_>) -> Result<Outcome, Failure> {
    let input = job.input();
    let mut pcapng = Pcapng::new();
    input.each_record(|record| pcapng.learn(record));
    pcapng.head(&mut job.out.bytes);
    let outcome = job.walk(|out, found| {
        let nanos = nanos(input, found);
        with_entry(input, found, |entry| pcapng.event(out, entry, nanos));
    })?;
    pcapng.tail(&mut job.out.bytes);
    if pcapng.packets() == 0 {
        let name = &input.name;
        complain(format_args!("{name}: no packets of NDIS captures or pktmon among its events"));
    }
    Ok(outcome)
}
