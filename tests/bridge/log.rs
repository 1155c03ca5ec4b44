//! `log`, which has one logger and one level for the whole process: one test.

use crate::seen::{self, place};
use etlring::bridge::{self, log::Logger};
use etlring::provider::{Enable, activity};
use etlring::session::Session;
use log::{LevelFilter, Log, debug, error, info, max_level, trace, warn};

#[test]
fn records_their_pairs_and_the_level() {
    const NAME: &str = "Test-Log";
    let keyword = |target: &str| if target.starts_with("db") { 0x2 } else { 0x1 };
    let logger = Logger::new(NAME).keyword(keyword);
    let guid = logger.provider().guid();
    assert!(!logger.enabled(&log::Metadata::builder().level(log::Level::Error).build()));
    logger.install().unwrap();
    assert!(Logger::new("Test-Log-2").install().is_err(), "there is one");
    assert_eq!(max_level(), LevelFilter::Off);

    let (_directory, path) = place();
    let builder = Session::builder("log").log_file(&path);
    let guard = bridge::record(builder, NAME, &Enable::new().level(4)).unwrap();
    assert_eq!(max_level(), LevelFilter::Info);
    let own = activity::create();
    {
        let _scope = activity::scope(own);
        error!(target: "db", "disk {} of {}", 1, 2);
    }
    warn!(
        target: "web",
        small = 7u8, large = u64::MAX, negative = -1i64, half = 0.5, yes = true, text = "t",
        letter = 'x', wide = u128::MAX, deep = i128::MIN, shown:% = 1.25, nothing = None::<u8>,
        debugged:? = [Some(1)];
        "all kinds"
    );
    info!(target: "web", "plain");
    debug!("not wanted: {}", unreachable_value());
    let session = guard.session();
    for (level, filter) in [
        (1, LevelFilter::Off),
        (2, LevelFilter::Error),
        (3, LevelFilter::Warn),
        (5, LevelFilter::Debug),
        (6, LevelFilter::Trace),
        (0, LevelFilter::Trace),
    ] {
        session.enable_provider(guid, &Enable::new().level(level)).unwrap();
        assert_eq!(max_level(), filter, "level {level}");
    }
    trace!(target: "web", "everything");
    session.enable_provider(guid, &Enable::new().any_keyword(0x2)).unwrap();
    info!(target: "web", "the wrong keyword");
    info!(target: "db::pool", "the right one");
    guard.stop().unwrap();
    assert_eq!(max_level(), LevelFilter::Off);

    let seen = seen::read(&path);
    let file = format!("file={}", file!());
    let lines: Vec<_> = seen
        .iter()
        .map(|seen| {
            // Between message and pairs stand file and line.
            let (message, rest) = seen.fields.split_once(&format!(" {file} line=")).unwrap();
            let (_, pairs) = rest.split_once(' ').unwrap_or((rest, ""));
            (&*seen.name, seen.level, seen.keyword, message, pairs)
        })
        .collect();
    let pairs = "small=7 large=18446744073709551615 negative=-1 half=0.5 yes=true text=t letter=x \
        wide=340282366920938463463374607431768211455 \
        deep=-170141183460469231731687303715884105728 shown=1.25 nothing= debugged=[Some(1)]";
    let expected = [
        ("db", 2, 2, "message=disk 1 of 2", ""),
        ("web", 3, 1, "message=all kinds", pairs),
        ("web", 4, 1, "message=plain", ""),
        ("web", 6, 1, "message=everything", ""),
        ("db::pool", 4, 2, "message=the right one", ""),
    ];
    assert_eq!(lines, expected);
    assert_eq!((seen[0].activity, seen[1].activity.is_zero()), (own, true));
    assert!(seen.iter().all(|seen| seen.provider_name == NAME && seen.provider == guid));
}

fn unreachable_value() -> u32 {
    unreachable!("the values of a record that nobody wants")
}
