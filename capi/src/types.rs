//! The structures of the header that are no part of one kind of call.

use crate::promise::{Array, Layout, layout};
use crate::status::{Failure, INVALID_PARAMETER};
use bytes::Buf;
use etlring::format::{self, EventDescriptor};
use std::marker::PhantomData;
use std::slice;

/// `etlring_guid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Guid {
    /// First group of digits.
    pub data1: u32,
    /// Second group.
    pub data2: u16,
    /// Third group.
    pub data3: u16,
    /// The last two groups.
    pub data4: [u8; 8],
}

impl Guid {
    /// All zero.
    pub const ZERO: Self = Self { data1: 0, data2: 0, data3: 0, data4: [0; 8] };
}

impl From<Guid> for format::Guid {
    #[inline]
    fn from(guid: Guid) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&guid.data1.to_le_bytes());
        bytes[4..6].copy_from_slice(&guid.data2.to_le_bytes());
        bytes[6..8].copy_from_slice(&guid.data3.to_le_bytes());
        bytes[8..].copy_from_slice(&guid.data4);
        Self(bytes)
    }
}

impl From<format::Guid> for Guid {
    #[inline]
    fn from(guid: format::Guid) -> Self {
        let mut bytes = &guid.0[..];
        let (data1, data2, data3) = (bytes.get_u32_le(), bytes.get_u16_le(), bytes.get_u16_le());
        let mut data4 = [0; 8];
        bytes.copy_to_slice(&mut data4);
        Self { data1, data2, data3, data4 }
    }
}

/// `etlring_event_descriptor`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Descriptor {
    /// Number of the event.
    pub id: u16,
    /// Version of its layout.
    pub version: u8,
    /// Channel.
    pub channel: u8,
    /// Severity.
    pub level: u8,
    /// Opcode.
    pub opcode: u8,
    /// Task.
    pub task: u16,
    /// Bits of the groups it belongs to.
    pub keyword: u64,
}

impl From<Descriptor> for EventDescriptor {
    #[inline]
    fn from(from: Descriptor) -> Self {
        Self {
            id: from.id.into(),
            version: from.version,
            channel: from.channel,
            level: from.level,
            opcode: from.opcode,
            task: from.task.into(),
            keyword: from.keyword.into(),
        }
    }
}

/// `etlring_data`: `size` bytes lie at `bytes`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Data<'a> {
    bytes: *const u8,
    size: usize,
    _lent: PhantomData<&'a [u8]>,
}

impl<'a> Data<'a> {
    /// Bytes that another structure of the caller's names.
    ///
    /// # Safety
    ///
    /// `bytes` is NULL, or `size` bytes are there that nobody writes to while `'a` lasts.
    pub(crate) unsafe fn new(bytes: *const u8, size: usize) -> Self {
        Self { bytes, size, _lent: PhantomData }
    }

    /// Whether the bytes are where they are said to be.
    #[inline]
    pub(crate) fn is_there(&self) -> bool {
        !self.bytes.is_null() || self.size == 0
    }

    /// The bytes; none where NULL is said to have some.
    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        if self.bytes.is_null() || self.size == 0 {
            return &[];
        }
        // SAFETY:
        // - not NULL, so `size` bytes are there, and nobody writes to them during the call;
        // - an object of C is no larger than isize::MAX.
        unsafe { slice::from_raw_parts(self.bytes, self.size) }
    }
}

/// The pieces, if each is where it is said to be.
///
/// # Safety
///
/// `count` is the count beside `data`.
#[inline]
pub(crate) unsafe fn pieces<'a>(
    data: Array<'a, Data<'a>>,
    count: u32,
    most: u32,
) -> Result<&'a [Data<'a>], Failure> {
    if count > most {
        return Err(Failure::new(INVALID_PARAMETER, format!("{count} pieces, {most} at most")));
    }
    // SAFETY: the caller's promise; any bits are a value of `Data`.
    let pieces = unsafe { data.of(count as usize)? };
    match pieces.iter().position(|piece| !piece.is_there()) {
        None => Ok(pieces),
        Some(at) => {
            let words = format!("data[{at}].bytes is NULL, its size is {}", pieces[at].size);
            Err(Failure::new(INVALID_PARAMETER, words))
        }
    }
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[
    layout!("etlring_guid": Guid {
        data1, data2, data3, data4,
    }),
    layout!("etlring_event_descriptor": Descriptor {
        id, version, channel, level, opcode, task, keyword,
    }),
    layout!("etlring_data": Data<'_> {
        bytes, size,
    }),
];
