//! In the long run self-describing events allocate nothing, whichever way they come.

use crate::allocations::allocations;
use etlring::provider::Enable;
use etlring::session::Session;
use etlring::sink::NullSink;
use etlring::tracelogging::Level;
use etlring::{event, provider};

/// How often `run` allocates on this thread, once everything has been as large as it gets.
fn allocations_of(mut run: impl FnMut(u64)) -> u64 {
    (0..1000).for_each(&mut run);
    let before = allocations();
    (0..1000).for_each(run);
    allocations() - before
}

fn session(name: &str, provider: etlring::format::Guid) -> Session {
    let session = Session::builder(name).sink(NullSink).start().unwrap();
    session.enable_provider(provider, &Enable::new()).unwrap();
    session
}

#[test]
fn the_macro() {
    provider!(Alloc = "Test-Alloc");
    let _session = session("alloc macro", Alloc::GUID);
    let count = allocations_of(|n| {
        event!(Alloc, Level::INFO, "Event", n: u64 = n, text: &str = "sixteen letters!");
    });
    assert_eq!(count, 0);
    assert_eq!(allocations_of(|n| drop(std::hint::black_box(Box::new(n)))), 1000, "it counts");
}

#[cfg(feature = "tracing")]
#[test]
fn events_of_tracing() {
    use tracing_subscriber::layer::SubscriberExt;
    let _session =
        session("alloc tracing", etlring::tracelogging::guid_of_name("Test-Alloc-Tracing"));
    let layer = etlring::bridge::tracing::layer("Test-Alloc-Tracing");
    crate::tracing::with_default(tracing_subscriber::registry().with(layer), || {
        let span = tracing::info_span!("span", later = tracing::field::Empty);
        let _entered = span.enter();
        let count = allocations_of(|n| {
            tracing::info!(n, text = "sixteen letters!", "a message");
            let big = u128::from(n);
            tracing::info!(n, debug = ?[n, n], display = %n, big, "{n} and {}", 1.5);
            // Other fields each time.
            tracing::info!(n, odd = (n % 2 == 1).then_some(n));
            span.record("later", n);
        });
        assert_eq!(count, 0);
    });
}

#[cfg(feature = "log")]
#[test]
fn records_of_log() {
    use log::Log;
    let logger = etlring::bridge::log::Logger::new("Test-Alloc-Log");
    let _session = session("alloc log", logger.provider().guid());
    let count = allocations_of(|n| {
        let pairs = [("n", n), ("m", n)];
        let mut record = log::Record::builder();
        let record = record.level(log::Level::Info).target("alloc").line(Some(7));
        logger.log(&record.key_values(&pairs).args(format_args!("{n} and {}", 1.5)).build());
    });
    assert_eq!(count, 0);
}
