//! Damage is named with its place, and what is whole is still read.

use crate::log::{Log, classic, untimed};
use etlring::error::{Fault, Part};
use etlring::format::LogFileMode;
use etlring::reader::{ReadFault, Trace};

/// Marks of the whole records in file order, and the positions of what is wrong.
fn read(file: &[u8]) -> (Vec<u8>, Vec<u64>) {
    let trace = Trace::from_slice(file).unwrap();
    let mut wrong: Vec<_> = trace.damage().iter().map(|error| error.position).collect();
    let mut records = trace.records();
    let mut marks = Vec::new();
    while let Some(record) = records.next() {
        match record.and_then(|record| record.view()) {
            Ok(view) => marks.push(view.opcode().unwrap_or(99)),
            Err(error) => wrong.push(error.position),
        }
    }
    (marks, wrong)
}

/// Three buffers of two records each, behind the header buffer.
fn log() -> Log {
    let mut log = Log::new(4096);
    for n in 1..=3 {
        let ticks = 2_000 + u64::from(n) * 10;
        let records = [classic(ticks, n, 20), classic(ticks + 1, 10 + n, 20)];
        log.buffer(u16::from(n), i64::from(n), ticks + 2, &records);
    }
    log
}

#[test]
fn a_broken_record_ends_its_buffer_only() {
    let mut log = log();
    let second_record = 2 * 4096 + 72 + 72;
    log.bytes[second_record..second_record + 4].fill(0);
    assert_eq!(read(&log.bytes), (vec![0, 1, 11, 2, 3, 13], vec![second_record as u64]));
}

#[test]
fn a_record_too_small_for_its_header_is_passed_over() {
    let mut log = log();
    let first_record = 2 * 4096 + 72;
    // An event header needs 80 bytes; the record has 68.
    log.bytes[first_record + 2] = 19;
    assert_eq!(read(&log.bytes), (vec![0, 1, 11, 12, 3, 13], vec![first_record as u64]));
}

#[test]
fn a_wrong_buffer_size_loses_nothing() {
    for size in [0u32, 71, 4104, 0xFFFF_FFFF] {
        let mut log = log();
        log.bytes[2 * 4096..2 * 4096 + 4].copy_from_slice(&size.to_le_bytes());
        let (marks, wrong) = read(&log.bytes);
        assert_eq!((marks, wrong), (vec![0, 1, 11, 2, 12, 3, 13], vec![2 * 4096]), "{size}");
    }
}

/// A header of another size is believed to be one only if all else in it can be.
#[test]
fn a_wrong_buffer_size_beside_another_wrong_word_makes_no_buffer() {
    // Offset, the greatest that can be, or the least that cannot.
    for (offset, value, believed) in [
        (0x0C, 0u32, true),
        (0x0C, 1, false),
        (0x2C, 6, true),
        (0x2C, 7, false),
        (0x30, 72, true),
        (0x30, 71, false),
        (0x30, 4096, true),
        (0x30, 4097, false),
        (0x30, 0xFFFF_FFFF, false),
        // Flags and type: the lane's, DBG_INFO; a flag, a type that nobody has.
        (0x34, 0x0007_0040, true),
        (0x34, 0x0007_0080, false),
        (0x34, 0x0008_0040, false),
    ] {
        let mut log = log();
        let at = 2 * 4096;
        log.bytes[at..at + 4].copy_from_slice(&5u32.to_le_bytes());
        log.bytes[at + offset..at + offset + 4].copy_from_slice(&value.to_le_bytes());
        let trace = Trace::from_slice(&log.bytes).unwrap();
        let found = trace.buffers().iter().any(|entry| entry.position == at as u64);
        assert_eq!(found, believed, "{value:#x} at {offset:#x}");
        assert_eq!(trace.damage().len(), 1);
        assert_eq!(trace.damage()[0].position, at as u64);
    }
}

#[test]
fn noise_instead_of_a_buffer_is_crossed() {
    let mut log = log();
    log.bytes[2 * 4096..3 * 4096].fill(0xA7);
    assert_eq!(read(&log.bytes), (vec![0, 1, 11, 3, 13], vec![2 * 4096]));
}

#[test]
fn filled_bytes_too_large_are_clamped() {
    let mut log = log();
    log.bytes[2 * 4096 + 0x30..2 * 4096 + 0x34].copy_from_slice(&5_000u32.to_le_bytes());
    let (marks, wrong) = read(&log.bytes);
    assert_eq!(marks, [0, 1, 11, 2, 12, 3, 13]);
    // The number itself, and the filler that it claims to be records.
    assert_eq!(wrong, [2 * 4096 + 0x30, 2 * 4096 + 72 + 2 * 72]);
}

#[test]
fn every_cut_gives_the_whole_records_before_it() {
    let whole = log().bytes;
    let all = read(&whole).0;
    for cut in (72 + 400..whole.len()).step_by(8) {
        let Ok(trace) = Trace::from_slice(&whole[..cut]) else {
            assert!(cut < 4096);
            continue;
        };
        assert_eq!(trace.damage().is_empty(), cut % 4096 == 0, "cut at {cut}");
        let (marks, _) = read(&whole[..cut]);
        let records = |buffer: usize| (cut.saturating_sub(buffer * 4096 + 72) / 72).min(2);
        assert_eq!(marks, all[..1 + (1..=3).map(records).sum::<usize>()], "cut at {cut}");
    }
}

#[test]
fn compressed_buffers_behind_damage_are_found() {
    let mut log = Log::with_mode(4096, LogFileMode::COMPRESSED.0);
    log.compressed(0, 1, 9, &[classic(2_000, 1, 3)]);
    let second = log.compressed(0, 2, 9, &[classic(2_001, 2, 4)]);
    log.compressed(0, 3, 9, &[classic(2_002, 3, 5)]);
    log.bytes[second..second + 4].fill(0);
    assert_eq!(read(&log.bytes), (vec![0, 1, 3], vec![second as u64]));
}

/// A stream of 16 bytes that unpacks to more than any buffer holds: no more than that is made, and
/// what is missing is told.
#[test]
fn a_compressed_buffer_gives_no_more_than_a_buffer_holds() {
    const MOST: u32 = 16 * 1024 * 1024;
    let mut log = Log::with_mode(4096, LogFileMode::COMPRESSED.0);
    let at = log.compressed(0, 1, 9, &[]);
    // Flags: a literal, then a match one byte back whose length fills the bound to the last byte.
    log.bytes.extend_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F, 0, 7, 0, 0x0F, 0xFF, 0, 0]);
    log.bytes.extend_from_slice(&(MOST - 4).to_le_bytes());
    let size = u32::try_from(log.bytes.len() - at).unwrap();
    log.bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
    for more in [0, 1] {
        let filled = 72 + MOST + more;
        log.bytes[at + 0x30..at + 0x34].copy_from_slice(&filled.to_le_bytes());
        let trace = Trace::from_slice(&log.bytes).unwrap();
        let mut records = trace.records();
        let mut faults = Vec::new();
        while let Some(record) = records.next() {
            faults.extend(record.err().map(|error| (error.position, error.fault)));
        }
        let fault = Fault::NoSpace(MOST + more, MOST).at(Part::Compressed, 72);
        let told = faults.contains(&(at as u64, ReadFault::Format(fault)));
        assert_eq!(told, more > 0, "{faults:?}");
    }
}

/// No flipped bit makes a cursor panic, loop, or yield more records than bytes could hold.
#[test]
fn every_flipped_bit_is_survived() {
    let mut log = Log::new(512);
    log.buffer(0, 1, 9, &[classic(2_000, 1, 8), untimed(1)]);
    log.buffer(1, 2, 9, &[classic(2_000, 1, 8)]);
    for bit in 0..log.bytes.len() * 8 {
        let mut file = log.bytes.clone();
        file[bit / 8] ^= 1 << (bit % 8);
        let Ok(trace) = Trace::from_slice(&file) else { continue };
        let (mut in_file, mut by_time) = (0, 0);
        let mut records = trace.records();
        while let Some(record) = records.next() {
            in_file += usize::from(record.is_ok());
        }
        let mut records = trace.by_time();
        while let Some(record) = records.next() {
            by_time += usize::from(record.is_ok());
        }
        assert_eq!(in_file, by_time, "bit {bit}");
        assert!(in_file <= file.len() / 8);
    }
}
