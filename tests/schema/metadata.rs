//! Metadata records made by hand from spec/15-schemas.md, whole and hostile.

use crate::shown::{Shown, whole};
use etlring::codec::{RecordView, Records};
use etlring::schema::{DecodeFault, Decoder, Source};

const METADATA: u128 = 0xbbccf6c1_6cd1_48c4_80ff_839482e37671;
const PROVIDER: [u8; 16] = [0x5A; 16];

/// A classic record of the metadata provider.
fn record(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 48];
    let size = u16::try_from(48 + payload.len()).unwrap();
    record[..2].copy_from_slice(&size.to_le_bytes());
    record[2..4].copy_from_slice(&[20, 0xC0]);
    record[4] = opcode;
    record[24..40].copy_from_slice(&etlring::format::Guid::from_u128(METADATA).0);
    record.extend_from_slice(payload);
    record
}

fn learn(decoder: &mut Decoder, opcode: u8, payload: &[u8]) {
    let bytes = record(opcode, payload);
    decoder.learn(Records::new(&bytes).next().unwrap().unwrap());
}

/// An event of `PROVIDER`, id 7, version 1, 64 bits.
fn event(payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 80];
    let size = u16::try_from(80 + payload.len()).unwrap();
    record[..2].copy_from_slice(&size.to_le_bytes());
    record[2..4].copy_from_slice(&[19, 0xC0]);
    record[24..40].copy_from_slice(&PROVIDER);
    (record[40], record[42]) = (7, 1);
    record.extend_from_slice(payload);
    record
}

/// Flags, name, in-type or first member, out-type or members, map, count, length.
type Property<'a> = (u32, &'a str, u16, u16, &'a str, u16, u16);

/// A `TRACE_EVENT_INFO` of the event above.
fn info(top: u32, properties: &[Property<'_>]) -> Vec<u8> {
    let mut info = vec![0; 112 + 24 * properties.len()];
    info[..16].copy_from_slice(&PROVIDER);
    (info[32], info[34]) = (7, 1);
    let put = |info: &mut Vec<u8>, at: usize, word: u32| {
        info[at..at + 4].copy_from_slice(&word.to_le_bytes());
    };
    let text = |info: &mut Vec<u8>, at: usize, text: &str| {
        if !text.is_empty() {
            let offset = u32::try_from(info.len()).unwrap();
            info[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            info.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        }
    };
    text(&mut info, 52, "Demo-Provider");
    text(&mut info, 56, "win:Informational ");
    text(&mut info, 64, "First\0Second\0");
    text(&mut info, 68, "Open");
    text(&mut info, 72, "win:Start");
    text(&mut info, 76, "%1 opened ");
    put(&mut info, 100, u32::try_from(properties.len()).unwrap());
    put(&mut info, 104, top);
    for (at, &(flags, name, in_type, out_type, map, count, length)) in properties.iter().enumerate()
    {
        let at = 112 + 24 * at;
        put(&mut info, at, flags);
        text(&mut info, at + 4, name);
        put(&mut info, at + 8, u32::from(in_type) | u32::from(out_type) << 16);
        text(&mut info, at + 12, map);
        put(&mut info, at + 16, u32::from(count) | u32::from(length) << 16);
    }
    info
}

/// The provider's GUID and an `EVENT_MAP_INFO`.
fn map(name: &str, flags: u32, entries: &[(u32, &str)]) -> Vec<u8> {
    let mut info = vec![0; 16 + 8 * entries.len()];
    let put = |info: &mut Vec<u8>, at: usize, text: &str, value: Option<u32>| {
        let offset = u32::try_from(info.len()).unwrap();
        info[at..at + 4].copy_from_slice(&offset.to_le_bytes());
        if let Some(value) = value {
            info[at + 4..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        info.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
    };
    put(&mut info, 0, name, Some(flags));
    info[8..12].copy_from_slice(&u32::try_from(entries.len()).unwrap().to_le_bytes());
    for (at, (value, text)) in entries.iter().enumerate() {
        put(&mut info, 16 + 8 * at, text, Some(*value));
    }
    [&PROVIDER[..], &info].concat()
}

/// What `payload` shows with this schema.
fn shown(decoder: &Decoder, payload: &[u8]) -> (String, Vec<u8>, Option<DecodeFault>) {
    let bytes = event(payload);
    let view = RecordView::parse(Records::new(&bytes).next().unwrap().unwrap()).unwrap();
    let mut shown = Shown::default();
    let walked = decoder.describe(&view).walk(&mut shown).expect("a schema");
    (shown.text(), walked.rest.to_vec(), walked.error.map(|error| error.fault))
}

fn one(properties: &[Property<'_>], payload: &[u8]) -> String {
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &info(u32::try_from(properties.len()).unwrap(), properties));
    let (text, rest, error) = shown(&decoder, payload);
    assert_eq!((rest, error), (vec![], None), "{text}");
    text
}

#[test]
fn names_of_an_event() {
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &info(1, &[(0, "Path", 1, 1, "", 1, 0)]));
    let bytes = event(b"a\0\0\0");
    let view = RecordView::parse(Records::new(&bytes).next().unwrap().unwrap()).unwrap();
    let found = decoder.describe(&view);
    assert_eq!((found.source(), found.name()), (Source::Metadata, Some("Open/Start")));
    assert_eq!(found.provider_name(), Some("Demo-Provider"));
    let names = found.names().unwrap();
    assert_eq!(names.level.as_deref(), Some("win:Informational"));
    assert_eq!(names.message.as_deref(), Some("%1 opened"), "the blank stood for a line end");
    assert_eq!(names.keywords.iter().map(|k| &**k).collect::<Vec<_>>(), ["First", "Second"]);
    let mut shown = Shown::default();
    whole(found.walk(&mut shown).unwrap());
    assert_eq!(shown.text(), "Path=a");
}

#[test]
fn lengths_and_counts_by_flag_and_by_field() {
    assert_eq!(one(&[(0x10, "s", 1, 1, "", 1, 3)], b"a\0\0\0z\0"), "s=a");
    assert_eq!(one(&[(0x10, "s", 2, 1, "", 1, 0)], b""), "s=");
    let by_field = [(0, "n", 6, 6, "", 1, 0), (2, "b", 14, 15, "", 1, 0)];
    assert_eq!(one(&by_field, b"\x02\0\xca\xfe"), "n=2 b=cafe");
    let counted = [(0, "n", 4, 4, "", 1, 0), (4, "a", 8, 8, "", 0, 0)];
    assert_eq!(one(&counted, b"\x02\x01\0\0\0\x02\0\0\0"), "n=2 a[ =1 =2 ]");
    assert_eq!(one(&counted, b"\0"), "n=0 a[ ]");
    assert_eq!(one(&[(0, "a", 4, 4, "", 2, 0)], b"\x01\x02"), "a[ =1 =2 ]");
    assert_eq!(one(&[(0x20, "a", 4, 4, "", 1, 0)], b"\x01"), "a[ =1 ]");
    // An address of older systems: no flag, a length of 16, or none at all.
    for length in [16, 0] {
        assert_eq!(one(&[(0, "a", 14, 24, "", 1, length)], &[0; 16]), "a=::");
    }
    // The length of a pointer says 4 and means nothing.
    assert_eq!(one(&[(0, "p", 16, 19, "", 1, 4)], &[1, 0, 0, 0, 0, 0, 0, 0]), "p=0x1");
    // Classic strings.
    assert_eq!(one(&[(0, "s", 302, 1, "", 1, 0)], b"\0\x02a\0"), "s=a");
    assert_eq!(one(&[(0, "s", 304, 1, "", 1, 0)], b"a\0b\0"), "s=ab");
    assert_eq!(one(&[(0, "h", 309, 15, "", 1, 0)], b"\x01\0\0\0\xaa"), "h=aa");
}

#[test]
fn members_lie_behind_the_top_level() {
    let properties: [Property<'_>; 5] = [
        (0, "n", 4, 4, "", 1, 0),
        (5, "s", 3, 2, "", 0, 0),
        (0, "end", 4, 4, "", 1, 0),
        (0, "x", 6, 6, "", 1, 0),
        (0, "y", 2, 1, "", 1, 0),
    ];
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &info(3, &properties));
    let (text, rest, error) = shown(&decoder, b"\x02\x01\0a\0\x02\0\0\x09");
    assert_eq!((rest, error), (vec![], None));
    assert_eq!(text, "n=2 s[ { x=1 y=a } { x=2 y= } ] end=9");
}

#[test]
fn maps_may_come_late_and_name_values_and_bits() {
    let mut decoder = Decoder::new();
    let properties = [(0, "v", 8, 8, "Kind", 1, 0), (0, "b", 20, 18, "Bits", 1, 0)];
    learn(&mut decoder, 32, &info(2, &properties));
    let payload = b"\x02\0\0\0\x05\0\0\0";
    assert_eq!(shown(&decoder, payload).0, "v=2 b=0x5");
    learn(&mut decoder, 33, &map("Kind", 1, &[(1, "one "), (2, "two ")]));
    learn(&mut decoder, 33, &map("Bits", 2, &[(1, "A"), (4, "C")]));
    assert_eq!(shown(&decoder, payload).0, "v=two b=A|C");
    assert_eq!(shown(&decoder, b"\x09\0\0\0\x08\0\0\0").0, "v=9 b=0x8");
}

#[test]
fn a_schema_that_contradicts_itself_is_none_or_breaks_off() {
    let mut decoder = Decoder::new();
    let good = info(1, &[(0, "a", 4, 4, "", 1, 0)]);
    for cut in 0..good.len() {
        learn(&mut decoder, 32, &good[..cut]);
    }
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let mut decoder = Decoder::new();
        learn(&mut decoder, 32, &bad);
    }
    // Counts, members and offsets beyond the record.
    for (at, word) in [(100, u32::MAX), (104, 2), (112 + 4, u32::MAX), (64, 2)] {
        let mut bad = good.clone();
        bad[at..at + 4].copy_from_slice(&word.to_le_bytes());
        let mut decoder = Decoder::new();
        learn(&mut decoder, 32, &bad);
        let bytes = event(b"");
        let view = RecordView::parse(Records::new(&bytes).next().unwrap().unwrap()).unwrap();
        let source = decoder.describe(&view).source();
        assert_eq!(source, if at == 64 { Source::Metadata } else { Source::None }, "{at}");
    }
    for property in [(1, "s", 0, 9, "", 1, 0), (4, "a", 4, 4, "", 9, 0), (2, "a", 14, 0, "", 1, 9)]
    {
        let mut decoder = Decoder::new();
        learn(&mut decoder, 32, &info(1, &[property]));
        let bytes = event(b"");
        let view = RecordView::parse(Records::new(&bytes).next().unwrap().unwrap()).unwrap();
        assert_eq!(decoder.describe(&view).source(), Source::None, "{property:?}");
    }
    // A structure that holds itself.
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &info(1, &[(1, "s", 0, 1, "", 1, 0)]));
    assert_eq!(shown(&decoder, b"x").2, Some(DecodeFault::Depth));
    // An array of such structures.
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &info(1, &[(1, "s", 0, 1, "", u16::MAX, 0)]));
    assert_eq!(shown(&decoder, b"x").2, Some(DecodeFault::Depth));
    // Nothing, very often: a structure of nothing in arrays of arrays.
    let mut decoder = Decoder::new();
    let wide = [(1, "a", 1, 1, "", u16::MAX, 0), (1, "b", 2, 0, "", u16::MAX, 0)];
    learn(&mut decoder, 32, &info(1, &wide));
    assert_eq!(shown(&decoder, b"x").2, Some(DecodeFault::Work));
}

#[test]
fn memory_is_bounded() {
    // One name of 30,000 units, used by 1,200 properties, in each of many records.
    let name = "n".repeat(15_000);
    let mut properties: Vec<Property<'_>> = vec![(0, "", 4, 4, "", 1, 0); 1200];
    properties[0].1 = &name;
    let mut bad = info(1200, &properties);
    let offset: [u8; 4] = bad[116..120].try_into().unwrap();
    for at in 1..1200 {
        bad[116 + 24 * at..120 + 24 * at].copy_from_slice(&offset);
    }
    let mut decoder = Decoder::new();
    learn(&mut decoder, 32, &bad);
    let bytes = event(b"");
    let view = RecordView::parse(Records::new(&bytes).next().unwrap().unwrap()).unwrap();
    assert_eq!(decoder.describe(&view).source(), Source::None);

    // A schema for each of many ids: the decoder says how many it would not keep.
    let mut good = info(400, &vec![(0, "abcdefgh", 4, 4, "", 1, 0); 400]);
    for id in 0..2000u16 {
        good[32..34].copy_from_slice(&id.to_le_bytes());
        learn(&mut decoder, 32, &good);
    }
    assert!(decoder.refused() > 0);
}
