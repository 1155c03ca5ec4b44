//! Records made by hand, and a log of them that is shown to an exporter.

use etlring::codec::{RecordView, Records};
use etlring::export::Entry;
use etlring::format::{FileTime, Guid};
use etlring::schema::Decoder;

/// A manifest event; what is not named is zero.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Event<'p> {
    pub(crate) provider: u128,
    pub(crate) id: u16,
    pub(crate) opcode: u8,
    pub(crate) task: u16,
    pub(crate) keyword: u64,
    pub(crate) activity: u128,
    pub(crate) process: u32,
    pub(crate) thread: u32,
    pub(crate) ticks: u64,
    pub(crate) version: u8,
    pub(crate) payload: &'p [u8],
}

impl Event<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut record = vec![0; 8];
        record[2..4].copy_from_slice(&[19, 0xC0]);
        record.extend(self.thread.to_le_bytes());
        record.extend(self.process.to_le_bytes());
        record.extend(self.ticks.to_le_bytes());
        record.extend(Guid::from_u128(self.provider).0);
        record.extend(self.id.to_le_bytes());
        record.extend([self.version, 0, 4, self.opcode]);
        record.extend(self.task.to_le_bytes());
        record.extend(self.keyword.to_le_bytes());
        record.extend([0; 8]);
        record.extend(Guid::from_u128(self.activity).0);
        record.extend_from_slice(self.payload);
        let size = u16::try_from(record.len()).unwrap();
        record[..2].copy_from_slice(&size.to_le_bytes());
        padded(record)
    }
}

/// A kernel record with a time stamp alone; 64 bits.
pub(crate) fn perfinfo(group: u8, kind: u8, version: u8, ticks: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![version, 0, 17, 0xC0, 0, 0, kind, group];
    record.extend(ticks.to_le_bytes());
    record.extend_from_slice(payload);
    sized_at_4(record)
}

/// A kernel record of a thread; 64 bits.
pub(crate) fn system(
    (group, kind, version): (u8, u8, u8),
    (process, thread): (u32, u32),
    ticks: u64,
    payload: &[u8],
) -> Vec<u8> {
    let mut record = vec![version, 0, 2, 0xC0, 0, 0, kind, group];
    record.extend(thread.to_le_bytes());
    record.extend(process.to_le_bytes());
    record.extend(ticks.to_le_bytes());
    record.extend([0; 8]);
    record.extend_from_slice(payload);
    sized_at_4(record)
}

fn sized_at_4(mut record: Vec<u8>) -> Vec<u8> {
    let size = u16::try_from(record.len()).unwrap();
    record[4..6].copy_from_slice(&size.to_le_bytes());
    padded(record)
}

fn padded(mut record: Vec<u8>) -> Vec<u8> {
    record.resize(record.len().next_multiple_of(8), 0);
    record
}

/// The process `process` was there before the log and has a name.
pub(crate) fn process(process: u32, name: &str) -> Vec<u8> {
    let mut payload = vec![0; 8];
    payload.extend(process.to_le_bytes());
    payload.extend([0; 16]);
    payload.extend_from_slice(name.as_bytes());
    payload.push(0);
    perfinfo(3, 3, 1, 0, &payload)
}

/// The thread `thread` of `process` was there before the log.
pub(crate) fn thread(process: u32, thread: u32) -> Vec<u8> {
    perfinfo(5, 3, 0, 0, &[thread.to_le_bytes(), process.to_le_bytes()].concat())
}

/// 64-bit words in a row.
pub(crate) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// UTF-16 with its terminator.
pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Shows records to a visitor as a log would; a tick is 100 ns and starts 1970.
pub(crate) fn show(
    records: &[(u16, Vec<u8>)],
    mut each: impl FnMut(&Entry<'_, '_>, i128, &Decoder),
) {
    let mut decoder = Decoder::new();
    for (_, record) in records {
        Records::new(record).for_each(|record| decoder.learn(record.unwrap()));
    }
    for (lane, record) in records {
        let view = RecordView::parse(Records::new(record).next().unwrap().unwrap()).unwrap();
        let ticks = view.ticks().unwrap_or(0);
        let process = view.process_id().and_then(|process| decoder.process_name(process, ticks));
        let entry = Entry {
            view: &view,
            event: &decoder.describe(&view),
            time: FileTime(FileTime::UNIX_EPOCH.0 + i64::try_from(ticks).unwrap()),
            lane: *lane,
            buffer_index: 1,
            process_name: process,
            timer_resolution: 156_250,
        };
        each(&entry, i128::from(ticks) * 100, &decoder);
    }
}
