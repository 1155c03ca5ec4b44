//! The loggers from crates.io: each writes into a file from a thread of its own, so that the caller
//! does not wait for the file, as its documentation recommends where speed matters.

use crate::Peer;
use fastrace::collector::{Config, Reporter, SpanRecord};
use fastrace::prelude::{LocalSpan, Span, SpanContext};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// tracing-appender: `non_blocking` in front of a file. No colours; thread ids, as all have them.
fn appender(directory: &Path, lossy: bool) -> tracing_appender::non_blocking::WorkerGuard {
    let file = File::create(directory.join("log")).expect("a file");
    let (writer, guard) =
        tracing_appender::non_blocking::NonBlockingBuilder::default().lossy(lossy).finish(file);
    tracing_subscriber::fmt().with_ansi(false).with_thread_ids(true).with_writer(writer).init();
    guard
}

/// Its default: a queue of 128,000 lines, and what finds it full is dropped.
pub struct AppenderDrops(tracing_appender::non_blocking::WorkerGuard);

impl Peer for AppenderDrops {
    fn start(directory: &Path) -> Self {
        Self(appender(directory, true))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        tracing::info!(a, b, text);
    }

    fn short(&self, a: u64) {
        tracing::info!(a);
    }

    fn finish(self) {
        drop(self.0);
    }
}

/// The same queue; who finds it full waits.
pub struct AppenderBlocks(tracing_appender::non_blocking::WorkerGuard);

impl Peer for AppenderBlocks {
    fn start(directory: &Path) -> Self {
        Self(appender(directory, false))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        tracing::info!(a, b, text);
    }

    fn short(&self, a: u64) {
        tracing::info!(a);
    }

    fn finish(self) {
        drop(self.0);
    }
}

/// fastrace: each event is a local span with the values as properties, under one root for each
/// thousand: it keeps no more than some ten thousand below one root. It has no file of its own; the
/// reporter writes a line for each span, the cheapest that can be read back.
pub struct Fastrace;

struct ToFile(BufWriter<File>);

impl Reporter for ToFile {
    fn report(&mut self, spans: Vec<SpanRecord>) {
        for span in spans.iter().filter(|span| span.name == "event") {
            let _ = write!(self.0, "{}", span.begin_time_unix_ns);
            for (name, value) in &span.properties {
                let _ = write!(self.0, " {name}={value}");
            }
            let _ = self.0.write_all(b"\n");
        }
        let _ = self.0.flush();
    }
}

impl Peer for Fastrace {
    fn start(directory: &Path) -> Self {
        let file = File::create(directory.join("log")).expect("a file");
        fastrace::set_reporter(ToFile(BufWriter::with_capacity(1 << 16, file)), Config::default());
        Self
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        let _span = LocalSpan::enter_with_local_parent("event").with_properties(|| {
            [("a", a.to_string()), ("b", b.to_string()), ("text", text.to_owned())]
        });
    }

    fn short(&self, a: u64) {
        let _span =
            LocalSpan::enter_with_local_parent("event").with_property(|| ("a", a.to_string()));
    }

    fn batch<T>(&self, run: impl FnOnce() -> T) -> T {
        let root = Span::root("root", SpanContext::random());
        let _local = root.set_local_parent();
        run()
    }

    fn finish(self) {
        fastrace::flush();
    }
}

/// ftlog: a queue of 100,000 and a file; what finds the queue full is discarded, its default.
pub struct Ftlog(Option<ftlog::LoggerGuard>);

impl Peer for Ftlog {
    fn start(directory: &Path) -> Self {
        let root = ftlog::appender::FileAppender::builder().path(directory.join("log")).build();
        let guard = ftlog::builder()
            .root(root)
            .bounded(100_000, false)
            .max_log_level(ftlog::LevelFilter::Info)
            .try_init();
        Self(Some(guard.expect("the first")))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        ftlog::info!("a={a} b={b} text={text}");
    }

    fn short(&self, a: u64) {
        ftlog::info!("a={a}");
    }

    fn finish(mut self) {
        drop(self.0.take());
    }
}

/// fast_log: a queue of 100,000 and a file; who finds it full waits, there is no other way.
pub struct FastLog;

impl Peer for FastLog {
    fn start(directory: &Path) -> Self {
        let path = directory.join("log");
        let path = path.to_str().expect("a path of text");
        fast_log::init(fast_log::Config::new().file(path).chan_len(Some(100_000))).expect("first");
        Self
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        log::info!("a={a} b={b} text={text}");
    }

    fn short(&self, a: u64) {
        log::info!("a={a}");
    }

    fn finish(self) {
        fast_log::flush().expect("flushes").wait();
    }
}

/// spdlog-rs: a file behind the thread pool, whose queue has its default length, 8,192.
fn spdlog_rs(directory: &Path, policy: spdlog::sink::OverflowPolicy) -> Spdlog {
    use spdlog::sink::{AsyncPoolSink, FileSink};
    let pool = Arc::new(spdlog::ThreadPool::new().expect("a pool"));
    let file = FileSink::builder().path(directory.join("log")).build().expect("a file");
    let sink = AsyncPoolSink::builder()
        .sink(Arc::new(file))
        .overflow_policy(policy)
        .thread_pool(Arc::clone(&pool))
        .build();
    let logger = spdlog::Logger::builder().sink(Arc::new(sink.expect("a sink"))).build();
    Spdlog { logger: Arc::new(logger.expect("a logger")), pool }
}

struct Spdlog {
    logger: Arc<spdlog::Logger>,
    pool: Arc<spdlog::ThreadPool>,
}

impl Spdlog {
    /// The pool, when its last owner goes, does all that is left to do; then the file is closed.
    fn finish(self) {
        drop(self.logger);
        drop(self.pool);
    }
}

/// What finds the queue full is dropped.
pub struct SpdlogDrops(Spdlog);

impl Peer for SpdlogDrops {
    fn start(directory: &Path) -> Self {
        Self(spdlog_rs(directory, spdlog::sink::OverflowPolicy::DropIncoming))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        spdlog::info!(logger: self.0.logger, "a={a} b={b} text={text}");
    }

    fn short(&self, a: u64) {
        spdlog::info!(logger: self.0.logger, "a={a}");
    }

    fn finish(self) {
        self.0.finish();
    }
}

/// Who finds the queue full waits: its default.
pub struct SpdlogBlocks(Spdlog);

impl Peer for SpdlogBlocks {
    fn start(directory: &Path) -> Self {
        Self(spdlog_rs(directory, spdlog::sink::OverflowPolicy::Block))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        spdlog::info!(logger: self.0.logger, "a={a} b={b} text={text}");
    }

    fn short(&self, a: u64) {
        spdlog::info!(logger: self.0.logger, "a={a}");
    }

    fn finish(self) {
        self.0.finish();
    }
}

/// flexi_logger: `WriteMode::Async`, a queue without bounds and a buffered file.
pub struct Flexi(flexi_logger::LoggerHandle);

impl Peer for Flexi {
    fn start(directory: &Path) -> Self {
        use flexi_logger::{FileSpec, LogSpecification, Logger, WriteMode};
        let file = FileSpec::default().directory(directory).basename("log").suppress_timestamp();
        let logger = Logger::with(LogSpecification::info())
            .log_to_file(file)
            .format(flexi_logger::with_thread)
            .write_mode(WriteMode::Async)
            .start();
        Self(logger.expect("the first"))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        log::info!("a={a} b={b} text={text}");
    }

    fn short(&self, a: u64) {
        log::info!("a={a}");
    }

    fn finish(self) {
        self.0.flush();
        self.0.shutdown();
    }
}
