//! The sessions of this process, by name.

use crate::session::control::{Controller, Weak};
use crate::session::lane::generation;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The sessions of this process. Windows allows 64 of them at a time; here only memory limits them.
static SESSIONS: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

struct Entry {
    key: String,
    /// The process it runs in: those of a parent are not this process's.
    generation: u64,
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
    generation: u64,
}

impl Entry {
    fn is(&self, key: &str, generation: u64) -> bool {
        self.generation == generation && self.key == key
    }
}

impl Claim {
    /// Takes `name`, unless a session of this process has it.
    pub(crate) fn new(name: &str) -> Option<Self> {
        let key = key(name);
        let mut sessions = sessions();
        let generation = generation();
        if sessions.iter().any(|entry| entry.is(&key, generation)) {
            return None;
        }
        sessions.push(Entry { key: key.clone(), generation, session: None });
        Some(Self { key, generation })
    }

    /// Lets the session be found.
    pub(crate) fn publish(&self, session: Weak) {
        let mut sessions = sessions();
        if let Some(entry) = sessions.iter_mut().find(|entry| entry.is(&self.key, self.generation))
        {
            entry.session = Some(session);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        sessions().retain(|entry| !entry.is(&self.key, self.generation));
    }
}

/// The running session of this process that has this name, in whatever case of its letters.
#[must_use]
pub fn find(name: &str) -> Option<Controller> {
    let key = key(name);
    let (sessions, generation) = (sessions(), generation());
    sessions.iter().find(|entry| entry.is(&key, generation))?.session.as_ref()?.upgrade()
}

/// All running sessions of this process (`QueryAllTraces`), oldest first.
#[must_use]
pub fn all() -> Vec<Controller> {
    let generation = generation();
    let own = |entry: &&Entry| entry.generation == generation;
    sessions().iter().filter(own).filter_map(|entry| entry.session.as_ref()?.upgrade()).collect()
}
