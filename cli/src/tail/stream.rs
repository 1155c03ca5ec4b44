//! A session without a log, whose events come over its socket.

use super::Args;
use super::show::Shown;
use crate::outcome::{Failure, Outcome};
use crate::sessions;
use crate::text::Colors;
use etlring::codec::LogfileView;
use etlring::outside::{Client, Consumer, NoDelivery};
use etlring::reader::{FileOrBytes, OpenError, Trace};
use etlring::session::Delivery;
use std::io::Stdout;
use std::time::Duration;

/// Bytes that are shown at once, but for the last buffer.
const MOST_BYTES: usize = 4 << 20;

/// Shows the events of `session` from now on.
pub(super) fn run(
    args: &Args,
    colors: Colors,
    stdout: &Stdout,
    session: &Client,
) -> Result<Outcome, Failure> {
    let mut consumer = session.consumer().map_err(|error| sessions::explain(&error))?;
    let header = consumer.header().clone();
    let record = header.records().next().and_then(Result::ok);
    let logfile = record.and_then(|record| LogfileView::parse(record).ok());
    let start = logfile.map(|logfile| logfile.start_time()).unwrap_or_default();
    let name = session.name().to_owned();
    let mut shown = Shown::new(args, colors, stdout, name, start)?;
    // Nothing is there from before.
    shown.show(None, 0, true)?;
    let mut log = Vec::new();
    loop {
        // What is shown together stands behind the header, as in a log.
        log.extend_from_slice(header.bytes());
        let (end, missed) = gather(&mut consumer, &mut log);
        if log.len() > header.bytes().len() {
            // The header's own records are no news.
            shown.show(Some(trace(std::mem::take(&mut log))?), 1, true)?;
        }
        log.clear();
        if missed > 0 {
            shown.damage(format_args!("too slow: missed {missed} events"));
        }
        match end {
            None => {}
            Some(NoDelivery::Yet) => std::thread::sleep(Duration::from_millis(args.interval)),
            Some(NoDelivery::Ended) => return Ok(shown.outcome()),
            Some(NoDelivery::Failed(error)) => {
                shown.damage(format_args!("{error}; all that came is shown"));
                return Ok(Outcome::Damaged);
            }
        }
    }
}

/// Adds what has come to `log`. Says why that was all, unless there may be more at once, and how
/// many events were missed.
fn gather(consumer: &mut Consumer, log: &mut Vec<u8>) -> (Option<NoDelivery>, u64) {
    let mut missed = 0;
    while log.len() < MOST_BYTES {
        match consumer.next_within(Duration::ZERO) {
            Ok(Delivery::Buffer(buffer)) => log.extend_from_slice(buffer.bytes()),
            Ok(Delivery::Missed(more)) => missed += more.events,
            Ok(_) => {}
            Err(end) => return (Some(end), missed),
        }
    }
    (None, missed)
}

/// The bytes of a log whose buffers are no longer than what they hold.
fn trace(log: Vec<u8>) -> Result<Trace<FileOrBytes>, Failure> {
    let opened: Result<_, OpenError> = Trace::new(FileOrBytes::Bytes(log.into()));
    opened.map_err(|error| Failure::new(format_args!("what the session sent: {error}")))
}
