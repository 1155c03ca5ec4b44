//! Records counted by kind: by what their headers say and nothing else.
//!
//! A log has millions of records and a few hundred kinds, so what is asked of a kind is asked once.
//! Records come in runs of a few kinds: those are found without a hash table, by a place that is
//! made of their numbers.

use crate::names::kind;
use crate::walk::Found;
use etlring::codec::{RawRecord, RecordHeader, RecordKind, RecordView};
use etlring::format::{EventFlags, Guid, LOST_EVENT_GUID};
use std::collections::HashMap;
use std::hash::Hash;

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
    fn of(found: &Found<'_>) -> Self {
        let view = found.view;
        let (header, flags) = match view.header() {
            RecordHeader::Event(header) => (EVENT, header.flags()),
            RecordHeader::Classic(_) => (CLASSIC, EventFlags(0)),
            RecordHeader::Instance(_) => (INSTANCE, EventFlags(0)),
            RecordHeader::System(_) => (3, EventFlags(0)),
            RecordHeader::Compact(_) => (4, EventFlags(0)),
            RecordHeader::PerfInfo(_) => (5, EventFlags(0)),
            RecordHeader::Message(_) => (6, EventFlags(0)),
            _ => (7, EventFlags(0)),
        };
        Self {
            file: found.file,
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

    /// Where the kinds seen last are looked for first.
    fn place(&self) -> usize {
        const MASK: u128 = u64::MAX as u128;
        let guid = u128::from_le_bytes(self.provider.unwrap_or_default().0);
        let [low, high] = [guid, guid >> 64].map(|half| u64::try_from(half & MASK).unwrap_or(0));
        let numbers = u64::from(self.id.unwrap_or(0)) << 40
            ^ u64::from(self.opcode.unwrap_or(0)) << 24
            ^ u64::from(self.version.unwrap_or(0)) << 8
            ^ u64::from(self.level.unwrap_or(0)) << 16;
        let mixed = low ^ high.rotate_left(7) ^ numbers;
        usize::try_from(mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56).unwrap_or(0)
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
    /// Where kinds that were seen lately are, by [`Kind::place`].
    lately: [usize; 256],
}

impl Default for Kinds {
    fn default() -> Self {
        Self { seen: Vec::new(), numbers: HashMap::new(), lately: [0; 256] }
    }
}

impl Kinds {
    pub(crate) fn of(&mut self, found: &Found<'_>) -> &mut Seen {
        let kind = Kind::of(found);
        let place = kind.place();
        let lately = self.lately[place];
        if self.seen.get(lately).is_none_or(|seen| seen.kind != kind) {
            self.lately[place] = self.number(kind, found.view);
        }
        &mut self.seen[self.lately[place]]
    }

    #[cold]
    fn number(&mut self, kind: Kind, view: &RecordView<'_>) -> usize {
        *self.numbers.entry(kind).or_insert_with(|| {
            self.seen.push(Seen::new(kind, view));
            self.seen.len() - 1
        })
    }
}

/// Something that there are few of at a time.
pub(crate) trait Key: Copy + Eq + Hash {
    /// Where those seen last are looked for first: any number, cheaply made.
    fn place(self) -> u32;
}

impl Key for Option<u32> {
    fn place(self) -> u32 {
        // Windows' process ids are multiples of four.
        self.map_or(0, |process| process / 4)
    }
}

/// Process and thread.
impl Key for (Option<u32>, Option<u32>) {
    fn place(self) -> u32 {
        self.0.place() ^ self.1.place()
    }
}

impl Key for u16 {
    fn place(self) -> u32 {
        self.into()
    }
}

/// Counts by a key. Records come in runs of one.
#[derive(Debug)]
pub(crate) struct Tally<K> {
    counts: Vec<(K, Count)>,
    numbers: HashMap<K, usize>,
    lately: [usize; 16],
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: Vec::new(), numbers: HashMap::new(), lately: [0; 16] }
    }
}

impl<K: Key> Tally<K> {
    pub(crate) fn of(&mut self, key: K) -> &mut Count {
        let place = (key.place() % 16) as usize;
        let lately = self.lately[place];
        if self.counts.get(lately).is_none_or(|(own, _)| *own != key) {
            self.lately[place] = *self.numbers.entry(key).or_insert_with(|| {
                self.counts.push((key, Count::default()));
                self.counts.len() - 1
            });
        }
        &mut self.counts[self.lately[place]].1
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (K, Count)> + '_ {
        self.counts.iter().copied()
    }
}
