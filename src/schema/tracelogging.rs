//! TraceLogging: events that carry their own schema in an extended item.
//!
//! ```text
//!   provider traits   size u16 | name NUL | trait: size u16, type u8, data | ...
//!   event schema      size u16 | tag | name NUL | field | field | ...
//!   tag               7 bits in each byte, the first ones first; bit 7: one more byte
//!   field             name NUL | in u8 | [out u8] | [tag] | [count u16] | [type info]
//!                                |      '- only if in bit 7 is set; its bit 7: a tag follows
//!                                '- bits 0-4 type; 0x20 constant count, 0x40 count in the payload,
//!                                   0x60 type info: u16 and that many bytes
//! ```
//!
//! A structure (type 24) has no data; its out-type is the number of fields behind it that are its
//! members. Nothing is kept: schema and payload are walked together, and an array of structures
//! walks its members' part of the schema again for each element.
//!
//! Source: spec/15-schemas.md.

use crate::format::Guid;
use crate::schema::walk::{MOST_DEPTH, Shape, Visitor, Walk};
use crate::schema::{DecodeFault, InType, OutType, Walked, read::Spec};
use std::borrow::Cow;
use zerocopy::FromBytes;

/// Traits of a provider (extended item `PROV_TRAITS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTraits<'a> {
    name: &'a [u8],
    traits: &'a [u8],
}

impl<'a> ProviderTraits<'a> {
    /// Reads the data of the item. Bytes behind the size it states do not belong to it.
    #[must_use]
    pub fn parse(item: &'a [u8]) -> Option<Self> {
        let mut bytes = sized(item)?;
        Some(Self { name: terminated(&mut bytes)?, traits: bytes })
    }

    /// The provider's name.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name)
    }

    /// The group that the provider belongs to.
    #[must_use]
    pub fn group(&self) -> Option<Guid> {
        const GROUP: u8 = 1;
        let mut rest = self.traits;
        while let &[low, high, kind, ..] = rest {
            let size = usize::from(u16::from_le_bytes([low, high]));
            let own = rest.get(3..size)?;
            if kind == GROUP {
                return Guid::read_from_bytes(own).ok();
            }
            rest = rest.get(size..)?;
        }
        None
    }
}

/// Schema of an event (extended item `EVENT_SCHEMA_TL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSchema<'a> {
    tag: u32,
    name: &'a [u8],
    fields: &'a [u8],
}

impl<'a> EventSchema<'a> {
    /// Reads the data of the item up to the first field.
    #[must_use]
    pub fn parse(item: &'a [u8]) -> Option<Self> {
        let mut bytes = sized(item)?;
        let tag = tag(&mut bytes)?;
        Some(Self { tag, name: terminated(&mut bytes)?, fields: bytes })
    }

    /// The event's tag: 28 bits of the provider's own meaning, 0 for none.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.name)
    }

    /// Shows the fields that `payload` holds; `pointer` is the width of the writer's pointers, 4
    /// or 8.
    pub fn walk<'p>(
        &self,
        payload: &'p [u8],
        pointer: usize,
        visitor: &mut impl Visitor,
    ) -> Walked<'p> {
        let mut walk = Walk::new(payload, pointer, visitor);
        let mut schema = self.fields;
        let mut result = Ok(());
        while result.is_ok() && !schema.is_empty() {
            result = field(&mut walk, &mut schema, 0);
        }
        walk.finish(result)
    }
}

/// One field of a schema, without the payload.
#[derive(Clone, Copy, Debug)]
struct Head<'a> {
    name: &'a [u8],
    in_type: u8,
    out_type: u8,
    count: Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// No array.
    One,
    Constant(u16),
    /// In the payload, before the elements.
    Variable,
    /// One value in an encoding of its own, counted in the payload.
    Custom,
}

const TYPE: u8 = 0x1F;
const COUNT: u8 = 0x60;
const CONSTANT: u8 = 0x20;
const VARIABLE: u8 = 0x40;
const CHAIN: u8 = 0x80;
const STRUCT: u8 = 24;

fn head<'a>(schema: &mut &'a [u8]) -> Option<Head<'a>> {
    let name = terminated(schema)?;
    let in_type = byte(schema)?;
    let mut out_type = 0;
    if in_type & CHAIN != 0 {
        out_type = byte(schema)?;
        if out_type & CHAIN != 0 {
            tag(schema)?;
        }
    }
    let count = match in_type & COUNT {
        0 => Count::One,
        CONSTANT => Count::Constant(word(schema)?),
        VARIABLE => Count::Variable,
        _ => {
            let info = usize::from(word(schema)?);
            *schema = schema.get(info..)?;
            Count::Custom
        }
    };
    Some(Head { name, in_type: in_type & TYPE, out_type: out_type & !CHAIN, count })
}

/// Shows one field with all its elements and members.
fn field<V: Visitor>(
    walk: &mut Walk<'_, '_, V>,
    schema: &mut &[u8],
    depth: usize,
) -> Result<(), DecodeFault> {
    let head = head(schema).ok_or(DecodeFault::Schema)?;
    let name = String::from_utf8_lossy(head.name);
    let count = match head.count {
        Count::One => return element(walk, schema, head, &name, depth),
        Count::Custom => {
            let spec = spec(InType::COUNTED_BINARY, OutType::Default);
            return walk.value(&name, spec).map(drop);
        }
        Count::Constant(count) => count,
        Count::Variable => {
            let count = walk.read(spec(InType::UINT16, OutType::Default))?.to_count();
            count.and_then(|count| u16::try_from(count).ok()).unwrap_or_default()
        }
    };
    let (in_type, out_type) = types(head);
    if let Some(text) = walk.characters(&name, u64::from(count), in_type, out_type) {
        return text;
    }
    walk.spend(&name)?;
    walk.visitor.begin(&name, Shape::Array);
    let members = *schema;
    let mut result = Ok(());
    if count == 0 && head.in_type == STRUCT {
        result = pass_over(schema, head.out_type);
    }
    for _ in 0..count {
        *schema = members;
        result = element(walk, schema, head, "", depth);
        if result.is_err() {
            break;
        }
    }
    walk.visitor.end(Shape::Array);
    result
}

fn element<V: Visitor>(
    walk: &mut Walk<'_, '_, V>,
    schema: &mut &[u8],
    head: Head<'_>,
    name: &str,
    depth: usize,
) -> Result<(), DecodeFault> {
    if head.in_type != STRUCT {
        let (in_type, out_type) = types(head);
        return walk.value(name, spec(in_type, out_type)).map(drop);
    }
    if depth >= MOST_DEPTH {
        return Err(DecodeFault::Depth);
    }
    walk.spend(name)?;
    walk.visitor.begin(name, Shape::Struct);
    let mut result = Ok(());
    for _ in 0..head.out_type {
        result = field(walk, schema, depth.saturating_add(1));
        if result.is_err() {
            break;
        }
    }
    walk.visitor.end(Shape::Struct);
    result
}

fn types(head: Head<'_>) -> (InType, OutType) {
    let in_type = match head.in_type {
        14 => InType::COUNTED_BINARY,
        other => InType(u16::from(other)),
    };
    (in_type, OutType::from_tracelogging(head.out_type))
}

/// Steps over so many fields and their members.
fn pass_over(schema: &mut &[u8], fields: u8) -> Result<(), DecodeFault> {
    let mut left = u64::from(fields);
    while let Some(fewer) = left.checked_sub(1) {
        let head = head(schema).ok_or(DecodeFault::Schema)?;
        let members = if head.in_type == STRUCT { head.out_type } else { 0 };
        left = fewer.saturating_add(u64::from(members));
    }
    Ok(())
}

fn spec(in_type: InType, out_type: OutType) -> Spec {
    Spec { in_type, out_type, length: None }
}

/// What lies between the size at the start, which counts itself, and the end it states.
fn sized(item: &[u8]) -> Option<&[u8]> {
    let size = usize::from(u16::from_le_bytes(*item.first_chunk()?));
    item.get(2..size)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

fn word(bytes: &mut &[u8]) -> Option<u16> {
    let (word, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u16::from_le_bytes(*word))
}

/// Bytes up to a NUL, which is stepped over.
fn terminated<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *bytes;
    let end = all.iter().position(|byte| *byte == 0)?;
    *bytes = all.get(end.saturating_add(1)..)?;
    all.get(..end)
}

/// A number of 28 bits, at most four bytes, most significant first.
fn tag(bytes: &mut &[u8]) -> Option<u32> {
    let mut tag = 0u32;
    for place in [21u32, 14, 7, 0] {
        let next = byte(bytes)?;
        tag |= u32::from(next & !CHAIN) << place;
        if next & CHAIN == 0 {
            break;
        }
    }
    Some(tag)
}
