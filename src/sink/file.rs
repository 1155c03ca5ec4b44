//! Log files: how one comes to be, and how buffers get into it.
//!
//! # Order of writes
//!
//! Whoever opens a file at any moment, after a kill too, shall find a log. So a new file gets its
//! header buffer before its room is allocated and before any other buffer; and a buffer that is
//! written again gets its records before its header. A killed process can leave a buffer in two
//! parts: then the old header stands before the old records and some new ones that it does not
//! count.

use crate::codec::{BufferView, LogfileView};
use crate::format::BufferHeader;
use crate::sink::Sink;
use crate::sink::ring::{free_name, ring_of};
use crate::sink::series::Series;
use crate::sink::storage::{
    Disk, Found, MOST_GATHERED, Storage, StoredFile, read_full, uninterrupted, write_all,
    write_all_gathered,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A log file that grows by a buffer at a time.
#[derive(Debug)]
pub struct FileSink {
    storage: Box<dyn Storage>,
    name: FileName,
    options: FileOptions,
    current: Option<LogFile>,
}

/// What the files of a log are called.
#[derive(Clone, Debug)]
pub(crate) enum FileName {
    One(PathBuf),
    Series(Series),
}

/// How files are made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileOptions {
    /// Bytes that a new file has its room for from the start; 0 for none.
    pub(crate) allocate: u64,
    /// Whether a file is synced when it is begun and ended.
    pub(crate) sync: bool,
    /// Most files of a series.
    pub(crate) files_kept: Option<u32>,
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
        let name = FileName::One(path.to_owned());
        let mut sink = Self::new(Box::new(Disk), name, FileOptions::default());
        sink.current = Some(sink.make()?);
        Ok(sink)
    }

    /// A sink that has no file yet.
    pub(crate) fn new(storage: Box<dyn Storage>, name: FileName, options: FileOptions) -> Self {
        Self { storage, name, options, current: None }
    }

    /// Makes an empty file: under the one name, as [`create`](Self::create) says, or under the next
    /// number. The current file stays what it is.
    pub(crate) fn make(&mut self) -> io::Result<LogFile> {
        let storage = &mut *self.storage;
        let (file, path) = match &self.name {
            FileName::One(path) => {
                clear(storage, path)?;
                (uninterrupted(|| storage.create(path))?, path.clone())
            }
            FileName::Series(series) => series.create(storage)?,
        };
        Ok(LogFile { file, path, written: 0, allocated: 0 })
    }

    /// Writes the header buffer of a new file and reserves its room. If that fails the file goes.
    pub(crate) fn begin(&mut self, mut file: LogFile, header: &[u8]) -> io::Result<LogFile> {
        match self.try_begin(&mut file, header) {
            Ok(()) => Ok(file),
            Err(error) => {
                // Nothing is in it; what cannot be removed is an unfinished log to the next start.
                let _ = self.storage.remove(&file.path);
                Err(error)
            }
        }
    }

    fn try_begin(&mut self, file: &mut LogFile, header: &[u8]) -> io::Result<()> {
        file.write(0, header)?;
        if self.options.allocate != 0 {
            uninterrupted(|| file.file.allocate(self.options.allocate))?;
            file.allocated = self.options.allocate;
        }
        if self.options.sync {
            file.sync()?;
            let directory = directory_of(&file.path);
            uninterrupted(|| self.storage.sync_directory(directory))?;
        }
        Ok(())
    }

    /// Goes on with `file`, already begun. Gives the one before.
    pub(crate) fn go_on_in(&mut self, file: LogFile) -> Option<LogFile> {
        self.current.replace(file)
    }

    /// Has further files made under another name, or of another series: what they are called now.
    pub(crate) fn rename(&mut self, path: &Path) -> io::Result<FileName> {
        let name = match self.name {
            FileName::One(_) => FileName::One(path.to_owned()),
            FileName::Series(_) => Series::new(path).map(FileName::Series).ok_or_else(|| {
                let why = "the name must hold %d once, in its last part";
                io::Error::new(io::ErrorKind::InvalidInput, why)
            })?,
        };
        Ok(std::mem::replace(&mut self.name, name))
    }

    pub(crate) fn set_name(&mut self, name: FileName) {
        self.name = name;
    }

    /// Removes the oldest files of the series, the current one not among them.
    pub(crate) fn remove_oldest(&mut self) -> io::Result<()> {
        match (&self.name, self.options.files_kept) {
            (FileName::Series(series), Some(kept)) => {
                series.remove_oldest(&mut *self.storage, kept)
            }
            _ => Ok(()),
        }
    }

    /// Writes buffers of one size to places behind each other, the first of which is `position`, as
    /// [`LogFile::write_gathered`] does.
    pub(crate) fn write_gathered(
        &mut self,
        position: u64,
        buffers: &[&mut [u8]],
    ) -> (usize, io::Result<()>) {
        let size = buffers.first().map_or(0, |buffer| buffer.len());
        match (&mut self.current, offset_of(position, size)) {
            (Some(file), Ok(offset)) => file.write_gathered(offset, buffers),
            (None, _) => (0, Err(io::ErrorKind::NotFound.into())),
            (_, Err(error)) => (0, Err(error)),
        }
    }

    /// The current file.
    pub(crate) fn current(&mut self) -> Option<&mut LogFile> {
        self.current.as_mut()
    }

    /// Gives up the current file.
    pub(crate) fn forget(&mut self) {
        self.current = None;
    }

    /// Whether files have numbers.
    pub(crate) fn is_series(&self) -> bool {
        matches!(self.name, FileName::Series(_))
    }

    /// Whether files are synced.
    pub(crate) fn syncs(&self) -> bool {
        self.options.sync
    }

    /// Opens the finished log that lies under the name, to go on in it. `None` if there is none,
    /// or if it was never finished: that one is for [`make`](Self::make) to move aside.
    pub(crate) fn open_finished(&mut self) -> io::Result<Option<LogFile>> {
        let FileName::One(path) = &self.name else { return Ok(None) };
        let storage = &mut *self.storage;
        match storage.find(path)? {
            Found::Nothing | Found::File(0) => return Ok(None),
            Found::Other => return Err(in_the_way("is not a regular file")),
            Found::File(_) => {}
        }
        let mut file = uninterrupted(|| storage.open(path))?;
        match first_buffer(&mut *file)? {
            State::Finished => {
                let written = file.size()?;
                Ok(Some(LogFile { file, path: path.clone(), written, allocated: 0 }))
            }
            State::Unfinished => Ok(None),
            State::Foreign => Err(in_the_way("is not a log file")),
        }
    }
}

impl Sink for FileSink {
    fn write(&mut self, position: u64, buffer: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.current else { return Err(io::ErrorKind::NotFound.into()) };
        file.write(offset_of(position, buffer.len())?, buffer)
    }

    fn finish(&mut self, buffers: u64, buffer_size: u32) -> io::Result<()> {
        let Some(file) = &mut self.current else { return Ok(()) };
        file.trim(buffers.saturating_mul(u64::from(buffer_size)))
    }
}

/// Where the buffer at `position` starts.
pub(crate) fn offset_of(position: u64, buffer_size: usize) -> io::Result<u64> {
    let offset = position.checked_mul(buffer_size as u64);
    offset.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
}

/// One file.
pub(crate) struct LogFile {
    file: Box<dyn StoredFile>,
    path: PathBuf,
    /// End of what was written.
    written: u64,
    /// Bytes that had their room from the start.
    allocated: u64,
}

impl fmt::Debug for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LogFile {
    /// Writes a whole buffer, or nothing that a reader would take for one.
    pub(crate) fn write(&mut self, offset: u64, buffer: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(buffer.len() as u64);
        if end <= self.written {
            // The header last: until then the old one counts the old records, which stay.
            let (header, rest) = buffer.split_at(buffer.len().min(BufferHeader::SIZE));
            write_all(&mut *self.file, rest, offset + header.len() as u64)?;
            return self.write_again(header, offset);
        }
        match write_all(&mut *self.file, buffer, offset) {
            Ok(()) => {
                self.written = end;
                Ok(())
            }
            Err(error) => {
                self.undo(offset..end, buffer.len());
                Err(error)
            }
        }
    }

    /// Writes buffers of one size, one behind the other, in as few calls as it takes. Gives how
    /// many of them stand there as [`write`](Self::write) would have left them, and why the next
    /// one does not; those behind that one are yet to be written.
    pub(crate) fn write_gathered(
        &mut self,
        offset: u64,
        buffers: &[&mut [u8]],
    ) -> (usize, io::Result<()>) {
        let size = buffers.first().map_or(0, |buffer| buffer.len());
        if buffers.len() < 2 || offset < self.written {
            return match buffers.first().map(|first| self.write(offset, first)) {
                None => (0, Ok(())),
                Some(Ok(())) => (1, Ok(())),
                Some(Err(error)) => (0, Err(error)),
            };
        }
        let count = buffers.len().min(MOST_GATHERED);
        let mut slices = [IoSlice::new(&[]); MOST_GATHERED];
        for (slice, buffer) in slices.iter_mut().zip(buffers) {
            *slice = IoSlice::new(buffer);
        }
        let (written, result) = write_all_gathered(&mut *self.file, &mut slices[..count], offset);
        let whole = usize::try_from(written).map_or(count, |written| written / size.max(1));
        let end = offset + (whole * size) as u64;
        self.written = self.written.max(end);
        if result.is_err() {
            self.undo(end..offset + (count * size) as u64, size);
        }
        (whole, result)
    }

    /// Writes the header buffer again: nothing has changed but the record in its first bytes.
    pub(crate) fn write_start(&mut self, header: &[u8]) -> io::Result<()> {
        self.write_again(header, 0)
    }

    /// Writes a header in place of an older one, and once more if that fails: half of it would
    /// spoil what is there.
    fn write_again(&mut self, header: &[u8], offset: u64) -> io::Result<()> {
        write_all(&mut *self.file, header, offset)
            .or_else(|_| write_all(&mut *self.file, header, offset))
    }

    /// Takes back what a failed write left behind the last buffer, so that its records, which count
    /// as lost, are not read. If that fails too, the next write to this place does it.
    fn undo(&mut self, failed: Range<u64>, size: usize) {
        for place in (failed.start..failed.end.min(self.allocated)).step_by(size.max(1)) {
            let _ = write_all(&mut *self.file, &[0; BufferHeader::SIZE], place);
        }
        if self.allocated < failed.end {
            let end = self.allocated.max(failed.start);
            let _ = uninterrupted(|| self.file.truncate(end));
        }
    }

    /// Reads a buffer back; gives how many of its bytes there were.
    pub(crate) fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_full(&mut *self.file, buffer, offset)
    }

    /// Cuts off what lies behind `end`.
    pub(crate) fn trim(&mut self, end: u64) -> io::Result<()> {
        self.written = self.written.min(end);
        self.allocated = 0;
        uninterrupted(|| self.file.truncate(end))
    }

    /// Makes what was written survive a power cut.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        uninterrupted(|| self.file.sync())
    }

    /// Whether the file still has a name.
    pub(crate) fn has_name(&mut self) -> io::Result<bool> {
        self.file.has_name()
    }

    /// Length in bytes.
    pub(crate) fn size(&mut self) -> io::Result<u64> {
        self.file.size()
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What lies where the log shall go.
enum State {
    /// A log file that was completed.
    Finished,
    /// A log file whose session never stopped.
    Unfinished,
    /// Something else.
    Foreign,
}

/// Makes room for a new log at `path`.
pub(crate) fn clear(storage: &mut dyn Storage, path: &Path) -> io::Result<()> {
    match storage.find(path)? {
        Found::Nothing => Ok(()),
        Found::Other => Err(in_the_way("is not a regular file")),
        Found::File(0) => storage.remove(path),
        Found::File(_) => {
            let mut file = uninterrupted(|| storage.open(path))?;
            match first_buffer(&mut *file)? {
                State::Finished => storage.remove(path),
                State::Unfinished => move_aside(storage, path),
                State::Foreign => Err(in_the_way("is not a log file")),
            }
        }
    }
}

/// Moves a log that was never finished aside; leaves anything else where it is.
pub(crate) fn keep_unfinished(storage: &mut dyn Storage, path: &Path) -> io::Result<()> {
    if let Found::File(1..) = storage.find(path)? {
        let mut file = uninterrupted(|| storage.open(path))?;
        if let State::Unfinished = first_buffer(&mut *file)? {
            return move_aside(storage, path);
        }
    }
    Ok(())
}

/// Looks at the first record of a file.
fn first_buffer(file: &mut dyn StoredFile) -> io::Result<State> {
    // Buffer header, record header, logfile header of either width.
    let mut start = vec![0; 64 * 1024];
    let have = read_full(file, &mut start, 0)?;
    let start = start.get(..have).unwrap_or_default();
    if start.iter().all(|byte| *byte == 0) {
        // What a power cut leaves of a file whose length reached the disk and whose bytes did not.
        return Ok(State::Unfinished);
    }
    let (Some(view), _) = BufferView::parse_damaged(start) else { return Ok(State::Foreign) };
    let Some(Ok(record)) = view.records().next() else { return Ok(State::Foreign) };
    Ok(match LogfileView::parse(record) {
        Err(_) => State::Foreign,
        Ok(header) if header.end_time().is_some() => State::Finished,
        Ok(_) => State::Unfinished,
    })
}

/// Moves a log to the first free numbered name, and the ring file that was left with it: the two
/// are read together.
fn move_aside(storage: &mut dyn Storage, path: &Path) -> io::Result<()> {
    loop {
        let aside = free_name(storage, path)?;
        match storage.rename(path, &aside) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                return match storage.find(&ring_of(path))? {
                    Found::File(_) => storage.rename(&ring_of(path), &ring_of(&aside)),
                    _ => Ok(()),
                };
            }
        }
    }
}

fn in_the_way(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("what is there {what}"))
}

/// The directory that holds the name.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
