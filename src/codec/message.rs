//! Message records: eight fixed bytes, the fields that their flags name, the arguments.

use crate::codec::to_u32;
use crate::error::{Fault, FormatError, Part};
use crate::format::{Guid, MessageFlags, MessageTraceHeader};
use zerocopy::{
    FromBytes, Immutable, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// A message of `TraceMessage`, its optional fields found.
///
/// Order of the fields: sequence, component id or GUID, time stamp, thread and process id. The
/// arguments behind them have neither types nor lengths of their own.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    header: &'a MessageTraceHeader,
    sequence: Option<u32>,
    component: Option<u32>,
    guid: Option<&'a Guid>,
    ticks: Option<u64>,
    thread_and_process: Option<(u32, u32)>,
    arguments: usize,
}

impl<'a> MessageView<'a> {
    /// Reads the message that `record` is, from its marker to its end.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the record ends within the fields that its flags name.
    pub fn parse(record: &'a [u8]) -> Result<Self, FormatError> {
        let mut fields = Fields { record, at: 0 };
        let header: &MessageTraceHeader = fields.take()?;
        let flags = header.flags();

        let sequence = fields.take_if::<U32>(flags.has(MessageFlags::SEQUENCE))?;
        let by_component = flags.has(MessageFlags::COMPONENTID);
        let component = fields.take_if::<U32>(by_component)?;
        let guid = fields.take_if::<Guid>(flags.has(MessageFlags::GUID) && !by_component)?;
        // The obsolete flag alone reserves the stamp's space and leaves it without meaning.
        let stamped = flags.has(MessageFlags::TIMESTAMP);
        let reserved = stamped || flags.has(MessageFlags::PERFORMANCE_TIMESTAMP);
        let stamp = fields.take_if::<U64>(reserved)?.filter(|_| stamped);
        let ids = fields.take_if::<[U32; 2]>(flags.has(MessageFlags::SYSTEMINFO))?;

        Ok(Self {
            header,
            sequence: sequence.map(|n| n.get()),
            component: component.map(|n| n.get()),
            guid,
            ticks: stamp.map(|n| n.get()),
            thread_and_process: ids.map(|[thread, process]| (thread.get(), process.get())),
            arguments: fields.at,
        })
    }

    /// Number of the message within its provider.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.header.message_number.get()
    }

    /// Which fields it has, and the pointer width of its writer.
    #[must_use]
    pub fn flags(&self) -> MessageFlags {
        self.header.flags()
    }

    /// Sequence number, from 1.
    #[must_use]
    pub fn sequence(&self) -> Option<u32> {
        self.sequence
    }

    /// Component id, written instead of a GUID.
    #[must_use]
    pub fn component(&self) -> Option<u32> {
        self.component
    }

    /// GUID of the message file.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        self.guid.copied()
    }

    /// Time stamp, in ticks of the session's clock.
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        self.ticks
    }

    /// Where its time stamp lies, in bytes from the marker; `None` if it has none.
    #[must_use]
    pub fn ticks_offset(&self) -> Option<usize> {
        self.ticks?;
        let ids = if self.thread_and_process.is_some() { 8usize } else { 0 };
        self.arguments.checked_sub(ids.saturating_add(8))
    }

    /// Thread that logged it.
    #[must_use]
    pub fn thread_id(&self) -> Option<u32> {
        self.thread_and_process.map(|(thread, _)| thread)
    }

    /// Process that logged it.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.thread_and_process.map(|(_, process)| process)
    }

    /// Where the arguments start, in bytes from the marker.
    #[must_use]
    pub fn arguments_offset(&self) -> usize {
        self.arguments
    }
}

/// The fields of a record, taken from front to back.
struct Fields<'a> {
    record: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn take<T>(&mut self) -> Result<&'a T, FormatError>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        let rest = self.record.get(self.at..).unwrap_or_default();
        let end = self.at.saturating_add(size_of::<T>());
        let Ok((field, _)) = T::ref_from_prefix(rest) else {
            let need = to_u32(end);
            return Err(
                Fault::Truncated(need, to_u32(self.record.len())).at(Part::MessageFields, 0)
            );
        };
        self.at = end;
        Ok(field)
    }

    fn take_if<T>(&mut self, present: bool) -> Result<Option<&'a T>, FormatError>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        if present { self.take().map(Some) } else { Ok(None) }
    }
}
