//! Trace-event JSON: what a viewer would show of logs made by hand.

use crate::records::{Event, perfinfo, process, show, system, thread};
use etlring::export::chrome::Chrome;
use serde_json::{Value, json};

/// The events of a log that starts at 5 µs.
fn events(records: &[(u16, Vec<u8>)]) -> (Vec<Value>, String) {
    let mut chrome = Chrome::new(5_000);
    let mut out = Vec::new();
    chrome.head(&mut out);
    show(records, |entry, nanos, decoder| chrome.event(&mut out, entry, nanos, decoder));
    chrome.tail(&mut out);
    let text = String::from_utf8(out).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["otherData"]["start_unix_nanos"], "5000");
    let events = json["traceEvents"].as_array().unwrap().clone();
    for event in &events {
        assert!(event["name"].is_string() && event["ph"].is_string() && event["ts"].is_f64());
        assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["args"].is_object());
    }
    (events, text)
}

/// Phase, time, duration, process and thread of all events that are no names.
fn told(events: &[Value]) -> Vec<Value> {
    let told = events.iter().filter(|event| event["ph"] != "M");
    told.map(|e| json!([e["ph"], e["ts"], e["dur"], e["pid"], e["tid"]])).collect()
}

fn mark(ticks: u64, opcode: u8, task: u16, activity: u128, thread: u32) -> (u16, Vec<u8>) {
    let event = Event { ticks, opcode, task, activity, thread, process: 8, ..Event::default() };
    (0, event.bytes())
}

const START: u8 = 1;
const STOP: u8 = 2;

#[test]
fn starts_and_stops_are_spans() {
    let (found, text) = events(&[
        mark(100, START, 1, 0, 1),
        mark(110, START, 2, 0, 1),
        mark(121, STOP, 2, 0, 1),
        mark(130, 0, 1, 0, 1),
        // A stop on another thread is none of the first.
        mark(140, STOP, 1, 0, 2),
        mark(150, STOP, 1, 0, 1),
    ]);
    let expected = [
        json!(["X", 6.0, 1.1, 8, 1]),
        json!(["i", 8.0, null, 8, 1]),
        json!(["i", 9.0, null, 8, 2]),
        json!(["X", 5.0, 5.0, 8, 1]),
    ];
    assert_eq!(told(&found), expected);
    assert!(text.contains("\"dur\":1.100,\"ts\":6.000,"), "{text}");
}

#[test]
fn spans_that_do_not_nest_have_a_track_of_their_own() {
    let (found, _) = events(&[
        mark(100, START, 1, 0xA, 1),
        mark(110, START, 1, 0xB, 1),
        mark(120, STOP, 1, 0xA, 1),
        mark(130, STOP, 1, 0xB, 2),
        mark(140, START, 1, 0xC, 1),
    ]);
    let expected = [
        json!(["b", 5.0, null, 8, 1]),
        json!(["e", 7.0, null, 8, 1]),
        json!(["b", 6.0, null, 8, 1]),
        json!(["e", 8.0, null, 8, 1]),
        // Never stopped.
        json!(["b", 9.0, null, 8, 1]),
    ];
    assert_eq!(told(&found), expected);
    let ids: Vec<_> = found.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids, ["0x0", "0x0", "0x1", "0x1", "0x2"]);
    assert!(found.iter().all(|event| event["cat"].is_string()), "pairs are found by it");
}

#[test]
fn a_start_told_in_two_versions_is_one_span() {
    let start = |ticks, version| {
        let event =
            Event { ticks, version, opcode: START, task: 1, process: 8, ..Event::default() };
        (0, event.bytes())
    };
    let (found, _) = events(&[start(100, 1), start(101, 2), mark(110, STOP, 1, 0, 0)]);
    let expected = [json!(["i", 5.0, null, 8, 0]), json!(["X", 5.1, 0.9, 8, 0])];
    assert_eq!(told(&found), expected);
}

fn switch(cpu: u16, ticks: u64, old: u32, new: u32) -> (u16, Vec<u8>) {
    let mut payload = [new.to_le_bytes(), old.to_le_bytes()].concat();
    payload.resize(24, 0);
    (cpu, perfinfo(5, 36, 2, ticks, &payload))
}

#[test]
fn context_switches_are_tracks_of_processors() {
    let (found, _) = events(&[
        (0, process(8, "a\u{1b}.exe")),
        (0, thread(8, 70)),
        switch(0, 100, 0, 70),
        switch(1, 105, 90, 0),
        switch(0, 115, 70, 90),
        switch(1, 120, 0, 70),
        // The switch in between is lost: nothing is said of what ran.
        switch(0, 130, 80, 0),
        switch(1, 141, 70, 0),
    ]);
    let slices: Vec<_> = found.iter().filter(|event| event["ph"] == "X").collect();
    let told: Vec<_> = slices
        .iter()
        .map(|e| {
            json!([e["name"], e["ts"], e["dur"], e["tid"], e["args"]["tid"], e["args"]["pid"]])
        })
        .collect();
    let expected =
        [json!(["a\u{1b}.exe", 5.0, 1.5, 0, 70, 8]), json!(["a\u{1b}.exe", 7.0, 2.1, 1, 70, 8])];
    assert_eq!(told, expected);
    let tracks: Vec<_> = found.iter().filter(|event| event["name"] == "thread_name").collect();
    let names: Vec<_> = tracks.iter().map(|event| event["args"]["name"].as_str()).collect();
    assert_eq!(names, [Some("CPU 0"), Some("CPU 1")]);
}

#[test]
fn every_event_is_on_its_thread_and_named_once() {
    let (found, text) = events(&[
        (0, process(8, "a\u{1b}.exe")),
        (0, thread(8, 70)),
        // A sample of the profiler names its thread in a field.
        (3, perfinfo(0xF, 46, 2, 200, &[0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0, 1, 0, 0, 0])),
        (3, system((1, 10, 3), (8, 71), 201, &[])),
        // No thread at all.
        (3, perfinfo(0xF, 90, 2, 202, &[])),
        // A stack is no event.
        (3, perfinfo(0x18, 32, 2, 203, &[0; 24])),
    ]);
    let threads: Vec<_> = told(&found).iter().map(|e| json!([e[1], e[3], e[4]])).collect();
    // The records of process and thread name both.
    let expected = [
        json!([-5.0, 8, 0]),
        json!([-5.0, 8, 70]),
        json!([15.0, 8, 70]),
        json!([15.1, 8, 71]),
        json!([15.2, 0x7FFF_FFFF, 3]),
    ];
    assert_eq!(threads, expected);
    let names = found.iter().filter(|event| event["name"] == "process_name");
    let names: Vec<_> = names.map(|event| &event["args"]["name"]).collect();
    assert_eq!(names, ["a\u{1b}.exe", "Processors"]);
    assert!(!text.contains('\u{1b}'));
}
