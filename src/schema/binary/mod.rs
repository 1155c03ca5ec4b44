//! Compiled manifests: the resource `WEVT_TEMPLATE` of a DLL or program, and the texts that it
//! refers to, from the message table of the same file or of the `.mui` file beside it.
//!
//! ```text
//!   pe      file ─► resource directory ─► WEVT_TEMPLATE, message table
//!   wevt    CRIM ─► WEVT: a provider ─► EVNT events, TTBL templates, MAPS, names
//!   texts   number ─► text
//! ```
//!
//! Everything is input: sizes, offsets, counts. What cannot be followed is an error with its place,
//! and no table is walked more often than the file's size explains.
//!
//! Source: Microsoft, "PE Format" and `MESSAGE_RESOURCE_DATA`; libfwevt's description of
//! `WEVT_TEMPLATE` with the corrections in spec/15-schemas.md.

mod pe;
mod texts;
mod wevt;

use crate::schema::SchemaError;
use crate::schema::read::little;
use crate::schema::take::Take;
use texts::Texts;

/// Reads all compiled manifests of `file` and says how many events they have. Texts are looked up
/// in `other` where the file has none.
pub(super) fn read(
    file: &[u8],
    other: Option<&[u8]>,
    take: &mut dyn Take,
) -> Result<usize, SchemaError> {
    let resources = pe::resources(file)?;
    let mut texts = Texts::of(&resources.messages)?;
    if let Some(other) = other {
        texts.add(&pe::resources(other)?.messages)?;
    }
    let mut left = wevt::Left::new();
    let mut count = 0usize;
    for template in &resources.templates {
        count = count.saturating_add(wevt::read(*template, &texts, &mut left, take)?);
    }
    Ok(count)
}

/// A part of a file that knows its place in it.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    bytes: &'a [u8],
    /// Of the first byte, in the file.
    position: u64,
}

impl<'a> Part<'a> {
    /// `count` bytes from `at`.
    fn get(self, at: usize, count: usize) -> Result<&'a [u8], SchemaError> {
        let end = at.checked_add(count);
        let own = end.and_then(|end| self.bytes.get(at..end));
        own.ok_or_else(|| self.wrong(at, "breaks off"))
    }

    /// What lies from `at` to the end.
    fn from(self, at: usize) -> Result<Self, SchemaError> {
        let bytes = self.bytes.get(at..).ok_or_else(|| self.wrong(at, "breaks off"))?;
        Ok(Self { bytes, position: self.place(at) })
    }

    /// `count` bytes from `at` as a part of their own.
    fn part(self, at: usize, count: usize) -> Result<Self, SchemaError> {
        Ok(Self { bytes: self.get(at, count)?, position: self.place(at) })
    }

    fn half(self, at: usize) -> Result<u16, SchemaError> {
        Ok(u16::try_from(little(self.get(at, 2)?)).unwrap_or_default())
    }

    fn word(self, at: usize) -> Result<u32, SchemaError> {
        Ok(u32::try_from(little(self.get(at, 4)?)).unwrap_or_default())
    }

    /// A word that is a size, a count or an offset.
    fn size(self, at: usize) -> Result<usize, SchemaError> {
        usize::try_from(self.word(at)?).map_err(|_| self.wrong(at, "a size beyond all memory"))
    }

    fn place(self, at: usize) -> u64 {
        self.position.saturating_add(at as u64)
    }

    #[cold]
    fn wrong(self, at: usize, reason: &str) -> SchemaError {
        SchemaError { position: self.place(at), reason: reason.into() }
    }
}
