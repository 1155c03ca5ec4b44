//! One buffer of a log file: a header, records, filler.

use crate::codec::{checksum, records::Records, to_u32, xpress};
use crate::error::{Fault, FormatError, Part};
use crate::format::BufferHeader;
use zerocopy::FromBytes;

/// Bytes of a buffer's header as the 32-bit number that offsets use.
const HEADER_BYTES: u32 = 72;
const _: () = assert!(BufferHeader::SIZE == HEADER_BYTES as usize);

/// One buffer, checked once and then read in place.
///
/// Holding a `BufferView` means `72 <= buffer_size <= bytes.len()` and `72 <= filled_bytes`, and
/// for an uncompressed buffer `filled_bytes <= buffer_size`. The records themselves have not been
/// looked at; [`Records`] checks each one as it goes. The input may have any alignment.
#[derive(Clone, Copy, Debug)]
pub struct BufferView<'a> {
    header: &'a BufferHeader,
    /// The whole buffer, header included, `buffer_size` bytes.
    bytes: &'a [u8],
    /// What lies behind the header: the filled part, or the compressed stream.
    body: &'a [u8],
}

/// What lies behind a buffer's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Records, to be walked with [`Records::new`].
    Records(&'a [u8]),
    /// One plain LZ77 XPRESS stream that gives `size` bytes of records.
    Compressed {
        /// The stream.
        stream: &'a [u8],
        /// Bytes of records that it gives, `filled_bytes - 72`.
        size: u32,
    },
}

impl<'a> BufferView<'a> {
    /// Reads the buffer at the start of `bytes`; bytes after it are ignored.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if `bytes` ends before the buffer does, [`Fault::Length`] if the
    /// buffer is smaller than its header or the filled part does not fit the buffer.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        match Self::parse_damaged(bytes) {
            (Some(view), None) => Ok(view),
            (_, Some(error)) => Err(error),
            (None, None) => {
                Err(Fault::Truncated(HEADER_BYTES, to_u32(bytes.len())).at(Part::Buffer, 0))
            }
        }
    }

    /// Reads as much of a buffer as there is, with what is wrong about it.
    ///
    /// A buffer cut short by the end of the input, or whose `FilledBytes` lies, still has its
    /// first records: the view then ends where the input, or the buffer, ends. There is no view if
    /// the header itself is cut or names a size below its own.
    #[must_use]
    pub fn parse_damaged(bytes: &'a [u8]) -> (Option<Self>, Option<FormatError>) {
        let have = to_u32(bytes.len());
        let Ok((header, _)) = BufferHeader::ref_from_prefix(bytes) else {
            return (None, Some(Fault::Truncated(HEADER_BYTES, have).at(Part::Buffer, 0)));
        };
        let size = header.buffer_size.get();
        if size < HEADER_BYTES {
            let fault = Fault::Length(size, HEADER_BYTES, u32::MAX);
            return (None, Some(fault.at(Part::Buffer, 0)));
        }

        let mut error = None;
        let buffer = bytes.get(..size as usize).unwrap_or_else(|| {
            error = Some(Fault::Truncated(size, have).at(Part::Buffer, 0));
            bytes
        });
        let filled = header.filled_bytes.get();
        let most = if header.is_compressed() { u32::MAX } else { size };
        if !(HEADER_BYTES..=most).contains(&filled) {
            error = error
                .or(Some(Fault::Length(filled, HEADER_BYTES, most).at(Part::FilledBytes, 0x30)));
        }
        let end = if header.is_compressed() { size } else { filled };
        let end = (end as usize).clamp(BufferHeader::SIZE, buffer.len());
        let body = buffer.get(BufferHeader::SIZE..end).unwrap_or_default();
        (Some(Self { header, bytes: buffer, body }), error)
    }

    /// The header, as it lies in the input.
    #[must_use]
    pub fn header(&self) -> &'a BufferHeader {
        self.header
    }

    /// The whole buffer, filler included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What lies behind the header.
    #[must_use]
    pub fn content(&self) -> Content<'a> {
        if self.header.is_compressed() {
            let size = self.header.filled_bytes.get().saturating_sub(HEADER_BYTES);
            Content::Compressed { stream: self.body, size }
        } else {
            Content::Records(self.body)
        }
    }

    /// The records of an uncompressed buffer, in the order their space was reserved; nothing for a
    /// compressed one, see [`decompress`](Self::decompress).
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        match self.content() {
            Content::Records(bytes) => Records::new(bytes),
            Content::Compressed { .. } => Records::new(&[]),
        }
    }

    /// Unpacks the records of a compressed buffer into the start of `out` and returns that part.
    ///
    /// # Errors
    ///
    /// [`Fault::NoSpace`] if `out` is smaller than the records, [`Fault::Distance`] or
    /// [`Fault::Produced`] if the stream is damaged; `out` then holds what was unpacked before.
    pub fn decompress<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], FormatError> {
        let Content::Compressed { stream, size } = self.content() else {
            return Err(Fault::Produced(0, 0).at(Part::Compressed, HEADER_BYTES));
        };
        let given = to_u32(out.len());
        let Some(target) = out.get_mut(..size as usize) else {
            return Err(Fault::NoSpace(size, given).at(Part::Compressed, HEADER_BYTES));
        };
        xpress::decompress(stream, target).map_err(|error| error.moved(HEADER_BYTES))?;
        Ok(target)
    }

    /// Compares the buffer with the checksum in its header, if it has one.
    ///
    /// # Errors
    ///
    /// [`Fault::Mismatch`] if they differ. A buffer without a checksum is never an error.
    pub fn verify_checksum(&self) -> Result<checksum::State, FormatError> {
        checksum::verify(self.bytes)
    }
}
