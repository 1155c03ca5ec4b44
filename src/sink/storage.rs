//! What a log needs of a file system, small enough to be replaced.
//!
//! [`Disk`] is the real one. Another implementation may keep logs elsewhere, or stand between a
//! session and the disk: the tests of this crate fail single calls and cut the power that way.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;

mod ahead;
mod disk;

pub use disk::Disk;
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use disk::write_zeros;

/// A place for log files. Used by the thread that starts a session, then by its flusher alone.
pub trait Storage: fmt::Debug + Send {
    /// Makes a file where nothing is, for its owner only, to be read and written.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if something is there, even a dangling link; and whatever
    /// the system says.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file that is there, to be read and written; follows no link.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], and whatever the system says.
    fn open(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>>;

    /// What lies at `path`, itself and not what a link leads to.
    ///
    /// # Errors
    ///
    /// Whatever the system says, but not that there is nothing.
    fn find(&mut self, path: &Path) -> io::Result<Found>;

    /// The names in a directory, in any order.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn list(&mut self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Gives a file another name, unless something has it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if something has it; and whatever the system says.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a power cut.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn sync_directory(&mut self, directory: &Path) -> io::Result<()>;
}

/// An open file of a [`Storage`]. Dropping it closes it.
pub trait StoredFile: Send {
    /// Length in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn size(&mut self) -> io::Result<u64>;

    /// Reads up to `bytes.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` and says how many.
    ///
    /// # Errors
    ///
    /// Whatever the system says. What lay there may then be gone, but nothing beside it.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes of `buffers`, which stand one behind the other from `offset` on,
    /// and says how many. At most [`MOST_GATHERED`] buffers, none of them empty.
    ///
    /// What is not overridden writes the first one with [`write_at`](Self::write_at).
    ///
    /// # Errors
    ///
    /// Whatever the system says. What lay there may then be gone, but nothing beside it. Nothing
    /// is lost by that: the first buffer is tried again by itself.
    fn write_gathered_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        match buffers.first() {
            Some(first) => self.write_at(first, offset),
            None => Ok(0),
        }
    }

    /// Makes sure that the first `size` bytes have their room, and the file at least that length.
    /// What is there stays; what is new is zero.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] and whatever else the system says.
    fn allocate(&mut self, size: u64) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn truncate(&mut self, size: u64) -> io::Result<()>;

    /// Makes what was written survive a power cut.
    ///
    /// # Errors
    ///
    /// Whatever the system says. What was written since the last call may then be lost.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether the file still has a name: `false` once it was removed.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    fn has_name(&mut self) -> io::Result<bool>;
}

/// What [`Storage::find`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A regular file of this length.
    File(u64),
    /// A directory, a link, a device.
    Other,
}

/// Buffers of one [`write_gathered_at`](StoredFile::write_gathered_at) at most.
pub const MOST_GATHERED: usize = 16;

/// Times that a call without progress is made again when a signal interrupted it.
const INTERRUPTIONS: u32 = 1000;

/// Makes a call again while signals interrupt it.
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut left = INTERRUPTIONS;
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && left > 0 => left -= 1,
            result => return result,
        }
    }
}

/// Writes all of `bytes`, in as many calls as it takes.
pub(crate) fn write_all(
    file: &mut dyn StoredFile,
    mut bytes: &[u8],
    mut offset: u64,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = uninterrupted(|| file.write_at(bytes, offset))?.min(bytes.len());
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Writes all of `buffers`, in as many calls as it takes. Gives how many bytes of them are there
/// for certain, and why not all.
pub(crate) fn write_all_gathered(
    file: &mut dyn StoredFile,
    mut buffers: &mut [IoSlice<'_>],
    mut offset: u64,
) -> (u64, io::Result<()>) {
    let start = offset;
    while let Some(first) = buffers.first() {
        let gathered = match &*buffers {
            [_] => None,
            all => {
                let gathered = uninterrupted(|| file.write_gathered_at(all, offset));
                gathered.ok().filter(|written| *written != 0)
            }
        };
        // What several of them are refused for need not hold for each: there may be room for some,
        // and a sandbox may know the simpler call only.
        let written = gathered.map_or_else(|| uninterrupted(|| file.write_at(first, offset)), Ok);
        let left = buffers.iter().map(|bytes| bytes.len()).sum();
        match written.map(|written| written.min(left)) {
            Ok(0) => return (offset - start, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => {
                IoSlice::advance_slices(&mut buffers, written);
                offset += written as u64;
            }
            Err(error) => return (offset - start, Err(error)),
        }
    }
    (offset - start, Ok(()))
}

/// Fills `bytes` from `offset` on; gives how many there were.
pub(crate) fn read_full(
    file: &mut dyn StoredFile,
    bytes: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        let read = uninterrupted(|| file.read_at(&mut bytes[have..], offset + have as u64))?;
        if read == 0 {
            break;
        }
        have += read;
    }
    Ok(have)
}
