//! The C interface of etlring: `include/etlring.h`, function by function.
//!
//! ```text
//!   C caller ──► extern "C" fn ──► status::call ──► the library's own calls
//!                  │ arguments        │ errors become numbers,
//!                  ▼                  │ panics too
//!                promise: what C      ▼
//!                must keep         status::last_message
//! ```
//!
//! Functions take `Option<&T>` for pointers that may be NULL, and the types of [`promise`] for what
//! else comes from C: texts, arrays, structures that may grow. There lies nearly all of the `unsafe`
//! code: each of the types says what the header asks of the caller, and relies on it.
//!
//! The constants, structures and functions here are compared with the header's by `tests`.
#![expect(unsafe_code, reason = "a C ABI: pointers come from C, and functions are named for it")]

pub mod fields;
pub mod http;
pub mod message;
mod names;
pub mod outside;
pub mod promise;
pub mod provider;
pub mod reader;
pub mod session;
pub mod status;
pub mod types;
pub mod write;

/// Version of the library, `0xMMmmpp`.
pub const VERSION: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | number(env!("CARGO_PKG_VERSION_PATCH"));

/// Constants of the header, by their names without `ETLRING_`.
pub const CONSTANTS: &[&[(&str, u32)]] = &[
    &[("VERSION", VERSION), ("OK", status::OK)],
    fields::CONSTANTS,
    http::CONSTANTS,
    message::CONSTANTS,
    outside::CONSTANTS,
    provider::CONSTANTS,
    reader::CONSTANTS,
    session::CONSTANTS,
    write::CONSTANTS,
];

/// Structures of the header.
pub const LAYOUTS: &[&[promise::Layout]] = &[
    fields::LAYOUTS,
    http::LAYOUTS,
    message::LAYOUTS,
    outside::LAYOUTS,
    provider::LAYOUTS,
    reader::LAYOUTS,
    session::LAYOUTS,
    types::LAYOUTS,
];

/// `etlring_version`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_version() -> u32 {
    VERSION
}

/// The number that the digits of `text` are.
const fn number(text: &str) -> u32 {
    let mut digits = text.as_bytes();
    let mut number = 0;
    while let [digit, rest @ ..] = digits {
        number = number * 10 + (*digit - b'0') as u32;
        digits = rest;
    }
    number
}
