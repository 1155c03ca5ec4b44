//! `EventWrite` and its relatives, and the thread's activity id.

use crate::codec::encode::MAX_RECORD;
use crate::format::{EventDescriptor, EventHeader, Guid};
use crate::message::error::TraceError;
use crate::provider::{Provider, activity};
use crate::session::{Discarded, Event};

/// Most pieces of an event's data (`MAX_EVENT_DATA_DESCRIPTORS`).
pub const MAX_EVENT_DATA_DESCRIPTORS: usize = 128;

/// Bytes of the extended item that holds a related activity.
const RELATED: usize = 24;

/// How to write, for [`event_write_ex`] (`EVENT_WRITE_FLAG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct EventWriteFlags(pub u32);

impl EventWriteFlags {
    /// The data are in memory; so they are anyway, or the copy waits for them.
    pub const NO_FAULTING: Self = Self(1);
    /// Sessions that want nothing of private browsing do not get it. There are none: to ask for
    /// that is [refused](crate::provider::Properties).
    pub const INPRIVATE: Self = Self(2);

    /// All of the above.
    const KNOWN: u32 = Self::NO_FAULTING.0 | Self::INPRIVATE.0;
}

/// Writes an event to the sessions that want it (`EventWrite`). It belongs to the thread's
/// activity; its payload are the bytes of all of `user_data`, up to
/// [`MAX_EVENT_DATA_DESCRIPTORS`] pieces.
///
/// `None` is a null handle. Where no session wants the event the answer is success, as on Windows;
/// [`Provider::write`] tells how many recorded it.
///
/// ```
/// use etlring::format::{EventDescriptor, Guid};
/// use etlring::message::event_write;
/// use etlring::provider::{Enable, Provider};
/// use etlring::session::Session;
/// use etlring::sink::MemorySink;
///
/// let guid = Guid::from_u128(0x4b1d_0c57_6f1f_4a0e_8c39_3a1f_0d7e_42ab);
/// let orders = Provider::register(guid, "Example-Orders");
/// let (sink, log) = MemorySink::new();
/// let session = Session::builder("event_write").sink(sink).start()?;
/// session.enable_provider(guid, &Enable::new())?;
/// event_write(&orders, &EventDescriptor::new(1, 4), &[&7u32.to_le_bytes(), b"coffee\0"])?;
/// assert_eq!(session.stop()?.events_accepted, 1);
/// # assert!(!log.take().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`TraceError::InvalidHandle`], [`TraceError::InvalidParameter`] for too many pieces; if no
/// session recorded it, what the first one that wanted it said: [`TraceError::ArithmeticOverflow`],
/// [`TraceError::MoreData`], [`TraceError::NotEnoughMemory`]. The [table](super#answers) has their
/// conditions.
#[inline]
pub fn event_write<'p>(
    provider: impl Into<Option<&'p Provider>>,
    descriptor: &EventDescriptor,
    user_data: &[&[u8]],
) -> Result<(), TraceError> {
    let provider = checked(provider.into(), user_data)?;
    let written = match user_data {
        [] => provider.write(descriptor, &[]),
        [payload] => provider.write(descriptor, payload),
        parts => provider.write_transfer(descriptor, None, None, parts),
    };
    answer(written, || size_of_event(false, user_data))
}

/// The same with the event's own activity, the thread's if `None`, and the one that it came from
/// (`EventWriteTransfer`).
///
/// # Errors
///
/// As [`event_write`].
#[inline]
pub fn event_write_transfer<'p>(
    provider: impl Into<Option<&'p Provider>>,
    descriptor: &EventDescriptor,
    activity_id: Option<&Guid>,
    related_activity_id: Option<&Guid>,
    user_data: &[&[u8]],
) -> Result<(), TraceError> {
    let provider = checked(provider.into(), user_data)?;
    let (own, related) = (activity_id.copied(), related_activity_id.copied());
    let written = provider.write_transfer(descriptor, own, related, user_data);
    answer(written, || size_of_event(related.is_some(), user_data))
}

/// The same for all sessions but those whose [`Change::instance`](crate::provider::Change) is
/// among the bits of `filter` (`EventWriteEx`).
///
/// # Errors
///
/// As [`event_write`]; [`TraceError::InvalidParameter`] for flags that mean nothing, too.
#[inline]
pub fn event_write_ex<'p>(
    provider: impl Into<Option<&'p Provider>>,
    descriptor: &EventDescriptor,
    filter: u64,
    flags: EventWriteFlags,
    activity_id: Option<&Guid>,
    related_activity_id: Option<&Guid>,
    user_data: &[&[u8]],
) -> Result<(), TraceError> {
    let provider = checked(provider.into(), user_data)?;
    if flags.0 & !EventWriteFlags::KNOWN != 0 {
        return Err(TraceError::InvalidParameter("event write flags have bits that mean nothing"));
    }
    let event = Event {
        activity_id: activity_id.copied().unwrap_or_else(activity::current),
        related_activity_id: related_activity_id.copied(),
        ..Event::new(provider.guid(), *descriptor)
    };
    let written = provider.write_except(&event, user_data, filter);
    answer(written, || size_of_event(related_activity_id.is_some(), user_data))
}

/// Writes a text (`EventWriteString`): an event of id 0 whose payload is the text in UTF-16 and a
/// zero. A zero within the text ends it.
///
/// # Errors
///
/// As [`event_write`].
#[inline]
pub fn event_write_string<'p>(
    provider: impl Into<Option<&'p Provider>>,
    level: u8,
    keyword: u64,
    text: &str,
) -> Result<(), TraceError> {
    let provider = checked(provider.into(), &[])?;
    let written = provider.write_string(level, keyword, text);
    answer(written, || {
        let units = text.split('\0').next().unwrap_or_default().encode_utf16().count();
        units.saturating_mul(2).saturating_add(EventHeader::SIZE + 2)
    })
}

/// What to do with the thread's activity id (`EVENT_ACTIVITY_CTRL_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActivityControl(pub u32);

impl ActivityControl {
    /// Gives the thread's.
    pub const GET_ID: Self = Self(1);
    /// Makes the one given the thread's.
    pub const SET_ID: Self = Self(2);
    /// Gives a new one, and leaves the thread's as it is.
    pub const CREATE_ID: Self = Self(3);
    /// Exchanges the one given and the thread's.
    pub const GET_SET_ID: Self = Self(4);
    /// Makes a new one the thread's, and gives the one before.
    pub const CREATE_SET_ID: Self = Self(5);
}

/// Gives, sets or makes the id of the calling thread's activity (`EventActivityIdControl`). Events
/// that name no activity carry the thread's; [`activity`] has the same in other
/// words.
///
/// ```
/// use etlring::format::Guid;
/// use etlring::message::{ActivityControl, event_activity_id_control};
///
/// let mut id = Guid::from_u128(7);
/// event_activity_id_control(ActivityControl::GET_SET_ID, &mut id)?;
/// assert_eq!(id, Guid::ZERO); // the thread had none
/// event_activity_id_control(ActivityControl::GET_ID, &mut id)?;
/// assert_eq!(id, Guid::from_u128(7));
/// # Ok::<(), etlring::message::TraceError>(())
/// ```
///
/// # Errors
///
/// [`TraceError::InvalidParameter`] for any other code.
#[inline]
pub fn event_activity_id_control(
    control: ActivityControl,
    activity_id: &mut Guid,
) -> Result<(), TraceError> {
    match control {
        ActivityControl::GET_ID => *activity_id = activity::current(),
        ActivityControl::SET_ID => _ = activity::set(*activity_id),
        ActivityControl::CREATE_ID => *activity_id = activity::create(),
        ActivityControl::GET_SET_ID => *activity_id = activity::set(*activity_id),
        ActivityControl::CREATE_SET_ID => *activity_id = activity::set(activity::create()),
        _ => return Err(TraceError::InvalidParameter("no such activity control code")),
    }
    Ok(())
}

/// The provider, if there is one and its event has no more pieces than it may.
#[inline]
fn checked<'p>(
    provider: Option<&'p Provider>,
    user_data: &[&[u8]],
) -> Result<&'p Provider, TraceError> {
    let provider = provider.ok_or(TraceError::InvalidHandle)?;
    if user_data.len() > MAX_EVENT_DATA_DESCRIPTORS {
        return Err(TraceError::InvalidParameter("more than 128 data descriptors"));
    }
    Ok(provider)
}

#[inline]
fn answer(written: Result<u32, Discarded>, size: impl FnOnce() -> usize) -> Result<(), TraceError> {
    match written {
        Ok(_) => Ok(()),
        Err(discarded) => Err(refused(discarded, size())),
    }
}

/// `size` is that of the record, whatever a session adds to it.
#[cold]
fn refused(discarded: Discarded, size: usize) -> TraceError {
    match discarded {
        Discarded::TooLarge if size > MAX_RECORD => TraceError::ArithmeticOverflow,
        Discarded::TooLarge => TraceError::MoreData,
        _ => TraceError::NotEnoughMemory,
    }
}

fn size_of_event(is_related: bool, user_data: &[&[u8]]) -> usize {
    let header = EventHeader::SIZE + if is_related { RELATED } else { 0 };
    user_data.iter().fold(header, |sum, part| sum.saturating_add(part.len()))
}
