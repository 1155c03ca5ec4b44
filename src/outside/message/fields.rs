//! What messages are made of: numbers, texts, paths and bytes, one after the other.

use crate::format::Guid;
use crate::outside::message::{
    HEAD, Head, MOST_PATH, MOST_TEXT, MessageError, MessageFault, VERSION,
};
use std::path::{Path, PathBuf};

/// A message that grows.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(kind: u16) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Self(bytes)
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    pub(super) fn i64(self, value: i64) -> Self {
        self.raw(&value.to_le_bytes())
    }

    /// Bytes behind their number, cut to what that can say.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(len).raw(&bytes[..usize::from(len)])
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.short_text(text, MOST_TEXT)
    }

    pub(super) fn short_text(self, text: &str, most: usize) -> Self {
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(&text.as_bytes()[..end])
    }

    /// A path; one too long for a message is none, since a part of it is another path.
    pub(super) fn path(self, path: Option<&Path>) -> Self {
        let bytes = path.map(path_bytes).unwrap_or_default();
        self.bytes(if bytes.len() <= MOST_PATH { &bytes } else { &[] })
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut bytes = self.0;
        let body = u32::try_from(bytes.len() - HEAD).unwrap_or(u32::MAX);
        bytes[4..HEAD].copy_from_slice(&body.to_le_bytes());
        bytes
    }
}

/// What is left of a message.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    /// From the start of the message.
    pub(super) at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { bytes: message, at: 0 }
    }

    /// The head of a message, and all of the rest.
    pub(super) fn of(message: &'a [u8], most: u32) -> Result<(Head, Self), MessageError> {
        let mut fields = Self::new(message);
        let head = Head::parse(fields.array()?, most)?;
        let left = u32::try_from(fields.bytes.len()).unwrap_or(u32::MAX);
        if left < head.body {
            return Err(MessageFault::Truncated(head.body, left).at(HEAD));
        }
        if left > head.body {
            return Err(MessageFault::LeftOver(left - head.body).at(HEAD + head.body as usize));
        }
        Ok((head, fields))
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], MessageError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
            let fault = MessageFault::Truncated(count(len), count(self.bytes.len()));
            return Err(fault.at(self.at));
        };
        self.bytes = rest;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MessageError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, MessageError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, MessageError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, MessageError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, MessageError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn guid(&mut self) -> Result<Guid, MessageError> {
        Ok(Guid(self.array()?))
    }

    pub(super) fn bytes(&mut self, most: usize) -> Result<&'a [u8], MessageError> {
        let at = self.at;
        let len = usize::from(self.u16()?);
        if len > most {
            let count = |len| u32::try_from(len).unwrap_or(u32::MAX);
            return Err(MessageFault::TooLong(count(len), count(most)).at(at));
        }
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<String, MessageError> {
        self.short_text(MOST_TEXT)
    }

    pub(super) fn short_text(&mut self, most: usize) -> Result<String, MessageError> {
        let at = self.at;
        let text = std::str::from_utf8(self.bytes(most)?);
        text.map(str::to_owned).map_err(|_| MessageFault::Text.at(at))
    }

    /// A path; an empty one is none.
    pub(super) fn path(&mut self) -> Result<Option<PathBuf>, MessageError> {
        let at = self.at;
        let bytes = self.bytes(MOST_PATH)?;
        if bytes.contains(&0) {
            return Err(MessageFault::Path.at(at));
        }
        let path = path_of(bytes).ok_or(MessageFault::Text.at(at))?;
        Ok(Some(path).filter(|_| !bytes.is_empty()))
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, MessageError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(MessageFault::Value(field, other.into()).at(at)),
        }
    }

    pub(super) fn end(self) -> Result<(), MessageError> {
        match u32::try_from(self.bytes.len()).unwrap_or(u32::MAX) {
            0 => Ok(()),
            left => Err(MessageFault::LeftOver(left).at(self.at)),
        }
    }
}

#[cfg(unix)]
fn path_bytes(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(bytes);
    Some(path.into())
}

#[cfg(not(unix))]
fn path_bytes(path: &Path) -> Vec<u8> {
    path.to_string_lossy().into_owned().into_bytes()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    Some(std::str::from_utf8(bytes).ok()?.into())
}
