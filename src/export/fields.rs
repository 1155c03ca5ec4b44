//! The fields of an event, as a JSON object or as text for people.

use crate::export::json;
use crate::export::text::{escaped, is_unsafe};
use crate::schema::{Description, Shape, Text, Value, ValueMap, Visitor, Walked};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::Write;

/// Writes fields as a JSON object, typed: numbers, booleans, objects for structures, arrays.
///
/// | value | JSON |
/// |---|---|
/// | integers, booleans | number, `true` or `false` |
/// | pointers, hexadecimal numbers, statuses | `"0x1f"` |
/// | floats | number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
/// | text | string; lone surrogates as U+FFFD |
/// | bytes | string of hex digits |
/// | GUIDs, security identifiers, addresses | string as usually written |
/// | times | RFC 3339 with 100 ns; a `SYSTEMTIME` of unknown zone without a zone |
/// | mapped numbers | string: the name, of a bit map the names joined by a bar |
///
/// A name that stands twice in one object gets `_2` behind it, the next one `_3`, so that no reader
/// loses a value. Keep one for many events: it holds scratch memory.
#[derive(Debug, Default)]
pub struct JsonFields {
    levels: Vec<Level>,
    /// Hashes of the names of all open objects, innermost last.
    names: Vec<u64>,
    /// How often a name stands in an object that has many, by object and hash.
    many: HashMap<(u32, u64), u32>,
    /// Objects opened so far.
    objects: u32,
    /// Whether names are known to differ and to need no escapes.
    plain: bool,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    object: u32,
    /// Where its names start.
    names: usize,
    empty: bool,
    array: bool,
}

/// Names of one object that are compared one by one.
const FEW: usize = 48;

impl JsonFields {
    /// Appends the object, or `null` if there is no schema, and hands back what no field took.
    pub fn write<'a>(&mut self, out: &mut Vec<u8>, event: &Description<'a>) -> Option<Walked<'a>> {
        self.levels.clear();
        self.names.clear();
        self.objects = 0;
        self.plain = false;
        if !self.many.is_empty() {
            // Not cleared: that would walk the space of the largest event there was.
            self.many = HashMap::new();
        }
        self.open(false);
        let start = out.len();
        out.push(b'{');
        let walked = event.walk(&mut Json { out, state: self });
        if walked.is_some() {
            out.push(b'}');
        } else {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
        walked
    }

    fn open(&mut self, array: bool) {
        self.objects = self.objects.wrapping_add(1);
        let names = self.names.len();
        self.levels.push(Level { object: self.objects, names, empty: true, array });
    }

    /// How many names like this one stand in the innermost object, with it.
    fn count(&mut self, name: &str) -> u32 {
        let hash = hash(name.as_bytes());
        let Some(level) = self.levels.last() else { return 1 };
        let before = self.names.get(level.names..).unwrap_or_default();
        let found = if before.len() < FEW {
            before.iter().filter(|other| **other == hash).count()
        } else {
            if before.len() == FEW {
                for other in before {
                    *self.many.entry((level.object, *other)).or_default() += 1;
                }
            }
            let found = self.many.entry((level.object, hash)).or_default();
            *found += 1;
            *found as usize - 1
        };
        self.names.push(hash);
        u32::try_from(found).unwrap_or(u32::MAX - 1) + 1
    }
}

/// FNV-1a. Names that collide only get a suffix that they do not need.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

struct Json<'o, 's> {
    out: &'o mut Vec<u8>,
    state: &'s mut JsonFields,
}

impl Json<'_, '_> {
    /// Comma and key.
    fn key(&mut self, name: &str) {
        let Some(level) = self.state.levels.last_mut() else { return };
        let (empty, array) = (level.empty, level.array);
        level.empty = false;
        if !empty {
            self.out.push(b',');
        }
        if array {
            return;
        }
        if self.state.plain {
            self.out.push(b'"');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"\":");
            return;
        }
        let mut count = self.state.count(name);
        json::string(self.out, name);
        if count > 1 {
            // The name with its number may itself stand there already.
            self.out.pop();
            let end = self.out.len();
            loop {
                let _ = write!(self.out, "_{count}");
                if self.state.count(&format!("{name}_{count}")) == 1 {
                    break;
                }
                self.out.truncate(end);
                count += 1;
            }
            self.out.push(b'"');
        }
        self.out.push(b':');
    }
}

impl Visitor for Json<'_, '_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.key(name);
        json_value(self.out, value);
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        self.key(name);
        let array = shape == Shape::Array;
        self.out.push(if array { b'[' } else { b'{' });
        self.state.open(array);
    }

    fn end(&mut self, shape: Shape) {
        self.out.push(if shape == Shape::Array { b']' } else { b'}' });
        if let Some(level) = self.state.levels.pop() {
            self.state.names.truncate(level.names);
        }
    }

    fn plain_names(&mut self) {
        self.state.plain = true;
    }
}

/// Appends one value as JSON.
pub fn json_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Signed(number) => json::signed(out, *number),
        Value::Unsigned(number) => json::number(out, *number),
        Value::Hex(number) => json::hex_string(out, *number),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Text(Text::Utf8(text)) => json::string(out, text),
        Value::Text(Text::Wide(text)) => json::utf16(out, *text),
        Value::Text(text) => json::string(out, &text.to_string()),
        Value::Binary(bytes) => json::hex_bytes(out, bytes),
        Value::Guid(guid) => json::guid(out, *guid),
        Value::Float(number) if number.is_finite() => written(out, format_args!("{number:?}")),
        Value::Double(number) if number.is_finite() => written(out, format_args!("{number:?}")),
        Value::Float(number) => not_finite(out, f64::from(*number)),
        Value::Double(number) => not_finite(out, *number),
        // Names in maps are text from the file.
        Value::Mapped { map, value } => mapped(out, map, *value),
        other => written(out, format_args!("\"{other}\"")),
    }
}

/// The names of a number, which are text from the file.
fn mapped(out: &mut Vec<u8>, map: &ValueMap, value: u64) {
    out.push(b'"');
    let mut first = true;
    let Ok(rest) = map.try_each_name(value, |name| {
        if !std::mem::take(&mut first) {
            out.push(b'|');
        }
        json::escape(out, name);
        Ok::<(), Infallible>(())
    });
    match rest {
        Some(rest) if map.is_bits() => {
            if !first {
                out.push(b'|');
            }
            json::hex_number(out, rest);
        }
        Some(rest) => json::number(out, rest),
        None => {}
    }
    out.push(b'"');
}

fn not_finite(out: &mut Vec<u8>, number: f64) {
    let name = match number {
        f64::INFINITY => "\"Infinity\"",
        f64::NEG_INFINITY => "\"-Infinity\"",
        _ => "\"NaN\"",
    };
    out.extend_from_slice(name.as_bytes());
}

fn written(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends fields as text on one line: `Path="a.txt" Size=12 Pair={x=1 y=2} List=[1 2]`.
///
/// Nothing in it steers a terminal. Hands back what no field took; `None` if there is no schema.
pub fn text_fields<'a>(out: &mut Vec<u8>, event: &Description<'a>) -> Option<Walked<'a>> {
    event.walk(&mut Line { out, empty: true })
}

struct Line<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl Line<'_> {
    fn name(&mut self, name: &str) {
        if !self.empty {
            self.out.push(b' ');
        }
        self.empty = false;
        if !name.is_empty() {
            written(self.out, format_args!("{}=", escaped(name)));
        }
    }
}

impl Visitor for Line<'_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.name(name);
        text_value(self.out, value);
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        self.name(name);
        self.out.push(if shape == Shape::Array { b'[' } else { b'{' });
        self.empty = true;
    }

    fn end(&mut self, shape: Shape) {
        self.out.push(if shape == Shape::Array { b']' } else { b'}' });
        self.empty = false;
    }
}

fn text_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Text(text) => quoted(out, *text),
        Value::Mapped { .. } => written(out, format_args!("{}", escaped(&value.to_string()))),
        Value::Binary([]) => out.extend_from_slice(b"\"\""),
        other => written(out, format_args!("{other}")),
    }
}

/// Text between quotes, what steers or would end it escaped. A backslash is escaped itself, so the
/// short forms of line ends and tabs are not taken for a path's `\\new`.
fn quoted(out: &mut Vec<u8>, text: Text<'_>) {
    out.push(b'"');
    let Ok(()) = text.try_each(|c| {
        match c {
            '"' | '\\' => written(out, format_args!("\\{c}")),
            '\r' => out.extend_from_slice(b"\\r"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if is_unsafe(c) => written(out, format_args!("\\u{{{:x}}}", u32::from(c))),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        Ok::<(), Infallible>(())
    });
    out.push(b'"');
}
