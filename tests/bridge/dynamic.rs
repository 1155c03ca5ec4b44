//! Names that are only known at run time.

use crate::seen::{self, place};
use etlring::provider::Enable;
use etlring::session::Session;
use etlring::tracelogging::{DynamicProvider, EventBuilder, Hex, Level, guid_of_name};
use etlring::{event, provider};

#[test]
fn the_builder_and_the_macro_write_the_same() {
    provider!(Same = "Test-Same");
    let (_directory, path) = place();
    let session = Session::builder("dynamic same").log_file(&path).start().unwrap();
    session.enable_provider(Same::GUID, &Enable::new()).unwrap();
    let provider = DynamicProvider::register("Test-Same");
    assert_eq!(provider.guid(), Same::GUID);

    event!(Same, Level::WARNING, "Event", { keyword: 0x10, opcode: 1 },
        n: u64 = 7, s: &str = "seven", b: bool = true, x: Hex<u16> = Hex(7), none: () = ());
    let mut builder = EventBuilder::new();
    // Twice: nothing of the first event is left in the second.
    for name in ["Another", "Event"] {
        builder.begin(name, Level::WARNING).keyword(0x10).opcode(1).field("n", 7u64);
        builder.text("s", format_args!("se{}", "ven")).field("b", true);
        builder.field("x", Hex(7u16)).field("none", ());
        assert_eq!(provider.write(&mut builder), Ok(1));
    }
    // What was written can grow.
    builder.field("more", 1.5f64);
    assert_eq!(provider.write(&mut builder), Ok(1));
    session.stop().unwrap();

    let mut seen = seen::read(&path);
    assert_eq!(seen[3].fields, "n=7 s=seven b=true x=0x7 none= more=1.5");
    assert_eq!(seen[1].name, "Another");
    assert_eq!(seen[0].fields, "n=7 s=seven b=true x=0x7 none=");
    seen.remove(1);
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn odd_names_do_no_harm() {
    let name = format!("Test-\u{fc}\0hidden{}", "x".repeat(10));
    let provider = DynamicProvider::register(&name);
    assert_eq!((provider.name(), provider.guid()), ("Test-\u{fc}", guid_of_name("TEST-\u{dc}")));
    let long = DynamicProvider::register(&"\u{20ac}".repeat(30_000));
    assert_eq!(long.name().len(), 4095);

    let (_directory, path) = place();
    let session = Session::builder("dynamic odd").log_file(&path).start().unwrap();
    for provider in [&provider, &long] {
        session.enable_provider(provider.guid(), &Enable::new()).unwrap();
    }
    let mut event = EventBuilder::new();
    assert_eq!(provider.write(&mut event), Ok(1), "no name, no fields");
    event.begin("E\0rest", Level::INFO).field("a\0rest", 1u8).field("", 2u8);
    assert_eq!(provider.write(&mut event), Ok(1));
    assert_eq!(long.write(&mut event), Ok(1));
    // Names and values beyond the size of a record are refused whole, and counted.
    event.begin(&"n".repeat(70_000), Level::INFO);
    assert!(provider.write(&mut event).is_err());
    event.begin("E", Level::INFO).field("bytes", &[0u8; 70_000][..]);
    assert!(provider.write(&mut event).is_err());
    event.begin("E", Level::INFO).text("text", "x".repeat(300_000));
    assert!(provider.write(&mut event).is_err());
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (3, 3));
    let seen = seen::read(&path);
    let all: Vec<_> = seen.iter().map(|seen| (&*seen.name, &*seen.fields)).collect();
    assert_eq!(all, [("", ""), ("E", "a=1 =2"), ("E", "a=1 =2")]);
}
