//! `tracing`: fields, spans, and who gets what.

use crate::seen::{self, Seen, place};
use etlring::bridge::{self, tracing::Builder};
use etlring::format::Guid;
use etlring::provider::{Enable, activity};
use etlring::session::Session;
use etlring::sink::NullSink;
use etlring::tracelogging::guid_of_name;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::field::{Empty, display};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, debug, error, event, info, info_span, span, trace, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, Filter, Layer as _, SubscriberExt};
use tracing_subscriber::registry;

/// Has `run` log to this subscriber, while no other test has one: `tracing` keeps one answer for
/// each call site of the process, which is what all its subscribers together want.
pub(crate) fn with_default<S>(subscriber: S, run: impl FnOnce())
where
    S: tracing::Subscriber + Send + Sync + 'static,
{
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    tracing::subscriber::with_default(subscriber, run);
}

/// What `run` leaves in the log of a session that enables the provider like this.
fn recorded(provider: &str, enable: &Enable, run: impl FnOnce(&Session)) -> Vec<Seen> {
    let (_directory, path) = place();
    let guard = bridge::record(Session::builder(provider).log_file(&path), provider, enable);
    let guard = guard.unwrap();
    let subscriber = registry().with(bridge::tracing::layer(provider));
    with_default(subscriber, || run(guard.session()));
    guard.flush().unwrap();
    guard.stop().unwrap();
    let seen = seen::read(&path);
    assert!(seen.iter().all(|s| s.provider == guid_of_name(provider)));
    assert!(seen.iter().all(|s| s.provider_name == provider));
    seen
}

fn names(seen: &[Seen]) -> Vec<(&str, u8)> {
    seen.iter().map(|seen| (&*seen.name, seen.opcode)).collect()
}

/// Fails because of something that fails.
#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no number")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn every_kind_of_value() {
    let outer = Outer("x".parse::<u8>().unwrap_err());
    let error: &(dyn std::error::Error + 'static) = &outer;
    let seen = recorded("Test-Values", &Enable::new(), |_| {
        info!(
            u8 = 7u8, u64 = u64::MAX, i32 = -7i32, i64 = i64::MIN, usize = 3usize, f32 = 0.5f32,
            f64 = f64::MAX, yes = true, no = false, text = "\u{fc}\0x", owned = String::from("o"),
            u128 = u128::MAX, i128 = i128::MIN, debug = ?Some("d"), display = %1.25, error,
            bytes = &[1u8, 0xFF][..], some = Some(1u64), none = None::<u64>, empty = Empty,
            dotted.name = 1, "quoted name" = 2, r#type = 3, "the {}", "message"
        );
        warn!(name: "Named", target: "elsewhere", "plain");
        error!("");
    });
    assert_eq!(
        seen[0].fields,
        "message=the message u8=7 u64=18446744073709551615 i32=-7 i64=-9223372036854775808 \
         usize=3 f32=0.5 f64=1.7976931348623157e308 yes=true no=false \
         text=\u{fc}\0x owned=o u128=340282366920938463463374607431768211455 \
         i128=-170141183460469231731687303715884105728 debug=Some(\"d\") display=1.25 \
         error=no number: invalid digit found in string bytes=01ff some=1 dotted.name=1 \
         quoted name=2 type=3"
    );
    assert!(seen[0].name.starts_with("event tests/bridge/tracing.rs:"), "{}", seen[0].name);
    assert_eq!((&*seen[1].name, &*seen[1].fields), ("Named", "message=plain"));
    assert_eq!(seen[2].fields, "message=");
    assert_eq!(seen.iter().map(|seen| seen.level).collect::<Vec<_>>(), [4, 3, 2]);
}

#[test]
fn the_same_call_site_with_other_fields_each_time() {
    let seen = recorded("Test-Shapes", &Enable::new(), |_| {
        for n in 0..6u64 {
            let odd = (n % 2 == 1).then_some(n);
            // The type of a boxed value is only known when it is recorded.
            let value: Box<dyn tracing::Value> =
                if n % 3 == 0 { Box::new(n) } else { Box::new(-0.5) };
            info!(odd, value = &*value, last = n);
        }
    });
    let fields: Vec<_> = seen.iter().map(|seen| &*seen.fields).collect();
    let expected = [
        "value=0 last=0",
        "odd=1 value=-0.5 last=1",
        "value=-0.5 last=2",
        "odd=3 value=3 last=3",
        "value=-0.5 last=4",
        "odd=5 value=-0.5 last=5",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn levels_and_keywords() {
    fn all() {
        error!("e");
        warn!("w");
        info!("i");
        debug!("d");
        trace!(target: "other", "t");
    }
    for (level, expected) in [(0, 5), (1, 0), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (255, 5)] {
        let seen = recorded("Test-Levels", &Enable::new().level(level), |_| all());
        let levels: Vec<_> = seen.iter().map(|seen| seen.level).collect();
        assert_eq!(levels, (2..7).take(expected).collect::<Vec<_>>(), "level {level}");
    }

    let (_directory, path) = place();
    let session = Session::builder("keywords").log_file(&path);
    let enable = Enable::new().any_keyword(0x8);
    let guard = bridge::record(session, "Test-Keywords", &enable).unwrap();
    let keyword = |metadata: &tracing::Metadata<'_>| match metadata.target() {
        "other" => 0x8,
        _ => 0x1,
    };
    let layer = Builder::new("Test-Keywords").keyword(keyword).build();
    with_default(registry().with(layer), all);
    guard.stop().unwrap();
    let seen = seen::read(&path);
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].keyword, seen[0].level), (8, 6));
}

#[test]
fn spans_nest_by_their_activities() {
    let before = activity::create();
    let seen = recorded("Test-Spans", &Enable::new(), |_| {
        let _scope = activity::scope(before);
        let outer = info_span!("outer", id = 1, later = Empty);
        let inner = {
            let _entered = outer.enter();
            info!("in outer");
            let inner = info_span!("inner", id = 2, state = "new");
            inner.in_scope(|| info!("in inner"));
            info!("in outer again");
            inner
        };
        info!("outside");
        outer.record("later", display("now"));
        inner.record("state", "old");
        info!(parent: &inner, "explicit");
        info!(parent: None, "root");
        let child = info_span!(parent: &outer, "child");
        child.follows_from(&inner);
        let alone = info_span!(parent: None, "alone");
        drop(outer); // its child keeps it open
        drop((inner, child, alone));
        assert_eq!(activity::current(), before);
    });
    let find = |name: &str, opcode: u8| {
        seen.iter().find(|seen| seen.name == name && seen.opcode == opcode).unwrap()
    };
    let message = |text: &str| {
        let fields = format!("message={text}");
        seen.iter().find(|seen| seen.fields == fields).unwrap().activity
    };
    let [outer, inner, child, alone] = ["outer", "inner", "child", "alone"].map(|n| find(n, 1));
    assert_eq!((&*outer.fields, &*inner.fields), ("id=1", "id=2 state=new"));
    let all = [before, outer.activity, inner.activity, child.activity, alone.activity];
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(different.len(), 5);

    assert_eq!(outer.related, Some(before));
    assert_eq!(inner.related, Some(outer.activity));
    assert_eq!(child.related, Some(outer.activity));
    assert_eq!(alone.related, None);
    assert_eq!(message("in outer"), outer.activity);
    assert_eq!(message("in inner"), inner.activity);
    assert_eq!(message("in outer again"), outer.activity);
    assert_eq!(message("outside"), before);
    assert_eq!(message("explicit"), inner.activity);
    assert_eq!(message("root"), Guid::ZERO);

    let later = find("outer", 0);
    assert_eq!((&*later.fields, later.activity), ("later=now", outer.activity));
    let changed = find("inner", 0);
    assert_eq!((&*changed.fields, changed.activity), ("state=old", inner.activity));
    let follows = find("child", 0);
    assert_eq!((follows.activity, follows.related), (child.activity, Some(inner.activity)));
    for start in [outer, inner, child, alone] {
        let stop = find(&start.name, 2);
        assert_eq!((stop.activity, &*stop.fields), (start.activity, ""));
    }
    // A parent outlives its children.
    let at = |name: &str| names(&seen).iter().position(|seen| *seen == (name, 2)).unwrap();
    assert!(at("child") < at("outer"));
    assert_eq!(names(&seen).iter().filter(|(_, opcode)| *opcode == 2).count(), 4);
}

#[test]
fn spans_left_out_of_order_and_on_other_threads() {
    let seen = recorded("Test-Order", &Enable::new(), |_| {
        let (a, b) = (info_span!("a"), info_span!("b"));
        let (in_a, in_b) = (a.enter(), b.enter());
        drop(in_a);
        info!("in b");
        drop(in_b);
        info!("in none");
        assert!(activity::current().is_zero());
        // The same span twice, as a recursive function does.
        let (one, two) = (a.enter(), a.enter());
        drop(one);
        info!("in a");
        drop(two);
        assert!(activity::current().is_zero());
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    info!("elsewhere");
                    b.in_scope(|| info!("in b elsewhere"));
                });
            });
        });
    });
    let start = |name: &str| seen.iter().find(|seen| seen.name == name).unwrap().activity;
    let message = |text: &str| {
        let fields = format!("message={text}");
        seen.iter().find(|seen| seen.fields == fields).unwrap().activity
    };
    assert_eq!(message("in b"), start("b"));
    assert_eq!(message("in none"), Guid::ZERO);
    assert_eq!(message("in a"), start("a"));
    assert_eq!(message("elsewhere"), Guid::ZERO);
    assert_eq!(message("in b elsewhere"), start("b"));
}

#[test]
fn entering_and_leaving_on_request() {
    let (_directory, path) = place();
    let session = Session::builder("enter and exit").log_file(&path);
    let guard = bridge::record(session, "Test-Enter", &Enable::new()).unwrap();
    let layer = Builder::new("Test-Enter").enter_and_exit(true).build();
    with_default(registry().with(layer), || {
        let span = info_span!("span", n = 1);
        span.in_scope(|| ());
        span.in_scope(|| ());
    });
    guard.stop().unwrap();
    let seen = seen::read(&path);
    let opcodes: Vec<_> = seen.iter().map(|seen| seen.opcode).collect();
    assert_eq!(opcodes, [1, 7, 8, 7, 8, 2]);
    assert!(seen.iter().all(|event| event.activity == seen[0].activity));
}

/// Says which call sites the subscriber wants, without any caching of its own.
fn is_wanted(run: impl Fn() + Copy) -> impl Fn() -> bool {
    move || {
        SEEN.with(|seen| seen.set(false));
        run();
        SEEN.with(std::cell::Cell::get)
    }
}

thread_local!(static SEEN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });

#[test]
fn call_sites_follow_the_sessions() {
    const NAME: &str = "Test-Follow";
    let noted = || {
        SEEN.with(|seen| seen.set(true));
        1
    };
    let wanted = is_wanted(move || debug!(noted = noted()));
    with_default(registry().with(bridge::tracing::layer(NAME)), || {
        assert!(!wanted(), "nobody listens");
        let (_directory, path) = place();
        let session = Session::builder("follow").log_file(&path).start().unwrap();
        session.enable_provider(guid_of_name(NAME), &Enable::new().level(4)).unwrap();
        assert!(!wanted(), "too verbose");
        session.enable_provider(guid_of_name(NAME), &Enable::new().level(5)).unwrap();
        assert!(wanted());
        session.disable_provider(guid_of_name(NAME)).unwrap();
        assert!(!wanted());
        session.enable_provider(guid_of_name(NAME), &Enable::new()).unwrap();
        assert!(wanted());
        session.stop().unwrap();
        assert!(!wanted(), "a session that stops disables");
        assert_eq!(seen::fields(&path), ["noted=1", "noted=1"]);
    });
}

/// A filter that lets nothing pass. Asked after the others about call sites of the second one, it
/// tells that it was, and waits once for what is to happen in between.
struct Slow(Mutex<Option<(Sender<()>, Receiver<()>)>>);

impl<S> Filter<S> for Slow {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        false
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == "second" && std::thread::current().name() == Some("slow") {
            let waits = self.0.lock().unwrap().take();
            if let Some((asked, goes_on)) = waits {
                asked.send(()).unwrap();
                let _ = goes_on.recv_timeout(Duration::from_secs(60));
            }
        }
        Interest::never()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }
}

/// Whoever enables a provider has `tracing` ask the layers again; none may be left with an answer
/// from before that because somebody else was asking already.
#[test]
fn sessions_that_change_their_minds_at_once() {
    const NAMES: [&str; 2] = ["Test-At-Once-1", "Test-At-Once-2"];
    let (asked, is_asked) = channel();
    let (go_on, goes_on) = channel();
    let slow = Slow(Mutex::new(Some((asked, goes_on))));
    let subscriber = registry()
        .with(Counter::default().with_filter(slow))
        .with(bridge::tracing::layer(NAMES[0]))
        .with(bridge::tracing::layer(NAMES[1]));
    let session = Session::builder("at once").sink(NullSink).start().unwrap();
    let enable = |name, level| {
        session.enable_provider(guid_of_name(name), &Enable::new().level(level)).unwrap();
    };
    let log = |n: u64| info!(target: "second", n);
    with_default(subscriber, || {
        // `tracing` hears of a call site when somebody wants it first.
        enable(NAMES[1], 5);
        log(1);
        session.disable_provider(guid_of_name(NAMES[1])).unwrap();
        std::thread::scope(|scope| {
            let slow = std::thread::Builder::new().name("slow".into());
            let slow = slow.spawn_scoped(scope, || enable(NAMES[0], 1)).unwrap();
            is_asked.recv_timeout(Duration::from_secs(60)).unwrap();
            enable(NAMES[1], 5);
            go_on.send(()).unwrap();
            slow.join().unwrap();
        });
        log(2);
    });
    assert_eq!(session.stop().unwrap().events_accepted, 2);
}

/// Counts what it gets.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU32>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Counter {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn several_layers_and_filters_do_not_disturb_each_other() {
    let (first, second) = (place(), place());
    let start = |path: &std::path::Path, name: &str, level| {
        bridge::record(Session::builder(name).log_file(path), name, &Enable::new().level(level))
            .unwrap()
    };
    let one = start(&first.1, "Test-Several-1", 5);
    let two = start(&second.1, "Test-Several-2", 3);
    let counter = Counter::default();
    let only_mine = filter_fn(|metadata| metadata.target() != "noise");
    let subscriber = registry()
        .with(bridge::tracing::layer("Test-Several-1").with_filter(only_mine))
        .with(bridge::tracing::layer("Test-Several-2").with_filter(LevelFilter::ERROR))
        .with(bridge::tracing::layer("Test-Several-nobody"))
        .with(counter.clone().with_filter(LevelFilter::TRACE));
    with_default(subscriber, || {
        let span = span!(Level::WARN, "span");
        let _entered = span.enter();
        error!("1");
        warn!("2");
        error!(target: "noise", "3");
        debug!("4");
        trace!("5");
    });
    one.stop().unwrap();
    two.stop().unwrap();
    let messages = |path| {
        let events = seen::read(path).into_iter().filter(|seen| !seen.fields.is_empty());
        events.map(|seen| seen.fields.replace("message=", "")).collect::<Vec<_>>()
    };
    assert_eq!(messages(&first.1), ["1", "2", "4"]);
    assert_eq!(messages(&second.1), ["1", "3"]);
    assert_eq!(counter.0.load(Ordering::Relaxed), 5);
    // The second layer's filter does not let the span pass; its events are the span's all the same.
    let (first, second) = (seen::read(&first.1), seen::read(&second.1));
    assert_eq!(names(&first)[0], ("span", 1));
    assert_eq!(second[0].activity, first[0].activity);
}

#[test]
fn a_value_that_panics_takes_only_its_event_with_it() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            std::panic::resume_unwind(Box::new("on purpose"))
        }
    }
    let seen = recorded("Test-Panics", &Enable::new(), |_| {
        info!(n = 1);
        let panics = std::panic::AssertUnwindSafe(|| info!(n = 2, panics = ?Panics));
        assert!(std::panic::catch_unwind(panics).is_err());
        info!(n = 3);
    });
    let fields: Vec<_> = seen.iter().map(|seen| &*seen.fields).collect();
    assert_eq!(fields, ["n=1", "n=3"]);
}

#[test]
fn what_is_too_large_is_counted() {
    recorded("Test-Too-Large", &Enable::new(), |session| {
        let text = "x".repeat(70_000);
        info!(text);
        info!(debug = ?text);
        info!(bytes = text.as_bytes());
        info!("{text}{text}{text}");
        info!("fits");
        let stats = session.query();
        assert_eq!((stats.events_accepted, stats.lost.too_large), (1, 4));
    });
}

#[test]
fn more_call_sites_than_a_thread_remembers() {
    macro_rules! sites {
        ($($n:literal)*) => { $(
            info!(n = $n, "a");
            info!(m = $n, x = 1.5, "b");
            info!(k = $n, yes = true, "c");
        )* };
    }
    macro_rules! eight {
        ($($n:literal)*) => { $(sites!($n $n $n $n $n $n $n $n);)* };
    }
    let seen = recorded("Test-Many", &Enable::new(), |_| {
        for _ in 0..3 {
            eight!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
    });
    assert_eq!(seen.len(), 3 * 16 * 8 * 3);
    for (at, event) in seen.iter().enumerate() {
        let n = at / 24 % 16;
        let expected = match at % 3 {
            0 => format!("message=a n={n}"),
            1 => format!("message=b m={n} x=1.5"),
            _ => format!("message=c k={n} yes=true"),
        };
        assert_eq!(event.fields, expected, "event {at}");
    }
}

#[test]
fn threads_do_not_mix_their_events() {
    let all = Mutex::new(Vec::new());
    let seen = recorded("Test-Threads", &Enable::new(), |_| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let (dispatch, all) = (dispatch.clone(), &all);
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        for n in 0..200u64 {
                            event!(Level::INFO, thread, n, odd = (n % 2 == 1).then_some("odd"));
                            let odd = if n % 2 == 1 { " odd=odd" } else { "" };
                            all.lock().unwrap().push(format!("thread={thread} n={n}{odd}"));
                        }
                    });
                });
            }
        });
    });
    let mut found: Vec<_> = seen.into_iter().map(|seen| seen.fields).collect();
    let mut expected = all.into_inner().unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
