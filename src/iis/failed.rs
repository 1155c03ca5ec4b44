//! Failed Request Tracing of a running session: requests are kept in memory until they are over,
//! and those that failed are written down.
//!
//! ```text
//!   session ──► Consumer ──► Requests ── failed? ── yes ──► fr000001.xml, fr000002.xml, …
//!                            by request     │               the oldest ones go
//!                                           └── no ──► forgotten
//! ```
//!
//! All of it happens on a thread of its own. What waits for it is bounded, and what did not fit is
//! counted; nobody who raises events ever waits.

use crate::codec::{RecordView, Records};
use crate::export::Entry;
use crate::export::freb::{self, Options, document};
use crate::export::requests::{FailureRules, Request, Requests};
use crate::format::FileTime;
use crate::schema::Decoder;
use crate::session::{ControlError, Controller, Delivery, NoDelivery};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How often requests that wait for late events are looked at while nothing comes.
const TURN: Duration = Duration::from_millis(250);

/// What is written of failed requests, and where to.
#[derive(Clone, Debug)]
pub struct FailedRequestSettings {
    /// Where documents go. Made if it is not there.
    pub directory: PathBuf,
    /// Which requests have failed.
    pub rules: FailureRules,
    /// How documents look.
    pub options: Options,
    /// Documents that are kept (`maxLogFiles`): with more of them the oldest ones are removed. 0 is
    /// no limit.
    pub most_files: u64,
}

impl FailedRequestSettings {
    /// Documents of every request, of at most 1 MiB each, the last 50 of them.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            rules: FailureRules::default(),
            options: Options::default(),
            most_files: 50,
        }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedRequestStats {
    /// Requests that are over.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Documents that were written; less than `failed` if the directory did not take them.
    pub documents: u64,
    /// Events of the session that came too fast, and are in no document.
    pub events_missed: u64,
}

/// Writes documents of the failed requests of a session until that stops.
///
/// The session must be one that consumers can attach to, and have the providers enabled, such as by
/// [`set_trace_configuration`](crate::iis::HttpTraceContext::set_trace_configuration). A request is
/// judged once it is over for two flush intervals and a second; requests without an end, when the
/// session stops.
///
/// ```
/// use etlring::format::Guid;
/// use etlring::iis::*;
/// use etlring::provider::Enable;
/// use etlring::session::Session;
///
/// # let directory = tempfile::tempdir()?;
/// let session = Session::builder("failed doc").real_time().start()?;
/// session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5))?;
/// let mut settings = FailedRequestSettings::new(directory.path());
/// settings.rules.verbosity = Some(2);
/// let failed = FailedRequestLog::start(&session, settings)?;
///
/// let server = HttpServer::new();
/// for (number, level) in [(1, 4), (2, 2)] {
///     let request = server.request_context(Guid::from_u128(number), "cart");
///     request.quick_trace("checking out", None, HResult::S_OK, level).ok()?;
/// }
/// session.stop()?;
/// let stats = failed.finish()?;
/// assert_eq!((stats.requests, stats.documents), (2, 1));
/// assert!(directory.path().join("fr000001.xml").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "finish it, to know how it went"]
pub struct FailedRequestLog {
    thread: JoinHandle<(FailedRequestStats, Option<io::Error>)>,
}

impl FailedRequestLog {
    /// Attaches to a session.
    ///
    /// # Errors
    ///
    /// Those of the system for the directory and the thread; [`ControlError`], wrapped, if no
    /// consumer can be attached.
    pub fn start(session: &Controller, settings: FailedRequestSettings) -> io::Result<Self> {
        fs::create_dir_all(&settings.directory)?;
        let consumer = session.consumer().map_err(|error: ControlError| match error {
            ControlError::NotRealTime => io::Error::new(io::ErrorKind::Unsupported, error),
            error => io::Error::other(error),
        })?;
        let linger = session.properties().flush_interval * 2 + Duration::from_secs(1);
        let preamble = session.handle();
        let next = next_number(&settings)?;
        let worker = move || {
            let mut worker = Worker::new(settings, next);
            let most = worker.settings.options.most_bytes;
            let most = if most == 0 { usize::MAX } else { most.saturating_mul(2) };
            let mut requests = Requests::new(most).linger(linger);
            let mut consumer = consumer;
            let mut decoder = Decoder::new();
            let mut known = 0;
            loop {
                let delivery = consumer.next_within(TURN);
                // What explains the events that were just delivered was kept before they were
                // written.
                let changes = preamble.preamble().changes();
                if changes != known {
                    known = changes;
                    let records = preamble.preamble().records();
                    Records::new(&records).map_while(Result::ok).for_each(|r| decoder.learn(r));
                }
                match delivery {
                    Ok(Delivery::Buffer(buffer)) => {
                        let Some(clock) = consumer.clock() else { continue };
                        for record in buffer.records().map_while(Result::ok) {
                            decoder.learn(record);
                            let Ok(view) = RecordView::parse(record) else { continue };
                            let entry = Entry {
                                view: &view,
                                event: &decoder.describe(&view),
                                time: clock.file_time(view.ticks().unwrap_or_default()),
                                lane: 0,
                                buffer_index: 0,
                                process_name: None,
                                timer_resolution: 0,
                            };
                            requests.add(&entry, |request| worker.take(&request));
                        }
                    }
                    Ok(Delivery::Missed(missed)) => worker.stats.events_missed += missed.events,
                    Err(NoDelivery::Yet) => {
                        requests.flush(now(), |request| worker.take(&request));
                    }
                    Err(NoDelivery::Ended) => break,
                }
            }
            requests.finish(|request| worker.take(&request));
            (worker.stats, worker.error)
        };
        let builder = std::thread::Builder::new().name("failed requests".to_owned());
        Ok(Self { thread: builder.spawn(worker)? })
    }

    /// Waits until the session has stopped and everything is written.
    ///
    /// # Errors
    ///
    /// The first one of the system when a document was written; those behind it may be there.
    ///
    /// # Panics
    ///
    /// If the thread has panicked.
    pub fn finish(self) -> io::Result<FailedRequestStats> {
        match self.thread.join() {
            Ok((stats, None)) => Ok(stats),
            Ok((_, Some(error))) => Err(error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

struct Worker {
    settings: FailedRequestSettings,
    stats: FailedRequestStats,
    error: Option<io::Error>,
    /// Number of the next document.
    next: u64,
}

impl Worker {
    fn new(settings: FailedRequestSettings, next: u64) -> Self {
        Self { settings, stats: FailedRequestStats::default(), error: None, next }
    }

    /// Writes the document of a request if that has failed.
    fn take(&mut self, request: &Request) {
        self.stats.requests += 1;
        let Some(failure) = self.settings.rules.judge(request) else { return };
        self.stats.failed += 1;
        let document = document(request, &failure, &self.settings.options);
        match self.write(&document) {
            Ok(()) => self.stats.documents += 1,
            Err(error) => drop(self.error.get_or_insert(error)),
        }
    }

    /// Under another name first, so that a document is there whole or not at all.
    fn write(&mut self, document: &[u8]) -> io::Result<()> {
        let directory = &self.settings.directory;
        let path = directory.join(freb::file_name(self.next));
        let unfinished = path.with_extension("part");
        fs::write(&unfinished, document)?;
        fs::rename(&unfinished, &path)?;
        if let Some(old) = self.next.checked_sub(self.settings.most_files) {
            if self.settings.most_files != 0 && old != 0 {
                match fs::remove_file(directory.join(freb::file_name(old))) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        self.next += 1;
        Ok(())
    }
}

/// One more than the highest number of the documents that are there.
fn next_number(settings: &FailedRequestSettings) -> io::Result<u64> {
    let mut highest = 0;
    for entry in fs::read_dir(&settings.directory)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("fr")?.strip_suffix(".xml")?.parse::<u64>().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest.saturating_add(1))
}

fn now() -> FileTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    FileTime::from_unix_nanos(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
}
