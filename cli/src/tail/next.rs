//! Which log file a session has gone on in.
//!
//! A session names the file that it writes now, and nothing when it has ended; of numbered files
//! those between are on the disk. Each file of a session says in its header when the session
//! started, so they are told from files of others in the same row.

use super::open;
use etlring::format::FileTime;
use etlring::outside::Client;
use etlring::reader::Follow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A session tells its next log, or is gone, a moment after it has finished one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names of a directory that are looked at.
const MOST_NAMES: usize = 1 << 16;

/// The files of a session, one after the other.
pub(super) struct Files<'a> {
    session: &'a Client,
    path: PathBuf,
    identity: Identity,
}

/// A further file.
pub(super) struct Next {
    pub(super) path: PathBuf,
    pub(super) follow: Follow,
    /// Files between that and the one before that are not there any more.
    pub(super) gone: u32,
}

/// What the headers of all files of a session have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    start: FileTime,
    start_ticks: u64,
    session: String,
}

impl Identity {
    fn of(follow: &Follow) -> Self {
        let logfile = follow.logfile();
        Self {
            start: logfile.start_time(),
            start_ticks: logfile.clock().start_ticks,
            session: logfile.session_name().chars().collect(),
        }
    }
}

impl<'a> Files<'a> {
    /// Beginning with the one at `path`.
    pub(super) fn new(session: &'a Client, path: &Path, follow: &Follow) -> Self {
        Self { session, path: path.to_owned(), identity: Identity::of(follow) }
    }

    /// The file behind the last one, which is finished; `None` if the session has ended, too, or
    /// goes on in no other file.
    pub(super) fn next(&mut self) -> Option<Next> {
        let until = Instant::now() + PATIENCE;
        let next = loop {
            // Asked before the disk is looked at: of a session that has ended all is there.
            let current = self.session.query().map(|status| status.properties.log_file);
            if let Some(next) = numbered(&self.path, false, &self.identity) {
                break next;
            }
            let elsewhere = match current {
                Ok(current) => current.filter(|current| *current != self.path),
                Err(_) => return None,
            };
            if let Some(next) = elsewhere.and_then(|elsewhere| self.begins(elsewhere)) {
                break next;
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.path.clone_from(&next.path);
        Some(next)
    }

    /// The first file in the row of one that the session was told to go on in.
    fn begins(&self, path: PathBuf) -> Option<Next> {
        // The last one of this row was the session's last file before.
        if let Some(first) = numbered(&path, true, &self.identity) {
            return Some(first);
        }
        let follow = ours(&path, &self.identity)?;
        Some(Next { path, follow, gone: 0 })
    }
}

/// The file of the session whose number comes next behind that of `path`, or with `before` the
/// first one in front of it.
fn numbered(path: &Path, before: bool, identity: &Identity) -> Option<Next> {
    let name = path.file_name()?.to_str()?;
    for number in numbers_in(name) {
        let row = siblings(path, name, &number)?;
        let wanted: Vec<(u32, PathBuf)> = if before {
            row.into_iter().take_while(|(value, _)| *value < number.value).collect()
        } else {
            row.into_iter().skip_while(|(value, _)| *value <= number.value).collect()
        };
        let (mut last, mut gone) = (number.value, 0);
        for (value, path) in wanted {
            if !before {
                gone += value - last - 1;
                last = value;
            }
            if let Some(follow) = ours(&path, identity) {
                return Some(Next { path, follow, gone });
            }
        }
    }
    None
}

/// Opens a file if it is one of the session; one that is just begun is none yet.
fn ours(path: &Path, identity: &Identity) -> Option<Follow> {
    open(path).ok().filter(|follow| Identity::of(follow) == *identity)
}

/// A number in a name.
struct Number {
    value: u32,
    /// Where it begins and ends, in bytes.
    begin: usize,
    end: usize,
}

/// The numbers of a name as a session writes them, without a zero in front; the last one first.
fn numbers_in(name: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(begin) = name[at..].find(|c: char| c.is_ascii_digit()).map(|n| at + n) {
        let digits = name[begin..].find(|c: char| !c.is_ascii_digit());
        let end = digits.map_or(name.len(), |n| begin + n);
        let value = name[begin..end].parse().ok();
        let value = value.filter(|value: &u32| value.to_string() == name[begin..end]);
        numbers.extend(value.map(|value| Number { value, begin, end }));
        at = end;
    }
    numbers.reverse();
    numbers
}

/// Files whose names differ from that of `path` in this number alone, by their numbers.
fn siblings(path: &Path, name: &str, number: &Number) -> Option<BTreeMap<u32, PathBuf>> {
    let directory = path.parent()?;
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let (prefix, suffix) = (&name[..number.begin], &name[number.end..]);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).ok()?.take(MOST_NAMES) {
        let entry = entry.ok()?.file_name();
        let digits = entry.to_str().and_then(|n| n.strip_prefix(prefix)?.strip_suffix(suffix));
        let Some(value) = digits.and_then(|digits| {
            let value: u32 = digits.parse().ok()?;
            (value.to_string() == digits).then_some(value)
        }) else {
            continue;
        };
        found.insert(value, directory.join(entry));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etlring::session::{FileMode, Session};

    #[test]
    fn rows_of_a_name_are_told_by_each_number_in_it() {
        let numbers = |name: &str| -> Vec<(u32, usize, usize)> {
            numbers_in(name).iter().map(|n| (n.value, n.begin, n.end)).collect()
        };
        assert_eq!(numbers("b2-19.etl"), [(19, 3, 5), (2, 1, 2)]);
        assert_eq!(numbers("b-007.etl"), []);
        assert_eq!(numbers("99999999999.etl"), []);
        assert_eq!(numbers("ä4"), [(4, 2, 3)]);

        let directory = tempfile::tempdir().unwrap();
        for name in ["b-1.etl", "b-2.etl", "b-10.etl", "b-03.etl", "b-x.etl", "c-4.etl", "b-5.et"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let path = directory.path().join("b-2.etl");
        let number = &numbers_in("b-2.etl")[0];
        let row = siblings(&path, "b-2.etl", number).unwrap();
        assert_eq!(row.into_keys().collect::<Vec<_>>(), [1, 2, 10]);
    }

    #[test]
    fn the_row_of_a_session_has_no_files_of_others_and_tells_holes() {
        let directory = tempfile::tempdir().unwrap();
        let at = |number: u32| directory.path().join(format!("log-{number}.etl"));
        let session = |name: &str| {
            let builder = Session::builder(name).log_file(directory.path().join("log-%d.etl"));
            let builder = builder.file_mode(FileMode::NewFile).maximum_file_size_mb(1);
            builder.buffer_size(4096).maximum_buffers(4).start().unwrap()
        };
        let first = session("row first");
        let other = session("row other");
        // 1 and 3 to 6 of the first, 2 of the other.
        (0..4).for_each(|_| first.increment_file().unwrap());
        other.stop().unwrap();
        first.stop().unwrap();
        let identity = Identity::of(&open(&at(1)).unwrap());
        let after = |number: u32| {
            let next = numbered(&at(number), false, &identity)?;
            Some((next.path, next.gone))
        };
        assert_eq!(after(1), Some((at(3), 0)));
        assert_eq!(after(6), None);
        assert_eq!(numbered(&at(6), true, &identity).unwrap().path, at(1));
        assert!(numbered(&at(1), true, &identity).is_none());
        for gone in [4, 5] {
            fs::remove_file(at(gone)).unwrap();
        }
        assert_eq!(after(3), Some((at(6), 2)));
    }
}
