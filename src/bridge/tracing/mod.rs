//! A layer for `tracing`: events and spans become self-describing events of a provider.
//!
//! ```
//! use etlring::bridge;
//! use etlring::provider::Enable;
//! use etlring::session::Session;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("orders.etl");
//! let session = Session::builder("orders").log_file(&path);
//! let guard = bridge::record(session, "Example-Orders", &Enable::new().level(5))?;
//! let subscriber = tracing_subscriber::registry().with(bridge::tracing::layer("Example-Orders"));
//! # use tracing::subscriber::with_default;
//! # with_default(subscriber, || {
//! let span = tracing::info_span!("order", number = 17, paid = tracing::field::Empty);
//! span.in_scope(|| tracing::info!(coffee = "black", cups = 1, "placed"));
//! span.record("paid", true);
//! drop(span);
//! # });
//! // Start and end of the span, the event, the field that came later.
//! assert_eq!(guard.stop()?.events_accepted, 4);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What becomes of what
//!
//! | `tracing` | record |
//! |---|---|
//! | event | name of the call site, opcode 0, its fields, the activity of its span |
//! | span, when it is made | its name, opcode 1 (start), its fields; related: its parent's activity |
//! | fields recorded later | the span's name, opcode 0, those fields, the span's activity |
//! | `follows_from` | the span's name, opcode 0; related: the activity that it follows |
//! | span entered, left | with [`Builder::enter_and_exit`] opcodes 7 (resume) and 8 (suspend) |
//! | span, when it is closed | its name, opcode 2 (stop), the span's activity |
//! | ERROR, WARN, INFO, DEBUG, TRACE | levels 2 to 6 |
//! | `u64`, `i64`, `f64`, `bool`, bytes | fields of that type |
//! | text, `Debug`, `Display`, 128-bit integers | text; integers in decimal |
//! | errors | text: the error and its sources, with colons between |
//!
//! While a span is entered its activity is the thread's ([`provider::activity`]), so that events
//! that go round `tracing` belong to it, too.
//!
//! # Which events come
//!
//! Call sites that no session wants are switched off, for this layer alone: other layers of the
//! subscriber get what they want. When a session enables or disables the provider, the call
//! sites are asked again. Further filters go on top, as with any layer
//! (`layer("…").with_filter(…)`).
//!
//! # Cost of one event
//!
//! Fields are put behind each other into memory of the thread, which is kept: in the long run
//! nothing is allocated, and no buffer of the session is held while a `Debug` of the user runs.
//! Names and types are made once for each call site and thread, and again when an event has other
//! fields or types than the last one from there. Events from within a `Debug` or `Display` that is
//! being recorded allocate; so do spans, for their activity.
//!
//! [`provider::activity`]: crate::provider::activity

mod fields;
mod recorder;

pub use recorder::{Builder, Layer, Recorder, Wanted};

use tracing_core::Subscriber;
use tracing_subscriber::registry::LookupSpan;

/// A layer that writes as the provider of this name, whose GUID is
/// [`guid_of_name`](crate::tracelogging::guid_of_name).
#[must_use]
pub fn layer<S>(provider: &str) -> Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Builder::new(provider).build()
}
