//! Logs that are parts of one: which they are, and what they have together.

use crate::codec::align8;
use crate::reader::{Source, Trace};
use std::collections::HashMap;
use std::ops::Range;

/// Which files are of one session.
#[derive(Debug)]
pub(super) struct Parts {
    /// For each file the first one of its session.
    sessions: Vec<usize>,
    /// For each file whether its session has others.
    shared: Vec<bool>,
}

impl Parts {
    /// Files are of one session if their headers agree in all that does not change when a log is
    /// cut: start, clock, machine and name.
    pub(super) fn of<S: Source>(traces: &[&Trace<S>]) -> Self {
        let mut first: HashMap<_, usize> = HashMap::new();
        let key = |trace: &Trace<S>| {
            let logfile = trace.logfile();
            let clock = trace.clock();
            let anchor = (clock.clock_type.0, clock.start_ticks, clock.start_time.0);
            let rate = (clock.perf_freq, clock.cpu_speed_mhz, logfile.boot_time().0);
            (anchor, rate, logfile.session_name().0.to_vec())
        };
        let sessions: Vec<usize> = traces
            .iter()
            .enumerate()
            .map(|(file, trace)| *first.entry(key(trace)).or_insert(file))
            .collect();
        let count = |session: &usize| sessions.iter().filter(|other| *other == session).count();
        let shared = sessions.iter().map(|session| count(session) > 1).collect();
        Self { sessions, shared }
    }

    /// The session of a file, named by the first file of it.
    pub(super) fn session(&self, file: usize) -> usize {
        self.sessions.get(file).copied().unwrap_or(file)
    }

    /// Whether a session has several files.
    pub(super) fn is_shared(&self, session: usize) -> bool {
        self.shared.get(session).copied().unwrap_or(false)
    }

    /// The files of each session.
    pub(super) fn sessions(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        let own = |file: &usize| self.session(*file) == *file;
        (0..self.sessions.len()).filter(own).map(|session| {
            (session..self.sessions.len()).filter(|file| self.session(*file) == session).collect()
        })
    }
}

/// A record on its way into a merged log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) file: usize,
    /// Lane and sequence number of its buffer, and which buffer of the file that is.
    pub(super) lane: u16,
    pub(super) buffer: usize,
    pub(super) sequence: i64,
    /// The buffer's stamp, as the new log's buffers have it.
    pub(super) stamp: u64,
}

/// The records that the parts of a session have at one stamp.
#[derive(Debug, Default)]
pub(super) struct Group {
    bytes: Vec<u8>,
    records: Vec<(Taken, Range<usize>)>,
}

impl Group {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds a record and gives the bytes that it has here.
    pub(super) fn push(&mut self, taken: Taken, record: &[u8]) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(record);
        let range = start..self.bytes.len();
        self.bytes.resize(align8(self.bytes.len()), 0);
        self.records.push((taken, range.clone()));
        self.bytes.get_mut(range).unwrap_or_default()
    }

    pub(super) fn get(&self, index: usize) -> Option<(&Taken, &[u8])> {
        let (taken, range) = self.records.get(index)?;
        Some((taken, self.bytes.get(range.clone())?))
    }

    /// Leaves each record in as often as it is in the file that has it most. The file with the most
    /// records gives their order.
    pub(super) fn unite(&mut self) {
        if self.records.iter().all(|(taken, _)| Some(taken.file) == self.first_file()) {
            return;
        }
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for (taken, _) in &self.records {
            let count = counts.entry(taken.file).or_default();
            *count = count.saturating_add(1);
        }
        let records = std::mem::take(&mut self.records);
        let mut by_file: Vec<_> = records.iter().collect();
        let most = |file: usize| counts.get(&file).copied().unwrap_or_default();
        by_file.sort_by_key(|(taken, _)| (usize::MAX.wrapping_sub(most(taken.file)), taken.file));
        let mut kept: HashMap<(u16, &[u8]), usize> = HashMap::new();
        let mut united = Vec::with_capacity(records.len());
        for of_file in by_file.chunk_by(|(a, _), (b, _)| a.file == b.file) {
            let mut own: HashMap<(u16, &[u8]), usize> = HashMap::new();
            for (taken, range) in of_file {
                let key = (taken.lane, self.bytes.get(range.clone()).unwrap_or_default());
                let own = own.entry(key).or_default();
                *own = own.saturating_add(1);
                let kept = kept.entry(key).or_default();
                if *own > *kept {
                    *kept = *own;
                    united.push((*taken, range.clone()));
                }
            }
        }
        self.records = united;
    }

    fn first_file(&self) -> Option<usize> {
        self.records.first().map(|(taken, _)| taken.file)
    }
}
