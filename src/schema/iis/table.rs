//! The events of IIS itself: `events.tsv`, parsed once, when it is first asked.

use crate::format::Guid;
use crate::schema::ValueMap;
use crate::schema::iis::{AREAS, ItemType, fits, layout, map_of};
use crate::schema::layout::Layout;
use std::collections::HashMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("events.tsv");

/// An event of IIS, in one of its layouts.
#[derive(Clone, Debug)]
pub struct KnownEvent {
    /// Its name.
    pub name: &'static str,
    /// 0 general, 1 critical error to 5 verbose.
    pub level: u8,
    /// The items of its payload, in order.
    pub fields: Vec<KnownField>,
    pub(super) layout: Layout,
    /// Of IIS 6, which writes version 0.
    old: bool,
}

/// An item of an event of IIS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownField {
    /// Its name.
    pub name: &'static str,
    /// How its bytes lie in the payload.
    pub item_type: ItemType,
    map: Option<usize>,
}

impl KnownField {
    /// What a value means, if it is one of those that have a name.
    #[must_use]
    pub fn meaning(&self, value: u64) -> Option<&'static str> {
        maps().get(self.map?)?.name(value)
    }
}

/// The layouts of an event, by area and type, those of IIS 7 and later first; empty if it is not
/// known.
pub fn known(area: Guid, number: u8) -> impl Iterator<Item = &'static KnownEvent> {
    layouts(area, number).iter().filter(|event| !event.old)
}

fn layouts(area: Guid, number: u8) -> &'static [KnownEvent] {
    table().get(&(area, number)).map_or(&[], |events| events)
}

/// The layout of a record: the first one that takes the payload to its last byte, those of IIS 6
/// last; the first one at all, if none does. The record's version does not tell: providers of IIS 7
/// and later write 0, too.
pub(super) fn find(area: Guid, number: u8, payload: &[u8]) -> Option<&'static KnownEvent> {
    let layouts = layouts(area, number);
    let takes_all =
        |event: &&KnownEvent| fits(event.fields.iter().map(|field| field.item_type), payload);
    let new = layouts.iter().filter(|event| !event.old);
    new.chain(layouts).find(takes_all).or_else(|| known(area, number).next().or(layouts.first()))
}

type Table = HashMap<(Guid, u8), Vec<KnownEvent>>;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table::new();
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let read = row(line).map(|(key, event)| table.entry(key).or_default().push(event));
            debug_assert!(read.is_some(), "{line}");
        }
        table
    })
}

/// Reads one row; `None` if it is none.
fn row(line: &'static str) -> Option<((Guid, u8), KnownEvent)> {
    let mut columns = line.split('\t');
    let area = columns.next()?;
    let (area, old) = area.strip_suffix("/0").map_or((area, false), |area| (area, true));
    let name = if area == "General" { "" } else { area };
    let area = AREAS.iter().find(|area| area.name == name)?;
    let number = columns.next()?.parse().ok()?;
    let level = columns.next()?.parse().ok()?;
    let name = columns.next()?;
    let mut fields = Vec::new();
    for field in columns.next()?.split(',').filter(|field| !field.is_empty()) {
        let (name, kind) = field.split_once(':')?;
        let (kind, map) = kind.split_once('=').map_or((kind, None), |(k, map)| (k, Some(map)));
        let map = match map {
            Some(map) => Some(MAPS.iter().position(|(name, _)| *name == map)?),
            None => None,
        };
        fields.push(KnownField { name, item_type: item_type(kind)?, map });
    }
    let layout = layout(fields.iter().map(|field| (field.name, field.item_type, field.map)));
    Some(((area.guid, number), KnownEvent { name, level, fields, layout, old }))
}

fn item_type(name: &str) -> Option<ItemType> {
    Some(match name {
        "guid" => ItemType::LPCGUID,
        "u16" => ItemType::USHORT,
        "u32" => ItemType::ULONG,
        "u64" => ItemType::ULONGLONG,
        "bool" => ItemType::BOOL,
        "wstr" => ItemType::LPCWSTR,
        "astr" => ItemType::LPCSTR,
        _ => return None,
    })
}

/// The maps that fields of the table name.
pub(super) fn maps() -> &'static [ValueMap] {
    static NAMES: OnceLock<Vec<ValueMap>> = OnceLock::new();
    NAMES.get_or_init(|| MAPS.iter().map(|(_, entries)| map_of(entries)).collect())
}

type Entries = &'static [(u64, &'static str)];

/// Names of values. Only those that Microsoft's pages and headers give: a value without a name is
/// shown as its number.
const MAPS: &[(&str, Entries)] = &[
    // RQ_* of httpserv.h
    (
        "Notification",
        &[
            (0x1, "BEGIN_REQUEST"),
            (0x2, "AUTHENTICATE_REQUEST"),
            (0x4, "AUTHORIZE_REQUEST"),
            (0x8, "RESOLVE_REQUEST_CACHE"),
            (0x10, "MAP_REQUEST_HANDLER"),
            (0x20, "REQUEST_ACQUIRE_STATE"),
            (0x40, "PRE_EXECUTE_REQUEST_HANDLER"),
            (0x80, "EXECUTE_REQUEST_HANDLER"),
            (0x100, "RELEASE_REQUEST_STATE"),
            (0x200, "UPDATE_REQUEST_CACHE"),
            (0x400, "LOG_REQUEST"),
            (0x800, "END_REQUEST"),
            (0x1000_0000, "CUSTOM_NOTIFICATION"),
            (0x2000_0000, "SEND_RESPONSE"),
            (0x4000_0000, "READ_ENTITY"),
            (0x8000_0000, "MAP_PATH"),
        ],
    ),
    // REQUEST_NOTIFICATION_STATUS of httpserv.h
    (
        "NotificationStatus",
        &[
            (0, "NOTIFICATION_CONTINUE"),
            (1, "NOTIFICATION_PENDING"),
            (2, "NOTIFICATION_FINISH_REQUEST"),
        ],
    ),
    // SF_STATUS_TYPE of httpfilt.h
    (
        "FilterStatus",
        &[
            (0x800_0000, "SF_STATUS_REQ_FINISHED"),
            (0x800_0001, "SF_STATUS_REQ_FINISHED_KEEP_CONN"),
            (0x800_0002, "SF_STATUS_REQ_NEXT_NOTIFICATION"),
            (0x800_0003, "SF_STATUS_REQ_HANDLED_NOTIFICATION"),
            (0x800_0004, "SF_STATUS_REQ_ERROR"),
            (0x800_0005, "SF_STATUS_REQ_READ_NEXT"),
        ],
    ),
    // MD_AUTH_* of iiscnfg.h
    (
        "AuthType",
        &[(0, "NOT_AVAILABLE"), (1, "ANONYMOUS"), (2, "BASIC"), (4, "NTLM"), (16, "DIGEST")],
    ),
    // RPC_C_IMP_LEVEL_*
    (
        "Impersonation",
        &[
            (1, "ImpersonationAnonymous"),
            (2, "ImpersonationIdentify"),
            (3, "ImpersonationImpersonate"),
            (4, "ImpersonationDelegate"),
        ],
    ),
    // HTTP_CACHE_POLICY_TYPE of http.h
    ("CachePolicy", &[(0, "NO_CACHE"), (1, "USER_INVALIDATES"), (2, "TIME_TO_LIVE")]),
];

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;

    const GENERAL: Guid = AREAS[0].guid;

    #[test]
    fn every_row_is_read() {
        let rows: Vec<_> = TEXT.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rows.len(), 242);
        for line in &rows {
            assert!(row(line).is_some(), "{line}");
        }
        assert_eq!(table().values().map(Vec::len).sum::<usize>(), rows.len());
    }

    #[test]
    fn the_size_chooses_the_layout() {
        let name = |payload: &[u8]| find(GENERAL, 2, payload).unwrap().name;
        // 16 + 3 * 4 + 2 bytes, as IIS 8.5 writes it; 12 bytes of IIS 6.
        assert_eq!(name(&[0; 30]), "GENERAL_REQUEST_END");
        assert_eq!(name(&[0; 12]), "End");
        assert_eq!(name(&[0; 13]), "GENERAL_REQUEST_END");
        assert!(find(GENERAL, 99, &[]).is_none());
        assert_eq!(known(GENERAL, 2).count(), 1);
        let end = known(GENERAL, 2).next().unwrap();
        assert_eq!(end.fields.len(), 5);
        assert_eq!(end.fields[4].meaning(1), None);
    }
}
