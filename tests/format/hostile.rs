//! Bytes that were meant to be a vector and are not: cut anywhere, any bit flipped.

use crate::common::{Vector, vectors};
use crate::reading::UNPACKED;
use etlring::codec::{BufferView, ExtendedItems, LogfileView, MessageView, RecordView, Records};
use etlring::error::{Fault, Part};

/// Goal: no input makes the codec panic, and whatever it refuses it refuses with a typed error.
/// Method: each vector cut at each length; read as what it is, and as everything it is not.
#[test]
fn cut_at_each_length() {
    for vector in vectors() {
        for end in 0..=vector.bytes.len() {
            hit(&vector, &vector.bytes[..end]);
        }
    }
}

/// Goal: as above.
/// Method: each single bit of each vector flipped.
#[test]
fn each_bit_flipped() {
    for vector in vectors() {
        let mut bytes = vector.bytes.clone();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            hit(&vector, &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Goal: a buffer cut by the end of the input still gives the records that are whole.
/// Method: one buffer of three records cut at each length: what is said never shrinks, and each
/// record is there from its last byte on.
#[test]
fn a_cut_buffer_keeps_its_whole_records() {
    let bytes = crate::common::vector("buffer").bytes;
    let ends = [72 + 56, 72 + 56 + 92];
    for end in 0..bytes.len() {
        let (view, error) = BufferView::parse_damaged(&bytes[..end]);
        let error = error.expect("cut");
        assert_eq!(error.part, Part::Buffer, "cut at {end}");
        assert!(matches!(error.fault, Fault::Truncated(_, have) if have as usize == end));
        let found = view.map_or(0, |view| view.records().flatten().count());
        assert_eq!(found, ends.iter().filter(|&&last| last <= end).count(), "cut at {end}");
    }
}

/// Goal: a checksum notices any flipped bit of what it covers.
/// Method: each bit of the filled part of a sealed buffer, its own field left out.
#[test]
fn a_checksum_notices_each_bit() {
    let bytes = crate::common::vector("buffer-checksum").bytes;
    let filled = 72 + 56 + 96;
    for bit in (0..filled * 8).filter(|bit| !(0x38..0x48).contains(&(bit / 8))) {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(etlring::codec::checksum::verify(&bytes).is_err(), "bit {bit}");
    }
}

fn hit(vector: &Vector, bytes: &[u8]) {
    let size = vector.expected["size"].as_u64().map_or(64, |n| usize::try_from(n).unwrap());
    let what = vector.what();
    crate::reading::walk(what, bytes, size);
    if what == "stream" {
        return;
    }
    // What the bytes are not: a view may come of it, a panic may not.
    if let (Some(view), _) = BufferView::parse_damaged(bytes) {
        assert!(view.bytes().len() <= bytes.len());
        let _ = view.verify_checksum();
        let mut small = [0; 64];
        if let Ok(out) = view.decompress(&mut small) {
            assert!(out.len() <= UNPACKED);
        }
    }
    let mut count = 0;
    for raw in Records::new(bytes) {
        count += 1;
        assert!(count <= bytes.len() / 8 + 1, "more records than bytes allow");
        let Ok(raw) = raw else { continue };
        let _ = LogfileView::parse(raw);
        if let Ok(view) = RecordView::parse(raw) {
            assert!(view.payload().len() <= raw.bytes.len());
        }
    }
    let _ = MessageView::parse(bytes);
    assert!(ExtendedItems::new(bytes).count() <= bytes.len() / 8 + 1);
}
