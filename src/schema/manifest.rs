//! Instrumentation manifests: the XML in which a provider describes its events.
//!
//! Elements are matched by their local name, since some tools set the namespace only on some of
//! them. What a manifest leaves out is zero, what it names and does not define is left out.
//!
//! Source: Microsoft, `EventManifestSchema`; spec/15-schemas.md.

use crate::format::Guid;
use crate::schema::element::Element;
use crate::schema::event::{Event, EventKey, EventNames};
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::metadata::follow_frame_count;
use crate::schema::take::Take;
use crate::schema::{InType, OutType, ValueMap, XmlError};
use std::collections::HashMap;

/// Structures may lie this deep in each other; the schema of manifests allows one.
const MOST_STRUCTS: usize = 16;

/// Fields that the events of one manifest may have in all: a template serves any number of events.
const MOST_FIELDS: usize = 1 << 17;
/// Bytes of a name or message.
const MOST_TEXT: usize = 1 << 14;
/// Keywords of an event: there are 64 bits for them.
const MOST_KEYWORDS: usize = 64;

/// Reads all providers of a manifest and says how many events they have. `fallback` is the GUID of
/// a provider that does not name its own.
pub(super) fn read(
    text: &str,
    fallback: Option<Guid>,
    take: &mut dyn Take,
) -> Result<usize, XmlError> {
    let root = Element::parse(text)?;
    let strings = strings(&root);
    let mut count = 0usize;
    let mut left = MOST_FIELDS;
    for element in root.find("provider") {
        let guid = element.get("guid").and_then(|guid| guid.parse().ok()).or(fallback);
        let Some(guid) = guid else { continue };
        let provider = Provider::new(guid, element, &strings);
        provider.maps(take);
        for event in element.within("events").filter(|event| &*event.name == "event") {
            if let Some((key, event)) = provider.event(event, take, &mut left) {
                take.event(key, event);
                count = count.saturating_add(1);
            }
        }
    }
    Ok(count)
}

/// The texts of the best language: American English if it is there, else the first one for each.
fn strings(root: &Element) -> HashMap<&str, &str> {
    let mut strings = HashMap::new();
    let mut languages = root.find("resources");
    let american = |language: &&Element| {
        !language.get("culture").unwrap_or_default().eq_ignore_ascii_case("en-us")
    };
    languages.sort_by_key(american);
    for language in languages {
        for string in language.within("stringTable") {
            if let Some((id, value)) = string.get("id").zip(string.get("value")) {
                strings.entry(id).or_insert(value);
            }
        }
    }
    strings
}

struct Provider<'x> {
    guid: Guid,
    element: &'x Element,
    strings: &'x HashMap<&'x str, &'x str>,
    /// By `tid`.
    templates: HashMap<&'x str, &'x Element>,
    /// By `name`, which for channels may also be `chid`.
    tasks: HashMap<&'x str, &'x Element>,
    opcodes: HashMap<&'x str, &'x Element>,
    levels: HashMap<&'x str, &'x Element>,
    keywords: HashMap<&'x str, &'x Element>,
    channels: HashMap<&'x str, &'x Element>,
}

fn by<'x>(elements: impl Iterator<Item = &'x Element>, key: &str) -> HashMap<&'x str, &'x Element> {
    elements.filter_map(|element| Some((element.get(key)?, element))).collect()
}

impl<'x> Provider<'x> {
    fn new(guid: Guid, element: &'x Element, strings: &'x HashMap<&'x str, &'x str>) -> Self {
        let named = |group| by(element.within(group), "name");
        let mut channels = named("channels");
        channels.extend(by(element.within("channels"), "chid"));
        Self {
            guid,
            element,
            strings,
            templates: by(element.within("templates"), "tid"),
            tasks: named("tasks"),
            opcodes: named("opcodes"),
            levels: named("levels"),
            keywords: named("keywords"),
            channels,
        }
    }

    fn maps(&self, take: &mut dyn Take) {
        for map in self.element.within("maps") {
            let Some(name) = map.get("name") else { continue };
            let entries = map.all("map").filter_map(|entry| {
                let number = number(entry.get("value")?)?;
                let text = self.message(entry).unwrap_or_default();
                Some((number, Box::from(text.trim_end())))
            });
            let bits = &*map.name == "bitMap";
            take.map(self.guid, name, ValueMap::new(bits, entries));
        }
    }

    /// The message of an element, looked up in the table of strings.
    fn message(&self, element: &'x Element) -> Option<&'x str> {
        let message = element.get("message")?;
        let id = message.strip_prefix("$(string.").and_then(|rest| rest.strip_suffix(')'));
        let text = match id {
            Some(id) => self.strings.get(id).copied()?,
            None => message,
        };
        (text.len() <= MOST_TEXT).then_some(text.trim_end())
    }

    /// The text that an event's attribute means: the message of what it names, or its name.
    fn named(
        &self,
        name: Option<&'x str>,
        elements: &HashMap<&'x str, &'x Element>,
    ) -> Option<Box<str>> {
        let name = name.filter(|name| name.len() <= MOST_TEXT)?;
        let message = elements.get(name).and_then(|element| self.message(element));
        Some(message.unwrap_or(name).into())
    }

    /// An opcode that only its task knows, or one of the provider.
    fn opcode(&self, event: &'x Element) -> Option<Box<str>> {
        let name = event.get("opcode")?;
        let task = event.get("task").and_then(|task| self.tasks.get(task));
        let own = task.and_then(|task| {
            task.within("opcodes").find(|opcode| opcode.get("name") == Some(name))
        });
        let message = own.and_then(|own| self.message(own)).map(Box::from);
        message.or_else(|| self.named(Some(name), &self.opcodes))
    }

    fn event(
        &self,
        event: &'x Element,
        take: &mut dyn Take,
        left: &mut usize,
    ) -> Option<(EventKey, Event)> {
        // Higher bits are of the event log and not in the record.
        let id = u16::try_from(number(event.get("value")?)? & 0xFFFF).ok()?;
        let version = event.get("version").map_or(Some(0), number)?;
        let key = EventKey { provider: self.guid, id, version: u8::try_from(version).ok()? };
        let keywords = event.get("keywords").unwrap_or_default().split_ascii_whitespace();
        let keywords = keywords.take(MOST_KEYWORDS);
        let mut names = EventNames {
            provider: self.named(self.element.get("name"), &HashMap::new()),
            event: None,
            task: self.named(event.get("task"), &self.tasks),
            opcode: self.opcode(event),
            level: self.named(event.get("level"), &self.levels),
            channel: self.named(event.get("channel"), &self.channels),
            keywords: keywords.filter_map(|name| self.named(Some(name), &self.keywords)).collect(),
            message: self.message(event).map(Box::from),
        };
        if names.task.is_none() {
            names.event = self.named(event.get("symbol"), &HashMap::new());
        }
        let template = event.get("template").and_then(|tid| self.templates.get(tid));
        let mut fields = Fields { provider: self.guid, all: Vec::new(), names: Vec::new(), left };
        let top = match template {
            Some(template) => fields.level(template, take, 0)?,
            None => 0,
        };
        let mut all = fields.all.into_iter().collect::<Option<Vec<_>>>()?;
        follow_frame_count(id, &mut all);
        Some((key, Event::new(names, Layout::new(all, top))))
    }
}

/// Fields of a template, members of structures behind those that hold them.
struct Fields<'x, 'l> {
    provider: Guid,
    /// `None` where a field has its place and is not read yet.
    all: Vec<Option<Field>>,
    /// Fields that counts and lengths may refer to, innermost level last.
    names: Vec<HashMap<&'x str, usize>>,
    left: &'l mut usize,
}

impl<'x> Fields<'x, '_> {
    /// Takes in the fields of one level and says how many there are.
    fn level(&mut self, parent: &'x Element, take: &mut dyn Take, depth: usize) -> Option<usize> {
        let is_field = |element: &&Element| matches!(&*element.name, "data" | "struct" | "binary");
        let elements: Vec<_> = parent.children.iter().filter(is_field).collect();
        *self.left = self.left.checked_sub(elements.len())?;
        self.names.push(HashMap::new());
        let first = self.all.len();
        self.all.resize(first.checked_add(elements.len())?, None);
        for (index, element) in (first..).zip(&elements) {
            let kind = match &*element.name {
                "struct" if depth >= MOST_STRUCTS => return None,
                "struct" => {
                    let start = self.all.len();
                    let count = self.level(element, take, depth.saturating_add(1))?;
                    Kind::Struct { first: start, count }
                }
                _ => {
                    let in_type = element.get("inType").map_or(Some(InType::BINARY), InType::named);
                    let map = element.get("map").map(|map| take.map_number(self.provider, map));
                    let out_type = element.get("outType").map_or(OutType::Default, OutType::named);
                    Kind::Value { in_type: in_type?, out_type, map }
                }
            };
            let extent = |attribute: &str| match element.get(attribute) {
                None => Some(Extent::Own),
                Some(text) => match number(text) {
                    Some(number) => u32::try_from(number).ok().map(Extent::Fixed),
                    None => self.position(text).map(Extent::Field),
                },
            };
            let name = element.get("name").filter(|name| name.len() <= MOST_TEXT);
            let name = name.unwrap_or_default();
            let field = Field {
                name: name.into(),
                kind,
                count: extent("count")?,
                length: extent("length")?,
                optional: false,
            };
            *self.all.get_mut(index)? = Some(field);
            self.names.last_mut()?.insert(name, index);
        }
        self.names.pop();
        Some(elements.len())
    }

    /// The field of this name, of the innermost level that has one.
    fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().rev().find_map(|level| level.get(name).copied())
    }
}

/// Decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
