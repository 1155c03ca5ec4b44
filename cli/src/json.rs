//! JSON on its way out: lines gathered before they are written, and the library's writers.

pub(crate) use etlring::export::json::{
    guid, hex_bytes, hex_string, hex32, key, number, optional, string,
};
use etlring::export::text::is_unsafe;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;

/// A report as JSON, indented, with a line end. What could steer a terminal is escaped: JSON itself
/// wants that of the first 32 characters only.
pub(crate) fn report(value: &Value) -> String {
    line(&format!("{value:#}"))
}

/// The same on one line.
pub(crate) fn short_report(value: &Value) -> String {
    line(&value.to_string())
}

/// Characters that need it stand in strings only, but for the ends of lines.
fn line(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if is_unsafe(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

/// Bytes gathered before they go to standard output.
const FLUSH_BYTES: usize = 128 * 1024;

/// Lines on their way out.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    /// What is written next; append to it.
    pub(crate) text: Vec<u8>,
    out: W,
}

impl<W: Write> Lines<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { text: Vec::with_capacity(FLUSH_BYTES + 4096), out }
    }

    /// Ends a line; writes what has gathered if that is enough.
    pub(crate) fn end(&mut self) -> std::io::Result<()> {
        self.text.push(b'\n');
        if self.text.len() >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes what has gathered.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        let written = self.out.write_all(&self.text).and_then(|()| self.out.flush());
        self.text.clear();
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reports_say_the_same_and_steer_nothing() {
        let value = json!({"a\u{9b}": ["\u{7f}\u{202e}\n\\\"", "\u{e0001}é"], "b": 1.5});
        for text in [report(&value), short_report(&value)] {
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            assert!(!text.chars().any(|c| is_unsafe(c) && c != '\n'), "{text:?}");
        }
        assert_eq!(short_report(&value).lines().count(), 1);
    }
}
