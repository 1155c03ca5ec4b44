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
///
/// Holding one means that the fields which the flags name are there. Where they lie is told from
/// the flags when they are asked for: a view is two words, and [`RecordView`] as small as that
/// lets it be.
///
/// [`RecordView`]: crate::codec::RecordView
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    header: &'a MessageTraceHeader,
    /// The fields behind it.
    fields: &'a [u8],
}

/// Where the fields of a message end, in bytes from the first one.
struct Ends {
    sequence: usize,
    /// Of the component id or GUID.
    origin: usize,
    stamp: usize,
    ids: usize,
}

impl Ends {
    #[inline]
    fn of(flags: MessageFlags) -> Self {
        let bytes = |flag, bytes: usize| if flags.has(flag) { bytes } else { 0 };
        let sequence = bytes(MessageFlags::SEQUENCE, 4);
        let guid = bytes(MessageFlags::GUID, 16);
        let origin = if flags.has(MessageFlags::COMPONENTID) { 4 } else { guid };
        // The obsolete flag alone reserves the stamp's space and leaves it without meaning.
        let reserved = bytes(MessageFlags::PERFORMANCE_TIMESTAMP, 8);
        let stamp = bytes(MessageFlags::TIMESTAMP, 8).max(reserved);
        let ids = bytes(MessageFlags::SYSTEMINFO, 8);
        let origin = sequence.wrapping_add(origin);
        let stamp = origin.wrapping_add(stamp);
        Self { sequence, origin, stamp, ids: stamp.wrapping_add(ids) }
    }
}

impl<'a> MessageView<'a> {
    /// Reads the message that `record` is, from its marker to its end.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the record ends within the fields that its flags name.
    pub fn parse(record: &'a [u8]) -> Result<Self, FormatError> {
        let short = |need| Self::short(need, record.len());
        let Ok((header, behind)) = MessageTraceHeader::ref_from_prefix(record) else {
            return Err(short(0));
        };
        let ends = Ends::of(header.flags());
        let Some(fields) = behind.get(..ends.ids) else {
            // The first field that is not whole.
            let all = [ends.sequence, ends.origin, ends.stamp, ends.ids];
            let cut = all.into_iter().find(|end| *end > behind.len());
            return Err(short(cut.unwrap_or(ends.ids)));
        };
        Ok(Self { header, fields })
    }

    #[cold]
    fn short(end: usize, have: usize) -> FormatError {
        let need = to_u32(end.saturating_add(MessageTraceHeader::SIZE));
        Fault::Truncated(need, to_u32(have)).at(Part::MessageFields, 0)
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
        self.field::<U32>(MessageFlags::SEQUENCE, |_| 0).map(|n| n.get())
    }

    /// Component id, written instead of a GUID.
    #[must_use]
    pub fn component(&self) -> Option<u32> {
        self.field::<U32>(MessageFlags::COMPONENTID, |ends| ends.sequence).map(|n| n.get())
    }

    /// GUID of the message file.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        if self.flags().has(MessageFlags::COMPONENTID) {
            return None;
        }
        self.field::<Guid>(MessageFlags::GUID, |ends| ends.sequence).copied()
    }

    /// Time stamp, in ticks of the session's clock.
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        self.field::<U64>(MessageFlags::TIMESTAMP, |ends| ends.origin).map(|n| n.get())
    }

    /// Where its time stamp lies, in bytes from the marker; `None` if it has none.
    #[must_use]
    pub fn ticks_offset(&self) -> Option<usize> {
        self.ticks()?;
        Ends::of(self.flags()).origin.checked_add(MessageTraceHeader::SIZE)
    }

    /// Thread that logged it.
    #[must_use]
    pub fn thread_id(&self) -> Option<u32> {
        self.ids().map(|[thread, _]| thread.get())
    }

    /// Process that logged it.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.ids().map(|[_, process]| process.get())
    }

    /// Where the arguments start, in bytes from the marker.
    #[must_use]
    pub fn arguments_offset(&self) -> usize {
        self.fields.len().saturating_add(MessageTraceHeader::SIZE)
    }

    fn ids(&self) -> Option<&'a [U32; 2]> {
        self.field(MessageFlags::SYSTEMINFO, |ends| ends.stamp)
    }

    /// The field that `flag` names, if it is there.
    fn field<T>(&self, flag: MessageFlags, start: impl FnOnce(&Ends) -> usize) -> Option<&'a T>
    where
        T: FromBytes + KnownLayout + Immutable + Unaligned,
    {
        if !self.flags().has(flag) {
            return None;
        }
        let own = self.fields.get(start(&Ends::of(self.flags()))..)?;
        T::ref_from_prefix(own).ok().map(|(field, _)| field)
    }
}
