//! The atomics of the ring, or their models.
//!
//! Under `--cfg loom` the same code runs on loom's types, which explore every interleaving and
//! every outcome that the memory model allows. Nothing else of the session differs. With
//! `--cfg shuttle` beside it they are shuttle's, which tries random interleavings of many threads.

#[cfg(all(loom, not(shuttle)))]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
    thread::yield_now,
};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
    thread::yield_now,
};
#[cfg(not(loom))]
pub(crate) use std::{
    sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
    thread::yield_now,
};

/// The locks of what processes share, which only shuttle models: no order of memory is at stake.
#[cfg(unix)]
pub(crate) mod locks {
    #[cfg(shuttle)]
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicUsize};
    #[cfg(not(shuttle))]
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicUsize};
}

/// A fence of which one side is nearly free: writers [`light`](Self::light), the flusher
/// [`heavy`](Self::heavy).
///
/// Two parties each store one word and then load the other's. With a full fence between store and
/// load on both sides, at least one of them sees the other's store. Writers pass here at every
/// event and the flusher seldom, so on Linux the flusher pays for both: `membarrier(2)` makes every
/// running thread of the process pass a full fence, and a writer only keeps its compiler from
/// reordering. Elsewhere, and where the system call is refused, both sides fence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    /// Whether `membarrier` stands in for the writers' fences.
    asymmetric: bool,
}

impl Barrier {
    /// The kind that nearly every system of this platform has.
    pub(crate) const USUAL: Self = Self { asymmetric: cfg!(all(target_os = "linux", not(loom))) };

    /// Whether this is that kind.
    pub(crate) fn is_usual(self) -> bool {
        self.asymmetric == Self::USUAL.asymmetric
    }

    /// Asks the system for the cheap kind.
    pub(crate) fn new() -> Self {
        Self { asymmetric: register() }
    }

    /// The writer's side, between its store and its load.
    #[inline(always)]
    pub(crate) fn light(self) {
        if self.asymmetric {
            std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The flusher's side, between its store and its load.
    pub(crate) fn heavy(self) {
        fence(Ordering::SeqCst);
        if self.asymmetric {
            everywhere();
        }
    }
}

#[cfg(all(target_os = "linux", not(loom)))]
fn register() -> bool {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
    membarrier_query().contains(MembarrierQuery::PRIVATE_EXPEDITED)
        && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
}

#[cfg(all(target_os = "linux", not(loom)))]
fn everywhere() {
    use rustix::thread::{MembarrierCommand, membarrier};
    // Registered, so it cannot fail. Were it to fail, a writer might be taken for absent while it
    // writes: nothing less than stopping the process is safe.
    if membarrier(MembarrierCommand::PrivateExpedited).is_err() {
        std::process::abort();
    }
}

#[cfg(any(not(target_os = "linux"), loom))]
fn register() -> bool {
    false
}

#[cfg(any(not(target_os = "linux"), loom))]
fn everywhere() {}

/// What loom watches; shuttle has no such.
#[cfg(shuttle)]
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(T);

#[cfg(shuttle)]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0)
    }

    pub(crate) fn with_mut<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0)
    }
}
