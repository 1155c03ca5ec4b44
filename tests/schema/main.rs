//! What payloads mean: every decoder against values made by hand, against files from Windows, and
//! against input that means harm.
#![allow(missing_docs)]

mod metadata;
mod samples;
mod shown;
mod tracelogging;
mod values;
