//! Every setting is checked, and the error says which one and what is allowed.

use etlring::session::{ConfigError, FileMode, Session, SessionBuilder, SessionError, SyncMode};
use etlring::sink::NullSink;
use std::time::Duration;

fn refused(builder: SessionBuilder) -> String {
    match builder.start() {
        Err(error @ SessionError::Config(_)) => error.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("started"),
    }
}

fn builder() -> SessionBuilder {
    Session::builder("config").sink(NullSink)
}

fn file() -> SessionBuilder {
    Session::builder("config").log_file("/nonexistent/x.etl")
}

fn new_file(name: &str) -> SessionBuilder {
    Session::builder("config").log_file(name).file_mode(FileMode::NewFile)
}

#[test]
fn bad_values_name_the_setting_and_the_range() {
    for (builder, text) in [
        (builder().buffer_size(0), "buffer_size is 0 bytes, must be 4096 to 16777216"),
        (builder().buffer_size(4095), "buffer_size is 4095 bytes, must be 4096 to 16777216"),
        (
            builder().buffer_size(32 << 20),
            "buffer_size is 33554432 bytes, must be 4096 to 16777216",
        ),
        (builder().buffer_size(5000), "buffer_size is 5000 bytes, must be a multiple of 1024"),
        (builder().maximum_buffers(1), "maximum_buffers is 1 buffers, must be 2 to 1048576"),
        (
            builder().maximum_buffers(u32::MAX),
            "maximum_buffers is 4294967295 buffers, must be 2 to 1048576",
        ),
        (builder().minimum_buffers(0), "minimum_buffers is 0 buffers, must be 1 to 512"),
        (builder().minimum_buffers(513), "minimum_buffers is 513 buffers, must be 1 to 512"),
        (
            builder().flush_interval(Duration::from_micros(999)),
            "flush_interval is 0 ms, must be 1 to 3600000",
        ),
        (
            builder().flush_interval(Duration::from_secs(3601)),
            "flush_interval is 3601000 ms, must be 1 to 3600000",
        ),
        (
            builder().buffer_size(16 << 20).maximum_buffers(1 << 20),
            if cfg!(target_pointer_width = "64") {
                "maximum_buffers times buffer_size is 17592186044416 bytes, must be 1 to 68719476736"
            } else {
                "maximum_buffers times buffer_size is 17592186044416 bytes, must be 1 to 1073741824"
            },
        ),
        (
            Session::builder("").sink(NullSink),
            "name has 0 UTF-16 units, must be 1 to 1024 without a NUL among them",
        ),
        (
            Session::builder("a\0b").sink(NullSink),
            "name has 3 UTF-16 units, must be 1 to 1024 without a NUL among them",
        ),
        (
            Session::builder(&"x".repeat(1025)).sink(NullSink),
            "name has 1025 UTF-16 units, must be 1 to 1024 without a NUL among them",
        ),
        (
            Session::builder("nul").log_file("a\0b.etl"),
            "log_file has 7 UTF-16 units, must be 1 to 1024 without a NUL among them",
        ),
        (
            file().maximum_file_size_kb(191),
            "maximum_file_size_kb is 191 KB, must be 192 to 4294967295",
        ),
        (
            file().buffer_size(16 << 20).maximum_file_size_mb(47),
            "maximum_file_size_mb is 47 MB, must be 48 to 4294967295",
        ),
        (
            new_file("%d").new_file_interval(Duration::from_millis(999)),
            "new_file_interval is 0 s, must be 1 to 31622400",
        ),
        (
            new_file("%d").maximum_file_size_mb(1).files_kept(1),
            "files_kept is 1 files, must be 2 to 1000000",
        ),
        (new_file("%d"), "FileMode::NewFile needs maximum_file_size or new_file_interval"),
        (
            new_file("x.etl").maximum_file_size_mb(1),
            "log_file must hold %d once, in the name itself, for FileMode::NewFile",
        ),
        (
            new_file("%d-%d.etl").maximum_file_size_mb(1),
            "log_file must hold %d once, in the name itself, for FileMode::NewFile",
        ),
        (
            new_file("%d/x-%d.etl").maximum_file_size_mb(1),
            "log_file must hold %d once, in the name itself, for FileMode::NewFile",
        ),
        (file().preallocate(true), "preallocate needs maximum_file_size"),
        (file().files_kept(3), "files_kept needs FileMode::NewFile"),
        (
            file().new_file_interval(Duration::from_secs(9)),
            "new_file_interval needs FileMode::NewFile",
        ),
        (
            file().file_mode(FileMode::Append).delay_open(true),
            "delay_open excludes FileMode::Append",
        ),
        (builder().delay_open(true), "delay_open needs log_file"),
        (builder().maximum_file_size_mb(9), "maximum_file_size needs log_file"),
        (builder().sync(SyncMode::Flush), "sync needs log_file"),
        (builder().file_mode(FileMode::Append), "file_mode needs log_file"),
        (
            Session::builder("none"),
            "one of log_file, sink and memory_ring must be set, or none with real_time",
        ),
        (
            builder().log_file("x.etl"),
            "one of log_file, sink and memory_ring must be set, or none with real_time",
        ),
        (
            builder().log_file("x.etl").real_time(),
            "one of log_file, sink and memory_ring must be set, or none with real_time",
        ),
        (Session::builder("r").memory_ring().real_time(), "real_time excludes memory_ring"),
        (
            Session::builder("r").log_file("r.etl").file_mode(FileMode::Append).real_time(),
            "real_time excludes FileMode::Append",
        ),
        (
            Session::builder("r")
                .log_file("r.etl")
                .file_mode(FileMode::Circular)
                .maximum_file_size_mb(1)
                .real_time(),
            "real_time excludes FileMode::Circular",
        ),
    ] {
        assert_eq!(refused(builder), text);
    }
    let long = Session::builder(&"x".repeat(1000)).log_file("y".repeat(1000)).buffer_size(4096);
    let error = match long.start() {
        Err(SessionError::Config(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error, ConfigError::NamesTooLong(4320, 4024));
}

#[test]
fn the_ends_of_the_ranges_are_allowed() {
    for builder in [
        builder().buffer_size(4096).maximum_buffers(2),
        builder().buffer_size(16 << 20).maximum_buffers(2).minimum_buffers(1),
        builder().flush_interval(Duration::ZERO),
        builder().flush_interval(Duration::from_millis(1)),
        builder().flush_interval(Duration::from_secs(3600)),
        Session::builder(&"x".repeat(1024)).sink(NullSink),
    ] {
        let described = format!("{builder:?}");
        let stats = builder.start().and_then(Session::stop);
        assert_eq!(stats.map(|s| s.attempted()).unwrap(), 0, "{described}");
    }
}

#[test]
fn a_log_file_that_cannot_be_made_is_an_error_of_start() {
    let error = Session::builder("io").log_file("/nonexistent/x.etl").start().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot create /nonexistent/x.etl: "), "{text}");
    assert!(std::error::Error::source(&error).is_some());
}
