//! Which records are wanted.

use crate::codec::RecordView;
use crate::format::{FileTime, Guid};

/// Conditions on a record, all of which must hold; an empty filter takes everything.
///
/// A record that has no such thing as is asked for (a kernel record and a keyword, say) does not
/// match.
///
/// ```
/// use etlring::reader::Filter;
/// let filter = Filter { level: Some(3), ids: vec![1, 2], ..Filter::default() };
/// assert!(!filter.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these providers, classes or message GUIDs; any if empty.
    pub providers: Vec<Guid>,
    /// One of these ids; any if empty.
    pub ids: Vec<u16>,
    /// This level or a more severe one: level 0 (always) to this.
    pub level: Option<u8>,
    /// An event with any of these keyword bits.
    pub keyword: Option<u64>,
    /// Logged by this process.
    pub process_id: Option<u32>,
    /// Logged by this thread.
    pub thread_id: Option<u32>,
    /// An event of this activity.
    pub activity: Option<Guid>,
    /// At this time or later.
    pub from: Option<FileTime>,
    /// Before this time or at it.
    pub to: Option<FileTime>,
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
        fn is<T: PartialEq>(wanted: Option<T>, found: impl FnOnce() -> Option<T>) -> bool {
            wanted.is_none() || wanted == found()
        }
        let keyword = || {
            record
                .descriptor()
                .is_some_and(|d| self.keyword.is_none_or(|mask| d.keyword.get() & mask != 0))
        };
        self.from.is_none_or(|from| time >= from)
            && self.to.is_none_or(|to| time <= to)
            && (self.providers.is_empty()
                || record.provider().is_some_and(|guid| self.providers.contains(&guid)))
            && (self.ids.is_empty() || record.id().is_some_and(|id| self.ids.contains(&id)))
            && self.level.is_none_or(|most| record.level().is_some_and(|level| level <= most))
            && (self.keyword.is_none() || keyword())
            && is(self.process_id, || record.process_id())
            && is(self.thread_id, || record.thread_id())
            && is(self.activity, || record.activity_id())
    }
}
