//! Extended items: a chain between an event's header and its payload.

use crate::codec::to_u32;
use crate::error::{Fault, FormatError, Part};
use crate::format::{ExtType, ExtendedItemHeader, Guid};
use core::iter::FusedIterator;
use zerocopy::FromBytes;

/// One extended item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedItem<'a> {
    /// What it holds.
    pub ext_type: ExtType,
    /// Its data, without the padding behind it.
    pub data: &'a [u8],
}

impl ExtendedItem<'_> {
    /// The GUID of an item that holds one.
    #[must_use]
    pub fn guid(&self) -> Option<Guid> {
        Guid::read_from_bytes(self.data).ok()
    }
}

/// The extended items of one event, in their order, borrowed from it.
///
/// The chain ends at the first item whose linkage bit is clear; nothing else ends it. Yields at
/// most one error, last.
#[derive(Clone, Debug)]
pub struct ExtendedItems<'a> {
    bytes: &'a [u8],
    consumed: usize,
    offset: u32,
    more: bool,
}

impl<'a> ExtendedItems<'a> {
    /// The chain that starts at the first byte of `bytes`; what follows it is not touched.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, consumed: 0, offset: 0, more: true }
    }

    /// No items.
    #[must_use]
    pub fn none() -> Self {
        Self { bytes: &[], consumed: 0, offset: 0, more: false }
    }

    /// Counts the offsets in errors from `offset`.
    #[must_use]
    pub fn at(self, offset: u32) -> Self {
        Self { offset, ..self }
    }

    /// Bytes of the items yielded so far, padding included; after the last one, where the payload
    /// starts.
    #[must_use]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    fn advance(&mut self) -> Result<ExtendedItem<'a>, FormatError> {
        let rest = self.bytes.get(self.consumed..).unwrap_or_default();
        let consumed = to_u32(self.consumed);
        let offset = self.offset.saturating_add(consumed);
        let have = to_u32(rest.len());
        let Ok((header, _)) = ExtendedItemHeader::ref_from_prefix(rest) else {
            let fault = Fault::Truncated(to_u32(ExtendedItemHeader::SIZE), have);
            return Err(fault.at(Part::ExtendedItem, offset));
        };
        let total = usize::from(header.total_size.get());
        let least = ExtendedItemHeader::SIZE.saturating_add(usize::from(header.data_size.get()));
        let item = rest.get(..total).filter(|_| total >= least);
        let Some(data) = item.and_then(|item| item.get(ExtendedItemHeader::SIZE..least)) else {
            let fault = Fault::Length(to_u32(total), to_u32(least), have);
            return Err(fault.at(Part::ExtendedItem, offset));
        };
        self.consumed = self.consumed.saturating_add(total);
        self.more = header.has_next();
        Ok(ExtendedItem { ext_type: ExtType(header.ext_type.get()), data })
    }
}

impl<'a> Iterator for ExtendedItems<'a> {
    type Item = Result<ExtendedItem<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.more {
            return None;
        }
        Some(self.advance().inspect_err(|_| self.more = false))
    }
}

impl FusedIterator for ExtendedItems<'_> {}
