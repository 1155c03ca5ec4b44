//! What a session does when it is asked from outside.

use crate::outside::message::{Answer, Entry, MOST_PROVIDERS, Request};
use crate::outside::status::{EnabledProvider, SessionStatus};
use crate::outside::stream::{self, Callers, MOST_CONSUMERS};
use crate::outside::wire::send_all;
use crate::provider;
use crate::session::{ControlError, Controller, Snapshots, WeakController, win32};
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// What a request leads to.
pub(crate) enum Reply {
    Answer(Answer),
    /// The connection leaves the thread that answers, with whatever came behind the request. This
    /// is called on that thread, and must not keep it: it is for handing both to another one.
    HandOver(Box<dyn FnOnce(UnixStream, Vec<u8>) + Send>),
}

/// The session that is asked. It is not kept alive by that.
pub(crate) struct Served {
    session: WeakController,
    snapshots: Option<Weak<Snapshots>>,
    /// Against which a relative path of the log is to be taken.
    directory: PathBuf,
    /// What the session was at its start.
    entry: Entry,
    /// What the names of ring files of attached processes start with.
    ring_base: PathBuf,
    /// Those who see its events.
    callers: Arc<Callers>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Served {
    pub(crate) fn new(
        session: &Controller,
        snapshots: Option<&Arc<Snapshots>>,
        ring_base: PathBuf,
    ) -> Self {
        let properties = session.properties();
        // Where there is none the paths stay as they are.
        let directory = std::env::current_dir().unwrap_or_default();
        let configured = session.configured_log_file();
        let log_file = properties.log_file.or(configured).map(|path| directory.join(path));
        let entry = Entry {
            process_id: std::process::id(),
            start_time: properties.start_time,
            name: properties.name,
            log_file,
        };
        Self {
            session: session.downgrade(),
            snapshots: snapshots.map(Arc::downgrade),
            directory,
            entry,
            ring_base,
            callers: Arc::default(),
        }
    }

    /// Those who see the session's events.
    pub(crate) fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.callers)
    }

    /// The log file that is written now.
    pub(crate) fn log_file(&self) -> Option<PathBuf> {
        Some(self.directory.join(self.session.upgrade()?.log_file()?))
    }

    /// What those are told who find the session dead.
    pub(crate) fn entry(&self) -> Entry {
        let log_file = self.log_file().or_else(|| self.entry.log_file.clone());
        Entry { log_file, ..self.entry.clone() }
    }

    fn status(&self, session: &Controller) -> SessionStatus {
        let mut properties = session.properties();
        properties.log_file = properties.log_file.map(|path| self.directory.join(path));
        let enabled = || {
            let all = provider::all().into_iter();
            all.filter(|provider| provider.sessions.contains(&properties.id))
        };
        let providers_enabled = u32::try_from(enabled().count()).unwrap_or(u32::MAX);
        let providers = enabled().take(MOST_PROVIDERS).map(|provider| EnabledProvider {
            guid: provider.guid,
            name: provider.names.into_iter().next().unwrap_or_default(),
        });
        SessionStatus {
            process_id: self.entry.process_id,
            providers: providers.collect(),
            sink_error: session.sink_error(),
            properties,
            providers_enabled,
        }
    }

    fn snapshot(&self, path: &Path) -> Result<Answer, Refusal> {
        let snapshots = self.snapshots.as_ref().ok_or_else(|| {
            let what = "a snapshot is made of a memory ring or a circular log";
            Refusal(win32::NOT_SUPPORTED, what.to_owned())
        })?;
        let snapshots = snapshots.upgrade().ok_or(ControlError::Stopped)?;
        let taken = snapshots.take(path)?;
        Ok(Answer::Snapshot(taken.buffers, taken.buffers_overwritten))
    }
}

/// Why a request was not done: the Win32 number for it, and a text.
struct Refusal(u32, String);

impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Self(error.code(), error.to_string())
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self(crate::session::io_code(&error), error.to_string())
    }
}

/// Does what `request` asks.
pub(crate) fn reply(served: &Served, request: Request) -> Reply {
    let done = match (served.session.upgrade(), request) {
        (None, _) => Err(Refusal::from(ControlError::Stopped)),
        (Some(session), Request::Attach) => Ok(attach(served, &session)),
        (Some(session), Request::Consume(bytes)) => consume(served, &session, bytes),
        (Some(session), request) => answer(served, &session, request).map(Reply::Answer),
    };
    done.unwrap_or_else(|Refusal(code, why)| Reply::Answer(Answer::Refused(code, why)))
}

/// Lets a process see the session's events: a thread of its own sends them from here on.
fn consume(served: &Served, session: &Controller, bytes: u32) -> Result<Reply, Refusal> {
    /// What a session grants.
    const MOST_BYTES: u32 = 8 << 20;
    let bytes = if bytes == 0 { MOST_BYTES } else { bytes.min(MOST_BYTES) };
    let seat = served.callers.enter().ok_or_else(|| {
        let why = format!("{MOST_CONSUMERS} consumers of other processes are there already");
        Refusal(win32::NO_SYSTEM_RESOURCES, why)
    })?;
    let consumer = session.consumer_outside(bytes as usize)?;
    Ok(Reply::HandOver(Box::new(move |stream, rest| {
        // One that goes on speaking is none of ours.
        if rest.is_empty() {
            let _ = stream::serve(consumer, stream, seat);
        }
    })))
}

/// Lets a process in that is to log into the session: from here on it speaks to a thread of its own
/// (spec/20-attach.md).
fn attach(served: &Served, session: &Controller) -> Reply {
    let terms = session.terms(served.ring_base.clone());
    Reply::HandOver(Box::new(move |stream, rest| {
        let until = Instant::now() + Duration::from_secs(1);
        // A process that does not wait to be let in is none of ours.
        if rest.is_empty() && send_all(&stream, &Answer::Done.encode(), until).is_ok() {
            // Without a thread it sees the connection end.
            let _ = terms.serve(stream);
        }
    }))
}

fn answer(served: &Served, session: &Controller, request: Request) -> Result<Answer, Refusal> {
    match request {
        Request::Query => return Ok(Answer::Status(Box::new(served.status(session)))),
        Request::Flush => session.flush()?,
        Request::Snapshot(path) => return served.snapshot(&path),
        Request::Enable(provider, enable) => session.enable_provider(provider, &enable)?,
        Request::Disable(provider) => session.disable_provider(provider)?,
        Request::Update(update) => session.update(&update)?,
        // Not reached: see `reply`.
        Request::Attach | Request::Consume(_) => return Err(ControlError::Stopped.into()),
        Request::Stop => {
            session.stop_session();
            return Ok(Answer::Status(Box::new(served.status(session))));
        }
    }
    Ok(Answer::Done)
}
