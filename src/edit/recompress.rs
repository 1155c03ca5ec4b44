//! The same records in buffers packed anew, or unpacked.
//!
//! Several threads take buffers in turn and pack them; the caller's writes them, in the order of
//! the file, and packs too while it waits. How far they may be ahead: [`Trace::par_buffers`].

use super::draft::{Draft, Form};
use super::writer::{Head, LogWriter, first_data, redraft};
use super::{EditError, Edited};
use crate::codec::finish::Totals;
use crate::codec::xpress::Compressor;
use crate::format::LogFileMode;
use crate::reader::{Cursor, ReadError, Source, Trace};
use std::io::{Seek, Write};
use std::num::NonZeroUsize;

/// How [`recompress`] writes buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Each buffer as a stream of plain LZ77 XPRESS, as Windows' relogger does it; else plain.
    pub compressed: bool,
    /// Threads that unpack and pack.
    pub threads: NonZeroUsize,
}

/// Layout of the log, major and minor: that of compressed files, and that of plain ones.
const LAYOUT_PACKED: [u8; 2] = [2, 0];
const LAYOUT_PLAIN: [u8; 2] = [1, 5];

/// Bytes that a log may grow to when it is unpacked, beside as many for each of its own.
const MOST_BYTES: u64 = 1 << 26;
const MOST_GROWTH: u64 = 256;

/// Writes all records of `trace` in compressed buffers, or in plain ones.
///
/// Buffers keep their lanes, numbers, stamps and marks. Plain ones are all of one size: that of the
/// session, or, where that is above 1 MiB, what the fullest needs.
///
/// # Errors
///
/// [`EditError::Write`] if `out` does not take them, [`EditError::Expands`] if plain buffers would
/// take more than 256 times the bytes of the log and 64 MiB: a few bytes can claim to be a buffer.
pub fn recompress<S: Source + Sync>(
    trace: &Trace<S>,
    out: impl Write + Seek,
    packing: Packing,
) -> Result<Edited, EditError> {
    let mut report = Edited::default();
    for error in trace.damage() {
        report.fault(0, *error);
    }
    let head = head_of(trace, &mut report);
    let logfile = trace.logfile();
    let compressed = packing.compressed;
    let form = Form::of(trace, &head, compressed);
    if !compressed {
        let bytes = (trace.buffers().len() as u64).saturating_mul(form.buffer_size.into());
        let most = trace.source().size().saturating_mul(MOST_GROWTH).saturating_add(MOST_BYTES);
        if bytes > most {
            return Err(EditError::Expands(bytes));
        }
    }
    let mut totals = Totals::of(&logfile);
    if logfile.mode().has(LogFileMode::COMPRESSED) != compressed {
        totals.layout = if compressed { LAYOUT_PACKED } else { LAYOUT_PLAIN };
    }
    let mut writer = LogWriter::new(out, form, head)?;
    let packed = |packer: &mut Box<Compressor>, index, records: &mut Cursor<'_, S>| {
        let mut faults = Vec::new();
        let mut draft = draft_of(records, index, &mut |error| faults.push(error));
        let mut bytes = Vec::new();
        draft.seal(form, packer, &mut bytes);
        draft.body = Vec::new();
        Packed { draft, bytes, faults }
    };
    let buffers = first_data(trace)..trace.buffers().len();
    trace.par_buffers(buffers, packing.threads, Box::default, packed, |_, packed| {
        for error in packed.faults {
            report.fault(0, error);
        }
        writer.put_sealed(&packed.draft, &packed.bytes)
    })?;
    writer.finish(totals, &mut report)?;
    Ok(report)
}

/// A buffer on its way to the writer.
struct Packed {
    /// Without its records.
    draft: Draft,
    bytes: Vec<u8>,
    faults: Vec<ReadError>,
}

/// All whole records of a buffer; those of the first one without the logfile header.
fn draft_of<S: Source>(
    records: &mut Cursor<'_, S>,
    index: usize,
    fault: &mut dyn FnMut(ReadError),
) -> Draft {
    redraft(records, index, |draft, found| match found {
        Ok((record, _)) => draft.push(record.raw().bytes, record.ticks()),
        Err(error) => fault(error),
    })
}

/// The header buffer with all its records.
pub(super) fn head_of<S: Source>(trace: &Trace<S>, report: &mut Edited) -> Head {
    let mut head = Head::of(trace);
    if first_data(trace) == 0 {
        return head;
    }
    let draft = draft_of(&mut trace.records(), 0, &mut |error| report.fault(0, error));
    (head.more, head.more_records) = (draft.body, draft.records);
    head
}
