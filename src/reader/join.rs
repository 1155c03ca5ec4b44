//! A log and its ring, read as one.
//!
//! A buffer is known by its sequence number. Where both files have one, they have it at two moments
//! of its life, and one of them is taken whole:
//!
//! | log | ring | taken |
//! |---|---|---|
//! | whole | whole | the one with more records behind it; of equal ones the log's |
//! | whole | torn | the log's |
//! | torn | whole | the ring's |
//! | torn | torn | the one with more whole records; of equal ones the log's |
//!
//! Source: spec/13-recovery.md.

use crate::codec::checksum;
use crate::reader::{
    BufferEntry, ReadError, RingCopy, RingError, Source, Trace,
    block::Block,
    index::Index,
    sane::{self, Trust},
};
use std::{collections::HashMap, ops::Range};

/// What became of the ring beside a log.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum RingState {
    /// There is none, or nobody looked for it.
    #[default]
    Absent,
    /// It is read together with the log.
    Joined {
        /// Buffers that were taken from it; the others had nothing that the log lacks.
        buffers: usize,
    },
    /// It is there and was left alone.
    LeftAlone(RingError),
}

/// How much of a buffer a file has. The greater one is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Strength {
    /// Its checksum does not speak against it, and all its records are there.
    pub(crate) whole: bool,
    /// End of its whole records.
    pub(crate) end: u32,
}

/// What a trace has from the ring.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) state: RingState,
    buffers: Vec<Copied>,
}

#[derive(Debug)]
struct Copied {
    body: Box<[u8]>,
    checksum: Result<checksum::State, ReadError>,
}

impl Joined {
    /// Takes the records of a buffer, or of a part of one, and tells `entry` where they are.
    pub(crate) fn add(&mut self, entry: &mut BufferEntry, body: Box<[u8]>) {
        self.buffers.push(Copied { body, checksum: Ok(checksum::State::Absent) });
        entry.copy_number = u32::try_from(self.buffers.len()).unwrap_or(u32::MAX);
    }

    pub(crate) fn body(&self, entry: &BufferEntry) -> Option<&[u8]> {
        self.copied(entry).map(|copied| &*copied.body)
    }

    pub(crate) fn checksum(&self, entry: &BufferEntry) -> Result<checksum::State, ReadError> {
        self.copied(entry).map_or(Ok(checksum::State::Absent), |copied| copied.checksum)
    }

    fn copied(&self, entry: &BufferEntry) -> Option<&Copied> {
        self.buffers.get((entry.copy_number as usize).checked_sub(1)?)
    }
}

/// A ring put beside the index of a log.
#[derive(Debug, Default)]
pub(crate) struct Join {
    buffers: Vec<Copied>,
    /// Entries of the log and what stands in their place.
    replaced: Vec<(usize, BufferEntry)>,
    /// Entries that the log lacks.
    added: Vec<BufferEntry>,
    damage: Vec<ReadError>,
}

/// The best that is known of a sequence number.
struct Best {
    strength: Strength,
    /// The log's entry, if it has one.
    index: Option<usize>,
    /// Which of the ring's buffers is better.
    taken: Option<usize>,
}

impl Join {
    /// Compares every buffer of `ring` with the one of that number in `trace`.
    pub(crate) fn of<S: Source>(trace: &Trace<S>, ring: RingCopy) -> Self {
        let mut best: HashMap<i64, Best> = HashMap::new();
        let numbers = ring.buffers().iter().map(|taken| taken.header.sequence_number.get());
        let wanted: std::collections::HashSet<i64> = numbers.collect();
        for (index, entry) in trace.buffers().iter().enumerate().skip(1) {
            if !wanted.contains(&entry.sequence) {
                continue;
            }
            let strength = strength_of(trace, index, entry);
            let known = best.get(&entry.sequence);
            if known.is_none_or(|known| strength > known.strength) {
                let this = Best { strength, index: Some(index), taken: None };
                best.insert(entry.sequence, this);
            }
        }
        for (number, taken) in ring.buffers().iter().enumerate() {
            let strength = Strength { whole: taken.fault.is_none(), end: taken.end() };
            let sequence = taken.header.sequence_number.get();
            let known = best.entry(sequence).or_insert(Best {
                strength: Strength { whole: false, end: 0 },
                index: None,
                taken: None,
            });
            if strength > known.strength {
                (known.strength, known.taken) = (strength, Some(number));
            }
        }
        Self::taking(ring, best)
    }

    fn taking(ring: RingCopy, best: HashMap<i64, Best>) -> Self {
        let mut join = Self::default();
        join.damage.extend_from_slice(ring.faults());
        let buffer_size = ring.buffer_size();
        let mut winners: HashMap<usize, Option<usize>> =
            best.into_values().filter_map(|best| Some((best.taken?, best.index))).collect();
        for (number, taken) in ring.into_buffers().into_iter().enumerate() {
            let Some(index) = winners.remove(&number) else { continue };
            let end = taken.end().min(buffer_size);
            let mut entry = BufferEntry::new(&taken.header, taken.position, buffer_size, end);
            join.damage.extend(taken.fault);
            join.buffers.push(Copied { checksum: taken.checksum, body: taken.body });
            entry.copy_number = u32::try_from(join.buffers.len()).unwrap_or(u32::MAX);
            entry.of_ring = true;
            match index {
                Some(index) => join.replaced.push((index, entry)),
                None => join.added.push(entry),
            }
        }
        join.added.sort_by_key(|entry| entry.sequence);
        join
    }

    /// Puts the ring's buffers into the index of the log. What is wrong with a buffer of the log
    /// that the ring has whole is no damage any more.
    pub(crate) fn apply(self, index: &mut Index) -> Joined {
        let mut replaced = Vec::new();
        for (at, entry) in self.replaced {
            let Some(old) = index.entries.get_mut(at) else { continue };
            let end = old.position.saturating_add(u64::from(old.size));
            replaced.push(old.position..end);
            *old = entry;
        }
        let replaced = Places::of(replaced);
        index.damage.retain(|damage| damage.in_ring || !replaced.contain(damage.position));
        index.entries.extend(self.added);
        index.damage.extend(self.damage);
        let buffers = self.buffers.len();
        Joined { state: RingState::Joined { buffers }, buffers: self.buffers }
    }
}

/// Stretches of a file that do not overlap.
pub(crate) struct Places(Vec<Range<u64>>);

impl Places {
    pub(crate) fn of(mut places: Vec<Range<u64>>) -> Self {
        places.sort_by_key(|place| place.start);
        Self(places)
    }

    pub(crate) fn contain(&self, position: u64) -> bool {
        let behind = self.0.partition_point(|place| place.start <= position);
        let place = behind.checked_sub(1).and_then(|index| self.0.get(index));
        place.is_some_and(|place| place.contains(&position))
    }
}

/// How much of a buffer the log has.
fn strength_of<S: Source>(trace: &Trace<S>, index: usize, entry: &BufferEntry) -> Strength {
    let mut block = Block::default();
    let failed = block.load(trace, entry);
    let torn = trace.verify_checksum(index).is_err();
    let walked = sane::walk(block.bytes(), if torn { Trust::Torn } else { Trust::Sealed });
    let cut = trace.damage().iter().any(|damage| damage.position == entry.position);
    let whole = !torn && !cut && failed.is_none() && walked.fault.is_none();
    let end = crate::codec::align8(walked.end.saturating_add(72));
    Strength { whole, end: crate::codec::to_u32(end) }
}
