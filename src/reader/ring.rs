//! The ring file of a session, copied: `<log>.ring`, which lies beside a log while it is recorded.
//!
//! ```text
//!   place 0   header buffer, that of the log
//!   place 1   a buffer of the session's pool     State 0  free: nothing in it
//!   place 2   ...                                 State 1  being filled: records up to FilledBytes
//!     ...                                         State 3  sealed: checksum in place
//! ```
//!
//! The session may be alive. So a ring is never mapped: each buffer is copied by positioned reads,
//! which its writer does not notice, and the copy counts only if the buffer stayed the same one:
//!
//! ```text
//!   read header; State 0: nothing here
//!   read FilledBytes                 a bound for what follows: bytes before it never change
//!   read the records up to it
//!   read header again                other sequence number or State, or less filled: once more
//! ```
//!
//! A sequence number is never used twice, so the same number before and after means that nobody
//! reset the buffer between. A sealed buffer must also match its checksum.
//!
//! The places are not copied at one moment, and yet what a lane gives must be a beginning of what
//! it wrote, without a hole. So the newest number of the first round is a line, and buffers behind
//! it are not looked at. The second round finds what was begun before the line at a place that had
//! been passed, and takes those again that were open, because their lane may have gone on to
//! another buffer that was copied. What the second round found makes the same necessary once more:
//! three rounds, of which the later ones read little but headers. The log must be looked at
//! afterwards: what left the ring meanwhile is then there.
//!
//! Source: spec/13-recovery.md.

use crate::codec::{LogfileView, RawRecord, Records, buffer::BufferView, checksum};
use crate::error::{Fault, FormatError, Part};
use crate::format::{BufferHeader, BufferState, MAX_BUFFER_SIZE};
use crate::reader::{
    Difference, ReadError, ReadFault, RingError, Source, guess, index,
    sane::{self, Trust},
};
use std::{collections::HashMap, io};
use zerocopy::{FromBytes, little_endian::U64};

/// A ring file, copied at one moment.
#[derive(Debug)]
pub struct RingCopy {
    buffer_size: u32,
    /// The first record of its header buffer, if there is one.
    header: Option<Box<[u8]>>,
    buffers: Vec<Taken>,
    faults: Vec<ReadError>,
}

/// One buffer that was copied.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Where it lies in the ring.
    pub(crate) position: u64,
    pub(crate) header: BufferHeader,
    /// Its whole records.
    pub(crate) body: Box<[u8]>,
    /// Why that is not all: the checksum does not hold, or the records break off.
    pub(crate) fault: Option<ReadError>,
    /// Of a sealed buffer.
    pub(crate) checksum: Result<checksum::State, ReadError>,
    /// The checksum does not hold.
    pub(crate) torn: bool,
}

impl Taken {
    /// Whether it was sealed, and so carries a checksum, if it has one, for all its records.
    pub(crate) fn is_sealed(&self) -> bool {
        self.header.state.get() == BufferState::FLUSH.0
    }

    /// End of its whole records, from the start of the buffer.
    pub(crate) fn end(&self) -> u32 {
        crate::codec::to_u32(self.body.len()).saturating_add(HEADER_BYTES)
    }
}

/// Copies of one place before it is given up: a writer would have to fill the buffer as often.
const TRIES: u32 = 16;
/// Rounds over all places, at most.
const ROUNDS: u32 = 3;
/// Places that are looked at: no session has more buffers than 2 to the 20th.
const MOST_PLACES: u64 = 1 << 20;
const HEADER_BYTES: u32 = 72;

impl RingCopy {
    /// Copies a ring, which may be in use.
    ///
    /// Take the copy before the log is opened: see the head of this module.
    ///
    /// # Errors
    ///
    /// [`RingError::Io`] if it cannot be read, [`RingError::NotARing`] if it has no logfile header
    /// and no buffers that tell their size.
    pub fn take(source: &(impl Source + ?Sized)) -> Result<Self, RingError> {
        let (header, buffer_size) = match Self::header_of(source) {
            Ok(ring) => (ring.header, ring.buffer_size),
            Err(RingError::NotARing(error)) => match guess::layout(source)? {
                Some(layout) if !layout.compressed => (None, layout.buffer_size),
                _ => return Err(RingError::NotARing(error)),
            },
            Err(error) => return Err(error),
        };
        let mut ring = Self { buffer_size, header, buffers: Vec::new(), faults: Vec::new() };
        ring.take_places(source)?;
        Ok(ring)
    }

    /// What a ring's header says, without its buffers.
    pub(crate) fn header_of(source: &(impl Source + ?Sized)) -> Result<Self, RingError> {
        let mut start = vec![0; BufferHeader::SIZE.saturating_add(usize::from(u16::MAX))];
        let found = source.read_at(0, &mut start)?;
        start.truncate(found);
        let (header, buffer_size) = first_record(&start).map_err(RingError::NotARing)?;
        Ok(Self { buffer_size, header: Some(header), buffers: Vec::new(), faults: Vec::new() })
    }

    /// Size of its buffers, in bytes.
    #[must_use]
    pub fn buffer_size(&self) -> u32 {
        self.buffer_size
    }

    /// What its header says; `None` if that is lost.
    #[must_use]
    pub fn logfile(&self) -> Option<LogfileView<'_>> {
        parse(self.header.as_deref()?).ok()
    }

    /// Whether it is of the session that wrote a log.
    ///
    /// # Errors
    ///
    /// The first thing in which the two differ. A ring whose header is lost differs in nothing.
    pub fn belongs_to(&self, log: &LogfileView<'_>) -> Result<(), Difference> {
        if log.buffer_size() != self.buffer_size {
            return Err(Difference::BufferSize(log.buffer_size(), self.buffer_size));
        }
        let Some(ring) = self.logfile() else { return Ok(()) };
        let ticks = |logfile: &LogfileView<'_>| logfile.record_header().system_time.get();
        if log.start_time() != ring.start_time() {
            return Err(Difference::StartTime(log.start_time(), ring.start_time()));
        }
        if ticks(log) != ticks(&ring) {
            return Err(Difference::StartTicks(ticks(log), ticks(&ring)));
        }
        if log.clock_type() != ring.clock_type() {
            return Err(Difference::ClockType(log.clock_type().0, ring.clock_type().0));
        }
        if log.session_name() != ring.session_name() {
            return Err(Difference::SessionName);
        }
        Ok(())
    }

    pub(crate) fn header_record(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// The buffers that hold something.
    pub(crate) fn buffers(&self) -> &[Taken] {
        &self.buffers
    }

    pub(crate) fn into_buffers(self) -> Vec<Taken> {
        self.buffers
    }

    /// Places that gave nothing, though they should have.
    pub(crate) fn faults(&self) -> &[ReadError] {
        &self.faults
    }

    fn take_places(&mut self, source: &(impl Source + ?Sized)) -> io::Result<()> {
        let size = u64::from(self.buffer_size);
        let places = source.size().div_ceil(size);
        if places > MOST_PLACES {
            let fault = Fault::Length(self.buffer_size, HEADER_BYTES, MAX_BUFFER_SIZE);
            let at = MOST_PLACES.saturating_mul(size);
            self.faults.push(ReadError::in_buffer(at, fault.at(Part::Buffer, 0)).of_ring());
        }
        let places = places.min(MOST_PLACES);
        let mut known = HashMap::new();
        let mut newest = i64::MAX;
        for round in 0..ROUNDS {
            let mut changed = false;
            for place in 1..places {
                let position = place.saturating_mul(size);
                match self.take_place(source, position, &known, newest)? {
                    Place::Taken(taken, filled) => {
                        changed = true;
                        self.keep(taken, filled, &mut known);
                    }
                    Place::Fault(fault) => {
                        self.faults.push(ReadError::new(position, fault).of_ring());
                    }
                    Place::Nothing => {}
                }
            }
            if round == 0 {
                newest = known.keys().map(|(sequence, _)| *sequence).max().unwrap_or(i64::MIN);
            } else if !changed {
                break;
            }
        }
        // Each round tells of the same places.
        self.faults.sort_by_key(|fault| fault.position);
        self.faults.dedup();
        self.settle_stamps();
        Ok(())
    }

    /// Keeps a copy, in the place of an earlier one of the same buffer.
    fn keep(&mut self, taken: Taken, filled: u32, known: &mut Known) {
        let key = (taken.header.sequence_number.get(), taken.position);
        let open = !taken.is_sealed();
        let index = match known.get(&key).map(|copy| copy.index) {
            Some(index) => {
                if let Some(old) = self.buffers.get_mut(index) {
                    *old = taken;
                }
                index
            }
            None => {
                self.buffers.push(taken);
                self.buffers.len().saturating_sub(1)
            }
        };
        known.insert(key, Copied { index, filled, open });
    }

    /// Copies one place, as the drawing above says: buffers up to number `newest` of which not
    /// all is known.
    fn take_place(
        &self,
        source: &(impl Source + ?Sized),
        position: u64,
        known: &Known,
        newest: i64,
    ) -> io::Result<Place> {
        let mut last = Place::Fault(ReadFault::Changing);
        for _ in 0..TRIES {
            let Some(before) = header_at(source, position)? else { return Ok(Place::Nothing) };
            let state = BufferState(before.state.get());
            let filled = before.filled_bytes.get();
            // Free, begun without a record yet, or written and about to be free.
            if filled == HEADER_BYTES && state.0 <= BufferState::FLUSH.0 {
                return Ok(Place::Nothing);
            }
            if !self.is_buffer(&before) {
                return Ok(Place::Fault(ReadFault::NoBuffer));
            }
            let sequence = before.sequence_number.get();
            let sealed = state == BufferState::FLUSH;
            let has_all = |copy: &Copied| !copy.open || !sealed && filled <= copy.filled;
            if sequence > newest || known.get(&(sequence, position)).is_some_and(has_all) {
                return Ok(Place::Nothing);
            }
            let mut word = [0; 4];
            let _ = source.read_at(position.saturating_add(0x30), &mut word)?;
            let filled = u32::from_le_bytes(word).min(self.buffer_size);
            if filled <= HEADER_BYTES {
                continue;
            }
            let mut bytes = vec![0; filled as usize];
            let found = source.read_at(position, &mut bytes)?;
            bytes.truncate(found);
            let Some(after) = header_at(source, position)? else { return Ok(Place::Nothing) };
            let same = before.sequence_number == after.sequence_number
                && before.state == after.state
                && after.filled_bytes.get() >= filled;
            if !same || bytes.len() < BufferHeader::SIZE {
                continue;
            }
            let taken = self.taken(position, &after, bytes, filled);
            if !taken.torn {
                return Ok(Place::Taken(taken, filled));
            }
            // Torn, or sealed or reset just now: the next look tells.
            last = Place::Taken(taken, filled);
        }
        Ok(last)
    }

    /// Whether a header is that of a buffer in use, by all that no moment can change.
    fn is_buffer(&self, header: &BufferHeader) -> bool {
        let state = BufferState(header.state.get());
        matches!(state, BufferState::GENERAL_LOGGING | BufferState::FLUSH)
            && header.buffer_size.get() == self.buffer_size
            && header.sequence_number.get() >= 1
            && !header.is_compressed()
            && index::looks_like_header(header, self.buffer_size)
    }

    /// What a copy of the bytes up to `filled`, and the header behind them in time, give.
    fn taken(
        &self,
        position: u64,
        header: &BufferHeader,
        mut bytes: Vec<u8>,
        filled: u32,
    ) -> Taken {
        let mut header = *header;
        let sealed = header.state.get() == BufferState::FLUSH.0;
        let mut sum = Ok(checksum::State::Absent);
        if sealed {
            // The header that was read last is complete; the one among the bytes may not be.
            if let Ok((copied, _)) = BufferHeader::mut_from_prefix(&mut bytes) {
                *copied = header;
            }
            sum = checksum::verify(&bytes)
                .map_err(|error| ReadError::in_buffer(position, error).of_ring());
        }
        let torn = sum.is_err();
        let trust = if torn {
            Trust::Torn
        } else if sealed {
            Trust::Sealed
        } else {
            Trust::Open
        };
        let body = bytes.get(BufferHeader::SIZE..).unwrap_or_default();
        let short = (body.len() as u64).saturating_add(72) < u64::from(filled);
        let walked = sane::walk(body, trust);
        let broken = walked.fault.map(|(offset, why)| {
            let at = position.saturating_add(72).saturating_add(offset as u64);
            ReadError::new(at, why).of_ring()
        });
        let cut = short.then(|| {
            let fault = Fault::Truncated(filled, crate::codec::to_u32(bytes.len()));
            ReadError::in_buffer(position, fault.at(Part::Buffer, 0)).of_ring()
        });
        let mut whole = Vec::with_capacity(walked.end.saturating_add(8));
        whole.extend_from_slice(body.get(..walked.end).unwrap_or_default());
        whole.resize(crate::codec::align8(whole.len()), 0);
        if !sealed {
            // It says when the buffer was used last: see `settle_stamps`.
            header.time_stamp = U64::new(walked.last_ticks.unwrap_or(0));
        }
        let fault = sum.err().or(broken).or(cut);
        Taken { position, header, body: whole.into(), fault, checksum: sum, torn }
    }

    /// The flush of a buffer that was never flushed: now, which is not before any of its stamps.
    /// Where it has none, the latest stamp of the ring.
    fn settle_stamps(&mut self) {
        let stamps = self.buffers.iter().map(|taken| taken.header.time_stamp.get());
        let latest = stamps.max().unwrap_or(0);
        for taken in &mut self.buffers {
            if !taken.is_sealed() && taken.header.time_stamp.get() == 0 {
                taken.header.time_stamp = U64::new(latest);
            }
        }
    }
}

/// The copies by sequence number and position.
type Known = HashMap<(i64, u64), Copied>;

/// A copy that was made.
struct Copied {
    /// Among the buffers.
    index: usize,
    /// Up to here.
    filled: u32,
    /// Of a buffer that was being filled.
    open: bool,
}

enum Place {
    /// A copy, and up to where.
    Taken(Taken, u32),
    /// A place that is no buffer's, or does not hold still.
    Fault(ReadFault),
    Nothing,
}

pub(crate) fn header_at(
    source: &(impl Source + ?Sized),
    position: u64,
) -> io::Result<Option<BufferHeader>> {
    let mut bytes = [0; BufferHeader::SIZE];
    let found = source.read_at(position, &mut bytes)?;
    Ok(BufferHeader::read_from_bytes(&bytes).ok().filter(|_| found == BufferHeader::SIZE))
}

/// The logfile header record behind the first buffer header of `start`, and the size of buffers.
fn first_record(start: &[u8]) -> Result<(Box<[u8]>, u32), FormatError> {
    let records = start.get(BufferHeader::SIZE..).unwrap_or_default();
    let missing = Fault::Truncated(8, 0).at(Part::RecordPrefix, 0);
    let raw = Records::new(records).next().unwrap_or(Err(missing))?;
    let size = LogfileView::parse(raw)?.buffer_size();
    // This record lies in a buffer of that size.
    let record = crate::codec::to_u32(crate::codec::align8(raw.bytes.len()));
    let least = HEADER_BYTES.saturating_add(record);
    if !(least..=MAX_BUFFER_SIZE).contains(&size) {
        let fault = Fault::Length(size, least, MAX_BUFFER_SIZE);
        return Err(fault.at(Part::LogfileHeader, 0));
    }
    if let (Some(view), _) = BufferView::parse_damaged(start) {
        if view.header().is_compressed() {
            return Err(Fault::Marker(0).at(Part::Compressed, 0));
        }
    }
    Ok((raw.bytes.into(), size))
}

/// Reads a logfile header from the record that holds it.
pub(crate) fn parse(record: &[u8]) -> Result<LogfileView<'_>, FormatError> {
    let missing = Fault::Truncated(8, 0).at(Part::RecordPrefix, 0);
    let raw: RawRecord<'_> = Records::new(record).next().unwrap_or(Err(missing))?;
    LogfileView::parse(raw)
}
