//! The logs that files are made of: every kind of record, what this platform records itself, the
//! vectors of whole files, and the samples.

use crate::common::vectors;
use crate::log::{self, Log, START_TICKS, classic, untimed};
use crate::records::{Event, perfinfo, process, system, thread, wide, words};
use etlring::codec::encode;
use etlring::format::{EventInstanceGuidHeader, Guid};
use etlring::reader::Trace;
use std::path::PathBuf;
use zerocopy::FromZeros;

/// Bytes of the largest sample taken: emulated machines are slow.
const MOST_BYTES: u64 = 400_000;

/// Each with a name for its directory.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    let mut inputs = vec![("made".to_owned(), made())];
    // Without threads there is no session.
    #[cfg(not(target_family = "wasm"))]
    inputs.push(("recorded".to_owned(), recorded::log()));
    let opens = |(_, log): &(String, Vec<u8>)| Trace::from_bytes(log.clone()).is_ok();
    let files = vectors().into_iter().filter(|vector| vector.what() == "file");
    inputs.extend(files.map(|vector| (vector.name, vector.bytes)).filter(opens));
    inputs.extend(samples());
    inputs
}

fn samples() -> Vec<(String, Vec<u8>)> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    let Ok(entries) = std::fs::read_dir(&directory) else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
        eprintln!("skipped: {} is missing", directory.display());
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "etl"))
        .filter(|path| path.metadata().unwrap().len() <= MOST_BYTES)
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

const PROFILER: (u8, u8, u8) = (15, 46, 2);
const NDIS: u128 = 0x2ed6006e_4729_4609_b423_3ee7bcd678ef;

/// Records of every kind on three lanes, one buffer packed, losses told.
fn made() -> Vec<u8> {
    let mut log = Log::new(4096);
    let at = |ticks: u64| START_TICKS + ticks;
    log.buffer(0, 1, at(50), &[process(12, "a, b.exe"), thread(12, 34), classic(at(10), 7, 33)]);
    let stack = [at(40), u64::from(12_u32) | 34 << 32, 0xFFFF_8000_0000_1000, 0x40_1000];
    let sample = [&words(&[0x40_1000])[..], &34_u32.to_le_bytes(), &1_u32.to_le_bytes()].concat();
    log.buffer(
        1,
        2,
        at(60),
        &[
            manifest(at(20), &wide("text \u{1F980}\u{1b}")),
            described(at(30)),
            perfinfo(PROFILER.0, PROFILER.1, PROFILER.2, at(40), &sample),
            perfinfo(24, 32, 2, at(41), &words(&stack)),
            system((3, 2, 3), (12, 34), at(45), &[0; 40]),
            untimed(9),
        ],
    );
    log.compressed(2, 3, at(70), &[packet(at(50)), message(at(55)), instance(at(65))]);
    log.buffer(0, 4, at(90), &(70..90).map(|n| classic(at(n), n as u8, 20)).collect::<Vec<_>>());
    log.bytes
}

fn manifest(ticks: u64, payload: &[u8]) -> Vec<u8> {
    let (process, thread) = (12, 34);
    let event = Event { provider: 0x1122_3344, id: 77, opcode: 1, task: 3, ..Event::default() };
    Event { keyword: 1 << 63, activity: 5, process, thread, ticks, payload, ..event }.bytes()
}

/// A captured packet of Ethernet.
fn packet(ticks: u64) -> Vec<u8> {
    let data = [0xA5; 60];
    let head: Vec<u8> = [9, 3, 60].into_iter().flat_map(u32::to_le_bytes).collect();
    let payload = &[&head[..], &data, &[0; 16]].concat();
    let keyword = 0x4000_0000 | 0x8000_0000 | 0x1_0000_0000;
    let event = Event { provider: NDIS, id: 1001, keyword, ticks, payload, ..Event::default() };
    event.bytes()
}

/// An event that carries its schema: values whose text is made by arithmetic.
fn described(ticks: u64) -> Vec<u8> {
    const FIELDS: &[u8] = b"f\0\x0bd\0\x0ci\0\x09u\0\x0ap\0\x15t\0\x11g\0\x0fs\0\x01a\0\x45";
    let mut schema = vec![0, 0, 0, b'E', 0];
    schema.extend_from_slice(FIELDS);
    let size = u16::try_from(schema.len()).unwrap();
    schema[..2].copy_from_slice(&size.to_le_bytes());
    let mut payload = Vec::new();
    payload.extend(1.1_f32.to_le_bytes());
    payload.extend(1e-7_f64.to_le_bytes());
    payload.extend(i64::MIN.to_le_bytes());
    payload.extend(u64::MAX.to_le_bytes());
    payload.extend(0xFFFF_8000_1234_5678_u64.to_le_bytes());
    payload.extend(log::START_TIME.to_le_bytes());
    payload.extend(Guid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff).0);
    payload.extend(wide("\u{d7ff}\u{1F980}"));
    payload.extend([2, 0, 0xFF, 0xFF, 1, 0]);
    let item = encode::Item { ext_type: etlring::format::ExtType::EVENT_SCHEMA_TL, data: &schema };
    let mut header = etlring::format::EventHeader::new_zeroed();
    header.time_stamp = ticks.into();
    header.process_id = 12.into();
    header.thread_id = 34.into();
    header.descriptor.channel = 11;
    let mut out = vec![0; 512];
    let size = encode::event(&mut out, &header, 64, &[item], &payload).unwrap();
    out.truncate(size);
    out
}

fn message(ticks: u64) -> Vec<u8> {
    let message = encode::Message {
        number: 10,
        sequence: Some(4),
        guid: Some(Guid::from_u128(6)),
        ticks: Some(ticks),
        thread_and_process: Some((34, 12)),
        ..Default::default()
    };
    let mut out = vec![0; 128];
    let size = encode::message(&mut out, &message, b"args").unwrap();
    out.truncate(size);
    out
}

fn instance(ticks: u64) -> Vec<u8> {
    let mut header = EventInstanceGuidHeader::new_zeroed();
    header.base.time_stamp = ticks.into();
    header.instance_id = 1.into();
    header.parent_instance_id = 2.into();
    let mut out = vec![0; 128];
    let size = encode::instance(&mut out, &header, 32, b"instance").unwrap();
    out.truncate(size);
    out
}

/// What a session of this platform records, with times and ids that are always the same.
#[cfg(not(target_family = "wasm"))]
mod recorded {
    use crate::log::{Log, START_TICKS};
    use crate::logs::{ACTIVITY, end, record, start};
    use etlring::codec::encode::Item;
    use etlring::format::{EventDescriptor, ExtType, Guid, HeaderType};
    use etlring::iis::HttpServer;
    use etlring::provider::Enable;
    use etlring::reader::Trace;
    use etlring::session::{ClassicEvent, Event};
    use etlring::tracelogging::{DynamicProvider, EventBuilder, Level};

    pub(crate) fn log() -> Vec<u8> {
        let described = DynamicProvider::register("Outputs");
        let recording = record("outputs");
        let session = &recording.session;
        session.enable_provider(described.guid(), &Enable::new()).unwrap();
        let server = HttpServer::new();
        let context = server.request_context(ACTIVITY, "outputs");
        start(&context, "http://localhost/a?b=<c>&\u{1}");
        let mut event = EventBuilder::new();
        event.begin("Values", Level::WARNING).keyword(2).field("text", "\u{1F980}\u{7}");
        event.field("half", 0.5_f32).field("tenth", 0.1_f64).field("least", i64::MIN);
        event.field("bytes", &b"\x01\x02"[..]).field("list", &[1_u16, 0x0203][..]);
        event.field("yes", true).field("id", Guid::from_u128(0x0102_0304_0506));
        described.write(&mut event).unwrap();
        let items = [Item { ext_type: ExtType::STACK_TRACE64, data: &[1; 24] }];
        let descriptor = EventDescriptor::new(0x0102, 3);
        let event = Event::new(Guid::from_u128(0x0708), descriptor).items(&items);
        session.write_event(&event.activity(ACTIVITY).related(Guid::from_u128(9)), b"p").unwrap();
        let class = ClassicEvent::new(Guid::from_u128(0x090a), 11, 2);
        session.write_classic(&class, b"classic").unwrap();
        end(&context, 500, 19);
        let (bytes, _) = recording.stop();
        steady(&bytes)
    }

    /// The events of a log in a new one.
    fn steady(bytes: &[u8]) -> Vec<u8> {
        let trace = Trace::from_slice(bytes).unwrap();
        let (mut log, mut events) = (Log::new(16 << 10), Vec::new());
        let mut records = trace.by_time();
        while let Some(record) = records.next() {
            let record = record.unwrap();
            let mut bytes = record.raw().bytes.to_vec();
            // Processor times lie there, too.
            let times = match HeaderType(bytes[2]) {
                HeaderType::EVENT_HEADER64 => 0x38..0x40,
                HeaderType::FULL_HEADER64 => 0x28..0x30,
                _ => continue,
            };
            bytes[0x08..0x10].copy_from_slice(&[34, 0, 0, 0, 12, 0, 0, 0]);
            bytes[0x10..0x18].copy_from_slice(&(START_TICKS + events.len() as u64).to_le_bytes());
            bytes[times].fill(0);
            events.push(bytes);
        }
        assert!(events.len() >= 5, "{} events recorded", events.len());
        log.buffer(0, 1, START_TICKS + 100, &events);
        log.bytes
    }
}
