//! How a field lies in the payload (in-type) and how it is meant (out-type).

/// How a field lies in the payload (`TDH_INTYPE_*`, `TlgIn*`).
///
/// TraceLogging and manifests share the numbers up to 25; those from 300 on are of classic schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InType(pub u16);

/// Number, constant, name in a manifest (without `win:`), document.
macro_rules! in_types {
    ($($(#[$doc:meta])* $constant:ident = $value:literal $name:literal),* $(,)?) => {
        impl InType {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// The name of a known type, as a manifest has it.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($name),)*
                    _ => None,
                }
            }

            /// The type that a manifest names; `win:` may stand before it.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name.strip_prefix("win:").unwrap_or(name) {
                    $($name => Some(Self($value)),)*
                    _ => None,
                }
            }
        }
    };
}

in_types! {
    /// Nothing at all.
    NULL = 0 "Null",
    /// UTF-16 with a terminator, or of a stated number of units.
    UNICODE_STRING = 1 "UnicodeString",
    /// Bytes with a terminator, or of a stated number.
    ANSI_STRING = 2 "AnsiString",
    /// 1 byte, signed.
    INT8 = 3 "Int8",
    /// 1 byte.
    UINT8 = 4 "UInt8",
    /// 2 bytes, signed.
    INT16 = 5 "Int16",
    /// 2 bytes.
    UINT16 = 6 "UInt16",
    /// 4 bytes, signed.
    INT32 = 7 "Int32",
    /// 4 bytes.
    UINT32 = 8 "UInt32",
    /// 8 bytes, signed.
    INT64 = 9 "Int64",
    /// 8 bytes.
    UINT64 = 10 "UInt64",
    /// 4 bytes.
    FLOAT = 11 "Float",
    /// 8 bytes.
    DOUBLE = 12 "Double",
    /// 4 bytes, true unless zero.
    BOOLEAN = 13 "Boolean",
    /// Bytes of a stated number.
    BINARY = 14 "Binary",
    /// 16 bytes.
    GUID = 15 "GUID",
    /// As wide as the pointers of the record's writer.
    POINTER = 16 "Pointer",
    /// 8 bytes, 100 ns since 1601.
    FILETIME = 17 "FILETIME",
    /// 16 bytes: year, month, day of week, day, hour, minute, second, millisecond.
    SYSTEMTIME = 18 "SYSTEMTIME",
    /// A security identifier, 8 bytes and 4 for each subauthority.
    SID = 19 "SID",
    /// 4 bytes.
    HEX_INT32 = 20 "HexInt32",
    /// 8 bytes.
    HEX_INT64 = 21 "HexInt64",
    /// A `u16` number of bytes, then UTF-16.
    COUNTED_STRING = 22 "CountedUnicodeString",
    /// A `u16` number of bytes, then these.
    COUNTED_ANSI = 23 "CountedAnsiString",
    /// A `u16` number of bytes, then these.
    COUNTED_BINARY = 25 "CountedBinary",
    /// A `u16` number of bytes, then UTF-16 (classic).
    WBEM_COUNTED_STRING = 300 "WbemCountedString",
    /// A `u16` number of bytes, then these (classic).
    WBEM_COUNTED_ANSI = 301 "WbemCountedAnsiString",
    /// A big-endian `u16` number of bytes, then UTF-16.
    REVERSED_COUNTED_STRING = 302 "ReversedCountedString",
    /// A big-endian `u16` number of bytes, then these.
    REVERSED_COUNTED_ANSI = 303 "ReversedCountedAnsiString",
    /// UTF-16 to the end of the payload.
    REST_STRING = 304 "NonNullTerminatedString",
    /// Bytes of text to the end of the payload.
    REST_ANSI = 305 "NonNullTerminatedAnsiString",
    /// One UTF-16 unit.
    UNICODE_CHAR = 306 "UnicodeChar",
    /// One byte of text.
    ANSI_CHAR = 307 "AnsiChar",
    /// A size, as wide as the pointers of the record's writer.
    SIZE_T = 308 "SizeT",
    /// A `u32` number of bytes, then these.
    HEX_DUMP = 309 "HexDump",
    /// Two pointers of no meaning, then a security identifier; or four zero bytes.
    WBEM_SID = 310 "WbemSID",
}

impl InType {
    /// Bytes that a value takes, where that does not depend on the value; `pointer` is 4 or 8.
    #[must_use]
    pub fn width(self, pointer: usize) -> Option<usize> {
        Some(match self {
            Self::NULL => 0,
            Self::INT8 | Self::UINT8 | Self::ANSI_CHAR => 1,
            Self::INT16 | Self::UINT16 | Self::UNICODE_CHAR => 2,
            Self::INT32 | Self::UINT32 | Self::FLOAT | Self::BOOLEAN | Self::HEX_INT32 => 4,
            Self::INT64 | Self::UINT64 | Self::DOUBLE | Self::FILETIME | Self::HEX_INT64 => 8,
            Self::GUID | Self::SYSTEMTIME => 16,
            Self::POINTER | Self::SIZE_T => pointer,
            _ => return None,
        })
    }
}

/// How a field is meant (`TDH_OUTTYPE_*`, `TlgOut*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OutType {
    /// As the in-type says.
    #[default]
    Default,
    /// Text; of an integer, a character.
    String,
    /// True unless zero.
    Boolean,
    /// Hexadecimal.
    Hex,
    /// A TCP or UDP port, big-endian.
    Port,
    /// Four bytes of an address.
    Ipv4,
    /// Sixteen bytes of an address.
    Ipv6,
    /// A `SOCKADDR`.
    SocketAddress,
    /// A decimal error code.
    Win32Error,
    /// A hexadecimal status (`NTSTATUS`, `HRESULT`, error code).
    Status,
    /// A number with a sign, whatever the in-type says.
    Signed,
    /// A number without a sign, whatever the in-type says.
    Unsigned,
    /// A local time; without it `SYSTEMTIME` says nothing of its zone.
    DateTimeUtc,
    /// Text that is UTF-8.
    Utf8,
}

impl OutType {
    /// From the number in a manifest's schema (`TDH_OUTTYPE_*`).
    #[must_use]
    pub fn from_tdh(number: u16) -> Self {
        match number {
            1 => Self::String,
            13 => Self::Boolean,
            16..=19 | 37 => Self::Hex,
            22 => Self::Port,
            23 => Self::Ipv4,
            24 => Self::Ipv6,
            25 => Self::SocketAddress,
            28 | 34 | 35 => Self::Utf8,
            30 => Self::Win32Error,
            29 | 31 | 32 => Self::Status,
            38 => Self::DateTimeUtc,
            _ => Self::Default,
        }
    }

    /// From the number in a TraceLogging schema (`TlgOut*`).
    #[must_use]
    pub fn from_tracelogging(number: u8) -> Self {
        match number {
            2 => Self::String,
            3 => Self::Boolean,
            4 | 37 => Self::Hex,
            7 => Self::Port,
            8 => Self::Ipv4,
            9 => Self::Ipv6,
            10 => Self::SocketAddress,
            11 | 12 | 35 => Self::Utf8,
            13 => Self::Win32Error,
            14 | 15 => Self::Status,
            17 => Self::Signed,
            18 => Self::Unsigned,
            38 => Self::DateTimeUtc,
            _ => Self::Default,
        }
    }

    /// From its name in a manifest (`xs:unsignedInt`, `win:HexInt32`, ...).
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.split_once(':').map_or(name, |(_, name)| name) {
            "string" => Self::String,
            "boolean" => Self::Boolean,
            "HexInt8" | "HexInt16" | "HexInt32" | "HexInt64" | "CodePointer" => Self::Hex,
            "Port" => Self::Port,
            "IPv4" => Self::Ipv4,
            "IPv6" => Self::Ipv6,
            "SocketAddress" => Self::SocketAddress,
            "Xml" | "Json" | "Utf8" => Self::Utf8,
            "Win32Error" => Self::Win32Error,
            "ErrorCode" | "NTSTATUS" | "HResult" => Self::Status,
            "DateTimeUtc" => Self::DateTimeUtc,
            _ => Self::Default,
        }
    }
}
