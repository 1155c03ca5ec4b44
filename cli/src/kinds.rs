//! Records counted by kind: by what their headers say and nothing else.
//!
//! A log has millions of records and a few hundred kinds, so what is asked of a kind is asked once.
//! Records come in runs of a few kinds: those are found without a hash table, by a place that is
//! made of words of their headers.
//!
//! ```text
//!   record ──► label: four words, from one look at the header
//!                │
//!                ▼
//!              lately[place]: this label? ── yes ──► number of the kind ──► its count
//!                    ▲              └ no ──► kind ──► hash table ──► the same, or a new one
//!                    └───────────────────────────────────────────────────┘
//! ```

mod heading;

pub(crate) use heading::Heading;

use crate::names::kind;
use crate::walk::Found;
use etlring::codec::{RawRecord, RecordHeader, RecordKind, RecordView};
use etlring::format::{EventFlags, Guid, LOST_EVENT_GUID};
use heading::Label;
use std::collections::HashMap;

/// Events and the bytes they take in the log, headers included.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Count {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// What an event is, where it has no name.
pub(crate) type Id = (Option<Guid>, &'static str, Option<u16>, Option<u8>);

/// Headers as numbers, which compare faster than names.
const HEADERS: [&str; 8] =
    ["event", "classic", "instance", "system", "compact", "perfinfo", "message", "unknown"];
const EVENT: u8 = 0;
pub(crate) const CLASSIC: u8 = 1;
pub(crate) const INSTANCE: u8 = 2;
const SYSTEM: u8 = 3;
const COMPACT: u8 = 4;
const PERFINFO: u8 = 5;
const MESSAGE: u8 = 6;
const UNKNOWN: u8 = 7;

/// What headers say that all records of one kind have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) file: usize,
    /// Which of [`HEADERS`].
    pub(crate) header: u8,
    pub(crate) provider: Option<Guid>,
    id: Option<u16>,
    version: Option<u16>,
    pub(crate) level: Option<u8>,
    opcode: Option<u8>,
    /// An event of nothing but a text.
    is_string: bool,
}

impl Kind {
    fn of(file: usize, view: &RecordView<'_>) -> Self {
        let (header, flags) = match view.header() {
            RecordHeader::Event(header) => (EVENT, header.flags()),
            RecordHeader::Classic(_) => (CLASSIC, EventFlags(0)),
            RecordHeader::Instance(_) => (INSTANCE, EventFlags(0)),
            RecordHeader::System(_) => (SYSTEM, EventFlags(0)),
            RecordHeader::Compact(_) => (COMPACT, EventFlags(0)),
            RecordHeader::PerfInfo(_) => (PERFINFO, EventFlags(0)),
            RecordHeader::Message(_) => (MESSAGE, EventFlags(0)),
            _ => (UNKNOWN, EventFlags(0)),
        };
        Self {
            file,
            header,
            provider: view.provider(),
            id: view.id(),
            version: view.version(),
            level: view.level(),
            opcode: view.opcode(),
            is_string: flags.has(EventFlags::STRING_ONLY),
        }
    }

    pub(crate) fn id(&self) -> Id {
        (self.provider, HEADERS[usize::from(self.header)], self.id, self.opcode)
    }
}

/// The records of one kind.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) count: Count,
    /// What it is where it has no name.
    pub(crate) text: String,
    /// The first of them, without its payload.
    header: Vec<u8>,
    record_kind: RecordKind,
    pub(crate) may_be_loss: bool,
    /// Its records may differ in what they are called.
    pub(crate) by_payload: bool,
}

impl Seen {
    fn new(kind: Kind, view: &RecordView<'_>) -> Self {
        let raw = view.raw();
        let end = raw.bytes.len() - view.payload().len();
        Self {
            kind,
            count: Count::default(),
            text: self::kind(view),
            header: raw.bytes[..end].to_vec(),
            record_kind: raw.kind,
            may_be_loss: kind.provider == Some(LOST_EVENT_GUID),
            by_payload: false,
        }
    }

    pub(crate) fn sample(&self) -> RawRecord<'_> {
        RawRecord { kind: self.record_kind, offset: 0, bytes: &self.header }
    }
}

/// All kinds, in the order in which they were first seen.
#[derive(Debug)]
pub(crate) struct Kinds {
    pub(crate) seen: Vec<Seen>,
    numbers: HashMap<Kind, usize>,
    /// Labels of `file` that were seen lately, by [`Label::place`].
    lately: [Lately; 256],
    file: usize,
}

/// A label and what is known of records that have it.
#[derive(Clone, Copy, Debug)]
struct Lately {
    label: Label,
    /// Of the kind, in [`Kinds::seen`].
    number: usize,
    /// Nothing is to be done with such a record but to count it.
    is_plain: bool,
}

impl Lately {
    const NONE: Self = Self { label: Label::NONE, number: usize::MAX, is_plain: false };
}

impl Default for Kinds {
    fn default() -> Self {
        let lately = [Lately::NONE; 256];
        Self { seen: Vec::new(), numbers: HashMap::new(), lately, file: 0 }
    }
}

impl Kinds {
    /// The count of the record's kind, if such records were seen lately and counting is all there
    /// is to do with them.
    #[inline(always)]
    pub(crate) fn plain(&mut self, file: usize, heading: &Heading) -> Option<&mut Count> {
        let known = self.lately[usize::from(heading.label.place())];
        if known.label != heading.label || self.file != file || !known.is_plain {
            return None;
        }
        Some(&mut self.seen[known.number].count)
    }

    /// The kind of a record. Whether it is plain, `is_plain` says for all of its label.
    pub(crate) fn of(
        &mut self,
        found: &Found<'_>,
        heading: &Heading,
        is_plain: impl FnOnce() -> bool,
    ) -> &mut Seen {
        let place = usize::from(heading.label.place());
        if self.file != found.file {
            (self.lately, self.file) = ([Lately::NONE; 256], found.file);
        }
        if self.lately[place].label != heading.label {
            let number = self.number(found);
            let is_plain = is_plain() && !self.seen[number].may_be_loss;
            self.lately[place] = Lately { label: heading.label, number, is_plain };
        }
        &mut self.seen[self.lately[place].number]
    }

    #[cold]
    fn number(&mut self, found: &Found<'_>) -> usize {
        let kind = Kind::of(found.file, found.view);
        *self.numbers.entry(kind).or_insert_with(|| {
            self.seen.push(Seen::new(kind, found.view));
            self.seen.len() - 1
        })
    }
}
