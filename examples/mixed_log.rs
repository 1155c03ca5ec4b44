//! Events of every shape from four threads into one log, and a list of what was accepted.
//!
//! `cargo run --release --example mixed_log -- OUT [--manifest FILE] [--events PER_THREAD]`
//!
//! Providers and classic classes, activities, extended items, payloads from nothing to a whole
//! buffer; written from a slice, from parts, and in place. The producers wait for the flusher, so
//! nothing is lost; if something is, the example fails. The manifest has a line for each accepted
//! event, in the order of each thread, and owes nothing to a reader.

use bytes::BufMut;
use etlring::codec::encode::Item;
use etlring::format::{EventDescriptor, ExtType, Guid};
use etlring::session::{ClassicEvent, Discarded, Event, Session, SessionHandle};
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

type Error = Box<dyn std::error::Error + Send + Sync>;

const THREADS: u32 = 4;
const BUFFER_SIZE: u32 = 64 * 1024;
/// What a buffer's header, a classic header and an event header take.
const BUFFER_HEADER: usize = 72;
const CLASSIC_HEADER: usize = 48;
const EVENT_HEADER: usize = 80;
/// Producers wait while fewer buffers than this are free.
const SPARE_BUFFERS: u32 = 128;

const PROVIDERS: [Guid; 3] = [
    Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa),
    Guid::from_u128(0x00112233_4455_6677_8899_aabbccddeeff),
    Guid::from_u128(0xf1e2d3c4_b5a6_9788_7766_554433221100),
];
const CLASSES: [Guid; 2] = [
    Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701),
    Guid::from_u128(0x9d0c1b2a_3f4e_5d6c_8b7a_190827364554),
];

fn main() -> Result<(), Error> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    let session = Session::builder("mixed")
        .log_file(&options.out)
        .buffer_size(BUFFER_SIZE)
        .maximum_buffers(1024)
        .start()?;

    let accepted = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..THREADS)
            .map(|number| {
                let handle = session.handle();
                scope.spawn(move || produce(&handle, number, options.events))
            })
            .collect();
        producers.into_iter().map(|one| one.join().expect("a producer does not panic")).collect()
    });
    let accepted: Result<Vec<Produced>, Error> = accepted;
    let accepted = accepted?;
    let stats = session.stop()?;

    let events: u64 = accepted.iter().map(|thread| thread.lines.len() as u64).sum();
    println!("accepted {events}, lost {}", stats.lost.total());
    if stats.lost.total() != 0 || stats.events_accepted != events {
        return Err(format!("{events} events were accepted, the session says {stats:#?}").into());
    }
    match &options.manifest {
        Some(path) => write_manifest(path, &accepted),
        None => Ok(()),
    }
}

/// What the command line asks for.
struct Options {
    out: PathBuf,
    manifest: Option<PathBuf>,
    /// Of each thread.
    events: u32,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let mut options = Self { out: "mixed.etl".into(), manifest: None, events: 250_000 };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or("an option lacks its value");
            match arg.to_str() {
                Some("--manifest") => options.manifest = Some(value()?.into()),
                Some("--events") => {
                    options.events = value()?.to_str().unwrap_or_default().parse()?;
                }
                _ => options.out = arg.into(),
            }
        }
        Ok(options)
    }
}

/// What one thread got accepted.
struct Produced {
    thread_id: u32,
    lines: Vec<Line>,
}

/// One accepted event.
struct Line {
    what: What,
    len: usize,
    crc32: u32,
}

/// The header of an event.
#[derive(Clone, Copy)]
enum What {
    Event { provider: Guid, descriptor: EventDescriptor, activity: Guid, related: Option<Guid> },
    Classic(ClassicEvent),
}

/// Logs `events` events.
fn produce(handle: &SessionHandle, number: u32, events: u32) -> Result<Produced, Error> {
    let mut chance = Chance(u64::from(number) * 0x1000_0001 + 0x9E37_79B9);
    let noise: Vec<u8> = (0..BUFFER_SIZE).map(|_| chance.byte()).collect();
    let mut lines = Vec::with_capacity(events as usize);
    let mut n = 0;
    while n < events {
        if n % 64 == 0 {
            wait_for_buffers(handle);
        }
        let mut what = any_header(&mut chance, n);
        let mut len = any_length(&mut chance);
        // Two records in each thread fill a buffer exactly, one of each header.
        let room = BUFFER_SIZE as usize - BUFFER_HEADER;
        if n == events / 2 {
            what = What::Classic(ClassicEvent::new(CLASSES[0], 99, 1));
            len = room - CLASSIC_HEADER;
        } else if n == events / 2 + 1 {
            let descriptor = EventDescriptor::new(999, 1);
            let [provider, ..] = PROVIDERS;
            what = What::Event { provider, descriptor, activity: Guid::ZERO, related: None };
            len = room - EVENT_HEADER;
        }
        let start = chance.below(noise.len() - len + 1);
        let payload = &noise[start..start + len];

        if n % 97 == 0 && n + 1 != events / 2 && len < 4096 && n + 1 < events {
            // Another event while a reservation is open: the same thread in a second lane.
            let outer = What::Classic(ClassicEvent::new(CLASSES[1], 77, 5));
            nested(handle, &outer, &what, payload)?;
            lines.push(Line::new(outer, payload));
            n += 1;
        } else {
            write(handle, &what, payload, n)?;
        }
        lines.push(Line::new(what, payload));
        n += 1;
    }
    Ok(Produced { thread_id: thread_id()?, lines })
}

/// Waits until the flusher has caught up, so that no event is discarded.
fn wait_for_buffers(handle: &SessionHandle) {
    while handle.query().buffers_free < SPARE_BUFFERS {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Writes one event in one of the four ways.
fn write(handle: &SessionHandle, what: &What, payload: &[u8], n: u32) -> Result<(), Discarded> {
    let (first, second) = payload.split_at(payload.len() / 3);
    // More space than is used, but for payloads that fill a buffer.
    let capacity = if payload.len() < 4096 { payload.len() + 40 } else { payload.len() };
    let items = [
        Item { ext_type: ExtType::EVENT_KEY, data: &[7; 8] },
        Item { ext_type: ExtType::TS_ID, data: &[1, 0, 0, 0] },
    ];
    match what {
        What::Classic(event) => match n % 3 {
            0 => handle.write_classic(event, payload),
            1 => handle.write_classic_parts(event, &[first, &[], second]),
            _ => {
                let mut record = handle.reserve_classic(event, capacity)?;
                record.put_slice(payload);
                record.commit()
            }
        },
        What::Event { .. } => {
            let mut event = what.event();
            // The records that fill a buffer have no room for items.
            if n % 16 < 2 && payload.len() < 4096 {
                event = event.items(&items[..1 + (n as usize & 1)]);
            }
            match n % 4 {
                0 => handle.write_event(&event, payload),
                1 => handle.write_event_parts(&event, &[first, second]),
                2 => {
                    // One that is given up leaves nothing.
                    handle.reserve_event(&event, 16)?.put_u64_le(u64::MAX);
                    handle.write_event(&event, payload)
                }
                _ => {
                    let mut record = handle.reserve_event(&event, capacity)?;
                    record.put_slice(first);
                    for byte in second {
                        record.put_u8(*byte);
                    }
                    record.commit()
                }
            }
        }
    }
}

/// Writes `inner` while the reservation of `outer` is open; both with the same payload.
fn nested(
    handle: &SessionHandle,
    outer: &What,
    inner: &What,
    payload: &[u8],
) -> Result<(), Discarded> {
    let What::Classic(outer) = outer else { return Ok(()) };
    let mut record = handle.reserve_classic(outer, payload.len())?;
    record.put_slice(payload);
    write(handle, inner, payload, 0)?;
    record.commit()
}

fn any_header(chance: &mut Chance, n: u32) -> What {
    let [id_low, id_high, level, opcode, version, task] = [(); 6].map(|()| chance.byte());
    let level = level % 6;
    if chance.below(3) == 0 {
        let class = CLASSES[chance.below(CLASSES.len())];
        let version = u16::from_le_bytes([version, id_high]);
        return What::Classic(ClassicEvent { class, class_type: opcode, level, version });
    }
    let mut descriptor = EventDescriptor::new(u16::from_le_bytes([id_low, id_high]), level);
    descriptor.version = version;
    descriptor.opcode = opcode;
    descriptor.channel = task & 3;
    descriptor.task.set(u16::from(task) * 257);
    descriptor.keyword.set(chance.next() & 0x8000_F00F_0000_FFFF);
    let mut guid = || Guid::from_u128((u128::from(chance.next()) << 64) | u128::from(n));
    What::Event {
        provider: PROVIDERS[n as usize % PROVIDERS.len()],
        descriptor,
        activity: if n % 2 == 0 { guid() } else { Guid::ZERO },
        related: (n % 5 == 0).then(guid),
    }
}

/// Mostly small, sometimes 2,000.
fn any_length(chance: &mut Chance) -> usize {
    match chance.below(100) {
        0 => 2000,
        1 => chance.below(2001),
        2..12 => chance.below(257),
        _ => chance.below(65),
    }
}

/// A xorshift generator: the same log of each thread in every run, but for the stamps.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        let [_, _, _, byte, ..] = self.next().to_le_bytes();
        byte
    }

    fn below(&mut self, end: usize) -> usize {
        let [a, b, c, d, ..] = self.next().to_le_bytes();
        u32::from_le_bytes([a, b, c, d]) as usize % end
    }
}

impl What {
    /// The event to write; of no use for a classic one.
    fn event(&self) -> Event<'static> {
        let Self::Event { provider, descriptor, activity, related } = *self else {
            return Event::new(Guid::ZERO, EventDescriptor::new(0, 0));
        };
        let event = Event::new(provider, descriptor).activity(activity);
        related.map_or(event, |related| event.related(related))
    }
}

impl Line {
    fn new(what: What, payload: &[u8]) -> Self {
        Self { what, len: payload.len(), crc32: crc32fast::hash(payload) }
    }
}

/// The number the system has for this thread, which the log has too.
fn thread_id() -> Result<u32, Error> {
    let link = std::fs::read_link("/proc/thread-self")?;
    let name = link.file_name().and_then(|name| name.to_str()).ok_or("no thread id in /proc")?;
    Ok(name.parse()?)
}

/// A line for each event: thread, header, provider, id, version, level, opcode, channel, task,
/// keyword, activity, related activity, payload's length and CRC-32.
fn write_manifest(path: &Path, accepted: &[Produced]) -> Result<(), Error> {
    let mut out = BufWriter::new(File::create(path)?);
    for thread in accepted {
        for Line { what, len, crc32 } in &thread.lines {
            write!(out, "{} ", thread.thread_id)?;
            match what {
                What::Event { provider, descriptor: d, activity, related } => {
                    let [id, task, keyword] =
                        [d.id.get().into(), d.task.get().into(), d.keyword.get()];
                    write!(out, "event {provider} {id} {} {} {} ", d.version, d.level, d.opcode)?;
                    write!(out, "{} {task} {keyword:#x} {activity} ", d.channel)?;
                    write!(out, "{}", related.unwrap_or(Guid::ZERO))?;
                }
                What::Classic(event) => {
                    let ClassicEvent { class, class_type, level, version } = event;
                    write!(out, "classic {class} 0 {version} {level} {class_type} - - - - -")?;
                }
            }
            writeln!(out, " {len} {crc32:08x}")?;
        }
    }
    Ok(out.flush()?)
}
