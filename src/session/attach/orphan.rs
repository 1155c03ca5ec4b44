//! The ring of an attached process, read when the process has died.
//!
//! The file is the process's own, so anything may be in it, and it may be cut or written while it
//! is read. It is never mapped: a map of a file that is cut ends the process that looks. It is
//! opened once, when the process is attached, so that no name can be made to lead elsewhere later.

use crate::format::{BufferHeader, BufferState};
use crate::session::attach::peer::Peer;
use crate::session::lane::HEADER_BYTES;
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use zerocopy::FromBytes;

/// Copies of one place before it is given up: only somebody who is alive can spoil one.
const TRIES: u32 = 16;
/// How long the end of a process may take behind the end of its connection.
const ENDS: Duration = Duration::from_secs(5);

/// A ring file of another process.
#[derive(Debug)]
pub(crate) struct Orphan {
    file: File,
    path: PathBuf,
    buffer_size: u32,
    buffers: u32,
}

impl Orphan {
    /// Opens the ring that a process says it has made.
    pub(crate) fn open(path: PathBuf, buffer_size: u32, buffers: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        // Not to wait, should a pipe lie there.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
        let file = options.open(&path)?;
        let found = file.metadata()?;
        let own = rustix::process::geteuid().as_raw();
        if !found.is_file() || found.uid() != own || found.nlink() != 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no ring file of this user"));
        }
        Ok(Self { file, path, buffer_size, buffers })
    }

    fn header(&self, place: u32) -> io::Result<Option<BufferHeader>> {
        let mut bytes = [0; BufferHeader::SIZE];
        match self.file.read_exact_at(&mut bytes, self.offset(place)) {
            Ok(()) => Ok(BufferHeader::read_from_bytes(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn offset(&self, place: u32) -> u64 {
        // Behind the header buffer.
        (u64::from(place) + 1) * u64::from(self.buffer_size)
    }

    /// Numbers and places of the buffers that hold something.
    pub(crate) fn numbers(&self) -> io::Result<Vec<(i64, u32)>> {
        let mut numbers = Vec::new();
        for place in 0..self.buffers {
            let Some(header) = self.header(place)? else { break };
            if header.state.get() != BufferState::FREE.0
                && header.filled_bytes.get() != HEADER_BYTES
            {
                numbers.push((header.sequence_number.get(), place));
            }
        }
        Ok(numbers)
    }

    /// Header and records of a buffer, as they were at one moment: chapter 13 of the specification
    /// says why the header is looked at again. `None` if there is nothing, or no moment at which it
    /// holds still.
    pub(crate) fn buffer(&self, place: u32) -> io::Result<Option<Vec<u8>>> {
        for _ in 0..TRIES {
            let Some(before) = self.header(place)? else { return Ok(None) };
            let filled = before.filled_bytes.get().min(self.buffer_size);
            if filled <= HEADER_BYTES {
                return Ok(None);
            }
            let mut bytes = vec![0; filled as usize];
            match self.file.read_exact_at(&mut bytes, self.offset(place)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                result => result?,
            }
            let Some(after) = self.header(place)? else { return Ok(None) };
            let read = BufferHeader::read_from_prefix(&bytes).ok().map(|(header, _)| header);
            if after == before && read == Some(before) {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Removes the file: what it held is in the log. Not if its process is alive, since the file is
    /// then still its own.
    pub(crate) fn remove(&self, peer: &Peer) {
        let until = Instant::now() + ENDS;
        // The process holds a lock on it for as long as it lives, or a child does that it forked.
        let locked = || flock(&self.file, FlockOperation::NonBlockingLockExclusive).is_ok();
        while !peer.is_dead() && !locked() {
            if Instant::now() >= until {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.discard();
    }

    /// Removes the file, whoever may have it: its process needs it no more.
    pub(crate) fn discard(&self) {
        let same = || -> io::Result<bool> {
            let (there, ours) = (std::fs::symlink_metadata(&self.path)?, self.file.metadata()?);
            Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        };
        if same().unwrap_or(false) {
            // Were it to fail, a file is left over that nobody needs.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
