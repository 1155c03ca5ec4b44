//! One event of a request, owned: what a document says of it.

use crate::export::Entry;
use crate::export::requests::texts;
use crate::format::{FileTime, Guid};
use crate::schema::{Shape, Text, Value, Visitor};
use std::collections::HashSet;
use std::sync::Arc;

/// An event of a request.
#[derive(Clone, Debug)]
pub struct RequestEvent {
    /// Its name, such as `NOTIFY_MODULE_START`.
    pub name: Arc<str>,
    /// Who raised it.
    pub provider: Guid,
    /// What that one is called.
    pub provider_name: Arc<str>,
    /// Its area: the class of its record.
    pub event_guid: Guid,
    /// Its number in the area.
    pub opcode: u8,
    /// Version of its items.
    pub version: u16,
    /// 0 general, 1 critical error to 5 verbose.
    pub level: u8,
    /// The bit of its area.
    pub keywords: u32,
    /// What the area is called; empty for the general one.
    pub area_name: Arc<str>,
    /// When it was logged.
    pub time: FileTime,
    /// By which process.
    pub process_id: u32,
    /// By which thread.
    pub thread_id: u32,
    /// What it says.
    pub items: Vec<RequestItem>,
    /// Whether its names are known, and not guessed.
    pub is_known: bool,
}

/// An item of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestItem {
    /// What it is called.
    pub name: Arc<str>,
    /// Its value as documents show it.
    pub value: Arc<str>,
    /// What kind of value that is.
    pub kind: ItemKind,
    /// What the value means, if it has a name.
    pub description: Option<Arc<str>>,
}

/// What kind of value an item has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemKind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An identifier in braces and upper case.
    Guid,
    /// Bytes, each as `%2F`.
    Binary,
}

impl RequestEvent {
    /// The event of a record and the request that it belongs to; `None` if it belongs to none.
    pub(super) fn of(entry: &Entry<'_, '_>, names: &mut Names) -> Option<(Guid, Self)> {
        let iis = entry.event.iis()?;
        let mut items = Items { items: Vec::new(), activity: None, names };
        let walked = entry.event.walk(&mut items)?;
        if !walked.rest.is_empty() {
            let name = items.names.get("Rest");
            let value = percent(walked.rest).into();
            items.items.push(RequestItem {
                name,
                value,
                kind: ItemKind::Binary,
                description: None,
            });
        }
        let Items { items, activity, names } = items;
        let activity = activity.filter(|activity| !activity.is_zero())?;
        let view = entry.view;
        let event = Self {
            name: names.get(entry.event.name().unwrap_or_default()),
            provider: iis.provider,
            provider_name: names.get(iis.provider_name),
            event_guid: view.provider().unwrap_or_default(),
            opcode: view.opcode().unwrap_or(0),
            version: view.version().unwrap_or(0),
            level: iis.level,
            keywords: iis.area,
            area_name: names.get(iis.area_name),
            time: entry.time,
            process_id: view.process_id().unwrap_or(0),
            thread_id: view.thread_id().unwrap_or(0),
            items,
            is_known: iis.is_known,
        };
        Some((activity, event))
    }

    /// The value of an item; empty if there is none of this name.
    pub(super) fn text(&self, name: &str) -> Arc<str> {
        self.item(name).map_or_else(Arc::default, |item| item.value.clone())
    }

    /// The number of an item.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.item(name).filter(|item| item.kind == ItemKind::Number)?.value.parse().ok()
    }

    /// The item of this name.
    #[must_use]
    pub fn item(&self, name: &str) -> Option<&RequestItem> {
        self.items.iter().find(|item| &*item.name == name)
    }

    /// Memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let values = self.items.iter().map(|item| item.value.len().saturating_add(16));
        let own = self.items.len().saturating_mul(size_of::<RequestItem>());
        values.sum::<usize>().saturating_add(own).saturating_add(size_of::<Self>())
    }
}

impl RequestItem {
    /// What the value means: its name, or of an error its [text](error_text).
    #[must_use]
    pub fn meaning(&self) -> Option<Arc<str>> {
        if self.description.is_some() {
            return self.description.clone();
        }
        let is_error = &*self.name == "ErrorCode" && self.kind == ItemKind::Number;
        let code = self.value.parse().ok().filter(|_| is_error)?;
        Some(error_text(code).into())
    }
}

/// The text of an error code as documents have it: `Access is denied.`, a line end and
/// ` (0x80070005)`; for one without a text the number alone.
#[must_use]
pub fn error_text(code: u32) -> String {
    match texts::of_error(code) {
        Some(text) => format!("{text}\r\n ({code:#x})"),
        None => format!("({code:#x})"),
    }
}

/// Names, each kept once: a log has few of them and says them often.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

/// Names that are kept.
const MOST_NAMES: usize = 1 << 14;

impl Names {
    pub(super) fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        if self.0.len() < MOST_NAMES {
            self.0.insert(name.clone());
        }
        name
    }
}

struct Items<'n> {
    items: Vec<RequestItem>,
    /// The first item, if it is a GUID.
    activity: Option<Guid>,
    names: &'n mut Names,
}

impl Visitor for Items<'_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        let mut description = None;
        let (value, kind): (String, _) = match value {
            Value::Guid(guid) => {
                if self.items.is_empty() {
                    self.activity = Some(*guid);
                }
                (braced(*guid), ItemKind::Guid)
            }
            Value::Bool(value) => (value.to_string(), ItemKind::Bool),
            Value::Text(Text::Utf8(text)) if text.bytes().any(is_binary) => {
                (percent(text.as_bytes()), ItemKind::Binary)
            }
            Value::Text(Text::Narrow(bytes)) if bytes.iter().copied().any(is_binary) => {
                (percent(bytes), ItemKind::Binary)
            }
            Value::Text(text) => (text.to_string(), ItemKind::Text),
            Value::Binary(bytes) => (percent(bytes), ItemKind::Binary),
            Value::Mapped { map, value } => {
                description = map.name(*value).map(|meaning| self.names.get(meaning));
                (value.to_string(), ItemKind::Number)
            }
            number => (number.to_string(), ItemKind::Number),
        };
        let name = self.names.get(name);
        self.items.push(RequestItem { name, value: value.into(), kind, description });
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}

/// Whether a byte is none of text.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0xB | 0xC | 0xE..=0x1F | 0x7F)
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// `{00000000-0000-0000-9800-0080000000FA}`.
pub(crate) fn braced(guid: Guid) -> String {
    format!("{{{guid}}}").to_ascii_uppercase()
}
