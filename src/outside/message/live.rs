//! What a session sends to a consumer in another process: one message after the other, until it
//! ends.

use crate::format::MAX_BUFFER_SIZE;
use crate::outside::message::{
    HEAD, Head, MessageError, MessageFault,
    fields::{Fields, Writer},
    kind,
};
use crate::session::{LiveBuffer, Missed};
use bytes::Bytes;

/// Most bytes of the body of one.
pub const MOST_LIVE: u32 = MAX_BUFFER_SIZE;

/// What comes to a consumer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Live {
    /// The session's header buffer. It comes first, and once.
    Header(LiveBuffer),
    /// Records of one lane.
    Buffer(LiveBuffer),
    /// Records that would stand here, but for which the consumer was too slow.
    Missed(Missed),
    /// The session has stopped, and that was all.
    Ended,
}

impl Live {
    /// The message for it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Header(buffer) => Writer::new(kind::HEADER).raw(buffer.bytes()),
            Self::Buffer(buffer) => Writer::new(kind::BUFFER).raw(buffer.bytes()),
            Self::Missed(missed) => Writer::new(kind::MISSED)
                .u64(missed.events)
                .u64(missed.buffers)
                .u64(missed.first_ticks)
                .u64(missed.last_ticks),
            Self::Ended => Writer::new(kind::ENDED),
        }
        .finish()
    }

    /// Reads a whole message, whose body may have `most` bytes. A buffer in it shares its bytes.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for anything that [`encode`](Self::encode) does not make.
    pub fn decode(message: &Bytes, most: u32) -> Result<Self, MessageError> {
        let (head, mut fields) = Fields::of(message, most)?;
        let buffer = || {
            let parsed = LiveBuffer::parse(message.slice(HEAD..));
            parsed.map_err(|error| MessageFault::Buffer(error).at(HEAD + error.offset as usize))
        };
        let live = match head.kind {
            kind::HEADER => return buffer().map(Self::Header),
            kind::BUFFER => return buffer().map(Self::Buffer),
            kind::MISSED => Self::Missed(Missed {
                events: fields.u64()?,
                buffers: fields.u64()?,
                first_ticks: fields.u64()?,
                last_ticks: fields.u64()?,
            }),
            kind::ENDED => Self::Ended,
            other => return Err(MessageFault::Kind(other).at(2)),
        };
        fields.end()?;
        Ok(live)
    }

    /// Whether the message that begins with `head` is one of these: a session that refuses sends an
    /// answer.
    #[must_use]
    pub fn begins(head: &Head) -> bool {
        (kind::HEADER..=kind::ENDED).contains(&head.kind)
    }
}
