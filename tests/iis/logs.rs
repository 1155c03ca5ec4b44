//! Logs of requests, and what a replay of them gives.

use etlring::export::Entry;
use etlring::export::requests::{Request, Requests};
use etlring::format::{Guid, HeaderType};
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::reader::Trace;
use etlring::schema::Decoder;
use etlring::session::{Session, SessionHandle};
use etlring::sink::{MemoryLog, MemorySink};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The provider and the activity of the page's example.
pub(crate) const ACTIVITY: Guid = Guid::from_u128(0x00000000_0000_0000_9800_0080000000fa);

/// A session that wants everything of the web server, alone: providers are the process's.
pub(crate) struct Recording {
    pub(crate) session: Session,
    pub(crate) log: MemoryLog,
    _alone: MutexGuard<'static, ()>,
}

/// Providers are the process's: what one test raises would go into the sessions of another.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn record(name: &str) -> Recording {
    let alone = alone();
    let (sink, log) = MemorySink::new();
    let session = Session::builder(name).buffer_size(16 << 10).sink(sink).start().unwrap();
    session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5)).unwrap();
    Recording { session, log, _alone: alone }
}

impl Recording {
    /// Stops it and gives the log and the events accepted.
    pub(crate) fn stop(self) -> (Vec<u8>, u64) {
        let stats = self.session.stop().unwrap();
        assert_eq!(stats.lost.total(), 0);
        (self.log.take(), stats.events_accepted)
    }
}

/// The example of the page on `HTTP_TRACE_EVENT`.
pub(crate) fn example(context: &HttpTraceContext<'_>, flags: u32) -> HResult {
    let items = [
        HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
        HttpTraceEventItem::new("ModuleName", "A_raizeEvent"),
        HttpTraceEventItem::new("Notification", 1u32).described("BEGIN_REQUEST"),
        HttpTraceEventItem::new("fIsPostNotification", false),
        HttpTraceEventItem::new("fIsCompletion", false),
    ];
    context.raise_trace_event(&HttpTraceEvent {
        area: 0x100,
        area_guid: guids::REQUEST_NOTIFICATIONS,
        event: 1,
        event_name: "NOTIFY_MODULE_START",
        event_version: 1,
        verbosity: 5,
        flags,
        event_items: &items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    })
}

/// An event of the general area, version 1, all names static.
pub(crate) fn general(
    context: &HttpTraceContext<'_>,
    event: u32,
    event_name: &str,
    items: &[HttpTraceEventItem<'_>],
) {
    let id = HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID));
    let items: Vec<_> = [id].into_iter().chain(items.iter().copied()).collect();
    let result = context.raise_trace_event(&HttpTraceEvent {
        area_guid: guids::GENERAL,
        event,
        event_name,
        event_version: 1,
        event_items: &items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    });
    assert_eq!(result, HResult::S_OK);
}

/// The start of a request.
pub(crate) fn start(context: &HttpTraceContext<'_>, url: &str) {
    let items = [
        HttpTraceEventItem::new("SiteId", 1u32),
        HttpTraceEventItem::new("AppPoolId", "DefaultAppPool"),
        HttpTraceEventItem::new("ConnId", 0xf900_0000_6000_0001u64),
        HttpTraceEventItem::new("RawConnId", 0u64),
        HttpTraceEventItem::new("RequestURL", url),
        HttpTraceEventItem::new("RequestVerb", b"GET"),
    ];
    general(context, 1, "GENERAL_REQUEST_START", &items);
}

/// The end of a request.
pub(crate) fn end(context: &HttpTraceContext<'_>, status: u32, substatus: u16) {
    let items = [
        HttpTraceEventItem::new("BytesSent", 5000u32),
        HttpTraceEventItem::new("BytesReceived", 300u32),
        HttpTraceEventItem::new("HttpStatus", status),
        HttpTraceEventItem::new("HttpSubStatus", substatus),
    ];
    general(context, 2, "GENERAL_REQUEST_END", &items);
}

/// The requests of a log, by the order of their ends.
pub(crate) fn requests(log: &[u8]) -> Vec<Request> {
    let mut requests = Requests::new(1 << 20);
    let mut found = Vec::new();
    entries(log, |entry| requests.add(entry, |request| found.push(request)));
    requests.finish(|request| found.push(request));
    found
}

/// Every record of a log by time, decoded by what the log itself holds.
pub(crate) fn entries(log: &[u8], mut each: impl FnMut(&Entry<'_, '_>)) {
    let trace = Trace::from_bytes(log.to_vec()).unwrap();
    assert!(trace.damage().is_empty());
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        decoder.learn(record.unwrap().raw());
    }
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        each(&Entry {
            view: &view,
            event: &decoder.describe(&view),
            time: trace.time(&record),
            lane: record.lane(),
            buffer_index: record.buffer_index(),
            process_name: None,
            timer_resolution: 0,
        });
    }
}

/// A classic record as IIS writes it, made by hand.
pub(crate) fn classic(
    class: Guid,
    number: u8,
    version: u16,
    ticks: u64,
    payload: &[u8],
) -> Vec<u8> {
    let mut record = Vec::new();
    let size = u16::try_from(48 + payload.len()).unwrap();
    record.extend_from_slice(&size.to_le_bytes());
    record.extend_from_slice(&[HeaderType::FULL_HEADER64.0, 0xC0, number, 0]);
    record.extend_from_slice(&version.to_le_bytes());
    record.extend_from_slice(&3608u32.to_le_bytes());
    record.extend_from_slice(&1308u32.to_le_bytes());
    record.extend_from_slice(&ticks.to_le_bytes());
    record.extend_from_slice(&class.0);
    record.extend_from_slice(&[0; 8]);
    record.extend_from_slice(payload);
    record.resize(record.len().next_multiple_of(8), 0);
    record
}

/// What a session's handle is for, so that its type is named once.
pub(crate) fn handle(recording: &Recording) -> SessionHandle {
    recording.session.handle()
}
