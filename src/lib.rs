//! The Windows `.etl` trace-buffer format as a lock-free recorder and a zero-copy reader.
//!
//! # Where things are
//!
//! | module | what | needs |
//! |---|---|---|
//! | [`error`] | what can be wrong with bytes | - |
//! | [`mod@format`] | the wire structs, one table each | - |
//! | [`codec`] | bytes to checked views and back | - |
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod codec;
pub mod error;
pub mod format;
#[cfg(feature = "std")]
pub mod reader;
#[cfg(feature = "std")]
pub mod session;
#[cfg(feature = "std")]
pub mod sink;
