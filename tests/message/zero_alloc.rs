//! The calls allocate nothing.

use crate::allocations::allocations;
use crate::{CLASS, provider};
use etlring::format::{EventDescriptor, Guid, MessageFlags};
use etlring::message::{
    ActivityControl, ClassRegistration, EventInstance, EventTrace, EventWriteFlags, MessageId,
    MofField, create_trace_instance_id, event_activity_id_control, event_write, event_write_ex,
    event_write_string, event_write_transfer, trace_event, trace_event_instance, trace_message,
    trace_message_va,
};
use etlring::session::{SequenceMode, Session};
use etlring::sink::NullSink;

#[test]
fn nothing_is_allocated() {
    static CLASSES: ClassRegistration = ClassRegistration::new(CLASS);
    let builder = Session::builder("alloc").sink(NullSink).sequence(SequenceMode::Local);
    let session = builder.start().unwrap();
    let (handle, provider) = (session.handle(), provider(&session));
    let descriptor = EventDescriptor::new(7, 4);
    let flags = MessageFlags(0x2B);
    let id = MessageId::Guid(CLASS);
    let large = vec![0; 70_000];
    let every_call = |n: u32| {
        let number = n.to_le_bytes();
        let data: [&[u8]; 3] = [b"text\0", &number, &[1; 40]];
        let fields = [MofField::new(&number), MofField::new(b"text\0")];
        let event = EventTrace::new(CLASS, 10, 4, &number);
        let instance = create_trace_instance_id(&CLASSES).unwrap();
        let mut activity = Guid::ZERO;
        let _ = event_activity_id_control(ActivityControl::CREATE_SET_ID, &mut activity);
        // Some are lost where the flusher is slow: that allocates nothing either.
        let _ = trace_message(&handle, flags, id, 7, &data);
        let _ =
            trace_message_va(&handle, flags, id, 7, data.iter().copied().filter(|d| !d.is_empty()));
        let _ = trace_message(&handle, flags, id, 7, &[&large]);
        let _ = trace_message(&handle, MessageFlags(0xFF00), id, 7, &data);
        let _ = trace_event(&handle, &event);
        let _ = trace_event(&handle, &event.mof_fields(&fields).time_stamp(5));
        let _ = trace_event_instance(&handle, &EventInstance::new(1, 4, &number), &instance, None);
        let _ = event_write(&provider, &descriptor, &data);
        let _ = event_write_transfer(&provider, &descriptor, None, Some(&CLASS), &data);
        let _ = event_write_ex(&provider, &descriptor, 2, EventWriteFlags(1), None, None, &data);
        let _ = event_write_string(&provider, 4, 0, "Grüße an alle");
        let _ = event_write(&provider, &descriptor, &[&large]);
    };
    // The first event of a thread takes a lane, and a list of who listens.
    every_call(0);
    let before = allocations();
    for n in 0..10_000 {
        every_call(n);
    }
    assert_eq!(allocations(), before);
    // The counter counts.
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations(), before + 1);
    let stats = session.stop().unwrap();
    assert_eq!(stats.attempted(), 10_001 * 11);
    assert_eq!(stats.lost.too_large, 10_001 * 2);
}
