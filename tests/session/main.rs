//! The recorder, seen from outside: what was accepted is in the log, what was not is counted.
#![allow(missing_docs, clippy::cast_possible_truncation)]

#[path = "../common/allocations.rs"]
mod allocations;
mod balance;
mod config;
mod control;
mod crash;
mod disk;
mod fake;
mod faults;
mod files;
mod gathered;
mod live;
mod log;
mod modes;
mod overwrite;
mod power;
mod process;
mod provider;
mod records;
mod replay;
mod rings;
mod signals;
mod stop;
mod syscalls;
mod zero_alloc;

/// A name for a session that no other test of this process uses.
fn name(of: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{of} {}", NEXT.fetch_add(1, Ordering::Relaxed))
}
