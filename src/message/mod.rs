//! Windows' own calls: `TraceMessage`, `TraceEvent`, `EventWrite` and their relatives, with their
//! rules and their answers.
//!
//! ```text
//!   trace_message, trace_event, trace_event_instance        event_write, event_write_string, …
//!                │                                                      │
//!                │ one session, by its handle                           │ one provider
//!                ▼                                                      ▼
//!        SessionHandle ◄──────────────────────────────── who of the sessions wants it
//! ```
//!
//! New programs have [`SessionHandle`] and
//! [`Provider`](crate::provider::Provider), which say more in Rust's terms; these calls say the
//! same in those of Windows, for programs that come from there. They allocate nothing, make no
//! system call and take no lock where events are written, as those do not.
//!
//! A handle that may be null on Windows is `impl Into<Option<&_>>` here: `&handle`, or `None` for
//! null. What else a C caller could get wrong is a value of these types as far as it has an answer;
//! wild pointers are not.
//!
//! A provider of messages gets its session's handle as on Windows, when it is told of a change:
//!
//! ```
//! use etlring::format::{Guid, MessageFlags};
//! use etlring::message::{MessageId, get_trace_logger_handle, trace_message};
//! use etlring::provider::{Enable, Provider};
//! use etlring::session::{Session, SessionHandle};
//! use etlring::sink::MemorySink;
//! use std::sync::{Arc, OnceLock};
//!
//! let guid = Guid::from_u128(0x3d5f_93c6_5a3b_4c4e_9f64_0d3f_6c1b_7e55);
//! let logger: Arc<OnceLock<SessionHandle>> = Arc::default();
//! let set = Arc::clone(&logger);
//! let provider = Provider::register_with(guid, "Example-Messages", move |change| {
//!     if let Some(handle) = get_trace_logger_handle(change) {
//!         let _ = set.set(handle);
//!     }
//! });
//! let (sink, log) = MemorySink::new();
//! let session = Session::builder("logger handle").sink(sink).start()?;
//! session.enable_provider(guid, &Enable::new())?;
//! trace_message(logger.get(), MessageFlags::TIMESTAMP, MessageId::None, 1, &[b"hello\0"])?;
//! assert_eq!(session.stop()?.events_accepted, 1);
//! # drop(provider);
//! # assert!(!log.take().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What follows is the chapter of the specification.
#![doc = include_str!("../../spec/16-calls.md")]

mod error;
mod event_write;
mod instance;
mod trace_event;
mod trace_message;

pub use error::TraceError;
pub use event_write::{
    ActivityControl, EventWriteFlags, MAX_EVENT_DATA_DESCRIPTORS, event_activity_id_control,
    event_write, event_write_ex, event_write_string, event_write_transfer,
};
pub use instance::{ClassRegistration, EventInstanceInfo, create_trace_instance_id};
pub use trace_event::{
    ClassGuid, EventData, EventInstance, EventTrace, MAX_MOF_FIELDS, MofField, WnodeFlags,
    trace_event, trace_event_instance,
};
pub use trace_message::{MessageId, trace_message, trace_message_va};

use crate::provider::{Change, Control};
use crate::session::{self, SessionHandle};

/// The session that a provider's callback was told of (`GetTraceLoggerHandle`), to write to with
/// the calls that name one. `None` if it wants nothing any more, or has ended meanwhile.
#[must_use]
pub fn get_trace_logger_handle(change: &Change<'_>) -> Option<SessionHandle> {
    if change.control == Control::Disable {
        return None;
    }
    let sessions = session::all();
    sessions.iter().find(|session| session.id() == change.session).map(|session| session.handle())
}
