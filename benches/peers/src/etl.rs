//! etlring, by its three ways. A sequential log file with the default buffers, 512 of 64 KiB; when
//! they are all full an event is discarded, and counts as lost here.

use crate::measure::files;
use crate::{Peer, payload};
use etlring::codec::RecordHeader;
use etlring::format::{EventDescriptor, Guid};
use etlring::provider::{Enable, Provider};
use etlring::reader::Trace;
use etlring::session::{Session, SessionBuilder};
use etlring::tracelogging::Level;
use etlring::{event, provider};
use std::hint::black_box;
use std::path::Path;
use tracing_subscriber::layer::SubscriberExt;

fn session(directory: &Path, provider: Guid) -> Session {
    start(Session::builder("peers").log_file(directory.join("log.etl")), provider)
}

fn start(builder: SessionBuilder, provider: Guid) -> Session {
    let session = builder.start().expect("starts");
    session.enable_provider(provider, &Enable::new()).expect("enables");
    session
}

/// Events in the log, as the reader finds them.
fn kept(directory: &Path, provider: Guid) -> u64 {
    let path = files(directory).find(|path| path.extension().is_some_and(|e| e == "etl"));
    let trace = Trace::open(path.expect("a log")).expect("opens");
    let mut records = trace.by_time();
    let mut count = 0;
    while let Some(record) = records.next() {
        let view = record.expect("sound").view().expect("sound");
        let RecordHeader::Event(header) = view.header() else { continue };
        count += u64::from(header.provider_id == provider);
    }
    count
}

/// `Provider::write`: the payload is put together by the caller.
pub struct Direct(Session, Provider);

impl Direct {
    const GUID: Guid = Guid::from_u128(0x8c1f_6ad1_6d1f_4a0e_8c39_3a1f_0d7e_42ab);
    const LONG: EventDescriptor = EventDescriptor::new(1, 4);
    const SHORT: EventDescriptor = EventDescriptor::new(2, 4);
}

impl Peer for Direct {
    fn start(directory: &Path) -> Self {
        let provider = Provider::register(Self::GUID, "Peers-Direct");
        Self(session(directory, Self::GUID), provider)
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        let _ = black_box(self.1.write(&Self::LONG, &payload(a, b, text)));
    }

    fn short(&self, a: u64) {
        let _ = black_box(self.1.write(&Self::SHORT, &a.to_le_bytes()));
    }

    fn finish(self) {
        self.0.stop().expect("stops");
    }

    fn kept(directory: &Path) -> u64 {
        kept(directory, Self::GUID)
    }
}

/// The same with buffers as large as LTTng's, 32 of 1 MiB: a call that takes a new one is rare.
pub struct Large(Direct);

impl Peer for Large {
    fn start(directory: &Path) -> Self {
        let provider = Provider::register(Direct::GUID, "Peers-Direct");
        let builder = Session::builder("peers").log_file(directory.join("log.etl"));
        let builder = builder.buffer_size(1 << 20).maximum_buffers(32);
        Self(Direct(start(builder, Direct::GUID), provider))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        self.0.long(a, b, text);
    }

    fn short(&self, a: u64) {
        self.0.short(a);
    }

    fn finish(self) {
        self.0.finish();
    }

    fn kept(directory: &Path) -> u64 {
        Direct::kept(directory)
    }
}

provider!(Peers = "Peers");

/// `event!`.
pub struct Macro(Session);

impl Peer for Macro {
    fn start(directory: &Path) -> Self {
        Self(session(directory, Peers::GUID))
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        black_box(event!(Peers, Level::INFO, "Long", a: u64 = a, b: u32 = b, text: &str = text));
    }

    fn short(&self, a: u64) {
        black_box(event!(Peers, Level::INFO, "Short", a: u64 = a));
    }

    fn finish(self) {
        self.0.stop().expect("stops");
    }

    fn kept(directory: &Path) -> u64 {
        kept(directory, Peers::GUID)
    }
}

/// `tracing::info!` through the layer, which is the program's subscriber.
pub struct Layer(Session);

impl Peer for Layer {
    fn start(directory: &Path) -> Self {
        let session = session(directory, Peers::GUID);
        let layer = etlring::bridge::tracing::layer(Peers::NAME);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).expect("the first");
        Self(session)
    }

    fn long(&self, a: u64, b: u32, text: &str) {
        tracing::info!(a, b, text);
    }

    fn short(&self, a: u64) {
        tracing::info!(a);
    }

    fn finish(self) {
        self.0.stop().expect("stops");
    }

    fn kept(directory: &Path) -> u64 {
        kept(directory, Peers::GUID)
    }
}
