//! WPP messages by TMF files: one written by hand with every argument type, two real ones.

use crate::samples::samples;
use crate::shown::Shown;
use etlring::codec::{RecordView, Records};
use etlring::format::Guid;
use etlring::schema::{Decoder, Source};

pub(crate) const GUID: Guid = Guid::from_u128(0x2b7c9a10_4d5e_6f70_8192_a3b4c5d6e7f8);

/// A message of a 64-bit writer with GUID.
fn message(guid: Guid, number: u16, arguments: &[u8]) -> Vec<u8> {
    let size = u16::try_from(24 + arguments.len()).unwrap();
    let mut record = size.to_le_bytes().to_vec();
    record.extend_from_slice(&[0, 0x90]);
    record.extend_from_slice(&number.to_le_bytes());
    record.extend_from_slice(&0x82u16.to_le_bytes());
    record.extend_from_slice(&guid.0);
    record.extend_from_slice(arguments);
    record
}

/// Fields, rest and text of a message.
fn shown(decoder: &Decoder, record: &[u8]) -> (String, usize, String) {
    let view = RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap();
    let found = decoder.describe(&view);
    assert_eq!(found.source(), Source::Tmf);
    let mut shown = Shown::default();
    let walked = found.walk(&mut shown).unwrap();
    (shown.text(), walked.rest.len(), found.message().unwrap())
}

pub(crate) const TMF: &str = r#"// PDB:  demo.pdb
// PDB:  Last Updated :2024-11-03:01:04:26:104 (UTC) [Tracepdb]
2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8 demo // SRC=main.c MJ= MN=
#typev main_c10 10 "%0 [%!FUNC!] %10!c!%11!d! %12!d! %13!u! %14!d! %15!08X! %16!x!" //   LEVEL=TRACE_LEVEL_ERROR FLAGS=ALL FUNC=Demo::Main
{
c, ItemChar -- 10
u, ItemUChar -- 11
s, ItemShort -- 12
us, ItemUShort -- 13
l, ItemLong -- 14
ul, ItemULong -- 15
ux, ItemULongX -- 16
}
#typev main_c11 11 "%10!I64d! %11!I64u! %12!I64x! %13!s! %14!s! %15!s!" //   LEVEL=x FUNC=F
{
a, ItemLongLong -- 10
b, ItemULongLong -- 11
c, ItemLongLongX -- 12
d, ItemLongLongXX -- 13
e, ItemLongLongO -- 14
f, ItemDouble -- 15
}
#typev main_c12 12 "0x%10!p! '%11!s!' %12!s! %13!s! %14!s! %15!-6s!|" // FUNC=F
{
p, ItemPtr -- 10
f(a, b), ItemString -- 11
w, ItemWString -- 12
r, ItemRString -- 13
ps, ItemPString -- 14
pw, ItemPWString -- 15
}
#typev main_c13 13 "%10!s! %11!s! %12!s! %13!s! %14!s! %15!s!" // FUNC=F
{
g, ItemGuid -- 10
nt, ItemNTSTATUS -- 11
we, ItemWINERROR -- 12
hr, ItemHRESULT -- 13
ip, ItemIPAddr -- 14
port, ItemPort -- 15
}
#typev main_c14 14 "%10!s! %11!s! %12!s! %13!s! %14!s! %15!s!" // FUNC=F
{
t, ItemTimestamp -- 10
dt, ItemTimeDelta -- 11
wt, ItemWaitTime -- 12
list, ItemListByte(zero,five=5,six) -- 13
list2, ItemListLong(a,b) -- 14
set, ItemSetShort(A,B,C) -- 15
}
#typev main_c15 15 "%10!s! %11!s! %12!s! %13!s! %14!s! %15!d!" // FUNC=F
{
sid, ItemSid -- 10
dump, ItemHEXDump -- 11
mac, ItemMACAddr -- 12
tag, ItemChar4 -- 13
clsid, ItemCLSID -- 14
en, ItemEnum(T) -- 15
}
#typev main_c16 16 "a \"quoted\" // %10!d! then %11!s!" // FUNC=F
{
x, ItemLong -- 10
y, ItemUnheardOf -- 11
z, ItemLong -- 12
}
#typev main_c17 16 "again %10!d!%%%!LEVEL!%!FLAGS!%n" //   LEVEL=L FUNC=F
{
x, ItemLong -- 10
}
"#;

/// Messages of every item: number, arguments, fields, text.
pub(crate) fn every_item() -> Vec<(u16, Vec<u8>, &'static str, &'static str)> {
    let eight = |number: u64| number.to_le_bytes();
    let longs = [u64::MAX, 7, 31, 32, 33].map(eight).concat();
    let times = [132_264_173_104_203_138, 1500, 20].map(eight).concat();
    vec![
        (
            10,
            b"A\xff\xfe\xff\xfe\xff\xfd\xff\xff\xff\x1f\0\0\0\x2a\0\0\0".to_vec(),
            "c=A u=-1 s=-2 us=65534 l=-3 ul=0x1f ux=0x2a",
            "[Demo::Main] A-1 -2 65534 -3 0000001F 2a",
        ),
        (
            11,
            [&longs[..], &0.5f64.to_le_bytes()].concat(),
            "a=-1 b=7 c=0x1f d=0x20 e=0x21 f=0.5",
            "-1 7 1f 0x20 0x21 0.5",
        ),
        (
            12,
            [&eight(0xFFFF_8000_0000_1000)[..], b"x\0w\0\0\0r\0\x02\0ps\x04\0p\0w\0"].concat(),
            "p=0xffff800000001000 f(a, b)=x w=w r=r ps=ps pw=pw",
            "0xFFFF800000001000 'x' w r ps pw    |",
        ),
        (
            13,
            [&GUID.0[..], b"\x05\0\0\xc0\x05\0\0\0\x05\0\x07\x80\x7f\0\0\x01\x01\xbb"].concat(),
            "g=2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8 nt=0xc0000005 we=5 hr=0x80070005 ip=127.0.0.1 \
             port=443",
            "2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8 0xc0000005 5 0x80070005 127.0.0.1 443",
        ),
        (
            14,
            [&times[..], b"\x06\x07\0\0\0\x05\0"].concat(),
            "t=2020-02-17T12:48:30.4203138Z dt=1500 wt=20 list=six list2=7 set=A|C",
            "2020-02-17T12:48:30.4203138Z 1500 20 six 7 A|C",
        ),
        (
            15,
            [
                &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0][..],
                b"\x02\0\xca\xfe\x01\x02\x03\x04\x05\x06Ntfs",
                &GUID.0,
                b"\x09\0\0\0",
            ]
            .concat(),
            "sid=S-1-5-18 dump=cafe mac=010203040506 tag=Ntfs \
             clsid=2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8 en=9",
            "S-1-5-18 cafe 010203040506 Ntfs 2b7c9a10-4d5e-6f70-8192-a3b4c5d6e7f8 9",
        ),
    ]
}

#[test]
fn every_item_is_read_and_printed() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_tmf(TMF.as_bytes()), 7);
    for (number, arguments, fields, expected) in every_item() {
        let (text, rest, message) = shown(&decoder, &message(GUID, number, &arguments));
        assert_eq!((&*text, rest, &*message), (fields, 0, expected));
    }

    // Of a message that stands twice the last one holds.
    assert_eq!(shown(&decoder, &message(GUID, 16, b"\x07\0\0\0")).2, "again 7%L");
}

#[test]
fn an_item_that_is_not_known_ends_what_can_be_told() {
    let mut decoder = Decoder::new();
    let once = TMF.split("#typev main_c17").next().unwrap();
    assert_eq!(decoder.add_tmf(once.as_bytes()), 7);
    let (text, rest, message) = shown(&decoder, &message(GUID, 16, b"\x07\0\0\0rest"));
    assert_eq!((text.as_str(), rest), ("x=7", 4));
    assert_eq!(message, "a \"quoted\" // 7 then <missing>");
}

#[test]
fn real_files_describe_their_messages() {
    let Some(directory) = samples() else { return };
    let mut decoder = Decoder::new();
    for file in std::fs::read_dir(directory.join("tmf")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tmf") {
            assert_eq!(decoder.add_tmf(&std::fs::read(path).unwrap()), 2);
        }
    }
    let guid = "8560caf4-1427-3aa5-37d1-f7489b859255".parse().unwrap();
    let (text, rest, message) = shown(&decoder, &message(guid, 18, &250i32.to_le_bytes()));
    assert_eq!((text.as_str(), rest), ("Milliseconds=250", 0));
    assert_eq!(message, "[DMF_Utility_DelayMilliseconds] --> Entry <Milliseconds=250");
}

#[test]
fn any_text_is_an_answer_of_bounded_size() {
    for cut in 0..TMF.len() {
        Decoder::new().add_tmf(&TMF.as_bytes()[..cut]);
        Decoder::new().add_tmf(&TMF.as_bytes()[cut..]);
    }
    let lines = "a, ItemLong -- 10\n".repeat(100_000);
    let text = format!(
        "{GUID} c // SRC=x\n#typev x_c1 10 \"{}\" // F=\n{{\n{lines}}}\n",
        "%10!9999d!".repeat(900)
    );
    let mut decoder = Decoder::new();
    assert_eq!(decoder.add_tmf(text.as_bytes()), 1);
    let (_, _, message) = shown(&decoder, &message(GUID, 10, &[1; 60_000]));
    assert!(message.len() <= 70_000, "{}", message.len());
}
