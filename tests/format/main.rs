//! The format: tables against structs, vectors against the codec, hostile bytes, round trips, links.

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod links;
mod reading;
mod roundtrip;
mod tables;
mod vectors;
