//! Instrumentation manifests, written by hand and hostile, and those that .NET puts into a trace.

use crate::samples::{decoder, samples};
use crate::shown::Shown;
use etlring::codec::{RecordView, Records};
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::schema::{DecodeFault, Decoder, Source};

pub(crate) const PROVIDER: Guid = Guid::from_u128(0x11111111_2222_3333_4444_555555555555);

/// An event of the provider, 64 bits.
fn event(id: u16, version: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![0; 80];
    let size = u16::try_from(80 + payload.len()).unwrap();
    record[..2].copy_from_slice(&size.to_le_bytes());
    record[2..4].copy_from_slice(&[19, 0xC0]);
    record[24..40].copy_from_slice(&PROVIDER.0);
    record[40..42].copy_from_slice(&id.to_le_bytes());
    record[42] = version;
    record.extend_from_slice(payload);
    record
}

fn view(record: &[u8]) -> RecordView<'_> {
    RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap()
}

/// Name, fields and message of an event.
fn shown(decoder: &Decoder, id: u16, payload: &[u8]) -> (String, String, Option<String>) {
    let record = event(id, 1, payload);
    let view = view(&record);
    let found = decoder.describe(&view);
    let mut shown = Shown::default();
    let walked = found.walk(&mut shown).expect("a schema");
    assert_eq!((walked.rest, walked.error), (&[][..], None), "{}", shown.text());
    (found.name().unwrap_or_default().to_owned(), shown.text(), found.message())
}

pub(crate) const MANIFEST: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<!-- made by hand for this test -->
<instrumentationManifest xmlns="http://schemas.microsoft.com/win/2004/08/events"
    xmlns:win="http://manifests.microsoft.com/win/2004/08/windows/events">
 <instrumentation><events>
  <provider name="Demo-Ring" guid="{11111111-2222-3333-4444-555555555555}" symbol="DEMO"
      resourceFileName="d.dll" messageFileName="d.dll">
   <channels><channel chid="op" name="Demo-Ring/Operational" type="Operational"/></channels>
   <levels><level name="demo:Loud" value="16" message="$(string.loud)"/></levels>
   <tasks>
    <task name="File" value="1" message="$(string.file)">
     <opcodes><opcode name="Shred" value="20" message="shredded"/></opcodes>
    </task>
   </tasks>
   <keywords><keyword name="IO" mask="0x1" message="$(string.io)"/></keywords>
   <maps>
    <valueMap name="Mode"><map value="1" message="$(string.read)"/><map value="2" message="write"/></valueMap>
    <bitMap name="Bits"><map value="0x1" message="A"/><map value="0x4" message="C"/></bitMap>
   </maps>
   <templates>
    <template tid="all">
     <data name="u" inType="win:UnicodeString"/> <data name="a" inType="win:AnsiString"/>
     <data name="i8" inType="win:Int8"/> <data name="u8" inType="win:UInt8"/>
     <data name="i16" inType="win:Int16"/> <data name="u16" inType="win:UInt16"/>
     <data name="i32" inType="win:Int32"/> <data name="u32" inType="win:UInt32"/>
     <data name="i64" inType="win:Int64"/> <data name="u64" inType="win:UInt64"/>
     <data name="f" inType="win:Float"/> <data name="d" inType="win:Double"/>
     <data name="b" inType="win:Boolean"/> <data name="g" inType="win:GUID"/>
     <data name="p" inType="win:Pointer"/> <data name="ft" inType="win:FILETIME"/>
     <data name="st" inType="win:SYSTEMTIME"/> <data name="sid" inType="win:SID"/>
     <data name="h32" inType="win:HexInt32"/> <data name="h64" inType="win:HexInt64"/>
     <data name="port" inType="win:UInt16" outType="win:Port"/>
     <data name="ip" inType="win:UInt32" outType="win:IPv4"/>
     <data name="nt" inType="win:UInt32" outType="win:NTSTATUS"/>
     <data name="mode" inType="win:UInt8" map="Mode"/> <data name="bits" inType="win:UInt32" map="Bits"/>
    </template>
    <template tid="sized">
     <data name="n" inType="win:UInt16"/>
     <data name="blob" inType="win:Binary" length="n"/>
     <data name="fixed" inType="win:UnicodeString" length="3"/>
     <data name="list" inType="win:UInt8" count="2"/>
     <struct name="pairs" count="n">
      <data name="n" inType="win:UInt8"/><data name="text" inType="win:AnsiString" length="n"/>
     </struct>
     <data name="tail" inType="win:UInt8" count="n"/>
    </template>
   </templates>
   <events>
    <event value="1" version="1" level="win:Informational" task="File" opcode="win:Start" template="all"
        keywords="IO Other" channel="op" message="$(string.opened)" symbol="Opened"/>
    <event value="0x2" version="1" task="File" opcode="Shred" template="sized"/>
    <event value="3" version="1" symbol="Nothing"/>
    <event value="65540" version="1" symbol="High"/>
   </events>
  </provider>
 </events></instrumentation>
 <localization>
  <resources culture="de-DE"><stringTable>
   <string id="read" value="lesen"/> <string id="file" value="Datei"/>
   <string id="io" value="Ein- &amp; Ausgabe"/>
  </stringTable></resources>
  <resources culture="en-US"><stringTable>
   <string id="read" value="read"/> <string id="opened" value="%1 opened, mode %24!s!%n"/>
   <string id="loud" value="Loud"/> <string id="file" value="File"/>
  </stringTable></resources>
 </localization>
</instrumentationManifest>"#;

/// Payload of event 1.
pub(crate) fn every_type() -> Vec<u8> {
    let words: [u16; 8] = [2020, 2, 1, 17, 12, 48, 30, 420];
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    [
        &b"h\0i\0\0\0yo\0\xff\xff\xfe\xff\xfe\xff\xfd\xff\xff\xff\x03\0\0\0"[..],
        &(-4i64).to_le_bytes(),
        &4u64.to_le_bytes(),
        &1.5f32.to_le_bytes(),
        &2.5f64.to_le_bytes(),
        b"\x01\0\0\0",
        &PROVIDER.0,
        &[0, 0x10, 0, 0, 0, 0, 0, 0x80],
        &132_264_173_104_203_138u64.to_le_bytes(),
        &words,
        &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
        b"\x1f\0\0\0\xff\0\0\0\0\0\0\0\x01\xbb\x7f\0\0\x01\x05\0\0\xc0\x02\x05\0\0\0",
    ]
    .concat()
}

/// Fields of event 1.
pub(crate) const EVERY_TYPE: &str = "u=hi a=yo i8=-1 u8=255 i16=-2 u16=65534 i32=-3 u32=3 i64=-4 \
     u64=4 f=1.5 d=2.5 b=true \
     g=11111111-2222-3333-4444-555555555555 p=0x8000000000001000 \
     ft=2020-02-17T12:48:30.4203138Z st=2020-02-17T12:48:30.420 sid=S-1-5-18 h32=0x1f h64=0xff \
     port=443 ip=127.0.0.1 nt=0xc0000005 mode=write bits=A|C";

#[test]
fn a_manifest_of_every_type() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_manifest(MANIFEST.as_bytes()), Ok(4));
    let payload = every_type();
    let (name, text, message) = shown(&decoder, 1, &payload);
    assert_eq!(name, "File/Start");
    assert_eq!(text, EVERY_TYPE);
    assert_eq!(message.as_deref(), Some("hi opened, mode write"), "the line end is trimmed");

    let record = event(1, 1, &payload);
    let view = view(&record);
    let found = decoder.describe(&view);
    assert_eq!((found.source(), found.provider_name()), (Source::Manifest, Some("Demo-Ring")));
    let names = found.names().unwrap();
    assert_eq!(names.level.as_deref(), Some("win:Informational"));
    assert_eq!(names.channel.as_deref(), Some("op"));
    assert_eq!(
        names.keywords.iter().map(|k| &**k).collect::<Vec<_>>(),
        ["Ein- & Ausgabe", "Other"]
    );
}

#[test]
fn lengths_and_counts_by_name() {
    let mut decoder = Decoder::new();
    decoder.add_manifest(MANIFEST.as_bytes()).unwrap();
    let payload = b"\x02\0\xca\xfea\0\0\0\0\0\x07\x08\x01x\x02yz\x05\x06";
    let (name, text, _) = shown(&decoder, 2, payload);
    assert_eq!(name, "File/shredded");
    // The tail counts by the `n` of its own level, the texts by that of theirs.
    assert_eq!(
        text,
        "n=2 blob=cafe fixed=a list[ =7 =8 ] pairs[ { n=1 text=x } { n=2 text=yz } ] tail[ =5 =6 ]"
    );
    assert_eq!(shown(&decoder, 3, b"").0, "Nothing");
    assert_eq!(shown(&decoder, 4, b"").0, "High", "only 16 bits of an id are in the record");
}

#[test]
fn manifests_come_in_other_encodings_and_without_namespaces() {
    let utf16: Vec<u8> =
        [0xFEFFu16].into_iter().chain(MANIFEST.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(Decoder::new().add_manifest(&utf16), Ok(4));
    let marked = [b"\xEF\xBB\xBF", MANIFEST.as_bytes()].concat();
    assert_eq!(Decoder::new().add_manifest(&marked), Ok(4));
    let bare = MANIFEST.replace("win:", "").replace("xmlns", "x");
    assert_eq!(Decoder::new().add_manifest(bare.as_bytes()), Ok(4));
}

#[test]
fn no_manifest_is_an_error_with_its_place_or_describes_nothing() {
    let mut decoder = Decoder::new();
    for (text, place) in [("<a><b></a>", 6), ("<a", 0), ("<a>", 3), ("<a b=\"&nope;\"/>", 0)] {
        let error = decoder.add_manifest(text.as_bytes()).unwrap_err();
        assert!(error.position >= place, "{text}: {error}");
        assert!(error.to_string().starts_with("at byte "), "{error}");
    }
    for text in ["", "plain", "<a/>", "<provider/>", "<provider guid='no'><events/></provider>"] {
        assert_eq!(decoder.add_manifest(text.as_bytes()), Ok(0), "{text}");
    }
    // Every cut is an answer.
    for cut in (0..MANIFEST.len()).filter(|cut| MANIFEST.is_char_boundary(*cut)) {
        let _ = Decoder::new().add_manifest(&MANIFEST.as_bytes()[..cut]);
    }
}

#[test]
fn depth_and_size_of_a_manifest_are_bounded() {
    let mut decoder = Decoder::new();
    let deep = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
    assert!(decoder.add_manifest(deep.as_bytes()).is_err());
    let wide = "<a/>".repeat(400_000);
    assert!(decoder.add_manifest(wide.as_bytes()).is_err());
    let attributes: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
    assert!(decoder.add_manifest(format!("<a{attributes}/>").as_bytes()).is_err());

    // One large template that very many events use.
    let fields = "<data name='f' inType='win:UInt8'/>".repeat(2000);
    let events: String =
        (0..20_000).map(|n| format!("<event value='{n}' template='t'/>")).collect();
    let text = format!(
        "<provider guid='{PROVIDER}'><templates><template tid='t'>{fields}</template></templates>\
         <events>{events}</events></provider>"
    );
    let count = decoder.add_manifest(text.as_bytes()).unwrap();
    assert!(count > 10 && count < 100, "{count}");

    // Structures in structures, and more elements than there is work.
    let nested = "<struct name='s' count='65535'>".repeat(10) + &"</struct>".repeat(10);
    let text = format!(
        "<provider guid='{PROVIDER}'><templates><template tid='t'>{nested}</template></templates>\
         <events><event value='9' version='1' template='t'/></events></provider>"
    );
    assert_eq!(decoder.add_manifest(text.as_bytes()), Ok(1));
    let record = event(9, 1, b"x");
    let view = view(&record);
    let walked = decoder.describe(&view).walk(&mut Shown::default()).unwrap();
    assert_eq!(walked.error.unwrap().fault, DecodeFault::Work);
}

/// An event that holds a chunk of a manifest.
fn chunk(count: u16, number: u16, text: &[u8]) -> Vec<u8> {
    let [c0, c1] = count.to_le_bytes();
    let [n0, n1] = number.to_le_bytes();
    let mut record = event(0xFFFE, 1, &[&[1, 1, 0, 0x5B, c0, c1, n0, n1], text].concat());
    (record[45], record[46], record[47]) = (0xFE, 0xFE, 0xFF);
    record
}

#[test]
fn chunks_of_a_manifest_are_joined_in_their_order() {
    let (first, second) = MANIFEST.as_bytes().split_at(1000);
    let learn = |records: &[Vec<u8>]| {
        let mut decoder = Decoder::new();
        for record in records {
            decoder.learn(Records::new(record).next().unwrap().unwrap());
        }
        let record = event(3, 1, b"");
        let view = view(&record);
        decoder.describe(&view).source()
    };
    let (one, two) = (chunk(2, 0, first), chunk(2, 1, second));
    assert_eq!(learn(&[one.clone(), two.clone()]), Source::EventSource);
    assert_eq!(learn(&[one.clone(), one.clone(), two.clone()]), Source::EventSource, "begun anew");
    assert_eq!(learn(&[two.clone(), one.clone()]), Source::None);
    assert_eq!(learn(&[one.clone(), chunk(2, 2, second)]), Source::None);
    assert_eq!(learn(&[one]), Source::None);
    assert_eq!(learn(&[chunk(1, 0, MANIFEST.as_bytes())]), Source::EventSource);
    assert_eq!(learn(&[chunk(1, 0, b"")]), Source::None);
    let mut short = chunk(1, 0, b"");
    short.truncate(84);
    short[0] = 84;
    assert_eq!(learn(&[short]), Source::None);
}

#[test]
fn real_manifests_of_dotnet_describe_events_that_nothing_else_does() {
    let Some(directory) = samples() else { return };
    let trace = Trace::open(directory.join("perfview_net.4.5.2.x64.etl")).unwrap();
    let decoder = decoder(&trace);
    let (mut found, mut texts) = (0, Vec::new());
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        let event = decoder.describe(&view);
        if event.source() == Source::EventSource {
            let mut shown = Shown::default();
            let walked = event.walk(&mut shown).unwrap();
            assert_eq!(walked.error, None);
            found += 1;
            if texts.len() < 3 {
                texts.push((event.provider_name().unwrap().to_owned(), shown.text()));
            }
        }
    }
    assert_eq!(found, 118, "{texts:?}");
    assert!(texts.iter().all(|(provider, _)| provider == "PerfView"), "{texts:?}");
}
