//! The other direction: bytes into a plain LZ77 stream.
//!
//! ```text
//! at = 0
//! while bytes are left:
//!     (length, distance) = the longest match within 8,192 bytes behind `at`, of DEPTH looked at
//!     if length < 3:                        a literal; at += 1
//!     else if the match at `at + 1` is longer:  a literal; at += 1      (the *lazy* step)
//!     else:                                 the match; at += length
//! ```
//!
//! # How matches are found
//!
//! - *Chains.* `heads` has, for each hash of three bytes, where these were seen last; `links` has,
//!   for each place of the window, how far back the same hash was seen before. So a chain is walked
//!   from the nearest place to farther ones, and stops at the window's end by itself.
//! - *Nothing is cleared.* Places count on from one call to the next, and a place of an earlier
//!   call lies before `base`. Only when the count nears its end are the heads emptied.
//! - *A candidate must be better.* The three bytes that end one behind the best length are compared
//!   first; most candidates fail there, without a walk over their bytes.
//!
//! # Cost
//!
//! Time is linear: at each place at most `DEPTH` candidates are looked at, and where a comparison
//! goes beyond `NICE` bytes the match is taken. 144 KiB of memory, nothing allocated.

use super::{LEAST_LENGTH, LONG, LONGER, read};
use crate::codec::to_u32;
use crate::error::{Fault, FormatError, Part};
use core::fmt;

/// How far back a match may reach.
const WINDOW: usize = 8192;
/// Hashes of three bytes.
const HASH_BITS: u32 = 15;
/// Candidates that are looked at for each match.
const DEPTH: u32 = 4;
/// A match of this length is taken without looking for a longer one.
const NICE: usize = 48;
/// What is shorter than any match.
const SHORT: usize = LEAST_LENGTH as usize - 1;
/// Bytes in front of the end in which no match is looked for.
const TAIL: usize = 4;
/// Places are counted up to here.
const MOST_PLACES: u32 = 1 << 31;

/// Compresses; keeps the memory that this takes from one call to the next.
///
/// ```
/// use etlring::codec::xpress::{self, Compressor};
/// let text = b"one event, one event, one event";
/// let mut stream = vec![0; Compressor::bound(text.len())];
/// let size = Compressor::new().compress(text, &mut stream)?;
/// assert!(size < text.len());
/// let mut out = vec![0; text.len()];
/// xpress::decompress(&stream[..size], &mut out)?;
/// assert_eq!(out, text);
/// # Ok::<(), etlring::error::FormatError>(())
/// ```
#[derive(Clone)]
pub struct Compressor {
    /// The place of the first byte of this call; all earlier ones are of calls before.
    base: u32,
    heads: [u32; 1 << HASH_BITS],
    links: [u16; WINDOW],
}

impl Compressor {
    /// One that has compressed nothing yet: 144 KiB, so it is best kept in a `Box`.
    #[must_use]
    pub const fn new() -> Self {
        // Place 0 is of no call.
        Self { base: 1, heads: [0; 1 << HASH_BITS], links: [0; WINDOW] }
    }

    /// Bytes that a stream of `len` bytes never exceeds.
    #[must_use]
    pub const fn bound(len: usize) -> usize {
        // A flag for each byte and a word of flags behind the last; no match is larger than its
        // bytes as literals.
        len.saturating_add((len / 32).saturating_add(2).saturating_mul(4))
    }

    /// Packs `bytes`, at most 1 GiB, into the start of `out` and says how many bytes the stream
    /// has.
    ///
    /// # Errors
    ///
    /// [`Fault::NoSpace`] if `out` is smaller than [`bound`](Self::bound), [`Fault::Length`] if
    /// `bytes` is too long.
    pub fn compress(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<usize, FormatError> {
        let bound = Self::bound(bytes.len());
        let given = to_u32(out.len());
        if bytes.len() > 1 << 30 {
            let fault = Fault::Length(to_u32(bytes.len()), 0, 1 << 30);
            return Err(fault.at(Part::Compressed, 0));
        }
        let Some(out) = out.get_mut(..bound) else {
            return Err(Fault::NoSpace(to_u32(bound), given).at(Part::Compressed, 0));
        };
        if self.base > MOST_PLACES {
            self.heads.fill(0);
            self.base = 1;
        }
        let mut stream = Stream { out, at: 4, flags_at: 0, flags: 1, half_at: None };
        self.items(bytes, &mut stream);
        // One place is left out, so that a match never reaches into the call before.
        self.base = self.base.wrapping_add(to_u32(bytes.len())).wrapping_add(1);
        Ok(stream.end())
    }

    fn items(&mut self, bytes: &[u8], stream: &mut Stream<'_>) {
        let last = bytes.len().saturating_sub(TAIL);
        let mut at = 0usize;
        let mut found = Match::NONE;
        while at < last {
            if found.length == 0 {
                found = self.look(bytes, at, SHORT);
            }
            if found.length == 0 {
                stream.literal(bytes, at);
                at = at.wrapping_add(1);
                continue;
            }
            let next = at.wrapping_add(1);
            if found.length < NICE && next < last {
                let later = self.look(bytes, next, found.length);
                if later.length > found.length {
                    stream.literal(bytes, at);
                    (at, found) = (next, later);
                    continue;
                }
                stream.repeat(found);
                self.enter(bytes, next.wrapping_add(1), at.wrapping_add(found.length).min(last));
            } else {
                stream.repeat(found);
                self.enter(bytes, next, at.wrapping_add(found.length).min(last));
            }
            at = at.wrapping_add(found.length);
            found = Match::NONE;
        }
        while at < bytes.len() {
            stream.literal(bytes, at);
            at = at.wrapping_add(1);
        }
    }

    /// Takes the places from `from` up to `to` into the chains.
    #[inline]
    fn enter(&mut self, bytes: &[u8], from: usize, to: usize) {
        for at in from..to {
            let Some(word) = read::<4>(bytes, at) else { return };
            self.chain(hash(word), at);
        }
    }

    /// Puts a place in front of its chain; how far behind it the chain goes on, 0 if it does not.
    #[inline(always)]
    fn chain(&mut self, hash: usize, at: usize) -> usize {
        // `compress` bounds both: the sum cannot wrap.
        let place = self.base.wrapping_add(to_u32(at));
        let Some(head) = self.heads.get_mut(hash) else { return 0 };
        let before = core::mem::replace(head, place);
        let distance = place.wrapping_sub(before) as usize;
        // A place of an earlier call is farther away than this one from its start.
        let link = if distance <= WINDOW && distance <= at { distance } else { 0 };
        if let Some(slot) = self.links.get_mut(at % WINDOW) {
            #[expect(clippy::cast_possible_truncation, reason = "at most the window")]
            let short = link as u16;
            *slot = short;
        }
        link
    }

    /// The longest match at `at` that is longer than `least`; enters the place.
    #[inline]
    fn look(&mut self, bytes: &[u8], at: usize, least: usize) -> Match {
        let Some(word) = read::<4>(bytes, at) else { return Match::NONE };
        let mut distance = self.chain(hash(word), at);
        let mut best = Match { length: least, distance: 0 };
        let mut depth = DEPTH;
        // The bytes that a better match must have last.
        let mut end = end_of(bytes, at, best.length);
        while distance != 0 {
            let from = at.wrapping_sub(distance);
            if end_of(bytes, from, best.length) == end {
                let length = common(bytes, from, at);
                if length > best.length {
                    best = Match { length, distance };
                    if length >= NICE {
                        break;
                    }
                    end = end_of(bytes, at, length);
                }
            }
            depth = depth.wrapping_sub(1);
            if depth == 0 {
                break;
            }
            let link = self.links.get(from % WINDOW).copied().unwrap_or_default();
            if link == 0 {
                break;
            }
            distance = distance.wrapping_add(usize::from(link));
            if distance > WINDOW || distance > at {
                break;
            }
        }
        if best.distance == 0 { Match::NONE } else { best }
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

/// A stretch of bytes that was there before; none if its length is 0.
#[derive(Clone, Copy)]
struct Match {
    length: usize,
    distance: usize,
}

impl Match {
    const NONE: Self = Self { length: 0, distance: 0 };
}

/// A number for the first three of four bytes.
#[inline(always)]
fn hash(word: [u8; 4]) -> usize {
    const MULTIPLIER: u32 = 0x9E37_79B1;
    let three = u32::from_le_bytes(word) << 8;
    (three.wrapping_mul(MULTIPLIER) >> (32 - HASH_BITS)) as usize
}

/// The three bytes that end with the one at `length` behind `at`, which is at least 2; none at the
/// very end of the input, where no longer match can be.
#[inline(always)]
fn end_of(bytes: &[u8], at: usize, length: usize) -> Option<u32> {
    let [a, b, c] = read::<3>(bytes, at.wrapping_add(length).wrapping_sub(2))?;
    Some(u32::from_le_bytes([a, b, c, 0]))
}

/// How many bytes are the same from both places on.
#[inline(always)]
fn common(bytes: &[u8], from: usize, at: usize) -> usize {
    let mut length = 0usize;
    loop {
        let (a, b) = (
            read::<8>(bytes, from.wrapping_add(length)),
            read::<8>(bytes, at.wrapping_add(length)),
        );
        let (Some(a), Some(b)) = (a, b) else { break };
        let differ = u64::from_le_bytes(a) ^ u64::from_le_bytes(b);
        if differ != 0 {
            return length.wrapping_add((differ.trailing_zeros() / 8) as usize);
        }
        length = length.wrapping_add(8);
    }
    while let Some(byte) = bytes.get(at.wrapping_add(length)) {
        if bytes.get(from.wrapping_add(length)) != Some(byte) {
            break;
        }
        length = length.wrapping_add(1);
    }
    length
}

/// A stream on its way out. `out` has the room of [`Compressor::bound`], so nothing fails.
struct Stream<'o> {
    out: &'o mut [u8],
    at: usize,
    /// Where the word of the flags stands that are being collected.
    flags_at: usize,
    /// These flags behind a 1, which falls out of the word when it is full.
    flags: u32,
    /// The byte whose high half is free.
    half_at: Option<usize>,
}

impl Stream<'_> {
    #[inline(always)]
    fn flag(&mut self, flag: u32) {
        let full = self.flags >> 31 == 1;
        self.flags = self.flags << 1 | flag;
        if full {
            self.put_at(self.flags_at, self.flags.to_le_bytes());
            self.flags_at = self.at;
            self.at = self.at.wrapping_add(4);
            self.flags = 1;
        }
    }

    #[inline(always)]
    fn literal(&mut self, bytes: &[u8], at: usize) {
        let byte = bytes.get(at).copied().unwrap_or_default();
        self.put([byte]);
        self.flag(0);
    }

    #[inline(always)]
    fn repeat(&mut self, found: Match) {
        let code = to_u32(found.length).wrapping_sub(LEAST_LENGTH);
        let back = to_u32(found.distance).wrapping_sub(1);
        let [low, high, ..] = (back << 3 | code.min(LONG)).to_le_bytes();
        self.put([low, high]);
        if code >= LONG {
            self.longer(code.wrapping_sub(LONG));
        }
        self.flag(1);
    }

    /// What a length has on top of the full code.
    fn longer(&mut self, more: u32) {
        let [half, ..] = more.min(LONGER).to_le_bytes();
        match self.half_at.take() {
            Some(at) => {
                if let Some(byte) = self.out.get_mut(at) {
                    *byte |= half << 4;
                }
            }
            None => {
                self.half_at = Some(self.at);
                self.put([half]);
            }
        }
        let Some(more) = more.checked_sub(LONGER) else { return };
        match u8::try_from(more) {
            Ok(byte) if byte != u8::MAX => self.put([byte]),
            _ => {
                self.put([u8::MAX]);
                let whole = more.wrapping_add(LONGER).wrapping_add(LONG);
                match u16::try_from(whole) {
                    Ok(word) => self.put(word.to_le_bytes()),
                    Err(_) => {
                        self.put([0; 2]);
                        self.put(whole.to_le_bytes());
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.put_at(self.at, bytes);
        self.at = self.at.wrapping_add(N);
    }

    #[inline(always)]
    fn put_at<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        super::write(self.out, at, bytes);
    }

    /// Writes the last flags, ones behind those that are used, and gives the stream's length.
    fn end(self) -> usize {
        let free = self.flags.leading_zeros();
        // `flags` is never 0: the 1 in front of them is still there.
        let ones = (1u64 << free.wrapping_add(1)).wrapping_sub(1);
        let flags = u64::from(self.flags) << free.wrapping_add(1) | ones;
        let [a, b, c, d, ..] = flags.to_le_bytes();
        super::write(self.out, self.flags_at, [a, b, c, d]);
        self.at
    }
}
