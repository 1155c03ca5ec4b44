//! How a session is reached from outside its process. The session does not know what is behind the
//! door; `outside` has it made, and there it leads.

use crate::session::{control::Controller, controller::SessionError, snapshot::Snapshots};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// Takes a name, before the session that is to have it touches anything.
pub(crate) type TakeName = fn(name: &str) -> Result<Box<dyn Door>, SessionError>;

/// A name that is taken, and a door that is closed. Dropped, the name is free.
pub(crate) trait Door: Debug + Send {
    /// The session runs: lets callers in until the result is dropped.
    fn open(
        self: Box<Self>,
        session: &Controller,
        snapshots: Option<&Arc<Snapshots>>,
    ) -> io::Result<Box<dyn Debug + Send>>;
}
