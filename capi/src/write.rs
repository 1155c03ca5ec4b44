//! `EventWrite` and its relatives, and the thread's activity.

use crate::promise::{Array, Text};
use crate::provider::Provider;
use crate::status::{self, Failure, Status};
use crate::types::{Data, Descriptor, Guid, pieces};
use etlring::format;
use etlring::message::{
    self, ActivityControl, EventWriteFlags, MAX_EVENT_DATA_DESCRIPTORS, TraceError,
};

const MOST: u32 = 128;
const _: () = assert!(MOST as usize == MAX_EVENT_DATA_DESCRIPTORS);
/// Pieces for which a small list does: a list is filled at each call.
const FEW: usize = 8;

/// The constants of the header that start with `ETLRING_`, by the rest of their names.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("MAX_EVENT_DATA", MOST),
    ("ACTIVITY_GET", ActivityControl::GET_ID.0),
    ("ACTIVITY_SET", ActivityControl::SET_ID.0),
    ("ACTIVITY_CREATE", ActivityControl::CREATE_ID.0),
    ("ACTIVITY_GET_SET", ActivityControl::GET_SET_ID.0),
    ("ACTIVITY_CREATE_SET", ActivityControl::CREATE_SET_ID.0),
];

/// Hands the pieces on as slices.
#[inline]
fn with_slices(
    data: &[Data<'_>],
    write: impl FnOnce(&[&[u8]]) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    fn fill<'a>(slices: &mut [&'a [u8]], data: &[Data<'a>]) {
        for (slice, piece) in slices.iter_mut().zip(data) {
            *slice = piece.bytes();
        }
    }
    match data {
        [] => write(&[]),
        [one] => write(&[one.bytes()]),
        _ if data.len() <= FEW => {
            let mut slices: [&[u8]; FEW] = [&[]; FEW];
            fill(&mut slices, data);
            write(&slices[..data.len()])
        }
        _ => {
            let mut slices: [&[u8]; MAX_EVENT_DATA_DESCRIPTORS] = [&[]; MAX_EVENT_DATA_DESCRIPTORS];
            fill(&mut slices, data);
            write(&slices[..data.len()])
        }
    }
}

/// What every event has: looked at, and handed on to `write`.
///
/// # Safety
///
/// `count` is the count beside `data`.
#[inline]
unsafe fn event<'a>(
    provider: Option<&'a Provider>,
    descriptor: Option<&Descriptor>,
    count: u32,
    data: Array<'a, Data<'a>>,
    write: impl FnOnce(
        &etlring::provider::Provider,
        &format::EventDescriptor,
        &[&[u8]],
    ) -> Result<(), TraceError>,
) -> Status {
    status::call(|| {
        let provider = provider.ok_or_else(Failure::no_handle)?;
        let descriptor = (*descriptor.ok_or_else(|| Failure::null("descriptor"))?).into();
        // SAFETY: the caller's promise.
        let data = unsafe { pieces(data, count, MOST)? };
        Ok(with_slices(data, |data| write(&provider.0, &descriptor, data))?)
    })
}

/// `etlring_event_write`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_event_write<'a>(
    provider: Option<&'a Provider>,
    descriptor: Option<&Descriptor>,
    count: u32,
    data: Array<'a, Data<'a>>,
) -> Status {
    let write = |provider: &_, descriptor: &_, data: &[&[u8]]| {
        message::event_write(provider, descriptor, data)
    };
    // SAFETY: the header says that `data` has `count` elements.
    unsafe { event(provider, descriptor, count, data, write) }
}

/// `etlring_event_write_transfer`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_event_write_transfer<'a>(
    provider: Option<&'a Provider>,
    descriptor: Option<&Descriptor>,
    activity: Option<&Guid>,
    related: Option<&Guid>,
    count: u32,
    data: Array<'a, Data<'a>>,
) -> Status {
    let (activity, related) = (ours(activity), ours(related));
    let (activity, related) = (activity.as_ref(), related.as_ref());
    let write = |provider: &_, descriptor: &_, data: &[&[u8]]| {
        message::event_write_transfer(provider, descriptor, activity, related, data)
    };
    // SAFETY: the header says that `data` has `count` elements.
    unsafe { event(provider, descriptor, count, data, write) }
}

/// `etlring_event_write_ex`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_event_write_ex<'a>(
    provider: Option<&'a Provider>,
    descriptor: Option<&Descriptor>,
    filter: u64,
    flags: u32,
    activity: Option<&Guid>,
    related: Option<&Guid>,
    count: u32,
    data: Array<'a, Data<'a>>,
) -> Status {
    let flags = EventWriteFlags(flags);
    let (activity, related) = (ours(activity), ours(related));
    let (activity, related) = (activity.as_ref(), related.as_ref());
    let write = |provider: &_, descriptor: &_, data: &[&[u8]]| {
        message::event_write_ex(provider, descriptor, filter, flags, activity, related, data)
    };
    // SAFETY: the header says that `data` has `count` elements.
    unsafe { event(provider, descriptor, count, data, write) }
}

/// `etlring_event_write_string`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_event_write_string(
    provider: Option<&Provider>,
    level: u8,
    keyword: u64,
    text: Text<'_>,
) -> Status {
    status::call(|| {
        let provider = provider.ok_or_else(Failure::no_handle)?;
        Ok(message::event_write_string(&provider.0, level, keyword, text.utf8("text")?)?)
    })
}

/// `etlring_activity_control`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_activity_control(control: u32, activity: Option<&mut Guid>) -> Status {
    status::call(|| {
        let activity = activity.ok_or_else(|| Failure::null("activity"))?;
        let mut id = (*activity).into();
        message::event_activity_id_control(ActivityControl(control), &mut id)?;
        *activity = id.into();
        Ok(())
    })
}

#[inline]
fn ours(guid: Option<&Guid>) -> Option<format::Guid> {
    guid.map(|guid| (*guid).into())
}
