//! Records a log of made-up requests of a web server: `requests FILE [REQUESTS [EVENTS]]`.
//!
//! Some of them fail, some are slow; with `--hostile` in place of nothing the texts in them are
//! what means harm to pages: tags, quotes, ends of scripts.

use etlring::format::Guid;
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::session::{Session, WhenFull};
use std::error::Error;
use std::time::Duration;

const MODULES: [&str; 8] = [
    "UriCacheModule",
    "HttpCacheModule",
    "AnonymousAuthenticationModule",
    "RequestFilteringModule",
    "StaticCompressionModule",
    "ManagedPipelineHandler",
    "CustomErrorModule",
    "HttpLoggingModule",
];
const PATHS: [&str; 6] = [
    "/",
    "/shop/cart.aspx?item=4711&count=2",
    "/images/logo-large@2x.png",
    "/api/v2/orders/2026-11-22/items",
    "/account/login?ReturnUrl=%2Faccount%2Fhistory",
    "/download/reports/quarterly/2026/Q3/summary-with-a-rather-long-name.pdf",
];
const HOSTILE: &str = "</script><script>document.title='owned'</script><!--<script>\
    <img src=x onerror=\"document.title='owned'\">\u{2028}\u{2029}'\"&amp;${1}`";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: requests FILE [REQUESTS [EVENTS]] [--hostile]")?;
    let rest: Vec<_> = arguments.collect();
    let hostile = rest.iter().any(|argument| argument == "--hostile");
    let mut numbers = rest.iter().filter_map(|argument| argument.parse::<u32>().ok());
    let (requests, events) = (numbers.next().unwrap_or(40), numbers.next().unwrap_or(60));

    let session = Session::builder("requests")
        .log_file(&path)
        .when_full(WhenFull::Block(Duration::from_secs(10)))
        .start()?;
    session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5))?;
    let server = HttpServer::new();
    for number in 0..requests {
        one(&server, number, events, if hostile { HOSTILE } else { "" })?;
    }
    session.stop()?;
    Ok(())
}

/// An item; a name that is short enough to be said fifty times.
fn new<'a>(name: &'a str, data: impl Into<HttpTraceData<'a>>) -> HttpTraceEventItem<'a> {
    HttpTraceEventItem::new(name, data)
}

/// One request of about `events` events.
fn one(server: &HttpServer, number: u32, events: u32, text: &str) -> Result<(), HResult> {
    let activity = Guid::from_u128(0x9800_0080_0000_00fa + u128::from(number));
    let context = server.request_context(activity, "ManagedPipelineHandler");
    let path = PATHS[number as usize % PATHS.len()];
    let url = format!("http://shop.example:80{path}{text}");
    let status: u32 = [200, 200, 304, 404, 200, 500, 200, 302, 200, 403][number as usize % 10];
    let raise =
        |area_name: &str, event: u32, name: &str, level, items: &[HttpTraceEventItem<'_>]| {
            let mut areas = etlring::schema::iis::AREAS.iter();
            let Some(area) = areas.find(|area| area.name == area_name) else {
                return Err(HResult::E_FAIL);
            };
            let id =
                HttpTraceEventItem::new("ContextId", HttpTraceData::null(HttpTraceType::LPCGUID));
            let items: Vec<_> = [id].into_iter().chain(items.iter().copied()).collect();
            let event = HttpTraceEvent {
                area: area.mask,
                area_guid: area.guid,
                event,
                event_name: name,
                event_version: 1,
                verbosity: level,
                event_items: &items,
                ..HttpTraceEvent::of(guids::WWW_SERVER)
            };
            context.raise_trace_event(&event).ok()
        };
    raise(
        "",
        1,
        "GENERAL_REQUEST_START",
        0,
        &[
            new("SiteId", 1u32),
            new("AppPoolId", "DefaultAppPool"),
            new("ConnId", 0xf900_0000_6000_0001u64),
            new("RawConnId", 0u64),
            new("RequestURL", url.as_str()),
            new("RequestVerb", if number % 4 == 1 { b"POST" } else { b"GET\0" }),
        ],
    )?;
    if events <= 1 {
        return Ok(());
    }
    let headers = format!("Host: shop.example\r\nAccept: text/html\r\nX-Text: {text}\r\n");
    raise("", 50, "GENERAL_REQUEST_HEADERS", 4, &[new("Headers", headers.as_bytes())])?;
    raise("Authentication", 10, "AUTH_START", 4, &[new("AuthTypeSupported", 1u32)])?;
    raise(
        "Authentication",
        11,
        "AUTH_SUCCEEDED",
        4,
        &[
            new("AuthType", 1u32),
            new("NTLMUsed", false),
            new("RemoteUserName", text),
            new("AuthUserName", text),
            new("TokenImpersonationLevel", 3u32),
        ],
    )?;
    raise("Authentication", 28, "AUTH_END", 4, &[])?;
    for at in 0..events.saturating_sub(10).div_ceil(2) {
        let module = MODULES[at as usize % MODULES.len()];
        let notification = 1u32 << (at * 12 / events.max(1) % 12);
        let post = at % 3 == 2;
        raise(
            "RequestNotifications",
            1,
            "NOTIFY_MODULE_START",
            5,
            &[
                new("ModuleName", module),
                new("Notification", notification),
                new("fIsPostNotification", post),
            ],
        )?;
        if at == 3 {
            raise(
                "Cache",
                10,
                "FILE_CACHE_ACCESS_START",
                4,
                &[
                    new("FileName", "C:\\inetpub\\wwwroot\\web.config"),
                    new("UserName", ""),
                    new("DomainName", text),
                ],
            )?;
            std::thread::sleep(Duration::from_micros(u64::from(number % 7) * 700));
            raise(
                "Cache",
                11,
                "FILE_CACHE_ACCESS_END",
                4,
                &[
                    new("Successful", true),
                    new("FileFromCache", false),
                    new("FileAddedToCache", true),
                    new("FileDirmoned", true),
                    new("LastModCheckErrorIgnored", true),
                    new("ErrorCode", 0u32),
                    new("LastModifiedTime", b""),
                ],
            )?;
        }
        if at == 5 && status >= 400 {
            let hint = if text.is_empty() { "Check the physical path" } else { text };
            context.quick_trace("cart", Some(hint), HResult(-2_147_024_891), 3).ok()?;
            raise(
                "RequestNotifications",
                16,
                "MODULE_SET_RESPONSE_ERROR_STATUS",
                3,
                &[
                    new("ModuleName", module),
                    new("Notification", notification),
                    new("HttpStatus", status),
                    new("HttpReason", b"Not Found"),
                    new("HttpSubStatus", 0u16),
                    new("ErrorCode", 0x8007_0002u32),
                    new("ConfigExceptionInfo", text),
                ],
            )?;
        }
        if at == 6 && status == 500 {
            context.quick_trace("order service", Some(text), HResult::E_FAIL, 2).ok()?;
            std::thread::sleep(Duration::from_millis(6));
        }
        raise(
            "RequestNotifications",
            2,
            "NOTIFY_MODULE_END",
            5,
            &[
                new("ModuleName", module),
                new("Notification", notification),
                new("fIsPostNotificationEvent", post),
                new("NotificationStatus", 0u32),
            ],
        )?;
    }
    raise(
        "",
        2,
        "GENERAL_REQUEST_END",
        0,
        &[
            new("BytesSent", 5031u32),
            new("BytesReceived", 412u32),
            new("HttpStatus", status),
            new("HttpSubStatus", u16::from(status == 404)),
        ],
    )
}
