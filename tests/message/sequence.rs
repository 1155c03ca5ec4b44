//! Sequence numbers: from one, without a hole, of a session or of all that share them.

use crate::{builder, code, records};
use etlring::codec::RecordHeader;
use etlring::format::MessageFlags;
use etlring::message::{MessageId, trace_message, trace_message_va};
use etlring::session::{SequenceMode, Session, SessionHandle};
use etlring::sink::MemoryLog;
use std::collections::BTreeMap;

const THREADS: u32 = 8;
const EACH: u32 = 4000;
const FLAGS: MessageFlags = MessageFlags::SEQUENCE.with(MessageFlags::TIMESTAMP);

/// A session with room for all of it.
fn numbered(of: &str, mode: SequenceMode) -> (Session, MemoryLog) {
    let (builder, log) = builder(of);
    let builder = builder.sequence(mode).maximum_buffers(256);
    (builder.start().unwrap(), log)
}

/// Eight threads write to `sessions` in turns.
fn write(sessions: &[&Session]) {
    let handles: Vec<SessionHandle> = sessions.iter().map(|session| session.handle()).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let handles = &handles;
            scope.spawn(move || {
                for n in 0..EACH {
                    let handle = &handles[(n as usize + thread as usize) % handles.len()];
                    let arguments: [&[u8]; 2] = [&thread.to_le_bytes(), &n.to_le_bytes()];
                    let answer = trace_message(handle, FLAGS, MessageId::None, 7, &arguments);
                    assert_eq!(code(answer), 0);
                    if n % 100 == 0 {
                        // What is refused uses no number.
                        let large =
                            trace_message(handle, FLAGS, MessageId::None, 7, &[&[0; 70_000]]);
                        assert_eq!(code(large), 234);
                    }
                }
            });
        }
    });
}

/// The numbers of a log with what they number: a thread, and its message.
fn numbers(log: &MemoryLog) -> BTreeMap<u32, (u32, u32)> {
    let mut found = BTreeMap::new();
    records(log, |record| {
        let RecordHeader::Message(message) = record.header() else { panic!("{record:?}") };
        let word = |at: usize| u32::from_le_bytes(record.payload()[at..][..4].try_into().unwrap());
        let before = found.insert(message.sequence().unwrap(), (word(0), word(4)));
        assert_eq!(before, None, "number {:?} twice", message.sequence());
    });
    found
}

/// Each message of each thread once, and each thread's in the order of their numbers.
fn check(numbers: &BTreeMap<u32, (u32, u32)>) {
    assert!(numbers.keys().copied().eq(1..=THREADS * EACH), "a hole");
    let mut next = [0; THREADS as usize];
    for (thread, n) in numbers.values() {
        let next = &mut next[*thread as usize];
        assert_eq!(n, next, "thread {thread}");
        *next += 1;
    }
    assert_eq!(next, [EACH; THREADS as usize]);
}

#[test]
fn a_session_has_its_own() {
    let (one, one_log) = numbered("own", SequenceMode::Local);
    let (other, other_log) = numbered("own, too", SequenceMode::Local);
    write(&[&one]);
    write(&[&other]);
    for (session, log) in [(one, one_log), (other, other_log)] {
        let stats = session.stop().unwrap();
        assert_eq!((stats.lost.total(), stats.lost.too_large), (320, 320));
        check(&numbers(&log));
    }
}

/// The only test of this process that uses the shared count, so that it starts at one.
#[test]
fn sessions_share_one() {
    let (one, one_log) = numbered("shared", SequenceMode::Global);
    let (other, other_log) = numbered("shared, too", SequenceMode::Global);
    let (apart, apart_log) = numbered("apart", SequenceMode::Local);
    write(&[&one, &other]);
    let handle = apart.handle();
    assert_eq!(code(trace_message(&handle, FLAGS, MessageId::None, 7, &[&[0; 8]])), 0);
    for session in [one, other, apart] {
        session.stop().unwrap();
    }
    let (mut numbers, others) = (numbers(&one_log), self::numbers(&other_log));
    assert_eq!((numbers.len(), others.len()), ((THREADS * EACH / 2) as usize, numbers.len()));
    numbers.extend(others);
    check(&numbers);
    assert!(self::numbers(&apart_log).into_keys().eq([1]), "the session apart counts for itself");
}

/// Goal: a message that comes to nothing while its arguments are walked leaves no hole.
#[test]
fn a_panic_uses_no_number() {
    let (session, log) = numbered("panic", SequenceMode::Local);
    let handle = session.handle();
    let write = |bad: bool| {
        let arguments = [0u32, 1].into_iter().map(|n| {
            let walk = WALK.replace(WALK.get() + 1);
            if bad && walk == 3 {
                std::panic::resume_unwind(Box::new("in the middle of a message"));
            }
            if n == 0 { &b"abcd"[..] } else { b"efgh" }
        });
        WALK.set(0);
        trace_message_va(&handle, FLAGS, MessageId::None, 7, arguments)
    };
    assert_eq!(code(write(false)), 0);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(true)));
    assert!(panicked.is_err());
    assert_eq!(code(write(false)), 0);
    assert_eq!(session.stop().unwrap().events_accepted, 2);
    assert!(numbers(&log).into_keys().eq([1, 2]));
}

thread_local!(static WALK: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

/// Goal: only a session made for it gives numbers, and it says so in its log.
#[test]
fn the_mode_stands_in_the_log() {
    for (mode, bit) in [(SequenceMode::None, 0), (SequenceMode::Local, 0x8000)] {
        let (session, log) = numbered("mode", mode);
        let answer = trace_message(&session.handle(), FLAGS, MessageId::None, 7, &[]);
        assert_eq!(code(answer), if bit == 0 { 87 } else { 0 });
        session.stop().unwrap();
        let log = log.take();
        let trace = etlring::reader::Trace::from_slice(&log).unwrap();
        assert_eq!(trace.logfile().mode().0 & 0xC000, bit);
    }
}
