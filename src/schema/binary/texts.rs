//! Texts of a message table: blocks of numbers, each with a run of entries.
//!
//! ```text
//!   u32 blocks │ block: u32 first number, u32 last number, u32 offset of the first entry
//!   entry: u16 size with these four bytes, u16 flags (1: UTF-16), text, NULs
//! ```

use super::Part;
use crate::codec::Utf16;
use crate::schema::{SchemaError, Text};
use std::collections::HashMap;

/// Texts that a file may have; the largest of Windows have some ten thousand.
const MOST_TEXTS: usize = 1 << 18;
/// Bytes of a text that is used.
const MOST_BYTES: usize = 1 << 14;

/// Texts by their number.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    by_number: HashMap<u32, (bool, &'a [u8])>,
}

impl<'a> Texts<'a> {
    /// The texts of all these tables.
    pub(super) fn of(tables: &[Part<'a>]) -> Result<Self, SchemaError> {
        let mut texts = Self::default();
        texts.add(tables)?;
        Ok(texts)
    }

    /// Takes in more tables; the first text of a number holds.
    pub(super) fn add(&mut self, tables: &[Part<'a>]) -> Result<(), SchemaError> {
        let mut left = MOST_TEXTS;
        for table in tables {
            let blocks = table.size(0)?;
            for block in 0..blocks {
                let block = table.from(block.saturating_mul(12).saturating_add(4))?;
                let (first, last) = (block.word(0)?, block.word(4)?);
                let mut at = block.size(8)?;
                for number in first..=last {
                    left = left.checked_sub(1).ok_or_else(|| block.wrong(0, "too many texts"))?;
                    let entry = table.from(at)?;
                    let size = usize::from(entry.half(0)?);
                    if size < 4 {
                        return Err(entry.wrong(0, "a text that is smaller than its own head"));
                    }
                    let wide = entry.half(2)? & 1 != 0;
                    let text = entry.part(4, size.saturating_sub(4))?.bytes;
                    self.by_number.entry(number).or_insert((wide, text));
                    at = at.saturating_add(size);
                }
            }
        }
        Ok(())
    }

    /// A text without the line end behind it.
    pub(super) fn get(&self, number: u32) -> Option<String> {
        let (wide, bytes) = self.by_number.get(&number)?;
        let bytes = bytes.get(..bytes.len().min(MOST_BYTES)).unwrap_or_default();
        let text = if *wide {
            Text::Wide(Utf16::terminated(bytes))
        } else {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            Text::of(bytes.get(..end).unwrap_or_default())
        };
        let text = text.to_string();
        Some(text.trim_end().to_owned())
    }
}
