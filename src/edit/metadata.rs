//! Records that others are decoded with.

use crate::codec::{LossRecord, RecordHeader, RecordView, Records};
use crate::format::Guid;

/// Groups and types of kernel records without which those of other kinds cannot be understood:
/// names of processes, threads, files and registry keys, where images lie, keys of stacks.
const KERNEL: &[(u8, &[u8])] = &[
    // Process: start, end, and those that were there; image loads of old systems.
    (0x03, &[1, 2, 3, 4, 10, 39]),
    // File names, and maps of files.
    (0x04, &[0, 32, 35, 36, 37, 38, 39, 40]),
    // Threads, and their names.
    (0x05, &[1, 2, 3, 4, 72]),
    // Names of registry keys.
    (0x09, &[22, 23, 24, 25]),
    // Images: unloaded, those that were there, kernel base, loaded.
    (0x14, &[2, 3, 4, 10, 33]),
    // Stacks by key: created, deleted, those that were there.
    (0x18, &[34, 35, 36]),
];
/// Groups all of whose records describe the log or the machine: `EventTrace`, `SystemConfig`.
const WHOLE_GROUPS: &[u8] = &[0x00, 0x0B];

/// Classes of the records that merge tools put into a file.
const CLASSES: &[Guid] = &[
    // Identities of images.
    Guid::from_u128(0xb3e675d7_2554_4f18_830b_2762732560de),
    // Schemas of events.
    Guid::from_u128(0xbbccf6c1_6cd1_48c4_80ff_839482e37671),
    // Configuration of the machine.
    Guid::from_u128(0x9b79ee91_b5fd_41c0_a243_4248e266e9d0),
    // Assessment of the machine.
    Guid::from_u128(0xed54dff8_c409_4cf6_bf83_05e1e61a09c4),
    // What PerfTrack knows.
    Guid::from_u128(0xbf6ef1cb_89b5_490a_80ac_b180cfbcff0f),
];

/// Whether a record tells something that other records need to be understood: a schema, a name by
/// number, an identity, a loss. An edit keeps these by default.
#[must_use]
pub fn is_metadata(record: &RecordView<'_>) -> bool {
    match record.header() {
        RecordHeader::Event(header) => {
            // A chunk of the manifest that .NET sends through the trace.
            let d = &header.descriptor;
            (d.id.get(), d.opcode, d.task.get()) == (0xFFFE, 0xFE, 0xFFFE)
        }
        RecordHeader::Classic(header) => {
            CLASSES.contains(&header.guid) || LossRecord::of(record).is_some()
        }
        _ => record.group().is_some_and(|group| {
            let kind = record.opcode().unwrap_or_default();
            WHOLE_GROUPS.contains(&group.0)
                || KERNEL.iter().any(|(of, kinds)| *of == group.0 && kinds.contains(&kind))
        }),
    }
}

/// Whether a record is itself a schema, or a part of one.
pub(super) fn is_schema(record: &RecordView<'_>) -> bool {
    const SCHEMAS: Guid = Guid::from_u128(0xbbccf6c1_6cd1_48c4_80ff_839482e37671);
    match record.header() {
        RecordHeader::Event(_) => is_metadata(record),
        RecordHeader::Classic(header) => header.guid == SCHEMAS,
        _ => false,
    }
}

/// Whether a record is a logfile header: of those a log has one.
pub(super) fn is_logfile_header(record: &RecordView<'_>) -> bool {
    record.group().is_some_and(|group| group.0 == 0)
        && record.opcode() == Some(0)
        && matches!(record.header(), RecordHeader::System(_))
}

/// The greatest stamp of some records.
pub(super) fn last_ticks(records: &[u8]) -> Option<u64> {
    let whole = Records::new(records).map_while(Result::ok);
    whole.filter_map(|raw| RecordView::parse(raw).ok()?.ticks()).max()
}
