//! Events of Internet Information Services (IIS) and of what raises events as it does.
//!
//! They are classic records: the class is the *area* of the event, the type its number, the payload
//! its items one behind the other. A record says neither its provider nor its level nor any name;
//! these come, in this order, from
//!
//! | source | module |
//! |---|---|
//! | a description in the same log, which our recorder puts there | `outline` |
//! | the table of IIS's own events | `table` |
//! | a look at the bytes: an unknown event of a known area is still shown typed | `guess` |
//!
//! Source: Microsoft, `httptrace.h` and its pages; microsoft/perfview, `w3core.mof` (MIT);
//! spec/18-iis.md.

mod areas;
mod guess;
mod outline;
mod table;

pub use areas::{AREAS, Area, PROVIDERS, ProviderInfo, area, provider_name};
pub use outline::{OUTLINE_CLASS, OUTLINE_TYPE, Outline, OutlineItem};
pub use table::{KnownEvent, KnownField, known};

pub(super) use guess::walk as walk_guessed;

use crate::codec::RecordView;
use crate::format::Guid;
use crate::schema::description::{Description, Schema};
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::{InType, OutType, Source, ValueMap};
use outline::Variants;
use std::borrow::Cow;

/// What is known of the provider of an IIS event, which its record does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IisEvent<'a> {
    /// The provider.
    pub provider: Guid,
    /// Its name.
    pub provider_name: &'a str,
    /// The area's bit; 0 for the general area, and where it is not known.
    pub area: u32,
    /// The area's name; empty where there is none.
    pub area_name: &'a str,
    /// 0 general, 1 critical error to 5 verbose.
    pub level: u8,
    /// Whether names and types are known; if not, they are guessed from the bytes.
    pub is_known: bool,
}

/// How the bytes of an item lie in a payload (`HTTP_TRACE_TYPE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemType(pub u8);

impl ItemType {
    /// `HTTP_TRACE_TYPE_SHORT`: 16 bits with a sign.
    pub const SHORT: Self = Self(2);
    /// `HTTP_TRACE_TYPE_LONG`: 32 bits with a sign.
    pub const LONG: Self = Self(3);
    /// `HTTP_TRACE_TYPE_BOOL`: four bytes, zero or not.
    pub const BOOL: Self = Self(11);
    /// `HTTP_TRACE_TYPE_CHAR`: 8 bits with a sign.
    pub const CHAR: Self = Self(16);
    /// `HTTP_TRACE_TYPE_BYTE`: 8 bits.
    pub const BYTE: Self = Self(17);
    /// `HTTP_TRACE_TYPE_USHORT`: 16 bits.
    pub const USHORT: Self = Self(18);
    /// `HTTP_TRACE_TYPE_ULONG`: 32 bits.
    pub const ULONG: Self = Self(19);
    /// `HTTP_TRACE_TYPE_LONGLONG`: 64 bits with a sign.
    pub const LONGLONG: Self = Self(20);
    /// `HTTP_TRACE_TYPE_ULONGLONG`: 64 bits.
    pub const ULONGLONG: Self = Self(21);
    /// `HTTP_TRACE_TYPE_LPCSTR`: bytes and a zero byte.
    pub const LPCSTR: Self = Self(30);
    /// `HTTP_TRACE_TYPE_LPCWSTR`: UTF-16 and a zero unit.
    pub const LPCWSTR: Self = Self(31);
    /// `HTTP_TRACE_TYPE_LPCGUID`: 16 bytes.
    pub const LPCGUID: Self = Self(72);

    /// Every type, by number.
    pub const ALL: [Self; 12] = [
        Self::SHORT,
        Self::LONG,
        Self::BOOL,
        Self::CHAR,
        Self::BYTE,
        Self::USHORT,
        Self::ULONG,
        Self::LONGLONG,
        Self::ULONGLONG,
        Self::LPCSTR,
        Self::LPCWSTR,
        Self::LPCGUID,
    ];

    /// Bytes of a value; `None` of a string, and of a type that does not exist.
    #[must_use]
    #[inline]
    pub const fn width(self) -> Option<usize> {
        match self {
            Self::CHAR | Self::BYTE => Some(1),
            Self::SHORT | Self::USHORT => Some(2),
            Self::LONG | Self::ULONG | Self::BOOL => Some(4),
            Self::LONGLONG | Self::ULONGLONG => Some(8),
            Self::LPCGUID => Some(16),
            _ => None,
        }
    }

    /// Bytes of the value at the start of `bytes`, its terminator included; `None` if it does not
    /// end in them.
    fn extent(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::LPCSTR => bytes.iter().position(|byte| *byte == 0)?.checked_add(1),
            Self::LPCWSTR => {
                let mut units = bytes.chunks_exact(2);
                units.position(|unit| unit == [0, 0])?.checked_add(1)?.checked_mul(2)
            }
            fixed => fixed.width().filter(|width| *width <= bytes.len()),
        }
    }

    /// The same for schemas of any kind.
    fn in_type(self) -> (InType, OutType) {
        let in_type = match self {
            Self::CHAR => InType::INT8,
            Self::BYTE => InType::UINT8,
            Self::SHORT => InType::INT16,
            Self::USHORT => InType::UINT16,
            Self::LONG => InType::INT32,
            Self::ULONG => InType::UINT32,
            Self::LONGLONG => InType::INT64,
            Self::ULONGLONG => InType::UINT64,
            Self::BOOL => InType::BOOLEAN,
            Self::LPCSTR => InType::ANSI_STRING,
            Self::LPCWSTR => InType::UNICODE_STRING,
            Self::LPCGUID => InType::GUID,
            _ => InType::BINARY,
        };
        (in_type, OutType::Default)
    }
}

/// Whether items of these types take `payload` to its last byte.
fn fits(types: impl IntoIterator<Item = ItemType>, payload: &[u8]) -> bool {
    let mut rest = payload;
    for item in types {
        let taken = item.extent(rest).and_then(|extent| rest.get(extent..));
        let Some(behind) = taken else { return false };
        rest = behind;
    }
    rest.is_empty()
}

/// Items with the maps that name their values.
fn layout<'n>(items: impl IntoIterator<Item = (&'n str, ItemType, Option<usize>)>) -> Layout {
    let field = |(name, item, map): (&'n str, ItemType, Option<usize>)| {
        let (in_type, out_type) = item.in_type();
        let kind = Kind::Value { in_type, out_type, map };
        Field { name: name.into(), kind, count: Extent::Own, length: Extent::Own, optional: false }
    };
    let fields: Vec<_> = items.into_iter().map(field).collect();
    let top = fields.len();
    Layout::new(fields, top)
}

/// What the outlines of a log say, in a decoder.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned(Variants);

impl Learned {
    /// Takes in the payload of an outline; says how many bytes it costs to keep, if it is one and
    /// new.
    pub(super) fn learn(&mut self, payload: &[u8], pays: impl FnMut(usize) -> bool) {
        if let Some(outline) = Outline::parse(payload) {
            self.0.add(&outline, pays);
        }
    }

    /// Fills in what is known of a classic record; nothing if its class is no area.
    pub(super) fn describe<'a>(&'a self, record: &RecordView<'a>, found: &mut Description<'a>) {
        let (Some(class), Some(number), Some(version)) =
            (record.provider(), record.opcode(), record.version())
        else {
            return;
        };
        let payload = record.payload();
        if (class, number) == (OUTLINE_CLASS, OUTLINE_TYPE) {
            found.source = Source::Iis;
            found.name = Some(Cow::Borrowed("EventOutline"));
            found.provider_name = Some(Cow::Borrowed("etlring"));
            return;
        }
        if let Some(variant) = self.0.find((class, number, version), payload) {
            found.source = Source::Iis;
            found.schema = Schema::Iis(&variant.layout, &variant.maps);
            found.name = Some(Cow::Borrowed(&variant.event_name));
            found.iis = Some(variant.facts());
        } else if let Some(area) = area(class) {
            found.source = Source::Iis;
            let event = table::find(class, number, payload);
            found.iis = Some(IisEvent {
                provider: area.provider.guid,
                provider_name: area.provider.name,
                area: area.mask,
                area_name: area.name,
                level: event.map_or(record.level().unwrap_or(0), |event| event.level),
                is_known: event.is_some(),
            });
            match event {
                Some(event) => {
                    found.schema = Schema::Iis(&event.layout, table::maps());
                    found.name = Some(Cow::Borrowed(event.name));
                }
                None => {
                    found.schema = Schema::Guessed;
                    let name = if area.name.is_empty() { area.provider.name } else { area.name };
                    let name = name.to_ascii_uppercase().replace(' ', "_");
                    found.name = Some(Cow::Owned(format!("{name}_{number}")));
                }
            }
        }
        if let Some(iis) = found.iis {
            found.provider_name = Some(Cow::Borrowed(iis.provider_name));
        }
    }
}

/// A map of values, for the tables here.
fn map_of(entries: &[(u64, &str)]) -> ValueMap {
    ValueMap::new(false, entries.iter().map(|(value, name)| (*value, Box::from(*name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extent_of_an_item_includes_its_terminator() {
        assert_eq!(ItemType::LPCSTR.extent(b"GET\0x"), Some(4));
        assert_eq!(ItemType::LPCSTR.extent(b"GET"), None);
        assert_eq!(ItemType::LPCWSTR.extent(b"a\0\0\0\0"), Some(4));
        assert_eq!(ItemType::LPCWSTR.extent(b"a\0\0"), None);
        assert_eq!(ItemType::LPCGUID.extent(&[0; 15]), None);
        assert_eq!(ItemType(99).extent(&[0; 99]), None);
        let types = [ItemType::BOOL, ItemType::LPCSTR];
        assert!(fits(types, b"\x01\0\0\0a\0"));
        assert!(!fits(types, b"\x01\0\0\0a\0\0") && !fits(types, b"\x01\0\0\0a"));
    }
}
