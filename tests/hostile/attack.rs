//! Length fields, chains, counts, nesting, times: each wrong in each way.

use crate::log::{Log, classic, untimed};
use crate::{Count, everything};
use etlring::codec::encode::{self, Item};
use etlring::codec::{RecordView, Records};
use etlring::format::{EventHeader, ExtType, PerfInfoTraceHeader};
use etlring::reader::Trace;
use etlring::schema::Decoder;
use etlring::schema::stacks::{StackKeys, Stacks};
use zerocopy::FromZeros;

const SIZE: usize = 4096;
/// Where the payload of the logfile header begins.
const LOGFILE: usize = 104;

/// An event with these extended items.
fn event(ticks: u64, items: &[Item<'_>], payload: &[u8]) -> Vec<u8> {
    let mut header = EventHeader::new_zeroed();
    header.time_stamp = ticks.into();
    header.provider_id.0 = [7; 16];
    let mut out = vec![0; 0xFFFF];
    let size = encode::event(&mut out, &header, 64, items, payload).unwrap();
    out.truncate(size);
    out
}

fn view(record: &[u8]) -> RecordView<'_> {
    RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap()
}

fn item(ext_type: ExtType, data: &[u8]) -> Item<'_> {
    Item { ext_type, data }
}

/// A TraceLogging schema of these fields, as bytes behind the event's name.
fn schema(fields: &[u8]) -> Vec<u8> {
    let mut schema = vec![0, 0, 0];
    schema.extend_from_slice(b"Event\0");
    schema.extend_from_slice(fields);
    let size = u16::try_from(schema.len()).unwrap();
    schema[..2].copy_from_slice(&size.to_le_bytes());
    schema
}

fn performance(ticks: u64) -> Vec<u8> {
    let mut header = PerfInfoTraceHeader::new_zeroed();
    header.time_stamp = ticks.into();
    let mut out = vec![0; 256];
    let size = encode::perfinfo(&mut out, &header, 64, Some(1), &[2, 3], &[9; 20]).unwrap();
    out.truncate(size);
    out
}

/// A sound log with a record of every kind; buffer 1 begins with an event that has items.
fn base() -> Log {
    let mut log = Log::new(SIZE);
    let schema = schema(b"a\0\x08b\0\x01");
    let payload = [1, 0, 0, 0, b'x', 0, 0, 0];
    let stack = [5u8; 40];
    let items = [item(ExtType(6), &stack), item(ExtType::EVENT_SCHEMA_TL, &schema)];
    let records =
        [event(2_000, &items, &payload), classic(2_001, 3, 40), untimed(3), performance(2_002)];
    log.buffer(0, 1, 2_003, &records);
    log.buffer(1, 2, 2_004, &[classic(2_000, 1, 8), untimed(1), classic(2_010, 2, 9)]);
    log
}

const U16: &[u64] =
    &[0, 1, 2, 7, 8, 9, 47, 48, 49, 79, 80, 81, 87, 88, 4023, 4024, 4025, 0x7FFF, 0xFFFF];
const U32: &[u64] = &[
    0,
    1,
    7,
    8,
    71,
    72,
    73,
    79,
    80,
    100,
    4095,
    4096,
    4097,
    8191,
    8192,
    12_288,
    12_289,
    1 << 16,
    1 << 24,
    (1 << 24) + 1,
    1 << 26,
    1 << 31,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
];
const U64: &[u64] = &[
    0,
    1,
    2_001,
    1 << 31,
    1 << 32,
    1 << 62,
    i64::MAX as u64,
    i64::MIN as u64,
    u64::MAX,
    132_000_000_000_000_000,
    10_000_000,
];

/// Goal: no number in a file is believed that its surroundings contradict.
/// Method: each length, count, time and flag of a small log, at each value where a check may err.
#[test]
fn every_number_at_every_edge() {
    let good = base().bytes;
    let first = SIZE + 72;
    let mut fields: Vec<(&str, usize, &[u64], usize)> = Vec::new();
    for buffer in [0, SIZE, 2 * SIZE] {
        fields.extend([
            ("BufferSize", buffer, U32, 4),
            ("SavedOffset", buffer + 0x04, U32, 4),
            ("CurrentOffset", buffer + 0x08, U32, 4),
            ("ReferenceCount", buffer + 0x0C, U32, 4),
            ("TimeStamp", buffer + 0x10, U64, 8),
            ("SequenceNumber", buffer + 0x18, U64, 8),
            ("ProcessorIndex", buffer + 0x28, U16, 2),
            ("State", buffer + 0x2C, U32, 4),
            ("FilledBytes", buffer + 0x30, U32, 4),
            ("BufferFlag", buffer + 0x34, &[0, 0x20, 0x40, 0x60, 0x7F, 0xFFFF], 2),
            ("BufferType", buffer + 0x36, U16, 2),
        ]);
    }
    fields.extend([
        ("header BufferSize", LOGFILE, U32, 4),
        ("NumberOfProcessors", LOGFILE + 12, U32, 4),
        ("EndTime", LOGFILE + 16, U64, 8),
        ("LogFileMode", LOGFILE + 32, &[0, 1, 2, 0x800, 0x10000, 0x0400_0000, 0xFFFF_FFFF], 4),
        ("BuffersWritten", LOGFILE + 36, U32, 4),
        ("PointerSize", LOGFILE + 44, &[0, 1, 4, 8, 16, 255, 0xFFFF_FFFF], 4),
        ("CpuSpeed", LOGFILE + 52, U32, 4),
        ("BootTime", LOGFILE + 248, U64, 8),
        ("PerfFreq", LOGFILE + 256, U64, 8),
        ("StartTime", LOGFILE + 264, U64, 8),
        ("clock", LOGFILE + 272, &[0, 1, 2, 3, 4, 0xFFFF_FFFF], 4),
        ("header record", 72 + 4, U16, 2),
        ("header marker", 72, &[0, 0xFFFF_FFFF, 0xC001_0002, 0xC014_0040, 0x9000_0040], 4),
        ("header stamp", 88, U64, 8),
        ("record size", first, U16, 2),
        ("record marker", first + 2, U16, 2),
        ("record flags", first + 4, U16, 2),
        ("record stamp", first + 16, U64, 8),
        ("item total", first + 80, U16, 2),
        ("item type", first + 82, U16, 2),
        ("item linkage", first + 84, U16, 2),
        ("item data", first + 86, U16, 2),
        ("second item total", first + 80 + 48, U16, 2),
        ("second item data", first + 86 + 48, U16, 2),
        ("schema size", first + 80 + 56, U16, 2),
    ]);
    let mut cases = 0;
    for (_, at, values, width) in fields {
        for value in values {
            let mut bad = good.clone();
            bad[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            everything(&bad);
            cases += 1;
        }
    }
    assert!(everything(&good) == Some(8));
    println!("attack list: {cases} cases, 0 panics");
}

#[test]
fn a_chain_of_items_as_long_as_a_record() {
    // Items without data, each saying that another one follows.
    let mut record = event(2_000, &[item(ExtType(1), &[0; 16])], &[]);
    record.truncate(80);
    while record.len() + 8 <= 0xFFF8 {
        record.extend_from_slice(&[8, 0, 1, 0, 1, 0, 0, 0]);
    }
    let size = u16::try_from(record.len()).unwrap();
    record[..2].copy_from_slice(&size.to_le_bytes());
    let mut log = Log::new(128 * 1024);
    log.buffer(0, 1, 2_000, &[record, classic(2_001, 1, 8)]);
    assert_eq!(everything(&log.bytes), Some(3));
}

/// Structures in structures, arrays of them, counts beyond what is there.
#[test]
fn nesting_and_counts_of_tracelogging() {
    let fields: [Vec<u8>; 8] = [
        // A structure of 127 fields, the first of which is one too, and so on.
        b"s\0\x98\x7F".repeat(10_000),
        // Arrays of structures of arrays.
        b"s\0\xD8\x01".repeat(5_000),
        [b"s\0\xB8\x01\xFF\xFF".repeat(9), b"n\0\x00".to_vec()].concat(),
        // An array of nothing, as many as a count can say.
        b"n\0\x20\xFF\xFF".repeat(200),
        // A name of nothing but length; an unknown type; a custom one.
        vec![b'a'; 20_000],
        b"a\0\x1F".to_vec(),
        b"a\0\x61\xFF\xFFxx".to_vec(),
        // Lengths beyond the payload.
        b"a\0\x0Eb\0\x16c\0\x48".to_vec(),
    ];
    let mut log = Log::new(1 << 20);
    let records: Vec<_> = fields
        .iter()
        .map(|fields| {
            let schema = schema(fields);
            event(2_000, &[item(ExtType::EVENT_SCHEMA_TL, &schema)], &[0xFF; 64])
        })
        .collect();
    log.buffer(0, 1, 2_000, &records);
    assert_eq!(everything(&log.bytes), Some(1 + records.len() as u64));
}

#[cfg(feature = "manifest")]
#[test]
fn a_manifest_nested_a_million_deep() {
    let deep = "<a>".repeat(1_000_000);
    assert!(Decoder::new().add_manifest(deep.as_bytes()).is_err());
    let wide = format!("<a>{}</a>", "<b/>".repeat(1_000_000));
    assert!(Decoder::new().add_manifest(wide.as_bytes()).is_err());
}

#[cfg(not(feature = "manifest"))]
#[test]
fn a_decoder_without_manifests_is_one() {
    assert_eq!(Decoder::new().refused(), 0);
}

/// Goal: no byte of a header of a record is believed.
/// Method: each byte of one record of each kind, at five values; flags of pointers to GUIDs, sizes of
/// either place and the bits of the marker are among them.
#[test]
fn every_byte_of_every_kind_of_header() {
    let good = base().bytes;
    let trace = Trace::from_slice(&good).unwrap();
    let mut records = trace.records();
    let mut places = Vec::new();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let header = record.raw().bytes.len() - record.view().unwrap().payload().len();
        let start = usize::try_from(record.position()).unwrap();
        places.extend(start..start + header.min(96));
    }
    let mut cases = 0;
    for at in places {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut bad = good.clone();
            bad[at] = value;
            everything(&bad);
            cases += 1;
        }
    }
    println!("headers of records: {cases} cases, 0 panics");
}

/// A stack of addresses is a match id and whole pointers; whatever is left over is no address.
#[test]
fn stacks_of_no_whole_number_of_pointers() {
    for length in 0..40usize {
        let data: Vec<u8> = (1..).take(length).collect();
        for (ext_type, width) in [(ExtType::STACK_TRACE32, 4), (ExtType::STACK_TRACE64, 8)] {
            let record = event(2_000, &[item(ext_type, &data)], &[]);
            let keys = StackKeys::new();
            let view = view(&record);
            let mut stacks = Stacks::new(&keys);
            let found = stacks.of(&view, &Decoder::new()).map_or(0, |stack| stack.addresses.len());
            assert_eq!(found, length.saturating_sub(8) / width, "{length} bytes");
            let mut log = Log::new(SIZE);
            log.buffer(0, 1, 2_000, &[record]);
            assert_eq!(everything(&log.bytes), Some(2));
        }
    }
}

/// Texts without an end, of half a character, of halves that are alone.
#[test]
fn strings_that_do_not_end() {
    let unicode = schema(b"a\0\x01b\0\x01");
    let bytes = schema(b"a\0\x02b\0\x02");
    let counted = schema(b"a\0\x16b\0\x16");
    let fixed = schema(b"a\0\x25\xFF\xFFb\0\x25\x03\0");
    let payloads: [&[u8]; 8] = [
        b"",
        b"a",
        b"a\0b",
        b"\x00\xD8",
        b"\x00\xDC\x00\xD8",
        b"\x00\xD8\0\0\x00",
        b"\xFF\xFFab",
        b"\x03\0abcd\xF0\x9F",
    ];
    let mut log = Log::new(1 << 16);
    let mut records = Vec::new();
    for schema in [&unicode, &bytes, &counted, &fixed] {
        for payload in payloads {
            let record = event(2_000, &[item(ExtType::EVENT_SCHEMA_TL, schema)], payload);
            let mut count = Count::default();
            let view = view(&record);
            let decoder = Decoder::new();
            let walked = decoder.describe(&view).walk(&mut count).unwrap();
            assert!(payload.ends_with(walked.rest), "{payload:?}");
            records.push(record);
        }
    }
    // Names without an end, too: then there is no schema, and nothing is lost.
    let mut endless = schema(b"a");
    endless.truncate(5);
    records.push(event(2_000, &[item(ExtType::EVENT_SCHEMA_TL, &endless)], b"rest"));
    log.buffer(0, 1, 2_000, &records);
    assert_eq!(everything(&log.bytes), Some(1 + records.len() as u64));
    // The names in the logfile header: their ends, then one half of a character.
    let names = LOGFILE + 280;
    for (at, with) in [(names, 0xFF), (names + 8, b'x'), (names + 1, 0xD8), (names + 2, 0)] {
        let mut bad = log.bytes.clone();
        bad[at..at + 4].fill(with);
        assert!(everything(&bad).is_none_or(|found| found <= 1 + records.len() as u64));
    }
}

/// A structure that claims more members than there are, and one that claims those behind it.
#[test]
fn structures_of_more_members_than_there_are() {
    for members in [0u8, 1, 2, 3, 0x7F] {
        let fields = [&b"s\0\x98"[..], &[members], b"a\0\x04b\0\x04"].concat();
        let schema = schema(&fields);
        let record = event(2_000, &[item(ExtType::EVENT_SCHEMA_TL, &schema)], &[1, 2]);
        let view = view(&record);
        let mut count = Count::default();
        let decoder = Decoder::new();
        let walked = decoder.describe(&view).walk(&mut count).unwrap();
        assert_eq!(walked.error.is_some(), members > 2, "{members}");
        assert!(count.0 >= 3, "{members}: what is there is shown");
    }
}

/// Files that end within the header, or right behind it.
#[test]
fn files_of_no_bytes_and_of_few() {
    let good = base().bytes;
    let first = 72 + 32 + 280;
    for end in (0..first + 64).chain(SIZE - 8..SIZE + 160) {
        let found = everything(&good[..end]);
        assert!(found.is_none() || end >= first, "{end} bytes are a log");
    }
}

/// Streams that say more or less than they hold.
#[test]
fn compressed_buffers_of_bogus_size() {
    let mut log = Log::with_mode(SIZE, 0x0400_0001);
    let at = log.compressed(0, 1, 2_000, &[classic(2_000, 1, 400), classic(2_001, 2, 400)]);
    log.compressed(0, 2, 2_002, &[classic(2_002, 3, 40)]);
    assert_eq!(everything(&log.bytes), Some(4));
    let mut cases = 0;
    for place in [at, at + 0x04, at + 0x30] {
        for value in U32 {
            let mut bad = log.bytes.clone();
            bad[place..place + 4].copy_from_slice(&value.to_le_bytes()[..4]);
            everything(&bad);
            cases += 1;
        }
    }
    for flags in [0u8, 0x20, 0x40, 0x60, 0xFF] {
        for buffer in [0, at] {
            let mut bad = log.bytes.clone();
            bad[buffer + 0x34] = flags;
            everything(&bad);
            cases += 1;
        }
    }
    println!("compressed: {cases} cases, 0 panics");
}

#[test]
fn times_that_cannot_be() {
    for stamps in [
        [0, 0, 0],
        [u64::MAX, 0, u64::MAX],
        [i64::MAX as u64, i64::MIN as u64, 1],
        [3_000, 2_000, 1_000],
    ] {
        for freq in [0, 1, 10_000_000, u64::MAX] {
            let mut log = Log::new(SIZE);
            let records = stamps.map(|stamp| classic(stamp, 1, 8));
            log.buffer(0, 1, stamps[0], &records);
            log.buffer(0, 2, stamps[1], &[untimed(1), classic(stamps[2], 2, 8)]);
            log.bytes[LOGFILE + 256..LOGFILE + 264].copy_from_slice(&freq.to_le_bytes());
            // Not one event is lost to it.
            assert_eq!(everything(&log.bytes), Some(6), "{stamps:?} {freq}");
        }
    }
}
