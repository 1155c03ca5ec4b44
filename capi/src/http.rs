//! The events of IIS modules: what `etlring_iis.hpp` is built on.

use crate::names;
use crate::promise::{Array, Layout, Place, Text, Wide, give, layout};
use crate::session::Session;
use crate::status::{self, Failure, INVALID_PARAMETER, Status};
use crate::types::{Data, Guid};
use etlring::format;
use etlring::iis::{
    HResult, HttpModule, HttpServer, HttpTraceConfiguration, HttpTraceData, HttpTraceEvent,
    HttpTraceEventItem, HttpTraceType, guids,
};
use std::cell::Cell;

/// `etlring_http_server`.
#[derive(Debug)]
pub struct HttpServerObject(HttpServer);

/// `etlring_http_item`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HttpItem<'a> {
    name: Wide<'a>,
    r#type: u32,
    data: *const u8,
    data_size: u32,
    description: Wide<'a>,
}

/// `etlring_http_event`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HttpEvent<'a> {
    provider: Option<&'a Guid>,
    area: u32,
    area_guid: Option<&'a Guid>,
    event: u32,
    event_name: Wide<'a>,
    event_version: u32,
    verbosity: u32,
    activity: Option<&'a Guid>,
    related: Option<&'a Guid>,
    time_stamp: u32,
    flags: u32,
    item_count: u32,
    items: Array<'a, HttpItem<'a>>,
}

/// `etlring_http_configuration`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HttpConfiguration<'a> {
    provider: Option<&'a Guid>,
    areas: u32,
    verbosity: u32,
    enabled: i32,
}

/// `etlring_http_area`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HttpArea<'a> {
    name: Text<'a>,
    mask: u32,
}

/// The constants of the header that start with `ETLRING_`, by the rest of their names.
pub const CONSTANTS: &[(&str, u32)] =
    &[("S_OK", 0), ("HTTP_STATIC_DESCRIPTIVE_FIELDS", HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS)];

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[
    layout!("etlring_http_item": HttpItem<'_> { name, r#type, data, data_size, description }),
    layout!("etlring_http_event": HttpEvent<'_> {
        provider, area, area_guid, event, event_name, event_version, verbosity, activity, related,
        time_stamp, flags, item_count, items,
    }),
    layout!("etlring_http_configuration": HttpConfiguration<'_> {
        provider, areas, verbosity, enabled,
    }),
    layout!("etlring_http_area": HttpArea<'_> { name, mask }),
];

/// The most verbose level there is.
const VERBOSE: u32 = 5;
/// Items for which no list is allocated.
const FEW: usize = 16;

thread_local! {
    /// Where texts are turned into UTF-8. Taken while it is in use, so that a signal handler that
    /// comes in between finds an empty one.
    static SCRATCH: Cell<String> = const { Cell::new(String::new()) };
}

/// Runs a call that answers with an `HRESULT`: the failures of its arguments are those of Win32.
fn call(body: impl FnOnce() -> Result<HResult, Failure>) -> i32 {
    const WIN32: u32 = 0x8007_0000;
    let mut answer = HResult::E_FAIL;
    let status = status::call(|| {
        answer = body()?;
        Ok(())
    });
    match status {
        status::OK => answer.0,
        status::INTERNAL_ERROR => HResult::E_FAIL.0,
        status => i32::from_le_bytes((WIN32 | status).to_le_bytes()),
    }
}

/// `etlring_http_server_create`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_server_create(server: Place<'_, HttpServerObject>) -> Status {
    status::call(|| {
        let place = server.ok_or_else(|| Failure::null("server"))?;
        give(Some(place), "server", HttpServerObject(HttpServer::new()))
    })
}

/// `etlring_http_server_add_provider`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_server_add_provider<'a>(
    server: Option<&mut HttpServerObject>,
    provider: Option<&Guid>,
    name: Text<'_>,
    count: u32,
    areas: Array<'a, HttpArea<'a>>,
) -> Status {
    status::call(|| {
        let server = server.ok_or_else(Failure::no_handle)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        // SAFETY: the header says that `areas` has `count` elements.
        let areas = unsafe { areas.of(count as usize)? };
        let named = areas.iter().map(|area| Ok((area.mask, area.name.utf8("areas->name")?)));
        let named: Result<Vec<_>, Failure> = named.collect();
        server.0.add_provider((*provider).into(), name.utf8("name")?, &named?);
        Ok(())
    })
}

/// `etlring_http_server_free`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_server_free(server: Option<Box<HttpServerObject>>) {
    status::call_or((), || drop(server));
}

/// `etlring_http_raise`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_raise(
    server: Option<&HttpServerObject>,
    activity: Option<&Guid>,
    event: Option<&HttpEvent<'_>>,
) -> i32 {
    call(|| {
        let server = &server.ok_or_else(Failure::no_handle)?.0;
        let event = event.ok_or_else(|| Failure::null("event"))?;
        let provider = event.provider.ok_or_else(|| Failure::null("event->provider"))?;
        let provider = (*provider).into();
        if !may_want(server, provider, event) {
            return Ok(HResult::S_OK);
        }
        // SAFETY: the header says that `items` has `item_count` elements.
        let items = unsafe { event.items.of(event.item_count as usize)? };
        let context = match activity {
            Some(activity) => server.request_context((*activity).into(), ""),
            None => server.global_context(""),
        };
        let raise = |event: &HttpTraceEvent<'_>| context.raise_trace_event(event);
        if event.flags & HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS != 0 {
            let kept = event.with(provider, event.flags, items, names::kept, &raise)?;
            if let Some(answer) = kept {
                return Ok(answer);
            }
        }
        let mut scratch = SCRATCH.take();
        let answer = event.with_copies(provider, items, &mut scratch, &raise);
        SCRATCH.set(scratch);
        answer
    })
}

/// Whether a session may want the event, so that its names need not be looked at if none does.
fn may_want(server: &HttpServer, provider: format::Guid, event: &HttpEvent<'_>) -> bool {
    let mut wanted = HttpTraceConfiguration { provider_guid: Some(provider), ..Default::default() };
    let found = server.global_context("").trace_configuration(&mut wanted);
    let area = event.area;
    found.is_ok()
        && wanted.provider_enabled
        && event.verbosity.min(VERBOSE) <= wanted.verbosity
        && (area == 0 || area & wanted.areas != 0 || wanted.areas == guids::ALL_AREAS)
}

/// Hands an event on, and gives the answer.
type Raise<'a> = &'a dyn Fn(&HttpTraceEvent<'_>) -> HResult;

impl HttpEvent<'_> {
    /// Raises the event with names that `text` gives; `None` if it has none for one of them.
    fn with<'t>(
        &self,
        provider: format::Guid,
        flags: u32,
        items: &[HttpItem<'_>],
        mut text: impl FnMut(Wide<'_>) -> Option<&'t str>,
        raise: Raise<'_>,
    ) -> Result<Option<HResult>, Failure> {
        let empty = HttpTraceEventItem::new("", 0u8);
        let (mut few, mut many) = ([empty; FEW], Vec::new());
        let list = match few.get_mut(..items.len()) {
            Some(list) => list,
            None => {
                many.resize(items.len(), empty);
                &mut many[..]
            }
        };
        let Some(event_name) = text(self.event_name) else { return Ok(None) };
        for (at, (item, to)) in items.iter().zip(&mut *list).enumerate() {
            let Some(name) = text(item.name) else { return Ok(None) };
            *to = HttpTraceEventItem { name, data: item.data(at)?, data_description: None };
            if item.description.address() != 0 {
                let Some(description) = text(item.description) else { return Ok(None) };
                to.data_description = Some(description);
            }
        }
        let area_guid = self.area_guid.ok_or_else(|| Failure::null("event->area_guid"))?;
        Ok(Some(raise(&HttpTraceEvent {
            area: self.area,
            area_guid: (*area_guid).into(),
            event: self.event,
            event_name,
            event_version: self.event_version,
            verbosity: self.verbosity,
            activity_guid: self.activity.map(|guid| (*guid).into()),
            related_activity_guid: self.related.map(|guid| (*guid).into()),
            time_stamp: self.time_stamp,
            flags,
            event_items: list,
            ..HttpTraceEvent::of(provider)
        })))
    }

    /// The same with names that may be others the next time.
    fn with_copies(
        &self,
        provider: format::Guid,
        items: &[HttpItem<'_>],
        scratch: &mut String,
        raise: Raise<'_>,
    ) -> Result<HResult, Failure> {
        scratch.clear();
        let mut ends = Vec::with_capacity(1 + 2 * items.len());
        let mut copy = |name: Wide<'_>| {
            name.append_to(scratch);
            ends.push(scratch.len());
        };
        copy(self.event_name);
        for item in items {
            copy(item.name);
            if item.description.address() != 0 {
                copy(item.description);
            }
        }
        // They are asked for in the order in which they were copied.
        let (mut start, mut ends) = (0, ends.into_iter());
        let text = |_: Wide<'_>| {
            let end = ends.next()?;
            let text = scratch.get(start..end);
            start = end;
            text
        };
        let flags = self.flags & !HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS;
        let raised = self.with(provider, flags, items, text, raise)?;
        Ok(raised.unwrap_or(HResult::E_FAIL))
    }
}

impl<'a> HttpItem<'a> {
    fn data(&self, at: usize) -> Result<HttpTraceData<'a>, Failure> {
        let known = |kind: &HttpTraceType| u32::from(kind.0) == self.r#type;
        let Some(kind) = HttpTraceType::ALL.into_iter().find(known) else {
            let words = format!("items[{at}].type {} is not known", self.r#type);
            return Err(Failure::new(INVALID_PARAMETER, words));
        };
        if self.data.is_null() {
            return Ok(HttpTraceData::null(kind));
        }
        // SAFETY: the header says so of an item.
        let data = unsafe { Data::new(self.data, self.data_size as usize) };
        Ok(HttpTraceData::bytes(kind, data.bytes()))
    }
}

/// `etlring_http_get_configuration`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_get_configuration(
    server: Option<&HttpServerObject>,
    configuration: Option<&mut HttpConfiguration<'_>>,
) -> i32 {
    call(|| {
        let server = &server.ok_or_else(Failure::no_handle)?.0;
        let configuration = configuration.ok_or_else(|| Failure::null("configuration"))?;
        let mut found = HttpTraceConfiguration::from(&*configuration);
        let answer = server.global_context("").trace_configuration(&mut found);
        configuration.enabled = found.provider_enabled.into();
        if found.provider_enabled {
            (configuration.areas, configuration.verbosity) = (found.areas, found.verbosity);
        }
        Ok(answer)
    })
}

/// `etlring_http_set_configuration`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_set_configuration<'a>(
    server: Option<&HttpServerObject>,
    session: Option<&Session>,
    count: u32,
    configurations: Array<'a, HttpConfiguration<'a>>,
) -> i32 {
    call(|| {
        let server = &server.ok_or_else(Failure::no_handle)?.0;
        let session = session.ok_or_else(Failure::no_handle)?;
        // SAFETY: the header says that `configurations` has `count` elements.
        let configurations = unsafe { configurations.of(count as usize)? };
        let wanted: Vec<_> = configurations.iter().map(HttpTraceConfiguration::from).collect();
        let module = HttpModule::new(session.controller());
        Ok(server.global_context("").set_trace_configuration(&module, &wanted))
    })
}

impl From<&HttpConfiguration<'_>> for HttpTraceConfiguration {
    fn from(from: &HttpConfiguration<'_>) -> Self {
        Self {
            provider_guid: from.provider.map(|guid| (*guid).into()),
            areas: from.areas,
            verbosity: from.verbosity,
            provider_enabled: from.enabled != 0,
        }
    }
}

/// `etlring_http_quick_trace`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_http_quick_trace(
    server: Option<&HttpServerObject>,
    activity: Option<&Guid>,
    module: Text<'_>,
    data1: Wide<'_>,
    data2: Wide<'_>,
    last_error: i32,
    level: u8,
) -> i32 {
    call(|| {
        let server = &server.ok_or_else(Failure::no_handle)?.0;
        let module = module.utf8("module")?;
        let context = match activity {
            Some(activity) => server.request_context((*activity).into(), module),
            None => server.global_context(module),
        };
        let (mut first, mut second) = (String::new(), String::new());
        data1.append_to(&mut first);
        data2.append_to(&mut second);
        Ok(context.quick_trace(&first, Some(&second), HResult(last_error), level))
    })
}
