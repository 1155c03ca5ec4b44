//! Records for other tools and for people: what [`schema`](crate::schema) found out, written down.
//!
//! | module | writes |
//! |---|---|
//! | [`json`] | numbers, strings, GUIDs straight into a buffer |
//! | [`fields`] | the fields of an event as a JSON object or as `name=value` text |
//! | [`csv`] | a row of constant columns |
//! | [`xml`] | the `Event` elements of tracerpt |
//! | [`requests`] | nothing itself: puts events of web servers together by request |
//! | `freb` | a Failed Request Tracing document for each request; feature `freb` |
//! | [`page`] | the requests of a log as one page to look at |
//! | [`text`] | what must not reach a terminal |
//! | [`chrome`] | the trace-event JSON of Chrome and Perfetto |
//! | [`pcapng`] | captured packets |
//! | [`folded`] | call stacks for flame graphs |
//! | [`otlp`] | OpenTelemetry's logs; feature `otlp` |
//!
//! Everything appends to a `Vec<u8>` that the caller flushes; what is kept from one event to the
//! next is bounded, and each module says by what, so that a log of any size takes the same memory.

#![forbid(unsafe_code)]

pub mod chrome;
pub mod csv;
pub mod fields;
pub mod folded;
#[cfg(feature = "freb")]
pub mod freb;
pub mod json;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod page;
pub mod pcapng;
pub mod requests;
pub mod spans;
pub mod text;
pub mod xml;

use crate::codec::{RecordHeader, RecordView};
use crate::format::FileTime;
use crate::schema::Description;
use std::borrow::Cow;

/// One record with everything that a row or an element says of it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'e, 'a> {
    /// The record.
    pub view: &'e RecordView<'a>,
    /// Its schema and names.
    pub event: &'e Description<'a>,
    /// When it was logged; of its buffer if it has no stamp.
    pub time: FileTime,
    /// Processor index of its buffer.
    pub lane: u16,
    /// Its buffer's place in the file.
    pub buffer_index: usize,
    /// The name of its process, if that is known.
    pub process_name: Option<&'e str>,
    /// Unit of processor times, in 100 ns.
    pub timer_resolution: u32,
}

/// What a line about a record calls it: its name, or what kind of record it is.
fn title<'e>(entry: &Entry<'e, '_>) -> Cow<'e, str> {
    if let Some(name) = entry.event.name().filter(|name| !name.is_empty()) {
        return Cow::Borrowed(name);
    }
    let provider = entry.event.provider_name().unwrap_or("unknown");
    match entry.view.header() {
        RecordHeader::Event(header) => format!("{provider} {}", header.descriptor.id).into(),
        RecordHeader::Message(message) => format!("message {}", message.number()).into(),
        RecordHeader::Unknown => "unknown header".into(),
        _ => format!("{provider} type {}", entry.view.opcode().unwrap_or(0)).into(),
    }
}
