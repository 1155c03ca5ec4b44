//! UTF-8 forms of names that a program has as UTF-16 and says never change.
//!
//! The library tells such names apart by where they lie, so a name gets one place for the life of
//! the process. Looked up by its address: in a table of the thread, then in one of all threads.

use crate::promise::Wide;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

/// Names of a process that are kept. Others are turned into UTF-8 with each event.
const MOST_NAMES: usize = 1 << 16;
/// Names that a thread remembers.
const PLACES: usize = 256;

thread_local! {
    static SEEN: [Cell<(usize, &'static str)>; PLACES] =
        const { [const { Cell::new((0, "")) }; PLACES] };
}

/// The kept form of a name; `None` if there is no room, or somebody else is at the table.
pub(crate) fn kept(name: Wide<'_>) -> Option<&'static str> {
    let address = name.address();
    if address == 0 {
        return Some("");
    }
    // Names are aligned to two, and near each other.
    let place = (address >> 1 ^ address >> 9) % PLACES;
    SEEN.with(|seen| match seen[place].get() {
        (known, text) if known == address => Some(text),
        _ => {
            let text = look_up(address, name)?;
            seen[place].set((address, text));
            Some(text)
        }
    })
}

#[cold]
fn look_up(address: usize, name: Wide<'_>) -> Option<&'static str> {
    static NAMES: LazyLock<Mutex<HashMap<usize, &'static str>>> = LazyLock::new(Mutex::default);
    // In a signal handler that interrupts its own thread here, waiting would be for ever.
    let mut names = NAMES.try_lock().ok()?;
    if let Some(text) = names.get(&address) {
        return Some(text);
    }
    if names.len() >= MOST_NAMES {
        return None;
    }
    let mut text = String::new();
    name.append_to(&mut text);
    // An empty string has no place of its own.
    let text: &'static str = if text.is_empty() { "" } else { text.leak() };
    names.insert(address, text);
    Some(text)
}
