//! Events that bring their names with them, in the way of TraceLogging.
//!
//! ```text
//!   traits of the provider   size u16 | name NUL
//!   schema of the event      size u16 | tag 0 | name NUL | field | field | ...
//!   field                    name NUL | in u8 | [out u8]
//!   payload                  value | value | ...         counted ones: size u16 before the bytes
//! ```
//!
//! Source: spec/15-schemas.md.

use crate::promise::{Array, Layout, Text, layout};
use crate::provider::Provider;
use crate::status::{self, Failure, INVALID_PARAMETER, Status};
use crate::types::{Data, Descriptor};
use bytes::BufMut;
use etlring::codec::encode::Item;
use etlring::format::{EventDescriptor, ExtType};
use etlring::message::MAX_EVENT_DATA_DESCRIPTORS;
use etlring::provider::activity;
use etlring::session::{Discarded, Event};
use std::cell::Cell;

/// The channel of events that describe themselves.
const CHANNEL: u8 = 11;
/// A value has up to two pieces: its size and its bytes.
const MOST_FIELDS: usize = MAX_EVENT_DATA_DESCRIPTORS / 2;
/// Says in an in-type that an out-type follows.
const CHAIN: u8 = 0x80;

thread_local! {
    /// Where names are put together. Taken while it is in use, so that a signal handler that comes
    /// in between finds an empty one.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `etlring_field`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Field<'a> {
    name: Text<'a>,
    bytes: *const u8,
    size: usize,
    r#type: u32,
    reserved: u32,
}

/// How much a value of a type has.
#[derive(Clone, Copy)]
enum Width {
    Fixed(usize),
    Counted,
}

macro_rules! types {
    ($($name:ident = $number:literal $width:expr),* $(,)?) => {
        /// The constants of the header that start with `ETLRING_`, by the rest of their names.
        pub const CONSTANTS: &[(&str, u32)] = &[$((concat!("TYPE_", stringify!($name)), $number)),*];

        fn width(field_type: u32) -> Option<Width> {
            match field_type {
                $($number => Some($width),)*
                _ => None,
            }
        }
    };
}

// In-type in the low byte, out-type in the next one.
types! {
    INT8 = 3 Width::Fixed(1),
    UINT8 = 4 Width::Fixed(1),
    INT16 = 5 Width::Fixed(2),
    UINT16 = 6 Width::Fixed(2),
    INT32 = 7 Width::Fixed(4),
    UINT32 = 8 Width::Fixed(4),
    INT64 = 9 Width::Fixed(8),
    UINT64 = 10 Width::Fixed(8),
    FLOAT = 11 Width::Fixed(4),
    DOUBLE = 12 Width::Fixed(8),
    BOOL32 = 13 Width::Fixed(4),
    GUID = 15 Width::Fixed(16),
    FILETIME = 17 Width::Fixed(8),
    HEX32 = 20 Width::Fixed(4),
    HEX64 = 21 Width::Fixed(8),
    UTF16 = 22 Width::Counted,
    BINARY = 25 Width::Counted,
    UTF8 = 0x2317 Width::Counted,
}

fn wrong(words: impl Into<String>) -> Failure {
    Failure::new(INVALID_PARAMETER, words)
}

/// The values of an event, and what lies in front of those that are counted.
struct Values {
    counts: [[u8; 2]; MOST_FIELDS],
}

impl Values {
    /// Checks the fields and notes the sizes of those that tell theirs.
    fn of(fields: &[Field<'_>]) -> Result<Self, Failure> {
        let mut counts = [[0; 2]; MOST_FIELDS];
        for (at, (field, count)) in fields.iter().zip(&mut counts).enumerate() {
            let size = field.size;
            match width(field.r#type) {
                Some(Width::Fixed(width)) if size != width => {
                    let words = format!("fields[{at}].size is {size}, its type has {width}");
                    return Err(wrong(words));
                }
                Some(Width::Fixed(_)) => {}
                Some(Width::Counted) => {
                    let too_long = |_| wrong(format!("fields[{at}].size is {size}, 65535 at most"));
                    *count = u16::try_from(size).map_err(too_long)?.to_le_bytes();
                }
                None => {
                    return Err(wrong(format!(
                        "fields[{at}].type {:#x} is not known",
                        field.r#type
                    )));
                }
            }
            if field.reserved != 0 {
                return Err(wrong(format!("fields[{at}].reserved is not 0")));
            }
            if !field.value().is_there() {
                return Err(Failure::null(&format!("fields[{at}].bytes")));
            }
        }
        Ok(Self { counts })
    }

    /// Calls `write` with the pieces of the payload.
    fn with(
        &self,
        fields: &[Field<'_>],
        write: impl FnOnce(&[&[u8]]) -> Result<u32, Discarded>,
    ) -> Result<u32, Discarded> {
        let mut pieces: [&[u8]; MAX_EVENT_DATA_DESCRIPTORS] = [&[]; MAX_EVENT_DATA_DESCRIPTORS];
        let mut len = 0;
        for (field, count) in fields.iter().zip(&self.counts) {
            if matches!(width(field.r#type), Some(Width::Counted)) {
                pieces[len] = count;
                len += 1;
            }
            pieces[len] = field.value().bytes();
            len += 1;
        }
        write(&pieces[..len])
    }
}

impl<'a> Field<'a> {
    fn value(&self) -> Data<'a> {
        // SAFETY: the header says so of a field.
        unsafe { Data::new(self.bytes, self.size) }
    }
}

/// Appends a name and its NUL.
fn put_name(out: &mut Vec<u8>, name: Text<'_>, what: impl Fn() -> String) -> Result<(), Failure> {
    let bytes = name.bytes().ok_or_else(|| Failure::null(&what()))?;
    if std::str::from_utf8(bytes).is_err() {
        return Err(wrong(format!("{} is no UTF-8", what())));
    }
    out.put_slice(bytes);
    out.put_u8(0);
    Ok(())
}

/// Writes the size of what begins at `start` into its first two bytes.
fn close(out: &mut [u8], start: usize) -> Result<(), Failure> {
    let size = out.len() - start;
    let size = u16::try_from(size).map_err(|_| wrong(format!("names have {size} bytes")))?;
    out[start..start + 2].copy_from_slice(&size.to_le_bytes());
    Ok(())
}

/// Puts traits and schema into `out`; gives where the schema begins.
fn describe(
    out: &mut Vec<u8>,
    provider: &str,
    name: Text<'_>,
    fields: &[Field<'_>],
) -> Result<usize, Failure> {
    out.clear();
    out.put_u16_le(0);
    // A NUL would end it for every reader.
    out.put_slice(provider.split('\0').next().unwrap_or_default().as_bytes());
    out.put_u8(0);
    close(out, 0)?;
    let schema = out.len();
    out.put_u16_le(0);
    out.put_u8(0);
    put_name(out, name, || "name".to_owned())?;
    for (at, field) in fields.iter().enumerate() {
        put_name(out, field.name, || format!("fields[{at}].name"))?;
        match field.r#type.to_le_bytes() {
            [in_type, 0, ..] => out.put_u8(in_type),
            [in_type, out_type, ..] => out.put_slice(&[in_type | CHAIN, out_type]),
        }
    }
    close(out, schema)?;
    Ok(schema)
}

/// `etlring_event_write_fields`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_event_write_fields<'a>(
    provider: Option<&Provider>,
    descriptor: Option<&Descriptor>,
    name: Text<'_>,
    count: u32,
    fields: Array<'a, Field<'a>>,
) -> Status {
    status::call(|| {
        let provider = &provider.ok_or_else(Failure::no_handle)?.0;
        let descriptor = descriptor.ok_or_else(|| Failure::null("descriptor"))?;
        let mut descriptor: EventDescriptor = (*descriptor).into();
        if !provider.is_enabled(descriptor.level, descriptor.keyword.get()) {
            return Ok(());
        }
        if count as usize > MOST_FIELDS {
            return Err(wrong(format!("{count} fields, {MOST_FIELDS} at most")));
        }
        // SAFETY: the header says that `fields` has `count` elements.
        let fields = unsafe { fields.of(count as usize)? };
        if descriptor.channel == 0 {
            descriptor.channel = CHANNEL;
        }
        let values = Values::of(fields)?;
        let mut names = SCRATCH.take();
        let described = describe(&mut names, provider.name(), name, fields);
        let written = described.map(|schema| {
            let (traits, schema) = names.split_at(schema);
            let items = [
                Item { ext_type: ExtType::PROV_TRAITS, data: traits },
                Item { ext_type: ExtType::EVENT_SCHEMA_TL, data: schema },
            ];
            let event = Event::new(provider.guid(), descriptor);
            let event = event.activity(activity::current()).items(&items);
            values.with(fields, |payload| provider.write_event(&event, payload))
        });
        SCRATCH.set(names);
        written?.map_err(Failure::from)?;
        Ok(())
    })
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[layout!("etlring_field": Field<'_> {
    name, bytes, size, r#type, reserved,
})];
