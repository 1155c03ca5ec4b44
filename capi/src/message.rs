//! `TraceMessage` and `TraceEvent`.

use crate::promise::{Array, Layout, layout};
use crate::session::Logger;
use crate::status::{self, Failure, INVALID_PARAMETER, Status};
use crate::types::{Data, Guid, pieces};
use etlring::format::{self, MessageFlags};
use etlring::message::{
    self, ClassGuid, EventData, EventTrace, MAX_MOF_FIELDS, MessageId, MofField, TraceError,
    WnodeFlags,
};
use std::ffi::c_void;
use std::fmt;
use std::slice;

/// The constants of the header that start with `ETLRING_`, by the rest of their names.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("MESSAGE_SEQUENCE", MessageFlags::SEQUENCE.0 as u32),
    ("MESSAGE_GUID", MessageFlags::GUID.0 as u32),
    ("MESSAGE_COMPONENTID", MessageFlags::COMPONENTID.0 as u32),
    ("MESSAGE_TIMESTAMP", MessageFlags::TIMESTAMP.0 as u32),
    ("MESSAGE_PERFORMANCE_TIMESTAMP", MessageFlags::PERFORMANCE_TIMESTAMP.0 as u32),
    ("MESSAGE_SYSTEMINFO", MessageFlags::SYSTEMINFO.0 as u32),
    ("MAX_MESSAGE_ARGUMENTS", 128),
    ("WNODE_USE_TIMESTAMP", WnodeFlags::USE_TIMESTAMP.0),
    ("WNODE_TRACED_GUID", WnodeFlags::TRACED_GUID.0),
    ("WNODE_LOG_WNODE", WnodeFlags::LOG_WNODE.0),
    ("WNODE_USE_GUID_PTR", WnodeFlags::USE_GUID_PTR.0),
    ("WNODE_USE_MOF_PTR", WnodeFlags::USE_MOF_PTR.0),
    ("MAX_MOF_FIELDS", 16),
];

/// Most pieces of a message: more than one can have bytes.
const MOST_ARGUMENTS: u32 = 0xFFFF;

/// What the flags of a message say it is: a GUID, a component id, or not looked at.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Id(*const c_void);

impl Id {
    fn of(self, flags: MessageFlags) -> Result<MessageId, Failure> {
        let (guid, component) =
            (flags.has(MessageFlags::GUID), flags.has(MessageFlags::COMPONENTID));
        if guid == component {
            // Neither, or an error that the call itself answers.
            return Ok(MessageId::None);
        }
        if self.0.is_null() {
            return Err(Failure::null("id"));
        }
        Ok(if guid {
            // SAFETY: with this flag it is a GUID, aligned as one.
            MessageId::Guid(unsafe { self.0.cast::<Guid>().read() }.into())
        } else {
            // SAFETY: with this flag it is a number, aligned as one.
            MessageId::Component(unsafe { self.0.cast::<u32>().read() })
        })
    }
}

/// `etlring_trace_message`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_trace_message<'a>(
    logger: Option<&Logger>,
    flags: u32,
    id: Id,
    number: u16,
    count: u32,
    data: Array<'a, Data<'a>>,
) -> Status {
    status::call(|| {
        let logger = logger.ok_or_else(Failure::no_handle)?;
        let too_many = |_| Failure::new(INVALID_PARAMETER, "flags have more than 16 bits");
        let flags = MessageFlags(u16::try_from(flags).map_err(too_many)?);
        let id = id.of(flags)?;
        // SAFETY: the header says that `data` has `count` elements.
        let data = unsafe { pieces(data, count, MOST_ARGUMENTS)? };
        let arguments = data.iter().map(Data::bytes);
        Ok(message::trace_message_va(&logger.0, flags, id, number, arguments)?)
    })
}

/// `etlring_event_trace_header`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Header {
    size: u16,
    field_type_flags: u16,
    r#type: u8,
    level: u8,
    version: u16,
    thread_id: u32,
    process_id: u32,
    time_stamp: i64,
    u: Class,
    client_context: u32,
    flags: u32,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("size", &self.size)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

/// The class of an event, or its address in the first eight bytes.
#[derive(Clone, Copy)]
#[repr(C)]
#[expect(missing_debug_implementations, reason = "nothing says which member it is")]
pub union Class {
    guid: Guid,
    pointer: u64,
}

/// `etlring_mof_field`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct MofPlace {
    data: u64,
    length: u32,
    data_type: u32,
}

const _: () = assert!(size_of::<Header>() == 48 && size_of::<MofPlace>() == 16);

/// NULL, or an event with the bytes that its size says.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Event(*const Header);

impl Event {
    /// Calls `trace` with the event that is there.
    fn with(
        self,
        trace: impl FnOnce(&EventTrace<'_>) -> Result<(), TraceError>,
    ) -> Result<(), Failure> {
        if self.0.is_null() {
            return Err(Failure::null("event"));
        }
        // SAFETY: not NULL, so there is an event, which starts with its size.
        let size = usize::from(unsafe { self.0.cast::<u16>().read() });
        let Some(behind) = size.checked_sub(size_of::<Header>()) else {
            let words = format!("event->size is {size}, its header alone has 48 bytes");
            return Err(Failure::new(INVALID_PARAMETER, words));
        };
        // SAFETY: its size says that the header is there; it is aligned.
        let header = unsafe { self.0.read() };
        // SAFETY: one behind the header is within the event, or its end.
        let data = unsafe { self.0.add(1) }.cast::<u8>();

        let flags = WnodeFlags(header.flags);
        let guid: format::Guid;
        let class = if flags.has(WnodeFlags::USE_GUID_PTR) {
            // SAFETY: any bits are a number.
            let pointer = address::<Guid>(unsafe { header.u.pointer });
            if pointer.is_null() {
                return Err(Failure::null("event->u.guid_ptr"));
            }
            // SAFETY: with this flag a GUID is there, aligned.
            guid = unsafe { pointer.read() }.into();
            ClassGuid::Pointer(&guid)
        } else {
            // SAFETY: any bits are a GUID.
            ClassGuid::Inline(unsafe { header.u.guid }.into())
        };

        let mut fields = [MofField::new(&[]); MAX_MOF_FIELDS];
        let data = if flags.has(WnodeFlags::USE_MOF_PTR) {
            let count = behind / size_of::<MofPlace>();
            let places = fields.iter_mut().take(count).enumerate();
            for (at, field) in places {
                // SAFETY: `at` is below the number of places behind the header.
                let place = unsafe { data.cast::<MofPlace>().add(at) };
                // SAFETY: with this flag a place is there; the header's size keeps it aligned.
                let place = unsafe { place.read() };
                *field = place.field(at)?;
            }
            match fields.get(..count) {
                Some(fields) => EventData::Fields(fields),
                None => return Err(Failure::new(INVALID_PARAMETER, "more than 16 MOF fields")),
            }
        } else {
            // SAFETY: so many bytes lie behind the header, constant during the call.
            EventData::Bytes(unsafe { slice::from_raw_parts(data, behind) })
        };
        trace(&EventTrace {
            size,
            class_type: header.r#type,
            level: header.level,
            version: header.version,
            time_stamp: u64::from_le_bytes(header.time_stamp.to_le_bytes()),
            class,
            flags,
            data,
        })?;
        Ok(())
    }
}

impl MofPlace {
    fn field<'a>(self, at: usize) -> Result<MofField<'a>, Failure> {
        let bytes: &[u8] = match (address::<u8>(self.data), self.length) {
            (_, 0) => &[],
            (data, _) if data.is_null() => {
                return Err(Failure::null(&format!("data of MOF field {at}")));
            }
            // SAFETY: so many bytes are there, says the field, constant during the call.
            (data, length) => unsafe { slice::from_raw_parts(data, length as usize) },
        };
        Ok(MofField { data: bytes, data_type: self.data_type })
    }
}

/// A pointer that Windows' structures hold as a number of 64 bits.
fn address<T>(number: u64) -> *const T {
    // One that is no address of this process is the caller's promise broken; NULL answers it.
    usize::try_from(number).map_or(std::ptr::null(), std::ptr::with_exposed_provenance)
}

/// `etlring_trace_event`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_trace_event(logger: Option<&Logger>, event: Event) -> Status {
    status::call(|| {
        // As on Windows another number than for a message.
        let logger = logger.ok_or_else(|| Failure::null("logger"))?;
        event.with(|event| message::trace_event(&logger.0, event))
    })
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[
    layout!("etlring_event_trace_header": Header {
        size, field_type_flags, r#type, level, version, thread_id, process_id, time_stamp, u, client_context, flags,
    }),
    layout!("etlring_mof_field": MofPlace {
        data, length, data_type,
    }),
];
