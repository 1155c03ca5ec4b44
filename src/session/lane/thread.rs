//! Which lane a thread owns, and how it comes to one.
//!
//! The common case is one compare: the thread's last session is this one. Else the thread's short
//! list is searched, and only then a lane is claimed, lowest free first. When a thread ends its
//! lanes are given back; an event after that (from another thread-local's destructor), or inside
//! another event, goes through a lane that nobody owns.

use super::{Entered, Lane, Ring};
use crate::session::{
    clock,
    stats::Discarded,
    sync::{Barrier, yield_now},
};
use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak};

/// Lanes are made in groups of this many, when they are first needed.
const CHUNK: usize = 64;
/// Most groups: 65,536 threads at a time in one session.
const CHUNKS: usize = 1024;

/// Lanes that nobody owns.
const SHARED: usize = 64;

/// How often a thread looks whether the one lane is free: some microseconds, then as long as it
/// takes the system to let others run a hundred times.
const ONE_LANE_TURNS: u32 = 200;

/// The lanes of a ring. They are never removed, so that their counters stay.
#[derive(Debug)]
pub(super) struct Lanes {
    chunks: Box<[OnceLock<Box<[Lane]>>]>,
    shared: Box<[Lane]>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            shared: (0..SHARED).map(|_| Lane::new()).collect(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.chunks.iter().map_while(OnceLock::get).flatten().chain(&self.shared)
    }

    fn get(&self, index: u32) -> Option<&Lane> {
        let index = index as usize;
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    /// Makes the calling thread the owner of the lowest free lane.
    fn claim(&self, ids: u64) -> Option<(u32, &Lane)> {
        let lanes = self.chunks.iter().flat_map(|chunk| {
            chunk.get_or_init(|| (0..CHUNK).map(|_| Lane::new()).collect()).iter()
        });
        (0..).zip(lanes).find(|(_, lane)| lane.claim(ids))
    }
}

/// Forks that this process descends from since the library was first used.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Which process this is, in a line of forks. A session belongs to the process that started it: in
/// a child its ring may be the parent's own memory, and its flusher does not exist.
pub(crate) fn generation() -> u64 {
    notice_forks();
    FORKS.load(Relaxed)
}

/// Asks the system to tell of forks. A child then has no last lane, so that its first event goes
/// the general way, which looks whose ring it is; nobody else pays.
#[cfg(all(unix, not(loom)))]
fn notice_forks() {
    static ASKED: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Relaxed);
        // Fails only while the thread ends, which has none then.
        let _ = LAST.try_with(|last| last.set((0, ptr::null())));
        let _ = IDS.try_with(|ids| ids.set(0));
    }
    ASKED.call_once(|| {
        // SAFETY:
        // - The function may be called at any time, from one thread, after a fork: it touches an
        //   atomic and a thread-local without destructor, and takes no lock.
        // - It is never unloaded before the process ends: a library that registered it stays.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        // Only for want of memory.
        debug_assert_eq!(failed, 0);
    });
}

#[cfg(not(all(unix, not(loom))))]
fn notice_forks() {}

/// The calling thread and its process, as records have them. Asked of the system once.
fn ids() -> u64 {
    let known = IDS.get();
    if known != 0 {
        return known;
    }
    let ids = u64::from(std::process::id()) << 32 | u64::from(clock::thread_id());
    IDS.set(ids);
    ids
}

thread_local! {
    /// The session this thread last wrote to, and its lane there. Needs no destructor, so that
    /// reading it is one load, in a signal handler too. Session 0 does not exist.
    static LAST: Cell<(u64, *const Lane)> = const { Cell::new((0, ptr::null())) };
    /// What `ids` gives; 0 before the first time.
    static IDS: Cell<u64> = const { Cell::new(0) };
    /// Every lane this thread owns.
    static HELD: Held = const { Held(RefCell::new(Vec::new())) };
}

/// Gives a thread's lanes back when the thread ends.
struct Held(RefCell<Vec<(u64, u32, Weak<Ring>)>>);

impl Drop for Held {
    fn drop(&mut self) {
        LAST.set((0, ptr::null()));
        for (_, index, ring) in self.0.take() {
            if let Some(lane) = ring.upgrade().as_ref().and_then(|ring| ring.lanes.get(index)) {
                lane.disown();
            }
        }
    }
}

impl Ring {
    /// Enters the lane that the calling thread used last, if it is one of this ring and free.
    ///
    /// # Safety
    ///
    /// - `barrier` is as [`enter_lane`](Self::enter_lane) wants it.
    #[inline(always)]
    pub(super) unsafe fn enter_last(&self, barrier: Barrier) -> Option<Entered<'_>> {
        let (id, lane) = LAST.get();
        if id != self.id {
            return None;
        }
        // SAFETY:
        // - The pointer was set with this ring's id, which no other ring ever has, from a lane of
        //   this ring; lanes are removed with the ring, which the caller holds.
        let lane = unsafe { &*lane };
        // SAFETY:
        // - This thread claimed the lane and gives it back no sooner than it resets `LAST`.
        // - The caller's promise.
        unsafe { self.enter_lane(lane, barrier) }
    }

    /// Enters a lane of the calling thread.
    #[inline(always)]
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Entered<'_>, Discarded> {
        // SAFETY: the barrier is the ring's.
        unsafe { self.enter_last(self.barrier) }.map_or_else(|| self.enter_slowly(), Ok)
    }

    #[cold]
    fn enter_slowly(self: &Arc<Self>) -> Result<Entered<'_>, Discarded> {
        if self.is_of_parent() {
            return Err(Discarded::Forked);
        }
        if self.one_lane {
            return self.enter_the_one();
        }
        let mut why = Discarded::NoLane;
        if let Some(index) = self.own_lane() {
            if let Some(lane) = self.lanes.get(index) {
                LAST.set((self.id, ptr::from_ref(lane)));
                // SAFETY: the lane is in `HELD`, so this thread owns it; the barrier is the ring's.
                if let Some(entered) = unsafe { self.enter_lane(lane, self.barrier) } {
                    return Ok(entered);
                }
                why = Discarded::Reentered;
            }
        }
        // Within another event of this thread, or after its thread-locals are gone.
        let ids = ids();
        let mut lanes = self.lanes.shared.iter();
        lanes.find_map(|lane| self.enter_shared(lane, ids)).ok_or(why)
    }

    /// Enters the lane of all threads, as soon as nobody is in it. An event within an event cannot
    /// wait for that, and one that met a thread asleep in it does not wait for long.
    fn enter_the_one(&self) -> Result<Entered<'_>, Discarded> {
        let (ids, lane) = (ids(), self.lanes.shared.first().ok_or(Discarded::NoLane)?);
        for turn in 0..ONE_LANE_TURNS {
            if let Some(entered) = self.enter_shared(lane, ids) {
                return Ok(entered);
            }
            if lane.has_guest(ids) {
                return Err(Discarded::Reentered);
            }
            if turn < ONE_LANE_TURNS / 2 { std::hint::spin_loop() } else { yield_now() }
        }
        Err(Discarded::NoLane)
    }

    /// Whether the process that made the ring is one that this one was forked from.
    #[inline]
    pub(crate) fn is_of_parent(&self) -> bool {
        self.generation != FORKS.load(Relaxed)
    }

    /// The lane that this thread owns, claimed now if need be. `None` while the list is in use (a
    /// signal came in between) or gone (the thread is ending).
    fn own_lane(self: &Arc<Self>) -> Option<u32> {
        HELD.try_with(|held| {
            let mut held = held.0.try_borrow_mut().ok()?;
            if let Some((_, index, _)) = held.iter().find(|(id, ..)| *id == self.id) {
                return Some(*index);
            }
            held.retain(|(_, _, ring)| ring.strong_count() != 0);
            let (index, _) = self.lanes.claim(ids())?;
            held.push((self.id, index, Arc::downgrade(self)));
            Some(index)
        })
        .ok()
        .flatten()
    }
}
