//! Records that every log file of a session must hold, whichever file the events behind them go to.
//!
//! A record that explains others is written once, where it is first needed. But a series goes on in
//! a new file, and a ring overwrites its oldest buffers: then the explanation would be gone and the
//! events still there. So it is kept here, too, and copied behind the logfile header of each file
//! that is begun later, of a circular log, and of a snapshot.
//!
//! ```text
//!   first event of a kind   keep the record ──► write it and the event ──► mark the kind as told
//!   later ones              told? write the event
//! ```
//!
//! In this order, so that no file can have an event whose explanation is neither in it nor in its
//! header: a header is made after the file before it has got all that was committed until then.
//!
//! Room is limited to half a buffer, for a header is one buffer. A kind that found no room is never
//! marked, and whoever writes its events explains each of them.

use crate::session::{
    header::EXTRA_SHARE,
    sync::{AtomicU64, Ordering},
};
use std::sync::{Mutex, PoisonError};

/// Kinds that can be marked.
pub(crate) const KINDS: usize = 1024;

/// What the headers of a session's files hold besides the logfile header.
#[derive(Debug)]
pub(crate) struct Preamble {
    /// A bit for each kind that every file explains.
    told: [AtomicU64; KINDS / 64],
    /// Number of the last change; 0 before the first.
    changes: AtomicU64,
    /// Not 0 where the files are another process's: nothing can be put into their headers.
    refuses: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    kinds: Vec<u32>,
    /// Whole records, one behind the other.
    records: Vec<u8>,
}

impl Default for Preamble {
    fn default() -> Self {
        Self {
            told: std::array::from_fn(|_| AtomicU64::new(0)),
            changes: AtomicU64::new(0),
            refuses: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }
}

impl Preamble {
    /// Whether no event of this kind needs an explanation any more.
    #[inline]
    pub(crate) fn has_told(&self, kind: u32) -> bool {
        let Some(word) = self.told.get(kind as usize / 64) else { return false };
        // Acquire pairs with the release in `told`: the explanation was written before.
        word.load(Ordering::Acquire) >> (kind % 64) & 1 != 0
    }

    /// Marks a kind that was kept and whose explanation was written.
    pub(crate) fn told(&self, kind: u32) {
        if let Some(word) = self.told.get(kind as usize / 64) {
            // Release pairs with the acquire in `has_told`.
            word.fetch_or(1 << (kind % 64), Ordering::Release);
        }
    }

    /// Keeps the record of a kind, if it is not there and fits; says whether it is there now.
    /// Nothing is waited for: in a signal handler that would be for ever.
    pub(crate) fn keep(&self, kind: u32, record: &[u8], buffer_size: u32) -> bool {
        if kind as usize >= KINDS || self.refuses.load(Ordering::Relaxed) != 0 {
            return false;
        }
        let Ok(mut kept) = self.kept.try_lock() else { return false };
        if kept.kinds.contains(&kind) {
            return true;
        }
        let size = record.len().next_multiple_of(8);
        if kept.records.len() + size > (buffer_size / EXTRA_SHARE) as usize {
            return false;
        }
        kept.kinds.push(kind);
        kept.records.extend_from_slice(record);
        let end = kept.records.len().next_multiple_of(8);
        kept.records.resize(end, 0);
        // Relaxed: whoever sees the number takes the lock.
        self.changes.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Keeps nothing from now on: each event is explained where it stands.
    #[cfg(unix)]
    pub(crate) fn refuse(&self) {
        self.refuses.store(1, Ordering::Relaxed);
    }

    /// The number of the last change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// All records, one behind the other, each up to a multiple of 8.
    pub(crate) fn records(&self) -> Vec<u8> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).records.clone()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_kept_once_and_marked_only_when_it_was_written() {
        let preamble = Preamble::default();
        assert!(preamble.keep(3, &[1; 9], 4096) && preamble.keep(3, &[2; 9], 4096));
        assert_eq!(preamble.records(), [&[1; 9][..], &[0; 7]].concat());
        assert!(!preamble.has_told(3));
        preamble.told(3);
        assert!(preamble.has_told(3) && !preamble.has_told(2) && !preamble.has_told(67));
        assert_eq!(preamble.changes(), 1);
    }

    #[test]
    fn what_has_no_room_is_not_kept() {
        let preamble = Preamble::default();
        assert!(preamble.keep(0, &[1; 2040], 4096));
        assert!(!preamble.keep(1, &[1; 9], 4096));
        assert!(preamble.keep(2, &[1; 8], 4096));
        let kinds = u32::try_from(KINDS).unwrap();
        assert!(!preamble.keep(kinds, &[], 1 << 20));
        preamble.told(kinds);
        assert!(!preamble.has_told(kinds));
    }
}
