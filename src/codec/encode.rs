//! The encoder: records, items, messages and buffers into space that the caller gives.
//!
//! Each function writes at the start of `out` and returns how many bytes the structure takes,
//! without alignment padding. The next record starts at the next multiple of 8; padding is written
//! as zero where `out` has room for it. Sizes and markers are filled in here, so that a caller
//! cannot contradict the bytes.
//!
//! Limits: a record is at most [`MAX_RECORD`] bytes. Whether it also fits a buffer is the
//! session's question.

use crate::codec::{align8, to_u32};
use crate::error::{Fault, FormatError, Part};
use crate::format::{
    BufferFlags, BufferHeader, BufferState, BufferType, CompactTraceHeader, EventFlags,
    EventHeader, EventInstanceGuidHeader, EventTraceHeader, ExtType, ExtendedItemHeader, Guid,
    HeaderType, LogfileHeader32, LogfileHeader64, MessageFlags, MessageTraceHeader,
    PerfInfoTraceHeader, SystemTraceHeader,
};
use zerocopy::{
    Immutable, IntoBytes,
    little_endian::{I32, U16, U32, U64},
};

/// Most bytes a record can have: its size is 16 bits.
pub const MAX_RECORD: usize = 0xFFFF;

/// Fourth byte of every typed marker.
pub const TYPED_MARKER_FLAGS: u8 = 0xC0;

/// An extended item to be written in front of an event's payload.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// What it holds.
    pub ext_type: ExtType,
    /// Its data, at most 65,520 bytes.
    pub data: &'a [u8],
}

/// Bytes that `items` take between header and payload.
#[must_use]
pub fn items_size(items: &[Item<'_>]) -> usize {
    items.iter().fold(0, |sum, item| {
        sum.saturating_add(align8(ExtendedItemHeader::SIZE.saturating_add(item.data.len())))
    })
}

/// One extended item with its padding; `more` says that another one follows it.
///
/// # Errors
///
/// [`Fault::Length`] if its sizes do not fit 16 bits, [`Fault::NoSpace`] if `out` is too small.
pub fn item(out: &mut [u8], item: &Item<'_>, more: bool) -> Result<usize, FormatError> {
    let exact = ExtendedItemHeader::SIZE.saturating_add(item.data.len());
    let size = align8(exact);
    let (Ok(total_size), Ok(data_size)) = (u16::try_from(size), u16::try_from(item.data.len()))
    else {
        return Err(Fault::Length(to_u32(size), 8, 0xFFF8).at(Part::ExtendedItem, 0));
    };
    let given = to_u32(out.len());
    let rest = out.get_mut(..size).ok_or(Fault::NoSpace(to_u32(size), given));
    let rest = rest.map_err(|fault| fault.at(Part::ExtendedItem, 0))?;
    let mut out = Out { rest, size };
    out.put(&ExtendedItemHeader {
        total_size: U16::new(total_size),
        ext_type: U16::new(item.ext_type.0),
        linkage: U16::new(u16::from(more)),
        data_size: U16::new(data_size),
    });
    out.put_bytes(item.data);
    Ok(out.finish())
}

/// An event record: header, extended items, payload.
///
/// Size, marker and the extended-info flag of `header` are replaced; `bits` is 32 or 64.
///
/// # Errors
///
/// [`Fault::Length`] above [`MAX_RECORD`], [`Fault::NoSpace`] if `out` is too small.
pub fn event(
    out: &mut [u8],
    header: &EventHeader,
    bits: u8,
    items: &[Item<'_>],
    payload: &[u8],
) -> Result<usize, FormatError> {
    let mut out = Out::new(out, EventHeader::SIZE, items_size(items), payload.len())?;
    let kind = if bits == 32 { HeaderType::EVENT_HEADER32 } else { HeaderType::EVENT_HEADER64 };
    let extended = EventFlags::EXTENDED_INFO.0;
    let mut flags = header.flags.get() & !extended;
    if !items.is_empty() {
        flags |= extended;
    }
    out.put(&EventHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        flags: U16::new(flags),
        ..*header
    });
    let mut left = items.len();
    for each in items {
        left = left.saturating_sub(1);
        let size = item(out.rest, each, left != 0)?;
        out.skip(size);
    }
    out.put_bytes(payload);
    Ok(out.finish())
}

/// A classic record of `TraceEvent`. Size and marker of `header` are replaced.
///
/// # Errors
///
/// As [`event`].
pub fn classic(
    out: &mut [u8],
    header: &EventTraceHeader,
    bits: u8,
    payload: &[u8],
) -> Result<usize, FormatError> {
    let mut out = Out::new(out, EventTraceHeader::SIZE, 0, payload.len())?;
    let kind = if bits == 32 { HeaderType::FULL_HEADER32 } else { HeaderType::FULL_HEADER64 };
    out.put(&EventTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        ..*header
    });
    out.put_bytes(payload);
    Ok(out.finish())
}

/// An instance record of `TraceEventInstance`. Size and marker of `header` are replaced.
///
/// # Errors
///
/// As [`event`].
pub fn instance(
    out: &mut [u8],
    header: &EventInstanceGuidHeader,
    bits: u8,
    payload: &[u8],
) -> Result<usize, FormatError> {
    let mut out = Out::new(out, EventInstanceGuidHeader::SIZE, 0, payload.len())?;
    let kind = if bits == 32 { HeaderType::INSTANCE32 } else { HeaderType::INSTANCE64 };
    let base = EventTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        ..header.base
    };
    out.put(&EventInstanceGuidHeader { base, ..*header });
    out.put_bytes(payload);
    Ok(out.finish())
}

/// A kernel record. Size and marker of `header` are replaced.
///
/// # Errors
///
/// As [`event`].
pub fn system(
    out: &mut [u8],
    header: &SystemTraceHeader,
    bits: u8,
    payload: &[u8],
) -> Result<usize, FormatError> {
    let mut out = Out::new(out, SystemTraceHeader::SIZE, 0, payload.len())?;
    let kind = if bits == 32 { HeaderType::SYSTEM32 } else { HeaderType::SYSTEM64 };
    out.put(&SystemTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        ..*header
    });
    out.put_bytes(payload);
    Ok(out.finish())
}

/// A kernel record without processor times. Size and marker of `header` are replaced.
///
/// # Errors
///
/// As [`event`].
pub fn compact(
    out: &mut [u8],
    header: &CompactTraceHeader,
    bits: u8,
    payload: &[u8],
) -> Result<usize, FormatError> {
    let mut out = Out::new(out, CompactTraceHeader::SIZE, 0, payload.len())?;
    let kind = if bits == 32 { HeaderType::COMPACT32 } else { HeaderType::COMPACT64 };
    out.put(&CompactTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        ..*header
    });
    out.put_bytes(payload);
    Ok(out.finish())
}

/// A performance record with its counters. Size, marker and counter flags are replaced; counters
/// beyond the seventh are refused.
///
/// # Errors
///
/// As [`event`]; [`Fault::Length`] for more than seven counters.
pub fn perfinfo(
    out: &mut [u8],
    header: &PerfInfoTraceHeader,
    bits: u8,
    pebs_index: Option<u64>,
    pmc: &[u64],
    payload: &[u8],
) -> Result<usize, FormatError> {
    let most = u32::from(PerfInfoTraceHeader::PMC_COUNT);
    let count = match u8::try_from(pmc.len()) {
        Ok(count) if count <= PerfInfoTraceHeader::PMC_COUNT => count,
        _ => {
            let found = to_u32(pmc.len());
            return Err(Fault::Length(found, 0, most).at(Part::RecordHeader, 0));
        }
    };
    let counters = usize::from(count).saturating_add(usize::from(pebs_index.is_some()));
    let mut out =
        Out::new(out, PerfInfoTraceHeader::SIZE, counters.saturating_mul(8), payload.len())?;
    let kind = if bits == 32 { HeaderType::PERFINFO32 } else { HeaderType::PERFINFO64 };
    let pebs = if pebs_index.is_some() { PerfInfoTraceHeader::PEBS_INDEX } else { 0 };
    out.put(&PerfInfoTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        version_flags: pebs | count,
        ..*header
    });
    for counter in pebs_index.iter().chain(pmc) {
        out.put(&U64::new(*counter));
    }
    out.put_bytes(payload);
    Ok(out.finish())
}

/// A message with the optional fields that are given; its flags follow from them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Message {
    /// Number of the message within its provider.
    pub number: u16,
    /// Sequence number.
    pub sequence: Option<u32>,
    /// Component id; excludes the GUID.
    pub component: Option<u32>,
    /// GUID of the message file; not written beside a component id.
    pub guid: Option<Guid>,
    /// Time stamp in ticks.
    pub ticks: Option<u64>,
    /// Thread id and process id.
    pub thread_and_process: Option<(u32, u32)>,
    /// Further flags: pointer width, and [`MessageFlags::PERFORMANCE_TIMESTAMP`], which without
    /// `ticks` leaves eight zero bytes.
    pub flags: MessageFlags,
}

impl Message {
    /// Flags that this module derives from the fields.
    const DERIVED: u16 = 0x2F;

    /// The option flags that the record will carry.
    #[inline]
    #[must_use]
    pub fn option_flags(&self) -> MessageFlags {
        let mut flags = MessageFlags(self.flags.0 & !Self::DERIVED);
        let mut add = |present: bool, flag: MessageFlags| {
            if present {
                flags = flags.with(flag);
            }
        };
        add(self.sequence.is_some(), MessageFlags::SEQUENCE);
        add(self.component.is_some(), MessageFlags::COMPONENTID);
        add(self.guid.is_some() && self.component.is_none(), MessageFlags::GUID);
        add(self.ticks.is_some(), MessageFlags::TIMESTAMP);
        add(self.thread_and_process.is_some(), MessageFlags::SYSTEMINFO);
        flags
    }

    /// Bytes of the optional fields.
    #[inline]
    #[must_use]
    pub fn fields_size(&self) -> usize {
        let id = match (self.component, self.guid) {
            (Some(_), _) => 4,
            (None, Some(_)) => 16,
            (None, None) => 0,
        };
        let sequence = if self.sequence.is_some() { 4 } else { 0 };
        let ids = if self.thread_and_process.is_some() { 8 } else { 0 };
        // At most 36.
        let size: usize = self.stamp_size();
        size.wrapping_add(sequence).wrapping_add(id).wrapping_add(ids)
    }

    /// Bytes of the time stamp, or of the space that is left for one.
    #[inline]
    fn stamp_size(&self) -> usize {
        let space = self.flags.has(MessageFlags::PERFORMANCE_TIMESTAMP);
        if self.ticks.is_some() || space { 8 } else { 0 }
    }

    /// Writes the header and the fields.
    #[inline]
    fn put(&self, out: &mut Out<'_>) {
        out.put(&MessageTraceHeader {
            size: out.size16(),
            reserved: 0,
            version: MessageTraceHeader::VERSION,
            message_number: U16::new(self.number),
            option_flags: U16::new(self.option_flags().0),
        });
        if let Some(sequence) = self.sequence {
            out.put(&U32::new(sequence));
        }
        match (self.component, self.guid) {
            (Some(component), _) => out.put(&U32::new(component)),
            (None, Some(guid)) => out.put(&guid),
            (None, None) => {}
        }
        if self.stamp_size() != 0 {
            out.put(&U64::new(self.ticks.unwrap_or_default()));
        }
        if let Some((thread, process)) = self.thread_and_process {
            out.put(&U32::new(thread));
            out.put(&U32::new(process));
        }
    }
}

/// A message record of `TraceMessage`: header, optional fields in their order, arguments.
///
/// # Errors
///
/// As [`event`].
pub fn message(out: &mut [u8], message: &Message, arguments: &[u8]) -> Result<usize, FormatError> {
    let fields = message.fields_size();
    let mut out = Out::new(out, MessageTraceHeader::SIZE, fields, arguments.len())?;
    message.put(&mut out);
    out.put_bytes(arguments);
    Ok(out.finish())
}

/// A message record around `arguments` bytes of arguments that are in place already: behind the
/// header and [`Message::fields_size`] bytes of fields. What lies behind them is left as it is.
///
/// # Errors
///
/// As [`event`].
#[inline]
pub fn message_around(
    out: &mut [u8],
    message: &Message,
    arguments: usize,
) -> Result<usize, FormatError> {
    let fields = message.fields_size();
    let mut out = Out::new(out, MessageTraceHeader::SIZE, fields, arguments)?;
    message.put(&mut out);
    Ok(out.size)
}

/// The first record of a file, 64-bit layout: record header, logfile header, the two names.
///
/// # Errors
///
/// As [`event`].
pub fn logfile64(
    out: &mut [u8],
    record: &SystemTraceHeader,
    header: &LogfileHeader64,
    session_name: &str,
    log_file_name: &str,
) -> Result<usize, FormatError> {
    logfile(out, record, HeaderType::SYSTEM64, header, session_name, log_file_name)
}

/// The first record of a file, 32-bit layout.
///
/// # Errors
///
/// As [`event`].
pub fn logfile32(
    out: &mut [u8],
    record: &SystemTraceHeader,
    header: &LogfileHeader32,
    session_name: &str,
    log_file_name: &str,
) -> Result<usize, FormatError> {
    logfile(out, record, HeaderType::SYSTEM32, header, session_name, log_file_name)
}

fn logfile(
    out: &mut [u8],
    record: &SystemTraceHeader,
    kind: HeaderType,
    header: &(impl IntoBytes + Immutable),
    session_name: &str,
    log_file_name: &str,
) -> Result<usize, FormatError> {
    let utf16 = |name: &str| name.encode_utf16().count().saturating_add(1).saturating_mul(2);
    let names = utf16(session_name).saturating_add(utf16(log_file_name));
    let fixed = header.as_bytes().len();
    let mut out = Out::new(out, SystemTraceHeader::SIZE, fixed, names)?;
    out.put(&SystemTraceHeader {
        size: out.size16(),
        header_type: kind.0,
        marker_flags: TYPED_MARKER_FLAGS,
        hook_type: 0,
        group: 0,
        ..*record
    });
    out.put(header);
    for name in [session_name, log_file_name] {
        for unit in name.encode_utf16().chain([0]) {
            out.put(&U16::new(unit));
        }
    }
    Ok(out.finish())
}

/// A buffer header as a file has it: sealed, ending at `filled`, of processor `lane`.
#[must_use]
pub fn sealed_header(
    buffer_size: u32,
    filled: u32,
    lane: u16,
    sequence_number: i64,
) -> BufferHeader {
    BufferHeader {
        buffer_size: U32::new(buffer_size),
        saved_offset: U32::new(filled),
        current_offset: U32::new(filled),
        reference_count: I32::new(0),
        time_stamp: U64::new(0),
        sequence_number: sequence_number.into(),
        clock: U64::new(0),
        processor_index: U16::new(lane),
        logger_id: U16::new(0),
        state: U32::new(BufferState::FLUSH.0),
        filled_bytes: U32::new(filled),
        buffer_flags: U16::new(BufferFlags::PROC_INDEX.0),
        buffer_type: U16::new(BufferType::GENERIC.0),
        reserved: [0; 16],
    }
}

/// Makes the buffer at the start of `out` final: header, and filler behind the records.
///
/// `out` is one whole buffer whose records are in place up to `header.filled_bytes`.
///
/// # Errors
///
/// [`Fault::NoSpace`] if `out` has no room for a header.
pub fn seal(out: &mut [u8], header: &BufferHeader) -> Result<(), FormatError> {
    let given = to_u32(out.len());
    header
        .write_to_prefix(out)
        .map_err(|_| Fault::NoSpace(to_u32(BufferHeader::SIZE), given).at(Part::Buffer, 0))?;
    let filled = header.filled_bytes.get() as usize;
    if let Some(filler) = out.get_mut(filled..) {
        filler.fill(0xFF);
    }
    Ok(())
}

/// Space for one record, filled from front to back.
struct Out<'a> {
    rest: &'a mut [u8],
    size: usize,
}

impl<'a> Out<'a> {
    /// The space for a record of these three parts, padding included where `out` has it.
    #[inline]
    fn new(out: &'a mut [u8], a: usize, b: usize, c: usize) -> Result<Self, FormatError> {
        let size = a.saturating_add(b).saturating_add(c);
        let size32 = to_u32(size);
        if size > MAX_RECORD {
            return Err(Fault::Length(size32, 8, to_u32(MAX_RECORD)).at(Part::Record, 0));
        }
        let given = to_u32(out.len());
        let end = align8(size).min(out.len());
        match out.get_mut(..end) {
            Some(rest) if rest.len() >= size => Ok(Self { rest, size }),
            _ => Err(Fault::NoSpace(size32, given).at(Part::Record, 0)),
        }
    }

    /// The record's size as its header stores it.
    #[inline]
    fn size16(&self) -> U16 {
        U16::new(u16::try_from(self.size).unwrap_or(u16::MAX))
    }

    #[inline]
    fn put(&mut self, part: &(impl IntoBytes + Immutable)) {
        self.put_bytes(part.as_bytes());
    }

    /// Copies `bytes`; the space was measured by `new`.
    #[inline]
    fn put_bytes(&mut self, bytes: &[u8]) {
        let rest = core::mem::take(&mut self.rest);
        if let Some((target, behind)) = rest.split_at_mut_checked(bytes.len()) {
            target.copy_from_slice(bytes);
            self.rest = behind;
        }
    }

    /// Steps over what was written in place.
    fn skip(&mut self, size: usize) {
        let rest = core::mem::take(&mut self.rest);
        self.rest = rest.get_mut(size..).unwrap_or_default();
    }

    /// Clears the padding and tells the size.
    fn finish(self) -> usize {
        self.rest.fill(0);
        self.size
    }
}
