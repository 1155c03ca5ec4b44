//! Documents of requests: the page's example, whole requests, records made by hand.

use crate::logs::*;
use crate::shape::{Node, checked, parse};
use etlring::codec::RecordView;
use etlring::export::Entry;
use etlring::export::freb::{Options, document};
use etlring::export::requests::{
    Failure, FailureReason, FailureRules, Request, Requests, StatusCode,
};
use etlring::format::{FileTime, Guid};
use etlring::iis::*;
use etlring::schema::Decoder;
use std::time::Duration;

/// The fragment of the page on `HTTP_TRACE_EVENT`.
fn fragment() -> Option<Node> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/HTTP_TRACE_EVENT.txt");
    let Ok(page) = std::fs::read_to_string(path) else {
        assert!(std::env::var_os("CI").is_none(), "{path} is missing");
        println!("skipped: no {path}");
        return None;
    };
    let start = page.find("<Event xmlns=").unwrap();
    let end = page.find("</Event>").unwrap() + "</Event>".len();
    Some(parse(&page[start..end]))
}

fn write(request: &Request) -> Node {
    let failure = FailureRules::default().judge(request).unwrap();
    checked(&document(request, &failure, &Options::default()))
}

fn child_mut<'n>(node: &'n mut Node, path: &[&str]) -> &'n mut Node {
    path.iter().fold(node, |node, name| {
        node.children.iter_mut().find(|child| child.name == *name).unwrap()
    })
}

#[test]
fn the_example_of_the_page_comes_out_the_same() {
    let Some(expected) = fragment() else { return };
    for flags in [0, HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS] {
        let recording = record("iis example");
        let server = HttpServer::new();
        let result = example(&server.request_context(ACTIVITY, "A_raizeEvent"), flags);
        assert_eq!(result, HResult::S_OK);
        let (log, accepted) = recording.stop();
        assert_eq!(accepted, 1, "nothing has to be described");
        let [request] = <[Request; 1]>::try_from(requests(&log)).unwrap();
        let failure = FailureRules::default().judge(&request).unwrap();
        let options = Options { computer: "N2-IIS".to_owned(), ..Options::default() };
        let mut root = checked(&document(&request, &failure, &options));
        let mut found = root.children.remove(0);
        // What depends on the system, as the page says: time, process and thread.
        let expected_system = expected.child("System");
        for name in ["TimeCreated", "Execution"] {
            *child_mut(&mut found, &["System", name]) = expected_system.child(name).clone();
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn the_example_as_a_record_made_by_hand_has_its_time_and_ids_too() {
    let Some(expected) = fragment() else { return };
    let mut payload = ACTIVITY.0.to_vec();
    payload.extend("A_raizeEvent\0".encode_utf16().flat_map(u16::to_le_bytes));
    payload.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let record = classic(guids::REQUEST_NOTIFICATIONS, 1, 1, 0, &payload);
    // 2007-08-27T21:10:30.186Z
    let time = FileTime::from_unix_nanos(1_188_249_030_186_000_000);
    let request = of_records(&[(&record, time)]).remove(0);
    let failure = FailureRules::default().judge(&request).unwrap();
    let options = Options { computer: "N2-IIS".to_owned(), ..Options::default() };
    assert_eq!(checked(&document(&request, &failure, &options)).children, [expected]);
}

/// Requests of single records, as if they lay in a log.
fn of_records(records: &[(&[u8], FileTime)]) -> Vec<Request> {
    let decoder = Decoder::new();
    let mut requests = Requests::new(1 << 20);
    let mut found = Vec::new();
    for (record, time) in records {
        let raw = etlring::codec::Records::new(record).next().unwrap().unwrap();
        let view = RecordView::parse(raw).unwrap();
        let entry = Entry {
            view: &view,
            event: &decoder.describe(&view),
            time: *time,
            lane: 0,
            buffer_index: 1,
            process_name: None,
            timer_resolution: 0,
        };
        requests.add(&entry, |request| found.push(request));
    }
    requests.finish(|request| found.push(request));
    found
}

/// A request that fails in a module, with text that means harm.
fn record_failure(context: &HttpTraceContext<'_>) {
    start(context, "http://localhost:80/a.aspx?q=<script>&\"\u{1}");
    let items = [
        HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
        HttpTraceEventItem::new("AuthType", 1u32).described("ANONYMOUS"),
        HttpTraceEventItem::new("NTLMUsed", false),
        HttpTraceEventItem::new("RemoteUserName", "remote"),
        HttpTraceEventItem::new("AuthUserName", "N2\\someone"),
        HttpTraceEventItem::new("TokenImpersonationLevel", 3u32),
    ];
    let event = HttpTraceEvent {
        area: 2,
        area_guid: Guid::from_u128(0xc33bbe8f_985b_4080_81e6_005f1a06b9e2),
        event: 11,
        event_name: "AUTH_SUCCEEDED",
        event_version: 1,
        verbosity: 4,
        event_items: &items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    };
    assert_eq!(context.raise_trace_event(&event), HResult::S_OK);
    let items = [
        HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
        HttpTraceEventItem::new("ModuleName", "IIS Web Core"),
        HttpTraceEventItem::new("Notification", 16u32),
        HttpTraceEventItem::new("HttpStatus", 404u32),
        HttpTraceEventItem::new("HttpReason", b"Not Found"),
        HttpTraceEventItem::new("HttpSubStatus", 7u16),
        HttpTraceEventItem::new("ErrorCode", 0x8007_0002u32),
        HttpTraceEventItem::new("ConfigExceptionInfo", "one\r\ntwo\nthree\rfour"),
    ];
    let event = HttpTraceEvent {
        area: 0x100,
        area_guid: guids::REQUEST_NOTIFICATIONS,
        event: 16,
        event_name: "MODULE_SET_RESPONSE_ERROR_STATUS",
        event_version: 1,
        verbosity: 3,
        event_items: &items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    };
    assert_eq!(context.raise_trace_event(&event), HResult::S_OK);
    general(
        context,
        49,
        "GENERAL_RESPONSE_ENTITY_BUFFER",
        &[HttpTraceEventItem::new("Buffer", b"\x89PNG\x1a\xff")],
    );
    end(context, 404, 7);
}

#[test]
fn a_request_becomes_a_document_with_all_attributes() {
    let recording = record("iis document");
    let server = HttpServer::new();
    record_failure(&server.request_context(ACTIVITY, "m"));
    let (log, _) = recording.stop();
    let [request] = <[Request; 1]>::try_from(requests(&log)).unwrap();
    let root = write(&request);
    for (name, value) in [
        ("url", "http://localhost:80/a.aspx?q=<script>&\"\\u{1}"),
        ("siteId", "1"),
        ("appPoolId", "DefaultAppPool"),
        ("processId", &std::process::id().to_string()),
        ("verb", "GET"),
        ("remoteUserName", "remote"),
        ("userName", "N2\\someone"),
        ("tokenUserName", ""),
        ("authenticationType", "anonymous"),
        ("activityId", "{00000000-0000-0000-9800-0080000000FA}"),
        ("failureReason", "STATUS_CODE"),
        ("statusCode", "404.7"),
        ("triggerStatusCode", "404.7"),
        ("xmlns:freb", "http://schemas.microsoft.com/win/2006/06/iis/freb"),
    ] {
        assert_eq!(root.attribute(name), value);
    }
    let names: Vec<_> = root.children.iter().map(name).collect();
    assert_eq!(
        names,
        [
            "GENERAL_REQUEST_START",
            "AUTH_SUCCEEDED",
            "MODULE_SET_RESPONSE_ERROR_STATUS",
            "GENERAL_RESPONSE_ENTITY_BUFFER",
            "GENERAL_REQUEST_END",
        ]
    );
    let event = &root.children[2];
    assert_eq!(
        event.data(),
        [
            ("ContextId", "{00000000-0000-0000-9800-0080000000FA}"),
            ("ModuleName", "IIS Web Core"),
            ("Notification", "16"),
            ("HttpStatus", "404"),
            ("HttpReason", "Not Found"),
            ("HttpSubStatus", "7"),
            ("ErrorCode", "2147942402"),
            ("ConfigExceptionInfo", "one\ntwo\nthree\rfour"),
        ]
    );
    let descriptions: Vec<_> = event.child("RenderingInfo").children[2..]
        .iter()
        .map(|description| (description.attribute("Data"), description.text.as_str()))
        .collect();
    assert_eq!(
        descriptions,
        [
            ("Notification", "MAP_REQUEST_HANDLER"),
            ("ErrorCode", "The system cannot find the file specified.\n (0x80070002)"),
        ]
    );
    assert_eq!(event.child("System").child("Level").text, "3");
    assert_eq!(root.children[3].data()[1], ("Buffer", "%89%50%4E%47%1A%FF"));
    let area = root.children[0].child("RenderingInfo").children.len();
    assert_eq!(area, 1, "the general area has no keyword");
}

fn name(event: &Node) -> &str {
    &event.child("RenderingInfo").child("Opcode").text
}

#[test]
fn a_document_that_is_too_large_is_cut_and_says_so() {
    let recording = record("iis cut");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "m");
    start(&context, "/");
    for _ in 0..200 {
        assert_eq!(example(&context, 0), HResult::S_OK);
    }
    end(&context, 200, 0);
    let (log, _) = recording.stop();
    let request = requests(&log).remove(0);
    let failure = Failure { reason: FailureReason::StatusCode, trigger: StatusCode::default() };
    let whole = document(&request, &failure, &Options { most_bytes: 0, ..Options::default() });
    assert_eq!(checked(&whole).children.len(), 202);
    let exact = Options { most_bytes: whole.len(), ..Options::default() };
    assert_eq!(document(&request, &failure, &exact), whole);
    for most_bytes in [1, 5_000, 50_000, whole.len() - 1] {
        let options = Options { most_bytes, ..Options::default() };
        let cut = document(&request, &failure, &options);
        let root = checked(&cut);
        assert_eq!(name(root.children.last().unwrap()), "LOG_FILE_MAX_SIZE_TRUNCATE");
        assert!(root.children.len() <= 202 && cut.len() <= most_bytes.max(700) + 1200);
    }
}

#[test]
fn rules_choose_the_requests() {
    let recording = record("iis rules");
    let server = HttpServer::new();
    for (number, status, substatus) in [(1, 200, 0), (2, 404, 2), (3, 503, 0)] {
        let context = server.request_context(Guid::from_u128(number), "m");
        start(&context, "/");
        if number == 1 {
            assert_eq!(context.quick_trace("slow", None, HResult::S_OK, 2), HResult::S_OK);
        }
        end(&context, status, substatus);
    }
    let (log, _) = recording.stop();
    let all = requests(&log);
    assert_eq!(all.len(), 3);
    let chosen = |rules: &FailureRules| -> Vec<(u16, &str)> {
        let judged = all.iter().filter_map(|request| Some((request, rules.judge(request)?)));
        judged
            .map(|(request, failure)| {
                assert_eq!(failure.trigger, request.status.unwrap());
                (request.status.unwrap().status, failure.reason.name())
            })
            .collect()
    };
    let rules = FailureRules::default();
    assert_eq!(chosen(&rules).len(), 3);
    let status = FailureRules { status: "404.2,500-599".parse().unwrap(), ..rules.clone() };
    assert_eq!(chosen(&status), [(404, "STATUS_CODE"), (503, "STATUS_CODE")]);
    let other = FailureRules { status: "404.3".parse().unwrap(), ..rules.clone() };
    assert_eq!(chosen(&other), []);
    let time = FailureRules { time_taken: Some(Duration::ZERO), ..rules.clone() };
    assert_eq!(chosen(&time).len(), 3);
    let slow = FailureRules { time_taken: Some(Duration::from_secs(3600)), ..rules.clone() };
    assert_eq!(chosen(&slow), []);
    let errors = FailureRules { verbosity: Some(2), ..rules.clone() };
    assert_eq!(chosen(&errors), [(200, "VERBOSITY")]);
    assert_eq!(chosen(&FailureRules { verbosity: Some(1), ..rules }), []);
}

#[test]
fn ids_that_are_used_again_are_requests_of_their_own() {
    let recording = record("iis again");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "m");
    for url in ["/1", "/2"] {
        start(&context, url);
        end(&context, 200, 0);
        // Behind the end, as some modules log.
        assert_eq!(example(&context, 0), HResult::S_OK);
    }
    let (log, _) = recording.stop();
    let all = requests(&log);
    let urls: Vec<_> = all.iter().map(|request| (&*request.url, request.events.len())).collect();
    assert_eq!(urls, [("/1", 3), ("/2", 3)]);
}

/// A payload for the fields of a known event, all values of some size.
fn payload_of(fields: &[etlring::schema::iis::KnownField]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        match field.item_type {
            HttpTraceType::LPCGUID => payload.extend_from_slice(&ACTIVITY.0),
            HttpTraceType::LPCSTR => payload.extend_from_slice(b"value\0"),
            HttpTraceType::LPCWSTR => {
                payload.extend("wert\0".encode_utf16().flat_map(u16::to_le_bytes));
            }
            fixed => {
                let mut bytes = vec![0; fixed.width().unwrap()];
                bytes[0] = if fixed == HttpTraceType::BOOL { 1 } else { u8::try_from(at).unwrap() };
                payload.extend_from_slice(&bytes);
            }
        }
    }
    payload
}

#[test]
fn every_known_event_is_named_and_every_item_typed() {
    let mut count = 0;
    for area in etlring::schema::iis::AREAS {
        for number in 0..=u8::MAX {
            for known in etlring::schema::iis::known(area.guid, number) {
                count += 1;
                let record = classic(area.guid, number, 0, 7, &payload_of(&known.fields));
                let raw = etlring::codec::Records::new(&record).next().unwrap().unwrap();
                let view = RecordView::parse(raw).unwrap();
                let decoder = Decoder::new();
                let event = decoder.describe(&view);
                assert_eq!(event.name(), Some(known.name));
                assert_eq!(event.provider_name(), Some(area.provider.name));
                let iis = event.iis().unwrap();
                assert_eq!((iis.level, iis.area), (known.level, area.mask));
                let mut out = Vec::new();
                let walked = etlring::export::fields::JsonFields::default().write(&mut out, &event);
                let walked = walked.unwrap();
                assert_eq!((walked.rest, walked.error), (&[][..], None), "{}", known.name);
                if known.fields.first().is_some_and(|field| field.name == "ContextId") {
                    let request = of_records(&[(&record, FileTime(0))]).remove(0);
                    let root = write(&request);
                    assert_eq!(root.children[0].data().len(), known.fields.len());
                }
            }
        }
    }
    assert!(count > 200, "{count}");
}

#[test]
fn an_unknown_event_of_a_known_area_is_shown_typed() {
    let mut payload = ACTIVITY.0.to_vec();
    payload.extend("C:\\inetpub\0".encode_utf16().flat_map(u16::to_le_bytes));
    payload.extend_from_slice(b"text/html\0");
    payload.extend_from_slice(&[5, 0, 0, 0, 0, 1, 0, 0, 9]);
    let record = classic(guids::GENERAL, 200, 1, 0, &payload);
    let request = of_records(&[(&record, FileTime(0))]).remove(0);
    let event = &write(&request).children[0];
    assert_eq!(event.child("RenderingInfo").child("Opcode").text, "WWW_SERVER_200");
    assert_eq!(
        event.data()[1..],
        [
            ("Item1", "C:\\inetpub"),
            ("Item2", "text/html"),
            ("Item3", "5"),
            ("Item4", "256"),
            ("Rest", "%09"),
        ]
    );
}

#[test]
fn damaged_and_foreign_records_belong_to_no_request() {
    let zero = classic(guids::GENERAL, 1, 1, 0, &[0; 64]);
    let short = classic(guids::GENERAL, 2, 1, 0, &[1; 7]);
    let foreign = classic(Guid::from_u128(77), 1, 1, 0, &ACTIVITY.0);
    let records: [&[u8]; 3] = [&zero, &short, &foreign];
    assert!(of_records(&records.map(|record| (record, FileTime(0)))).is_empty());
    // Cut anywhere an event of a request is still one, with what is there.
    let mut payload = ACTIVITY.0.to_vec();
    payload.extend("module\0".encode_utf16().flat_map(u16::to_le_bytes));
    payload.extend_from_slice(&[0; 8]);
    for cut in 16..payload.len() {
        let record = classic(guids::REQUEST_NOTIFICATIONS, 1, 1, 0, &payload[..cut]);
        assert!(!write(&of_records(&[(&record, FileTime(0))]).remove(0)).children.is_empty());
    }
}
