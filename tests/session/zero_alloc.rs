//! Recording allocates nothing.

use crate::allocations::allocations;
use etlring::format::{EventDescriptor, Guid};
use etlring::provider::{Enable, Provider};
use etlring::session::{ClassicEvent, Event, Session};
use etlring::sink::NullSink;

#[test]
fn a_million_events_allocate_nothing() {
    let session = Session::builder("alloc").sink(NullSink).start().unwrap();
    let classic = ClassicEvent::new(Guid::from_u128(1), 10, 4);
    let event = Event::new(Guid::from_u128(2), EventDescriptor::new(7, 4));
    let event = event.related(Guid::from_u128(3));
    // The first event of a thread takes a lane.
    session.write_classic(&classic, b"").unwrap();

    let before = allocations();
    let mut refused = 0u64;
    for n in 0..500_000u32 {
        refused += u64::from(session.write_classic(&classic, &n.to_le_bytes()).is_err());
        refused += u64::from(session.write_event_parts(&event, &[b"n", &n.to_le_bytes()]).is_err());
    }
    // Nor do events within events, nor lost ones.
    let open = session.reserve_classic(&classic, 8).unwrap();
    let nested = session.write_classic(&classic, b"nested").is_ok();
    drop(open);
    assert!(session.write_classic(&classic, &[0; 70_000]).is_err());
    assert_eq!(allocations() - before, 0);

    // The counter counts.
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations() - before, 1);
    let stats = session.stop().unwrap();
    assert_eq!(stats.lost.no_free_buffer, refused + u64::from(!nested));
    assert_eq!(stats.attempted(), 1_000_003);
}

#[test]
fn nor_do_events_of_a_provider() {
    let guid = Guid::from_u128(0x6d7c_19f0_0f53_4b0c_a1c2_6f54_0f3a_9c11);
    let provider = Provider::register(guid, "Alloc");
    let descriptor = EventDescriptor::new(7, 4);
    let write = |n: u32| {
        let written = provider.write(&descriptor, &n.to_le_bytes());
        let parts: [&[u8]; 2] = [b"n", &n.to_le_bytes()];
        (written, provider.write_transfer(&descriptor, None, Some(guid), &parts))
    };
    let sessions = ["alloc one", "alloc two"].map(|name| {
        let builder = Session::builder(name).sink(NullSink).maximum_buffers(1024);
        let session = builder.start().unwrap();
        session.enable_provider(guid, &Enable::new()).unwrap();
        session
    });
    // The first event of a thread takes a lane in each, and a list of both.
    let _ = write(0);
    let before = allocations();
    for n in 1..50_000 {
        let _ = write(n);
    }
    assert_eq!(allocations(), before);
    sessions[0].disable_provider(guid).unwrap();
    let (changed, seen) = (allocations(), write(0));
    // A change of the list is none either: what is copied is shared.
    assert_eq!(seen, (Ok(1), Ok(1)));
    assert_eq!(allocations(), changed);
    for session in sessions {
        session.stop().unwrap();
    }
    let after = allocations();
    assert_eq!(write(0), (Ok(0), Ok(0)));
    assert_eq!(allocations(), after);
    assert!(changed > before, "the change itself allocates, so the counter counts");
}
