//! Records whose extended items are at hand as bytes: those that carry their own schema.
//!
//! ```text
//!   header 80 | related activity | items of the event   | items of the session | payload
//!             |  if there is one | '------------- body, written in place -------|-------'
//! ```
//!
//! Items and payload are written in one go, straight into the buffer. Only where the session adds
//! an item of its own the payload moves behind it.

use super::{
    Event, Head, SessionHandle,
    headers::{event_header, put_words},
};
use crate::codec::encode::{self, Item};
use crate::format::{EventFlags, EventHeader, ExtType};
use crate::session::stats::Discarded;
use zerocopy::IntoBytes;

/// Bytes of the item that names the related activity.
const RELATED: usize = 24;

/// How long what stands behind an event's header is.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Bytes of the items, a multiple of 8. They are chained; the last one has no successor.
    pub(crate) items: usize,
    /// Where the last item starts.
    pub(crate) last_item: usize,
    /// Bytes of items and payload.
    pub(crate) len: usize,
}

/// What stands behind the header of an event: its extended items and its payload.
#[derive(Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) shape: Shape,
    /// Writes both into so many bytes, once for each session.
    pub(crate) fill: &'a dyn Fn(&mut [u8]),
}

impl SessionHandle {
    /// Records an event that nothing is added to: `fill` writes `len` bytes of items and payload.
    #[inline(always)]
    pub(crate) fn write_filled(
        &self,
        head: Head<'_>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), Discarded> {
        let len = len.saturating_add(EventHeader::SIZE);
        let (mut space, stamp) = self.stamped(len)?;
        let bytes = space.padded();
        put_words(bytes, event_header(len, head, EventFlags::EXTENDED_INFO.0, stamp));
        fill(&mut bytes[EventHeader::SIZE..len]);
        space.commit_all()
    }

    /// Records an event whose items and payload are in `body`. The related activity goes before
    /// the items, what [`Event::items`] has goes behind them.
    #[inline(never)]
    pub(crate) fn write_body(&self, event: &Event<'_>, body: &Body<'_>) -> Result<(), Discarded> {
        if event.is_extended() {
            return self.write_extended_body(event, body);
        }
        self.write_filled(event.head(), body.shape.len, body.fill)
    }

    #[cold]
    fn write_extended_body(&self, event: &Event<'_>, body: &Body<'_>) -> Result<(), Discarded> {
        let Shape { items, last_item, len: own } = body.shape;
        let before = if event.related_activity_id.is_some() { RELATED } else { 0 };
        let behind = encode::items_size(event.items);
        let len = [EventHeader::SIZE, before, behind].into_iter().fold(own, usize::saturating_add);
        self.record_in_place(len, |bytes, stamp| {
            put_words(bytes, event_header(len, event.head(), event.flags(), stamp));
            let (related, rest) = bytes[EventHeader::SIZE..len].split_at_mut(before);
            if let Some(guid) = &event.related_activity_id {
                let item = Item { ext_type: ExtType::RELATED_ACTIVITYID, data: guid.as_bytes() };
                put_item(related, &item, true);
            }
            (body.fill)(&mut rest[..own]);
            if behind != 0 {
                rest.copy_within(items..own, items + behind);
                // The word that links the last item to the next.
                rest[last_item + 4] |= 1;
                let mut rest = &mut rest[items..];
                let mut left = event.items.len();
                for item in event.items {
                    left -= 1;
                    let size = put_item(rest, item, left != 0);
                    rest = &mut rest[size..];
                }
            }
        })
    }
}

/// Writes an item for which there is room, and whose size was compared with that of a record.
fn put_item(bytes: &mut [u8], item: &Item<'_>, more: bool) -> usize {
    encode::item(bytes, item, more).unwrap_or_default()
}
