//! The GUID that a provider's name stands for.
//!
//! ```text
//!   SHA-1( 482c2db2-c390-47c8-87f8-1a15bfc130fb, most significant byte first
//!        | the name in capitals, UTF-16, most significant byte first )
//!   its first 16 bytes, of which the eighth gets version 5, are the GUID's as a record has them
//! ```
//!
//! So whoever knows a provider's name can enable it. Source: Microsoft, "TraceLogging", and .NET's
//! `EventSource`, which name their providers so; the providers of Windows that follow it are the
//! test.

use crate::format::Guid;

/// What all such names are in, as RFC 4122 has it.
const NAMESPACE: [u8; 16] = [
    0x48, 0x2C, 0x2D, 0xB2, 0xC3, 0x90, 0x47, 0xC8, 0x87, 0xF8, 0x1A, 0x15, 0xBF, 0xC1, 0x30, 0xFB,
];

/// The GUID of a provider of this name. Lower and upper case are the same; letters whose capital
/// form is several letters stay as they are.
#[must_use]
pub fn guid_of_name(name: &str) -> Guid {
    let mut hash = Sha1::of_namespace();
    for letter in name.chars() {
        let mut capitals = letter.to_uppercase();
        let capital = match (capitals.next(), capitals.next()) {
            (Some(capital), None) => capital,
            _ => letter,
        };
        for unit in capital.encode_utf16(&mut [0; 2]) {
            hash = hash.unit(*unit);
        }
    }
    hash.guid()
}

/// [`guid_of_name`], when the program is compiled.
///
/// # Panics
///
/// If the name has letters beyond ASCII: give such a provider its GUID.
#[must_use]
pub const fn guid_of_ascii_name(name: &str) -> Guid {
    let bytes = name.as_bytes();
    let mut hash = Sha1::of_namespace();
    let mut at = 0;
    while at < bytes.len() {
        assert!(bytes[at].is_ascii(), "the GUID of a name beyond ASCII has to be given");
        hash = hash.unit(bytes[at].to_ascii_uppercase() as u16);
        at += 1;
    }
    hash.guid()
}

/// SHA-1 (FIPS 180-4) of what was pushed so far. For names only: nothing here is a secret.
#[derive(Clone, Copy)]
struct Sha1 {
    state: [u32; 5],
    block: [u8; 64],
    len: u64,
}

impl Sha1 {
    const fn of_namespace() -> Self {
        let mut hash = Self {
            state: [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0],
            block: [0; 64],
            len: 0,
        };
        let mut at = 0;
        while at < NAMESPACE.len() {
            hash = hash.push(NAMESPACE[at]);
            at += 1;
        }
        hash
    }

    const fn unit(self, unit: u16) -> Self {
        let [low, high] = unit.to_le_bytes();
        self.push(high).push(low)
    }

    const fn push(mut self, byte: u8) -> Self {
        let at = (self.len % 64) as usize;
        self.block[at] = byte;
        self.len += 1;
        if at == 63 { self.compress() } else { self }
    }

    const fn guid(self) -> Guid {
        let bits = (self.len * 8).to_le_bytes();
        let mut hash = self.push(0x80);
        while hash.len % 64 != 56 {
            hash = hash.push(0);
        }
        let mut at = bits.len();
        while at > 0 {
            at -= 1;
            hash = hash.push(bits[at]);
        }
        let mut guid = [0; 16];
        while at < 16 {
            guid[at] = hash.state[at / 4].to_le_bytes()[3 - at % 4];
            at += 1;
        }
        guid[7] = guid[7] & 0x0F | 0x50;
        Guid(guid)
    }

    const fn compress(mut self) -> Self {
        let mut words = [0u32; 80];
        let mut at = 0;
        while at < 80 {
            words[at] = if at < 16 {
                let mut word = 0;
                let mut byte = 0;
                while byte < 4 {
                    word = word << 8 | self.block[4 * at + byte] as u32;
                    byte += 1;
                }
                word
            } else {
                let word = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
                word.rotate_left(1)
            };
            at += 1;
        }
        let [mut a, mut b, mut c, mut d, mut e] = self.state;
        at = 0;
        while at < 80 {
            let (mixed, constant) = match at {
                0..20 => (b & c | !b & d, 0x5A82_7999u32),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => (b & c | b & d | c & d, 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(words[at]);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
            at += 1;
        }
        let sums = [a, b, c, d, e];
        at = 0;
        while at < 5 {
            self.state[at] = self.state[at].wrapping_add(sums[at]);
            at += 1;
        }
        self
    }
}
