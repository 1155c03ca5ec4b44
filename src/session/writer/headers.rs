//! The headers of records, as whole words.

use super::{ClassicEvent, Event, Head, Stamp};
use crate::codec::encode::{self, Item, MAX_RECORD, TYPED_MARKER_FLAGS};
use crate::format::{EventDescriptor, EventHeader, ExtType, Guid, HeaderType};
use zerocopy::IntoBytes;

/// The header of a classic record of `len` bytes.
#[inline(always)]
pub(super) fn classic_header(len: usize, event: &ClassicEvent, stamp: Stamp) -> [u64; 6] {
    let marker = [HeaderType::FULL_HEADER64.0, TYPED_MARKER_FLAGS];
    let class = [event.class_type, event.level];
    let [guid_low, guid_high] = halves(event.class);
    [
        word(size16(len), marker, class, event.version),
        stamp.ids,
        stamp.ticks,
        guid_low,
        guid_high,
        0,
    ]
}

/// The header of an event record of `len` bytes.
#[inline(always)]
pub(super) fn event_header(len: usize, head: Head<'_>, flags: u16, stamp: Stamp) -> [u64; 10] {
    let marker = [HeaderType::EVENT_HEADER64.0, TYPED_MARKER_FLAGS];
    let [provider_low, provider_high] = halves(*head.provider);
    let [activity_low, activity_high] = halves(head.activity);
    let EventDescriptor { id, version, channel, level, opcode, task, keyword } = *head.descriptor;
    [
        word(size16(len), marker, flags.to_le_bytes(), 0),
        stamp.ids,
        stamp.ticks,
        provider_low,
        provider_high,
        word(id.get(), [version, channel], [level, opcode], task.get()),
        keyword.get(),
        0,
        activity_low,
        activity_high,
    ]
}

/// Writes the header and the extended items of an event record of `len` bytes.
pub(super) fn put_event(bytes: &mut [u8], len: usize, event: &Event<'_>, stamp: Stamp) {
    put_words(bytes, event_header(len, event.head(), event.flags(), stamp));
    if event.is_extended() {
        put_items(&mut bytes[EventHeader::SIZE..], event);
    }
}

/// Eight bytes of a header: 16 bits, four bytes, 16 bits.
#[inline(always)]
pub(super) fn word(first: u16, [b2, b3]: [u8; 2], [b4, b5]: [u8; 2], last: u16) -> u64 {
    let [b0, b1] = first.to_le_bytes();
    let [b6, b7] = last.to_le_bytes();
    u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7])
}

/// A GUID as two words.
#[inline(always)]
pub(super) fn halves(guid: Guid) -> [u64; 2] {
    let number = u128::from_le_bytes(guid.0);
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    let halves = [number as u64, (number >> 64) as u64];
    halves
}

/// Writes a header as whole words. Field by field it would be twice as many stores, and a record's
/// stores queue behind each other where its cache lines are not at hand.
#[inline(always)]
pub(super) fn put_words<const N: usize>(bytes: &mut [u8], words: [u64; N]) {
    let words = words.map(u64::to_le);
    bytes[..8 * N].copy_from_slice(words.as_bytes());
}

/// Writes a header and the payload behind it.
#[inline(always)]
pub(super) fn put_whole<const N: usize>(bytes: &mut [u8], words: [u64; N], payload: &[u8]) {
    put_words(bytes, words);
    bytes[8 * N..][..payload.len()].copy_from_slice(payload);
}

/// Writes the chain of extended items.
#[inline(never)]
pub(super) fn put_items(bytes: &mut [u8], event: &Event<'_>) {
    let related = event
        .related_activity_id
        .as_ref()
        .map(|guid| Item { ext_type: ExtType::RELATED_ACTIVITYID, data: guid.as_bytes() });
    let mut left = usize::from(related.is_some()) + event.items.len();
    let mut rest = bytes;
    for item in related.iter().chain(event.items) {
        left -= 1;
        let size = encode::item(rest, item, left != 0).unwrap_or_default();
        rest = &mut rest[size..];
    }
}

/// Copies the parts of a payload one behind the other.
#[inline(always)]
pub(super) fn put_parts(mut bytes: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (target, rest) = bytes.split_at_mut(part.len());
        target.copy_from_slice(part);
        bytes = rest;
    }
}

/// Bytes of all parts; saturates, so that a sum beyond memory is too large and not small.
#[inline(always)]
pub(super) fn total(parts: &[&[u8]]) -> usize {
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.len()))
}

/// A length that was compared with [`MAX_RECORD`], as a header stores it.
#[inline(always)]
pub(super) fn size16(len: usize) -> u16 {
    debug_assert!(len <= MAX_RECORD);
    #[expect(clippy::cast_possible_truncation, reason = "compared with MAX_RECORD")]
    let size = len as u16;
    size
}
