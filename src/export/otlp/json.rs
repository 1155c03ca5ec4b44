//! OTLP's messages as its JSON: names in camel case, 64-bit numbers as text, ids as hex, bytes as
//! base64.

use crate::export::fields::json_value;
use crate::export::json;
use crate::schema::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use std::io::Write;

pub(super) fn logs_data(out: &mut Vec<u8>, data: &LogsData) {
    out.extend_from_slice(b"{\"resourceLogs\":");
    list(out, &data.resource_logs, resource_logs);
    out.push(b'}');
}

fn resource_logs(out: &mut Vec<u8>, logs: &ResourceLogs) {
    out.extend_from_slice(b"{\"resource\":{\"attributes\":");
    let resource = logs.resource.as_ref().map(|resource| &*resource.attributes);
    list(out, resource.unwrap_or_default(), key_value);
    out.extend_from_slice(b"},\"scopeLogs\":");
    list(out, &logs.scope_logs, scope_logs);
    out.push(b'}');
}

fn scope_logs(out: &mut Vec<u8>, logs: &ScopeLogs) {
    let none = InstrumentationScope::default();
    let scope = logs.scope.as_ref().unwrap_or(&none);
    out.extend_from_slice(b"{\"scope\":{\"name\":");
    json::string(out, &scope.name);
    json::key(out, "attributes");
    list(out, &scope.attributes, key_value);
    out.extend_from_slice(b"},\"logRecords\":");
    list(out, &logs.log_records, log_record);
    out.push(b'}');
}

fn log_record(out: &mut Vec<u8>, record: &LogRecord) {
    put(out, format_args!("{{\"timeUnixNano\":\"{}\"", record.time_unix_nano));
    put(out, format_args!(",\"observedTimeUnixNano\":\"{}\"", record.observed_time_unix_nano));
    put(out, format_args!(",\"severityNumber\":{},\"severityText\":", record.severity_number));
    json::string(out, &record.severity_text);
    json::key(out, "eventName");
    json::string(out, &record.event_name);
    if let Some(body) = &record.body {
        json::key(out, "body");
        any_value(out, body);
    }
    json::key(out, "attributes");
    list(out, &record.attributes, key_value);
    if !record.trace_id.is_empty() {
        json::key(out, "traceId");
        json::hex_bytes(out, &record.trace_id);
    }
    out.push(b'}');
}

fn key_value(out: &mut Vec<u8>, one: &KeyValue) {
    out.extend_from_slice(b"{\"key\":");
    json::string(out, &one.key);
    if let Some(value) = &one.value {
        json::key(out, "value");
        any_value(out, value);
    }
    out.push(b'}');
}

fn any_value(out: &mut Vec<u8>, value: &AnyValue) {
    let Some(value) = &value.value else {
        out.extend_from_slice(b"{}");
        return;
    };
    match value {
        Any::StringValue(text) => {
            out.extend_from_slice(b"{\"stringValue\":");
            json::string(out, text);
        }
        Any::BoolValue(value) => put(out, format_args!("{{\"boolValue\":{value}")),
        Any::IntValue(number) => put(out, format_args!("{{\"intValue\":\"{number}\"")),
        Any::DoubleValue(number) => {
            out.extend_from_slice(b"{\"doubleValue\":");
            json_value(out, &Value::Double(*number));
        }
        Any::BytesValue(bytes) => {
            out.extend_from_slice(b"{\"bytesValue\":\"");
            base64(out, bytes);
            out.push(b'"');
        }
        Any::ArrayValue(array) => {
            out.extend_from_slice(b"{\"arrayValue\":{\"values\":");
            list(out, &array.values, any_value);
            out.push(b'}');
        }
        Any::KvlistValue(values) => {
            out.extend_from_slice(b"{\"kvlistValue\":{\"values\":");
            list(out, &values.values, key_value);
            out.push(b'}');
        }
        // Numbers of names that a table elsewhere would hold; nothing here makes them.
        Any::StringValueStrindex(number) => put(out, format_args!("{{\"intValue\":\"{number}\"")),
    }
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut each: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// RFC 4648, with padding.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at > chunk.len() { b'=' } else { digit });
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_those_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foob", "Zm9vYg==")] {
            let mut out = Vec::new();
            super::base64(&mut out, bytes.as_bytes());
            assert_eq!(out, text.as_bytes());
        }
    }
}
