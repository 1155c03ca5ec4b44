//! What callers can ask of a session, and what becomes of it.

use super::alone;
use etlring::format::{EventDescriptor, Guid};
use etlring::outside::{self, Found, OutsideError};
use etlring::provider::{Enable, Provider};
use etlring::reader::Trace;
use etlring::session::{Session, Update};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::Duration;

const ORDERS: Guid = Guid::from_u128(0x5a5c_36d4_6d1f_4a0e_8c39_3a1f_0d7e_42aa);

/// Nobody who enables from outside fills the memory of the process.
#[test]
fn only_so_many_providers_can_be_enabled() {
    use etlring::provider::MAX_PROVIDERS;
    alone("control::only_so_many_providers_can_be_enabled", |_| {
        let session = Session::builder("wide").memory_ring().controllable().start().unwrap();
        let client = outside::connect("wide").unwrap();
        for n in 0..MAX_PROVIDERS as u128 {
            client.enable(Guid::from_u128(n), &Enable::new()).unwrap();
        }
        let error = client.enable(Guid::from_u128(u128::MAX), &Enable::new()).unwrap_err();
        assert!(matches!(&error, OutsideError::Refused(1450, _)), "{error:?}");
        assert!(error.to_string().contains("16384 providers"), "{error}");
        // One that is known can still be changed, and one that is disabled makes room.
        client.enable(Guid::from_u128(7), &Enable::new().level(3)).unwrap();
        client.disable(Guid::from_u128(8)).unwrap();
        client.enable(Guid::from_u128(u128::MAX), &Enable::new()).unwrap();
        session.stop().unwrap();
    });
}

#[test]
fn what_is_asked_is_done() {
    alone("control::what_is_asked_is_done", |directory| {
        let log = directory.join("log.etl");
        let session = Session::builder("Shop Floor")
            .log_file(&log)
            .flush_interval(Duration::ZERO)
            .buffer_size(8192)
            .maximum_buffers(8)
            .controllable()
            .start()
            .unwrap();

        let run = directory.join("run");
        assert_eq!(std::fs::metadata(&run).unwrap().mode() & 0o7777, 0o700);
        let socket = std::fs::symlink_metadata(run.join("shop floor.sock")).unwrap();
        assert!(socket.file_type().is_socket());
        assert_eq!(socket.mode() & 0o7777, 0o600);
        let lock = std::fs::symlink_metadata(run.join("shop floor.lock")).unwrap();
        assert_eq!(lock.mode() & 0o7777, 0o600);

        // Its flusher has begun, and so has a thread's number.
        session.flush().unwrap();
        // Whatever the case of the letters.
        let client = outside::connect("shop FLOOR").unwrap();
        let status = client.query().unwrap();
        assert_eq!(status.process_id, std::process::id());
        assert_eq!(status.properties, session.properties());
        assert_eq!(status.properties.log_file.as_deref(), Some(&*log));
        assert_eq!((status.providers.len(), status.sink_error), (0, None));

        let provider = Provider::register(ORDERS, "Example-Orders");
        let placed = EventDescriptor::new(1, 4);
        assert_eq!(provider.write(&placed, b"nobody listens"), Ok(0));
        client.enable(ORDERS, &Enable::new().level(4)).unwrap();
        assert_eq!(provider.write(&placed, b"one coffee"), Ok(1));
        assert_eq!(provider.write(&EventDescriptor::new(2, 5), b"verbose"), Ok(0));
        let status = client.query().unwrap();
        assert_eq!(status.providers_enabled, 1);
        assert_eq!(status.providers[0].guid, ORDERS);
        assert_eq!(status.providers[0].name, "Example-Orders");
        assert_eq!(status.properties.stats.events_accepted, 1);

        // Nothing flushes by itself.
        assert_eq!(status.properties.stats.buffers_written, 1);
        client.flush().unwrap();
        assert_eq!(client.query().unwrap().properties.stats.buffers_written, 2);

        client.disable(ORDERS).unwrap();
        assert_eq!(provider.write(&placed, b"nobody listens"), Ok(0));
        assert_eq!(client.query().unwrap().providers_enabled, 0);

        client.update(&Update::new().flush_interval(Duration::from_millis(250))).unwrap();
        client.update(&Update::new().maximum_buffers(12)).unwrap();
        assert_eq!(session.properties().flush_interval, Duration::from_millis(250));
        assert_eq!(session.properties().maximum_buffers, 12);
        let refused = client.update(&Update::new().maximum_buffers(1)).unwrap_err();
        let OutsideError::Refused(87, why) = refused else { panic!("{refused:?}") };
        assert!(why.contains("maximum_buffers is 1"), "{why}");
        let next = directory.join("next.etl");
        client.update(&Update::new().log_file(&next)).unwrap();
        assert_eq!(session.log_file(), Some(next));
        let refused = client.snapshot(directory.join("snapshot.etl")).unwrap_err();
        assert!(matches!(refused, OutsideError::Refused(50, _)), "{refused:?}");

        let [Found::Running(listed)] = &outside::list().unwrap()[..] else { panic!() };
        assert_eq!(listed.properties.name, "Shop Floor");

        let last = client.stop().unwrap();
        assert_eq!(last.properties.stats.events_accepted, 1);
        let gone = client.query().unwrap_err();
        assert!(matches!(gone, OutsideError::NotFound(_)), "{gone:?}");
        assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0);
        assert!(outside::list().unwrap().is_empty());
        assert_eq!(session.stop().unwrap().events_accepted, 1);
        let trace = Trace::open(&log).unwrap();
        assert!(trace.logfile().end_time().is_some());
    });
}
