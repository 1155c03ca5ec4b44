//! What a session says of itself to those outside.

use crate::format::Guid;
use crate::session::SessionProperties;

/// A session of any process, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStatus {
    /// The process it runs in.
    pub process_id: u32,
    /// Its settings and counters. The path of the log is absolute.
    pub properties: SessionProperties,
    /// The first error of its sink so far, if there was one; at most 1,024 bytes of it.
    pub sink_error: Option<String>,
    /// Providers that it has enabled, by GUID: the first 256 of them.
    pub providers: Vec<EnabledProvider>,
    /// How many providers it has enabled.
    pub providers_enabled: u32,
}

/// A provider that a session has enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnabledProvider {
    /// What it is known by.
    pub guid: Guid,
    /// The name of its first registration, up to 128 bytes of it; empty if its process has not
    /// registered it so far.
    pub name: String,
}
