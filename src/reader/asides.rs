//! The records of a merge that have no time stamp, set aside until the time of their buffer.
//!
//! One entry for each buffer, whatever it holds: the next of its untimed records. See the rules at
//! the top of `merge`.

use crate::reader::{
    Record, Source, Trace,
    block::{self, Block},
    lane::Head,
    record,
};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Records without a time stamp, waiting for the time of their buffer.
#[derive(Debug, Default)]
pub(super) struct Asides<'t> {
    heap: BinaryHeap<Reverse<Aside>>,
    block: Block<'t>,
    /// The buffer that the block holds.
    loaded: Option<usize>,
    /// The record taken last.
    taken: Option<(usize, Head)>,
}

/// The untimed records of one buffer, from one of them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Aside {
    pub(super) stamp: u64,
    pub(super) lane: usize,
    pub(super) sequence: i64,
    pub(super) offset: usize,
    pub(super) buffer: usize,
}

impl<'t> Asides<'t> {
    pub(super) fn put(&mut self, aside: Aside) {
        self.heap.push(Reverse(aside));
    }

    pub(super) fn least(&self) -> Option<&Aside> {
        self.heap.peek().map(|Reverse(aside)| aside)
    }

    /// Takes the least record out, and puts the next one of its buffer in.
    pub(super) fn take<S: Source>(&mut self, trace: &'t Trace<S>) {
        let Some(Reverse(aside)) = self.heap.pop() else { return };
        if self.loaded != Some(aside.buffer) {
            let Some(entry) = trace.buffers().get(aside.buffer) else { return };
            let _ = self.block.load(trace, entry);
            self.loaded = Some(aside.buffer);
        }
        let bytes = self.block.bytes();
        let Some(Ok((raw, behind))) = block::record_at(bytes, aside.offset) else { return };
        let Some(head) = Head::of(&raw, aside.offset, aside.stamp) else { return };
        self.taken = Some((aside.buffer, head));
        if let Some(offset) = first_untimed(bytes, behind) {
            self.heap.push(Reverse(Aside { offset, ..aside }));
        }
    }

    pub(super) fn record<'a, S>(&'a self, trace: &'a Trace<S>) -> Option<Record<'a>>
    where
        S: Source,
    {
        let (buffer, head) = self.taken?;
        head.record(self.block.bytes(), trace.buffers().get(buffer)?, buffer)
    }
}

/// The first record without a time stamp at or behind `at`.
pub(super) fn first_untimed(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(Ok((raw, behind))) = block::record_at(bytes, at) {
        if record::ticks(&raw).is_none() {
            return Some(at);
        }
        at = behind;
    }
    None
}
