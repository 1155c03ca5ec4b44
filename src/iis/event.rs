//! An event as a module raises it.

use crate::format::Guid;
use crate::iis::HttpTraceType;

/// An event (`HTTP_TRACE_EVENT`).
///
/// `cEventItems` is the length of [`event_items`](Self::event_items). Names are UTF-8; one ends at
/// its first NUL, as a C string does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    #[inline]
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

/// A value with its type: `dwDataType`, and `pbData` of `cbData` bytes.
///
/// Numbers, booleans, GUIDs and text are made [from](From) what they are in Rust: `str` is
/// `HTTP_TRACE_TYPE_LPCWSTR` and becomes UTF-16, bytes are `HTTP_TRACE_TYPE_LPCSTR` of any code
/// page. A string is written up to its first NUL, and with a terminator. All that is to be known of
/// a value is found out when it is made, so that an event has only to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpTraceData<'a> {
    /// A number of at most eight bytes, little-endian.
    pub(super) number: u64,
    /// All other values.
    pub(super) bytes: &'a [u8],
    /// Bytes that it takes at most; [`WRONG`](Self::WRONG) if it is not what its type says.
    pub(super) most: u32,
    pub(super) data_type: HttpTraceType,
    pub(super) form: Form,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As many bytes of the number as it takes.
    Number,
    /// UTF-8 that becomes UTF-16.
    Wide,
    /// Bytes and a terminator.
    Narrow,
    /// UTF-16 and a terminator.
    Units,
    /// 16 bytes.
    Guid,
    /// Zeros, or the request's id.
    NoGuid,
    /// Not at all: it is not what its type says.
    Wrong,
}

impl<'a> HttpTraceData<'a> {
    /// More than a record has.
    pub(super) const WRONG: u32 = u32::MAX;

    /// A value as it lies in memory. A string may have a terminator; what lies behind it is left
    /// out. Bytes that are no value of the type are found when the event is raised.
    #[must_use]
    pub fn bytes(data_type: HttpTraceType, bytes: &'a [u8]) -> Self {
        use HttpTraceType as T;
        let (form, most) = match data_type {
            T::LPCSTR => (Form::Narrow, most(bytes, 1, 1)),
            T::LPCWSTR if bytes.len() % 2 == 0 => (Form::Units, most(bytes, 1, 2)),
            T::LPCGUID if bytes.len() == 16 => (Form::Guid, 16),
            fixed if fixed.width() == Some(bytes.len()) && bytes.len() <= 8 => {
                let mut number = [0; 8];
                number[..bytes.len()].copy_from_slice(bytes);
                return Self::number(data_type, u64::from_le_bytes(number), bytes.len());
            }
            _ => (Form::Wrong, Self::WRONG),
        };
        Self { number: 0, bytes, most, data_type, form }
    }

    /// No value (`pbData` is `NULL`): zeros, or an empty string. As the first item a GUID becomes
    /// the id of the request.
    #[must_use]
    pub fn null(data_type: HttpTraceType) -> Self {
        match data_type {
            HttpTraceType::LPCSTR | HttpTraceType::LPCWSTR => Self::bytes(data_type, &[]),
            HttpTraceType::LPCGUID => {
                Self { number: 0, bytes: &[], most: 16, data_type, form: Form::NoGuid }
            }
            fixed => match fixed.width() {
                Some(width) => Self::number(fixed, 0, width),
                None => Self { most: Self::WRONG, form: Form::Wrong, ..Self::number(fixed, 0, 0) },
            },
        }
    }

    /// `width` is at most 8.
    #[inline]
    fn number(data_type: HttpTraceType, number: u64, width: usize) -> Self {
        let most = u32::try_from(width).unwrap_or(Self::WRONG);
        Self { number, bytes: &[], most, data_type, form: Form::Number }
    }

    /// The type.
    #[must_use]
    #[inline]
    pub const fn data_type(&self) -> HttpTraceType {
        self.data_type
    }

    /// The number, of whole numbers that are not negative.
    pub(super) fn to_number(self) -> Option<u64> {
        use HttpTraceType as T;
        if self.form != Form::Number {
            return None;
        }
        let is_signed = matches!(self.data_type, T::CHAR | T::SHORT | T::LONG | T::LONGLONG);
        let negative = self.number >> (8 * self.most.max(1) - 1) & 1 != 0;
        (!(is_signed && negative)).then_some(self.number)
    }
}

/// Bytes that a string takes at most.
fn most(text: &[u8], each: usize, terminator: usize) -> u32 {
    let most = text.len().saturating_mul(each).saturating_add(terminator);
    u32::try_from(most).unwrap_or(HttpTraceData::WRONG)
}

macro_rules! from_numbers {
    ($($type:ty => $data_type:ident),* $(,)?) => {
        $(impl From<$type> for HttpTraceData<'_> {
            #[inline]
            fn from(value: $type) -> Self {
                let bytes = value.to_le_bytes();
                let mut number = [0; 8];
                number[..bytes.len()].copy_from_slice(&bytes);
                Self::number(HttpTraceType::$data_type, u64::from_le_bytes(number), bytes.len())
            }
        })*
    };
}

from_numbers! {
    u8 => BYTE, u16 => USHORT, u32 => ULONG, u64 => ULONGLONG,
    i8 => CHAR, i16 => SHORT, i32 => LONG, i64 => LONGLONG,
}

impl From<bool> for HttpTraceData<'_> {
    #[inline]
    fn from(value: bool) -> Self {
        Self::number(HttpTraceType::BOOL, value.into(), 4)
    }
}

impl<'a> From<&'a Guid> for HttpTraceData<'a> {
    #[inline]
    fn from(guid: &'a Guid) -> Self {
        let data_type = HttpTraceType::LPCGUID;
        Self { number: 0, bytes: &guid.0, most: 16, data_type, form: Form::Guid }
    }
}

impl<'a> From<&'a str> for HttpTraceData<'a> {
    #[inline]
    fn from(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        // No character has more units in UTF-16 than bytes in UTF-8.
        let (most, data_type) = (most(bytes, 2, 2), HttpTraceType::LPCWSTR);
        Self { number: 0, bytes, most, data_type, form: Form::Wide }
    }
}

impl<'a> From<&'a [u8]> for HttpTraceData<'a> {
    #[inline]
    fn from(text: &'a [u8]) -> Self {
        let (most, data_type) = (most(text, 1, 1), HttpTraceType::LPCSTR);
        Self { number: 0, bytes: text, most, data_type, form: Form::Narrow }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for HttpTraceData<'a> {
    #[inline]
    fn from(text: &'a [u8; N]) -> Self {
        Self::from(text.as_slice())
    }
}
