//! Events over time.

use crate::text::{self, count, span};
use etlring::codec::TickClock;
use etlring::format::FileTime;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Events over time, in at most [`Rate::MOST`] steps: when there are more, two become one.
pub(super) struct Rate {
    start: FileTime,
    /// Length of a step in 100 ns.
    step: i64,
    events: Vec<u64>,
    /// The step that was counted in last: file, first ticks, first ticks behind it, which step.
    lately: (usize, u64, u64, usize),
}

impl Default for Rate {
    fn default() -> Self {
        Self::from(FileTime(0))
    }
}

impl From<FileTime> for Rate {
    fn from(start: FileTime) -> Self {
        Self { start, step: Self::FIRST_STEP, events: Vec::new(), lately: (0, 0, 0, 0) }
    }
}

impl Rate {
    const MOST: usize = 40;
    const FIRST_STEP: i64 = 10_000;

    /// Counts an event at so many ticks. Events come in runs of one step: those are counted without
    /// a conversion.
    #[inline]
    pub(super) fn add_at(&mut self, file: usize, ticks: u64, clock: impl FnOnce() -> TickClock) {
        let (own, first, behind, at) = self.lately;
        if own == file && first <= ticks && ticks < behind {
            self.events[at] += 1;
        } else {
            self.add_elsewhere(file, ticks, clock());
        }
    }

    #[cold]
    fn add_elsewhere(&mut self, file: usize, ticks: u64, clock: TickClock) {
        let time = clock.file_time(ticks);
        self.add(time);
        let at = time.0.saturating_sub(self.start.0).max(0) / self.step;
        let from = self.start.0.saturating_add(at.saturating_mul(self.step));
        let to = from.saturating_add(self.step);
        let bounds = (clock.first_ticks(FileTime(from)), clock.first_ticks(FileTime(to)));
        self.lately = (file, bounds.0, bounds.1, usize::try_from(at).unwrap_or(usize::MAX));
    }

    fn add(&mut self, time: FileTime) {
        let since = time.0.saturating_sub(self.start.0).max(0);
        let mut at = usize::try_from(since / self.step).unwrap_or(usize::MAX);
        while at >= Self::MOST {
            self.events = self.events.chunks(2).map(|two| two.iter().sum()).collect();
            self.step = self.step.saturating_mul(2);
            at = usize::try_from(since / self.step).unwrap_or(usize::MAX);
        }
        if self.events.len() <= at {
            self.events.resize(at + 1, 0);
        }
        self.events[at] += 1;
    }

    fn steps(&self) -> impl Iterator<Item = (FileTime, u64)> + '_ {
        let mut from = self.start.0;
        self.events.iter().map(move |events| {
            let this = FileTime(from);
            from = from.saturating_add(self.step);
            (this, *events)
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds with fractions")]
    pub(super) fn json(&self) -> Value {
        let seconds = self.step as f64 / 1e7;
        self.steps()
            .map(|(from, events)| {
                json!({"from": text::time(from), "seconds": seconds, "events": events})
            })
            .collect()
    }

    pub(super) fn text(&self, out: &mut String) {
        const BAR: u64 = 40;
        let most = self.events.iter().copied().max().unwrap_or(0).max(1);
        let _ = writeln!(out, "\nRATE  events in each {}", span(self.step));
        for (from, events) in self.steps() {
            let bar = "#".repeat(usize::try_from((events * BAR).div_ceil(most)).unwrap_or(0));
            let line = format!("{}  {:>13}  {bar}", text::time(from), count(events));
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_and_count_everything() {
        let mut rate = Rate::from(FileTime(0));
        for ms in 0..1000 {
            rate.add(FileTime(ms * 10_000));
        }
        rate.add(FileTime(-5));
        assert!(rate.events.len() <= Rate::MOST);
        assert_eq!(rate.events.iter().sum::<u64>(), 1001);
        assert_eq!(rate.step, 320_000);
        rate.add(FileTime(i64::MAX));
        assert_eq!(rate.events.iter().sum::<u64>(), 1002);
    }
}
