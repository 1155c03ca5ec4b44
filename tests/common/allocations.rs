//! Counts the allocations of each thread, in a test binary that has this as a module.
#![allow(dead_code, reason = "shared by several test binaries, each of which uses its own part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Wraps: a thread may free what others allocate, again and again, and 32 bits have an end.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static GROUP: Cell<Option<&'static Group>> = const { Cell::new(None) };
}

/// Threads whose memory is counted together: what one allocates another may free.
#[derive(Debug, Default)]
pub(crate) struct Group {
    held: AtomicIsize,
    peak: AtomicIsize,
}

impl Group {
    pub(crate) const fn new() -> Self {
        Self { held: AtomicIsize::new(0), peak: AtomicIsize::new(0) }
    }

    /// From now on the calling thread counts.
    pub(crate) fn join(&'static self) {
        GROUP.set(Some(self));
    }

    /// The most bytes that its threads held at one time.
    pub(crate) fn peak(&self) -> isize {
        self.peak.load(Ordering::SeqCst)
    }

    fn add(&self, bytes: isize) {
        let held = self.held.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.peak.fetch_max(held, Ordering::SeqCst);
    }
}

// SAFETY:
// - Every call is handed to the system's allocator unchanged.
// - The counters are plain thread-locals without destructors, so counting cannot allocate.
#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        HELD.set(HELD.get().wrapping_add(size(layout)));
        PEAK.set(PEAK.get().max(HELD.get()));
        if let Some(group) = GROUP.get() {
            group.add(size(layout));
        }
        // SAFETY:
        // - The caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().wrapping_sub(size(layout)));
        if let Some(group) = GROUP.get() {
            group.add(-size(layout));
        }
        // SAFETY:
        // - The caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// No layout has more bytes than that.
fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).unwrap_or(isize::MAX)
}

/// Allocations of the calling thread so far.
pub(crate) fn allocations() -> u64 {
    COUNT.get()
}

/// The most bytes that the calling thread held at one time while `run` ran, beyond what it held
/// before.
pub(crate) fn peak(run: impl FnOnce()) -> isize {
    let before = HELD.get();
    PEAK.set(before);
    run();
    PEAK.get() - before
}
