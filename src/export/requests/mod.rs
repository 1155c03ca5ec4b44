//! Requests of a web server, put together from the events of a log.
//!
//! ```text
//!   records by time ──► Requests::add ──► open requests, by the id that their events begin with
//!                                           │ ended, and a second of log time has passed
//!                                           ▼
//!                                         Request: facts, events in order of time
//! ```
//!
//! An event belongs to a request if it is one of IIS, or raised as IIS does, and its first item is
//! a GUID other than zero. A request begins with its first event, so one whose beginning is not in
//! the log is there, too; the event that starts a request of an id which is known begins a new one.
//!
//! Memory is bounded: an event that would make a request larger than the limit is counted and left
//! out, and when all open requests together become too large, those without news for longest are
//! given out as they are.

mod event;
mod rules;
mod texts;

pub use event::{ItemKind, RequestEvent, RequestItem, error_text};
pub use rules::{
    Failure, FailureReason, FailureRules, ParseRulesError, StatusCode, StatusRange, StatusRanges,
};

use crate::export::Entry;
use crate::format::{FileTime, Guid};
use crate::schema::iis::AREAS;
use event::Names;
pub(crate) use event::braced;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Log time that a request waits behind its end for events that other threads logged late, in
/// units of 100 ns.
const LINGER: i64 = 10_000_000;
/// Bytes that the events of all open requests may take, about.
const MOST_BYTES: usize = 512 << 20;
/// Class of the events that start and end a request.
const GENERAL: Guid = AREAS[0].guid;
/// Their types.
const START: u8 = 1;
const END: u8 = 2;

/// One request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The id that its events have in common.
    pub activity: Guid,
    /// What was asked for; empty if the log does not say.
    pub url: Arc<str>,
    /// `GET`, `POST`, ...
    pub verb: Arc<str>,
    /// The site's number.
    pub site: Option<u32>,
    /// The application pool.
    pub app_pool: Arc<str>,
    /// The process that served it.
    pub process_id: u32,
    /// The user as the client named it.
    pub remote_user: Arc<str>,
    /// The user that was authenticated.
    pub user: Arc<str>,
    /// How; as an event names it.
    pub authentication: Option<Arc<str>>,
    /// What was answered, once the request has ended.
    pub status: Option<StatusCode>,
    /// The first status that a module set for an error.
    pub error_status: Option<StatusCode>,
    /// Time of its start, or of its first event.
    pub start: FileTime,
    /// Time of its end, or of its last event.
    pub end: FileTime,
    /// Whether its start is in the log.
    pub has_start: bool,
    /// Whether its end is in the log.
    pub has_end: bool,
    /// Its events, by time.
    pub events: Vec<RequestEvent>,
    /// Events that were left out, for there were too many.
    pub left_out: u64,
    bytes: usize,
    /// Number of the request, in the order of their first events.
    serial: u64,
}

impl Request {
    /// From start to end, in units of 100 ns.
    #[must_use]
    pub fn duration(&self) -> i64 {
        self.end.0.saturating_sub(self.start.0).max(0)
    }

    /// From start to end, in whole milliseconds.
    #[must_use]
    pub fn time_taken_ms(&self) -> u64 {
        u64::try_from(self.duration() / 10_000).unwrap_or(0)
    }

    /// The most severe level of its events, from 1 critical error on; `None` if none is above 0.
    #[must_use]
    pub fn worst_level(&self) -> Option<u8> {
        self.events.iter().map(|event| event.level).filter(|level| *level > 0).min()
    }

    /// Takes over what an event says of its request.
    fn take_facts(&mut self, event: &RequestEvent) {
        let is_general = event.event_guid == GENERAL && event.is_known;
        if is_general && event.opcode == START {
            self.has_start = true;
            self.start = event.time;
            self.url = event.text("RequestURL");
            self.verb = event.text("RequestVerb");
            self.app_pool = event.text("AppPoolId");
            self.site = event.number("SiteId");
            self.process_id = event.process_id;
        } else if is_general && event.opcode == END {
            self.has_end = true;
            self.end = event.time;
            self.status = status_of(event);
        } else {
            match &*event.name {
                "AUTH_SUCCEEDED" => {
                    self.remote_user = event.text("RemoteUserName");
                    self.user = event.text("AuthUserName");
                    let kind = event.items.iter().find(|item| &*item.name == "AuthType");
                    self.authentication =
                        kind.map(|item| item.description.clone().unwrap_or(item.value.clone()));
                }
                "USER_SET" => self.user = event.text("UserName"),
                "MODULE_SET_RESPONSE_ERROR_STATUS" if self.error_status.is_none() => {
                    self.error_status = status_of(event);
                }
                _ => {}
            }
        }
        if !self.has_end {
            self.end = self.end.max(event.time);
        }
    }

    fn in_order(mut self) -> Self {
        self.events.sort_by_key(|event| event.time);
        self
    }
}

fn status_of(event: &RequestEvent) -> Option<StatusCode> {
    let status = u16::try_from(event.number("HttpStatus")?).ok()?;
    let substatus = event.number("HttpSubStatus").and_then(|sub| u16::try_from(sub).ok());
    Some(StatusCode { status, substatus: substatus.unwrap_or(0) })
}

/// Puts requests together.
#[derive(Debug)]
pub struct Requests {
    open: HashMap<Guid, Request>,
    /// Ends of requests that wait for late events: time, id, serial.
    ending: VecDeque<(FileTime, Guid, u64)>,
    names: Names,
    linger: i64,
    most_bytes: usize,
    bytes: usize,
    next: u64,
}

impl Requests {
    /// Nothing yet. The events of one request may take `most_bytes` of memory, about.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self {
            open: HashMap::new(),
            ending: VecDeque::new(),
            names: Names::default(),
            linger: LINGER,
            most_bytes,
            bytes: 0,
            next: 0,
        }
    }

    /// Waits so long behind the end of a request for events that come late: of log time, a second
    /// where nothing else is asked for.
    #[must_use]
    pub fn linger(self, time: Duration) -> Self {
        Self { linger: i64::try_from(time.as_nanos() / 100).unwrap_or(i64::MAX), ..self }
    }

    /// Takes in a record, if it is an event of a request, and calls `done` with requests that are
    /// over. Records should come by time; the events of a request are sorted in any case.
    pub fn add(&mut self, entry: &Entry<'_, '_>, mut done: impl FnMut(Request)) {
        let Some((activity, event)) = RequestEvent::of(entry, &mut self.names) else { return };
        self.flush(event.time, &mut done);
        let starts = event.event_guid == GENERAL && event.opcode == START && event.is_known;
        if starts && self.open.get(&activity).is_some_and(|request| request.has_start) {
            self.finish_one(activity, &mut done);
        }
        let next = &mut self.next;
        let request = self.open.entry(activity).or_insert_with(|| {
            *next = next.saturating_add(1);
            Request {
                activity,
                process_id: event.process_id,
                start: event.time,
                end: event.time,
                serial: *next,
                ..Request::default()
            }
        });
        let had_end = request.has_end;
        request.take_facts(&event);
        if request.has_end && !had_end {
            self.ending.push_back((event.time, activity, request.serial));
        }
        let bytes = event.bytes();
        if request.bytes.saturating_add(bytes) > self.most_bytes {
            request.left_out = request.left_out.saturating_add(1);
            return;
        }
        request.bytes = request.bytes.saturating_add(bytes);
        request.events.push(event);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            self.make_room(&mut done);
        }
    }

    /// Calls `done` with the requests that ended long enough before `now`. Called by
    /// [`add`](Self::add); of use where a log is read while it is written.
    pub fn flush(&mut self, now: FileTime, mut done: impl FnMut(Request)) {
        while let Some((end, activity, serial)) = self.ending.front().copied() {
            if now.0.saturating_sub(end.0) <= self.linger {
                break;
            }
            self.ending.pop_front();
            // Another one may have the id by now.
            if self.open.get(&activity).is_some_and(|request| request.serial == serial) {
                self.finish_one(activity, &mut done);
            }
        }
    }

    /// Calls `done` with all that are left, in the order of their beginnings.
    pub fn finish(mut self, done: impl FnMut(Request)) {
        let mut left: Vec<_> = self.open.drain().map(|(_, request)| request).collect();
        left.sort_unstable_by_key(|request| request.serial);
        left.into_iter().map(Request::in_order).for_each(done);
    }

    fn finish_one(&mut self, activity: Guid, done: &mut impl FnMut(Request)) {
        if let Some(request) = self.open.remove(&activity) {
            self.bytes = self.bytes.saturating_sub(request.bytes);
            done(request.in_order());
        }
    }

    /// Gives out the half of the open requests that had no event for longest.
    #[cold]
    fn make_room(&mut self, done: &mut impl FnMut(Request)) {
        let last = |request: &Request| request.events.last().map_or(request.start, |e| e.time);
        let mut ages: Vec<_> =
            self.open.values().map(|request| (last(request), request.activity)).collect();
        ages.sort_unstable();
        for (_, activity) in ages.iter().take(ages.len().div_ceil(2)) {
            self.finish_one(*activity, done);
        }
    }
}
