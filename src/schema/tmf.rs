//! Trace message format files: what the arguments of WPP messages are.
//!
//! ```text
//!   // PDB:  name.pdb                                               a comment
//!   8560caf4-... Component // SRC=File.c MJ= MN=                    a GUID: one source file
//!   #typev File_c208 18 "%0 [%!FUNC!] %10!d!" //  LEVEL=.. FUNC=F   a message and its number
//!   {
//!   Milliseconds, ItemLong -- 10                                    an argument
//!   }
//! ```
//!
//! The key of a message is GUID and number. A file may repeat a message; the last one holds. The
//! expression of an argument may hold commas, and the format quotes: what ends them is the last
//! mark of its kind in the line.
//!
//! Source: Microsoft's pages on trace message formats; spec/15-schemas.md.

use crate::format::Guid;
use crate::schema::layout::{Extent, Field, Kind, Layout};
use crate::schema::{InType, OutType, ValueMap};
use std::collections::HashMap;

/// Number of a message's first argument in its format.
pub(super) const FIRST_ARGUMENT: usize = 10;
/// Arguments of a message; WPP itself takes fewer.
const MOST_ARGUMENTS: usize = 256;
/// Bytes of a line.
const MOST_LINE: usize = 1 << 14;

/// Which message: GUID and number.
pub(super) type MessageKey = (Guid, u16);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Build directory or name of the component.
    pub(super) component: Box<str>,
    /// Source file and line, as `File_c208`.
    pub(super) source: Box<str>,
    pub(super) format: Box<str>,
    /// `LEVEL`, `FLAGS`, `FUNC` and whatever else the line says.
    pub(super) words: Vec<(Box<str>, Box<str>)>,
    pub(super) layout: Layout,
}

impl Message {
    /// A word of the line, in any case of letters.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        let found = self.words.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// Memory that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.component, &self.source, &self.format];
        let words = self.words.iter().flat_map(|(name, value)| [name, value]);
        let texts: usize = texts.into_iter().chain(words).map(|text| text.len()).sum();
        texts.saturating_add(self.layout.bytes()).saturating_add(size_of::<Self>())
    }
}

/// Reads a file; `map` keeps a map and gives its number. Lines that are not understood are passed
/// over.
pub(super) fn read(
    text: &str,
    map: &mut dyn FnMut(ValueMap) -> usize,
) -> HashMap<MessageKey, Message> {
    let mut messages = HashMap::new();
    let mut file: Option<(Guid, &str)> = None;
    let mut lines = text.lines().map(str::trim).filter(|line| line.len() <= MOST_LINE).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("//") {
            continue;
        }
        let Some(message) = line.strip_prefix("#typev ") else {
            file = source_file(line).or(file);
            continue;
        };
        let (Some((guid, component)), Some(head)) = (file, head(message)) else { continue };
        let mut fields = Vec::new();
        if lines.next_if_eq(&"{").is_some() {
            let inside = |line: &&str| *line != "}" && !line.starts_with("#typev ");
            while let Some(line) = lines.next_if(inside) {
                if fields.len() < MOST_ARGUMENTS {
                    fields.extend(argument(line, head.format, map));
                }
            }
        }
        let top = fields.len();
        let message = Message {
            component: component.into(),
            source: head.source.into(),
            format: head.format.replace("\\\"", "\"").into(),
            words: head.words,
            layout: Layout::new(fields, top),
        };
        messages.insert((guid, head.number), message);
    }
    messages
}

/// `guid component // SRC=...`.
fn source_file(line: &str) -> Option<(Guid, &str)> {
    let (guid, rest) = line.split_once(' ')?;
    let component = rest.split("//").next().unwrap_or_default().trim();
    Some((guid.parse().ok()?, component))
}

struct Head<'t> {
    source: &'t str,
    number: u16,
    format: &'t str,
    words: Vec<(Box<str>, Box<str>)>,
}

/// `File_c208 18 "format" //   LEVEL=.. FLAGS=.. FUNC=..`.
fn head(line: &str) -> Option<Head<'_>> {
    let (source, rest) = line.split_once(' ')?;
    let (number, rest) = rest.trim_start().split_once(' ')?;
    let rest = rest.trim_start().strip_prefix('"')?;
    let (format, words) = match rest.rsplit_once("\" //") {
        Some(both) => both,
        None => (rest.strip_suffix('"')?, ""),
    };
    let words = words.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    let words = words.map(|(name, value)| (name.into(), value.into())).collect();
    Some(Head { source, number: number.parse().ok()?, format, words })
}

/// `expression, Item -- 10`.
fn argument(line: &str, format: &str, map: &mut dyn FnMut(ValueMap) -> usize) -> Option<Field> {
    let (head, number) = line.rsplit_once(" -- ")?;
    let (name, item) = head.rsplit_once(", Item")?;
    let (item, list) = item.split_once('(').unwrap_or((item, ""));
    let list = list.strip_suffix(')').unwrap_or(list);
    let number: usize = number.trim().parse().ok()?;
    let (in_type, out_type, length) = type_of(&item.to_ascii_lowercase());
    let names = match item.to_ascii_lowercase().as_str() {
        "listbyte" | "listshort" | "listlong" => Some(names(list, false)),
        "setbyte" | "setshort" | "setlong" => Some(names(list, true)),
        _ => None,
    };
    let integer = matches!(out_type, OutType::Default) && in_type.width(8).is_some();
    let out_type = match conversion(format, number) {
        Some('d' | 'i') if integer && names.is_none() => OutType::Signed,
        Some('u') if integer && names.is_none() => OutType::Unsigned,
        Some('x' | 'X' | 'o') if integer && names.is_none() => OutType::Hex,
        Some('c') if integer => OutType::String,
        _ => out_type,
    };
    Some(Field {
        name: name.trim().into(),
        kind: Kind::Value { in_type, out_type, map: names.map(map) },
        count: Extent::Own,
        length: length.map_or(Extent::Own, Extent::Fixed),
        optional: false,
    })
}

/// The types of an item without its `Item`, in lower case. The spec of the format says more of an
/// integer's sign than the item does.
fn type_of(item: &str) -> (InType, OutType, Option<u32>) {
    let plain = |in_type| (in_type, OutType::Default, None);
    match item {
        "char" | "uchar" | "listbyte" | "setbyte" => plain(InType::UINT8),
        "short" | "ushort" | "listshort" | "setshort" => plain(InType::UINT16),
        "long" => plain(InType::INT32),
        "ulong" | "listlong" | "setlong" | "enum" | "flagsenum" => plain(InType::UINT32),
        "ulongx" => plain(InType::HEX_INT32),
        "longlong" => plain(InType::INT64),
        "ulonglong" => plain(InType::UINT64),
        "longlongx" | "longlongxx" | "longlongo" => plain(InType::HEX_INT64),
        "double" => plain(InType::DOUBLE),
        "float" => plain(InType::FLOAT),
        "ptr" => plain(InType::POINTER),
        "string" | "rstring" => plain(InType::ANSI_STRING),
        "wstring" | "rwstring" => plain(InType::UNICODE_STRING),
        "pstring" => plain(InType::COUNTED_ANSI),
        "pwstring" => plain(InType::COUNTED_STRING),
        "guid" | "clsid" | "libid" | "iid" => plain(InType::GUID),
        "ntstatus" | "hresult" | "ndis_status" | "ndis_oid" => {
            (InType::UINT32, OutType::Status, None)
        }
        "winerror" => (InType::UINT32, OutType::Win32Error, None),
        "ipaddr" => (InType::UINT32, OutType::Ipv4, None),
        "port" => (InType::UINT16, OutType::Port, None),
        "timestamp" => plain(InType::FILETIME),
        "timedelta" | "waittime" => plain(InType::INT64),
        "sid" => plain(InType::SID),
        "hexdump" | "hexbytes" => plain(InType::COUNTED_BINARY),
        "macaddr" => (InType::BINARY, OutType::Default, Some(6)),
        "char4" => (InType::ANSI_STRING, OutType::Default, Some(4)),
        // Its size is not known: what follows is left.
        _ => plain(InType(u16::MAX)),
    }
}

/// `a,b=5,c`: numbers from 0, each one more than the one before.
fn names(list: &str, bits: bool) -> ValueMap {
    let mut next = 0u64;
    let entries = list.split(',').map(|entry| {
        let (name, number) = entry.split_once('=').unwrap_or((entry, ""));
        let number = number.trim();
        let number = match number.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap_or(next),
            None => number.parse().unwrap_or(next),
        };
        next = number.wrapping_add(1);
        let value =
            if bits { 1u64.checked_shl(u32::try_from(number).unwrap_or(64)) } else { Some(number) };
        (value, Box::from(name.trim()))
    });
    let entries: Vec<_> = entries.filter_map(|(value, name)| Some((value?, name))).collect();
    ValueMap::new(bits, entries)
}

/// The letter by which the format prints an argument.
fn conversion(format: &str, number: usize) -> Option<char> {
    let (_, behind) = format.split_once(&format!("%{number}!"))?;
    behind.split_once('!')?.0.chars().next_back()
}

/// The text of a message with the texts and numbers of its arguments.
pub(super) fn render(message: &Message, arguments: &[(String, Option<u64>)]) -> String {
    const MOST_BYTES: usize = 1 << 16;
    let mut out = String::new();
    let mut rest = &*message.format;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        if out.len() > MOST_BYTES {
            return out;
        }
        rest = place(message, arguments, behind, &mut out);
    }
    out.push_str(rest);
    out.truncate(out.trim_end().len());
    out.drain(..out.len().saturating_sub(out.trim_start().len()));
    out
}

/// Writes what a percent sign begins, and gives what follows it.
fn place<'t>(
    message: &Message,
    arguments: &[(String, Option<u64>)],
    behind: &'t str,
    out: &mut String,
) -> &'t str {
    if let Some((name, after)) = behind.strip_prefix('!').and_then(|rest| rest.split_once('!')) {
        match name {
            "FILE" | "LINE" => out.push_str(&message.source),
            "COMPNAME" => out.push_str(&message.component),
            _ => out.push_str(message.word(name).unwrap_or_default()),
        }
        return after;
    }
    let digits = behind.bytes().take(3).take_while(u8::is_ascii_digit).count();
    let (number, after) = behind.split_at(digits);
    let Ok(number) = number.parse::<usize>() else {
        let mut characters = behind.chars();
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some(c) => out.push(c),
            None => out.push('%'),
        }
        return characters.as_str();
    };
    let spec = after.strip_prefix('!').and_then(|rest| rest.split_once('!'));
    let (spec, after) = spec.unwrap_or(("s", after));
    let argument = number.checked_sub(FIRST_ARGUMENT).and_then(|at| arguments.get(at));
    match argument {
        Some((text, value)) => out.push_str(&printed(spec, text, *value)),
        // The prefix, %0 to %9, is what a line has in its columns.
        None if number < FIRST_ARGUMENT => {}
        None => out.push_str("<missing>"),
    }
    after
}

/// `printf` of one argument: flags, width, conversion; a length modifier says nothing new.
fn printed(spec: &str, text: &str, value: Option<u64>) -> String {
    const MOST_WIDTH: usize = 64;
    let flags = spec.trim_start_matches(['-', '+', ' ', '#', '0']);
    let (left, zero) =
        (spec.contains('-'), spec.trim_start_matches(['-', '+', ' ', '#']).starts_with('0'));
    let digits: String = flags.chars().take_while(char::is_ascii_digit).collect();
    let width = digits.parse().unwrap_or(0).min(MOST_WIDTH);
    let body = match (spec.chars().next_back(), value) {
        (Some('x'), Some(value)) => format!("{value:x}"),
        (Some('X' | 'p'), Some(value)) => format!("{value:X}"),
        (Some('o'), Some(value)) => format!("{value:o}"),
        _ => text.to_owned(),
    };
    match (left, zero && value.is_some()) {
        (true, _) => format!("{body:<width$}"),
        (false, true) => format!("{body:0>width$}"),
        (false, false) => format!("{body:>width$}"),
    }
}
