//! A session that is paused wants nothing, and loses nothing.

use crate::{code, payloads, provider, session};
use etlring::format::{EventDescriptor, MessageFlags};
use etlring::message::{MessageId, event_write, trace_message, trace_message_va};

/// `trace_event` and `trace_event_instance` with what their tests have for it.
#[test]
fn wants_nothing() {
    let (session, log) = session("paused");
    let (handle, provider) = (session.handle(), provider(&session));
    let (flags, id) = (MessageFlags::TIMESTAMP, MessageId::None);
    let all = || {
        [
            code(trace_message(&handle, flags, id, 1, &[b"x"])),
            code(trace_message_va(&handle, flags, id, 1, [&b"x"[..]])),
            code(crate::trace_event::plain(&handle)),
            code(crate::instance::plain(&handle)),
            code(event_write(&provider, &EventDescriptor::new(1, 4), &[b"x"])),
        ]
    };
    handle.set_enabled(false);
    assert_eq!(all(), [0; 5]);
    handle.set_enabled(true);
    assert_eq!(all(), [0; 5]);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.events_disabled), (5, 5));
    assert_eq!(stats.lost.total(), 0);
    assert_eq!(payloads(&log).len(), 5);
}
