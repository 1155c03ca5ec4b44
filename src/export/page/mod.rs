//! The requests of a log as one page to look at: summary, nested events, errors, times, a timeline.
//!
//! The page is whole in itself: it loads nothing, and a policy in it forbids it to. Events are in
//! it as data, which a script shows as text and nothing else; no byte of an event can end the
//! element that holds them, for every `<` in it is written as an escape.
//!
//! `page.html`, `page.css` and `page.js` beside this file are put together as they are.

use crate::export::json;
use crate::export::requests::{Failure, Request};
use crate::format::FileTime;
use std::collections::HashMap;
use std::sync::Arc;

const HTML: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page that requests are added to.
#[derive(Debug)]
pub struct Page {
    /// The objects of the requests, between commas.
    requests: Vec<u8>,
    strings: Strings,
    count: u64,
}

/// Texts that are said often, each written once.
#[derive(Debug, Default)]
struct Strings {
    numbers: HashMap<Arc<str>, u64>,
    all: Vec<Arc<str>>,
}

impl Strings {
    fn number(&mut self, text: &Arc<str>) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.numbers.insert(text.clone(), number);
        self.all.push(text.clone());
        number
    }
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// A page without requests.
    #[must_use]
    pub fn new() -> Self {
        let mut strings = Strings::default();
        // Number 0 stands for no meaning.
        strings.number(&Arc::default());
        Self { requests: Vec::new(), strings, count: 0 }
    }

    /// How many requests it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a request. What made it a failed one is shown, if `failure` says so.
    pub fn add(&mut self, request: &Request, failure: Option<&Failure>) {
        if self.count > 0 {
            self.requests.push(b',');
        }
        self.count = self.count.saturating_add(1);
        self.object(request, failure);
    }

    /// The page, in UTF-8. `source` says where the requests are from.
    #[must_use]
    pub fn finish(self, source: &str) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.requests.len().saturating_add(4096));
        data.extend_from_slice(b"{\"source\":");
        json::string(&mut data, source);
        data.extend_from_slice(b",\"strings\":[");
        for (at, text) in self.strings.all.iter().enumerate() {
            if at > 0 {
                data.push(b',');
            }
            json::string(&mut data, text);
        }
        data.extend_from_slice(b"],\"requests\":[");
        data.extend_from_slice(&self.requests);
        data.extend_from_slice(b"]}");

        let mut page = Vec::with_capacity(data.len().saturating_add(1 << 16));
        for part in HTML.split("{{") {
            let rest = match part.split_once("}}") {
                Some(("style", rest)) => {
                    page.extend_from_slice(STYLE.trim_end().as_bytes());
                    rest
                }
                Some(("script", rest)) => {
                    page.extend_from_slice(SCRIPT.trim_end().as_bytes());
                    rest
                }
                Some(("data", rest)) => {
                    put_data(&mut page, &data);
                    rest
                }
                _ => part,
            };
            page.extend_from_slice(rest.as_bytes());
        }
        page
    }

    fn object(&mut self, request: &Request, failure: Option<&Failure>) {
        let Self { requests: out, strings, .. } = self;
        let first = request.events.first().map_or(request.start, |event| event.time);
        let start = first.min(request.start);
        let last = request.events.last().map_or(request.end, |event| event.time);
        let micros = |time: FileTime| time.0.saturating_sub(start.0) / 10;
        out.extend_from_slice(b"{\"id\":");
        json::string(out, &crate::export::requests::braced(request.activity));
        let mut text = |key: &str, value: &str| {
            json::key(out, key);
            json::string(out, value);
        };
        text("url", &request.url);
        text("verb", &request.verb);
        text("pool", &request.app_pool);
        text("user", &request.user);
        text("remote", &request.remote_user);
        text("auth", request.authentication.as_deref().unwrap_or_default());
        text("status", &request.status.map(|code| code.to_string()).unwrap_or_default());
        let trigger = failure.map(|failure| failure.trigger).or(request.error_status);
        let trigger = trigger.filter(|trigger| trigger.status != 0);
        text("trigger", &trigger.map(|trigger| trigger.to_string()).unwrap_or_default());
        text("reason", failure.map(|failure| failure.reason.name()).unwrap_or_default());
        text("site", &request.site.map(|site| site.to_string()).unwrap_or_default());
        json::key(out, "pid");
        json::number(out, u64::from(request.process_id));
        json::key(out, "start");
        let millis = start.to_unix_nanos().div_euclid(1_000_000);
        // What a date of JavaScript can hold.
        json::signed(
            out,
            i64::try_from(millis).unwrap_or(0).clamp(-62_135_596_800_000, 253_402_300_799_999),
        );
        json::key(out, "taken");
        json::signed(out, request.duration() / 10);
        json::key(out, "span");
        json::signed(out, micros(last.max(request.end)));
        json::key(out, "whole");
        out.extend_from_slice(if request.has_start && request.has_end {
            b"true"
        } else {
            b"false"
        });
        json::key(out, "left");
        json::number(out, request.left_out);
        json::key(out, "levels");
        let mut levels = [0u64; 4];
        for event in &request.events {
            if let Some(count) = levels.get_mut(usize::from(event.level)) {
                *count = count.saturating_add(1);
            }
        }
        let [_, critical, error, warning] = levels;
        out.extend_from_slice(format!("[0,{critical},{error},{warning}]").as_bytes());
        json::key(out, "events");
        out.push(b'[');
        for (at, event) in request.events.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let names = [&event.name, &event.provider_name, &event.area_name];
            out.push(b'[');
            for name in names {
                json::number(out, strings.number(name));
                out.push(b',');
            }
            let (level, opcode) = (event.level, event.opcode);
            let (at, pid, tid) = (micros(event.time), event.process_id, event.thread_id);
            out.extend_from_slice(format!("{level},{opcode},{at},{pid},{tid},[").as_bytes());
            for (at, item) in event.items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.push(b'[');
                json::number(out, strings.number(&item.name));
                out.push(b',');
                json::string(out, &item.value);
                out.push(b',');
                let meaning = item.meaning();
                json::number(out, meaning.map_or(0, |meaning| strings.number(&meaning)));
                out.push(b']');
            }
            out.extend_from_slice(b"]]");
        }
        out.extend_from_slice(b"]}");
    }
}

/// Writes JSON so that it can stand in an element `script`: there a `<` can end the element, or
/// begin a comment that hides its end. In JSON it stands in strings only.
fn put_data(page: &mut Vec<u8>, data: &[u8]) {
    for part in data.split_inclusive(|byte| *byte == b'<') {
        match part.split_last() {
            Some((b'<', before)) => {
                page.extend_from_slice(before);
                page.extend_from_slice(b"\\u003c");
            }
            _ => page.extend_from_slice(part),
        }
    }
}
