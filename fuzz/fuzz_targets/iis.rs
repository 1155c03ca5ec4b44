#![no_main]
//! Items of any types and values: what is packed is read back, and documents and pages made of any
//! records at all are well formed.

use arbitrary::{Arbitrary, Unstructured};
use etlring::codec::{RecordView, Records};
use etlring::export::Entry;
use etlring::export::freb::{Options, document};
use etlring::export::page::Page;
use etlring::export::requests::{FailureRules, Requests};
use etlring::format::{FileTime, Guid};
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::reader::Trace;
use etlring::schema::{Decoder, Shape, Value, Visitor};
use etlring::session::Session;
use etlring::sink::MemorySink;
use libfuzzer_sys::fuzz_target;
use quick_xml::events::Event;

/// An item as bytes choose it.
#[derive(Arbitrary, Debug)]
enum Data {
    Number(u8, u64),
    Wide(String),
    Narrow(Vec<u8>),
    Guid([u8; 16]),
    Bool(bool),
    Bytes(u8, Vec<u8>),
    Null(u8),
}

#[derive(Arbitrary, Debug)]
struct Item {
    name: String,
    data: Data,
    description: Option<String>,
}

#[derive(Arbitrary, Debug)]
struct Input {
    items: Vec<Item>,
    number: u8,
    is_static: bool,
}

/// Names of items that are marked as static.
const STATIC: [&str; 3] = ["First", "Second", "Third"];

fn type_of(number: u8) -> HttpTraceType {
    HttpTraceType::ALL.get(usize::from(number)).copied().unwrap_or(HttpTraceType(number))
}

impl Data {
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    fn value<'a>(&'a self, guid: &'a Guid) -> HttpTraceData<'a> {
        match self {
            Self::Number(kind, value) => match kind % 8 {
                0 => (*value as u8).into(),
                1 => (*value as u16).into(),
                2 => (*value as u32).into(),
                3 => (*value).into(),
                4 => (*value as i8).into(),
                5 => (*value as i16).into(),
                6 => (*value as i32).into(),
                _ => (*value as i64).into(),
            },
            Self::Wide(text) => text.as_str().into(),
            Self::Narrow(text) => text.as_slice().into(),
            Self::Guid(_) => guid.into(),
            Self::Bool(value) => (*value).into(),
            Self::Bytes(kind, bytes) => HttpTraceData::bytes(type_of(*kind), bytes),
            Self::Null(kind) => HttpTraceData::null(type_of(*kind)),
        }
    }

    /// What a reader shows of it; `None` where it is no value, or bytes of no certain meaning.
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
    fn shown(&self) -> Option<String> {
        Some(match self {
            Self::Number(kind, value) => match kind % 8 {
                0 => (*value as u8).to_string(),
                1 => (*value as u16).to_string(),
                2 => (*value as u32).to_string(),
                3 => value.to_string(),
                4 => (*value as i8).to_string(),
                5 => (*value as i16).to_string(),
                6 => (*value as i32).to_string(),
                _ => (*value as i64).to_string(),
            },
            Self::Wide(text) => text.split('\0').next()?.to_owned(),
            Self::Guid(bytes) => Guid(*bytes).to_string(),
            Self::Bool(value) => value.to_string(),
            _ => return None,
        })
    }
}

/// Values as they are read, in order; `None` for one that a name stands for.
#[derive(Default)]
struct Seen(Vec<Option<String>>);

impl Visitor for Seen {
    fn value(&mut self, _: &str, value: &Value<'_>) {
        self.0.push(match value {
            Value::Mapped { .. } => None,
            value => Some(value.to_string()),
        });
    }

    fn begin(&mut self, _: &str, _: Shape) {
        panic!("items are flat");
    }

    fn end(&mut self, _: Shape) {}
}

fuzz_target!(|bytes: &[u8]| {
    // Any bytes as records of a log.
    let mut decoder = Decoder::new();
    for record in Records::new(bytes).map_while(Result::ok) {
        decoder.learn(record);
    }
    documents(&decoder, Records::new(bytes).map_while(Result::ok));

    let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let (sink, log) = MemorySink::new();
    let session = Session::builder("fuzz").buffer_size(4096).sink(sink).start().expect("starts");
    let provider = Guid::from_u128(0xf022);
    let mut server = HttpServer::new();
    server.add_provider(provider, "fuzz", &[(2, "Area")]);
    session.enable_provider(provider, &Enable::new()).expect("enables");
    let guid_of = |item: &Item| match item.data {
        Data::Guid(bytes) => Guid(bytes),
        _ => Guid::ZERO,
    };
    let guids: Vec<_> = input.items.iter().map(guid_of).collect();
    let items: Vec<_> = input
        .items
        .iter()
        .zip(&guids)
        .zip(STATIC.iter().cycle())
        .map(|((item, guid), name)| HttpTraceEventItem {
            // Few kinds, for a process numbers no more than some, and only those take every path.
            name: if input.is_static { name } else { &item.name },
            data: item.data.value(guid),
            data_description: item.description.as_deref(),
        })
        .collect();
    let event = HttpTraceEvent {
        area: 2,
        area_guid: Guid::from_u128(0xf023),
        event: u32::from(input.number),
        event_name: "EVENT",
        flags: u32::from(input.is_static),
        event_items: &items,
        ..HttpTraceEvent::of(provider)
    };
    // Twice: if its names are static, the second one needs no words any more.
    let context = server.request_context(Guid::from_u128(1), "m");
    let [first, second] = [(); 2].map(|()| context.raise_trace_event(&event));
    let raised = [first, second].into_iter().filter(|result| *result == HResult::S_OK).count();
    session.stop().expect("stops");

    let trace = Trace::from_bytes(log.take()).expect("a log");
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        decoder.learn(record.expect("whole").raw());
    }
    let mut records = trace.records();
    let mut found = 0;
    while let Some(record) = records.next() {
        let view = record.expect("whole").view().expect("whole");
        let event = decoder.describe(&view);
        if event.iis().is_none() {
            continue;
        }
        found += 1;
        let mut seen = Seen::default();
        let walked = event.walk(&mut seen).expect("described");
        assert_eq!((walked.rest, walked.error), (&[][..], None));
        assert_eq!(seen.0.len(), items.len());
        for (item, seen) in input.items.iter().zip(&seen.0) {
            if let (Some(raised), Some(seen)) = (item.data.shown(), seen) {
                assert_eq!(&raised, seen);
            }
        }
    }
    assert_eq!(found, raised);
});

/// Documents and a page of all requests; they are read again.
fn documents<'a>(decoder: &Decoder, records: impl Iterator<Item = etlring::codec::RawRecord<'a>>) {
    let mut requests = Requests::new(1 << 20);
    let mut all = Vec::new();
    for record in records.take(64) {
        let Ok(view) = RecordView::parse(record) else { continue };
        let time = FileTime(i64::from_le_bytes(view.ticks().unwrap_or(0).to_le_bytes()));
        let entry = Entry {
            view: &view,
            event: &decoder.describe(&view),
            time,
            lane: 0,
            buffer_index: 0,
            process_name: None,
            timer_resolution: 0,
        };
        requests.add(&entry, |request| all.push(request));
    }
    requests.finish(|request| all.push(request));
    let mut page = Page::new();
    for request in &all {
        let failure = FailureRules::default().judge(request).expect("without rules all fail");
        for most_bytes in [0, 2000] {
            let options = Options { computer: "<&\">".to_owned(), most_bytes };
            let document = document(request, &failure, &options);
            let text = std::str::from_utf8(&document).expect("UTF-8");
            assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
            let mut reader = quick_xml::Reader::from_str(text);
            let mut depth = 0;
            loop {
                match reader.read_event().expect("XML") {
                    Event::Start(_) => depth += 1,
                    Event::End(_) => depth -= 1,
                    Event::Eof => break,
                    _ => {}
                }
            }
            assert_eq!(depth, 0);
        }
        page.add(request, Some(&failure));
    }
    let page = String::from_utf8(page.finish("</script>")).expect("UTF-8");
    assert_eq!(page.matches("</script>").count(), 2);
}
