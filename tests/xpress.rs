//! `codec::xpress` against its naive twin and against logs that Windows tools wrote.
#![allow(missing_docs, clippy::cast_possible_truncation)]

#[path = "common/xpress.rs"]
mod naive;

use etlring::codec::xpress::Compressor;
use etlring::codec::{BufferView, Content, Records, xpress};
use etlring::error::{Fault, FormatError, Part};
use std::path::Path;

/// A generator of numbers that are random enough and the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Writes streams item by item: the flags go to a word left open in front of their items.
#[derive(Default)]
struct Writer {
    stream: Vec<u8>,
    out_len: usize,
    flags_at: usize,
    flags: u32,
    items: u32,
    half_at: Option<usize>,
}

impl Writer {
    fn flag(&mut self, is_match: bool) {
        if self.items % 32 == 0 {
            self.flags_at = self.stream.len();
            self.stream.extend([0; 4]);
            self.flags = 0;
        }
        self.flags |= u32::from(is_match) << (31 - self.items % 32);
        self.stream[self.flags_at..self.flags_at + 4].copy_from_slice(&self.flags.to_le_bytes());
        self.items += 1;
    }

    fn literal(&mut self, byte: u8) {
        self.flag(false);
        self.stream.push(byte);
        self.out_len += 1;
    }

    /// A match in the shortest form of its length, or in the widest.
    fn repeat(&mut self, distance: usize, length: usize, widest: bool) {
        self.flag(true);
        let code = length - 3;
        let word = (distance - 1) << 3 | code.min(7);
        self.stream.extend((word as u16).to_le_bytes());
        if code >= 7 {
            let nibble = (code - 7).min(15) as u8;
            match self.half_at.take() {
                Some(at) => self.stream[at] |= nibble << 4,
                None => {
                    self.half_at = Some(self.stream.len());
                    self.stream.push(nibble);
                }
            }
            if nibble == 15 {
                if code - 22 < 255 && !widest {
                    self.stream.push((code - 22) as u8);
                } else {
                    self.stream.push(255);
                    match u16::try_from(code) {
                        Ok(code) if !widest => self.stream.extend(code.to_le_bytes()),
                        _ => {
                            self.stream.extend([0, 0]);
                            self.stream.extend((code as u32).to_le_bytes());
                        }
                    }
                }
            }
        }
        self.out_len += length;
    }
}

/// A valid stream of `items` items, in the proportions of a real one, and its output's size.
/// One match in twenty is up to `longest` bytes long.
fn valid(random: &mut Random, items: u64, longest: u64) -> (Vec<u8>, usize) {
    let mut writer = Writer::default();
    writer.literal(b'x');
    for _ in 0..items {
        if random.below(2) == 0 {
            writer.literal(random.next() as u8);
            continue;
        }
        let farthest = writer.out_len.min(8192) as u64;
        let near = if random.below(2) == 0 { farthest.min(40) } else { farthest };
        let length = match random.below(20) {
            0 => 3 + random.below(longest),
            1..=3 => 3 + random.below(400),
            4..=9 => 3 + random.below(30),
            _ => 3 + random.below(7),
        };
        let distance = 1 + random.below(near);
        writer.repeat(distance as usize, length as usize, random.below(4) == 0);
    }
    (writer.stream, writer.out_len)
}

/// The fast and the naive way must agree on every byte or on the error.
fn agree(stream: &[u8], size: usize) -> Result<(), FormatError> {
    let mut out = vec![0xA5; size];
    let fast = xpress::decompress(stream, &mut out);
    match naive::decompress(stream, size) {
        Ok(expected) => {
            assert_eq!(fast, Ok(()), "{stream:02x?}");
            assert!(out == expected, "{stream:02x?}");
        }
        Err(expected) => assert_eq!(fast, Err(expected), "{stream:02x?}"),
    }
    fast
}

#[test]
fn valid_streams_give_what_the_twin_gives() {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    for round in 0..300 {
        let items = random.below(1 + round);
        let (stream, size) = valid(&mut random, items, 70_000);
        agree(&stream, size).unwrap();
    }
}

/// Every length and every distance up to 40 at both ends of the output, where there is no room.
#[test]
fn short_matches_at_the_edges() {
    for distance in 1..=40 {
        for length in 3..=90 {
            for before in [0, 60] {
                let mut writer = Writer::default();
                (0..distance + before).for_each(|n| writer.literal(n as u8));
                writer.repeat(distance, length, length % 2 == 0);
                (0..length % 50).for_each(|n| writer.literal(n as u8));
                agree(&writer.stream, writer.out_len).unwrap();
            }
        }
    }
}

/// The fast way reads matches together with the literals behind them.
#[test]
fn what_stands_behind_a_match_is_no_part_of_it() {
    let mut random = Random(0x0BAD_CAFE_0000_0003);
    for behind in [0, 0x55, 0xFF] {
        let mut writer = Writer::default();
        (0..8192).for_each(|_| writer.literal(random.next() as u8));
        for _ in 0..1_000 {
            writer.repeat(1 + random.below(8192) as usize, 3 + random.below(7) as usize, false);
            (0..2).for_each(|_| writer.literal(behind));
        }
        agree(&writer.stream, writer.out_len).unwrap();
    }
}

/// Goal: no damage gives anything but a typed error or, by chance, the right number of bytes.
/// Method: valid streams cut at each length, with each byte changed, and asked for other sizes.
#[test]
fn damaged_streams_fail_as_the_twin_does() {
    let mut random = Random(0xFEED_F00D_0000_0001);
    for _ in 0..12 {
        let (stream, size) = valid(&mut random, 150, 300);
        for cut in 0..stream.len() {
            let _ = agree(&stream[..cut], size);
        }
        for at in 0..stream.len() {
            let mut damaged = stream.clone();
            damaged[at] ^= 1 << random.below(8);
            let _ = agree(&damaged, size);
        }
        for other in [0, 1, size / 2, size - 1, size + 1, 2 * size] {
            let _ = agree(&stream, other);
        }
    }
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..random.below(80)).map(|_| random.next() as u8).collect();
        let _ = agree(&noise, random.below(500) as usize);
    }
}

#[test]
fn each_fault_has_its_place() {
    let at = |fault: Fault, offset| Err(fault.at(Part::Compressed, offset));
    let error = |stream: &[u8], size| agree(stream, size);
    let flags = 0x4000_0000u32.to_le_bytes(); // a literal, then a match
    let with = |items: &[u8]| [&flags, items].concat();

    assert_eq!(error(&[], 0), Ok(()));
    assert_eq!(error(&[], 1), at(Fault::Produced(0, 1), 0));
    assert_eq!(error(&flags[..3], 1), at(Fault::Produced(0, 1), 0));
    assert_eq!(error(&flags, 9), at(Fault::Produced(0, 9), 4));
    assert_eq!(error(&with(&[7]), 9), at(Fault::Produced(1, 9), 5));
    assert_eq!(error(&with(&[7, 1]), 9), at(Fault::Produced(1, 9), 5));
    assert_eq!(error(&with(&[7, 0b1_000, 0]), 9), at(Fault::Distance(2, 1), 5));
    assert_eq!(error(&with(&[7, 7, 0]), 9), at(Fault::Produced(1, 9), 7));
    assert_eq!(error(&with(&[7, 7, 0, 15]), 9), at(Fault::Produced(1, 9), 8));
    assert_eq!(error(&with(&[7, 7, 0, 15, 255, 1]), 9), at(Fault::Produced(1, 9), 9));
    assert_eq!(error(&with(&[7, 7, 0, 15, 255, 0, 0]), 9), at(Fault::Produced(1, 9), 11));
    let small = with(&[7, 7, 0, 15, 255, 21, 0]);
    assert_eq!(error(&small, 9), at(Fault::Produced(1, 9), 9));
    let huge = with(&[7, 7, 0, 15, 255, 0, 0, 255, 255, 255, 255]);
    assert_eq!(error(&huge, 9), at(Fault::Produced(1, 9), 5));
    assert_eq!(error(&with(&[7, 0, 0]), 3), at(Fault::Produced(1, 3), 5));
    assert_eq!(error(&with(&[7, 0, 0]), 4), Ok(()));
}

/// Sixteen mebibytes, the largest buffer, from a stream of fifteen bytes.
#[test]
fn largest_output() {
    let size = 16 << 20;
    let mut writer = Writer::default();
    writer.literal(b'x');
    writer.repeat(1, size - 1, true);
    let mut out = vec![0; size];
    xpress::decompress(&writer.stream, &mut out).unwrap();
    assert!(out.iter().all(|&byte| byte == b'x'));
}

/// File, its compressed buffers, bytes in them, CRC-32 over all: as dissect.util 3 unpacks them.
const SAMPLES: [(&str, usize, usize, u32); 3] = [
    ("demikernel_PktMon.etl", 2, 132_536, 0x9566_9069),
    ("perfview_SelfDescribingSingleEvent.etl", 2, 7_264, 0x65F9_F87B),
    ("perfview_net.4.5.2.x64.etl", 359, 23_016_304, 0x0312_8D03),
];

/// Goal: streams of Windows' own compressor. Method: sum over the output, and walk its records.
#[test]
fn compressed_samples() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    if !directory.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no samples at {}", directory.display());
        eprintln!("skipped: no samples at {}", directory.display());
        return;
    }
    for (name, buffers, bytes, sum) in SAMPLES {
        let file = std::fs::read(directory.join(name)).unwrap();
        let mut out = vec![0; 16 << 20];
        let mut hasher = crc32fast::Hasher::new();
        let mut found = (0, 0);
        let (mut ours, mut theirs) = (0, 0);
        let mut compressor = Box::new(Compressor::new());
        let mut rest = &file[..];
        while !rest.is_empty() {
            let buffer = BufferView::parse(rest).unwrap();
            if let Content::Compressed { stream, size } = buffer.content() {
                let records = buffer.decompress(&mut out).unwrap();
                ours += pack(&mut compressor, records).len();
                theirs += stream.len();
                assert!(naive::decompress(stream, size as usize).unwrap() == records, "{name}");
                assert!(Records::new(records).all(|record| record.is_ok()), "{name}");
                hasher.update(records);
                found = (found.0 + 1, found.1 + records.len());
            }
            rest = &rest[buffer.bytes().len()..];
        }
        assert_eq!((found.0, found.1, hasher.finalize()), (buffers, bytes, sum), "{name}");
        // Ours are not larger than those of Windows.
        assert!(ours <= theirs, "{name}: {ours} bytes, {theirs} of Windows");
    }
}

/// Packs `bytes` and checks that both ways of unpacking give them back.
fn pack(compressor: &mut Compressor, bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; Compressor::bound(bytes.len())];
    let size = compressor.compress(bytes, &mut stream).unwrap();
    stream.truncate(size);
    agree(&stream, bytes.len()).unwrap();
    assert!(naive::decompress(&stream, bytes.len()).unwrap() == bytes);
    stream
}

/// Inputs of every kind a buffer can be: noise, runs, repeats near and far, text.
fn input(random: &mut Random, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    while bytes.len() < size {
        match random.below(5) {
            0 => bytes.extend((0..random.below(40)).map(|_| random.next() as u8)),
            1 => bytes.extend(vec![random.next() as u8; random.below(400) as usize]),
            2 => bytes.extend(random.below(1 << 20).to_le_bytes()),
            3 if random.below(50) == 0 => {
                bytes.extend(vec![random.next() as u8; 70_000]);
            }
            _ if bytes.is_empty() => {}
            _ => {
                let back = 1 + random.below(bytes.len().min(9000) as u64) as usize;
                for _ in 0..random.below(300) {
                    bytes.push(bytes[bytes.len() - back]);
                }
            }
        }
    }
    bytes.truncate(size);
    bytes
}

#[test]
fn what_is_packed_comes_out_again() {
    let mut random = Random(0xC0FF_EE00_1234_5678);
    // One compressor for all: what it remembers of one input must not show in the next.
    let mut compressor = Box::new(Compressor::new());
    for size in 0..200 {
        let bytes = input(&mut random, size);
        pack(&mut compressor, &bytes);
        pack(&mut compressor, &vec![7; size]);
    }
    for round in 0..120 {
        let size = random.below(1 + round * 1_500) as usize;
        let bytes = input(&mut random, size);
        let stream = pack(&mut compressor, &bytes);
        // The same bytes give the same stream, whatever came before.
        assert!(stream == pack(&mut Box::new(Compressor::new()), &bytes));
    }
}

#[test]
fn a_stream_ends_as_microsoft_documents_it() {
    let mut compressor = Box::new(Compressor::new());
    assert_eq!(pack(&mut compressor, b""), [0xFF; 4]);
    let mut one = 0x7FFF_FFFFu32.to_le_bytes().to_vec();
    one.push(b'x');
    assert_eq!(pack(&mut compressor, b"x"), one);
    // A full word of flags leaves another one behind.
    let all: Vec<u8> = (0..32).collect();
    assert_eq!(pack(&mut compressor, &all), [&[0; 4], &all[..], &[0xFF; 4]].concat());
}

/// A run takes a match of the longest form; noise takes no more than the bound.
#[test]
fn a_stream_has_its_bound() {
    let mut compressor = Box::new(Compressor::new());
    let mut random = Random(5);
    for size in [1, 31, 32, 33, 63, 64, 65, 4_000, 100_000] {
        let noise: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
        assert!(pack(&mut compressor, &noise).len() <= Compressor::bound(size));
    }
    // Flags, a literal, and a match: its word, half byte, byte, and its length in 16 and 32 bits.
    assert_eq!(pack(&mut compressor, &vec![0; 16 << 20]).len(), 4 + 1 + 2 + 1 + 1 + 2 + 4);
    let bound = Compressor::bound(9);
    let failed = compressor.compress(&[0; 9], &mut vec![0; bound - 1]);
    let (need, have) = (bound as u32, bound as u32 - 1);
    assert_eq!(failed, Err(Fault::NoSpace(need, have).at(Part::Compressed, 0)));
}
