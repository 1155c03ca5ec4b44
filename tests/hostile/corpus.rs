//! What the fuzz targets have found and what they start from, through everything there is.

use crate::everything;
use crate::log::Log;
use etlring::schema::Decoder;
use std::path::Path;

/// Targets whose inputs are log files, and those whose inputs are records.
const FILES: &[&str] = &["reader", "edit"];
const RECORDS: &[&str] = &["records", "schema", "export", "message", "iis", "logfile"];

/// Inputs of a target; none where nobody has fuzzed.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let Ok(entries) = std::fs::read_dir(corpus.join(target)) else { return Vec::new() };
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// A log of one buffer that holds these bytes.
fn log_of(records: &[u8]) -> Vec<u8> {
    let mut log = Log::new(64 * 1024);
    log.buffer(0, 1, 2_000, &[records[..records.len().min(65_000)].to_vec()]);
    log.bytes
}

/// Only after `python3 fuzz/seeds.py`; what is not there is passed over.
#[test]
#[ignore = "long"]
fn every_input_of_the_fuzz_targets() {
    let mut cases = 0;
    for input in FILES.iter().flat_map(|target| inputs(target)) {
        everything(&input);
        cases += 1;
    }
    for input in RECORDS.iter().flat_map(|target| inputs(target)) {
        assert!(everything(&log_of(&input)).is_some());
        cases += 1;
    }
    let mut decoder = Decoder::new();
    #[cfg(feature = "manifest")]
    for input in inputs("manifest") {
        let _ = decoder.add_manifest(&input);
        cases += 1;
    }
    for input in inputs("mof") {
        let _ = decoder.add_mof(&input);
        cases += 1;
    }
    for input in inputs("tmf") {
        decoder.add_tmf(&input);
        cases += 1;
    }
    for input in inputs("binary") {
        let _ = decoder.add_binary(&input, None);
        cases += 1;
    }
    println!("corpus: {cases} inputs, 0 panics");
}
