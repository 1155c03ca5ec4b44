//! Events of a session that another process follows while they are recorded.
//!
//! Each event says which thread it is of, and its number there: what a consumer is given is
//! compared with what was written, and every byte of it with what it must be.

use crate::attach::{CLASS, EVENT, line, payload};
use crate::hostile::Random;
use crate::{Ending, again, alone};
use etlring::codec::{RawRecord, RecordView};
use etlring::iis::{HttpServer, HttpTraceEvent, guids};
use etlring::outside::message::{Answer, HEAD, Live, Request};
use etlring::outside::{self, Consumer, NoDelivery, OutsideError};
use etlring::provider::Enable;
use etlring::session::{Delivery, LiveBuffer, Missed, Session};
use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const NAME: &str = "stream";
/// How long anything that must happen may take before a test gives up.
const GIVE_UP: Duration = Duration::from_secs(120);

/// A session without a log that flushes only when asked.
fn session() -> Session {
    let builder = Session::builder(NAME).real_time().controllable().buffer_size(16 * 1024);
    builder.maximum_buffers(64).flush_interval(Duration::from_secs(3600)).start().unwrap()
}

/// Writes events of `thread`, and waits for room instead of losing any.
fn write(session: &Session, thread: u32, numbers: std::ops::Range<u64>) {
    for number in numbers {
        while session.write_classic(&EVENT, &payload(0, thread, number)).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// What a consumer was given.
#[derive(Debug, Default)]
struct Given {
    /// By thread: the numbers of its events, as they came.
    events: BTreeMap<u32, Vec<u64>>,
    count: u64,
    missed: Missed,
    told: usize,
}

impl Given {
    fn add(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Buffer(buffer) => {
                for (thread, number) in events(buffer) {
                    self.events.entry(thread).or_default().push(number);
                    self.count += 1;
                }
            }
            Delivery::Missed(missed) => {
                assert!(missed.buffers > 0 && missed.first_ticks <= missed.last_ticks);
                self.missed.events += missed.events;
                self.told += 1;
            }
            other => panic!("{other:?}"),
        }
    }

    /// Reads until so many events were given or missed.
    fn until(consumer: &mut Consumer, total: u64) -> Self {
        let mut given = Self::default();
        while given.count + given.missed.events < total {
            given.add(&next(consumer));
        }
        given
    }
}

fn view(record: RawRecord<'_>) -> RecordView<'_> {
    RecordView::parse(record).unwrap()
}

/// Thread and number of each event.
fn events(buffer: &LiveBuffer) -> Vec<(u32, u64)> {
    let records = buffer.records().map(|raw| view(raw.unwrap()));
    let ours = records.filter(|record| record.provider() == Some(CLASS)).map(|record| {
        let bytes = record.payload();
        let thread = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        let number = u64::from_le_bytes(bytes[8..16].try_into().unwrap());
        assert_eq!(bytes, payload(0, thread, number), "torn");
        (thread, number)
    });
    ours.collect()
}

fn next(consumer: &mut Consumer) -> Delivery {
    match consumer.next_within(GIVE_UP) {
        Ok(delivery) => delivery,
        Err(why) => panic!("{why}"),
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < GIVE_UP, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The session has stopped, and nothing more comes.
fn ended(consumer: &mut Consumer) {
    for _ in 0..2 {
        let end = consumer.next_within(GIVE_UP);
        assert!(matches!(end, Err(NoDelivery::Ended)), "{end:?}");
    }
    assert!(consumer.next().is_none());
}

fn in_order(total: u64) -> Vec<u64> {
    (0..total).collect()
}

#[test]
fn every_consumer_is_given_every_event_without_a_flush() {
    alone("stream::every_consumer_is_given_every_event_without_a_flush", |_| {
        let session = session();
        let mut consumers: Vec<Consumer> =
            (0..5).map(|_| outside::consume(NAME).unwrap()).collect();
        assert_eq!(session.properties().consumers, 5);
        for consumer in &mut consumers {
            let waited = consumer.next_within(Duration::ZERO);
            assert!(matches!(waited, Err(NoDelivery::Yet)), "{waited:?}");
            assert_eq!(consumer.clock(), session.consumer().unwrap().clock());
        }

        // One event, in a buffer that nobody flushes.
        write(&session, 0, 0..1);
        for consumer in &mut consumers {
            let given = Given::until(consumer, 1);
            assert_eq!((given.count, &given.events[&0]), (1, &vec![0]));
        }
        let total = 8000;
        std::thread::scope(|scope| {
            let session = &session;
            for thread in 1..3 {
                scope.spawn(move || write(session, thread, 0..total));
            }
            for consumer in &mut consumers {
                scope.spawn(move || {
                    let given = Given::until(consumer, 2 * total);
                    assert_eq!(given.missed, Missed::default());
                    for thread in 1..3 {
                        assert_eq!(given.events[&thread], in_order(total));
                    }
                });
            }
        });
        session.stop().unwrap();
        consumers.iter_mut().for_each(ended);
    });
}

#[test]
fn a_session_with_a_log_has_the_same_in_both() {
    alone("stream::a_session_with_a_log_has_the_same_in_both", |directory| {
        let log = directory.join("log.etl");
        let builder = Session::builder(NAME).log_file(&log).controllable();
        let session = builder.flush_interval(Duration::ZERO).start().unwrap();
        let mut consumer = outside::connect(NAME).unwrap().consumer().unwrap();
        write(&session, 0, 0..500);
        assert_eq!(Given::until(&mut consumer, 500).events[&0], in_order(500));
        // Nobody flushed: the log has but its header.
        assert_eq!(session.query().buffers_written, 1);
        session.stop().unwrap();
        ended(&mut consumer);
        assert_eq!(crate::attach::found(&log)[&(0, 0)], in_order(500));
    });
}

#[test]
fn a_slow_consumer_is_told_what_it_missed_and_holds_up_nobody() {
    alone("stream::a_slow_consumer_is_told_what_it_missed_and_holds_up_nobody", |_| {
        let session = session();
        let client = outside::connect(NAME).unwrap();
        let mut slow = client.consumer_with_capacity(0).unwrap();
        let mut quick = client.consumer().unwrap();
        // Some megabytes: more than the connection and the queue of the slow one hold.
        let total = 50_000;
        std::thread::scope(|scope| {
            scope.spawn(|| write(&session, 0, 0..total));
            assert_eq!(Given::until(&mut quick, total).events[&0], in_order(total));
        });
        // Each answered in its turn, too.
        client.flush().unwrap();
        assert!(client.query().unwrap().properties.real_time_buffers_lost > 0);

        let given = Given::until(&mut slow, total);
        assert!(given.count > 0 && given.missed.events > 0, "{:?}", given.missed);
        assert_eq!(given.count + given.missed.events, total);
        assert_eq!(slow.missed_so_far().events, given.missed.events);
        // What it has is in order, with holes no more than it was told of.
        let numbers = &given.events[&0];
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        let holes = numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
        assert!(holes <= given.told, "{holes} holes, {} told", given.told);

        // And from now on everything again.
        write(&session, 7, 0..10);
        assert_eq!(Given::until(&mut slow, 10).events[&7], in_order(10));
        session.stop().unwrap();
        ended(&mut slow);
    });
}

#[test]
fn one_that_never_reads_does_not_keep_the_session_from_stopping() {
    alone("stream::one_that_never_reads_does_not_keep_the_session_from_stopping", |_| {
        let session = session();
        let mut never = outside::consume(NAME).unwrap();
        write(&session, 0, 0..50_000);
        session.flush().unwrap();
        let started = Instant::now();
        session.stop().unwrap();
        // It waited for nobody who takes nothing; how long is not the point here.
        assert!(started.elapsed() < GIVE_UP);
        assert!(matches!(outside::connect(NAME), Err(OutsideError::NotFound(_))));
        // What was on its way is there, and then it is told that this was not the end.
        let why = loop {
            match never.next_within(GIVE_UP) {
                Ok(_) => {}
                Err(NoDelivery::Failed(why)) => break why,
                Err(other) => panic!("{other:?}"),
            }
        };
        assert!(matches!(why, OutsideError::HungUp(_)), "{why:?}");
        ended(&mut never);
    });
}

#[test]
fn there_are_as_many_as_the_chapter_says() {
    alone("stream::there_are_as_many_as_the_chapter_says", |_| {
        let session = session();
        let client = outside::connect(NAME).unwrap();
        let mut consumers: Vec<_> = (0..64).map(|_| client.consumer().unwrap()).collect();
        let refused = client.consumer().unwrap_err();
        assert!(matches!(refused, OutsideError::Refused(1450, _)), "{refused:?}");
        // Others are answered all the same.
        assert_eq!(client.query().unwrap().properties.consumers, 64);
        consumers.pop();
        until("a free place", || session.properties().consumers == 63);
        // Its place is free a moment after it was detached.
        until("a place", || client.consumer().map(|new| consumers.push(new)).is_ok());
        write(&session, 0, 0..3);
        for consumer in &mut consumers {
            assert_eq!(Given::until(consumer, 3).events[&0], in_order(3));
        }
        session.stop().unwrap();
        consumers.iter_mut().for_each(ended);
    });
}

#[test]
fn a_ring_that_is_overwritten_streams_nothing() {
    alone("stream::a_ring_that_is_overwritten_streams_nothing", |directory| {
        let ring = Session::builder(NAME).memory_ring().buffer_size(4096).maximum_buffers(4);
        let ring = ring.controllable().start().unwrap();
        let refused = outside::consume(NAME).unwrap_err();
        assert!(matches!(&refused, OutsideError::NotRealTime(name) if name == NAME), "{refused:?}");
        drop(ring);
        let circular = Session::builder("round").log_file(directory.join("round.etl"));
        let circular =
            circular.file_mode(etlring::session::FileMode::Circular).maximum_file_size_mb(1);
        let circular = circular.controllable().start().unwrap();
        let refused = outside::consume("ROUND").unwrap_err();
        assert!(matches!(refused, OutsideError::NotRealTime(_)), "{refused:?}");
        drop(circular);
        let missing = outside::consume("round").unwrap_err();
        assert!(matches!(missing, OutsideError::NotFound(_)), "{missing:?}");
    });
}

#[test]
fn a_late_consumer_has_what_explains_later_events() {
    alone("stream::a_late_consumer_has_what_explains_later_events", |_| {
        let session = session();
        session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5)).unwrap();
        let server = HttpServer::new();
        let context = server.global_context("m");
        let raise = || {
            let event = HttpTraceEvent {
                area_guid: guids::GENERAL,
                event: 60,
                event_name: "E",
                flags: HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS,
                ..HttpTraceEvent::of(guids::WWW_SERVER)
            };
            assert_eq!(context.raise_trace_event(&event), etlring::iis::HResult::S_OK);
        };
        let count = |consumer: &Consumer| {
            let records = consumer.header().records().map(|raw| view(raw.unwrap()));
            let outline = Some(etlring::schema::iis::OUTLINE_CLASS);
            records.filter(|record| record.provider() == outline).count()
        };
        let early = outside::consume(NAME).unwrap();
        raise();
        let late = outside::consume(NAME).unwrap();
        assert_eq!((count(&early), count(&late)), (0, 1));
        assert_eq!(late.clock(), early.clock());
    });
}

/// A role of this file in a process of its own.
fn role(role: &str, directory: &Path) -> Child {
    let mut command = again(&format!("stream::{role}"), directory);
    command.env("ETLRING_TEST_ROLE", role);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn has_role(role: &str) -> bool {
    std::env::var("ETLRING_TEST_ROLE").as_deref() == Ok(role)
}

/// Has a session; ends it in order when it is told to, and its process at once afterwards.
#[test]
#[ignore = "run by others"]
fn owning() {
    if !has_role("owning") {
        return;
    }
    let session = session();
    println!("\nowning");
    let mut word = String::new();
    std::io::stdin().read_line(&mut word).unwrap();
    write(&session, 0, 0..1000);
    println!("\nwritten");
    std::io::stdin().read_line(&mut word).unwrap();
    write(&session, 0, 1000..3000);
    session.stop().unwrap();
    std::process::exit(0);
}

/// Is given events and says so.
#[test]
#[ignore = "run by others"]
fn consuming() {
    if !has_role("consuming") {
        return;
    }
    let mut consumer = outside::consume(NAME).unwrap();
    println!("\nconsuming");
    while let Ok(delivery) = consumer.next_within(GIVE_UP) {
        let Delivery::Buffer(buffer) = delivery else { panic!("{delivery:?}") };
        println!("\nfound {}", events(&buffer).len());
    }
}

#[test]
fn an_owner_that_stops_and_exits_leaves_nothing_untold() {
    alone("stream::an_owner_that_stops_and_exits_leaves_nothing_untold", |directory| {
        let mut owner = Ending(role("owning", directory));
        let mut out = BufReader::new(owner.0.stdout.take().unwrap());
        line(&mut out, "owning");
        let mut consumers: Vec<Consumer> =
            (0..3).map(|_| outside::consume(NAME).unwrap()).collect();
        owner.0.stdin.as_mut().unwrap().write_all(b"\n\n").unwrap();
        for consumer in &mut consumers {
            assert_eq!(Given::until(consumer, 3000).events[&0], in_order(3000));
            ended(consumer);
        }
        assert!(owner.0.wait().unwrap().success());
    });
}

#[test]
fn the_death_of_the_owner_is_told_after_what_it_gave() {
    alone("stream::the_death_of_the_owner_is_told_after_what_it_gave", |directory| {
        let mut owner = Ending(role("owning", directory));
        let mut out = BufReader::new(owner.0.stdout.take().unwrap());
        line(&mut out, "owning");
        let mut consumer = outside::consume(NAME).unwrap();
        owner.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        assert_eq!(Given::until(&mut consumer, 1000).events[&0], in_order(1000));
        line(&mut out, "written");
        owner.0.kill().unwrap();
        owner.0.wait().unwrap();
        let Some(Err(OutsideError::Dead(dead))) = consumer.next() else { panic!("not told") };
        assert_eq!((dead.name.as_str(), dead.process_id), (NAME, owner.0.id()));
        assert!(consumer.next().is_none());
    });
}

#[test]
fn the_death_of_a_consumer_is_noticed_and_harms_nobody() {
    alone("stream::the_death_of_a_consumer_is_noticed_and_harms_nobody", |directory| {
        let session = session();
        let mut other = outside::consume(NAME).unwrap();
        for round in 0..3 {
            let mut dying = Ending(role("consuming", directory));
            let mut out = BufReader::new(dying.0.stdout.take().unwrap());
            line(&mut out, "consuming");
            assert_eq!(session.properties().consumers, 2);
            write(&session, round, 0..20);
            line(&mut out, "found");
            dying.0.kill().unwrap();
            dying.0.wait().unwrap();
            // Nothing is written: that it is gone is noticed all the same.
            until("its leaving", || session.properties().consumers == 1);
            assert_eq!(Given::until(&mut other, 20).events[&round], in_order(20));
        }
        session.stop().unwrap();
        ended(&mut other);
    });
}

/// Everything that a session sends to one that asks so, until it hangs up.
fn heard(directory: &Path, said: &[u8]) -> Vec<u8> {
    let mut stream =
        UnixStream::connect(directory.join("run").join(format!("{NAME}.sock"))).unwrap();
    stream.set_read_timeout(Some(GIVE_UP)).unwrap();
    stream.write_all(said).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

#[test]
fn one_that_goes_on_speaking_is_let_go() {
    alone("stream::one_that_goes_on_speaking_is_let_go", |directory| {
        let session = session();
        let request = Request::Consume(0).encode();
        // With another request behind it, it is not let in at all.
        let twice = [&request[..], &Request::Query.encode()].concat();
        assert!(heard(directory, &twice).len() <= HEAD + 16 * 1024);
        // One that says nothing more, and hangs up for its part, has the header and no more.
        let header = heard(directory, &request);
        let body = u32::from_le_bytes(header[4..8].try_into().unwrap());
        assert_eq!(header.len(), HEAD + body as usize);
        until("its leaving", || session.properties().consumers == 0);
        let refused = heard(directory, &request[..request.len() - 1]);
        assert_eq!(refused, b"", "half a request");
        let mut long = request.clone();
        long[4] = 5;
        long.push(0);
        let refused = Answer::decode(&heard(directory, &long));
        assert!(matches!(refused, Ok(Answer::Refused(87, _))), "{refused:?}");
    });
}

/// What a real session sends: its messages.
fn real(directory: &Path) -> Vec<Vec<u8>> {
    let session = session();
    let mut stream =
        UnixStream::connect(directory.join("run").join(format!("{NAME}.sock"))).unwrap();
    stream.set_read_timeout(Some(GIVE_UP)).unwrap();
    stream.write_all(&Request::Consume(0).encode()).unwrap();
    let mut message = || {
        let mut bytes = vec![0; HEAD];
        stream.read_exact(&mut bytes).unwrap();
        let body = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        bytes.resize(HEAD + body as usize, 0);
        stream.read_exact(&mut bytes[HEAD..]).unwrap();
        bytes
    };
    let header = message();
    write(&session, 0, 0..40);
    session.flush().unwrap();
    let events = message();
    session.stop().unwrap();
    let missed = Live::Missed(Missed { events: 1, buffers: 1, first_ticks: 2, last_ticks: 3 });
    vec![header, events, missed.encode(), Live::Ended.encode()]
}

/// Answers one caller with `said`, whatever it asks, and hangs up; what the caller makes of it.
fn told(listener: &UnixListener, said: &[u8]) -> Result<Vec<Delivery>, OutsideError> {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; HEAD + 4];
                // The caller before looked whether anybody is there.
                if stream.read_exact(&mut request).is_ok() {
                    let _ = stream.write_all(said);
                    break;
                }
            }
        });
        let consumer = outside::consume("rogue")?;
        consumer.collect()
    })
}

#[test]
fn a_session_that_lies_is_not_believed() {
    alone("stream::a_session_that_lies_is_not_believed", |directory| {
        let messages = real(directory);
        let [header, events, missed, ended] = &messages[..] else { panic!() };
        let listener = UnixListener::bind(directory.join("run/rogue.sock")).unwrap();
        let whole = messages.concat();
        let given = told(&listener, &whole).unwrap();
        assert!(matches!(&given[..], [Delivery::Buffer(_), Delivery::Missed(_)]), "{given:?}");

        // A stream that just ends, wherever: what came before was given.
        for cut in (0..whole.len()).step_by(97).chain([HEAD, header.len(), whole.len() - 1]) {
            let why = told(&listener, &whole[..cut]).unwrap_err();
            assert!(matches!(why, OutsideError::HungUp(_)), "cut at {cut}: {why:?}");
        }

        let with = |at: usize, bytes: &[u8], message: &[u8]| {
            let mut message = message.to_vec();
            message[at..at + bytes.len()].copy_from_slice(bytes);
            message
        };
        let huge = [0xFF; 4];
        let size = 16 * 1024u32 + 1;
        let wrong = [
            // No header, or a second one.
            ended.clone(),
            events.clone(),
            [&header[..], header, ended].concat(),
            // Longer than a message may be, or than a buffer of this session.
            with(4, &huge, header),
            [&header[..], &with(4, &huge, events)].concat(),
            [&header[..], &with(4, &(64 * 1024 + size).to_le_bytes(), events)].concat(),
            // Sizes within the buffer.
            [&header[..], &with(HEAD, &huge, events)].concat(),
            [&header[..], &with(HEAD + 0x30, &huge, events)].concat(),
            [&header[..], &with(HEAD + 0x30, &72u32.to_le_bytes(), events)].concat(),
            // A record, the sum, the state, the flags.
            [&header[..], &with(HEAD + 80, &huge, events)].concat(),
            [&header[..], &with(HEAD + 0x3C, &huge, events)].concat(),
            [&header[..], &with(HEAD + 0x2C, &[1], events)].concat(),
            [&header[..], &with(HEAD + 0x34, &[0x60], events)].concat(),
            // A version and kinds that nobody knows.
            [&header[..], &with(0, &[2], events)].concat(),
            [&header[..], &with(2, &[0x14], events)].concat(),
            [&header[..], &with(2, &[0x01], missed)].concat(),
            // One field too few, and too many.
            [&header[..], &with(4, &[31], &missed[..missed.len() - 1])].concat(),
            [&header[..], &with(4, &[1], ended), &[0]].concat(),
            Answer::Done.encode(),
        ];
        for (at, said) in wrong.iter().enumerate() {
            let why = told(&listener, said).unwrap_err();
            let named = matches!(why, OutsideError::Message(_) | OutsideError::WrongAnswer(_));
            assert!(named, "{at}: {why:?}");
        }

        let mut random = Random(7);
        for _ in 0..300 {
            let mut said = whole.clone();
            for _ in 0..1 + random.next() % 4 {
                let at = random.next() as usize % said.len();
                said[at] = random.next() as u8;
            }
            for delivery in told(&listener, &said).into_iter().flatten() {
                let Delivery::Buffer(buffer) = delivery else { continue };
                let views = buffer.records().flatten().map(RecordView::parse);
                assert!(views.count() <= buffer.bytes().len() / 8);
            }
        }
    });
}
