//! Providers: who logs, and who of the sessions wants to know.
//!
//! A provider is registered by its GUID. Sessions enable it, before or after that, each with a
//! level and keywords, and may change their mind at any time. An event goes to every session that
//! wants it; where nobody does, writing it is one relaxed load and a branch.
//!
//! ```text
//!                 write(descriptor, payload)              controllers
//!                          │                    enable, disable, capture state
//!   summary: 0 for level? ─┴─► nothing to do               │
//!                          │                               ▼
//!   same as this thread has seen? ── no ──► copy ◄── [ sessions: level, any, all ]  one lock
//!                          │ yes                           │
//!                          ▼                               ▼
//!             session 1, session 2, … 8          callbacks, outside of the lock
//! ```
//!
//! ```
//! use etlring::format::{EventDescriptor, Guid};
//! use etlring::provider::{Enable, Provider};
//! use etlring::session::Session;
//! use etlring::sink::MemorySink;
//!
//! let guid = Guid::from_u128(0x5a5c_36d4_6d1f_4a0e_8c39_3a1f_0d7e_42aa);
//! let orders = Provider::register(guid, "Example-Orders");
//! let placed = EventDescriptor::new(1, 4); // id 1, level 4
//! assert_eq!(orders.write(&placed, b"nobody listens"), Ok(0));
//!
//! let (sink, log) = MemorySink::new();
//! let session = Session::builder("provider doc").sink(sink).start()?;
//! session.enable_provider(guid, &Enable::new().level(4))?;
//! assert_eq!(orders.write(&placed, b"one coffee"), Ok(1));
//! assert_eq!(orders.write(&EventDescriptor::new(2, 5), b"too verbose"), Ok(0));
//! assert_eq!(session.stop()?.events_accepted, 1);
//! assert!(!orders.is_enabled(4, 0)); // a session that stops disables
//! # assert!(!log.take().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who gets an event
//!
//! A session that enabled the provider with `level`, `any`, `all` gets an event if both hold:
//!
//! - its level is at most `level`, or 0, or `level` is 0;
//! - its keyword is 0, or it shares a bit with `any` (`any` 0 means all bits) and has every bit of
//!   `all`.
//!
//! Source: Microsoft, `EnableTraceEx2` and `EVENT_DESCRIPTOR`; [`Properties`] changes the rule for
//! keyword 0.
//!
//! # Why there is no lock where events are written
//!
//! What the sessions want is an immutable list. Every change makes a new one under the provider's
//! lock and stores a new *summary*, a word that no other change of any provider ever had. Each
//! thread keeps the list that it used last for each provider, with its summary; a write compares
//! the two words. Only after a change a thread takes the lock, once, to copy a pointer. So no word
//! carries a pointer between threads, and nothing needs to be reclaimed but by counting owners.
//!
//! The price is that a thread keeps the list it saw last, and with it the memory of the sessions in
//! it, until its next event through any changed provider, or its end.
//!
//! # Limits
//!
//! - Eight sessions for each provider, as on Windows.
//! - Events from a signal handler are served, except for those that interrupt their own thread
//!   while it is in the lock: these are counted by [`Provider::events_missed`]. Controlling from a
//!   signal handler is not supported.
//! - A process that forks hands its activity ids on: parent and child then make the same ones.

pub mod activity;
mod control;
mod enable;
mod name;
mod process;
mod registration;
mod registry;
mod write;

#[cfg(unix)]
pub(crate) use control::apply;
pub use enable::{Enable, MAX_FILTER, MAX_PROVIDERS, MAX_SESSIONS, Properties};
pub use name::{guid_of_ascii_name, guid_of_name};
pub use registration::{Change, Control, Provider};
pub(crate) use registry::Watch;
pub use registry::{ProviderInfo, all};
