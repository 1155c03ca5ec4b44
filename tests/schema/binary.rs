//! Compiled manifests: a DLL built here byte by byte, read, cut and turned.

use crate::shown::Shown;
use etlring::codec::{RecordView, Records};
use etlring::format::Guid;
use etlring::schema::{Decoder, Source};

const PROVIDER: Guid = Guid::from_u128(0x3a1f9a10_4d5e_6f70_8192_a3b4c5d6e7fa);

/// Little-endian bytes with places that are filled in later.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, bytes: &[u8]) -> usize {
        self.0.extend_from_slice(bytes);
        self.0.len() - bytes.len()
    }

    fn words(&mut self, words: &[u32]) -> usize {
        let at = self.0.len();
        for word in words {
            self.put(&word.to_le_bytes());
        }
        at
    }

    fn set(&mut self, at: usize, word: usize) {
        self.0[at..at + 4].copy_from_slice(&u32::try_from(word).unwrap().to_le_bytes());
    }

    /// A name with its size before it.
    fn name(&mut self, text: &str) -> u32 {
        let units = wide(text);
        let at = self.words(&[u32::try_from(units.len() + 6).unwrap()]);
        self.put(&units);
        self.put(&[0, 0]);
        u32::try_from(at).unwrap()
    }

    fn here(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap()
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const NONE: u32 = u32::MAX;

/// One item of a template: name, flags, in-type, out-type, map, count, length.
type Item = (&'static str, u32, u8, u8, u32, u16, u16);

/// A CRIM block of one provider with two events: `1` of all kinds of items, `2` of none.
fn crim() -> Vec<u8> {
    let mut out = Bytes::default();
    out.put(b"CRIM");
    out.words(&[0, 5 | 1 << 16, 1]);
    out.put(&PROVIDER.0);
    let wevt_at = out.words(&[0]);
    let provider_name = out.here();
    out.put(&wide("Demo-Binary\0"));
    let [task, opcode, keyword, channel, map_name, bits_name] =
        ["Disk", "Shred", "Io", "Demo/Op", "Mode", "Bits"].map(|text| out.name(text));

    let prva = out.put(b"PRVA");
    out.words(&[20, 1, 0x1000_0001, provider_name]);
    let chan = out.put(b"CHAN");
    out.words(&[28, 1, 16, channel, 0, NONE]);
    let tasks = out.put(b"TASK");
    out.words(&[40, 1, 3, NONE]);
    out.put(&[0; 16]);
    out.words(&[task]);
    let opcodes = out.put(b"OPCO");
    out.words(&[24, 1, 20 << 16, 0x3000_0014, opcode]);
    let keywords = out.put(b"KEYW");
    out.words(&[28, 1, 1, 0, NONE, keyword]);
    let vmap = out.put(b"VMAP");
    out.words(&[36, map_name, 0, 2, 1, 0xD000_0001, 2, 0xD000_0002]);
    let bmap = out.put(b"BMAP");
    out.words(&[36, bits_name, 1, 2, 1, 0xF000_0001, 4, 0xF000_0002]);
    let maps = out.put(b"MAPS");
    let [vmap, bmap] = [vmap, bmap].map(|at| u32::try_from(at).unwrap());
    out.words(&[20, 2, vmap, bmap]);

    let items: &[Item] = &[
        ("n", 0, 6, 6, 0, 0, 0),
        ("blob", 0x04, 14, 15, 0, 0, 0),
        ("list", 0x08, 4, 4, 0, 2, 0),
        ("tail", 0x10, 4, 4, 0, 0, 0),
        ("mode", 0, 4, 4, vmap, 0, 0),
        ("bits", 0, 8, 8, bmap, 0, 0),
        ("text", 0, 1, 1, 0, 0, 0),
        ("three", 0x02, 1, 1, 0, 0, 3),
        ("pairs", 0x01 | 0x08, 9, 0, 2, 2, 0),
        ("a", 0, 4, 4, 0, 0, 0),
        ("b", 0, 16, 19, 0, 0, 0),
    ];
    let names: Vec<_> = items.iter().map(|item| out.name(item.0)).collect();
    let ttbl = out.put(b"TTBL");
    out.words(&[0, 1]);
    let temp = out.put(b"TEMP");
    let items_at = out.here() + 36;
    out.words(&[0, 9, 11, items_at, 1]);
    out.put(&[0; 16]);
    for ((_, flags, in_type, out_type, map, count, length), name) in items.iter().zip(names) {
        let structure = flags & 1 != 0;
        out.words(&[*flags]);
        out.put(&[*in_type, *out_type, if structure { 2 } else { 0 }, 0]);
        out.words(&[if structure { 0 } else { *map }]);
        out.put(&count.to_le_bytes());
        out.put(&length.to_le_bytes());
        out.words(&[name]);
    }
    let end = out.0.len();
    out.set(ttbl + 4, end - ttbl);
    out.set(temp + 4, end - temp);

    let evnt = out.put(b"EVNT");
    out.words(&[0, 2, 0]);
    let [task, opcode, temp] =
        [tasks + 12, opcodes + 12, temp].map(|at| u32::try_from(at).unwrap());
    let list = out.here() + 96;
    out.put(&[1, 0, 7, 16, 4, 20, 3, 0]);
    out.words(&[1, 0, 0xB007_0001, temp, opcode, 0, task, 1, list, 0]);
    out.put(&[2, 0, 0, 0, 2, 1, 0, 0]);
    out.words(&[0, 0, NONE, 0, 0, 0, 0, 0, 0, 0]);
    out.words(&[u32::try_from(keywords + 12).unwrap()]);
    let end = out.0.len();
    out.set(evnt + 4, end - evnt);

    let wevt = out.put(b"WEVT");
    let blocks = [prva, chan, tasks, opcodes, keywords, maps, ttbl, evnt];
    out.words(&[0, NONE, 8]);
    for (number, block) in (0..).zip(blocks) {
        out.words(&[number, u32::try_from(block).unwrap()]);
    }
    out.set(wevt_at, wevt);
    let end = out.0.len();
    out.set(4, end);
    out.0
}

/// A message table: texts by number, as UTF-16 or as bytes.
fn messages(texts: &[(u32, bool, &str)]) -> Vec<u8> {
    let mut out = Bytes::default();
    out.words(&[u32::try_from(texts.len()).unwrap()]);
    let mut entries = Bytes::default();
    for (number, utf16, text) in texts {
        let at = 4 + 12 * texts.len() + entries.0.len();
        out.words(&[*number, *number, u32::try_from(at).unwrap()]);
        let text = format!("{text}\r\n\0");
        let text = if *utf16 { wide(&text) } else { text.into_bytes() };
        let size = u16::try_from(4 + text.len()).unwrap();
        entries.put(&size.to_le_bytes());
        entries.put(&[u8::from(*utf16), 0]);
        entries.put(&text);
    }
    out.put(&entries.0);
    out.0
}

/// A resource of a DLL: type (0 for `WEVT_TEMPLATE`), language, bytes.
type Resource = (u32, u32, Vec<u8>);

/// A PE file of one section, `.rsrc`, at address 0x3000 and file offset 0x200.
fn dll(resources: &[Resource], bits64: bool) -> Vec<u8> {
    const ADDRESS: u32 = 0x3000;
    const START: usize = 0x200;
    let mut rsrc = Bytes::default();
    // One table of types; behind it for each a table of one name and one of one language.
    rsrc.words(&[0, 0, 0]);
    let named = resources.iter().filter(|(kind, ..)| *kind == 0).count();
    for count in [named, resources.len() - named] {
        rsrc.put(&u16::try_from(count).unwrap().to_le_bytes());
    }
    let types = rsrc.words(&vec![0; 2 * resources.len()]);
    let text = rsrc.put(&13u16.to_le_bytes());
    rsrc.put(&wide("WEVT_TEMPLATE"));
    for (number, (kind, language, bytes)) in resources.iter().enumerate() {
        let mut at = types + 8 * number;
        for name in [*kind, 1, *language] {
            let name = if name == 0 && at < text { 1 << 31 | text } else { name as usize };
            rsrc.set(at, name);
            let table = rsrc.0.len();
            rsrc.set(at + 4, 1 << 31 | table);
            if name == *language as usize && at > text {
                // The last level leads to an address.
                rsrc.set(at + 4, table);
                let place = ADDRESS + u32::try_from(table + 16).unwrap();
                rsrc.words(&[place, u32::try_from(bytes.len()).unwrap(), 0, 0]);
                rsrc.put(bytes);
                break;
            }
            rsrc.words(&[0, 0, 0, 1 << 16]);
            at = rsrc.words(&[0, 0]);
        }
    }

    let mut out = Bytes(vec![0; 0x40]);
    out.0[..2].copy_from_slice(b"MZ");
    out.set(0x3C, 0x40);
    out.put(b"PE\0\0");
    let optional: usize = if bits64 { 112 } else { 96 };
    out.put(&[0x64, 0x86, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.put(&[u8::try_from(optional + 128).unwrap(), 0, 0x22, 0x20]);
    let start = out.0.len();
    out.put(&if bits64 { 0x20Bu16 } else { 0x10B }.to_le_bytes());
    out.0.resize(start + optional - 4, 0);
    out.words(&[16, 0, 0, 0, 0, ADDRESS, u32::try_from(rsrc.0.len()).unwrap()]);
    out.0.resize(start + optional + 128, 0);
    out.put(b".rsrc\0\0\0");
    let size = u32::try_from(rsrc.0.len()).unwrap();
    out.words(&[size, ADDRESS, size, u32::try_from(START).unwrap(), 0, 0, 0, 0]);
    out.0.resize(START, 0);
    out.put(&rsrc.0);
    out.0
}

const TEXTS: &[(u32, bool, &str)] = &[
    (0x3000_0014, true, "shredded"),
    (0xB007_0001, true, "%1 bytes, mode %5!s!%n"),
    (0xD000_0001, false, "read"),
    (0xD000_0002, true, "write"),
    (0xF000_0001, true, "A"),
    (0xF000_0002, true, "C"),
];

/// An event of the provider.
fn event(id: u8, version: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 80];
    record[..4].copy_from_slice(&[u8::try_from(80 + payload.len()).unwrap(), 0, 19, 0xC0]);
    record[24..40].copy_from_slice(&PROVIDER.0);
    (record[40], record[42], record[45]) = (id, version, opcode);
    record.extend_from_slice(payload);
    record
}

fn view(record: &[u8]) -> RecordView<'_> {
    RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap()
}

const PAYLOAD: &[u8] = b"\x02\0\xca\xfe\x01\x02\x03\x04\x02\x05\0\0\0h\0i\0\0\0\
    a\0\0\0\0\0\x07\x08\0\0\0\0\0\0\x80\x09\x0a\0\0\0\0\0\0\0";

#[test]
fn a_compiled_manifest_of_every_kind_of_item() {
    for bits64 in [false, true] {
        let file = dll(&[(0, 0, crim()), (11, 0x409, messages(TEXTS))], bits64);
        let mut decoder = Decoder::new();
        assert_eq!(decoder.add_binary(&file, None), Ok(2));
        let record = event(1, 7, 20, PAYLOAD);
        let view = view(&record);
        let found = decoder.describe(&view);
        assert_eq!((found.source(), found.provider_name()), (Source::Binary, Some("Demo-Binary")));
        assert_eq!(found.name(), Some("Disk/shredded"));
        let mut shown = Shown::default();
        let walked = found.walk(&mut shown).unwrap();
        assert_eq!(
            shown.text(),
            "n=2 blob=cafe list[ =1 =2 ] tail[ =3 =4 ] mode=write bits=A|C text=hi three=a pairs[ \
             { a=7 b=0x8000000000000008 } { a=9 b=0xa } ]"
        );
        assert_eq!((walked.rest, walked.error), (&[][..], None));
        assert_eq!(found.message().as_deref(), Some("2 bytes, mode write"));
        let names = found.names().unwrap();
        assert_eq!(
            (names.task.as_deref(), names.opcode.as_deref()),
            (Some("Disk"), Some("shredded"))
        );
        assert_eq!(names.level.as_deref(), Some("win:Informational"));
        assert_eq!(names.channel.as_deref(), Some("Demo/Op"));
        assert_eq!(names.keywords.iter().map(|k| &**k).collect::<Vec<_>>(), ["Io"]);

        let record = event(2, 0, 1, b"");
        let view = self::view(&record);
        let found = decoder.describe(&view);
        assert_eq!((found.name(), found.message()), (Some("Start"), None));
    }
}

#[test]
fn texts_come_from_the_file_beside_it_and_in_the_best_language() {
    let german: Vec<_> = TEXTS.iter().map(|(number, _, _)| (*number, true, "deutsch")).collect();
    let texts = dll(&[(11, 0x407, messages(&german)), (11, 0x409, messages(TEXTS))], true);
    let file = dll(&[(0, 0, crim())], true);
    let record = event(1, 7, 20, PAYLOAD);
    for (texts, name) in [(Some(&*texts), "Disk/shredded"), (None, "Disk/Shred")] {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.add_binary(&file, texts), Ok(2));
        let view = view(&record);
        assert_eq!(decoder.describe(&view).name(), Some(name));
    }
    // A file without such resources describes nothing.
    assert_eq!(Decoder::new().add_binary(&texts, None), Ok(0));
}

#[test]
fn what_is_no_such_file_is_an_error_with_its_place() {
    let wrong = |file: &[u8]| Decoder::new().add_binary(file, None).unwrap_err().to_string();
    assert_eq!(wrong(b"#!/bin/sh"), "at byte 0: is no DLL or program");
    assert_eq!(wrong(b"MZ"), "at byte 60: breaks off");
    let mut torn = crim();
    let at = torn.windows(4).position(|bytes| bytes == b"TEMP").unwrap();
    torn[at] = b'X';
    let file = dll(&[(0, 0, torn.clone())], true);
    let start = file.windows(4).position(|bytes| bytes == b"CRIM").unwrap();
    assert_eq!(
        wrong(&file),
        format!("at byte {}: no TEMP block where one should start", start + at)
    );
    // The event before the damage is kept.
    let event = torn.windows(4).position(|bytes| bytes == b"EVNT").unwrap();
    torn[event + 16 + 20..event + 16 + 24].fill(0);
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_binary(&dll(&[(0, 0, torn)], true), None), Ok(2));
}

#[test]
fn any_bytes_are_an_answer_of_bounded_size() {
    let file = dll(&[(0, 0, crim()), (11, 0x409, messages(TEXTS))], true);
    let record = event(1, 7, 20, PAYLOAD);
    let read = |file: &[u8]| {
        let mut decoder = Decoder::new();
        let _ = decoder.add_binary(file, Some(file));
        let view = view(&record);
        decoder.describe(&view).walk(&mut Shown::default());
    };
    for cut in 0..file.len() {
        read(&file[..cut]);
        for value in [0, 0x7F, 0x80, 0xFF] {
            let mut turned = file.clone();
            turned[cut] = value;
            read(&turned);
        }
    }
    // As many events as fit, all of the same template with as many fields as it can claim.
    let mut huge = crim();
    let at = huge.windows(4).position(|bytes| bytes == b"EVNT").unwrap();
    let entry = huge[at + 16..at + 64].to_vec();
    let evnt = huge.len();
    huge.extend_from_slice(b"EVNT\0\0\0\0");
    huge.extend_from_slice(&60_000u32.to_le_bytes());
    huge.extend_from_slice(&[0; 4]);
    huge.extend(entry.repeat(60_000));
    let place = huge.windows(4).position(|bytes| bytes == b"WEVT").unwrap() + 16 + 7 * 8 + 4;
    huge[place..place + 4].copy_from_slice(&u32::try_from(evnt).unwrap().to_le_bytes());
    let error = Decoder::new().add_binary(&dll(&[(0, 0, huge)], true), None).unwrap_err();
    assert!(error.reason.contains("too many fields"), "{error}");
}
