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

mod error;
mod fields;
mod live;
mod parts;

use crate::format::{FileTime, Guid};
use crate::outside::status::SessionStatus;
use crate::provider::{Enable, MAX_FILTER, Properties};
use crate::session::Update;
pub use error::{MessageError, MessageFault};
use fields::{Fields, Writer};
pub use live::{Live, MOST_LIVE};
use std::path::PathBuf;

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
    /// To let the caller see its events: the connection is then for that, and [`Live`] comes over
    /// it. So many bytes may wait for a slow caller; 0 for as many as the session allows.
    Consume(u32),
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
    pub(super) const CONSUME: u16 = 17;

    pub(super) const DONE: u16 = 0x8000;
    pub(super) const REFUSED: u16 = 0x8001;
    pub(super) const STATUS: u16 = 0x8002;
    pub(super) const TAKEN: u16 = 0x8003;

    pub(super) const HEADER: u16 = 0x8010;
    pub(super) const BUFFER: u16 = 0x8011;
    pub(super) const MISSED: u16 = 0x8012;
    pub(super) const ENDED: u16 = 0x8013;

    pub(super) const ENTRY: u16 = 0xC000;
}

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
        let mut fields = Fields::new(&bytes);
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
            Self::Consume(bytes) => Writer::new(kind::CONSUME).u32(*bytes),
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
            kind::CONSUME => Self::Consume(fields.u32()?),
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
