//! Providers: who gets an event, who is told of what, and that nothing gets lost in between.

use crate::log;
use etlring::format::{EventDescriptor, ExtType, Guid};
use etlring::provider::{self, Control, Enable, Properties, Provider, activity};
use etlring::session::{Discarded, Event, Session};
use etlring::sink::{MemoryLog, MemorySink};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A GUID of the calling test's own.
fn guid() -> Guid {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Guid::from_u128(0x8d1f_6c53_2f6e_4b0b_9f3c_0000_0000_0000 + u128::from(number))
}

fn session(name: &str) -> (Session, MemoryLog) {
    let (sink, log) = MemorySink::new();
    (Session::builder(name).sink(sink).start().unwrap(), log)
}

fn descriptor(level: u8, keyword: u64) -> EventDescriptor {
    EventDescriptor { keyword: keyword.into(), ..EventDescriptor::new(1, level) }
}

/// Payloads in the log, in the order of sequence.
fn payloads(log: &MemoryLog) -> Vec<Vec<u8>> {
    let log = log.to_vec();
    let (_, mut buffers) = log::read(&log);
    buffers.sort_by_key(|buffer| buffer.header.sequence_number.get());
    log::events(&buffers).map(|record| record.payload().to_vec()).collect()
}

#[test]
fn enabled_before_or_after_it_is_registered() {
    let (session, log) = session("before and after");
    let (early, late) = (guid(), guid());
    session.enable_provider(early, &Enable::new()).unwrap();
    let first = Provider::register(early, "Early");
    let second = Provider::register(late, "Late");
    assert_eq!((first.guid(), first.name()), (early, "Early"));
    assert!(first.is_enabled(5, 1) && !second.is_enabled(1, 0));
    assert_eq!(first.write(&descriptor(5, 1), b"a"), Ok(1));
    assert_eq!(second.write(&descriptor(1, 0), b"not yet"), Ok(0));
    session.enable_provider(late, &Enable::new()).unwrap();
    assert_eq!(second.write(&descriptor(1, 0), b"b"), Ok(1));

    // The state outlives a registration, and is one for all registrations.
    drop(first);
    let again = Provider::register(early, "Early, again");
    let other = Provider::register(early, "Early, too");
    assert_eq!(again.write(&descriptor(5, 1), b"c"), Ok(1));
    assert_eq!(other.write(&descriptor(5, 1), b"d"), Ok(1));
    let info = provider::all().into_iter().find(|info| info.guid == early).unwrap();
    assert_eq!(info.names, ["Early, again", "Early, too"]);
    assert_eq!(info.sessions, [session.id()]);

    session.disable_provider(early).unwrap();
    session.disable_provider(early).unwrap();
    assert_eq!(other.write(&descriptor(1, 0), b"not any more"), Ok(0));
    assert_eq!(session.stop().unwrap().events_accepted, 4);
    assert_eq!(payloads(&log), [b"a", b"b", b"c", b"d"]);
    drop((again, other, second));
    assert!(provider::all().iter().all(|info| info.guid != early && info.guid != late));
}

#[test]
fn eight_sessions_and_no_more() {
    let (sessions, logs): (Vec<_>, Vec<_>) =
        (0..9).map(|n| session(&format!("one of nine: {n}"))).unzip();
    let guid = guid();
    let provider = Provider::register(guid, "Eight");
    for (n, session) in (1..).zip(&sessions[..8]) {
        session.enable_provider(guid, &Enable::new().level(n)).unwrap();
    }
    let error = sessions[8].enable_provider(guid, &Enable::new()).unwrap_err();
    assert_eq!(error.code(), 1450);
    assert_eq!(error.to_string(), "8 sessions have enabled this provider already");
    // One that is in may change its mind.
    sessions[7].enable_provider(guid, &Enable::new().level(9)).unwrap();
    for level in 1..=9 {
        // Sessions 1 to 7 want levels up to their number, the eighth up to 9.
        let expected = (level..8).count() as u32 + 1;
        assert_eq!(provider.write(&descriptor(level, 0), &[level]), Ok(expected), "level {level}");
    }
    sessions[0].disable_provider(guid).unwrap();
    sessions[8].enable_provider(guid, &Enable::new()).unwrap();
    assert_eq!(provider.write(&descriptor(0, 0), &[0]), Ok(8));
    for (n, (session, log)) in sessions.into_iter().zip(&logs).enumerate() {
        let found = {
            session.stop().unwrap();
            payloads(log)
        };
        let most = [1, 2, 3, 4, 5, 6, 7, 9, 0][n];
        let last = if n == 0 { vec![] } else { vec![vec![0]] };
        let expected: Vec<_> = (1..=most).map(|level| vec![level]).chain(last).collect();
        assert_eq!(found, expected, "session {n}");
    }
    assert!(!provider.is_enabled(0, 0));
}

/// Level and keywords of a session, level and keyword of an event, and whether it passes: taken
/// from the words of `EnableTraceEx2`, not from the code.
const CASES: &[(u8, u64, u64, u8, u64, bool)] = &[
    (0, 0, 0, 255, 0, true),
    (0, 0, 0, 0, u64::MAX, true),
    (1, 0, 0, 1, 0, true),
    (1, 0, 0, 2, 0, false),
    (4, 0, 0, 0, 0, true),
    (4, 0, 0, 4, 8, true),
    (4, 0, 0, 5, 8, false),
    (255, 0, 0, 255, 0, true),
    (254, 0, 0, 255, 0, false),
    (5, 0x6, 0, 5, 0x2, true),
    (5, 0x6, 0, 5, 0x4, true),
    (5, 0x6, 0, 5, 0x8, false),
    (5, 0x6, 0, 5, 0x9, false),
    (5, 0x6, 0, 5, 0, true),
    (5, 0x6, 0, 6, 0, false),
    (5, 0x6, 0x2, 5, 0x2, true),
    (5, 0x6, 0x2, 5, 0x4, false),
    (5, 0x6, 0x6, 5, 0x6, true),
    (5, 0x6, 0x6, 5, 0x7, true),
    (5, 0x6, 0x6, 5, 0x2, false),
    (5, 0, 0x3, 5, 0x3, true),
    (5, 0, 0x3, 5, 0x1, false),
    (5, 0, 0x3, 5, 0, true),
    (5, 0x8, 0x3, 5, 0x3, false),
    (5, 0x8, 0x3, 5, 0xB, true),
    (0, 1 << 63, 1 << 63, 9, 1 << 63, true),
];

#[test]
fn levels_and_keywords() {
    let (session, _) = session("matrix");
    let guid = guid();
    let provider = Provider::register(guid, "Matrix");
    for &(level, any, all, event_level, keyword, passes) in CASES {
        let enable = Enable::new().level(level).any_keyword(any).all_keywords(all);
        session.enable_provider(guid, &enable).unwrap();
        let case = format!("{level} {any:#x} {all:#x}: {event_level} {keyword:#x}");
        let written = provider.write(&descriptor(event_level, keyword), b"");
        assert_eq!(written, Ok(u32::from(passes)), "{case}");
        assert_eq!(provider.is_enabled(event_level, keyword), passes, "{case}");

        let enable = enable.properties(Properties::IGNORE_KEYWORD_0);
        session.enable_provider(guid, &enable).unwrap();
        let passes = passes && keyword != 0;
        let written = provider.write(&descriptor(event_level, keyword), b"");
        assert_eq!(written, Ok(u32::from(passes)), "{case}, not keyword 0");
        assert_eq!(provider.is_enabled(event_level, keyword), passes, "{case}, not keyword 0");
    }
}

#[test]
fn each_session_gets_what_it_wants_and_no_session_misses_out() {
    let (first, first_log) = session("errors");
    let (second, second_log) = session("database");
    let guid = guid();
    let provider = Provider::register(guid, "Two");
    first.enable_provider(guid, &Enable::new().level(2)).unwrap();
    second.enable_provider(guid, &Enable::new().level(5).any_keyword(0x10)).unwrap();
    let write = |level, keyword| {
        let text = format!("{level}{keyword:x}");
        provider.write(&descriptor(level, keyword), text.as_bytes()).unwrap()
    };
    assert_eq!(write(2, 0x10), 2);
    assert_eq!(write(2, 0x1), 1);
    assert_eq!(write(5, 0x10), 1);
    // What neither wants, though the two together seem to.
    assert_eq!(write(5, 0x1), 0);
    assert!(provider.is_enabled(5, 0x1));
    assert!(!provider.is_enabled(6, 0x10));
    first.stop().unwrap();
    second.stop().unwrap();
    assert_eq!(payloads(&first_log), [&b"210"[..], b"21"]);
    assert_eq!(payloads(&second_log), [b"210", b"510"]);
}

/// Enables, changes and disables while threads write. Gives back, over all threads, how often an
/// event was recorded and how often it was lost.
fn race(sessions: &[&Session], guid: Guid) -> (u64, u64) {
    let provider = Provider::register(guid, "Race");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (provider, done) = (&provider, &done);
        let writers: Vec<_> = (0..4u64)
            .map(|thread| {
                scope.spawn(move || {
                    let (mut recorded, mut lost, mut n) = (0, 0, 0u64);
                    while !done.load(Ordering::Relaxed) {
                        let payload = (thread << 32 | n).to_le_bytes();
                        match provider.write(&descriptor(4, 1), &payload) {
                            Ok(sessions) => recorded += u64::from(sessions),
                            Err(Discarded::NoFreeBuffer) => lost += 1,
                            Err(other) => panic!("{other}"),
                        }
                        n += 1;
                        if n % 1000 == 0 {
                            std::thread::yield_now();
                        }
                    }
                    (recorded, lost)
                })
            })
            .collect();
        for turn in 0..300 * sessions.len() {
            let session = sessions[turn % sessions.len()];
            match turn / sessions.len() % 3 {
                0 => session.enable_provider(guid, &Enable::new().level(4)).unwrap(),
                1 => session.enable_provider(guid, &Enable::new().any_keyword(3)).unwrap(),
                _ => session.disable_provider(guid).unwrap(),
            }
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        done.store(true, Ordering::Relaxed);
        let all = writers.into_iter().map(|writer| writer.join().unwrap());
        all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    })
}

/// The log has each of so many events at most once, and each thread's in order.
fn check_race(log: &MemoryLog, accepted: u64) {
    let mut last = [None; 4];
    let found = payloads(log);
    assert_eq!(found.len() as u64, accepted);
    let mut words: Vec<_> =
        found.iter().map(|bytes| u64::from_le_bytes(bytes[..].try_into().unwrap())).collect();
    // A lane is a thread's here: none ends before the others.
    for word in &words {
        let (thread, n) = ((word >> 32) as usize, *word as u32);
        assert!(last[thread] < Some(n));
        last[thread] = Some(n);
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), found.len());
}

#[test]
fn changes_while_four_threads_write_are_exact() {
    let guid = guid();
    let logs: Vec<_> = (0..2).map(|_| MemorySink::new()).collect();
    let (sinks, logs): (Vec<_>, Vec<_>) = logs.into_iter().unzip();
    let sessions: Vec<_> = sinks
        .into_iter()
        .zip(["race one", "race two"])
        .map(|(sink, name)| {
            Session::builder(name).sink(sink).maximum_buffers(2048).start().unwrap()
        })
        .collect();
    let (recorded, lost) = race(&[&sessions[0], &sessions[1]], guid);
    assert_eq!(lost, 0);
    let mut accepted = 0;
    for (session, log) in sessions.into_iter().zip(&logs) {
        let stats = session.stop().unwrap();
        assert_eq!(stats.attempted(), stats.events_accepted);
        check_race(log, stats.events_accepted);
        accepted += stats.events_accepted;
    }
    assert_eq!(accepted, recorded);
    assert!(recorded > 0);
}

#[test]
fn changes_while_events_get_lost_are_exact() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("race with loss")
        .sink(sink)
        .buffer_size(4096)
        .maximum_buffers(6)
        .start()
        .unwrap();
    let (recorded, lost) = race(&[&session], guid());
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (recorded, lost));
    assert_eq!(stats.attempted(), recorded + lost);
    check_race(&log, recorded);
}

#[test]
fn a_session_that_stops_among_writers_takes_no_more_and_disables() {
    for _ in 0..20 {
        let (session, log) = session("stops");
        let guid = guid();
        let provider = Provider::register(guid, "Stops");
        session.enable_provider(guid, &Enable::new()).unwrap();
        let handle = session.handle();
        let done = AtomicBool::new(false);
        let (stats, recorded) = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut recorded = 0;
                        while !done.load(Ordering::Relaxed) {
                            match provider.write(&descriptor(4, 1), &[7; 16]) {
                                Ok(sessions) => recorded += u64::from(sessions),
                                // The flusher of a busy machine may come late.
                                Err(discarded) => assert_eq!(discarded, Discarded::NoFreeBuffer),
                            }
                        }
                        recorded
                    })
                })
                .collect();
            while handle.query().events_accepted < 100 {
                std::thread::yield_now();
            }
            let stats = session.stop().unwrap();
            done.store(true, Ordering::Relaxed);
            (stats, writers.into_iter().map(|w| w.join().unwrap()).sum::<u64>())
        });
        assert!(!provider.is_enabled(0, 0));
        assert_eq!(stats.events_accepted, recorded);
        assert_eq!(payloads(&log).len() as u64, recorded);
    }
}

/// What a callback was told, without the session.
type Told = (Control, bool, u8, u64, u64, Vec<u8>);

fn listening(guid: Guid) -> (Provider, Arc<Mutex<Vec<Told>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let provider = Provider::register_with(guid, "Listening", move |change| {
        let (any, all) = (change.any_keyword, change.all_keywords);
        let filter = change.filter.to_vec();
        let told = (change.control, change.enabled, change.level, any, all, filter);
        log.lock().unwrap().push(told);
    });
    (provider, told)
}

#[test]
fn callbacks_are_told_every_change_of_all_sessions_together() {
    use Control::{CaptureState, Disable, Enable as On};
    let (first, _) = session("told one");
    let (second, _) = session("told two");
    let guid = guid();
    let enable = Enable::new().level(3).any_keyword(0x6).all_keywords(0x2).filter(*b"f1");
    first.enable_provider(guid, &enable).unwrap();
    let (provider, told) = listening(guid);
    let take = || std::mem::take(&mut *told.lock().unwrap());
    // At once, what was wanted before.
    assert_eq!(take(), [(On, true, 3, 0x6, 0x2, b"f1".to_vec())]);
    // Two together: the more verbose level, either's keywords, only what both insist on.
    let enable = Enable::new().level(5).any_keyword(0x9).all_keywords(0xA);
    second.enable_provider(guid, &enable).unwrap();
    assert_eq!(take(), [(On, true, 5, 0xF, 0x2, vec![])]);
    first.capture_state(guid).unwrap();
    assert_eq!(take(), [(CaptureState, true, 5, 0xF, 0x2, b"f1".to_vec())]);
    first.enable_provider(guid, &Enable::new()).unwrap();
    assert_eq!(take(), [(On, true, 0, u64::MAX, 0, vec![])]);
    first.disable_provider(guid).unwrap();
    assert_eq!(take(), [(Disable, true, 5, 0x9, 0xA, vec![])]);
    // Nothing changed, nobody is told.
    first.disable_provider(guid).unwrap();
    assert_eq!(first.capture_state(guid).unwrap_err().code(), 87);
    assert_eq!(take(), []);
    second.stop().unwrap();
    assert_eq!(take(), [(Disable, false, 0, 0, 0, vec![])]);
    first.enable_provider(guid, &Enable::new()).unwrap();
    take();
    drop(first);
    assert_eq!(take(), [(Disable, false, 0, 0, 0, vec![])]);
    drop(provider);
}

#[test]
fn callbacks_may_control_and_panic() {
    let (outer, log) = session("outer");
    let (other, _) = session("other");
    let (guid, inner_guid) = (guid(), guid());
    let (inner, inner_told) = listening(inner_guid);
    let (controller, other_controller) = (outer.controller(), other.controller());
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let provider = Provider::register_with(guid, "Reentrant", move |change| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        assert!(call != 1, "a callback with a bug");
        if change.control == Control::Enable && call == 0 {
            // Its own provider, another one, and a registration that comes and goes.
            controller.enable_provider(guid, &Enable::new().level(2)).unwrap();
            controller.enable_provider(inner_guid, &Enable::new()).unwrap();
            other_controller.enable_provider(guid, &Enable::new()).unwrap();
            drop(Provider::register_with(guid, "Short", |_| ()));
            assert_eq!(inner.write(&descriptor(1, 0), b"from a callback"), Ok(1));
        }
    });
    let (_second, told) = listening(guid);
    outer.enable_provider(guid, &Enable::new().level(1)).unwrap();
    // The first call, the one that panics, and the one for the other session.
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    // The other callback missed nothing.
    let levels: Vec<_> = told.lock().unwrap().iter().map(|told| told.2).collect();
    assert_eq!(levels, [1, 2, 0]);
    assert_eq!(inner_told.lock().unwrap().len(), 1);
    outer.stop().unwrap();
    assert_eq!(payloads(&log), [b"from a callback"]);
    drop(provider);
}

#[test]
fn changes_from_many_threads_are_told_one_at_a_time_and_the_last_one_last() {
    let guid = guid();
    let inside = AtomicBool::new(false);
    let last = Arc::new(Mutex::new(None));
    // A panic in a callback is contained: what it sees must be told in another way.
    let together = Arc::new(AtomicU32::new(0));
    let (seen, met) = (Arc::clone(&last), Arc::clone(&together));
    let provider = Provider::register_with(guid, "Serial", move |change| {
        met.fetch_add(u32::from(inside.swap(true, Ordering::SeqCst)), Ordering::SeqCst);
        std::thread::yield_now();
        *seen.lock().unwrap() = Some((change.enabled, change.level));
        inside.store(false, Ordering::SeqCst);
    });
    let sessions: Vec<_> = (0..4).map(|n| session(&format!("serial {n}")).0).collect();
    std::thread::scope(|scope| {
        for session in &sessions {
            scope.spawn(|| {
                for level in 1..50 {
                    session.enable_provider(guid, &Enable::new().level(level)).unwrap();
                    session.disable_provider(guid).unwrap();
                }
            });
        }
    });
    assert_eq!(*last.lock().unwrap(), Some((false, 0)));
    assert_eq!(together.load(Ordering::SeqCst), 0);
    drop(provider);
}

#[test]
fn activities_items_and_parts_reach_the_record() {
    let (session, log) = session("fields");
    let guid = guid();
    let provider = Provider::register(guid, "Fields");
    session.enable_provider(guid, &Enable::new()).unwrap();
    let [mine, other, from] = [(); 3].map(|()| activity::create());
    assert!(mine != other && other != from && !mine.is_zero());
    let event = descriptor(4, 9);
    provider.write(&event, b"none").unwrap();
    {
        let _scope = activity::scope(mine);
        provider.write(&event, b"thread").unwrap();
        provider.write_transfer(&event, None, Some(from), &[b"trans", b"fer"]).unwrap();
        provider.write_transfer(&event, Some(other), None, &[b"", b"other"]).unwrap();
        assert_eq!(activity::set(other), mine);
    }
    assert!(activity::current().is_zero());
    session
        .enable_provider(guid, &Enable::new().properties(Properties::PROCESS_START_KEY))
        .unwrap();
    // Another provider's GUID in the event does not count.
    let related = Event::new(Guid::from_u128(1), event).related(from);
    provider.write_event(&related, &[b"key"]).unwrap();
    provider.write(&event, b"only the key").unwrap();
    session.stop().unwrap();

    let log = log.to_vec();
    let (_, buffers) = log::read(&log);
    let found: Vec<_> = log::events(&buffers)
        .map(|record| {
            assert_eq!(record.provider(), Some(guid));
            assert_eq!(record.descriptor(), Some(&event));
            let items: Vec<_> = record
                .items()
                .map(|item| item.unwrap())
                .map(|item| (item.ext_type, item.data.to_vec()))
                .collect();
            (record.payload(), record.activity_id().unwrap_or_default(), items)
        })
        .collect();
    let related = (ExtType::RELATED_ACTIVITYID, from.0.to_vec());
    let expected: [(&[u8], Guid, Vec<_>); 4] = [
        (b"none", Guid::ZERO, vec![]),
        (b"thread", mine, vec![]),
        (b"transfer", mine, vec![related.clone()]),
        (b"other", other, vec![]),
    ];
    assert_eq!(found[..4], expected);
    let (payload, activity, items) = &found[4];
    assert_eq!((*payload, *activity, items.len()), (&b"key"[..], Guid::ZERO, 2));
    assert_eq!(items[0], related);
    assert_eq!(items[1].0, ExtType::PROCESS_START_KEY);
    assert_eq!((found[5].0, &found[5].2), (&b"only the key"[..], &items[1..].to_vec()));
    let key = u64::from_le_bytes(items[1].1[..].try_into().unwrap());
    assert_eq!(key & 0x3F_FFFF, u64::from(std::process::id()));
    #[cfg(target_os = "linux")]
    {
        // The name of a test binary has no blank: the start is the 22nd word.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert_eq!((key >> 22).to_string(), stat.split(' ').nth(21).unwrap());
    }
}

#[test]
fn a_session_that_does_not_take_an_event_says_why() {
    let (sink, _log) = MemorySink::new();
    let small = Session::builder("small room").sink(sink).buffer_size(4096).start().unwrap();
    let (large, _) = session("large room");
    let guid = guid();
    let provider = Provider::register(guid, "Refused");
    small.enable_provider(guid, &Enable::new()).unwrap();
    let event = descriptor(4, 0);
    assert_eq!(provider.write(&event, &[0; 8000]), Err(Discarded::TooLarge));
    large.enable_provider(guid, &Enable::new()).unwrap();
    // One that records it is enough; the other has counted it.
    assert_eq!(provider.write(&event, &[0; 8000]), Ok(1));
    small.set_enabled(false);
    assert_eq!(provider.write(&event, b""), Ok(1));
    large.set_enabled(false);
    assert_eq!(provider.write(&event, b""), Ok(0));
    assert_eq!(provider.events_missed(), 0);
    let (small, large) = (small.stop().unwrap(), large.stop().unwrap());
    assert_eq!((small.lost.too_large, small.events_disabled, small.events_accepted), (2, 2, 0));
    assert_eq!((large.events_accepted, large.events_disabled), (2, 1));
}

#[test]
fn what_cannot_be_enabled_is_named() {
    let (session, _) = session("refused");
    let guid = guid();
    let refused = |enable: Enable| {
        let error = session.enable_provider(guid, &enable).unwrap_err();
        (error.code(), error.to_string())
    };
    let properties = Enable::new().properties(Properties(0x95));
    assert_eq!(refused(properties), (87, "enable properties 0x5 are not supported".into()));
    let filter = Enable::new().filter(vec![0; 1025]);
    assert_eq!(refused(filter), (87, "filter data is 1025 bytes, must be 0 to 1024".into()));
    session.enable_provider(guid, &Enable::new().filter(vec![0; 1024])).unwrap();

    let controller = session.controller();
    session.stop().unwrap();
    let error = controller.enable_provider(guid, &Enable::new()).unwrap_err();
    assert_eq!((error.code(), error.to_string()), (4201, "the session has stopped".into()));
    assert!(provider::all().iter().all(|info| info.guid != guid));
}

/// A thread's list of a provider that is gone must not serve the one that took its place.
#[test]
fn providers_that_come_and_go_are_told_apart() {
    let (wanted, log) = session("wanted");
    let (unwanted, _) = session("unwanted");
    for n in 0..100u32 {
        let (one, two) = (guid(), guid());
        wanted.enable_provider(one, &Enable::new()).unwrap();
        let first = Provider::register(one, "First");
        assert_eq!(first.write(&descriptor(1, 0), &n.to_le_bytes()), Ok(1));
        drop(first);
        wanted.disable_provider(one).unwrap();
        let second = Provider::register(two, "Second");
        assert_eq!(second.write(&descriptor(1, 0), b"nobody"), Ok(0));
        unwanted.enable_provider(two, &Enable::new()).unwrap();
        assert_eq!(second.write(&descriptor(1, 0), b"the other one"), Ok(1));
        unwanted.disable_provider(two).unwrap();
    }
    assert_eq!(unwanted.stop().unwrap().events_accepted, 100);
    wanted.stop().unwrap();
    let expected: Vec<_> = (0..100u32).map(|n| n.to_le_bytes().to_vec()).collect();
    assert_eq!(payloads(&log), expected);
}

#[test]
fn a_dying_thread_still_writes() {
    struct Last(Arc<Provider>);
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(self.0.write(&descriptor(1, 0), b"last"), Ok(1));
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });

    let (session, log) = session("dying thread");
    let guid = guid();
    let provider = Arc::new(Provider::register(guid, "Dying"));
    session.enable_provider(guid, &Enable::new()).unwrap();
    std::thread::spawn(move || {
        // Set before the first event, so that it is destroyed after what the thread remembers.
        LAST.with(|last| *last.borrow_mut() = Some(Last(Arc::clone(&provider))));
        provider.write(&descriptor(1, 0), b"first").unwrap();
    })
    .join()
    .unwrap();
    session.stop().unwrap();
    assert_eq!(payloads(&log), [&b"first"[..], b"last"]);
}
