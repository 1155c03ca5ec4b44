//! Events with a record in front of them that explains them.

use super::{
    SessionHandle, Stamp,
    headers::{classic_header, put_words},
};
use crate::codec::encode::MAX_RECORD;
use crate::format::EventTraceHeader;
use crate::session::{ClassicEvent, clock, lane::add, preamble::Preamble, stats::Discarded};

const HEADER: usize = EventTraceHeader::SIZE;

/// Longest payload for which the quick path is tried.
const SHORT: usize = 4096;

impl SessionHandle {
    /// Records a classic event whose payload `fill` writes in place, up to `capacity` bytes of it,
    /// and gives the length of.
    #[inline(always)]
    pub(crate) fn write_classic_with(
        &self,
        event: &ClassicEvent,
        capacity: usize,
        fill: impl Fn(&mut [u8]) -> usize,
    ) -> Result<(), Discarded> {
        if capacity <= SHORT {
            #[expect(clippy::cast_possible_truncation, reason = "compared with SHORT")]
            let most = (HEADER + capacity) as u32;
            let done = self.ring.fill_up_to(
                most,
                || self.quick_ticks(),
                |bytes, lane, ticks| {
                    let stamp = Stamp { ticks, ids: lane.ids() };
                    #[expect(clippy::cast_possible_truncation, reason = "compared with SHORT")]
                    let end = put_record(bytes, event, stamp, &fill) as u32;
                    Some(end)
                },
            );
            if let Some(result) = done {
                return result;
            }
        }
        self.write_explained(event, None, capacity, &fill)
    }

    /// Records a classic event by the path of nearly every event; `None` if it cannot be taken. The
    /// payload is what `fill` writes, which gives its length: at most that of the room but for the
    /// last eight bytes. That the size of the room is known makes writing into it cheaper.
    #[inline(always)]
    pub(crate) fn write_classic_within<const ROOM: usize>(
        &self,
        event: &ClassicEvent,
        fill: impl FnOnce(&mut [u8; ROOM]) -> usize,
    ) -> Option<Result<(), Discarded>> {
        const { assert!(ROOM <= SHORT) };
        #[expect(clippy::cast_possible_truncation, reason = "compared with SHORT")]
        let most = (HEADER + ROOM) as u32;
        self.ring.fill_up_to(
            most,
            || self.quick_ticks(),
            |bytes, lane, ticks| {
                let stamp = Stamp { ticks, ids: lane.ids() };
                let (header, payload) = bytes.split_at_mut(HEADER);
                let payload = payload.first_chunk_mut()?;
                let len = fill(payload);
                if len > ROOM - 8 {
                    return None;
                }
                // The padding, and what a writer of whole words left behind the payload.
                payload[len..][..8].fill(0);
                put_words(header, classic_header(HEADER + len, event, stamp));
                u32::try_from(HEADER + len).ok()
            },
        )
    }

    /// As [`write_classic_with`](Self::write_classic_with), whatever the session is like. A record
    /// that explains the event may stand in front of it: both are published at once, in one buffer,
    /// and count as two.
    #[inline(never)]
    pub(crate) fn write_explained(
        &self,
        event: &ClassicEvent,
        explanation: Option<(&ClassicEvent, &[u8])>,
        capacity: usize,
        fill: &dyn Fn(&mut [u8]) -> usize,
    ) -> Result<(), Discarded> {
        let first = explanation.map_or(0, |(_, payload)| payload.len().saturating_add(HEADER));
        let start = first.saturating_add(7) & !7;
        let mut space = self.space(start.saturating_add(HEADER).saturating_add(capacity))?;
        let stamp = self.stamp(space.lane());
        let (before, record) = space.bytes().split_at_mut(start);
        if let Some((event, payload)) = explanation {
            put_words(before, classic_header(first, event, stamp));
            before[HEADER..first].copy_from_slice(payload);
            before[first..].fill(0);
        }
        let end = start + put_record(record, event, stamp, fill);
        let entered = space.publish(u32::try_from(end).unwrap_or(u32::MAX))?;
        add(&entered.lane().tally.accepted, 1 + u64::from(start != 0));
        Ok(())
    }

    /// The records that every file of the log holds besides its header.
    pub(crate) fn preamble(&self) -> &Preamble {
        &self.shared.preamble
    }

    /// Keeps the payload of a record that explains events of a kind, for all files that are yet to
    /// be begun; says whether it is kept.
    pub(crate) fn keep_explanation(&self, kind: u32, event: &ClassicEvent, payload: &[u8]) -> bool {
        let len = HEADER + payload.len();
        if len > MAX_RECORD {
            return false;
        }
        let stamp = Stamp { ticks: self.clock.now(), ids: own_ids() };
        let mut record = vec![0; len];
        put_words(&mut record, classic_header(len, event, stamp));
        record[HEADER..].copy_from_slice(payload);
        self.shared.preamble.keep(kind, &record, self.ring.buffer_size())
    }
}

/// Writes a record to the start of `bytes`, whose payload `fill` writes; says how long it is.
#[inline(always)]
fn put_record(
    bytes: &mut [u8],
    event: &ClassicEvent,
    stamp: Stamp,
    fill: impl Fn(&mut [u8]) -> usize,
) -> usize {
    let (header, payload) = bytes.split_at_mut(HEADER);
    let len = fill(payload);
    // The padding, and what a writer of whole words left behind the payload.
    match payload[len..].first_chunk_mut::<8>() {
        Some(behind) => *behind = [0; 8],
        None => payload[len..].fill(0),
    }
    put_words(header, classic_header(HEADER + len, event, stamp));
    HEADER + len
}

/// This thread and process, as headers have them in one word.
fn own_ids() -> u64 {
    u64::from(clock::thread_id()) | u64::from(std::process::id()) << 32
}
