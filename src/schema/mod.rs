//! What payloads mean: schemas of events, and values read by them.
//!
//! ```text
//!   record ──► Decoder::describe ──► Description ──► walk ──► Visitor: name, value, name, value …
//!                ▲                     whose schema,          what is left of the payload is
//!                │ learn               names                  handed back and never lost
//!   records of a first pass, and files that the user gives
//! ```
//!
//! Where the schema of an event comes from, in the order in which [`Decoder`] looks:
//!
//! | source | module | carried by |
//! |---|---|---|
//! | TraceLogging | [`tracelogging`] | the record itself |
//! | metadata of merge tools | `metadata` | classic records anywhere in the file |
//! | one string | - | a flag of the record |
//! | manifests of .NET's `EventSource` | `eventsource` | events in the file; feature `manifest` |
//! | instrumentation manifests | `manifest` | files of the user; feature `manifest` |
//! | compiled manifests | `binary` | DLLs and programs of the user |
//! | WPP messages | `tmf` | TMF files of the user |
//! | classic events | `mof` | MOF files of the user |
//! | classic events of kernel and merge tools | `kernel` | a table in this crate |
//! | classic events of IIS | [`iis`] | records of the same log, or a table in this crate |
//!
//! Values are borrowed from the payload. A walk takes bounded time and stack whatever the schema
//! says, see [`MOST_WORK`] and [`MOST_DEPTH`]: a schema is input, too.
//!
//! What our reading adds to what the formats' owners publish is spec/15-schemas.md.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![forbid(unsafe_code)]

mod binary;
mod coverage;
mod decoder;
mod description;
#[cfg(feature = "manifest")]
mod element;
mod error;
mod event;
#[cfg(feature = "manifest")]
mod eventsource;
mod hash;
pub mod iis;
pub mod images;
mod kernel;
mod layout;
#[cfg(feature = "manifest")]
mod manifest;
mod map;
mod message;
mod metadata;
mod mof;
mod people;
mod providers;
mod read;
pub mod stacks;
mod take;
mod time;
mod tmf;
pub mod tracelogging;
mod types;
mod value;
mod walk;

pub use coverage::{Counted, Coverage, Undecoded};
pub use decoder::{Decoder, Source};
pub use description::Description;
#[cfg(feature = "manifest")]
pub use element::XmlError;
pub use error::{DecodeError, DecodeFault, SchemaError};
pub use event::{EventKey, EventNames};
pub use map::ValueMap;
pub use providers::{provider_name, providers_named};
pub use types::{InType, OutType};
pub use value::{Sid, Text, Value};
pub use walk::{MOST_DEPTH, MOST_WORK, Shape, Visitor, Walked};
