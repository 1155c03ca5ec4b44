//! `TraceEvent` and `TraceEventInstance`.

use crate::codec::encode::TYPED_MARKER_FLAGS;
use crate::format::{EventInstanceGuidHeader, EventTraceHeader, Guid, HeaderType};
use crate::message::error::{TraceError, answer};
use crate::message::instance::EventInstanceInfo;
use crate::session::{ClassicEvent, SessionHandle, Stamp};
use zerocopy::IntoBytes;

/// Most fields of a list that [`WnodeFlags::USE_MOF_PTR`] announces (`MAX_MOF_FIELDS`).
pub const MAX_MOF_FIELDS: usize = 16;

/// Bytes of the header that `TraceEventInstance` is given (`EVENT_INSTANCE_HEADER`).
const INSTANCE_HEADER: usize = 56;
/// Bytes of a place in a list of fields (`MOF_FIELD`).
const MOF_FIELD: usize = 16;

/// What the header of an event says of the event's parts (`WNODE_FLAG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct WnodeFlags(pub u32);

impl WnodeFlags {
    /// The stamp is the caller's.
    pub const USE_TIMESTAMP: Self = Self(0x200);
    /// The header is that of an event. It must be set.
    pub const TRACED_GUID: Self = Self(0x2_0000);
    /// The header is to be logged; as it is anyway.
    pub const LOG_WNODE: Self = Self(0x4_0000);
    /// The class GUID lies elsewhere: [`ClassGuid::Pointer`].
    pub const USE_GUID_PTR: Self = Self(0x8_0000);
    /// The data lie elsewhere: [`EventData::Fields`].
    pub const USE_MOF_PTR: Self = Self(0x10_0000);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `TRACED_GUID` is set, and nothing that a `TraceEventInstance` does not know.
    const fn are_of_instance(self) -> bool {
        let known = Self::TRACED_GUID.0 | Self::LOG_WNODE.0;
        let known = known | Self::USE_MOF_PTR.0 | Self::USE_TIMESTAMP.0;
        self.has(Self::TRACED_GUID) && self.0 & !known == 0
    }

    /// The same for a `TraceEvent`.
    const fn are_of_event(self) -> bool {
        Self(self.0 & !Self::USE_GUID_PTR.0).are_of_instance()
    }
}

/// The class of an event, in its header or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassGuid<'a> {
    /// In the header (`Guid`).
    Inline(Guid),
    /// Elsewhere (`GuidPtr`), with [`WnodeFlags::USE_GUID_PTR`].
    Pointer(&'a Guid),
}

/// The data of an event, behind its header or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventData<'a> {
    /// Behind the header.
    Bytes(&'a [u8]),
    /// In up to [`MAX_MOF_FIELDS`] places, with [`WnodeFlags::USE_MOF_PTR`]. The record has the
    /// bytes of all of them, in their order.
    Fields(&'a [MofField<'a>]),
}

/// A piece of an event's data (`MOF_FIELD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MofField<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Reserved: the record does not tell it.
    pub data_type: u32,
}

impl<'a> MofField<'a> {
    /// Of these bytes.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, data_type: 0 }
    }
}

/// An event as an application gives it to `TraceEvent` (`EVENT_TRACE_HEADER` and what follows it).
///
/// [`new`](Self::new) and the methods behind it keep size and flags right; the fields can be set to
/// anything, and what contradicts itself is refused as on Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTrace<'a> {
    /// Bytes of the 48 of the header and of the data, or of a list of 16 for each field.
    pub size: usize,
    /// Type of the event within its class. Own types start at 10.
    pub class_type: u8,
    /// Severity: 1 critical, 2 error, 3 warning, 4 information, 5 verbose; 0 always.
    pub level: u8,
    /// Version of the data's layout.
    pub version: u16,
    /// Ticks of the session's clock, kept with [`WnodeFlags::USE_TIMESTAMP`].
    pub time_stamp: u64,
    /// Class of the event.
    pub class: ClassGuid<'a>,
    /// What of all this lies where.
    pub flags: WnodeFlags,
    /// What is logged.
    pub data: EventData<'a>,
}

impl<'a> EventTrace<'a> {
    /// Version 0 of an event, its data behind the header.
    #[must_use]
    pub const fn new(class: Guid, class_type: u8, level: u8, data: &'a [u8]) -> Self {
        Self {
            size: EventTraceHeader::SIZE.saturating_add(data.len()),
            class_type,
            level,
            version: 0,
            time_stamp: 0,
            class: ClassGuid::Inline(class),
            flags: WnodeFlags::TRACED_GUID,
            data: EventData::Bytes(data),
        }
    }

    /// The same event with another version.
    #[must_use]
    pub const fn version(self, version: u16) -> Self {
        Self { version, ..self }
    }

    /// The same event, its class elsewhere.
    #[must_use]
    pub const fn guid_ptr(self, class: &'a Guid) -> Self {
        let flags = self.flags.with(WnodeFlags::USE_GUID_PTR);
        Self { class: ClassGuid::Pointer(class), flags, ..self }
    }

    /// The same event, its data elsewhere.
    #[must_use]
    pub const fn mof_fields(self, fields: &'a [MofField<'a>]) -> Self {
        Self {
            size: EventTraceHeader::SIZE + fields.len() * MOF_FIELD,
            flags: self.flags.with(WnodeFlags::USE_MOF_PTR),
            data: EventData::Fields(fields),
            ..self
        }
    }

    /// The same event with a stamp of the caller: it may be out of the order of its lane, and a
    /// reader then takes it as it comes.
    #[must_use]
    pub const fn time_stamp(self, ticks: u64) -> Self {
        Self { time_stamp: ticks, flags: self.flags.with(WnodeFlags::USE_TIMESTAMP), ..self }
    }

    /// The class, if the flags say where it is.
    fn class(&self) -> Option<Guid> {
        match (self.class, self.flags.has(WnodeFlags::USE_GUID_PTR)) {
            (ClassGuid::Inline(guid), false) => Some(guid),
            (ClassGuid::Pointer(guid), true) => Some(*guid),
            _ => None,
        }
    }
}

/// An event as an application gives it to `TraceEventInstance` (`EVENT_INSTANCE_HEADER` and what
/// follows it). Its class and its instance are those of the [`EventInstanceInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventInstance<'a> {
    /// Bytes of the 56 of the header and of the data, or of a list of 16 for each field.
    pub size: usize,
    /// Type of the event within its class. Own types start at 10.
    pub class_type: u8,
    /// Severity, as in [`EventTrace`].
    pub level: u8,
    /// Version of the data's layout.
    pub version: u16,
    /// Ticks of the session's clock, kept with [`WnodeFlags::USE_TIMESTAMP`].
    pub time_stamp: u64,
    /// What of all this lies where.
    pub flags: WnodeFlags,
    /// What is logged.
    pub data: EventData<'a>,
}

impl<'a> EventInstance<'a> {
    /// Version 0 of an event, its data behind the header.
    #[must_use]
    pub const fn new(class_type: u8, level: u8, data: &'a [u8]) -> Self {
        Self {
            size: INSTANCE_HEADER.saturating_add(data.len()),
            class_type,
            level,
            version: 0,
            time_stamp: 0,
            flags: WnodeFlags::TRACED_GUID,
            data: EventData::Bytes(data),
        }
    }

    /// The same event with another version.
    #[must_use]
    pub const fn version(self, version: u16) -> Self {
        Self { version, ..self }
    }

    /// The same event, its data elsewhere.
    #[must_use]
    pub const fn mof_fields(self, fields: &'a [MofField<'a>]) -> Self {
        Self {
            size: INSTANCE_HEADER + fields.len() * MOF_FIELD,
            flags: self.flags.with(WnodeFlags::USE_MOF_PTR),
            data: EventData::Fields(fields),
            ..self
        }
    }

    /// The same event with a stamp of the caller, as [`EventTrace::time_stamp`].
    #[must_use]
    pub const fn time_stamp(self, ticks: u64) -> Self {
        Self { time_stamp: ticks, flags: self.flags.with(WnodeFlags::USE_TIMESTAMP), ..self }
    }
}

/// Writes a classic event (`TraceEvent`). The system fills in thread, process and, unless it is the
/// caller's, the stamp.
///
/// ```
/// use etlring::format::Guid;
/// use etlring::message::{EventTrace, MofField, trace_event};
/// use etlring::session::Session;
/// use etlring::sink::MemorySink;
///
/// let (sink, log) = MemorySink::new();
/// let session = Session::builder("classic events").sink(sink).start()?;
/// let handle = session.handle();
/// let placed = EventTrace::new(Guid::from_u128(0x6f1f_3a9a_7701), 10, 4, b"one coffee");
/// trace_event(&handle, &placed)?;
/// let parts = [MofField::new(b"two "), MofField::new(b"cakes")];
/// trace_event(&handle, &placed.mof_fields(&parts))?;
/// assert_eq!(session.stop()?.events_accepted, 2);
/// # assert!(!log.take().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TraceError::InvalidParameter`] for a null handle, a wrong size, a GUID or data that are not
/// where the flags say, more than [`MAX_MOF_FIELDS`] fields; [`TraceError::InvalidFlagNumber`];
/// those of a [`trace_message`](super::trace_message) that are not of its flags. The
/// [table](super#answers) has their conditions.
pub fn trace_event<'s>(
    session: impl Into<Option<&'s SessionHandle>>,
    event: &EventTrace<'_>,
) -> Result<(), TraceError> {
    let session = checked(session.into())?;
    if !event.flags.are_of_event() {
        return Err(TraceError::InvalidFlagNumber);
    }
    let data = Data::new(event.data, event.flags, event.size, EventTraceHeader::SIZE)?;
    let not_there = TraceError::InvalidParameter("class GUID is not where the flags say");
    let class = event.class().ok_or(not_there)?;

    let len = EventTraceHeader::SIZE.saturating_add(data.len);
    if len >= session.room() {
        return answer(Err(session.refuse_too_large()));
    }
    let EventTrace { class_type, level, version, .. } = *event;
    let stamp = event.flags.has(WnodeFlags::USE_TIMESTAMP).then_some(event.time_stamp);
    if let (EventData::Bytes(data), None) = (data.parts, stamp) {
        let event = ClassicEvent { class, class_type, level, version };
        return answer(session.write_classic(&event, data));
    }
    let kind = (HeaderType::FULL_HEADER64, class_type, level, version);
    answer(session.record_in_place(len, |bytes, now| {
        let header = header(len, kind, class, stamp, now);
        bytes[..EventTraceHeader::SIZE].copy_from_slice(header.as_bytes());
        data.copy_to(&mut bytes[EventTraceHeader::SIZE..]);
    }))
}

/// Writes an event of an instance, that of a transaction for example, and of the one it belongs to
/// (`TraceEventInstance`).
///
/// ```
/// use etlring::format::Guid;
/// use etlring::message::{
///     ClassRegistration, EventInstance, create_trace_instance_id, trace_event_instance,
/// };
/// use etlring::session::Session;
/// use etlring::sink::MemorySink;
///
/// static ORDERS: ClassRegistration = ClassRegistration::new(Guid::from_u128(0x11));
/// static ITEMS: ClassRegistration = ClassRegistration::new(Guid::from_u128(0x22));
///
/// let (sink, log) = MemorySink::new();
/// let session = Session::builder("instances").sink(sink).start()?;
/// let handle = session.handle();
/// let order = create_trace_instance_id(&ORDERS)?;
/// trace_event_instance(&handle, &EventInstance::new(1, 4, b"table 7"), &order, None)?;
/// let item = create_trace_instance_id(&ITEMS)?;
/// trace_event_instance(&handle, &EventInstance::new(10, 4, b"coffee"), &item, Some(&order))?;
/// assert_eq!(session.stop()?.events_accepted, 2);
/// # assert!(!log.take().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`trace_event`], with [`TraceError::InvalidFlags`] in the place of `InvalidFlagNumber`, and
/// [`TraceError::InvalidParameter`] without an instance.
pub fn trace_event_instance<'s, 'i>(
    session: impl Into<Option<&'s SessionHandle>>,
    event: &EventInstance<'_>,
    instance: impl Into<Option<&'i EventInstanceInfo>>,
    parent: Option<&EventInstanceInfo>,
) -> Result<(), TraceError> {
    let session = checked(session.into())?;
    let instance = instance.into().ok_or(TraceError::InvalidParameter("no instance"))?;
    if !event.flags.are_of_instance() {
        return Err(TraceError::InvalidFlags);
    }
    let data = Data::new(event.data, event.flags, event.size, INSTANCE_HEADER)?;

    let len = EventInstanceGuidHeader::SIZE.saturating_add(data.len);
    if len >= session.room() {
        return answer(Err(session.refuse_too_large()));
    }
    let EventInstance { class_type, level, version, .. } = *event;
    let stamp = event.flags.has(WnodeFlags::USE_TIMESTAMP).then_some(event.time_stamp);
    let kind = (HeaderType::INSTANCE64, class_type, level, version);
    let (parent_instance_id, parent_guid) =
        parent.map_or((0, Guid::ZERO), |parent| (parent.instance_id(), parent.class()));
    answer(session.record_in_place(len, |bytes, now| {
        let header = EventInstanceGuidHeader {
            base: header(len, kind, instance.class(), stamp, now),
            instance_id: instance.instance_id().into(),
            parent_instance_id: parent_instance_id.into(),
            parent_guid,
        };
        bytes[..EventInstanceGuidHeader::SIZE].copy_from_slice(header.as_bytes());
        data.copy_to(&mut bytes[EventInstanceGuidHeader::SIZE..]);
    }))
}

/// The session, if there is one that takes events.
fn checked(session: Option<&SessionHandle>) -> Result<&SessionHandle, TraceError> {
    let session = session.ok_or(TraceError::InvalidParameter("session handle is null"))?;
    if session.is_kernel_logger() { Err(TraceError::InvalidHandle) } else { Ok(session) }
}

/// Data that lie where the flags say.
struct Data<'a> {
    parts: EventData<'a>,
    len: usize,
}

impl<'a> Data<'a> {
    /// `size` is what the caller says of the `header` bytes and the data.
    fn new(
        parts: EventData<'a>,
        flags: WnodeFlags,
        size: usize,
        header: usize,
    ) -> Result<Self, TraceError> {
        let wrong = |what| Err(TraceError::InvalidParameter(what));
        let (there, len) = match parts {
            EventData::Bytes(_) if flags.has(WnodeFlags::USE_MOF_PTR) => {
                return wrong("data are not where the flags say");
            }
            EventData::Bytes(bytes) => (bytes.len(), bytes.len()),
            EventData::Fields(_) if !flags.has(WnodeFlags::USE_MOF_PTR) => {
                return wrong("data are not where the flags say");
            }
            EventData::Fields(fields) if fields.len() > MAX_MOF_FIELDS => {
                return wrong("more than 16 MOF fields");
            }
            EventData::Fields(fields) => {
                let sizes = fields.iter().map(|field| field.data.len());
                (fields.len() * MOF_FIELD, sizes.fold(0, usize::saturating_add))
            }
        };
        if size.checked_sub(header) == Some(there) {
            Ok(Self { parts, len })
        } else {
            wrong("size is not that of the header and what follows it")
        }
    }

    fn copy_to(&self, mut bytes: &mut [u8]) {
        let mut put = |part: &[u8]| {
            let (target, rest) = std::mem::take(&mut bytes).split_at_mut(part.len());
            target.copy_from_slice(part);
            bytes = rest;
        };
        match self.parts {
            EventData::Bytes(part) => put(part),
            EventData::Fields(fields) => fields.iter().for_each(|field| put(field.data)),
        }
    }
}

/// The header of a record of `len` bytes, with the caller's stamp or that of now.
fn header(
    len: usize,
    (kind, class_type, class_level, class_version): (HeaderType, u8, u8, u16),
    guid: Guid,
    stamp: Option<u64>,
    now: Stamp,
) -> EventTraceHeader {
    let (thread, process) = now.thread_and_process();
    EventTraceHeader {
        // A record was given the space, so it is no larger than one may be.
        size: u16::try_from(len).unwrap_or(u16::MAX).into(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        class_type,
        class_level,
        class_version: class_version.into(),
        thread_id: thread.into(),
        process_id: process.into(),
        time_stamp: stamp.unwrap_or(now.ticks).into(),
        guid,
        kernel_time: 0.into(),
        user_time: 0.into(),
    }
}
