//! Who raises events, for which request, and who wants them.

use crate::format::Guid;
use crate::iis::{HResult, HttpTraceData, HttpTraceEvent, HttpTraceEventItem, HttpTraceType};
use crate::iis::{guids, kinds, kinds::Kind, pack};
use crate::provider::{Enable, Provider};
use crate::schema::iis::{OUTLINE_CLASS, OUTLINE_TYPE, Outline, OutlineItem, PROVIDERS, area};
use crate::session::{ClassicEvent, ControlError, Controller, Discarded, SessionHandle};
use std::cell::Cell;
use std::fmt;

/// The class and type of the records that explain others.
const OUTLINE: ClassicEvent = ClassicEvent::new(OUTLINE_CLASS, OUTLINE_TYPE, 0);

/// The most verbose level there is.
const VERBOSE: u32 = 5;

/// Bytes of items for which room is made before they are looked at. In the last part of a buffer
/// that is less, events go the general way.
const ROOM: usize = 1024;

/// A keyword that no area has: who wants it wants the general area alone.
const NO_AREA: u64 = 1 << 63;

thread_local! {
    /// Where outlines are put together that are written with each event.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A server with its providers (`IHttpServer`): where contexts come from.
///
/// It has the providers of IIS. Others are [added](Self::add_provider), with the names of their
/// areas, which events do not carry themselves.
#[derive(Debug)]
pub struct HttpServer {
    providers: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    guid: Guid,
    provider: Provider,
    areas: Vec<NamedArea>,
}

/// An area of a provider that is not one of IIS (`area` in `traceProviderDefinitions`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedArea {
    /// Its bit.
    pub mask: u32,
    /// What it is called.
    pub name: String,
}

impl Default for HttpServer {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpServer {
    /// A server with the providers of IIS.
    #[must_use]
    pub fn new() -> Self {
        let of_iis = PROVIDERS.iter().map(|known| Known {
            guid: known.guid,
            provider: Provider::register(known.guid, known.name),
            areas: Vec::new(),
        });
        Self { providers: of_iis.collect() }
    }

    /// Adds a provider with the names of its areas, or renames one.
    pub fn add_provider(&mut self, guid: Guid, name: &str, areas: &[(u32, &str)]) {
        let area = |(mask, name): &(u32, &str)| NamedArea { mask: *mask, name: (*name).to_owned() };
        self.providers.retain(|known| known.guid != guid);
        self.providers.push(Known {
            guid,
            provider: Provider::register(guid, name),
            areas: areas.iter().map(area).collect(),
        });
    }

    /// The context of one request in one module (`IHttpContext::GetTraceContext`).
    #[must_use]
    pub fn request_context<'s>(&'s self, activity: Guid, module: &'s str) -> HttpTraceContext<'s> {
        HttpTraceContext { server: self, activity: Some(activity), module }
    }

    /// The context of no request (`IHttpServer::GetTraceContext`).
    #[must_use]
    pub fn global_context<'s>(&'s self, module: &'s str) -> HttpTraceContext<'s> {
        HttpTraceContext { server: self, activity: None, module }
    }

    #[inline]
    fn find(&self, guid: Guid) -> Option<&Known> {
        self.providers.iter().find(|known| known.guid == guid)
    }
}

/// A module that gets events (`HTTP_MODULE_ID`): one that has a session for them.
#[derive(Clone, Debug)]
pub struct HttpModule {
    session: Controller,
}

impl HttpModule {
    /// A module whose events go into this session.
    #[must_use]
    pub fn new(session: &Controller) -> Self {
        Self { session: session.clone() }
    }
}

/// What is wanted of a provider (`HTTP_TRACE_CONFIGURATION`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpTraceConfiguration {
    /// Which provider. [`guids::ALL`] are all of a server.
    pub provider_guid: Option<Guid>,
    /// Bits of the areas that are wanted. The general area always is.
    pub areas: u32,
    /// The most verbose level that is wanted, up to 5. As recorders are asked so, 0 is as 1.
    pub verbosity: u32,
    /// Whether anything is.
    pub provider_enabled: bool,
}

/// Raises the events of one request, or of the server (`IHttpTraceContext`).
///
/// It is made for a request, costs nothing to make, and may be used by any thread.
#[derive(Clone, Copy)]
pub struct HttpTraceContext<'s> {
    server: &'s HttpServer,
    activity: Option<Guid>,
    module: &'s str,
}

impl fmt::Debug for HttpTraceContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { activity, module, .. } = self;
        f.debug_struct("HttpTraceContext")
            .field("activity", activity)
            .field("module", module)
            .finish_non_exhaustive()
    }
}

impl HttpTraceContext<'_> {
    /// The id of the request (`GetTraceActivityId`).
    #[must_use]
    pub fn activity_id(&self) -> Option<Guid> {
        self.activity
    }

    /// Says what all sessions together want of a provider (`GetTraceConfiguration`):
    /// `provider_enabled` in any case, the rest if that is true. `S_OK` also for a provider that
    /// does not exist, of which nothing is wanted.
    pub fn trace_configuration(&self, configuration: &mut HttpTraceConfiguration) -> HResult {
        let Some(guid) = configuration.provider_guid else { return HResult::INVALID_PARAMETER };
        let wanted = self.server.find(guid).and_then(|known| known.provider.wanted());
        configuration.provider_enabled = wanted.is_some();
        if let Some((level, areas)) = wanted {
            configuration.verbosity = u32::from(level).min(VERBOSE);
            configuration.areas = match areas {
                u64::MAX => guids::ALL_AREAS,
                areas => low(areas),
            };
        }
        HResult::S_OK
    }

    /// Changes what a module wants (`SetTraceConfiguration`), one configuration after the other up
    /// to the first that cannot be.
    ///
    /// | answer | when |
    /// |---|---|
    /// | `S_OK` | done, also with nothing to do |
    /// | `ERROR_INVALID_PARAMETER` | a configuration names no provider |
    /// | `ERROR_NOT_FOUND` | a provider is to be disabled that the server does not have |
    /// | `E_OUTOFMEMORY` | eight other sessions have enabled the provider |
    /// | `E_FAIL` | the module's session has stopped |
    pub fn set_trace_configuration(
        &self,
        module: &HttpModule,
        configurations: &[HttpTraceConfiguration],
    ) -> HResult {
        for configuration in configurations {
            let Some(guid) = configuration.provider_guid else { return HResult::INVALID_PARAMETER };
            let result = if guid == guids::ALL {
                let mut all = self.server.providers.iter();
                all.try_for_each(|known| set(&module.session, known.guid, configuration))
            } else if !configuration.provider_enabled && self.server.find(guid).is_none() {
                return HResult::NOT_FOUND;
            } else {
                set(&module.session, guid, configuration)
            };
            match result {
                Ok(()) => {}
                Err(ControlError::TooManySessions(_) | ControlError::TooManyProviders(_)) => {
                    return HResult::E_OUTOFMEMORY;
                }
                Err(_) => return HResult::E_FAIL,
            }
        }
        HResult::S_OK
    }

    /// Raises an event (`RaiseTraceEvent`).
    ///
    /// | answer | when |
    /// |---|---|
    /// | `S_OK` | a session that wants it has it; also if none wants it |
    /// | `E_FAIL` | it cannot be a record: its number is above 255, its version above 65,535, a value is not of its type, or all of it is larger than a buffer or 64 KiB |
    /// | `E_OUTOFMEMORY` | no session that wants it had a buffer free; each has counted it as lost |
    ///
    /// What nobody wants is not looked at.
    #[inline]
    pub fn raise_trace_event(&self, event: &HttpTraceEvent<'_>) -> HResult {
        let Some(known) = self.server.find(event.provider_guid) else { return HResult::S_OK };
        let level = u8::try_from(event.verbosity).unwrap_or(u8::MAX);
        if !known.provider.is_enabled(level, u64::from(event.area)) {
            return HResult::S_OK;
        }
        self.raise(known, level, event)
    }

    /// Raises an event of the area of modules, about this context's module (`QuickTrace`). Levels
    /// are 1 critical error, 2 error, 3 warning, 4 information, 5 verbose, 6 start, 7 end; any
    /// other one is `E_FAIL`.
    pub fn quick_trace(
        &self,
        data1: &str,
        data2: Option<&str>,
        last_error: HResult,
        level: u8,
    ) -> HResult {
        let (number, name, verbosity) = match level {
            1 => (3, "MODULE_CRITICAL_ERROR", 1),
            2 => (4, "MODULE_ERROR", 2),
            3 => (5, "MODULE_WARNING", 3),
            4 => (6, "MODULE_INFORMATION", 4),
            5 => (7, "MODULE_VERBOSE", 5),
            6 => (1, "MODULE_START", 4),
            7 => (2, "MODULE_END", 4),
            _ => return HResult::E_FAIL,
        };
        let items = [
            HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID)),
            HttpTraceEventItem::new("ModuleName", self.module),
            HttpTraceEventItem::new("Data1", data1),
            HttpTraceEventItem::new("Data2", data2.unwrap_or_default()),
            HttpTraceEventItem::new("ErrorCode", last_error.code()),
        ];
        self.raise_trace_event(&HttpTraceEvent {
            area: 0x200,
            area_guid: guids::MODULE,
            event: number,
            event_name: name,
            event_version: 1,
            verbosity,
            flags: HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS,
            event_items: &items,
            ..HttpTraceEvent::of(guids::WWW_SERVER)
        })
    }

    /// Records an event that is wanted. Nearly every one takes the first of two paths: one session
    /// wants it and knows its kind, and it is not large.
    #[inline(never)]
    fn raise(&self, known: &Known, level: u8, event: &HttpTraceEvent<'_>) -> HResult {
        let (Ok(class_type), Ok(version)) =
            (u8::try_from(event.event), u16::try_from(event.event_version))
        else {
            return HResult::E_FAIL;
        };
        let Some(survey) = pack::survey(event.event_items) else { return HResult::E_FAIL };
        let activity = event.activity_guid.as_ref().or(self.activity.as_ref());
        let activity = activity.unwrap_or(&Guid::ZERO);
        // As IIS writes it: the level is in the tables and outlines, not in the record.
        let record = ClassicEvent { class: event.area_guid, class_type, level: 0, version };
        let kind = kinds::kind_of(event, survey.key);
        let capacity = survey.capacity;
        if capacity <= ROOM - pack::SLACK {
            let written = known.provider.write_quickly(level, u64::from(event.area), |session| {
                if !is_told(session, kind) {
                    return None;
                }
                session.write_classic_within::<ROOM>(&record, |room| {
                    pack::pack(event.event_items, activity, room)
                })
            });
            match written {
                Some(Ok(_)) => return HResult::S_OK,
                Some(Err(discarded)) => return answer(discarded),
                None => {}
            }
        }
        raise_generally(known, level, event, &Parts { record, activity, kind, capacity })
    }
}

/// What is known of an event that is to be recorded.
struct Parts<'a> {
    record: ClassicEvent,
    activity: &'a Guid,
    kind: Kind,
    /// Bytes that its items take at most.
    capacity: usize,
}

/// Records an event in all sessions that want it, whatever they and the event are like.
#[inline(never)]
fn raise_generally(
    known: &Known,
    level: u8,
    event: &HttpTraceEvent<'_>,
    Parts { record, activity, kind, capacity }: &Parts<'_>,
) -> HResult {
    let capacity = pack::with_slack(*capacity);
    let fill = |out: &mut [u8]| pack::pack(event.event_items, activity, out);
    let written = known.provider.write_with(level, u64::from(event.area), &|session| {
        if is_told(session, *kind) {
            return session.write_classic_with(record, capacity, fill);
        }
        with_outline(session, known, event, *kind, &|outline| {
            session.write_explained(record, Some((&OUTLINE, outline)), capacity, &fill)
        })
    });
    written.map_or_else(answer, |_| HResult::S_OK)
}

/// Whether the log of a session says already what a reader has to know of these events.
#[inline(always)]
fn is_told(session: &SessionHandle, kind: Kind) -> bool {
    match kind {
        Kind::Known => true,
        Kind::Static(number) => session.preamble().has_told(number),
        Kind::Described => false,
    }
}

/// What it means to the caller that no session has the event.
#[cold]
fn answer(discarded: Discarded) -> HResult {
    match discarded {
        Discarded::TooLarge => HResult::E_FAIL,
        _ => HResult::E_OUTOFMEMORY,
    }
}

/// Writes an event with the payload of an outline in front of it.
type Write<'a> = &'a dyn Fn(&[u8]) -> Result<(), Discarded>;

/// Records an event with an outline in front of it, and keeps the outline for other files of the
/// log if its names are static.
#[cold]
fn with_outline(
    session: &SessionHandle,
    known: &Known,
    event: &HttpTraceEvent<'_>,
    kind: Kind,
    write: Write<'_>,
) -> Result<(), Discarded> {
    // Taken, so that a signal handler that comes in between finds an empty one.
    let mut payload = SCRATCH.try_with(Cell::take).unwrap_or_default();
    payload.clear();
    put_outline(known, event, &mut payload);
    let kept = match kind {
        Kind::Static(number) => {
            session.keep_explanation(number, &OUTLINE, &payload).then_some(number)
        }
        _ => None,
    };
    let result = write(&payload);
    if let (Some(number), Ok(())) = (kept, result) {
        session.preamble().told(number);
    }
    // At the end of a thread there is none to give it back to.
    let _ = SCRATCH.try_with(|scratch| scratch.set(payload));
    result
}

fn put_outline(known: &Known, event: &HttpTraceEvent<'_>, out: &mut Vec<u8>) {
    let named = known.areas.iter().find(|area| area.mask == event.area);
    let own = area(event.area_guid).filter(|area| area.mask == event.area);
    let outline = Outline {
        provider: event.provider_guid,
        area_guid: event.area_guid,
        area: event.area,
        number: u8::try_from(event.event).unwrap_or_default(),
        level: u8::try_from(event.verbosity).unwrap_or(u8::MAX),
        version: u16::try_from(event.event_version).unwrap_or_default(),
        provider_name: known.provider.name(),
        area_name: match (named, own) {
            (Some(area), _) => &area.name,
            (None, Some(area)) => area.name,
            (None, None) => "",
        },
        event_name: event.event_name,
        items: Vec::new(),
    };
    let items = event.event_items.iter().map(|item| OutlineItem {
        name: item.name,
        item_type: item.data_type(),
        meaning: item.data.to_number().zip(item.data_description),
    });
    outline.write_of(items, |part| out.extend_from_slice(part));
}

/// Has a session want a provider's events, or not.
fn set(
    session: &Controller,
    provider: Guid,
    configuration: &HttpTraceConfiguration,
) -> Result<(), ControlError> {
    if !configuration.provider_enabled {
        return session.disable_provider(provider);
    }
    let level = u8::try_from(configuration.verbosity.min(VERBOSE)).unwrap_or(5).max(1);
    let areas = match u64::from(configuration.areas) {
        0 => NO_AREA,
        areas => areas,
    };
    session.enable_provider(provider, &Enable::new().level(level).any_keyword(areas))
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}
