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

use crate::schema::walk::{MOST_DEPTH, Shape, Visitor, Walk};
use crate::schema::{DecodeFault, InType, OutType, Value, ValueMap, Walked, read::Spec};

/// The fields of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    fields: Box<[Field]>,
    /// Fields from the first one that are no members of structures.
    top: usize,
    /// Whether a count or length refers to another field.
    refers: bool,
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
        Self { refers: fields.iter().any(refers), top, fields: fields.into() }
    }

    #[cfg(test)]
    pub(super) fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Memory that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.fields.iter().map(|field| field.name.len()).sum();
        size_of_val(&*self.fields).saturating_add(names)
    }

    /// Shows the fields that `payload` holds.
    pub(super) fn walk<'p>(
        &self,
        payload: &'p [u8],
        pointer: usize,
        maps: &[ValueMap],
        visitor: &mut impl Visitor,
    ) -> Walked<'p> {
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
        for (index, field) in (first..).zip(fields) {
            if field.optional && walk.is_at_end() {
                return Ok(());
            }
            self.field(walk, index, field, depth)?;
        }
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
