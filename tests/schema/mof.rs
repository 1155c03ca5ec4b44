//! MOF files, written by hand and hostile, and classic events that a session recorded.

use crate::shown::Shown;
use etlring::codec::RecordView;
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::schema::{DecodeFault, Decoder, Source};
use etlring::session::{ClassicEvent, Session};
use etlring::sink::MemorySink;

const CLASS: Guid = Guid::from_u128(0x2f1c9a10_4d5e_6f70_8192_a3b4c5d6e7f9);

const MOF: &str = r#"#pragma classflags("forceupdate")
#pragma namespace ("\\\\.\\root\\wmi")
/* Made by hand
   for this test. */
[Dynamic, Description("A provider of the test") : amended, Guid("{2f1c9a10-4d5e-6f70-8192-000000000000}")]
class DemoTrace : EventTrace { [read] uint32 Flags; };

[Dynamic, Guid("{2F1C9A10-4D5E-6F70-8192-A3B4C5D6E7F9}"), EventVersion(2), DisplayName("Demo" "Disk")]
class Demo_Disk : DemoTrace
{
  [WmiDataId(1), Description("in \"every\" event"), read] uint32 Common;
};

[EventType{1, 2}, EventTypeName{"Start", "Stop"} : ToSubClass]
class Demo_Disk_Integers : Demo_Disk
{
  [WmiDataId(11), format("c")] sint8 Letters[4];      // behind those that follow
  [WmiDataId(2)] sint8 I8;   [WmiDataId(3)] uint8 U8;
  [WmiDataId(4)] sint16 I16; [WmiDataId(5)] uint16 U16 = 5;
  [WmiDataId(6)] sint32 I32; [WmiDataId(7), format("x")] uint32 X32;
  [WmiDataId(8)] sint64 I64; [WmiDataId(9)] uint64 U64;
  [WmiDataId(10), pointer] uint32 Address;
  [read] uint32 NoData;
  void Method([in] uint32 a);
};

[EventType(3), EventTypeName("Text")]
class Demo_Disk_Texts : Demo_Disk
{
  [WmiDataId(2)] string Narrow;
  [WmiDataId(3), format("w")] string Wide;
  [WmiDataId(4), StringTermination("Counted")] string CountedNarrow;
  [WmiDataId(5), StringTermination("Counted"), format("w")] string CountedWide;
  [WmiDataId(6), StringTermination("ReverseCounted")] string ReverseNarrow;
  [WmiDataId(7), StringTermination("ReverseCounted"), format("w")] string ReverseWide;
  [WmiDataId(8)] char16 Letter;
  [WmiDataId(9), MAX(4)] char16 Fixed;
  [WmiDataId(10), extension("RString")] object Reduced;
  [WmiDataId(11), extension("RWString")] object ReducedWide;
  [WmiDataId(12), StringTermination("NotCounted"), format("w")] string Rest;
};

[EventType(0x4), EventTypeName("Objects")]
class Demo_Disk_Objects : Demo_Disk
{
  [WmiDataId(2)] real32 Single; [WmiDataId(3)] real64 Double; [WmiDataId(4)] boolean Yes;
  [WmiDataId(5), extension("Sid")] object User;
  [WmiDataId(6), extension("Guid")] object Id;
  [WmiDataId(7), extension("IPAddr")] uint32 Address;
  [WmiDataId(8), extension("IPAddrV6")] object Address6;
  [WmiDataId(9), extension("Port")] uint16 Port;
  [WmiDataId(10), extension("WmiTime")] object When;
  [WmiDataId(11), extension("SizeT")] object Size;
  [WmiDataId(12), extension("Variant")] object Blob;
  [WmiDataId(13), StringTermination("NotCounted")] string Rest;
};

[EventType(5), EventTypeName("Many")]
class Demo_Disk_Many : Demo_Disk
{
  [WmiDataId(2)] uint16 Count;
  [WmiDataId(3), WmiSizeIs("Count")] uint8 Sized[];
  [WmiDataId(4), MAX(2)] uint16 Most[];
  [WmiDataId(5), ValueMap{"1", "0x2"}, Values{"One", "Two"}] uint8 Named;
  [WmiDataId(6), Values{"Zero", "First"}] uint8 Counted;
  [WmiDataId(7), BitMap{"0", "3"}, BitValues{"A", "D"}] uint32 Bits;
  [WmiDataId(8), ValueType("flag"), ValueMap{"0x1", "0x10"}, Values{"Low", "High"}] uint8 Flags;
  [WmiDataId(9)] uint32 Tail[];
};

instance of Something { a = {1, 2}; b = "};"; };
class Unused;
"#;

/// Records classic events in a session of this name and gives name, provider name and fields of
/// each.
fn recorded(
    name: &str,
    decoder: &Decoder,
    events: &[(u8, u16, Vec<u8>)],
) -> Vec<(String, String, String)> {
    let (sink, log) = MemorySink::new();
    let session = Session::builder(name).sink(sink).start().unwrap();
    for (kind, version, payload) in events {
        let mut event = ClassicEvent::new(CLASS, *kind, 4);
        event.version = *version;
        session.write_classic(&event, payload).unwrap();
    }
    session.stop().unwrap();
    let trace = Trace::from_bytes(log.to_vec()).unwrap();
    let mut records = trace.by_time();
    let mut all = Vec::new();
    while let Some(record) = records.next() {
        let view: RecordView<'_> = record.unwrap().view().unwrap();
        if view.provider() != Some(CLASS) {
            continue;
        }
        let found = decoder.describe(&view);
        assert_eq!(found.source(), Source::Mof);
        let mut shown = Shown::default();
        let walked = found.walk(&mut shown).unwrap();
        assert_eq!((walked.rest, walked.error), (&[][..], None), "{}", shown.text());
        let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
        all.push((own(found.name()), own(found.provider_name()), shown.text()));
    }
    all
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn every_type_of_a_recorded_event_is_read() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_mof(MOF.as_bytes()), Ok(5));
    let common = 7u32.to_le_bytes().to_vec();
    let pointer = 0xFFFF_8000_0000_1000u64.to_le_bytes();
    let integers = [
        &common[..],
        b"\xff\xff\xfe\xff\xfe\xff\xfd\xff\xff\xff\x1f\0\0\0",
        &(-4i64).to_le_bytes(),
        &4u64.to_le_bytes(),
        &pointer,
        b"ab\0x",
    ];
    let texts = [
        &common[..],
        b"narrow\0",
        &wide("wide\0"),
        b"\x02\0cn",
        b"\x04\0",
        &wide("cw"),
        b"\0\x02rn\0\x04",
        &wide("rw"),
        &wide("Lfix\0r\0rw\0")[..10],
        b"r\0",
        &wide("rw\0"),
        &wide("rest"),
    ];
    let objects = [
        &common[..],
        &1.5f32.to_le_bytes(),
        &2.5f64.to_le_bytes(),
        b"\x01\0\0\0",
        &[9; 16],
        &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
        &CLASS.0,
        b"\x7f\0\0\x01",
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        b"\x01\xbb",
        &132_264_173_104_203_138u64.to_le_bytes(),
        &12u64.to_le_bytes(),
        b"\x02\0\0\0\xca\xferest",
    ];
    let many = [
        &common[..],
        b"\x03\0\x01\x02\x03\x04\0\x05\0\x02\x01\x09\0\0\0\x11",
        b"\x06\0\0\0\x07\0\0\0",
    ];
    let found = recorded(
        "mof types",
        &decoder,
        &[
            (1, 2, integers.concat()),
            (2, 2, integers.concat()),
            (3, 2, texts.concat()),
            // A newer version is read by what is known.
            (4, 3, objects.concat()),
            (5, 2, many.concat()),
        ],
    );
    let names: Vec<_> = found.iter().map(|(name, _, _)| &**name).collect();
    assert_eq!(names, ["Start", "Stop", "Text", "Objects", "Many"]);
    assert!(found.iter().all(|(_, provider, _)| provider == "DemoDisk"));
    let fields: Vec<_> = found.iter().map(|(_, _, fields)| &**fields).collect();
    assert_eq!(
        fields[0],
        "Common=7 I8=-1 U8=255 I16=-2 U16=65534 I32=-3 X32=0x1f I64=-4 U64=4 \
         Address=0xffff800000001000 Letters=ab"
    );
    assert_eq!(fields[1], fields[0]);
    assert_eq!(
        fields[2],
        "Common=7 Narrow=narrow Wide=wide CountedNarrow=cn CountedWide=cw ReverseNarrow=rn \
         ReverseWide=rw Letter=L Fixed=fix Reduced=r ReducedWide=rw Rest=rest"
    );
    assert_eq!(
        fields[3],
        "Common=7 Single=1.5 Double=2.5 Yes=true User=S-1-5-18 \
         Id=2f1c9a10-4d5e-6f70-8192-a3b4c5d6e7f9 Address=127.0.0.1 Address6=::1 Port=443 \
         When=2020-02-17T12:48:30.4203138Z Size=12 Blob=cafe Rest=rest"
    );
    assert_eq!(
        fields[4],
        "Common=7 Count=3 Sized[ =1 =2 =3 ] Most[ =4 =5 ] Named=Two Counted=First Bits=A|D \
         Flags=Low|High Tail[ =6 =7 ]"
    );
}

#[test]
fn versions_choose_the_class() {
    let class = |name: &str, version: u16, kind: &str| {
        format!(
            "[Guid(\"{{{CLASS}}}\"), EventVersion({version})] class {name} : EventTrace {{}};\n\
             [EventType(1)] class {name}_1 : {name} {{ [WmiDataId(1)] {kind} A; }};\n"
        )
    };
    let text = class("Old", 1, "uint8") + &class("New", 4, "uint16");
    let mut decoder = Decoder::new();
    // As UTF-16, which Windows' own files are.
    let utf16 = [&b"\xff\xfe"[..], &wide(&text)].concat();
    assert_eq!(decoder.add_mof(&utf16), Ok(2));
    let events = [(1, 1, b"\x01".to_vec()), (1, 3, b"\x01".to_vec()), (1, 9, b"\x01\x01".to_vec())];
    let found = recorded("mof versions", &decoder, &events);
    let fields: Vec<_> = found.iter().map(|(name, _, fields)| format!("{name} {fields}")).collect();
    assert_eq!(fields, ["type 1 A=1", "type 1 A=1", "type 1 A=257"]);
}

#[test]
fn the_built_in_table_holds_for_other_versions_than_the_users() {
    let text = "[Guid(\"{3d6fa8d1-fe05-11d0-9dda-00c04fd7ba7c}\"), EventVersion(2)]\n\
                class T : EventTrace {};\n\
                [EventType(2), EventTypeName(\"Mine\")] class T1 : T { [WmiDataId(1)] uint32 A; };";
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_mof(text.as_bytes()), Ok(1));
    for (version, source) in [(2u16, Source::Mof), (3, Source::Kernel)] {
        let mut record = vec![0; 52];
        record[..4].copy_from_slice(&[52, 0, 20, 0xC0]);
        record[4] = 2;
        record[6..8].copy_from_slice(&version.to_le_bytes());
        let class = Guid::from_u128(0x3d6fa8d1_fe05_11d0_9dda_00c04fd7ba7c);
        record[24..40].copy_from_slice(&class.0);
        let raw = etlring::codec::Records::new(&record).next().unwrap().unwrap();
        let view = RecordView::parse(raw).unwrap();
        assert_eq!(decoder.describe(&view).source(), source);
    }
}

#[test]
fn what_is_no_mof_is_an_error_with_its_place() {
    let wrong = |text: &str| Decoder::new().add_mof(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(wrong("\n\nclass A {"), "at byte 11: line 3: a name should stand here");
    assert_eq!(wrong("<xml/>"), "at byte 0: line 1: neither a class nor an instance");
    assert_eq!(wrong("/* no end"), "at byte 0: line 1: a comment without end");
    assert_eq!(wrong("[a(\"x)] class"), "at byte 3: line 1: a string without end");
    assert_eq!(wrong("[a(0xZ)]"), "at byte 3: line 1: no number that can be read");
    let far = "[Guid(\"{1}\"), EventType(1)] class A : B {};";
    assert_eq!(wrong(far), "at byte 0: class A has a Guid that is none");
    let many = format!("[Guid(\"{CLASS}\"), EventType(256)] class A {{}};");
    assert!(wrong(&many).ends_with("class A has an EventType that is too large"));
    // A ring of ancestors; classes that no record can name are none.
    let ring = "[EventType(1)] class A : B {}; class B : A {};";
    assert_eq!(wrong(ring), "at byte 0: class A has too many ancestors");
    assert_eq!(Decoder::new().add_mof(b"[EventType(1)] class A : B {};"), Ok(0));
}

#[test]
fn any_text_is_an_answer_of_bounded_size() {
    for cut in 0..MOF.len() {
        let _ = Decoder::new().add_mof(&MOF.as_bytes()[..cut]);
        let _ = Decoder::new().add_mof(&MOF.as_bytes()[cut..]);
    }
    // Every type of 256 inherits thousands of properties, again and again.
    let properties: String = (0..4000).map(|n| format!("[WmiDataId({n})]uint8 A{n};")).collect();
    let types: Vec<_> = (0..256).map(|n| n.to_string()).collect();
    let types = types.join(",");
    let classes: String =
        (0..200).map(|n| format!("[EventType{{{types}}}] class C{n} : B {{}};")).collect();
    let text = format!("[Guid(\"{CLASS}\")] class B {{{properties}}};{classes}");
    let error = Decoder::new().add_mof(text.as_bytes()).unwrap_err();
    assert!(error.reason.contains("too many fields"), "{error}");
    // A long name of a class stands in each of its events.
    let text = format!(
        "[Guid(\"{CLASS}\"), DisplayName(\"{}\"), EventType{{{types}}}] class A {{}};",
        "n".repeat(1 << 20)
    );
    let error = Decoder::new().add_mof(text.as_bytes()).unwrap_err();
    assert!(error.reason.contains("too many names"), "{error}");
    let error = Decoder::new().add_mof("a".repeat(2000).as_bytes()).unwrap_err();
    assert!(error.reason.contains("too long"), "{error}");
    assert!(Decoder::new().add_mof("[a(\"".repeat(1 << 20).as_bytes()).is_err());
}

#[test]
fn a_type_that_is_not_known_ends_what_can_be_told() {
    let text = format!(
        "[Guid(\"{CLASS}\"), EventType(1)] class A {{ [WmiDataId(1)] uint8 X; \
         [WmiDataId(2)] datetime Y; }};"
    );
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_mof(text.as_bytes()), Ok(1));
    let mut record = vec![0; 48];
    record[..5].copy_from_slice(&[50, 0, 20, 0xC0, 1]);
    record[24..40].copy_from_slice(&CLASS.0);
    record.extend_from_slice(b"\x05\x06");
    let raw = etlring::codec::Records::new(&record).next().unwrap().unwrap();
    let view = RecordView::parse(raw).unwrap();
    let found = decoder.describe(&view);
    let mut shown = Shown::default();
    let walked = found.walk(&mut shown).unwrap();
    assert_eq!((shown.text().as_str(), walked.rest), ("X=5", &b"\x06"[..]));
    assert!(matches!(walked.error.unwrap().fault, DecodeFault::Type(_)));
}
