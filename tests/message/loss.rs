//! Where there is no space an event is discarded at once, and counted.

use crate::{builder, code, provider};
use etlring::format::{EventDescriptor, Guid, MessageFlags};
use etlring::message::{
    EventWriteFlags, MessageId, event_write, event_write_ex, event_write_string,
    event_write_transfer, trace_message, trace_message_va,
};
use etlring::provider::Provider;
use etlring::session::{ClassicEvent, SequenceMode, Session, SessionHandle};
use etlring::sink::Sink;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const ID: MessageId = MessageId::None;

/// `trace_message`, `trace_message_va`, `trace_event`, `trace_event_instance`.
fn to_a_session(handle: &SessionHandle) -> [u32; 4] {
    let flags = MessageFlags::SEQUENCE.with(MessageFlags::TIMESTAMP);
    [
        code(trace_message(handle, flags, ID, 1, &[b"x"])),
        code(trace_message_va(handle, flags, ID, 1, [&b"x"[..]])),
        code(crate::trace_event::plain(handle)),
        code(crate::instance::plain(handle)),
    ]
}

/// `event_write`, `event_write_transfer`, `event_write_ex`, `event_write_string`.
fn by_a_provider(provider: &Provider) -> [u32; 4] {
    let descriptor = EventDescriptor::new(1, 4);
    let flags = EventWriteFlags(0);
    [
        code(event_write(provider, &descriptor, &[b"x"])),
        code(event_write_transfer(provider, &descriptor, None, None, &[b"x"])),
        code(event_write_ex(provider, &descriptor, 0, flags, None, None, &[b"x"])),
        code(event_write_string(provider, 4, 0, "x")),
    ]
}

/// A sink that waits until it is let go, and keeps what it is given.
struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
    sink: etlring::sink::MemorySink,
}

impl Sink for Gate {
    fn write(&mut self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let mut open = self.open.0.lock().unwrap();
        while position > 0 && !*open {
            open = self.open.1.wait(open).unwrap();
        }
        self.sink.write(position, bytes)
    }

    fn finish(&mut self, buffers_written: u64, buffers_lost: u32) -> io::Result<()> {
        self.sink.finish(buffers_written, buffers_lost)
    }
}

/// Goal: no buffer is free, and no call waits for one: it answers 8, the loss is counted and told
/// in the log, and the numbers of the messages that were recorded have no hole.
#[test]
fn without_a_free_buffer() {
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let (sink, log) = etlring::sink::MemorySink::new();
    let session = Session::builder("no free buffer")
        .sink(Gate { open: Arc::clone(&open), sink })
        .sequence(SequenceMode::Local)
        .buffer_size(4096)
        .maximum_buffers(4)
        .flush_interval(Duration::ZERO)
        .start()
        .unwrap();
    let (handle, provider) = (session.handle(), provider(&session));
    let flags = MessageFlags::SEQUENCE.with(MessageFlags::TIMESTAMP);
    let mut accepted = 0u64;
    let refused = loop {
        match code(trace_message(&handle, flags, ID, 1, &[&[0; 100]])) {
            0 => accepted += 1,
            refused => break refused,
        }
    };
    assert_eq!(refused, 8);
    assert_eq!(to_a_session(&handle), [8; 4]);
    assert_eq!(by_a_provider(&provider), [8; 4]);
    let stats = session.query();
    assert_eq!((stats.events_accepted, stats.lost.no_free_buffer), (accepted, 9));

    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    // Until the flusher has made room again.
    let mut lost = 9;
    while code(trace_message(&handle, flags, ID, 1, &[b"x"])) != 0 {
        lost += 1;
        std::thread::yield_now();
    }
    accepted += 1;
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.total()), (accepted, lost));
    assert_eq!(stats.attempted(), accepted + lost);
    let mut numbers = Vec::new();
    crate::records(&log, |record| {
        let etlring::codec::RecordHeader::Message(message) = record.header() else { return };
        numbers.push(u64::from(message.sequence().unwrap()));
    });
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=accepted));
    let log = log.take();
    let trace = etlring::reader::Trace::from_slice(&log).unwrap();
    assert_eq!(u64::from(trace.logfile().events_lost()), lost);
}

/// Goal: there are buffers, but this thread has no lane that could hold one: 14, or 8 where 14 is
/// not an answer.
/// Method: all threads write into one lane, and this one is in it.
#[test]
fn without_a_lane() {
    let (builder, _log) = builder("no lane");
    let session = builder.one_lane().sequence(SequenceMode::Local).start().unwrap();
    let (handle, provider) = (session.handle(), provider(&session));
    let event = ClassicEvent::new(Guid::from_u128(1), 10, 4);
    let open = handle.reserve_classic(&event, 8).unwrap();
    assert_eq!(to_a_session(&handle), [14; 4]);
    assert_eq!(by_a_provider(&provider), [8; 4]);
    drop(open);
    assert_eq!(to_a_session(&handle), [0; 4]);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.reentered), (4, 8));
    assert_eq!(stats.attempted(), 12);
}
