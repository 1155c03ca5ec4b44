//! What payloads mean: every decoder against values made by hand, against files from Windows, and
//! against input that means harm.
#![allow(missing_docs)]

mod binary;
#[cfg(feature = "manifest")]
mod coverage;
#[cfg(feature = "manifest")]
mod manifest;
mod metadata;
mod mof;
mod recorded;
mod samples;
mod shown;
mod tmf;
mod tracelogging;
mod values;
