//! A log of messages with every legal combination of flags, from eight threads, and of the other
//! calls' records among them.
//!
//! `cargo run --release --example messages -- OUT`
//!
//! The number of a message tells its flags: those of its content in the upper byte, those that the
//! caller said of pointers in the lower one. Prints how many records of each kind there are.

use etlring::format::{EventDescriptor, Guid, MessageFlags};
use etlring::message::{
    ClassRegistration, EventInstance, EventTrace, MessageId, MofField, create_trace_instance_id,
    event_write, event_write_string, trace_event, trace_event_instance, trace_message,
};
use etlring::provider::{Enable, Provider};
use etlring::session::{SequenceMode, Session, SessionHandle};

type Error = Box<dyn std::error::Error + Send + Sync>;

const THREADS: u32 = 8;
const ROUNDS: usize = 6;
const FILE: Guid = Guid::from_u128(0x2818ef08_6a54_396f_2244_5a6ea4a98cf0);
const PROVIDER: Guid = Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa);
static CLASS: ClassRegistration =
    ClassRegistration::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701));
static PARENT: ClassRegistration =
    ClassRegistration::new(Guid::from_u128(0x9d0c1b2a_3f4e_5d6c_8b7a_190827364554));

fn main() -> Result<(), Error> {
    let out = std::env::args_os().nth(1).ok_or("usage: messages FILE")?;
    let session = Session::builder("messages")
        .log_file(out)
        .buffer_size(16 * 1024)
        .maximum_buffers(1024)
        .sequence(SequenceMode::Local)
        .start()?;
    let provider = Provider::register(PROVIDER, "Example-Messages");
    session.enable_provider(PROVIDER, &Enable::new())?;
    let written: Result<Vec<u64>, Error> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|_| {
                let (handle, provider) = (session.handle(), &provider);
                scope.spawn(move || write(&handle, provider))
            })
            .collect();
        writers.into_iter().map(|one| one.join().expect("a writer does not panic")).collect()
    });
    let written: u64 = written?.into_iter().sum();
    let stats = session.stop()?;
    let others = u64::from(THREADS) * 5;
    if stats.lost.total() != 0 || stats.events_accepted != written + others {
        return Err(format!("{written} messages: {stats:?}").into());
    }
    println!("{written} messages, {others} other records");
    Ok(())
}

/// Writes every combination several times, with arguments of every small length.
fn write(handle: &SessionHandle, provider: &Provider) -> Result<u64, Error> {
    let mut written = 0;
    for round in 0..ROUNDS {
        for content in (0..0x40u16).filter(|flags| flags & 0x06 != 0x06) {
            let id = match content & 0x06 {
                0x04 => MessageId::Component(0xC0FF_EE00 | u32::from(content)),
                _ => MessageId::Guid(FILE),
            };
            for pointers in [0, 0x40, 0x80, 0xC0] {
                let number = content << 8 | pointers;
                let bytes = [0xA5; 64];
                let arguments: [&[u8]; 3] =
                    [&number.to_le_bytes(), &bytes[..round * 7], &bytes[..usize::from(content)]];
                let flags = MessageFlags(content | pointers);
                trace_message(handle, flags, id, number, &arguments)?;
                written += 1;
            }
        }
    }
    others(handle, provider)?;
    Ok(written)
}

/// A record of each other kind that the calls write.
fn others(handle: &SessionHandle, provider: &Provider) -> Result<(), Error> {
    let order = EventTrace::new(CLASS.class(), 10, 4, b"one coffee");
    trace_event(handle, &order.guid_ptr(&FILE))?;
    let fields = [MofField::new(b"two "), MofField::new(b"cakes")];
    trace_event(handle, &order.mof_fields(&fields))?;
    let (own, parent) = (create_trace_instance_id(&CLASS)?, create_trace_instance_id(&PARENT)?);
    trace_event_instance(handle, &EventInstance::new(1, 4, b"table 7"), &own, Some(&parent))?;
    event_write(provider, &EventDescriptor::new(1, 4), &[b"in ", b"parts"])?;
    event_write_string(provider, 4, 1, "a text, with \u{1d11e}")?;
    Ok(())
}
