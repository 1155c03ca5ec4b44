//! What is raised: the record, who gets it, the answers, what explains it.

use crate::logs::*;
use etlring::codec::RecordHeader;
use etlring::format::Guid;
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::schema::iis::{OUTLINE_CLASS, Outline};
use etlring::session::{FileMode, Session};
use etlring::sink::MemorySink;
use std::cell::Cell;

#[test]
fn the_record_is_the_one_that_iis_writes() {
    let recording = record("iis record");
    let server = HttpServer::new();
    assert_eq!(example(&server.request_context(ACTIVITY, "m"), 1), HResult::S_OK);
    let (log, _) = recording.stop();
    let mut expected = vec![0; 8];
    expected.extend_from_slice(&[0x98, 0, 0, 0x80, 0, 0, 0, 0xFA]);
    expected.extend("A_raizeEvent\0".encode_utf16().flat_map(u16::to_le_bytes));
    expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut seen = 0;
    entries(&log, |entry| {
        let RecordHeader::Classic(header) = entry.view.header() else { return };
        seen += 1;
        assert_eq!(usize::from(header.size.get()), 48 + expected.len());
        assert_eq!((header.class_type, header.class_level), (1, 0));
        assert_eq!(header.class_version.get(), 1);
        assert_eq!(header.guid, guids::REQUEST_NOTIFICATIONS);
        assert_eq!((header.kernel_time.get(), header.user_time.get()), (0, 0));
        assert_eq!(entry.view.payload(), expected);
    });
    assert_eq!(seen, 1);
}

fn event<'a>(area: u32, verbosity: u32, items: &'a [HttpTraceEventItem<'a>]) -> HttpTraceEvent<'a> {
    HttpTraceEvent {
        area,
        area_guid: guids::MODULE,
        event: 60,
        event_name: "E",
        verbosity,
        event_items: items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    }
}

#[test]
fn areas_and_verbosity_choose_the_events() {
    let recording = record("iis areas");
    let server = HttpServer::new();
    let context = server.global_context("m");
    let module = HttpModule::new(&recording.session);
    let count = |areas, verbosity| {
        let wanted = HttpTraceConfiguration {
            provider_guid: Some(guids::WWW_SERVER),
            areas,
            verbosity,
            provider_enabled: true,
        };
        assert_eq!(context.set_trace_configuration(&module, &[wanted]), HResult::S_OK);
        let mut told =
            HttpTraceConfiguration { provider_guid: wanted.provider_guid, ..<_>::default() };
        assert_eq!(context.trace_configuration(&mut told), HResult::S_OK);
        assert_eq!((told.provider_enabled, told.areas, told.verbosity), (true, areas, verbosity));
        let before = handle(&recording).query().events_accepted;
        for area in [0, 2, 0x100, 0x8000_0000] {
            for verbosity in 0..=5 {
                let event = event(area, verbosity, &[]);
                assert_eq!(context.raise_trace_event(&event), HResult::S_OK);
            }
        }
        // Each is described by a record of its own.
        (handle(&recording).query().events_accepted - before) / 2
    };
    assert_eq!(count(0xFFFF_FFFE, 5), 24);
    assert_eq!(count(0xFFFF_FFFE, 3), 16);
    assert_eq!(count(0x100, 5), 12);
    assert_eq!(count(0x102, 1), 6);
    // The general area cannot be left out.
    assert_eq!(count(0, 5), 6);
    assert_eq!(count(1, 5), 6);
    recording.stop();
}

#[test]
fn configurations_are_answered_as_documented() {
    let recording = record("iis configuration");
    let mut server = HttpServer::new();
    let own = Guid::from_u128(0x1157);
    server.add_provider(own, "own", &[]);
    let context = server.global_context("m");
    let module = HttpModule::new(&recording.session);
    let mut asked = HttpTraceConfiguration { provider_guid: Some(own), ..<_>::default() };
    assert_eq!(context.trace_configuration(&mut asked), HResult::S_OK);
    assert_eq!(asked, HttpTraceConfiguration { provider_guid: Some(own), ..<_>::default() });
    // The default session of this test enabled everything without a mask.
    asked.provider_guid = Some(guids::WWW_SERVER);
    assert_eq!(context.trace_configuration(&mut asked), HResult::S_OK);
    assert_eq!((asked.areas, asked.verbosity, asked.provider_enabled), (0xFFFFE, 5, true));
    asked = HttpTraceConfiguration { provider_guid: Some(Guid::from_u128(9)), ..asked };
    assert_eq!(context.trace_configuration(&mut asked), HResult::S_OK);
    assert!(!asked.provider_enabled);
    assert_eq!(context.set_trace_configuration(&module, &[asked]), HResult::NOT_FOUND);
    asked.provider_guid = None;
    assert_eq!(context.trace_configuration(&mut asked), HResult::INVALID_PARAMETER);
    assert_eq!(context.set_trace_configuration(&module, &[asked]), HResult::INVALID_PARAMETER);
    assert_eq!(context.set_trace_configuration(&module, &[]), HResult::S_OK);
    // All providers at once, on and off again.
    for provider_enabled in [true, false] {
        let all = HttpTraceConfiguration {
            provider_guid: Some(guids::ALL),
            areas: guids::ALL_AREAS,
            verbosity: 4,
            provider_enabled,
        };
        assert_eq!(context.set_trace_configuration(&module, &[all]), HResult::S_OK);
        for guid in [own, guids::WWW_SERVER, guids::ISAPI] {
            let mut told = HttpTraceConfiguration { provider_guid: Some(guid), ..<_>::default() };
            assert_eq!(context.trace_configuration(&mut told), HResult::S_OK);
            assert_eq!(told.provider_enabled, provider_enabled);
        }
    }
    recording.stop();
    let gone = HttpTraceConfiguration {
        provider_guid: Some(own),
        provider_enabled: true,
        ..HttpTraceConfiguration::default()
    };
    assert_eq!(context.set_trace_configuration(&module, &[gone]), HResult::E_FAIL);
}

#[test]
fn answers_are_those_of_the_page() {
    let recording = record("iis answers");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "m");
    let large = "x".repeat(40_000);
    let too_large = [HttpTraceEventItem::new("a", large.as_str())];
    let wrong = [HttpTraceEventItem::new("a", HttpTraceData::bytes(HttpTraceType::ULONG, &[1]))];
    let fine = event(0x200, 5, &[]);
    let cases = [
        (fine, HResult::S_OK),
        (HttpTraceEvent { event: 256, ..fine }, HResult::E_FAIL),
        (HttpTraceEvent { event_version: 65_536, ..fine }, HResult::E_FAIL),
        (HttpTraceEvent { event_items: &too_large, ..fine }, HResult::E_FAIL),
        (HttpTraceEvent { event_items: &wrong, ..fine }, HResult::E_FAIL),
        // Nobody wants these: they are not even looked at.
        (HttpTraceEvent { verbosity: 6, event_items: &wrong, ..fine }, HResult::S_OK),
        (HttpTraceEvent { provider_guid: guids::ASP, event: 256, ..fine }, HResult::S_OK),
        (HttpTraceEvent { provider_guid: Guid::from_u128(3), ..fine }, HResult::S_OK),
    ];
    for (event, answer) in cases {
        assert_eq!(context.raise_trace_event(&event), answer, "{event:?}");
    }
    // The one that was too large is lost in the session and counted there.
    let stats = recording.session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (2, 1));
    let numbers = [HResult::S_OK, HResult::E_FAIL, HResult::E_OUTOFMEMORY, HResult::NOT_FOUND];
    let numbers = numbers.map(HResult::code);
    assert_eq!(numbers, [0, 0x8000_4005, 0x8007_000E, 0x8007_0490]);
    assert_eq!(HResult::E_FAIL.to_string(), "E_FAIL (0x80004005)");
}

/// About the size for which room is made in advance, in all parts of buffers, and by what path an
/// event goes: the first one of its kind is described, the later ones are not.
#[test]
fn records_are_the_same_by_every_path() {
    let recording = record("iis paths");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "m");
    let text = "The text of an item. ".repeat(60);
    let lens = (0..24).chain(320..340).chain([700, 1100]);
    let mut expected = Vec::new();
    for len in lens {
        let text = &text[..len];
        let mut payload = ACTIVITY.0.to_vec();
        payload.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        payload.extend_from_slice(&7u32.to_le_bytes());
        payload.extend_from_slice(text.as_bytes());
        payload.extend_from_slice(&[0, 9]);
        let items = [
            HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
            HttpTraceEventItem::new("Wide", text),
            HttpTraceEventItem::new("Number", 7u32).described("seven"),
            HttpTraceEventItem::new("Narrow", text.as_bytes()),
            HttpTraceEventItem::new("Last", 9u8),
        ];
        for flags in [1, 0, 1, 1] {
            let event = HttpTraceEvent { flags, ..event(0x200, 5, &items) };
            assert_eq!(context.raise_trace_event(&event), HResult::S_OK);
            expected.push(payload.clone());
        }
        recording.session.flush().unwrap();
    }
    let cut = [HttpTraceEventItem::new("Cut", b"a\0behind")];
    for flags in [1, 0, 1] {
        let event = HttpTraceEvent { flags, ..event(0x200, 5, &cut) };
        assert_eq!(context.raise_trace_event(&event), HResult::S_OK);
        expected.push(b"a\0".to_vec());
    }
    let (log, _) = recording.stop();
    let mut found = Vec::new();
    entries(&log, |entry| {
        if matches!(entry.view.header(), RecordHeader::Classic(header) if header.class_type == 60) {
            found.push(entry.view.payload().to_vec());
        }
    });
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    // What is stored in whole words leaves nothing behind a record. The first buffer is a header.
    for buffer in log.chunks_exact(16 << 10).skip(1) {
        let number = |at: usize| usize::from(u16::from_le_bytes([buffer[at], buffer[at + 1]]));
        let (mut at, filled) = (72, number(0x30));
        while at < filled {
            let (end, next) = (at + number(at), (at + number(at)).next_multiple_of(8));
            assert!(buffer[end..next].iter().all(|byte| *byte == 0), "behind {end}");
            at = next;
        }
    }
}

#[test]
fn without_a_free_buffer_memory_is_out() {
    let _alone = alone();
    // Its sink waits, so that no buffer ever comes back.
    let (sink, release) = Waiting::new();
    let session = Session::builder("iis full")
        .buffer_size(4096)
        .minimum_buffers(2)
        .maximum_buffers(2)
        .sink(sink)
        .start()
        .unwrap();
    session.enable_provider(guids::WWW_SERVER, &Enable::new()).unwrap();
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "m");
    let mut answers = Vec::new();
    while answers.last() != Some(&HResult::E_OUTOFMEMORY) {
        answers.push(example(&context, 1));
        assert!(answers.len() < 10_000, "two buffers of 4 KiB take a hundred of them");
    }
    drop(release);
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, answers.len() as u64 - 1);
    assert_eq!(stats.lost.no_free_buffer, 1);
}

/// A sink whose writes behind the header wait for a lock.
struct Waiting {
    lock: std::sync::Arc<std::sync::Mutex<()>>,
    to: MemorySink,
}

impl Waiting {
    fn new() -> (Self, impl Drop) {
        let lock: &'static _ = Box::leak(Box::new(std::sync::Arc::new(std::sync::Mutex::new(()))));
        (Self { lock: std::sync::Arc::clone(lock), to: MemorySink::new().0 }, lock.lock().unwrap())
    }
}

impl etlring::sink::Sink for Waiting {
    fn write(&mut self, index: u64, buffer: &[u8]) -> std::io::Result<()> {
        if index != 0 {
            drop(self.lock.lock().unwrap());
        }
        self.to.write(index, buffer)
    }

    fn finish(&mut self, buffers: u64, buffer_size: u32) -> std::io::Result<()> {
        self.to.finish(buffers, buffer_size)
    }
}

/// What a thread leaves to be done when it ends.
struct AtEnd(Cell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

/// Goal: an event is raised also when the library's own thread-locals are gone. Method: the test
/// has two of its own, one older than those and one younger, so that whichever go first, one of the
/// two finds them gone.
#[test]
fn a_thread_that_ends_may_raise() {
    thread_local! {
        static OLDER: AtEnd = const { AtEnd(Cell::new(None)) };
        static YOUNGER: AtEnd = const { AtEnd(Cell::new(None)) };
    }
    let recording = record("iis end");
    let raise = || {
        let server = HttpServer::new();
        // Described by a record of its own.
        let answer = server.global_context("m").raise_trace_event(&event(0, 0, &[]));
        assert_eq!(answer, HResult::S_OK);
    };
    let thread = std::thread::spawn(move || {
        OLDER.with(|end| end.0.set(Some(Box::new(raise))));
        raise();
        YOUNGER.with(|end| end.0.set(Some(Box::new(raise))));
    });
    thread.join().unwrap();
    assert_eq!(handle(&recording).query().events_accepted, 6);
}

#[test]
fn quick_trace_raises_the_events_of_modules() {
    let recording = record("iis quick");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, "A_module");
    for level in 1..=7 {
        assert_eq!(context.quick_trace("one", Some("zwei"), HResult(5), level), HResult::S_OK);
    }
    assert_eq!(context.quick_trace("one", None, HResult::E_FAIL, 3), HResult::S_OK);
    assert_eq!(context.quick_trace("one", None, HResult::S_OK, 8), HResult::E_FAIL);
    assert_eq!(context.quick_trace("one", None, HResult::S_OK, 0), HResult::E_FAIL);
    assert_eq!(context.activity_id(), Some(ACTIVITY));
    assert_eq!(server.global_context("m").activity_id(), None);
    let (log, accepted) = recording.stop();
    assert_eq!(accepted, 8, "they are IIS's own: nothing is described");
    let request = requests(&log).remove(0);
    let names: Vec<_> = request.events.iter().map(|event| (&*event.name, event.level)).collect();
    assert_eq!(
        names,
        [
            ("MODULE_CRITICAL_ERROR", 1),
            ("MODULE_ERROR", 2),
            ("MODULE_WARNING", 3),
            ("MODULE_INFORMATION", 4),
            ("MODULE_VERBOSE", 5),
            ("MODULE_START", 4),
            ("MODULE_END", 4),
            ("MODULE_WARNING", 3),
        ]
    );
    let values = |at: usize| -> Vec<String> {
        request.events[at].items[1..].iter().map(|item| item.value.to_string()).collect()
    };
    assert_eq!(values(0), ["A_module", "one", "zwei", "5"]);
    assert_eq!(values(7), ["A_module", "one", "", "2147500037"]);
}

/// A provider of nobody's, with an area and an event of its own.
fn own_server() -> (HttpServer, Guid) {
    let guid = Guid::from_u128(0xb0a7_0001);
    let mut server = HttpServer::new();
    server.add_provider(guid, "boats", &[(0x8000, "Harbour")]);
    (server, guid)
}

fn own_event(context: &HttpTraceContext<'_>, provider: Guid, state: u32, flags: u32) -> HResult {
    let meaning = ["ADRIFT", "MOORED"][state as usize % 2];
    let items = [
        HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
        HttpTraceEventItem::new("Boat", "Möwe"),
        HttpTraceEventItem::new("State", state).described(meaning),
        HttpTraceEventItem::new("Depth", -3i16),
    ];
    context.raise_trace_event(&HttpTraceEvent {
        area: 0x8000,
        area_guid: Guid::from_u128(0xb0a7_0002),
        event: 77,
        event_name: "BOAT_MOVED",
        event_version: 4,
        verbosity: 3,
        flags,
        event_items: &items,
        ..HttpTraceEvent::of(provider)
    })
}

/// Outlines and events of the own provider in a log; every event is checked.
fn own_records(log: &[u8]) -> (usize, usize) {
    let (mut outlines, mut events) = (0, 0);
    entries(log, |entry| {
        if entry.view.provider() == Some(OUTLINE_CLASS) {
            outlines += 1;
            assert_eq!(Outline::parse(entry.view.payload()).unwrap().event_name, "BOAT_MOVED");
        }
        let Some(iis) = entry.event.iis() else { return };
        events += 1;
        assert_eq!(entry.event.name(), Some("BOAT_MOVED"));
        assert_eq!((iis.provider_name, iis.area_name, iis.area), ("boats", "Harbour", 0x8000));
        assert_eq!((iis.level, entry.view.version()), (3, Some(4)));
        let mut text = Vec::new();
        etlring::export::fields::text_fields(&mut text, entry.event);
        let text = String::from_utf8(text).unwrap();
        let state = text.contains("State=ADRIFT") || text.contains("State=MOORED");
        assert!(state && text.contains("Boat=\"Möwe\"") && text.contains("Depth=-3"), "{text}");
    });
    (outlines, events)
}

#[test]
fn names_travel_in_the_log_static_ones_once() {
    let _alone = alone();
    for (flags, outlines) in [(HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS, 2), (0, 100)] {
        let (sink, log) = MemorySink::new();
        let session = Session::builder("iis own").buffer_size(8192).sink(sink).start().unwrap();
        let (server, provider) = own_server();
        session.enable_provider(provider, &Enable::new().level(5)).unwrap();
        let context = server.request_context(ACTIVITY, "m");
        for state in 0..100 {
            assert_eq!(own_event(&context, provider, state % 2, flags), HResult::S_OK);
        }
        let stats = session.stop().unwrap();
        assert_eq!(stats.events_accepted, 100 + outlines as u64);
        assert_eq!(own_records(&log.take()), (outlines, 100));
    }
}

#[test]
fn each_file_of_a_series_explains_its_events() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let session = Session::builder("iis series")
        .buffer_size(4096)
        .log_file(directory.path().join("log%d.etl"))
        .file_mode(FileMode::NewFile)
        .maximum_file_size_kb(64)
        .start()
        .unwrap();
    let (server, _) = own_server();
    let provider = Guid::from_u128(0xb0a7_0001);
    session.enable_provider(provider, &Enable::new()).unwrap();
    let context = server.request_context(ACTIVITY, "m");
    let mut raised = 0;
    for state in 0..3000 {
        raised += usize::from(own_event(&context, provider, state % 2, 1) == HResult::S_OK);
        if state % 50 == 0 {
            session.flush().unwrap();
        }
    }
    session.stop().unwrap();
    let mut files = 0;
    let mut found = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let log = std::fs::read(entry.unwrap().path()).unwrap();
        let (outlines, events) = own_records(&log);
        assert!(events == 0 || outlines == 2, "{outlines} outlines for {events} events");
        (files, found) = (files + 1, found + events);
    }
    assert!(files > 2, "{files} files");
    assert_eq!(found, raised);
}

#[test]
fn a_ring_that_has_overwritten_the_outlines_still_has_them() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let circular = directory.path().join("circular.etl");
    let builders = [
        Session::builder("iis memory ring").memory_ring(),
        Session::builder("iis circular")
            .log_file(&circular)
            .file_mode(FileMode::Circular)
            .maximum_file_size_kb(64),
    ];
    for builder in builders {
        let session = builder.buffer_size(4096).maximum_buffers(8).start().unwrap();
        let (server, provider) = own_server();
        session.enable_provider(provider, &Enable::new()).unwrap();
        let context = server.request_context(ACTIVITY, "m");
        for state in 0..5000 {
            assert_eq!(own_event(&context, provider, state % 2, 1), HResult::S_OK);
        }
        session.flush().unwrap();
        let snapshot = directory.path().join("snapshot.etl");
        let log = if circular.exists() {
            // As a killed process would leave it; and as it is in the end.
            let left = std::fs::read(&circular).unwrap();
            assert_eq!(own_records(&left).0, 2);
            session.stop().unwrap();
            std::fs::read(&circular).unwrap()
        } else {
            session.snapshot(&snapshot).unwrap();
            session.stop().unwrap();
            std::fs::read(&snapshot).unwrap()
        };
        let (outlines, events) = own_records(&log);
        assert_eq!(outlines, 2);
        assert!(events > 100 && events < 5000, "{events}");
    }
}
