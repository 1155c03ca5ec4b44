//! Sessions of other processes, by name: listed, asked, steered, followed.

use crate::promise::{Given, Growing, Layout, Place, Text, Wanted, give, layout};
use crate::reader::CRecord;
use crate::session::{FLUSH_WHEN_FULL, Statistics};
use crate::status::{self, BUFFER_OVERFLOW, FILE_CORRUPT, Failure, NO_MORE_ITEMS, Status, TIMEOUT};
use crate::types::Guid;
use etlring::codec::{RecordView, Records, TickClock};
use etlring::format::BufferHeader;
use etlring::outside::{self, Found, NoDelivery};
use etlring::provider::Enable;
use etlring::session::{Delivery, LiveBuffer, Update};
use std::ffi::{CString, c_char, c_void};
use std::fmt;
use std::ptr;
use std::time::{Duration, Instant};

/// `etlring_client`.
#[derive(Debug)]
pub struct Client(outside::Client);

/// `etlring_consumer`.
pub struct Consumer {
    consumer: outside::Consumer,
    clock: Option<TickClock>,
    /// What is being read, and where its next record begins.
    buffer: Option<(LiveBuffer, usize)>,
    /// Events that were missed so far.
    missed: u64,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("consumer", &self.consumer).finish_non_exhaustive()
    }
}

/// `etlring_found_callback`.
pub type FoundCallback = extern "C" fn(found: &CFound, context: *mut c_void);

/// `etlring_found`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in the header")]
pub struct CFound {
    pub size: usize,
    pub name: *const c_char,
    pub log_file: *const c_char,
    pub state: u32,
    pub process_id: u32,
}

/// `etlring_session_properties`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in the header and in SessionProperties")]
pub struct Properties {
    pub size: usize,
    pub id: u64,
    pub start_time: i64,
    pub real_time_buffers_lost: u64,
    pub process_id: u32,
    pub mode: u32,
    pub buffer_size: u32,
    pub minimum_buffers: u32,
    pub maximum_buffers: u32,
    pub flush_interval_ms: u32,
    pub consumers: u32,
    pub providers_enabled: u32,
    pub processes_attached: u32,
    pub reserved: u32,
}

// SAFETY: it is `repr(C)`, starts with its size, and is numbers only.
unsafe impl Growing for Properties {
    const FIRST_BYTES: usize = 72;
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Properties>() == <Properties as Growing>::FIRST_BYTES);

/// `etlring_session_update`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Changes<'a> {
    size: usize,
    log_file: Text<'a>,
    flush_interval_ms: u32,
    maximum_buffers: u32,
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("size", &self.size).finish_non_exhaustive()
    }
}

// SAFETY: it is `repr(C)`, starts with its size, and zero is NULL or a number.
unsafe impl Growing for Changes<'_> {
    const FIRST_BYTES: usize = 24;
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Changes<'_>>() == <Changes<'_> as Growing>::FIRST_BYTES);

const FOUND_RUNNING: u32 = 0;
const FOUND_DEAD: u32 = 1;
const FOUND_SILENT: u32 = 2;
const FOUND_UNUSABLE: u32 = 3;
const WAIT_FOREVER: u32 = u32::MAX;

/// The constants of the header that start with `ETLRING_`, by the rest of their names.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("FOUND_RUNNING", FOUND_RUNNING),
    ("FOUND_DEAD", FOUND_DEAD),
    ("FOUND_SILENT", FOUND_SILENT),
    ("FOUND_UNUSABLE", FOUND_UNUSABLE),
    ("WAIT_FOREVER", WAIT_FOREVER),
];

/// `etlring_session_list`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_list(
    callback: Option<FoundCallback>,
    context: *mut c_void,
) -> Status {
    status::call(|| {
        let callback = callback.ok_or_else(|| Failure::null("callback"))?;
        for found in outside::list()? {
            let (name, log_file, state, process_id) = match found {
                Found::Running(status) => {
                    let properties = status.properties;
                    let (name, log) = (properties.name, properties.log_file);
                    (name, log, FOUND_RUNNING, status.process_id)
                }
                Found::Dead(dead) => (dead.name, dead.log_file, FOUND_DEAD, dead.process_id),
                Found::Silent(name) => (name, None, FOUND_SILENT, 0),
                Found::Unusable(name, _) => (name, None, FOUND_UNUSABLE, 0),
                _ => continue,
            };
            // Neither holds a NUL: sessions and their messages have none.
            let name = CString::new(name).unwrap_or_default();
            let log_file = log_file.and_then(|path| CString::new(path_bytes(&path)).ok());
            let found = CFound {
                size: size_of::<CFound>(),
                name: name.as_ptr(),
                log_file: log_file.as_ref().map_or(ptr::null(), |path| path.as_ptr()),
                state,
                process_id,
            };
            callback(&found, context);
        }
        Ok(())
    })
}

#[cfg(unix)]
fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(not(unix))]
fn path_bytes(path: &std::path::Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

/// `etlring_client_connect`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_connect(name: Text<'_>, client: Place<'_, Client>) -> Status {
    status::call(|| {
        let place = client.ok_or_else(|| Failure::null("client"))?;
        give(Some(place), "client", Client(outside::connect(name.utf8("name")?)?))
    })
}

/// `etlring_client_free`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_free(client: Option<Box<Client>>) {
    status::call_or((), || drop(client));
}

/// `etlring_client_query`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_query(
    client: Option<&Client>,
    properties: Wanted<'_, Properties>,
    statistics: Wanted<'_, Statistics>,
) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        let status = client.0.query()?;
        let found = &status.properties;
        let small = |number: u128| u32::try_from(number).unwrap_or(u32::MAX);
        let filled = Properties {
            size: size_of::<Properties>(),
            id: found.id,
            start_time: found.start_time.0,
            real_time_buffers_lost: found.real_time_buffers_lost,
            process_id: status.process_id,
            mode: found.mode.0,
            buffer_size: found.buffer_size,
            minimum_buffers: found.minimum_buffers,
            maximum_buffers: found.maximum_buffers,
            flush_interval_ms: small(found.flush_interval.as_millis()),
            consumers: small(found.consumers as u128),
            providers_enabled: status.providers_enabled,
            processes_attached: found.attached.processes,
            reserved: 0,
        };
        if !properties.is_null() {
            properties.put("properties", filled)?;
        }
        if !statistics.is_null() {
            statistics.put("statistics", Statistics::new(&found.stats))?;
        }
        Ok(())
    })
}

/// `etlring_client_flush`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_flush(client: Option<&Client>) -> Status {
    status::call(|| Ok(client.ok_or_else(Failure::no_handle)?.0.flush()?))
}

/// `etlring_client_snapshot`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_snapshot(client: Option<&Client>, path: Text<'_>) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        client.0.snapshot(path.needed_path()?)?;
        Ok(())
    })
}

/// `etlring_client_enable`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_enable(
    client: Option<&Client>,
    provider: Option<&Guid>,
    level: u8,
    any_keyword: u64,
    all_keywords: u64,
) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        let enable = Enable::new().level(level).any_keyword(any_keyword);
        Ok(client.0.enable((*provider).into(), &enable.all_keywords(all_keywords))?)
    })
}

/// `etlring_client_disable`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_disable(
    client: Option<&Client>,
    provider: Option<&Guid>,
) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        Ok(client.0.disable((*provider).into())?)
    })
}

/// `etlring_client_update`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_update(
    client: Option<&Client>,
    update: Given<'_, Changes<'_>>,
) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        let changes = update.get("update")?;
        let mut update = Update::new();
        if let Some(path) = changes.log_file.path() {
            update = update.log_file(path?);
        }
        update = match changes.flush_interval_ms {
            0 => update,
            FLUSH_WHEN_FULL => update.flush_interval(Duration::ZERO),
            ms => update.flush_interval(Duration::from_millis(ms.into())),
        };
        if changes.maximum_buffers != 0 {
            update = update.maximum_buffers(changes.maximum_buffers);
        }
        Ok(client.0.update(&update)?)
    })
}

/// `etlring_client_stop`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_client_stop(
    client: Option<&Client>,
    statistics: Wanted<'_, Statistics>,
) -> Status {
    status::call(|| {
        let client = client.ok_or_else(Failure::no_handle)?;
        let stopped = client.0.stop()?;
        if statistics.is_null() {
            return Ok(());
        }
        statistics.put("statistics", Statistics::new(&stopped.properties.stats))
    })
}

/// `etlring_consumer_open`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_consumer_open(
    name: Text<'_>,
    capacity: u32,
    consumer: Place<'_, Consumer>,
) -> Status {
    status::call(|| {
        let place = consumer.ok_or_else(|| Failure::null("consumer"))?;
        let client = outside::connect(name.utf8("name")?)?;
        let consumer = match capacity {
            0 => client.consumer()?,
            bytes => client.consumer_with_capacity(bytes)?,
        };
        let clock = consumer.clock();
        give(Some(place), "consumer", Consumer { consumer, clock, buffer: None, missed: 0 })
    })
}

/// `etlring_consumer_next`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_consumer_next(
    consumer: Option<&mut Consumer>,
    timeout_ms: u32,
    record: Wanted<'_, CRecord>,
) -> Status {
    status::call(|| {
        let consumer = consumer.ok_or_else(Failure::no_handle)?;
        if record.is_null() {
            // Looked at before anything is taken from the session.
            return Err(Failure::null("record"));
        }
        let found = consumer.next(timeout_ms)?;
        record.put("record", found)
    })
}

/// `etlring_consumer_missed`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_consumer_missed(consumer: Option<&Consumer>) -> u64 {
    status::call_or(0, || consumer.map_or(0, |consumer| consumer.missed))
}

/// `etlring_consumer_close`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_consumer_close(consumer: Option<Box<Consumer>>) {
    status::call_or((), || drop(consumer));
}

impl Consumer {
    fn next(&mut self, timeout_ms: u32) -> Result<CRecord, Failure> {
        let deadline = match timeout_ms {
            WAIT_FOREVER => None,
            ms => Instant::now().checked_add(Duration::from_millis(ms.into())),
        };
        loop {
            if let Some(found) = self.record() {
                return found;
            }
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            match self.consumer.next_within(left) {
                Ok(Delivery::Buffer(buffer)) => self.buffer = Some((buffer, 0)),
                Ok(Delivery::Missed(missed)) => {
                    self.missed = self.missed.saturating_add(missed.events);
                    return Err(Failure::new(BUFFER_OVERFLOW, format!("too slow: {missed}")));
                }
                Ok(_) => {}
                Err(NoDelivery::Yet) => {
                    return Err(Failure::new(TIMEOUT, "nothing came within the time"));
                }
                Err(NoDelivery::Ended) => {
                    return Err(Failure::new(NO_MORE_ITEMS, "the session has stopped"));
                }
                Err(NoDelivery::Failed(error)) => return Err(error.into()),
            }
        }
    }

    /// The next record of the buffer that is being read; `None` behind its last one.
    fn record(&mut self) -> Option<Result<CRecord, Failure>> {
        let (buffer, at) = self.buffer.as_mut()?;
        // Behind the header; nothing behind the last record, or a damaged one.
        let records = buffer.bytes().get(BufferHeader::SIZE..).and_then(|body| body.get(*at..));
        let next = Records::new(records.unwrap_or_default()).next();
        let damage =
            |error: etlring::error::FormatError| Err(Failure::new(FILE_CORRUPT, error.to_string()));
        match next {
            // The buffer stays: the caller looks at the last record of it.
            None => None,
            Some(Err(error)) => {
                *at = usize::MAX;
                Some(damage(error))
            }
            Some(Ok(raw)) => {
                *at += raw.bytes.len().next_multiple_of(8);
                let view = match RecordView::parse(raw) {
                    Ok(view) => view,
                    Err(error) => return Some(damage(error)),
                };
                let header = buffer.view().header();
                let ticks = view.ticks().unwrap_or(header.time_stamp.get());
                let time = self.clock.as_ref().map(|clock| clock.file_time(ticks));
                Some(Ok(CRecord::of(&view, time.unwrap_or_default(), header.lane())))
            }
        }
    }
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[
    layout!("etlring_found": CFound { size, name, log_file, state, process_id }),
    layout!("etlring_session_properties": Properties {
        size, id, start_time, real_time_buffers_lost, process_id, mode, buffer_size, minimum_buffers, maximum_buffers, flush_interval_ms, consumers, providers_enabled, processes_attached, reserved,
    }),
    layout!("etlring_session_update": Changes<'_> {
        size, log_file, flush_interval_ms, maximum_buffers,
    }),
];
