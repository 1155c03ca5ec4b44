#![no_main]
//! Records of any bytes through every exporter: what they write can be read.

use etlring::codec::{RecordView, Records};
use etlring::export::chrome::Chrome;
use etlring::export::folded::Folded;
use etlring::export::otlp::{Encoding, Otlp};
use etlring::export::pcapng::Pcapng;
use etlring::export::{Entry, text::is_unsafe};
use etlring::format::FileTime;
use etlring::schema::Decoder;
use etlring::schema::images::Images;
use etlring::schema::stacks::{StackKeys, Stacks};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use prost::Message;
use serde_json::Value;

#[path = "../../tests/common/pcapng.rs"]
mod capture;

/// Records that are written; the rest of the input only teaches.
const MOST_RECORDS: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let (mut decoder, mut images) = (Decoder::new(), Images::new());
    let (mut keys, mut pcapng) = (StackKeys::new(), Pcapng::new());
    for record in Records::new(bytes).map_while(Result::ok) {
        decoder.learn(record);
        images.learn(record);
        keys.learn(record);
        pcapng.learn(record);
    }
    images.finish();
    keys.finish();
    let mut stacks = Stacks::new(&keys);
    let mut records: Vec<_> = Records::new(bytes)
        .map_while(Result::ok)
        .inspect(|record| stacks.look_ahead(*record))
        .filter_map(|record| RecordView::parse(record).ok())
        .take(MOST_RECORDS)
        .collect();
    // As a walk in time order shows them.
    records.sort_by_key(RecordView::ticks);

    let (mut chrome, mut folded) = (Chrome::new(0), Folded::new());
    let (mut protobuf, mut json) = (Otlp::new(Encoding::Protobuf), Otlp::new(Encoding::Json));
    let mut out: [Vec<u8>; 5] = Default::default();
    chrome.head(&mut out[0]);
    pcapng.head(&mut out[1]);
    for (at, view) in records.iter().enumerate() {
        let ticks = view.ticks().unwrap_or_default();
        let process = view.process_id().and_then(|pid| decoder.process_name(pid, ticks));
        let entry = Entry {
            view,
            event: &decoder.describe(view),
            time: FileTime(0),
            lane: (at % 3) as u16,
            buffer_index: 0,
            process_name: process,
            timer_resolution: 156_250,
        };
        let nanos = i128::from(ticks) - (1 << 40);
        let stack = stacks.of(view, &decoder);
        folded.event(&mut out[2], &entry, stack, (&decoder, &images), at % 2 == 0);
        chrome.event(&mut out[0], &entry, nanos, &decoder);
        pcapng.event(&mut out[1], &entry, nanos);
        protobuf.event(&mut out[3], &entry, nanos);
        json.event(&mut out[4], &entry, nanos);
    }
    chrome.tail(&mut out[0]);
    pcapng.tail(&mut out[1]);
    folded.finish(&mut out[2]);
    protobuf.finish(&mut out[3]);
    json.finish(&mut out[4]);

    let [chrome, capture, folded, protobuf, json] = out;
    let trace: Value = serde_json::from_slice(&chrome).expect("JSON");
    for event in trace["traceEvents"].as_array().expect("events") {
        assert!(event["name"].is_string() && event["ph"].is_string() && event["ts"].is_f64());
        assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["args"].is_object());
        assert!(event.get("dur").is_none_or(|dur| dur.as_f64() >= Some(0.0)));
    }
    let packets = capture::packets(&capture).expect("pcapng");
    assert_eq!(packets.len() as u64, pcapng.packets());
    for line in std::str::from_utf8(&folded).expect("UTF-8").lines() {
        assert!(!line.chars().any(is_unsafe));
        let (stack, count) = line.rsplit_once(' ').expect("a count");
        assert!(!stack.is_empty() && count.parse::<u64>().is_ok());
    }
    let mut counts = [0; 2];
    let mut rest = &protobuf[..];
    while let Some((length, message)) = rest.split_first_chunk::<4>() {
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let data = LogsData::decode(&message[..length]).expect("protobuf");
        let scopes = data.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        counts[0] += scopes.map(|scope| scope.log_records.len()).sum::<usize>();
        rest = &message[length..];
    }
    for line in std::str::from_utf8(&json).expect("UTF-8").lines() {
        let data: Value = serde_json::from_str(line).expect("JSON");
        let list = |value: &Value, name: &str| value[name].as_array().expect("a list").clone();
        for scope in list(&data, "resourceLogs").iter().flat_map(|one| list(one, "scopeLogs")) {
            counts[1] += list(&scope, "logRecords").len();
        }
    }
    assert!(rest.is_empty());
    assert_eq!(counts, [records.len(); 2]);
});
