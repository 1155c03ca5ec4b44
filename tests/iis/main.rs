//! IIS tracing from the call to the document: what is raised, what lies in the log, what a reader
//! makes of it.
#![cfg(feature = "freb")]
#![allow(missing_docs)]

mod documents;
mod live;
mod logs;
mod page;
mod raising;
mod shape;
