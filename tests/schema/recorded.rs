//! Events that the library recorded itself, read back with schemas written by hand: every type of a
//! manifest, every item of a TMF file. `mof.rs` does the same for classic events.

#[cfg(feature = "manifest")]
use crate::manifest;
use crate::{shown::Shown, tmf};
use bytes::Bytes;
use etlring::codec::encode;
use etlring::format::{BufferHeader, MessageFlags};
use etlring::reader::Trace;
use etlring::schema::{Decoder, Source};
use etlring::session::Session;
use etlring::sink::MemorySink;

/// Fields and messages of the records with this kind of schema, in time order.
fn decoded(decoder: &Decoder, log: Vec<u8>, source: Source) -> Vec<(String, Option<String>)> {
    let trace: Trace<Bytes> = Trace::from_bytes(log).unwrap();
    let mut records = trace.by_time();
    let mut all = Vec::new();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        let found = decoder.describe(&view);
        if found.source() == source {
            let mut shown = Shown::default();
            let walked = found.walk(&mut shown).unwrap();
            assert_eq!((walked.rest, walked.error), (&[][..], None), "{}", shown.text());
            all.push((shown.text(), found.message()));
        }
    }
    all
}

#[cfg(feature = "manifest")]
#[test]
fn manifest_events_of_every_type() {
    use etlring::format::EventDescriptor;
    use etlring::session::Event;

    let (sink, log) = MemorySink::new();
    let session = Session::builder("manifest").sink(sink).start().unwrap();
    let sized = b"\x01\0\xaaa\0b\0c\0\x01\x02\x01z\x09".to_vec();
    for (id, payload) in [(1, manifest::every_type()), (2, sized)] {
        let descriptor = EventDescriptor { version: 1, ..EventDescriptor::new(id, 4) };
        session.write_event(&Event::new(manifest::PROVIDER, descriptor), &payload).unwrap();
    }
    session.stop().unwrap();
    let mut decoder = Decoder::new();
    decoder.add_manifest(manifest::MANIFEST.as_bytes()).unwrap();
    let found = decoded(&decoder, log.to_vec(), Source::Manifest);
    let fields: Vec<_> = found.iter().map(|(fields, _)| &**fields).collect();
    let sized = "n=1 blob=aa fixed=abc list[ =1 =2 ] pairs[ { n=1 text=z } ] tail[ =9 ]";
    assert_eq!(fields, [manifest::EVERY_TYPE, sized]);
    assert_eq!(found[0].1.as_deref(), Some("hi opened, mode write"));
}

/// A session's log and one more buffer of it with messages, as the library's encoder writes both.
#[test]
fn messages_of_every_item() {
    let (sink, log) = MemorySink::new();
    let session = Session::builder("messages").sink(sink).start().unwrap();
    session.stop().unwrap();
    let mut log = log.to_vec();
    let trace: Trace<Bytes> = Trace::from_bytes(log.clone()).unwrap();
    let (size, start) = (trace.logfile().buffer_size(), trace.logfile().clock().start_ticks);
    let index = log.len() / size as usize;

    let mut buffer = vec![0; size as usize];
    let mut end = BufferHeader::SIZE;
    for (number, arguments, ..) in tmf::every_item() {
        let message = encode::Message {
            number,
            sequence: Some(u32::from(number)),
            component: None,
            guid: Some(tmf::GUID),
            ticks: Some(start + u64::from(number)),
            thread_and_process: Some((2, 1)),
            flags: MessageFlags::POINTER64,
        };
        end += encode::message(&mut buffer[end..], &message, &arguments).unwrap();
        end = end.next_multiple_of(8);
    }
    let sequence = i64::try_from(index).unwrap();
    let header = encode::sealed_header(size, u32::try_from(end).unwrap(), 0, sequence);
    encode::seal(&mut buffer, &header).unwrap();
    log.extend_from_slice(&buffer);

    let mut decoder = Decoder::new();
    decoder.add_tmf(tmf::TMF.as_bytes());
    let found = decoded(&decoder, log, Source::Tmf);
    let expected: Vec<_> = tmf::every_item()
        .into_iter()
        .map(|(_, _, fields, message)| (fields.to_owned(), Some(message.to_owned())))
        .collect();
    assert_eq!(found, expected);
}
