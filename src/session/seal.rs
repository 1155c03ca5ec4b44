//! From a buffer of the ring to a buffer of a log: completed, sealed, and counted if it is lost.

use crate::codec::{RecordView, checksum};
use crate::format::{BufferFlags, BufferHeader, BufferState};
use crate::session::lane::{HEADER_BYTES, events};
use crate::session::sync::Ordering;
use std::sync::atomic::compiler_fence;
use zerocopy::FromBytes;

/// Events that are in a buffer and not in the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Missing {
    pub(crate) events: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Takes the first `elsewhere` bytes of records out of a buffer.
pub(crate) fn leave_out(buffer: &mut [u8], elsewhere: u32) {
    let filled = filled_of(buffer);
    let start = (HEADER_BYTES + elsewhere).min(filled);
    buffer.copy_within(start as usize..filled as usize, BufferHeader::SIZE);
    let filled = filled - (start - HEADER_BYTES);
    if let Ok((header, _)) = BufferHeader::mut_from_prefix(buffer) {
        header.filled_bytes = filled.into();
        // What was lost before it was told with the first part.
        let flags = header.flags().0 & !BufferFlags::EVENTS_LOST.0;
        header.buffer_flags = flags.into();
        header.reserved[8..12].fill(0);
    }
}

/// `FilledBytes` of a buffer.
pub(crate) fn filled_of(buffer: &[u8]) -> u32 {
    BufferHeader::ref_from_prefix(buffer).map_or(HEADER_BYTES, |(h, _)| h.filled_bytes.get())
}

/// Events lost before this buffer, where the writer began it: spec/11-checksum.md.
pub(crate) fn lost_field(buffer: &[u8]) -> u32 {
    match buffer.get(0x40..0x44) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Sets it, in a buffer that is not complete yet.
pub(crate) fn set_lost_field(buffer: &mut [u8], lost: u32) {
    if let Some(field) = buffer.get_mut(0x40..0x44) {
        field.copy_from_slice(&lost.to_le_bytes());
    }
}

/// Makes a buffer what a file has: header final, filler behind the records, checksum. One that was
/// completed and could not be written may be so again.
pub(crate) fn complete(buffer: &mut [u8], filled: u32, ticks: u64, flags: BufferFlags) {
    let lost = lost_field(buffer);
    buffer[filled as usize..].fill(0xFF);
    // In a ring file a process that is killed behind this leaves no checksum that is false.
    buffer[0x38..0x40].fill(0);
    compiler_fence(Ordering::SeqCst);
    if let Ok((header, _)) = BufferHeader::mut_from_prefix(buffer) {
        header.saved_offset = filled.into();
        header.current_offset = filled.into();
        header.time_stamp = ticks.into();
        header.buffer_flags = header.flags().with(flags).0.into();
        // In a ring file a process that is killed here leaves a whole buffer without a checksum.
        compiler_fence(Ordering::SeqCst);
        header.state = BufferState::FLUSH.0.into();
    }
    if let Ok(field) = checksum::field(buffer, lost) {
        // Magic and sum are eight aligned bytes, one store; the others do not change.
        buffer[0x38..0x48].copy_from_slice(&field);
    }
}

/// Events in a sealed buffer behind its first `written` bytes.
pub(crate) fn events_behind(buffer: &[u8], written: u32) -> Missing {
    let filled = filled_of(buffer) as usize;
    let records = buffer.get(BufferHeader::SIZE..filled).unwrap_or_default();
    let mut missing = Missing::default();
    for raw in events(records).filter(|raw| raw.offset + HEADER_BYTES >= written) {
        missing.events += 1;
        if let Some(ticks) = RecordView::parse(raw).ok().and_then(|record| record.ticks()) {
            if missing.last == 0 {
                missing.first = ticks;
            }
            missing.last = ticks;
        }
    }
    missing
}
