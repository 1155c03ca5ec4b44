//! Fields of an event as a list: what manifests, metadata records and kernel tables come down to.
//!
//! ```text
//!   fields   [ a ][ b: struct of 3..5 ][ c ] | [ b.x ][ b.y ]
//!             0     1                   2      3      4
//!             '------ top level -------'       members, anywhere behind
//! ```
//!
//! A count or length is one, a constant, the value of another field that was read before, or as
//! much as the payload has.

use crate::schema::read::{Spec, extend};
use crate::schema::walk::{MOST_DEPTH, Shape, Visitor, Walk};
use crate::schema::{DecodeFault, InType, OutType, Value, ValueMap, Walked};
use std::collections::HashSet;

/// The fields of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    fields: Box<[Field]>,
    /// A short way to read each field, where there is one.
    short: Box<[Short]>,
    /// Fields from the first one that are no members of structures.
    top: usize,
    /// Whether a count or length refers to another field.
    refers: bool,
    /// Whether names need no second look, see [`Visitor::plain_names`].
    plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    pub(super) count: Extent,
    /// Of strings and binary values.
    pub(super) length: Extent,
    /// Not there if the payload ends before it.
    pub(super) optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Value {
        in_type: InType,
        out_type: OutType,
        /// Number of the map that names its values.
        map: Option<usize>,
    },
    Struct {
        first: usize,
        count: usize,
    },
}

/// The short way to read a field that is one value of a common type: nothing about it needs to be
/// asked again for each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Short {
    /// There is none.
    #[default]
    None,
    /// An integer of so many bytes.
    Integer(usize, Sign),
    /// A pointer.
    Pointer,
    /// UTF-16 with a terminator.
    Text,
}

/// How an integer is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Signed,
    Unsigned,
    Hex,
}

impl Short {
    fn of(field: &Field) -> Self {
        let Kind::Value { in_type, out_type, map: None } = field.kind else {
            return Self::None;
        };
        if field.count != Extent::Own || field.length != Extent::Own {
            return Self::None;
        }
        let own = match in_type {
            InType::INT8 | InType::INT16 | InType::INT32 | InType::INT64 => Sign::Signed,
            InType::UINT8 | InType::UINT16 | InType::UINT32 | InType::UINT64 => Sign::Unsigned,
            InType::HEX_INT32 | InType::HEX_INT64 | InType::POINTER => Sign::Hex,
            InType::UNICODE_STRING => return Self::Text,
            _ => return Self::None,
        };
        let sign = match out_type {
            OutType::Default => own,
            OutType::Signed => Sign::Signed,
            OutType::Unsigned | OutType::Win32Error => Sign::Unsigned,
            OutType::Hex | OutType::Status => Sign::Hex,
            _ => return Self::None,
        };
        if in_type == InType::POINTER {
            return if sign == Sign::Hex { Self::Pointer } else { Self::None };
        }
        in_type.width(0).map_or(Self::None, |width| Self::Integer(width, sign))
    }
}

/// How many elements a field has, or how long its value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// One value and no array; a length that the type tells.
    Own,
    /// This many.
    Fixed(u32),
    /// As many as the field of this index says.
    Field(usize),
    /// To the end of the payload.
    Rest,
}

impl Layout {
    /// Fields of which the first `top` are no members.
    pub(super) fn new(fields: Vec<Field>, top: usize) -> Self {
        let refers = |field: &Field| {
            matches!(field.count, Extent::Field(_)) || matches!(field.length, Extent::Field(_))
        };
        let (refers, plain) = (fields.iter().any(refers), plain_names(&fields, top));
        let short = fields.iter().map(Short::of).collect();
        Self { refers, plain, top, short, fields: fields.into() }
    }

    #[cfg(test)]
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Memory that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.fields.iter().map(|field| field.name.len()).sum();
        let own = size_of_val(&*self.fields).saturating_add(size_of_val(&*self.short));
        own.saturating_add(names)
    }

    /// Shows the fields that `payload` holds.
    pub(super) fn walk<'p>(
        &self,
        payload: &'p [u8],
        pointer: usize,
        maps: &[ValueMap],
        visitor: &mut impl Visitor,
    ) -> Walked<'p> {
        if self.plain {
            visitor.plain_names();
        }
        let mut walk = Walk::new(payload, pointer, visitor);
        let mut state = State {
            layout: self,
            maps,
            counts: if self.refers { vec![0; self.fields.len()] } else { Vec::new() },
        };
        let result = state.fields(&mut walk, 0, self.top, 0);
        walk.finish(result)
    }
}

/// Whether all names are printable and none stands twice in its structure. Members that lie in
/// several structures are not looked at so often as a schema can say.
fn plain_names(fields: &[Field], top: usize) -> bool {
    let printable = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if !fields.iter().all(|field| field.name.bytes().all(printable)) {
        return false;
    }
    let members = fields.iter().filter_map(|field| match field.kind {
        Kind::Struct { first, count } => Some((first, count)),
        Kind::Value { .. } => None,
    });
    let mut left = fields.len();
    std::iter::once((0, top)).chain(members).all(|(first, count)| {
        let own = fields.get(first..first.saturating_add(count));
        let (Some(own), Some(fewer)) = (own, left.checked_sub(count)) else { return false };
        left = fewer;
        let names: HashSet<_> = own.iter().map(|field| &field.name).collect();
        names.len() == own.len()
    })
}

struct State<'l> {
    layout: &'l Layout,
    maps: &'l [ValueMap],
    /// The last value of each integer field, for fields that refer to it.
    counts: Vec<u64>,
}

impl State<'_> {
    fn fields<V: Visitor>(
        &mut self,
        walk: &mut Walk<'_, '_, V>,
        first: usize,
        count: usize,
        depth: usize,
    ) -> Result<(), DecodeFault> {
        let layout = self.layout;
        let end = first.checked_add(count).ok_or(DecodeFault::Schema)?;
        let fields = layout.fields.get(first..end).ok_or(DecodeFault::Schema)?;
        let short = layout.short.get(first..end).ok_or(DecodeFault::Schema)?;
        for (index, (field, short)) in (first..).zip(fields.iter().zip(short)) {
            if field.optional && walk.is_at_end() {
                return Ok(());
            }
            if *short == Short::None {
                self.field(walk, index, field, depth)?;
            } else {
                self.shortly(walk, index, field, *short)?;
            }
        }
        Ok(())
    }

    /// Shows a field the short way, which must not differ from the long one in what it shows.
    #[inline]
    fn shortly<V: Visitor>(
        &mut self,
        walk: &mut Walk<'_, '_, V>,
        index: usize,
        field: &Field,
        short: Short,
    ) -> Result<(), DecodeFault> {
        walk.spend(&field.name)?;
        let value = match short {
            Short::Integer(width, sign) => {
                let number = walk.number(width)?;
                match sign {
                    Sign::Unsigned => Value::Unsigned(number),
                    Sign::Hex => Value::Hex(number),
                    Sign::Signed => Value::Signed(extend(number, width)),
                }
            }
            Short::Pointer => Value::Hex(walk.pointer()?),
            Short::Text | Short::None => Value::Text(walk.text()),
        };
        if let Some(count) = self.counts.get_mut(index) {
            *count = value.to_count().unwrap_or_default();
        }
        walk.visitor.value(&field.name, &value);
        Ok(())
    }

    fn field<V: Visitor>(
        &mut self,
        walk: &mut Walk<'_, '_, V>,
        index: usize,
        field: &Field,
        depth: usize,
    ) -> Result<(), DecodeFault> {
        let count = match field.count {
            Extent::Own => return self.element(walk, Some(index), field, &field.name, depth),
            Extent::Fixed(count) => u64::from(count),
            Extent::Field(other) => *self.counts.get(other).ok_or(DecodeFault::Schema)?,
            Extent::Rest => u64::MAX,
        };
        if let Kind::Value { in_type, out_type, .. } = field.kind {
            if let Some(text) = walk.characters(&field.name, count, in_type, out_type) {
                return text;
            }
        }
        walk.spend(&field.name)?;
        walk.visitor.begin(&field.name, Shape::Array);
        let result = self.elements(walk, field, count, depth);
        walk.visitor.end(Shape::Array);
        result
    }

    fn elements<V: Visitor>(
        &mut self,
        walk: &mut Walk<'_, '_, V>,
        field: &Field,
        count: u64,
        depth: usize,
    ) -> Result<(), DecodeFault> {
        for _ in 0..count {
            let before = walk.position();
            if field.count == Extent::Rest && walk.is_at_end() {
                break;
            }
            self.element(walk, None, field, "", depth)?;
            if field.count == Extent::Rest && walk.position() == before {
                return Err(DecodeFault::Schema);
            }
        }
        Ok(())
    }

    #[inline]
    fn element<V: Visitor>(
        &mut self,
        walk: &mut Walk<'_, '_, V>,
        index: Option<usize>,
        field: &Field,
        name: &str,
        depth: usize,
    ) -> Result<(), DecodeFault> {
        walk.spend(name)?;
        let (in_type, out_type, map) = match field.kind {
            Kind::Value { in_type, out_type, map } => (in_type, out_type, map),
            Kind::Struct { first, count } => {
                if depth >= MOST_DEPTH {
                    return Err(DecodeFault::Depth);
                }
                walk.visitor.begin(name, Shape::Struct);
                let result = self.fields(walk, first, count, depth.saturating_add(1));
                walk.visitor.end(Shape::Struct);
                return result;
            }
        };
        let length = match field.length {
            Extent::Own => None,
            Extent::Fixed(length) => Some(length),
            Extent::Field(other) => {
                let length = *self.counts.get(other).ok_or(DecodeFault::Schema)?;
                Some(u32::try_from(length).unwrap_or(u32::MAX))
            }
            Extent::Rest => None,
        };
        let value = walk.read(Spec { in_type, out_type, length })?;
        if let Some(count) = index.and_then(|index| self.counts.get_mut(index)) {
            *count = value.to_count().unwrap_or_default();
        }
        match map.and_then(|map| self.maps.get(map)).zip(value.to_count()) {
            Some((map, number)) if map.names(number) => {
                walk.show(name, &Value::Mapped { map, value: number });
            }
            _ => walk.show(name, &value),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "a test may panic")]
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Seen(Vec<(String, String)>);

    impl Visitor for Seen {
        fn value(&mut self, name: &str, value: &Value<'_>) {
            self.0.push((name.to_owned(), format!("{value:?}")));
        }

        fn begin(&mut self, _: &str, _: Shape) {}

        fn end(&mut self, _: Shape) {}
    }

    const OUT_TYPES: &[OutType] = &[
        OutType::Default,
        OutType::String,
        OutType::Boolean,
        OutType::Hex,
        OutType::Port,
        OutType::Ipv4,
        OutType::Ipv6,
        OutType::SocketAddress,
        OutType::Win32Error,
        OutType::Status,
        OutType::Signed,
        OutType::Unsigned,
        OutType::DateTimeUtc,
        OutType::Utf8,
    ];

    #[test]
    fn the_short_way_shows_what_the_long_one_does() {
        let payload: Vec<u8> = (0x78..=0x90).chain([0, 0, 0, 0xFF]).rev().collect();
        let mut short_ones = 0;
        for (number, out_type) in
            (0..311).flat_map(|number| OUT_TYPES.iter().map(move |out_type| (number, *out_type)))
        {
            let kind = Kind::Value { in_type: InType(number), out_type, map: None };
            let field = |name: &str, length| Field {
                name: name.into(),
                kind: kind.clone(),
                count: Extent::Own,
                length,
                optional: false,
            };
            // The second field's length is the first one's value.
            let short = Layout::new(vec![field("a", Extent::Own), field("b", Extent::Field(0))], 2);
            let long = Layout { short: vec![Short::None; 2].into(), ..short.clone() };
            short_ones += usize::from(short.short[0] != Short::None);
            for (end, pointer) in (0..payload.len()).flat_map(|end| [(end, 4), (end, 8)]) {
                let walk = |layout: &Layout| {
                    let mut seen = Seen::default();
                    let walked = layout.walk(&payload[..end], pointer, &[], &mut seen);
                    (seen, walked.rest.len(), walked.error)
                };
                assert_eq!(walk(&short), walk(&long), "{number} {out_type:?} {end}");
            }
        }
        assert!(short_ones > 50, "{short_ones}");
    }

    #[test]
    fn names_are_plain_if_none_stands_twice_and_all_are_printable() {
        let field = |name: &str, members: Option<(usize, usize)>| Field {
            name: name.into(),
            kind: match members {
                Some((first, count)) => Kind::Struct { first, count },
                None => {
                    Kind::Value { in_type: InType::UINT8, out_type: OutType::Default, map: None }
                }
            },
            count: Extent::Own,
            length: Extent::Own,
            optional: false,
        };
        let plain = |names: &[&str], top| {
            Layout::new(names.iter().map(|name| field(name, None)).collect(), top).plain
        };
        assert!(plain(&["a", "b"], 2) && plain(&[], 0));
        assert!(!plain(&["a", "a"], 2));
        for name in ["\"", "\\", "\n", "é", "\u{7f}"] {
            assert!(!plain(&[name], 1));
        }
        // Members have names of their own, which may be those of the level above.
        let nested = |inner: &str| {
            let fields = vec![
                field("a", None),
                field("s", Some((2, 2))),
                field("a", None),
                field(inner, None),
            ];
            Layout::new(fields, 2).plain
        };
        assert!(nested("b") && !nested("a"));
        // Members that many structures share are not looked at again for each.
        let fields = (0..100).map(|n| field(&n.to_string(), Some((0, 100)))).collect();
        assert!(!Layout::new(fields, 100).plain);
    }
}
