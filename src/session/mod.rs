//! The live side: sessions and the ring of buffers they fill.
//!
//! A *provider* logs an event; the *session* gives it space in a *buffer*; the *flusher* takes full
//! buffers to a *sink*. Writers never wait: when no buffer is free the event is discarded and
//! counted, or, if the session is made so, the oldest full buffer is, and those in it are counted.
//!
//! ```text
//!  provider threads              session                          flusher thread
//!  ────────────────   reserve   ┌───────────────────────────┐    ┌───────────────┐
//!  write_event(…) ───────────►  │ lane 0: buffer in hand    │    │ takes full    │
//!  write_classic(…) ─────────►  │ lane 1: buffer in hand    │ ─► │ ones, seals,  │ ─► sink
//!            ◄── Discarded ───  │ free set       full list  │    │ writes        │
//!                               └───────────────────────────┘    └───────────────┘
//! ```
//!
//! # Promises
//!
//! - A record never spans two buffers. One that does not fit an empty buffer is refused whole.
//! - Memory is mapped at start, `maximum_buffers * buffer_size` bytes, and addresses for more that
//!   an update may add. Logging allocates nothing and makes no system call, but for the first event
//!   of a thread, which takes a lane.
//! - Every event that was attempted is in the log or in exactly one counter of [`SessionStats`].
//! - Records of one thread keep their order. Across lanes only time stamps order them.
//! - A lane's losses stand in the log where they happened: spec/12-loss.md.
//! - A process that is killed at any instruction loses nothing that it committed, where the buffers
//!   lie in a file: beside a log by default, in a circular log by nature. spec/13-recovery.md.
//! - A child that was forked writes nothing into its parent's session.
//!
//! # Rings
//!
//! A memory ring and a circular log have no sink: a buffer that is full stays as it is until it is
//! the oldest and a writer needs one. A `keeper` takes the flusher's place; snapshots copy the ring
//! while writers go on.
//!
//! # Cost of one event
//!
//! One clock read, the copy of the payload, one release store. A switch to a new buffer adds three
//! atomic operations, once per buffer.
//!
//! # Where to read on
//!
//! `lane` first: the one word that makes this work. Then `pool`, `writer`, `flusher`, `log`; for
//! sessions that keep their newest events `backlog`, for rings `keeper` and `snapshot`.

mod append;
#[cfg(unix)]
mod attach;
#[cfg(not(unix))]
#[path = "attach/absent.rs"]
mod attach;
mod backlog;
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "reads the processor's counter")
)]
mod clock;
mod config;
mod control;
mod controller;
mod desk;
mod directory;
mod door;
mod flusher;
mod header;
mod keeper;
#[expect(unsafe_code, reason = "the memory that writers and the flusher share")]
mod lane;
mod live;
mod log;
mod pool;
mod preamble;
mod reclaim;
mod seal;
mod sequence;
mod setting;
mod shared;
mod snapshot;
mod stats;
mod sync;
mod writer;

pub use append::AppendError;
#[cfg(all(shuttle, unix))]
#[doc(hidden)]
pub use attach::hub::model as attached_model;
#[cfg(unix)]
pub(crate) use attach::{FRAMES, Frames, Link, Refusal, Welcome, kind, number, number_frame, send};
pub use clock::Clock;
#[cfg(unix)]
pub(crate) use clock::{Source, frequency};
pub use config::{ConfigError, FileMode, SequenceMode, SessionBuilder, SyncMode, WhenFull};
pub(crate) use config::{MAX_BUFFERS, MAX_FLUSH_MS, MAX_NAME, MAX_RING_BYTES};
pub use control::{ControlError, Controller, SessionProperties, Update};
#[cfg(unix)]
pub(crate) use control::{Weak as WeakController, io_code, win32};
pub use controller::{Session, SessionError};
#[cfg(unix)]
pub(crate) use directory::Claim;
pub use directory::{all, find};
pub(crate) use door::Door;
pub use lane::Reservation;
#[cfg(loom)]
#[doc(hidden)]
pub use lane::model;
pub use live::{Consumer, Delivery, LiveBuffer, Missed, NoDelivery};
pub(crate) use setting::Setting;
pub use snapshot::SnapshotStats;
pub(crate) use snapshot::Snapshots;
pub use stats::{AttachDamage, AttachStats, Discarded, EventsLost, LossCause, SessionStats};
pub(crate) use writer::{Body, Head, Shape, Stamp};
pub use writer::{ClassicEvent, Event, SessionHandle};
