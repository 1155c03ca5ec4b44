//! Comma-separated values: one row for each record, always the same columns.
//!
//! A cell with a comma, quote or line end stands in quotes, quotes in it are doubled (RFC 4180;
//! lines end with LF). What a record does not have is an empty cell. Fields are one cell that holds
//! their JSON object, since each event has its own.
//!
//! A text that a spreadsheet would take for a formula (its first character is `=`, `+`, `-` or `@`,
//! also as wide as a Chinese character) has an apostrophe before it: programs that show the file do
//! not run what somebody put into a name.

use crate::export::{Entry, fields::JsonFields, json, text::escaped};
use crate::format::Guid;
use crate::schema::Value;
use std::fmt::Display;
use std::io::Write;

/// The names of the columns, as the first line of a file; without its end.
pub const HEADER: &str = "time,ticks,filetime,buffer,lane,header,bits,pid,tid,process_name,\
provider,provider_name,id,version,level,opcode,task,channel,keyword,activity,name,len,fields,rest";

/// Writes rows. Keep one for many events: it holds scratch memory.
#[derive(Debug, Default)]
pub struct Csv {
    fields: JsonFields,
    cell: Vec<u8>,
}

impl Csv {
    /// Appends the row of one record, without its end.
    pub fn row(&mut self, out: &mut Vec<u8>, entry: &Entry<'_, '_>) {
        let (view, event) = (entry.view, entry.event);
        let descriptor = view.descriptor();
        match view.ticks() {
            Some(ticks) => {
                let time = u64::try_from(entry.time.0).map(Value::FileTime);
                plain(out, time.ok());
                number(out, Some(ticks));
                plain(out, Some(entry.time.0));
            }
            None => out.extend_from_slice(b",,,"),
        }
        number(out, u64::try_from(entry.buffer_index).ok());
        number(out, Some(u64::from(entry.lane)));
        plain(out, Some(view.header_name()));
        number(out, view.bits().map(u64::from));
        number(out, view.process_id().map(u64::from));
        number(out, view.thread_id().map(u64::from));
        self.text(out, entry.process_name);
        plain(out, view.provider());
        self.text(out, event.provider_name());
        number(out, view.id().map(u64::from));
        number(out, view.version().map(u64::from));
        number(out, view.level().map(u64::from));
        number(out, view.opcode().map(u64::from));
        number(out, descriptor.map(|d| u64::from(d.task.get())));
        number(out, descriptor.map(|d| u64::from(d.channel)));
        let keyword = descriptor.map(|d| Value::Hex(d.keyword.get()));
        plain(out, keyword);
        plain(out, view.activity_id().filter(|activity| *activity != Guid::ZERO));
        self.text(out, event.name());
        number(out, u64::try_from(event.payload().len()).ok());

        self.cell.clear();
        let walked = self.fields.write(&mut self.cell, event);
        match walked {
            Some(_) => quoted(out, &self.cell),
            None => out.push(b','),
        }
        let rest = walked.map_or(event.payload(), |walked| walked.rest);
        self.cell.clear();
        json::hex_bytes(&mut self.cell, rest);
        out.extend(self.cell.iter().filter(|byte| **byte != b'"'));
    }

    /// A cell of text that others chose.
    fn text(&mut self, out: &mut Vec<u8>, text: Option<&str>) {
        self.cell.clear();
        let text = text.unwrap_or_default();
        if is_formula(text) {
            self.cell.push(b'\'');
        }
        let _ = write!(self.cell, "{}", escaped(text));
        if self.cell.iter().any(|byte| matches!(byte, b',' | b'"')) {
            quoted(out, &self.cell);
        } else {
            out.extend_from_slice(&self.cell);
            out.push(b',');
        }
    }
}

/// Whether a spreadsheet may take a text for a formula; some pass over blanks before it.
fn is_formula(text: &str) -> bool {
    const FIRST: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    text.trim_start().starts_with(FIRST)
}

fn number(out: &mut Vec<u8>, number: Option<u64>) {
    if let Some(number) = number {
        json::number(out, number);
    }
    out.push(b',');
}

/// A cell of something that needs no quotes.
fn plain(out: &mut Vec<u8>, value: Option<impl Display>) {
    if let Some(value) = value {
        let _ = write!(out, "{value}");
    }
    out.push(b',');
}

fn quoted(out: &mut Vec<u8>, cell: &[u8]) {
    out.push(b'"');
    for byte in cell {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.extend_from_slice(b"\",");
}
