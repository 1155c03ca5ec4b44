//! The recorder, seen from outside: what was accepted is in the log, what was not is counted.
#![allow(missing_docs, clippy::cast_possible_truncation)]

mod balance;
mod config;
mod crash;
mod disk;
mod fake;
mod faults;
mod files;
mod log;
mod modes;
mod power;
mod records;
mod replay;
mod rings;
mod stop;
mod syscalls;
mod zero_alloc;
