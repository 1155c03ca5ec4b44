//! Reads a log with the codec alone, as plainly as can be.

use etlring::codec::{BufferView, LogfileView, RecordView, checksum};
use etlring::format::{BufferFlags, BufferHeader, LOST_EVENT_GUID};

/// One data buffer.
pub(crate) struct Buffer<'a> {
    pub(crate) header: &'a BufferHeader,
    pub(crate) records: Vec<RecordView<'a>>,
    pub(crate) events_lost: u32,
}

/// What a loss record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LossRecord {
    pub(crate) class_type: u8,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) count: u32,
    pub(crate) cause: u32,
}

/// The header and the data buffers of a finished log, every byte of its structure checked, without
/// a hole in the sequence numbers.
pub(crate) fn read(log: &[u8]) -> (LogfileView<'_>, Vec<Buffer<'_>>) {
    let (header, buffers) = read_with_holes(log);
    let mut numbers: Vec<_> = buffers.iter().map(|b| b.header.sequence_number.get()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=buffers.len() as i64));
    (header, buffers)
}

/// The same of a log in which numbers may be missing.
pub(crate) fn read_with_holes(log: &[u8]) -> (LogfileView<'_>, Vec<Buffer<'_>>) {
    let mut rest = log;
    let mut buffers = Vec::new();
    let mut header = None;
    while !rest.is_empty() {
        let view = BufferView::parse(rest).unwrap();
        let filled = view.header().filled_bytes.get() as usize;
        assert!(view.bytes()[filled..].iter().all(|byte| *byte == 0xFF), "filler");
        assert_eq!(filled % 8, 0);
        assert_eq!(view.header().state.get(), 3);
        assert_eq!(view.header().saved_offset.get() as usize, filled);
        let records: Vec<_> =
            view.records().map(|raw| RecordView::parse(raw.unwrap()).unwrap()).collect();
        let Ok(checksum::State::Valid { events_lost }) = view.verify_checksum() else {
            panic!("no valid checksum")
        };
        if header.is_none() {
            header = Some(LogfileView::parse(records[0].raw()).unwrap());
        } else {
            let flagged = view.header().flags().has(BufferFlags::EVENTS_LOST);
            assert_eq!(flagged, events_lost != 0);
            buffers.push(Buffer { header: view.header(), records, events_lost });
        }
        rest = &rest[view.bytes().len()..];
    }
    let header = header.expect("a header buffer");
    assert_eq!(header.buffers_written() as usize, buffers.len() + 1);
    check_order(&buffers, header.number_of_processors());
    (header, buffers)
}

/// Sequence numbers are there once; lanes run forwards in them.
fn check_order(buffers: &[Buffer<'_>], lanes: u32) {
    let mut in_order: Vec<_> = buffers.iter().collect();
    in_order.sort_by_key(|buffer| buffer.header.sequence_number.get());
    let mut last = vec![0; lanes as usize];
    let mut before = 0;
    for buffer in in_order {
        assert!(buffer.header.sequence_number.get() > before);
        before = buffer.header.sequence_number.get();
        for record in &buffer.records {
            let ticks = record.ticks().unwrap();
            let last = &mut last[usize::from(buffer.header.lane())];
            assert!(ticks >= *last, "lane {} runs backwards", buffer.header.lane());
            *last = ticks;
        }
    }
}

/// The records that providers wrote.
pub(crate) fn events<'a>(buffers: &'a [Buffer<'a>]) -> impl Iterator<Item = &'a RecordView<'a>> {
    let all = buffers.iter().flat_map(|buffer| &buffer.records);
    all.filter(|record| record.provider() != Some(LOST_EVENT_GUID))
}

/// The records that tell of losses.
pub(crate) fn losses(buffers: &[Buffer<'_>]) -> Vec<LossRecord> {
    let all = buffers.iter().flat_map(|buffer| &buffer.records);
    all.filter(|record| record.provider() == Some(LOST_EVENT_GUID))
        .map(|record| {
            let payload = record.payload();
            assert_eq!(payload.len(), 24);
            let u64_at = |at: usize| u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
            let u32_at = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
            LossRecord {
                class_type: record.opcode().unwrap(),
                first: u64_at(0),
                last: u64_at(8),
                count: u32_at(16),
                cause: u32_at(20),
            }
        })
        .collect()
}
