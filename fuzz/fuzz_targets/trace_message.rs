#![no_main]
//! Any calls of `TraceMessage`: each is answered as it should be, and what was written is read back
//! with the fields that its flags name.

use arbitrary::Arbitrary;
use etlring::codec::RecordHeader;
use etlring::format::{Guid, LOST_EVENT_GUID, MessageFlags};
use etlring::message::{MessageId, trace_message, trace_message_va};
use etlring::reader::Trace;
use etlring::session::{SequenceMode, Session, SessionHandle};
use etlring::sink::MemorySink;
use libfuzzer_sys::fuzz_target;

/// Buffers for the most calls of a program, each of which may need one of its own.
const MOST: usize = 250;
const BUFFERS: u32 = 256;
const BUFFER: usize = 4096;

#[derive(Arbitrary, Debug)]
enum Id {
    None,
    Guid([u8; 16]),
    Component(u32),
}

#[derive(Arbitrary, Debug)]
struct Call {
    flags: u16,
    /// Few of all flags mean something.
    any: bool,
    id: Id,
    number: u16,
    arguments: Vec<Vec<u8>>,
    /// A last argument of so many bytes.
    long: Option<u16>,
    va: bool,
}

#[derive(Arbitrary, Debug)]
struct Program {
    numbered: bool,
    calls: Vec<Call>,
}

/// A message that must be in the log.
struct Expected<'a> {
    call: &'a Call,
    flags: u16,
    arguments: Vec<u8>,
}

impl Call {
    fn flags(&self) -> u16 {
        if self.any { self.flags } else { self.flags & 0xFF }
    }

    fn id(&self) -> MessageId {
        match self.id {
            Id::None => MessageId::None,
            Id::Guid(bytes) => MessageId::Guid(Guid(bytes)),
            Id::Component(component) => MessageId::Component(component),
        }
    }

    /// What is in front of the arguments, if the flags are valid.
    fn header(&self, numbered: bool) -> Option<usize> {
        let flags = self.flags();
        let bit = |bit: u16| usize::from(flags & bit != 0);
        let id = match (flags & 0x06, &self.id) {
            (0x00, _) => 0,
            (0x02, Id::Guid(_)) => 16,
            (0x04, Id::Component(_)) => 4,
            _ => return None,
        };
        let valid = flags < 0x100 && (numbered || flags & 0x01 == 0);
        valid.then_some(8 + 4 * bit(0x01) + id + 8 * bit(0x18) + 8 * bit(0x20))
    }

    fn send(&self, handle: &SessionHandle, arguments: &[&[u8]]) -> u32 {
        let (flags, id) = (MessageFlags(self.flags()), self.id());
        let answer = if self.va {
            trace_message_va(handle, flags, id, self.number, arguments.iter().copied())
        } else {
            trace_message(handle, flags, id, self.number, arguments)
        };
        answer.map_or_else(|error| error.code(), |()| 0)
    }
}

fuzz_target!(|program: Program| {
    let (sink, log) = MemorySink::new();
    let numbered = program.numbered;
    let mode = if numbered { SequenceMode::Local } else { SequenceMode::None };
    let session = Session::builder("fuzz messages")
        .sink(sink)
        .buffer_size(BUFFER as u32)
        .maximum_buffers(BUFFERS)
        .sequence(mode)
        .start()
        .unwrap();
    let handle = session.handle();
    let (mut expected, mut too_large) = (Vec::new(), 0);
    for call in program.calls.iter().take(MOST) {
        let long = vec![0x5A; call.long.map_or(0, |len| usize::from(len) % (2 * BUFFER))];
        let mut arguments: Vec<&[u8]> = call.arguments.iter().map(Vec::as_slice).collect();
        arguments.push(&long);
        let all = arguments.concat();
        let answer = match call.header(numbered) {
            None => 87,
            Some(header) if header + all.len() > BUFFER - 72 => {
                too_large += 1;
                234
            }
            Some(_) => {
                let flags = call.flags();
                expected.push(Expected { call, flags, arguments: all });
                0
            }
        };
        assert_eq!(call.send(&handle, &arguments), answer, "{call:?}");
    }
    let stats = session.stop().unwrap();
    assert_eq!(stats.events_accepted, expected.len() as u64);
    assert_eq!((stats.lost.total(), stats.lost.too_large), (too_large, too_large));
    check(&log.take(), &expected, numbered);
});

fn check(log: &[u8], expected: &[Expected<'_>], numbered: bool) {
    let trace = Trace::from_slice(log).unwrap();
    assert!(trace.damage().is_empty(), "{:?}", trace.damage());
    let mut expected = expected.iter();
    let (mut sequence, mut last) = (0, 0);
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        let view = record.view().unwrap();
        if record.buffer_index() == 0 || view.provider() == Some(LOST_EVENT_GUID) {
            // The guid of a message may be any, that of losses too.
            if record.buffer_index() == 0 || !matches!(view.header(), RecordHeader::Message(_)) {
                continue;
            }
        }
        let RecordHeader::Message(message) = view.header() else { panic!("{view:?}") };
        let Expected { call, flags, arguments } = expected.next().unwrap();
        assert_eq!(call.header(numbered), Some(message.arguments_offset()));
        assert_eq!(record.raw().bytes.len(), message.arguments_offset() + arguments.len());
        assert_eq!(view.payload(), arguments);
        assert_eq!((message.number(), message.flags().0 & 0x3F), (call.number, flags & 0x3F));
        assert!(matches!(message.flags().0 & 0xC0, 0x40 | 0x80));
        if flags & 0x01 != 0 {
            sequence += 1;
        }
        assert_eq!(message.sequence(), (flags & 0x01 != 0).then_some(sequence));
        match call.id() {
            MessageId::Guid(guid) => {
                assert_eq!(message.guid(), (flags & 0x02 != 0).then_some(guid));
            }
            MessageId::Component(component) => {
                assert_eq!(message.component(), (flags & 0x04 != 0).then_some(component));
            }
            MessageId::None => {}
        }
        assert_eq!(message.ticks().is_some(), flags & 0x08 != 0);
        let ticks = message.ticks().unwrap_or(last);
        assert!(ticks >= last);
        last = ticks;
        let process = (flags & 0x20 != 0).then(std::process::id);
        assert_eq!(message.process_id(), process);
        assert_eq!(message.thread_id().is_some(), process.is_some());
    }
    assert!(expected.next().is_none());
}
