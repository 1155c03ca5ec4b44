//! Where the bytes of a log file come from.
//!
//! | source | records are borrowed from | when the file shrinks meanwhile |
//! |---|---|---|
//! | `&[u8]` | the slice | - |
//! | [`Bytes`], a [map](super::map) among them | the map | see [`map`](super::map()) |
//! | [`Positioned`] | a block of the cursor, one read per buffer | [`ReadError`](super::ReadError) |
//! | [`FileOrBytes`] | as the one that it is | the same |

use bytes::Bytes;
use std::{fs::File, io};

/// Random access to the bytes of a log file.
pub trait Source {
    /// Bytes there are.
    fn size(&self) -> u64;

    /// All of them, if they lie in memory: then nothing is ever copied.
    fn as_slice(&self) -> Option<&[u8]>;

    /// Copies bytes from `position` on into `out` and says how many there were: fewer than asked
    /// only at the end.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize>;
}

macro_rules! in_memory {
    ($($bytes:ty),*) => {$(
        impl Source for $bytes {
            fn size(&self) -> u64 {
                self.len() as u64
            }

            fn as_slice(&self) -> Option<&[u8]> {
                Some(self)
            }

            fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
                Ok(copy_at(self, position, out))
            }
        }
    )*};
}

in_memory!(&[u8], Bytes);

fn copy_at(bytes: &[u8], position: u64, out: &mut [u8]) -> usize {
    let from = usize::try_from(position).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let len = from.len().min(out.len());
    if let (Some(from), Some(out)) = (from.get(..len), out.get_mut(..len)) {
        out.copy_from_slice(from);
    }
    len
}

/// A file read piece by piece at positions, without a map: safe whatever others do to the file.
#[derive(Debug)]
pub struct Positioned {
    file: File,
    size: u64,
}

impl Positioned {
    /// Reads `file`, whose size is taken now.
    ///
    /// # Errors
    ///
    /// If the system cannot tell the size.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    #[cfg(unix)]
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The size of this moment.
    pub(crate) fn size_now(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Takes the size anew: the file may have grown.
    pub(crate) fn look_at_size(&mut self) -> io::Result<()> {
        self.size = self.size_now()?;
        Ok(())
    }
}

impl Source for Positioned {
    fn size(&self) -> u64 {
        self.size
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let mut done = 0usize;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_once(&self.file, position.saturating_add(done as u64), rest) {
                Ok(0) => break,
                Ok(count) => done = done.saturating_add(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// A file read at positions, or what came from a pipe: what a command needs that must not die of a
/// file that shrinks. See [`OpenOptions::open_any`](super::OpenOptions::open_any).
#[derive(Debug)]
pub enum FileOrBytes {
    /// Has a size and positions.
    File(Positioned),
    /// Has been read to its end.
    Bytes(Bytes),
}

impl Source for FileOrBytes {
    fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size(),
            Self::Bytes(bytes) => bytes.size(),
        }
    }

    fn as_slice(&self) -> Option<&[u8]> {
        match self {
            Self::File(_) => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(position, out),
            Self::Bytes(bytes) => bytes.read_at(position, out),
        }
    }
}

#[cfg(unix)]
fn read_once(file: &File, position: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, position)
}

#[cfg(windows)]
fn read_once(file: &File, position: u64, out: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, position)
}

#[cfg(not(any(unix, windows)))]
fn read_once(mut file: &File, position: u64, out: &mut [u8]) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(position))?;
    file.read(out)
}
