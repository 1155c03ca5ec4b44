//! Properties to fields: type, qualifiers and array size.
//!
//! | property | lies in the payload as |
//! |---|---|
//! | integers, reals | their size; `pointer`: as wide as the writer's pointers |
//! | `boolean` | 4 bytes |
//! | `string` | with a terminator, unless `StringTermination` says `Counted` (bytes in two bytes before it), `ReverseCounted` (the same, big-endian) or `NotCounted` (to the end); UTF-16 if `format("w")` |
//! | `char16` | UTF-16 unit; of an array, text of that size |
//! | `object` | what `extension` says: `Sid`, `Guid`, `IPAddrV6`, `SizeT`, `WmiTime`, `Variant`, ... |
//! | an array | of the size in brackets or in `MAX`, or as another property says (`WmiSizeIs`), else to the end |

use super::lex::number_of;
use super::parse::Property;
use crate::schema::layout::{Extent, Field, Kind};
use crate::schema::{InType, OutType, ValueMap};

/// A type that is not known: nothing behind it can be found.
const UNKNOWN: InType = InType(u16::MAX);

/// The fields of properties in their order. `map` takes in the names of a property's values.
pub(super) fn fields(
    properties: &[&Property],
    map: &mut dyn FnMut(&str, ValueMap) -> usize,
) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for property in properties {
        let field = field(property, &fields, map);
        fields.push(field);
    }
    fields
}

fn field(
    property: &Property,
    before: &[Field],
    map: &mut dyn FnMut(&str, ValueMap) -> usize,
) -> Field {
    let (in_type, out_type) = types(property);
    let size = property.qualifiers.text("wmisizeis").and_then(|name| {
        let index = before.iter().position(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(Extent::Field(index))
    });
    let stated = property.array.flatten().or_else(|| property.qualifiers.number("max"));
    let stated = stated.and_then(|count| u32::try_from(count).ok()).map(Extent::Fixed);
    let many = match property.array {
        // A character with a largest number is a text of that size.
        None if property.kind == "char16" && stated.is_some() => stated,
        None => None,
        Some(_) => size.or(stated).or(Some(Extent::Rest)),
    };
    // Characters in an array of a known size are one text, which a NUL may end before.
    let text = match (in_type, many) {
        (InType::UNICODE_CHAR, Some(Extent::Fixed(_))) => Some(InType::UNICODE_STRING),
        (InType::ANSI_CHAR, Some(Extent::Fixed(_))) => Some(InType::ANSI_STRING),
        _ => None,
    };
    let map = values(property).map(|values| map(&property.name, values));
    let many = many.unwrap_or(Extent::Own);
    let (count, length) = if text.is_some() { (Extent::Own, many) } else { (many, Extent::Own) };
    let in_type = text.unwrap_or(in_type);
    let kind = Kind::Value { in_type, out_type, map };
    Field { name: property.name.as_str().into(), kind, count, length, optional: false }
}

/// How a property lies in the payload and how it is meant.
fn types(property: &Property) -> (InType, OutType) {
    let qualifiers = &property.qualifiers;
    let lower = |name| qualifiers.text(name).map(str::to_ascii_lowercase).unwrap_or_default();
    let (format, extension) = (lower("format"), lower("extension"));
    if qualifiers.has("pointer") || qualifiers.has("pointertype") {
        return (InType::POINTER, OutType::Default);
    }
    let extended = match &*extension {
        "sid" => (InType::WBEM_SID, OutType::Default),
        "guid" => (InType::GUID, OutType::Default),
        "port" => (InType::UINT16, OutType::Port),
        "ipaddr" | "ipaddrv4" => (InType::UINT32, OutType::Ipv4),
        "ipaddrv6" => (InType::BINARY, OutType::Ipv6),
        "sizet" => (InType::SIZE_T, OutType::Default),
        "wmitime" => (InType::FILETIME, OutType::Default),
        "variant" => (InType::HEX_DUMP, OutType::Default),
        "rstring" => (InType::ANSI_STRING, OutType::Default),
        "rwstring" => (InType::UNICODE_STRING, OutType::Default),
        _ => (UNKNOWN, OutType::Default),
    };
    if extended.0 != UNKNOWN {
        return extended;
    }
    let number = if format == "x" { OutType::Hex } else { OutType::Default };
    let plain = |in_type| (in_type, number);
    match &*property.kind {
        "uint8" | "sint8" if matches!(&*format, "c" | "s") => plain(InType::ANSI_CHAR),
        "uint16" if format == "w" => plain(InType::UNICODE_CHAR),
        "uint8" => plain(InType::UINT8),
        "sint8" => plain(InType::INT8),
        "uint16" => plain(InType::UINT16),
        "sint16" => plain(InType::INT16),
        "uint32" => plain(InType::UINT32),
        "sint32" => plain(InType::INT32),
        "uint64" => plain(InType::UINT64),
        "sint64" => plain(InType::INT64),
        "real32" => (InType::FLOAT, OutType::Default),
        "real64" => (InType::DOUBLE, OutType::Default),
        "boolean" => (InType::BOOLEAN, OutType::Default),
        "char16" => (InType::UNICODE_CHAR, OutType::Default),
        "string" => (string(&lower("stringtermination"), format == "w"), OutType::Default),
        _ => (UNKNOWN, OutType::Default),
    }
}

/// Text, by what ends it.
fn string(termination: &str, wide: bool) -> InType {
    match (termination, wide) {
        ("counted", true) => InType::WBEM_COUNTED_STRING,
        ("counted", false) => InType::WBEM_COUNTED_ANSI,
        ("reversecounted", true) => InType::REVERSED_COUNTED_STRING,
        ("reversecounted", false) => InType::REVERSED_COUNTED_ANSI,
        ("notcounted", true) => InType::REST_STRING,
        ("notcounted", false) => InType::REST_ANSI,
        (_, true) => InType::UNICODE_STRING,
        (_, false) => InType::ANSI_STRING,
    }
}

/// Names of values: `Values` by the numbers in `ValueMap` or from 0 on, which with
/// `ValueType("flag")` are bits; or `BitValues` by the places of bits in `BitMap`.
fn values(property: &Property) -> Option<ValueMap> {
    let qualifiers = &property.qualifiers;
    if qualifiers.has("bitvalues") {
        let names = qualifiers.texts("bitvalues");
        let places = numbers(property, "bitmap", names.len());
        let bits = places.zip(names).filter_map(|(place, name)| {
            let bit = 1u64.checked_shl(u32::try_from(place?).ok()?)?;
            Some((bit, Box::from(name)))
        });
        return Some(ValueMap::new(true, bits));
    }
    if !qualifiers.has("values") {
        return None;
    }
    let bits = qualifiers.text("valuetype").is_some_and(|kind| kind.eq_ignore_ascii_case("flag"));
    let names = qualifiers.texts("values");
    let numbers = numbers(property, "valuemap", names.len());
    let entries = numbers.zip(names).filter_map(|(number, name)| Some((number?, Box::from(name))));
    Some(ValueMap::new(bits, entries))
}

/// The numbers in a qualifier, or from 0 on if it is not there; `None` for what is no number.
fn numbers(
    property: &Property,
    qualifier: &str,
    count: usize,
) -> Box<dyn Iterator<Item = Option<u64>>> {
    if !property.qualifiers.has(qualifier) {
        return Box::new((0..count as u64).map(Some));
    }
    let texts = property.qualifiers.texts(qualifier);
    Box::new(texts.into_iter().map(|text| number_of(&text)))
}
