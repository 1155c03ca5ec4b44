//! The session that the environment asks for.

use crate::outside::settings::{Settings, SettingsError};
use crate::session::{ControlError, Controller, FileMode, Session, SessionError};
use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The variable of the environment that says what the default session is: a line of
/// [`Settings`].
pub const VARIABLE: &str = "ETLRING_SESSION";

/// The one of this process, once anybody has asked.
static DEFAULT: OnceLock<Result<Option<Session>, DefaultError>> = OnceLock::new();

thread_local! {
    /// Whether this thread is starting it: callbacks of providers that it enables may come here.
    static STARTING: Cell<bool> = const { Cell::new(false) };
}

/// The session that the environment asks for was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum DefaultError {
    /// The variable holds no settings.
    Settings(SettingsError),
    /// A log of an earlier process lies there.
    LogExists(PathBuf),
    /// It did not start.
    Session(SessionError),
    /// A provider could not be enabled: its name or GUID, as it was given.
    Provider(String, ControlError),
}

impl fmt::Display for DefaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => write!(f, "{VARIABLE}: {error}"),
            Self::LogExists(path) => write!(f, "the log {} is there already", path.display()),
            Self::Session(error) => write!(f, "the session did not start: {error}"),
            Self::Provider(name, error) => write!(f, "provider {name:?} was not enabled: {error}"),
        }
    }
}

impl std::error::Error for DefaultError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Settings(error) => Some(error),
            Self::Session(error) => Some(error),
            Self::Provider(_, error) => Some(error),
            Self::LogExists(_) => None,
        }
    }
}

/// The session that the environment of this process asks for by [`ETLRING_SESSION`](VARIABLE),
/// started at the first call and the same at each further one; `None` if it asks for none.
///
/// Nobody needs to call this: the first provider that [`provider!`](crate::provider!) declares, or
/// [`DynamicProvider`](crate::tracelogging::DynamicProvider) or a bridge registers, does so, and
/// tells on standard error if there was an error. A program that registers its providers with
/// [`Provider::register`](crate::provider::Provider::register) alone, or wants to know, calls it
/// once.
///
/// It lives until somebody stops it or the process ends. A process that ends without stopping it
/// loses nothing, as its events are in the log and the ring beside it; `etlring start` then
/// finishes the log. A program that wants to do so itself calls
/// [`stop_session`](Controller::stop_session) last.
///
/// A log that is there already is not replaced, since it may be that of a process that was started
/// by the same command. Programs that run with more rights than whoever started them do not look at
/// the variable.
///
/// # Errors
///
/// [`DefaultError`], the same at each call.
pub fn default_session() -> Result<Option<Controller>, &'static DefaultError> {
    if STARTING.get() {
        return Ok(None);
    }
    let started = DEFAULT.get_or_init(|| {
        STARTING.set(true);
        let started = start();
        STARTING.set(false);
        started
    });
    started.as_ref().map(|session| session.as_ref().map(|session| session.controller()))
}

/// Has the default session started before a provider is registered that needs no code.
#[cold]
pub(crate) fn at_first_provider() {
    let first = DEFAULT.get().is_none() && !STARTING.get();
    let result = default_session();
    if let (true, Err(error)) = (first, result) {
        // Whoever set the variable wants to know; nobody else is told anything.
        let _ = writeln!(std::io::stderr(), "etlring: {error}");
    }
}

fn start() -> Result<Option<Session>, DefaultError> {
    let line = std::env::var_os(VARIABLE).filter(|line| !line.is_empty() && !has_more_rights());
    let Some(line) = line else { return Ok(None) };
    let line = line.to_str().ok_or(DefaultError::Settings(SettingsError::Text))?;
    let settings = Settings::parse(line).map_err(DefaultError::Settings)?;
    let replaces = matches!(settings.mode, FileMode::Sequential | FileMode::Circular);
    if let (_, Some(log)) = settings.in_process(std::process::id()) {
        if replaces && std::fs::symlink_metadata(&log).is_ok() {
            return Err(DefaultError::LogExists(log));
        }
    }
    let session = settings.builder().start().map_err(DefaultError::Session)?;
    for wanted in &settings.enable {
        session
            .enable_provider(wanted.guid(), &wanted.enable)
            .map_err(|error| DefaultError::Provider(wanted.provider.clone(), error))?;
    }
    Ok(Some(session))
}

/// Whether the program has rights that whoever set its environment has not.
#[cfg(unix)]
fn has_more_rights() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    getuid() != geteuid() || getgid() != getegid()
}

#[cfg(not(unix))]
fn has_more_rights() -> bool {
    false
}
