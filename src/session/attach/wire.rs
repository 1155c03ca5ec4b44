//! What a session and a process that is attached to it say to each other: spec/20-attach.md.
//!
//! ```text
//!   frame   0x00 u32 length of the payload     0x04 u16 kind     0x06 u16 zero     0x08 payload
//! ```
//!
//! Integers are little-endian. Nothing here is believed: a length is compared with what its kind
//! may have before a byte of it is read, and a payload that is not as long as its fields is damage.

use crate::format::Guid;
use crate::session::attach::peer::{Came, Peer};
use crate::session::setting::{Counts, Setting};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

/// The version of these messages. Another one is refused.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a frame's header.
const FRAME: usize = 8;
/// Bytes in front of a buffer.
pub(crate) const BUFFER_PREFIX: usize = 8;
/// Longest payload of every kind but a buffer: filter data and its frame, a path, a text.
const SMALL: usize = 8 * 1024;

/// Kinds of frames, from the owner below 16, from an attached process above.
pub(crate) mod kind {
    pub(crate) const WELCOME: u16 = 1;
    pub(crate) const REFUSED: u16 = 2;
    pub(crate) const ENABLE: u16 = 3;
    pub(crate) const DISABLE: u16 = 4;
    pub(crate) const CAPTURE: u16 = 5;
    pub(crate) const BEGIN: u16 = 6;
    pub(crate) const FLUSH: u16 = 7;
    pub(crate) const TAKEN: u16 = 8;
    pub(crate) const STOP: u16 = 9;
    pub(crate) const BYE: u16 = 10;

    pub(crate) const READY: u16 = 17;
    pub(crate) const BUFFER: u16 = 18;
    pub(crate) const COUNTS: u16 = 19;
    pub(crate) const FLUSHED: u16 = 20;
    pub(crate) const GOODBYE: u16 = 21;
}

/// A message that is none, or not of the kind that was to come.
pub(crate) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What the owner tells of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(crate) version: u32,
    /// Number of the session in its process.
    pub(crate) session: u64,
    /// See `clock_number`.
    pub(crate) clock: u32,
    /// How the owner reads it; see `source_number`.
    pub(crate) source: u32,
    pub(crate) frequency: u64,
    /// The owner's clock at this moment.
    pub(crate) ticks: u64,
    pub(crate) buffer_size: u32,
    /// Buffers that the process may have at most.
    pub(crate) most_buffers: u32,
    /// Lanes that it may have at most: its own are numbered below this.
    pub(crate) lanes: u32,
    /// As buffers carry it.
    pub(crate) logger_id: u16,
    /// How messages are numbered.
    pub(crate) sequence: u16,
    pub(crate) flush_interval_ns: u64,
    /// Where its ring file is to be made.
    pub(crate) ring: Vec<u8>,
}

/// Why an owner refuses a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) u32);

impl Refusal {
    pub(crate) const VERSION: Self = Self(1);
    pub(crate) const FULL: Self = Self(2);
    pub(crate) const RING: Self = Self(3);
    pub(crate) const ENDING: Self = Self(4);
    pub(crate) const FILE: Self = Self(5);
}

/// Puts a frame together.
pub(crate) fn frame(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(FRAME + length);
    bytes.extend_from_slice(&frame_header(kind, length));
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// The first bytes of a frame with so many bytes of payload.
pub(crate) fn frame_header(kind: u16, length: usize) -> [u8; FRAME] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let [e, f] = kind.to_le_bytes();
    [a, b, c, d, e, f, 0, 0]
}

impl Welcome {
    pub(crate) fn frame(&self) -> Vec<u8> {
        frame(
            kind::WELCOME,
            &[
                &self.version.to_le_bytes(),
                &self.clock.to_le_bytes(),
                &self.session.to_le_bytes(),
                &self.frequency.to_le_bytes(),
                &self.ticks.to_le_bytes(),
                &self.flush_interval_ns.to_le_bytes(),
                &self.source.to_le_bytes(),
                &self.buffer_size.to_le_bytes(),
                &self.most_buffers.to_le_bytes(),
                &self.lanes.to_le_bytes(),
                &self.logger_id.to_le_bytes(),
                &self.sequence.to_le_bytes(),
                &[0; 4],
                &self.ring,
            ],
        )
    }

    pub(crate) fn parse(payload: &[u8]) -> io::Result<Self> {
        let mut fields = Fields(payload);
        let welcome = Self {
            version: fields.u32()?,
            clock: fields.u32()?,
            session: fields.u64()?,
            frequency: fields.u64()?,
            ticks: fields.u64()?,
            flush_interval_ns: fields.u64()?,
            source: fields.u32()?,
            buffer_size: fields.u32()?,
            most_buffers: fields.u32()?,
            lanes: fields.u32()?,
            logger_id: fields.u16()?,
            sequence: fields.u16()?,
            ring: {
                let _ = fields.u32()?;
                fields.rest().to_vec()
            },
        };
        Ok(welcome)
    }
}

impl Setting {
    pub(crate) fn frame(&self) -> Vec<u8> {
        match self {
            Self::Enable { guid, level, any, all, properties, filter } => frame(
                kind::ENABLE,
                &[
                    guid.as_bytes(),
                    &any.to_le_bytes(),
                    &all.to_le_bytes(),
                    &properties.to_le_bytes(),
                    &u32::from(*level).to_le_bytes(),
                    filter,
                ],
            ),
            Self::Disable { guid } => frame(kind::DISABLE, &[guid.as_bytes()]),
            Self::Capture { guid } => frame(kind::CAPTURE, &[guid.as_bytes()]),
        }
    }

    /// `None` if the frame is of another kind.
    pub(crate) fn parse(kind: u16, payload: &[u8]) -> io::Result<Option<Self>> {
        let mut fields = Fields(payload);
        let setting = match kind {
            kind::ENABLE => Self::Enable {
                guid: fields.guid()?,
                any: fields.u64()?,
                all: fields.u64()?,
                properties: fields.u32()?,
                level: u8::try_from(fields.u32()?).map_err(|_| damaged("a level above 255"))?,
                filter: fields.rest().to_vec(),
            },
            kind::DISABLE => Self::Disable { guid: fields.guid()? },
            kind::CAPTURE => Self::Capture { guid: fields.guid()? },
            _ => return Ok(None),
        };
        fields.end()?;
        Ok(Some(setting))
    }
}

impl Counts {
    pub(crate) fn frame(&self) -> Vec<u8> {
        let lost: Vec<u8> = self.lost.iter().flat_map(|count| count.to_le_bytes()).collect();
        frame(kind::COUNTS, &[&lost, &self.disabled.to_le_bytes(), &self.after_stop.to_le_bytes()])
    }

    pub(crate) fn parse(payload: &[u8]) -> io::Result<Self> {
        let mut fields = Fields(payload);
        let mut counts = Self::default();
        for count in &mut counts.lost {
            *count = fields.u64()?;
        }
        counts.disabled = fields.u64()?;
        counts.after_stop = fields.u64()?;
        fields.end()?;
        Ok(counts)
    }
}

/// A frame whose payload is one number.
pub(crate) fn number_frame(kind: u16, number: u64) -> Vec<u8> {
    frame(kind, &[&number.to_le_bytes()])
}

/// The one number of a payload.
pub(crate) fn number(payload: &[u8]) -> io::Result<u64> {
    let mut fields = Fields(payload);
    let number = fields.u64()?;
    fields.end()?;
    Ok(number)
}

/// The fields of a payload, front to back.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (field, rest) =
            self.0.split_first_chunk().ok_or_else(|| damaged("a message is too short"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> io::Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn guid(&mut self) -> io::Result<Guid> {
        let bytes: [u8; 16] = self.take()?;
        Guid::read_from_bytes(&bytes).map_err(|_| damaged("a message is too short"))
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn end(&self) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(damaged("a message is too long")) }
    }
}

/// Frames of a connection, one after the other.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: UnixStream,
    peer: Peer,
    /// How long one read may take.
    timeout: Option<Duration>,
    /// Longest payload of a buffer's frame; 0 where none is to come.
    most: usize,
    payload: Vec<u8>,
}

impl Frames {
    /// Frames of small kinds only.
    pub(crate) fn new(stream: UnixStream) -> Self {
        let peer = Peer::of(&stream);
        Self { stream, peer, timeout: None, most: 0, payload: Vec::new() }
    }

    /// Lets buffers come, of up to so many bytes.
    pub(crate) fn let_buffers_come(&mut self, buffer_size: u32) {
        self.most = buffer_size as usize + BUFFER_PREFIX;
    }

    /// How long one read may take.
    pub(crate) fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeout = timeout;
        self.stream.set_read_timeout(timeout)
    }

    /// Who sends them.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The next frame: its kind and payload. `None` where the connection ends or the other process
    /// does, also within a frame: whoever is killed leaves half of one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] for a frame that cannot be; any error of reading.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u16, &[u8])>> {
        let mut header = [0; FRAME];
        if !self.fill(&mut header)? {
            return Ok(None);
        }
        let [a, b, c, d, e, f, g, h] = header;
        let (length, kind) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        let most = if kind == kind::BUFFER { self.most } else { SMALL };
        if length as usize > most || [g, h] != [0; 2] {
            return Err(damaged("a frame is no frame"));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length as usize, 0);
        let whole = self.fill(&mut payload)?;
        self.payload = payload;
        Ok(whole.then_some((kind, &self.payload)))
    }

    /// Whether there were so many bytes.
    fn fill(&mut self, mut bytes: &mut [u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            if self.peer.wait(&self.stream, self.timeout)? == Came::Death {
                return Ok(false);
            }
            match self.stream.read(bytes) {
                Ok(0) => return Ok(false),
                Ok(read) => bytes = &mut bytes[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_end(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Whether the other side has gone.
pub(crate) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// Sends all of `bytes`, without the signal that ends a program which does not expect it. Where the
/// stream has a timeout `wait` is asked, each time, whether to go on.
pub(crate) fn send(
    stream: &UnixStream,
    mut bytes: &[u8],
    mut wait: impl FnMut() -> bool,
) -> io::Result<()> {
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    use rustix::net::SendFlags;
    while !bytes.is_empty() {
        #[cfg(not(any(target_os = "macos", target_os = "ios")))]
        let sent = rustix::net::send(stream, bytes, SendFlags::NOSIGNAL).map_err(io::Error::from);
        #[cfg(any(target_os = "macos", target_os = "ios"))]
        let sent = io::Write::write(&mut &*stream, bytes);
        match sent {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if wait() => {}
                _ => return Err(error),
            },
        }
    }
    Ok(())
}
