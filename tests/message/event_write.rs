//! What `EventWrite` and its relatives write and answer.

use crate::{builder, code, payloads, provider, records, session};
use etlring::codec::RecordHeader;
use etlring::format::{EventDescriptor, ExtType, Guid};
use etlring::message::{
    EventWriteFlags, MAX_EVENT_DATA_DESCRIPTORS, event_write, event_write_ex, event_write_string,
    event_write_transfer,
};
use etlring::provider::{Enable, Provider, activity};
use std::sync::{Arc, Mutex};

const ACTIVITY: Guid = Guid::from_u128(0x11111111_2222_3333_4444_555555555555);
const RELATED: Guid = Guid::from_u128(0x99999999_8888_7777_6666_555555555555);
const NO_FLAGS: EventWriteFlags = EventWriteFlags(0);

fn descriptor() -> EventDescriptor {
    EventDescriptor {
        version: 2,
        channel: 11,
        opcode: 1,
        task: 77.into(),
        keyword: 0x8000_0000_0000_0001.into(),
        ..EventDescriptor::new(4660, 5)
    }
}

/// What each of the calls that take data answers to this.
fn all(provider: &Provider, data: &[&[u8]]) -> [u32; 3] {
    let descriptor = descriptor();
    [
        code(event_write(provider, &descriptor, data)),
        code(event_write_transfer(provider, &descriptor, None, None, data)),
        code(event_write_ex(provider, &descriptor, 0, NO_FLAGS, None, None, data)),
    ]
}

/// Goal: descriptor, activities and data stand in the record, by every call.
#[test]
fn of_every_call() {
    let (session, log) = session("calls");
    let provider = provider(&session);
    let own = activity::create();
    let scope = activity::scope(own);
    let descriptor = descriptor();
    let (one, parts): (&[&[u8]], &[&[u8]]) = (&[b"data"], &[b"da", b"", b"ta"]);
    let both = (Some(&ACTIVITY), Some(&RELATED));
    for data in [one, parts] {
        assert_eq!(all(&provider, data), [0; 3]);
        assert_eq!(code(event_write_transfer(&provider, &descriptor, both.0, both.1, data)), 0);
        let flags = EventWriteFlags(3);
        let answer = event_write_ex(&provider, &descriptor, 0, flags, both.0, both.1, data);
        assert_eq!(code(answer), 0);
    }
    drop(scope);
    session.stop().unwrap();
    let mut found = Vec::new();
    records(&log, |record| {
        let RecordHeader::Event(header) = record.header() else { panic!("{record:?}") };
        assert_eq!((header.provider_id, header.descriptor), (provider.guid(), descriptor));
        assert_eq!(record.payload(), b"data");
        let items: Vec<_> = record.items().map(|item| item.unwrap()).collect();
        let related = items.first().map(|item| {
            assert_eq!(item.ext_type, ExtType::RELATED_ACTIVITYID);
            item.data.to_vec()
        });
        assert_eq!(header.flags.get(), u16::from(related.is_some()));
        found.push((header.activity_id, related));
    });
    let (alone, transfer) = ((own, None), (ACTIVITY, Some(RELATED.0.to_vec())));
    let expected = [&alone, &alone, &alone, &transfer, &transfer].map(Clone::clone);
    assert_eq!(found, [expected.clone(), expected].concat());
}

#[test]
fn of_a_text() {
    let (session, log) = session("text");
    let provider = provider(&session);
    let texts = ["", "coffee", "Grüße, 漢字 𝄞", "cut\0here"];
    let _scope = activity::scope(ACTIVITY);
    for text in texts {
        assert_eq!(code(event_write_string(&provider, 3, 0x40, text)), 0);
    }
    session.stop().unwrap();
    let mut found = Vec::new();
    records(&log, |record| {
        let RecordHeader::Event(header) = record.header() else { panic!("{record:?}") };
        assert_eq!(header.flags.get(), 0x0004);
        let expected = EventDescriptor { keyword: 0x40.into(), ..EventDescriptor::new(0, 3) };
        assert_eq!((header.descriptor, header.activity_id), (expected, ACTIVITY));
        let units = record.payload().chunks(2);
        let units: Vec<_> =
            units.map(|unit| u16::from_le_bytes(unit.try_into().unwrap())).collect();
        assert_eq!(units.last(), Some(&0));
        found.push(String::from_utf16(&units[..units.len() - 1]).unwrap());
    });
    assert_eq!(found, ["", "coffee", "Grüße, 漢字 𝄞", "cut"]);
}

/// Goal: a filter leaves out the sessions whose bits it has, and no others.
/// Method: callbacks tell the bits; one session leaves, and its bit goes to the next.
#[test]
fn but_not_for_the_sessions_of_a_filter() {
    let guid = Guid::from_u128(0x5f0c_11aa_2f6e_4b0b_9f3c_1234_5678_9abc);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let provider = Provider::register_with(guid, "Filter", move |change| {
        tell.lock().unwrap().push((change.session, change.instance));
    });
    let enable = |of: &str| {
        let (session, log) = session(of);
        session.enable_provider(guid, &Enable::new()).unwrap();
        let (id, bit) = *told.lock().unwrap().last().unwrap();
        assert_eq!((id, bit.count_ones()), (session.id(), 1));
        (session, log, bit)
    };
    let [one, two, three] = ["one", "two", "three"].map(enable);
    assert_eq!([one.2, two.2, three.2], [1, 2, 4]);
    let write = |filter, data: &[u8]| {
        code(event_write_ex(&provider, &descriptor(), filter, NO_FLAGS, None, None, &[data]))
    };
    assert_eq!(write(0, b"all"), 0);
    assert_eq!(write(two.2, b"not two"), 0);
    assert_eq!(write(one.2 | three.2, b"two"), 0);
    assert_eq!(write(u64::MAX, b"none"), 0);
    two.0.stop().unwrap();
    assert_eq!(told.lock().unwrap().last().unwrap().1, 2);
    let four = enable("four");
    assert_eq!(four.2, 2);
    assert_eq!(write(!2, b"four"), 0);
    for session in [one.0, three.0, four.0] {
        session.stop().unwrap();
    }
    assert_eq!(payloads(&one.1), [&b"all"[..], b"not two"]);
    assert_eq!(payloads(&two.1), [&b"all"[..], b"two"]);
    assert_eq!(payloads(&three.1), [&b"all"[..], b"not two"]);
    assert_eq!(payloads(&four.1), [b"four"]);
}

#[test]
fn to_nothing() {
    let descriptor = descriptor();
    assert_eq!(code(event_write(None, &descriptor, &[])), 6);
    assert_eq!(code(event_write_transfer(None, &descriptor, None, None, &[])), 6);
    assert_eq!(code(event_write_ex(None, &descriptor, 0, NO_FLAGS, None, None, &[])), 6);
    assert_eq!(code(event_write_string(None, 4, 0, "text")), 6);
}

/// Both for `event_write` and, by `all`, for `event_write_transfer` and `event_write_ex`.
#[test]
fn in_too_many_pieces() {
    let (session, log) = session("pieces");
    let provider = provider(&session);
    let bytes: Vec<u8> = (0..129).collect();
    let pieces: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(all(&provider, &pieces), [87; 3]);
    assert_eq!(all(&provider, &pieces[1..]), [0; 3]);
    assert_eq!(pieces.len() - 1, MAX_EVENT_DATA_DESCRIPTORS);
    assert_eq!(session.stop().unwrap().attempted(), 3);
    assert_eq!(payloads(&log), [&bytes[1..]; 3]);
    // Whoever listens.
    assert_eq!(all(&provider, &pieces), [87; 3]);
}

#[test]
fn with_unknown_flags() {
    let (session, _log) = session("unknown flags");
    let provider = provider(&session);
    for bit in 2..32 {
        let flags = EventWriteFlags(1 << bit);
        let answer = event_write_ex(&provider, &descriptor(), 0, flags, None, None, &[b"x"]);
        assert_eq!(code(answer), 87);
    }
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

/// `event_write_transfer` and `event_write_ex` are in `all`.
#[test]
fn when_nobody_listens() {
    let guid = Guid::from_u128(0x5f0c_11aa_2f6e_4b0b_9f3c_0000_0000_0001);
    let provider = Provider::register(guid, "Nobody");
    let huge = vec![0; 70_000];
    assert_eq!(all(&provider, &[&huge]), [0; 3]);
    assert_eq!(code(event_write_string(&provider, 4, 0, "text")), 0);
    // Nor who wants other events.
    let (session, _log) = session("others");
    session.enable_provider(guid, &Enable::new().level(4)).unwrap();
    assert_eq!(all(&provider, &[&huge]), [0; 3]);
    assert_eq!(code(event_write_string(&provider, 5, 0, "text")), 0);
    assert_eq!(session.stop().unwrap().attempted(), 0);
}

/// Goal: what no session could record is another answer than what this one cannot.
/// Method: in buffers of 1 MiB the longest fits, and one byte more is refused and counted.
/// `event_write_transfer` and `event_write_ex` are in `all`.
#[test]
fn beyond_64_kib() {
    let (builder, log) = builder("64 KiB");
    let session = builder.buffer_size(1 << 20).start().unwrap();
    let provider = provider(&session);
    let bytes = vec![7; 0xFFFF - 80 + 1];
    assert_eq!(all(&provider, &[&bytes]), [534; 3]);
    assert_eq!(all(&provider, &[&bytes[1..]]), [0; 3]);
    // With a related activity there is less room.
    let transfer = |data: &[u8]| {
        code(event_write_transfer(&provider, &descriptor(), None, Some(&RELATED), &[data]))
    };
    assert_eq!((transfer(&bytes[24..]), transfer(&bytes[25..])), (534, 0));
    // Two bytes for each sign and for the zero; the record has an odd number of bytes to spare.
    let text = "x".repeat((0xFFFF - 80 - 2) / 2 + 1);
    assert_eq!(code(event_write_string(&provider, 4, 0, &text)), 534);
    assert_eq!(code(event_write_string(&provider, 4, 0, &text[1..])), 0);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (5, 5));
    let lens: Vec<_> = payloads(&log).iter().map(Vec::len).collect();
    let most = 0xFFFF - 80;
    assert_eq!(lens, [most, most, most, most - 24, 2 * text.len()]);
}

/// `event_write_transfer` and `event_write_ex` are in `all`.
#[test]
fn beyond_a_buffer() {
    let (builder, log) = builder("one buffer");
    let session = builder.buffer_size(4096).start().unwrap();
    let provider = provider(&session);
    let most = 4096 - 72 - 80;
    let bytes = vec![7; most + 1];
    assert_eq!(all(&provider, &[&bytes]), [234; 3]);
    assert_eq!(all(&provider, &[&bytes[1..]]), [0; 3]);
    let text = "x".repeat(most / 2);
    assert_eq!(code(event_write_string(&provider, 4, 0, &text)), 234);
    assert_eq!(code(event_write_string(&provider, 4, 0, &text[1..])), 0);
    let stats = session.stop().unwrap();
    assert_eq!((stats.events_accepted, stats.lost.too_large), (4, 4));
    assert_eq!(payloads(&log).len(), 4);
}

/// Goal: what one of two sessions records is a success; the other has counted its loss.
#[test]
fn when_one_of_two_records_it() {
    let (small, large) = (builder("small"), builder("large"));
    let small = small.0.buffer_size(4096).start().unwrap();
    let large = large.0.start().unwrap();
    let provider = provider(&small);
    large.enable_provider(provider.guid(), &Enable::new()).unwrap();
    assert_eq!(all(&provider, &[&[0; 5000]]), [0; 3]);
    assert_eq!(small.stop().unwrap().lost.too_large, 3);
    assert_eq!(large.stop().unwrap().events_accepted, 3);
}
