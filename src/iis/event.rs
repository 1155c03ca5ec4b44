//! An event as a module raises it.

use crate::format::Guid;
use crate::iis::HttpTraceType;

/// An event (`HTTP_TRACE_EVENT`).
///
/// `cEventItems` is the length of [`event_items`](Self::event_items). Names are UTF-8; one ends at
/// its first NUL, as a C string does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HttpTraceEvent<'a> {
    /// Who raises it.
    pub provider_guid: Guid,
    /// The bit of its area; 0 for the general area, whose events nobody can leave out.
    pub area: u32,
    /// Its area: the class of the record.
    pub area_guid: Guid,
    /// Number of the event in its area, at most 255: the type of the record.
    pub event: u32,
    /// What it is called.
    pub event_name: &'a str,
    /// Version of its items, at most 65,535.
    pub event_version: u32,
    /// 0 general, 1 critical error, 2 error, 3 warning, 4 information, 5 verbose.
    pub verbosity: u32,
    /// The request it belongs to; the context's, if there is none.
    pub activity_guid: Option<Guid>,
    /// What the request belongs to. A classic record has no place for it.
    pub related_activity_guid: Option<Guid>,
    /// Milliseconds of a tick count, 0 if the time is to be filled in. The record is stamped by the
    /// session's clock in any case: a lane is in the order of its stamps.
    pub time_stamp: u32,
    /// [`STATIC_DESCRIPTIVE_FIELDS`](Self::STATIC_DESCRIPTIVE_FIELDS), or 0.
    pub flags: u32,
    /// What it says.
    pub event_items: &'a [HttpTraceEventItem<'a>],
}

impl HttpTraceEvent<'_> {
    /// Names and descriptions of event and items never change and live as long as the process
    /// (`HTTP_TRACE_EVENT_FLAG_STATIC_DESCRIPTIVE_FIELDS`). They are then told apart by where they
    /// lie: if other text comes to lie there, the log shows the old names.
    pub const STATIC_DESCRIPTIVE_FIELDS: u32 = 1;

    /// An event of nothing but its provider, to be completed.
    #[must_use]
    pub const fn of(provider_guid: Guid) -> Self {
        Self {
            provider_guid,
            area: 0,
            area_guid: Guid::ZERO,
            event: 0,
            event_name: "",
            event_version: 0,
            verbosity: 0,
            activity_guid: None,
            related_activity_guid: None,
            time_stamp: 0,
            flags: 0,
            event_items: &[],
        }
    }
}

/// An item of an event (`HTTP_TRACE_EVENT_ITEM`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HttpTraceEventItem<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Type and value (`dwDataType`, `pbData`, `cbData`).
    pub data: HttpTraceData<'a>,
    /// What the value means. It is kept for whole numbers that are not negative.
    pub data_description: Option<&'a str>,
}

impl<'a> HttpTraceEventItem<'a> {
    /// An item whose value needs no words.
    pub fn new(name: &'a str, data: impl Into<HttpTraceData<'a>>) -> Self {
        Self { name, data: data.into(), data_description: None }
    }

    /// The same item, its value described.
    #[must_use]
    pub const fn described(self, description: &'a str) -> Self {
        Self { data_description: Some(description), ..self }
    }

    /// Its type.
    #[must_use]
    #[inline]
    pub const fn data_type(&self) -> HttpTraceType {
        self.data.data_type()
    }
}

/// A value with its type. Numbers are written little-endian.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum HttpTraceData<'a> {
    /// `HTTP_TRACE_TYPE_BYTE`.
    Byte(u8),
    /// `HTTP_TRACE_TYPE_USHORT`.
    UShort(u16),
    /// `HTTP_TRACE_TYPE_ULONG`.
    ULong(u32),
    /// `HTTP_TRACE_TYPE_ULONGLONG`.
    ULongLong(u64),
    /// `HTTP_TRACE_TYPE_CHAR`.
    Char(i8),
    /// `HTTP_TRACE_TYPE_SHORT`.
    Short(i16),
    /// `HTTP_TRACE_TYPE_LONG`.
    Long(i32),
    /// `HTTP_TRACE_TYPE_LONGLONG`.
    LongLong(i64),
    /// `HTTP_TRACE_TYPE_LPCWSTR`: written as UTF-16 with a terminator, up to the first NUL.
    Wide(&'a str),
    /// `HTTP_TRACE_TYPE_LPCSTR`: bytes of any code page, written with a terminator, up to the first
    /// zero.
    Narrow(&'a [u8]),
    /// `HTTP_TRACE_TYPE_LPCGUID`.
    Guid(Guid),
    /// `HTTP_TRACE_TYPE_BOOL`: four bytes.
    Bool(bool),
    /// A value as it lies in memory: `dwDataType`, and `pbData` of `cbData` bytes. A string may
    /// have a terminator; what lies behind it is left out.
    Bytes(HttpTraceType, &'a [u8]),
    /// No value (`pbData` is `NULL`): zeros, or an empty string. As the first item a GUID becomes
    /// the id of the request.
    Null(HttpTraceType),
}

impl HttpTraceData<'_> {
    /// The type.
    #[must_use]
    #[inline]
    pub const fn data_type(&self) -> HttpTraceType {
        match self {
            Self::Byte(_) => HttpTraceType::BYTE,
            Self::UShort(_) => HttpTraceType::USHORT,
            Self::ULong(_) => HttpTraceType::ULONG,
            Self::ULongLong(_) => HttpTraceType::ULONGLONG,
            Self::Char(_) => HttpTraceType::CHAR,
            Self::Short(_) => HttpTraceType::SHORT,
            Self::Long(_) => HttpTraceType::LONG,
            Self::LongLong(_) => HttpTraceType::LONGLONG,
            Self::Wide(_) => HttpTraceType::LPCWSTR,
            Self::Narrow(_) => HttpTraceType::LPCSTR,
            Self::Guid(_) => HttpTraceType::LPCGUID,
            Self::Bool(_) => HttpTraceType::BOOL,
            Self::Bytes(data_type, _) | Self::Null(data_type) => *data_type,
        }
    }

    /// The number, of whole numbers that are not negative.
    pub(super) fn number(&self) -> Option<u64> {
        match *self {
            Self::Byte(value) => Some(value.into()),
            Self::UShort(value) => Some(value.into()),
            Self::ULong(value) => Some(value.into()),
            Self::ULongLong(value) => Some(value),
            Self::Char(value) => u64::try_from(value).ok(),
            Self::Short(value) => u64::try_from(value).ok(),
            Self::Long(value) => u64::try_from(value).ok(),
            Self::LongLong(value) => u64::try_from(value).ok(),
            Self::Bool(value) => Some(value.into()),
            Self::Null(data_type) if data_type != HttpTraceType::LPCGUID => {
                data_type.width().map(|_| 0)
            }
            Self::Bytes(data_type, bytes) => {
                use HttpTraceType as T;
                let mut all = [0; 8];
                all.get_mut(..bytes.len())?.copy_from_slice(bytes);
                let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
                let signed = matches!(data_type, T::CHAR | T::SHORT | T::LONG | T::LONGLONG);
                data_type.width().filter(|width| *width == bytes.len())?;
                (!(signed && negative)).then(|| u64::from_le_bytes(all))
            }
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {
        $(impl From<$type> for HttpTraceData<'_> {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from! {
    u8 => Byte, u16 => UShort, u32 => ULong, u64 => ULongLong, i8 => Char, i16 => Short,
    i32 => Long, i64 => LongLong, Guid => Guid, bool => Bool,
}

impl<'a> From<&'a str> for HttpTraceData<'a> {
    fn from(text: &'a str) -> Self {
        Self::Wide(text)
    }
}

impl<'a> From<&'a [u8]> for HttpTraceData<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Narrow(text)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for HttpTraceData<'a> {
    fn from(text: &'a [u8; N]) -> Self {
        Self::Narrow(text)
    }
}
