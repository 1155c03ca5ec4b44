//! What a log says it has lost: totals of its header, sums by cause, buffers that are marked.

use crate::input::Input;
use crate::text::{counted, time};
use etlring::codec::checksum::State;
use etlring::codec::{LossRecord, Lost, RecordView, TickClock};
use etlring::format::{BufferFlags, FileTime};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `events` or `buffers`.
fn word(what: Lost) -> &'static str {
    match what {
        Lost::Events => "events",
        Lost::Buffers => "buffers",
    }
}

fn cause_text(cause: u32) -> &'static str {
    match cause {
        1 => "no free buffer",
        2 => "too large for a buffer",
        3 => "no free lane",
        4 => "logged from within logging",
        5 => "the file was full",
        6 => "I/O error",
        _ => "unknown cause",
    }
}

/// `12 events lost from 2020-… to 2020-…: no free buffer`.
pub(crate) fn describe(loss: &LossRecord, clock: TickClock) -> String {
    let times = (clock.file_time(loss.first_ticks), clock.file_time(loss.last_ticks));
    sentence(u64::from(loss.count), loss.what, times, loss.cause)
}

fn sentence(number: u64, what: Lost, times: (FileTime, FileTime), cause: u32) -> String {
    format!(
        "{} lost from {} to {}: {}",
        counted(number, word(what).trim_end_matches('s')),
        time(times.0),
        time(times.1),
        cause_text(cause)
    )
}

/// One loss record as a JSON object.
pub(crate) fn object(loss: &LossRecord, clock: TickClock) -> Value {
    json!({
        "what": word(loss.what),
        "count": loss.count,
        "cause": cause_text(loss.cause),
        "first_ticks": loss.first_ticks,
        "last_ticks": loss.last_ticks,
        "first": time(clock.file_time(loss.first_ticks)),
        "last": time(clock.file_time(loss.last_ticks)),
    })
}

/// Everything that is said of losses in one or several logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Losses {
    /// Totals of the logfile headers.
    pub(crate) events: u64,
    pub(crate) buffers: u64,
    causes: BTreeMap<(Lost, u32), Sum>,
    /// Buffers whose flags say that events, or buffers, were lost before them.
    events_flag: Marked,
    buffers_flag: Marked,
    /// What the checksums of buffers count.
    pub(crate) counted: u64,
}

/// The loss records of one cause.
#[derive(Clone, Copy, Debug)]
struct Sum {
    count: u64,
    records: u64,
    times: (FileTime, FileTime),
}

/// Buffers with a mark, and when the first and the last of them were flushed.
#[derive(Clone, Copy, Debug, Default)]
struct Marked {
    buffers: u64,
    times: Option<(FileTime, FileTime)>,
}

impl Marked {
    fn add(&mut self, at: FileTime) {
        self.buffers += 1;
        self.times = Some(widest(self.times, (at, at)));
    }

    fn json(&self) -> Value {
        json!({
            "buffers": self.buffers,
            "first": self.times.map(|times| time(times.0)),
            "last": self.times.map(|times| time(times.1)),
        })
    }
}

impl Losses {
    /// Takes in what a log says outside its records: its header, flags and counts of its buffers.
    pub(crate) fn add_log(&mut self, input: &Input) {
        let logfile = input.trace.logfile();
        self.events += u64::from(logfile.events_lost());
        self.buffers += u64::from(logfile.buffers_lost());
        for (index, buffer) in input.trace.buffers().iter().enumerate() {
            let at = input.trace.buffer_time(buffer);
            if buffer.flags.has(BufferFlags::EVENTS_LOST) {
                self.events_flag.add(at);
            }
            if buffer.flags.has(BufferFlags::BUFFER_LOST) {
                self.buffers_flag.add(at);
            }
            if let Ok(State::Valid { events_lost }) = input.trace.verify_checksum(index) {
                self.counted += u64::from(events_lost);
            }
        }
    }

    /// Takes a record in, if it tells of a loss.
    pub(crate) fn add_record(&mut self, record: &RecordView<'_>, clock: TickClock) {
        let Some(loss) = LossRecord::of(record) else { return };
        let times = (clock.file_time(loss.first_ticks), clock.file_time(loss.last_ticks));
        let sum = self.causes.entry((loss.what, loss.cause)).or_insert(Sum {
            count: 0,
            records: 0,
            times,
        });
        sum.count += u64::from(loss.count);
        sum.records += 1;
        sum.times = widest(Some(sum.times), times);
    }

    /// Takes in what the records of another part of the log told.
    pub(crate) fn join(&mut self, other: &Self) {
        for (key, more) in &other.causes {
            let none = Sum { count: 0, records: 0, times: more.times };
            let sum = self.causes.entry(*key).or_insert(none);
            sum.count += more.count;
            sum.records += more.records;
            sum.times = widest(Some(sum.times), more.times);
        }
    }

    /// What the loss records add up to.
    pub(crate) fn told(&self, what: Lost) -> u64 {
        let causes = self.causes.iter().filter(|((lost, _), _)| *lost == what);
        causes.map(|(_, sum)| sum.count).sum()
    }

    /// Lines for people: the totals, then a line for each cause and each kind of mark.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!("{}, {}", counted(self.events, "event"), counted(self.buffers, "buffer"))];
        lines.extend(self.causes.iter().map(|((what, cause), sum)| {
            let sentence = sentence(sum.count, *what, sum.times, *cause);
            format!("{sentence} ({})", counted(sum.records, "record"))
        }));
        for (mark, what) in [(self.events_flag, "events"), (self.buffers_flag, "buffers")] {
            if let Some(times) = mark.times {
                lines.push(format!(
                    "{} marked after lost {what}, flushed from {} to {}",
                    counted(mark.buffers, "buffer"),
                    time(times.0),
                    time(times.1)
                ));
            }
        }
        lines
    }

    /// The keys that JSON reports have of losses.
    pub(crate) fn put_json(&self, report: &mut Value) {
        report["events_lost"] = self.events.into();
        report["buffers_lost"] = self.buffers.into();
        report["losses"] = self
            .causes
            .iter()
            .map(|((what, cause), sum)| {
                json!({
                    "what": word(*what),
                    "cause": cause_text(*cause),
                    "cause_number": cause,
                    "count": sum.count,
                    "records": sum.records,
                    "first": time(sum.times.0),
                    "last": time(sum.times.1),
                })
            })
            .collect();
        report["marked_events_lost"] = self.events_flag.json();
        report["marked_buffers_lost"] = self.buffers_flag.json();
        report["events_lost_counted"] = self.counted.into();
    }
}

fn widest(known: Option<(FileTime, FileTime)>, new: (FileTime, FileTime)) -> (FileTime, FileTime) {
    known.map_or(new, |(first, last)| (first.min(new.0), last.max(new.1)))
}
