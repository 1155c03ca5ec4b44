//! From when to when records are.

use crate::input::Input;
use etlring::format::FileTime;

/// The first and the last stamp of each file. Of one file the later stamp is never the earlier
/// time, so times are asked for once and not for each record.
pub(super) struct Extent {
    /// By file; the first behind the last where there is none.
    stamps: Vec<(u64, u64)>,
}

impl Extent {
    pub(super) fn of(files: usize) -> Self {
        Self { stamps: vec![(u64::MAX, 0); files] }
    }

    #[inline]
    pub(super) fn add(&mut self, file: usize, ticks: u64) {
        let (first, last) = &mut self.stamps[file];
        (*first, *last) = (ticks.min(*first), ticks.max(*last));
    }

    pub(super) fn times(&self, inputs: &[Input]) -> Option<(FileTime, FileTime)> {
        let stamped = inputs.iter().zip(&self.stamps).filter(|(_, (first, last))| first <= last);
        let times = stamped.map(|(input, (first, last))| {
            let clock = input.trace.clock();
            (clock.file_time(*first), clock.file_time(*last))
        });
        times.reduce(|all, own| (all.0.min(own.0), all.1.max(own.1)))
    }
}
