//! One data buffer: what it gives, and the sealed buffer that is made of it.

use crate::codec::finish::{self, Sealed};
use crate::codec::{align8, checksum, to_u32, xpress};
use crate::error::{Fault, FormatError, Part};
use crate::format::{BufferFlags, BufferHeader, BufferState, MAX_BUFFER_SIZE};
use crate::reader::{
    BufferEntry, ReadError, RingCopy, Source, block,
    join::Strength,
    ring::Taken,
    sane::{self, Trust, Walked},
};
use std::{io, ops::Range};
use zerocopy::{FromZeros, IntoBytes};

/// A buffer that will be written, and where its records are until then.
#[derive(Clone, Debug)]
pub(super) struct Item {
    place: Place,
    /// As it was found, but for what `seal` completes.
    header: BufferHeader,
    /// Its whole records: up to here, without these.
    end: usize,
    bad: Vec<Range<usize>>,
    pub(super) records: u64,
    pub(super) first_ticks: Option<u64>,
    pub(super) last_ticks: Option<u64>,
    /// Its checksum does not hold.
    pub(super) torn: bool,
    /// Nothing is wrong with it.
    whole: bool,
    /// What its checksum says was lost in its lane before it.
    pub(super) lost_before: u32,
    /// What its loss records say.
    pub(super) events_marked: u64,
    pub(super) buffers_marked: u64,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Log { position: u64, size: u32 },
    Ring(usize),
}

/// A buffer and what is wrong with it.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) item: Item,
    pub(super) faults: Vec<ReadError>,
}

/// How the buffers of the new log are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) buffer_size: u32,
    /// Packed buffers stay packed.
    pub(super) compressed: bool,
}

/// Faults of one buffer that are told one by one: one buffer of noise has thousands.
const MOST_FAULTS: usize = 16;

/// Looks at a buffer of the log.
pub(super) fn examine(log: &dyn Source, entry: &BufferEntry) -> Examined {
    let bytes = match bytes_at(log, entry.position, entry.size) {
        Ok(bytes) => bytes,
        // The rest of the log can still be had.
        Err(error) => return unreadable(entry, &error),
    };
    let mut header = BufferHeader::new_zeroed();
    header.as_mut_bytes().copy_from_slice(bytes.get(..BufferHeader::SIZE).unwrap_or(&[0; 72]));
    let mut faults = Vec::new();
    let sum = match checksum_of(&bytes, &header) {
        Ok(sum) => sum,
        Err(error) => {
            faults.push(ReadError::in_buffer(entry.position, error));
            checksum::State::Absent
        }
    };
    let torn = !faults.is_empty();
    let open = entry.state == BufferState::GENERAL_LOGGING;
    let body = if entry.is_compressed() {
        let (body, error) = unpack(&bytes, &header);
        faults.extend(error.map(|error| ReadError::in_compressed(entry.position, error)));
        body
    } else {
        let end = (entry.filled_bytes as usize).min(bytes.len());
        bytes.get(BufferHeader::SIZE..end).unwrap_or_default().to_vec()
    };
    let trust = match (torn, open, entry.is_compressed()) {
        // Sectors of the file are no sectors of what was unpacked from it.
        (true, _, false) => Trust::Torn,
        (true, _, true) | (_, true, _) => Trust::Open,
        _ => Trust::Sealed,
    };
    let walked = sane::walk(&body, trust);
    let at = |offset: usize| match entry.is_compressed() {
        true => entry.position,
        false => entry.position.saturating_add(72).saturating_add(offset as u64),
    };
    let records = walked.all_faults().map(|(offset, why)| ReadError::new(at(offset), why));
    faults.extend(records.take(MOST_FAULTS));

    // Of a packed buffer that is cut the stream says so.
    let end = to_u32(align8(walked.end.saturating_add(72)));
    let cut = !entry.is_compressed() && end < header.filled_bytes.get();
    let place = Place::Log { position: entry.position, size: entry.size };
    let mut item = Item::new(place, &header, &walked);
    item.torn = torn;
    item.whole = faults.is_empty() && !cut;
    item.lost_before = match sum {
        checksum::State::Valid { events_lost } => events_lost,
        checksum::State::Absent => open_lost(&header),
    };
    Examined { item, faults }
}

/// A buffer that was copied from the ring.
pub(super) fn of_ring(taken: &Taken, number: usize) -> Examined {
    let trust = if taken.torn { Trust::Torn } else { Trust::Sealed };
    let walked = sane::walk(&taken.body, trust);
    let mut item = Item::new(Place::Ring(number), &taken.header, &walked);
    item.torn = taken.torn;
    item.whole = taken.fault.is_none();
    item.lost_before = match taken.checksum {
        Ok(checksum::State::Valid { events_lost }) => events_lost,
        _ => open_lost(&taken.header),
    };
    let at = |offset: usize| taken.position.saturating_add(72).saturating_add(offset as u64);
    // The records were cut where they break off when they were copied: `taken.fault` says it.
    let records =
        walked.all_faults().map(|(offset, why)| ReadError::new(at(offset), why).of_ring());
    Examined { item, faults: taken.fault.into_iter().chain(records.take(MOST_FAULTS)).collect() }
}

/// Gives buffers that were never flushed and hold no stamp the latest that there is.
pub(super) fn settle_stamps(items: &mut [Item]) {
    let unknown = |item: &Item| item.is_open() && item.last_ticks.is_none();
    let known = items.iter().filter(|item| !unknown(item));
    let latest = known.map(|item| item.header.time_stamp.get()).max().unwrap_or(0);
    for item in items.iter_mut().filter(|item| unknown(item)) {
        item.header.time_stamp = latest.into();
    }
}

impl Item {
    fn is_open(&self) -> bool {
        self.header.state.get() == BufferState::GENERAL_LOGGING.0
    }

    fn new(place: Place, header: &BufferHeader, walked: &Walked) -> Self {
        let mut header = *header;
        if header.state.get() == BufferState::GENERAL_LOGGING.0 {
            // It was never flushed: `settle_stamps` of the ring, or the last stamp.
            let stamp = walked.last_ticks.unwrap_or(header.time_stamp.get());
            header.time_stamp = stamp.into();
        }
        Self {
            place,
            header,
            end: walked.end,
            bad: walked.bad.clone(),
            records: walked.records,
            first_ticks: walked.first_ticks,
            last_ticks: walked.last_ticks,
            torn: false,
            whole: true,
            lost_before: 0,
            events_marked: walked.events_lost,
            buffers_marked: walked.buffers_lost,
        }
    }

    /// Whether nothing is wrong with it: all its records are there.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    pub(super) fn sequence(&self) -> i64 {
        self.header.sequence_number.get()
    }

    pub(super) fn lane(&self) -> u16 {
        self.header.lane()
    }

    pub(super) fn in_ring(&self) -> bool {
        matches!(self.place, Place::Ring(_))
    }

    pub(super) fn strength(&self) -> Strength {
        Strength { whole: self.whole, end: to_u32(align8(self.end.saturating_add(72))) }
    }

    /// The bytes of the log that it was found in.
    pub(super) fn places(&self) -> Range<u64> {
        match self.place {
            Place::Log { position, size } => position..position.saturating_add(u64::from(size)),
            Place::Ring(_) => 0..0,
        }
    }

    pub(super) fn add_flag(&mut self, flag: BufferFlags) {
        self.header.buffer_flags = self.header.flags().with(flag).0.into();
    }

    /// Writes the sealed buffer into `out`, which is emptied before.
    pub(super) fn put(
        &self,
        log: Option<&dyn Source>,
        ring: Option<&RingCopy>,
        form: Form,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        out.clear();
        out.resize(BufferHeader::SIZE, 0);
        match self.place {
            Place::Ring(number) => {
                let taken = ring.and_then(|ring| ring.buffers().get(number));
                self.put_records(taken.map(|taken| &*taken.body).unwrap_or_default(), out)?;
            }
            Place::Log { position, size } => {
                let log = log.ok_or(io::ErrorKind::UnexpectedEof)?;
                let bytes = bytes_at(log, position, size)?;
                if self.header.is_compressed() && form.compressed {
                    return self.put_packed(&bytes, out);
                }
                if self.header.is_compressed() {
                    self.put_records(&unpack(&bytes, &self.header).0, out)?;
                } else {
                    self.put_records(bytes.get(BufferHeader::SIZE..).unwrap_or_default(), out)?;
                }
            }
        }
        let filled = to_u32(out.len());
        // A buffer of another size, which a damaged log may have, keeps what it holds.
        let size = form.buffer_size.max(filled);
        out.resize(size as usize, 0xFF);
        self.seal(size, filled, false, out);
        Ok(())
    }

    fn put_records(&self, body: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if body.len() < self.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sane::copy_whole(body, self.end, &self.bad, out);
        Ok(())
    }

    /// A packed buffer that is whole stays as it is; what is left of another is packed anew.
    fn put_packed(&self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        if self.whole {
            out.clear();
            out.extend_from_slice(bytes);
            self.seal(to_u32(out.len()), self.header.filled_bytes.get(), true, out);
            return Ok(());
        }
        let (body, _) = unpack(bytes, &self.header);
        let mut records = Vec::new();
        self.put_records(&body, &mut records)?;
        // Literals alone: 32 behind each word of flags.
        for literals in records.chunks(32) {
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(literals);
        }
        let filled = to_u32(records.len()).saturating_add(72);
        self.seal(to_u32(out.len()), filled, true, out);
        Ok(())
    }

    /// The header of a buffer that is complete, in front of its records.
    fn seal(&self, size: u32, filled: u32, packed: bool, out: &mut [u8]) {
        // Nothing proves the records of a torn one, so nothing shall seem to.
        let checksum = (!self.torn).then_some(self.lost_before);
        finish::data_buffer(out, &self.header, Sealed { size, filled, packed, checksum });
    }
}

/// A place whose bytes the system does not give.
fn unreadable(entry: &BufferEntry, error: &io::Error) -> Examined {
    let mut header = BufferHeader::new_zeroed();
    header.sequence_number = entry.sequence.into();
    let place = Place::Log { position: entry.position, size: entry.size };
    let mut item = Item::new(place, &header, &Walked::default());
    item.whole = false;
    Examined { item, faults: vec![ReadError::io(entry.position, error)] }
}

fn bytes_at(log: &dyn Source, position: u64, size: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size as usize];
    let found = log.read_at(position, &mut bytes)?;
    bytes.truncate(found);
    Ok(bytes)
}

/// What a buffer's checksum says. Of a buffer that was cut within its records it says nothing.
fn checksum_of(bytes: &[u8], header: &BufferHeader) -> Result<checksum::State, FormatError> {
    let end = header.filled_bytes.get().min(header.buffer_size.get());
    let open = header.state.get() == BufferState::GENERAL_LOGGING.0;
    if open || bytes.len() < end as usize || bytes.len() < BufferHeader::SIZE {
        return Ok(checksum::State::Absent);
    }
    let size = (header.buffer_size.get() as usize).clamp(BufferHeader::SIZE, bytes.len());
    checksum::verify(bytes.get(..size).unwrap_or_default())
}

/// Events lost before an open buffer of ours, which has the count but no magic yet. Other writers
/// leave anything in these bytes.
fn open_lost(header: &BufferHeader) -> u32 {
    let [m0, m1, m2, m3, c0, c1, c2, c3, l0, l1, l2, l3, z0, z1, z2, z3] = header.reserved;
    let zero = [m0, m1, m2, m3, c0, c1, c2, c3, z0, z1, z2, z3] == [0; 12];
    let open = header.state.get() == BufferState::GENERAL_LOGGING.0;
    if open && zero { u32::from_le_bytes([l0, l1, l2, l3]) } else { 0 }
}

/// The records of a packed buffer as far as its stream gives them.
fn unpack(bytes: &[u8], header: &BufferHeader) -> (Vec<u8>, Option<FormatError>) {
    let want = header.filled_bytes.get().saturating_sub(72);
    let mut body = vec![0; want.min(MAX_BUFFER_SIZE) as usize];
    let size = to_u32(body.len());
    let stream = bytes.get(BufferHeader::SIZE..).unwrap_or_default();
    let error = match xpress::decompress(stream, &mut body) {
        Err(error) => {
            body.truncate(block::produced(error) as usize);
            error.moved(72)
        }
        Ok(()) if size < want => Fault::NoSpace(want, size).at(Part::Compressed, 72),
        Ok(()) => return (body, None),
    };
    (body, Some(error))
}
