//! What the flags of a message put into its record: every legal combination, byte by byte.

use crate::{CLASS, code, dirty, records, session};
use etlring::codec::RecordHeader;
use etlring::format::MessageFlags;
use etlring::message::{MessageId, trace_message, trace_message_va};
use etlring::session::{Clock, SequenceMode};

/// The flags that say what is in a message, and those that the caller may say of its pointers.
const CONTENT: u16 = 0x3F;
const POINTERS: [u16; 4] = [0, 0x40, 0x80, 0xC0];

/// A message as it was asked for.
struct Asked {
    flags: u16,
    number: u16,
    arguments: Vec<u8>,
}

/// Thread and process as the system tells them.
fn ids() -> Option<(u32, u32)> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    let mut parts = link.to_str()?.split("/task/");
    let process = parts.next()?.parse().ok()?;
    Some((parts.next()?.parse().ok()?, process))
}

/// A field of `N` bytes at the start of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, behind) = rest.split_first_chunk().unwrap();
    *rest = behind;
    *field
}

/// Goal: the record of each combination has what the flags say and nothing else.
/// Method: its bytes are taken apart here, by the order of Microsoft's page, and compared with what
/// was asked for and with what the decoder says.
#[test]
fn of_every_legal_combination() {
    let (builder, log) = crate::builder("combinations");
    let session = builder.sequence(SequenceMode::Local).clock(Clock::SystemTime).start().unwrap();
    let handle = session.handle();
    let mut asked = Vec::new();
    let before = filetime();
    for flags in (0..=CONTENT).filter(|flags| flags & 0x06 != 0x06) {
        for pointers in POINTERS {
            let number = flags << 8 | pointers;
            let id = match flags & 0x06 {
                0x02 => MessageId::Guid(CLASS),
                0x04 => MessageId::Component(0xC0FF_EE00),
                // Not named by the flags, so not written.
                _ => MessageId::Guid(CLASS),
            };
            let arguments: [&[u8]; 3] = [&number.to_le_bytes(), b"", b"text of seven\0"];
            let all = MessageFlags(flags | pointers);
            dirty(&handle);
            // The two forms are one call.
            let answer = if pointers & 0x40 == 0 {
                trace_message(&handle, all, id, number, &arguments)
            } else {
                trace_message_va(&handle, all, id, number, arguments)
            };
            assert_eq!(code(answer), 0, "{flags:#x}");
            asked.push(Asked { flags, number, arguments: arguments.concat() });
        }
    }
    assert_eq!(asked.len(), 48 * 4);
    assert_eq!(session.stop().unwrap().events_accepted, 48 * 4);
    let after = filetime();

    let mut expected_sequence = 0;
    let mut found = 0;
    let log = log.take();
    let trace = etlring::reader::Trace::from_slice(&log).unwrap();
    let mut in_file_order = trace.records();
    while let Some(record) = in_file_order.next() {
        let record = record.unwrap();
        if record.buffer_index() == 0 {
            continue;
        }
        let Asked { flags, number, arguments } = &asked[found];
        found += 1;
        let bytes = record.raw().bytes;
        let mut rest = bytes;
        assert_eq!(usize::from(u16::from_le_bytes(take(&mut rest))), bytes.len());
        assert_eq!(take::<2>(&mut rest), [0, 0x90]);
        assert_eq!(u16::from_le_bytes(take(&mut rest)), *number);
        let pointer = if usize::BITS == 64 { 0x80 } else { 0x40 };
        assert_eq!(u16::from_le_bytes(take(&mut rest)), flags | pointer, "{flags:#x}");

        let view = record.view().unwrap();
        let RecordHeader::Message(message) = view.header() else { panic!("{view:?}") };
        assert_eq!((message.number(), message.flags().0), (*number, flags | pointer));
        let mut sequence = None;
        if flags & 0x01 != 0 {
            expected_sequence += 1;
            sequence = Some(u32::from_le_bytes(take(&mut rest)));
            assert_eq!(sequence, Some(expected_sequence));
        }
        assert_eq!(message.sequence(), sequence);
        let component = (flags & 0x04 != 0).then(|| u32::from_le_bytes(take(&mut rest)));
        assert_eq!(component, (flags & 0x04 != 0).then_some(0xC0FF_EE00));
        assert_eq!(message.component(), component);
        let guid = (flags & 0x02 != 0).then(|| take::<16>(&mut rest));
        assert_eq!(guid, (flags & 0x02 != 0).then_some(CLASS.0));
        assert_eq!(message.guid().map(|guid| guid.0), guid);
        let stamp = (flags & 0x18 != 0).then(|| u64::from_le_bytes(take(&mut rest)));
        if flags & 0x08 != 0 {
            assert!(stamp.is_some_and(|stamp| (before..=after).contains(&stamp)));
            assert_eq!(message.ticks(), stamp);
        } else {
            // Space alone is zero.
            assert!(stamp.is_none_or(|stamp| stamp == 0));
            assert_eq!(message.ticks(), None);
        }
        if flags & 0x20 != 0 {
            let found = (u32::from_le_bytes(take(&mut rest)), u32::from_le_bytes(take(&mut rest)));
            assert_eq!(found.1, std::process::id());
            assert!(found.0 != 0 && ids().is_none_or(|ids| ids == found));
            assert_eq!(message.thread_id().zip(message.process_id()), Some(found));
        } else {
            assert_eq!(message.thread_id().or(message.process_id()), None);
        }
        assert_eq!(rest, arguments);
        assert_eq!(view.payload(), arguments);
    }
    assert_eq!(found, asked.len());
}

/// Now, in units of 100 ns since 1601: ticks of the clock of that session.
fn filetime() -> u64 {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(unix.as_nanos() / 100).unwrap() + 116_444_736_000_000_000
}

/// Goal: a message without a stamp is found in the order of time, too.
#[test]
fn without_a_stamp_a_message_is_in_time_order() {
    let (session, log) = session("untimed");
    let handle = session.handle();
    for n in 0..500u16 {
        let flags = if n % 2 == 0 { MessageFlags(0) } else { MessageFlags::TIMESTAMP };
        let answer = trace_message(&handle, flags, MessageId::None, n, &[&n.to_le_bytes()]);
        assert_eq!(code(answer), 0);
    }
    session.stop().unwrap();
    let mut found = Vec::new();
    records(&log, |record| found.push(record.payload().to_vec()));
    found.sort_by_key(|bytes| u16::from_le_bytes(bytes[..].try_into().unwrap()));
    let expected: Vec<_> = (0..500u16).map(|n| n.to_le_bytes().to_vec()).collect();
    assert_eq!(found, expected);
}

/// Goal: an iterator that is not what it said does no harm.
#[test]
fn of_arguments_that_change_between_two_walks() {
    use std::cell::Cell;
    let walks = Cell::new(0);
    let (session, log) = session("fickle");
    let handle = session.handle();
    let mut asked = Vec::new();
    for (first, second) in [(3, 5), (50, 3), (0, 4), (40, 0)] {
        walks.set(0);
        dirty(&handle);
        let arguments = Fickle { walks: &walks, counts: [first, second], at: 0 };
        let answer =
            trace_message_va(&handle, MessageFlags::TIMESTAMP, MessageId::None, 1, arguments);
        assert_eq!(code(answer), 0);
        let mut expected = vec![b'x'; first.min(second)];
        expected.resize(first, 0);
        asked.push(expected);
    }
    session.stop().unwrap();
    assert_eq!(crate::payloads(&log), asked);
}

/// Gives so many bytes at the first walk, others at the next.
struct Fickle<'a> {
    walks: &'a std::cell::Cell<usize>,
    counts: [usize; 2],
    at: usize,
}

impl Clone for Fickle<'_> {
    fn clone(&self) -> Self {
        Self { walks: self.walks, counts: self.counts, at: 0 }
    }
}

impl Iterator for Fickle<'_> {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        let walk = self.walks.get().min(1);
        if self.at == self.counts[walk] {
            self.walks.set(walk + 1);
            return None;
        }
        self.at += 1;
        Some(b"x")
    }
}
