//! Files made of the same records are the same bytes: each time, and on every platform.
//!
//! Each time is tested here. `tests/platforms.sh` does the rest: it has this program write the files
//! to a directory on each platform (`ETLRING_OUTPUTS`) and compares the directories.
#![allow(missing_docs, clippy::cast_possible_truncation)]

#[path = "../common/mod.rs"]
mod common;
mod edited;
mod exported;
mod inputs;
#[path = "../reader/log.rs"]
#[allow(dead_code)]
mod log;
#[path = "../iis/logs.rs"]
#[allow(dead_code)]
mod logs;
#[path = "../export/records.rs"]
#[allow(dead_code)]
mod records;

use etlring::reader::Trace;
use std::fs;
use std::path::PathBuf;

/// A file: what it is called and what is in it.
type File = (String, Vec<u8>);

/// All that is made of one log.
fn files_of(log: &[u8]) -> Vec<File> {
    let trace = Trace::from_bytes(log.to_vec()).unwrap();
    let mut files = edited::files_of(&trace);
    files.extend(exported::files_of(&trace));
    files
}

#[test]
fn the_same_records_give_the_same_files() {
    let directory = std::env::var_os("ETLRING_OUTPUTS").map(PathBuf::from);
    let mut written = 0usize;
    let inputs = inputs::all();
    // A hand of logs made here, and the vectors of whole files that can be opened.
    assert!(inputs.len() > 20, "{} inputs", inputs.len());
    for (name, log) in inputs {
        let files = files_of(&log);
        // Maps hash with another seed the second time.
        for ((kind, bytes), (_, again)) in files.iter().zip(files_of(&log)) {
            assert!(*bytes == again, "{name}: {kind} is not the same twice");
        }
        let Some(directory) = &directory else { continue };
        fs::create_dir_all(directory.join(&name)).unwrap();
        for (kind, bytes) in files.iter().chain([&("log.etl".to_owned(), log)]) {
            fs::write(directory.join(&name).join(kind), bytes).unwrap();
            written += 1;
        }
    }
    if directory.is_some() {
        println!("{written} files written");
    }
}
