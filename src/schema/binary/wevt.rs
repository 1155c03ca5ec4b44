//! The resource `WEVT_TEMPLATE`: a `CRIM` block with one `WEVT` block for each provider.
//!
//! ```text
//!   CRIM  size, version, n │ n times: GUID, offset of WEVT
//!   WEVT  size, message, n │ n times: type, offset of a block
//!         EVNT TASK OPCO LEVL KEYW CHAN MAPS TTBL PRVA; each: name, size, n, entries
//! ```
//!
//! All offsets are from the start of CRIM. A block is known by its name and not by its type, whose
//! numbers differ between versions.

use super::{Part, Texts};
use crate::codec::Utf16;
use crate::format::Guid;
use crate::schema::event::{Event, EventKey, EventNames};
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::metadata::follow_frame_count;
use crate::schema::read::little;
use crate::schema::take::Take;
use crate::schema::{InType, OutType, SchemaError, ValueMap};
use std::collections::HashMap;
use zerocopy::FromBytes;

/// Fields that the events of one resource may have in all: a template serves any number of events.
const MOST_FIELDS: usize = 1 << 17;
/// Entries of tables that are looked at in one file: a table may be named any number of times. The
/// largest of Windows have some thousands.
const MOST_ENTRIES: usize = 1 << 18;
/// Bytes of names and texts that the events of one resource may have in all.
const MOST_TEXT: usize = 16 << 20;
/// Blocks of a provider; nine kinds are known.
const MOST_BLOCKS: usize = 64;
/// Keywords of an event: there are 64 bits for them.
const MOST_KEYWORDS: usize = 64;

/// No message.
const NONE: u32 = u32::MAX;

/// What the resources of one file may still take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Fields that may still be made.
    fields: usize,
    /// Bytes of text that may still be taken.
    text: usize,
    /// Entries of tables that may still be looked at.
    entries: usize,
}

impl Left {
    pub(super) fn new() -> Self {
        Self { fields: MOST_FIELDS, text: MOST_TEXT, entries: MOST_ENTRIES }
    }
}

/// Reads all providers and says how many events they have.
pub(super) fn read(
    crim: Part<'_>,
    texts: &Texts<'_>,
    left: &mut Left,
    take: &mut dyn Take,
) -> Result<usize, SchemaError> {
    if crim.get(0, 4)? != b"CRIM" {
        return Err(crim.wrong(0, "no CRIM block where WEVT_TEMPLATE starts"));
    }
    let providers = crim.size(12)?;
    let mut wevt = Wevt { crim, texts, left };
    let mut count = 0usize;
    wevt.looked_at(crim, 1)?;
    for at in (0..providers).map(|number| number.saturating_mul(20).saturating_add(16)) {
        wevt.looked_at(crim, 1)?;
        let guid = guid(crim.get(at, 16)?);
        let block = wevt.block(crim.size(at.saturating_add(16))?, b"WEVT")?;
        count = count.saturating_add(wevt.provider(guid, block, take)?);
    }
    Ok(count)
}

fn guid(bytes: &[u8]) -> Guid {
    Guid::read_from_bytes(bytes).unwrap_or_default()
}

struct Wevt<'a, 't> {
    crim: Part<'a>,
    texts: &'t Texts<'a>,
    left: &'t mut Left,
}

/// What the events of a provider refer to.
struct Provider<'p> {
    guid: Guid,
    name: Option<Box<str>>,
    channels: HashMap<u32, Box<str>>,
    /// Number of the map at an offset.
    maps: HashMap<usize, usize>,
    take: &'p mut dyn Take,
}

impl<'a> Wevt<'a, '_> {
    /// The rest of the resource from a block on, which must have this name.
    fn block(&self, at: usize, name: &[u8; 4]) -> Result<Part<'a>, SchemaError> {
        let block = self.crim.from(at)?;
        if block.get(0, 4)? != name {
            let name = String::from_utf8_lossy(name);
            return Err(block.wrong(0, &format!("no {name} block where one should start")));
        }
        Ok(block)
    }

    fn provider(
        &mut self,
        guid: Guid,
        block: Part<'a>,
        take: &mut dyn Take,
    ) -> Result<usize, SchemaError> {
        let count = block.size(12)?;
        if count > MOST_BLOCKS {
            return Err(block.wrong(12, "too many blocks"));
        }
        let mut blocks: HashMap<[u8; 4], Part<'a>> = HashMap::new();
        for at in (0..count).map(|number| number.saturating_mul(8).saturating_add(20)) {
            let at = block.size(at)?;
            if at != 0 {
                let own = self.crim.from(at)?;
                if let Ok(name) = own.get(0, 4)?.try_into() {
                    blocks.insert(name, own);
                }
            }
        }
        let mut provider =
            Provider { guid, name: None, channels: HashMap::new(), maps: HashMap::new(), take };
        if let Some(block) = blocks.get(b"PRVA") {
            provider.name = self.provider_name(*block)?;
        }
        if let Some(block) = blocks.get(b"CHAN") {
            let entries = entries(*block, 12, 16)?;
            self.looked_at(*block, entries.len())?;
            for entry in entries {
                if let Some(name) = self.named(entry, 12, 4)? {
                    provider.channels.insert(entry.word(0)?, name);
                }
            }
        }
        if let Some(block) = blocks.get(b"MAPS") {
            let entries = entries(*block, 12, 4)?;
            self.looked_at(*block, entries.len())?;
            for entry in entries {
                self.map(entry.size(0)?, &mut provider)?;
            }
        }
        let Some(block) = blocks.get(b"EVNT") else { return Ok(0) };
        let events = entries(*block, 16, 48)?;
        self.looked_at(*block, events.len())?;
        for entry in &events {
            let (key, event) = self.event(*entry, &mut provider)?;
            provider.take.event(key, event);
        }
        Ok(events.len())
    }

    /// The attribute of the provider that is its name.
    fn provider_name(&mut self, block: Part<'a>) -> Result<Option<Box<str>>, SchemaError> {
        const PROVIDER_NAME: u32 = 0x1000_0001;
        let entries = entries(block, 12, 8)?;
        self.looked_at(block, entries.len())?;
        for entry in entries {
            if entry.word(0)? == PROVIDER_NAME {
                let text = self.crim.from(entry.size(4)?)?;
                let text = Utf16::terminated(text.bytes);
                return self.spent(block, text.to_string()).map(Some);
            }
        }
        Ok(None)
    }

    /// Pays for entries of a table.
    fn looked_at(&mut self, part: Part<'_>, entries: usize) -> Result<(), SchemaError> {
        let left = self.left.entries.checked_sub(entries);
        self.left.entries = left.ok_or_else(|| part.wrong(0, "too many entries of tables"))?;
        Ok(())
    }

    /// Pays for a text.
    fn spent(&mut self, part: Part<'_>, text: String) -> Result<Box<str>, SchemaError> {
        let left = self.left.text.checked_sub(text.len());
        self.left.text = left.ok_or_else(|| part.wrong(0, "too much text"))?;
        Ok(text.into())
    }

    /// A name: its size, itself included, and UTF-16.
    fn name(&mut self, at: usize) -> Result<Box<str>, SchemaError> {
        let block = self.crim.from(at)?;
        let size = block.size(0)?;
        if size < 4 {
            return Err(block.wrong(0, "a name that is smaller than its own size"));
        }
        let text = Utf16::terminated(block.get(4, size.saturating_sub(4))?);
        self.spent(block, text.to_string())
    }

    /// The text of a message.
    fn message(&mut self, part: Part<'_>, number: u32) -> Result<Option<Box<str>>, SchemaError> {
        match self.texts.get(number).filter(|_| number != NONE) {
            Some(text) => self.spent(part, text).map(Some),
            None => Ok(None),
        }
    }

    /// What an entry calls itself: the text of the message at `message`, or the name at `name`.
    fn named(
        &mut self,
        entry: Part<'_>,
        message: usize,
        name: usize,
    ) -> Result<Option<Box<str>>, SchemaError> {
        let text = self.message(entry, entry.word(message)?)?;
        match entry.size(name)? {
            0 => Ok(text),
            name if text.is_none() => self.name(name).map(Some),
            _ => Ok(text),
        }
    }

    /// A map at an offset.
    fn map(&mut self, at: usize, provider: &mut Provider<'_>) -> Result<(), SchemaError> {
        let block = self.crim.from(at)?;
        let bits = match block.get(0, 4)? {
            b"VMAP" => false,
            b"BMAP" => true,
            _ => return Err(block.wrong(0, "no VMAP or BMAP block where a map should start")),
        };
        let (size, name) = (block.size(4)?, block.size(8)?);
        // Older resources lack the word before the count.
        let older = block.size(12)?.checked_mul(8).and_then(|bytes| bytes.checked_add(16));
        let counted_at = if older == Some(size) { 12 } else { 16usize };
        let mut names = Vec::new();
        let entries = entries_at(block, counted_at, counted_at.saturating_add(4), 8)?;
        self.looked_at(block, entries.len())?;
        for entry in entries {
            if let Some(text) = self.message(entry, entry.word(4)?)? {
                names.push((u64::from(entry.word(0)?), text));
            }
        }
        let name = match name {
            0 => format!("@{at}").into(),
            name => self.name(name)?,
        };
        provider.take.map(provider.guid, &name, ValueMap::new(bits, names));
        provider.maps.insert(at, provider.take.map_number(provider.guid, &name));
        Ok(())
    }

    fn event(
        &mut self,
        entry: Part<'a>,
        provider: &mut Provider<'_>,
    ) -> Result<(EventKey, Event), SchemaError> {
        let id = entry.half(0)?;
        let [version, channel, level, opcode] = *entry.get(2, 4)? else {
            return Err(entry.wrong(2, "breaks off"));
        };
        // An entry of a table, if there is one: where its message and its name stand in it.
        let mut named = |at: usize, message: usize, name: usize| match entry.size(at)? {
            0 => Ok(None),
            offset => self.named(self.crim.from(offset)?, message, name),
        };
        let mut names = EventNames {
            provider: provider.name.clone(),
            event: None,
            task: named(32, 4, 24)?,
            opcode: named(24, 4, 8)?.or_else(|| known(&OPCODES, opcode)),
            level: named(28, 4, 8)?.or_else(|| known(&LEVELS, level)),
            channel: provider.channels.get(&u32::from(channel)).cloned(),
            keywords: Vec::new(),
            message: None,
        };
        let keywords = entry.size(36)?;
        if keywords > MOST_KEYWORDS {
            return Err(entry.wrong(36, "too many keywords"));
        }
        let list = entry.size(40)?;
        for number in 0..keywords {
            let at = self.crim.size(list.saturating_add(number.saturating_mul(4)))?;
            let keyword = self.named(self.crim.from(at)?, 8, 12)?;
            names.keywords.extend(keyword);
        }
        names.message = self.message(entry, entry.word(16)?)?;
        let template = entry.size(20)?;
        let (mut fields, top) = match template {
            0 => (Vec::new(), 0),
            at => self.template(at, provider)?,
        };
        follow_frame_count(id, &mut fields);
        let key = EventKey { provider: provider.guid, id, version };
        Ok((key, Event::new(names, Layout::new(fields, top))))
    }

    /// The fields of a template, and how many of them are no members.
    fn template(
        &mut self,
        at: usize,
        provider: &Provider<'_>,
    ) -> Result<(Vec<Field>, usize), SchemaError> {
        let block = self.block(at, b"TEMP")?;
        let (top, count) = (block.size(8)?, block.size(12)?);
        if top > count {
            return Err(block.wrong(8, "more fields than there are"));
        }
        let left = self.left.fields.checked_sub(count);
        self.left.fields = left.ok_or_else(|| block.wrong(12, "too many fields"))?;
        let items = self.crim.from(block.size(16)?)?;
        let mut fields = Vec::new();
        for number in 0..count {
            let item = items.part(number.saturating_mul(20), 20)?;
            fields.push(self.field(item, count, provider)?);
        }
        Ok((fields, top))
    }

    /// One item of a template that has `count` of them.
    fn field(
        &mut self,
        item: Part<'a>,
        count: usize,
        provider: &Provider<'_>,
    ) -> Result<Field, SchemaError> {
        const STRUCT: u32 = 0x01;
        const LENGTH_ITEM: u32 = 0x04;
        const COUNT: u32 = 0x08;
        const COUNT_ITEM: u32 = 0x10;
        let flags = item.word(0)?;
        let name = match item.size(16)? {
            0 => Box::default(),
            at => self.name(at)?,
        };
        let kind = if flags & STRUCT != 0 {
            let (first, members) = (usize::from(item.half(4)?), usize::from(item.half(6)?));
            if first.saturating_add(members) > count {
                return Err(item.wrong(4, "more members than there are fields"));
            }
            Kind::Struct { first, count: members }
        } else {
            let types = item.get(4, 2)?;
            let (in_type, out_type) = types.split_at(1);
            let byte = |bytes| u16::try_from(little(bytes)).unwrap_or_default();
            Kind::Value {
                in_type: InType(byte(in_type)),
                out_type: OutType::from_tdh(byte(out_type)),
                map: provider.maps.get(&item.size(8)?).copied(),
            }
        };
        let other = |at: usize| {
            let index = usize::from(item.half(at)?);
            match index < count {
                true => Ok(Extent::Field(index)),
                false => Err(item.wrong(at, "a field that refers to none")),
            }
        };
        let (elements, length) = (u32::from(item.half(12)?), u32::from(item.half(14)?));
        Ok(Field {
            name,
            kind,
            count: match flags {
                flags if flags & COUNT_ITEM != 0 => other(12)?,
                flags if flags & COUNT != 0 => Extent::Fixed(elements),
                _ => Extent::Own,
            },
            length: match length {
                _ if flags & LENGTH_ITEM != 0 => other(14)?,
                0 => Extent::Own,
                length => Extent::Fixed(length),
            },
            optional: false,
        })
    }
}

/// The entries of a block whose count stands at 8.
fn entries<'a>(block: Part<'a>, start: usize, bytes: usize) -> Result<Vec<Part<'a>>, SchemaError> {
    entries_at(block, 8, start, bytes)
}

fn entries_at<'a>(
    block: Part<'a>,
    counted_at: usize,
    start: usize,
    bytes: usize,
) -> Result<Vec<Part<'a>>, SchemaError> {
    let count = block.size(counted_at)?;
    let all = block.part(start, count.saturating_mul(bytes))?;
    (0..count).map(|number| all.part(number.saturating_mul(bytes), bytes)).collect()
}

/// Opcodes that every provider has.
const OPCODES: [(u8, &str); 10] = [
    (1, "win:Start"),
    (2, "win:Stop"),
    (3, "win:DC_Start"),
    (4, "win:DC_Stop"),
    (5, "win:Extension"),
    (6, "win:Reply"),
    (7, "win:Resume"),
    (8, "win:Suspend"),
    (9, "win:Send"),
    (240, "win:Receive"),
];

/// Levels that every provider has.
const LEVELS: [(u8, &str); 5] = [
    (1, "win:Critical"),
    (2, "win:Error"),
    (3, "win:Warning"),
    (4, "win:Informational"),
    (5, "win:Verbose"),
];

fn known(names: &[(u8, &str)], number: u8) -> Option<Box<str>> {
    names.iter().find(|(own, _)| *own == number).map(|(_, name)| Box::from(*name))
}
