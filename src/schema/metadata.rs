//! Schemas that merge tools put into the file: classic records of one provider, each a structure
//! that Windows' `TdhGetEventInformation` returned on the machine of the merge.
//!
//! Opcode 32 is a `TRACE_EVENT_INFO`, opcode 33 the provider's GUID and an `EVENT_MAP_INFO`. All
//! offsets in them, counts and indexes are input: what does not fit makes the record no schema.
//!
//! Source: Microsoft, `tdh.h`; spec/15-schemas.md.

use crate::codec::Utf16;
use crate::format::{EventDescriptor, Guid};
use crate::schema::event::{Event, EventKey, EventNames};
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::{InType, OutType, ValueMap, read::little};
use zerocopy::FromBytes;

/// Provider of the records (`KernelTraceControl-EventMetadata`).
pub(super) const PROVIDER: Guid = Guid::from_u128(0xbbccf6c1_6cd1_48c4_80ff_839482e37671);
/// Opcode of a record that describes an event.
pub(super) const EVENT_INFO: u8 = 32;
/// Opcode of a record that describes a map.
pub(super) const MAP_INFO: u8 = 33;

/// Text that the schema of one record may have: the same bytes can be named any number of times.
const MOST_TEXT: usize = 1 << 18;

const PROPERTIES_AT: usize = 112;
const PROPERTY_BYTES: usize = 24;

/// Flags of a property (`PROPERTY_FLAGS`).
mod flags {
    pub(super) const STRUCT: u64 = 0x01;
    pub(super) const PARAM_LENGTH: u64 = 0x02;
    pub(super) const PARAM_COUNT: u64 = 0x04;
    pub(super) const FIXED_LENGTH: u64 = 0x10;
    pub(super) const FIXED_COUNT: u64 = 0x20;
}

/// Reads a `TRACE_EVENT_INFO`. `map` gives the number of a map by its name.
pub(super) fn event_info(
    info: &[u8],
    map: &mut dyn FnMut(Guid, &str) -> usize,
) -> Option<(EventKey, Event)> {
    let mut info = Info { bytes: info, text: MOST_TEXT };
    let provider = Guid::read_from_bytes(info.bytes.get(..16)?).ok()?;
    let descriptor = EventDescriptor::read_from_bytes(info.bytes.get(32..48)?).ok()?;
    let mut names = EventNames {
        provider: info.text_at(52)?,
        level: info.text_at(56)?,
        channel: info.text_at(60)?,
        keywords: info.list_at(64)?,
        task: info.text_at(68)?,
        opcode: info.text_at(72)?,
        message: info.text_at(76)?,
        event: info.text_at(92)?,
    };
    // The same words name an activity where the schema is not from a manifest.
    const XML_FILE: u64 = 0;
    if info.word(48)? != XML_FILE {
        names.event = None;
    }
    let count = usize::try_from(info.word(100)?).ok()?;
    let top = usize::try_from(info.word(104)?).ok()?;
    let end = count.checked_mul(PROPERTY_BYTES)?.checked_add(PROPERTIES_AT)?;
    if top > count || end > info.bytes.len() {
        return None;
    }
    let mut fields = Vec::with_capacity(count);
    for at in (PROPERTIES_AT..end).step_by(PROPERTY_BYTES) {
        fields.push(info.property(at, count, &mut |name| map(provider, name))?);
    }
    let id = descriptor.id.get();
    follow_frame_count(id, &mut fields);
    let key = EventKey { provider, id, version: descriptor.version };
    Some((key, Event::new(names, Layout::new(fields, top))))
}

/// The stack of the .NET runtime's `CLRStackWalk` is declared with two addresses and has as many
/// as the field before it says: 20,189 of 20,189 observed.
pub(super) fn follow_frame_count(id: u16, fields: &mut [Field]) {
    const CLR_STACK_WALK: u16 = 82;
    let counter = fields.iter().position(|field| &*field.name == "FrameCount");
    if id != CLR_STACK_WALK {
        return;
    }
    if let (Some(counter), Some(last)) = (counter, fields.last_mut()) {
        if &*last.name == "Stack" && last.count == Extent::Fixed(2) {
            last.count = Extent::Field(counter);
        }
    }
}

/// Reads a provider's GUID and an `EVENT_MAP_INFO`: provider, name, map.
pub(super) fn map_info(record: &[u8]) -> Option<(Guid, Box<str>, ValueMap)> {
    const BITS: u64 = 0x02 | 0x10;
    const PATTERN: u64 = 0x04;
    let provider = Guid::read_from_bytes(record.get(..16)?).ok()?;
    let mut info = Info { bytes: record.get(16..)?, text: MOST_TEXT };
    let name = info.text_at(0)??;
    let flags = info.word(4)?;
    let count = usize::try_from(info.word(8)?).ok()?;
    if flags & PATTERN != 0 || count > info.bytes.len() / 8 {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    for index in 0..count {
        let at = index.checked_mul(8)?.checked_add(16)?;
        let text = info.text_at(at)?.unwrap_or_default();
        entries.push((info.word(at.checked_add(4)?)?, text));
    }
    Some((provider, name, ValueMap::new(flags & BITS != 0, entries)))
}

struct Info<'a> {
    bytes: &'a [u8],
    /// Bytes of text that may still be taken.
    text: usize,
}

impl Info<'_> {
    fn word(&self, at: usize) -> Option<u64> {
        Some(little(self.bytes.get(at..at.checked_add(4)?)?))
    }

    fn half(&self, at: usize) -> Option<u64> {
        Some(little(self.bytes.get(at..at.checked_add(2)?)?))
    }

    /// The text whose offset stands at `at`; `None` in it if the offset is 0 or the text empty.
    fn text_at(&mut self, at: usize) -> Option<Option<Box<str>>> {
        let offset = usize::try_from(self.word(at)?).ok()?;
        if offset == 0 {
            return Some(None);
        }
        let (text, _) = self.text(offset)?;
        Some(Some(text).filter(|text| !text.is_empty()))
    }

    /// The texts whose offset stands at `at`, ended by an empty one.
    fn list_at(&mut self, at: usize) -> Option<Vec<Box<str>>> {
        let mut offset = usize::try_from(self.word(at)?).ok()?;
        let mut list = Vec::new();
        while offset != 0 {
            let (text, bytes) = self.text(offset)?;
            if bytes == 0 {
                break;
            }
            list.push(text);
            offset = offset.checked_add(bytes)?.checked_add(2)?;
        }
        Some(list)
    }

    /// Terminated text, without the blanks that stand for a line end, and the bytes it takes.
    fn text(&mut self, offset: usize) -> Option<(Box<str>, usize)> {
        let text = Utf16::terminated(self.bytes.get(offset..)?);
        self.text = self.text.checked_sub(text.0.len())?;
        Some((text.to_string().trim_end().into(), text.0.len()))
    }

    /// An `EVENT_PROPERTY_INFO` of one of `count` properties.
    fn property(
        &mut self,
        at: usize,
        count: usize,
        map: &mut dyn FnMut(&str) -> usize,
    ) -> Option<Field> {
        let flags = self.word(at)?;
        let name = self.text_at(at.checked_add(4)?)?.unwrap_or_default();
        let (in_type, out_type) = (self.half(at.checked_add(8)?)?, self.half(at.checked_add(10)?)?);
        let (in_type, out_type) = (u16::try_from(in_type).ok()?, u16::try_from(out_type).ok()?);
        let kind = if flags & flags::STRUCT != 0 {
            let (first, members) = (usize::from(in_type), usize::from(out_type));
            if first.checked_add(members)? > count {
                return None;
            }
            Kind::Struct { first, count: members }
        } else {
            let map = self.text_at(at.checked_add(12)?)?.map(|name| map(&name));
            let out_type = OutType::from_tdh(out_type);
            Kind::Value { in_type: InType(in_type), out_type, map }
        };
        let index = |value: u64| {
            let index = usize::try_from(value).ok()?;
            (index < count).then_some(Extent::Field(index))
        };
        let (elements, length) = (self.half(at.checked_add(16)?)?, self.half(at.checked_add(18)?)?);
        let fixed = |value: u64| u32::try_from(value).ok().map(Extent::Fixed);
        Some(Field {
            name,
            kind,
            count: match (flags & flags::PARAM_COUNT, elements) {
                (0, 0 | 1) if flags & flags::FIXED_COUNT == 0 => Extent::Own,
                (0, elements) => fixed(elements)?,
                (_, elements) => index(elements)?,
            },
            length: match (flags & flags::PARAM_LENGTH, length) {
                // Older systems state a constant length without the flag.
                (0, 0) if flags & flags::FIXED_LENGTH == 0 => Extent::Own,
                (0, length) => fixed(length)?,
                (_, length) => index(length)?,
            },
            optional: false,
        })
    }
}
