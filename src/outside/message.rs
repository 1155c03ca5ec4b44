//! What is said over a session's socket: a request and its answer, as bytes.
//!
//! ```text
//!   0        2        4                 8
//!   │version │ kind   │ bytes of body   │ body …
//! ```
//!
//! All numbers are little-endian; texts and paths have their length before them. The version comes
//! first, so that both sides know one that they do not speak before they look at anything else.
//! Every byte of a body means something: what is left over is an error, like what is missing.
//! See spec/19-control.md.

use crate::format::{FileTime, Guid, LogFileMode};
use crate::outside::status::{EnabledProvider, SessionStatus};
use crate::provider::{Enable, MAX_FILTER, Properties};
use crate::session::{
    AttachDamage, AttachStats, Clock, EventsLost, SessionProperties, SessionStats, Update,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version that is spoken here.
pub const VERSION: u16 = 1;
/// Bytes before the body.
pub const HEAD: usize = 8;
/// Most bytes of a request's body.
pub const MOST_REQUEST: u32 = 8 * 1024;
/// Most bytes of an answer's body.
pub const MOST_ANSWER: u32 = 64 * 1024;
/// Most bytes of a path.
pub const MOST_PATH: usize = 4096;
/// Most bytes of a text.
pub const MOST_TEXT: usize = 4096;
/// Most providers that an answer names.
pub const MOST_PROVIDERS: usize = 256;

/// Most bytes of a sink's error.
const MOST_ERROR: usize = 1024;
/// Most bytes of a provider's name.
const MOST_PROVIDER: usize = 128;

/// What a session is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// What it is and how it fares.
    Query,
    /// To bring everything committed so far to its log.
    Flush,
    /// To copy its ring to a new file at an absolute path.
    Snapshot(PathBuf),
    /// To enable a provider.
    Enable(Guid, Enable),
    /// To disable a provider.
    Disable(Guid),
    /// To change settings.
    Update(Update),
    /// To end.
    Stop,
    /// To let the caller log into it: the connection is then for that (spec/20-attach.md).
    Attach,
}

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was done.
    Done,
    /// It was not: the Win32 number for it, and why.
    Refused(u32, String),
    /// How it fares; to [`Request::Query`], and for the last time to [`Request::Stop`].
    Status(Box<SessionStatus>),
    /// A snapshot was taken: buffers in it, buffers that were overwritten too soon.
    Snapshot(u32, u32),
}

/// What a session leaves in its lock file for those who find it dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its process.
    pub process_id: u32,
    /// When it started.
    pub start_time: FileTime,
    /// Its name.
    pub name: String,
    /// Its log.
    pub log_file: Option<PathBuf>,
}

/// Numbers of messages. Requests have the highest bit clear, answers have it set.
mod kind {
    pub(super) const QUERY: u16 = 1;
    pub(super) const FLUSH: u16 = 2;
    pub(super) const SNAPSHOT: u16 = 3;
    pub(super) const ENABLE: u16 = 4;
    pub(super) const DISABLE: u16 = 5;
    pub(super) const UPDATE: u16 = 6;
    pub(super) const STOP: u16 = 7;
    pub(super) const ATTACH: u16 = 16;

    pub(super) const DONE: u16 = 0x8000;
    pub(super) const REFUSED: u16 = 0x8001;
    pub(super) const STATUS: u16 = 0x8002;
    pub(super) const TAKEN: u16 = 0x8003;

    pub(super) const ENTRY: u16 = 0xC000;
}

/// Bytes that are no message: where, from its start, and what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageError {
    /// In bytes from the start of the message.
    pub offset: u32,
    /// What is wrong.
    pub fault: MessageFault,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageFault {
    /// A version that is not spoken here.
    Version(u16),
    /// A kind that is not known here.
    Kind(u16),
    /// A body or a text longer than allowed: bytes, most.
    TooLong(u32, u32),
    /// It ends too early: bytes needed, bytes there.
    Truncated(u32, u32),
    /// Bytes behind its end.
    LeftOver(u32),
    /// A text that is not UTF-8.
    Text,
    /// A path that is relative, or holds a NUL.
    Path,
    /// A number that this field does not have.
    Value(&'static str, u64),
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message at {:#x}: ", self.offset)?;
        match self.fault {
            MessageFault::Version(found) => {
                write!(f, "version {found}, and {VERSION} is spoken here")
            }
            MessageFault::Kind(found) => write!(f, "unknown kind {found:#06x}"),
            MessageFault::TooLong(found, most) => write!(f, "{found} bytes, must be 0 to {most}"),
            MessageFault::Truncated(need, have) => write!(f, "needs {need} bytes, {have} left"),
            MessageFault::LeftOver(found) => write!(f, "{found} bytes behind its end"),
            MessageFault::Text => f.write_str("a text is not UTF-8"),
            MessageFault::Path => f.write_str("a path must be absolute, without a NUL"),
            MessageFault::Value(field, found) => write!(f, "{field} is {found}"),
        }
    }
}

impl std::error::Error for MessageError {}

/// The head of a message: what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    kind: u16,
    /// Bytes of the body.
    pub body: u32,
}

impl Head {
    /// Reads a head whose body may have `most` bytes.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for another version and for a body that is too long.
    pub fn parse(bytes: [u8; HEAD], most: u32) -> Result<Self, MessageError> {
        let mut fields = Fields { bytes: &bytes, at: 0 };
        let (version, kind, body) = (fields.u16()?, fields.u16()?, fields.u32()?);
        if version != VERSION {
            return Err(MessageFault::Version(version).at(0));
        }
        if body > most {
            return Err(MessageFault::TooLong(body, most).at(4));
        }
        Ok(Self { kind, body })
    }

    /// Reads the head of `message`, and says where the message ends: `None` if more of it is to
    /// come.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), as soon as the head is there.
    pub fn of(message: &[u8], most: u32) -> Result<Option<usize>, MessageError> {
        let Some(head) = message.first_chunk() else { return Ok(None) };
        let end = HEAD + Self::parse(*head, most)?.body as usize;
        Ok((message.len() >= end).then_some(end))
    }
}

impl Request {
    /// The message for it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Query => Writer::new(kind::QUERY),
            Self::Flush => Writer::new(kind::FLUSH),
            Self::Snapshot(path) => Writer::new(kind::SNAPSHOT).path(Some(path)),
            Self::Enable(provider, enable) => Writer::new(kind::ENABLE)
                .raw(&provider.0)
                .u8(enable.level)
                .u64(enable.any)
                .u64(enable.all)
                .u32(enable.properties.0)
                .bytes(&enable.filter),
            Self::Disable(provider) => Writer::new(kind::DISABLE).raw(&provider.0),
            Self::Update(update) => Writer::new(kind::UPDATE).update(update),
            Self::Stop => Writer::new(kind::STOP),
            Self::Attach => Writer::new(kind::ATTACH),
        }
        .finish()
    }

    /// Reads a whole message.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for anything that [`encode`](Self::encode) does not make.
    pub fn decode(message: &[u8]) -> Result<Self, MessageError> {
        let (head, mut fields) = Fields::of(message, MOST_REQUEST)?;
        let request = match head.kind {
            kind::QUERY => Self::Query,
            kind::FLUSH => Self::Flush,
            kind::SNAPSHOT => {
                let at = fields.at;
                let path = fields.path()?.filter(|path| path.is_absolute());
                Self::Snapshot(path.ok_or(MessageFault::Path.at(at))?)
            }
            kind::ENABLE => {
                let provider = fields.guid()?;
                let enable = Enable::new()
                    .level(fields.u8()?)
                    .any_keyword(fields.u64()?)
                    .all_keywords(fields.u64()?)
                    .properties(Properties(fields.u32()?))
                    .filter(fields.bytes(MAX_FILTER)?);
                Self::Enable(provider, enable)
            }
            kind::DISABLE => Self::Disable(fields.guid()?),
            kind::UPDATE => Self::Update(fields.update()?),
            kind::STOP => Self::Stop,
            kind::ATTACH => Self::Attach,
            other => return Err(MessageFault::Kind(other).at(2)),
        };
        fields.end()?;
        Ok(request)
    }
}

impl Answer {
    /// The message for it. Texts are cut, and providers left out, where the limits say so.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Done => Writer::new(kind::DONE),
            Self::Refused(code, why) => Writer::new(kind::REFUSED).u32(*code).text(why),
            Self::Status(status) => Writer::new(kind::STATUS).status(status),
            Self::Snapshot(buffers, overwritten) => {
                Writer::new(kind::TAKEN).u32(*buffers).u32(*overwritten)
            }
        }
        .finish()
    }

    /// Reads a whole message.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for anything that [`encode`](Self::encode) does not make.
    pub fn decode(message: &[u8]) -> Result<Self, MessageError> {
        let (head, mut fields) = Fields::of(message, MOST_ANSWER)?;
        let answer = match head.kind {
            kind::DONE => Self::Done,
            kind::REFUSED => Self::Refused(fields.u32()?, fields.text()?),
            kind::STATUS => Self::Status(Box::new(fields.status()?)),
            kind::TAKEN => Self::Snapshot(fields.u32()?, fields.u32()?),
            other => return Err(MessageFault::Kind(other).at(2)),
        };
        fields.end()?;
        Ok(answer)
    }
}

impl Entry {
    /// What the lock file holds.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Writer::new(kind::ENTRY)
            .u32(self.process_id)
            .i64(self.start_time.0)
            .text(&self.name)
            .path(self.log_file.as_deref())
            .finish()
    }

    /// Reads a whole lock file.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for anything that [`encode`](Self::encode) does not make.
    pub fn decode(message: &[u8]) -> Result<Self, MessageError> {
        let (head, mut fields) = Fields::of(message, MOST_ANSWER)?;
        if head.kind != kind::ENTRY {
            return Err(MessageFault::Kind(head.kind).at(2));
        }
        let entry = Self {
            process_id: fields.u32()?,
            start_time: FileTime(fields.i64()?),
            name: fields.text()?,
            log_file: fields.path()?,
        };
        fields.end()?;
        Ok(entry)
    }
}

impl MessageFault {
    fn at(self, offset: usize) -> MessageError {
        MessageError { offset: u32::try_from(offset).unwrap_or(u32::MAX), fault: self }
    }
}

/// A message that grows.
struct Writer(Vec<u8>);

impl Writer {
    fn new(kind: u16) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self(bytes)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    fn i64(self, value: i64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// Bytes behind their number, cut to what that can say.
    fn bytes(self, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(len).raw(&bytes[..usize::from(len)])
    }

    fn text(self, text: &str) -> Self {
        self.short_text(text, MOST_TEXT)
    }

    fn short_text(self, text: &str, most: usize) -> Self {
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(&text.as_bytes()[..end])
    }

    /// A path; one too long for a message is none, since a part of it is another path.
    fn path(self, path: Option<&Path>) -> Self {
        let bytes = path.map(path_bytes).unwrap_or_default();
        self.bytes(if bytes.len() <= MOST_PATH { &bytes } else { &[] })
    }

    fn update(self, update: &Update) -> Self {
        let fields = [
            update.flush_interval.is_some(),
            update.log_file.is_some(),
            update.maximum_buffers.is_some(),
            update.minimum_buffers.is_some(),
            update.buffer_size.is_some(),
            update.clock.is_some(),
        ];
        let named = fields.iter().rev().fold(0, |bits, set| bits << 1 | u32::from(*set));
        self.u32(named)
            .u64(nanos(update.flush_interval.unwrap_or_default()))
            .u32(update.maximum_buffers.unwrap_or_default())
            .u32(update.minimum_buffers.unwrap_or_default())
            .u32(update.buffer_size.unwrap_or_default())
            .u8(clock_number(update.clock.unwrap_or_default()))
            .path(update.log_file.as_deref())
    }

    fn status(self, status: &SessionStatus) -> Self {
        let SessionStatus { process_id, properties, sink_error, providers, .. } = status;
        let stats = &properties.stats;
        let mut writer = self
            .u32(*process_id)
            .u64(properties.id)
            .u16(properties.logger_id)
            .u32(properties.mode.0)
            .u8(clock_number(properties.clock))
            .u8(u8::from(stats.ring_file))
            .u32(properties.buffer_size)
            .u32(properties.minimum_buffers)
            .u32(properties.maximum_buffers)
            .u32(properties.flusher_thread_id)
            .u32(u32::try_from(properties.consumers).unwrap_or(u32::MAX))
            .u32(stats.buffers_free)
            .u32(stats.buffers_total)
            .u32(stats.buffer_size)
            .u32(stats.lanes)
            .u64(nanos(properties.flush_interval))
            .i64(properties.start_time.0)
            .u64(properties.real_time_buffers_lost);
        let damage = &properties.attached.damage;
        writer = writer.u64(stats.events_accepted);
        for count in stats.lost.by_cause() {
            writer = writer.u64(count);
        }
        for count in [
            stats.events_disabled,
            stats.events_after_stop,
            stats.buffers_written,
            stats.buffers_lost,
            properties.attached.processes.into(),
            properties.attached.detached,
            properties.attached.died,
            damage.messages,
            damage.headers,
            damage.lanes,
            damage.checksums,
            damage.records,
            damage.stamps,
            damage.sequences,
            damage.rings,
        ] {
            writer = writer.u64(count);
        }
        writer = writer
            .text(&properties.name)
            .path(properties.log_file.as_deref())
            .short_text(sink_error.as_deref().unwrap_or_default(), MOST_ERROR);
        let told = providers.len().min(MOST_PROVIDERS);
        writer = writer.u32(status.providers_enabled).u16(u16::try_from(told).unwrap_or_default());
        for provider in &providers[..told] {
            writer = writer.raw(&provider.guid.0).short_text(&provider.name, MOST_PROVIDER);
        }
        writer
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = self.0;
        let body = u32::try_from(bytes.len() - HEAD).unwrap_or(u32::MAX);
        bytes[4..HEAD].copy_from_slice(&body.to_le_bytes());
        bytes
    }
}

/// The largest status that can be made fits an answer.
const _: () = assert!(
    80 + 11 * 8 + 3 * (2 + MOST_TEXT) + 6 + MOST_PROVIDERS * (16 + 2 + MOST_PROVIDER)
        <= MOST_ANSWER as usize
);

/// What is left of a message.
struct Fields<'a> {
    bytes: &'a [u8],
    /// From the start of the message.
    at: usize,
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8], most: u32) -> Result<(Head, Self), MessageError> {
        let mut fields = Self { bytes: message, at: 0 };
        let head = Head::parse(fields.array()?, most)?;
        let left = u32::try_from(fields.bytes.len()).unwrap_or(u32::MAX);
        if left < head.body {
            return Err(MessageFault::Truncated(head.body, left).at(HEAD));
        }
        if left > head.body {
            return Err(MessageFault::LeftOver(left - head.body).at(HEAD + head.body as usize));
        }
        Ok((head, fields))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], MessageError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
            let fault = MessageFault::Truncated(count(len), count(self.bytes.len()));
            return Err(fault.at(self.at));
        };
        self.bytes = rest;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, MessageError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, MessageError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, MessageError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, MessageError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn guid(&mut self) -> Result<Guid, MessageError> {
        Ok(Guid(self.array()?))
    }

    fn bytes(&mut self, most: usize) -> Result<&'a [u8], MessageError> {
        let at = self.at;
        let len = usize::from(self.u16()?);
        if len > most {
            let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
            return Err(MessageFault::TooLong(count(len), count(most)).at(at));
        }
        self.take(len)
    }

    fn text(&mut self) -> Result<String, MessageError> {
        self.short_text(MOST_TEXT)
    }

    fn short_text(&mut self, most: usize) -> Result<String, MessageError> {
        let at = self.at;
        let text = std::str::from_utf8(self.bytes(most)?);
        text.map(str::to_owned).map_err(|_| MessageFault::Text.at(at))
    }

    /// A path; an empty one is none.
    fn path(&mut self) -> Result<Option<PathBuf>, MessageError> {
        let at = self.at;
        let bytes = self.bytes(MOST_PATH)?;
        if bytes.contains(&0) {
            return Err(MessageFault::Path.at(at));
        }
        let path = path_of(bytes).ok_or(MessageFault::Text.at(at))?;
        Ok(Some(path).filter(|_| !bytes.is_empty()))
    }

    fn clock(&mut self) -> Result<Clock, MessageError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(Clock::PerformanceCounter),
            1 => Ok(Clock::SystemTime),
            2 => Ok(Clock::CpuCycles),
            3 => Ok(Clock::FlusherTick),
            other => Err(MessageFault::Value("clock", other.into()).at(at)),
        }
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, MessageError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(MessageFault::Value(field, other.into()).at(at)),
        }
    }

    fn update(&mut self) -> Result<Update, MessageError> {
        let at = self.at;
        let named = self.u32()?;
        if named >> 6 != 0 {
            return Err(MessageFault::Value("settings", named.into()).at(at));
        }
        let has = |bit: u32| named >> bit & 1 == 1;
        // What is not named is zero: each change has one message.
        let given = |bit: u32, value: u64, at: usize| match value {
            _ if has(bit) => Ok(true),
            0 => Ok(false),
            other => Err(MessageFault::Value("a setting that is not named", other).at(at)),
        };
        let mut update = Update::new();
        let (at, nanos) = (self.at, self.u64()?);
        let interval = given(0, nanos, at)?.then(|| Duration::from_nanos(nanos));
        update.flush_interval = interval;
        for (bit, setting) in [
            (2, &mut update.maximum_buffers),
            (3, &mut update.minimum_buffers),
            (4, &mut update.buffer_size),
        ] {
            let (at, value) = (self.at, self.u32()?);
            *setting = given(bit, value.into(), at)?.then_some(value);
        }
        let (at, clock) = (self.at, self.clock()?);
        update.clock = given(5, clock_number(clock).into(), at)?.then_some(clock);
        let (at, path) = (self.at, self.path()?);
        let valid = if has(1) {
            path.as_ref().is_some_and(|path| path.is_absolute())
        } else {
            path.is_none()
        };
        update.log_file = path;
        if valid { Ok(update) } else { Err(MessageFault::Path.at(at)) }
    }

    fn lost(&mut self) -> Result<EventsLost, MessageError> {
        let mut counts = [0; 6];
        for count in &mut counts {
            *count = self.u64()?;
        }
        Ok(EventsLost::of_causes(counts))
    }

    fn attached(&mut self) -> Result<AttachStats, MessageError> {
        let (at, processes) = (self.at, self.u64()?);
        let processes = u32::try_from(processes)
            .map_err(|_| MessageFault::Value("processes", processes).at(at))?;
        Ok(AttachStats {
            processes,
            detached: self.u64()?,
            died: self.u64()?,
            damage: AttachDamage {
                messages: self.u64()?,
                headers: self.u64()?,
                lanes: self.u64()?,
                checksums: self.u64()?,
                records: self.u64()?,
                stamps: self.u64()?,
                sequences: self.u64()?,
                rings: self.u64()?,
            },
        })
    }

    fn status(&mut self) -> Result<SessionStatus, MessageError> {
        let process_id = self.u32()?;
        let id = self.u64()?;
        let logger_id = self.u16()?;
        let mode = LogFileMode(self.u32()?);
        let clock = self.clock()?;
        let ring_file = self.flag("ring_file")?;
        let (buffer_size, minimum_buffers, maximum_buffers) =
            (self.u32()?, self.u32()?, self.u32()?);
        let flusher_thread_id = self.u32()?;
        let consumers = self.u32()? as usize;
        let (buffers_free, buffers_total) = (self.u32()?, self.u32()?);
        let (size_of_buffer, lanes) = (self.u32()?, self.u32()?);
        let flush_interval = Duration::from_nanos(self.u64()?);
        let start_time = FileTime(self.i64()?);
        let real_time_buffers_lost = self.u64()?;
        let stats = SessionStats {
            events_accepted: self.u64()?,
            lost: self.lost()?,
            events_disabled: self.u64()?,
            events_after_stop: self.u64()?,
            buffers_written: self.u64()?,
            buffers_lost: self.u64()?,
            buffers_free,
            buffers_total,
            buffer_size: size_of_buffer,
            lanes,
            ring_file,
        };
        let attached = self.attached()?;
        let name = self.text()?;
        let log_file = self.path()?;
        let sink_error = Some(self.short_text(MOST_ERROR)?).filter(|text| !text.is_empty());
        let providers_enabled = self.u32()?;
        let at = self.at;
        let told = usize::from(self.u16()?);
        if told > MOST_PROVIDERS {
            return Err(MessageFault::Value("providers", told as u64).at(at));
        }
        let mut providers = Vec::with_capacity(told);
        for _ in 0..told {
            providers.push(EnabledProvider {
                guid: self.guid()?,
                name: self.short_text(MOST_PROVIDER)?,
            });
        }
        let properties = SessionProperties {
            name,
            id,
            logger_id,
            mode,
            clock,
            buffer_size,
            minimum_buffers,
            maximum_buffers,
            flush_interval,
            log_file,
            start_time,
            flusher_thread_id,
            consumers,
            real_time_buffers_lost,
            attached,
            stats,
        };
        Ok(SessionStatus { process_id, properties, sink_error, providers, providers_enabled })
    }

    fn end(self) -> Result<(), MessageError> {
        match u32::try_from(self.bytes.len()).unwrap_or(u32::MAX) {
            0 => Ok(()),
            left => Err(MessageFault::LeftOver(left).at(self.at)),
        }
    }
}

fn nanos(interval: Duration) -> u64 {
    u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)
}

fn clock_number(clock: Clock) -> u8 {
    match clock {
        Clock::PerformanceCounter => 0,
        Clock::SystemTime => 1,
        Clock::CpuCycles => 2,
        Clock::FlusherTick => 3,
    }
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(bytes);
    Some(path.into())
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    Some(std::str::from_utf8(bytes).ok()?.into())
}
