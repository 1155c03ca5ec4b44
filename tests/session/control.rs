//! Names, properties, updates: what a controller may do, and what it is refused.

use crate::log;
use etlring::codec::LogfileView;
use etlring::format::{Guid, LogFileMode};
use etlring::reader::Trace;
use etlring::session::{
    self, ClassicEvent, Clock, ControlError, Discarded, FileMode, Session, SessionError, Update,
};
use etlring::sink::{MemorySink, NullSink};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EVENT: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);

#[test]
fn a_name_is_one_sessions_at_a_time_whatever_its_case() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let first = Session::builder("Größe").log_file(&path).start().unwrap();
    first.write_classic(&EVENT, b"kept").unwrap();
    first.flush().unwrap();
    let before = fs::read(&path).unwrap();
    for name in ["Größe", "GRÖßE", "größe"] {
        let error = Session::builder(name).log_file(&path).start().unwrap_err();
        assert!(matches!(&error, SessionError::NameInUse(in_use) if in_use == name));
        assert_eq!(error.code(), 183);
        assert_eq!(error.to_string(), format!("a session named {name:?} is running already"));
    }
    // Nothing was done to the log of the session that has the name.
    assert_eq!(fs::read(&path).unwrap(), before);
    let names = || -> Vec<_> {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    assert!(
        names().iter().all(|name| name == "log.etl" || name == "log.etl.ring"),
        "{:?}",
        names()
    );

    let other = Session::builder("Größer").sink(NullSink).start().unwrap();
    first.stop().unwrap();
    // Free again after a stop, a drop, and a start that failed.
    drop(Session::builder("größe").sink(NullSink).start().unwrap());
    let failed = Session::builder("größe").log_file("/nonexistent/x.etl").start().unwrap_err();
    assert_eq!(failed.code(), 161);
    Session::builder("größe").sink(NullSink).start().unwrap().stop().unwrap();
    other.stop().unwrap();
}

#[test]
fn sessions_are_found_by_name() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("Find Me").sink(sink).start().unwrap();
    let found = session::find("find me").unwrap();
    assert_eq!((found.id(), found.name()), (session.id(), "Find Me"));
    assert!(session::all().iter().any(|controller| controller.id() == session.id()));
    assert!(session::find("find").is_none());
    found.write_classic(&EVENT, b"through the controller").unwrap();

    // Stopped by somebody else; the owner still learns how it went.
    found.stop_session();
    assert!(session::find("find me").is_none());
    assert!(session::all().iter().all(|controller| controller.id() != found.id()));
    assert_eq!(found.write_classic(&EVENT, b"late"), Err(Discarded::Stopped));
    found.stop_session();
    let bytes = log.to_vec();
    assert_eq!(log::events(&log::read(&bytes).1).count(), 1);
    assert_eq!(session.stop().unwrap().events_accepted, 1);
    assert_eq!(log.take(), bytes);
}

#[test]
fn properties_tell_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = Session::builder("Properties")
        .log_file(&path)
        .buffer_size(8192)
        .minimum_buffers(4)
        .maximum_buffers(16)
        .flush_interval(Duration::from_secs(60))
        .clock(Clock::SystemTime)
        .real_time()
        .start()
        .unwrap();
    session.write_classic(&EVENT, b"one").unwrap();
    assert!(session.write_classic(&EVENT, &[0; 9000]).is_err());
    session.flush().unwrap();
    let _consumer = session.consumer().unwrap();
    let properties = session.properties();
    assert_eq!(properties.name, "Properties");
    assert_eq!(properties.id, session.id());
    assert_eq!(u64::from(properties.logger_id), session.id());
    assert_eq!(properties.mode, LogFileMode::SEQUENTIAL.with(LogFileMode::REAL_TIME));
    assert_eq!(properties.clock, Clock::SystemTime);
    assert_eq!(properties.buffer_size, 8192);
    assert_eq!((properties.minimum_buffers, properties.maximum_buffers), (4, 16));
    assert_eq!(properties.flush_interval, Duration::from_secs(60));
    assert_eq!(properties.log_file.as_deref(), Some(path.as_path()));
    assert_eq!((properties.consumers, properties.real_time_buffers_lost), (1, 0));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let started = properties.start_time.0 / 10_000_000 - 11_644_473_600;
    assert!(started.abs_diff(since_1970 as i64) < 60, "{started}");
    let stats = properties.stats;
    assert_eq!((stats.events_accepted, stats.lost.too_large), (1, 1));
    assert_eq!((stats.buffers_total, stats.buffers_free, stats.buffers_written), (16, 15, 2));
    #[cfg(target_os = "linux")]
    {
        let thread = format!("/proc/self/task/{}/comm", properties.flusher_thread_id);
        assert_eq!(fs::read_to_string(thread).unwrap(), "etlring-flusher\n");
    }
    session.stop().unwrap();
}

#[test]
fn the_flush_interval_changes_while_the_session_runs() {
    let (sink, log) = MemorySink::new();
    let session =
        Session::builder("interval changes").sink(sink).flush_interval(Duration::from_secs(3600));
    let session = session.start().unwrap();
    session.write_classic(&EVENT, b"waits").unwrap();
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(log.to_vec().len(), 65536);
    // Shorter takes effect at once, not after the long one.
    session.update(&Update::new().flush_interval(Duration::from_millis(5))).unwrap();
    while log.to_vec().len() < 2 * 65536 {
        std::thread::sleep(Duration::from_millis(1));
    }
    session.update(&Update::new().flush_interval(Duration::ZERO)).unwrap();
    assert_eq!(session.properties().flush_interval, Duration::ZERO);
    session.stop().unwrap();
}

#[cfg(all(unix, target_pointer_width = "64"))]
#[test]
fn more_buffers_come_while_the_session_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let ring = etlring::reader::ring_path(&path);
    let session = Session::builder("grows").log_file(&path).buffer_size(4096);
    let session = session.minimum_buffers(2).maximum_buffers(2).start().unwrap();
    // An event within an event takes a lane, and with it a buffer, of its own.
    let mut open: Vec<_> = (0..2).map(|_| session.reserve_classic(&EVENT, 8).unwrap()).collect();
    assert_eq!(session.write_classic(&EVENT, b"none"), Err(Discarded::NoFreeBuffer));
    assert_eq!(fs::metadata(&ring).unwrap().len(), 3 * 4096);
    session.update(&Update::new().maximum_buffers(4)).unwrap();
    assert_eq!(session.properties().maximum_buffers, 4);
    assert_eq!(session.query().buffers_total, 4);
    open.push(session.reserve_classic(&EVENT, 8).unwrap());
    open.push(session.reserve_classic(&EVENT, 8).unwrap());
    assert_eq!(session.write_classic(&EVENT, b"none"), Err(Discarded::NoFreeBuffer));
    // The file has them too, and says so: a reader finds what a kill would leave.
    assert_eq!(fs::metadata(&ring).unwrap().len(), 5 * 4096);
    open.into_iter().for_each(|record| record.commit().unwrap());
    let copy = directory.path().join("copy.etl");
    fs::copy(&ring, etlring::reader::ring_path(&copy)).unwrap();
    fs::copy(&path, &copy).unwrap();
    assert_eq!(
        Trace::open(etlring::reader::ring_path(&copy)).unwrap().logfile().buffers_written(),
        5
    );
    assert_eq!(crate::replay::count(&copy, EVENT.class), 4);

    let error = session.update(&Update::new().maximum_buffers(3)).unwrap_err();
    assert_eq!(error.to_string(), "maximum_buffers is 3 buffers, must be 4 to 8");
    session.update(&Update::new().maximum_buffers(8)).unwrap();
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.no_free_buffer), (4, 2));
    assert_eq!(crate::replay::count(&path, EVENT.class), 4);
    assert!(!ring.exists());

    // A ring that overwrites is the log: it stays as it is.
    let session = Session::builder("stays").memory_ring().maximum_buffers(8).start().unwrap();
    let error = session.update(&Update::new().maximum_buffers(9)).unwrap_err();
    assert_eq!(error.to_string(), "maximum_buffers is 9 buffers, must be 8 to 8");
    session.stop().unwrap();
}

#[test]
fn what_cannot_be_updated_is_named_and_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    let session = Session::builder("updates").log_file(&path).buffer_size(4096).start().unwrap();
    let refused = |update: Update| {
        // What is asked for beside it must not happen.
        let error = session.update(&update.clone().flush_interval(Duration::from_millis(77)));
        assert_eq!(session.properties().flush_interval, Duration::from_secs(1), "{update:?}");
        let error = error.unwrap_err();
        (error.code(), error.to_string())
    };
    let new = Update::new;
    let fixed = |what| (87, format!("{what} cannot change while the session runs"));
    assert_eq!(refused(new().buffer_size(8192)), fixed("buffer_size"));
    assert_eq!(refused(new().clock(Clock::SystemTime)), fixed("clock"));
    assert_eq!(refused(new().minimum_buffers(33)), fixed("minimum_buffers"));
    // Room for more is taken where addresses are plenty.
    let most = if cfg!(all(unix, target_pointer_width = "64")) { 2048 } else { 512 };
    for count in [0, 511, most + 1, u32::MAX] {
        let text = format!("maximum_buffers is {count} buffers, must be 512 to {most}");
        assert_eq!(refused(new().maximum_buffers(count)), (87, text));
    }
    for path in ["", "a\0b", &"x".repeat(1025)] {
        let units = path.len();
        let text = format!(
            "log_file has {units} UTF-16 units, must be 1 to 1024 without a NUL among them"
        );
        assert_eq!(refused(new().log_file(path)), (161, text));
    }
    let (code, text) = refused(new().log_file("/nonexistent/y.etl"));
    assert_eq!((code, text.starts_with("cannot go on in /nonexistent/y.etl: ")), (161, true));
    for (interval, ms) in [(Duration::from_micros(900), 0), (Duration::from_secs(3601), 3_601_000)]
    {
        let error = session.update(&new().flush_interval(interval)).unwrap_err();
        let text = format!("flush_interval is {ms} ms, must be 1 to 3600000");
        assert_eq!((error.code(), error.to_string()), (87, text));
    }
    // All that is as it is may be said again.
    let same = new().buffer_size(4096).clock(Clock::PerformanceCounter).minimum_buffers(32);
    session.update(&same.maximum_buffers(512)).unwrap();
    session.update(&new()).unwrap();
    assert_eq!(session.properties().log_file.as_deref(), Some(path.as_path()));
    session.stop().unwrap();
}

#[test]
fn a_session_without_a_log_file_has_none_to_change() {
    let session = Session::builder("no file").sink(NullSink).start().unwrap();
    let error = session.update(&Update::new().log_file("x.etl")).unwrap_err();
    assert!(matches!(error, ControlError::NoLogFile));
    assert_eq!((error.code(), error.to_string()), (161, "the session has no log file".into()));
    assert!(!Path::new("x.etl").exists());
    let error = session.increment_file().unwrap_err();
    assert_eq!(error.code(), 50);
    assert!(error.to_string().starts_with("cannot go on in the next file: "), "{error}");
    session.stop().unwrap();
}

#[test]
fn a_stopped_session_obeys_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let session =
        Session::builder("obeys").log_file(directory.path().join("a.etl")).start().unwrap();
    let controller = session.controller();
    session.stop().unwrap();
    let other = directory.path().join("b.etl");
    for error in [
        controller.update(&Update::new()).unwrap_err(),
        controller.update(&Update::new().log_file(&other)).unwrap_err(),
        controller.increment_file().unwrap_err(),
    ] {
        assert_eq!((error.code(), error.to_string()), (4201, "the session has stopped".into()));
    }
    assert!(controller.flush().is_err());
    assert!(!other.exists());
    // Its name is free, though a controller of it is left; and what it was can still be read.
    Session::builder("obeys").sink(NullSink).start().unwrap().stop().unwrap();
    assert_eq!(controller.properties().name, "obeys");
}

/// Numbers of the events in a finished log file, in time order.
fn numbers(path: &Path) -> Vec<u32> {
    let trace = Trace::open(path).unwrap();
    let mut records = trace.by_time();
    let mut numbers = Vec::new();
    let mut header = None;
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        if view.provider() == Some(EVENT.class) {
            numbers.push(u32::from_le_bytes(view.payload()[..4].try_into().unwrap()));
        } else if let Ok(found) = LogfileView::parse(view.raw()) {
            header = Some((found.end_time().is_some(), found.log_file_name().chars().collect()));
        }
    }
    // Finished, and called what it is called.
    assert_eq!(header, Some((true, path.display().to_string())));
    numbers
}

#[test]
fn the_log_file_changes_and_each_event_is_in_one_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let session = Session::builder("changes file").log_file(at("a.etl")).buffer_size(4096);
    let session = session.flush_interval(Duration::from_secs(3600)).start().unwrap();
    let consumer = session.consumer().unwrap();
    let write = |range: std::ops::Range<u32>| {
        for n in range {
            session.write_classic(&EVENT, &n.to_le_bytes()).unwrap();
        }
    };
    write(0..100);
    session.flush().unwrap();
    write(100..150);
    let change = |name: &str| session.update(&Update::new().log_file(at(name)));
    change("b.etl").unwrap();
    // What was committed is in the old file, which is finished already.
    assert_eq!(numbers(&at("a.etl")), (0..150).collect::<Vec<_>>());
    assert_eq!(session.properties().log_file, Some(at("b.etl")));
    assert!(at("b.etl.ring").exists() && !at("a.etl.ring").exists());
    write(150..200);
    // The file in use is no change, one that is no log is refused and nothing happens to it.
    change("b.etl").unwrap();
    fs::write(at("letter"), "dear friend").unwrap();
    let error = change("letter").unwrap_err();
    assert_eq!(error.code(), 161);
    assert_eq!(fs::read_to_string(at("letter")).unwrap(), "dear friend");
    assert_eq!(session.properties().log_file, Some(at("b.etl")));
    write(200..250);
    // A finished log is replaced.
    change("a.etl").unwrap();
    write(250..260);
    let stats = session.stop().unwrap();
    assert_eq!(numbers(&at("b.etl")), (150..250).collect::<Vec<_>>());
    assert_eq!(numbers(&at("a.etl")), (250..260).collect::<Vec<_>>());
    assert_eq!((stats.events_accepted, stats.attempted()), (260, 260));
    let given: usize = consumer
        .map(|delivery| match delivery {
            session::Delivery::Buffer(buffer) => buffer.records().count(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!(given, 260);
}

#[test]
fn files_change_while_threads_write_and_hold_reservations() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: u32| directory.path().join(format!("{name}.etl"));
    let session = Session::builder("changes in a race")
        .log_file(at(0))
        .buffer_size(4096)
        .maximum_buffers(2048);
    let session = session.flush_interval(Duration::from_millis(1)).start().unwrap();
    let mut open = session.reserve_classic(&EVENT, 4).unwrap();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3u32)
            .map(|thread| {
                let handle = session.handle();
                scope.spawn(move || {
                    for n in 0..20_000 {
                        let number = n * 4 + thread;
                        handle.write_classic(&EVENT, &number.to_le_bytes()).unwrap();
                    }
                })
            })
            .collect();
        for file in 1..20 {
            session.update(&Update::new().log_file(at(file))).unwrap();
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    bytes::BufMut::put_u32_le(&mut open, 3);
    open.commit().unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 60_001);
    let mut found: Vec<_> = (0..20).flat_map(|file| numbers(&at(file))).collect();
    found.sort_unstable();
    let mut expected: Vec<_> = (0..80_000).filter(|n| n % 4 != 3 || *n == 3).collect();
    expected.sort_unstable();
    assert!(found == expected, "{} events", found.len());
}

#[test]
fn numbered_files_go_on_when_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let session = Session::builder("increments")
        .log_file(at("a-%d.etl"))
        .file_mode(FileMode::NewFile)
        .maximum_file_size_mb(64)
        .start()
        .unwrap();
    let write = |n: u32| session.write_classic(&EVENT, &n.to_le_bytes()).unwrap();
    write(0);
    session.increment_file().unwrap();
    write(1);
    // Another series needs a number, too.
    let error = session.update(&Update::new().log_file(at("b.etl"))).unwrap_err();
    assert_eq!(error.code(), 87);
    // One that cannot be made changes nothing: the next file is of the old series.
    let nowhere = session.update(&Update::new().log_file(at("none/b-%d.etl"))).unwrap_err();
    assert_eq!(nowhere.code(), 161);
    session.increment_file().unwrap();
    write(9);
    session.update(&Update::new().log_file(at("b-%d.etl"))).unwrap();
    write(2);
    session.increment_file().unwrap();
    write(3);
    session.stop().unwrap();
    let files = [("a-1.etl", 0), ("a-2.etl", 1), ("a-3.etl", 9), ("b-1.etl", 2), ("b-2.etl", 3)];
    for (name, n) in files {
        assert_eq!(numbers(&at(name)), [n], "{name}");
    }
}

#[test]
fn a_ring_that_is_overwritten_has_no_consumers_and_no_files_to_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ring.etl");
    let circular = Session::builder("circular control").log_file(&path);
    let circular = circular.file_mode(FileMode::Circular).maximum_file_size_mb(1).start().unwrap();
    let memory = Session::builder("memory control").memory_ring().start().unwrap();
    for session in [&circular, &memory] {
        let error = session.consumer().unwrap_err();
        assert!(matches!(error, ControlError::NotRealTime));
        assert_eq!(error.code(), 50);
        assert_eq!(session.increment_file().unwrap_err().code(), 50);
        session.update(&Update::new().flush_interval(Duration::from_millis(3))).unwrap();
        assert_eq!(session.properties().flush_interval, Duration::from_millis(3));
        assert_ne!(session.properties().flusher_thread_id, 0);
    }
    let other = directory.path().join("other.etl");
    assert_eq!(circular.update(&Update::new().log_file(&other)).unwrap_err().code(), 50);
    assert_eq!(memory.update(&Update::new().log_file(&other)).unwrap_err().code(), 161);
    assert!(!other.exists());
    circular.stop().unwrap();
    memory.stop().unwrap();
}
