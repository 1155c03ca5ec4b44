//! Windows' own calls: what they write, what they answer. spec/16-calls.md lists every answer and
//! the test that shows it; `table` checks the list.
#![allow(missing_docs)]

mod activity;
#[path = "../common/allocations.rs"]
mod allocations;
mod event_write;
mod fields;
mod forked;
mod instance;
mod loss;
mod paused;
mod sequence;
mod table;
mod trace_event;
mod trace_message;
mod zero_alloc;

use bytes::BufMut;
use etlring::codec::RecordView;
use etlring::error::FormatError;
use etlring::format::{Guid, LOST_EVENT_GUID};
use etlring::message::TraceError;
use etlring::provider::{Enable, Provider};
use etlring::reader::Trace;
use etlring::session::{ClassicEvent, Session, SessionBuilder, SessionHandle};
use etlring::sink::{MemoryLog, MemorySink, NullSink};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);

/// What a call answered: a Win32 number, 0 for success. The error's name is that of its number.
fn code<E: Answer>(answer: Result<(), E>) -> u32 {
    answer.map_or_else(|error| error.number(), |()| 0)
}

trait Answer {
    fn number(&self) -> u32;
}

impl Answer for TraceError {
    fn number(&self) -> u32 {
        let expected = match self.name() {
            "ERROR_INVALID_HANDLE" => 6,
            "ERROR_NOT_ENOUGH_MEMORY" => 8,
            "ERROR_OUTOFMEMORY" => 14,
            "ERROR_INVALID_PARAMETER" => 87,
            "ERROR_INVALID_FLAG_NUMBER" => 186,
            "ERROR_MORE_DATA" => 234,
            "ERROR_ARITHMETIC_OVERFLOW" => 534,
            "ERROR_INVALID_FLAGS" => 1004,
            name => panic!("{name}"),
        };
        assert_eq!(self.code(), expected);
        assert!(self.to_string().ends_with(&format!("({}, {expected})", self.name())), "{self}");
        expected
    }
}

/// A session of this test's own, with a name and a log in memory.
fn builder(of: &str) -> (SessionBuilder, MemoryLog) {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let (sink, log) = MemorySink::new();
    let name = format!("{of} {}", NEXT.fetch_add(1, Ordering::Relaxed));
    (Session::builder(&name).sink(sink), log)
}

/// The same, started, with its defaults.
fn session(of: &str) -> (Session, MemoryLog) {
    let (builder, log) = builder(of);
    (builder.start().unwrap(), log)
}

/// A session that only the kernel could write to. There is one of them in a process at a time.
fn kernel_logger(name: &str) -> (SessionHandle, impl Sized) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let session = Session::builder(name).sink(NullSink).start().unwrap();
    // The session ends, and with it its name, before the next test may go on.
    (session.handle(), (session, guard))
}

/// A provider of this test's own, which `session` has enabled.
fn provider(session: &Session) -> Provider {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let guid = Guid::from_u128(0x2c9f_6c53_2f6e_4b0b_9f3c_0000_0000_0000 + u128::from(number));
    let provider = Provider::register(guid, "message tests");
    session.enable_provider(guid, &Enable::new()).unwrap();
    provider
}

/// Leaves bytes that are not zero where this thread's next record will lie.
fn dirty(handle: &SessionHandle) {
    let event = ClassicEvent::new(CLASS, 10, 4);
    let mut record = handle.reserve_classic(&event, 1000).unwrap();
    record.put_bytes(0xEE, 1000);
    drop(record);
}

/// Gives each record of a finished log, but its header and loss records, in the order of its
/// stamps.
fn records(log: &MemoryLog, mut with: impl FnMut(&RecordView<'_>)) {
    let log = log.to_vec();
    let trace = Trace::from_slice(&log).unwrap();
    assert!(trace.damage().is_empty(), "{:?}", trace.damage());
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        let items: Result<Vec<_>, FormatError> = view.items().collect();
        items.unwrap();
        if record.buffer_index() != 0 && view.provider() != Some(LOST_EVENT_GUID) {
            with(&view);
        }
    }
}

/// The payload of each record.
fn payloads(log: &MemoryLog) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    records(log, |record| payloads.push(record.payload().to_vec()));
    payloads
}
