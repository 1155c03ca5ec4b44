//! One record with its header taken apart.

use crate::codec::{
    items::ExtendedItems,
    message::MessageView,
    records::{RawRecord, RecordKind},
    to_u32,
};
use crate::error::{Fault, FormatError, Part};
use crate::format::{
    CompactTraceHeader, EventDescriptor, EventFlags, EventHeader, EventInstanceGuidHeader,
    EventTraceHeader, Group, Guid, HeaderType, PerfInfoTraceHeader, SystemTraceHeader,
};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// One record, its header checked and everything else borrowed.
///
/// The questions that all headers answer in their own words (`ticks`, `process_id`, `provider`,
/// ...) are methods here and give `None` where a header has no such field.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    raw: RawRecord<'a>,
    header: RecordHeader<'a>,
    /// Where the payload starts in `raw.bytes`.
    payload: usize,
    kind_of_event: KindOfEvent,
}

/// What kind of event a record is, as far as its header says.
///
/// Read together with the header, where that is known; asked for later, each question would branch
/// on the header anew.
#[derive(Clone, Copy, Debug)]
struct KindOfEvent {
    id: Option<u16>,
    version: Option<u16>,
    level: Option<u8>,
    opcode: Option<u8>,
}

impl KindOfEvent {
    #[inline(always)]
    fn of(header: &RecordHeader<'_>) -> Self {
        match header {
            RecordHeader::Event(h) => {
                let d = &h.descriptor;
                Self::new(d.id.get(), d.version.into(), d.level, d.opcode)
            }
            RecordHeader::Classic(h) => {
                Self::new(0, h.class_version.get(), h.class_level, h.class_type)
            }
            RecordHeader::Instance(h) => {
                let h = &h.base;
                Self::new(0, h.class_version.get(), h.class_level, h.class_type)
            }
            RecordHeader::System(h) => Self::kernel(h.hook_type, h.version),
            RecordHeader::Compact(h) => Self::kernel(h.hook_type, h.version),
            RecordHeader::PerfInfo(h) => Self::kernel(h.hook_type, h.version),
            RecordHeader::Message(m) => {
                Self { id: Some(m.number()), version: None, level: None, opcode: None }
            }
            RecordHeader::Unknown => Self { id: None, version: None, level: None, opcode: None },
        }
    }

    #[inline(always)]
    fn kernel(hook_type: u8, version: u8) -> Self {
        Self::new(hook_type.into(), version.into(), 0, hook_type)
    }

    #[inline(always)]
    fn new(id: u16, version: u16, level: u8, opcode: u8) -> Self {
        let (id, version) = (Some(id), Some(version));
        Self { id, version, level: Some(level), opcode: Some(opcode) }
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RecordHeader<'a> {
    /// `EventWrite`, TraceLogging.
    Event(&'a EventHeader),
    /// `TraceEvent`.
    Classic(&'a EventTraceHeader),
    /// `TraceEventInstance`.
    Instance(&'a EventInstanceGuidHeader),
    /// The kernel.
    System(&'a SystemTraceHeader),
    /// The kernel, without processor times.
    Compact(&'a CompactTraceHeader),
    /// The kernel, time stamp only; counters lie between header and payload.
    PerfInfo(&'a PerfInfoTraceHeader),
    /// `TraceMessage`, WPP.
    Message(MessageView<'a>),
    /// A header type that is not known; the record was stepped over by its size.
    Unknown,
}

impl<'a> RecordView<'a> {
    /// Takes the header of `raw` apart.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the record is smaller than the header that its marker names, or
    /// ends within its extended items or its message fields; [`Fault::Length`] if an item's sizes
    /// contradict each other. `raw` itself is still a record.
    // Always, so that the questions asked of the view know its header without a look at memory.
    #[inline(always)]
    pub fn parse(raw: RawRecord<'a>) -> Result<Self, FormatError> {
        let (header, payload) = match raw.kind {
            RecordKind::Typed(HeaderType::EVENT_HEADER64 | HeaderType::EVENT_HEADER32) => {
                let header: &EventHeader = fixed(raw)?;
                let mut payload = EventHeader::SIZE;
                if header.flags().has(EventFlags::EXTENDED_INFO) {
                    payload = items_end(raw)?;
                }
                (RecordHeader::Event(header), payload)
            }
            RecordKind::Typed(HeaderType::FULL_HEADER64 | HeaderType::FULL_HEADER32) => {
                (RecordHeader::Classic(fixed(raw)?), EventTraceHeader::SIZE)
            }
            RecordKind::Typed(HeaderType::PERFINFO64 | HeaderType::PERFINFO32) => {
                let header: &PerfInfoTraceHeader = fixed(raw)?;
                let counters = usize::from(header.has_pebs_index())
                    .saturating_add(usize::from(header.pmc_count()));
                let payload = PerfInfoTraceHeader::SIZE.saturating_add(counters.saturating_mul(8));
                if payload > raw.bytes.len() {
                    return Err(short(raw, payload));
                }
                (RecordHeader::PerfInfo(header), payload)
            }
            RecordKind::Typed(HeaderType::SYSTEM64 | HeaderType::SYSTEM32) => {
                (RecordHeader::System(fixed(raw)?), SystemTraceHeader::SIZE)
            }
            RecordKind::Typed(HeaderType::COMPACT64 | HeaderType::COMPACT32) => {
                (RecordHeader::Compact(fixed(raw)?), CompactTraceHeader::SIZE)
            }
            RecordKind::Typed(HeaderType::INSTANCE64 | HeaderType::INSTANCE32) => {
                (RecordHeader::Instance(fixed(raw)?), EventInstanceGuidHeader::SIZE)
            }
            RecordKind::Message => {
                let message = message(raw)?;
                (RecordHeader::Message(message), message.arguments_offset())
            }
            RecordKind::Typed(_) | RecordKind::Other(_) => (RecordHeader::Unknown, 8),
        };
        Ok(Self { raw, header, payload, kind_of_event: KindOfEvent::of(&header) })
    }

    /// The record as bytes, with its kind and offset.
    #[must_use]
    pub fn raw(&self) -> RawRecord<'a> {
        self.raw
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> RecordHeader<'a> {
        self.header
    }

    /// What the provider wrote: behind header, extended items, counters and message fields.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.raw.bytes.get(self.payload..).unwrap_or_default()
    }

    /// Whether there are extended items.
    #[inline]
    #[must_use]
    pub fn has_items(&self) -> bool {
        matches!(self.header, RecordHeader::Event(h) if h.flags().has(EventFlags::EXTENDED_INFO))
    }

    /// The extended items of an event; empty for all other records.
    #[must_use]
    pub fn items(&self) -> ExtendedItems<'a> {
        match self.header {
            RecordHeader::Event(header) if header.flags().has(EventFlags::EXTENDED_INFO) => {
                let offset = self.raw.offset.saturating_add(to_u32(EventHeader::SIZE));
                let items = self.raw.bytes.get(EventHeader::SIZE..self.payload);
                ExtendedItems::new(items.unwrap_or_default()).at(offset)
            }
            _ => ExtendedItems::none(),
        }
    }

    /// The one-word name of the header: `event classic instance system compact perfinfo message
    /// unknown`.
    #[must_use]
    pub fn header_name(&self) -> &'static str {
        match self.header {
            RecordHeader::Event(_) => "event",
            RecordHeader::Classic(_) => "classic",
            RecordHeader::Instance(_) => "instance",
            RecordHeader::System(_) => "system",
            RecordHeader::Compact(_) => "compact",
            RecordHeader::PerfInfo(_) => "perfinfo",
            RecordHeader::Message(_) => "message",
            RecordHeader::Unknown => "unknown",
        }
    }

    /// Pointer width of the writer, 32 or 64.
    #[must_use]
    pub fn bits(&self) -> Option<u8> {
        match (self.header, self.raw.kind) {
            (RecordHeader::Unknown, _) => None,
            (_, RecordKind::Typed(header_type)) => header_type.bits(),
            _ => None,
        }
    }

    /// The time stamp, in ticks of the session's clock.
    #[inline]
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        match self.header {
            RecordHeader::Event(h) => Some(h.time_stamp.get()),
            RecordHeader::Classic(h) => Some(h.time_stamp.get()),
            RecordHeader::PerfInfo(h) => Some(h.time_stamp.get()),
            RecordHeader::System(h) => Some(h.system_time.get()),
            RecordHeader::Compact(h) => Some(h.system_time.get()),
            RecordHeader::Instance(h) => Some(h.base.time_stamp.get()),
            RecordHeader::Message(m) => m.ticks(),
            RecordHeader::Unknown => None,
        }
    }

    /// The process that logged the record.
    #[inline]
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        match self.header {
            RecordHeader::Event(h) => Some(h.process_id.get()),
            RecordHeader::Classic(h) => Some(h.process_id.get()),
            RecordHeader::System(h) => Some(h.process_id.get()),
            RecordHeader::Compact(h) => Some(h.process_id.get()),
            RecordHeader::Instance(h) => Some(h.base.process_id.get()),
            RecordHeader::Message(m) => m.process_id(),
            RecordHeader::PerfInfo(_) | RecordHeader::Unknown => None,
        }
    }

    /// The thread that logged the record.
    #[inline]
    #[must_use]
    pub fn thread_id(&self) -> Option<u32> {
        match self.header {
            RecordHeader::Event(h) => Some(h.thread_id.get()),
            RecordHeader::Classic(h) => Some(h.thread_id.get()),
            RecordHeader::System(h) => Some(h.thread_id.get()),
            RecordHeader::Compact(h) => Some(h.thread_id.get()),
            RecordHeader::Instance(h) => Some(h.base.thread_id.get()),
            RecordHeader::Message(m) => m.thread_id(),
            RecordHeader::PerfInfo(_) | RecordHeader::Unknown => None,
        }
    }

    /// The provider of an event, the class of a classic record, the message GUID, or the class of
    /// a kernel record's group.
    #[inline]
    #[must_use]
    pub fn provider(&self) -> Option<Guid> {
        match self.header {
            RecordHeader::Event(h) => Some(h.provider_id),
            RecordHeader::Classic(h) => Some(h.guid),
            RecordHeader::Instance(h) => Some(h.base.guid),
            RecordHeader::Message(m) => m.guid(),
            _ => self.group().and_then(Group::guid),
        }
    }

    /// The group of a kernel record.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        match self.header {
            RecordHeader::System(h) => Some(h.group()),
            RecordHeader::Compact(h) => Some(h.group()),
            RecordHeader::PerfInfo(h) => Some(h.group()),
            _ => None,
        }
    }

    /// The event id; message number; hook type of a kernel record; 0 for classic records.
    #[inline]
    #[must_use]
    pub fn id(&self) -> Option<u16> {
        self.kind_of_event.id
    }

    /// The version of the event's layout.
    #[inline]
    #[must_use]
    pub fn version(&self) -> Option<u16> {
        self.kind_of_event.version
    }

    /// The level; 0 for kernel records.
    #[inline]
    #[must_use]
    pub fn level(&self) -> Option<u8> {
        self.kind_of_event.level
    }

    /// The opcode; class type of a classic record; hook type of a kernel record.
    #[inline]
    #[must_use]
    pub fn opcode(&self) -> Option<u8> {
        self.kind_of_event.opcode
    }

    /// The whole descriptor of an event.
    #[must_use]
    pub fn descriptor(&self) -> Option<&'a EventDescriptor> {
        match self.header {
            RecordHeader::Event(h) => Some(&h.descriptor),
            _ => None,
        }
    }

    /// The activity of an event; zero if it has none.
    #[must_use]
    pub fn activity_id(&self) -> Option<Guid> {
        match self.header {
            RecordHeader::Event(h) => Some(h.activity_id),
            _ => None,
        }
    }
}

impl<'a> TryFrom<RawRecord<'a>> for RecordView<'a> {
    type Error = FormatError;

    fn try_from(raw: RawRecord<'a>) -> Result<Self, FormatError> {
        Self::parse(raw)
    }
}

/// The fixed header at the start of a record.
#[inline]
fn fixed<'a, H>(raw: RawRecord<'a>) -> Result<&'a H, FormatError>
where
    H: FromBytes + KnownLayout + Immutable + Unaligned,
{
    match H::ref_from_prefix(raw.bytes) {
        Ok((header, _)) => Ok(header),
        Err(_) => Err(short(raw, size_of::<H>())),
    }
}

// The two below stay out of line, so that all the rest is small enough for its callers.

#[inline(never)]
fn message(raw: RawRecord<'_>) -> Result<MessageView<'_>, FormatError> {
    MessageView::parse(raw.bytes).map_err(|error| error.moved(raw.offset))
}

/// Where the extended items of an event end; they are checked on the way.
#[inline(never)]
fn items_end(raw: RawRecord<'_>) -> Result<usize, FormatError> {
    let offset = raw.offset.saturating_add(to_u32(EventHeader::SIZE));
    let behind = raw.bytes.get(EventHeader::SIZE..).unwrap_or_default();
    let mut items = ExtendedItems::new(behind).at(offset);
    for item in &mut items {
        item?;
    }
    Ok(EventHeader::SIZE.saturating_add(items.consumed()))
}

#[cold]
fn short(raw: RawRecord<'_>, need: usize) -> FormatError {
    let need = to_u32(need);
    Fault::Truncated(need, to_u32(raw.bytes.len())).at(Part::RecordHeader, raw.offset)
}
