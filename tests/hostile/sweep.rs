//! Real files, every header bit flipped, and cut everywhere.

use crate::everything;
use etlring::reader::Trace;
use std::path::PathBuf;

/// Samples of at most this many bytes, smallest first.
fn samples(most: u64) -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    let Ok(entries) = std::fs::read_dir(&directory) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
        eprintln!("skipped: {} is missing", directory.display());
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "etl"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .filter(|(_, bytes)| bytes.len() as u64 <= most)
        .collect();
    found.sort_by_key(|(name, bytes)| (bytes.len(), name.clone()));
    found
}

/// Bits of what a file says of itself: buffer headers, the logfile header, the header of each
/// buffer's first record.
fn header_bits(bytes: &[u8]) -> Vec<usize> {
    let trace = Trace::from_slice(bytes).unwrap();
    let mut bits = Vec::new();
    for (index, buffer) in trace.buffers().iter().enumerate() {
        let start = buffer.position as usize;
        let behind = if index == 0 { 72 + 32 + 280 } else { 72 + 80 };
        let end = (start + behind).min(bytes.len());
        bits.extend(start * 8..end * 8);
    }
    bits
}

fn flip(step: usize) {
    let mut files = samples(200_000);
    files.truncate(10);
    let mut cases = 0;
    for (name, bytes) in files {
        let mut bad = bytes.clone();
        for bit in header_bits(&bytes).into_iter().step_by(step) {
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = everything(&bad);
            bad[bit / 8] ^= 1 << (bit % 8);
            cases += 1;
        }
        assert!(bad == bytes, "{name}");
    }
    println!("header bits: {cases} flips, 0 panics");
}

fn cut(step: usize) {
    let mut files = samples(20_000);
    files.truncate(6);
    let mut cases = 0;
    for (name, bytes) in files {
        let mut last = 0;
        for end in (0..=bytes.len()).step_by(step) {
            if let Some(found) = everything(&bytes[..end]) {
                // More of a file never holds less.
                assert!(found >= last, "{name} cut at {end}");
                last = found;
            }
            cases += 1;
        }
    }
    println!("truncation: {cases} cuts, 0 panics");
}

/// A part, spread over the whole by a step that shares no factor with 8.
#[test]
fn some_header_bits_flipped() {
    flip(211);
}

#[test]
fn cut_at_some_offsets() {
    cut(173);
}

#[test]
#[ignore = "long"]
fn every_header_bit_flipped() {
    flip(1);
}

#[test]
#[ignore = "long"]
fn cut_at_every_offset() {
    cut(1);
}
