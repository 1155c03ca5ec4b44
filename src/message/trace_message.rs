//! `TraceMessage` and `TraceMessageVa`.

use crate::codec::encode::{self, Message};
use crate::format::{Guid, MessageFlags, MessageTraceHeader};
use crate::message::error::{TraceError, answer};
use crate::session::{SessionHandle, Stamp};

/// What identifies a message beside its number (`MessageGuid`): the flags say which of the two it
/// must be, and without such a flag it is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageId {
    /// Nothing.
    #[default]
    None,
    /// The class GUID of the provider's messages, for [`MessageFlags::GUID`].
    Guid(Guid),
    /// A component id, for [`MessageFlags::COMPONENTID`].
    Component(u32),
}

/// Flags that mean something.
const KNOWN: u16 = 0xFF;

/// The width of pointers in this process.
const POINTER: MessageFlags = if cfg!(target_pointer_width = "32") {
    MessageFlags::POINTER32
} else {
    MessageFlags::POINTER64
};

/// Writes a message (`TraceMessage`): the fields that `flags` name, in the order of
/// [`MessageView`](crate::codec::MessageView), and behind them the bytes of all `arguments`.
///
/// The session, or `None` for a null handle, is that of
/// [`get_trace_logger_handle`](super::get_trace_logger_handle) or any
/// [`SessionHandle`]. Of the flags `POINTER32` and `POINTER64` are the system's: what the caller
/// says there is replaced. `PERFORMANCE_TIMESTAMP` is obsolete: with `TIMESTAMP` it adds nothing,
/// alone it leaves eight bytes without a stamp.
///
/// Allocates nothing and makes no system call, as all writing; a message with a number adds one to
/// a counter that threads share.
///
/// ```
/// use etlring::format::{Guid, MessageFlags};
/// use etlring::message::{MessageId, trace_message};
/// use etlring::session::{SequenceMode, Session};
/// use etlring::sink::MemorySink;
///
/// let (sink, log) = MemorySink::new();
/// let session =
///     Session::builder("messages").sink(sink).sequence(SequenceMode::Local).start()?;
/// let handle = session.handle();
/// let file = MessageId::Guid(Guid::from_u128(0x0628_18ef));
/// let flags = MessageFlags::SEQUENCE
///     .with(MessageFlags::GUID)
///     .with(MessageFlags::TIMESTAMP)
///     .with(MessageFlags::SYSTEMINFO);
/// trace_message(&handle, flags, file, 10, &[&42u32.to_le_bytes(), b"answer\0"])?;
/// assert_eq!(session.stop()?.events_accepted, 1);
/// # assert!(!log.take().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TraceError::InvalidHandle`], [`TraceError::InvalidParameter`] for flags that are not valid,
/// [`TraceError::MoreData`], [`TraceError::NotEnoughMemory`], [`TraceError::OutOfMemory`]; the
/// [table](super#answers) has their conditions.
#[inline]
pub fn trace_message<'s>(
    session: impl Into<Option<&'s SessionHandle>>,
    flags: MessageFlags,
    id: MessageId,
    number: u16,
    arguments: &[&[u8]],
) -> Result<(), TraceError> {
    trace_message_va(session, flags, id, number, arguments.iter().copied())
}

/// The same for a wrapper that has its arguments in no list (`TraceMessageVa`): whatever can be
/// walked twice, first for the sizes and then for the bytes.
///
/// An iterator whose second walk differs from its first leaves zeros for what is missing; what is
/// too much is left out.
///
/// # Errors
///
/// As [`trace_message`].
#[inline]
pub fn trace_message_va<'s, 'a>(
    session: impl Into<Option<&'s SessionHandle>>,
    flags: MessageFlags,
    id: MessageId,
    number: u16,
    arguments: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
) -> Result<(), TraceError> {
    let session = session.into().ok_or(TraceError::InvalidHandle)?;
    let layout = Layout::new(session, flags, id, number)?;
    let arguments = arguments.into_iter();
    let sizes = arguments.clone().map(<[u8]>::len);
    let size = sizes.fold(0, usize::saturating_add);
    let start = layout.arguments_offset();
    answer(session.record_in_place(start.saturating_add(size), |bytes, stamp| {
        copy_to(&mut bytes[start..start + size], arguments);
        layout.put(session, bytes, size, stamp);
    }))
}

/// A message whose flags are valid for its session. Which fields it has is settled; what is in
/// them is known once its space is taken.
struct Layout {
    message: Message,
}

impl Layout {
    #[inline]
    fn new(
        session: &SessionHandle,
        flags: MessageFlags,
        id: MessageId,
        number: u16,
    ) -> Result<Self, TraceError> {
        if session.is_kernel_logger() {
            return Err(TraceError::InvalidHandle);
        }
        let wrong = |what| Err(TraceError::InvalidParameter(what));
        if flags.0 & !KNOWN != 0 {
            return wrong("message flags have bits that mean nothing");
        }
        let has = |flag| flags.has(flag);
        let by_id = (has(MessageFlags::GUID), has(MessageFlags::COMPONENTID));
        let (guid, component) = match (by_id, id) {
            ((true, true), _) => return wrong("message flags name a GUID and a component id"),
            ((true, false), MessageId::Guid(guid)) => (Some(guid), None),
            ((false, true), MessageId::Component(component)) => (None, Some(component)),
            ((false, false), _) => (None, None),
            _ => return wrong("message flags name another id than the one given"),
        };
        if has(MessageFlags::SEQUENCE) && !session.has_sequence() {
            return wrong("message flags name a number, in a session without a sequence");
        }
        let space = MessageFlags(flags.0 & MessageFlags::PERFORMANCE_TIMESTAMP.0);
        Ok(Self {
            message: Message {
                number,
                sequence: has(MessageFlags::SEQUENCE).then_some(0),
                component,
                guid,
                ticks: has(MessageFlags::TIMESTAMP).then_some(0),
                thread_and_process: has(MessageFlags::SYSTEMINFO).then_some((0, 0)),
                flags: space.with(POINTER),
            },
        })
    }

    #[inline]
    fn arguments_offset(&self) -> usize {
        MessageTraceHeader::SIZE + self.message.fields_size()
    }

    /// Writes everything in front of `size` bytes of arguments. The number is taken last: from here
    /// on nothing can go wrong, so that none is missing.
    #[inline]
    fn put(&self, session: &SessionHandle, bytes: &mut [u8], size: usize, stamp: Stamp) {
        let message = Message {
            sequence: self.message.sequence.map(|_| session.next_sequence()),
            ticks: self.message.ticks.map(|_| stamp.ticks),
            thread_and_process: self.message.thread_and_process.map(|_| stamp.thread_and_process()),
            ..self.message
        };
        // The space was made for it.
        let written = encode::message_around(bytes, &message, size);
        debug_assert!(written.is_ok());
    }
}

/// Fills `space` with the arguments, one behind the other.
#[inline]
fn copy_to<'a>(mut space: &mut [u8], arguments: impl Iterator<Item = &'a [u8]>) {
    for argument in arguments {
        let len = argument.len().min(space.len());
        let (target, rest) = space.split_at_mut(len);
        target.copy_from_slice(&argument[..len]);
        space = rest;
    }
    space.fill(0);
}
