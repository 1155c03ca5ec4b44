//! Tracing as modules of Internet Information Services (IIS) know it, on every system.
//!
//! ```text
//!   HttpTraceContext::raise_trace_event(HttpTraceEvent)
//!            │  provider, area, verbosity: wanted by a session?
//!            ▼
//!   ┌───────────────────────┬─────────────┬─────────────┬─────────────┐
//!   │ EVENT_TRACE_HEADER    │ item 1      │ item 2      │ item 3 …    │   one classic record
//!   │ class = area's GUID   │ ContextId   │             │             │   in each such session
//!   │ type  = event         │             │             │             │
//!   └───────────────────────┴─────────────┴─────────────┴─────────────┘
//! ```
//!
//! The record is the one that IIS writes. What it does not say (names, level, provider) is known of
//! IIS's own events; of all others it travels in the log, as an
//! [outline](crate::schema::iis::Outline): once for each log file if the names are marked as
//! [static](HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS), else with each event. So a log is complete
//! in itself, in each file of a series and in a ring too; see spec/18-iis.md.
//!
//! ```
//! use etlring::format::Guid;
//! use etlring::iis::*;
//! use etlring::provider::Enable;
//! use etlring::session::Session;
//! use etlring::sink::MemorySink;
//!
//! let (sink, log) = MemorySink::new();
//! let session = Session::builder("iis doc").sink(sink).start()?;
//! session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5))?;
//!
//! let server = HttpServer::new();
//! let request = server.request_context(Guid::from_u128(0x9800_0080_0000_00fa), "A_raizeEvent");
//! let items = [
//!     HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
//!     HttpTraceEventItem::new("ModuleName", "A_raizeEvent"),
//!     HttpTraceEventItem::new("Notification", 1u32).described("BEGIN_REQUEST"),
//!     HttpTraceEventItem::new("fIsPostNotification", false),
//!     HttpTraceEventItem::new("fIsCompletion", false),
//! ];
//! let event = HttpTraceEvent {
//!     area: 0x100,
//!     area_guid: guids::REQUEST_NOTIFICATIONS,
//!     event: 1,
//!     event_name: "NOTIFY_MODULE_START",
//!     event_version: 1,
//!     verbosity: 5,
//!     flags: HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS,
//!     event_items: &items,
//!     ..HttpTraceEvent::of(guids::WWW_SERVER)
//! };
//! assert_eq!(request.raise_trace_event(&event), HResult::S_OK);
//! assert_eq!(session.stop()?.events_accepted, 1);
//! # assert!(!log.take().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Cost
//!
//! An event that nobody wants: a few compares. One that is recorded: its items are written into the
//! session's buffer itself; nothing is allocated, whatever its names are, once it has been raised
//! before.
//!
//! Source: Microsoft, `httptrace.h`, `httpserv.h` and their pages.

mod context;
mod event;
#[cfg(feature = "freb")]
mod failed;
pub mod guids;
mod hresult;
mod kinds;
mod pack;

pub use crate::schema::iis::ItemType as HttpTraceType;
pub use context::{HttpModule, HttpServer, HttpTraceConfiguration, HttpTraceContext, NamedArea};
pub use event::{HttpTraceData, HttpTraceEvent, HttpTraceEventItem};
#[cfg(feature = "freb")]
pub use failed::{FailedRequestLog, FailedRequestSettings, FailedRequestStats};
pub use hresult::HResult;
