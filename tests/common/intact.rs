//! Whether a sample is the file that the tests expect so much of.

use std::path::Path;

/// Whether the file at `path` is as long as the list beside it says; files that are not on the list are
/// what they are. What a test expects of a file it expects of that one: of another by its name, put there
/// by mistake, it says so and expects nothing.
pub(crate) fn is_intact(path: &Path) -> bool {
    let list = path.with_file_name("expected.jsonl");
    let (Ok(list), Ok(file)) = (std::fs::read_to_string(list), path.metadata()) else {
        return true;
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let row = list.lines().find(|row| row.contains(&format!("\"file\":\"{name}\"")));
    let bytes = row.and_then(|row| row.split("\"bytes\":").nth(1));
    let bytes = bytes.and_then(|row| row.split(',').next()).and_then(|bytes| bytes.parse().ok());
    let intact = bytes.is_none_or(|bytes: u64| bytes == file.len());
    if !intact {
        eprintln!("skipped: {} has {} bytes, not {bytes:?}", path.display(), file.len());
    }
    intact
}
