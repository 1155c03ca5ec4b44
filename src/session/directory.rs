//! The sessions of this process, by name.

use crate::session::control::{Controller, Weak};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The sessions of this process. Windows allows 64 of them at a time; here only memory limits them.
static SESSIONS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    key: String,
    /// Set once the session has started.
    session: Option<Weak>,
}

fn sessions() -> MutexGuard<'static, Vec<Entry>> {
    // A push or a removal is not left half done.
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names are the same whatever the case of their letters.
fn key(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// The right to a name, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Claim {
    key: String,
}

impl Claim {
    /// Takes `name`, unless a session of this process has it.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let key = key(name);
        let mut sessions = sessions();
        if sessions.iter().any(|entry| entry.key == key) {
            return None;
        }
        sessions.push(Entry { key: key.clone(), session: None });
        Some(Self { key })
    }

    /// Lets the session be found.
    pub(crate) fn publish(&self, session: Weak) {
        let mut sessions = sessions();
        if let Some(entry) = sessions.iter_mut().find(|entry| entry.key == self.key) {
            entry.session = Some(session);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        sessions().retain(|entry| entry.key != self.key);
    }
}

/// The running session of this process that has this name, in whatever case of its letters.
#[must_use]
pub fn find(name: &str) -> Option<Controller> {
    let key = key(name);
    let sessions = sessions();
    sessions.iter().find(|entry| entry.key == key)?.session.as_ref()?.upgrade()
}

/// All running sessions of this process (`QueryAllTraces`), oldest first.
#[must_use]
pub fn all() -> Vec<Controller> {
    sessions().iter().filter_map(|entry| entry.session.as_ref()?.upgrade()).collect()
}
