//! The writer's side: entering a lane, taking space, publishing, going on in the next buffer.

use super::{EMPTY_HAND, GaveWay, Lane, Ring, add, memory::Buffer};
use crate::session::{
    clock,
    stats::Discarded,
    sync::{Barrier, Ordering, yield_now},
};
use std::marker::PhantomData;

/// The right to write into a lane. Dropping it leaves the lane.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    pub(super) ring: &'a Ring,
    pub(super) lane: &'a Lane,
    /// The ring's, or the usual one where that is known to be it: then it costs no test.
    pub(super) barrier: Barrier,
    /// The thread that entered must leave: its next entry relies on its own order.
    pub(super) _not_send: PhantomData<*const ()>,
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lane.leave();
    }
}

impl<'a> Entered<'a> {
    /// The lane's counters and owner.
    #[inline(always)]
    pub(crate) fn lane(&self) -> &'a Lane {
        self.lane
    }

    /// The ring's state. That it is not stopped holds until this entry is left.
    #[inline(always)]
    pub(crate) fn state(&self) -> u32 {
        self.ring.state()
    }

    /// Space for `len` bytes at the end of the buffer in hand. If they do not fit, or the hand is
    /// empty, it is time to [`switch`](Self::switch).
    #[inline(always)]
    pub(crate) fn reserve(self, len: u32) -> Result<Space<'a>, Self> {
        let need = (len + 7) & !7;
        match self.place(need) {
            Some((buffer, start)) => Ok(Space { entered: self, buffer, start, need }),
            None => Err(self),
        }
    }

    /// As [`reserve`](Self::reserve), in the buffer that the last switch gave: the collector may
    /// have it at this moment, to find that the lane is busy and put it back.
    pub(crate) fn reserve_in(self, fresh: Fresh<'a>, len: u32) -> Result<Space<'a>, Self> {
        let need = (len + 7) & !7;
        // Relaxed: this thread stored it last.
        let start = fresh.0.load_filled(Ordering::Relaxed);
        if u64::from(start) + u64::from(need) > self.ring.memory.bytes_of_buffer() {
            return Err(self);
        }
        Ok(Space { entered: self, buffer: fresh.0, start, need })
    }

    #[inline(always)]
    fn place(&self, need: u32) -> Option<(Buffer<'a>, u32)> {
        let buffer = self.ring.held(self.lane, Ordering::Relaxed)?;
        // Relaxed: this thread stored it last, or a former owner before `disown`.
        let start = buffer.load_filled(Ordering::Relaxed);
        let end = u64::from(start) + u64::from(need);
        (end <= self.ring.memory.bytes_of_buffer()).then_some((buffer, start))
    }

    /// Gives up the buffer in hand and takes a free one, whose header says that `lost` events went
    /// missing before it. `ticks` is the time now.
    ///
    /// If none is free, and the ring is such a one, it is the oldest full one that is not being
    /// written yet: `look` sees what is lost with it.
    #[cold]
    pub(crate) fn switch(
        &mut self,
        lost: u32,
        ticks: u64,
        look: impl FnOnce(GaveWay<'_>),
    ) -> Result<Fresh<'a>, Discarded> {
        let exchange = &self.ring.exchange;
        // AcqRel pairs with the swaps in `Collector::steal`: each hand is seen by one side.
        let old = self.ring.in_hand(self.lane.hand.swap(EMPTY_HAND, Ordering::AcqRel));
        let mut number = None;
        if let Some(old) = old {
            self.ring.note_latest(self.lane);
            self.give_up(old, ticks);
            number = Some(old.number);
        }
        self.lane.tally.buffer.store(0, Ordering::Relaxed);
        let empty = self.ring.take_empty();
        if empty.is_none() && !self.ring.overwrites_full() {
            if let Some(number) = number {
                exchange.numbers.put(number);
            }
            return Err(Discarded::NoFreeBuffer);
        }
        let Some(number) = number.or_else(|| exchange.numbers.take()) else {
            if let Some(buffer) = empty {
                self.ring.abandon(buffer);
                exchange.free.put(buffer);
            }
            return Err(Discarded::NoLane);
        };
        if empty.is_none() {
            self.barrier.light();
            // Pairs, through the barrier, with the look at the hand in `Collector::close`: either
            // that finds it empty and waits, or nothing gives way any more.
            if self.lane.closed.load(Ordering::Relaxed) != 0 {
                exchange.numbers.put(number);
                return Err(Discarded::Stopped);
            }
        }
        // Only now: nothing may give way for an event that finds no lane.
        let buffer = empty.or_else(|| self.ring.overwrite(look));
        // The collector may have freed one between the two looks.
        let Some(buffer) = buffer.or_else(|| self.ring.take_empty()) else {
            exchange.numbers.put(number);
            return Err(Discarded::NoFreeBuffer);
        };
        exchange.numbers_used.fetch_max(number + 1, Ordering::Relaxed);

        let sequence = exchange.next_sequence.fetch_add(1, Ordering::Relaxed);
        let fresh = self.ring.memory.nth(buffer);
        // SAFETY: `buffer` came from the free set or the backlog: it is this thread's alone.
        unsafe { fresh.begin(number, sequence, lost) };
        if let Some(of) = exchange.numbers_of.get(buffer as usize) {
            of.store(number, Ordering::Relaxed);
        }
        self.ring.begun(buffer, number, sequence);
        if let Some(overwriting) = &exchange.overwriting {
            overwriting.begun((buffer, sequence), self.lane, number, lost, ticks);
        }
        self.lane.tally.buffer.store(buffer + 1, Ordering::Relaxed);

        // Release pairs with the acquire in `Collector::peek`: the header is there.
        let pushed_out = self.lane.hand.swap(fresh.start(), Ordering::AcqRel);
        if let Some(old) = self.ring.in_hand(pushed_out) {
            // The collector found this lane busy and put the old hand back. It was given up.
            self.give_up(old, ticks);
            // Behind the buffer: the number's next one is given up later.
            exchange.numbers.put(old.number);
        }
        let last = &self.lane.tally.last_ticks;
        let latest = exchange.latest.load(Ordering::Relaxed);
        last.store(last.load(Ordering::Relaxed).max(latest), Ordering::Relaxed);

        self.barrier.light();
        // Pairs, through the barrier, with the look at the hand in `Collector::close`: a lane that
        // was closed with its old buffer gets no event into a new one.
        if self.lane.closed.load(Ordering::Relaxed) != 0 {
            return Err(Discarded::Stopped);
        }
        // The number may have been another thread's a moment ago.
        clock::after_loads();
        Ok(Fresh(fresh))
    }
}

/// The buffer that a [switch](Entered::switch) gave a writer. It is the lane's until the entry is
/// left: whoever takes it from the hand meanwhile finds the lane busy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh<'a>(Buffer<'a>);

/// Space for one record. Dropped without [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
#[must_use = "uncommitted space leaves nothing"]
pub(crate) struct Space<'a> {
    pub(super) entered: Entered<'a>,
    pub(super) buffer: Buffer<'a>,
    pub(super) start: u32,
    /// Bytes reserved, a multiple of 8.
    pub(super) need: u32,
}

impl<'a> Space<'a> {
    /// The bytes, up to the next multiple of 8. They hold what an earlier record left there.
    #[inline(always)]
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let range = self.start..self.start + self.need;
        // SAFETY:
        // - The range lies in the buffer: `reserve` compared it.
        // - It lies behind `FilledBytes`, where nobody but the lane's owner reads or writes, and
        //   `Entered` is the owner's only entry.
        // - The buffer stays the lane's while `busy` is set: the collector leaves a busy lane its
        //   hand, and recycles only what was given up.
        unsafe { self.buffer.bytes_mut(range) }
    }

    /// The same for a record that takes all of them: its padding is clear. What of the last eight
    /// bytes is payload is yet to be written.
    #[inline(always)]
    pub(crate) fn padded(&mut self) -> &mut [u8] {
        let bytes = self.bytes();
        if let Some(last) = bytes.last_chunk_mut::<8>() {
            *last = [0; 8];
        }
        bytes
    }

    /// The lane's counters and owner.
    #[inline(always)]
    pub(crate) fn lane(&self) -> &'a Lane {
        self.entered.lane
    }

    /// Whether it was taken by a process that this one was forked from.
    #[inline(always)]
    pub(crate) fn is_of_parent(&self) -> bool {
        self.entered.ring.is_of_parent()
    }

    /// Publishes the bytes as one record, which survives a kill from here on, counts it and leaves.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    #[inline(always)]
    pub(crate) fn commit_all(self) -> Result<(), Discarded> {
        if self.publish_bytes() {
            let (lane, end) = (self.entered.lane, self.start + self.need);
            // The rare case ends the event: nothing is kept for after it, and so an event needs no
            // registers saved for it, and no `Entered` put together in memory.
            std::mem::forget(self.entered);
            return commit_closed_out(lane, end);
        }
        add(&self.entered.lane.tally.accepted, 1);
        Ok(())
    }

    /// Publishes the first `len` bytes as one record, counts it and leaves.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    #[inline(always)]
    pub(crate) fn commit(self, len: u32) -> Result<(), Discarded> {
        self.cut(len).commit_all()
    }

    /// Publishes the first `len` bytes; the others are free again. What they are is counted by
    /// the caller, who stays in the lane.
    ///
    /// # Errors
    ///
    /// [`Discarded::Stopped`] if the session was stopped, and closed without it, meanwhile.
    #[inline(always)]
    pub(crate) fn publish(self, len: u32) -> Result<Entered<'a>, Discarded> {
        let space = self.cut(len);
        if space.publish_bytes() {
            closed_out(space.entered.lane, space.start + space.need)?;
        }
        Ok(space.entered)
    }

    #[inline(always)]
    fn cut(self, len: u32) -> Self {
        debug_assert!(len <= self.need);
        let need = len.next_multiple_of(8).min(self.need);
        Self { need, ..self }
    }

    /// Publishes the bytes, and says whether the collector had closed the lane by then.
    #[inline(always)]
    fn publish_bytes(&self) -> bool {
        // Release pairs with the acquire load in `Collector::peek` and in the readers of a ring:
        // whoever sees the new end sees the record.
        self.buffer.store_filled(self.start + self.need, Ordering::Release);
        self.entered.barrier.light();
        // Pairs, through the barrier, with the load of `FilledBytes` in `Collector::close`.
        self.entered.lane.closed.load(Ordering::Relaxed) != 0
    }
}

/// As [`Space::commit_all`] where the lane was closed, behind the publishing.
#[cold]
#[inline(never)]
fn commit_closed_out(lane: &Lane, end: u32) -> Result<(), Discarded> {
    let result = closed_out(lane, end);
    if result.is_ok() {
        add(&lane.tally.accepted, 1);
    }
    lane.leave();
    result
}

/// The session was stopped while this reservation was open. Was the record, which ends at `end`,
/// taken?
#[cold]
#[inline(never)]
fn closed_out(lane: &Lane, end: u32) -> Result<(), Discarded> {
    loop {
        // Acquire pairs with the release in `Collector::close`. 1 is a moment's state: the
        // collector is between two instructions.
        match lane.closed.load(Ordering::Acquire) {
            1 => yield_now(),
            closed if end <= closed => return Ok(()),
            _ => {
                add(&lane.tally.stopped, 1);
                return Err(Discarded::Stopped);
            }
        }
    }
}
