//! What nobody has told of when the session ends: told in buffers of the flusher's own.

use super::Flusher;
use crate::format::BufferFlags;
use crate::session::{
    lane::{HEADER_BYTES, Loss},
    shared::Span,
    stats::{EventsLost, LossCause},
    sync::{AtomicU64, Ordering},
    writer::{LOSS_RECORD, LostEvents, put_loss},
};

impl Flusher {
    /// The losses that no record has told of: writers are gone, nobody else will.
    pub(super) fn untold(&self) -> Vec<(LostEvents, u64)> {
        let mut losses = Vec::new();
        for lane in self.collector.ring().lanes() {
            for (loss, cause) in lane.tally.losses.iter().zip(Loss::CAUSES) {
                let lost = LostEvents::of(loss, cause);
                if lost.count != 0 {
                    losses.push((lost, lane.ids()));
                }
            }
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ids = u64::from(std::process::id()) << 32;
        let lost = |first, last, count, cause, class_type| {
            (LostEvents { first, last, count, cause, class_type }, ids)
        };
        let shared = &self.shared;
        let span = |span: &Span| (load(&span.first), load(&span.last), load(&span.count));
        let spans = [
            (&shared.no_lane, LossCause::NO_LANE),
            (&shared.reentered, LossCause::REENTERED),
            (&shared.file_full, LossCause::FILE_FULL),
        ];
        for (events, cause) in spans {
            let (first, last, count) = span(events);
            if count != 0 {
                losses.push(lost(first, last, count, cause, LostEvents::EVENTS));
            }
        }
        if load(&shared.buffers_lost) != 0 {
            let (first, last) = (self.log.start_ticks(), self.clock.now());
            let count = load(&shared.buffers_lost);
            losses.push(lost(first, last, count, LossCause::IO, LostEvents::BUFFERS));
        }
        losses
    }

    /// Writes loss records into buffers of the flusher's own.
    pub(super) fn tell(&mut self, mut losses: Vec<(LostEvents, u64)>) {
        let size = self.collector.ring().buffer_size() as usize;
        let per_buffer = (size - HEADER_BYTES as usize) / LOSS_RECORD;
        if losses.len().div_ceil(per_buffer) as u64 > self.log.places_left() {
            losses = by_cause(&losses);
        }
        let outside = EventsLost { io: 0, ..self.shared.lost() };
        let lost = self.collector.ring().sums().lost.total() + outside.total();
        let mut chunks = losses.chunks(per_buffer).peekable();
        while let Some(chunk) = chunks.next() {
            let uncounted = self.gaps.uncounted(lost);
            let Some(mut sealed) = self.collector.own_buffer(0, uncounted) else { return };
            let ticks = self.clock.now().max(self.collector.ring().latest_ticks());
            let bytes = self.collector.bytes_mut(&mut sealed);
            let mut at = HEADER_BYTES as usize;
            for &(lost, ids) in chunk {
                put_loss(&mut bytes[at..at + LOSS_RECORD], lost, ticks, ids);
                at += LOSS_RECORD;
            }
            self.collector.fill(&sealed, u32::try_from(at).unwrap_or(HEADER_BYTES));
            let flags = if chunks.peek().is_none() {
                BufferFlags::FLUSH_MARKER
            } else {
                BufferFlags::default()
            };
            self.write_marked(sealed, flags);
        }
    }
}

/// One loss for each cause: what the last place of a file has room for.
fn by_cause(losses: &[(LostEvents, u64)]) -> Vec<(LostEvents, u64)> {
    let mut sums: Vec<(LostEvents, u64)> = Vec::new();
    for (lost, _) in losses {
        let same = sums
            .iter_mut()
            .find(|(sum, _)| (sum.cause, sum.class_type) == (lost.cause, lost.class_type));
        match same {
            Some((sum, _)) => {
                sum.first = sum.first.min(lost.first);
                sum.last = sum.last.max(lost.last);
                sum.count += lost.count;
            }
            None => sums.push((*lost, u64::from(std::process::id()) << 32)),
        }
    }
    sums
}
