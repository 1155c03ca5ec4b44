//! The checksum of a buffer, in 16 bytes of its header that Windows leaves to chance.
//!
//! ```text
//!   0x38  "ELR1"   magic: absent means unchecked, never an error
//!   0x3C  u32      CRC-32 (IEEE) of the buffer's first FilledBytes, these 16 bytes as zero
//!   0x40  u32      events lost in this lane since its previous buffer
//!   0x44  u32      zero
//! ```
//!
//! In Windows' own files these bytes are stale kernel pointers, so no reader looks at them.
//! Source: ours; spec/11-checksum.md.

use crate::codec::to_u32;
use crate::error::{Fault, FormatError, Part};
use crate::format::BufferHeader;
use zerocopy::FromBytes;

/// The four bytes at 0x38 of a buffer that carries a checksum.
pub const MAGIC: [u8; 4] = *b"ELR1";

/// What a buffer says about its own checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No checksum: Windows wrote it, or it is still being filled.
    Absent,
    /// The bytes are those that were sealed.
    Valid {
        /// Events lost in this lane between its previous buffer and this one.
        events_lost: u32,
    },
}

/// Splits a buffer around the 16 bytes: header before, the field, filled part behind.
fn split(buffer: &[u8]) -> Option<(&[u8], [u8; 16], &[u8])> {
    let (header, _) = BufferHeader::ref_from_prefix(buffer).ok()?;
    // Compressed buffers hold fewer bytes than FilledBytes says; all they hold is covered.
    let end = (header.filled_bytes.get() as usize).min(buffer.len());
    let before = buffer.get(..FIELD)?;
    let behind = buffer.get(BufferHeader::SIZE..end).unwrap_or_default();
    Some((before, header.reserved, behind))
}

/// Where the field starts.
const FIELD: usize = 0x38;

fn crc(before: &[u8], behind: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(before);
    hasher.update(&[0; 16]);
    hasher.update(behind);
    hasher.finalize()
}

/// The 16 bytes for `buffer`, whose header and records must be in their final state.
///
/// # Errors
///
/// [`Fault::Truncated`] if `buffer` has no whole header.
pub fn field(buffer: &[u8], events_lost: u32) -> Result<[u8; 16], FormatError> {
    let short =
        Fault::Truncated(to_u32(BufferHeader::SIZE), to_u32(buffer.len())).at(Part::Buffer, 0);
    let (before, _, behind) = split(buffer).ok_or(short)?;
    let lost = events_lost.to_le_bytes();
    let sum = crc(before, behind).to_le_bytes();
    let ([m0, m1, m2, m3], [c0, c1, c2, c3], [l0, l1, l2, l3]) = (MAGIC, sum, lost);
    Ok([m0, m1, m2, m3, c0, c1, c2, c3, l0, l1, l2, l3, 0, 0, 0, 0])
}

/// Compares a buffer with the checksum it carries.
///
/// # Errors
///
/// [`Fault::Mismatch`] if they differ, [`Fault::Truncated`] if there is no whole header.
pub fn verify(buffer: &[u8]) -> Result<State, FormatError> {
    let short =
        Fault::Truncated(to_u32(BufferHeader::SIZE), to_u32(buffer.len())).at(Part::Buffer, 0);
    let (before, field, behind) = split(buffer).ok_or(short)?;
    let [m0, m1, m2, m3, c0, c1, c2, c3, l0, l1, l2, l3, ..] = field;
    if [m0, m1, m2, m3] != MAGIC {
        return Ok(State::Absent);
    }
    let stored = u32::from_le_bytes([c0, c1, c2, c3]);
    let found = crc(before, behind);
    if stored != found {
        return Err(Fault::Mismatch(stored, found).at(Part::Checksum, to_u32(FIELD)));
    }
    Ok(State::Valid { events_lost: u32::from_le_bytes([l0, l1, l2, l3]) })
}
