//! Every way a log file grows: the file holds the events that should be there and says how it grew.

use crate::replay::{PER_BUFFER, Replay, files, write, write_all};
use etlring::session::{
    AppendError, Clock, FileMode, Session, SessionBuilder, SessionError, SessionStats, SyncMode,
};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Small buffers, and nothing flushed unasked.
fn builder(path: &Path) -> SessionBuilder {
    Session::builder(&crate::name("modes"))
        .log_file(path)
        .buffer_size(4096)
        .flush_interval(Duration::ZERO)
}

fn numbers(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

#[test]
fn a_full_sequential_file_takes_no_more_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full.etl");
    let session = builder(&path).maximum_file_size_kb(20).start().unwrap();
    // Header, three buffers of events, one for the loss.
    write_all(&session, 0..10 * PER_BUFFER);
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, 3 * PER_BUFFER);
    assert_eq!(stats.lost.file_full, 7 * PER_BUFFER);
    assert_eq!((stats.lost.total(), stats.buffers_lost), (stats.lost.file_full, 0));
    assert_eq!(stats.attempted(), 10 * PER_BUFFER);

    let log = Replay::whole(&path);
    assert_eq!(log.events, numbers(0..3 * PER_BUFFER));
    assert_eq!(log.told, [(32, 7 * PER_BUFFER as u32, 5)]);
    assert_eq!((log.mode.0, log.maximum_file_size), (0x2001, 20));
    assert_eq!((u64::from(log.events_lost), log.buffers_lost), (stats.lost.file_full, 0));
    assert_eq!(fs::metadata(&path).unwrap().len(), 20 * 1024);
}

#[test]
fn an_event_of_the_class_that_tells_of_losses_is_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let session =
        builder(&directory.path().join("own.etl")).maximum_file_size_kb(12).start().unwrap();
    let event = etlring::session::ClassicEvent::new(etlring::format::LOST_EVENT_GUID, 99, 4);
    for _ in 0..20 {
        session.write_classic(&event, &[0; 2000]).unwrap();
        session.flush().unwrap();
    }
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), 20);
    assert!(stats.lost.file_full > 0, "{stats:?}");
}

#[test]
fn a_full_file_with_many_lanes_tells_each_cause_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lanes.etl");
    // 64 threads, each with a loss of its own: more than a buffer has room for.
    let session = builder(&path).maximum_file_size_kb(16).maximum_buffers(256).start().unwrap();
    let barrier = std::sync::Barrier::new(64);
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (session, barrier) = (session.handle(), &barrier);
            scope.spawn(move || {
                write(&session, thread).unwrap();
                let event = etlring::session::ClassicEvent::new(etlring::format::Guid::ZERO, 0, 0);
                session.write_classic(&event, &[0; 5000]).unwrap_err();
                barrier.wait();
            });
        }
    });
    let stats = session.stop().unwrap();
    assert_eq!((stats.lost.too_large, stats.attempted()), (64, 128));
    let log = Replay::whole(&path);
    let mut told = log.told;
    told.sort_unstable_by_key(|(_, _, cause)| *cause);
    assert_eq!(told, [(32, 64, 2), (32, stats.lost.file_full as u32, 5)]);
    assert_eq!(u64::from(log.events_lost), stats.lost.total());
    assert_eq!(log.events.len() as u64, stats.events_accepted);
}

#[test]
fn sizes_are_told_in_the_unit_they_were_set_in() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mb.etl");
    let session = builder(&path).maximum_file_size_mb(1).start().unwrap();
    write_all(&session, 0..300 * PER_BUFFER);
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, 254 * PER_BUFFER);
    let log = Replay::whole(&path);
    assert_eq!((log.mode.0, log.maximum_file_size, log.buffers), (1, 1, 256));
}

fn append(path: &Path, events: std::ops::Range<u64>) -> SessionStats {
    let session = builder(path).file_mode(FileMode::Append).start().unwrap();
    assert_eq!(session.log_file().as_deref(), Some(path));
    write_all(&session, events);
    session.stop().unwrap()
}

#[test]
fn append_goes_on_behind_what_is_there() {
    for clock in [Clock::PerformanceCounter, Clock::SystemTime, Clock::CpuCycles] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("append.etl");
        let builder = || builder(&path).clock(clock).file_mode(FileMode::Append);
        let mut next = 0;
        for round in 1..=5 {
            let session = builder().start().unwrap();
            write_all(&session, next..next + 100);
            next += 100;
            let before = Replay::of(fs::read(&path).unwrap());
            assert!(!before.finished, "{clock:?}, round {round}");
            session.stop().unwrap();
            let log = Replay::whole(&path);
            assert_eq!(log.events, numbers(0..next), "{clock:?}, round {round}");
            // A new file is sequential as well as one that was appended to.
            assert_eq!((log.mode.0, log.buffers), (5, 1 + 4 * round), "{clock:?}");
        }
        let sequences = sequences(&path);
        assert_eq!(sequences, numbers(0..21).iter().map(|n| *n as i64).collect::<Vec<_>>());
    }
}

/// Sequence numbers in the order of the file.
fn sequences(path: &Path) -> Vec<i64> {
    let bytes = fs::read(path).unwrap();
    bytes.chunks(4096).map(|b| i64::from_le_bytes(b[0x18..0x20].try_into().unwrap())).collect()
}

#[test]
fn append_goes_on_with_the_counts() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("counts.etl");
    for round in 1..=3u64 {
        let session =
            builder(&path).file_mode(FileMode::Append).maximum_file_size_kb(40).start().unwrap();
        write_all(&session, 0..4 * PER_BUFFER);
        let stats = session.stop().unwrap();
        let log = Replay::whole(&path);
        // Four and four buffers fit; of the ninth place the losses are told.
        let expected = [0, 0, 4 * PER_BUFFER][round as usize - 1];
        assert_eq!((stats.lost.file_full, u64::from(log.events_lost)), (expected, expected));
        assert_eq!(log.events.len() as u64, 4 * PER_BUFFER * round.min(2));
    }
}

#[test]
fn append_moves_an_unfinished_log_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("crash.etl");
    append(&path, 0..30);
    let session = builder(&path).file_mode(FileMode::Append).start().unwrap();
    write_all(&session, 30..60);
    session.flush().unwrap();
    let unfinished = fs::read(&path).unwrap();
    session.stop().unwrap();
    fs::write(&path, &unfinished).unwrap();

    append(&path, 60..70);
    assert_eq!(Replay::whole(&path).events, numbers(60..70));
    let aside = fs::read(directory.path().join("crash.etl.1")).unwrap();
    assert_eq!(aside, unfinished);
    assert_eq!(Replay::of(aside).events, numbers(0..60));
}

fn refused(builder: SessionBuilder) -> AppendError {
    match builder.file_mode(FileMode::Append).start() {
        Err(SessionError::Append(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Where the fields of the logfile header lie in a file.
const END_TIME: usize = 0x68 + 16;
const LOG_FILE_MODE: usize = 0x68 + 32;
const PERF_FREQ: usize = 0x68 + 256;
const START_TIME: usize = 0x68 + 264;

#[test]
fn append_refuses_a_log_that_differs_and_leaves_it_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("differs.etl");
    append(&path, 0..30);
    let good = fs::read(&path).unwrap();

    let error = refused(builder(&path).buffer_size(8192));
    assert_eq!(error, AppendError::BufferSize { file: 4096, session: 8192 });
    let text = "cannot append to what is there: its buffers have 4096 bytes, the session's 8192";
    assert_eq!(error.to_string(), text);
    let error = refused(builder(&path).clock(Clock::SystemTime));
    assert!(matches!(error, AppendError::ClockType { .. }), "{error}");

    let u64_at = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap());
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let second = 10_000_000;
    for (file, expected) in [
        (changed(PERF_FREQ, &(u64_at(PERF_FREQ) / 2).to_le_bytes()), "ticks per second"),
        (changed(END_TIME, &(u64_at(END_TIME) + 3600 * second).to_le_bytes()), "it ends 35"),
        (changed(LOG_FILE_MODE, &[2]), "compressed, circular"),
        (changed(LOG_FILE_MODE + 3, &[0x10]), "lanes"),
        (changed(4096, &[0; 72]), "its buffer 1 is damaged"),
        (good[..good.len() - 100].to_vec(), "no multiple"),
    ] {
        fs::write(&path, &file).unwrap();
        let error = refused(builder(&path)).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read(&path).unwrap(), file);
    }
    // As after a restart of the machine: the ticks belong to another time.
    for (start, off) in
        [(u64_at(START_TIME) - second, -1_000_000), (u64_at(START_TIME) + second, 1_000_000)]
    {
        let file = changed(START_TIME, &start.to_le_bytes());
        fs::write(&path, &file).unwrap();
        let error = refused(builder(&path));
        // To a millisecond: the log's own clock may be off by less.
        assert!(
            matches!(error, AppendError::ClockOff(by) if i64::abs(by - off) <= 1_000),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), file);
    }
    assert_eq!(files(directory.path()).len(), 1);
    fs::write(&path, &good).unwrap();
    append(&path, 30..40);
    assert_eq!(Replay::whole(&path).events, numbers(0..40));
}

#[test]
fn files_of_a_series_hold_every_event_once() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory.path().join("series-%d.etl");
    let builder = || {
        builder(&pattern).file_mode(FileMode::NewFile).maximum_file_size_kb(16).maximum_buffers(64)
    };
    let session = builder().flush_interval(Duration::from_millis(1)).start().unwrap();
    // Four threads, each with a buffer that is written now and then while it fills.
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let session = session.handle();
            scope.spawn(move || {
                for n in 0..200 {
                    write(&session, thread * 1_000_000 + n).unwrap();
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
        }
    });
    assert_eq!(session.stop().unwrap().events_accepted, 800);
    let first = files(directory.path());
    assert!(first.len() >= 10, "{} files", first.len());
    let mut all = Vec::new();
    for (number, path) in (1..).zip(&first) {
        assert_eq!(*path, directory.path().join(format!("series-{number}.etl")));
        let log = Replay::whole(path);
        assert_eq!((log.mode.0, log.maximum_file_size), (0x2008, 16));
        assert_eq!(log.name, path.display().to_string());
        assert!(log.buffers <= 4, "{} buffers", log.buffers);
        all.extend(log.events);
    }
    all.sort_unstable();
    let expected: Vec<_> =
        (0..4).flat_map(|t| numbers(t * 1_000_000..t * 1_000_000 + 200)).collect();
    assert_eq!(all, expected);

    // After a restart the numbering goes on, and nothing that is there is touched.
    let before: Vec<_> = first.iter().map(|path| fs::read(path).unwrap()).collect();
    fs::write(directory.path().join("series-007.etl"), "another's").unwrap();
    let session = builder().start().unwrap();
    write_all(&session, 0..4 * PER_BUFFER);
    let stats = session.stop().unwrap();
    let after = files(directory.path());
    assert_eq!(after.len(), first.len() + 3);
    for (path, bytes) in first.iter().zip(before) {
        assert_eq!(fs::read(path).unwrap(), bytes);
    }
    let at = |number: usize| directory.path().join(format!("series-{number}.etl"));
    let [one, two] = [first.len() + 1, first.len() + 2].map(|n| Replay::whole(&at(n)));
    assert_eq!(one.events, numbers(0..3 * PER_BUFFER));
    assert_eq!(two.events, numbers(3 * PER_BUFFER..4 * PER_BUFFER));
    // Numbers of buffers go on from file to file.
    assert_eq!(sequences(&at(first.len() + 2)), [0, 4]);
    assert_eq!(stats.buffers_written, 4 + 2);
}

#[test]
fn a_buffer_that_nobody_gives_up_is_split_between_two_files() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory.path().join("split-%d.etl");
    let session =
        builder(&pattern).file_mode(FileMode::NewFile).maximum_file_size_kb(12).start().unwrap();
    write_all(&session, 0..5);
    session.flush().unwrap();
    // The lane is busy from here on: its buffer cannot be taken.
    let event = etlring::session::ClassicEvent::new(etlring::format::Guid::ZERO, 0, 0);
    let open = session.reserve_classic(&event, 8).unwrap();
    let handle = session.handle();
    std::thread::spawn(move || write_all(&handle, 100..100 + 3 * PER_BUFFER)).join().unwrap();
    session.flush().unwrap();
    drop(open);
    write_all(&session, 5..10);
    session.stop().unwrap();
    let mut logs: Vec<_> = files(directory.path()).iter().map(|path| Replay::whole(path)).collect();
    assert!(logs.len() >= 2);
    assert!(logs[0].events.starts_with(&[0, 1, 2, 3, 4]));
    let mut all: Vec<_> = logs.drain(..).flat_map(|log| log.events).collect();
    all.sort_unstable();
    assert_eq!(all, [numbers(0..10), numbers(100..100 + 3 * PER_BUFFER)].concat());
}

#[test]
fn only_so_many_files_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory.path().join("kept%d.etl");
    fs::write(directory.path().join("kept.etl"), "mine").unwrap();
    fs::create_dir(directory.path().join("kept1.etl")).unwrap();
    // A session that was killed left these.
    fs::write(directory.path().join("kept2.etl"), "").unwrap();
    fs::write(directory.path().join("kept2.etl.ring"), "").unwrap();
    for round in 0..3 {
        let session = builder(&pattern)
            .file_mode(FileMode::NewFile)
            .maximum_file_size_kb(12)
            .files_kept(3)
            .start()
            .unwrap();
        write_all(&session, 0..8 * PER_BUFFER);
        session.stop().unwrap();
        let left = files(directory.path());
        // A directory is nobody's log: it stays, and its number is not used.
        let first = 4 + 4 * round;
        let names: Vec<_> = (first..first + 3).map(|n| format!("kept{n}.etl")).collect();
        let names = ["kept.etl", "kept1.etl"].into_iter().map(str::to_owned).chain(names);
        let names: Vec<_> = names.map(|name| directory.path().join(name)).collect();
        assert_eq!(left, names, "round {round}");
        assert_eq!(Replay::whole(&left[4]).events, numbers(6 * PER_BUFFER..8 * PER_BUFFER));
    }
}

#[test]
fn a_new_file_comes_with_time_if_there_are_events() {
    let directory = tempfile::tempdir().unwrap();
    let pattern = directory.path().join("timed-%d.etl");
    let session = builder(&pattern)
        .file_mode(FileMode::NewFile)
        .new_file_interval(Duration::from_secs(1))
        .start()
        .unwrap();
    let first = session.log_file();
    write_all(&session, 0..10);
    session.flush().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while session.log_file() == first {
        assert!(Instant::now() < deadline, "no new file");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1500));
    write_all(&session, 10..20);
    session.stop().unwrap();
    // The second file waited for its events.
    let logs: Vec<_> = files(directory.path()).iter().map(|path| Replay::whole(path)).collect();
    assert_eq!(logs.len(), 2);
    assert_eq!((&logs[0].events, &logs[1].events), (&numbers(0..10), &numbers(10..20)));
    assert_eq!((logs[0].mode.0, logs[0].maximum_file_size), (8, 0));
}

/// Copies a log as a kill would leave it, its ring too: that one first, because a buffer leaves it
/// when it is in the log.
fn copy_crashed(log: &Path, to: &Path) {
    let ring = etlring::reader::ring_path(log);
    fs::copy(ring, etlring::reader::ring_path(to)).unwrap();
    fs::copy(log, to).unwrap();
}

#[cfg(unix)]
#[test]
fn a_crash_in_any_mode_leaves_every_event_in_the_log_or_its_ring() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    append(&at("append.etl"), 0..50);
    let sized = |name: &str, kb| builder(&at(name)).maximum_file_size_kb(kb);
    for (builder, first) in [
        (builder(&at("one.etl")), 0),
        (builder(&at("append.etl")).file_mode(FileMode::Append), 50),
        (sized("allocated.etl", 80).preallocate(true), 0),
        (builder(&at("delayed.etl")).delay_open(true), 0),
        (sized("many-%d.etl", 16).file_mode(FileMode::NewFile), 0),
    ] {
        let context = format!("{builder:?}");
        let session = builder.maximum_buffers(32).start().unwrap();
        assert!(session.query().ring_file, "{context}");
        // Some is flushed in part, some is full and written, the rest is only in the ring.
        write_all(&session, first..60);
        session.flush().unwrap();
        write_all(&session, 60..70);
        std::thread::scope(|scope| {
            let other = session.handle();
            scope.spawn(move || write_all(&other, 70..200));
        });
        std::thread::sleep(Duration::from_millis(20));
        let copy = at("copy.etl");
        let current = session.log_file().unwrap();
        copy_crashed(&current, &copy);
        let trace = etlring::reader::Trace::open(&copy).unwrap();
        assert!(trace.ring().is_joined(), "{context}: {:?}", trace.ring());
        let mut events = Replay::of_trace(&trace).events;
        let name = current.file_name().unwrap().to_str().unwrap();
        if let Some(last) = name.strip_prefix("many-").and_then(|n| n.strip_suffix(".etl")) {
            let last: u32 = last.parse().unwrap();
            assert!(last > 1, "{name}");
            for number in 1..last {
                events.extend(Replay::whole(&at(&format!("many-{number}.etl"))).events);
            }
        }
        events.sort_unstable();
        assert_eq!(events, numbers(0..200), "{context}");
        session.stop().unwrap();
        assert!(!etlring::reader::ring_path(&current).exists(), "{context}");
    }
}

#[cfg(unix)]
#[test]
fn a_preallocated_file_has_its_blocks_and_is_trimmed() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    for (mode, name, told) in
        [(FileMode::Sequential, "one.etl", 0x21), (FileMode::NewFile, "many-%d.etl", 0x28)]
    {
        let path = directory.path().join(name);
        let session = builder(&path)
            .file_mode(mode)
            .maximum_file_size_mb(1)
            .preallocate(true)
            .sync(SyncMode::Flush)
            .start()
            .unwrap();
        let path = session.log_file().unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), 1 << 20);
        assert!(meta.blocks() * 512 >= 1 << 20, "sparse: {} blocks", meta.blocks());
        write_all(&session, 0..100);
        session.flush().unwrap();
        // The unused tail is no damage.
        assert_eq!(Replay::of(fs::read(&path).unwrap()).events, numbers(0..100));
        session.stop().unwrap();
        let log = Replay::whole(&path);
        assert_eq!((log.events, log.buffers), (numbers(0..100), 5));
        assert_eq!((log.mode.0, log.maximum_file_size), (told, 1));
        assert_eq!(fs::metadata(&path).unwrap().len(), 5 * 4096);
    }
}

#[test]
fn a_delayed_file_is_made_with_its_first_buffer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("delayed.etl");
    let session = builder(&path).delay_open(true).start().unwrap();
    assert_eq!((path.exists(), session.log_file()), (false, None));
    session.flush().unwrap();
    assert_eq!(session.stop().unwrap().buffers_written, 0);
    assert!(!path.exists());

    let session = builder(&path).delay_open(true).start().unwrap();
    write_all(&session, 0..3);
    assert!(!path.exists());
    session.flush().unwrap();
    assert!(path.exists());
    session.stop().unwrap();
    let log = Replay::whole(&path);
    assert_eq!((log.events, log.mode.0), (numbers(0..3), 0x201));

    // The directory may come later, too.
    let path = directory.path().join("later").join("log.etl");
    let session = builder(&path).delay_open(true).start().unwrap();
    write_all(&session, 0..3);
    assert!(session.flush().is_err());
    fs::create_dir(directory.path().join("later")).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    session.flush().unwrap();
    let Err(SessionError::Sink { stats, .. }) = session.stop() else { panic!("no error told") };
    assert_eq!((stats.events_accepted, stats.lost.total()), (3, 0));
    assert_eq!(Replay::whole(&path).events, numbers(0..3));
}
