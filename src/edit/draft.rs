//! One data buffer of a new log while it is filled.

use crate::codec::finish::{self, Sealed};
use crate::codec::{align8, to_u32, xpress::Compressor};
use crate::format::{BufferFlags, BufferHeader};

/// How the buffers of a new log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Size of each buffer, or the most that one holds if they are compressed.
    pub(super) buffer_size: u32,
    pub(super) compressed: bool,
}

impl Form {
    /// Bytes of records that a buffer has room for.
    pub(super) fn room(self) -> usize {
        (self.buffer_size as usize).saturating_sub(BufferHeader::SIZE)
    }
}

/// A buffer without its header: records one behind the other, the padding behind each zero.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// What is known of its header; sizes come when it is sealed.
    pub(super) header: BufferHeader,
    /// Its records.
    pub(super) body: Vec<u8>,
    pub(super) records: u64,
    /// It has a record without a stamp, which counts with that of the buffer.
    pub(super) has_untimed: bool,
    /// Events lost in its lane before it.
    pub(super) lost_before: u32,
    /// Nothing proves its records: it gets no checksum.
    pub(super) torn: bool,
    /// The greatest stamp in it.
    pub(super) last_ticks: Option<u64>,
}

impl Draft {
    pub(super) fn new(header: BufferHeader) -> Self {
        Self {
            header,
            body: Vec::new(),
            records: 0,
            has_untimed: false,
            lost_before: 0,
            torn: false,
            last_ticks: None,
        }
    }

    /// Adds a record.
    pub(super) fn push(&mut self, record: &[u8], ticks: Option<u64>) {
        self.body.extend_from_slice(record);
        self.body.resize(align8(self.body.len()), 0);
        self.records = self.records.saturating_add(1);
        self.has_untimed |= ticks.is_none();
        self.last_ticks = self.last_ticks.max(ticks);
    }

    /// Whether a record, or the body of another buffer, has room here.
    pub(super) fn fits(&self, bytes: usize, form: Form) -> bool {
        self.body.len().saturating_add(align8(bytes)) <= form.room()
    }

    /// Takes over what lies before a buffer that is left out.
    pub(super) fn take_losses(&mut self, losses: Losses) {
        self.lost_before = self.lost_before.saturating_add(losses.events);
        self.header.buffer_flags = self.header.flags().with(losses.flags).0.into();
    }

    /// Appends a later buffer of the same lane, which must fit.
    pub(super) fn join(&mut self, other: &Self) {
        self.body.extend_from_slice(&other.body);
        self.records = self.records.saturating_add(other.records);
        self.has_untimed |= other.has_untimed;
        self.torn |= other.torn;
        self.last_ticks = self.last_ticks.max(other.last_ticks);
        self.header.time_stamp = other.header.time_stamp;
        self.header.buffer_flags = self.header.flags().with(other.header.flags()).0.into();
        self.lost_before = self.lost_before.saturating_add(other.lost_before);
    }

    /// Whether `other`, the next one of its lane, may be appended: an untimed record must keep the
    /// stamp of its buffer, and what nothing proves stays apart.
    pub(super) fn may_join(&self, other: &Self, form: Form) -> bool {
        let plain = |draft: &Self| !draft.has_untimed && !draft.torn;
        plain(self) && plain(other) && self.fits(other.body.len(), form)
    }

    /// Writes the sealed buffer into `out`, which is emptied before.
    pub(super) fn seal(&self, form: Form, packer: &mut Compressor, out: &mut Vec<u8>) {
        out.clear();
        out.resize(BufferHeader::SIZE, 0);
        let filled = to_u32(self.body.len()).saturating_add(to_u32(BufferHeader::SIZE));
        let packed = form.compressed && self.pack(packer, out);
        if !packed {
            out.extend_from_slice(&self.body);
            // A buffer of another size, which a damaged log may have, keeps what it holds.
            let size = if form.compressed { filled } else { form.buffer_size.max(filled) };
            out.resize(size as usize, 0xFF);
        }
        let size = to_u32(out.len());
        let checksum = (!self.torn).then_some(self.lost_before);
        finish::data_buffer(out, &self.header, Sealed { size, filled, packed, checksum });
    }

    /// Appends the body as a stream, if that is shorter.
    fn pack(&self, packer: &mut Compressor, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.resize(start.saturating_add(Compressor::bound(self.body.len())), 0);
        let space = out.get_mut(start..).unwrap_or_default();
        let packed = packer.compress(&self.body, space).ok();
        let packed = packed.filter(|size| *size < self.body.len() && *size > 0);
        out.truncate(start.saturating_add(packed.unwrap_or(0)));
        packed.is_some()
    }
}

/// What a buffer that is left out says of losses before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    pub(super) events: u32,
    pub(super) flags: BufferFlags,
}

impl Losses {
    /// Of a buffer with these flags and, in its checksum, this count.
    pub(super) fn of(flags: BufferFlags, events: u32) -> Self {
        let told = BufferFlags::EVENTS_LOST.with(BufferFlags::BUFFER_LOST).0;
        Self { events, flags: BufferFlags(flags.0 & told) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.flags = self.flags.with(other.flags);
    }
}
