//! The file system of the machine.
//!
//! # Limits
//!
//! A process that writes beyond its limit on the size of files (`RLIMIT_FSIZE`) gets a SIGXFSZ,
//! which ends it unless the program handles or ignores it. A log must not be what ends its host:
//! the limit is asked for before a file grows, and a write beyond it fails with `EFBIG` instead.

use super::{Found, Storage, StoredFile, ahead::Ahead, uninterrupted};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;

/// The file system of the machine, through the standard library.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    /// Makes a file of `size` bytes to be mapped: as [`create`](Storage::create), all of its blocks
    /// allocated, since a store into a hole ends the process when the disk is full.
    pub(crate) fn create_mapped(path: &Path, size: u64) -> io::Result<File> {
        let mut file = DiskFile::new(create_new(path)?, 0);
        match uninterrupted(|| file.allocate(size)) {
            Ok(()) => Ok(file.file),
            Err(error) => {
                // Nothing is in it.
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Makes a file that [`create_mapped`](Self::create_mapped) made longer.
    pub(crate) fn extend_mapped(path: &Path, size: u64) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let have = file.metadata()?.len();
        let mut file = DiskFile::new(file, have);
        let done = uninterrupted(|| file.allocate(size));
        if done.is_err() {
            // What was allocated of it nobody uses.
            let _ = file.truncate(have);
        }
        done
    }
}

/// Makes a file where nothing is, for its owner only.
fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // `create_new` follows no link; the standard library closes files on exec.
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

impl Storage for Disk {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        Ok(Box::new(DiskFile::new(create_new(path)?, 0)))
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            use std::os::unix::fs::OpenOptionsExt;
            // Not to wait either, should a pipe have come in place of the file.
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
        }
        let file = options.open(path)?;
        let size = file.metadata()?.len();
        Ok(Box::new(DiskFile::new(file, size)))
    }

    fn find(&mut self, path: &Path) -> io::Result<Found> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(error),
            Ok(found) if found.is_file() => Ok(Found::File(found.len())),
            Ok(_) => Ok(Found::Other),
        }
    }

    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        // A hard link first, because a rename would replace what another process put there. Windows
        // lets go of no name of a mapped file, as a ring is, and such a file can still be renamed.
        let linked = if cfg!(windows) {
            Err(io::ErrorKind::Unsupported.into())
        } else {
            std::fs::hard_link(from, to)
        };
        match linked {
            Ok(()) => std::fs::remove_file(from),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Or a file system without hard links.
            Err(_) => match self.find(to)? {
                Found::Nothing => std::fs::rename(from, to),
                _ => Err(io::ErrorKind::AlreadyExists.into()),
            },
        }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&mut self, directory: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened; its journal is the system's business.
        #[cfg(unix)]
        File::open(directory)?.sync_all()?;
        let _ = directory;
        Ok(())
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    /// Length, as far as this handle made it.
    size: u64,
    ahead: Ahead,
}

impl DiskFile {
    fn new(file: File, size: u64) -> Self {
        Self { file, size, ahead: Ahead::default() }
    }

    /// Refuses to grow the file beyond the process's limit.
    fn may_grow_to(&self, size: u64) -> io::Result<()> {
        #[cfg(unix)]
        if size > self.size {
            use rustix::process::{Resource, getrlimit};
            if getrlimit(Resource::Fsize).current.is_some_and(|limit| size > limit) {
                return Err(rustix::io::Errno::FBIG.into());
            }
        }
        let _ = size;
        Ok(())
    }
}

impl StoredFile for DiskFile {
    fn size(&mut self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        read_at(&self.file, bytes, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let end = |len: usize| offset.saturating_add(len as u64);
        self.may_grow_to(end(bytes.len()))?;
        self.ahead.make(&self.file, self.size, end(bytes.len()));
        let written = write_at(&self.file, bytes, offset)?;
        self.size = self.size.max(end(written));
        Ok(written)
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    fn write_gathered_at(&mut self, buffers: &[io::IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let end = |len: usize| offset.saturating_add(len as u64);
        let len = buffers.iter().map(|bytes| bytes.len()).sum();
        self.may_grow_to(end(len))?;
        self.ahead.make(&self.file, self.size, end(len));
        let written = rustix::io::pwritev(&self.file, buffers, offset)?;
        self.size = self.size.max(end(written));
        Ok(written)
    }

    fn allocate(&mut self, size: u64) -> io::Result<()> {
        self.may_grow_to(size)?;
        allocate(&self.file, self.size, size)?;
        self.size = self.size.max(size);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let have = self.size()?;
        if have > size || self.ahead.is_behind(have) {
            let size = have.min(size);
            self.file.set_len(size)?;
            self.size = size;
            self.ahead.cut(size);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn has_name(&mut self) -> io::Result<bool> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            Ok(self.file.metadata()?.nlink() > 0)
        }
        // Elsewhere an open file keeps its name.
        #[cfg(not(unix))]
        Ok(true)
    }
}

/// Reserves room up to `size`, the file being `have` long.
fn allocate(file: &File, have: u64, size: u64) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::empty(), 0, size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {}
            result => return Ok(result?),
        }
    }
    // By hand: a byte that is written has its room.
    write_zeros(file, have..size)
}

/// Writes zeros to a range of a file.
pub(crate) fn write_zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    let Range { start: mut at, end } = range;
    while at < end {
        let len = usize::try_from(end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        match write_at(file, &ZEROS[..len], at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => at += written as u64,
        }
    }
    Ok(())
}

#[cfg(unix)]
use std::os::unix::fs::FileExt;

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset))?;
    file.read(bytes)
}

#[cfg(not(any(unix, windows)))]
fn write_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write(bytes)
}
