//! MOF files: classes that describe the classic events of a provider.
//!
//! ```text
//!   [Guid("{..}")]                                class Demo : EventTrace {};         a provider
//!   [Guid("{..}"), EventVersion(1)]               class Disk : Demo {};               a class
//!   [EventType{10, 11}, EventTypeName{"R", "W"}]  class Disk_Io : Disk                its events
//!   { [WmiDataId(1), format("x")] uint32 Flags; ... };                                their fields
//! ```
//!
//! An event's class is the nearest ancestor with a GUID, its version the nearest one's, and its
//! fields are the properties with a `WmiDataId`, in its order, inherited ones included.
//!
//! | module | what it does |
//! |---|---|
//! | `lex` | text to tokens |
//! | `parse` | tokens to classes, qualifiers and properties |
//! | `fields` | a property to a field |
//!
//! Source: Microsoft, "Event Tracing MOF Qualifiers"; spec/15-schemas.md.

mod fields;
mod lex;
mod parse;

use crate::format::Guid;
use crate::schema::event::{Event, EventNames};
use crate::schema::layout::Layout;
use crate::schema::{SchemaError, ValueMap};
use parse::{Class, Property};
use std::collections::HashMap;

/// Classes may derive this deep.
const MOST_ANCESTORS: usize = 32;
/// Properties that a class may have, those of its ancestors included.
const MOST_PROPERTIES: usize = 1 << 12;
/// Fields that the events of one file may have in all: inherited ones count for each type.
const MOST_FIELDS: usize = 1 << 17;
/// Memory that the events of one file may take, about: names count for each type, too.
const MOST_BYTES: usize = 32 << 20;

/// One kind of classic event.
#[derive(Debug)]
pub(super) struct Classic {
    pub(super) class: Guid,
    pub(super) kind: u8,
    pub(super) version: u16,
    pub(super) event: Event,
}

/// Reads all event classes of a file. `map` takes in a map and gives its number.
pub(super) fn read(
    text: &str,
    map: &mut dyn FnMut(Guid, &str, ValueMap) -> usize,
) -> Result<Vec<Classic>, SchemaError> {
    let classes = parse::classes(text)?;
    let mut by_name = HashMap::new();
    for (at, class) in classes.iter().enumerate() {
        by_name.insert(class.name.to_ascii_lowercase(), at);
    }
    let classes = Classes { all: &classes, by_name };
    let mut left = Left { fields: MOST_FIELDS, bytes: MOST_BYTES };
    let mut events = Vec::new();
    for class in classes.all {
        if class.qualifiers.has("eventtype") {
            classes.events_of(class, map, &mut left, &mut events)?;
        }
    }
    Ok(events)
}

/// What the events of the file may still take.
struct Left {
    fields: usize,
    bytes: usize,
}

struct Classes<'c> {
    all: &'c [Class],
    by_name: HashMap<String, usize>,
}

impl<'c> Classes<'c> {
    /// A class and its ancestors as far as the file has them, itself first.
    fn line(&self, class: &'c Class) -> Result<Vec<&'c Class>, SchemaError> {
        let mut line = vec![class];
        let mut last = class;
        while let Some(parent) = &last.parent {
            let known = self.by_name.get(&parent.to_ascii_lowercase());
            let Some(parent) = known.and_then(|at| self.all.get(*at)) else { break };
            if line.len() > MOST_ANCESTORS {
                return Err(class.wrong("has too many ancestors"));
            }
            line.push(parent);
            last = parent;
        }
        Ok(line)
    }

    /// The events that one class describes: one for each of its types.
    fn events_of(
        &self,
        class: &'c Class,
        map: &mut dyn FnMut(Guid, &str, ValueMap) -> usize,
        left: &mut Left,
        events: &mut Vec<Classic>,
    ) -> Result<(), SchemaError> {
        let line = self.line(class)?;
        let with = |name: &'static str| move |class: &&&Class| class.qualifiers.has(name);
        // Without a GUID it is nothing that a record could name.
        let Some(category) = line.iter().find(with("guid")) else { return Ok(()) };
        let guid = category.qualifiers.text("guid").and_then(|guid| guid.trim().parse().ok());
        let guid: Guid = guid.ok_or_else(|| category.wrong("has a Guid that is none"))?;
        let version = line.iter().find(with("eventversion"));
        let version = version.and_then(|class| class.qualifiers.number("eventversion"));
        let version = u16::try_from(version.unwrap_or(0))
            .map_err(|_| class.wrong("has an EventVersion that is too large"))?;

        let kinds = class.qualifiers.numbers("eventtype");
        if kinds.is_empty() {
            return Ok(());
        }
        let own: usize = line.iter().map(|class| class.properties.len()).sum();
        if own > MOST_PROPERTIES {
            return Err(class.wrong("has too many properties"));
        }
        // What the properties say is looked at once for each class that inherits it.
        let said: usize =
            line.iter().flat_map(|class| &class.properties).map(|p| p.qualifiers.len()).sum();
        let all = own.saturating_add(1).saturating_mul(kinds.len()).saturating_add(said);
        let fewer = left.fields.checked_sub(all);
        left.fields =
            fewer.ok_or_else(|| class.wrong("and those before it have too many fields"))?;
        let mut own_map = |property: &str, values: ValueMap| {
            map(guid, &format!("{}.{property}", class.name), values)
        };
        let fields = fields::fields(&properties(&line), &mut own_map);
        let names = class.qualifiers.texts("eventtypename");
        for (at, kind) in kinds.into_iter().enumerate() {
            let kind = u8::try_from(kind)
                .map_err(|_| class.wrong("has an EventType that is too large"))?;
            let (fields, top) = (fields.clone(), fields.len());
            let name = names.get(at).cloned().unwrap_or_else(|| format!("type {kind}"));
            let names = EventNames {
                provider: Some(category.display_name().into()),
                event: Some(name.into()),
                ..EventNames::default()
            };
            let event = Event::new(names, Layout::new(fields, top));
            let fewer = left.bytes.checked_sub(event.bytes());
            left.bytes =
                fewer.ok_or_else(|| class.wrong("and those before it have too many names"))?;
            events.push(Classic { class: guid, kind, version, event });
        }
        Ok(())
    }
}

/// The properties of an event in the order of their data; one that a descendant names again is the
/// descendant's.
fn properties<'c>(line: &[&'c Class]) -> Vec<&'c Property> {
    let mut by_name: HashMap<String, (u64, &Property)> = HashMap::new();
    for class in line.iter().rev() {
        for property in &class.properties {
            if let Some(place) = property.qualifiers.number("wmidataid") {
                by_name.insert(property.name.to_ascii_lowercase(), (place, property));
            }
        }
    }
    let mut all: Vec<_> = by_name.into_values().collect();
    all.sort_by_key(|(place, property)| (*place, property.position));
    all.into_iter().map(|(_, property)| property).collect()
}
