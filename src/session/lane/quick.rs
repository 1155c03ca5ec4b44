//! The path of nearly every event: everything in one place, nothing called.
//!
//! It is taken when the thread's lane is the one it used last, the clock is a quick one, the buffer
//! in hand has room, the payload is short or written in place, and the session runs. Whatever else
//! is the case, it leaves no trace and the event goes the general way, which can do all of it.

use super::{Entered, Lane, Ring, Space, memory::SMALL};
use crate::session::{stats::Discarded, sync::Barrier};

/// The lane that an event goes to, its owner inside, and the time since then.
struct Quick<'a> {
    entered: Entered<'a>,
    ticks: u64,
}

impl Ring {
    /// Enters the lane that the thread used last and reads the clock, if nothing is out of the
    /// ordinary.
    ///
    /// The clock is read before the buffer is looked at: x86 gives the counter in two registers of
    /// its own choice, and what is not at hand yet need not make way.
    #[inline(always)]
    fn enter_quickly(&self, clock: impl FnOnce() -> Option<u64>) -> Option<Quick<'_>> {
        // SAFETY: the next line asks.
        let entered = unsafe { self.enter_last(Barrier::USUAL) }?;
        if !self.is_plain() {
            return None;
        }
        Some(Quick { entered, ticks: clock()? })
    }

    /// Records `header`, which is made of the lane and the time, and `payload`; `None` if that has
    /// to be done the general way. The clock says `None` if it is no quick one.
    #[inline(always)]
    pub(crate) fn record_quickly<const N: usize>(
        &self,
        payload: &[u8],
        clock: impl FnOnce() -> Option<u64>,
        header: impl FnOnce(&Lane, u64) -> [u64; N],
    ) -> Option<Result<(), Discarded>> {
        debug_assert!(payload.len() <= SMALL);
        let Quick { entered, ticks } = self.enter_quickly(clock)?;
        #[expect(clippy::cast_possible_truncation, reason = "compared with SMALL")]
        let space = entered.reserve((8 * N + payload.len()) as u32).ok()?;
        let header = header(space.lane(), ticks);
        // SAFETY: as in `Space::bytes`: the range is the one reserved for this length.
        unsafe { space.buffer.put_record((space.start, space.need), header, payload) };
        Some(space.commit_all())
    }

    /// Space for `len` bytes, and the time since the lane was entered; `None` if that has to be
    /// done the general way. `len` is at most what a record can have.
    #[inline(always)]
    pub(crate) fn space_quickly(
        &self,
        len: u32,
        clock: impl FnOnce() -> Option<u64>,
    ) -> Option<(Space<'_>, u64)> {
        let Quick { entered, ticks } = self.enter_quickly(clock)?;
        Some((entered.reserve(len).ok()?, ticks))
    }

    /// Records what `fill` writes into space of `most` bytes, as many of them as it says; `None` if
    /// that has to be done the general way, or if `fill` says so: then nothing is recorded. No
    /// record in it may be larger than one may be.
    #[inline(always)]
    pub(crate) fn fill_up_to(
        &self,
        most: u32,
        clock: impl FnOnce() -> Option<u64>,
        fill: impl FnOnce(&mut [u8], &Lane, u64) -> Option<u32>,
    ) -> Option<Result<(), Discarded>> {
        let Quick { entered, ticks } = self.enter_quickly(clock)?;
        let mut space = entered.reserve(most).ok()?;
        let lane = space.lane();
        let len = fill(space.bytes(), lane, ticks)?;
        Some(space.commit(len))
    }
}
