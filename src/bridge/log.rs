//! A logger for `log`: its records become self-describing events of a provider.
//!
//! ```
//! use etlring::bridge::{self, log::Logger};
//! use etlring::provider::Enable;
//! use etlring::session::Session;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("orders.etl");
//! let session = Session::builder("orders").log_file(&path);
//! let guard = bridge::record(session, "Example-Orders", &Enable::new().level(4))?;
//! Logger::new("Example-Orders").install()?;
//!
//! log::info!(target: "orders", number = 17; "placed");
//! log::debug!("too verbose for the session, and not even formatted");
//! assert_eq!(log::max_level(), log::LevelFilter::Info);
//! assert_eq!(guard.stop()?.events_accepted, 1);
//! assert_eq!(log::max_level(), log::LevelFilter::Off);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What becomes of what
//!
//! The event's name is the record's target; its fields are `message`, then `file` and `line` if
//! they are known, then the key-values: integers of 64 bits, floats and booleans as such, nothing
//! as an empty field, all else as text. Error, Warn, Info, Debug, Trace are levels 2 to 6. The
//! event belongs to the thread's [`activity`](crate::provider::activity).
//!
//! The memory for an event is the thread's and is kept: in the long run nothing is allocated, but
//! for records that are logged while another one is being formatted.

use super::TRACE;
use crate::tracelogging::{DynamicProvider, EventBuilder, Level};
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static EVENT: RefCell<EventBuilder> = const { RefCell::new(EventBuilder::EMPTY) };
}

/// Gives a target its keyword.
type Keyword = dyn Fn(&str) -> u64 + Send + Sync;

/// Writes the records of `log` as events of a provider.
pub struct Logger {
    provider: DynamicProvider,
    keyword: Box<Keyword>,
    /// Whether it is the program's logger, and `log`'s level follows it.
    is_installed: Arc<AtomicBool>,
}

impl Logger {
    /// A logger that writes as the provider of this name, whose GUID is
    /// [`guid_of_name`](crate::tracelogging::guid_of_name).
    #[must_use]
    pub fn new(provider: &str) -> Self {
        let is_installed = Arc::new(AtomicBool::new(false));
        let follows = Arc::clone(&is_installed);
        let provider = DynamicProvider::register_with(provider, move |change| {
            // Acquire pairs with the release in `install`: both see what sessions want by then.
            if follows.load(Ordering::Acquire) {
                // Level 0 is all of them.
                let levels = match (change.enabled, change.level) {
                    (false, _) => 0,
                    (true, 0) => 256,
                    (true, level) => u16::from(level) + 1,
                };
                log::set_max_level(filter(levels));
            }
        });
        Self { provider, keyword: Box::new(|_| 0), is_installed }
    }

    /// How a target comes to its keyword. Without it all have keyword 0, which passes every
    /// session.
    #[must_use]
    pub fn keyword(self, keyword: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        Self { keyword: Box::new(keyword), ..self }
    }

    /// What sessions know the logger by.
    #[must_use]
    pub fn provider(&self) -> &DynamicProvider {
        &self.provider
    }

    /// Makes it the logger of the program. From then on `log`'s maximum level is what sessions
    /// want: what none of them does costs nothing but a load and a branch.
    ///
    /// A logger that is part of another one is not installed; then the level is the other's.
    ///
    /// # Errors
    ///
    /// If the program has a logger.
    pub fn install(self) -> Result<(), SetLoggerError> {
        let logger: &'static Self = Box::leak(Box::new(self));
        log::set_logger(logger)?;
        // Release pairs with the acquire in the callback.
        logger.is_installed.store(true, Ordering::Release);
        log::set_max_level(filter(logger.provider.provider().levels()));
        Ok(())
    }
}

/// What passes, where levels below `levels` are wanted.
fn filter(levels: u16) -> LevelFilter {
    match levels {
        0..=2 => LevelFilter::Off,
        3 => LevelFilter::Error,
        4 => LevelFilter::Warn,
        5 => LevelFilter::Info,
        6 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

fn level_of(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::ERROR,
        log::Level::Warn => Level::WARNING,
        log::Level::Info => Level::INFO,
        log::Level::Debug => Level::VERBOSE,
        log::Level::Trace => TRACE,
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(metadata.level());
        u16::from(level.0) < self.provider.provider().levels()
            && self.provider.is_enabled(level, (self.keyword)(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let write = |event: &mut EventBuilder| {
            event
                .begin(record.target(), level_of(record.level()))
                .keyword((self.keyword)(record.target()))
                .text("message", record.args());
            if let Some(file) = record.file() {
                event.field("file", file);
            }
            if let Some(line) = record.line() {
                event.field("line", line);
            }
            // The visitor has no errors; a source that has leaves its other pairs out.
            let _ = record.key_values().visit(&mut Pairs(event));
            // Who discarded it has counted it.
            let _ = self.provider.write(event);
        };
        let in_place = EVENT.try_with(|event| {
            event.try_borrow_mut().map(|mut event| {
                write(&mut event);
                event.shrink();
            })
        });
        // Within another record's `Display`, or while the thread ends.
        if !matches!(in_place, Ok(Ok(()))) {
            write(&mut EventBuilder::new());
        }
    }

    /// Nothing is held back here; a session flushes by itself, or through
    /// [`Guard::flush`](super::Guard::flush).
    fn flush(&self) {}
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger").field("provider", &self.provider.name()).finish_non_exhaustive()
    }
}

/// Adds pairs to an event.
struct Pairs<'a>(&'a mut EventBuilder);

impl<'k> VisitSource<'k> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'k>, value: Value<'k>) -> Result<(), kv::Error> {
        value.visit(&mut Pair { event: self.0, key: key.as_str() })
    }
}

struct Pair<'a> {
    event: &'a mut EventBuilder,
    key: &'a str,
}

impl<'v> VisitValue<'v> for Pair<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.event.text(self.key, value);
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.event.field(self.key, ());
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.event.field(self.key, value);
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.event.field(self.key, value);
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.event.field(self.key, value);
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.event.field(self.key, value);
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.event.field(self.key, value);
        Ok(())
    }
}
