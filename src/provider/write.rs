//! Writing events to the sessions that want them.

use crate::codec::encode::Item;
use crate::format::{EventDescriptor, ExtType, Guid};
use crate::provider::{
    activity, process,
    registration::Provider,
    registry::{Listener, Summary},
};
use crate::session::{Body, Discarded, Event, Head, SessionHandle, Shape};
use bytes::BufMut;
use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Providers whose place lies in the thread-local itself: a list there is one load nearer, and an
/// event stands waiting for each load.
const NEAR: usize = 8;

thread_local! {
    /// Emptied by [`FORGET`]: a thread-local with a destructor is asked for its state at each use.
    static SEEN: RefCell<ManuallyDrop<Places>> =
        const { RefCell::new(ManuallyDrop::new(Places::NONE)) };
    /// Touched before anything is put into [`SEEN`].
    static FORGET: Forget = const { Forget };
}

/// Empties the thread's places when the thread ends.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        SEEN.with(|seen| {
            if let Ok(mut seen) = seen.try_borrow_mut() {
                **seen = Places::NONE;
            }
        });
    }
}

/// What a thread has seen last of what sessions want, by provider.
struct Places {
    near: [Seen; NEAR],
    far: Vec<Seen>,
}

/// What a thread has seen of one provider.
struct Seen {
    summary: Summary,
    /// The one who listens, if it is the only one and wants no more than the event itself.
    only: Option<Listener>,
    /// All who listen.
    all: Option<Arc<[Listener]>>,
}

impl Places {
    const NONE: Self = Self { near: [const { Seen::NOTHING }; NEAR], far: Vec::new() };

    fn get(&self, index: usize) -> Option<&Seen> {
        self.near.get(index).or_else(|| self.far.get(index.wrapping_sub(NEAR)))
    }

    /// Keeps what was seen, and drops what keeps the memory of stopped sessions.
    fn put(&mut self, index: usize, seen: Seen) {
        for place in self.near.iter_mut().chain(&mut self.far) {
            if place.is_stale() {
                *place = Seen::NOTHING;
            }
        }
        if let Some(place) = self.near.get_mut(index) {
            *place = seen;
            return;
        }
        let index = index - NEAR;
        if self.far.len() <= index {
            self.far.resize_with(index + 1, || Seen::NOTHING);
        }
        self.far[index] = seen;
    }
}

impl Seen {
    const NOTHING: Self = Self { summary: Summary::NEVER, only: None, all: None };

    fn new(summary: Summary, listeners: &Arc<[Listener]>) -> Self {
        let only = match &**listeners {
            [only] if !only.start_key => Some(only.clone()),
            _ => None,
        };
        Self { summary, only, all: Some(Arc::clone(listeners)) }
    }

    /// Whether a session in it has stopped, or pauses.
    fn is_stale(&self) -> bool {
        let mut all = self.all.as_deref().unwrap_or_default().iter();
        all.any(|listener| !listener.handle.is_enabled())
    }
}

impl Provider {
    /// Writes an event (`EventWrite`). It belongs to the thread's [`activity`]. The payload is
    /// whatever is bytes, as in [`SessionHandle::write_classic`].
    ///
    /// Gives the number of sessions that recorded it: 0 if none wants it, which is no error.
    ///
    /// # Errors
    ///
    /// Why the first session that wanted it [`Discarded`] it, if none recorded it. Each session
    /// that discarded it has counted it.
    #[inline]
    pub fn write<P: AsRef<[u8]> + ?Sized>(
        &self,
        descriptor: &EventDescriptor,
        payload: &P,
    ) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(descriptor.level) {
            return Ok(0);
        }
        self.write_to_sessions(summary, descriptor, activity::current, payload)
    }

    /// Writes an event with its activity, the thread's own if `None`, the activity that this one
    /// came from, and a payload in parts (`EventWriteTransfer`).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn write_transfer(
        &self,
        descriptor: &EventDescriptor,
        activity: Option<Guid>,
        related: Option<Guid>,
        payload: &[&[u8]],
    ) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(descriptor.level) {
            return Ok(0);
        }
        let activity = activity.unwrap_or_else(activity::current);
        let mut event = self.event(descriptor).activity(activity);
        event.related_activity_id = related;
        self.send(summary, &event, &|handle, event| handle.write_event_parts(event, payload))
    }

    /// Writes an event that has everything an event can have, extended items too. Its provider is
    /// this one, whatever it says.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn write_event(&self, event: &Event<'_>, payload: &[&[u8]]) -> Result<u32, Discarded> {
        self.write_except(event, payload, 0)
    }

    /// The same for all sessions but those whose [`Change::instance`](crate::provider::Change) is
    /// among the bits of `except` (the `Filter` of `EventWriteEx`).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    #[inline]
    pub fn write_except(
        &self,
        event: &Event<'_>,
        payload: &[&[u8]],
        except: u64,
    ) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(event.descriptor.level) {
            return Ok(0);
        }
        let event = Event { provider: self.guid(), ..*event };
        let write =
            |handle: &SessionHandle, event: &Event<'_>| handle.write_event_parts(event, payload);
        self.send_except(summary, &event, except, &write)
    }

    /// Writes an event that is a text and no more (`EventWriteString`), as UTF-16 and its zero. A
    /// zero within the text ends it.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_string(&self, level: u8, keyword: u64, text: &str) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(level) {
            return Ok(0);
        }
        let text = text.split('\0').next().unwrap_or_default();
        let bytes = 2 * text.encode_utf16().count() + 2;
        let descriptor =
            EventDescriptor { keyword: keyword.into(), ..EventDescriptor::new(0, level) };
        let event = self.event(&descriptor).activity(activity::current());
        let event = Event { string_only: true, ..event };
        self.send(summary, &event, &|handle, event| {
            let mut record = handle.reserve_event(event, bytes)?;
            text.encode_utf16().chain([0]).for_each(|unit| record.put_u16_le(unit));
            record.commit()
        })
    }

    /// Has `write` record something of this level and keyword in each session that wants it.
    #[inline]
    pub(crate) fn write_with(
        &self,
        level: u8,
        keyword: u64,
        write: &dyn Fn(&SessionHandle) -> Result<(), Discarded>,
    ) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(level) {
            return Ok(0);
        }
        let descriptor =
            EventDescriptor { keyword: keyword.into(), ..EventDescriptor::new(0, level) };
        self.send(summary, &self.event(&descriptor), &|handle, _| write(handle))
    }

    /// The same if one session wants events of this provider, and nothing but the events, and if
    /// `write` does not say `None`; then it is for [`write_with`](Self::write_with) to do.
    #[inline(always)]
    pub(crate) fn write_quickly(
        &self,
        level: u8,
        keyword: u64,
        write: impl FnOnce(&SessionHandle) -> Option<Result<(), Discarded>>,
    ) -> Option<Result<u32, Discarded>> {
        let descriptor =
            EventDescriptor { keyword: keyword.into(), ..EventDescriptor::new(0, level) };
        self.write_to_only(self.shared.summary(), &descriptor, write)
    }

    #[inline(always)]
    fn event(&self, descriptor: &EventDescriptor) -> Event<'static> {
        Event::new(self.shared.guid, *descriptor)
    }

    /// Apart, so that an event that nobody wants is small where it is inlined. The usual case, one
    /// session that wants just this, has a path without loops; all else goes the general way.
    ///
    /// Generic, so that it is compiled in the caller's crate: in a program thread-locals are a load
    /// away, in a library a call. `activity` gives the thread's.
    #[inline(never)]
    fn write_to_sessions<P: AsRef<[u8]> + ?Sized>(
        &self,
        summary: Summary,
        descriptor: &EventDescriptor,
        activity: impl Fn() -> Guid,
        payload: &P,
    ) -> Result<u32, Discarded> {
        let guid = &self.shared.guid;
        let sent = self.write_to_only(summary, descriptor, move |handle| {
            Some(handle.write_plain(guid, descriptor, activity, payload))
        });
        match sent {
            Some(result) => result,
            None => self.write_generally(summary, descriptor, payload.as_ref()),
        }
    }

    /// Writes to the one session that wants events of this provider, and nothing but the events
    /// themselves; `None` if there is more to it, or `write` finds that there is.
    #[inline(always)]
    fn write_to_only(
        &self,
        summary: Summary,
        descriptor: &EventDescriptor,
        write: impl FnOnce(&SessionHandle) -> Option<Result<(), Discarded>>,
    ) -> Option<Result<u32, Discarded>> {
        // Not `with`, which is not inlined: it would get all of this by reference.
        let sent = SEEN.try_with(move |seen| {
            // Held while it is written: what interrupts this thread cannot exchange the list.
            let seen = seen.try_borrow().ok()?;
            let seen = seen.near.get(self.shared.index)?;
            let only = seen.only.as_ref().filter(|_| seen.summary == summary)?;
            if !only.rule.passes(descriptor.level, descriptor.keyword.get()) {
                return Some(Ok(0));
            }
            Some(match write(&only.handle)? {
                Ok(()) => Ok(1),
                Err(discarded) => not_recorded(discarded),
            })
        });
        sent.ok().flatten()
    }

    /// Writes an event that brings its extended items as bytes: `fill` writes them and the payload,
    /// [`Shape::len`] bytes, once for each session.
    #[inline(always)]
    pub(crate) fn write_shaped(
        &self,
        descriptor: &EventDescriptor,
        (activity, related): (impl Fn() -> Guid, Option<&Guid>),
        shape: Shape,
        fill: impl Fn(&mut [u8]) + Copy,
    ) -> Result<u32, Discarded> {
        let summary = self.shared.summary();
        if !summary.may_pass(descriptor.level) {
            return Ok(0);
        }
        let provider = &self.shared.guid;
        if related.is_none() {
            let activity = &activity;
            let sent = self.write_to_only(summary, descriptor, move |handle| {
                let head = Head { provider, descriptor, activity: activity() };
                Some(handle.write_filled(head, shape.len, fill))
            });
            if let Some(result) = sent {
                return result;
            }
        }
        self.write_body(summary, descriptor, (activity(), related), shape, fill)
    }

    /// The same to whoever wants it.
    #[inline(never)]
    fn write_body(
        &self,
        summary: Summary,
        descriptor: &EventDescriptor,
        (activity, related): (Guid, Option<&Guid>),
        shape: Shape,
        fill: impl Fn(&mut [u8]),
    ) -> Result<u32, Discarded> {
        let mut event = self.event(descriptor).activity(activity);
        event.related_activity_id = related.copied();
        let body = Body { shape, fill: &fill };
        self.send(summary, &event, &|handle, event| handle.write_body(event, &body))
    }

    #[inline(never)]
    fn write_generally(
        &self,
        summary: Summary,
        descriptor: &EventDescriptor,
        payload: &[u8],
    ) -> Result<u32, Discarded> {
        let event = self.event(descriptor).activity(activity::current());
        self.send(summary, &event, &|handle, event| handle.write_event(event, payload))
    }

    /// Sends an event to whoever wants it, by the list this thread has if it is still the one.
    fn send(
        &self,
        summary: Summary,
        event: &Event<'_>,
        write: Write<'_>,
    ) -> Result<u32, Discarded> {
        self.send_except(summary, event, 0, write)
    }

    /// The same to all but the sessions of these bits.
    fn send_except(
        &self,
        summary: Summary,
        event: &Event<'_>,
        except: u64,
        write: Write<'_>,
    ) -> Result<u32, Discarded> {
        let sent = SEEN.with(|seen| {
            let seen = seen.try_borrow().ok()?;
            let seen = seen.get(self.shared.index).filter(|seen| seen.summary == summary)?;
            Some(send_to(seen.all.as_deref()?, event, except, write))
        });
        match sent {
            Some(result) => result,
            None => self.look_and_send(event, except, write),
        }
    }

    /// The same after a change, at a thread's first event, in a signal handler that came in
    /// between, or while the thread ends.
    #[cold]
    fn look_and_send(
        &self,
        event: &Event<'_>,
        except: u64,
        write: Write<'_>,
    ) -> Result<u32, Discarded> {
        let Some((summary, listeners)) = self.shared.listeners() else {
            self.shared.missed.fetch_add(1, Ordering::Relaxed);
            return Err(Discarded::NoLane);
        };
        let result = send_to(&listeners, event, except, write);
        // A thread that is ending remembers nothing any more.
        if FORGET.try_with(|_| ()).is_ok() {
            SEEN.with(|seen| {
                if let Ok(mut seen) = seen.try_borrow_mut() {
                    seen.put(self.shared.index, Seen::new(summary, &listeners));
                }
            });
        }
        result
    }
}

/// Writes an event to one session.
type Write<'a> = &'a dyn Fn(&SessionHandle, &Event<'_>) -> Result<(), Discarded>;

/// Writes an event to each session that wants it, but for those whose bit is in `except`.
fn send_to(
    listeners: &[Listener],
    event: &Event<'_>,
    except: u64,
    write: Write<'_>,
) -> Result<u32, Discarded> {
    let EventDescriptor { level, keyword, .. } = event.descriptor;
    let (mut recorded, mut refused) = (0, None);
    let wants = |l: &&Listener| l.rule.passes(level, keyword.get()) && l.instance & except == 0;
    for listener in listeners.iter().filter(wants) {
        let result = if listener.start_key {
            with_start_key(&listener.handle, event, write)
        } else {
            write(&listener.handle, event)
        };
        match result {
            Ok(()) => recorded += 1,
            Err(discarded) => refused = refused.or(not_recorded(discarded).err()),
        }
    }
    match refused {
        Some(discarded) if recorded == 0 => Err(discarded),
        _ => Ok(recorded),
    }
}

/// What it means that a session did not record an event: one that pauses, has just stopped or is
/// the parent process's does not want it.
#[cold]
fn not_recorded(discarded: Discarded) -> Result<u32, Discarded> {
    match discarded {
        Discarded::Disabled | Discarded::Stopped | Discarded::Forked => Ok(0),
        discarded => Err(discarded),
    }
}

/// Writes the event with the process's start key behind its other items.
#[cold]
fn with_start_key(
    handle: &SessionHandle,
    event: &Event<'_>,
    write: Write<'_>,
) -> Result<(), Discarded> {
    let key = process::start_key().to_le_bytes();
    let key = Item { ext_type: ExtType::PROCESS_START_KEY, data: &key };
    if event.items.is_empty() {
        write(handle, &Event { items: &[key], ..*event })
    } else {
        let items: Vec<_> = event.items.iter().copied().chain([key]).collect();
        write(handle, &Event { items: &items, ..*event })
    }
}
