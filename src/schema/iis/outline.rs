//! Descriptions of events that travel in the log: what a name table would say of them.
//!
//! ```text
//!  GUID provider │ GUID area │ u32 area bit │ u8 type │ u8 level │ u16 version │ u16 items │ u16 0
//!  provider name │ area name │ event name                        UTF-8 with a zero byte, each
//!  u8 item type │ u8 1 if a value has a meaning │ name │ u64 value │ meaning     for each item
//! ```
//!
//! A record of class [`OUTLINE_CLASS`] holds one. It may lie anywhere in a log, once or several
//! times; those of one event that agree in names and types add up to one with all meanings.

use crate::format::Guid;
use crate::schema::ValueMap;
use crate::schema::iis::{IisEvent, ItemType, fits, layout};
use crate::schema::layout::Layout;
use crate::schema::read::little;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use zerocopy::FromBytes;

/// Class of the records that describe events (ours).
pub const OUTLINE_CLASS: Guid = Guid::from_u128(0x7d1ff3a2_5c0e_4b8e_9f57_6b1c3a04e2d9);
/// Their type.
pub const OUTLINE_TYPE: u8 = 10;

/// Bytes in front of the names.
const FIXED: usize = 44;
/// Layouts of one event that are kept apart.
const MOST_VARIANTS: usize = 64;
/// Meanings of the values of one item.
const MOST_MEANINGS: usize = 4096;

/// The description of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Who raises it.
    pub provider: Guid,
    /// Class of its records.
    pub area_guid: Guid,
    /// The bit of its area.
    pub area: u32,
    /// Type of its records.
    pub number: u8,
    /// 0 general, 1 critical error to 5 verbose.
    pub level: u8,
    /// Version of its records.
    pub version: u16,
    /// What the provider is called.
    pub provider_name: &'a str,
    /// What the area is called.
    pub area_name: &'a str,
    /// What the event is called.
    pub event_name: &'a str,
    /// Its items.
    pub items: Vec<OutlineItem<'a>>,
}

/// An item of a described event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlineItem<'a> {
    /// Its name.
    pub name: &'a str,
    /// How its bytes lie in the payload.
    pub item_type: ItemType,
    /// A value and what it means.
    pub meaning: Option<(u64, &'a str)>,
}

impl<'a> Outline<'a> {
    /// Reads the payload of a record of [`OUTLINE_CLASS`]; `None` if it is none. Bytes behind the
    /// last item are ignored.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let guid = |at: usize| Guid::read_from_bytes(payload.get(at..at.checked_add(16)?)?).ok();
        let number = |at: usize, bytes: usize| payload.get(at..at.checked_add(bytes)?).map(little);
        let mut rest = payload.get(FIXED..)?;
        let provider_name = text(&mut rest)?;
        let area_name = text(&mut rest)?;
        let event_name = text(&mut rest)?;
        let count = usize::try_from(number(40, 2)?).ok()?;
        let mut items = Vec::new();
        for _ in 0..count {
            let (&[item_type, has_meaning], behind) = rest.split_first_chunk()?;
            rest = behind;
            let name = text(&mut rest)?;
            let mut meaning = None;
            if has_meaning != 0 {
                let (value, behind) = rest.split_first_chunk::<8>()?;
                rest = behind;
                meaning = Some((u64::from_le_bytes(*value), text(&mut rest)?));
            }
            items.push(OutlineItem { name, item_type: ItemType(item_type), meaning });
        }
        Some(Self {
            provider: guid(0)?,
            area_guid: guid(16)?,
            area: u32::try_from(number(32, 4)?).ok()?,
            number: u8::try_from(number(36, 1)?).ok()?,
            level: u8::try_from(number(37, 1)?).ok()?,
            version: u16::try_from(number(38, 2)?).ok()?,
            provider_name,
            area_name,
            event_name,
            items,
        })
    }

    /// Hands the bytes of the payload to `put`, piece by piece. A name ends at its first zero
    /// byte; items behind the 65,535th are left out.
    pub fn write(&self, put: impl FnMut(&[u8])) {
        self.write_of(self.items.iter().copied(), put);
    }

    /// As [`write`](Self::write), with these items and not its own.
    pub fn write_of<'i>(
        &self,
        items: impl ExactSizeIterator<Item = OutlineItem<'i>>,
        mut put: impl FnMut(&[u8]),
    ) {
        let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
        put(&self.provider.0);
        put(&self.area_guid.0);
        put(&self.area.to_le_bytes());
        put(&[self.number, self.level]);
        put(&self.version.to_le_bytes());
        put(&count.to_le_bytes());
        put(&[0, 0]);
        for name in [self.provider_name, self.area_name, self.event_name] {
            put(up_to_zero(name));
            put(&[0]);
        }
        for item in items.take(usize::from(count)) {
            put(&[item.item_type.0, u8::from(item.meaning.is_some())]);
            put(up_to_zero(item.name));
            put(&[0]);
            if let Some((value, meaning)) = item.meaning {
                put(&value.to_le_bytes());
                put(up_to_zero(meaning));
                put(&[0]);
            }
        }
    }

    /// The payload of a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(|part| bytes.extend_from_slice(part));
        bytes
    }
}

fn up_to_zero(text: &str) -> &[u8] {
    text.split('\0').next().unwrap_or_default().as_bytes()
}

/// Text up to a zero byte, which is taken, too.
fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = core::str::from_utf8(rest.get(..end)?).ok()?;
    *rest = rest.get(end.checked_add(1)?..)?;
    Some(text)
}

/// Which event: class, type, version.
type Key = (Guid, u8, u16);

/// The descriptions of a log, by event.
#[derive(Clone, Debug, Default)]
pub(super) struct Variants(HashMap<Key, Vec<Variant>>);

/// One layout of an event.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    provider: Guid,
    provider_name: Box<str>,
    area: u32,
    area_name: Box<str>,
    pub(super) event_name: Box<str>,
    level: u8,
    items: Vec<(Box<str>, ItemType)>,
    pub(super) layout: Layout,
    /// What the values of each item mean.
    pub(super) maps: Vec<ValueMap>,
}

impl Variants {
    /// Takes in a description; `pays` is asked for the bytes that it takes to keep something new.
    pub(super) fn add(&mut self, outline: &Outline<'_>, mut pays: impl FnMut(usize) -> bool) {
        let key = (outline.area_guid, outline.number, outline.version);
        let variants = match self.0.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                if !pays(size_of::<(Key, Vec<Variant>)>()) {
                    return;
                }
                entry.insert(Vec::new())
            }
        };
        let at = match variants.iter().position(|variant| variant.agrees(outline)) {
            Some(at) => at,
            None => {
                let variant = Variant::new(outline);
                if variants.len() >= MOST_VARIANTS || !pays(variant.bytes()) {
                    return;
                }
                variants.push(variant);
                variants.len().saturating_sub(1)
            }
        };
        let Some(variant) = variants.get_mut(at) else { return };
        for (map, item) in variant.maps.iter_mut().zip(&outline.items) {
            let Some((value, meaning)) = item.meaning else { continue };
            if map.name(value).is_some() || map.entries().count() >= MOST_MEANINGS {
                continue;
            }
            if pays(meaning.len().saturating_add(32)) {
                let old = map.entries().map(|(value, name)| (value, Box::from(name)));
                let all: Vec<_> = old.chain([(value, Box::from(meaning))]).collect();
                *map = ValueMap::new(false, all);
            }
        }
    }

    /// The description whose items take the payload to its last byte, or the first one.
    pub(super) fn find(&self, key: Key, payload: &[u8]) -> Option<&Variant> {
        let variants = self.0.get(&key)?;
        let takes_all =
            |variant: &&Variant| fits(variant.items.iter().map(|(_, item)| *item), payload);
        variants.iter().find(takes_all).or(variants.first())
    }
}

impl Variant {
    fn new(outline: &Outline<'_>) -> Self {
        let fields = outline.items.iter().enumerate();
        Self {
            provider: outline.provider,
            provider_name: outline.provider_name.into(),
            area: outline.area,
            area_name: outline.area_name.into(),
            event_name: outline.event_name.into(),
            level: outline.level,
            items: outline.items.iter().map(|item| (item.name.into(), item.item_type)).collect(),
            layout: layout(fields.map(|(at, item)| (item.name, item.item_type, Some(at)))),
            maps: vec![ValueMap::default(); outline.items.len()],
        }
    }

    /// Whether `outline` is one of the same names and types.
    fn agrees(&self, outline: &Outline<'_>) -> bool {
        let items = self.items.iter().map(|(name, item)| (&**name, *item));
        (self.provider, self.area, self.level) == (outline.provider, outline.area, outline.level)
            && *self.event_name == *outline.event_name
            && *self.provider_name == *outline.provider_name
            && *self.area_name == *outline.area_name
            && items.eq(outline.items.iter().map(|item| (item.name, item.item_type)))
    }

    /// Memory that it holds, about.
    fn bytes(&self) -> usize {
        let names = self.items.iter().map(|(name, _)| name.len().saturating_add(64)).sum::<usize>();
        let own = [&self.provider_name, &self.area_name, &self.event_name].map(|name| name.len());
        let own = own.iter().sum::<usize>().saturating_add(size_of::<Self>());
        own.saturating_add(names).saturating_add(self.layout.bytes())
    }

    pub(super) fn facts(&self) -> IisEvent<'_> {
        IisEvent {
            provider: self.provider,
            provider_name: &self.provider_name,
            area: self.area,
            area_name: &self.area_name,
            level: self.level,
            is_known: true,
        }
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    fn outline() -> Outline<'static> {
        let item = |name, item_type, meaning| OutlineItem { name, item_type, meaning };
        Outline {
            provider: Guid::from_u128(1),
            area_guid: Guid::from_u128(2),
            area: 0x8000,
            number: 7,
            level: 4,
            version: 3,
            provider_name: "orders",
            area_name: "Checkout",
            event_name: "ORDER_PLACED",
            items: vec![
                item("ContextId", ItemType::LPCGUID, None),
                item("State", ItemType::ULONG, Some((2, "PAID"))),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_shorter() {
        let bytes = outline().to_bytes();
        assert_eq!(Outline::parse(&bytes), Some(outline()));
        for cut in 0..bytes.len() {
            assert_eq!(Outline::parse(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn meanings_add_up_and_layouts_stay_apart() {
        let mut variants = Variants::default();
        variants.add(&outline(), |_| true);
        let mut other = outline();
        other.items[1].meaning = Some((3, "SENT"));
        variants.add(&other, |_| true);
        other.items.push(OutlineItem { name: "X", item_type: ItemType::BYTE, meaning: None });
        variants.add(&other, |_| true);
        let key = (Guid::from_u128(2), 7, 3);
        assert_eq!(variants.0[&key].len(), 2);
        let found = variants.find(key, &[0; 20]).unwrap();
        assert_eq!((found.maps[1].name(2), found.maps[1].name(3)), (Some("PAID"), Some("SENT")));
        assert_eq!(variants.find(key, &[0; 21]).unwrap().items.len(), 3);
        assert!(variants.find((Guid::ZERO, 7, 3), &[]).is_none());
        // A decoder without memory left keeps nothing.
        let mut none = Variants::default();
        none.add(&outline(), |_| false);
        assert!(none.find(key, &[]).is_none());
    }
}
