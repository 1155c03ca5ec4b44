//! The naive twin of `codec::xpress`: the pseudo-code of its essay, one byte at a time.

#![allow(unreachable_pub)] // the fuzz target of the same name includes this file, too

use etlring::error::{Fault, FormatError, Part};

/// Unpacks `stream` into exactly `size` bytes, or fails as `codec::xpress::decompress` must.
pub fn decompress(stream: &[u8], size: usize) -> Result<Vec<u8>, FormatError> {
    let mut input = Input { stream, at: 0 };
    let mut out = Vec::new();
    let (mut flags, mut flags_left) = (0u32, 0);
    let mut half = None;
    while out.len() < size {
        let start = input.at;
        // A stream that breaks off says where, and how much it gave before.
        let done = out.len();
        let broken = |at| place(at, Fault::Produced(done as u32, size as u32));
        if flags_left == 0 {
            flags = u32::from_le_bytes(input.take().map_err(broken)?);
            flags_left = 32;
            continue;
        }
        flags_left -= 1;
        let is_match = flags >> flags_left & 1 == 1;
        if !is_match {
            let [byte] = input.take().map_err(broken)?;
            out.push(byte);
            continue;
        }
        let word = u16::from_le_bytes(input.take().map_err(broken)?);
        let distance = usize::from(word >> 3) + 1;
        let mut length = u64::from(word & 7);
        if length == 7 {
            length = u64::from(match half.take() {
                Some(high) => high,
                None => {
                    let [byte] = input.take().map_err(broken)?;
                    half = Some(byte >> 4);
                    byte & 15
                }
            });
            if length == 15 {
                length = u64::from(input.take::<1>().map_err(broken)?[0]);
                if length == 255 {
                    let at = input.at;
                    length = u64::from(u16::from_le_bytes(input.take().map_err(broken)?));
                    if length == 0 {
                        length = u64::from(u32::from_le_bytes(input.take().map_err(broken)?));
                    }
                    if length < 15 + 7 {
                        return Err(broken(at));
                    }
                    length -= 15 + 7;
                }
                length += 15;
            }
            length += 7;
        }
        length += 3;
        if distance > out.len() {
            return Err(place(start, Fault::Distance(distance as u32, out.len() as u32)));
        }
        let end = out.len() as u64 + length;
        if end > size as u64 {
            return Err(broken(start));
        }
        for _ in 0..length {
            out.push(out[out.len() - distance]);
        }
    }
    Ok(out)
}

struct Input<'a> {
    stream: &'a [u8],
    at: usize,
}

impl Input<'_> {
    /// The next bytes, or where they are missing.
    fn take<const N: usize>(&mut self) -> Result<[u8; N], usize> {
        let rest = &self.stream[self.at..];
        match rest.first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(self.at),
        }
    }
}

fn place(at: usize, fault: Fault) -> FormatError {
    fault.at(Part::Compressed, at as u32)
}
