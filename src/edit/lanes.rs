//! Which lane of a merged log the records of a lane go to.

use crate::format::MAX_LANES;
use crate::reader::{Source, Trace};

/// For each file what is added to the number of its lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    offsets: Vec<u16>,
}

impl Lanes {
    /// A lane is a processor, and the processors of one start of one machine are the same in all
    /// its logs. Those of others come behind them.
    pub(super) fn of<S: Source>(traces: &[&Trace<S>]) -> Self {
        let mut machines: Vec<(_, u32)> = Vec::new();
        let mut of_file = Vec::new();
        for trace in traces {
            let logfile = trace.logfile();
            let rate = (logfile.perf_freq(), logfile.cpu_speed_mhz());
            let machine = (logfile.boot_time().0, rate, logfile.pointer_size());
            let lanes = trace.buffers().iter().map(|entry| u32::from(entry.lane).saturating_add(1));
            let lanes = lanes.max().unwrap_or(1);
            let known = machines.iter().position(|(known, _)| *known == machine);
            let at = known.unwrap_or(machines.len());
            match machines.get_mut(at) {
                Some((_, most)) => *most = lanes.max(*most),
                None => machines.push((machine, lanes)),
            }
            of_file.push(at);
        }
        let mut next = 0u32;
        let starts: Vec<u32> = machines
            .iter()
            .map(|(_, lanes)| {
                let start = next;
                next = next.saturating_add(*lanes);
                start
            })
            .collect();
        // More lanes than a log can name: those of one number are put together.
        let fits = next <= u32::from(MAX_LANES).saturating_add(1);
        let offset = |at: &usize| {
            let start = starts.get(*at).copied().filter(|_| fits).unwrap_or(0);
            u16::try_from(start).unwrap_or(0)
        };
        Self { offsets: of_file.iter().map(offset).collect() }
    }

    /// The new number of a lane.
    pub(super) fn lane(&self, file: usize, lane: u16) -> u16 {
        lane.saturating_add(self.offsets.get(file).copied().unwrap_or(0)).min(MAX_LANES)
    }
}
