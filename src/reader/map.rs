//! A file as memory.
//!
//! The map is shared with the file: what others write to the file later, the reader sees. Every
//! view checks its numbers each time it is made, so such a write can give wrong records or errors,
//! but no access outside the map. One case is beyond any check: if another process **truncates**
//! the file while it is mapped, touching a page that is gone ends this process with `SIGBUS` (on
//! Windows the truncation itself is refused). For files that others may cut, read with
//! [`Trace::open_positioned`](super::Trace::open_positioned), which gives an error instead.

use bytes::Bytes;
use memmap2::Mmap;
use std::{fs::File, io};

/// The contents of `file` as [`Bytes`] that keep the map alive as long as any part of them is.
///
/// An empty file gives empty `Bytes`.
///
/// # Errors
///
/// If the system cannot map the file, for example because it is a pipe.
pub fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY:
    // - The map is read-only and private to this value; it lives until the last `Bytes` drops it.
    // - Other processes may change the bytes meanwhile. They are only ever read as plain numbers
    //   whose every value is valid, through views that check lengths against the size of the map.
    // - A file cut by others is the documented limit above: a fault of the process, never a read
    //   of other memory.
    let map = unsafe { Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}

/// Bytes of a cache line, near enough.
pub(crate) const LINE_BYTES: usize = 64;

/// Asks the processor for the cache line of `bytes[at]`, if there is such, and does not wait for
/// it.
///
/// To load the byte would be safe code, but nothing behind a load is finished before it is: see
/// "Time order" in `benches/README.md`. That is what happens on processors other than x86-64.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(crate) fn fetch_line(bytes: &[u8], at: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let line = bytes.as_ptr().wrapping_add(at).cast();
    // SAFETY:
    // - Any address will do: a prefetch changes nothing that a program can see and faults nowhere,
    //   neither behind the bytes nor in a map whose file was cut.
    // - Every x86-64 processor has the instruction.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[inline]
pub(crate) fn fetch_line(bytes: &[u8], at: usize) {
    std::hint::black_box(bytes.get(at));
}
