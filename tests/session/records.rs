//! What is written is what was asked for, byte for byte, by every way of writing.

use crate::log;
use bytes::BufMut;
use etlring::codec::RecordHeader;
use etlring::codec::encode::Item;
use etlring::format::{ClockType, EventDescriptor, ExtType, Guid};
use etlring::session::{ClassicEvent, Clock, Discarded, Event, SequenceMode, Session};
use etlring::sink::MemorySink;

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);
const PROVIDER: Guid = Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa);
const ACTIVITY: Guid = Guid::from_u128(0x11111111_2222_3333_4444_555555555555);
const RELATED: Guid = Guid::from_u128(0x99999999_8888_7777_6666_555555555555);

#[test]
fn classic_records_carry_every_field() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("classic").sink(sink).start().unwrap();
    let event = ClassicEvent { class: CLASS, class_type: 12, level: 3, version: 0x1234 };
    session.write_classic(&event, b"one slice").unwrap();
    session.write_classic_parts(&event, &[b"one ", b"", b"slice"]).unwrap();
    let mut record = session.reserve_classic(&event, 100).unwrap();
    assert_eq!((record.capacity(), record.len(), record.is_empty()), (100, 0, true));
    record.put_slice(b"one ");
    record.put(&b"slice"[..]);
    assert_eq!((record.len(), record.remaining_mut()), (9, 91));
    record.commit().unwrap();
    session.write_classic(&event, b"").unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 4);

    let log = log.take();
    let (_, buffers) = log::read(&log);
    let events: Vec<_> = log::events(&buffers).collect();
    assert_eq!(events.len(), 4);
    for (record, payload) in events.iter().zip([&b"one slice"[..], b"one slice", b"one slice", b""])
    {
        let RecordHeader::Classic(header) = record.header() else { panic!("{record:?}") };
        assert_eq!((header.guid, header.class_type, header.class_level), (CLASS, 12, 3));
        assert_eq!(header.class_version.get(), 0x1234);
        assert_eq!(header.process_id.get(), std::process::id());
        assert_ne!(header.thread_id.get(), 0);
        assert_eq!(record.bits(), Some(64));
        assert_eq!(record.payload(), payload);
    }
}

#[test]
fn event_records_carry_descriptor_activities_and_items() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("event").sink(sink).start().unwrap();
    let descriptor = EventDescriptor {
        version: 2,
        channel: 11,
        opcode: 1,
        task: 77.into(),
        keyword: 0x8000_0000_0000_0001.into(),
        ..EventDescriptor::new(4660, 5)
    };
    let event = Event::new(PROVIDER, descriptor).activity(ACTIVITY);
    let items = [
        Item { ext_type: ExtType::PROV_TRAITS, data: b"\x06\0abc\0" },
        Item { ext_type: ExtType::EVENT_KEY, data: &[7; 8] },
    ];
    session.write_event(&event, b"plain").unwrap();
    session.write_event(&event.related(RELATED).items(&items), b"all").unwrap();
    let mut record = session.reserve_event(&event.items(&items[..1]), 3).unwrap();
    record.put_slice(b"end");
    record.commit().unwrap();
    session.stop().unwrap();

    let log = log.take();
    let (_, buffers) = log::read(&log);
    let events: Vec<_> = log::events(&buffers).collect();
    type Expected = (&'static [u8], &'static [(u16, &'static [u8])]);
    let expected: [Expected; 3] = [
        (b"plain", &[]),
        (b"all", &[(1, &RELATED.0), (12, b"\x06\0abc\0"), (10, &[7; 8])]),
        (b"end", &[(12, b"\x06\0abc\0")]),
    ];
    assert_eq!(events.len(), expected.len());
    for (record, (payload, items)) in events.iter().zip(expected) {
        let RecordHeader::Event(header) = record.header() else { panic!("{record:?}") };
        assert_eq!((header.provider_id, header.descriptor), (PROVIDER, descriptor));
        assert_eq!(header.activity_id, ACTIVITY);
        assert_eq!(record.payload(), payload);
        let found: Vec<_> = record.items().map(|i| i.map(|i| (i.ext_type.0, i.data))).collect();
        let expected: Vec<_> = items.iter().map(|item| Ok(*item)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_length_comes_back_whole_and_padding_is_zero() {
    let (sink, log) = MemorySink::new();
    // Room for all of it, whenever the flusher has its turn.
    let session = Session::builder("lengths").sink(sink).buffer_size(4096).maximum_buffers(2048);
    let session = session.start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    let dirty = vec![0xEE; 3000];
    session.write_classic(&event, &dirty).unwrap();
    for len in 0..=2000usize {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        if len % 2 == 0 {
            session.write_classic(&event, &bytes).unwrap();
        } else {
            let mut record = session.reserve_classic(&event, 2000).unwrap();
            record.put_slice(&bytes);
            record.commit().unwrap();
        }
    }
    session.stop().unwrap();
    let log = log.take();
    let (_, buffers) = log::read(&log);
    let events: Vec<_> = log::events(&buffers).skip(1).collect();
    assert_eq!(events.len(), 2001);
    for (len, record) in events.iter().enumerate() {
        assert_eq!(record.payload().len(), len);
        assert!(record.payload().iter().enumerate().all(|(at, b)| *b == (at * 7 + len) as u8));
    }
    // Every byte between two records is zero.
    for buffer in log.chunks(4096).skip(1) {
        let view = etlring::codec::BufferView::parse(buffer).unwrap();
        for raw in view.records() {
            let raw = raw.unwrap();
            let end = 72 + raw.offset as usize + raw.bytes.len();
            assert!(buffer[end..end.next_multiple_of(8)].iter().all(|byte| *byte == 0));
        }
    }
}

#[test]
fn a_record_may_fill_a_buffer_and_no_more() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("full").sink(sink).buffer_size(4096).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    let most = 4096 - 72 - 48;
    session.write_classic(&event, &vec![1; most]).unwrap();
    session.write_classic(&event, &vec![2; most]).unwrap();
    assert_eq!(session.write_classic(&event, &vec![3; most + 1]), Err(Discarded::TooLarge));
    let huge = session.reserve_classic(&event, usize::MAX).map(drop);
    assert_eq!(huge, Err(Discarded::TooLarge));
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (2, 2));

    let log = log.take();
    let (header, buffers) = log::read(&log);
    assert_eq!(buffers[0].header.filled_bytes.get(), 4096);
    assert_eq!(header.events_lost(), 2);
    let losses = log::losses(&buffers);
    assert_eq!(losses.len(), 1);
    assert_eq!((losses[0].count, losses[0].cause, losses[0].class_type), (2, 2, 32));
}

#[test]
fn the_16_bit_size_is_the_other_limit() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("64k").sink(sink).buffer_size(1 << 20).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    session.write_classic(&event, &vec![1; 0xFFFF - 48]).unwrap();
    let refused = session.write_classic(&event, &vec![1; 0xFFFF - 47]);
    assert_eq!(refused, Err(Discarded::TooLarge));
    session.stop().unwrap();
    let log = log.take();
    let (_, buffers) = log::read(&log);
    assert_eq!(log::events(&buffers).next().unwrap().payload().len(), 0xFFFF - 48);
}

#[test]
fn dropped_reservations_leave_nothing() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("dropped reservation").sink(sink).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    for _ in 0..1000 {
        let mut record = session.reserve_classic(&event, 40_000).unwrap();
        record.put_bytes(0xDD, 40_000);
        drop(record);
    }
    session.write_classic(&event, b"only").unwrap();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut record = session.reserve_classic(&event, 8).unwrap();
        record.put_slice(b"half");
        std::panic::resume_unwind(Box::new("between reserve and commit"));
    }));
    assert!(unwound.is_err());
    session.write_classic(&event, b"after").unwrap();
    assert_eq!(session.stop().unwrap().events_accepted, 2);
    let log = log.take();
    let (_, buffers) = log::read(&log);
    let payloads: Vec<_> = log::events(&buffers).map(|record| record.payload()).collect();
    assert_eq!(payloads, [&b"only"[..], b"after"]);
}

#[test]
fn events_within_an_event_go_through_another_lane() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("nested").sink(sink).start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    let mut outer = session.reserve_classic(&event, 5).unwrap();
    let mut inner = session.reserve_classic(&event, 5).unwrap();
    session.write_classic(&event, b"third").unwrap();
    inner.put_slice(b"inner");
    outer.put_slice(b"outer");
    outer.commit().unwrap();
    inner.commit().unwrap();
    session.write_classic(&event, b"alone").unwrap();
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lanes), (4, 3));
    let log = log.take();
    let (_, buffers) = log::read(&log);
    let mut payloads: Vec<_> = log::events(&buffers).map(|record| record.payload()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, [&b"alone"[..], b"inner", b"outer", b"third"]);
}

#[test]
fn each_clock_stamps_within_the_session_and_names_itself() {
    for (clock, clock_type) in [
        (Clock::PerformanceCounter, ClockType::QPC),
        (Clock::SystemTime, ClockType::SYSTEM_TIME),
        (Clock::CpuCycles, ClockType::CPU_CYCLES),
    ] {
        let (sink, log) = MemorySink::new();
        let before = std::time::SystemTime::now();
        let session = Session::builder("clock")
            .sink(sink)
            .clock(clock)
            .sequence(SequenceMode::Local)
            .start()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30));
        let event_time = std::time::SystemTime::now();
        session.write_classic(&ClassicEvent::new(CLASS, 10, 4), b"").unwrap();
        let after = std::time::SystemTime::now();
        session.stop().unwrap();
        let log = log.take();
        let (header, buffers) = log::read(&log);
        assert_eq!(header.clock_type(), clock_type);
        assert_eq!(header.mode().0, 0x8001);
        let clock = header.clock();
        assert_eq!(clock.file_time(header.record_header().system_time.get()), header.start_time());
        let stamped = clock.file_time(log::events(&buffers).next().unwrap().ticks().unwrap());
        let nanos = |time: std::time::SystemTime| {
            i128::try_from(time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()).unwrap()
        };
        // Cycles are counted in whole megahertz: up to 0.05 % off over the 30 ms.
        let late = stamped.to_unix_nanos() - nanos(event_time);
        let early = nanos(after) - stamped.to_unix_nanos();
        assert!(late >= -100_000, "{clock_type:?}: {late} ns late");
        assert!(early >= -100_000, "{clock_type:?}: {early} ns early");
        assert!(header.start_time().to_unix_nanos() >= nanos(before) - 100);
        assert!(header.end_time().unwrap() >= stamped);
    }
}

/// A log that is never ended has the clock's rate as it was known at the last flush: over a day
/// that of the start is off by a second.
#[test]
fn a_flush_refines_the_clocks_rate() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("rate").sink(sink).start().unwrap();
    let rate = || log::read(&log.to_vec()).0.clock().perf_freq;
    let write = || session.write_classic(&ClassicEvent::new(CLASS, 10, 4), b"").unwrap();
    write();
    session.flush().unwrap();
    let guessed = rate();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    // The header is written where its counts change: that takes another buffer.
    (0..1500).for_each(|_| write());
    session.flush().unwrap();
    let flushed = rate();
    session.stop().unwrap();
    let ended = rate();
    // Parts per million: the guess comes from 10 ms, the others from a second.
    let off = |rate: u64| rate.abs_diff(ended) * 1_000_000 / ended;
    assert!(off(flushed) <= 20 && off(guessed) <= 20_000, "{guessed} {flushed} {ended}");
    // Without a quick counter there is nothing to refine, and little where the rate is told.
    let refined = flushed != guessed || ended == guessed || cfg!(target_arch = "aarch64");
    assert!(refined, "{guessed} {flushed} {ended}");
}
