//! Events written down for other tools: hostile names and values stay one value in one place.
#![allow(missing_docs)]

#[path = "../common/pcapng.rs"]
mod capture;
mod chrome;
mod folded;
#[cfg(feature = "otlp")]
mod otlp;
mod pcapng;
mod records;

use etlring::codec::{RecordView, Records};
use etlring::export::csv::{self, Csv};
use etlring::export::fields::{JsonFields, text_fields};
use etlring::export::{Entry, xml};
use etlring::format::FileTime;
use etlring::schema::Decoder;
use serde_json::{Value, json};

/// A TraceLogging event `E` of fields and payload.
fn event(fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut schema = vec![0, 0, 0, b'E', 0];
    schema.extend_from_slice(fields);
    let size = u16::try_from(schema.len()).unwrap();
    schema[..2].copy_from_slice(&size.to_le_bytes());
    let mut record = vec![0; 80];
    record[2..5].copy_from_slice(&[19, 0xC0, 1]);
    let total = (8 + schema.len()).next_multiple_of(8);
    for word in [u16::try_from(total).unwrap(), 11, 0, size] {
        record.extend_from_slice(&word.to_le_bytes());
    }
    record.extend_from_slice(&schema);
    record.resize(80 + total, 0);
    record.extend_from_slice(payload);
    let size = u16::try_from(record.len()).unwrap();
    record[..2].copy_from_slice(&size.to_le_bytes());
    record
}

fn view(record: &[u8]) -> RecordView<'_> {
    RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap()
}

fn json_text(record: &[u8]) -> String {
    let (decoder, view) = (Decoder::new(), view(record));
    let mut out = Vec::new();
    JsonFields::default().write(&mut out, &decoder.describe(&view));
    String::from_utf8(out).unwrap()
}

fn entry<T>(record: &[u8], write: impl FnOnce(&Entry<'_, '_>) -> T) -> T {
    let (decoder, view) = (Decoder::new(), view(record));
    let event = decoder.describe(&view);
    write(&Entry {
        view: &view,
        event: &event,
        time: FileTime(132_264_173_104_203_138),
        lane: 3,
        buffer_index: 7,
        process_name: Some("a,\"b\"\n"),
        timer_resolution: 156_250,
    })
}

/// Every kind of value, an array, a structure, a name that needs escapes.
const MIXED: &[u8] = b"n\"\n\0\x04s\0\x01b\0\x8d\x03f\0\x0bh\0\x14x\0\x0ea\0\x45t\0\x98\x01i\0\x04";

fn mixed() -> Vec<u8> {
    let payload = [
        &b"\x07"[..],
        b"a\0\x00\xd8<\0\x1b\0\0\0",
        b"\x01\0\0\0",
        &f32::NAN.to_le_bytes(),
        b"\xff\0\0\0",
        b"\x02\0\xca\xfe",
        b"\x02\0\xff\xff\x01\0",
        b"\x09",
    ];
    event(MIXED, &payload.concat())
}

#[test]
fn json_is_typed_and_safe() {
    let found: Value = serde_json::from_str(&json_text(&mixed())).unwrap();
    let expected = json!({
        "n\"\n": 7, "s": "a\u{fffd}<\u{1b}", "b": true, "f": "NaN", "h": "0xff", "x": "cafe",
        "a": [-1, 1], "t": {"i": 9},
    });
    assert_eq!(found, expected);
    assert!(json_text(&mixed()).is_ascii() || !json_text(&mixed()).contains('\u{1b}'));
    assert_eq!(json_text(&event(b"", b"")), "{}");
}

#[test]
fn a_name_that_stands_twice_keeps_both_values() {
    let text = json_text(&event(b"a\0\x04a\0\x04a_2\0\x04a\0\x04", b"\x01\x02\x03\x04"));
    assert_eq!(text, r#"{"a":1,"a_2":2,"a_2_2":3,"a_3":4}"#);
    // Within a structure names begin anew.
    let text = json_text(&event(b"a\0\x04s\0\x98\x01a\0\x04a\0\x04", b"\x01\x02\x03"));
    assert_eq!(text, r#"{"a":1,"s":{"a":2},"a_2":3}"#);
    // Very many of them, and again with the same scratch.
    let many = event(&b"a\0\x04".repeat(5000), &[5; 5000]);
    let (decoder, view) = (Decoder::new(), view(&many));
    let mut fields = JsonFields::default();
    for _ in 0..2 {
        let mut out = Vec::new();
        fields.write(&mut out, &decoder.describe(&view));
        let found: serde_json::Map<String, Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!(found.len(), 5000);
        assert!(found.contains_key("a_5000"));
    }
}

#[test]
fn text_is_one_line() {
    let record = mixed();
    let (decoder, view) = (Decoder::new(), view(&record));
    let mut out = Vec::new();
    text_fields(&mut out, &decoder.describe(&view));
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "n\"\\u{a}=7 s=\"a\u{fffd}<\\u{1b}\" b=true f=NaN h=0xff x=cafe a=[-1 1] t={i=9}"
    );
}

#[test]
fn csv_rows_have_the_columns_of_the_header() {
    let mut out = Vec::new();
    entry(&mixed(), |entry| Csv::default().row(&mut out, entry));
    let row = String::from_utf8(out).unwrap();
    assert!(!row.contains('\n'));
    let cells = cells(&row);
    let columns: Vec<_> = csv::HEADER.split(',').collect();
    assert_eq!(cells.len(), columns.len());
    let cell = |name| cells[columns.iter().position(|column| *column == name).unwrap()].as_str();
    assert_eq!(cell("time"), "2020-02-17T12:48:30.4203138Z");
    assert_eq!((cell("lane"), cell("buffer"), cell("bits"), cell("name")), ("3", "7", "64", "E"));
    assert_eq!(cell("process_name"), "a,\"b\"\\u{a}");
    assert_eq!(cell("fields"), json_text(&mixed()));
    assert_eq!(cell("rest"), "");
}

/// A line of RFC 4180 taken apart.
fn cells(row: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    let mut characters = row.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => {
                cells.last_mut().unwrap().push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    assert!(!quoted);
    cells
}

#[test]
fn xml_is_balanced_and_holds_no_character_that_it_cannot() {
    let mut out = Vec::new();
    entry(&mixed(), |entry| xml::event(&mut out, entry));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("<Data Name=\"n&quot;&#10;\">7</Data>"), "{text}");
    assert!(text.contains("<Data Name=\"s\">a\u{fffd}&lt;\\u{1b}</Data>"));
    assert!(text.contains("<Data Name=\"a\">-1</Data><Data Name=\"a\">1</Data>"));
    assert!(text.contains("<ComplexData Name=\"t\"><Data Name=\"i\">9</Data></ComplexData>"));
    assert!(text.contains("<TimeCreated SystemTime=\"2020-02-17T12:48:30.420313800+00:00\" />"));
    assert!(text.contains("ProcessorID=\"3\""));
    assert!(text.chars().all(|c| c >= ' '));
    let (opened, closed) = (text.matches('<').count(), text.matches('>').count());
    assert_eq!(opened, closed);
    // Bytes behind the schema, and no schema at all.
    let mut out = Vec::new();
    entry(&event(b"a\0\x04", b"\x01\xca\xfe"), |entry| xml::event(&mut out, entry));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("win:ExtraPayload\" Type=\"win:ErrorMoreData\">0xcafe</Data>"));
    let mut bare = vec![0; 82];
    bare[..4].copy_from_slice(&[82, 0, 19, 0xC0]);
    let mut out = Vec::new();
    entry(&bare, |entry| xml::event(&mut out, entry));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("<EventPayload>0000</EventPayload></ProcessingErrorData>"), "{text}");
}
