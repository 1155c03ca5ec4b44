//! How a file whose logfile header is lost is laid out: its buffers say it themselves.
//!
//! Every buffer of an uncompressed file names its size and lies at a multiple of it. So each place
//! where a sound header lies at a multiple of the size that it names is a vote for that size. Bytes
//! of a payload can pass for a header once, but not as often as there are buffers.
//!
//! Cost: one pass over the first [`MOST_BYTES`] of the file.

use crate::format::{BufferHeader, MAX_BUFFER_SIZE};
use crate::reader::{Source, index};
use std::{cmp::Reverse, collections::BTreeMap, io};
use zerocopy::FromBytes;

/// How the buffers of a file lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Size of every buffer; in a compressed file a bound.
    pub(crate) buffer_size: u32,
    pub(crate) compressed: bool,
}

/// Bytes of a file that are looked at. A hole may be larger than any disk.
const MOST_BYTES: u64 = 1 << 30;
/// Every size of buffers is a multiple of this.
const STEP: u32 = 1024;
/// Bytes read at once, a multiple of `STEP`.
const PIECE: usize = 1 << 20;

/// The layout that most headers vote for; `None` if there is none.
///
/// # Errors
///
/// What the system says of reading.
pub(crate) fn layout(source: &(impl Source + ?Sized)) -> io::Result<Option<Layout>> {
    let mut votes = Votes::default();
    // The last bytes of a piece lie in the next one too: a header may straddle them.
    let mut piece = vec![0; PIECE.saturating_add(BufferHeader::SIZE)];
    let mut position = 0u64;
    while position < source.size().min(MOST_BYTES) {
        let found = source.read_at(position, &mut piece)?;
        votes.count(piece.get(..found).unwrap_or_default(), position);
        position = position.saturating_add(PIECE as u64);
    }
    Ok(votes.winner())
}

#[derive(Default)]
struct Votes {
    sizes: BTreeMap<u32, u32>,
    packed: u32,
    largest: u32,
}

impl Votes {
    fn count(&mut self, piece: &[u8], position: u64) {
        for (at, bytes) in (position..).step_by(STEP as usize).zip(piece.chunks(STEP as usize)) {
            let Ok((header, _)) = BufferHeader::ref_from_prefix(bytes) else { continue };
            let size = header.buffer_size.get();
            let fits = (STEP..=MAX_BUFFER_SIZE).contains(&size)
                && size % STEP == 0
                && at.checked_rem(u64::from(size)) == Some(0);
            if fits && !header.is_compressed() && index::looks_like_header(header, size) {
                let votes = self.sizes.entry(size).or_default();
                *votes = votes.saturating_add(1);
            }
        }
        // Packed buffers start anywhere. One piece of them is enough to know them.
        if self.packed == 0 && self.sizes.is_empty() {
            for window in piece.windows(BufferHeader::SIZE) {
                let Ok(header) = BufferHeader::ref_from_bytes(window) else { continue };
                let size = header.buffer_size.get();
                if header.is_compressed() && index::looks_like_header(header, size) {
                    self.packed = self.packed.saturating_add(1);
                    self.largest = self.largest.max(header.filled_bytes.get());
                }
            }
        }
    }

    fn winner(&self) -> Option<Layout> {
        // Of equal votes the smaller size: it leads to no less.
        let most = self.sizes.iter().max_by_key(|(size, votes)| (**votes, Reverse(**size)));
        let whole = most.map(|(size, _)| Layout { buffer_size: *size, compressed: false });
        let packed = || Layout {
            buffer_size: self.largest.next_multiple_of(STEP).clamp(STEP, MAX_BUFFER_SIZE),
            compressed: true,
        };
        whole.or_else(|| (self.packed > 0).then(packed))
    }
}
