//! Events that describe themselves: by the macro, through `tracing` and through `log`.
#![allow(missing_docs)]

#[path = "../common/allocations.rs"]
mod allocations;
#[cfg(unix)]
mod crash;
mod dynamic;
mod examples;
#[cfg(feature = "log")]
mod log;
mod macros;
mod names;
mod seen;
#[cfg(feature = "tracing")]
mod tracing;
mod zero_alloc;
