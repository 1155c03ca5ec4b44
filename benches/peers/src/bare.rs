//! What no recorder can do without, to see how much of a call's time is the machine's.

use crate::{Peer, measure::ticks, payload};
use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A ring of 4 MiB for each thread, where the bytes of the event go with a stamp, and their end
/// behind them. Nobody ever reads it.
pub struct Bare;

struct Ring {
    memory: Vec<u8>,
    at: usize,
    end: AtomicUsize,
}

thread_local! {
    static RING: RefCell<Ring> = RefCell::new(Ring {
        memory: vec![0x5A; 4 << 20],
        at: 0,
        end: AtomicUsize::new(0),
    });
}

impl Bare {
    fn put<const N: usize>(payload: [u8; N]) {
        RING.with_borrow_mut(|ring| {
            let bytes = 80 + N;
            if ring.at + bytes > ring.memory.len() {
                ring.at = 0;
            }
            let record = &mut ring.memory[ring.at..][..bytes];
            let header = [7, 8, ticks(), 9, 10, 11, 12, 13, 14, 15].map(u64::to_le_bytes);
            record[..80].copy_from_slice(header.as_flattened());
            record[80..].copy_from_slice(&payload);
            ring.at += bytes.next_multiple_of(8);
            ring.end.store(ring.at, Ordering::Release);
        });
    }
}

impl Peer for Bare {
    fn start(_: &Path) -> Self {
        Self
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        Self::put(payload(a, b, text));
    }

    fn short(&self, a: u64) {
        Self::put(a.to_le_bytes());
    }

    fn finish(self) {}

    fn kept(_: &Path) -> u64 {
        0
    }
}
