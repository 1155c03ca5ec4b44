//! Why a session cannot be reached from outside, or refuses what it is asked.

use crate::outside::message::MessageError;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A session was not reached, or did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutsideError {
    /// This system has no sockets that are files, so nothing is reached from outside.
    Unsupported,
    /// The name cannot be that of a file: empty, longer than 64 bytes, with a slash, a backslash
    /// or control characters, or with a dot as its first letter.
    Name(String),
    /// The directory of sessions cannot be used: path, and why not.
    Directory(PathBuf, DirectoryFault),
    /// Something else lies where a session has its lock or its socket. It was left alone.
    Planted(PathBuf),
    /// The path of the session's socket is longer than the system allows: path, bytes allowed.
    PathTooLong(PathBuf, usize),
    /// No session of this user has that name.
    NotFound(String),
    /// The session's process has ended without ending it.
    Dead(Box<DeadSession>),
    /// A running session has the name.
    InUse(String),
    /// The session belongs to another user.
    Denied(String),
    /// The session did not answer in time. It may have done what it was asked all the same.
    NoAnswer(String),
    /// The session hung up: it has ended meanwhile, or has too many callers.
    HungUp(String),
    /// The answer, or a session's entry, is not what it should be.
    Message(MessageError),
    /// The session answered, but not what it was asked.
    WrongAnswer(&'static str),
    /// The session overwrites its oldest buffers, so no consumer is given them. A snapshot shows
    /// what a memory ring holds; a circular log can be followed as a file.
    NotRealTime(String),
    /// The session refused: the Win32 number that Windows has for it, and why.
    Refused(u32, String),
    /// The system refused something.
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        error: io::Error,
    },
}

/// What a session left that did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadSession {
    /// Its name.
    pub name: String,
    /// Its process; 0 where the entry does not say.
    pub process_id: u32,
    /// Its log, to be recovered; `None` if it had none.
    pub log_file: Option<PathBuf>,
}

/// Why a directory is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryFault {
    /// `ETLRING_DIR` must be an absolute path.
    Relative,
    /// It is a symbolic link.
    Link,
    /// It is no directory.
    NoDirectory,
    /// Another user owns it: this one.
    Owner(u32),
    /// Others than its owner may do something in it: its mode.
    Mode(u32),
}

impl OutsideError {
    /// The error of something that the system refused.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }

    /// What kind of trouble it is, for errors of the standard library.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        use io::ErrorKind as Kind;
        match self {
            Self::Unsupported | Self::NotRealTime(_) => Kind::Unsupported,
            Self::Name(_) | Self::PathTooLong(..) => Kind::InvalidInput,
            Self::Directory(_, DirectoryFault::Relative) => Kind::InvalidInput,
            Self::Directory(_, DirectoryFault::NoDirectory) => Kind::NotADirectory,
            Self::Directory(..) | Self::Denied(_) => Kind::PermissionDenied,
            Self::Planted(_) | Self::InUse(_) => Kind::AlreadyExists,
            Self::NotFound(_) | Self::Dead(_) => Kind::NotFound,
            Self::NoAnswer(_) => Kind::TimedOut,
            Self::HungUp(_) => Kind::ConnectionReset,
            Self::Message(_) | Self::WrongAnswer(_) => Kind::InvalidData,
            Self::Refused(..) => Kind::Other,
            Self::Io { error, .. } => error.kind(),
        }
    }
}

impl From<MessageError> for OutsideError {
    fn from(error: MessageError) -> Self {
        Self::Message(error)
    }
}

impl fmt::Display for OutsideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => {
                f.write_str("sessions of other processes are reached on Unix only")
            }
            Self::Name(name) => write!(
                f,
                "{name:?} is no name for a session that is reached from outside: 1 to 64 bytes, \
                 no slash or control character, no dot at its start"
            ),
            Self::Directory(path, fault) => write!(f, "{}: {fault}", path.display()),
            Self::Planted(path) => {
                write!(f, "{} is not what a session puts there; left alone", path.display())
            }
            Self::PathTooLong(path, most) => {
                write!(f, "{} is longer than the {most} bytes of a socket's path", path.display())
            }
            Self::NotFound(name) => write!(f, "no session named {name:?} is running"),
            Self::Dead(dead) => {
                let DeadSession { name, process_id, .. } = &**dead;
                write!(f, "the process {process_id} of session {name:?} has died")
            }
            Self::InUse(name) => write!(f, "a session named {name:?} is running already"),
            Self::Denied(name) => write!(f, "session {name:?} belongs to another user"),
            Self::NoAnswer(name) => write!(f, "session {name:?} does not answer"),
            Self::HungUp(name) => write!(f, "session {name:?} hung up"),
            Self::Message(error) => error.fmt(f),
            Self::WrongAnswer(what) => {
                write!(f, "the session's answer to {what} is of another kind")
            }
            Self::NotRealTime(name) => {
                write!(f, "session {name:?} overwrites its oldest buffers and streams none")
            }
            Self::Refused(code, why) => write!(f, "{why} (error {code})"),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl fmt::Display for DirectoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative => f.write_str("ETLRING_DIR must be an absolute path"),
            Self::Link => f.write_str("the directory of sessions must not be a symbolic link"),
            Self::NoDirectory => f.write_str("is no directory, so no sessions are there"),
            Self::Owner(uid) => write!(f, "the directory of sessions belongs to user {uid}"),
            Self::Mode(mode) => {
                write!(f, "the directory of sessions has mode {mode:04o}, must be 0700")
            }
        }
    }
}

impl std::error::Error for OutsideError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Message(error) => Some(error),
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<OutsideError> for io::Error {
    fn from(error: OutsideError) -> Self {
        Self::new(error.kind(), error)
    }
}
