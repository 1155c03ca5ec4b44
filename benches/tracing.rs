//! What a self-describing event costs its caller, by each way to write it.
//!
//! Unit: nanoseconds per event. The event is a `u64`, a `u32` and 16 bytes of text: 28 bytes of
//! values. Beside it stands what it is to be compared with: for `event!` the direct call with a
//! payload that is ready; for the layer `tracing` itself, whose registry hands each event to one
//! that visits the fields and does nothing; for a call site that is switched off one of `tracing`
//! without a subscriber. As in the bench `write`, a burst fits the ring, and the time until the
//! flusher has emptied it is not measured.
//!
//! How it compares with the appenders of others is a question for `benches/peers`.

use criterion::{Criterion, criterion_group, criterion_main};
use etlring::bridge;
use etlring::format::EventDescriptor;
use etlring::provider::{Enable, Provider};
use etlring::session::Session;
use etlring::sink::NullSink;
use etlring::tracelogging::{Level, guid_of_name};
use etlring::{event, provider};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry;

/// Events of one burst: as in the bench `write`.
const BURST: u64 = 400;
const TEXT: &str = "sixteen letters!";

provider!(Bench = "Bench-Tracing");

fn direct(c: &mut Criterion) {
    let mut group = c.benchmark_group("self-describing");
    group.sample_size(50);
    let session = session();
    let plain = Provider::register(etlring::format::Guid::from_u128(0xbe7c), "Bench-Plain");
    session.enable_provider(plain.guid(), &Enable::new()).expect("enables");
    let descriptor = EventDescriptor::new(7, 4);
    group.bench_function("direct/28B", |b| {
        let payload = [0x5A; 28];
        b.iter_custom(|events| {
            bursts(&session, events, |_| {
                let _ = plain.write(black_box(&descriptor), black_box(&payload));
            })
        });
    });
    // The bytes that names and types take, as payload: what is left is what the macro adds.
    group.bench_function("direct/28B+names", |b| {
        let payload = [0x5A; 28 + 80 + 2];
        b.iter_custom(|events| {
            bursts(&session, events, |_| {
                let _ = plain.write(black_box(&descriptor), black_box(&payload));
            })
        });
    });
    let write = |n: u64| {
        event!(Bench, Level::INFO, "Event",
            a: u64 = black_box(n), b: u32 = black_box(7), c: &str = black_box(TEXT))
    };
    group.bench_function("event!/nobody", |b| b.iter(|| write(1)));
    session.enable_provider(Bench::GUID, &Enable::new()).expect("enables");
    group.bench_function("event!/28B", |b| {
        b.iter_custom(|events| {
            bursts(&session, events, |n| {
                black_box(write(n));
            })
        });
    });
    group.finish();
    assert_eq!(session.stop().map(|stats| stats.lost.total()).ok(), Some(0));
}

/// Visits fields and does nothing.
struct Nothing;

impl Visit for Nothing {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: tracing::Subscriber> Layer<S> for Nothing {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Nothing);
    }
}

fn write(n: u64) {
    tracing::info!(a = black_box(n), b = black_box(7u32), c = black_box(TEXT));
}

fn layer(c: &mut Criterion) {
    let mut group = c.benchmark_group("tracing");
    group.sample_size(50);
    group.bench_function("disabled/no-subscriber", |b| b.iter(|| write(1)));
    let session = session();
    let layer = bridge::tracing::layer("Bench-Tracing");
    with_default(registry().with(layer), || {
        group.bench_function("disabled/layer", |b| b.iter(|| write(1)));
        let guid = guid_of_name("Bench-Tracing");
        session.enable_provider(guid, &Enable::new()).expect("enables");
        group.bench_function("layer/28B", |b| {
            b.iter_custom(|events| bursts(&session, events, write));
        });
        let span = tracing::info_span!("span");
        let entered = span.enter();
        group.bench_function("layer/28B/in-span", |b| {
            b.iter_custom(|events| bursts(&session, events, write));
        });
        drop(entered);
        group.bench_function("layer/span", |b| {
            b.iter_custom(|events| {
                bursts(&session, events, |n| {
                    tracing::info_span!("span", n).in_scope(|| black_box(n));
                })
            });
        });
        session.disable_provider(guid).expect("disables");
    });
    with_default(registry().with(Nothing), || {
        group.bench_function("dispatch/no-op-visitor", |b| {
            b.iter_custom(|events| bursts(&session, events, write));
        });
    });
    group.finish();
    assert_eq!(session.stop().map(|stats| stats.lost.total()).ok(), Some(0));
}

fn session() -> Session {
    Session::builder("bench").sink(NullSink).minimum_buffers(512).start().expect("starts")
}

/// Time for so many events, in bursts that the ring holds.
fn bursts(session: &Session, events: u64, write: impl Fn(u64)) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = events;
    while left > 0 {
        let burst = left.min(BURST);
        let start = Instant::now();
        (0..burst).for_each(&write);
        time += start.elapsed();
        left -= burst;
        session.flush().expect("flushes");
    }
    time
}

criterion_group!(benches, direct, layer);
criterion_main!(benches);
