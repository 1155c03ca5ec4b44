//! OpenTelemetry's logs (OTLP): a log record for each event.
//!
//! | OTLP | event |
//! |---|---|
//! | resource | the process: `process.pid`, `process.executable.name` |
//! | scope | the provider: its name, `etw.provider.guid` |
//! | `time_unix_nano`, `observed_time_unix_nano` | its time |
//! | `severity_number` | level 1 → 21, 2 → 17, 3 → 13, 4 and 0 → 9, 5 and others → 5 |
//! | `event_name` | its name |
//! | `body` | its message, else its name |
//! | `trace_id` | its activity, in the order in which it is written |
//! | attribute `etw.fields` | its fields: a list of keys and values |
//! | attribute `etw.rest` | bytes that no field took |
//! | other attributes | `thread.id`, `etw.event.id`, `.version`, `.opcode`, `.task`, `.keywords`, … |
//!
//! [`Encoding::Protobuf`] writes `LogsData` messages, each behind its length in four bytes, big end
//! first: what the collector's file exporter writes as `format: proto`, and what an
//! `ExportLogsServiceRequest` looks like, too. [`Encoding::Json`] writes a `LogsData` on each line:
//! what its `otlpjsonfile` receiver reads.
//!
//! A whole number that 64 bits with a sign cannot hold is text; so are pointers and flags, as
//! `0x1f`. A name that stands twice gets `_2` behind it.
//!
//! # Bounds
//!
//! [`MOST_RECORDS`] records, or [`MOST_BYTES`] of them, go into one message; then it is written.

mod json;
mod values;

use crate::codec::RecordHeader;
use crate::export::{Entry, title};
use crate::format::{ExtType, Guid};
use crate::schema::Source;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::HashMap;
use values::Fields;

/// Records of one message.
pub const MOST_RECORDS: usize = 1000;
/// Bytes of the records of one message.
pub const MOST_BYTES: usize = 1 << 20;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf, each message behind its length.
    Protobuf,
    /// JSON, a line each.
    Json,
}

/// Writes log records.
#[derive(Clone, Debug)]
pub struct Otlp {
    encoding: Encoding,
    batch: LogsData,
    /// Where the records of a process and provider are in the batch.
    places: HashMap<Place, (usize, usize)>,
    resources: HashMap<(Option<u32>, Option<Box<str>>), usize>,
    records: usize,
    bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    resource: usize,
    provider: Option<Guid>,
    name: Option<Box<str>>,
}

impl Otlp {
    /// In this encoding.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            batch: LogsData::default(),
            places: HashMap::new(),
            resources: HashMap::new(),
            records: 0,
            bytes: 0,
        }
    }

    /// One record, logged `nanos` nanoseconds after 1970.
    pub fn event(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>, nanos: i128) {
        let record = log_record(entry, nanos);
        // Not of its payload: arrays of nothing have no bytes there and many here.
        let bytes = record.encoded_len();
        let (resource, scope) = self.place(entry);
        let resource = self.batch.resource_logs.get_mut(resource);
        let scope = resource.and_then(|resource| resource.scope_logs.get_mut(scope));
        if let Some(scope) = scope {
            scope.log_records.push(record);
        }
        self.records += 1;
        self.bytes += bytes;
        if self.records >= MOST_RECORDS || self.bytes >= MOST_BYTES {
            self.finish(out);
        }
    }

    /// Appends what has gathered.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.records == 0 {
            return;
        }
        match self.encoding {
            Encoding::Protobuf => {
                let length = u32::try_from(self.batch.encoded_len()).unwrap_or(u32::MAX);
                // Big end first.
                out.extend_from_slice(&length.swap_bytes().to_le_bytes());
                // A vector has room for any message.
                let _ = self.batch.encode(out);
            }
            Encoding::Json => {
                json::logs_data(out, &self.batch);
                out.push(b'\n');
            }
        }
        *self = Self::new(self.encoding);
    }

    /// Where a record of this process and provider goes.
    fn place(&mut self, entry: &Entry<'_, '_>) -> (usize, usize) {
        let process = entry.view.process_id().filter(|process| *process != u32::MAX);
        let key = (process, entry.process_name.map(Box::from));
        let batch = &mut self.batch;
        let resource = *self.resources.entry(key).or_insert_with(|| {
            let pid = process.map(|pid| attribute("process.pid", int(pid)));
            let name =
                entry.process_name.map(|name| attribute("process.executable.name", text(name)));
            let attributes = pid.into_iter().chain(name).collect();
            let resource = Some(Resource { attributes, ..Resource::default() });
            batch.resource_logs.push(ResourceLogs { resource, ..ResourceLogs::default() });
            batch.resource_logs.len() - 1
        });
        let provider = entry.view.provider();
        let name = entry.event.provider_name();
        let place = Place { resource, provider, name: name.map(Box::from) };
        *self.places.entry(place).or_insert_with(|| {
            let guid = provider.map(|guid| guid.to_string());
            let scope = InstrumentationScope {
                name: name.map(str::to_owned).or(guid.clone()).unwrap_or_default(),
                attributes: guid
                    .map(|guid| attribute("etw.provider.guid", text(&guid)))
                    .into_iter()
                    .collect(),
                ..InstrumentationScope::default()
            };
            let scopes = &mut batch.resource_logs[resource].scope_logs;
            scopes.push(ScopeLogs { scope: Some(scope), ..ScopeLogs::default() });
            (resource, scopes.len() - 1)
        })
    }
}

fn log_record(entry: &Entry<'_, '_>, nanos: i128) -> LogRecord {
    let (view, event) = (entry.view, entry.event);
    let name = title(entry);
    let message = event.message().filter(|message| !message.is_empty());
    let (severity_number, severity_text) = severity(view.level().unwrap_or(0));
    let time = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
    let activity = view.activity_id().filter(|activity| *activity != Guid::ZERO);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(text(message.as_deref().unwrap_or(&name))) }),
        attributes: attributes(entry, activity),
        trace_id: activity.map(trace_id).unwrap_or_default(),
        event_name: name.into_owned(),
        ..LogRecord::default()
    }
}

/// The activity's sixteen bytes in the order in which its digits are written.
fn trace_id(activity: Guid) -> Vec<u8> {
    activity.to_u128().swap_bytes().to_le_bytes().to_vec()
}

fn attributes(entry: &Entry<'_, '_>, activity: Option<Guid>) -> Vec<KeyValue> {
    let (view, event) = (entry.view, entry.event);
    let mut all = Vec::with_capacity(12);
    let mut put = |name: &str, value: Option<Any>| {
        all.extend(value.map(|value| attribute(name, value)));
    };
    put("thread.id", view.thread_id().filter(|thread| *thread != u32::MAX).map(int));
    put("etw.event.id", view.id().map(int));
    put("etw.event.version", view.version().map(int));
    put("etw.event.opcode", view.opcode().map(int));
    if let Some(descriptor) = view.descriptor() {
        put("etw.event.task", Some(int(descriptor.task.get())));
        put("etw.event.channel", Some(int(descriptor.channel)));
        put("etw.event.keywords", Some(text(&format!("{:#x}", descriptor.keyword.get()))));
    }
    put("etw.cpu", Some(int(entry.lane)));
    put("etw.activity_id", activity.map(|activity| text(&activity.to_string())));
    if let RecordHeader::Event(_) = view.header() {
        let related = view.items().map_while(Result::ok);
        let mut related = related.filter(|item| item.ext_type == ExtType::RELATED_ACTIVITYID);
        let related = related.next().and_then(|item| item.guid());
        put("etw.related_activity_id", related.map(|related| text(&related.to_string())));
    }
    let mut fields = Fields::new();
    let walked = event.walk(&mut fields);
    if event.source() != Source::None {
        put("etw.fields", Some(fields.finish()));
    }
    let rest = walked.map_or(event.payload(), |walked| walked.rest);
    if !rest.is_empty() {
        put("etw.rest", Some(Any::BytesValue(rest.to_vec())));
    }
    all
}

/// Number and word of a level.
fn severity(level: u8) -> (i32, &'static str) {
    match level {
        0 => (9, "always"),
        1 => (21, "critical"),
        2 => (17, "error"),
        3 => (13, "warning"),
        4 => (9, "info"),
        _ => (5, "verbose"),
    }
}

fn attribute(name: &str, value: Any) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn int(number: impl Into<i64>) -> Any {
    Any::IntValue(number.into())
}

fn text(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}
