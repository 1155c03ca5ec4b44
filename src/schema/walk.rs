//! What all schemas share when they walk a payload: a place in it, a visitor, and a limit of work.

use crate::codec::{Utf16, to_u32};
use crate::schema::{DecodeError, DecodeFault, InType, OutType, Text, Value, read, read::Spec};

/// Structures may lie this deep in each other.
pub const MOST_DEPTH: usize = 32;

/// Values, elements and structures that one payload may have; a name counts as one more for each
/// 16 of its bytes.
///
/// A record has at most 64 KiB, but a schema can name values of no size any number of times.
pub const MOST_WORK: u32 = 1 << 17;

/// What takes the fields of an event, in their order.
///
/// An element of an array has no name.
pub trait Visitor {
    /// Where in the payload the next value lies, its length or terminator with it. For those who
    /// change payloads.
    fn place(&mut self, bytes: core::ops::Range<usize>) {
        let _ = bytes;
    }

    /// One value.
    fn value(&mut self, name: &str, value: &Value<'_>);

    /// Fields up to the matching [`end`](Self::end) lie in a structure or an array.
    fn begin(&mut self, name: &str, shape: Shape);

    /// A structure or array is complete, or as complete as it could be decoded.
    fn end(&mut self, shape: Shape);

    /// Comes before the first field if it is known that the names of this event differ from each
    /// other within their structure and are printable ASCII without quotes and backslashes: nobody
    /// needs to look at them again.
    fn plain_names(&mut self) {}
}

/// What holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Values with names.
    Struct,
    /// Values or structures without names.
    Array,
}

/// A walk over one payload.
pub(super) struct Walk<'p, 'v, V> {
    payload: &'p [u8],
    at: usize,
    /// Where the value starts that was read last.
    start: usize,
    /// Width of the writer's pointers, 4 or 8.
    pointer: usize,
    work: u32,
    pub(super) visitor: &'v mut V,
}

/// How far a walk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked<'p> {
    /// Bytes of the payload that no field took.
    pub rest: &'p [u8],
    /// What stopped the decoder before the schema's last field.
    pub error: Option<DecodeError>,
}

impl<'p, 'v, V: Visitor> Walk<'p, 'v, V> {
    pub(super) fn new(payload: &'p [u8], pointer: usize, visitor: &'v mut V) -> Self {
        Self { payload, at: 0, start: 0, pointer, work: MOST_WORK, visitor }
    }

    /// What is left when the schema is at its end or could not be followed further.
    pub(super) fn finish(self, result: Result<(), DecodeFault>) -> Walked<'p> {
        let offset = to_u32(self.at);
        Walked {
            rest: self.payload.get(self.at..).unwrap_or_default(),
            error: result.err().map(|fault| DecodeError { offset, fault }),
        }
    }

    /// Whether nothing is left of the payload.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.payload.len()
    }

    /// Where the walk is in the payload.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Pays for one value or structure.
    #[inline]
    pub(super) fn spend(&mut self, name: &str) -> Result<(), DecodeFault> {
        let cost = to_u32(name.len()) / 16;
        match self.work.checked_sub(cost.saturating_add(1)) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err(DecodeFault::Work),
        }
    }

    /// The next value.
    #[inline]
    pub(super) fn read(&mut self, spec: Spec) -> Result<Value<'p>, DecodeFault> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let (value, taken) = read::read(rest, spec, self.pointer)?;
        self.start = self.at;
        self.at = self.at.saturating_add(taken);
        Ok(value)
    }

    /// The next 1, 2, 4 or 8 bytes as a number.
    #[inline]
    pub(super) fn number(&mut self, width: usize) -> Result<u64, DecodeFault> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let own = rest.get(..width);
        let own = own.ok_or(DecodeFault::Truncated(to_u32(width), to_u32(rest.len())))?;
        self.at = self.at.saturating_add(width);
        Ok(read::little(own))
    }

    /// The next pointer.
    #[inline]
    pub(super) fn pointer(&mut self) -> Result<u64, DecodeFault> {
        self.number(self.pointer)
    }

    /// The next UTF-16 with a terminator.
    #[inline]
    pub(super) fn text(&mut self) -> Text<'p> {
        let (text, taken) = read::terminated(self.payload.get(self.at..).unwrap_or_default());
        self.at = self.at.saturating_add(taken);
        text
    }

    /// Shows an array of characters as the text that it is: by itself a character may be half of
    /// one. `None` if elements of this type are no characters.
    pub(super) fn characters(
        &mut self,
        name: &str,
        count: u64,
        in_type: InType,
        out_type: OutType,
    ) -> Option<Result<(), DecodeFault>> {
        let width = match (in_type, out_type) {
            (InType::INT8 | InType::UINT8, OutType::String | OutType::Utf8) => 1,
            (InType::UINT16, OutType::String) => 2,
            (InType::ANSI_CHAR, _) => 1,
            (InType::UNICODE_CHAR, _) => 2,
            _ => return None,
        };
        let need = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(width);
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let Some(own) = rest.get(..need) else {
            return Some(Err(DecodeFault::Truncated(to_u32(need), to_u32(rest.len()))));
        };
        let text = if width == 2 { Text::Wide(Utf16(own)) } else { Text::of(own) };
        Some(self.spend(name).map(|()| {
            self.start = self.at;
            self.at = self.at.saturating_add(need);
            self.show(name, &Value::Text(text));
        }))
    }

    /// Shows the next value.
    #[inline]
    pub(super) fn value(&mut self, name: &str, spec: Spec) -> Result<Value<'p>, DecodeFault> {
        self.spend(name)?;
        let value = self.read(spec)?;
        self.show(name, &value);
        Ok(value)
    }

    /// Shows a value that was read just now.
    #[inline]
    pub(super) fn show(&mut self, name: &str, value: &Value<'_>) {
        self.visitor.place(self.start..self.at);
        self.visitor.value(name, value);
    }
}
