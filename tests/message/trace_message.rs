//! What `TraceMessage` answers.

use crate::{CLASS, builder, code, kernel_logger, payloads, session};
use etlring::format::MessageFlags;
use etlring::message::{MessageId, trace_message, trace_message_va};

const PLAIN: MessageFlags = MessageFlags::TIMESTAMP;

#[test]
fn to_nothing() {
    let (id, none) = (MessageId::None, None);
    assert_eq!(code(trace_message(none, PLAIN, id, 1, &[b"x"])), 6);
    assert_eq!(code(trace_message_va(none, PLAIN, id, 1, [&b"x"[..]])), 6);
    // The handle comes first.
    assert_eq!(code(trace_message(none, MessageFlags(0xFFFF), id, 1, &[])), 6);
}

#[test]
fn to_the_kernel_logger() {
    // Whatever the case of its letters: a session's name has none.
    let (handle, _logger) = kernel_logger("nt kernel LOGGER");
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[b"x"])), 6);
    assert_eq!(code(crate::trace_event::plain(&handle)), 6);
    assert_eq!(code(crate::instance::plain(&handle)), 6);
    assert_eq!(handle.query().attempted(), 0);
}

#[test]
fn to_a_stopped_session() {
    let (session, _log) = session("stopped");
    let handle = session.handle();
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[b"x"])), 0);
    session.stop().unwrap();
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[b"x"])), 6);
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[&[0; 70_000]])), 6);
}

#[test]
fn with_unknown_flags() {
    let (session, log) = session("unknown flags");
    let handle = session.handle();
    for bit in 8..16 {
        let flags = PLAIN.with(MessageFlags(1 << bit));
        assert_eq!(code(trace_message(&handle, flags, MessageId::None, 1, &[b"x"])), 87);
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
    assert!(payloads(&log).is_empty());
}

#[test]
fn with_guid_and_component() {
    let (session, _log) = session("two ids");
    let handle = session.handle();
    let flags = MessageFlags::GUID.with(MessageFlags::COMPONENTID);
    for id in [MessageId::None, MessageId::Guid(CLASS), MessageId::Component(1)] {
        assert_eq!(code(trace_message(&handle, flags, id, 1, &[b"x"])), 87);
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_another_id_than_named() {
    let (session, _log) = session("other id");
    let handle = session.handle();
    let (guid, component) = (MessageId::Guid(CLASS), MessageId::Component(1));
    for (flags, good, bad) in [
        (MessageFlags::GUID, guid, [component, MessageId::None]),
        (MessageFlags::COMPONENTID, component, [guid, MessageId::None]),
    ] {
        for id in bad {
            assert_eq!(code(trace_message(&handle, flags, id, 1, &[b"x"])), 87);
        }
        assert_eq!(code(trace_message(&handle, flags, good, 1, &[b"x"])), 0);
    }
    assert_eq!(session.stop().unwrap().attempted(), 2);
}

#[test]
fn with_a_number_where_none_are_given() {
    let (session, _log) = session("no sequence");
    let flags = PLAIN.with(MessageFlags::SEQUENCE);
    assert_eq!(code(trace_message(&session.handle(), flags, MessageId::None, 1, &[b"x"])), 87);
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

/// Goal: the arguments and 72 may not exceed a buffer, nor the record with all that it has.
/// Method: the longest that fits is written, one byte more is refused and counted.
#[test]
fn beyond_a_buffer() {
    for (flags, id, fields) in [
        (MessageFlags(0), MessageId::None, 0),
        (PLAIN, MessageId::None, 8),
        (MessageFlags::COMPONENTID.with(PLAIN), MessageId::Component(1), 12),
        (MessageFlags::GUID.with(MessageFlags::SYSTEMINFO), MessageId::Guid(CLASS), 24),
        (MessageFlags::PERFORMANCE_TIMESTAMP, MessageId::None, 8),
    ] {
        let (builder, log) = builder("one buffer");
        let session = builder.buffer_size(4096).start().unwrap();
        let handle = session.handle();
        // An empty buffer's room, less what is in front of the arguments. It is a multiple of 8.
        let most = 4096 - 72 - 8 - fields;
        let bytes = vec![7; most + 1];
        let (half, rest) = bytes.split_at(most / 2);
        assert_eq!(code(trace_message(&handle, flags, id, 1, &[half, rest])), 234);
        assert_eq!(code(trace_message_va(&handle, flags, id, 1, [half, rest])), 234);
        assert_eq!(code(trace_message(&handle, flags, id, 1, &[half, &rest[1..]])), 0);
        // The rule as it is documented, without the record's own header.
        assert_eq!(code(trace_message(&handle, flags, id, 1, &[&vec![0; 4096 - 72 + 1]])), 234);
        let stats = session.stop().unwrap();
        assert_eq!((stats.events_accepted, stats.lost.too_large), (1, 3));
        assert_eq!(payloads(&log), [&bytes[1..]]);
    }
}

#[test]
fn beyond_64_kib() {
    let (builder, log) = builder("64 KiB");
    let session = builder.buffer_size(1 << 20).start().unwrap();
    let handle = session.handle();
    let most = 0xFFFF - 8 - 8;
    let bytes = vec![7; most + 1];
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[&bytes])), 234);
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &[&bytes[1..]])), 0);
    // A sum beyond all memory is no small one.
    let all: Vec<&[u8]> = vec![&bytes; 1 << 17];
    assert_eq!(code(trace_message(&handle, PLAIN, MessageId::None, 1, &all)), 234);
    assert_eq!(session.stop().unwrap().lost.too_large, 2);
    assert_eq!(payloads(&log), [&bytes[1..]]);
}

/// Goal: a provider of messages finds its session in its callback, as on Windows.
#[test]
fn to_the_session_that_a_callback_was_told_of() {
    use etlring::format::Guid;
    use etlring::message::get_trace_logger_handle;
    use etlring::provider::{Enable, Provider};
    use std::sync::{Arc, Mutex};
    let guid = Guid::from_u128(0x71f3_93c6_5a3b_4c4e_9f64_0d3f_6c1b_7e55);
    let logger = Arc::new(Mutex::new(None));
    let set = Arc::clone(&logger);
    let provider = Provider::register_with(guid, "Logger", move |change| {
        *set.lock().unwrap() = get_trace_logger_handle(change);
    });
    let write = || {
        let logger = logger.lock().unwrap();
        code(trace_message(logger.as_ref(), PLAIN, MessageId::None, 1, &[b"hello"]))
    };
    assert_eq!(write(), 6);
    let (session, log) = session("logger");
    let (other, other_log) = crate::session("other");
    session.enable_provider(guid, &Enable::new()).unwrap();
    assert_eq!(write(), 0);
    session.disable_provider(guid).unwrap();
    assert_eq!(write(), 6);
    drop(provider);
    session.stop().unwrap();
    other.stop().unwrap();
    assert_eq!((payloads(&log).len(), payloads(&other_log).len()), (1, 0));
}
