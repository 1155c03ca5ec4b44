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
        let between_items = |error: FormatError| match error.fault {
            Fault::Truncated(_, 0) => place(start, Fault::Produced(out.len() as u32, size as u32)),
            _ => error,
        };
        if flags_left == 0 {
            flags = u32::from_le_bytes(input.take().map_err(between_items)?);
            flags_left = 32;
            continue;
        }
        flags_left -= 1;
        let is_match = flags >> flags_left & 1 == 1;
        if !is_match {
            let [byte] = input.take().map_err(between_items)?;
            out.push(byte);
            continue;
        }
        let word = u16::from_le_bytes(input.take().map_err(between_items)?);
        let distance = usize::from(word >> 3) + 1;
        let mut length = u64::from(word & 7);
        if length == 7 {
            length = u64::from(match half.take() {
                Some(high) => high,
                None => {
                    let [byte] = input.take()?;
                    half = Some(byte >> 4);
                    byte & 15
                }
            });
            if length == 15 {
                length = u64::from(input.take::<1>()?[0]);
                if length == 255 {
                    let at = input.at;
                    length = u64::from(u16::from_le_bytes(input.take()?));
                    if length == 0 {
                        length = u64::from(u32::from_le_bytes(input.take()?));
                    }
                    if length < 15 + 7 {
                        return Err(place(at, Fault::Length(length as u32, 15 + 7, u32::MAX)));
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
            let end = u32::try_from(end).unwrap_or(u32::MAX);
            return Err(place(start, Fault::Produced(end, size as u32)));
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
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let rest = &self.stream[self.at..];
        match rest.first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(place(self.at, Fault::Truncated(N as u32, rest.len() as u32))),
        }
    }
}

fn place(at: usize, fault: Fault) -> FormatError {
    fault.at(Part::Compressed, at as u32)
}
