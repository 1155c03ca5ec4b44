//! Values as fields hold them.

use crate::format::{FileTime, Guid};
use crate::tracelogging::FieldMeta;

/// A value that a field can hold: its types, and its bytes in the payload.
///
/// | Rust | in-type | out-type |
/// |---|---|---|
/// | `i8` to `u64` | 3 to 10 | |
/// | `isize`, `usize` | 9, 10: as 64 bits | |
/// | `f32`, `f64` | 11, 12 | |
/// | `bool` | 4: a byte | 3 boolean |
/// | [`Hex`] of `u8` to `u64` | 4, 6, 20, 21 | 4 hex; none where the in-type says it |
/// | `&str` | 23: counted bytes | 35 UTF-8 |
/// | `&[u8]` | 14: counted bytes | |
/// | `&[T]` of numbers but `u8` | that of `T`, counted array | |
/// | [`Guid`], [`FileTime`] | 15, 17 | |
/// | `()` | 0: nothing | |
///
/// Counts have 16 bits; a value beyond that makes a record that is too large anyway.
pub trait Field: Copy + sealed::Sealed {
    /// The in-type, array bits included.
    const IN_TYPE: u8;
    /// The out-type; 0 for the usual form.
    const OUT_TYPE: u8 = 0;

    /// Bytes in the payload.
    fn size(self) -> usize;

    /// Writes these bytes at the start of `out`, and makes `out` what is behind them.
    ///
    /// # Panics
    ///
    /// If `out` is smaller.
    fn put(self, out: &mut &mut [u8]);
}

mod sealed {
    pub trait Sealed {}
}

/// A number to be shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hex<T>(pub T);

/// In- and out-types (`TlgIn`, `TlgOut`) that are used in more than one place.
pub(crate) mod types {
    pub(crate) const U8: u8 = 4;
    pub(crate) const I64: u8 = 9;
    pub(crate) const U64: u8 = 10;
    pub(crate) const F64: u8 = 12;
    pub(crate) const BINARY: u8 = 14;
    /// Bytes of text behind their 16-bit count.
    pub(crate) const COUNTED_TEXT: u8 = 23;
    pub(crate) const OUT_BOOLEAN: u8 = 3;
    pub(crate) const OUT_HEX: u8 = 4;
    pub(crate) const OUT_UTF8: u8 = 35;
    /// In an in-type: a counted array.
    pub(crate) const COUNTED_ARRAY: u8 = 0x40;
}

/// A field of type `T`. A raw identifier is called by what stands behind its `r#`.
#[must_use]
pub const fn field_meta<T: Field>(name: &str) -> FieldMeta<'_> {
    FieldMeta { name: without_raw(name), in_type: T::IN_TYPE, out_type: T::OUT_TYPE }
}

/// A name without the `r#` in front of it.
pub(crate) const fn without_raw(name: &str) -> &str {
    if let [b'r', b'#', rest @ ..] = name.as_bytes() {
        if let Ok(rest) = std::str::from_utf8(rest) {
            return rest;
        }
    }
    name
}

macro_rules! numbers {
    ($($number:ty, $in_type:expr);* $(;)?) => {$(
        impl sealed::Sealed for $number {}
        impl Field for $number {
            const IN_TYPE: u8 = $in_type;

            #[inline(always)]
            fn size(self) -> usize {
                size_of::<Self>()
            }

            #[inline(always)]
            fn put(self, out: &mut &mut [u8]) {
                put_bytes(out, &self.to_le_bytes());
            }
        }

    )*};
}

/// Counted arrays of them. Bytes are binary data, not an array.
macro_rules! arrays {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for &[$number] {}
        impl Field for &[$number] {
            const IN_TYPE: u8 = <$number>::IN_TYPE | types::COUNTED_ARRAY;

            #[inline(always)]
            fn size(self) -> usize {
                size_of_val(self).saturating_add(2)
            }

            #[inline(always)]
            fn put(self, out: &mut &mut [u8]) {
                put_count(out, self.len());
                for number in self {
                    put_bytes(out, &number.to_le_bytes());
                }
            }
        }
    )*};
}

numbers! {
    i8, 3; u8, types::U8; i16, 5; u16, 6; i32, 7; u32, 8; i64, types::I64; u64, types::U64;
    f32, 11; f64, types::F64;
}

arrays!(i8, i16, u16, i32, u32, i64, u64, f32, f64);

impl sealed::Sealed for &[u8] {}
impl Field for &[u8] {
    const IN_TYPE: u8 = types::BINARY;

    #[inline(always)]
    fn size(self) -> usize {
        self.len().saturating_add(2)
    }

    #[inline(always)]
    fn put(self, out: &mut &mut [u8]) {
        put_count(out, self.len());
        put_bytes(out, self);
    }
}

/// Values that are put as others.
macro_rules! put_as {
    ($($value:ty, $in_type:expr, $out_type:expr, |$self:ident| $other:expr);* $(;)?) => {$(
        impl sealed::Sealed for $value {}
        impl Field for $value {
            const IN_TYPE: u8 = $in_type;
            const OUT_TYPE: u8 = $out_type;

            #[inline(always)]
            fn size($self) -> usize {
                Field::size($other)
            }

            #[inline(always)]
            fn put($self, out: &mut &mut [u8]) {
                Field::put($other, out);
            }
        }
    )*};
}

put_as! {
    isize, types::I64, 0, |self| self as i64;
    usize, types::U64, 0, |self| self as u64;
    bool, types::U8, types::OUT_BOOLEAN, |self| u8::from(self);
    &str, types::COUNTED_TEXT, types::OUT_UTF8, |self| self.as_bytes();
    FileTime, 17, 0, |self| self.0;
    Hex<u8>, types::U8, types::OUT_HEX, |self| self.0;
    Hex<u16>, 6, types::OUT_HEX, |self| self.0;
    Hex<u32>, 20, 0, |self| self.0;
    Hex<u64>, 21, 0, |self| self.0;
}

impl sealed::Sealed for Guid {}
impl Field for Guid {
    const IN_TYPE: u8 = 15;

    #[inline(always)]
    fn size(self) -> usize {
        16
    }

    #[inline(always)]
    fn put(self, out: &mut &mut [u8]) {
        put_bytes(out, &self.0);
    }
}

impl sealed::Sealed for () {}
impl Field for () {
    const IN_TYPE: u8 = 0;

    #[inline(always)]
    fn size(self) -> usize {
        0
    }

    #[inline(always)]
    fn put(self, _: &mut &mut [u8]) {}
}

#[inline(always)]
fn put_bytes(out: &mut &mut [u8], bytes: &[u8]) {
    let (target, rest) = std::mem::take(out).split_at_mut(bytes.len());
    target.copy_from_slice(bytes);
    *out = rest;
}

/// A count that fits: a larger value makes a record that is refused before it is written.
#[inline(always)]
fn put_count(out: &mut &mut [u8], count: usize) {
    put_bytes(out, &u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

/// The values of an event, one in front of others; for [`event!`](crate::event!).
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Values<V, R>(pub V, pub R);

/// Any number of values.
#[doc(hidden)]
pub trait Fields: Copy {
    fn size(self) -> usize;
    fn put(self, out: &mut &mut [u8]);
}

impl Fields for () {
    #[inline(always)]
    fn size(self) -> usize {
        0
    }

    #[inline(always)]
    fn put(self, _: &mut &mut [u8]) {}
}

impl<V: Field, R: Fields> Fields for Values<V, R> {
    #[inline(always)]
    fn size(self) -> usize {
        self.0.size().saturating_add(self.1.size())
    }

    #[inline(always)]
    fn put(self, out: &mut &mut [u8]) {
        self.0.put(out);
        self.1.put(out);
    }
}
