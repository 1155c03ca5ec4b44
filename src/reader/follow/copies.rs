//! Bytes of a buffer that its writer goes on with meanwhile.

use super::news::Part;
use crate::codec::align8;
use crate::format::BufferHeader;
use crate::reader::{Source, ring};
use std::io;

/// Copies what the buffer of the header `before` has behind `seen`. `None` if it is another one by
/// now, or nothing is there.
pub(super) fn copy_behind(
    file: &impl Source,
    position: u64,
    before: &BufferHeader,
    seen: u32,
) -> io::Result<Option<Part>> {
    // By itself and after the number: so it is of this filling, and bytes before it never change.
    let mut word = [0; 4];
    let _ = file.read_at(position.saturating_add(0x30), &mut word)?;
    let filled = u32::from_le_bytes(word).min(before.buffer_size.get());
    if filled <= seen {
        return Ok(None);
    }
    let body = copy(file, position, seen, filled)?;
    let Some(header) = ring::header_at(file, position)? else { return Ok(None) };
    let same = header.sequence_number == before.sequence_number
        && header.filled_bytes.get() >= filled
        && header.buffer_size == before.buffer_size;
    Ok((same && !body.is_empty()).then_some(Part { header, position, begin: seen, body }))
}

/// Bytes of a buffer; fewer only at the end of the file, and then whole words.
pub(super) fn copy(file: &impl Source, position: u64, from: u32, to: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    let found = file.read_at(position.saturating_add(u64::from(from)), &mut bytes)?;
    let whole = if found == bytes.len() { found } else { align8(found.saturating_sub(7)) };
    bytes.truncate(whole);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use zerocopy::{FromZeros, IntoBytes};

    /// A file that is another one at each read.
    struct Changing<'a> {
        files: &'a [Vec<u8>],
        reads: Cell<usize>,
    }

    impl Source for Changing<'_> {
        fn size(&self) -> u64 {
            self.files.first().map_or(0, Vec::len) as u64
        }

        fn as_slice(&self) -> Option<&[u8]> {
            None
        }

        fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
            let file = self.reads.replace(self.reads.get().saturating_add(1));
            let last = self.files.len().saturating_sub(1);
            self.files.get(file.min(last)).map_or(Ok(0), |file| (&file[..]).read_at(position, out))
        }
    }

    const SIZE: u32 = 1024;

    fn header(sequence: i64, size: u32, filled: u32) -> BufferHeader {
        let mut header = BufferHeader::new_zeroed();
        header.buffer_size = size.into();
        header.filled_bytes = filled.into();
        header.sequence_number = sequence.into();
        header
    }

    /// A buffer whose bytes behind its header are all `byte`.
    fn buffer(header: &BufferHeader, byte: u8) -> Vec<u8> {
        let mut bytes = header.as_bytes().to_vec();
        bytes.resize(SIZE as usize, byte);
        bytes
    }

    /// What is copied behind 80 bytes if the file is another one at each read.
    fn copied(files: &[Vec<u8>]) -> Option<Part> {
        let source = Changing { files, reads: Cell::new(0) };
        copy_behind(&source, 0, &header(7, SIZE, 96), 80).unwrap()
    }

    #[test]
    fn what_is_there_when_it_is_looked_for_is_copied() {
        // More than when its header was read first.
        let now = buffer(&header(7, SIZE, 120), 1);
        let part = copied(std::slice::from_ref(&now)).unwrap();
        assert_eq!((part.begin, part.end(), part.body), (80, 120, vec![1; 40]));
        // Still more behind: that comes with the next look, the header of it with this one.
        let later = buffer(&header(7, SIZE, 160), 1);
        let part = copied(&[now.clone(), now.clone(), later]).unwrap();
        assert_eq!((part.end(), part.header.filled_bytes.get()), (120, 160));
        // Nothing behind what is known.
        assert!(copied(&[buffer(&header(7, SIZE, 80), 1)]).is_none());
    }

    #[test]
    fn another_buffer_than_was_looked_for_is_left_alone() {
        let now = buffer(&header(7, SIZE, 120), 1);
        for other in [header(8, SIZE, 120), header(7, SIZE, 119), header(7, 2 * SIZE, 120)] {
            let other = buffer(&other, 2);
            assert!(copied(&[now.clone(), other.clone()]).is_none());
            assert!(copied(&[now.clone(), now.clone(), other]).is_none());
        }
    }

    #[test]
    fn at_the_end_of_the_file_whole_words_are_copied() {
        for (end, whole) in [(120, 40), (119, 32), (113, 32), (112, 32), (89, 8), (88, 8), (87, 0)]
        {
            let mut now = buffer(&header(7, SIZE, 120), 1);
            now.truncate(end);
            assert_eq!(copied(&[now]).map_or(0, |part| part.body.len()), whole, "{end} bytes");
        }
    }
}
