//! The caller's side: sessions of other processes, by name.

use crate::format::Guid;
use crate::outside::consumer::Consumer;
use crate::outside::error::{DeadSession, OutsideError};
use crate::outside::message::{Answer, Request};
use crate::outside::status::SessionStatus;
use crate::provider::Enable;
use crate::session::{SnapshotStats, Update};
use std::path::Path;
use std::time::Duration;

/// How long an answer is waited for, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session of this user, in whatever process, that can be controlled.
///
/// Made by [`connect`](crate::outside::connect). Each call is a connection of its own, so one that
/// is kept costs the session nothing.
#[derive(Clone, Debug)]
pub struct Client {
    name: String,
    patience: Duration,
    way: way::Way,
}

impl Client {
    pub(super) fn connect(name: &str) -> Result<(Self, SessionStatus), OutsideError> {
        let client = Self::to(name)?;
        let status = client.query()?;
        Ok((client, status))
    }

    /// Not asked yet whether it is there.
    pub(super) fn to(name: &str) -> Result<Self, OutsideError> {
        Ok(Self { name: name.to_owned(), patience: PATIENCE, way: way::Way::to(name)? })
    }

    /// The session's name, as it was asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same with another limit to how long an answer is waited for; 30 s if nothing is said. A
    /// session that was asked too much does it all the same.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// What the session is, and how it fares.
    ///
    /// # Errors
    ///
    /// [`OutsideError`], as with each call: the session has ended or died, does not answer, or
    /// refuses.
    pub fn query(&self) -> Result<SessionStatus, OutsideError> {
        match self.ask(&Request::Query)? {
            Answer::Status(status) => Ok(*status),
            _ => Err(OutsideError::WrongAnswer("a query")),
        }
    }

    /// Waits until everything committed so far is in the log.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn flush(&self) -> Result<(), OutsideError> {
        self.done(&Request::Flush, "a flush")
    }

    /// Has the session write what its ring holds to a new file, as
    /// [`Session::snapshot`](crate::session::Session::snapshot) does. A relative path is taken
    /// against this process's directory.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn snapshot(&self, path: impl AsRef<Path>) -> Result<SnapshotStats, OutsideError> {
        match self.ask(&Request::Snapshot(absolute(path.as_ref())?))? {
            Answer::Snapshot(buffers, buffers_overwritten) => {
                Ok(SnapshotStats { buffers, buffers_overwritten })
            }
            _ => Err(OutsideError::WrongAnswer("a snapshot")),
        }
    }

    /// Enables a provider for the session, or changes what the session wants of it, as
    /// [`Controller::enable_provider`](crate::session::Controller::enable_provider) does.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn enable(&self, provider: Guid, enable: &Enable) -> Result<(), OutsideError> {
        enable.check().map_err(|error| OutsideError::Refused(error.code(), error.to_string()))?;
        self.done(&Request::Enable(provider, enable.clone()), "an enable")
    }

    /// Disables a provider for the session; nothing happens if it was not enabled.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn disable(&self, provider: Guid) -> Result<(), OutsideError> {
        self.done(&Request::Disable(provider), "a disable")
    }

    /// Changes settings of the session, as
    /// [`Controller::update`](crate::session::Controller::update) does. A relative path of a log
    /// file is taken against this process's directory.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn update(&self, update: &Update) -> Result<(), OutsideError> {
        let mut update = update.clone();
        if let Some(path) = &update.log_file {
            update.log_file = Some(absolute(path)?);
        }
        self.done(&Request::Update(update), "an update")
    }

    /// Stops the session and waits until its log is complete; says how it fared at its end.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query).
    pub fn stop(&self) -> Result<SessionStatus, OutsideError> {
        match self.ask(&Request::Stop)? {
            Answer::Status(status) => Ok(*status),
            _ => Err(OutsideError::WrongAnswer("a stop")),
        }
    }

    /// Lets this process see the session's events while they are recorded, within some
    /// milliseconds: see [`Consumer`]. Up to 8 MiB of them wait for it.
    ///
    /// # Errors
    ///
    /// As [`query`](Self::query), and [`OutsideError::NotRealTime`] if the session overwrites its
    /// oldest buffers.
    pub fn consumer(&self) -> Result<Consumer, OutsideError> {
        Consumer::open(&self.way, &self.name, 0, self.patience)
    }

    /// The same with another limit to what waits: 1 to 8 MiB. One piece of a buffer always may, and
    /// what the connection itself holds comes on top.
    ///
    /// # Errors
    ///
    /// As [`consumer`](Self::consumer).
    pub fn consumer_with_capacity(&self, bytes: u32) -> Result<Consumer, OutsideError> {
        Consumer::open(&self.way, &self.name, bytes.max(1), self.patience)
    }

    fn done(&self, request: &Request, what: &'static str) -> Result<(), OutsideError> {
        match self.ask(request)? {
            Answer::Done => Ok(()),
            _ => Err(OutsideError::WrongAnswer(what)),
        }
    }

    fn ask(&self, request: &Request) -> Result<Answer, OutsideError> {
        match self.way.ask(&self.name, request, self.patience)? {
            Answer::Refused(code, why) => Err(OutsideError::Refused(code, why)),
            answer => Ok(answer),
        }
    }
}

/// A path that means the same to every process; its length is what a message takes.
fn absolute(path: &Path) -> Result<std::path::PathBuf, OutsideError> {
    let shown = path.display();
    let path =
        std::path::absolute(path).map_err(OutsideError::io(format!("take {shown} as a path")))?;
    if path.as_os_str().len() > crate::outside::message::MOST_PATH {
        let error = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(OutsideError::io(format!("take {shown} as a path"))(error));
    }
    Ok(path)
}

/// What lies in the directory of sessions under one name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Found {
    /// A session that runs.
    Running(Box<SessionStatus>),
    /// One whose process has ended without ending it.
    Dead(DeadSession),
    /// One that did not answer within a second: its name, in small letters.
    Silent(String),
    /// An entry that cannot be used: its name, in small letters, and why.
    Unusable(String, String),
}

pub(in crate::outside) use way::Way;
#[cfg(unix)]
pub(in crate::outside) use way::until;

#[cfg(unix)]
mod way {
    use super::{super::wire, Found};
    use crate::outside::error::{DeadSession, OutsideError};
    use crate::outside::message::{Answer, Entry, Request};
    use crate::outside::place::{Key, Place};
    use std::io::ErrorKind;
    use std::time::{Duration, Instant};

    /// How long a session that holds its lock may take to begin to listen, or to be gone.
    const SETTLES: Duration = Duration::from_secs(2);

    /// The way to a session.
    #[derive(Clone, Debug)]
    pub(in crate::outside) struct Way {
        place: Place,
        key: Key,
    }

    impl Way {
        pub(in crate::outside) fn to(name: &str) -> Result<Self, OutsideError> {
            let key = Key::new(name)?;
            let place = Place::to_look()?;
            let place = place.ok_or_else(|| OutsideError::NotFound(name.to_owned()))?;
            Ok(Self { place, key })
        }

        /// The directory of sessions.
        pub(in crate::outside) fn directory(&self) -> &std::path::Path {
            self.place.path()
        }

        /// Whose sessions lie there.
        pub(in crate::outside) fn owner(&self) -> u32 {
            self.place.owner()
        }

        /// A connection to the session, or why there is none.
        pub(in crate::outside) fn open(
            &self,
            name: &str,
            until: Instant,
        ) -> Result<std::os::unix::net::UnixStream, OutsideError> {
            let settled = until.min(Instant::now() + SETTLES);
            loop {
                match wire::connect(&self.place, &self.key, until) {
                    Ok(stream) => return Ok(stream),
                    Err(wire::NoStream::Nobody) => {}
                    Err(wire::NoStream::Busy) => {
                        return Err(OutsideError::NoAnswer(name.to_owned()));
                    }
                    Err(wire::NoStream::Denied) => {
                        return Err(OutsideError::Denied(name.to_owned()));
                    }
                    Err(wire::NoStream::Other(error)) => {
                        return Err(OutsideError::io("reach the session")(error));
                    }
                }
                match self.place.dead(&self.key) {
                    Ok(None) => return Err(OutsideError::NotFound(name.to_owned())),
                    Ok(Some(entry)) => {
                        let dead = dead(name, entry.ok());
                        return Err(OutsideError::Dead(Box::new(dead)));
                    }
                    // It is alive, so it starts or ends.
                    Err(OutsideError::Io { error, .. })
                        if error.kind() == ErrorKind::WouldBlock =>
                    {
                        if Instant::now() >= settled {
                            return Err(OutsideError::NoAnswer(name.to_owned()));
                        }
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    Err(error) => return Err(error),
                }
            }
        }

        /// What the session answers on a connection to it.
        pub(in crate::outside) fn ask_on(
            stream: &std::os::unix::net::UnixStream,
            name: &str,
            request: &Request,
            until: Instant,
        ) -> Result<Answer, OutsideError> {
            // One that was refused at the door has an answer to read all the same.
            let _ = wire::send_all(stream, &request.encode(), until);
            let message = wire::read_answer(stream, until).map_err(|error| match error {
                OutsideError::Io { error, .. } => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        OutsideError::NoAnswer(name.to_owned())
                    }
                    _ => OutsideError::HungUp(name.to_owned()),
                },
                error => error,
            })?;
            Ok(Answer::decode(&message)?)
        }

        pub(super) fn ask(
            &self,
            name: &str,
            request: &Request,
            patience: Duration,
        ) -> Result<Answer, OutsideError> {
            let until = until(patience);
            let stream = self.open(name, until)?;
            Self::ask_on(&stream, name, request, until)
        }
    }

    /// When so much time has passed; too far away to be counted is a day.
    pub(in crate::outside) fn until(patience: Duration) -> Instant {
        let now = Instant::now();
        now.checked_add(patience).unwrap_or(now + Duration::from_secs(86_400))
    }

    fn dead(name: &str, entry: Option<Entry>) -> DeadSession {
        match entry {
            Some(Entry { name, process_id, log_file, .. }) => {
                DeadSession { name, process_id, log_file }
            }
            None => DeadSession { name: name.to_owned(), process_id: 0, log_file: None },
        }
    }

    pub(super) fn list() -> Result<Vec<Found>, OutsideError> {
        let Some(place) = Place::to_look()? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for key in place.keys()? {
            let name = key.as_str().to_owned();
            let way = Way { place: place.clone(), key };
            all.push(match way.ask(&name, &Request::Query, Duration::from_secs(1)) {
                Ok(Answer::Status(status)) => Found::Running(status),
                Ok(Answer::Refused(_, why)) => Found::Unusable(name, why),
                Ok(_) => Found::Unusable(name, OutsideError::WrongAnswer("a query").to_string()),
                Err(OutsideError::Dead(dead)) => Found::Dead(*dead),
                // Ended meanwhile.
                Err(OutsideError::NotFound(_) | OutsideError::HungUp(_)) => continue,
                Err(OutsideError::NoAnswer(_)) => Found::Silent(name),
                Err(error) => Found::Unusable(name, error.to_string()),
            });
        }
        Ok(all)
    }

    pub(super) fn remove_dead(name: &str) -> Result<bool, OutsideError> {
        let key = Key::new(name)?;
        Place::to_look()?.map_or(Ok(false), |place| place.remove_dead(&key))
    }
}

#[cfg(not(unix))]
mod way {
    use super::Found;
    use crate::outside::error::OutsideError;
    use crate::outside::message::{Answer, Request};
    use std::time::Duration;

    /// There is none.
    #[derive(Clone, Debug)]
    pub(in crate::outside) enum Way {}

    impl Way {
        pub(super) fn to(_name: &str) -> Result<Self, OutsideError> {
            Err(OutsideError::Unsupported)
        }

        pub(super) fn ask(
            &self,
            _name: &str,
            _request: &Request,
            _patience: Duration,
        ) -> Result<Answer, OutsideError> {
            match *self {}
        }
    }

    pub(super) fn list() -> Result<Vec<Found>, OutsideError> {
        Err(OutsideError::Unsupported)
    }

    pub(super) fn remove_dead(_name: &str) -> Result<bool, OutsideError> {
        Err(OutsideError::Unsupported)
    }
}

/// All sessions of this user that can be reached from outside, and what dead ones have left, by
/// name. Each that runs is asked how it fares.
///
/// # Errors
///
/// [`OutsideError::Directory`] if the directory is not what it should be, [`OutsideError::Io`].
pub fn list() -> Result<Vec<Found>, OutsideError> {
    way::list()
}

/// Removes what a dead session left in the directory of sessions, not its log; `false` if there is
/// no such, or it is alive. A new session of the name does so by itself.
///
/// # Errors
///
/// As [`list`].
pub fn remove_dead(name: &str) -> Result<bool, OutsideError> {
    way::remove_dead(name)
}
