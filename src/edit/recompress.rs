//! The same records in buffers packed anew, or unpacked.
//!
//! ```text
//!   buffers 1, 3, 5 …  ─► worker 0 ─► ┐
//!   buffers 2, 4, 6 …  ─► worker 1 ─► ┴► written in turn
//! ```
//!
//! Each worker takes every n-th buffer and is at most two ahead of the writer, so the order is that
//! of the file and the memory that of a few buffers.

use super::draft::{Draft, Form};
use super::writer::{Head, LogWriter, first_data, redraft};
use super::{EditError, Edited};
use crate::codec::finish::Totals;
use crate::codec::xpress::Compressor;
use crate::format::LogFileMode;
use crate::reader::{ReadError, Source, Trace};
use std::io::{Seek, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How [`recompress`] writes buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Each buffer as a stream of plain LZ77 XPRESS, as Windows' relogger does it; else plain.
    pub compressed: bool,
    /// Threads that pack.
    pub threads: NonZeroUsize,
}

/// Layout of the log, major and minor: that of compressed files, and that of plain ones.
const LAYOUT_PACKED: [u8; 2] = [2, 0];
const LAYOUT_PLAIN: [u8; 2] = [1, 5];

/// Buffers a worker may be ahead.
const AHEAD: usize = 2;
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
    let (first, count) = (first_data(trace), trace.buffers().len());
    let workers = packing.threads.get().min(count.max(1));
    std::thread::scope(|scope| {
        let lines: Vec<Receiver<Packed>> = (0..workers)
            .map(|worker| {
                let (send, receive) = sync_channel(AHEAD);
                let turns = (first..count).skip(worker).step_by(workers);
                scope.spawn(move || work(trace, turns, form, &send));
                receive
            })
            .collect();
        for (index, line) in (first..count).zip(lines.iter().cycle()) {
            // A worker sends for each of its buffers: only its panic could end the line before.
            let Ok(packed) = line.recv() else { break };
            for error in packed.faults {
                report.fault(0, error);
            }
            debug_assert_eq!(packed.index, index);
            writer.put_sealed(&packed.draft, &packed.bytes)?;
        }
        Ok::<(), EditError>(())
    })?;
    writer.finish(totals, &mut report)?;
    Ok(report)
}

/// A buffer on its way from a worker to the writer.
struct Packed {
    index: usize,
    /// Without its records.
    draft: Draft,
    bytes: Vec<u8>,
    faults: Vec<ReadError>,
}

fn work<S: Source>(
    trace: &Trace<S>,
    turns: impl Iterator<Item = usize>,
    form: Form,
    send: &SyncSender<Packed>,
) {
    let mut packer = Box::<Compressor>::default();
    for index in turns {
        let mut faults = Vec::new();
        let mut draft = draft_of(trace, index, &mut |error| faults.push(error));
        let mut bytes = Vec::new();
        draft.seal(form, &mut packer, &mut bytes);
        draft.body = Vec::new();
        // Nobody waits for it any more: the output failed.
        if send.send(Packed { index, draft, bytes, faults }).is_err() {
            return;
        }
    }
}

/// All whole records of a buffer; those of the first one without the logfile header.
pub(super) fn draft_of<S: Source>(
    trace: &Trace<S>,
    index: usize,
    fault: &mut dyn FnMut(ReadError),
) -> Draft {
    redraft(trace, index, |draft, found| match found {
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
    let draft = draft_of(trace, 0, &mut |error| report.fault(0, error));
    (head.more, head.more_records) = (draft.body, draft.records);
    head
}
