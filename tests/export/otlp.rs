//! OpenTelemetry's logs: both encodings say the same.

use crate::records::{Event, perfinfo, process, show};
use etlring::export::otlp::{Encoding, MOST_RECORDS, Otlp};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use prost::Message;
use serde_json::{Value, json};

fn export(encoding: Encoding, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut otlp = Otlp::new(encoding);
    let mut out = Vec::new();
    show(records, |entry, nanos, _| otlp.event(&mut out, entry, nanos));
    otlp.finish(&mut out);
    out
}

fn messages(mut bytes: &[u8]) -> Vec<LogsData> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        found.push(LogsData::decode(&rest[..length]).unwrap());
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty());
    found
}

fn log() -> Vec<(u16, Vec<u8>)> {
    let activity = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff;
    let provider = 0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa;
    let event = |id, process, payload| {
        let event =
            Event { provider, id, process, activity, thread: 34, ticks: 10, ..Event::default() };
        (2, Event { payload, ..event }.bytes())
    };
    let mixed = crate::mixed();
    vec![
        (0, process(12, "a\u{1b}.exe")),
        event(7, 12, &b"\xca\xfe"[..]),
        event(8, 13, &[]),
        event(9, 12, &[]),
        (0, mixed),
        (0, perfinfo(0x55, 1, 0, 11, &[1])),
    ]
}

#[test]
fn a_process_is_a_resource_and_a_provider_its_scope() {
    let [message] = &messages(&export(Encoding::Protobuf, &log()))[..] else { panic!("one") };
    let process = |attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]| {
        attributes.iter().find(|one| one.key == "process.pid").map(|one| one.value.clone())
    };
    assert_eq!(message.resource_logs.len(), 4);
    let of_12 = &message.resource_logs[1];
    let pid = process(&of_12.resource.as_ref().unwrap().attributes).flatten().unwrap();
    assert_eq!(pid.value, Some(Any::IntValue(12)));
    let [scope] = &of_12.scope_logs[..] else { panic!("one provider") };
    let [first, second] = &scope.log_records[..] else { panic!("two events") };
    let guid = "5a5c36d4-6d1f-4a0e-8c39-3a1f0d7e42aa";
    assert_eq!(scope.scope.as_ref().unwrap().name, guid);
    assert_eq!((first.time_unix_nano, first.observed_time_unix_nano), (1000, 1000));
    assert_eq!((first.severity_number, &*first.severity_text), (9, "info"));
    let digits: Vec<u8> = (0..16).map(|digit| digit * 0x11).collect();
    assert_eq!(first.trace_id, digits, "as the activity is written");
    assert_eq!(first.event_name, "unknown 7");
    let rest = first.attributes.iter().find(|one| one.key == "etw.rest").unwrap();
    assert_eq!(rest.value.as_ref().unwrap().value, Some(Any::BytesValue(vec![0xCA, 0xFE])));
    assert!(second.attributes.iter().all(|one| one.key != "etw.rest"));
}

#[test]
fn json_says_the_same() {
    let text = String::from_utf8(export(Encoding::Json, &log())).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\u{1b}'));
    let json: Value = serde_json::from_str(&text).unwrap();
    let record = &json["resourceLogs"][1]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1000");
    assert_eq!(record["traceId"], "00112233445566778899aabbccddeeff");
    let attributes = record["attributes"].as_array().unwrap();
    assert!(attributes.contains(&json!({"key": "etw.rest", "value": {"bytesValue": "yv4="}})));
    assert!(attributes.contains(&json!({"key": "etw.event.id", "value": {"intValue": "7"}})));

    let mixed = &json["resourceLogs"][3]["scopeLogs"][0]["logRecords"][0]["attributes"];
    let fields = mixed.as_array().unwrap().iter().find(|one| one["key"] == "etw.fields").unwrap();
    let expected = json!([
        {"key": "n\"\n", "value": {"intValue": "7"}},
        {"key": "s", "value": {"stringValue": "a\u{fffd}<\u{1b}"}},
        {"key": "b", "value": {"boolValue": true}},
        {"key": "f", "value": {"doubleValue": "NaN"}},
        {"key": "h", "value": {"stringValue": "0xff"}},
        {"key": "x", "value": {"bytesValue": "yv4="}},
        {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "-1"}, {"intValue": "1"}]}}},
        {"key": "t", "value": {"kvlistValue": {"values": [
            {"key": "i", "value": {"intValue": "9"}}]}}},
    ]);
    assert_eq!(fields["value"]["kvlistValue"]["values"], expected);
}

#[test]
fn messages_are_bounded() {
    let event = Event { process: 1, ..Event::default() }.bytes();
    let many: Vec<_> = (0..2 * MOST_RECORDS + 1).map(|_| (0, event.clone())).collect();
    let found = messages(&export(Encoding::Protobuf, &many));
    let counts: Vec<_> = found
        .iter()
        .map(|message| message.resource_logs[0].scope_logs[0].log_records.len())
        .collect();
    assert_eq!(counts, [MOST_RECORDS, MOST_RECORDS, 1]);
    assert!(export(Encoding::Json, &[]).is_empty());
}
