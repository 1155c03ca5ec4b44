//! The reader against files made by hand and files from Windows.

mod damage;
mod log;
mod open;
mod order;
mod samples;
mod sources;
mod zero_alloc;
