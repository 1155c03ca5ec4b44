//! A sequential log file.

use crate::codec::{BufferView, LogfileView};
use crate::sink::Sink;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A log file that grows by a buffer at a time.
#[derive(Debug)]
pub struct FileSink {
    file: File,
}

impl FileSink {
    /// Makes the file `path`, for its owner only (mode 0600).
    ///
    /// A finished log that is there already is replaced, as a session of Windows does. A log that
    /// was never finished, because its process was killed, is all that is left of that process: it
    /// is moved aside, to the first free of `path.1`, `path.2`, ... A symbolic link, a directory or
    /// any other file that is no log is not touched.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if something that is no log file lies at `path`, and
    /// whatever the system says of creating the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(found) if !found.is_file() => return Err(in_the_way("is not a regular file")),
            Ok(found) if found.len() == 0 => std::fs::remove_file(path)?,
            Ok(_) => match first_buffer(path)? {
                Found::Finished => std::fs::remove_file(path)?,
                Found::Unfinished => move_aside(path)?,
                Found::Foreign => return Err(in_the_way("is not a log file")),
            },
        }
        Ok(Self { file: create_new(path)? })
    }
}

impl Sink for FileSink {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        let offset = position
            .checked_mul(buffer.len() as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        write_all_at(&self.file, buffer, offset)
    }

    fn finish(&mut self, buffers: u64, buffer_size: u32) -> io::Result<()> {
        let end = buffers.saturating_mul(u64::from(buffer_size));
        if self.file.metadata()?.len() > end {
            self.file.set_len(end)?;
        }
        Ok(())
    }
}

/// What lies where the log shall go.
enum Found {
    /// A log file that was completed.
    Finished,
    /// A log file whose session never stopped.
    Unfinished,
    /// Something else.
    Foreign,
}

/// Looks at the first record of a file.
fn first_buffer(path: &Path) -> io::Result<Found> {
    // Buffer header, record header, logfile header of either width.
    let mut start = Vec::new();
    File::open(path)?.take(64 * 1024).read_to_end(&mut start)?;
    let (Some(view), _) = BufferView::parse_damaged(&start) else { return Ok(Found::Foreign) };
    let Some(Ok(record)) = view.records().next() else { return Ok(Found::Foreign) };
    Ok(match LogfileView::parse(record) {
        Err(_) => Found::Foreign,
        Ok(header) if header.end_time().is_some() => Found::Finished,
        Ok(_) => Found::Unfinished,
    })
}

/// Renames a log to the first free numbered name. A hard link first, because a rename would
/// replace what another process put there in between.
fn move_aside(path: &Path) -> io::Result<()> {
    for number in 1..10_000u32 {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        let aside = PathBuf::from(name);
        match std::fs::hard_link(path, &aside) {
            Ok(()) => return std::fs::remove_file(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A file system without hard links.
            Err(_) if !aside.exists() => return std::fs::rename(path, &aside),
            Err(_) => {}
        }
    }
    Err(in_the_way("is an unfinished log, and 9,999 others lie beside it"))
}

fn in_the_way(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("what is there {what}"))
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // `create_new` follows no link; the standard library closes files on exec.
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    use std::io::{Seek, SeekFrom, Write};
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(bytes)
}
