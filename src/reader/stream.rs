//! Logs that come from a pipe or a device, which may have no end.

use crate::format::MAX_BUFFER_SIZE;
use crate::reader::{OpenError, open};
use bytes::Bytes;
use std::io::Read;

/// Bytes of a stream that are kept where nobody says how many: all of it lies in memory. A file has
/// no such bound, since it is read where it lies.
pub const MOST_STREAM_BYTES: u64 = 1 << 30;

/// Reads all of a stream that holds a log, up to `most` bytes.
///
/// One that begins otherwise is not read on: no more than 16 MiB of it are.
///
/// ```no_run
/// use etlring::reader::{MOST_STREAM_BYTES, Trace, read_stream};
/// let bytes = read_stream(std::io::stdin().lock(), MOST_STREAM_BYTES)?;
/// let trace = Trace::from_bytes(bytes)?;
/// # Ok::<(), etlring::reader::OpenError>(())
/// ```
///
/// # Errors
///
/// [`OpenError::Io`] if it cannot be read, [`OpenError::NotALogfile`] if it does not begin with a
/// logfile header, [`OpenError::TooLong`] if there is more of it.
pub fn read_stream(mut stream: impl Read, most: u64) -> Result<Bytes, OpenError> {
    let mut bytes = Vec::new();
    stream.by_ref().take(most.min(MAX_BUFFER_SIZE.into())).read_to_end(&mut bytes)?;
    open::first_record(&&bytes[..])?;
    let rest = most.saturating_sub(bytes.len() as u64);
    stream.take(rest.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(OpenError::TooLong(most));
    }
    Ok(bytes.into())
}
