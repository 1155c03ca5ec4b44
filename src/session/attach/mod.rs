//! Writing into the session of another process.
//!
//! ```text
//!   attached process                                        owner
//!   ───────────────────────────────────────────────        ─────────────────────────────────────
//!   threads ──► ring (a file of its own) ──► flusher ──────► reads, checks ──► inbox ──► flusher
//!                      ▲                        │  buffers                                  │
//!                      │ enable, flush, stop    │  as they are                              ▼
//!   listener ◄─────────┴────────────────────────┴────────── what the session wants         log
//!                                     one connection
//! ```
//!
//! Every process has a ring of its own, and no memory is shared that more than one of them may
//! write. So an event costs in an attached process what it costs in the owner, since it is the same
//! code; a process that is broken or hostile can spoil its own records and nobody else's; and one
//! that is killed leaves its ring in a file, from which the owner takes what had not come. The
//! price is that a buffer is copied once through a socket.
//!
//! What is said over the connection, what is checked and who may change what is in
//! spec/20-attach.md.
//!
//! # Where to read on
//!
//! `link` is the attached side, `owner` and `hub` are the other one; `check` and `ledger` are what
//! stands between a hostile process and the log, `orphan` reads the ring of a dead one, `inlet`
//! puts into the log what has passed.

mod check;
pub(crate) mod hub;
mod inlet;
mod ledger;
mod link;
mod orphan;
mod owner;
mod peer;
mod wire;

pub(crate) use hub::{Arrived, Hub, Item, Place};
pub(crate) use inlet::Inlet;
pub(crate) use link::{Link, Sender};
pub(crate) use owner::Terms;
pub(crate) use wire::{
    Frames, Refusal, VERSION as FRAMES, Welcome, kind, number, number_frame, send,
};
