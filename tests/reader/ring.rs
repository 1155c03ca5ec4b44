//! A log beside its ring, read as one.

use crate::images::{self, Image, Life, Random, SIZE, free, id_of};
use crate::log::Log;
use etlring::format::BufferState;
use etlring::reader::{
    Difference, OpenError, OpenOptions, RingCopy, RingError, RingState, Source, Trace, ring_path,
};
use std::cell::RefCell;
use std::io;
use std::path::Path;

/// Events in time order; each must be whole.
fn events<S: Source>(trace: &Trace<S>) -> Vec<u32> {
    let mut records = trace.by_time();
    let mut ids = Vec::new();
    let mut last = 0;
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        assert!(view.ticks() >= Some(last));
        last = view.ticks().unwrap();
        ids.extend(id_of(&view).map(Result::unwrap));
    }
    ids
}

fn write(directory: &Path, image: &Image) -> std::path::PathBuf {
    let log = directory.join("service.etl");
    std::fs::write(&log, &image.log).unwrap();
    std::fs::write(ring_path(&log), &image.ring).unwrap();
    log
}

#[test]
fn every_event_is_there_once_and_in_time_order() {
    let directory = tempfile::tempdir().unwrap();
    for seed in 0..200 {
        let image = Image::killed(seed, 1 + usize::try_from(seed % 20).unwrap());
        let log = write(directory.path(), &image);
        let trace = Trace::open(&log).unwrap();
        assert_eq!(trace.damage(), [], "seed {seed}");
        // Stamps of different buffers never meet, so the order of time is that of the ids.
        assert_eq!(events(&trace), image.all_ids(), "seed {seed}");
        let RingState::Joined { buffers } = trace.ring() else { panic!("{:?}", trace.ring()) };
        assert_eq!(*buffers, trace.buffers().iter().filter(|entry| entry.in_ring()).count());
        for index in 0..trace.buffers().len() {
            trace.verify_checksum(index).unwrap();
        }
        // In file order it is the same, and a buffer's records know where they are.
        let mut records = trace.records();
        while let Some(record) = records.next() {
            let record = record.unwrap();
            let file = if record.buffer().in_ring() { &image.ring } else { &image.log };
            let at = usize::try_from(record.position()).unwrap();
            assert_eq!(file[at..at + record.raw().bytes.len()], *record.raw().bytes);
        }
        let positioned = Trace::open_positioned(&log).unwrap();
        assert_eq!(events(&positioned), image.all_ids());
    }
}

#[test]
fn a_ring_alone_is_a_log_file() {
    for seed in 0..50 {
        let image = Image::killed(seed, 12);
        let ring = Trace::from_slice(&image.ring).unwrap();
        assert_eq!(ring.damage(), []);
        let expected = image.lives.iter().filter_map(|life| {
            let (count, ..) = image.in_ring.get(&life.sequence)?;
            Some(life.ids(*count))
        });
        assert_eq!(events(&ring), expected.flatten().collect::<Vec<_>>());
    }
}

#[test]
fn options_say_which_ring() {
    let directory = tempfile::tempdir().unwrap();
    let image = Image::killed(3, 12);
    let log = write(directory.path(), &image);
    let alone = OpenOptions::new().without_ring().open(&log).unwrap();
    assert!(matches!(alone.ring(), RingState::Absent));
    assert_eq!(events(&alone), events(&Trace::from_slice(&image.log).unwrap()));

    let elsewhere = directory.path().join("elsewhere");
    std::fs::rename(ring_path(&log), &elsewhere).unwrap();
    assert!(matches!(Trace::open(&log).unwrap().ring(), RingState::Absent));
    let both = OpenOptions::new().with_ring(&elsewhere).open(&log).unwrap();
    assert!(both.ring().is_joined());
    assert_eq!(events(&both), image.all_ids());

    let missing = OpenOptions::new().with_ring(directory.path().join("none")).open(&log);
    assert!(matches!(missing, Err(OpenError::Ring(RingError::Io(_)))));
    std::fs::write(&elsewhere, b"nothing to see here".repeat(500)).unwrap();
    let text = OpenOptions::new().with_ring(&elsewhere).open(&log);
    assert!(matches!(text, Err(OpenError::Ring(RingError::NotARing(_)))));
}

/// Offsets of fields of the first record's logfile header, from the start of the file.
const CLOCK: usize = 72 + 32 + 0x110;
const START_TIME: usize = 72 + 32 + 0x108;
const START_TICKS: usize = 72 + 16;
const NAME: usize = 72 + 32 + 280;
const PERF_FREQ: usize = 72 + 32 + 0x100;

#[test]
fn a_ring_of_another_session_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let image = Image::killed(5, 8);
    let log = write(directory.path(), &image);
    for (offset, expected) in [
        (CLOCK, "its clock is 2, the log's 1"),
        (START_TIME, "its StartTime is 132000000000000001"),
        (START_TICKS, "it starts at tick 1001, the log at 1000"),
        (NAME, "the names of the sessions differ"),
    ] {
        let mut ring = image.ring.clone();
        ring[offset] += 1;
        std::fs::write(ring_path(&log), &ring).unwrap();
        let trace = Trace::open(&log).unwrap();
        let RingState::LeftAlone(why) = trace.ring() else { panic!("{:?}", trace.ring()) };
        assert!(why.to_string().contains(expected), "{why}");
        assert_eq!(events(&trace), events(&Trace::from_slice(&image.log).unwrap()));
        let named = OpenOptions::new().with_ring(ring_path(&log)).open(&log);
        assert!(matches!(named, Err(OpenError::Ring(RingError::Foreign(_)))));
    }
    let mut ring = image.ring.clone();
    ring[PERF_FREQ] += 1;
    std::fs::write(ring_path(&log), &ring).unwrap();
    assert!(Trace::open(&log).unwrap().ring().is_joined(), "a rate may be refined");

    let other = Log::new(8192).bytes;
    let other = RingCopy::take(&&other[..]).unwrap();
    let mut trace = Trace::from_slice(&image.log).unwrap();
    match trace.join_ring(other) {
        Err(RingError::Foreign(Difference::BufferSize(4096, 8192))) => {}
        found => panic!("{found:?}"),
    }
}

#[test]
fn a_torn_buffer_loses_against_a_whole_one() {
    let mut random = Random(1);
    let life = &images::lives(&mut random, 1, 1)[0];
    let all = life.events.len();
    let header = Log::new(SIZE).bytes;
    let whole = life.bytes(all, BufferState::FLUSH, &[0; SIZE]);
    let short = life.bytes(all / 2, BufferState::FLUSH, &[0; SIZE]);
    let mut torn = whole.clone();
    torn[2048] ^= 1;
    let join = |log: &[u8], ring: &[u8]| {
        let log = [&header[..], log].concat();
        let mut trace = Trace::from_bytes(log).unwrap();
        trace.join_ring(RingCopy::take(&&[&header[..], ring].concat()[..]).unwrap()).unwrap();
        trace
    };
    let ids = |count| life.ids(count).collect::<Vec<_>>();
    let trace = join(&short, &torn);
    assert_eq!((events(&trace), trace.damage().len()), (ids(all / 2), 0));
    let trace = join(&torn, &whole);
    assert_eq!((events(&trace), trace.damage().len()), (ids(all), 0));
    // Cut by the end of the file: what is wrong with the log's is no damage when the ring has it.
    let trace = join(&whole[..3000], &whole);
    assert_eq!((events(&trace), trace.damage().len()), (ids(all), 0));
    // Cut behind its last record: it counts as damaged, and the ring's is not.
    let few = life.bytes(2, BufferState::FLUSH, &[0; SIZE]);
    let trace = join(&few[..life.filled(2) + 8], &few);
    assert_eq!((events(&trace), trace.damage().len()), (ids(2), 0));
    assert!(trace.buffers()[1].in_ring());
    // Of equal ones the log's is taken, whatever is wrong elsewhere.
    let trace = join(&[&whole[..], &[0xA5; SIZE]].concat(), &whole);
    assert_eq!((events(&trace), trace.damage().len()), (ids(all), 1));
    assert!(!trace.buffers()[1].in_ring());
    // Nobody has it whole.
    let trace = join(&[], &torn);
    assert_eq!(trace.damage().len(), 1);
    assert!(trace.damage()[0].to_string().starts_with("ring position 0x1038: checksum"));
    assert!(trace.verify_checksum(1).is_err());
}

/// A log that has a number twice: the ring's is held against the better one.
#[test]
fn a_number_that_the_log_has_twice_counts_with_its_better_buffer() {
    let mut random = Random(1);
    let life = &images::lives(&mut random, 1, 1)[0];
    let all = life.events.len();
    let header = Log::new(SIZE).bytes;
    let sealed = |count| life.bytes(count, BufferState::FLUSH, &[0; SIZE]);
    let mut torn = sealed(all);
    torn[2048] ^= 1;
    let ring = [&header[..], &sealed(all / 2)].concat();
    for (buffers, replaced) in [
        ([torn.clone(), sealed(all)], None),
        ([sealed(all), torn.clone()], None),
        ([torn.clone(), sealed(all / 4)], Some(2)),
        ([sealed(all / 4), torn], Some(1)),
        ([sealed(all / 4), sealed(all / 4)], Some(1)),
    ] {
        let log = [&header[..], &buffers.concat()].concat();
        let mut trace = Trace::from_slice(&log).unwrap();
        trace.join_ring(RingCopy::take(&&ring[..]).unwrap()).unwrap();
        let of_ring = trace.buffers().iter().position(|entry| entry.in_ring());
        assert_eq!(of_ring, replaced);
        assert_eq!(trace.buffers().len(), 3);
    }
}

/// The state of a buffer that is being reset, at each of the writer's stores.
#[test]
fn a_buffer_about_to_be_free_has_nothing_and_is_no_damage() {
    let mut random = Random(1);
    let life = &images::lives(&mut random, 1, 1)[0];
    let header = Log::new(SIZE).bytes;
    let sealed = life.bytes(life.events.len(), BufferState::FLUSH, &[0; SIZE]);
    for state in [BufferState::GENERAL_LOGGING, BufferState::FLUSH, BufferState::FREE] {
        let mut reset = sealed.clone();
        reset[0x30..0x34].copy_from_slice(&72u32.to_le_bytes());
        reset[0x2C..0x30].copy_from_slice(&state.0.to_le_bytes());
        let mut trace = Trace::from_slice(&header).unwrap();
        let ring = [&header[..], &reset].concat();
        trace.join_ring(RingCopy::take(&&ring[..]).unwrap()).unwrap();
        assert_eq!((trace.buffers().len(), trace.damage()), (1, &[][..]));
    }
}

/// When it was used last is said by its records; if they do not, it is in use now.
#[test]
fn an_open_buffer_counts_with_its_last_stamp_or_with_the_latest() {
    let lives = images::lives(&mut Random(1), 2, 1);
    let mut record = crate::log::untimed(1);
    record.resize(record.len().next_multiple_of(8), 0);
    let untimed = Life { sequence: 3, lane: 1, first_id: 0, events: vec![record], last_ticks: 0 };
    let bytes = |life: &Life, state| life.bytes(life.events.len(), state, &[0; SIZE]);
    let ring = [
        Log::new(SIZE).bytes,
        bytes(&untimed, BufferState::GENERAL_LOGGING),
        bytes(&lives[0], BufferState::GENERAL_LOGGING),
        bytes(&lives[1], BufferState::FLUSH),
    ]
    .concat();
    let mut trace = Trace::from_bytes(Log::new(SIZE).bytes).unwrap();
    trace.join_ring(RingCopy::take(&&ring[..]).unwrap()).unwrap();
    let stamps: Vec<_> = trace.buffers()[1..].iter().map(|entry| entry.time_stamp).collect();
    let flushed = lives[1].last_ticks + 1;
    assert_eq!(stamps, [lives[0].last_ticks, flushed, flushed]);
}

/// A session that goes on while its ring is copied: before each read it makes some of its stores,
/// in the order that spec/13-recovery.md binds it to.
struct Live {
    state: RefCell<Session>,
}

struct Session {
    random: Random,
    lives: Vec<Life>,
    next: usize,
    ring: Vec<u8>,
    log: Vec<u8>,
    /// For each lane: its place, its buffer, how many events are in.
    hands: Vec<Option<(usize, usize, usize)>>,
    sealed: Vec<(usize, usize)>,
    /// Stores that are to be made in this order.
    stores: std::collections::VecDeque<Store>,
    /// When set, no writer moves on: as if the machine was stopped.
    quiet: bool,
}

enum Store {
    Bytes(usize, Vec<u8>),
    Free(usize),
}

impl Session {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let lives = images::lives(&mut random, 60, 3);
        let header = Log::new(SIZE).bytes;
        let mut ring = header.clone();
        for _ in 0..6 {
            ring.extend_from_slice(&free(&[0; SIZE]));
        }
        let (hands, sealed) = (vec![None; 3], Vec::new());
        let stores = std::collections::VecDeque::new();
        Self { random, lives, next: 0, ring, log: header, hands, sealed, stores, quiet: false }
    }

    fn store(&mut self, place: usize, offset: usize, bytes: &[u8]) {
        self.stores.push_back(Store::Bytes(place * SIZE + offset, bytes.to_vec()));
    }

    /// One store, or a decision that leads to some.
    fn step(&mut self) {
        match self.stores.pop_front() {
            Some(Store::Bytes(at, bytes)) => {
                self.ring[at..at + bytes.len()].copy_from_slice(&bytes);
                return;
            }
            Some(Store::Free(index)) => drop(self.sealed.remove(index)),
            None => {}
        }
        if self.random.below(12) == 0 && !self.sealed.is_empty() {
            return self.flush();
        }
        // The next buffer's lane goes on: in its hand, or with a new one.
        let Some(life) = self.lives.get(self.next) else { return };
        let lane = usize::from(life.lane);
        match self.hands[lane] {
            Some((place, buffer, count)) if buffer == self.next => self.fill(place, buffer, count),
            Some((place, buffer, _)) => self.seal(lane, place, buffer),
            None => self.begin(lane),
        }
    }

    fn begin(&mut self, lane: usize) {
        let used: Vec<_> = self.hands.iter().flatten().map(|hand| hand.0).collect();
        let free = (1..=6).find(|place| {
            !used.contains(place) && !self.sealed.iter().any(|sealed| sealed.0 == *place)
        });
        let Some(place) = free else { return self.flush() };
        let life = self.lives[self.next].clone();
        let bytes = life.bytes(0, BufferState::GENERAL_LOGGING, &[0; SIZE]);
        self.store(place, 0x00, &bytes[..0x2C]);
        self.store(place, 0x34, &bytes[0x34..0x48]);
        self.store(place, 0x2C, &bytes[0x2C..0x30]);
        self.hands[lane] = Some((place, self.next, 0));
    }

    fn fill(&mut self, place: usize, buffer: usize, count: usize) {
        let life = self.lives[buffer].clone();
        let lane = usize::from(life.lane);
        let Some(event) = life.events.get(count) else {
            self.next += 1;
            return;
        };
        let at = life.filled(count);
        let half = event.len() / 2;
        self.store(place, at, &event[..half]);
        self.store(place, at + half, &event[half..]);
        let filled = u32::try_from(life.filled(count + 1)).unwrap();
        self.store(place, 0x30, &filled.to_le_bytes());
        self.hands[lane] = Some((place, buffer, count + 1));
    }

    fn seal(&mut self, lane: usize, place: usize, buffer: usize) {
        let life = self.lives[buffer].clone();
        let sealed = life.bytes(life.events.len(), BufferState::FLUSH, &[0; SIZE]);
        self.store(
            place,
            life.filled(life.events.len()),
            &sealed[life.filled(life.events.len())..],
        );
        self.store(place, 0x00, &sealed[..0x2C]);
        self.store(place, 0x34, &sealed[0x34..0x48]);
        self.store(place, 0x2C, &sealed[0x2C..0x30]);
        self.hands[lane] = None;
        self.sealed.push((place, buffer));
    }

    /// The oldest sealed buffer goes to the log and its place is reset.
    fn flush(&mut self) {
        let Some(&(place, buffer)) = self.sealed.first() else { return };
        let life = self.lives[buffer].clone();
        let bytes = life.bytes(life.events.len(), BufferState::FLUSH, &[0; SIZE]);
        self.log.extend_from_slice(&bytes);
        self.store(place, 0x30, &72u32.to_le_bytes());
        self.store(place, 0x2C, &[0; 4]);
        self.store(place, 0x18, &[0; 8]);
        self.store(place, 0x38, &[0; 16]);
        self.stores.push_back(Store::Free(0));
    }
}

impl Source for Live {
    fn size(&self) -> u64 {
        self.state.borrow().ring.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let steps = if state.quiet { 0 } else { state.random.below(14) };
        // A read is not one moment either: its two halves are copied at two.
        let half = out.len() / 2;
        for _ in 0..steps / 2 {
            state.step();
        }
        let mut read = (&state.ring[..]).read_at(position, &mut out[..half])?;
        for _ in 0..steps / 2 {
            state.step();
        }
        read += (&state.ring[..]).read_at(position + half as u64, &mut out[half..])?;
        Ok(read)
    }
}

/// A ring that is copied while its session goes on gives whole events only, and of each lane a
/// beginning without a hole.
#[test]
fn a_live_ring_gives_a_beginning_of_each_lane() {
    let (mut total, mut from_ring) = (0, 0);
    for seed in 0..400 {
        let live = Live { state: RefCell::new(Session::new(seed)) };
        let mut warm = Random(seed);
        for _ in 0..warm.below(1500) {
            live.state.borrow_mut().step();
        }
        let before = committed(&live.state.borrow());
        let ring = RingCopy::take(&live).unwrap();
        let state = live.state.into_inner();
        let mut trace = Trace::from_slice(&state.log).unwrap();
        trace.join_ring(ring).unwrap();
        assert_eq!(trace.damage(), [], "seed {seed}");
        let found = events(&trace);
        for lane in 0..3 {
            let of_lane = state.lives.iter().filter(|life| life.lane == lane);
            let all: Vec<u32> = of_lane.flat_map(|life| life.ids(life.events.len())).collect();
            let found: Vec<u32> = found.iter().copied().filter(|id| all.contains(id)).collect();
            assert_eq!(found, all[..found.len()], "seed {seed}, lane {lane}");
        }
        // What was committed before the copy began is there.
        assert!(before.iter().all(|id| found.contains(id)), "seed {seed}");
        total += found.len();
        from_ring += trace.buffers().iter().filter(|entry| entry.in_ring()).count();
    }
    assert!(total > 50_000 && from_ring > 600, "{total} events, {from_ring} buffers: a weak test");
}

/// Events that are committed: all of earlier buffers, and those up to `FilledBytes`.
fn committed(state: &Session) -> Vec<u32> {
    let hands = state.hands.iter().flatten().map(|(place, buffer, _)| {
        let life = &state.lives[*buffer];
        let header = images::header(&state.ring, *place);
        let begun = header.sequence_number.get() == life.sequence && header.state.get() != 0;
        let filled = if begun { header.filled_bytes.get() as usize } else { 72 };
        let count = (0..=life.events.len()).rfind(|count| life.filled(*count) <= filled).unwrap();
        life.ids(count)
    });
    let busy: Vec<usize> = state.hands.iter().flatten().map(|hand| hand.1).collect();
    let done = state.lives[..state.next].iter().enumerate();
    let done = done.filter(|(buffer, _)| !busy.contains(buffer));
    let done = done.map(|(_, life)| life.ids(life.events.len()));
    done.chain(hands).flatten().collect()
}
