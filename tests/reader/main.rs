//! The reader against files made by hand and files from Windows.

#[path = "../common/allocations.rs"]
mod allocations;
mod damage;
mod faults;
mod filter;
mod follow;
mod followed;
mod images;
mod log;
mod open;
mod order;
#[path = "../common/reads.rs"]
mod reads;
mod recover;
mod ring;
mod samples;
mod seek;
mod skip;
mod sources;
mod threads;
mod zero_alloc;
