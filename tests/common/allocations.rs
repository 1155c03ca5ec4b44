//! Counts the allocations of each thread, in a test binary that has this as a module.
#![allow(dead_code, reason = "shared by several test binaries, each of which uses its own part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

// SAFETY:
// - Every call is handed to the system's allocator unchanged.
// - The counters are plain thread-locals without destructors, so counting cannot allocate.
#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        HELD.set(HELD.get() + size(layout));
        PEAK.set(PEAK.get().max(HELD.get()));
        // SAFETY:
        // - The caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - size(layout));
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
