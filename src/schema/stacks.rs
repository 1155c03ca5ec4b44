//! Call stacks, joined to the events that they belong to.
//!
//! ```text
//!   event ·······┐ stamp, thread                 item of the event: addresses or a key
//!   … later …    │                                        │
//!   StackWalk ───┘ addresses, or a key ──► definition of the key, later still
//! ```
//!
//! A kernel event has no stack of its own. A `StackWalk` record behind it names the event's raw
//! stamp and thread, and holds the addresses or a key; what a key means is said when it is given up
//! or when the log ends, and keys are used again. So three walks go over a log:
//!
//! 1. [`StackKeys::learn`] takes in the definitions, in any order.
//! 2. A walk in time order runs ahead of the third and shows `StackWalk` records to
//!    [`Stacks::look_ahead`] while [`Stacks::has_room`].
//! 3. The walk that wants the stacks, in time order, asks [`Stacks::of`] for each record.
//!
//! # Bounds
//!
//! The second walk is never further ahead than [`MOST_PENDING`] stacks or [`MOST_ADDRESSES`] of
//! their addresses, so memory is flat on a log of any size; a stack is missed only if so many
//! others lie between it and its event. Definitions of keys are kept up to the same number of
//! addresses; [`StackKeys::refused`] counts those beyond it.
//!
//! Source: spec/15-schemas.md.

use crate::codec::{RawRecord, RecordHeader, RecordKind, RecordView};
use crate::format::{ExtType, Group};
use crate::schema::{Decoder, Shape, Value, Visitor};
use std::collections::BTreeMap;

/// Stacks that wait for their events at a time.
pub const MOST_PENDING: usize = 1 << 16;
/// Addresses of all stacks that wait, and of all keys that are known: 16 MiB each.
pub const MOST_ADDRESSES: usize = 1 << 21;
/// Definitions of keys.
const MOST_KEYS: usize = 1 << 19;
/// Addresses of one stack that are kept; Windows records at most 192.
const MOST_FRAMES: usize = 1024;
/// Stacks of one stamp that are looked at for one event; real files have two.
const MOST_AT_ONCE: usize = 64;

const STACK_WALK: Group = Group(0x18);
const STACK: u8 = 32;
/// In no file that was seen; believed to say of a key that is made what the next two say of one
/// that is given up or left.
const KEY_CREATE: u8 = 34;
const KEY_RUNDOWN: u8 = 36;
const KEY_KERNEL: u8 = 37;
const KEY_USER: u8 = 38;

/// What the keys of stacks mean: learned from a whole log before its stacks are asked for.
#[derive(Clone, Debug, Default)]
pub struct StackKeys {
    definitions: Vec<Definition>,
    addresses: Vec<u64>,
    refused: u64,
    /// Whether the log has records that join a stack to an event.
    joins: bool,
    sorted: bool,
}

/// From where on, in time, a key stands for `addresses[start..][..count]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Definition {
    key: u64,
    ticks: u64,
    start: u32,
    count: u32,
}

impl StackKeys {
    /// Knows none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the definition of a key; all other records are passed over for the price of a look
    /// at their header.
    pub fn learn(&mut self, record: RawRecord<'_>) {
        let Some(kind) = stack_kind(record) else { return };
        self.joins |= matches!(kind, STACK | KEY_KERNEL | KEY_USER);
        if !(KEY_CREATE..=KEY_RUNDOWN).contains(&kind) {
            return;
        }
        let Ok(view) = RecordView::parse(record) else { return };
        let (width, payload) = (width(&view), view.payload());
        let (Some(key), Some(ticks)) = (word(payload, 0, width), view.ticks()) else { return };
        let start = self.addresses.len();
        let room = MOST_ADDRESSES.saturating_sub(start).min(MOST_FRAMES);
        let stack = payload.get(width..).unwrap_or_default();
        if self.definitions.len() >= MOST_KEYS || words(stack, width).len() > room {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        self.addresses.extend(words(stack, width));
        let count = self.addresses.len().saturating_sub(start);
        let (Ok(start), Ok(count)) = (u32::try_from(start), u32::try_from(count)) else { return };
        self.definitions.push(Definition { key, ticks, start, count });
        self.sorted = false;
    }

    /// Puts what was learned in order; to be called once, behind the last record.
    pub fn finish(&mut self) {
        self.definitions.sort_unstable();
        self.sorted = true;
    }

    /// Definitions that were left out because the log holds more of them than are kept.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether the log has `StackWalk` records: without them there is nothing to look ahead for.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.joins
    }

    /// What `key` stood for at a time: its first definition from then on, since a key is defined
    /// when it is given up; the last one before, if none follows.
    fn get(&self, key: u64, ticks: u64) -> &[u64] {
        debug_assert!(self.sorted || self.definitions.is_empty(), "finish() was not called");
        let behind =
            self.definitions.partition_point(|known| (known.key, known.ticks) < (key, ticks));
        let follows = self.definitions.get(behind).filter(|known| known.key == key);
        let before = || self.definitions.get(behind.checked_sub(1)?).filter(|k| k.key == key);
        let Some(known) = follows.or_else(before) else { return &[] };
        let stack = self.addresses.get(known.start as usize..).unwrap_or_default();
        stack.get(..known.count as usize).unwrap_or_default()
    }
}

/// Joins the stacks of one log to its events.
#[derive(Clone, Debug)]
pub struct Stacks<'k> {
    keys: &'k StackKeys,
    /// By the stamp of the event, then in their order.
    pending: BTreeMap<(u64, u32), Pending>,
    addresses: usize,
    next: u32,
    /// The stamp that the walk is at.
    now: u64,
    found: Vec<u64>,
    threads: Threads,
}

/// A stack whose event has not come yet.
#[derive(Clone, Debug)]
struct Pending {
    process: u32,
    thread: u32,
    /// Kernel half 0, whole 1, user half 2.
    part: u8,
    addresses: Box<[u64]>,
}

/// A call stack: where each call returns to, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallStack<'s> {
    /// The addresses; of the kernel first, if both are known.
    pub addresses: &'s [u64],
    /// The process, where the stack was recorded apart from its event.
    pub process: Option<u32>,
}

impl<'k> Stacks<'k> {
    /// Of a log whose keys are known.
    #[must_use]
    pub fn new(keys: &'k StackKeys) -> Self {
        Self {
            keys,
            pending: BTreeMap::new(),
            addresses: 0,
            next: 0,
            now: 0,
            found: Vec::new(),
            threads: Threads::default(),
        }
    }

    /// Whether the walk that runs ahead may go on; `false`, too, if nothing lies ahead.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.keys.joins() && self.pending.len() < MOST_PENDING && self.addresses < MOST_ADDRESSES
    }

    /// Takes in a stack that lies ahead; all other records are passed over.
    pub fn look_ahead(&mut self, record: RawRecord<'_>) {
        let Some(kind @ (STACK | KEY_KERNEL | KEY_USER)) = stack_kind(record) else { return };
        let Ok(view) = RecordView::parse(record) else { return };
        let payload = view.payload();
        let (Some(stamp), Some(process), Some(thread)) =
            (word(payload, 0, 8), word32(payload, 8), word32(payload, 12))
        else {
            return;
        };
        if stamp < self.now {
            return;
        }
        let rest = payload.get(16..).unwrap_or_default();
        let width = width(&view);
        let addresses: Box<[u64]> = if kind == STACK {
            words(rest, width).take(MOST_FRAMES).collect()
        } else {
            let Some(key) = word(rest, 0, width) else { return };
            self.keys.get(key, view.ticks().unwrap_or(stamp)).into()
        };
        let part = match kind {
            KEY_KERNEL => 0,
            STACK => 1,
            _ => 2,
        };
        self.addresses = self.addresses.saturating_add(addresses.len());
        self.next = self.next.wrapping_add(1);
        self.pending.insert((stamp, self.next), Pending { process, thread, part, addresses });
    }

    /// The stack of a record, from its own items or from what lies ahead. Records must come in time
    /// order; each stack goes to one record.
    pub fn of(&mut self, view: &RecordView<'_>, decoder: &Decoder) -> Option<CallStack<'_>> {
        self.found.clear();
        let ticks = view.ticks()?;
        if let RecordHeader::Event(_) = view.header() {
            self.own(view, ticks);
            let addresses = Some(&*self.found).filter(|found| !found.is_empty())?;
            return Some(CallStack { addresses, process: None });
        }
        self.pass(ticks);
        // A merge tool adds records without a group that bear the stamp of the event they are of.
        view.group().filter(|group| *group != STACK_WALK)?;
        if self.pending.first_key_value().is_none_or(|((stamp, _), _)| *stamp != ticks) {
            return None;
        }
        self.threads.clear();
        match view.header() {
            RecordHeader::PerfInfo(_) => drop(decoder.describe(view).walk(&mut self.threads)),
            _ => self.threads.add(view.thread_id()),
        }
        let process = self.join(ticks)?;
        Some(CallStack { addresses: &self.found, process: Some(process) })
    }

    /// Takes the stacks of this stamp that are of one of the event's threads.
    fn join(&mut self, ticks: u64) -> Option<u32> {
        let here = self.pending.range((ticks, 0)..=(ticks, u32::MAX)).take(MOST_AT_ONCE);
        let mut taken: Vec<_> = here
            .filter(|(_, stack)| self.threads.may_be(stack.thread))
            .map(|(key, stack)| (stack.part, *key, stack.thread, stack.process))
            .collect();
        taken.sort_unstable();
        let (_, _, thread, process) = *taken.first()?;
        // Without a thread of its own an event takes one thread's stack.
        for (_, key, _, _) in taken.into_iter().filter(|(.., own, _)| *own == thread) {
            if let Some(stack) = self.pending.remove(&key) {
                self.addresses = self.addresses.saturating_sub(stack.addresses.len());
                let room = MOST_FRAMES.saturating_sub(self.found.len());
                self.found.extend(stack.addresses.iter().take(room));
            }
        }
        Some(process)
    }

    /// The stack in the items of an event.
    fn own(&mut self, view: &RecordView<'_>, ticks: u64) {
        for item in view.items().map_while(Result::ok) {
            // Behind the match id.
            let data = item.data.get(8..).unwrap_or_default();
            let room = MOST_FRAMES.saturating_sub(self.found.len());
            let stack: &[u64] = match item.ext_type {
                ExtType::STACK_TRACE32 => {
                    self.found.extend(words(data, 4).take(room));
                    continue;
                }
                ExtType::STACK_TRACE64 => {
                    self.found.extend(words(data, 8).take(room));
                    continue;
                }
                ExtType::STACK_KEY32 => word(data, 0, 4).map(|key| self.keys.get(key, ticks)),
                ExtType::STACK_KEY64 => word(data, 0, 8).map(|key| self.keys.get(key, ticks)),
                _ => None,
            }
            .unwrap_or_default();
            self.found.extend(stack.iter().take(room));
        }
    }

    /// Lets go of the stacks whose events lie behind: there may be room again.
    pub fn pass(&mut self, ticks: u64) {
        self.now = self.now.max(ticks);
        while let Some(entry) = self.pending.first_entry() {
            if entry.key().0 >= self.now {
                break;
            }
            self.addresses = self.addresses.saturating_sub(entry.remove().addresses.len());
        }
    }
}

/// Threads that an event is of: that of its header, or those that its fields name.
#[derive(Clone, Debug, Default)]
struct Threads {
    known: Vec<u32>,
}

impl Threads {
    fn clear(&mut self) {
        self.known.clear();
    }

    fn add(&mut self, thread: Option<u32>) {
        self.known.extend(thread);
    }

    /// Of an event that names no thread the stamp alone decides.
    fn may_be(&self, thread: u32) -> bool {
        self.known.is_empty() || self.known.contains(&thread)
    }
}

impl Visitor for Threads {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        const NAMES: [&str; 5] =
            ["ThreadId", "TThreadId", "NewThreadId", "OldThreadId", "IssuingThreadId"];
        if NAMES.contains(&name) && self.known.len() < NAMES.len() {
            self.add(value.to_count().and_then(|number| u32::try_from(number).ok()));
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}

/// The type of a record of the group of stacks, from its header's bytes alone.
fn stack_kind(record: RawRecord<'_>) -> Option<u8> {
    match record.kind {
        RecordKind::Typed(header) if header.has_size_at_4() => match record.bytes.get(6..8) {
            Some(&[kind, group]) if group == STACK_WALK.0 => Some(kind),
            _ => None,
        },
        _ => None,
    }
}

fn width(view: &RecordView<'_>) -> usize {
    if view.bits() == Some(32) { 4 } else { 8 }
}

fn words(bytes: &[u8], width: usize) -> impl ExactSizeIterator<Item = u64> + '_ {
    let value = |word: &[u8]| word.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    bytes.chunks_exact(width).map(value)
}

fn word(bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
    words(bytes.get(offset..)?, width).next()
}

fn word32(bytes: &[u8], offset: usize) -> Option<u32> {
    word(bytes, offset, 4).and_then(|word| u32::try_from(word).ok())
}
