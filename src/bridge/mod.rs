//! At home in every program: what `tracing` and `log` say, as self-describing events.
//!
//! | module | feature | what |
//! |---|---|---|
//! | `tracing` | `tracing` | a layer for events and spans |
//! | `log` | `log` | a logger, key-values included |
//!
//! A bridge is a provider like any other: sessions enable it, with a level and keywords, and may
//! change their mind while the program runs. [`record`] is the short way for a program that wants
//! one log of itself.

#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "tracing")]
pub mod tracing;

use crate::provider::Enable;
use crate::session::{ControlError, Session, SessionBuilder, SessionError, SessionStats};
use crate::tracelogging::{Level, guid_of_name};
use std::{fmt, io};

/// Starts a session and enables a provider for it, by name.
///
/// # Errors
///
/// [`StartError`], for either.
pub fn record(
    session: SessionBuilder,
    provider: &str,
    enable: &Enable,
) -> Result<Guard, StartError> {
    let session = session.start().map_err(StartError::Session)?;
    session.enable_provider(guid_of_name(provider), enable).map_err(StartError::Provider)?;
    Ok(Guard { session })
}

/// Ends the log when it is dropped.
///
/// Nothing depends on that: what was recorded is in the log or in its ring file, and readers take
/// both for one log. A program that forgets the guard, panics, exits or is killed loses no event.
#[derive(Debug)]
#[must_use = "dropping it ends the session"]
pub struct Guard {
    session: Session,
}

impl Guard {
    /// Waits until everything recorded so far is in the log.
    ///
    /// # Errors
    ///
    /// The sink's error, if it failed meanwhile.
    pub fn flush(&self) -> io::Result<()> {
        self.session.flush()
    }

    /// The session, to control it, to count, to take snapshots.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// As [`Session::stop`].
    pub fn stop(self) -> Result<SessionStats, SessionError> {
        self.session.stop()
    }
}

/// Recording did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The session did not.
    Session(SessionError),
    /// The provider could not be enabled.
    Provider(ControlError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(_) => f.write_str("the session did not start"),
            Self::Provider(_) => f.write_str("the provider could not be enabled"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Session(error) => Some(error),
            Self::Provider(error) => Some(error),
        }
    }
}

/// Level 6: more verbose than the levels that ETW has a name for, as other providers have it.
const TRACE: Level = Level(Level::VERBOSE.0 + 1);
