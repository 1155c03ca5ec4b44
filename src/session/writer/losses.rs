//! Events that are not recorded: counted in their lane, and told in its next buffer.

use super::{
    ClassicEvent, SessionHandle, Stamp,
    headers::{classic_header, put_parts, put_words},
};
use crate::codec::{LossRecord, RecordView, Records};
use crate::format::{EventTraceHeader, LOST_EVENT_GUID};
use crate::session::{
    lane::{Entered, Fresh, GaveWay, HEADER_BYTES, Lane, Loss, PAUSED, RUNNING, Space, add},
    stats::{Discarded, LossCause},
    sync::Ordering,
};

impl SessionHandle {
    /// Goes on in a new buffer, which first tells what was lost before it.
    #[cold]
    #[inline(never)]
    pub(super) fn space_in_next_buffer<'a>(
        &self,
        mut entered: Entered<'a>,
        len: u32,
        last_try: bool,
    ) -> Result<Space<'a>, Discarded> {
        let (lane, tally) = (entered.lane(), &entered.lane().tally);
        // The header counts what is lost in any case.
        let lost = u32::try_from(tally.uncounted()).unwrap_or(u32::MAX);
        let ticks = self.stamp(lane).ticks;
        let fresh = match entered.switch(lost, ticks, |gave_way| count_gave_way(lane, &gave_way)) {
            Ok(fresh) => fresh,
            Err(Discarded::Stopped) => {
                add(&tally.stopped, 1);
                return Err(Discarded::Stopped);
            }
            Err(Discarded::NoFreeBuffer) if !last_try => return Err(Discarded::NoFreeBuffer),
            Err(discarded) => {
                self.lose(lane, discarded);
                return Err(discarded);
            }
        };
        add(&tally.counted, lost.into());
        // With what gave way for this buffer. If both do not fit, the event goes first and the
        // losses wait for the next buffer.
        let causes = tally.losses.iter().filter(|loss| loss.untold() != 0).count();
        let room = (self.ring.buffer_size() - HEADER_BYTES) as usize;
        if causes * LOSS_RECORD + (len as usize).next_multiple_of(8) <= room {
            entered = self.tell_losses(entered, fresh)?;
        }
        entered.reserve_in(fresh, len).map_err(|entered| {
            // Not reached: an empty buffer takes what `space` and the lines above let pass.
            self.lose(entered.lane(), Discarded::NoFreeBuffer);
            Discarded::NoFreeBuffer
        })
    }

    /// Writes a loss record for each cause that has something to tell.
    fn tell_losses<'a>(
        &self,
        mut entered: Entered<'a>,
        fresh: Fresh<'a>,
    ) -> Result<Entered<'a>, Discarded> {
        let lane = entered.lane();
        for (loss, cause) in lane.tally.losses.iter().zip(Loss::CAUSES) {
            if loss.untold() == 0 {
                continue;
            }
            let mut space = match entered.reserve_in(fresh, LOSS_RECORD_BYTES) {
                Ok(space) => space,
                Err(entered) => return Ok(entered),
            };
            let stamp = self.stamp(lane);
            put_loss(space.bytes(), LostEvents::of(loss, cause), stamp.ticks, stamp.ids);
            entered = space.publish(LOSS_RECORD_BYTES)?;
            loss.told.store(loss.count.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(entered)
    }

    /// Counts an event that found no lane. Rare enough for read-modify-writes.
    #[cold]
    pub(super) fn without_lane(&self, discarded: Discarded) -> Discarded {
        let lost = match discarded {
            Discarded::NoLane => &self.shared.no_lane,
            Discarded::Reentered => &self.shared.reentered,
            _ => return discarded,
        };
        let ticks = self.clock.now();
        lost.add(1, ticks, ticks);
        discarded
    }

    /// Says why an event is not even tried, and counts it.
    #[cold]
    pub(super) fn refuse(&self, entered: &Entered<'_>, state: u32) -> Discarded {
        let tally = &entered.lane().tally;
        match state {
            RUNNING => {
                self.lose(entered.lane(), Discarded::TooLarge);
                Discarded::TooLarge
            }
            PAUSED => {
                add(&tally.disabled, 1);
                Discarded::Disabled
            }
            _ => {
                add(&tally.stopped, 1);
                Discarded::Stopped
            }
        }
    }

    /// Counts a lost event in its lane, with the time.
    #[cold]
    fn lose(&self, lane: &Lane, discarded: Discarded) {
        let [no_free_buffer, too_large, no_lane] = &lane.tally.losses;
        let loss = match discarded {
            Discarded::TooLarge => too_large,
            Discarded::NoLane => no_lane,
            _ => no_free_buffer,
        };
        let ticks = self.stamp(lane).ticks;
        loss.note(1, ticks, ticks);
    }
}

/// Counts events that gave way, in the lane of the writer whose event they gave way for. What they
/// came with told of earlier losses, and is to be told again.
#[cold]
fn count_gave_way(lane: &Lane, gave_way: &GaveWay<'_>) {
    let [no_free_buffer, ..] = &lane.tally.losses;
    if gave_way.events != 0 {
        no_free_buffer.note(gave_way.events, gave_way.from, gave_way.until);
        add(&lane.tally.overwritten, gave_way.events);
    }
    // Loss records are a buffer's first.
    for raw in Records::new(gave_way.records).map_while(Result::ok) {
        let told = RecordView::parse(raw).ok().and_then(|record| LossRecord::of(&record));
        let Some(told) = told else { break };
        let mut causes = lane.tally.losses.iter().zip(Loss::CAUSES);
        if let Some((loss, _)) = causes.find(|(_, cause)| cause.0 == told.cause) {
            loss.untell(told.count.into(), told.first_ticks, told.last_ticks);
        }
    }
}

/// Bytes of a loss record: a classic header and 24 bytes.
pub(crate) const LOSS_RECORD: usize = LOSS_RECORD_BYTES as usize;
const LOSS_RECORD_BYTES: u32 = 72;
const _: () = assert!(LOSS_RECORD == EventTraceHeader::SIZE + 24);

/// What a loss record tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LostEvents {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u64,
    pub(crate) cause: LossCause,
    /// 32 for events, 33 for buffers.
    pub(crate) class_type: u8,
}

impl LostEvents {
    /// Class type of lost events.
    pub(crate) const EVENTS: u8 = 32;
    /// Class type of lost buffers.
    pub(crate) const BUFFERS: u8 = 33;

    /// What `loss` has not told yet.
    pub(crate) fn of(loss: &Loss, cause: LossCause) -> Self {
        Self {
            first: loss.first.load(Ordering::Relaxed),
            last: loss.last.load(Ordering::Relaxed),
            count: loss.untold(),
            cause,
            class_type: Self::EVENTS,
        }
    }
}

/// Writes a loss record at the start of `bytes`: spec/12-loss.md.
pub(crate) fn put_loss(bytes: &mut [u8], lost: LostEvents, ticks: u64, ids: u64) {
    let event = ClassicEvent::new(LOST_EVENT_GUID, lost.class_type, 0);
    put_words(bytes, classic_header(LOSS_RECORD, &event, Stamp { ticks, ids }));
    let count = u32::try_from(lost.count).unwrap_or(u32::MAX);
    let parts: [&[u8]; 4] = [
        &lost.first.to_le_bytes(),
        &lost.last.to_le_bytes(),
        &count.to_le_bytes(),
        &lost.cause.0.to_le_bytes(),
    ];
    put_parts(&mut bytes[EventTraceHeader::SIZE..], &parts);
}
