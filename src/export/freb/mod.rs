//! Failed Request Tracing documents (FREB): one XML document for each request, as IIS writes them.
//!
//! ```text
//!   <failedRequest url="…" statusCode="404.7" …>
//!     <Event>  <System/>  <EventData/>  <RenderingInfo/>  <ExtendedTracingInfo/>  </Event>
//!     …
//!   </failedRequest>
//! ```
//!
//! Lines end in CR LF. Text that a document cannot hold, or that steers a terminal, is written as
//! `\u{1b}`; a lone CR or LF as a character reference, so that no value changes where lines do.
//!
//! What a log does not say is empty: the user of the token. The computer is named by the
//! caller.
//!
//! Source: Microsoft, `HTTP_TRACE_EVENT` (the example), the pages on Failed Request Tracing;
//! spec/18-iis.md.

use crate::export::requests::{Failure, ItemKind, Request, RequestEvent, RequestItem, braced};
use crate::export::text::is_unsafe;
use crate::format::{FileTime, Guid};
use crate::schema::Value;
use crate::schema::iis::AREAS;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

const EVENT: &str = "http://schemas.microsoft.com/win/2004/08/events/event";
const TRACE: &str = "http://schemas.microsoft.com/win/2004/08/events/trace";
const FREB: &str = "http://schemas.microsoft.com/win/2006/06/iis/freb";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\r\n\
                    <?xml-stylesheet type='text/xsl' href='freb.xsl'?>\r\n";
const TAIL: &str = "</failedRequest>\r\n";
/// The name of the event that says that a document was cut.
const CUT: &str = "LOG_FILE_MAX_SIZE_TRUNCATE";

/// How documents are written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The computer that served the requests; a log does not name it.
    pub computer: String,
    /// Bytes of a document (`maxLogFileSizeKB`, 1,024 KiB): events from the one on that would make
    /// it larger are left out, and the document says so. 0 is no limit.
    pub most_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { computer: String::new(), most_bytes: 1 << 20 }
    }
}

/// The name of the document with this number, from 1 on: `fr000001.xml`.
#[must_use]
pub fn file_name(number: u64) -> String {
    format!("fr{number:06}.xml")
}

/// The document of a request.
#[must_use]
pub fn document(request: &Request, failure: &Failure, options: &Options) -> Vec<u8> {
    let mut out = HEAD.as_bytes().to_vec();
    let attributes: [(&str, Cow<'_, str>); 15] = [
        ("url", (&*request.url).into()),
        ("siteId", request.site.unwrap_or(0).to_string().into()),
        ("appPoolId", (&*request.app_pool).into()),
        ("processId", request.process_id.to_string().into()),
        ("verb", (&*request.verb).into()),
        ("remoteUserName", (&*request.remote_user).into()),
        ("userName", (&*request.user).into()),
        ("tokenUserName", "".into()),
        ("authenticationType", authentication(request).into()),
        ("activityId", braced(request.activity).into()),
        ("failureReason", failure.reason.name().into()),
        ("statusCode", request.status.unwrap_or_default().to_string().into()),
        ("triggerStatusCode", failure.trigger.to_string().into()),
        ("timeTaken", request.time_taken_ms().to_string().into()),
        ("xmlns:freb", FREB.into()),
    ];
    out.extend_from_slice(b"<failedRequest");
    for (at, (name, value)) in attributes.iter().enumerate() {
        let gap = if at == 0 { " " } else { "\r\n               " };
        out.extend_from_slice(format!("{gap}{name}=\"{}\"", quoted(value)).as_bytes());
    }
    out.extend_from_slice(b"\r\n               >\r\n");
    let most = if options.most_bytes == 0 { usize::MAX } else { options.most_bytes };
    for event in &request.events {
        let before = out.len();
        out = put_event(out, request.activity, event, options);
        if out.len().saturating_add(TAIL.len()) > most {
            out.truncate(before);
            return cut(out, request, event, options);
        }
    }
    if request.left_out > 0 {
        if let Some(last) = request.events.last() {
            return cut(out, request, last, options);
        }
    }
    out.extend_from_slice(TAIL.as_bytes());
    out
}

/// Ends a document that was cut in front of `event`.
fn cut(out: Vec<u8>, request: &Request, event: &RequestEvent, options: &Options) -> Vec<u8> {
    let [general, ..] = AREAS else { return out };
    let context = RequestItem {
        name: "ContextId".into(),
        value: braced(request.activity).into(),
        kind: ItemKind::Guid,
        description: None,
    };
    let mark = RequestEvent {
        name: CUT.into(),
        provider: general.provider.guid,
        provider_name: general.provider.name.into(),
        event_guid: general.guid,
        opcode: 0,
        version: 1,
        level: 3,
        keywords: 0,
        area_name: Arc::default(),
        items: vec![context],
        ..event.clone()
    };
    let mut out = put_event(out, request.activity, &mark, options);
    out.extend_from_slice(TAIL.as_bytes());
    out
}

/// As the attribute has it, which is not as the event has it.
fn authentication(request: &Request) -> &str {
    match request.authentication.as_deref() {
        None => "NOT_AVAILABLE",
        Some("ANONYMOUS" | "1") => "anonymous",
        Some("BASIC" | "2") => "Basic",
        Some("NTLM" | "4") => "NTLM",
        Some("DIGEST" | "16") => "Digest",
        Some(other) => other,
    }
}

/// Appends the element of one event.
fn put_event(out: Vec<u8>, activity: Guid, event: &RequestEvent, options: &Options) -> Vec<u8> {
    let mut element = Element { writer: Writer::new(out), depth: 0 };
    // Writing into a vector cannot fail.
    let _ = element.event(activity, event, options);
    element.writer.into_inner()
}

struct Element {
    writer: Writer<Vec<u8>>,
    depth: usize,
}

impl Element {
    fn event(&mut self, activity: Guid, event: &RequestEvent, options: &Options) -> io::Result<()> {
        self.open("Event", &[("xmlns", EVENT)])?;
        self.system(activity, event, options)?;
        self.open("EventData", &[])?;
        for item in &event.items {
            self.leaf("Data", &[("Name", &item.name)], &item.value)?;
        }
        self.close("EventData")?;
        self.rendering(event)?;
        self.open("ExtendedTracingInfo", &[("xmlns", TRACE)])?;
        self.leaf("EventGuid", &[], &braced(event.event_guid))?;
        self.close("ExtendedTracingInfo")?;
        self.close("Event")
    }

    fn system(
        &mut self,
        activity: Guid,
        event: &RequestEvent,
        options: &Options,
    ) -> io::Result<()> {
        self.open("System", &[])?;
        let guid = braced(event.provider);
        self.empty("Provider", &[("Name", &event.provider_name), ("Guid", &guid)])?;
        self.leaf("EventID", &[], "0")?;
        self.leaf("Version", &[], &event.version.to_string())?;
        self.leaf("Level", &[], &event.level.to_string())?;
        self.leaf("Opcode", &[], &event.opcode.to_string())?;
        self.leaf("Keywords", &[], &format!("{:#x}", event.keywords))?;
        self.empty("TimeCreated", &[("SystemTime", &time(event.time))])?;
        self.empty("Correlation", &[("ActivityID", &braced(activity))])?;
        let (process, thread) = (event.process_id.to_string(), event.thread_id.to_string());
        self.empty("Execution", &[("ProcessID", &process), ("ThreadID", &thread)])?;
        self.leaf("Computer", &[], &options.computer)?;
        self.close("System")
    }

    fn rendering(&mut self, event: &RequestEvent) -> io::Result<()> {
        self.open("RenderingInfo", &[("Culture", "en-US")])?;
        self.leaf("Opcode", &[], &event.name)?;
        if !event.area_name.is_empty() {
            self.open("Keywords", &[])?;
            self.leaf("Keyword", &[], &event.area_name)?;
            self.close("Keywords")?;
        }
        for item in &event.items {
            if let Some(text) = item.meaning() {
                self.leaf("freb:Description", &[("Data", &item.name)], &text)?;
            }
        }
        self.close("RenderingInfo")
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.indent()?;
        self.writer.write_event(Event::Start(start(name, attributes)))?;
        self.line()?;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, name: &str) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        self.indent()?;
        self.writer.write_event(Event::End(BytesEnd::new(name)))?;
        self.line()
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
        self.indent()?;
        self.writer.write_event(Event::Start(start(name, attributes)))?;
        self.writer.write_event(Event::Text(BytesText::from_escaped(escaped(text))))?;
        self.writer.write_event(Event::End(BytesEnd::new(name)))?;
        self.line()
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        self.indent()?;
        self.writer.write_event(Event::Empty(start(name, attributes)))?;
        self.line()
    }

    fn indent(&mut self) -> io::Result<()> {
        let blanks = "   ".get(..self.depth).unwrap_or_default();
        self.writer.write_event(Event::Text(BytesText::from_escaped(blanks)))
    }

    fn line(&mut self) -> io::Result<()> {
        self.writer.write_event(Event::Text(BytesText::from_escaped("\r\n")))
    }
}

fn start<'n>(name: &'n str, attributes: &[(&str, &str)]) -> BytesStart<'n> {
    let mut start = BytesStart::new(name);
    for (name, value) in attributes {
        // As bytes a value is taken for one that is escaped.
        start.push_attribute((name.as_bytes(), quoted(value).as_bytes()));
    }
    start
}

/// UTC with milliseconds: `2007-08-27T21:10:30.186Z`.
fn time(time: FileTime) -> String {
    let text = Value::FileTime(u64::try_from(time.0).unwrap_or(0)).to_string();
    match text.split_once('.') {
        Some((second, fraction)) => format!("{second}.{}Z", fraction.get(..3).unwrap_or("000")),
        None => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

/// Text as an element holds it.
fn escaped(text: &str) -> Cow<'_, str> {
    escaped_for(text, false)
}

/// Text as an attribute holds it: there, lines and tabs would become blanks.
fn quoted(text: &str) -> Cow<'_, str> {
    escaped_for(text, true)
}

fn escaped_for(text: &str, is_attribute: bool) -> Cow<'_, str> {
    if !text.chars().any(is_special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().saturating_add(16));
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' if !is_attribute => out.push('\t'),
            '\r' if !is_attribute && characters.next_if_eq(&'\n').is_some() => {
                out.push_str("\r\n");
            }
            // Writing into a string cannot fail.
            '\t' | '\r' | '\n' => drop(write!(out, "&#x{:X};", u32::from(c))),
            c if is_special(c) => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether a character cannot stand in a document as it is, or would steer what shows it.
fn is_special(c: char) -> bool {
    is_unsafe(c) || matches!(c, '<' | '>' | '&' | '"' | '\u{fffe}' | '\u{ffff}')
}
