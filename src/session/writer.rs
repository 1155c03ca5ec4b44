//! Recording: what a provider's thread does.
//!
//! Every way to write comes down to three steps: enter the lane and take space, read the clock,
//! fill and commit. The clock is read when the lane is entered, so that the records of a lane are
//! in the order of their stamps.

mod body;
mod calls;
mod explained;
mod headers;
mod losses;

pub(crate) use body::{Body, Shape};
pub(crate) use losses::{LOSS_RECORD, LostEvents, put_loss};

use crate::codec::encode::{self, Item};
use crate::format::{EventDescriptor, EventFlags, EventHeader, EventTraceHeader, Guid};
use crate::session::{
    clock::Source,
    config::{Config, SequenceMode},
    lane::{HEADER_BYTES, Lane, RUNNING, Reservation, Ring, SMALL, Space},
    shared::Shared,
    stats::{Discarded, SessionStats},
    sync::{AtomicU64, Ordering},
};
use headers::{classic_header, event_header, put_event, put_parts, put_whole, put_words, total};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a writer that waits for a buffer sleeps before it looks again.
const PAUSE: Duration = Duration::from_micros(100);

/// A classic event, recorded as `TraceEvent` does: a 48-byte `EVENT_TRACE_HEADER`.
///
/// Its fields lie as a record has them, so that a header takes them whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ClassicEvent {
    /// Class of the event: what a consumer shows as its provider.
    pub class: Guid,
    /// Type of the event within its class; a consumer's opcode. Own types start at 10.
    pub class_type: u8,
    /// Severity: 1 critical, 2 error, 3 warning, 4 information, 5 verbose; 0 always.
    pub level: u8,
    /// Version of the payload's layout.
    pub version: u16,
}

impl ClassicEvent {
    /// Version 0 of an event.
    #[must_use]
    pub const fn new(class: Guid, class_type: u8, level: u8) -> Self {
        Self { class, class_type, level, version: 0 }
    }
}

/// An event, recorded as `EventWrite` does: an 80-byte `EVENT_HEADER` and extended items.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Who logs it.
    pub provider: Guid,
    /// Id, version, level, opcode, task, keyword.
    pub descriptor: EventDescriptor,
    /// What it belongs to; zero for nothing.
    pub activity_id: Guid,
    /// The activity that its own one came from.
    pub related_activity_id: Option<Guid>,
    /// Further extended items, written behind the related activity in this order.
    pub items: &'a [Item<'a>],
    /// Whether the payload is nothing but a text of UTF-16 and its zero
    /// (`EVENT_HEADER_FLAG_STRING_ONLY`).
    pub string_only: bool,
}

impl<'a> Event<'a> {
    /// An event of no activity.
    #[must_use]
    pub const fn new(provider: Guid, descriptor: EventDescriptor) -> Self {
        Self {
            provider,
            descriptor,
            activity_id: Guid::ZERO,
            related_activity_id: None,
            items: &[],
            string_only: false,
        }
    }

    /// The same event within an activity.
    #[must_use]
    pub const fn activity(self, activity_id: Guid) -> Self {
        Self { activity_id, ..self }
    }

    /// The same event, its activity started by another one.
    #[must_use]
    pub const fn related(self, related_activity_id: Guid) -> Self {
        Self { related_activity_id: Some(related_activity_id), ..self }
    }

    /// The same event with extended items.
    #[must_use]
    pub const fn items(self, items: &'a [Item<'a>]) -> Self {
        Self { items, ..self }
    }

    #[inline(always)]
    fn head(&self) -> Head<'_> {
        let Self { provider, descriptor, activity_id, .. } = self;
        Head { provider, descriptor, activity: *activity_id }
    }

    /// Whether the record has extended items.
    #[inline(always)]
    fn is_extended(&self) -> bool {
        self.related_activity_id.is_some() || !self.items.is_empty()
    }

    /// The header's flags.
    #[inline(always)]
    fn flags(&self) -> u16 {
        let extended = if self.is_extended() { EventFlags::EXTENDED_INFO.0 } else { 0 };
        let string_only = if self.string_only { EventFlags::STRING_ONLY.0 } else { 0 };
        extended | string_only
    }

    /// Bytes of the extended items.
    fn items_size(&self) -> usize {
        let related = if self.related_activity_id.is_some() { 24 } else { 0 };
        if self.items.is_empty() {
            related
        } else {
            encode::items_size(self.items).saturating_add(related)
        }
    }
}

/// Whose event it is, what it is and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) provider: &'a Guid,
    pub(crate) descriptor: &'a EventDescriptor,
    pub(crate) activity: Guid,
}

/// The headers of this event's records. Not written where they are used: there a closure would be
/// another one for each kind of payload, and all that takes it be compiled as often.
#[inline(always)]
fn classic_headers(event: &ClassicEvent) -> impl Fn(usize, Stamp) -> [u64; 6] {
    |len, stamp| classic_header(len, event, stamp)
}

/// The same of an event without extended items.
#[inline(always)]
fn event_headers(event: &Event<'_>) -> impl Fn(usize, Stamp) -> [u64; 10] {
    |len, stamp| event_header(len, event.head(), event.flags(), stamp)
}

/// What a record's header takes from its surroundings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) ticks: u64,
    /// Thread and process, as headers have them in one word.
    ids: u64,
}

/// The writing side of a [`Session`](crate::session::Session): cheap to clone, for any thread.
///
/// Writing never waits, unless the session was made so
/// ([`WhenFull::Block`](crate::session::WhenFull::Block),
/// [`one_lane`](crate::session::SessionBuilder::one_lane)). It allocates nothing and makes no
/// system call, but for a thread's first event in a session, when it takes a lane; so a thread that
/// logs from a signal handler should have logged before. An event that cannot be recorded is
/// discarded at once, and counted by cause.
///
/// In a forked child every event is refused as [`Discarded::Forked`]: the session is the parent's.
#[derive(Clone, Debug)]
pub struct SessionHandle {
    ring: Arc<Ring>,
    clock: Source,
    /// Bytes of the largest record.
    most: u32,
    /// How the messages that ask for a number get it.
    sequence: SequenceMode,
    /// Whether it bears the name of the session that only the kernel writes to.
    is_kernel_logger: bool,
    /// How long an event waits for a free buffer.
    patience: Option<Duration>,
    shared: Arc<Shared>,
}

impl SessionHandle {
    pub(crate) fn new(
        ring: Arc<Ring>,
        clock: Source,
        config: &Config,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            most: (ring.buffer_size() - HEADER_BYTES).min(u32::from(u16::MAX)),
            ring,
            clock,
            sequence: config.sequence,
            is_kernel_logger: config.is_kernel_logger(),
            patience: config.patience,
            shared,
        }
    }

    /// Records a classic event. The payload is whatever is bytes; an array, whose type says its
    /// length, costs a little less than a slice. What guards bytes, a `RefCell`'s borrow say, goes
    /// as `&guard[..]`.
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn write_classic<P: AsRef<[u8]> + ?Sized>(
        &self,
        event: &ClassicEvent,
        payload: &P,
    ) -> Result<(), Discarded> {
        self.record(payload, classic_headers(event))
    }

    /// Records a classic event whose payload lies in several places.
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn write_classic_parts(
        &self,
        event: &ClassicEvent,
        payload: &[&[u8]],
    ) -> Result<(), Discarded> {
        let len = total(payload).saturating_add(EventTraceHeader::SIZE);
        self.record_in_place(len, |bytes, stamp| {
            put_words(bytes, classic_header(len, event, stamp));
            put_parts(&mut bytes[EventTraceHeader::SIZE..], payload);
        })
    }

    /// Space for a classic event with up to `capacity` bytes of payload, to be written in place.
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn reserve_classic(
        &self,
        event: &ClassicEvent,
        capacity: usize,
    ) -> Result<Reservation<'_>, Discarded> {
        const HEADER: usize = EventTraceHeader::SIZE;
        let (mut space, stamp) = self.stamped(HEADER.saturating_add(capacity))?;
        put_words(space.bytes(), classic_header(HEADER, event, stamp));
        Ok(Reservation::new(space, HEADER, capacity))
    }

    /// Records an event. The payload is whatever is bytes, as in
    /// [`write_classic`](Self::write_classic).
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn write_event<P: AsRef<[u8]> + ?Sized>(
        &self,
        event: &Event<'_>,
        payload: &P,
    ) -> Result<(), Discarded> {
        if event.is_extended() {
            return self.write_event_parts(event, &[payload.as_ref()]);
        }
        self.record(payload, event_headers(event))
    }

    /// Records an event that has nothing besides head and payload. What it belongs to is asked for
    /// when its header is written: nothing is put together in memory before.
    #[inline(always)]
    pub(crate) fn write_plain<P: AsRef<[u8]> + ?Sized>(
        &self,
        provider: &Guid,
        descriptor: &EventDescriptor,
        activity: impl Fn() -> Guid,
        payload: &P,
    ) -> Result<(), Discarded> {
        self.record(payload, |len, stamp| {
            let head = Head { provider, descriptor, activity: activity() };
            event_header(len, head, EventFlags(0).0, stamp)
        })
    }

    /// Records an event whose payload lies in several places.
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn write_event_parts(&self, event: &Event<'_>, payload: &[&[u8]]) -> Result<(), Discarded> {
        let header = event.items_size().saturating_add(EventHeader::SIZE);
        let len = total(payload).saturating_add(header);
        self.record_in_place(len, |bytes, stamp| {
            put_event(bytes, len, event, stamp);
            put_parts(&mut bytes[header..], payload);
        })
    }

    /// Space for an event with up to `capacity` bytes of payload, to be written in place.
    ///
    /// # Errors
    ///
    /// Why it was [`Discarded`].
    #[inline]
    pub fn reserve_event(
        &self,
        event: &Event<'_>,
        capacity: usize,
    ) -> Result<Reservation<'_>, Discarded> {
        let header = event.items_size().saturating_add(EventHeader::SIZE);
        let (mut space, stamp) = self.stamped(header.saturating_add(capacity))?;
        put_event(space.bytes(), header, event, stamp);
        Ok(Reservation::new(space, header, capacity))
    }

    /// Whether events are recorded at this moment: neither paused nor stopped.
    #[inline]
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.ring.state() == RUNNING
    }

    /// How many buffers there are, and how many there may come to be.
    pub(crate) fn buffers(&self) -> (u32, u32) {
        (self.ring.buffers(), self.ring.most_buffers())
    }

    /// The session's ring.
    #[cfg(unix)]
    pub(crate) fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring)
    }

    /// How the session's clock is read.
    #[cfg(unix)]
    pub(crate) fn clock_source(&self) -> Source {
        self.clock
    }

    /// Whether the session belongs to the process that this one was forked from.
    pub(crate) fn is_of_parent(&self) -> bool {
        self.ring.is_of_parent()
    }

    /// Stops recording for a while, or resumes it. Events in between are refused as
    /// [`Discarded::Disabled`]; they do not count as lost.
    pub fn set_enabled(&self, enabled: bool) {
        self.ring.set_paused(!enabled);
    }

    /// Counters of this moment, without stopping anybody.
    #[must_use]
    pub fn query(&self) -> SessionStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sums = self.ring.sums();
        let mut stats = SessionStats {
            events_accepted: sums.accepted,
            lost: sums.lost,
            events_disabled: sums.disabled,
            events_after_stop: sums.stopped,
            buffers_written: load(&self.shared.buffers_written),
            buffers_lost: load(&self.shared.buffers_lost),
            buffers_free: self.ring.buffers_free(),
            buffers_total: self.ring.buffers(),
            buffer_size: self.ring.buffer_size(),
            lanes: self.ring.lanes_used(),
            ring_file: self.ring.is_in_file(),
        };
        stats.lost.add(&self.shared.lost());
        let others = self.shared.attached.sums();
        stats.events_accepted += others.events_accepted;
        let unwritten = stats.lost.io + stats.lost.file_full;
        stats.events_accepted = stats.events_accepted.saturating_sub(unwritten);
        stats.events_disabled += others.events_disabled;
        stats.events_after_stop += others.events_after_stop;
        stats.lost.add(&others.lost);
        stats
    }

    /// Records a header, made of its record's length and stamp, and the payload behind it.
    ///
    /// A function of its own: laid out in its callers it would have few registers to itself, and
    /// what it puts by at every event costs more than the call. And a generic one, so that it is
    /// compiled in the caller's crate: where that is a program its thread-locals are a load away; a
    /// library asks for their address by a call that the linker takes out, but all registers are
    /// saved for it. Where the payload is an array its length is known here too: that is six
    /// instructions and the choice of a way to copy.
    #[inline(never)]
    fn record<const N: usize, P: AsRef<[u8]> + ?Sized>(
        &self,
        payload: &P,
        header: impl Fn(usize, Stamp) -> [u64; N],
    ) -> Result<(), Discarded> {
        let payload = payload.as_ref();
        if payload.len() > SMALL {
            return self.record_long(payload, header);
        }
        let done = self.ring.record_quickly(
            payload,
            || self.quick_ticks(),
            |lane, ticks| header(8 * N + payload.len(), Stamp { ticks, ids: lane.ids() }),
        );
        if let Some(result) = done {
            return result;
        }
        self.record_generally(payload, header)
    }

    /// As [`record`](Self::record), a payload that is not short.
    #[inline(never)]
    fn record_long<const N: usize>(
        &self,
        payload: &[u8],
        header: impl Fn(usize, Stamp) -> [u64; N],
    ) -> Result<(), Discarded> {
        let len = payload.len().saturating_add(8 * N);
        self.record_in_place(len, |bytes, stamp| put_whole(bytes, header(len, stamp), payload))
    }

    /// As [`record`](Self::record), whatever the clock and the lane are like: the short way was
    /// tried. Cold, so that this lies in one piece.
    #[cold]
    #[inline(never)]
    fn record_generally<const N: usize>(
        &self,
        payload: &[u8],
        header: impl Fn(usize, Stamp) -> [u64; N],
    ) -> Result<(), Discarded> {
        let len = payload.len() + 8 * N;
        let (mut space, stamp) = self.stamped_generally(len)?;
        put_whole(space.padded(), header(len, stamp), payload);
        space.commit_all()
    }

    /// Records what `fill` writes into `len` bytes: all of them. The slice is as long as the next
    /// multiple of 8, and what lies behind `len` is zero already.
    pub(crate) fn record_in_place(
        &self,
        len: usize,
        fill: impl FnOnce(&mut [u8], Stamp),
    ) -> Result<(), Discarded> {
        let (mut space, stamp) = self.stamped(len)?;
        fill(space.padded(), stamp);
        space.commit_all()
    }

    /// Space for a record, and its stamp: by the path of nearly every event, if it can be.
    #[inline(always)]
    fn stamped(&self, len: usize) -> Result<(Space<'_>, Stamp), Discarded> {
        if len <= self.most as usize {
            #[expect(clippy::cast_possible_truncation, reason = "compared with a 32-bit number")]
            let quick = self.ring.space_quickly(len as u32, || self.quick_ticks());
            if let Some((space, ticks)) = quick {
                let stamp = Stamp { ticks, ids: space.lane().ids() };
                return Ok((space, stamp));
            }
        }
        // Taken apart and put together again: else the space would be one in memory at every event,
        // since here it comes by reference.
        let (space, stamp) = self.stamped_generally(len)?;
        Ok((space, stamp))
    }

    #[inline(never)]
    fn stamped_generally(&self, len: usize) -> Result<(Space<'_>, Stamp), Discarded> {
        let space = self.space(len)?;
        let stamp = self.stamp(space.lane());
        Ok((space, stamp))
    }

    #[inline(always)]
    fn space(&self, len: usize) -> Result<Space<'_>, Discarded> {
        if self.patience.is_some() { self.space_in_time(len) } else { self.space_now(len, true) }
    }

    /// Waits for space as long as the session's patience lasts. Between two tries the lane is left,
    /// or the flusher could not look after it.
    #[cold]
    fn space_in_time(&self, len: usize) -> Result<Space<'_>, Discarded> {
        let first = self.space_now(len, false);
        if !matches!(first, Err(Discarded::NoFreeBuffer)) {
            return first;
        }
        let deadline = Instant::now() + self.patience.unwrap_or_default();
        loop {
            while self.ring.buffers_free() == 0 && Instant::now() < deadline {
                if self.ring.state() != RUNNING {
                    break;
                }
                thread::sleep(PAUSE);
            }
            let last = Instant::now() >= deadline;
            match self.space_now(len, last) {
                // Another thread was quicker.
                Err(Discarded::NoFreeBuffer) if !last => {}
                result => return result,
            }
        }
    }

    /// Space for a record, or why there is none: counted, unless there is another try.
    #[inline(always)]
    fn space_now(&self, len: usize, last_try: bool) -> Result<Space<'_>, Discarded> {
        let entered = match self.ring.enter() {
            Ok(entered) => entered,
            Err(discarded) => return Err(self.without_lane(discarded)),
        };
        let state = entered.state();
        if state != RUNNING || len > self.most as usize {
            return Err(self.refuse(&entered, state));
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared with a 32-bit number")]
        let len = len as u32;
        entered.reserve(len).or_else(|entered| self.space_in_next_buffer(entered, len, last_try))
    }

    #[inline(always)]
    fn stamp(&self, lane: &Lane) -> Stamp {
        let ticks = match self.clock {
            Source::SystemTime => forward(self.clock.now(), lane),
            Source::Tick => self.ring.tick(),
            _ => self.clock.now(),
        };
        Stamp { ticks, ids: lane.ids() }
    }

    /// The time, where the clock is a quick one.
    #[inline(always)]
    fn quick_ticks(&self) -> Option<u64> {
        match self.clock {
            Source::Tick => Some(self.ring.tick()),
            Source::Counter => Some(Source::Counter.now()),
            _ => None,
        }
    }
}

/// The wall clock may be set back; the lane goes on from where it was.
#[inline(never)]
fn forward(ticks: u64, lane: &Lane) -> u64 {
    let last = &lane.tally.last_ticks;
    let ticks = ticks.max(last.load(Ordering::Relaxed));
    last.store(ticks, Ordering::Relaxed);
    ticks
}
