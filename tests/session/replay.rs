//! What the reader makes of a log: numbered events, and what the header tells.

use etlring::codec::checksum;
use etlring::format::{Guid, LOST_EVENT_GUID, LogFileMode};
use etlring::reader::{OpenError, Source, Trace};
use etlring::session::{ClassicEvent, Discarded, SessionHandle};
use std::path::{Path, PathBuf};

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);

/// Payload of an event: its number, the bytes that follow from it, none of them like filler. 26 such records fill a buffer of
/// 4,096 bytes.
const PAYLOAD: usize = 100;
pub(crate) const PER_BUFFER: u64 = 26;

fn payload(n: u64) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    for (at, byte) in (0u64..).zip(&mut bytes) {
        *byte =
            1 + (n.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15 + at * 2) >> 24) as u8 % 254;
    }
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    bytes
}

/// Records event `n`.
pub(crate) fn write(session: &SessionHandle, n: u64) -> Result<(), Discarded> {
    session.write_classic(&ClassicEvent::new(CLASS, 10, 4), &payload(n))
}

/// Records events and expects each to be taken, waiting for buffers if need be.
pub(crate) fn write_all(session: &SessionHandle, numbers: std::ops::Range<u64>) {
    for n in numbers {
        while session.query().buffers_free < 2 {
            std::thread::yield_now();
        }
        write(session, n).unwrap();
    }
}

/// A log as the reader sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    /// Numbers of the events, in time order.
    pub(crate) events: Vec<u64>,
    /// Losses told in place: class type, count, cause.
    pub(crate) told: Vec<(u8, u32, u32)>,
    pub(crate) mode: LogFileMode,
    pub(crate) maximum_file_size: u32,
    pub(crate) finished: bool,
    pub(crate) buffers_written: u32,
    pub(crate) buffers: usize,
    pub(crate) events_lost: u32,
    pub(crate) buffers_lost: u32,
    pub(crate) name: String,
    /// Data buffers whose checksum does not hold.
    pub(crate) torn: usize,
}

impl Replay {
    /// Reads a log. Any event that is there must be as it was written.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self::read(bytes).unwrap()
    }

    /// Reads what may be no log at all. An event may be torn only in a buffer that does not verify.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self, OpenError> {
        Ok(Self::of_trace(&Trace::from_bytes(bytes)?))
    }

    /// Reads an opened log.
    pub(crate) fn of_trace<S: Source>(trace: &Trace<S>) -> Self {
        let header = trace.logfile();
        let mut replay = Self {
            mode: header.mode(),
            maximum_file_size: header.maximum_file_size(),
            finished: header.end_time().is_some(),
            buffers_written: header.buffers_written(),
            buffers: trace.buffers().len(),
            events_lost: header.events_lost(),
            buffers_lost: header.buffers_lost(),
            name: header.log_file_name().to_string(),
            ..Self::default()
        };
        let (start, end) = (header.start_time(), header.end_time());
        let verifies: Vec<_> = (0..trace.buffers().len())
            .map(|index| matches!(trace.verify_checksum(index), Ok(checksum::State::Valid { .. })))
            .collect();
        replay.torn = verifies.iter().filter(|verifies| !**verifies).count();
        let mut records = trace.by_time();
        while let Some(record) = records.next() {
            let Ok(record) = record else {
                assert!(replay.torn > 0, "a record of a buffer that verifies is damaged");
                continue;
            };
            let Ok(view) = record.view() else { continue };
            let payload_bytes = view.payload();
            if view.provider() == Some(CLASS) {
                let Some(n) = payload_bytes.first_chunk() else { continue };
                let n = u64::from_le_bytes(*n);
                let whole = payload_bytes == payload(n);
                let verifies = verifies[record.buffer_index()];
                assert!(whole || !verifies, "event {n} is torn in a buffer that verifies");
                let time = trace.clock().file_time(record.ticks().unwrap());
                let in_time = time >= start && end.is_none_or(|end| time <= end);
                assert!(in_time || !whole, "time of event {n}");
                if whole {
                    replay.events.push(n);
                }
            } else if view.provider() == Some(LOST_EVENT_GUID) {
                let word =
                    |at: usize| u32::from_le_bytes(payload_bytes[at..at + 4].try_into().unwrap());
                replay.told.push((view.opcode().unwrap(), word(16), word(20)));
            }
        }
        replay
    }

    /// Reads a log file that must be whole.
    pub(crate) fn whole(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let size = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        assert_eq!(bytes.len() % size, 0, "{}", path.display());
        let replay = Self::of(bytes);
        let path = path.display();
        assert!(replay.finished && replay.torn == 0, "{path}");
        assert_eq!(replay.buffers_written as usize, replay.buffers, "{path}");
        replay
    }
}

/// How many events of `class` a log has, with its ring if that is there.
#[cfg(all(unix, target_pointer_width = "64"))]
pub(crate) fn count(path: &Path, class: Guid) -> usize {
    let trace = etlring::reader::Trace::open(path).unwrap();
    let mut records = trace.by_time();
    let mut count = 0;
    while let Some(record) = records.next() {
        count += usize::from(record.unwrap().view().unwrap().provider() == Some(class));
    }
    count
}

/// Files of a directory by name, those with shorter names first: numbers in their order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    files
}
