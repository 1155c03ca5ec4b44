//! Log files made by hand, buffer by buffer, for tests and benches.

use etlring::codec::encode;
use etlring::format::{
    BufferFlags, BufferHeader, BufferType, EventTraceHeader, LogfileHeader64, SystemTraceHeader,
};
use zerocopy::{FromZeros, IntoBytes, little_endian::U32};

/// A log file under construction. Clock: 10 MHz, so a tick is a unit of `FILETIME`.
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
    buffer_size: usize,
}

/// `StartTime` of every log made here, and the ticks that belong to it.
pub(crate) const START_TIME: i64 = 132_000_000_000_000_000;
pub(crate) const START_TICKS: u64 = 1_000;

impl Log {
    /// A file with its header buffer.
    pub(crate) fn new(buffer_size: usize) -> Self {
        Self::with_mode(buffer_size, 1)
    }

    /// The same with another log file mode.
    pub(crate) fn with_mode(buffer_size: usize, mode: u32) -> Self {
        Self::named(buffer_size, mode, "test", "test.etl")
    }

    /// The same with other names of the session and of the log file.
    pub(crate) fn named(buffer_size: usize, mode: u32, session: &str, file: &str) -> Self {
        let mut log = Self { bytes: Vec::new(), buffer_size };
        let mut header = LogfileHeader64::new_zeroed();
        header.buffer_size = U32::new(u32::try_from(buffer_size).unwrap());
        header.number_of_processors = U32::new(8);
        header.log_file_mode = U32::new(mode);
        header.pointer_size = U32::new(8);
        header.perf_freq = 10_000_000.into();
        header.start_time = START_TIME.into();
        header.reserved_flags = U32::new(1);
        let mut record = SystemTraceHeader::new_zeroed();
        record.version = 2;
        record.system_time = START_TICKS.into();
        let mut space = vec![0; buffer_size];
        let size = encode::logfile64(&mut space, &record, &header, session, file).unwrap();
        space.truncate(size);
        log.buffer_of(0, 0, 0, BufferType::HEADER, &[space]);
        log
    }

    /// Adds a buffer of `records` and says where it starts.
    pub(crate) fn buffer(
        &mut self,
        lane: u16,
        sequence: i64,
        stamp: u64,
        records: &[Vec<u8>],
    ) -> usize {
        self.buffer_of(lane, sequence, stamp, BufferType::GENERIC, records)
    }

    fn buffer_of(
        &mut self,
        lane: u16,
        sequence: i64,
        stamp: u64,
        buffer_type: BufferType,
        records: &[Vec<u8>],
    ) -> usize {
        let mut buffer = vec![0; BufferHeader::SIZE];
        for record in records {
            buffer.extend_from_slice(record);
            buffer.resize(buffer.len().next_multiple_of(8), 0);
        }
        assert!(buffer.len() <= self.buffer_size, "the records do not fit");
        let filled = u32::try_from(buffer.len()).unwrap();
        buffer.resize(self.buffer_size, 0);
        let size = u32::try_from(self.buffer_size).unwrap();
        let mut header = encode::sealed_header(size, filled, lane, sequence);
        header.time_stamp = stamp.into();
        header.buffer_type = buffer_type.0.into();
        encode::seal(&mut buffer, &header).unwrap();
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&buffer);
        at
    }

    /// The same buffer as one compressed stream of nothing but literals, of its own size.
    pub(crate) fn compressed(
        &mut self,
        lane: u16,
        sequence: i64,
        stamp: u64,
        records: &[Vec<u8>],
    ) -> usize {
        let mut body = Vec::new();
        for record in records {
            body.extend_from_slice(record);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        let mut stream = Vec::new();
        for literals in body.chunks(32) {
            stream.extend_from_slice(&[0; 4]);
            stream.extend_from_slice(literals);
        }
        let size = u32::try_from(BufferHeader::SIZE + stream.len()).unwrap();
        let filled = u32::try_from(BufferHeader::SIZE + body.len()).unwrap();
        let mut header = encode::sealed_header(size, filled, lane, sequence);
        header.time_stamp = stamp.into();
        header.buffer_flags = (BufferFlags::PROC_INDEX.0 | BufferFlags::COMPRESSED.0).into();
        let at = self.bytes.len();
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(&stream);
        at
    }
}

/// A classic record with a payload of `payload` bytes, its type as mark.
pub(crate) fn classic(ticks: u64, mark: u8, payload: usize) -> Vec<u8> {
    let mut header = EventTraceHeader::new_zeroed();
    header.class_type = mark;
    header.time_stamp = ticks.into();
    let mut out = vec![0; EventTraceHeader::SIZE + payload];
    encode::classic(&mut out, &header, 64, &vec![mark; payload]).unwrap();
    out
}

/// A message without a time stamp.
pub(crate) fn untimed(number: u16) -> Vec<u8> {
    let mut out = vec![0; 64];
    let message = encode::Message { number, ..Default::default() };
    let size = encode::message(&mut out, &message, b"args").unwrap();
    out.truncate(size);
    out
}
