//! The file that a session's buffers lie in, beside its log: `app.etl.ring` for `app.etl`.
//!
//! It outlives the process if that is killed, and then holds what had not reached the log. A
//! session that ends removes it. See spec/13-recovery.md.

use crate::sink::storage::{Disk, Found, Storage};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A session's ring file, by name.
#[derive(Debug)]
pub(crate) struct RingFile {
    path: PathBuf,
    /// Keeps the lock that says that a session is at work; the system takes it from the dead.
    _lock: Option<File>,
}

/// The ring file of the log at `log`.
pub(crate) fn ring_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".ring");
    name.into()
}

impl RingFile {
    /// Makes the ring file of `log`, `size` bytes long, all of them allocated. What an earlier
    /// session left there is moved aside.
    pub(crate) fn create(log: &Path, size: u64) -> io::Result<(Self, File)> {
        keep_left_over(&mut Disk, log)?;
        let path = ring_of(log);
        let file = Disk::create_mapped(&path, size)?;
        let lock = hold(&file);
        Ok((Self { path, _lock: lock }, file))
    }

    /// Makes the ring file of a process that has no log of its own at `path`, where nothing may be.
    #[cfg(unix)]
    pub(crate) fn create_at(path: &Path, size: u64) -> io::Result<(Self, File)> {
        let file = Disk::create_mapped(path, size)?;
        let lock = hold(&file);
        Ok((Self { path: path.to_owned(), _lock: lock }, file))
    }

    /// Makes it `size` bytes long, all of them allocated.
    pub(crate) fn extend(&mut self, size: u64) -> io::Result<()> {
        Disk::extend_mapped(&self.path, size)
    }

    /// Goes with the log, which is `log` from now on.
    pub(crate) fn follow(&mut self, log: &Path) -> io::Result<()> {
        let path = ring_of(log);
        if path != self.path {
            keep_left_over(&mut Disk, log)?;
            Disk.rename(&self.path, &path)?;
            self.path = path;
        }
        Ok(())
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Removes the file: everything in it is in the log.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Disk.remove(&self.path)
    }
}

/// Locks `file`, shared, as long as what it gives lives: a session is at work there. Where that
/// cannot be, nobody learns of the death of this process.
pub(crate) fn hold(file: &File) -> Option<File> {
    #[cfg(unix)]
    {
        use rustix::fs::{FlockOperation, flock};
        // A second handle of the same opening: the lock stays until both are closed.
        let lock = file.try_clone().ok()?;
        flock(&lock, FlockOperation::NonBlockingLockShared).ok()?;
        Some(lock)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// Moves the ring file that an earlier session left beside `log` aside, under a number that neither
/// a log nor a ring has: it is not this log's.
pub(crate) fn keep_left_over(storage: &mut dyn Storage, log: &Path) -> io::Result<()> {
    let ring = ring_of(log);
    match storage.find(&ring)? {
        Found::Nothing => Ok(()),
        Found::File(_) => {
            let aside = free_name(storage, log)?;
            storage.rename(&ring, &ring_of(&aside))
        }
        Found::Other => {
            let what = format!("{} is not a regular file", ring.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
    }
}

/// The first of `log.1`, `log.2`, ... that neither a log nor its ring has.
pub(crate) fn free_name(storage: &mut dyn Storage, log: &Path) -> io::Result<PathBuf> {
    for number in 1..10_000u32 {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{number}"));
        let name = PathBuf::from(name);
        let free = matches!(storage.find(&name)?, Found::Nothing)
            && matches!(storage.find(&ring_of(&name))?, Found::Nothing);
        if free {
            return Ok(name);
        }
    }
    let what = "9,999 unfinished logs lie beside it";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
}
