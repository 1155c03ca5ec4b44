//! Reading: a log file and a cursor over it.

use crate::promise::{Growing, Layout, Place, Text, Wanted, give, layout};
use crate::status::{self, FILE_CORRUPT, Failure, INVALID_PARAMETER, NO_MORE_ITEMS, Status};
use crate::types::Guid;
use bytes::Bytes;
use etlring::codec::{RecordHeader, RecordView};
use etlring::format::{ExtType, FileTime};
use etlring::reader::{Cursor, Merge, ReadError, Record, Trace};
use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;

/// `etlring_reader`.
pub struct Reader {
    /// Borrows from `trace`. Emptied first.
    cursor: Option<Order>,
    /// From a box, and freed as one.
    trace: NonNull<Trace<Bytes>>,
}

enum Order {
    Time(Box<Merge<'static, Bytes>>),
    File(Box<Cursor<'static, Bytes>>),
}

/// Time order.
pub const ORDER_TIME: u32 = 0;
/// The order of the file.
pub const ORDER_FILE: u32 = 1;

/// `etlring_record`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in the header and in RecordView")]
pub struct CRecord {
    pub size: usize,
    pub payload: *const c_void,
    pub payload_size: usize,
    pub bytes: *const c_void,
    pub bytes_size: usize,
    pub ticks: u64,
    pub file_time: i64,
    pub keyword: u64,
    pub provider: Guid,
    pub activity: Guid,
    pub related: Guid,
    pub present: u32,
    pub header: u32,
    pub process_id: u32,
    pub thread_id: u32,
    pub lane: u16,
    pub id: u16,
    pub version: u16,
    pub task: u16,
    pub level: u8,
    pub opcode: u8,
    pub channel: u8,
    pub bits: u8,
}

// SAFETY: it is `repr(C)`, starts with its size, and is numbers and pointers.
unsafe impl Growing for CRecord {
    const FIRST_BYTES: usize = 144;
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<CRecord>() == <CRecord as Growing>::FIRST_BYTES);

macro_rules! constants {
    ($($name:ident = $value:literal),* $(,)?) => {
        $(const $name: u32 = $value;)*
        /// The constants of the header that start with `ETLRING_`, by the rest of their names.
        pub const CONSTANTS: &[(&str, u32)] = &[
            ("ORDER_TIME", ORDER_TIME), ("ORDER_FILE", ORDER_FILE),
            $((stringify!($name), $value)),*
        ];
    };
}

constants! {
    HEADER_UNKNOWN = 0,
    HEADER_EVENT = 1,
    HEADER_CLASSIC = 2,
    HEADER_INSTANCE = 3,
    HEADER_SYSTEM = 4,
    HEADER_COMPACT = 5,
    HEADER_PERFINFO = 6,
    HEADER_MESSAGE = 7,
    HAS_TICKS = 0x1,
    HAS_PROCESS_ID = 0x2,
    HAS_THREAD_ID = 0x4,
    HAS_PROVIDER = 0x8,
    HAS_ID = 0x10,
    HAS_VERSION = 0x20,
    HAS_LEVEL = 0x40,
    HAS_OPCODE = 0x80,
    HAS_DESCRIPTOR = 0x100,
    HAS_ACTIVITY = 0x200,
    HAS_RELATED = 0x400,
}

impl CRecord {
    fn new(trace: &Trace<Bytes>, record: &Record<'_>) -> Result<Self, ReadError> {
        Ok(Self::of(&record.view()?, trace.time(record), record.lane()))
    }

    /// A record that lives for as long as the caller may look at it.
    pub(crate) fn of(view: &RecordView<'_>, time: FileTime, lane: u16) -> Self {
        let (payload, bytes) = (view.payload(), view.raw().bytes);
        let mut present = 0;
        let descriptor = view.descriptor();
        let related = view.items().flatten().find_map(|item| {
            (item.ext_type == ExtType::RELATED_ACTIVITYID).then(|| item.guid()).flatten()
        });
        Self {
            size: size_of::<Self>(),
            payload: payload.as_ptr().cast(),
            payload_size: payload.len(),
            bytes: bytes.as_ptr().cast(),
            bytes_size: bytes.len(),
            ticks: known(&mut present, HAS_TICKS, view.ticks()).unwrap_or_default(),
            file_time: time.0,
            keyword: known(&mut present, HAS_DESCRIPTOR, descriptor)
                .map_or(0, |descriptor| descriptor.keyword.get()),
            provider: guid(known(&mut present, HAS_PROVIDER, view.provider())),
            activity: guid(known(&mut present, HAS_ACTIVITY, view.activity_id())),
            related: guid(known(&mut present, HAS_RELATED, related)),
            header: header(view),
            process_id: known(&mut present, HAS_PROCESS_ID, view.process_id()).unwrap_or_default(),
            thread_id: known(&mut present, HAS_THREAD_ID, view.thread_id()).unwrap_or_default(),
            lane,
            id: known(&mut present, HAS_ID, view.id()).unwrap_or_default(),
            version: known(&mut present, HAS_VERSION, view.version()).unwrap_or_default(),
            task: descriptor.map_or(0, |descriptor| descriptor.task.get()),
            level: known(&mut present, HAS_LEVEL, view.level()).unwrap_or_default(),
            opcode: known(&mut present, HAS_OPCODE, view.opcode()).unwrap_or_default(),
            channel: descriptor.map_or(0, |descriptor| descriptor.channel),
            bits: view.bits().unwrap_or_default(),
            present,
        }
    }
}

/// Notes whether a value is there.
fn known<T>(present: &mut u32, bit: u32, value: Option<T>) -> Option<T> {
    if value.is_some() {
        *present |= bit;
    }
    value
}

fn guid(guid: Option<etlring::format::Guid>) -> Guid {
    guid.map_or(Guid::ZERO, Guid::from)
}

fn header(view: &RecordView<'_>) -> u32 {
    match view.header() {
        RecordHeader::Event(_) => HEADER_EVENT,
        RecordHeader::Classic(_) => HEADER_CLASSIC,
        RecordHeader::Instance(_) => HEADER_INSTANCE,
        RecordHeader::System(_) => HEADER_SYSTEM,
        RecordHeader::Compact(_) => HEADER_COMPACT,
        RecordHeader::PerfInfo(_) => HEADER_PERFINFO,
        RecordHeader::Message(_) => HEADER_MESSAGE,
        _ => HEADER_UNKNOWN,
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    fn new(trace: Trace<Bytes>, order: u32) -> Result<Self, Failure> {
        let mut reader = Self { cursor: None, trace: NonNull::from(Box::leak(Box::new(trace))) };
        // SAFETY: the box lives, unmoved and only shared, until `drop`, which empties the cursor
        // first; no record leaves the reader but as pointers.
        let trace: &'static Trace<Bytes> = unsafe { reader.trace.as_ref() };
        reader.cursor = Some(match order {
            ORDER_TIME => Order::Time(Box::new(trace.by_time())),
            ORDER_FILE => Order::File(Box::new(trace.records())),
            order => {
                let words = format!("order {order} is not known");
                return Err(Failure::new(INVALID_PARAMETER, words));
            }
        });
        Ok(reader)
    }

    fn next(&mut self) -> Option<Result<CRecord, ReadError>> {
        // SAFETY: as in `new`.
        let trace = unsafe { self.trace.as_ref() };
        let record = match self.cursor.as_mut()? {
            Order::Time(merge) => merge.next()?,
            Order::File(cursor) => cursor.next()?,
        };
        Some(record.and_then(|record| CRecord::new(trace, &record)))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.cursor = None;
        // SAFETY: it came from a box, and the only borrow of it has ended.
        drop(unsafe { Box::from_raw(self.trace.as_ptr()) });
    }
}

/// `etlring_reader_open`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_reader_open(
    path: Text<'_>,
    order: u32,
    reader: Place<'_, Reader>,
) -> Status {
    status::call(|| {
        let place = reader.ok_or_else(|| Failure::null("reader"))?;
        let trace = Trace::open(path.needed_path()?)?;
        give(Some(place), "reader", Reader::new(trace, order)?)
    })
}

/// `etlring_reader_next`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_reader_next(
    reader: Option<&mut Reader>,
    record: Wanted<'_, CRecord>,
) -> Status {
    status::call(|| {
        let reader = reader.ok_or_else(Failure::no_handle)?;
        match reader.next() {
            None => Err(Failure::new(NO_MORE_ITEMS, "no more records")),
            Some(Err(damage)) => Err(Failure::new(FILE_CORRUPT, damage.to_string())),
            Some(Ok(found)) => record.put("record", found),
        }
    })
}

/// `etlring_reader_close`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_reader_close(reader: Option<Box<Reader>>) {
    status::call_or((), || drop(reader));
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[layout!("etlring_record": CRecord {
    size, payload, payload_size, bytes, bytes_size, ticks, file_time, keyword, provider, activity, related, present, header, process_id, thread_id, lane, id, version, task, level, opcode, channel, bits,
})];
