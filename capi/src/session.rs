//! Sessions: start, flush, query, snapshot, stop; what they want of providers.

use crate::promise::{Given, Growing, Layout, Place, Text, Wanted, give, layout};
use crate::status::{self, ALREADY_EXISTS, Failure, INVALID_PARAMETER, NOT_SUPPORTED, Status};
use crate::types::Guid;
use etlring::outside::{DefaultError, default_session};
use etlring::provider::Enable;
use etlring::session::{
    self, Clock, ControlError, Controller, FileMode, SequenceMode, SessionBuilder, SessionHandle,
    SessionStats, SyncMode, WhenFull,
};
use std::fmt;
use std::io;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

/// `etlring_session`.
#[derive(Debug)]
pub struct Session {
    controller: Controller,
    logger: Logger,
    running: RwLock<Running>,
}

/// Who ends the session.
#[derive(Debug)]
enum Running {
    /// This object.
    Own(session::Session),
    /// The process: it is that of the environment.
    Shared,
    /// It was stopped.
    No,
}

/// `etlring_logger`.
#[derive(Debug)]
pub struct Logger(pub(crate) SessionHandle);

/// `etlring_session_options`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Options<'a> {
    size: usize,
    name: Text<'a>,
    log_file: Text<'a>,
    mode: u32,
    clock: u32,
    buffer_size: u32,
    minimum_buffers: u32,
    maximum_buffers: u32,
    flush_interval_ms: u32,
    maximum_file_size: u32,
    new_file_interval_s: u32,
    files_kept: u32,
    ring_file: u32,
    sync: u32,
    wait_ms: u32,
    flags: u32,
    reserved: u32,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("size", &self.size).finish_non_exhaustive()
    }
}

// SAFETY: it is `repr(C)`, starts with its size, and zero is NULL or a number.
unsafe impl Growing for Options<'_> {
    const FIRST_BYTES: usize = 72;
}

// `flags` came later.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(
    std::mem::offset_of!(Options<'_>, flags) == <Options<'_> as Growing>::FIRST_BYTES
        && size_of::<Options<'_>>() == <Options<'_> as Growing>::FIRST_BYTES + 8
);

/// `etlring_session_statistics`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in the header and in SessionStats")]
pub struct Statistics {
    pub size: usize,
    pub events_attempted: u64,
    pub events_accepted: u64,
    pub events_lost: u64,
    pub lost_no_free_buffer: u64,
    pub lost_too_large: u64,
    pub lost_no_lane: u64,
    pub lost_reentered: u64,
    pub lost_file_full: u64,
    pub lost_io: u64,
    pub events_disabled: u64,
    pub events_after_stop: u64,
    pub buffers_written: u64,
    pub buffers_lost: u64,
    pub buffers_free: u32,
    pub buffers_total: u32,
    pub buffer_size: u32,
    pub lanes: u32,
}

// SAFETY: it is `repr(C)`, starts with its size, and is numbers only.
unsafe impl Growing for Statistics {
    const FIRST_BYTES: usize = 128;
}

impl Statistics {
    pub(crate) fn new(stats: &SessionStats) -> Self {
        let lost = stats.lost;
        Self {
            size: size_of::<Self>(),
            events_attempted: stats.attempted(),
            events_accepted: stats.events_accepted,
            events_lost: lost.total(),
            lost_no_free_buffer: lost.no_free_buffer,
            lost_too_large: lost.too_large,
            lost_no_lane: lost.no_lane,
            lost_reentered: lost.reentered,
            lost_file_full: lost.file_full,
            lost_io: lost.io,
            events_disabled: stats.events_disabled,
            events_after_stop: stats.events_after_stop,
            buffers_written: stats.buffers_written,
            buffers_lost: stats.buffers_lost,
            buffers_free: stats.buffers_free,
            buffers_total: stats.buffers_total,
            buffer_size: stats.buffer_size,
            lanes: stats.lanes,
        }
    }
}

macro_rules! bits {
    ($($name:ident = $value:literal),* $(,)?) => {
        $(pub(crate) const $name: u32 = $value;)*
        /// The constants of the header that start with `ETLRING_`, by the rest of their names.
        pub const CONSTANTS: &[(&str, u32)] = &[$((stringify!($name), $value)),*];
    };
}

bits! {
    MODE_SEQUENTIAL = 0x1,
    MODE_CIRCULAR = 0x2,
    MODE_APPEND = 0x4,
    MODE_NEWFILE = 0x8,
    MODE_PREALLOCATE = 0x20,
    MODE_REAL_TIME = 0x100,
    MODE_DELAY_OPEN = 0x200,
    MODE_BUFFERING = 0x400,
    MODE_USE_KBYTES = 0x2000,
    MODE_GLOBAL_SEQUENCE = 0x4000,
    MODE_LOCAL_SEQUENCE = 0x8000,
    MODE_ONE_LANE = 0x1000_0000,
    CLOCK_DEFAULT = 0,
    CLOCK_PERFORMANCE_COUNTER = 1,
    CLOCK_SYSTEM_TIME = 2,
    CLOCK_CPU_CYCLES = 3,
    CLOCK_FLUSHER_TICK = 0x100,
    RING_FILE_DEFAULT = 0,
    RING_FILE_REQUIRED = 1,
    RING_FILE_NEVER = 2,
    FLUSH_WHEN_FULL = 0xFFFF_FFFF,
    SESSION_CONTROLLABLE = 0x1,
    SESSION_OVERWRITE = 0x2,
}

const KNOWN_MODES: u32 = MODE_SEQUENTIAL
    | MODE_CIRCULAR
    | MODE_APPEND
    | MODE_NEWFILE
    | MODE_PREALLOCATE
    | MODE_REAL_TIME
    | MODE_DELAY_OPEN
    | MODE_BUFFERING
    | MODE_USE_KBYTES
    | MODE_GLOBAL_SEQUENCE
    | MODE_LOCAL_SEQUENCE
    | MODE_ONE_LANE;

impl Options<'_> {
    fn has(&self, mode: u32) -> bool {
        self.mode & mode != 0
    }

    /// The builder with all that is said here.
    fn builder(&self) -> Result<SessionBuilder, Failure> {
        let mut builder = session::Session::builder(self.name.utf8("options->name")?);
        builder = self.set_mode(builder)?;
        if let Some(path) = self.log_file.path() {
            builder = builder.log_file(path?);
        }
        builder = match self.clock {
            CLOCK_DEFAULT => builder,
            CLOCK_PERFORMANCE_COUNTER => builder.clock(Clock::PerformanceCounter),
            CLOCK_SYSTEM_TIME => builder.clock(Clock::SystemTime),
            CLOCK_CPU_CYCLES => builder.clock(Clock::CpuCycles),
            CLOCK_FLUSHER_TICK => builder.clock(Clock::FlusherTick),
            clock => return Err(wrong(format!("clock {clock} is not known"))),
        };
        builder = match self.ring_file {
            RING_FILE_DEFAULT => builder,
            RING_FILE_REQUIRED => builder.ring_file(true),
            RING_FILE_NEVER => builder.ring_file(false),
            ring_file => return Err(wrong(format!("ring_file {ring_file} is not known"))),
        };
        builder = match self.sync {
            0 => builder,
            1 => builder.sync(SyncMode::Flush),
            sync => return Err(wrong(format!("sync {sync} is not known"))),
        };
        let unknown = self.flags & !(SESSION_CONTROLLABLE | SESSION_OVERWRITE);
        if unknown != 0 {
            return Err(wrong(format!("flags has bits that are not known: {unknown:#x}")));
        }
        if self.flags & SESSION_CONTROLLABLE != 0 {
            builder = builder.controllable();
        }
        if self.flags & SESSION_OVERWRITE != 0 {
            if self.wait_ms != 0 {
                return Err(wrong("wait_ms excludes ETLRING_SESSION_OVERWRITE"));
            }
            builder = builder.when_full(WhenFull::Overwrite);
        }
        if self.reserved != 0 {
            return Err(wrong("reserved is not 0"));
        }
        builder = match self.flush_interval_ms {
            0 => builder,
            FLUSH_WHEN_FULL => builder.flush_interval(Duration::ZERO),
            ms => builder.flush_interval(Duration::from_millis(ms.into())),
        };
        let set = |builder: SessionBuilder,
                   value: u32,
                   setter: fn(SessionBuilder, u32) -> SessionBuilder| {
            if value == 0 { builder } else { setter(builder, value) }
        };
        builder = set(builder, self.buffer_size, SessionBuilder::buffer_size);
        builder = set(builder, self.minimum_buffers, SessionBuilder::minimum_buffers);
        builder = set(builder, self.maximum_buffers, SessionBuilder::maximum_buffers);
        builder = set(builder, self.files_kept, SessionBuilder::files_kept);
        builder = set(builder, self.wait_ms, |builder, ms| {
            builder.when_full(WhenFull::Block(Duration::from_millis(ms.into())))
        });
        builder = set(builder, self.new_file_interval_s, |builder, seconds| {
            builder.new_file_interval(Duration::from_secs(seconds.into()))
        });
        let in_kb = self.has(MODE_USE_KBYTES);
        Ok(match self.maximum_file_size {
            0 => builder,
            kb if in_kb => builder.maximum_file_size_kb(kb),
            mb => builder.maximum_file_size_mb(mb),
        })
    }

    fn set_mode(&self, mut builder: SessionBuilder) -> Result<SessionBuilder, Failure> {
        let unknown = self.mode & !KNOWN_MODES;
        if unknown != 0 {
            return Err(wrong(format!("mode has bits that are not known: {unknown:#x}")));
        }
        let (sequential, append) = (self.has(MODE_SEQUENTIAL), self.has(MODE_APPEND));
        let (circular, new_file) = (self.has(MODE_CIRCULAR), self.has(MODE_NEWFILE));
        let file_mode = match (circular, new_file, append) {
            (false, false, false) => FileMode::Sequential,
            (true, false, false) => FileMode::Circular,
            (false, true, false) => FileMode::NewFile,
            (false, false, true) => FileMode::Append,
            _ => return Err(wrong("mode has more than one of CIRCULAR, NEWFILE and APPEND")),
        };
        if sequential && (circular || new_file) {
            return Err(wrong("mode has SEQUENTIAL beside CIRCULAR or NEWFILE"));
        }
        builder = builder.file_mode(file_mode).preallocate(self.has(MODE_PREALLOCATE));
        builder = builder.delay_open(self.has(MODE_DELAY_OPEN));
        builder = match (self.has(MODE_GLOBAL_SEQUENCE), self.has(MODE_LOCAL_SEQUENCE)) {
            (false, false) => builder,
            (true, false) => builder.sequence(SequenceMode::Global),
            (false, true) => builder.sequence(SequenceMode::Local),
            (true, true) => return Err(wrong("mode has both kinds of SEQUENCE")),
        };
        if self.has(MODE_REAL_TIME) {
            builder = builder.real_time();
        }
        if self.has(MODE_BUFFERING) {
            builder = builder.memory_ring();
        }
        Ok(if self.has(MODE_ONE_LANE) { builder.one_lane() } else { builder })
    }
}

fn wrong(words: impl Into<String>) -> Failure {
    Failure::new(INVALID_PARAMETER, words)
}

/// The failure of something that the system refused.
fn refused(what: &str, error: io::Error) -> Failure {
    ControlError::Io { what: what.to_owned(), error }.into()
}

/// `etlring_session_start`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_start(
    options: Given<'_, Options<'_>>,
    session: Place<'_, Session>,
) -> Status {
    status::call(|| {
        let session = session.ok_or_else(|| Failure::null("session"))?;
        let options = options.get("options")?;
        give(Some(session), "session", Session::own(options.builder()?.start()?))
    })
}

/// `etlring_session_attach`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_attach(
    name: Text<'_>,
    maximum_buffers: u32,
    session: Place<'_, Session>,
) -> Status {
    status::call(|| {
        let session = session.ok_or_else(|| Failure::null("session"))?;
        let attach = session::Session::attach(name.utf8("name")?);
        let attach = match maximum_buffers {
            0 => attach,
            count => attach.maximum_buffers(count),
        };
        give(Some(session), "session", Session::own(attach.start()?))
    })
}

/// `etlring_session_default`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_default(session: Place<'_, Session>) -> Status {
    status::call(|| {
        let session = session.ok_or_else(|| Failure::null("session"))?;
        let found = default_session().map_err(|error| match error {
            DefaultError::Session(error) => Failure::new(error.code(), error.to_string()),
            DefaultError::LogExists(_) => Failure::new(ALREADY_EXISTS, error.to_string()),
            error => Failure::new(INVALID_PARAMETER, error.to_string()),
        })?;
        session.write(found.map(|controller| Box::new(Session::new(controller, Running::Shared))));
        Ok(())
    })
}

/// `etlring_session_flush`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_flush(session: Option<&Session>) -> Status {
    status::call(|| {
        let session = session.ok_or_else(Failure::no_handle)?;
        if matches!(*session.running(), Running::No) {
            return Err(ControlError::Stopped.into());
        }
        session.controller.flush().map_err(|error| refused("flush", error))
    })
}

/// `etlring_session_query`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_query(
    session: Option<&Session>,
    statistics: Wanted<'_, Statistics>,
) -> Status {
    status::call(|| {
        let session = session.ok_or_else(Failure::no_handle)?;
        statistics.put("statistics", Statistics::new(&session.controller.query()))
    })
}

/// `etlring_session_snapshot`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_snapshot(session: Option<&Session>, path: Text<'_>) -> Status {
    status::call(|| {
        let session = session.ok_or_else(Failure::no_handle)?;
        let path = path.needed_path()?;
        match &*session.running() {
            Running::Own(session) => {
                session.snapshot(path).map_err(|error| refused("write the snapshot", error))?;
                Ok(())
            }
            Running::Shared => {
                let words = "the session of the environment is asked by its name";
                Err(Failure::new(NOT_SUPPORTED, words))
            }
            Running::No => Err(ControlError::Stopped.into()),
        }
    })
}

/// `etlring_session_stop`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_stop(session: Option<&Session>) -> Status {
    status::call(|| session.ok_or_else(Failure::no_handle)?.stop())
}

/// `etlring_session_free`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_free(session: Option<Box<Session>>) {
    status::call(|| match session {
        // That of the environment goes on.
        Some(session) if !matches!(*session.running(), Running::Shared) => session.stop(),
        _ => Ok(()),
    });
}

/// `etlring_session_id`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_id(session: Option<&Session>) -> u64 {
    status::call_or(0, || session.map_or(0, |session| session.controller.id()))
}

/// `etlring_session_enable`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_enable(
    session: Option<&Session>,
    provider: Option<&Guid>,
    level: u8,
    any_keyword: u64,
    all_keywords: u64,
) -> Status {
    status::call(|| {
        let session = session.ok_or_else(Failure::no_handle)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        let enable = Enable::new().level(level).any_keyword(any_keyword);
        let enable = enable.all_keywords(all_keywords);
        Ok(session.controller.enable_provider((*provider).into(), &enable)?)
    })
}

/// `etlring_session_disable`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_disable(
    session: Option<&Session>,
    provider: Option<&Guid>,
) -> Status {
    status::call(|| {
        let session = session.ok_or_else(Failure::no_handle)?;
        let provider = provider.ok_or_else(|| Failure::null("provider"))?;
        Ok(session.controller.disable_provider((*provider).into())?)
    })
}

/// `etlring_session_logger`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_session_logger(session: Option<&Session>) -> Option<&Logger> {
    session.map(|session| &session.logger)
}

/// `etlring_logger_open`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_logger_open(session_id: u64, logger: Place<'_, Logger>) -> Status {
    status::call(|| {
        let found = session::all().into_iter().find(|session| session.id() == session_id);
        let found = found.ok_or(ControlError::Stopped)?;
        give(logger, "logger", Logger(found.handle()))
    })
}

/// `etlring_logger_free`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_logger_free(logger: Option<Box<Logger>>) {
    status::call_or((), || drop(logger));
}

impl Session {
    pub(crate) fn controller(&self) -> &Controller {
        &self.controller
    }

    fn new(controller: Controller, running: Running) -> Self {
        let logger = Logger(controller.handle());
        Self { controller, logger, running: RwLock::new(running) }
    }

    fn own(session: session::Session) -> Self {
        Self::new(session.controller(), Running::Own(session))
    }

    fn running(&self) -> RwLockReadGuard<'_, Running> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops it, if nobody has: whoever comes second waits until the log has ended.
    fn stop(&self) -> Result<(), Failure> {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *running, Running::No) {
            Running::No => {}
            Running::Shared => self.controller.stop_session(),
            Running::Own(session) => {
                session.stop()?;
            }
        }
        Ok(())
    }
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[
    layout!("etlring_session_options": Options<'_> {
        size, name, log_file, mode, clock, buffer_size, minimum_buffers, maximum_buffers, flush_interval_ms, maximum_file_size, new_file_interval_s, files_kept, ring_file, sync, wait_ms, flags, reserved,
    }),
    layout!("etlring_session_statistics": Statistics {
        size, events_attempted, events_accepted, events_lost, lost_no_free_buffer, lost_too_large, lost_no_lane, lost_reentered, lost_file_full, lost_io, events_disabled, events_after_stop, buffers_written, buffers_lost, buffers_free, buffers_total, buffer_size, lanes,
    }),
];
