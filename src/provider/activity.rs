//! Activity ids: what events of one operation have in common.
//!
//! Each thread has one, zero at first; events that name none carry it. Source: Microsoft,
//! `EventActivityIdControl`.

use crate::format::Guid;
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// Needs no destructor, so that it can be read while a thread ends.
    static CURRENT: Cell<Guid> = const { Cell::new(Guid::ZERO) };
}

/// The calling thread's activity (`EVENT_ACTIVITY_CTRL_GET_ID`).
#[inline]
#[must_use]
pub fn current() -> Guid {
    CURRENT.get()
}

/// Sets the calling thread's activity and gives the one before (`EVENT_ACTIVITY_CTRL_GET_SET_ID`).
pub fn set(activity: Guid) -> Guid {
    CURRENT.replace(activity)
}

/// A new activity id, unlike any other of this process and, but for a chance of 2^-64 each, of any
/// other process (`EVENT_ACTIVITY_CTRL_CREATE_ID`).
#[must_use]
pub fn create() -> Guid {
    /// Ids made so far.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    /// What makes this process's ids differ from those of others.
    static PROCESS: OnceLock<u64> = OnceLock::new();
    let process = PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    Guid::from_u128(u128::from(*process) << 64 | u128::from(count))
}

/// Makes `activity` the calling thread's until the scope is dropped, which brings back the one
/// before.
///
/// ```
/// use etlring::provider::activity;
///
/// let request = activity::create();
/// {
///     let _scope = activity::scope(request);
///     assert_eq!(activity::current(), request);
/// }
/// assert!(activity::current().is_zero());
/// ```
#[must_use = "the activity ends with the scope"]
pub fn scope(activity: Guid) -> Scope {
    Scope { before: set(activity), _not_send: std::marker::PhantomData }
}

/// An activity of the thread. Made by [`scope`].
#[derive(Debug)]
pub struct Scope {
    before: Guid,
    /// The thread whose activity it is must end it.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        set(self.before);
    }
}
