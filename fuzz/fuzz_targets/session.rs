#![no_main]
//! Any program of one thread: each event is refused for the reason that it should be, or stands in
//! the log, once, in its order, with its payload; and every counter agrees with that.

use arbitrary::Arbitrary;
use bytes::BufMut;
use etlring::codec::checksum::State;
use etlring::codec::encode::Item;
use etlring::format::{EventDescriptor, ExtType, Guid, LOST_EVENT_GUID};
use etlring::reader::{Record, Trace};
use etlring::session::{
    ClassicEvent, Clock, Discarded, Event, EventsLost, Reservation, SequenceMode, Session,
    SessionHandle, SessionStats,
};
use etlring::sink::MemorySink;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use std::time::Duration;
use zerocopy::IntoBytes;

const CLASSIC: Guid = Guid::from_u128(0x11);
const EVENT: Guid = Guid::from_u128(0x22);
const HEADER: usize = 72;
/// Most steps of a program, so that 16 bits number its events, and most reservations open at a time.
const MOST: (usize, usize) = (400, 12);

#[derive(Arbitrary, Debug)]
enum Kind {
    Classic,
    Event { related: bool, items: [u8; 2] },
}

#[derive(Arbitrary, Debug)]
enum Step {
    Write {
        kind: Kind,
        len: u16,
    },
    /// The payload in parts.
    Parts {
        kind: Kind,
        lens: [u16; 3],
    },
    /// The same event many times.
    Many {
        kind: Kind,
        len: u16,
        count: u8,
    },
    Open {
        kind: Kind,
        capacity: u16,
    },
    /// Writes to one of the open reservations.
    Fill {
        which: u8,
        len: u16,
    },
    Commit {
        which: u8,
    },
    Drop {
        which: u8,
    },
    TooLarge {
        kind: Kind,
        more: u16,
    },
    Huge {
        kind: Kind,
    },
    Pause,
    Resume,
    Flush,
}

#[derive(Arbitrary, Debug)]
struct Program {
    /// Steps of 1 KiB above the least.
    buffer_size: u8,
    buffers: u8,
    minimum: u8,
    interval: u8,
    clock: u8,
    steps: Vec<Step>,
    /// Events tried after the end.
    after: u8,
}

/// A record as it must be read.
#[derive(Debug, PartialEq)]
struct Expected {
    provider: Guid,
    items: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

struct Open<'a> {
    reservation: Reservation<'a>,
    number: u16,
    expected: Expected,
}

/// What should come of everything tried.
struct Model {
    /// Number of the next event, which its record carries.
    number: u16,
    most: usize,
    buffers: usize,
    paused: bool,
    accepted: BTreeMap<u16, Expected>,
    lost: EventsLost,
    disabled: u64,
    attempted: u64,
    /// Events that surely find a free buffer.
    sure: usize,
    /// Most lanes used at a time so far.
    lanes: usize,
}

impl Kind {
    /// The event of this number and what is to be read of it, but for its payload.
    fn with<T>(&self, number: u16, then: impl FnOnce(Either<'_>, usize, Expected) -> T) -> T {
        let Self::Event { related, items: sizes } = self else {
            let event = ClassicEvent { version: number, ..ClassicEvent::new(CLASSIC, 10, 4) };
            let expected = Expected { provider: CLASSIC, items: Vec::new(), payload: Vec::new() };
            return then(Either::Classic(event), 48, expected);
        };
        let data: Vec<_> = sizes
            .iter()
            .filter(|len| **len != 0)
            .map(|len| pattern(number, (*len).into()))
            .collect();
        let items: Vec<_> =
            data.iter().map(|data| Item { ext_type: ExtType(0x40), data }).collect();
        let mut event = Event::new(EVENT, EventDescriptor::new(number, 4)).items(&items);
        let mut header = 80 + data.iter().map(|d| (8 + d.len()).next_multiple_of(8)).sum::<usize>();
        let mut read = Vec::new();
        if *related {
            event = event.related(CLASSIC);
            header += 24;
            read.push(CLASSIC.as_bytes().to_vec());
        }
        read.extend(data.iter().cloned());
        let expected = Expected { provider: EVENT, items: read, payload: Vec::new() };
        then(Either::Event(event), header, expected)
    }
}

enum Either<'a> {
    Classic(ClassicEvent),
    Event(Event<'a>),
}

/// Bytes that tell one event from another.
fn pattern(number: u16, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(7).wrapping_add(number as u8)).collect()
}

impl Model {
    fn next(&mut self) -> u16 {
        self.number += 1;
        self.number
    }

    /// Compares what came of an attempt, for which `lanes` lanes were needed, with what may.
    fn judge<T>(&mut self, len: usize, lanes: usize, found: Result<T, Discarded>) -> Option<T> {
        let sure = self.sure > 0;
        if !self.paused && len <= self.most {
            self.sure = self.sure.saturating_sub(1);
            self.lanes = self.lanes.max(lanes);
        }
        let discarded = match found {
            Ok(found) => {
                assert!(!self.paused && len <= self.most, "accepted");
                return Some(found);
            }
            Err(discarded) => discarded,
        };
        self.attempted += 1;
        let expected = match discarded {
            Discarded::Disabled => {
                self.disabled += 1;
                self.paused
            }
            Discarded::TooLarge => {
                self.lost.too_large += 1;
                !self.paused && len > self.most
            }
            Discarded::NoFreeBuffer => {
                self.lost.no_free_buffer += 1;
                !self.paused && len <= self.most && !sure
            }
            Discarded::NoLane => {
                self.lost.no_lane += 1;
                !self.paused && len <= self.most && !sure
            }
            _ => false,
        };
        assert!(expected, "{discarded}, {len} of {} bytes, sure: {sure}", self.most);
        None
    }

    fn write(&mut self, handle: &SessionHandle, kind: &Kind, lens: &[usize], lanes: usize) {
        let number = self.next();
        let parts: Vec<_> = lens.iter().map(|len| pattern(number, *len)).collect();
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        kind.with(number, |event, header, expected| {
            let found = match (event, &parts[..]) {
                (Either::Classic(event), [payload]) => handle.write_classic(&event, payload),
                (Either::Classic(event), parts) => handle.write_classic_parts(&event, parts),
                (Either::Event(event), [payload]) => handle.write_event(&event, payload),
                (Either::Event(event), parts) => handle.write_event_parts(&event, parts),
            };
            let payload = parts.concat();
            if self.judge(header + payload.len(), lanes, found).is_some() {
                self.accept(number, Expected { payload, ..expected });
            }
        });
    }

    fn open<'a>(
        &mut self,
        handle: &'a SessionHandle,
        kind: &Kind,
        capacity: usize,
        lanes: usize,
    ) -> Option<Open<'a>> {
        let number = self.next();
        kind.with(number, |event, header, expected| {
            let found = match event {
                Either::Classic(event) => handle.reserve_classic(&event, capacity),
                Either::Event(event) => handle.reserve_event(&event, capacity),
            };
            let reservation = self.judge(header.saturating_add(capacity), lanes, found)?;
            assert_eq!((reservation.capacity(), reservation.len()), (capacity, 0));
            Some(Open { reservation, number, expected })
        })
    }

    fn commit(&mut self, open: Open<'_>) {
        assert_eq!(open.reservation.len(), open.expected.payload.len());
        open.reservation.commit().unwrap();
        self.accept(open.number, open.expected);
    }

    fn accept(&mut self, number: u16, expected: Expected) {
        self.attempted += 1;
        assert!(self.accepted.insert(number, expected).is_none());
    }

    fn check(&self, stats: &SessionStats, after: u64) {
        assert_eq!(stats.events_accepted, self.accepted.len() as u64);
        assert_eq!(stats.lost, self.lost);
        assert_eq!((stats.events_disabled, stats.events_after_stop), (self.disabled, after));
        assert_eq!(stats.attempted(), self.attempted + after);
        assert_eq!(stats.buffers_lost, 0);
    }
}

fuzz_target!(|program: Program| {
    let buffer_size = 4096 + 1024 * u32::from(program.buffer_size % 5);
    let buffers = 2 + u32::from(program.buffers % 15);
    let (sink, log) = MemorySink::new();
    let clocks = [Clock::PerformanceCounter, Clock::SystemTime, Clock::CpuCycles];
    let session = Session::builder("fuzz")
        .sink(sink)
        .buffer_size(buffer_size)
        .maximum_buffers(buffers)
        .minimum_buffers(1 + u32::from(program.minimum) % buffers)
        .flush_interval(Duration::from_millis(u64::from(program.interval % 4)))
        .clock(clocks[usize::from(program.clock) % clocks.len()])
        .sequence(SequenceMode::None)
        .start()
        .unwrap();
    let handle = session.handle();
    let mut model = Model {
        number: 0,
        most: buffer_size as usize - HEADER,
        buffers: buffers as usize,
        paused: false,
        accepted: BTreeMap::new(),
        lost: EventsLost::default(),
        disabled: 0,
        attempted: 0,
        sure: buffers as usize,
        lanes: 0,
    };
    run(&session, &handle, &program.steps, &mut model);
    model.check(&session.query(), 0);

    let stats = session.stop().unwrap();
    model.check(&stats, 0);
    assert_eq!((stats.buffers_free, stats.buffers_total), (buffers, buffers));
    for _ in 0..program.after {
        let found = handle.write_classic(&ClassicEvent::new(CLASSIC, 10, 4), b"late");
        assert_eq!(found, Err(Discarded::Stopped));
    }
    assert!(!handle.is_enabled());
    model.check(&handle.query(), program.after.into());
    check_log(&log.take(), &model, &stats);
});

fn run(session: &Session, handle: &SessionHandle, steps: &[Step], model: &mut Model) {
    let mut open: Vec<Open<'_>> = Vec::new();
    for step in steps.iter().take(MOST.0) {
        let lanes = open.len() + 1;
        let at = |which: &u8, open: &[Open<'_>]| usize::from(*which).checked_rem(open.len());
        match step {
            Step::Write { kind, len } => model.write(handle, kind, &[size(*len)], lanes),
            Step::Parts { kind, lens } => {
                model.write(handle, kind, &lens.map(|len| size(len) / 3), lanes);
            }
            Step::Many { kind, len, count } => {
                for _ in 0..*count % 64 {
                    model.write(handle, kind, &[size(*len) / 8], lanes);
                }
            }
            Step::Open { kind, capacity } if open.len() < MOST.1 => {
                open.extend(model.open(handle, kind, size(*capacity), lanes));
            }
            Step::Open { .. } => {}
            Step::Fill { which, len } => {
                let Some(at) = at(which, &open) else { continue };
                let Open { reservation, number, expected } = &mut open[at];
                let room = reservation.remaining_mut();
                let more = pattern(*number ^ 0x55, usize::from(*len).min(room));
                reservation.put_slice(&more);
                expected.payload.extend(more);
            }
            Step::Commit { which } => {
                if let Some(at) = at(which, &open) {
                    model.commit(open.remove(at));
                }
            }
            Step::Drop { which } => {
                if let Some(at) = at(which, &open) {
                    drop(open.remove(at));
                }
            }
            Step::TooLarge { kind, more } => {
                model.write(handle, kind, &[model.most + usize::from(*more)], lanes);
            }
            Step::Huge { kind } => {
                assert!(model.open(handle, kind, usize::MAX, lanes).is_none());
            }
            Step::Pause | Step::Resume => {
                model.paused = matches!(step, Step::Pause);
                handle.set_enabled(!model.paused);
            }
            Step::Flush => {
                session.flush().unwrap();
                // Every lane may have a buffer in its hand; the others have been freed.
                model.sure = model.buffers.saturating_sub(model.lanes);
            }
        }
        assert_eq!(handle.is_enabled(), !model.paused);
    }
    for (at, open) in open.into_iter().enumerate() {
        // Left open is not written.
        if at % 2 == 0 {
            model.commit(open);
        }
    }
}

/// Mostly what fits the smallest buffer.
fn size(len: u16) -> usize {
    usize::from(len) % 4400
}

fn check_log(log: &[u8], model: &Model, stats: &SessionStats) {
    let trace = Trace::from_slice(log).unwrap();
    assert!(trace.damage().is_empty() && trace.unused_tail() == 0, "{:?}", trace.damage());
    assert_eq!(trace.buffers().len() as u64, stats.buffers_written);
    assert_eq!(u64::from(trace.logfile().buffers_written()), stats.buffers_written);
    assert_eq!(u64::from(trace.logfile().events_lost()), stats.lost.total());
    assert_eq!(trace.logfile().buffers_lost(), 0);
    for index in 0..trace.buffers().len() {
        assert!(matches!(trace.verify_checksum(index), Ok(State::Valid { .. })));
    }

    let mut told = [0; 4];
    let (mut seen, mut before) = (0, (0, 0));
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        let ticks = view.ticks().unwrap();
        assert!(trace.logfile().end_time().unwrap() >= trace.time(&record));
        if record.buffer_index() == 0 {
            continue;
        }
        if view.provider() == Some(LOST_EVENT_GUID) {
            let word = |at: usize| view.payload()[at..].first_chunk().copied();
            let [count, cause] = [16, 20].map(|at| u32::from_le_bytes(word(at).unwrap()));
            assert!(count != 0);
            told[cause as usize] += u64::from(count);
            continue;
        }
        let number = number(&record);
        assert!(before.0 < ticks || before.1 < number, "{before:?}, {ticks} {number}");
        before = (ticks, number);
        let items = view.items().map(|item| item.unwrap().data.to_vec()).collect();
        let provider = view.provider().unwrap();
        let found = Expected { provider, items, payload: view.payload().to_vec() };
        assert_eq!(model.accepted.get(&number), Some(&found));
        seen += 1;
    }
    // Numbers rise with the stamps and each is expected: none is there twice.
    assert_eq!(seen, model.accepted.len());
    let EventsLost { no_free_buffer, too_large, no_lane, .. } = model.lost;
    assert_eq!(told, [0, no_free_buffer, too_large, no_lane]);
}

fn number(record: &Record<'_>) -> u16 {
    let view = record.view().unwrap();
    match view.descriptor() {
        Some(descriptor) => descriptor.id.get(),
        None => view.version().unwrap(),
    }
}
