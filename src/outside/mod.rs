//! Sessions of other processes: found by name, asked, steered, stopped.
//!
//! A session that is [`controllable`](crate::session::SessionBuilder::controllable) has an entry in
//! a directory of its user's own: a lock file, and a socket at which it answers. So no daemon is
//! needed. `etlring list`, `query`, `flush`, `snapshot`, `enable`, `disable`, `update` and `stop`
//! are these calls; what is said over the socket is in spec/19-control.md. [`consume`] gives the
//! events of such a session while they are recorded, as `etlring tail` shows them.
//!
//! ```no_run
//! use etlring::outside;
//! use etlring::session::Session;
//!
//! let session = Session::builder("web").log_file("web.etl").controllable().start()?;
//!
//! // In this process or in any other one of this user.
//! let client = outside::connect("web")?;
//! client.flush()?;
//! assert_eq!(client.query()?.process_id, std::process::id());
//! assert_eq!(client.stop()?.properties.stats.events_accepted, 0);
//! # drop(session);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The default session
//!
//! [`default_session`] is the session that a program has without code of its own, if the variable
//! `ETLRING_SESSION` of its environment asks for one: `etlring start` sets it.
//!
//! # Who may
//!
//! The same user, and root. The directory has mode 0700 and the socket 0600, and the session asks
//! the system who has called. A directory that is a link, another user's, or open to others is
//! refused, by the session as by the caller.
//!
//! # The dead
//!
//! A session whose process was killed leaves its entry. It is known by its lock, which the system
//! takes from the dead, and told with the log that is to be recovered. The next session of the name
//! replaces it. A name that a running session has is
//! [`NameInUse`](crate::session::SessionError::NameInUse).
//!
//! # Limits
//!
//! - Unix only; elsewhere each call says so, and so does a session that is to be controllable.
//! - Sixty-four callers at a time, who have five seconds to ask and five to read; each request is
//!   bounded. Requests are done one at a time. Sixty-four consumers beside them, for each of which
//!   at most 8 MiB wait.
//! - A process that was forked from the session's holds its lock, too, as long as it lives and has
//!   not begun another program. Its parent's death is then not known; callers get no answer.

#[cfg(unix)]
mod answers;
mod attach;
mod client;
mod consumer;
mod default;
mod error;
pub mod message;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod server;
mod settings;
mod status;
#[cfg(unix)]
mod stream;
#[cfg(unix)]
mod wire;

pub use attach::{Attach, AttachError, AttachRefusal};
pub use client::{Client, Found, list, remove_dead};
pub use consumer::{Consumer, NoDelivery};
pub(crate) use default::at_first_provider;
pub use default::{DefaultError, VARIABLE, default_session};
pub use error::{DeadSession, DirectoryFault, OutsideError};
pub use settings::{Settings, SettingsError, WantedProvider};
pub use status::{EnabledProvider, SessionStatus};

use crate::session::{Door, SessionBuilder, SessionError};

/// The session of this user that has this name, in whatever case of its letters.
///
/// # Errors
///
/// [`OutsideError::NotFound`], [`OutsideError::Dead`], [`OutsideError::NoAnswer`], and what can be
/// wrong with the directory of sessions.
pub fn connect(name: &str) -> Result<Client, OutsideError> {
    Client::connect(name).map(|(client, _)| client)
}

/// The events of the session of this user that has this name, from now on.
///
/// # Errors
///
/// As [`connect`], and [`OutsideError::NotRealTime`] if the session overwrites its oldest buffers.
pub fn consume(name: &str) -> Result<Consumer, OutsideError> {
    Client::to(name)?.consumer()
}

/// Being reached from outside. In `outside`, because sessions know nothing of it.
impl SessionBuilder {
    /// Lets other processes of the same user find and control the session by its name: see
    /// [`outside`](crate::outside). The name must be one that a file can have, 1 to 64 bytes.
    ///
    /// Starting it then fails with [`SessionError::NameInUse`] if a running session of any process
    /// of the user has the name, and with [`SessionError::Io`] around an [`OutsideError`] if the
    /// directory of sessions cannot be used, or on systems other than Unix.
    pub fn controllable(self) -> Self {
        self.behind(take)
    }
}

fn take(name: &str) -> Result<Box<dyn Door>, SessionError> {
    closed::Closed::new(name).map(|door| Box::new(door) as Box<dyn Door>).map_err(|error| {
        match error {
            OutsideError::InUse(name) => SessionError::NameInUse(name),
            error => SessionError::Io { what: "be controllable".to_owned(), error: error.into() },
        }
    })
}

#[cfg(unix)]
mod closed {
    use super::{OutsideError, answers::Served, place::Taken, server};
    use crate::session::{Controller, Door, Snapshots};
    use std::fmt::Debug;
    use std::io;
    use std::sync::Arc;

    /// A name that is taken for a session that is yet to start.
    #[derive(Debug)]
    pub(super) struct Closed(Taken);

    impl Closed {
        pub(super) fn new(name: &str) -> Result<Self, OutsideError> {
            Taken::new(name).map(Self)
        }
    }

    impl Door for Closed {
        fn open(
            self: Box<Self>,
            session: &Controller,
            snapshots: Option<&Arc<Snapshots>>,
        ) -> io::Result<Box<dyn Debug + Send>> {
            let served = Served::new(session, snapshots, self.0.ring_base());
            let open = server::open(self.0, served)?;
            Ok(Box::new(open))
        }
    }
}

#[cfg(not(unix))]
mod closed {
    use super::OutsideError;
    use crate::session::{Controller, Door, Snapshots};
    use std::fmt::Debug;
    use std::io;
    use std::sync::Arc;

    /// There is none.
    #[derive(Debug)]
    pub(super) enum Closed {}

    impl Closed {
        pub(super) fn new(_name: &str) -> Result<Self, OutsideError> {
            Err(OutsideError::Unsupported)
        }
    }

    impl Door for Closed {
        fn open(
            self: Box<Self>,
            _session: &Controller,
            _snapshots: Option<&Arc<Snapshots>>,
        ) -> io::Result<Box<dyn Debug + Send>> {
            match *self {}
        }
    }
}
