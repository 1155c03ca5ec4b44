//! What a session and the processes attached to it tell each other beside buffers.

use crate::format::Guid;

/// What a session wants of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    Enable { guid: Guid, level: u8, any: u64, all: u64, properties: u32, filter: Vec<u8> },
    Disable { guid: Guid },
    Capture { guid: Guid },
}

/// What a process says of its own events. What it has accepted is in the buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// By cause, numbered as in spec/12-loss.md, from 1.
    pub(crate) lost: [u64; 6],
    pub(crate) disabled: u64,
    pub(crate) after_stop: u64,
}
