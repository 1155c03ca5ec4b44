//! Kinds of events: which of them a reader would not know without a word from us.
//!
//! Two events are of one kind if their names, types and meanings are the same. For names marked as
//! static that is told from where they lie, not from what they are:
//!
//! ```text
//!   key = of event and items: product of address with length, type, meaning, its value
//!
//!   this thread's table: key there?  ── yes ──► its kind
//!          │ no
//!          ▼
//!   the process's table: key there?  ── no ───► compared with the table of IIS's own events,
//!          │ yes                                given the next number, remembered
//!          ▼
//!   its kind, remembered by the thread
//! ```
//!
//! The products do not wait for each other, so a key of 8 items takes a few nanoseconds. That two
//! kinds have one key is about as likely as a guess of a number of 64 bits; then the names of the
//! one would be missing in the log.

use crate::iis::{HttpTraceEvent, HttpTraceEventItem, pack::mix};
use crate::schema::iis::known;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, TryLockError};

/// What it takes to record an event so that a reader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing: it is one of IIS.
    Known,
    /// An outline, once for each log.
    Static(u32),
    /// An outline with each event.
    Described,
}

/// Kinds of a process that are numbered. The others are described with each event.
const MOST_KINDS: usize = 1 << 16;
/// How often a thread yields to whoever looks up another kind.
const TRIES: u32 = 10_000;
/// Kinds that a thread remembers.
const PLACES: usize = 64;

thread_local! {
    /// By the key's low bits: the key, and a kind plus one. A key of 0 is never looked up here.
    static SEEN: [Cell<(u64, u32)>; PLACES] = const { [const { Cell::new((0, 0)) }; PLACES] };
}

/// What a thread's table has for [`Kind::Known`]; a number plus [`FIRST`] is that of a static kind.
const KNOWN: u32 = 1;
const FIRST: u32 = 2;

/// The kind of an event of these names; `items` is the key of its items.
#[inline]
pub(super) fn kind_of(event: &HttpTraceEvent<'_>, items: u64) -> Kind {
    if event.flags & HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS == 0 {
        return if is_known(event) { Kind::Known } else { Kind::Described };
    }
    let key = key_of(event, items);
    #[expect(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
    let place = key as usize % PLACES;
    SEEN.with(|seen| match seen[place].get() {
        (known, KNOWN) if known == key => Kind::Known,
        (known, kind) if known == key && kind >= FIRST => Kind::Static(kind - FIRST),
        _ => {
            let kind = look_up(key, event);
            match kind {
                Kind::Known => seen[place].set((key, KNOWN)),
                Kind::Static(number) => seen[place].set((key, number + FIRST)),
                Kind::Described => {}
            }
            kind
        }
    })
}

#[inline]
fn key_of(event: &HttpTraceEvent<'_>, items: u64) -> u64 {
    let numbers = u64::from(event.event) | u64::from(event.event_version) << 32;
    let rules = u64::from(event.verbosity) | u64::from(event.area) << 32;
    let [a, b] = halves(event.area_guid.0);
    let [c, d] = halves(event.provider_guid.0);
    let guids = (a ^ c.rotate_left(17)).wrapping_add(b.rotate_left(29) ^ d.rotate_left(43));
    let own = mix(event.event_name, numbers ^ rules.rotate_left(11) ^ guids);
    let key = items.wrapping_add(own).wrapping_add(event.event_items.len() as u64);
    // The place is taken from the low bits.
    key ^ key >> 32
}

#[inline]
fn halves(guid: [u8; 16]) -> [u64; 2] {
    let number = u128::from_le_bytes(guid);
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    let halves = [number as u64, (number >> 64) as u64];
    halves
}

#[derive(Default)]
struct Kinds {
    by_key: HashMap<u64, Kind>,
    next: u32,
}

#[cold]
#[inline(never)]
fn look_up(key: u64, event: &HttpTraceEvent<'_>) -> Kind {
    static KINDS: LazyLock<Mutex<Kinds>> = LazyLock::new(Mutex::default);
    // In a signal handler that interrupts its own thread here, waiting would be for ever: after
    // some tries the event is described, which is right at any time.
    let mut tries = 0;
    let mut kinds = loop {
        match KINDS.try_lock() {
            Ok(kinds) => break kinds,
            Err(TryLockError::Poisoned(kinds)) => break kinds.into_inner(),
            Err(TryLockError::WouldBlock) if tries < TRIES => tries += 1,
            Err(TryLockError::WouldBlock) => return Kind::Described,
        }
        std::thread::yield_now();
    };
    if let Some(kind) = kinds.by_key.get(&key) {
        return *kind;
    }
    if kinds.by_key.len() >= MOST_KINDS {
        return if is_known(event) { Kind::Known } else { Kind::Described };
    }
    let kind = if is_known(event) {
        Kind::Known
    } else {
        kinds.next += 1;
        Kind::Static(kinds.next - 1)
    };
    kinds.by_key.insert(key, kind);
    kind
}

/// Whether a reader's table says all that this event says of itself.
fn is_known(event: &HttpTraceEvent<'_>) -> bool {
    let Ok(number) = u8::try_from(event.event) else { return false };
    let Some(area) = crate::schema::iis::area(event.area_guid) else { return false };
    if (area.provider.guid, area.mask) != (event.provider_guid, event.area) {
        return false;
    }
    known(event.area_guid, number).any(|known| {
        let items = known.fields.iter().zip(event.event_items);
        let same = |field: &crate::schema::iis::KnownField, item: &HttpTraceEventItem<'_>| {
            let meaning = item.data_description;
            let value = item.data.to_number();
            field.name == item.name
                && field.item_type == item.data_type()
                && meaning.is_none_or(|meaning| {
                    value.is_none_or(|value| field.meaning(value) == Some(meaning))
                })
        };
        known.name == event.event_name
            && u32::from(known.level) == event.verbosity
            && known.fields.len() == event.event_items.len()
            && items.clone().all(|(field, item)| same(field, item))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Guid;
    use crate::iis::guids;
    use crate::iis::pack::survey;

    fn end<'a>(items: &'a [HttpTraceEventItem<'a>], flags: u32) -> HttpTraceEvent<'a> {
        HttpTraceEvent {
            area_guid: guids::GENERAL,
            event: 34,
            event_name: "GENERAL_MAP_HANDLER",
            event_items: items,
            flags,
            ..HttpTraceEvent::of(guids::WWW_SERVER)
        }
    }

    fn kind_of(event: &HttpTraceEvent<'_>) -> Kind {
        super::kind_of(event, survey(event.event_items).unwrap().key)
    }

    #[test]
    fn only_what_differs_from_the_table_is_described() {
        let items = [HttpTraceEventItem::new("ContextId", &Guid::ZERO)];
        for flags in [0, HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS] {
            let event = end(&items, flags);
            assert_eq!(kind_of(&event), Kind::Known);
            assert_eq!(kind_of(&event), Kind::Known);
            let others = [
                HttpTraceEvent { verbosity: 4, ..event },
                HttpTraceEvent { event_name: "Other", ..event },
                HttpTraceEvent { event: 999, ..event },
                HttpTraceEvent { area: 2, ..event },
                HttpTraceEvent { event_items: &[], ..event },
                HttpTraceEvent { provider_guid: guids::ASP, ..event },
            ];
            for other in others {
                assert_ne!(kind_of(&other), Kind::Known);
            }
        }
    }

    #[test]
    fn static_kinds_are_told_apart_by_place_and_keep_their_number() {
        let items = [HttpTraceEventItem::new("X", 1u32).described("one")];
        let other = [HttpTraceEventItem::new("X", 2u32).described("one")];
        let event = end(&items, HttpTraceEvent::STATIC_DESCRIPTIVE_FIELDS);
        let Kind::Static(first) = kind_of(&event) else { panic!("not numbered") };
        let Kind::Static(second) = kind_of(&HttpTraceEvent { event_items: &other, ..event }) else {
            panic!("not numbered")
        };
        assert_ne!(first, second);
        let again = std::thread::scope(|scope| scope.spawn(|| kind_of(&event)).join().unwrap());
        assert_eq!((again, kind_of(&event)), (Kind::Static(first), Kind::Static(first)));
        assert_eq!(kind_of(&end(&items, 0)), Kind::Described);
    }
}
