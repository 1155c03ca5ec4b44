//! The same log without what names people and machines.
//!
//! Values are replaced in their place by others of the same size, so nothing else of a record has
//! to change: a count still counts what it counted, and a schema still fits.
//!
//! | value | becomes |
//! |---|---|
//! | text | as many letters `a` to `p`, made of the text alone: the same in any encoding |
//! | security identifier | the first subauthority and made up ones; unchanged with less than three |
//! | network address | another one of the same family and port |
//! | binary, any value of a named field | other bytes |
//!
//! An identifier with fewer than three subauthorities is one that all systems have.
//!
//! What the schema of a record does not reach becomes zero. A record without a schema, or whose
//! payload does not fit it, is left out: nobody can say what is in it. Schemas and manifests that
//! the log carries stay as they are.
//!
//! The length of a text stays, and equal texts become equal ones: that is what makes the log still
//! worth reading, and what it still tells.

use super::draft::{Draft, Form};
use super::metadata::{is_logfile_header, is_schema};
use super::writer::{Head, LogWriter, first_data, redraft};
use super::{EditError, Edited};
use crate::codec::finish::Totals;
use crate::codec::{LogfileView, RecordView, Records};
use crate::format::{EventHeader, ExtType, LogFileMode};
use crate::reader::{Cursor, Source, Trace};
use crate::schema::{Decoder, Shape, Sid, Text, Value, Visitor};
use std::io::{Seek, Write};
use std::num::NonZeroUsize;
use std::ops::Range;

/// What [`anonymize`] replaces, and what becomes of records that it cannot look into.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anonymous {
    /// Fields of these names and nothing else, whatever they hold; letters of any case. If there
    /// are none: all text, identifiers, addresses and binary values.
    pub fields: Vec<String>,
    /// Fields of these names stay as they are.
    pub keep_fields: Vec<String>,
    /// Records that cannot be decoded stay as they are.
    pub keep_undecoded: bool,
    /// Threads that unpack compressed buffers, the caller's among them: see
    /// [`Trace::read_ahead`].
    pub threads: NonZeroUsize,
}

/// All that usually names somebody, by one thread.
impl Default for Anonymous {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            keep_fields: Vec::new(),
            keep_undecoded: false,
            threads: NonZeroUsize::MIN,
        }
    }
}

/// Makes the bytes that replace others: fills `new`, a value of its own for each `old`.
///
/// A keyed hash makes equal values equal ones; constant bytes make all the same.
pub type Replace<'r> = dyn FnMut(&[u8], &mut [u8]) + 'r;

/// Writes the records of `trace` with what names people and machines replaced.
///
/// `decoder` must have learned from the trace.
///
/// # Errors
///
/// [`EditError::Write`] if `out` does not take them.
pub fn anonymize<S: Source + Sync>(
    trace: &Trace<S>,
    out: impl Write + Seek,
    decoder: &Decoder,
    what: &Anonymous,
    replace: &mut Replace<'_>,
) -> Result<Edited, EditError> {
    trace.read_ahead(what.threads, |ahead| {
        let records = ahead.records_of(0..trace.buffers().len());
        let work = Work { decoder, what, replace, report: Edited::default() };
        work.run(records, out)
    })
}

struct Work<'w, 'r> {
    decoder: &'w Decoder,
    what: &'w Anonymous,
    replace: &'w mut Replace<'r>,
    report: Edited,
}

impl Work<'_, '_> {
    fn run<S: Source>(
        mut self,
        mut records: Cursor<'_, S>,
        out: impl Write + Seek,
    ) -> Result<Edited, EditError> {
        let trace = records.trace();
        for error in trace.damage() {
            self.report.fault(0, *error);
        }
        let mut head = Head::of(trace);
        let mut record = head.record.clone();
        self.logfile_header(&mut record);
        head.record = record;
        let first = first_data(trace);
        for index in 0..first {
            let draft = self.buffer(&mut records, index);
            (head.more, head.more_records) = (draft.body, draft.records);
        }
        let logfile = trace.logfile();
        let form = Form::of(trace, &head, logfile.mode().has(LogFileMode::COMPRESSED));
        let mut writer = LogWriter::new(out, form, head)?;
        for index in first..trace.buffers().len() {
            let draft = self.buffer(&mut records, index);
            writer.put(&draft)?;
        }
        writer.finish(Totals::of(&logfile), &mut self.report)?;
        Ok(self.report)
    }

    /// The records of a buffer that may be shown.
    fn buffer<S: Source>(&mut self, records: &mut Cursor<'_, S>, index: usize) -> Draft {
        let mut bytes = Vec::new();
        redraft(records, index, |draft, found| match found {
            Ok((record, view)) => {
                bytes.clear();
                bytes.extend_from_slice(record.raw().bytes);
                if self.record(&view, &mut bytes) {
                    draft.push(&bytes, record.ticks());
                } else {
                    self.report.left_out(1);
                }
            }
            Err(error) => self.report.fault(0, error),
        })
    }

    /// Replaces what must be replaced in `bytes`, the record that `view` shows; whether it may
    /// stay.
    fn record(&mut self, view: &RecordView<'_>, bytes: &mut [u8]) -> bool {
        self.items(view, bytes);
        if is_schema(view) {
            return true;
        }
        if is_logfile_header(view) {
            self.logfile_header(bytes);
            return true;
        }
        let payload = view.payload();
        let start = bytes.len().saturating_sub(payload.len());
        let Some(target) = bytes.get_mut(start..) else { return false };
        let mut values = Values {
            what: self.what,
            replace: self.replace,
            payload,
            target,
            place: 0..0,
            arrays: Vec::new(),
        };
        let walked = self.decoder.describe(view).walk(&mut values);
        let Some(walked) = walked.filter(|walked| walked.error.is_none()) else {
            if !self.what.keep_undecoded && !payload.is_empty() {
                return false;
            }
            values.target.copy_from_slice(payload);
            return true;
        };
        // Nobody has said what this is.
        let rest = payload.len().saturating_sub(walked.rest.len());
        if !self.what.keep_undecoded {
            values.target.get_mut(rest..).unwrap_or_default().fill(0);
        }
        true
    }

    /// Replaces what the extended items of an event say of people.
    fn items(&mut self, view: &RecordView<'_>, bytes: &mut [u8]) {
        if !self.what.fields.is_empty() {
            return;
        }
        let record = view.raw().bytes;
        debug_assert!(record.len() >= EventHeader::SIZE || view.items().next().is_none());
        for item in view.items().map_while(Result::ok) {
            let Some(range) = within(record, item.data) else { continue };
            let Some(target) = bytes.get_mut(range) else { continue };
            match item.ext_type {
                ExtType::SID => identifier(self.replace, item.data, target),
                ExtType::PSM_KEY | ExtType::CONTAINER_ID => (self.replace)(item.data, target),
                _ => {}
            }
        }
    }

    /// Replaces the name of the log file, in which there may be that of a user.
    fn logfile_header(&mut self, record: &mut [u8]) {
        let copy = record.to_vec();
        let parsed = Records::new(&copy).next().and_then(Result::ok).map(LogfileView::parse);
        let Some(Ok(logfile)) = parsed else { return };
        let name = logfile.log_file_name();
        let chosen = is_chosen(self.what, "LogFileName", true);
        let place = within(&copy, name.0).and_then(|range| record.get_mut(range));
        if let Some(target) = place.filter(|_| chosen) {
            text(self.replace, Text::Wide(name), target);
        }
    }
}

/// The fields of a payload on their way into its copy.
struct Values<'w, 'r> {
    what: &'w Anonymous,
    replace: &'w mut Replace<'r>,
    payload: &'w [u8],
    target: &'w mut [u8],
    place: Range<usize>,
    /// Names of the arrays around the value: their elements have none.
    arrays: Vec<String>,
}

impl Visitor for Values<'_, '_> {
    fn place(&mut self, bytes: Range<usize>) {
        self.place = bytes;
    }

    fn value(&mut self, name: &str, value: &Value<'_>) {
        let array = self.arrays.last().filter(|_| name.is_empty());
        let by_kind = matches!(
            value,
            Value::Text(_)
                | Value::Sid(_)
                | Value::Binary(_)
                | Value::Ipv4(_)
                | Value::Ipv6(_)
                | Value::SocketAddress(_)
        );
        if !is_chosen(self.what, array.map_or(name, |array| array), by_kind) {
            return;
        }
        let inner = match value {
            Value::Text(Text::Utf8(text)) => within(self.payload, text.as_bytes()),
            Value::Text(Text::Narrow(bytes)) | Value::Binary(bytes) => within(self.payload, bytes),
            Value::Text(Text::Wide(text)) => within(self.payload, text.0),
            Value::Sid(sid) => within(self.payload, sid.as_bytes()),
            _ => Some(self.place.clone()),
        };
        // Of an empty one there is nothing to replace, and what ends it must stay.
        let Some(place) = inner else { return };
        let old = self.payload.get(place.clone()).unwrap_or_default();
        let Some(new) = self.target.get_mut(place) else { return };
        match value {
            Value::Text(value) => text(self.replace, *value, new),
            Value::Sid(_) => identifier(self.replace, old, new),
            Value::SocketAddress(_) => {
                // Family and port in front; of the longer form a flow between, a scope behind.
                let address = match old.len() {
                    28.. => old.len().saturating_sub(20)..old.len().saturating_sub(4),
                    len => len.saturating_sub(12)..len.saturating_sub(8),
                };
                let old = old.get(address.clone()).unwrap_or_default();
                (self.replace)(old, new.get_mut(address).unwrap_or_default());
            }
            _ => (self.replace)(old, new),
        }
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        if shape == Shape::Array {
            let name = if name.is_empty() { self.arrays.last().cloned() } else { None }
                .unwrap_or_else(|| name.to_owned());
            self.arrays.push(name);
        }
    }

    fn end(&mut self, shape: Shape) {
        if shape == Shape::Array {
            self.arrays.pop();
        }
    }
}

/// Whether a field is replaced; `by_kind` if it holds what usually is.
fn is_chosen(what: &Anonymous, name: &str, by_kind: bool) -> bool {
    let named = |names: &[String]| names.iter().any(|own| own.eq_ignore_ascii_case(name));
    let chosen = if what.fields.is_empty() { by_kind } else { named(&what.fields) };
    chosen && !named(&what.keep_fields)
}

/// Where `part`, borrowed from `whole`, lies in it.
fn within(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let (own, all) = (part.as_ptr_range(), whole.as_ptr_range());
    if part.is_empty() || own.start < all.start || own.end > all.end {
        return None;
    }
    let start = (own.start as usize).checked_sub(all.start as usize)?;
    Some(start..start.checked_add(part.len())?)
}

/// Letters in place of a text, which depend on its characters and not on its encoding.
fn text(replace: &mut Replace<'_>, old: Text<'_>, new: &mut [u8]) {
    let width = if matches!(old, Text::Wide(_)) { 2 } else { 1 };
    let units = new.len().checked_div(width).unwrap_or(0);
    let mut letters = vec![0; units];
    replace(old.to_string().as_bytes(), &mut letters);
    for (unit, letter) in new.chunks_mut(width).zip(&letters) {
        unit.fill(0);
        if let Some(first) = unit.first_mut() {
            *first = b'a'.saturating_add(letter & 0x0F);
        }
    }
}

/// Other subauthorities behind the first one.
fn identifier(replace: &mut Replace<'_>, old: &[u8], new: &mut [u8]) {
    /// Revision, count, authority and the first subauthority.
    const FRONT: usize = 12;
    /// Identifiers up to this size are the same on every machine.
    const KNOWN: usize = FRONT + 4;
    match Sid::parse(old).map(|sid| sid.as_bytes().len()) {
        Some(size) if size <= KNOWN => {}
        Some(size) => {
            let (old, new) = (old.get(FRONT..size), new.get_mut(FRONT..size));
            if let (Some(old), Some(new)) = (old, new) {
                replace(old, new);
            }
        }
        None => replace(old, new),
    }
}
