//! Events with a record in front of them that explains them.

use super::{SessionHandle, Stamp, classic_header, put_words};
use crate::codec::encode::MAX_RECORD;
use crate::format::EventTraceHeader;
use crate::session::{ClassicEvent, clock, lane::add, preamble::Preamble, stats::Discarded};

impl SessionHandle {
    /// Records a classic event whose payload `fill` writes in place, up to `capacity` bytes of it,
    /// and gives the length of. A record that explains the event may stand in front of it: both are
    /// published at once, in one buffer, and count as two.
    #[inline]
    pub(crate) fn write_classic_with(
        &self,
        event: &ClassicEvent,
        explanation: Option<(&ClassicEvent, &[u8])>,
        capacity: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), Discarded> {
        const HEADER: usize = EventTraceHeader::SIZE;
        let first = explanation.map_or(0, |(_, payload)| payload.len().saturating_add(HEADER));
        let start = first.saturating_add(7) & !7;
        let mut space = self.space(start.saturating_add(HEADER).saturating_add(capacity))?;
        let stamp = self.stamp(space.lane());
        let bytes = space.bytes();
        if let Some((event, payload)) = explanation {
            put_words(bytes, classic_header(first, event, stamp));
            bytes[HEADER..first].copy_from_slice(payload);
            bytes[first..start].fill(0);
        }
        let record = &mut bytes[start..];
        let payload = &mut record[HEADER..];
        let len = fill(payload).min(capacity);
        // The padding; what the payload left of its last eight bytes.
        payload[len..].iter_mut().take(7).for_each(|byte| *byte = 0);
        put_words(record, classic_header(HEADER + len, event, stamp));
        let end = u32::try_from(start + HEADER + len).unwrap_or(u32::MAX);
        let entered = space.commit(end)?;
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
        let len = EventTraceHeader::SIZE + payload.len();
        if len > MAX_RECORD {
            return false;
        }
        let stamp = Stamp { ticks: self.clock.now(), ids: own_ids() };
        let mut record = vec![0; len];
        put_words(&mut record, classic_header(len, event, stamp));
        record[EventTraceHeader::SIZE..].copy_from_slice(payload);
        self.shared.preamble.keep(kind, &record, self.ring.buffer_size())
    }
}

/// This thread and process, as headers have them in one word.
fn own_ids() -> u64 {
    u64::from(clock::thread_id()) | u64::from(std::process::id()) << 32
}
