//! `anonymize`: nothing of what was there is left, and the rest is.

use crate::made;
use etlring::edit::{self, Anonymous};
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::schema::{Decoder, Shape, Text, Value, Visitor};
use std::collections::BTreeSet;

/// A hash that is good enough to tell values apart, and keeps nothing of them.
fn replace(old: &[u8], new: &mut [u8]) {
    for (at, byte) in new.iter_mut().enumerate() {
        let seed = 0xcbf2_9ce4_8422_2325u64 ^ (at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash =
            old.iter().fold(seed, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
        *byte = (hash >> 32) as u8;
    }
}

fn decoder(trace: &Trace<bytes::Bytes>) -> Decoder {
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        decoder.learn(record.unwrap().raw());
    }
    decoder
}

/// What the fields of a log are, and what they hold that names something.
#[derive(Default)]
struct Seen {
    shape: Vec<(String, &'static str, usize)>,
    secrets: BTreeSet<Vec<u8>>,
    texts: Vec<(String, String)>,
}

impl Visitor for Seen {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        let (kind, len) = match value {
            Value::Text(text) => {
                self.texts.push((name.to_owned(), text.to_string()));
                match text {
                    Text::Wide(wide) => {
                        self.secrets.insert(wide.0.to_vec());
                        ("wide", wide.0.len())
                    }
                    Text::Utf8(text) => {
                        self.secrets.insert(text.as_bytes().to_vec());
                        ("narrow", text.len())
                    }
                    Text::Narrow(bytes) => {
                        self.secrets.insert(bytes.to_vec());
                        ("narrow", bytes.len())
                    }
                }
            }
            Value::Sid(sid) => {
                if sid.as_bytes().len() > 16 {
                    self.secrets.insert(sid.as_bytes()[12..].to_vec());
                }
                ("sid", sid.as_bytes().len())
            }
            Value::Binary(bytes) => {
                self.secrets.insert(bytes.to_vec());
                ("binary", bytes.len())
            }
            _ => ("", 0),
        };
        self.shape.push((name.to_owned(), kind, len));
    }
    fn begin(&mut self, name: &str, _: Shape) {
        self.shape.push((name.to_owned(), "begin", 0));
    }
    fn end(&mut self, _: Shape) {}
}

const SCHEMAS: Guid = Guid::from_u128(0xbbccf6c1_6cd1_48c4_80ff_839482e37671);

fn seen(trace: &Trace<bytes::Bytes>) -> Seen {
    let decoder = decoder(trace);
    let mut seen = Seen::default();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        let is_logfile = record.buffer_index() == 0 && record.raw().offset == 0;
        if !is_logfile && view.provider() != Some(SCHEMAS) && view.id() != Some(0xFFFE) {
            decoder.describe(&view).walk(&mut seen);
        }
    }
    seen
}

#[test]
fn nothing_that_was_there_is_left() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples");
    for name in [
        "airbus_AMSITrace.etl",
        "perfview_primitive-types.etl",
        "perfview_SelfDescribingSingleEvent.etl",
        "syzygy_process_data_32_v2.etl",
        "syzygy_image_data_64_v2.etl",
        "sonde_test.etl",
        "perfview_gcevents.etl",
    ] {
        let path = std::path::Path::new(directory).join(name);
        if !path.is_file() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} is missing");
            eprintln!("skipped: {name} is missing");
            continue;
        }
        let trace = Trace::open(path).unwrap();
        let before = seen(&trace);
        let known = decoder(&trace);
        let (new, _) =
            made(|out| edit::anonymize(&trace, out, &known, &Anonymous::default(), &mut replace));
        // Short ones may stand there by chance; names of fields and events are no secrets, but
        // they may be equal to one.
        let words = |seen: &Seen| -> BTreeSet<Vec<u8>> {
            let of = |(name, _, _): &(String, &str, usize)| name.clone().into_bytes();
            seen.shape.iter().map(of).collect()
        };
        let names = words(&before);
        let mut secrets = before.secrets.iter().filter(|secret| {
            let runs = secret.windows(2).all(|two| two[0] == two[1]);
            secret.len() >= 12 && !runs && !names.contains(*secret)
        });
        let left = secrets.find(|secret| new.windows(secret.len()).any(|at| at == **secret));
        assert_eq!(left.map(|s| String::from_utf8_lossy(s)), None, "{name}");

        // What is there is of the same kind and size as before.
        let mut fields = std::collections::HashMap::new();
        before.shape.iter().for_each(|field| *fields.entry(field.clone()).or_insert(0) += 1);
        let after = seen(&Trace::from_bytes(new).unwrap()).shape;
        assert!(!after.is_empty(), "{name}");
        for field in after {
            let count = fields.entry(field.clone()).or_insert(0);
            *count -= 1;
            assert!(*count >= 0, "{name}: {field:?}");
        }
    }
}

#[test]
fn equal_values_become_equal_ones_and_chosen_fields_alone_change() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples/syzygyA_image_data_32_v0.etl");
    if !std::path::Path::new(path).is_file() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{path} is missing");
        return;
    }
    let trace = Trace::open(path).unwrap();
    let before = seen(&trace).texts;
    let known = decoder(&trace);
    let run = |what: &Anonymous| {
        let (new, _) = made(|out| edit::anonymize(&trace, out, &known, what, &mut replace));
        seen(&Trace::from_bytes(new).unwrap()).texts
    };
    let mut keep = Anonymous::default();
    keep.keep_undecoded = true;
    let after = run(&keep);
    assert_eq!(after.len(), before.len());
    let mut map = std::collections::BTreeMap::new();
    for ((_, old), (_, new)) in before.iter().zip(&after).filter(|((_, old), _)| !old.is_empty()) {
        assert_eq!(map.entry(old.clone()).or_insert(new.clone()), new);
        assert!(new.chars().all(|c| ('a'..='p').contains(&c)), "{new}");
        assert_eq!(new.chars().count(), old.encode_utf16().count());
    }
    assert!(!map.is_empty());
    let mut only = keep.clone();
    only.fields = vec!["no such field".to_owned()];
    assert_eq!(run(&only), before);
    let mut not = keep.clone();
    not.keep_fields = vec!["imagefilename".to_owned()];
    let after = run(&not);
    for ((name, old), (_, new)) in before.iter().zip(&after) {
        assert_eq!(old == new, name == "ImageFileName" || old.is_empty(), "{name} {old} {new}");
    }
}

#[test]
fn what_cannot_be_decoded_is_left_out_unless_it_shall_stay() {
    let mut log = crate::log::Log::new(4096);
    log.buffer(0, 1, 5_000, &[crate::log::classic(2_000, 3, 40), crate::log::untimed(1)]);
    let trace = Trace::from_bytes(log.bytes).unwrap();
    let known = decoder(&trace);
    let mut what = Anonymous::default();
    for (keep, records) in [(false, 1), (true, 3)] {
        what.keep_undecoded = keep;
        let (_, edited) = made(|out| edit::anonymize(&trace, out, &known, &what, &mut replace));
        assert_eq!((edited.records, edited.left_out), (records, 3 - records));
    }
}
