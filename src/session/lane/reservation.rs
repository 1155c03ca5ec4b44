//! A record whose payload is written in place.

use super::Space;
use crate::session::stats::Discarded;
use bytes::{BufMut, buf::UninitSlice};

/// Space for one record in a session's buffer, to be filled in place and committed.
///
/// The header is written already, stamped when the space was taken. The payload is written through
/// [`BufMut`], from front to back, up to the capacity asked for; [`commit`](Self::commit) makes the
/// record as long as what was written. Dropped without a commit, it leaves nothing and costs
/// nothing. A writer that holds one holds its lane: what the same thread logs meanwhile goes
/// through another lane.
///
/// One that is open while the process forks stays the parent's. The child cannot commit it, and
/// should not write into it: where the ring is a file the bytes are the parent's, too.
///
/// ```
/// use bytes::BufMut;
/// use etlring::format::Guid;
/// use etlring::session::{ClassicEvent, Session};
/// use etlring::sink::MemorySink;
///
/// let (sink, log) = MemorySink::new();
/// let session = Session::builder("doc").sink(sink).start()?;
/// let event = ClassicEvent::new(Guid::from_u128(0x11), 10, 4);
/// let mut record = session.reserve_classic(&event, 64)?;
/// record.put_u32_le(42);
/// record.put_slice(b"answer");
/// record.commit()?;
/// assert_eq!(session.stop()?.events_accepted, 1);
/// assert_eq!(log.to_vec().len() % 65_536, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "an uncommitted reservation leaves nothing"]
pub struct Reservation<'a> {
    space: Space<'a>,
    /// Where the payload starts.
    payload: usize,
    /// Where it may end.
    end: usize,
    /// Where it ends so far.
    at: usize,
}

impl<'a> Reservation<'a> {
    /// Of `space`, whose first `header` bytes are written, for a payload of up to `capacity`.
    #[inline(always)]
    pub(crate) fn new(space: Space<'a>, header: usize, capacity: usize) -> Self {
        Self { space, payload: header, end: header + capacity, at: header }
    }

    /// Bytes of payload written so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.at - self.payload
    }

    /// Whether nothing has been written yet.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of payload asked for.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.end - self.payload
    }

    /// Publishes the record: from here on it survives a kill of the process.
    ///
    /// # Errors
    ///
    /// [`Discarded::Stopped`] if the session was stopped while this reservation was open, and
    /// closed its log before the commit. [`Discarded::Forked`] in a child of the process that made
    /// it: the parent may have gone on in the buffer since.
    #[inline]
    pub fn commit(mut self) -> Result<(), Discarded> {
        if self.space.is_of_parent() {
            return Err(Discarded::Forked);
        }
        let len = self.at;
        let bytes = self.space.bytes();
        // The padding is defined in what we write; a foreign reader may look at it. The space ends
        // with a whole word, so the word that the record ends in is there.
        if let Some(last) = bytes.get_mut(len & !7..).and_then(<[u8]>::first_chunk_mut::<8>) {
            let record = (1 << (len % 8 * 8)) - 1;
            *last = (u64::from_le_bytes(*last) & record).to_le_bytes();
        }
        let size = u16::try_from(len).unwrap_or(u16::MAX);
        bytes[..2].copy_from_slice(&size.to_le_bytes());
        self.space.commit(u32::from(size))
    }
}

#[cold]
#[inline(never)]
fn beyond_the_end() -> ! {
    panic!("advanced beyond the capacity of a reservation");
}

// SAFETY:
// - `chunk_mut` gives the bytes from `at` to `end`, all of them initialised, always the same ones
//   until `advance_mut` moves `at`.
// - `remaining_mut` is their number.
unsafe impl BufMut for Reservation<'_> {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.end - self.at
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        if count > self.remaining_mut() {
            beyond_the_end();
        }
        self.at += count;
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        let (at, end) = (self.at, self.end);
        UninitSlice::new(&mut self.space.bytes()[at..end])
    }

    /// In one go: there is but one chunk.
    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        if bytes.len() > self.remaining_mut() {
            beyond_the_end();
        }
        let end = self.at + bytes.len();
        self.space.bytes()[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }
}
