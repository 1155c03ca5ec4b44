//! TraceLogging: events that say themselves what their provider, they and their fields are called,
//! and of what types the values are. Any decoder of `.etl` files shows them, without a manifest.
//!
//! ```text
//!   event!(Orders, Level::INFO, "Placed", number: u64 = 17)
//!                       │
//!      compiled: ┌──────┴───────┐         ┌─ at run time
//!                ▼              ▼         ▼
//!   record │ header │ item PROV_TRAITS │ item EVENT_SCHEMA_TL │ payload │
//!                     "Example-Orders"   "Placed", number: u64   17
//! ```
//!
//! [`provider!`](crate::provider!) declares a provider, [`event!`](crate::event!) writes an event.
//! [`DynamicProvider`] and [`EventBuilder`] do the same for names that are only known at run time.
//!
//! # Cost of one event
//!
//! Nobody wants it: one relaxed load and a branch. Else what [`Provider::write`] costs and the copy
//! of names and types, which stand in every event: they are what makes it self-describing.
//!
//! # On disk
//!
//! Channel 11, version and id 0 unless they are given, the provider's item before the event's, as
//! Windows writes them; spec/05-extended-items.md, spec/15-schemas.md. Source of the types:
//! Microsoft's `TraceLoggingProvider.h`.
//!
//! [`Provider::write`]: crate::provider::Provider::write

mod declared;
mod dynamic;
mod field;
mod macros;
mod metadata;

pub use crate::provider::{guid_of_ascii_name, guid_of_name};
pub use declared::{Declared, Options, registered};
#[doc(hidden)]
pub use declared::{Place, typed, write};
#[cfg(feature = "tracing")]
pub(crate) use dynamic::{Described, begin_schema, end_schema, push_field, put_text};
pub use dynamic::{DynamicProvider, EventBuilder};
pub use field::{Field, Hex, field_meta};
#[doc(hidden)]
pub use field::{Fields, Values};
#[cfg(feature = "tracing")]
pub(crate) use field::{types, without_raw};
pub use metadata::{EventMeta, FieldMeta, ProviderMeta, items, items_size, provider_item_size};

/// The channel of self-describing events.
pub const CHANNEL: u8 = 11;

/// How severe an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

impl Level {
    /// Passes whatever level a session asks for.
    pub const ALWAYS: Self = Self(0);
    /// The program or a part of it cannot go on.
    pub const CRITICAL: Self = Self(1);
    /// An error.
    pub const ERROR: Self = Self(2);
    /// A warning.
    pub const WARNING: Self = Self(3);
    /// Information.
    pub const INFO: Self = Self(4);
    /// For those who look for an error.
    pub const VERBOSE: Self = Self(5);
}
