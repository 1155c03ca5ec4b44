//! Which records are wanted.

use crate::codec::RecordView;
use crate::format::{FileTime, Guid};

/// Conditions on a record, all of which must hold; an empty filter takes everything.
///
/// Of the values in one list any will do. A record that has no such thing as is asked for (a kernel
/// record and a keyword, say) does not match. All is told from headers: nothing is decoded.
///
/// ```
/// use etlring::reader::{Filter, Unwanted};
/// let filter = Filter { level: Some(3), ids: vec![1, 2], ..Filter::default() };
/// assert!(!filter.is_empty());
/// let not = Unwanted { ids: vec![1, 2], ..Unwanted::default() };
/// let rest = Filter { not, ..Filter::default() };
/// assert!(!rest.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these providers, classes or message GUIDs; any if empty.
    pub providers: Vec<Guid>,
    /// One of these ids; any if empty.
    pub ids: Vec<u16>,
    /// One of these opcodes, as [`RecordView::opcode`] has them; any if empty.
    pub opcodes: Vec<u8>,
    /// An event of one of these tasks; any record if empty.
    pub tasks: Vec<u16>,
    /// This level or a more severe one: level 0 (always) to this.
    pub level: Option<u8>,
    /// An event with any of these keyword bits.
    pub keyword: Option<u64>,
    /// Logged by one of these processes; any if empty.
    pub process_ids: Vec<u32>,
    /// Logged by one of these threads; any if empty.
    pub thread_ids: Vec<u32>,
    /// An event of one of these activities; any record if empty.
    pub activities: Vec<Guid>,
    /// At this time or later.
    pub from: Option<FileTime>,
    /// Before this time or at it.
    pub to: Option<FileTime>,
    /// What must not be.
    pub not: Unwanted,
}

/// What a record must not have: one value that is listed is enough to leave it out. A record that
/// has no such thing stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwanted {
    /// These providers, classes and message GUIDs.
    pub providers: Vec<Guid>,
    /// These ids.
    pub ids: Vec<u16>,
    /// These opcodes.
    pub opcodes: Vec<u8>,
    /// These tasks.
    pub tasks: Vec<u16>,
    /// These levels, and no others beside them.
    pub levels: Vec<u8>,
    /// These processes.
    pub process_ids: Vec<u32>,
    /// These threads.
    pub thread_ids: Vec<u32>,
    /// These activities.
    pub activities: Vec<Guid>,
}

impl Filter {
    /// Whether every record matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a record that was logged at `time` matches.
    #[must_use]
    pub fn matches(&self, record: &RecordView<'_>, time: FileTime) -> bool {
        let descriptor = || record.descriptor();
        self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time <= to)
            && (self.providers.is_empty() || has(&self.providers, record.provider()))
            && (self.ids.is_empty() || has(&self.ids, record.id()))
            && self.level.is_none_or(|most| record.level().is_some_and(|level| level <= most))
            && (self.process_ids.is_empty() || has(&self.process_ids, record.process_id()))
            && (self.thread_ids.is_empty() || has(&self.thread_ids, record.thread_id()))
            && (self.opcodes.is_empty() || has(&self.opcodes, record.opcode()))
            && (self.tasks.is_empty() || has(&self.tasks, descriptor().map(|d| d.task.get())))
            && self
                .keyword
                .is_none_or(|mask| descriptor().is_some_and(|d| d.keyword.get() & mask != 0))
            && (self.activities.is_empty() || has(&self.activities, record.activity_id()))
            // Last: most records have been refused before.
            && !self.not.has(record)
    }
}

impl Unwanted {
    /// Whether a record has something that is listed.
    #[must_use]
    pub fn has(&self, record: &RecordView<'_>) -> bool {
        (!self.providers.is_empty() && has(&self.providers, record.provider()))
            || (!self.ids.is_empty() && has(&self.ids, record.id()))
            || (!self.levels.is_empty() && has(&self.levels, record.level()))
            || (!self.process_ids.is_empty() && has(&self.process_ids, record.process_id()))
            || (!self.thread_ids.is_empty() && has(&self.thread_ids, record.thread_id()))
            || (!self.opcodes.is_empty() && has(&self.opcodes, record.opcode()))
            || (!self.tasks.is_empty()
                && has(&self.tasks, record.descriptor().map(|d| d.task.get())))
            || (!self.activities.is_empty() && has(&self.activities, record.activity_id()))
    }
}

#[inline]
#[expect(clippy::manual_contains, reason = "lists are short, and that is made for long ones")]
fn has<T: PartialEq>(list: &[T], found: Option<T>) -> bool {
    found.is_some_and(|found| list.iter().any(|listed| *listed == found))
}
