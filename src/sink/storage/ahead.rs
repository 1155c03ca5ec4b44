//! Room on the disk that a growing file is given ahead of its end.
//!
//! ext4 accounts for every block that is written to where the file has none: that is a third of
//! what a write costs. It is spared where a larger piece was allocated before, which is invisible:
//! the file is no longer for it, and a reader finds nothing there. No small file gets such a piece,
//! and no file a larger one than it is. What is left over goes when the file is cut to its length,
//! as every log is that is finished; a killed process leaves it.

use std::fs::File;

/// Room for the bytes to come.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Where it ends.
    #[cfg(target_os = "linux")]
    end: u64,
    /// Whether there is any to be had, once that was tried.
    #[cfg(target_os = "linux")]
    works: Option<bool>,
}

#[cfg(target_os = "linux")]
impl Ahead {
    /// Files that are smaller get none.
    const LEAST: u64 = 1 << 20;
    /// The largest piece: twice as much is not faster.
    const MOST: u64 = 8 << 20;
    /// What `statfs` says of ext4. Others were not measured, or do this by themselves.
    const EXT4: u64 = 0xEF53;

    /// Makes room for a write up to `end`, if the file, `size` bytes long, has had its share. If
    /// that fails the write finds room by itself, or says why not.
    pub(super) fn make(&mut self, file: &File, size: u64, end: u64) {
        use rustix::fs::{FallocateFlags, fallocate, fstatfs};
        use rustix::io::Errno;
        if end <= self.end.max(size) || size < Self::LEAST {
            return;
        }
        // The width and sign of it differ between machines.
        let kind = || u64::try_from(fstatfs(file).ok()?.f_type).ok();
        let is_ext4 = || kind() == Some(Self::EXT4);
        if !*self.works.get_or_insert_with(is_ext4) {
            return;
        }
        let start = self.end.max(size);
        let more = size.min(Self::MOST);
        match fallocate(file, FallocateFlags::KEEP_SIZE, start, more) {
            Ok(()) => self.end = start + more,
            // The next write asks again.
            Err(Errno::INTR) => {}
            Err(_) => self.works = Some(false),
        }
    }

    /// Whether there is room behind the end of a file of `size` bytes.
    pub(super) fn is_behind(&self, size: u64) -> bool {
        self.end > size
    }

    /// The file was cut to this length.
    pub(super) fn cut(&mut self, size: u64) {
        self.end = self.end.min(size);
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_self, reason = "as where there is room")]
impl Ahead {
    pub(super) fn make(&mut self, _file: &File, _size: u64, _end: u64) {}

    pub(super) fn is_behind(&self, _size: u64) -> bool {
        false
    }

    pub(super) fn cut(&mut self, _size: u64) {}
}
