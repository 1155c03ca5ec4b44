//! Full buffers that are written several at once: the log is the one that they would have made one
//! by one, wherever such a write stops.

use crate::fake::{Call, Fake, Fault, Wrong};
use crate::log;
use crate::overwrite::Gate;
use crate::replay::{PER_BUFFER, Replay, write, write_all};
use etlring::format::BufferFlags;
use etlring::session::{FileMode, Session, SessionBuilder, SessionError, SessionStats, WhenFull};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const BUFFER: usize = 4096;
const FOREVER: u64 = u64::MAX;
/// Bytes of the largest write; such a one ends at a multiple of it.
const PIECE: usize = 512 << 10;
/// Buffers that are gathered of 64.
const GATHERED: usize = 8;

fn builder() -> SessionBuilder {
    Session::builder(&crate::name("gathered"))
        .buffer_size(BUFFER as u32)
        .maximum_buffers(64)
        .flush_interval(Duration::ZERO)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Sequential,
    Preallocated,
    Append,
}

fn log_of(mode: Mode) -> SessionBuilder {
    let log = builder().log_file("log.etl");
    match mode {
        Mode::Sequential => log,
        Mode::Preallocated => log.maximum_file_size_kb(128).preallocate(true),
        Mode::Append => log.file_mode(FileMode::Append),
    }
}

/// A session of which so many buffers are full while the first one is being written. They wait
/// until the gate is opened; five more events are in hand.
fn waiting(session: SessionBuilder, fake: &Fake, buffers: u64) -> (Session, Arc<Gate>) {
    let session = session.storage(fake.clone()).start().unwrap();
    let gate = Arc::new(Gate::default());
    gate.set_closed(true);
    fake.world().gate = Some(Arc::clone(&gate));
    (0..=PER_BUFFER).for_each(|n| write(&session, n).unwrap());
    gate.wait_for_one(0);
    let rest = PER_BUFFER + 1..PER_BUFFER * (1 + buffers) + 5;
    rest.for_each(|n| write(&session, n).unwrap());
    fake.world().gathered.clear();
    (session, gate)
}

/// Numbers of the events in the `nth` buffer.
fn of_buffer(nth: usize) -> Range<u64> {
    let nth = nth as u64;
    nth * PER_BUFFER..(nth + 1) * PER_BUFFER
}

/// The first write that gathers goes wrong, as may some behind it. Says what is left of the log,
/// before and after the end.
fn spoil(mode: Mode, wrong: Wrong, times: u64) -> (Replay, Vec<u8>, SessionStats) {
    let context = format!("{mode:?} {wrong:?} {times}");
    let fake = Fake::default();
    if mode == Mode::Append {
        let session = log_of(mode).storage(fake.clone()).start().unwrap();
        session.stop().unwrap();
    }
    let (session, gate) = waiting(log_of(mode), &fake, GATHERED as u64);
    // The first buffer's write is the one that waits.
    fake.set(Some(Fault { call: Call::Write, nth: 2, times, wrong }));
    gate.set_closed(false);
    // Whether it fails is a matter of when it is asked for.
    let _ = session.flush();
    assert_eq!(fake.world().gathered.first(), Some(&GATHERED), "{context}");
    assert!(fake.world().wrong > 0, "{context}");
    fake.set(None);
    // As a kill would find it.
    let killed = Replay::of(fake.files().remove(0).1);
    let (stats, error) = match session.stop() {
        Ok(stats) => (stats, None),
        Err(SessionError::Sink { error, stats }) => (stats, Some(error)),
        Err(other) => panic!("{context}: {other}"),
    };
    assert!(error.is_none_or(|error| error.kind() == ErrorKind::StorageFull), "{context}");
    assert_eq!(stats.attempted(), PER_BUFFER * (1 + GATHERED as u64) + 5, "{context}");
    assert_eq!(stats.lost.total(), stats.lost.io, "{context}");
    (killed, fake.files().remove(0).1, stats)
}

/// The log has every event but those of the buffers `lost`, and says so in the right place.
fn check(context: &str, bytes: &[u8], stats: &SessionStats, lost: Range<usize>) {
    let count = lost.len() as u64;
    assert_eq!((stats.lost.io, stats.buffers_lost), (count * PER_BUFFER, count), "{context}");
    let all = 0..PER_BUFFER * (1 + GATHERED as u64) + 5;
    let gone = of_buffer(lost.start).start..of_buffer(lost.end).start;
    let expected: Vec<_> = all.filter(|n| !gone.contains(n)).collect();
    let replay = Replay::of(bytes.to_vec());
    assert_eq!((replay.events, replay.torn, replay.finished), (expected, 0, true), "{context}");
    assert_eq!(u64::from(replay.events_lost), stats.lost.io, "{context}");
    assert_eq!(u64::from(replay.buffers_lost), stats.buffers_lost, "{context}");

    // The plain reader looks at each checksum, and at every byte between the records.
    let (_, buffers) = log::read_with_holes(bytes);
    for (at, buffer) in buffers.iter().enumerate() {
        let missing = buffer.header.flags().has(BufferFlags::BUFFER_LOST);
        let behind = at == lost.start && !lost.is_empty();
        assert_eq!(missing, behind, "{context}: buffer {at}");
    }
}

/// Where a write may stop: in and between headers, records and buffers.
fn places() -> impl Iterator<Item = usize> {
    let within = [0, 1, 72, BUFFER / 2, BUFFER - 1];
    (0..GATHERED).flat_map(move |buffer| within.map(|at| buffer * BUFFER + at)).skip(1)
}

const MODES: [Mode; 3] = [Mode::Sequential, Mode::Preallocated, Mode::Append];

#[test]
fn a_write_that_stops_anywhere_is_gone_on_with() {
    for mode in MODES {
        for at in places() {
            // Once, or again and again: each call writes so many bytes at most.
            for times in [1, FOREVER] {
                if times == FOREVER && at < BUFFER / 2 {
                    continue;
                }
                let (_, bytes, stats) = spoil(mode, Wrong::Cut(at, 0), times);
                check(&format!("{mode:?} {at} {times}"), &bytes, &stats, 0..0);
            }
        }
    }
}

#[test]
fn a_write_that_fails_behind_any_byte_loses_what_is_not_whole_and_no_more() {
    for mode in MODES {
        for at in places() {
            // The buffers in front of the end are in the log. Of those behind, a failed write of
            // several loses none, and one that fails by itself is lost.
            let whole = 1 + at / BUFFER;
            let last = whole == GATHERED;
            for (failures, lost) in [(1, u64::from(last)), (2, 1)] {
                // The last one is by itself: the other failure would be some later write's.
                if last && failures == 2 {
                    continue;
                }
                let context = format!("{mode:?} {at} {failures}");
                let (_, bytes, stats) = spoil(mode, Wrong::Cut(at, failures), 1);
                check(&context, &bytes, &stats, whole..whole + lost as usize);
            }
        }
    }
}

#[test]
fn a_full_disk_keeps_what_was_written_whole() {
    for mode in MODES {
        for at in places() {
            let whole = 1 + at / BUFFER;
            let context = format!("{mode:?} {at}");
            let (killed, bytes, stats) = spoil(mode, Wrong::Cut(at, FOREVER), 1);
            check(&context, &bytes, &stats, whole..1 + GATHERED);
            if mode == Mode::Preallocated {
                // There the part that was written could not be taken back either.
                continue;
            }
            // What is in hand could not be written, until there was room.
            let expected: Vec<_> = (0..of_buffer(whole).start).collect();
            assert_eq!((killed.events, killed.finished), (expected, false), "{context}");
        }
    }
}

#[test]
fn an_interrupted_or_refused_write_loses_nothing_that_can_be_written() {
    for mode in MODES {
        for kind in [ErrorKind::Interrupted, ErrorKind::StorageFull, ErrorKind::Unsupported] {
            let (_, bytes, stats) = spoil(mode, Wrong::Error(kind), 1);
            check(&format!("{mode:?} {kind:?}"), &bytes, &stats, 0..0);
        }
    }
}

/// Of buffers that count as lost none is read, also where a write left them all.
#[test]
fn of_a_write_that_failed_nothing_is_left() {
    for mode in MODES {
        let context = format!("{mode:?}");
        let (killed, bytes, stats) = spoil(mode, Wrong::Spoiled, FOREVER);
        check(&context, &bytes, &stats, 1..1 + GATHERED);
        let in_hand = of_buffer(1 + GATHERED).start;
        let left: Vec<_> = killed.events.into_iter().filter(|n| *n < in_hand).collect();
        assert_eq!(left, of_buffer(0).collect::<Vec<_>>(), "{context}");
    }
}

/// What a buffer says of itself, but for times.
type Said = (i64, u16, u32, u32, Vec<(Option<u8>, Vec<u8>)>);

fn said(bytes: &[u8]) -> Vec<Said> {
    let (_, buffers) = log::read(bytes);
    let said = buffers.iter().map(|buffer| {
        let header = buffer.header;
        let records = buffer.records.iter();
        (
            header.sequence_number.get(),
            header.lane(),
            u32::from(header.buffer_flags.get()),
            header.filled_bytes.get(),
            records.map(|record| (record.opcode(), record.payload().to_vec())).collect(),
        )
    });
    said.collect()
}

#[test]
fn what_is_gathered_is_what_is_written_one_by_one() {
    let of = |alone| {
        let fake = Fake::default();
        fake.world().alone = alone;
        let (session, gate) = waiting(builder().log_file("log.etl"), &fake, 20);
        gate.set_closed(false);
        let stats = session.stop().unwrap();
        assert_eq!(stats.events_accepted, 21 * PER_BUFFER + 5);
        let gathered = fake.world().gathered.clone();
        (fake.files().remove(0).1, gathered)
    };
    let ((gathered, calls), (alone, none)) = (of(false), of(true));
    assert_eq!((calls, none), (vec![8, 8, 4], vec![]));
    assert_eq!(gathered.len(), alone.len());
    assert_eq!(said(&gathered), said(&alone));
    // One lane: the places follow the numbers.
    assert!(said(&gathered).iter().map(|buffer| buffer.0).eq(1..=22));
}

/// What is written together is free together: of few buffers each is written by itself. Large writes
/// fill whole pieces of the file.
#[test]
fn no_more_is_gathered_than_others_can_do_without() {
    let cases = [(8, BUFFER, 1), (15, BUFFER, 1), (16, BUFFER, 2), (40, BUFFER, 5)];
    let large = [(64, 64 << 10, 8), (64, 256 << 10, 2), (64, 1 << 20, 1), (512, BUFFER, 16)];
    for (buffers, size, most) in cases.into_iter().chain(large) {
        let fake = Fake::default();
        let session = builder().buffer_size(size as u32).maximum_buffers(buffers);
        let session = session.log_file("log.etl").storage(fake.clone()).start().unwrap();
        let gate = Arc::new(Gate::default());
        gate.set_closed(true);
        fake.world().gate = Some(Arc::clone(&gate));
        // One is written, one is in hand, all others wait.
        let class = etlring::session::ClassicEvent::new(etlring::format::Guid::ZERO, 10, 4);
        let payload = vec![1; size.min(64 << 10) / 2];
        let mut written = 0;
        while session.query().buffers_free > 0 {
            session.write_classic(&class, &payload).unwrap();
            written += 1;
            if session.query().buffers_free == buffers - 2 {
                gate.wait_for_one(0);
                fake.world().gathered.clear();
            }
        }
        gate.set_closed(false);
        let stats = session.stop().unwrap();
        assert_eq!((stats.events_accepted, stats.lost.total()), (written, 0));
        let gathered = fake.world().gathered.clone();
        let found = gathered.iter().copied().max().unwrap_or(1);
        assert_eq!(found, most, "{buffers} of {size}: {gathered:?}");
        // And none was left alone that could be written with others.
        let together: usize = gathered.iter().sum();
        if most > 1 {
            assert_eq!(gathered.len(), (buffers as usize - 2).div_ceil(most), "{gathered:?}");
            assert_eq!(together, buffers as usize - 2, "{gathered:?}");
        }
        if most * size == PIECE {
            // Behind the log's header and the buffer that was written alone.
            let mut ends = gathered.iter().scan(2 * size, |end, count| {
                *end += count * size;
                Some(*end)
            });
            assert!(ends.by_ref().take(gathered.len() - 1).all(|end| end % PIECE == 0));
        }
    }
}

/// Limits count buffer by buffer: a file of a row begins where the one before is full.
#[test]
fn files_of_a_row_have_their_size() {
    let fake = Fake::default();
    let row = builder().log_file("%d.etl").file_mode(FileMode::NewFile).maximum_file_size_kb(24);
    let (session, gate) = waiting(row, &fake, 22);
    gate.set_closed(false);
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, 23 * PER_BUFFER + 5);
    let mut files = fake.files();
    files.sort_by_key(|(path, _)| (path.as_os_str().len(), path.clone()));
    let mut next = 0;
    for (path, bytes) in &files {
        assert!(bytes.len() <= 24 << 10, "{}", path.display());
        let log = Replay::of(bytes.clone());
        assert!(log.finished && log.torn == 0);
        let count = log.events.len() as u64;
        assert_eq!(log.events, (next..next + count).collect::<Vec<_>>(), "{}", path.display());
        next += count;
    }
    assert_eq!((next, files.len()), (stats.events_accepted, 5));
    // Of five in each file the first one begins it, and is written by itself.
    assert_eq!(fake.world().gathered, [4, 4, 4, 4, 2]);
}

#[test]
fn a_full_file_has_what_fits_and_counts_the_rest() {
    let fake = Fake::default();
    let full = builder().log_file("log.etl").maximum_file_size_kb(48);
    let (session, gate) = waiting(full, &fake, 16);
    gate.set_closed(false);
    session.flush().unwrap();
    // The header, ten buffers of events, and one place for what tells of the others.
    assert_eq!(fake.world().gathered, [8]);
    let stats = session.stop().unwrap();
    assert_eq!(stats.lost.file_full, 7 * PER_BUFFER + 5);
    assert_eq!(stats.lost.total(), stats.lost.file_full);
    let log = Replay::of(fake.files().remove(0).1);
    assert_eq!((log.events, log.buffers), ((0..10 * PER_BUFFER).collect(), 12));
    assert_eq!(log.told.iter().map(|told| u64::from(told.1)).sum::<u64>(), stats.lost.total());
}

/// What is written already has its place and is written there; what comes before it is there first.
#[test]
fn a_buffer_that_has_a_place_stays_there() {
    let fake = Fake::default();
    let session = builder().log_file("log.etl").storage(fake.clone()).start().unwrap();
    // Three lanes, each with a part of a buffer in the log.
    let handle = session.handle();
    let others: Vec<_> = (0..3u64)
        .map(|lane| {
            let (handle, (go, wait)) = (handle.clone(), std::sync::mpsc::channel::<()>());
            let (done, started) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                let first = 10_000 * (lane + 1);
                write_all(&handle, first..first + 5);
                done.send(()).unwrap();
                wait.recv().unwrap();
                write_all(&handle, first + 5..first + 4 * PER_BUFFER + 3);
            });
            started.recv().unwrap();
            (go, thread)
        })
        .collect();
    session.flush().unwrap();
    let gate = Arc::new(Gate::default());
    gate.set_closed(true);
    fake.world().gate = Some(Arc::clone(&gate));
    write_all(&session, 0..PER_BUFFER + 1);
    gate.wait_for_one(0);
    for (go, thread) in others {
        go.send(()).unwrap();
        thread.join().unwrap();
    }
    gate.set_closed(false);
    let stats = session.stop().unwrap();
    assert_eq!((stats.attempted(), stats.lost.total()), (stats.events_accepted, 0));
    let bytes = fake.files().remove(0).1;
    let log = Replay::of(bytes.clone());
    let mut events = log.events;
    events.sort_unstable();
    let lanes = (1..4).flat_map(|lane| lane * 10_000..lane * 10_000 + 4 * PER_BUFFER + 3);
    assert_eq!(events, (0..PER_BUFFER + 1).chain(lanes).collect::<Vec<_>>());
    let (_, buffers) = log::read(&bytes);
    let first: Vec<_> =
        buffers[..3].iter().map(|buffer| buffer.header.sequence_number.get()).collect();
    assert_eq!(first, [1, 2, 3]);
    assert!(!fake.world().gathered.is_empty());
}

/// Buffers that writers may take back are either in the log or told of, whatever was gathered.
#[test]
fn what_gives_way_is_never_what_is_being_written() {
    let fake = Fake::default();
    let newest = builder().log_file("log.etl").when_full(WhenFull::Overwrite);
    let (session, gate) = waiting(newest, &fake, GATHERED as u64);
    gate.set_closed(false);
    std::thread::scope(|scope| {
        for thread in 1..4 {
            let handle = session.handle();
            scope.spawn(move || {
                let first = thread * 1_000_000;
                for n in first..first + 20_000 {
                    // What is refused is counted.
                    let _ = write(&handle, n);
                }
            });
        }
    });
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), PER_BUFFER * (1 + GATHERED as u64) + 5 + 60_000);
    let bytes = fake.files().remove(0).1;
    let (header, buffers) = log::read_with_holes(&bytes);
    let in_headers: u64 = buffers.iter().map(|buffer| u64::from(buffer.events_lost)).sum();
    assert_eq!(log::events(&buffers).count() as u64, stats.events_accepted);
    assert_eq!(u64::from(header.events_lost()), stats.lost.total());
    assert_eq!(in_headers, stats.lost.total());
    assert!(fake.world().gathered.contains(&GATHERED));
}
