//! Names and types as extended items: what an event says of itself.
//!
//! ```text
//!   item        total size u16 | type u16 | linkage u16 | data size u16 | data | zeros up to 8
//!   PROV_TRAITS data: size u16 | name NUL | size u16, 1, group GUID
//!   SCHEMA_TL   data: size u16 | tag | name NUL | field | field | ...
//!   field       name NUL | in u8 | [out u8]
//! ```
//!
//! The provider's item goes first, as Windows has it. Everything here can be done when the program
//! is compiled. Source: spec/05-extended-items.md, spec/15-schemas.md.

use crate::format::{ExtType, Guid};

/// Says in an in-type that an out-type follows.
const CHAIN: u8 = 0x80;

/// A provider as its events name it.
#[derive(Clone, Copy, Debug)]
pub struct ProviderMeta<'a> {
    /// Its name, without a NUL.
    pub name: &'a str,
    /// The group that it belongs to.
    pub group: Option<Guid>,
}

/// A field of an event: its name and how its value is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldMeta<'a> {
    /// Its name, without a NUL.
    pub name: &'a str,
    /// The encoding of the value (`TlgIn`).
    pub in_type: u8,
    /// How it is to be shown (`TlgOut`), 0 for the usual form.
    pub out_type: u8,
}

/// An event: its name and its fields.
#[derive(Clone, Copy, Debug)]
pub struct EventMeta<'a> {
    /// Its name, without a NUL.
    pub name: &'a str,
    /// 28 bits of the provider's own meaning, 0 for none.
    pub tag: u32,
    /// In the order of their values.
    pub fields: &'a [FieldMeta<'a>],
}

/// Bytes of an item with this much data.
pub(super) const fn item_size(data: usize) -> usize {
    (8 + data + 7) & !7
}

/// Bytes of the data of the provider's item.
const fn provider_data(provider: &ProviderMeta<'_>) -> usize {
    2 + provider.name.len() + 1 + if provider.group.is_some() { 19 } else { 0 }
}

/// Bytes of the data of the event's item.
const fn event_data(event: &EventMeta<'_>) -> usize {
    let mut size = 2 + tag_size(event.tag) + event.name.len() + 1;
    let mut at = 0;
    while at < event.fields.len() {
        let field = &event.fields[at];
        size += field.name.len() + 2 + if field.out_type == 0 { 0 } else { 1 };
        at += 1;
    }
    size
}

const fn tag_size(tag: u32) -> usize {
    let mut size = 1;
    // As long as anything is left in the lower bits.
    while size < 4 && (tag << (7 * size)) & 0x0FFF_FFFF != 0 {
        size += 1;
    }
    size
}

/// Bytes of the provider's item.
#[must_use]
pub const fn provider_item_size(provider: &ProviderMeta<'_>) -> usize {
    item_size(provider_data(provider))
}

/// Bytes of the provider's item and the event's.
#[must_use]
pub const fn items_size(provider: &ProviderMeta<'_>, event: &EventMeta<'_>) -> usize {
    provider_item_size(provider) + item_size(event_data(event))
}

/// Both items, `N` being their [size](items_size).
///
/// # Panics
///
/// If `N` is not, if a name holds a NUL, if the tag has more than 28 bits, or if the items are
/// larger than 60,000 bytes: a record has no room for them.
#[must_use]
pub const fn items<const N: usize>(provider: &ProviderMeta<'_>, event: &EventMeta<'_>) -> [u8; N] {
    assert!(N == items_size(provider, event), "N must be items_size");
    assert!(N <= 60_000, "names and types must fit a record");
    assert!(event.tag <= 0x0FFF_FFFF, "a tag has 28 bits");
    let mut out = [0; N];
    let end = provider_item(&mut out, provider);
    event_item(&mut out, end, event);
    out
}

/// Writes the provider's item, which another one will follow. Gives its size.
pub(super) const fn provider_item(out: &mut [u8], provider: &ProviderMeta<'_>) -> usize {
    let data = provider_data(provider);
    let at = item_header(out, 0, ExtType::PROV_TRAITS, data, true);
    let at = word(out, at, data);
    let at = name(out, at, provider.name);
    if let Some(group) = provider.group {
        let at = word(out, at, 19);
        let at = byte(out, at, 1);
        let mut n = 0;
        while n < 16 {
            out[at + n] = group.0[n];
            n += 1;
        }
    }
    item_size(data)
}

/// Writes the event's item at `at`, the last one.
const fn event_item(out: &mut [u8], at: usize, event: &EventMeta<'_>) {
    let data = event_data(event);
    let at = item_header(out, at, ExtType::EVENT_SCHEMA_TL, data, false);
    let mut at = word(out, at, data);
    let size = tag_size(event.tag);
    let mut n = 1;
    while n <= size {
        let more = if n < size { CHAIN } else { 0 };
        let [bits, ..] = (event.tag >> (28 - 7 * n)).to_le_bytes();
        at = byte(out, at, bits & 0x7F | more);
        n += 1;
    }
    at = name(out, at, event.name);
    n = 0;
    while n < event.fields.len() {
        let field = &event.fields[n];
        at = name(out, at, field.name);
        if field.out_type == 0 {
            at = byte(out, at, field.in_type);
        } else {
            at = byte(out, at, field.in_type | CHAIN);
            at = byte(out, at, field.out_type);
        }
        n += 1;
    }
}

const fn item_header(out: &mut [u8], at: usize, ty: ExtType, data: usize, more: bool) -> usize {
    let at = word(out, at, item_size(data));
    let at = word(out, at, ty.0 as usize);
    let at = word(out, at, more as usize);
    word(out, at, data)
}

const fn byte(out: &mut [u8], at: usize, byte: u8) -> usize {
    out[at] = byte;
    at + 1
}

/// 16 bits of a number that was compared with the size of a record.
const fn word(out: &mut [u8], at: usize, word: usize) -> usize {
    let [low, high, ..] = word.to_le_bytes();
    let at = byte(out, at, low);
    byte(out, at, high)
}

const fn name(out: &mut [u8], at: usize, name: &str) -> usize {
    let bytes = name.as_bytes();
    let mut n = 0;
    while n < bytes.len() {
        assert!(bytes[n] != 0, "a name ends at its first NUL");
        out[at + n] = bytes[n];
        n += 1;
    }
    out[at + n] = 0;
    at + n + 1
}
