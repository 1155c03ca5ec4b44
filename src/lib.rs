//! The Windows `.etl` trace-buffer format as a lock-free recorder and a zero-copy reader.
//!
//! Event Tracing for Windows writes its logs as *buffers*: a 72-byte header and *records* behind it
//! that never span two buffers. This crate writes such files from any program on any system, and
//! reads those that Windows wrote where there is no Windows. The bytes in a session's memory, in
//! the file and under the reader's map are the same bytes: recording copies once, replaying not at
//! all.
//!
//! ```
//! use etlring::format::Guid;
//! use etlring::reader::Trace;
//! use etlring::session::{ClassicEvent, Session};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("orders.etl");
//! let session = Session::builder("orders").log_file(&path).start()?;
//! let placed = ClassicEvent::new(Guid::from_u128(0x6f1f_3a9a_7701), 10, 4);
//! session.write_classic(&placed, b"one coffee")?;
//! assert_eq!(session.stop()?.events_accepted, 1);
//!
//! let trace = Trace::open(&path)?;
//! let mut records = trace.by_time();
//! let mut payloads = Vec::new();
//! while let Some(record) = records.next() {
//!     let view = record?.view()?;
//!     if view.provider() == Some(placed.class) {
//!         payloads.push(view.payload().to_vec()); // it lives until the next call
//!     }
//! }
//! assert_eq!(payloads, [*b"one coffee"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//!
//! | module | what | without `std` |
//! |---|---|---|
//! | `bridge` | `tracing` and `log`, each a feature: their events and spans in a session | - |
//! | [`message`] | Windows' own calls: `TraceMessage`, `TraceEvent`, `EventWrite` | - |
//! | [`iis`] | tracing as modules of IIS know it | - |
//! | [`mod@provider`] | who logs, and which sessions want to know | - |
//! | [`tracelogging`] | events that describe themselves: [`event!`] | - |
//! | [`outside`] | sessions of other processes: found, controlled, written into | - |
//! | [`session`] | record: sessions, lanes, the flusher, live consumers | - |
//! | [`sink`] | where full buffers go: a file, memory | - |
//! | [`reader`] | replay: files opened, indexed, read in file order and by time | - |
//! | [`edit`] | new logs from old ones: filtered, cut, merged, compressed, made anonymous | - |
//! | [`export`] | events for others: JSON, CSV, XML, Perfetto, pcapng, stacks, OTLP | - |
//! | [`schema`] | what payloads mean: fields with names and values | - |
//! | [`codec`] | bytes to checked views and back | yes |
//! | [`mod@format`] | the wire structs, one table each | yes |
//! | [`error`] | what can be wrong with bytes | yes |
//!
//! Start with [`session`] to record and [`reader`] to replay. A program with events of its own
//! declares them with [`provider!`] and [`event!`]; one that logs with `tracing` or `log` already
//! needs a bridge only. Records are bytes: [`schema`] says what they mean.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` (default) | all but [`mod@format`], [`codec`] and [`error`], which are `no_std` |
//! | `tracing`, `log` | the bridges for these crates |
//! | `manifest` | schemas from instrumentation manifests, those in traces of .NET too |
//! | `freb` | Failed Request Tracing documents, of logs and of running sessions |
//! | `otlp` | OpenTelemetry's logs in [`export`] |
//!
//! The format itself is specified in `spec/` of the repository, every byte of it.
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "tracing", feature = "log"))]
pub mod bridge;
pub mod codec;
#[cfg(feature = "std")]
pub mod edit;
pub mod error;
#[cfg(feature = "std")]
pub mod export;
pub mod format;
#[cfg(feature = "std")]
pub mod iis;
#[cfg(feature = "std")]
pub mod message;
#[cfg(feature = "std")]
pub mod outside;
#[cfg(feature = "std")]
pub mod provider;
#[cfg(feature = "std")]
pub mod reader;
#[cfg(feature = "std")]
pub mod schema;
#[cfg(feature = "std")]
pub mod session;
#[cfg(feature = "std")]
pub mod sink;
#[cfg(feature = "std")]
pub mod tracelogging;

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
