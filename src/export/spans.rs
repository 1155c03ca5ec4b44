//! Starts that wait for their stops: what makes two events one span of time.
//!
//! A stop belongs to the last start of the same provider and task that bears the same activity; of
//! events without an activity, to the last one on the same thread; of those without a task either,
//! to the last one whose name has the same stem (`ReadStart`, `ReadStop`).
//!
//! # Bounds
//!
//! [`MOST_OPEN`] starts wait at a time, [`MOST_NESTED`] of one thread or one activity, with
//! [`MOST_BYTES`] of text; beyond that the oldest gives way, as one that was never stopped.

use crate::format::Guid;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Starts that wait at a time.
pub const MOST_OPEN: usize = 1 << 16;
/// Starts of one thread, or of one activity, that wait at a time.
pub const MOST_NESTED: usize = 1 << 10;
/// Bytes of the text of all starts that wait.
pub const MOST_BYTES: usize = 16 << 20;

/// What a start and its stop have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) provider: Guid,
    pub(super) task: u16,
    pub(super) activity: Guid,
    /// Process and thread, and the stem of a name without a task, where there is no activity.
    pub(super) thread: Option<(Thread, Box<str>)>,
}

/// Process and thread.
pub(super) type Thread = (u32, u32);

/// A start, as it was written down.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) nanos: i128,
    pub(super) thread: Thread,
    /// The event's id and version.
    pub(super) event: (u16, u16),
    /// Everything that the span is written with but times and ids.
    pub(super) text: Box<[u8]>,
    /// Where its arguments start in the text.
    pub(super) arguments: usize,
}

/// A start that got its stop.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) open: Open,
    /// A number that no other span has.
    pub(super) number: u64,
    /// Whether it began and ended on one thread and lies within what else is open there.
    pub(super) nested: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    open: BTreeMap<u64, (Key, Open)>,
    by_key: HashMap<Key, Vec<u64>>,
    by_thread: HashMap<Thread, Vec<u64>>,
    next: u64,
    bytes: usize,
}

impl Spans {
    /// Keeps a start. Hands back those that had to give way for it, oldest first.
    pub(super) fn start(&mut self, key: Key, open: Open) -> Vec<(u64, Open)> {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let by_key = self.by_key.entry(key.clone()).or_default();
        by_key.push(number);
        let mut crowded = (by_key.len() > MOST_NESTED).then(|| by_key[0]);
        let by_thread = self.by_thread.entry(open.thread).or_default();
        by_thread.push(number);
        crowded = crowded.or((by_thread.len() > MOST_NESTED).then(|| by_thread[0]));
        self.bytes += open.text.len();
        self.open.insert(number, (key, open));
        let mut gone = Vec::new();
        while let Some(oldest) = crowded.take().or_else(|| self.surplus()) {
            match self.remove(oldest) {
                Some(open) => gone.push((oldest, open)),
                None => break,
            }
        }
        gone
    }

    /// Takes the last start of a thread back if `open` tells the same beginning in another version
    /// of the event: .NET logs each collection so.
    pub(super) fn twin(&mut self, key: &Key, open: &Open) -> Option<Open> {
        let last = *self.by_thread.get(&open.thread)?.last()?;
        let (known, before) = self.open.get(&last)?;
        let twin = before.event.0 == open.event.0 && before.event.1 != open.event.1;
        if twin && known == key { self.remove(last) } else { None }
    }

    fn surplus(&self) -> Option<u64> {
        let many = self.open.len() > MOST_OPEN || self.bytes > MOST_BYTES;
        self.open.first_key_value().filter(|_| many).map(|(number, _)| *number)
    }

    /// The start of a stop on `thread`.
    pub(super) fn stop(&mut self, key: &Key, thread: Thread) -> Option<Closed> {
        let candidates = self.by_key.get(key)?;
        let here = |number: &&u64| self.open.get(number).is_some_and(|(_, o)| o.thread == thread);
        let number = *candidates.iter().rev().find(here).or(candidates.last())?;
        let of_thread = self.by_thread.get(&thread);
        let nested = of_thread.and_then(|numbers| numbers.last()) == Some(&number);
        Some(Closed { open: self.remove(number)?, number, nested })
    }

    /// All that were never stopped, oldest first.
    pub(super) fn drain(&mut self) -> Vec<(u64, Open)> {
        let open = std::mem::take(self).open;
        open.into_iter().map(|(number, (_, open))| (number, open)).collect()
    }

    fn remove(&mut self, number: u64) -> Option<Open> {
        let (key, open) = self.open.remove(&number)?;
        self.bytes -= open.text.len();
        forget(&mut self.by_key, &key, number);
        forget(&mut self.by_thread, &open.thread, number);
        Some(open)
    }
}

fn forget<K: Hash + Eq>(lists: &mut HashMap<K, Vec<u64>>, key: &K, number: u64) {
    let Some(list) = lists.get_mut(key) else { return };
    list.retain(|other| *other != number);
    if list.is_empty() {
        lists.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(activity: u128) -> Key {
        Key { provider: Guid::ZERO, task: 1, activity: Guid::from_u128(activity), thread: None }
    }

    fn open(nanos: i128, thread: u32) -> Open {
        Open { nanos, thread: (1, thread), event: (1, 0), text: [0; 10].into(), arguments: 0 }
    }

    #[test]
    fn a_stop_takes_the_last_start_of_its_kind() {
        let mut spans = Spans::default();
        for (activity, nanos, thread) in [(1, 10, 1), (2, 20, 1), (1, 30, 2), (1, 40, 1)] {
            assert!(spans.start(key(activity), open(nanos, thread)).is_empty());
        }
        let mut stop = |activity, thread| {
            let closed = spans.stop(&key(activity), (1, thread))?;
            Some((closed.open.nanos, closed.nested))
        };
        assert_eq!(stop(1, 1), Some((40, true)), "of the same thread");
        assert_eq!(stop(1, 1), Some((10, false)), "around another that is still open");
        assert_eq!(stop(2, 1), Some((20, true)));
        assert_eq!(stop(1, 9), Some((30, false)), "of another thread");
        assert_eq!(stop(1, 1), None);
        assert_eq!(stop(3, 1), None);
        assert!(spans.drain().is_empty() && spans.by_key.is_empty() && spans.by_thread.is_empty());
    }

    #[test]
    fn a_start_in_two_versions_is_one() {
        let mut spans = Spans::default();
        spans.start(key(1), open(10, 1));
        assert!(spans.twin(&key(1), &open(11, 1)).is_none(), "the same version is another start");
        let newer = |nanos, thread| Open { event: (1, 2), ..open(nanos, thread) };
        assert!(spans.twin(&key(2), &newer(12, 1)).is_none());
        assert!(spans.twin(&key(1), &newer(12, 2)).is_none());
        assert_eq!(spans.twin(&key(1), &newer(12, 1)).map(|open| open.nanos), Some(10));
    }

    #[test]
    fn the_oldest_gives_way() {
        let mut spans = Spans::default();
        for nanos in 0..MOST_NESTED as i128 {
            assert!(spans.start(key(1), open(nanos, 1)).is_empty());
        }
        let gone = spans.start(key(1), open(5000, 2));
        assert_eq!(gone.iter().map(|(_, open)| open.nanos).collect::<Vec<_>>(), [0]);
        let mut spans = Spans::default();
        let mut gone = 0;
        for at in 0..MOST_OPEN + 5 {
            gone += spans.start(key(at as u128), open(0, u32::try_from(at).unwrap())).len();
        }
        assert_eq!((gone, spans.drain().len()), (5, MOST_OPEN));
    }
}
