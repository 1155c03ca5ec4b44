//! Each vector says what its expectation asks for.

use crate::common::{Vector, vectors};
use crate::reading::read;
use serde_json::Value;

/// Goal: the numbers of the specification mean what the codec takes them to mean.
/// Method: every vector is read whole and compared with its expectation, key by key.
#[test]
fn say_what_they_must() {
    let vectors = vectors();
    assert!(vectors.len() >= 100, "{} vectors", vectors.len());
    let faults: Vec<_> = vectors.iter().filter_map(|v| compare(v).err()).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), vectors.len(), faults.join("\n"));
}

fn compare(vector: &Vector) -> Result<(), String> {
    let expected = &vector.expected;
    let size = expected["size"].as_u64().unwrap_or_default();
    let said = read(vector.what(), &vector.bytes, usize::try_from(size).unwrap());
    let name = &vector.name;

    let none = Vec::new();
    let wanted = expected["says"].as_array().unwrap_or(&none);
    for (i, (want, got)) in wanted.iter().zip(&said.says).enumerate() {
        differs(want, got).map_or(Ok(()), |d| Err(format!("{name}: {i}: {d}")))?;
    }
    if wanted.len() != said.says.len() {
        return Err(format!("{name}: says {} things, not {}", said.says.len(), wanted.len()));
    }
    for key in ["buffer", "checksum", "events_lost", "logfile", "time_order", "crc32", "text"] {
        if let Some(want) = expected.get(key) {
            let got = said.rest.get(key).unwrap_or(&Value::Null);
            differs(want, got).map_or(Ok(()), |d| Err(format!("{name}: {key}: {d}")))?;
        }
    }
    Ok(())
}

/// The first thing that `want` asks for and `got` does not have. Objects may have more keys.
fn differs(want: &Value, got: &Value) -> Option<String> {
    match want {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, want)| differs(want, &got[key]).map(|d| format!("{key}: {d}"))),
        _ if want == got => None,
        _ => Some(format!("{got}, not {want}")),
    }
}

/// Goal: the comparison above can fail.
#[test]
fn a_wrong_expectation_is_noticed() {
    let mut vector = crate::common::vector("classic");
    assert_eq!(compare(&vector), Ok(()));
    vector.expected["says"][1]["ticks"] = 1.into();
    assert_eq!(compare(&vector), Err("classic: 1: ticks: 1001, not 1".into()));
    vector.expected["says"].as_array_mut().unwrap().pop();
    assert_eq!(compare(&vector), Err("classic: says 2 things, not 1".into()));
}
