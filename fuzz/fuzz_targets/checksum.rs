#![no_main]
//! A buffer given a checksum passes; the same buffer with one bit of its filled part turned fails.

use etlring::codec::checksum::{self, State};
use etlring::format::BufferHeader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u16, &[u8])| {
    let (events_lost, turn, bytes) = input;
    let mut buffer = bytes.to_vec();
    let _ = checksum::verify(&buffer);
    let Ok(field) = checksum::field(&buffer, events_lost) else {
        return assert!(buffer.len() < BufferHeader::SIZE);
    };
    buffer[0x38..0x48].copy_from_slice(&field);
    assert_eq!(checksum::verify(&buffer), Ok(State::Valid { events_lost }));

    let filled = u32::from_le_bytes(buffer[0x30..0x34].try_into().unwrap()) as usize;
    let covered = filled.clamp(BufferHeader::SIZE, buffer.len());
    let (at, bit) = (usize::from(turn) / 8 % covered, turn % 8);
    buffer[at] ^= 1 << bit;
    match at {
        0x38..0x3C => assert_eq!(checksum::verify(&buffer), Ok(State::Absent)),
        // The count is no part of the sum; a changed end covers other bytes, equal by chance.
        0x40..0x48 | 0x30..0x34 => drop(checksum::verify(&buffer)),
        _ => assert!(checksum::verify(&buffer).is_err()),
    }
});
