//! What `TraceEventInstance` and `CreateTraceInstanceId` write and answer.

use crate::{CLASS, builder, code, kernel_logger, payloads, records, session};
use etlring::codec::RecordHeader;
use etlring::format::Guid;
use etlring::message::{
    ClassRegistration, EventData, EventInstance, EventInstanceInfo, MofField, TraceError,
    WnodeFlags, create_trace_instance_id, trace_event_instance,
};
use etlring::session::SessionHandle;
use std::collections::BTreeSet;
use std::sync::Mutex;

const PARENT: Guid = Guid::from_u128(0x99999999_8888_7777_6666_555555555555);
static CHILDREN: ClassRegistration = ClassRegistration::new(CLASS);

/// An event against which nothing can be said.
const PLAIN: EventInstance<'static> = EventInstance::new(10, 4, b"data");

fn instance() -> EventInstanceInfo {
    create_trace_instance_id(&CHILDREN).unwrap()
}

pub(crate) fn plain(handle: &SessionHandle) -> Result<(), TraceError> {
    trace_event_instance(handle, &PLAIN, &instance(), None)
}

/// Goal: class, instance and parent stand in the record, with what the caller and the system say.
#[test]
fn of_every_form() {
    let (session, log) = session("forms");
    let handle = session.handle();
    let parents = ClassRegistration::new(PARENT);
    let parent = create_trace_instance_id(&parents).unwrap();
    assert_eq!((parent.class(), parent.instance_id()), (PARENT, 1));
    let child = create_trace_instance_id(&ClassRegistration::new(CLASS)).unwrap();
    let fields = [MofField::new(b"da"), MofField::new(b"ta")];
    let event = PLAIN.version(0x1234);
    for form in [event, event.mof_fields(&fields)] {
        assert_eq!(code(trace_event_instance(&handle, &form, &child, Some(&parent))), 0);
        let stamped = form.time_stamp(77);
        assert_eq!(code(trace_event_instance(&handle, &stamped, &child, None)), 0);
    }
    session.stop().unwrap();
    let mut found = 0;
    records(&log, |record| {
        let RecordHeader::Instance(header) = record.header() else { panic!("{record:?}") };
        let base = header.base;
        assert_eq!((base.guid, base.class_type, base.class_level), (CLASS, 10, 4));
        assert_eq!(base.class_version.get(), 0x1234);
        assert_eq!(base.process_id.get(), std::process::id());
        assert_ne!(base.thread_id.get(), 0);
        assert_eq!(header.instance_id.get(), 1);
        let parent = (header.parent_guid, header.parent_instance_id.get());
        let alone = base.time_stamp.get() == 77;
        assert_eq!(parent, if alone { (Guid::ZERO, 0) } else { (PARENT, 1) });
        assert_eq!(record.payload(), b"data");
        assert_eq!(record.bits(), Some(64));
        found += 1;
    });
    assert_eq!(found, 4);
}

/// Goal: instances are numbered from one, each once, whoever asks.
#[test]
fn numbered_over_threads() {
    let class = ClassRegistration::new(CLASS);
    let numbers = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let own: Vec<_> =
                    (0..1000).map(|_| create_trace_instance_id(&class).unwrap()).collect();
                numbers.lock().unwrap().extend(own.iter().map(EventInstanceInfo::instance_id));
            });
        }
    });
    assert!(numbers.into_inner().unwrap().into_iter().eq(1..=8000));
}

#[test]
fn of_no_class() {
    assert_eq!(code(create_trace_instance_id(None).map(|_| ())), 87);
}

#[test]
fn to_nothing() {
    assert_eq!(code(trace_event_instance(None, &PLAIN, &instance(), None)), 87);
}

#[test]
fn to_the_kernel_logger() {
    let (handle, _logger) = kernel_logger("NT Kernel Logger");
    assert_eq!(code(trace_event_instance(&handle, &PLAIN, &instance(), None)), 6);
}

#[test]
fn to_a_stopped_session() {
    let (session, _log) = session("stopped");
    let handle = session.handle();
    session.stop().unwrap();
    assert_eq!(code(trace_event_instance(&handle, &PLAIN, &instance(), None)), 6);
}

#[test]
fn without_an_instance() {
    let (session, _log) = session("no instance");
    assert_eq!(code(trace_event_instance(&session.handle(), &PLAIN, None, None)), 87);
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn without_traced_guid() {
    let (session, _log) = session("no flag");
    let bad = EventInstance { flags: WnodeFlags(0), ..PLAIN };
    assert_eq!(code(trace_event_instance(&session.handle(), &bad, &instance(), None)), 1004);
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_unknown_flags() {
    let (session, _log) = session("unknown flags");
    let handle = session.handle();
    let known = 0x200 | 0x2_0000 | 0x4_0000 | 0x10_0000;
    for bit in (0..32).map(|at| 1u32 << at).filter(|bit| bit & known == 0) {
        let bad = EventInstance { flags: PLAIN.flags.with(WnodeFlags(bit)), ..PLAIN };
        let answer = trace_event_instance(&handle, &bad, &instance(), None);
        assert_eq!(code(answer), 1004, "{bit:#x}");
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_parts_elsewhere() {
    let (session, _log) = session("elsewhere");
    let handle = session.handle();
    let fields = [MofField::new(b"data")];
    for bad in [
        EventInstance { data: EventData::Fields(&fields), size: 72, ..PLAIN },
        EventInstance { data: EventData::Bytes(&[0; 16]), ..PLAIN.mof_fields(&fields) },
    ] {
        assert_eq!(code(trace_event_instance(&handle, &bad, &instance(), None)), 87, "{bad:?}");
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_too_many_fields() {
    let (session, _log) = session("many fields");
    let handle = session.handle();
    let fields = [MofField::new(b"x"); 17];
    let (bad, good) = (PLAIN.mof_fields(&fields), PLAIN.mof_fields(&fields[1..]));
    assert_eq!(code(trace_event_instance(&handle, &bad, &instance(), None)), 87);
    assert_eq!(code(trace_event_instance(&handle, &good, &instance(), None)), 0);
    assert_eq!(session.stop().unwrap().attempted(), 1);
}

#[test]
fn with_a_wrong_size() {
    let (session, _log) = session("wrong size");
    let handle = session.handle();
    let fields = [MofField::new(b"data"); 2];
    for (event, right) in [(PLAIN, 60), (PLAIN.mof_fields(&fields), 88)] {
        for size in [0, 55, right - 1, right + 1, usize::MAX] {
            let bad = EventInstance { size, ..event };
            let answer = trace_event_instance(&handle, &bad, &instance(), None);
            assert_eq!(code(answer), 87, "{size}");
        }
        let good = EventInstance { size: right, ..event };
        assert_eq!(code(trace_event_instance(&handle, &good, &instance(), None)), 0);
    }
    assert_eq!(session.stop().unwrap().attempted(), 2);
}

#[test]
fn beyond_a_buffer() {
    for (buffer_size, most) in [(4096, 4096 - 72 - 1 - 72), (1 << 20, 0xFFFF - 72)] {
        let (builder, log) = builder("one buffer");
        let session = builder.buffer_size(buffer_size).start().unwrap();
        let handle = session.handle();
        let bytes = vec![7; most + 1];
        let bad = EventInstance::new(10, 4, &bytes);
        let good = EventInstance::new(10, 4, &bytes[1..]);
        assert_eq!(code(trace_event_instance(&handle, &bad, &instance(), None)), 234);
        assert_eq!(code(trace_event_instance(&handle, &good, &instance(), None)), 0);
        let stats = session.stop().unwrap();
        assert_eq!((stats.events_accepted, stats.lost.too_large), (1, 1));
        assert_eq!(payloads(&log), [&bytes[1..]]);
    }
}
