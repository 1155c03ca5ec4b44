//! The vectors of `spec/vectors`, for every test that reads them.

#![allow(dead_code)] // each test binary uses its own part

use serde_json::Value;
use std::{fs, path::PathBuf};

/// Bytes made by hand and what a reader must say of them.
pub(crate) struct Vector {
    /// File name without extension.
    pub(crate) name: String,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// The companion expectation; `spec/vectors/README.md` lists its keys.
    pub(crate) expected: Value,
}

impl Vector {
    /// What the bytes are: `records`, `buffer`, `file` or `stream`.
    pub(crate) fn what(&self) -> &str {
        self.expected["what"].as_str().unwrap_or_default()
    }
}

/// A directory of the specification.
pub(crate) fn spec(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("spec").join(path)
}

/// Every vector, by name. None is missing its expectation.
pub(crate) fn vectors() -> Vec<Vector> {
    let mut names: Vec<_> = fs::read_dir(spec("vectors"))
        .expect("spec/vectors is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "hex"))
        .map(|path| path.file_stem().expect("named").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.into_iter().map(|name| vector(&name)).collect()
}

/// One vector.
pub(crate) fn vector(name: &str) -> Vector {
    let path = |extension| spec("vectors").join(format!("{name}.{extension}"));
    let text = fs::read_to_string(path("hex")).unwrap_or_else(|e| panic!("{name}.hex: {e}"));
    let bytes = hex(&text).unwrap_or_else(|line| panic!("{name}.hex: not hex: {line}"));
    let json = fs::read_to_string(path("json")).unwrap_or_else(|e| panic!("{name}.json: {e}"));
    let expected = serde_json::from_str(&json).unwrap_or_else(|e| panic!("{name}.json: {e}"));
    Vector { name: name.into(), bytes, expected }
}

/// The bytes of commented hex: `offset: bytes # comment`; an offset that is wrong is an error.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for line in text.lines() {
        let code = line.split('#').next().unwrap_or_default().trim();
        if code.is_empty() {
            continue;
        }
        let (offset, digits) = code.split_once(':').ok_or(line)?;
        if usize::from_str_radix(offset, 16) != Ok(bytes.len()) {
            return Err(line.into());
        }
        for pair in digits.split_whitespace() {
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| line)?);
        }
    }
    Ok(bytes)
}
