//! One lane of a merge: its buffers in order, and its next records.

use crate::codec::{RawRecord, RecordKind, align8, stamped};
use crate::reader::{
    BufferEntry, Record,
    block::{Block, offset},
    record,
};

/// Records of a lane that are looked at in one go.
///
/// The size of a record says where the next one is, so a walk takes as long as the processor needs
/// to get from size to size. A few in a row let it go on meanwhile with records that were found
/// before. More than a few ask for so much memory at once that it waits for that.
const MOST_HEADS: usize = 4;

/// One lane: its buffers in order, and its next records.
#[derive(Debug, Default)]
pub(super) struct Lane<'t> {
    pub(super) block: Block<'t>,
    /// Records of the block that follow each other; the first `count` are good.
    heads: [Head; MOST_HEADS],
    count: usize,
    /// Which of them is the head; `count` or more if that has to be looked for.
    next: usize,
    /// Where the record behind the last of `heads` starts in the block.
    pub(super) at: usize,
    /// One of `heads` is later than `stamp`.
    pub(super) is_late: bool,
    /// The buffer's stamp if the buffer has to be looked through when a record is later.
    pub(super) stamp: Option<u64>,
    /// The buffer that the block holds.
    pub(super) buffer: usize,
    pub(super) entry: Option<&'t BufferEntry>,
    pub(super) turns: Vec<Turn>,
    /// The next of `turns` to load.
    pub(super) turn: usize,
    /// The head was not yielded yet.
    pub(super) ready: bool,
    /// The untimed records of this buffer have been put aside.
    pub(super) aside: bool,
    /// The block was given back to keep within the memory allowed.
    pub(super) released: bool,
}

impl Lane<'_> {
    /// The next record, if it is at hand.
    #[inline]
    pub(super) fn head(&self) -> Option<&Head> {
        self.heads.get(self.next).filter(|_| self.next < self.count)
    }

    /// Makes the record behind the head the head, if it is at hand.
    #[inline]
    pub(super) fn step(&mut self) -> Option<&Head> {
        self.next = self.next.wrapping_add(1);
        self.head()
    }

    /// Forgets the records that were looked at.
    pub(super) fn clear(&mut self) {
        (self.count, self.next) = (0, 0);
    }

    /// The head as a record.
    #[inline]
    pub(super) fn record(&self) -> Option<Record<'_>> {
        let head = self.heads.get(self.next)?;
        Some(Record::new(head.raw(self.block.bytes())?, self.entry?, self.buffer))
    }

    /// Looks at the records behind the last head, as far as they are whole and timed, and makes the
    /// first one the head; gives its stamp.
    pub(super) fn look(&mut self) -> Option<u64> {
        let bytes = self.block.bytes();
        let (mut at, mut count, mut latest) = (self.at, 0usize, 0);
        for head in &mut self.heads {
            let Some(found) = stamped(bytes, at) else { break };
            let kind = RecordKind::Typed(found.header_type);
            let (start, size) = (offset(at), offset(found.size));
            *head = Head { kind, start, size, ticks: found.ticks };
            latest = found.ticks.max(latest);
            count = count.wrapping_add(1);
            // Cannot wrap: the record lies in the block.
            at = at.wrapping_add(align8(found.size));
        }
        if count == 0 {
            let Some((head, behind)) = self.look_closely() else {
                self.clear();
                return None;
            };
            self.heads = [head; MOST_HEADS];
            (at, count, latest) = (behind, 1, head.ticks);
        }
        (self.at, self.count, self.next) = (at, count, 0);
        self.is_late = self.stamp.is_some_and(|stamp| latest > stamp);
        self.block.warm(at);
        self.heads.first().map(|head| head.ticks)
    }

    /// The same for one record of any kind.
    #[inline(never)]
    fn look_closely(&self) -> Option<(Head, usize)> {
        let Some(Ok((raw, behind))) = self.block.record_at(self.at) else { return None };
        let ticks = record::ticks(&raw)?;
        let (start, size) = (offset(self.at), offset(raw.bytes.len()));
        Some((Head { kind: raw.kind, start, size, ticks }, behind))
    }
}

/// A record as places in the block of its lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: RecordKind,
    pub(super) start: u32,
    pub(super) size: u32,
    pub(super) ticks: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self { kind: RecordKind::Message, start: 0, size: 0, ticks: 0 }
    }
}

impl Head {
    #[inline]
    pub(super) fn raw<'b>(&self, bytes: &'b [u8]) -> Option<RawRecord<'b>> {
        let start = self.start as usize;
        let bytes = bytes.get(start..start.saturating_add(self.size as usize))?;
        Some(RawRecord { kind: self.kind, offset: self.start, bytes })
    }
}

/// One buffer of a lane, to be read when it is its turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) buffer: usize,
    /// Stamp of its first timed record.
    pub(super) first_ticks: Option<u64>,
    /// Its untimed records have been put aside, or are known not to be.
    pub(super) aside: bool,
}

/// The buffers of each lane in order of sequence number, then place in the file; lanes by number,
/// the header buffer before the lane that it names.
pub(super) fn lanes_of<'t>(buffers: &[BufferEntry]) -> Vec<Lane<'t>> {
    let mut order: Vec<(u16, bool, i64, usize)> = buffers
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.lane, index != 0, entry.sequence, index))
        .collect();
    order.sort_unstable();
    order
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .map(|lane| {
            let turns = lane.iter();
            let turns = turns.map(|o| Turn { buffer: o.3, first_ticks: None, aside: false });
            Lane { turns: turns.collect(), ..Lane::default() }
        })
        .collect()
}

/// The first buffer that may hold a record at or after `from_ticks`: a buffer ends before the next
/// one starts, in a lane whose times do not run backwards. Of any other no buffer is passed over.
pub(super) fn first_turn(turns: &[Turn], from_ticks: u64) -> usize {
    let starts = || turns.iter().filter_map(|turn| turn.first_ticks);
    if !starts().is_sorted() {
        return 0;
    }
    let later = turns.iter().rposition(|turn| turn.first_ticks.is_some_and(|t| t < from_ticks));
    later.unwrap_or(0)
}
