//! `provider!` and `event!`.

use crate::seen::{self, place};
use etlring::codec::RecordHeader;
use etlring::format::{FileTime, Guid};
use etlring::provider::{Enable, Properties, activity};
use etlring::reader::Trace;
use etlring::session::Session;
use etlring::tracelogging::{Hex, Level};
use etlring::{event, provider};
use std::cell::Cell;

#[test]
fn every_type_is_what_a_reader_shows() {
    provider!(Types = "Test-Types");
    let (_directory, path) = place();
    let session = Session::builder("macro types").log_file(&path).start().unwrap();
    session.enable_provider(Types::GUID, &Enable::new()).unwrap();
    let owned = String::from("\u{fc}ber\0all");
    event!(
        Types, Level::INFO, "Numbers",
        a: i8 = -1, b: u8 = 0xFF, c: i16 = -2, d: u16 = 0xFFFF, e: i32 = i32::MIN,
        f: u32 = u32::MAX, g: i64 = i64::MIN, h: u64 = u64::MAX, i: isize = -3, j: usize = 3,
        k: f32 = 1.5, l: f64 = -0.25, m: bool = true, n: bool = false
    );
    event!(
        Types, Level::INFO, "Others", { tag: 0x0FF_FFFF },
        text: &str = &owned, none: &str = "", bytes: &[u8] = &[1, 2, 0xFF], r#type: () = (),
        words: &[u16] = &[1, 0xFFFF], floats: &[f64] = &[], x1: Hex<u8> = Hex(0x1F),
        x2: Hex<u16> = Hex(0x1FF), x4: Hex<u32> = Hex(0xABCDEF), x8: Hex<u64> = Hex(u64::MAX),
        guid: Guid = Guid::from_u128(0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10),
        time: FileTime = FileTime(132_264_173_104_203_138),
    );
    event!(Types, Level::CRITICAL, "Empty");
    assert_eq!(session.stop().unwrap().events_accepted, 3);

    let seen = seen::read(&path);
    assert_eq!(
        seen[0].fields,
        "a=-1 b=255 c=-2 d=65535 e=-2147483648 f=4294967295 g=-9223372036854775808 \
         h=18446744073709551615 i=-3 j=3 k=1.5 l=-0.25 m=true n=false"
    );
    assert_eq!(
        seen[1].fields,
        "text=\u{fc}ber\0all none= bytes=0102ff type= words[ =1 =65535 ] floats[ ] x1=0x1f \
         x2=0x1ff x4=0xabcdef x8=0xffffffffffffffff guid=01020304-0506-0708-090a-0b0c0d0e0f10 \
         time=2020-02-17T12:48:30.4203138Z"
    );
    assert_eq!(seen[2].fields, "");
    let names: Vec<_> = seen.iter().map(|s| (&*s.provider_name, &*s.name, s.level)).collect();
    let expected =
        [("Test-Types", "Numbers", 4), ("Test-Types", "Others", 4), ("Test-Types", "Empty", 1)];
    assert_eq!(names, expected);
}

#[test]
fn a_record_is_byte_for_byte_what_the_format_says() {
    provider!(Bytes = "P", guid: 0x11, group: 0x22);
    let (_directory, path) = place();
    let session = Session::builder("macro bytes").log_file(&path).start().unwrap();
    session.enable_provider(Bytes::GUID, &Enable::new()).unwrap();
    let own = activity::create();
    {
        let _scope = activity::scope(own);
        event!(
            Bytes, Level(7),
            "E",
            { keyword: 0x8000_0000_0000_0001, opcode: 2, task: 0x0304, id: 5, tag: 0x0AB_CDEF },
            n: u16 = 0x1234, s: &str = "hi", flag: bool = true
        );
    }
    session.stop().unwrap();

    let trace = Trace::open(&path).unwrap();
    let mut records = trace.by_time();
    let record = loop {
        let view = records.next().unwrap().unwrap().view().unwrap();
        if let RecordHeader::Event(header) = view.header() {
            assert_eq!(header.activity_id, own);
            break view.raw().bytes.to_vec();
        }
    };
    // By hand, from spec/04, 05 and 15.
    let mut group = [0; 16];
    group[15] = 0x22;
    let expected = [
        &[5, 0, 0, 11, 7, 2, 4, 3, 1, 0, 0, 0, 0, 0, 0, 0x80][..],
        &[0; 8],
        &own.0,
        &[32, 0, 12, 0, 1, 0, 23, 0, 23, 0, b'P', 0, 19, 0, 1],
        &group,
        &[0],
        &[32, 0, 11, 0, 0, 0, 22, 0, 22, 0],
        // 0x0ABCDEF in sevens of bits: 0000101 0101111 0011011 1101111.
        &[0x85, 0xAF, 0x9B, 0x6F, b'E', 0],
        b"n\0\x06s\0\x97\x23flag\0\x84\x03\0\0",
        b"\x34\x12\x02\0hi\x01",
    ];
    let expected = expected.concat();
    let shown = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(shown(&record[0x28..]), shown(&expected));
}

#[test]
fn values_are_only_computed_for_somebody() {
    provider!(Lazy = "Test-Lazy");
    let computed = Cell::new(0);
    let write = |_: ()| {
        event!(Lazy, Level::INFO, "Event", { keyword: 0x4 }, n: u32 = {
            computed.set(computed.get() + 1);
            computed.get()
        })
    };
    assert_eq!((write(()), computed.get()), (0, 0));
    // The first event has registered the provider.
    assert!(provider::all().iter().any(|info| info.guid == Lazy::GUID));

    let (_directory, path) = place();
    let session = Session::builder("macro lazy").log_file(&path).start().unwrap();
    session.enable_provider(Lazy::GUID, &Enable::new().level(3)).unwrap();
    assert_eq!((write(()), computed.get()), (0, 0), "the level");
    session.enable_provider(Lazy::GUID, &Enable::new().level(4)).unwrap();
    assert_eq!((write(()), computed.get()), (1, 1));
    session.enable_provider(Lazy::GUID, &Enable::new().level(4).any_keyword(0x3)).unwrap();
    // Keywords are only looked at once there is something to record.
    assert_eq!(write(()), 0, "the keyword");
    assert!(!Lazy::is_enabled(Level::INFO, 0x4) && Lazy::is_enabled(Level::INFO, 0x1));
    session.disable_provider(Lazy::GUID).unwrap();
    let before = computed.get();
    assert_eq!((write(()), computed.get()), (0, before));
    session.stop().unwrap();
    assert_eq!(seen::fields(&path), ["n=1"]);
}

#[test]
fn a_provider_that_was_enabled_before_it_was_used() {
    provider!(Early = "Test-Early");
    let (_directory, path) = place();
    let session = Session::builder("macro early").log_file(&path).start().unwrap();
    session.enable_provider(Early::GUID, &Enable::new().level(4)).unwrap();
    assert_eq!(event!(Early, Level::VERBOSE, "No"), 0);
    assert_eq!(event!(Early, Level::INFO, "Yes"), 1);
    session.stop().unwrap();
    assert_eq!(event!(Early, Level::INFO, "Too late"), 0);
    let names: Vec<_> = seen::read(&path).into_iter().map(|seen| seen.name).collect();
    assert_eq!(names, ["Yes"]);
}

#[test]
fn several_sessions_and_an_item_of_the_session() {
    provider!(Shared = "Test-Shared");
    let places = [place(), place()];
    let [plain, keyed] = [0, 1].map(|n| {
        let session =
            Session::builder(&format!("macro shared {n}")).log_file(&places[n].1).start().unwrap();
        let key = Properties::PROCESS_START_KEY;
        let enable = Enable::new().properties(if n == 0 { Properties::default() } else { key });
        session.enable_provider(Shared::GUID, &enable).unwrap();
        session
    });
    for n in 0..3 {
        assert_eq!(event!(Shared, Level::INFO, "Event", n: u64 = n, s: &str = "odd"), 2);
    }
    keyed.stop().unwrap();
    plain.stop().unwrap();
    for (_, path) in &places {
        assert_eq!(seen::fields(path), ["n=0 s=odd", "n=1 s=odd", "n=2 s=odd"]);
    }
    // The session's item stands behind the event's own, and the chain is whole.
    let trace = Trace::open(&places[1].1).unwrap();
    let mut records = trace.by_time();
    let mut kinds = Vec::new();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        kinds.push(view.items().map(|item| item.unwrap().ext_type.0).collect::<Vec<_>>());
    }
    kinds.retain(|kinds| !kinds.is_empty());
    assert_eq!(kinds, vec![vec![12, 11, 13]; 3]);
}

#[test]
fn what_is_too_large_is_counted() {
    provider!(Large = "Test-Large");
    let (_directory, path) = place();
    let session = Session::builder("macro large").log_file(&path).start().unwrap();
    session.enable_provider(Large::GUID, &Enable::new()).unwrap();
    let text = "x".repeat(70_000);
    assert_eq!(event!(Large, Level::INFO, "Text", text: &str = &text), 0);
    assert_eq!(event!(Large, Level::INFO, "Words", words: &[u64] = &[0; 9000]), 0);
    assert_eq!(event!(Large, Level::INFO, "Text", text: &str = &text[..60_000]), 1);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (1, 2));
}
