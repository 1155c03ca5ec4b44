//! The resources of a PE file, as far as compiled manifests need them.
//!
//! ```text
//!   0x3C ─► "PE" 0 0 │ COFF header, 20 bytes │ optional header │ section table, 40 bytes each
//!                      +2 sections, +16 size    directory 2 = resources
//!   resources: table of types ─► table of names ─► table of languages ─► address and size
//!   table: 16 bytes, counts of named and numbered entries at 12 and 14; entries of 8 bytes
//! ```

use super::Part;
use crate::codec::Utf16;
use crate::schema::SchemaError;

/// Entries of resource directories that are looked at: real files have some thousands, and the
/// same table can be entered from any number of others.
const MOST_ENTRIES: usize = 1 << 16;

const MESSAGE_TABLE: u32 = 11;
/// American English and no language at all; then any.
const LANGUAGES: [u32; 2] = [0x409, 0];

/// The resources that are wanted.
#[derive(Debug, Default)]
pub(super) struct Resources<'a> {
    /// `WEVT_TEMPLATE`.
    pub(super) templates: Vec<Part<'a>>,
    /// Message tables of the best language that the file has.
    pub(super) messages: Vec<Part<'a>>,
}

/// Finds the resources of a file; a file without any has none of these either.
pub(super) fn resources(file: &[u8]) -> Result<Resources<'_>, SchemaError> {
    let file = Part { bytes: file, position: 0 };
    let Some(image) = Image::of(file)? else { return Ok(Resources::default()) };
    let mut found = Resources::default();
    let mut messages = Vec::new();
    let mut left = MOST_ENTRIES;
    for (kind, at) in image.entries(0, &mut left)? {
        let Some(at) = subdirectory(at) else { continue };
        let templates = match kind {
            Name::Number(MESSAGE_TABLE) => false,
            Name::Text(text) if image.is_named(text, "WEVT_TEMPLATE") => true,
            _ => continue,
        };
        for (_, at) in image.entries(at, &mut left)? {
            let Some(at) = subdirectory(at) else { continue };
            for (language, at) in image.entries(at, &mut left)? {
                let part = image.data(at)?;
                match (templates, language) {
                    (true, _) => found.templates.push(part),
                    (false, Name::Number(language)) => messages.push((language, part)),
                    (false, Name::Text(_)) => {}
                }
            }
        }
    }
    let known = |language: &&u32| messages.iter().any(|(own, _)| own == *language);
    let best = LANGUAGES.iter().find(known).copied();
    let best = best.or(messages.first().map(|(language, _)| *language));
    let own = messages.into_iter().filter(|(language, _)| Some(*language) == best);
    found.messages = own.map(|(_, part)| part).collect();
    Ok(found)
}

/// An entry's name: a number, or an offset of text.
#[derive(Clone, Copy, Debug)]
enum Name {
    Number(u32),
    Text(usize),
}

const HIGH: u32 = 1 << 31;

/// Where an entry's table lies, if it has one.
fn subdirectory(at: u32) -> Option<usize> {
    usize::try_from(at & !HIGH).ok().filter(|_| at & HIGH != 0)
}

/// A file whose headers have been read.
struct Image<'a> {
    file: Part<'a>,
    /// The section table.
    sections: Part<'a>,
    /// From the start of the resources to the end of the file.
    resources: Part<'a>,
}

impl<'a> Image<'a> {
    /// Reads the headers; `None` if there are no resources.
    fn of(file: Part<'a>) -> Result<Option<Self>, SchemaError> {
        const SECTION: usize = 40;
        if file.bytes.get(..2) != Some(b"MZ") {
            return Err(file.wrong(0, "is no DLL or program"));
        }
        let header = file.from(file.size(0x3C)?)?;
        if header.get(0, 4)? != b"PE\0\0" {
            return Err(header.wrong(0, "is no PE file"));
        }
        let (sections, optional) = (usize::from(header.half(6)?), usize::from(header.half(20)?));
        let directories = match header.half(24)? {
            0x10B => 24usize.saturating_add(96),
            0x20B => 24usize.saturating_add(112),
            _ => return Err(header.wrong(24, "is a PE file of an unknown kind")),
        };
        let count = header.word(directories.saturating_sub(4))?;
        let resources = directories.saturating_add(16);
        if count < 3 || header.word(resources)? == 0 {
            return Ok(None);
        }
        let table = header.part(optional.saturating_add(24), sections.saturating_mul(SECTION))?;
        let mut image = Self { file, sections: table, resources: file };
        image.resources = image.at_address(header.word(resources)?, header.place(resources))?;
        Ok(Some(image))
    }

    /// What lies at an address of the loaded program; `position` is where that was read.
    fn at_address(&self, address: u32, position: u64) -> Result<Part<'a>, SchemaError> {
        const SECTION: usize = 40;
        for at in (0..self.sections.bytes.len()).step_by(SECTION) {
            let section = self.sections.from(at)?;
            let (virtual_size, start) = (section.word(8)?, section.word(12)?);
            let (raw_size, raw) = (section.word(16)?, section.size(20)?);
            let inside = address.checked_sub(start);
            if let Some(inside) = inside.filter(|at| *at < virtual_size.max(raw_size)) {
                let inside = usize::try_from(inside).unwrap_or(usize::MAX);
                return self.file.from(raw.saturating_add(inside));
            }
        }
        Err(SchemaError { position, reason: "an address that is in no section".into() })
    }

    /// The entries of a table: name, and where it leads.
    fn entries(&self, at: usize, left: &mut usize) -> Result<Vec<(Name, u32)>, SchemaError> {
        let table = self.resources.from(at)?;
        let count = usize::from(table.half(12)?).saturating_add(usize::from(table.half(14)?));
        *left = left.checked_sub(count).ok_or_else(|| table.wrong(12, "too many resources"))?;
        let entries = table.part(16, count.saturating_mul(8))?;
        (0..count)
            .map(|entry| {
                let entry = entries.from(entry.saturating_mul(8))?;
                let name = entry.word(0)?;
                let name = subdirectory(name).map_or(Name::Number(name), Name::Text);
                Ok((name, entry.word(4)?))
            })
            .collect()
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        let Ok(units) = self.resources.half(at) else { return false };
        let (at, size) = (at.saturating_add(2), usize::from(units).saturating_mul(2));
        let text = self.resources.get(at, size);
        usize::from(units) == name.len()
            && text.is_ok_and(|text| Utf16(text).chars().eq(name.chars()))
    }

    /// The bytes of a resource.
    fn data(&self, at: u32) -> Result<Part<'a>, SchemaError> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let (address, size) =
            (self.resources.word(at)?, self.resources.size(at.saturating_add(4))?);
        self.at_address(address, self.resources.place(at))?.part(0, size)
    }
}
