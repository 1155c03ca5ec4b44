//! Reading a ring whose oldest buffers are overwritten, while writers go on.
//!
//! Whoever reads a buffer *pins* it. A writer whose turn has come to overwrite a pinned buffer
//! leaves it and takes the next one: it neither waits nor disturbs the reader. The reader puts
//! the buffer back when it is done.
//!
//! ```text
//!            pin                   a writer wants it
//!     0 ───────────► PINNED ────────────────────────► PINNED | LEFT
//!     ▲ ◄────unpin────┘                                    │
//!     │ ◄────unpin, and back into the set─────────────────┘
//!     │
//!     └───────────► TAKEN   by the writer that begins it, until it has
//! ```
//!
//! A pinned buffer may still be in a lane's hand and grow: what `FilledBytes` covers when it is
//! loaded is whole and stays. It may be given up meanwhile too, which changes header fields that no
//! reader of a pin looks at.

use super::{BufferHeader, HEADER_BYTES, Ring, memory::Buffer};
use crate::session::sync::{AtomicU32, AtomicU64, Ordering};

/// In a claim: somebody reads the buffer.
const PINNED: u32 = 1;
/// In a claim: a writer came to overwrite it and went on to another.
const LEFT: u32 = 2;
/// In a claim: a writer is about to begin it.
const TAKEN: u32 = 4;

/// The state of one buffer.
#[derive(Debug, Default)]
pub(super) struct Claim {
    word: AtomicU32,
    /// Where the buffer before it in its lane stands in the order of filling; 0 if it is the first.
    ///
    /// A buffer that was pinned in its turn, or whose taker fell asleep, outlives younger ones:
    /// only so is the hole seen.
    previous: AtomicU64,
}

/// A buffer that nobody overwrites until this is dropped.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    ring: &'a Ring,
    index: u32,
}

impl Ring {
    /// Takes the claim on a buffer that comes next, unless it is pinned.
    pub(super) fn claim(&self, index: u32) -> bool {
        let Some(claim) = self.exchange.claims.get(index as usize) else { return true };
        // AcqRel pairs with both orders in `Pinned::drop`: the reader is done, or takes over.
        let taken = claim.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |claim| {
            Some(if claim == PINNED { PINNED | LEFT } else { TAKEN })
        });
        taken.is_ok_and(|before| before != PINNED)
    }

    /// Ends the claim: the buffer is begun in lane `number`, and may be read.
    pub(super) fn begun(&self, index: u32, number: u32, sequence: u64) {
        if let Some(claim) = self.exchange.claims.get(index as usize) {
            // A number is in one hand at a time; its next owner sees this through the set of them.
            let latest = self.exchange.latest_of.get(number as usize);
            let previous = latest.map_or(0, |latest| latest.swap(sequence, Ordering::Relaxed));
            claim.previous.store(previous, Ordering::Relaxed);
            // Release pairs with the acquire in `pin`: the header is there.
            claim.word.store(0, Ordering::Release);
        }
    }

    /// Ends the claim on a buffer that was not begun after all.
    pub(super) fn abandon(&self, index: u32) {
        if let Some(claim) = self.exchange.claims.get(index as usize) {
            claim.word.store(0, Ordering::Release);
        }
    }

    /// Keeps a buffer from being overwritten. `None` if a writer is about to do so, or somebody
    /// else reads it.
    pub(crate) fn pin(&self, index: u32) -> Option<Pinned<'_>> {
        let claim = self.exchange.claims.get(index as usize)?;
        // Acquire pairs with the release in `begun`.
        claim.word.compare_exchange(0, PINNED, Ordering::Acquire, Ordering::Relaxed).ok()?;
        Some(Pinned { ring: self, index })
    }
}

impl Pinned<'_> {
    fn buffer(&self) -> Buffer<'_> {
        self.ring.memory.nth(self.index)
    }

    /// Where the buffer stands in the order of filling; 0 if it is empty.
    pub(crate) fn sequence(&self) -> i64 {
        // SAFETY: pinned.
        unsafe { self.buffer().begun_header() }.sequence_number.get()
    }

    /// Where the buffer before it in its lane stands in the order of filling; 0 if it is the first.
    pub(crate) fn previous(&self) -> i64 {
        let claim = self.ring.exchange.claims.get(self.index as usize);
        let previous = claim.map_or(0, |claim| claim.previous.load(Ordering::Relaxed));
        i64::try_from(previous).unwrap_or(i64::MAX)
    }

    /// The header as the buffer was begun, with the end of the records, and these.
    pub(crate) fn published(&self) -> (BufferHeader, &[u8]) {
        let buffer = self.buffer();
        // Acquire pairs with the release of the commit.
        let filled = buffer.load_filled(Ordering::Acquire);
        // SAFETY: pinned, so that the buffer is not begun anew.
        let mut header = unsafe { buffer.begun_header() };
        header.filled_bytes = filled.into();
        // SAFETY: what lies below `FilledBytes` does not change until the buffer is begun anew.
        (header, unsafe { buffer.records(HEADER_BYTES..filled) })
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        let Some(claim) = self.ring.exchange.claims.get(self.index as usize) else { return };
        // Release pairs with the acquire in `claim`; acquire with its release, where a writer left
        // the buffer.
        if claim.word.compare_exchange(PINNED, 0, Ordering::Release, Ordering::Acquire).is_err() {
            // The writer that left it took it out of the set. It waits for its next turn.
            claim.word.store(0, Ordering::Release);
            self.ring.exchange.free.put(self.index);
        }
    }
}
