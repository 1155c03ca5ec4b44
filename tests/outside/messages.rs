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

/// Goal: what no session can have is refused when it is read, with the name that the text gives it
/// and what it must be. Method: each setting just outside its range, and just within.
#[test]
fn settings_that_no_session_can_have_are_refused_with_their_range() {
    let refused = |line: &str, told: &str| {
        let error = Settings::parse(line).expect_err(line);
        assert_eq!(error.to_string(), told, "{line}");
    };
    let taken = |line: &str| {
        let settings = Settings::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(Settings::parse(&settings.to_string()), Ok(settings), "{line}");
    };
    let sizes = "must be 4096 to 16777216 bytes, a multiple of 1024";
    for size in ["0", "3", "4095", "5000", "16777217", "16778240", "4294967296", "-1", "64k", ""] {
        let line = format!("name=a;memory;buffer-size={size}");
        refused(&line, &format!("buffer-size is {size:?}, {sizes}"));
    }
    for buffers in ["0", "1", "1048577", "4294967295", "many"] {
        let told = format!("buffers is {buffers:?}, must be 2 to 1048576 buffers");
        refused(&format!("name=a;memory;buffers={buffers}"), &told);
        let circular = format!("name=a;log=/b;mode=circular;max-size-mb=8;buffers={buffers}");
        refused(&circular, &told);
    }
    for ms in ["3600001", "4294967295", "1s"] {
        let told = format!("flush-ms is {ms:?}, must be 0 to 3600000 ms");
        refused(&format!("name=a;memory;flush-ms={ms}"), &told);
    }
    refused("name=a;log=/b;max-size-mb=0", "max-size-mb is \"0\", must be 1 to 4294967295 MB");
    refused(
        "name=a;log=/b;max-size-mb=47;buffer-size=16777216",
        "max-size-mb is \"47\", must be 48 to 4294967295 MB",
    );
    refused(
        "name=a;log=/b;max-size-mb=4294967296",
        "max-size-mb is \"4294967296\", must be 1 to 4294967295 MB, three buffers at least",
    );
    refused("name=a;memory;max-size-mb=1", "max-size-mb needs log");
    refused("name=a;memory;mode=circular", "mode needs log");
    refused("name=a;log=/b;mode=circular", "mode=circular needs max-size-mb");
    refused("name=a;log=/b-%d;mode=newfile", "mode=newfile needs max-size-mb");
    refused(
        "name=a;log=/b;mode=newfile;max-size-mb=1",
        "log is \"/b\", must be a path with %d once, in the file's name, for mode=newfile",
    );
    refused(
        "name=a;log=/b;mode=ring",
        "mode is \"ring\", must be sequential, append, newfile or circular",
    );
    refused("name=a;memory=yes", "memory is \"yes\", must be without a value");
    let long = "b".repeat(1025);
    for log in [&format!("/{long}"), "/b\0"] {
        let told = format!("log is \"{log}\", must be 1 to 1024 UTF-16 units without a NUL");
        refused(&format!("name=a;log={log}"), &told.replace('\0', "\\0"));
    }
    for enable in ["P,level=256", "P,level=-1", "P,any=0xg", "P,all=18446744073709551616", ",", ""]
    {
        let line = format!("name=a;memory;enable={enable}");
        let must_be = "PROVIDER[,level=0 to 255][,any=MASK][,all=MASK], masks decimal or 0x";
        refused(&line, &format!("enable is {enable:?}, must be {must_be}"));
    }
    taken("name=a;memory;buffer-size=4096;buffers=2;flush-ms=3600000");
    taken("name=a;memory;buffer-size=16777216;buffers=4096;flush-ms=1");
    taken("name=a;log=/b;max-size-mb=48;buffer-size=16777216");
    taken("name=a;log=/b-%d;mode=newfile;max-size-mb=4294967295;enable=P,level=255");
}

/// Names are those of files, but for Windows, where no session is reached by its name.
#[cfg(unix)]
#[test]
fn names_that_no_session_can_have_are_refused() {
    let limit = "must be 1 to 64 bytes without slashes, backslashes, control characters and a dot \
                 in front";
    for name in ["../a", ".a", "a/b", "a\u{7}", &"a".repeat(65), &"\u{e4}".repeat(33)] {
        let error = Settings::parse(&format!("name={name};memory")).unwrap_err().to_string();
        assert_eq!(error, format!("name is {name:?}, {limit}"));
    }
    assert!(Settings::parse(&format!("name={};memory", "a".repeat(64))).is_ok());
}
