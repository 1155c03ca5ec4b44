//! How a log file is opened.

use crate::reader::{
    FileOrBytes, MOST_STREAM_BYTES, OpenError, Positioned, RingCopy, RingError, RingState, Source,
    Trace, map, read_stream,
};
use bytes::Bytes;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How to open a log file, and whether with its ring.
///
/// ```no_run
/// use etlring::reader::OpenOptions;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let flushed = OpenOptions::new().without_ring().open("service.etl")?;
/// let moved = OpenOptions::new().with_ring("/crash/7/service.etl.ring").open("service.etl")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    ring: Ring,
}

#[derive(Clone, Debug, Default)]
enum Ring {
    /// The one beside the log, if there is one and it belongs to it.
    #[default]
    Beside,
    None,
    At(PathBuf),
}

/// Where the ring of a log lies: beside it, `.ring` behind its whole name.
#[must_use]
pub fn ring_path(log: &Path) -> PathBuf {
    let mut name = OsString::from(log);
    name.push(".ring");
    name.into()
}

impl OpenOptions {
    /// Together with the ring beside the log, if there is one that belongs to it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The log alone.
    #[must_use]
    pub fn without_ring(mut self) -> Self {
        self.ring = Ring::None;
        self
    }

    /// Together with the ring at `path`, which must be the log's.
    #[must_use]
    pub fn with_ring(mut self, path: impl Into<PathBuf>) -> Self {
        self.ring = Ring::At(path.into());
        self
    }

    /// Opens and maps a file. A pipe is read to its end instead, as [`read_stream`] does with
    /// [`MOST_STREAM_BYTES`].
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read or is no log file; [`OpenError::Ring`] if a ring was
    /// asked for by name and cannot be read together with it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Trace<Bytes>, OpenError> {
        self.open_as(path.as_ref(), |file| match file.metadata()?.is_file() {
            true => Ok(map(&file)?),
            false => read_stream(file, MOST_STREAM_BYTES),
        })
    }

    /// Opens a file and reads each buffer when it is needed, without a map.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_positioned(&self, path: impl AsRef<Path>) -> Result<Trace<Positioned>, OpenError> {
        self.open_as(path.as_ref(), |file| Ok(Positioned::new(file)?))
    }

    /// Opens a file and reads each buffer when it is needed; a pipe is read to its end instead, as
    /// [`read_stream`] does with [`MOST_STREAM_BYTES`]. A file that shrinks meanwhile gives an
    /// error and nothing worse.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_any(&self, path: impl AsRef<Path>) -> Result<Trace<FileOrBytes>, OpenError> {
        self.open_as(path.as_ref(), |file| match file.metadata()?.is_file() {
            true => Ok(FileOrBytes::File(Positioned::new(file)?)),
            false => read_stream(file, MOST_STREAM_BYTES).map(FileOrBytes::Bytes),
        })
    }

    fn open_as<S: Source>(
        &self,
        path: &Path,
        source: impl FnOnce(File) -> Result<S, OpenError>,
    ) -> Result<Trace<S>, OpenError> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(OpenError::Io(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        // The ring first: what leaves it from now on is in the log when that is looked at.
        let ring = self.copy_ring(path);
        let mut trace = Trace::new(source(file)?)?;
        let joined = match ring {
            Some(ring) => ring.and_then(|ring| trace.join_ring(ring)),
            None => return Ok(trace),
        };
        match (joined, &self.ring) {
            (Err(error), Ring::At(_)) => Err(OpenError::Ring(error)),
            (Err(error), _) => {
                trace.leave_ring_alone(error);
                Ok(trace)
            }
            (Ok(()), _) => Ok(trace),
        }
    }

    /// The ring to be read with the log at `path`; `None` if there is none.
    fn copy_ring(&self, path: &Path) -> Option<Result<RingCopy, RingError>> {
        let ring = match &self.ring {
            Ring::None => return None,
            Ring::At(ring) => ring.clone(),
            Ring::Beside => {
                let ring = ring_path(path);
                // A pipe by that name would be waited for.
                if !fs::symlink_metadata(&ring).is_ok_and(|found| found.is_file()) {
                    return None;
                }
                ring
            }
        };
        let source = File::open(ring).and_then(Positioned::new);
        Some(source.map_err(RingError::Io).and_then(|source| RingCopy::take(&source)))
    }
}

impl RingState {
    /// Whether buffers of a ring are read with the log.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        matches!(self, Self::Joined { .. })
    }
}
