//! The path of nearly every event: everything in one place, nothing called.
//!
//! It is taken when the thread's lane is the one it used last, the buffer in hand has room, the
//! payload is short or written in place, and the session runs. Whatever else is the case, it leaves
//! no trace and the event goes the general way, which can do all of it.

use super::{Entered, Lane, Ring, add, memory::SMALL};
use crate::session::{stats::Discarded, sync::Barrier};

impl Ring {
    /// Enters the lane that the thread used last, if nothing is out of the ordinary.
    #[inline(always)]
    fn enter_quickly(&self) -> Option<Entered<'_>> {
        // SAFETY: the next line asks.
        let entered = unsafe { self.enter_last(Barrier::USUAL) }?;
        self.is_plain().then_some(entered)
    }

    /// Records `header`, which is made once the space is taken, and `payload`; `None` if that has
    /// to be done the general way.
    #[inline(always)]
    pub(crate) fn record_quickly<const N: usize>(
        &self,
        payload: &[u8],
        header: impl FnOnce(&Lane) -> [u64; N],
    ) -> Option<Result<(), Discarded>> {
        if payload.len() > SMALL {
            return None;
        }
        let entered = self.enter_quickly()?;
        #[expect(clippy::cast_possible_truncation, reason = "compared with SMALL")]
        let space = entered.reserve((8 * N + payload.len()) as u32).ok()?;
        let header = header(space.lane());
        // SAFETY: as in `Space::bytes`: the range is the one reserved for this length.
        unsafe { space.buffer.put_record((space.start, space.need), header, payload) };
        Some(space.commit_all().map(|entered| add(&entered.lane().tally.accepted, 1)))
    }

    /// Records `len` bytes that `fill` writes once the space is taken; `None` if that has to be
    /// done the general way. `len` is at most what a record can have.
    #[inline(always)]
    pub(crate) fn fill_quickly(
        &self,
        len: u32,
        fill: impl FnOnce(&Lane, &mut [u8]),
    ) -> Option<Result<(), Discarded>> {
        let entered = self.enter_quickly()?;
        let mut space = entered.reserve(len).ok()?;
        let lane = space.lane();
        let bytes = space.bytes();
        // Clears the padding; what of these eight bytes is payload is written next.
        if let Some(last) = bytes.last_chunk_mut::<8>() {
            *last = [0; 8];
        }
        fill(lane, bytes);
        Some(space.commit_all().map(|entered| add(&entered.lane().tally.accepted, 1)))
    }

    /// Records what `fill` writes into space of `most` bytes, as many of them as it says; `None`,
    /// and `fill` is not called, if that has to be done the general way. No record in it may be
    /// larger than one may be.
    #[inline(always)]
    pub(crate) fn fill_up_to(
        &self,
        most: u32,
        fill: impl FnOnce(&mut [u8], &Lane) -> u32,
    ) -> Option<Result<(), Discarded>> {
        let entered = self.enter_quickly()?;
        let mut space = entered.reserve(most).ok()?;
        let lane = space.lane();
        let len = fill(space.bytes(), lane);
        Some(space.commit(len).map(|entered| add(&entered.lane().tally.accepted, 1)))
    }
}
