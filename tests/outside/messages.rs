//! What is said, byte by byte: the examples of the specification, and what is no message.

use etlring::format::{FileTime, Guid};
use etlring::outside::Settings;
use etlring::outside::message::{Answer, Entry, Live, MessageFault, Request};
use etlring::provider::{Enable, Properties};
use etlring::session::{Missed, Update};
use std::path::PathBuf;
use std::time::Duration;

/// The example of that name in the chapter, which was made without this library.
fn example(name: &str) -> Vec<u8> {
    let chapter = include_str!("../../spec/19-control.md");
    let title = format!("```text\n# {name}\n");
    let behind = chapter.split_once(&title).unwrap_or_else(|| panic!("no example {name}")).1;
    let mut bytes = Vec::new();
    for line in behind.lines().take_while(|line| *line != "```") {
        let (at, rest) = line.split_once(": ").unwrap();
        assert_eq!(usize::from_str_radix(at, 16).unwrap(), bytes.len(), "{name}");
        let hex = rest.split('#').next().unwrap().split_whitespace();
        bytes.extend(hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

fn requests() -> Vec<(&'static str, Request)> {
    let provider: Guid = "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5".parse().unwrap();
    let enable = Enable::new().level(4).any_keyword(0x10).properties(Properties::PROCESS_START_KEY);
    let update = Update::new().flush_interval(Duration::from_millis(250)).maximum_buffers(64);
    vec![
        ("query", Request::Query),
        ("snapshot", Request::Snapshot("/var/log/now.etl".into())),
        ("enable", Request::Enable(provider, enable)),
        ("update", Request::Update(update)),
        ("consume", Request::Consume(1 << 20)),
    ]
}

#[test]
fn the_examples_mean_what_the_chapter_says() {
    for (name, request) in requests() {
        let bytes = example(name);
        assert_eq!(Request::decode(&bytes), Ok(request.clone()), "{name}");
        assert_eq!(request.encode(), bytes, "{name}");
    }
    let refused = Answer::Refused(87, "no".to_owned());
    assert_eq!(Answer::decode(&example("refused")), Ok(refused.clone()));
    assert_eq!(refused.encode(), example("refused"));
    let missed = Missed { events: 3, buffers: 1, first_ticks: 10_000, last_ticks: 10_100 };
    assert_eq!(Live::Missed(missed).encode(), example("missed"));
    let decoded = Live::decode(&example("missed").into(), 32);
    assert!(matches!(decoded, Ok(Live::Missed(told)) if told == missed), "{decoded:?}");
    let entry = Entry {
        process_id: 4242,
        start_time: FileTime(132_264_173_104_203_138),
        name: "Web".to_owned(),
        log_file: Some("/var/log/web.etl".into()),
    };
    assert_eq!(Entry::decode(&example("entry")), Ok(entry.clone()));
    assert_eq!(entry.encode(), example("entry"));
}

#[test]
fn a_message_that_is_cut_or_too_long_is_none() {
    for (name, _) in requests() {
        let bytes = example(name);
        for cut in 0..bytes.len() {
            assert!(Request::decode(&bytes[..cut]).is_err(), "{name} cut at {cut}");
            // With a length that says it is whole.
            let Some(body) = cut.checked_sub(8) else { continue };
            let mut short = bytes[..cut].to_vec();
            short[4..8].copy_from_slice(&u32::try_from(body).unwrap().to_le_bytes());
            let error = Request::decode(&short).unwrap_err();
            assert!(error.offset as usize <= cut, "{name} cut at {cut}: {error}");
        }
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(
            Request::decode(&long).unwrap_err().fault,
            MessageFault::LeftOver(1),
            "{name} with a byte behind it"
        );
        let body = u32::try_from(long.len() - 8).unwrap();
        long[4..8].copy_from_slice(&body.to_le_bytes());
        let error = Request::decode(&long).unwrap_err();
        assert_eq!((error.fault, error.offset), (MessageFault::LeftOver(1), body + 7), "{name}");
    }
}

#[test]
fn each_fault_is_told_with_its_place() {
    let fault = |name: &str, at: usize, byte: u8| {
        let mut bytes = example(name);
        bytes[at] = byte;
        let error = Request::decode(&bytes).unwrap_err();
        (error.offset, error.fault)
    };
    assert_eq!(fault("query", 0, 2), (0, MessageFault::Version(2)));
    assert_eq!(fault("query", 2, 99), (2, MessageFault::Kind(99)));
    assert_eq!(fault("query", 3, 0x80), (2, MessageFault::Kind(0x8001)));
    assert_eq!(fault("query", 5, 0x21), (4, MessageFault::TooLong(0x2100, 8192)));
    assert_eq!(fault("snapshot", 0x0A, b'v'), (8, MessageFault::Path));
    assert_eq!(fault("snapshot", 0x10, 0), (8, MessageFault::Path));
    assert_eq!(fault("snapshot", 9, 0x20), (8, MessageFault::TooLong(0x2010, 4096)));
    assert_eq!(fault("enable", 0x2E, 0x05), (0x2D, MessageFault::TooLong(0x500, 1024)));
    assert_eq!(fault("update", 8, 0x45), (8, MessageFault::Value("settings", 0x45)));
    assert_eq!(fault("update", 0x20, 9), (0x20, MessageFault::Value("clock", 9)));
    let unnamed = MessageFault::Value("a setting that is not named", 1);
    assert_eq!(fault("update", 0x18, 1), (0x18, unnamed));
    let mut text = example("refused");
    text[0x0E] = 0xFF;
    let error = Answer::decode(&text).unwrap_err();
    assert_eq!((error.offset, error.fault), (0x0C, MessageFault::Text));
}

#[test]
fn settings_are_read_as_the_table_says() {
    let line = r"name=a\;b %p;log=/tmp/x\\y,z;mode=circular;max-size-mb=8;buffer-size=4096;\
                 buffers=9;flush-ms=0;enable=Example\,Orders,level=4,any=0x10,all=3;\
                 enable=6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5";
    // A backslash before the end of a line is for the eye.
    let line: String = line.split("\\\n").map(str::trim_start).collect();
    let settings = Settings::parse(&line).unwrap();
    assert_eq!(settings.name, "a;b %p");
    assert_eq!(settings.log, Some(PathBuf::from(r"/tmp/x\y,z")));
    assert_eq!(settings.in_process(17).0, "a;b 17");
    assert_eq!(settings.maximum_file_size_mb, Some(8));
    assert_eq!((settings.buffer_size, settings.maximum_buffers), (Some(4096), Some(9)));
    assert_eq!(settings.flush_interval_ms, Some(0));
    assert_eq!(settings.enable[0].provider, "Example,Orders");
    let enable = Enable::new().level(4).any_keyword(16).all_keywords(3);
    assert_eq!(settings.enable[0].enable, enable);
    assert_eq!(settings.enable[1].guid().to_string(), "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5");
    assert_eq!(Settings::parse(&settings.to_string()), Ok(settings));

    for wrong in [
        "",
        "log=a",
        "name=a",
        "name=a;log=b;memory",
        "name=a;name=b;memory",
        "name=a;memory=1",
        "name=a;memory;color=red",
        "name=a;memory;buffers=many",
        "name=a;memory;buffers=4294967296",
        "name=a;log=b;mode=square",
        "name=a;memory;enable=",
        "name=a;memory;enable=P,level=256",
        "name=a;memory;enable=P,level",
        "name=a;memory;enable=P,some=1",
        "name=a;memory\\",
    ] {
        assert!(Settings::parse(wrong).is_err(), "{wrong}");
    }
    let many = "name=a;memory".to_owned() + &";enable=P".repeat(257);
    assert!(Settings::parse(&many).is_err());
    assert!(Settings::parse(&many[..many.len() - 9]).is_ok());
}
