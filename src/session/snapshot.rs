//! A copy of a ring whose oldest buffers are overwritten, taken while writers go on.
//!
//! 1. The number that the next buffer will get is noted; buffers begun later are left out.
//! 2. Each buffer is pinned for a moment, and its number and lane are noted.
//! 3. They are copied from the newest to the oldest, each pinned while it is. Where one is gone or
//!    another one comes before it in its lane, all that is older there is left out: what is copied
//!    of a lane is without a hole.
//! 4. Only then the file is written.
//!
//! Writers overwrite from the oldest and the copy comes from the newest: flat out they meet
//! somewhere in the middle. The copy takes as much memory as it copies.

use crate::codec::TickClock;
use crate::format::{BufferFlags, BufferHeader, LogFileMode};
use crate::session::{
    clock::{self, Anchor, Source},
    header::Header,
    lane::Ring,
    log::Totals,
    seal::complete,
    shared::Shared,
};
use crate::sink::{FileSink, Sink};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use zerocopy::IntoBytes;

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotStats {
    /// Buffers of events in the file.
    pub buffers: u32,
    /// Buffers that were overwritten before they could be copied, or were older than one.
    pub buffers_overwritten: u32,
}

/// What it takes to make snapshots of a session.
pub(crate) struct Snapshots {
    ring: Arc<Ring>,
    shared: Arc<Shared>,
    clock: Source,
    start: Anchor,
    /// One at a time.
    header: Mutex<Header>,
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshots").field("start", &self.start).finish_non_exhaustive()
    }
}

/// One buffer of the ring, as the first look found it.
struct Seen {
    sequence: i64,
    index: u32,
    lane: u16,
}

/// A copied buffer.
struct Copied {
    header: BufferHeader,
    records: Vec<u8>,
}

impl Snapshots {
    pub(crate) fn new(
        ring: Arc<Ring>,
        shared: Arc<Shared>,
        clock: Source,
        start: Anchor,
        header: Header,
    ) -> Self {
        Self { ring, shared, clock, start, header: Mutex::new(header) }
    }

    /// Writes a snapshot to a new file at `path`.
    pub(crate) fn take(&self, path: &Path) -> io::Result<SnapshotStats> {
        let header = self.header.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.write(header, path)
    }

    /// As [`take`](Self::take), but not if this thread is taking one already.
    pub(crate) fn try_take(&self, path: &Path) -> io::Result<SnapshotStats> {
        let header = match self.header.try_lock() {
            Ok(header) => header.clone(),
            Err(TryLockError::Poisoned(header)) => header.into_inner().clone(),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
        };
        self.write(header, path)
    }

    fn write(&self, mut header: Header, path: &Path) -> io::Result<SnapshotStats> {
        let mut sink = FileSink::create(path)?;
        let (copies, overwritten) = self.copy();
        let stop = Anchor::take(self.clock);

        let totals = Totals::of(&self.ring, &self.shared);
        let buffers = u32::try_from(copies.len()).unwrap_or(u32::MAX);
        let fields = &mut header.fields;
        fields.log_file_mode = LogFileMode::SEQUENTIAL.0.into();
        fields.maximum_file_size = 0.into();
        fields.buffers_written = buffers.saturating_add(1).into();
        fields.events_lost = u32::try_from(totals.events_lost).unwrap_or(u32::MAX).into();
        fields.number_of_processors = totals.lanes.max(1).into();
        if let Some(rate) = clock::refined_frequency(self.clock, &self.start, &stop) {
            header.set_rate(rate);
        }
        let clock: TickClock = header.clock();

        header.set_extra(self.shared.preamble.records());
        // Unfinished until all of it is there.
        sink.write(0, header.make(&path.to_string_lossy()))?;
        let mut buffer = vec![0; self.ring.buffer_size() as usize];
        for (position, copied) in (1..).zip(copies) {
            let filled = copied.header.filled_bytes.get();
            buffer[..BufferHeader::SIZE].copy_from_slice(copied.header.as_bytes());
            buffer[BufferHeader::SIZE..filled as usize].copy_from_slice(&copied.records);
            complete(&mut buffer, filled, stop.ticks, BufferFlags::default());
            sink.write(position, &buffer)?;
        }
        header.fields.end_time = clock.file_time(stop.ticks).0.into();
        sink.write(0, header.bytes())?;
        Ok(SnapshotStats { buffers, buffers_overwritten: overwritten })
    }

    /// The buffers in the order of filling, and how many were overwritten too soon.
    fn copy(&self) -> (Vec<Copied>, u32) {
        let ring = &*self.ring;
        let end = ring.next_sequence();
        let mut seen: Vec<Seen> = Vec::with_capacity(ring.buffers() as usize);
        for index in 0..ring.buffers() {
            let Some(pinned) = ring.pin(index) else { continue };
            let (header, _) = pinned.published();
            let sequence = header.sequence_number.get();
            if (1..end).contains(&sequence) {
                seen.push(Seen { sequence, index, lane: header.lane() });
            }
        }
        seen.sort_unstable_by_key(|seen| std::cmp::Reverse(seen.sequence));

        // By lane: the number of the buffer that comes next, going back; 0 if there is none.
        let mut expected: BTreeMap<u16, i64> = BTreeMap::new();
        let mut copies = Vec::with_capacity(seen.len());
        let mut overwritten = 0;
        for seen in seen {
            let next = expected.entry(seen.lane).or_insert(seen.sequence);
            let pinned = ring.pin(seen.index).filter(|p| p.sequence() == seen.sequence);
            match pinned {
                Some(pinned) if *next == seen.sequence => {
                    let (header, records) = pinned.published();
                    copies.push(Copied { header, records: records.to_vec() });
                    *next = pinned.previous();
                }
                _ => {
                    overwritten += 1;
                    *next = 0;
                }
            }
        }
        copies.reverse();
        (copies, overwritten)
    }
}
