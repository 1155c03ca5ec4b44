//! Raising trace events as modules of IIS do: eight items, and nobody who listens. The event is made
//! once: what it costs to put it together is its caller's.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use etlring::format::Guid;
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::session::Session;
use std::hint::black_box;

fn raise(criterion: &mut Criterion) {
    let server = HttpServer::new();
    let context = server.request_context(Guid::from_u128(7), "m");
    let items = [
        HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
        HttpTraceEventItem::new("ModuleName", "IIS Web Core"),
        HttpTraceEventItem::new("Notification", 16u32),
        HttpTraceEventItem::new("HttpStatus", 404u32),
        HttpTraceEventItem::new("HttpReason", b"Not Found"),
        HttpTraceEventItem::new("HttpSubStatus", 7u16),
        HttpTraceEventItem::new("ErrorCode", 0x8007_0002u32),
        HttpTraceEventItem::new("ConfigExceptionInfo", ""),
    ];
    let event = HttpTraceEvent {
        area: 0x100,
        area_guid: guids::REQUEST_NOTIFICATIONS,
        event: 16,
        event_name: "MODULE_SET_RESPONSE_ERROR_STATUS",
        event_version: 1,
        verbosity: 3,
        flags: HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS,
        event_items: &items,
        ..HttpTraceEvent::of(guids::WWW_SERVER)
    };
    // The same with a name that is not in the table, so that its outline has to be in the log.
    let own = HttpTraceEvent { event_name: "OWN", event: 99, ..event };

    let mut group = criterion.benchmark_group("iis");
    group.bench_function("nobody listens", |bencher| {
        bencher.iter(|| context.raise_trace_event(black_box(&event)));
    });
    let session = Session::builder("iis bench")
        .memory_ring()
        .maximum_buffers(64)
        .start()
        .expect("a ring in memory starts");
    session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5)).expect("enables");
    for (name, event) in [("8 items", &event), ("8 items, described", &own)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| context.raise_trace_event(black_box(event)));
        });
    }
    group.finish();
    assert_eq!(session.stop().expect("stops").lost.total(), 0);
}

criterion_group!(benches, raise);
criterion_main!(benches);
