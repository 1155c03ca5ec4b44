//! Events that carry their schema: made by hand from spec/15-schemas.md.

use crate::shown::{Shown, whole};
use etlring::schema::tracelogging::{EventSchema, ProviderTraits};
use etlring::schema::{DecodeFault, MOST_WORK, Shape, Value, Visitor, Walked};

/// The data of a schema item: size, no tag, the name `E`, then `fields`.
fn item(fields: &[u8]) -> Vec<u8> {
    let mut item = vec![0, 0, 0, b'E', 0];
    item.extend_from_slice(fields);
    let size = u16::try_from(item.len()).unwrap();
    item[..2].copy_from_slice(&size.to_le_bytes());
    item
}

fn walk<'p>(fields: &[u8], payload: &'p [u8], pointer: usize) -> (Shown, Walked<'p>) {
    let item = item(fields);
    let mut shown = Shown::default();
    let walked = EventSchema::parse(&item).unwrap().walk(payload, pointer, &mut shown);
    (shown, walked)
}

/// What one field of these in- and out-types shows, and that it takes all of the payload.
fn one(types: &[u8], payload: &[u8]) -> String {
    let fields = [b"f\0", types].concat();
    let (shown, walked) = walk(&fields, payload, 8);
    whole(walked);
    let text = shown.text();
    text.strip_prefix("f=").unwrap().to_owned()
}

const OUT: u8 = 0x80;

#[test]
fn every_in_type_is_read() {
    assert_eq!(one(&[0], b""), "");
    assert_eq!(one(&[1], b"h\0i\0\0\0"), "hi");
    assert_eq!(one(&[1], b"h\0i\0"), "hi", "the terminator may be missing");
    assert_eq!(one(&[2], b"hi\0"), "hi");
    assert_eq!(one(&[2], b"hi"), "hi");
    assert_eq!(one(&[3], &[0x80]), "-128");
    assert_eq!(one(&[4], &[0x80]), "128");
    assert_eq!(one(&[5], &[0xFE, 0xFF]), "-2");
    assert_eq!(one(&[6], &[0xFE, 0xFF]), "65534");
    assert_eq!(one(&[7], &(-7i32).to_le_bytes()), "-7");
    assert_eq!(one(&[8], &u32::MAX.to_le_bytes()), "4294967295");
    assert_eq!(one(&[9], &i64::MIN.to_le_bytes()), "-9223372036854775808");
    assert_eq!(one(&[10], &u64::MAX.to_le_bytes()), "18446744073709551615");
    assert_eq!(one(&[11], &1.5f32.to_le_bytes()), "1.5");
    assert_eq!(one(&[12], &f64::NEG_INFINITY.to_le_bytes()), "-inf");
    assert_eq!(one(&[13], &[1, 0, 0, 0]), "true");
    assert_eq!(one(&[13], &[2, 0, 0, 0]), "2", "neither true nor false is not hidden");
    assert_eq!(one(&[14], &[2, 0, 0xAB, 0xCD]), "abcd");
    let guid: Vec<u8> = (0..16).collect();
    assert_eq!(one(&[15], &guid), "03020100-0504-0706-0809-0a0b0c0d0e0f");
    assert_eq!(one(&[16], &[0, 0, 0, 0, 0, 0, 0, 0x80]), "0x8000000000000000");
    assert_eq!(
        one(&[17], &132_264_173_104_203_138u64.to_le_bytes()),
        "2020-02-17T12:48:30.4203138Z"
    );
    let words: [u16; 8] = [2020, 2, 1, 17, 12, 48, 30, 420];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(one(&[18], &bytes), "2020-02-17T12:48:30.420");
    assert_eq!(one(&[18 | OUT, 38], &bytes), "2020-02-17T12:48:30.420Z");
    assert_eq!(one(&[18], &[0xFF; 16]), "f".repeat(32), "no time: the bytes");
    let sid = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
    assert_eq!(one(&[19], &sid), "S-1-5-32-544");
    assert_eq!(one(&[20], &[0x1F, 0, 0, 0]), "0x1f");
    assert_eq!(one(&[21], &[0xFF; 8]), "0xffffffffffffffff");
    assert_eq!(one(&[22], b"\x06\0a\0\0\0b\0"), "a\0b", "a counted string may hold a NUL");
    assert_eq!(one(&[22], b"\x03\0abc"), "616263", "half a unit: the bytes");
    assert_eq!(one(&[23], b"\x03\0abc"), "abc");
    assert_eq!(one(&[25], b"\x01\0\xff"), "ff");
}

#[test]
fn pointers_are_as_wide_as_the_writer_s() {
    let (shown, walked) = walk(b"p\0\x10n\0\x08", &[1, 0, 0, 0, 2, 0, 0, 0], 4);
    whole(walked);
    assert_eq!(shown.text(), "p=0x1 n=2");
}

#[test]
fn every_out_type_has_its_form() {
    assert_eq!(one(&[4 | OUT, 2], b"A"), "A");
    assert_eq!(one(&[6 | OUT, 2], &[0x3B, 0x26]), "\u{263b}");
    assert_eq!(one(&[4 | OUT, 3], &[1]), "true");
    assert_eq!(one(&[8 | OUT, 4], &[0xFF, 0, 0, 0]), "0xff");
    assert_eq!(one(&[8 | OUT, 5], &[9, 0, 0, 0]), "9");
    assert_eq!(one(&[8 | OUT, 6], &[9, 0, 0, 0]), "9");
    assert_eq!(one(&[6 | OUT, 7], &[0x01, 0xBB]), "443");
    assert_eq!(one(&[8 | OUT, 8], &[127, 0, 0, 1]), "127.0.0.1");
    let mut ipv6 = [0; 18];
    (ipv6[0], ipv6[17]) = (16, 1);
    assert_eq!(one(&[14 | OUT, 9], &ipv6), "::1");
    assert_eq!(
        one(&[14 | OUT, 10], b"\x10\0\x02\0\x01\xbb\x7f\0\0\x01\0\0\0\0\0\0\0\0"),
        "127.0.0.1:443"
    );
    assert_eq!(one(&[14 | OUT, 10], b"\x02\0\x63\0"), "6300", "a family that is not known");
    assert_eq!(one(&[2 | OUT, 11], b"<a/>\0"), "<a/>");
    assert_eq!(one(&[2 | OUT, 12], b"{}\0"), "{}");
    assert_eq!(one(&[8 | OUT, 13], &[5, 0, 0, 0]), "5");
    assert_eq!(one(&[8 | OUT, 14], &[5, 0, 0, 0xC0]), "0xc0000005");
    assert_eq!(one(&[7 | OUT, 15], &[5, 0, 7, 0x80]), "0x80070005");
    assert_eq!(one(&[8 | OUT, 17], &[0xFF; 4]), "-1");
    assert_eq!(one(&[7 | OUT, 18], &[0xFF; 4]), "4294967295");
    assert_eq!(one(&[2 | OUT, 35], "\u{e9}\0".as_bytes()), "\u{e9}");
    assert_eq!(one(&[2], b"\xe9\x80\0"), "\u{e9}\u{20ac}", "not UTF-8: Windows-1252");
    assert_eq!(one(&[10 | OUT, 37], &[1, 0, 0, 0, 0, 0, 0, 0]), "0x1");
    assert_eq!(one(&[4 | OUT, 99], &[7]), "7", "an out-type that is not known");
}

#[test]
fn arrays_of_both_kinds_structures_and_tags() {
    // u16 constant 2; i8 counted; struct of two counted, holding a string and a struct of one.
    let fields = [
        &b"c\0\x26\x02\0"[..],
        b"v\0\x43",
        b"s\0\xd8\x02",
        b"n\0\x02",
        b"i\0\x98\x81\x81\x80\x01",
        b"x\0\x84\x84\x01",
        b"last\0\x04",
    ]
    .concat();
    let payload = b"\x01\0\x02\0\x03\0\xff\x00\x01\x02\0ab\0\x10\0\x11\x07";
    let (shown, walked) = walk(&fields, payload, 8);
    whole(walked);
    assert_eq!(
        shown.text(),
        "c[ =1 =2 ] v[ =-1 =0 =1 ] s[ { n=ab i{ x=0x10 } } { n= i{ x=0x11 } } ] last=7"
    );
    // No element: the members are stepped over.
    let (shown, walked) = walk(&fields, b"\x01\0\x02\0\0\0\0\0\x07", 8);
    whole(walked);
    assert_eq!(shown.text(), "c[ =1 =2 ] v[ ] s[ ] last=7");
}

#[test]
fn arrays_of_characters_are_text() {
    // Counted UTF-16 with a pair of surrogates, three bytes, none.
    let fields = [&b"w\0\xc6\x02"[..], b"n\0\xa4\x02\x03\0", b"e\0\xc4\x02"].concat();
    let payload = [&b"\x03\0a\0"[..], b"\x3d\xd8\x00\xde", b"abc", b"\0\0"].concat();
    let (shown, walked) = walk(&fields, &payload, 8);
    whole(walked);
    assert_eq!(shown.text(), "w=a\u{1f600} n=abc e=");
}

#[test]
fn an_encoding_of_its_own_is_counted_bytes() {
    let (shown, walked) = walk(b"x\0\x6e\x03\0abcy\0\x04", b"\x02\0\xca\xfe\x09", 8);
    whole(walked);
    assert_eq!(shown.text(), "x=cafe y=9");
}

#[test]
fn names_and_tags_of_events() {
    let schema = EventSchema::parse(b"\x0a\0\x81\x82\x83\x04Ev\0 and more").unwrap();
    assert_eq!((schema.tag(), &*schema.name()), ((1 << 21) | (2 << 14) | (3 << 7) | 4, "Ev"));
    assert_eq!(EventSchema::parse(b"\x03\0\0\0").map(|s| s.name().into_owned()), None);
    assert_eq!(EventSchema::parse(b"\x04\0\0\0").unwrap().name(), "");
    assert_eq!(EventSchema::parse(b"\x01\0\0E\0"), None, "smaller than its size");
    assert_eq!(EventSchema::parse(b"\x09\0\0E\0"), None, "larger than the item");

    let traits = [&b"\x1e\0Prov\0\x04\0\x07z\x13\0\x01"[..], &[0x11; 16]].concat();
    let traits = ProviderTraits::parse(&traits).unwrap();
    assert_eq!(traits.name(), "Prov");
    assert_eq!(traits.group().unwrap().0, [0x11; 16]);
    assert_eq!(ProviderTraits::parse(b"\x07\0Prov\0").unwrap().group(), None);
    assert_eq!(ProviderTraits::parse(b"\x06\0Prov\0"), None, "no terminator");
    // A trait of size 0 must not hold the search for ever.
    assert_eq!(ProviderTraits::parse(b"\x0a\0Prov\0\0\0\x01").unwrap().group(), None);
}

#[test]
fn what_is_behind_the_schema_or_breaks_off_is_handed_back() {
    let (shown, walked) = walk(b"a\0\x08", b"\x01\0\0\0rest", 8);
    assert_eq!((shown.text().as_str(), walked.rest, walked.error), ("a=1", &b"rest"[..], None));

    let (shown, walked) = walk(b"a\0\x08b\0\x08", b"\x01\0\0\0\x02", 8);
    assert_eq!((shown.text().as_str(), walked.rest), ("a=1", &b"\x02"[..]));
    let error = walked.error.unwrap();
    assert_eq!((error.offset, error.fault), (4, DecodeFault::Truncated(4, 1)));
    assert_eq!(error.to_string(), "payload at 0x4: a value of 4 bytes, 1 are left");

    // An array that promises more than there is shows what there is.
    let (shown, walked) = walk(b"a\0\x48", b"\xff\xff\x01\0\0\0", 8);
    assert_eq!(shown.text(), "a[ =1 ]");
    assert!(walked.error.is_some());

    // A type that is not known, a name without an end.
    for fields in [&b"a\0\x1f"[..], b"a\0\x04b"] {
        let (_, walked) = walk(fields, b"\x05\x06", 8);
        assert!(walked.error.is_some());
        assert!(!walked.rest.is_empty());
    }
}

/// Counts, so that a test of too much does not itself take memory.
#[derive(Default)]
struct Count(u64, usize, usize);

impl Visitor for Count {
    fn value(&mut self, name: &str, _: &Value<'_>) {
        self.0 += 1 + name.len() as u64;
    }
    fn begin(&mut self, name: &str, _: Shape) {
        self.0 += 1 + name.len() as u64;
        self.1 += 1;
        self.2 = self.2.max(self.1);
    }
    fn end(&mut self, _: Shape) {
        self.1 -= 1;
    }
}

#[test]
fn depth_and_work_are_bounded() {
    // Structures in structures, as deep as a schema can say.
    let fields = b"\0\x98\x01".repeat(20_000);
    let mut count = Count::default();
    let item = item(&fields);
    let walked = EventSchema::parse(&item).unwrap().walk(b"", 8, &mut count);
    assert_eq!(walked.error.unwrap().fault, DecodeFault::Depth);
    assert!(count.1 == 0 && count.2 <= 33, "{}", count.2);

    // 65,535 structures of 127 structures of 65,535 structures ... of nothing.
    let fields =
        [&b"a\0\xb8\x01\xff\xff"[..], b"b\0\xb8\x01\xff\xff", b"c\0\xb8\x00\xff\xff"].concat();
    let mut count = Count::default();
    let item = self::item(&fields);
    let walked = EventSchema::parse(&item).unwrap().walk(b"", 8, &mut count);
    assert_eq!(walked.error.unwrap().fault, DecodeFault::Work);
    assert!(count.0 <= 2 * u64::from(MOST_WORK));

    // A long name again and again: what is shown stays small, too.
    let name = [b'n'; 60_000];
    let fields = [&b"a\0\xb8\x01\xff\xff"[..], &name, b"\0\0"].concat();
    let mut count = Count::default();
    let item = self::item(&fields);
    EventSchema::parse(&item).unwrap().walk(b"", 8, &mut count);
    assert!(count.0 <= 20 * u64::from(MOST_WORK), "{}", count.0);
}

#[test]
fn every_cut_of_schema_and_payload_is_an_answer() {
    let fields = [&b"s\0\x01"[..], b"v\0\x43", b"t\0\xd8\x02", b"n\0\x17", b"x\0\x13"].concat();
    let payload = b"h\0\0\0\x02\0\x01\x02\x01\0\x02\0ab\x01\x01\0\0\0\0\0\x05\x07\0\0\0";
    let item = item(&fields);
    for cut in 0..=item.len() {
        let mut part = item[..cut].to_vec();
        if cut >= 2 {
            part[..2].copy_from_slice(&u16::try_from(cut).unwrap().to_le_bytes());
        }
        let Some(schema) = EventSchema::parse(&part) else { continue };
        for end in 0..=payload.len() {
            let mut shown = Shown::default();
            let walked = schema.walk(&payload[..end], 8, &mut shown);
            assert!(shown.open.is_empty());
            let complete = cut == item.len() && end == payload.len();
            if complete {
                whole(walked);
            }
        }
    }
}
