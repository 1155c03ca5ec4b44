//! What `TraceEvent` writes and answers.

use crate::{CLASS, builder, code, kernel_logger, payloads, records, session};
use etlring::codec::RecordHeader;
use etlring::format::Guid;
use etlring::message::{
    ClassGuid, EventData, EventTrace, MAX_MOF_FIELDS, MofField, TraceError, WnodeFlags, trace_event,
};
use etlring::session::SessionHandle;

/// An event against which nothing can be said.
const PLAIN: EventTrace<'static> = EventTrace::new(CLASS, 10, 4, b"data");

pub(crate) fn plain(handle: &SessionHandle) -> Result<(), TraceError> {
    trace_event(handle, &PLAIN)
}

/// Goal: every form of an event becomes the same record, with what the caller and the system say.
#[test]
fn of_every_form() {
    let (session, log) = session("forms");
    let handle = session.handle();
    let fields = [MofField::new(b"da"), MofField::new(b""), MofField { data: b"ta", data_type: 9 }];
    let event = PLAIN.version(0x1234);
    let forms = [event, event.guid_ptr(&CLASS), event.mof_fields(&fields)];
    for form in forms {
        assert_eq!(code(trace_event(&handle, &form)), 0);
        assert_eq!(code(trace_event(&handle, &form.time_stamp(77))), 0);
        let logged = EventTrace { flags: form.flags.with(WnodeFlags::LOG_WNODE), ..form };
        assert_eq!(code(trace_event(&handle, &logged.guid_ptr(&CLASS))), 0);
    }
    session.stop().unwrap();
    let (mut found, mut stamped) = (0, 0);
    records(&log, |record| {
        let RecordHeader::Classic(header) = record.header() else { panic!("{record:?}") };
        assert_eq!((header.guid, header.class_type, header.class_level), (CLASS, 10, 4));
        assert_eq!(header.class_version.get(), 0x1234);
        assert_eq!(header.process_id.get(), std::process::id());
        assert_ne!(header.thread_id.get(), 0);
        assert_eq!((header.kernel_time.get(), header.user_time.get()), (0, 0));
        assert_eq!(record.payload(), b"data");
        assert_eq!(usize::from(header.size.get()), record.raw().bytes.len());
        found += 1;
        stamped += u32::from(header.time_stamp.get() == 77);
    });
    assert_eq!((found, stamped), (9, 3));
}

#[test]
fn of_sixteen_fields() {
    let (session, log) = session("fields");
    let bytes: Vec<u8> = (0..16).collect();
    let fields: Vec<_> = bytes.chunks(1).map(MofField::new).collect();
    assert_eq!(fields.len(), MAX_MOF_FIELDS);
    assert_eq!(code(trace_event(&session.handle(), &PLAIN.mof_fields(&fields))), 0);
    assert_eq!(code(trace_event(&session.handle(), &PLAIN.mof_fields(&[]))), 0);
    session.stop().unwrap();
    assert_eq!(payloads(&log), [bytes, Vec::new()]);
}

#[test]
fn to_nothing() {
    assert_eq!(code(trace_event(None, &PLAIN)), 87);
}

#[test]
fn to_the_kernel_logger() {
    let (handle, _logger) = kernel_logger("NT Kernel Logger");
    assert_eq!(code(trace_event(&handle, &PLAIN)), 6);
}

#[test]
fn to_a_stopped_session() {
    let (session, _log) = session("stopped");
    let handle = session.handle();
    session.stop().unwrap();
    let large = vec![0; 70_000];
    assert_eq!(code(trace_event(&handle, &PLAIN)), 6);
    assert_eq!(code(trace_event(&handle, &PLAIN.time_stamp(1))), 6);
    assert_eq!(code(trace_event(&handle, &EventTrace::new(CLASS, 10, 4, &large))), 6);
}

#[test]
fn without_traced_guid() {
    let (session, _log) = session("no flag");
    let handle = session.handle();
    let bad = EventTrace { flags: WnodeFlags(0), ..PLAIN };
    assert_eq!(code(trace_event(&handle, &bad)), 186);
    assert_eq!(code(trace_event(&handle, &bad.guid_ptr(&CLASS))), 186);
    // Flags come before sizes.
    assert_eq!(code(trace_event(&handle, &EventTrace { size: 0, ..bad })), 186);
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_unknown_flags() {
    let (session, _log) = session("unknown flags");
    let handle = session.handle();
    let known = 0x200 | 0x2_0000 | 0x4_0000 | 0x8_0000 | 0x10_0000;
    for bit in (0..32).map(|at| 1u32 << at).filter(|bit| bit & known == 0) {
        let bad = EventTrace { flags: PLAIN.flags.with(WnodeFlags(bit)), ..PLAIN };
        assert_eq!(code(trace_event(&handle, &bad)), 186, "{bit:#x}");
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_parts_elsewhere() {
    let (session, _log) = session("elsewhere");
    let handle = session.handle();
    let fields = [MofField::new(b"data")];
    for bad in [
        EventTrace { class: ClassGuid::Pointer(&CLASS), ..PLAIN },
        EventTrace { class: ClassGuid::Inline(Guid::ZERO), ..PLAIN.guid_ptr(&CLASS) },
        EventTrace { data: EventData::Fields(&fields), size: 64, ..PLAIN },
        EventTrace { data: EventData::Bytes(&[0; 16]), ..PLAIN.mof_fields(&fields) },
    ] {
        assert_eq!(code(trace_event(&handle, &bad)), 87, "{bad:?}");
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

#[test]
fn with_too_many_fields() {
    let (session, _log) = session("many fields");
    let fields = [MofField::new(b"x"); 17];
    assert_eq!(code(trace_event(&session.handle(), &PLAIN.mof_fields(&fields))), 87);
    assert_eq!(code(trace_event(&session.handle(), &PLAIN.mof_fields(&fields[1..]))), 0);
    assert_eq!(session.stop().unwrap().attempted(), 1);
}

#[test]
fn with_a_wrong_size() {
    let (session, _log) = session("wrong size");
    let handle = session.handle();
    let fields = [MofField::new(b"data"); 2];
    for (event, right) in [(PLAIN, 52), (PLAIN.mof_fields(&fields), 80)] {
        for size in [0, 47, right - 1, right + 1, usize::MAX] {
            assert_eq!(code(trace_event(&handle, &EventTrace { size, ..event })), 87, "{size}");
        }
        assert_eq!(code(trace_event(&handle, &EventTrace { size: right, ..event })), 0);
    }
    assert_eq!(session.stop().unwrap().attempted(), 2);
}

/// Goal: a record must be smaller than a buffer less 72 bytes, and as large as 65,535 at most.
#[test]
fn beyond_a_buffer() {
    for (buffer_size, most) in [(4096, 4096 - 72 - 1 - 48), (1 << 20, 0xFFFF - 48)] {
        let (builder, log) = builder("one buffer");
        let session = builder.buffer_size(buffer_size).start().unwrap();
        let handle = session.handle();
        let bytes = vec![7; most + 1];
        let (half, rest) = bytes.split_at(most / 2);
        let fields = [MofField::new(half), MofField::new(rest)];
        assert_eq!(code(trace_event(&handle, &EventTrace::new(CLASS, 10, 4, &bytes))), 234);
        assert_eq!(code(trace_event(&handle, &PLAIN.mof_fields(&fields))), 234);
        let fields = [fields[0], MofField::new(&rest[1..])];
        assert_eq!(code(trace_event(&handle, &PLAIN.mof_fields(&fields))), 0);
        assert_eq!(code(trace_event(&handle, &EventTrace::new(CLASS, 10, 4, &bytes[1..]))), 0);
        let stats = session.stop().unwrap();
        assert_eq!((stats.events_accepted, stats.lost.too_large), (2, 2));
        assert_eq!(payloads(&log), [&bytes[1..], &bytes[1..]]);
    }
}
