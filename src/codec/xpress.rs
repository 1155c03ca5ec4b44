//! XPRESS plain LZ77: the compression of relogged files.

use crate::error::FormatError;

/// stub
pub fn decompress(_stream: &[u8], _out: &mut [u8]) -> Result<(), FormatError> {
    Ok(())
}
