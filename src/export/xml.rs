//! `Event` elements as Windows' tracerpt writes them, for tools that read its files.
//!
//! Children in this order: `System`; `EventData`, or `ProcessingErrorData` with the payload as hex
//! where there is no schema; `RenderingInfo`; for classic records `ExtendedTracingInfo`. Bytes that
//! no field took are a `Data` of the name `win:ExtraPayload`. A character that XML 1.0 cannot hold
//! is written as `\u{1b}`.
//!
//! Different from tracerpt: times are UTC, texts are those of the file's own metadata.

use crate::codec::RecordHeader;
use crate::export::{Entry, text::is_unsafe};
use crate::format::{Group, Guid};
use crate::schema::{Shape, Text, Value, Visitor};
use std::convert::Infallible;
use std::fmt::Display;
use std::io::Write;

/// What stands before the first element.
pub const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Events>\n";
/// What stands behind the last element.
pub const TAIL: &str = "</Events>\n";

const EVENT: &str = "http://schemas.microsoft.com/win/2004/08/events/event";
const TRACE: &str = "http://schemas.microsoft.com/win/2004/08/events/trace";
/// What tracerpt names as the provider of all kernel events.
const KERNEL: Guid = Guid::from_u128(0x9e814aad_3204_11d2_9a82_006008a86939);
/// No event metadata (`ERROR_EVT_INVALID_EVENT_DATA` is another).
const NO_METADATA: u32 = 15003;

/// Appends the element of one record, without a line end.
pub fn event(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    put(out, format_args!("<Event xmlns=\"{EVENT}\">"));
    system(out, entry);
    data(out, entry);
    rendering(out, entry);
    if let (true, Some(class)) = (is_classic(entry), entry.view.provider()) {
        put(
            out,
            format_args!(
                "<ExtendedTracingInfo xmlns=\"{TRACE}\"><EventGuid>{{{class}}}</EventGuid>\
                 </ExtendedTracingInfo>"
            ),
        );
    }
    out.extend_from_slice(b"</Event>");
}

fn is_classic(entry: &Entry<'_, '_>) -> bool {
    !matches!(entry.view.header(), RecordHeader::Event(_) | RecordHeader::Message(_))
}

fn system(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    let view = entry.view;
    let descriptor = view.descriptor();
    out.extend_from_slice(b"<System><Provider");
    let kernel = view.group().is_some();
    if let (false, Some(name)) = (kernel, entry.event.provider_name()) {
        attribute(out, "Name", name);
    }
    if let Some(guid) = view.provider().map(|guid| if kernel { KERNEL } else { guid }) {
        put(out, format_args!(" Guid=\"{{{guid}}}\""));
    }
    out.extend_from_slice(b" />");
    let id = if is_classic(entry) { 0 } else { view.id().unwrap_or(0) };
    element(out, "EventID", id);
    element(out, "Version", view.version().unwrap_or(0));
    element(out, "Level", view.level().unwrap_or(0));
    element(out, "Task", descriptor.map_or(0, |d| d.task.get()));
    element(out, "Opcode", view.opcode().unwrap_or(0));
    element(out, "Keywords", Value::Hex(descriptor.map_or(0, |d| d.keyword.get())));
    let time = Value::FileTime(u64::try_from(entry.time.0).unwrap_or(0)).to_string();
    // tracerpt writes nine digits of the second.
    let time = time.strip_suffix('Z').unwrap_or(&time);
    put(out, format_args!("<TimeCreated SystemTime=\"{time}00+00:00\" />"));
    let activity = view.activity_id().unwrap_or(Guid::ZERO);
    put(out, format_args!("<Correlation ActivityID=\"{{{activity}}}\""));
    let related = view.items().map_while(Result::ok);
    let related =
        related.filter(|item| item.ext_type == crate::format::ExtType::RELATED_ACTIVITYID);
    if let Some(related) = related.filter_map(|item| item.guid()).next() {
        put(out, format_args!(" RelatedActivityID=\"{{{related}}}\""));
    }
    let (kernel_time, user_time) = processor_times(entry);
    let (pid, tid) = (view.process_id().unwrap_or(u32::MAX), view.thread_id().unwrap_or(u32::MAX));
    put(
        out,
        format_args!(
            " /><Execution ProcessID=\"{pid}\" ThreadID=\"{tid}\" ProcessorID=\"{}\" \
             KernelTime=\"{kernel_time}\" UserTime=\"{user_time}\" />",
            entry.lane
        ),
    );
    match entry.event.names().and_then(|names| names.channel.as_deref()) {
        Some(channel) => text_element(out, "Channel", channel),
        None => out.extend_from_slice(b"<Channel />"),
    }
    out.extend_from_slice(b"<Computer /></System>");
}

/// Kernel and user time of the thread, in ms.
fn processor_times(entry: &Entry<'_, '_>) -> (u64, u64) {
    let (kernel, user) = match entry.view.header() {
        RecordHeader::Event(header) => (header.kernel_time, header.user_time),
        RecordHeader::Classic(header) => (header.kernel_time, header.user_time),
        RecordHeader::System(header) => (header.kernel_time, header.user_time),
        _ => return (0, 0),
    };
    let ms = |ticks: u32| u64::from(ticks) * u64::from(entry.timer_resolution / 10_000);
    (ms(kernel.get()), ms(user.get()))
}

fn data(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    let start = out.len();
    out.extend_from_slice(b"<EventData>");
    let mut visitor = Data { out, arrays: Vec::new() };
    let Some(walked) = entry.event.walk(&mut visitor) else {
        out.truncate(start);
        put(
            out,
            format_args!(
                "<ProcessingErrorData><ErrorCode>{NO_METADATA}</ErrorCode><DataItemName />\
                 <EventPayload>{}</EventPayload></ProcessingErrorData>",
                Value::Binary(entry.event.payload())
            ),
        );
        return;
    };
    if !walked.rest.is_empty() {
        out.extend_from_slice(b"<Data Name=\"win:ExtraPayload\" Type=\"win:ErrorMoreData\">0x");
        put(out, format_args!("{}</Data>", Value::Binary(walked.rest)));
    }
    out.extend_from_slice(b"</EventData>");
}

/// An element of an array has the array's name.
struct Data<'o> {
    out: &'o mut Vec<u8>,
    /// Names of the arrays that are open; empty for a structure.
    arrays: Vec<String>,
}

impl Data<'_> {
    fn open(&mut self, element: &str, name: &str) {
        let name = match self.arrays.last() {
            Some(array) if name.is_empty() => array.as_str(),
            _ => name,
        };
        put(self.out, format_args!("<{element}"));
        attribute(self.out, "Name", name);
        self.out.push(b'>');
    }
}

impl Visitor for Data<'_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.open("Data", name);
        match value {
            Value::Text(text) => characters(self.out, *text),
            Value::Mapped { .. } => characters(self.out, Text::Utf8(&value.to_string())),
            Value::Guid(guid) => put(self.out, format_args!("{{{guid}}}")),
            Value::Binary(bytes) if !bytes.is_empty() => {
                put(self.out, format_args!("0x{}", Value::Binary(bytes)));
            }
            other => put(self.out, format_args!("{other}")),
        }
        self.out.extend_from_slice(b"</Data>");
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        match shape {
            Shape::Array => {
                let name = match self.arrays.last() {
                    Some(array) if name.is_empty() => array.clone(),
                    _ => name.to_owned(),
                };
                self.arrays.push(name);
            }
            Shape::Struct => {
                self.open("ComplexData", name);
                self.arrays.push(String::new());
            }
        }
    }

    fn end(&mut self, shape: Shape) {
        self.arrays.pop();
        if shape == Shape::Struct {
            self.out.extend_from_slice(b"</ComplexData>");
        }
    }
}

fn rendering(out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
    let event = entry.event;
    out.extend_from_slice(b"<RenderingInfo Culture=\"en-US\">");
    if is_classic(entry) {
        if let Some(name) = event.name() {
            text_element(out, "Opcode", name);
        }
        let kernel = entry.view.group().is_some();
        if let Some(provider) =
            if kernel { Some("MSNT_SystemTrace") } else { event.provider_name() }
        {
            text_element(out, "Provider", provider);
        }
        let class = entry.view.group().and_then(Group::name).and(event.provider_name());
        if let Some(class) = class {
            put(out, format_args!("<EventName xmlns=\"{TRACE}\">"));
            characters(out, Text::Utf8(class));
            out.extend_from_slice(b"</EventName>");
        }
    } else if let Some(names) = event.names() {
        if let Some(message) = event.message() {
            text_element(out, "Message", &message);
        }
        let parts = [("Level", &names.level), ("Task", &names.task), ("Opcode", &names.opcode)];
        for (element, text) in parts {
            if let Some(text) = text {
                text_element(out, element, text.strip_prefix("win:").unwrap_or(text));
            }
        }
        if !names.keywords.is_empty() {
            out.extend_from_slice(b"<Keywords>");
            names.keywords.iter().for_each(|keyword| text_element(out, "Keyword", keyword));
            out.extend_from_slice(b"</Keywords>");
        }
        if let Some(channel) = &names.channel {
            text_element(out, "Channel", channel);
        }
        if let Some(provider) = event.provider_name() {
            text_element(out, "Provider", provider);
        }
    } else {
        if let Some(message) = event.message() {
            text_element(out, "Message", &message);
        }
        if let Some(name) = event.name() {
            text_element(out, "Task", name);
        }
        if let Some(provider) = event.provider_name() {
            text_element(out, "Provider", provider);
        }
    }
    out.extend_from_slice(b"</RenderingInfo>");
}

fn element(out: &mut Vec<u8>, name: &str, value: impl Display) {
    put(out, format_args!("<{name}>{value}</{name}>"));
}

fn text_element(out: &mut Vec<u8>, name: &str, text: &str) {
    put(out, format_args!("<{name}>"));
    characters(out, Text::Utf8(text));
    put(out, format_args!("</{name}>"));
}

fn attribute(out: &mut Vec<u8>, name: &str, text: &str) {
    put(out, format_args!(" {name}=\""));
    characters(out, Text::Utf8(text));
    out.push(b'"');
}

/// Character data; good between quotes, too.
fn characters(out: &mut Vec<u8>, text: Text<'_>) {
    let Ok(()) = text.try_each(|c| {
        match c {
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '&' => out.extend_from_slice(b"&amp;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\t' | '\n' | '\r' => put(out, format_args!("&#{};", u32::from(c))),
            c if is_unsafe(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                put(out, format_args!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok::<(), Infallible>(())
    });
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}
