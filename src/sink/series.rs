//! Log files with a number in their name: `app-%d.etl` is `app-1.etl`, `app-2.etl`, ...

use crate::sink::file::directory_of;
use crate::sink::ring::ring_of;
use crate::sink::storage::{Found, Storage, StoredFile, uninterrupted};
use std::io;
use std::path::{Path, PathBuf};

/// Stands for the number.
const NUMBER: &str = "%d";

/// The names of a series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    directory: PathBuf,
    /// Of the file's name, before and behind the number.
    prefix: String,
    suffix: String,
    /// Directory and prefix as the user wrote them.
    before: PathBuf,
}

impl Series {
    /// The series that `pattern` names; `None` unless its last part is text that has one `%d`.
    pub(crate) fn new(pattern: &Path) -> Option<Self> {
        let name = pattern.file_name()?.to_str()?;
        let (prefix, suffix) = name.split_once(NUMBER)?;
        let elsewhere = pattern.parent().and_then(Path::to_str).unwrap_or_default();
        if suffix.contains(NUMBER) || elsewhere.contains(NUMBER) {
            return None;
        }
        Some(Self {
            directory: directory_of(pattern).to_owned(),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            before: pattern.parent().unwrap_or(Path::new("")).to_owned(),
        })
    }

    /// Name of a file.
    pub(crate) fn path(&self, number: u32) -> PathBuf {
        self.before.join(format!("{}{number}{}", self.prefix, self.suffix))
    }

    /// Makes the file behind the last one there is.
    pub(crate) fn create(
        &self,
        storage: &mut dyn Storage,
    ) -> io::Result<(Box<dyn StoredFile>, PathBuf)> {
        let full = || io::Error::new(io::ErrorKind::AlreadyExists, "no number is left");
        let last = self.numbers(storage)?.last().copied().unwrap_or(0);
        let mut number = last.checked_add(1).ok_or_else(full)?;
        loop {
            let path = self.path(number);
            match uninterrupted(|| storage.create(&path)) {
                // Another process was quicker.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    number = number.checked_add(1).ok_or_else(full)?;
                }
                result => return Ok((result?, path)),
            }
        }
    }

    /// Removes files until `kept` are left, those of the lowest numbers, and their rings.
    pub(crate) fn remove_oldest(&self, storage: &mut dyn Storage, kept: u32) -> io::Result<()> {
        let mut left = kept;
        for number in self.numbers(storage)?.into_iter().rev() {
            let path = self.path(number);
            // A directory or a link of such a name is not ours.
            let Found::File(_) = storage.find(&path)? else { continue };
            match left.checked_sub(1) {
                Some(less) => left = less,
                None => {
                    // Of a session that was killed.
                    if let Found::File(_) = storage.find(&ring_of(&path))? {
                        storage.remove(&ring_of(&path))?;
                    }
                    storage.remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Numbers that are taken, ascending.
    fn numbers(&self, storage: &mut dyn Storage) -> io::Result<Vec<u32>> {
        let names = uninterrupted(|| storage.list(&self.directory))?;
        let number = |name: &str| {
            let digits = name.strip_prefix(&self.prefix)?.strip_suffix(&self.suffix)?;
            let number: u32 = digits.parse().ok()?;
            // Only as this writer writes it: no sign, no zero in front.
            (number.to_string() == digits).then_some(number)
        };
        let mut numbers: Vec<u32> =
            names.iter().filter_map(|name| number(name.to_str()?)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
