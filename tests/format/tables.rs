//! The tables people read and the structs the compiler sees are the same numbers.

use crate::common::spec;
use etlring::format::{
    BufferHeader, CompactTraceHeader, EventDescriptor, EventHeader, EventInstanceGuidHeader,
    EventTraceHeader, ExtendedItemHeader, LogfileHeader32, LogfileHeader64, MessageTraceHeader,
    PerfInfoTraceHeader, SystemTraceHeader, TimeZoneInformation,
};
use std::fs;

/// Field name, offset, size.
type Row<'a> = (&'a str, usize, usize);

/// File under `spec/tables`, and what the compiler knows of the struct it describes.
const TABLES: &[(&str, &[Row<'_>], usize)] = &[
    ("buffer-header.md", BufferHeader::LAYOUT, BufferHeader::SIZE),
    ("compact-trace-header.md", CompactTraceHeader::LAYOUT, CompactTraceHeader::SIZE),
    ("event-descriptor.md", EventDescriptor::LAYOUT, EventDescriptor::SIZE),
    ("event-header.md", EventHeader::LAYOUT, EventHeader::SIZE),
    (
        "event-instance-guid-header.md",
        EventInstanceGuidHeader::LAYOUT,
        EventInstanceGuidHeader::SIZE,
    ),
    ("event-trace-header.md", EventTraceHeader::LAYOUT, EventTraceHeader::SIZE),
    ("extended-item-header.md", ExtendedItemHeader::LAYOUT, ExtendedItemHeader::SIZE),
    ("logfile-header-32.md", LogfileHeader32::LAYOUT, LogfileHeader32::SIZE),
    ("logfile-header-64.md", LogfileHeader64::LAYOUT, LogfileHeader64::SIZE),
    ("message-trace-header.md", MessageTraceHeader::LAYOUT, MessageTraceHeader::SIZE),
    ("perfinfo-trace-header.md", PerfInfoTraceHeader::LAYOUT, PerfInfoTraceHeader::SIZE),
    ("system-trace-header.md", SystemTraceHeader::LAYOUT, SystemTraceHeader::SIZE),
    ("time-zone-information.md", TimeZoneInformation::LAYOUT, TimeZoneInformation::SIZE),
];

#[test]
fn tables_match_the_structs() {
    for (file, layout, _) in TABLES {
        let text = fs::read_to_string(spec("tables").join(file)).unwrap();
        let rows: Vec<_> = text.lines().filter_map(row).collect();
        assert_eq!(rows, *layout, "{file}");
    }
}

/// Goal: a table leaves no byte of its struct unsaid.
/// Method: each field starts where the one before it ends, and the last one ends the struct.
#[test]
fn fields_leave_no_gap() {
    for (file, layout, size) in TABLES {
        let end = layout.iter().fold(0, |end, &(field, offset, len)| {
            assert_eq!(offset, end, "{file}: {field}");
            offset + len
        });
        assert_eq!(end, *size, "{file}");
    }
}

#[test]
fn every_table_has_a_struct() {
    let mut files: Vec<_> = fs::read_dir(spec("tables"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let known: Vec<_> = TABLES.iter().map(|(file, ..)| *file).collect();
    assert_eq!(files, known);
}

/// `| 0x04 | 4 | `saved_offset` | ...` as ("saved_offset", 4, 4); headings are `None`.
fn row(line: &str) -> Option<Row<'_>> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let offset = usize::from_str_radix(cells.next()?.strip_prefix("0x")?, 16).ok()?;
    let size = cells.next()?.parse().ok()?;
    Some((cells.next()?.trim_matches('`'), offset, size))
}
