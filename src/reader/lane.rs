//! One lane of a merge: its buffers in order, and its next records.

use crate::codec::{RawRecord, align8, stamped};
use crate::reader::{
    BufferEntry, Record,
    block::{Block, offset},
    record::{self, Kind},
};

/// One lane: its buffers in order, and its next records.
#[derive(Debug, Default)]
pub(super) struct Lane<'t> {
    pub(super) block: Block<'t>,
    /// The head and the record behind it, in turn. The size of a record says where the next one
    /// is, so a walk takes as long as the processor needs to get from size to size; with one read
    /// ahead, it does so while the program works with the other. More than one ask for so much
    /// memory at once that it waits for that.
    heads: [Head; 2],
    /// The head is the second of these.
    odd: bool,
    /// The other one is good.
    has_next: bool,
    /// Where the record behind the last one read starts in the block.
    pub(super) at: usize,
    /// The buffer has to be looked through when a record is later than this. Such a record is not
    /// read ahead.
    pub(super) late_after: u64,
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
    /// The next record.
    #[inline]
    pub(super) fn head(&self) -> &Head {
        let [even, odd] = &self.heads;
        if self.odd { odd } else { even }
    }

    /// Makes the record behind the head the head, if it is at hand, and reads the next one.
    #[inline]
    pub(super) fn step(&mut self) -> Option<u64> {
        if !self.has_next {
            return None;
        }
        self.odd = !self.odd;
        self.read_next();
        Some(self.head().ticks)
    }

    /// Reads the record behind the head, if that is whole, timed and not late.
    #[inline]
    fn read_next(&mut self) {
        let bytes = self.block.bytes();
        let found = stamped(bytes, self.at).filter(|found| found.ticks <= self.late_after);
        self.has_next = found.is_some();
        let Some(found) = found else { return };
        let kind = Kind::typed(found.header_type);
        let size = found.size;
        let [even, odd] = &mut self.heads;
        let next = if self.odd { even } else { odd };
        *next = Head { ticks: found.ticks, start: offset(self.at), size, kind };
        self.block.warm(self.at, size.into());
        // Cannot wrap: the record lies in the block.
        self.at = self.at.wrapping_add(align8(size.into()));
    }

    /// Forgets the record that was read ahead.
    pub(super) fn clear(&mut self) {
        self.has_next = false;
    }

    /// The head as a record.
    #[inline]
    pub(super) fn record(&self) -> Option<Record<'_>> {
        self.head().record(self.block.bytes(), self.entry?, self.buffer)
    }

    /// Looks for the next record where none is at hand and makes it the head, if it is whole and
    /// timed; gives its stamp.
    pub(super) fn look(&mut self) -> Option<u64> {
        let Some(Ok((raw, behind))) = self.block.record_at(self.at) else { return None };
        let ticks = record::ticks(&raw)?;
        let head = Head::of(&raw, self.at, ticks)?;
        let [even, odd] = &mut self.heads;
        *(if self.odd { odd } else { even }) = head;
        self.at = behind;
        self.read_next();
        Some(ticks)
    }
}

/// A record as places in the block of its lane.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) ticks: u64,
    pub(super) start: u32,
    size: u16,
    kind: Kind,
}

impl Head {
    /// Of the record at `start`.
    pub(super) fn of(raw: &RawRecord<'_>, start: usize, ticks: u64) -> Option<Self> {
        let size = u16::try_from(raw.bytes.len()).ok()?;
        Some(Self { ticks, start: offset(start), size, kind: Kind::of(raw.kind) })
    }

    /// The record, which lies in the block `bytes` of the buffer `entry`.
    #[inline]
    pub(super) fn record<'a>(
        &self,
        bytes: &'a [u8],
        entry: &'a BufferEntry,
        buffer: usize,
    ) -> Option<Record<'a>> {
        let start = self.start as usize;
        let bytes = bytes.get(start..start.saturating_add(self.size.into()))?;
        Some(Record::of(self.kind, self.start, bytes, entry, buffer))
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
#[expect(clippy::vec_box, reason = "as the merge has them")]
pub(super) fn lanes_of<'t>(buffers: &[BufferEntry]) -> Vec<Box<Lane<'t>>> {
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
            Box::new(Lane { turns: turns.collect(), ..Lane::default() })
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
