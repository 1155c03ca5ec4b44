//! Captured packets: what a reader finds of logs made by hand.

use crate::capture::{Packet, packets};
use crate::records::{Event, process, show, wide};
use etlring::codec::Records;
use etlring::export::pcapng::{MOST_INTERFACES, MOST_PACKET, Pcapng};

const NDIS: u128 = 0x2ed6006e_4729_4609_b423_3ee7bcd678ef;
const PKTMON: u128 = 0x4d4f80d9_c8bd_4d73_bb5b_19c90402c5ac;

const WIFI: u64 = 0x1_0000;
const TRUNCATED: u64 = 0x200_0000;
const START: u64 = 0x4000_0000;
const END: u64 = 0x8000_0000;
const SEND: u64 = 0x1_0000_0000;
const RECEIVE: u64 = 0x2_0000_0000;

fn capture(records: &[Vec<u8>]) -> Vec<Packet> {
    let mut pcapng = Pcapng::new();
    let (mut out, mut count) = (Vec::new(), 0);
    for record in records {
        pcapng.learn(Records::new(record).next().unwrap().unwrap());
    }
    pcapng.head(&mut out);
    let records: Vec<_> = records.iter().map(|record| (0, record.clone())).collect();
    show(&records, |entry, nanos, _| {
        pcapng.event(&mut out, entry, nanos);
        count = packets(&out).unwrap().len();
    });
    assert!(count <= records.len());
    pcapng.tail(&mut out);
    let packets = packets(&out).unwrap();
    assert_eq!(pcapng.packets(), packets.len() as u64);
    packets
}

fn ndis(id: u16, keyword: u64, ticks: u64, payload: &[u8]) -> Vec<u8> {
    let (process, thread) = (12, 34);
    Event { provider: NDIS, id, keyword, ticks, process, thread, payload, ..Event::default() }
        .bytes()
}

/// A fragment seen by a filter over one of two interfaces.
fn fragment(keyword: u64, ticks: u64, lower: u32, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap();
    let head: Vec<u8> = [9, lower, size].into_iter().flat_map(u32::to_le_bytes).collect();
    ndis(1001, keyword, ticks, &[&head, data, &[0; 16]].concat())
}

/// A PktMon packet of a component, of a kind and a direction.
fn pktmon(id: u16, ticks: u64, component: u16, (kind, direction): (u16, u16)) -> Vec<u8> {
    let mut payload = 77_u64.to_le_bytes().to_vec();
    payload.extend([3, 1, direction, kind, component, 2, 0].into_iter().flat_map(u16::to_le_bytes));
    payload.extend(5_u32.to_le_bytes());
    payload.extend(0xBEEF_u32.to_le_bytes());
    payload.extend([1500, 4].into_iter().flat_map(u16::to_le_bytes));
    payload.extend([1, 2, 3, 4]);
    let payload = &payload;
    Event { provider: PKTMON, id, ticks, payload, ..Event::default() }.bytes()
}

/// What PktMon says of a component: its number, a type, and more.
fn rundown(id: u16, component: u16, kind: u16, more: &[u8]) -> Vec<u8> {
    let head = [component, kind].into_iter().flat_map(u16::to_le_bytes);
    let payload: Vec<u8> = head.chain(more.iter().copied()).collect();
    Event { provider: PKTMON, id, payload: &payload, ..Event::default() }.bytes()
}

#[test]
fn pktmon_packets_are_told_apart_by_component() {
    let names = [wide("xdp\u{1b}.sys"), wide("A filter")].concat();
    let found = capture(&[
        pktmon(160, 10, 61, (1, 3)),
        pktmon(170, 12, 61, (1, 4)),
        pktmon(160, 13, 7, (2, 1)),
        pktmon(160, 14, 7, (3, 6)),
        pktmon(160, 15, 8, (4, 0)),
        pktmon(160, 16, 61, (0, 0)),
        // Their names come last, as in real files.
        rundown(20, 61, 3, &names),
        rundown(60, 61, 5, &[0, 0]),
        rundown(65, 61, 13, &[10, 0, 0, 1]),
        rundown(66, 61, 13, &[0xFE; 16]),
        rundown(70, 61, 6, &[6, 0, 0, 0, 2, 0, 0, 0, 0, 1]),
    ]);
    let links: Vec<_> = found.iter().map(|packet| packet.link).collect();
    assert_eq!(links, [1, 1, 105, 101, 147, 1]);
    let directions: Vec<_> = found.iter().map(|packet| packet.flags).collect();
    assert_eq!(directions, [1, 2, 1, 2, 0, 0]);
    let first = &found[0];
    assert_eq!(first.interface, "xdp\\u{1b}.sys (61)");
    assert_eq!(first.description, "A filter");
    assert_eq!((first.nanos, first.original, &*first.data), (1000, 1500, &[1, 2, 3, 4][..]));
    assert_eq!(first.id, Some(77 << 16 | 3));
    assert_eq!(first.comment, "packet 77.3, appearance 1, received at component 61 edge 2");
    assert!(found[1].comment.ends_with("; dropped: 5, location 0xbeef"), "{}", found[1].comment);
    assert_eq!(found[2].interface, "(7)");
}

#[test]
fn fragments_are_joined() {
    let found = capture(&[
        process(12, "net.exe"),
        fragment(START | END | SEND, 10, 9, &[0xAA; 20]),
        fragment(START | RECEIVE, 20, 4, &[1; 5]),
        // Another interface in between.
        fragment(START | END, 21, 9, &[0xBB; 3]),
        fragment(RECEIVE, 22, 4, &[2; 5]),
        fragment(END | RECEIVE | TRUNCATED, 23, 4, &[3; 2]),
        // An end that never comes, and one that is lost with the log.
        fragment(START, 30, 4, &[4; 3]),
        fragment(START, 40, 4, &[5; 3]),
    ]);
    let data: Vec<_> = found.iter().map(|packet| (packet.nanos, &*packet.data)).collect();
    let joined = [&[1; 5][..], &[2; 5], &[3; 2]].concat();
    let expected: [(u64, &[u8]); 5] = [
        (1000, &[0xAA; 20]),
        (2100, &[0xBB; 3]),
        (2000, &joined),
        (3000, &[4; 3]),
        (4000, &[5; 3]),
    ];
    assert_eq!(data, expected);
    let who = "process 12 (net.exe), thread 34";
    let comments: Vec<_> = found.iter().map(|packet| packet.comment.as_str()).collect();
    let expected = [
        who.to_owned(),
        who.to_owned(),
        format!("{who}; truncated by the capture"),
        format!("{who}; its end is missing"),
        format!("{who}; its end is missing"),
    ];
    assert_eq!(comments, expected);
    assert_eq!((found[0].flags, found[2].flags), (2, 1));
    assert_eq!((&*found[0].interface, &*found[0].description), ("eth:9", ""));
    assert_eq!(found[2].description, "filter over interface 4");
}

#[test]
fn wifi_frames_say_how_they_were_received_and_are_not_protected() {
    let mut context: Vec<u8> =
        [9, 9, 40, 0, 1, 2, 5180, 1].into_iter().flat_map(u32::to_le_bytes).collect();
    context.extend((-48_i32).to_le_bytes());
    context.extend([12; 16]);
    let found = capture(&[
        ndis(1002, WIFI, 9, &context),
        fragment(START | END | WIFI, 10, 9, &[0x88, 0x41, 0]),
        fragment(START | END | WIFI, 11, 9, &[0x88, 0x41, 0]),
    ]);
    assert_eq!((found[0].link, &*found[0].interface), (105, "wifi:9"));
    assert_eq!(found[0].data, [0x88, 0x01, 0]);
    let said = "phy 2, channel 5180 MHz, RSSI -48 dBm, rate 6000 kbit/s, flags 0x1";
    assert_eq!(found[0].comment, format!("process 12, thread 34; {said}"));
    assert_eq!(found[1].comment, "process 12, thread 34");
}

#[test]
fn packets_of_a_virtual_switch_have_its_ports() {
    let head: Vec<u8> = [9, 9, 5].into_iter().flat_map(u32::to_le_bytes).collect();
    let names = [wide("port\n1"), wide("Adapter"), wide("Synthetic")].concat();
    let mut payload = [head, names].concat();
    payload.extend([2, 0, 0, 0]);
    payload.extend([0; 16]);
    payload.extend([3, 0, 0, 0, 7, 8, 9]);
    payload.extend([0; 4]);
    let found = capture(&[ndis(1003, START | END, 10, &payload)]);
    assert_eq!(found[0].data, [7, 8, 9]);
    assert_eq!((&*found[0].interface, &*found[0].description), ("vNIC:9:5", "Adapter"));
    assert!(found[0].comment.ends_with("switch port 5 \"port\\u{a}1\""), "{}", found[0].comment);
}

#[test]
fn what_was_cut_is_known_by_its_ip_header() {
    let ethernet = |kind: [u8; 2], ip: &[u8]| [&[0; 12][..], &kind, ip].concat();
    let of = |data: &[u8]| capture(&[fragment(START | END, 1, 9, data)])[0].original;
    assert_eq!(of(&ethernet([8, 0], &[0x45, 0, 0x05, 0xDC])), 14 + 1500);
    assert_eq!(of(&ethernet([0x86, 0xDD], &[0x60, 0, 0, 0, 0x01, 0x00])), 14 + 40 + 256);
    assert_eq!(of(&ethernet([8, 6], &[0x45, 0, 0x05, 0xDC])), 18);
    assert_eq!(of(&ethernet([8, 0], &[0x45])), 15);
    assert_eq!(of(&[]), 0);
}

#[test]
fn bounds_hold() {
    // Payloads that end anywhere.
    let whole = fragment(START | END, 1, 9, &[1; 40]);
    for end in (80..whole.len()).step_by(8) {
        let mut cut = whole[..end].to_vec();
        cut[..2].copy_from_slice(&u16::try_from(end).unwrap().to_le_bytes());
        assert!(capture(&[cut]).len() <= 1, "{end}");
    }
    // A packet without an end.
    let parts: Vec<_> = (0..5).map(|ticks| fragment(0, ticks, 9, &[1; 60_000])).collect();
    assert_eq!(capture(&parts)[0].data.len(), MOST_PACKET);
    // More interfaces than are described.
    let mut pcapng = Pcapng::new();
    let mut out = Vec::new();
    pcapng.head(&mut out);
    let many: Vec<_> = (0..u32::try_from(MOST_INTERFACES).unwrap() + 3)
        .map(|lower| (0, fragment(START | END, 1, lower, &[1])))
        .collect();
    show(&many, |entry, nanos, _| pcapng.event(&mut out, entry, nanos));
    let packets = packets(&out).unwrap();
    assert_eq!(packets.len(), many.len());
    assert_eq!(packets.iter().filter(|packet| packet.interface == "other").count(), 3);
}
