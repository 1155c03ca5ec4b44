//! Classic events of the kernel and of the merge tools: a built-in table of their layouts.
//!
//! The table is text, `kernel.tsv`, so that it can be read, compared and added to; it is parsed
//! once, when the first such event is decoded, but for the fields of its rows: those of a row when
//! its own first event is decoded, since a log has events of a few rows. Events are found by group
//! and type, or by class and type; the row whose versions hold the event's is taken, and the newest
//! one for versions that are newer: these usually only append fields, which are then handed back as
//! what is left.

use crate::format::{Group, Guid};
use crate::schema::hash::Seed;
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::{InType, OutType};
use std::collections::HashMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("kernel.tsv");

/// One kind of event.
#[derive(Debug)]
pub(super) struct KernelEvent {
    /// Name of the class that a consumer shows; of an image load not that of its group.
    pub(super) class: Option<&'static str>,
    /// Name of its type.
    pub(super) name: &'static str,
    layout: usize,
}

/// What the table says of the record: by hook id, or by class and type.
pub(super) fn find(
    group: Option<Group>,
    class: Guid,
    kind: u8,
    version: u16,
) -> Option<(&'static KernelEvent, &'static Layout)> {
    let table = table();
    let picks = match group {
        Some(group) => table.by_hook.get(&(group.0, kind))?,
        None => table.by_class.get(&(class, kind))?,
    };
    let holds = |pick: &&Pick| pick.low <= version && version <= pick.high;
    let pick = picks.iter().find(holds).or_else(|| {
        let newest = picks.iter().max_by_key(|pick| pick.low)?;
        (version > newest.high).then_some(newest)
    })?;
    let event = table.events.get(pick.event)?;
    Some((event, table.layouts.get(event.layout)?.get()?))
}

#[derive(Debug, Default)]
struct Table {
    events: Vec<KernelEvent>,
    layouts: Vec<Fields>,
    by_hook: HashMap<(u8, u8), Vec<Pick>, Seed>,
    by_class: HashMap<(Guid, u8), Vec<Pick>, Seed>,
}

/// The fields of a row, read when they are needed.
#[derive(Debug)]
struct Fields {
    text: &'static str,
    layout: OnceLock<Option<Layout>>,
}

impl Fields {
    /// `None` if the text is not what it should be; a test reads every row.
    fn get(&self) -> Option<&Layout> {
        self.layout.get_or_init(|| layout_of(self.text)).as_ref()
    }
}

/// A range of versions and its event.
#[derive(Clone, Copy, Debug)]
struct Pick {
    low: u16,
    high: u16,
    event: usize,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table::default();
        for line in TEXT.lines().filter(|line| !line.starts_with('#')) {
            let read = table.add(line);
            debug_assert!(read.is_some(), "{line}");
        }
        table
    })
}

impl Table {
    /// Takes one row in; `None` if it is none.
    fn add(&mut self, line: &'static str) -> Option<()> {
        let mut columns = line.split('\t');
        let group = u8::from_str_radix(columns.next()?, 16).ok();
        let class: Guid = columns.next()?.parse().ok()?;
        let _name = columns.next()?;
        let types = columns.next()?;
        let (low, high) = columns.next()?.split_once("..")?;
        let low = low.parse().ok()?;
        let high = if high == "*" { u16::MAX } else { high.parse().ok()? };
        let layout = self.layouts.len();
        self.layouts.push(Fields { text: columns.next()?, layout: OnceLock::new() });
        for kind in types.split(',') {
            let (number, name) = kind.split_once('=')?;
            let number: u8 = number.parse().ok()?;
            let pick = Pick { low, high, event: self.events.len() };
            let class_name = Group::of(class).and_then(Group::name);
            self.events.push(KernelEvent { class: class_name, name, layout });
            if let Some(group) = group {
                self.by_hook.entry((group, number)).or_default().push(pick);
            }
            self.by_class.entry((class, number)).or_default().push(pick);
        }
        Some(())
    }
}

/// `Name:type,Name:type`.
fn layout_of(text: &'static str) -> Option<Layout> {
    let mut fields: Vec<Field> = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, kind) = part.split_once(':')?;
        let field = field_of(name, kind, &fields)?;
        fields.push(field);
    }
    let top = fields.len();
    Some(Layout::new(fields, top))
}

fn field_of(name: &str, kind: &str, before: &[Field]) -> Option<Field> {
    let (kind, optional) = kind.strip_suffix('?').map_or((kind, false), |kind| (kind, true));
    let (base, sizes) = kind.split_once('[').unwrap_or((kind, ""));
    let mut sizes = sizes.split_terminator(']').map(|size| size.trim_start_matches('['));
    let mut extent = || match sizes.next() {
        None => Some(Extent::Own),
        Some("*") => Some(Extent::Rest),
        Some(size) => match size.parse() {
            Ok(count) => Some(Extent::Fixed(count)),
            Err(_) => before.iter().position(|field| *field.name == *size).map(Extent::Field),
        },
    };
    let (in_type, out_type) = type_of(base)?;
    // Of these the first size is a length and no count.
    let length = if matches!(base, "wchar" | "bytes") { extent()? } else { Extent::Own };
    let kind = Kind::Value { in_type, out_type, map: None };
    Some(Field { name: name.into(), kind, count: extent()?, length, optional })
}

fn type_of(base: &str) -> Option<(InType, OutType)> {
    let in_type = match base {
        "i8" => InType::INT8,
        "u8" => InType::UINT8,
        "i16" => InType::INT16,
        "u16" => InType::UINT16,
        "i32" => InType::INT32,
        "u32" => InType::UINT32,
        "i64" => InType::INT64,
        "u64" | "ticks" => InType::UINT64,
        "hex32" => InType::HEX_INT32,
        "hex64" => InType::HEX_INT64,
        "ptr" => InType::POINTER,
        "size_t" => InType::SIZE_T,
        "wstr" | "wchar" => InType::UNICODE_STRING,
        "astr" => InType::ANSI_STRING,
        "guid" => InType::GUID,
        "filetime" => InType::FILETIME,
        "sid" => InType::WBEM_SID,
        "bytes" | "rest" => InType::BINARY,
        "port_be" => return Some((InType::UINT16, OutType::Port)),
        "ipv4" => return Some((InType::UINT32, OutType::Ipv4)),
        "ipv6" => return Some((InType::BINARY, OutType::Ipv6)),
        _ => return None,
    };
    Some((in_type, OutType::Default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let rows: Vec<_> = TEXT.lines().filter(|line| !line.starts_with('#')).collect();
        let mut table = Table::default();
        for row in &rows {
            assert!(table.add(row).is_some(), "{row}");
        }
        assert_eq!(table.layouts.len(), rows.len());
        assert_eq!(rows.len(), 188);
        let columns = rows.iter().map(|row| row.rsplit('\t').next().unwrap());
        let fields: usize = columns.map(|c| c.split(',').filter(|f| !f.is_empty()).count()).sum();
        let layouts = table.layouts.iter().map(|fields| fields.get().unwrap());
        assert_eq!(layouts.map(|layout| layout.fields().len()).sum::<usize>(), fields);
    }

    #[test]
    fn versions_choose_the_row() {
        let class = Guid::from_u128(0x3d6fa8d0_fe05_11d0_9dda_00c04fd7ba7c);
        let fields = |version| {
            let (event, layout) = find(Some(Group(3)), class, 1, version).unwrap();
            assert_eq!(event.name, "Start");
            layout.fields().len()
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 200].map(fields), [4, 7, 8, 9, 12, 13, 13]);
        // An image load bears the number of a process event.
        let (event, _) = find(Some(Group(3)), class, 10, 3).unwrap();
        assert_eq!(event.class, Group(0x14).name());
        assert!(find(Some(Group(3)), class, 99, 0).is_none());
        assert!(find(None, Guid::ZERO, 1, 0).is_none());
        // CSwitch is known from version 2 on; older ones are not guessed.
        assert!(find(Some(Group(5)), class, 36, 1).is_none());
    }
}
