//! How far the work is: on a terminal, for work of more than a second.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};
use std::time::{Duration, Instant};

/// A bar on stderr that shows itself only when it is wanted.
#[derive(Debug)]
pub(crate) struct Progress {
    total_bytes: u64,
    done_bytes: u64,
    calls: u32,
    started: Instant,
    wanted: bool,
    bar: Option<ProgressBar>,
}

/// Calls between two looks at the clock.
const CALLS: u32 = 1 << 14;

impl Progress {
    /// Of work on `total_bytes`. No bar if the output itself goes to the terminal.
    pub(crate) fn new(total_bytes: u64) -> Self {
        let wanted = stderr().is_terminal() && !stdout().is_terminal();
        let started = Instant::now();
        Self { total_bytes, done_bytes: 0, calls: 0, started, wanted, bar: None }
    }

    /// `bytes` more are done.
    pub(crate) fn advance(&mut self, bytes: usize) {
        if self.wanted {
            self.done_bytes += bytes as u64;
            self.calls += 1;
            if self.calls % CALLS == 0 {
                self.show();
            }
        }
    }

    #[cold]
    fn show(&mut self) {
        if self.started.elapsed() < Duration::from_secs(1) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} {eta}");
            let bar = ProgressBar::new(self.total_bytes);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_position(self.done_bytes.min(self.total_bytes));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
