#![no_main]
//! Records of every kind, written by the encoder one behind the other, come back as they were.

use arbitrary::Arbitrary;
use etlring::codec::encode::{self, Item, Message};
use etlring::codec::{RecordHeader, RecordView, Records};
use etlring::format::{
    CompactTraceHeader, EventHeader, EventInstanceGuidHeader, EventTraceHeader, ExtType, Guid,
    MessageFlags, PerfInfoTraceHeader, SystemTraceHeader,
};
use libfuzzer_sys::fuzz_target;
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[derive(Arbitrary, Debug)]
enum Header {
    Event([u8; 80], Vec<(u16, Vec<u8>)>),
    Classic([u8; 48]),
    Instance([u8; 72]),
    System([u8; 32]),
    Compact([u8; 24]),
    PerfInfo([u8; 16], Option<u64>, Vec<u64>),
    Message {
        number: u16,
        sequence: Option<u32>,
        component: Option<u32>,
        guid: Option<[u8; 16]>,
        ticks: Option<u64>,
        ids: Option<(u32, u32)>,
        flags: u16,
    },
}

#[derive(Arbitrary, Debug)]
struct Record {
    header: Header,
    is_32: bool,
    payload: Vec<u8>,
}

fuzz_target!(|records: Vec<Record>| {
    let mut space = vec![0xA5; 1 << 18];
    let mut written = Vec::new();
    let mut end = 0;
    for record in &records {
        match write(record, &mut space[end..]) {
            Some(size) => end += size.next_multiple_of(8),
            None => continue,
        }
        written.push(record);
    }

    let read: Vec<_> = Records::new(&space[..end]).collect::<Result<_, _>>().unwrap();
    assert_eq!(read.len(), written.len());
    for (record, raw) in written.iter().zip(read) {
        let view = RecordView::parse(raw).unwrap();
        assert_eq!(view.payload(), record.payload);
        assert_eq!(view.bits().is_some_and(|bits| bits == 32), record.is_32 && !is_message(record));
        compare(&record.header, &view);
    }
});

fn is_message(record: &Record) -> bool {
    matches!(record.header, Header::Message { .. })
}

/// Encodes the record; `None` if it is larger than a record may be or there is no space.
fn write(record: &Record, out: &mut [u8]) -> Option<usize> {
    let bits = if record.is_32 { 32 } else { 64 };
    let payload = &record.payload[..];
    let size = match &record.header {
        Header::Event(header, items) => {
            encode::event(out, &header_of(header), bits, &items_of(items), payload)
        }
        Header::Classic(header) => encode::classic(out, &header_of(header), bits, payload),
        Header::Instance(header) => encode::instance(out, &header_of(header), bits, payload),
        Header::System(header) => encode::system(out, &header_of(header), bits, payload),
        Header::Compact(header) => encode::compact(out, &header_of(header), bits, payload),
        Header::PerfInfo(header, pebs, pmc) => {
            encode::perfinfo(out, &header_of(header), bits, *pebs, pmc, payload)
        }
        Header::Message { number, sequence, component, guid, ticks, ids, flags } => {
            let message = Message {
                number: *number,
                sequence: *sequence,
                component: *component,
                guid: guid.as_ref().map(header_of),
                ticks: *ticks,
                thread_and_process: *ids,
                flags: MessageFlags(*flags),
            };
            encode::message(out, &message, payload)
        }
    };
    size.ok()
}

fn header_of<H: FromBytes, const N: usize>(bytes: &[u8; N]) -> H {
    H::read_from_bytes(bytes).unwrap()
}

fn items_of(items: &[(u16, Vec<u8>)]) -> Vec<Item<'_>> {
    items.iter().map(|(kind, data)| Item { ext_type: ExtType(*kind), data }).collect()
}

/// The header read is the one written, but for the bytes in `set`, which the encoder fills in.
fn same(read: &(impl IntoBytes + Immutable), written: &[u8], set: &[usize]) {
    for (at, (read, written)) in read.as_bytes().iter().zip(written).enumerate() {
        assert!(set.contains(&at) || read == written, "byte {at}");
    }
}

fn compare(header: &Header, view: &RecordView<'_>) {
    match (header, view.header()) {
        (Header::Event(header, items), RecordHeader::Event(read)) => {
            same(read as &EventHeader, header, &[0, 1, 2, 3, 4]);
            let found: Vec<_> = view.items().map(Result::unwrap).collect();
            assert_eq!(found.len(), items.len());
            for (found, (kind, data)) in found.iter().zip(items) {
                assert_eq!((found.ext_type, found.data), (ExtType(*kind), &data[..]));
            }
        }
        (Header::Classic(header), RecordHeader::Classic(read)) => {
            same(read as &EventTraceHeader, header, &[0, 1, 2, 3]);
        }
        (Header::Instance(header), RecordHeader::Instance(read)) => {
            same(read as &EventInstanceGuidHeader, header, &[0, 1, 2, 3]);
        }
        (Header::System(header), RecordHeader::System(read)) => {
            same(read as &SystemTraceHeader, header, &[2, 3, 4, 5]);
        }
        (Header::Compact(header), RecordHeader::Compact(read)) => {
            same(read as &CompactTraceHeader, header, &[2, 3, 4, 5]);
        }
        (Header::PerfInfo(header, pebs, pmc), RecordHeader::PerfInfo(read)) => {
            same(read as &PerfInfoTraceHeader, header, &[1, 2, 3, 4, 5]);
            let counters: Vec<u8> = pebs.iter().chain(pmc).flat_map(|n| n.to_le_bytes()).collect();
            let bytes = view.raw().bytes;
            assert_eq!(&bytes[16..bytes.len() - view.payload().len()], counters);
        }
        (
            Header::Message { number, sequence, component, guid, ticks, ids, flags },
            RecordHeader::Message(read),
        ) => {
            assert_eq!((read.number(), read.sequence()), (*number, *sequence));
            assert_eq!((read.component(), read.ticks()), (*component, *ticks));
            let guid = guid.as_ref().filter(|_| component.is_none()).map(header_of::<Guid, 16>);
            assert_eq!(read.guid(), guid);
            assert_eq!(read.thread_id().zip(read.process_id()), *ids);
            assert_eq!(read.flags().0 & !0x2F, flags & !0x2F);
        }
        (written, read) => panic!("wrote {written:?}, read {read:?}"),
    }
}
