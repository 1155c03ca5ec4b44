//! Each kind of damage: its place, its kind, its words, and that what lies around it is kept.

use crate::images::{self, Life, Random, SIZE, id_of};
use crate::log::{Log, classic, untimed};
use etlring::error::{Fault, Part};
use etlring::format::{BufferFlags, BufferState};
use etlring::reader::{
    LeftOut, OpenError, ReadError, ReadFault, RecoverError, Recovery, RingCopy, RingError, Source,
    Trace,
};
use std::cell::Cell;
use std::error::Error;
use std::io;

/// A buffer of ten events at least.
fn life() -> Life {
    let lives = images::lives(&mut Random(1), 8, 1);
    lives.into_iter().find(|life| life.events.len() >= 10).unwrap()
}

/// What a log of a header and this ring gives: its events, and its damage.
fn joined(ring: &(impl Source + ?Sized)) -> (Vec<u32>, Vec<ReadError>) {
    let mut trace = Trace::from_bytes(Log::new(SIZE).bytes).unwrap();
    trace.join_ring(RingCopy::take(ring).unwrap()).unwrap();
    let mut ids = Vec::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        ids.extend(id_of(&record.unwrap().view().unwrap()).map(Result::unwrap));
    }
    (ids, trace.damage().to_vec())
}

/// A ring of one place.
fn ring(buffer: &[u8]) -> Vec<u8> {
    [&Log::new(SIZE).bytes[..], buffer].concat()
}

fn ids(life: &Life, count: usize) -> Vec<u32> {
    life.ids(count).collect()
}

/// The place of an offset within the ring's only buffer.
fn at(offset: usize, fault: ReadFault) -> ReadError {
    let position = (SIZE + offset) as u64;
    let in_ring = true;
    ReadError { position, in_ring, fault }
}

#[test]
fn an_open_buffer_ends_where_an_older_record_shows_through() {
    let life = life();
    let mut open = life.bytes(life.events.len(), BufferState::GENERAL_LOGGING, &[0; SIZE]);
    let older = life.filled(6);
    open[older + 0x10..older + 0x18].copy_from_slice(&1u64.to_le_bytes());
    let (found, damage) = joined(&&ring(&open)[..]);
    assert_eq!(found, ids(&life, 6));
    assert_eq!(damage, [at(older, ReadFault::Backwards)]);
    let text = format!("ring position {:#x}: record is older than the one before it", SIZE + older);
    assert_eq!(damage[0].to_string(), text);
}

#[test]
fn an_open_buffer_ends_where_no_record_can_be() {
    let life = life();
    let mut open = life.bytes(life.events.len(), BufferState::GENERAL_LOGGING, &[0; SIZE]);
    let bad = life.filled(6);
    // A marker that nobody knows, under a size that fits.
    open[bad + 2..bad + 4].copy_from_slice(&[0x7F, 0xE0]);
    let (found, damage) = joined(&&ring(&open)[..]);
    assert_eq!(found, ids(&life, 6));
    assert_eq!((damage.len(), damage[0].position), (1, (SIZE + bad) as u64));
    assert!(matches!(damage[0].fault, ReadFault::Format(_)), "{}", damage[0]);
}

/// A ring cut between two records: no record is cut, and yet some are missing.
#[test]
fn a_ring_that_ends_early_says_so() {
    let life = life();
    let all = life.events.len();
    let open = ring(&life.bytes(all, BufferState::GENERAL_LOGGING, &[0; SIZE]));
    let end = life.filled(6);
    let (found, damage) = joined(&&open[..SIZE + end]);
    assert_eq!(found, ids(&life, 6));
    let [filled, left] = [life.filled(all), end].map(|end| u32::try_from(end).unwrap());
    let fault = Fault::Truncated(filled, left).at(Part::Buffer, 0);
    assert_eq!(damage, [at(0, ReadFault::Format(fault))]);
}

/// One thing at a time that no buffer of this ring can have.
#[test]
fn a_place_that_is_no_buffers_is_told_and_passed_over() {
    let life = life();
    let all = life.events.len();
    let whole = life.bytes(all, BufferState::FLUSH, &[0; SIZE]);
    let compressed = BufferFlags::COMPRESSED.0.to_le_bytes();
    let sequence = 0i64.to_le_bytes();
    for (offset, value) in [
        (0x2C, &2u32.to_le_bytes()[..]), // State
        (0x2C, &4u32.to_le_bytes()[..]),
        (0x00, &8192u32.to_le_bytes()[..]), // BufferSize
        (0x18, &sequence[..]),
        (0x34, &compressed[..]),
        (0x30, &71u32.to_le_bytes()[..]), // FilledBytes
    ] {
        let mut other = whole.clone();
        other[offset..offset + value.len()].copy_from_slice(value);
        // It stands between two good ones, which have numbers of their own.
        let next = images::lives(&mut Random(1), 9, 1).pop().unwrap();
        let count = next.events.len();
        let behind = next.bytes(count, BufferState::GENERAL_LOGGING, &[0; SIZE]);
        let (found, damage) = joined(&&[ring(&other), behind].concat()[..]);
        assert_eq!(found, ids(&next, count), "{offset:#x}");
        assert_eq!(damage, [at(0, ReadFault::NoBuffer)], "{offset:#x}");
        assert_eq!(damage[0].to_string(), "ring position 0x1000: no buffer header");
    }
    let (found, damage) = joined(&&ring(&whole)[..]);
    assert_eq!((found, damage), (ids(&life, all), vec![]));
}

/// The header buffer is one of the ring's: a size in which it has no room is not believed, and the
/// buffers tell theirs. A log recovered with such a size could not be read again.
#[test]
fn a_ring_whose_header_names_too_small_a_size_is_measured() {
    let life = life();
    let all = life.events.len();
    let mut ring = ring(&life.bytes(all, BufferState::GENERAL_LOGGING, &[0; SIZE]));
    let record = usize::from(u16::from_le_bytes([ring[72 + 4], ring[72 + 5]]));
    for size in [79, 71 + record] {
        let size = u32::try_from(size).unwrap();
        ring[72 + 32..72 + 36].copy_from_slice(&size.to_le_bytes());
        let ring = &ring[..];
        assert_eq!(RingCopy::take(&ring).unwrap().buffer_size(), 4096);
        assert_eq!(joined(&ring), (ids(&life, all), vec![]));
        let recovery = Recovery::new().ring(RingCopy::take(&ring).unwrap());
        let mut first = Vec::new();
        recovery.examine().unwrap().write(&mut first).unwrap();
        let log = &first[..];
        let mut second = Vec::new();
        Recovery::new().log(&log).examine().unwrap().write(&mut second).unwrap();
        assert!(first == second);
    }
}

/// A ring in which one buffer has another number each time that it is looked at.
struct Restless {
    ring: Vec<u8>,
    looks: Cell<u8>,
}

impl Source for Restless {
    fn size(&self) -> u64 {
        self.ring.len() as u64
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }

    fn read_at(&self, position: u64, out: &mut [u8]) -> io::Result<usize> {
        let found = (&self.ring[..]).read_at(position, out)?;
        if position == SIZE as u64 && found >= 0x20 {
            // The least byte of its sequence number.
            let looks = self.looks.get();
            out[0x18] = 1 + looks % 100;
            self.looks.set(looks.checked_add(1).expect("not looked at for ever"));
        }
        Ok(found)
    }
}

#[test]
fn a_buffer_that_never_holds_still_is_given_up() {
    let life = life();
    let open = ring(&life.bytes(life.events.len(), BufferState::GENERAL_LOGGING, &[0; SIZE]));
    let (found, damage) = joined(&Restless { ring: open, looks: Cell::new(0) });
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(damage, [at(0, ReadFault::Changing)]);
    let text = "ring position 0x1000: buffer changed each time it was copied";
    assert_eq!(damage[0].to_string(), text);
}

/// A torn buffer in which 512 bytes were never written: records on them are not believed.
#[test]
fn a_sector_that_was_never_written_ends_a_torn_buffer() {
    let life = life();
    let all = life.events.len();
    assert!(life.filled(all) > 3072);
    let whole = life.bytes(all, BufferState::FLUSH, &[0; SIZE]);
    // Sectors into which a record reaches whose header lies before them: what is told must be the
    // sector, not a size or a stamp that went with it.
    let reaching = |first: usize| {
        let kept = (0..all).rfind(|count| life.filled(*count) + 48 <= first)?;
        (life.end(kept + 1) > first).then_some((first, kept))
    };
    let sectors: Vec<_> = (1..6).filter_map(|sector| reaching(sector * 512)).collect();
    assert!(sectors.len() > 1, "{sectors:?}");
    for ((first, kept), byte) in sectors.into_iter().flat_map(|at| [(at, 0), (at, 0xFF)]) {
        let mut torn = whole.clone();
        torn[first..first + 512].fill(byte);
        let log = [&Log::new(SIZE).bytes[..], &torn].concat();
        let log = &log[..];
        let found = Recovery::new().log(&log).examine().unwrap();
        let report = found.report().clone();
        assert_eq!(report.buffers_torn, 1);
        let sector: Vec<&LeftOut> = report
            .left_out
            .iter()
            .filter(|place| place.error.fault == ReadFault::Unwritten)
            .collect();
        let [place] = sector[..] else { panic!("{:?}", report.left_out) };
        assert_eq!(place.error.position, (SIZE + life.filled(kept)) as u64);
        assert_eq!((place.sequence, place.records_kept), (Some(life.sequence), kept as u64));
        let text = "record lies on a sector that was never written";
        assert!(place.error.to_string().ends_with(text), "{}", place.error);
        let mut out = Vec::new();
        found.write(&mut out).unwrap();
        let trace = Trace::from_bytes(out).unwrap();
        let mut records = trace.records();
        let mut ids_found = Vec::new();
        while let Some(record) = records.next() {
            ids_found.extend(id_of(&record.unwrap().view().unwrap()).map(Result::unwrap));
        }
        assert_eq!(ids_found, ids(&life, kept), "sector at {first}");
    }
}

/// What says how a buffer is to be read is not made up: the header buffer of a recovered log says
/// what the old one said, and that it was flushed.
#[test]
fn a_recovered_header_buffer_keeps_its_flags() {
    let life = life();
    let torn = life.bytes(3, BufferState::FLUSH, &[0; SIZE]);
    let log = [&Log::new(SIZE).bytes[..], &torn].concat();
    let log = &log[..];
    let mut out = Vec::new();
    Recovery::new().log(&log).examine().unwrap().write(&mut out).unwrap();
    let flags = BufferFlags::PROC_INDEX.with(BufferFlags::FLUSH_MARKER);
    assert_eq!(images::header(&out, 0).flags(), flags);
}

/// A log that has a number twice: the ring's is held against the better one, as the reader does it.
#[test]
fn of_a_number_that_is_there_twice_the_better_buffer_is_recovered() {
    let life = life();
    let all = life.events.len();
    let sealed = |count| life.bytes(count, BufferState::FLUSH, &[0; SIZE]);
    let mut torn = sealed(all);
    torn[2048] ^= 1;
    let header = Log::new(SIZE).bytes;
    let ring = ring(&sealed(all - 1));
    for (buffers, from_ring) in [
        ([torn.clone(), sealed(all)], 0),
        ([sealed(all), torn.clone()], 0),
        ([torn.clone(), sealed(all - 1)], 0),
        ([torn.clone(), sealed(all - 2)], 1),
        ([sealed(all - 2), torn], 1),
    ] {
        let log = [&header[..], &buffers.concat()].concat();
        let log = &log[..];
        let recovery = Recovery::new().log(&log).ring(RingCopy::take(&&ring[..]).unwrap());
        let salvage = recovery.examine().unwrap();
        assert_eq!(salvage.report().buffers_from_ring, from_ring);
        assert_eq!(salvage.report().buffers, 3);
    }
}

/// A buffer without a checksum whose first record is none has nothing to give.
#[test]
fn a_buffer_that_gives_nothing_is_not_recovered() {
    let life = life();
    let mut broken = life.bytes(life.events.len(), BufferState::FLUSH, &[0; SIZE]);
    // Neither a checksum, nor a marker.
    broken[0x38..0x48].fill(0);
    broken[72..80].fill(0);
    let log = [&Log::new(SIZE).bytes[..], &broken].concat();
    let log = &log[..];
    let salvage = Recovery::new().log(&log).examine().unwrap();
    let report = salvage.report();
    assert_eq!((report.buffers, report.buffers_lost, report.buffers_torn), (1, 1, 0));
    assert_eq!(report.left_out.len(), 1);
    assert_eq!(report.left_out[0].error.position, SIZE as u64 + 72);
    let mut out = Vec::new();
    salvage.write(&mut out).unwrap();
    assert_eq!(out.len(), SIZE, "the header buffer alone");
}

/// A buffer that was flushed keeps its stamp, whatever its records say; of one that was not and
/// whose records have none, nothing is known but that it is of the end.
#[test]
fn a_recovered_buffer_without_stamps_keeps_its_own_or_gets_the_latest() {
    let mut log = Log::new(SIZE);
    log.buffer(0, 1, 2_009, &[untimed(1)]);
    log.buffer(0, 2, 3_000, &[classic(2_500, 1, 20)]);
    let open = log.buffer(1, 3, 17, &[untimed(2)]);
    let state = BufferState::GENERAL_LOGGING.0;
    log.bytes[open + 0x2C..open + 0x30].copy_from_slice(&state.to_le_bytes());
    let log = &log.bytes[..];
    let mut out = Vec::new();
    Recovery::new().log(&log).examine().unwrap().write(&mut out).unwrap();
    let stamps = [1, 2, 3].map(|place| images::header(&out, place).time_stamp.get());
    assert_eq!(stamps, [2_009, 3_000, 3_000]);
}

#[test]
fn a_buffer_that_is_full_to_its_last_byte_has_its_checksum_looked_at() {
    let life = Life {
        sequence: 1,
        lane: 0,
        first_id: 0,
        events: vec![classic(2_000, 1, SIZE - 72 - 48)],
        last_ticks: 2_000,
    };
    let mut full = life.bytes(1, BufferState::FLUSH, &[0; SIZE]);
    assert_eq!(full[0x30..0x34], u32::try_from(SIZE).unwrap().to_le_bytes());
    for torn in [0, 1] {
        full[2048] ^= torn;
        let log = [&Log::new(SIZE).bytes[..], &full].concat();
        let log = &log[..];
        let salvage = Recovery::new().log(&log).examine().unwrap();
        assert_eq!(salvage.report().buffers_torn, u64::from(torn));
    }
}

/// Goal: only a buffer of ours that is in use tells what was lost without a checksum. Method: the
/// bytes where the count is, in an open buffer and in a flushed one, and other bytes beside it.
#[test]
fn losses_are_believed_of_an_open_buffer_with_nothing_beside_them() {
    let life = life();
    for (state, beside, lost) in [
        (BufferState::GENERAL_LOGGING, 0, 5),
        (BufferState::GENERAL_LOGGING, 0x55, 0),
        (BufferState::FLUSH, 0, 0),
        (BufferState::FLUSH, 0x55, 0),
    ] {
        let mut buffer = life.bytes(3, state, &[0; SIZE]);
        buffer[0x38..0x48].fill(beside);
        buffer[0x40..0x44].copy_from_slice(&5u32.to_le_bytes());
        let log = [&Log::new(SIZE).bytes[..], &buffer].concat();
        let log = &log[..];
        let salvage = Recovery::new().log(&log).examine().unwrap();
        assert_eq!(salvage.report().events_lost, lost, "{state:?}, {beside:#x} beside");
        assert_eq!(salvage.report().buffers, 2);
    }
}

#[test]
fn errors_name_their_causes() {
    let io = || io::Error::new(io::ErrorKind::PermissionDenied, "locked");
    let format = Fault::Truncated(8, 0).at(Part::RecordPrefix, 0);
    for (error, text, cause) in [
        (OpenError::from(io()), "locked".into(), Some("locked".into())),
        (
            OpenError::NotALogfile(format),
            format!("not an .etl log file: {format}"),
            Some(format.to_string()),
        ),
        (OpenError::Unsupported("LZNT1"), "not supported: LZNT1".into(), None),
        (
            OpenError::Ring(RingError::NotARing(format)),
            format!("ring: not a ring file: {format}"),
            Some(format!("not a ring file: {format}")),
        ),
        (OpenError::Ring(RingError::from(io())), "ring: locked".into(), Some("locked".to_string())),
    ] {
        assert_eq!(error.to_string(), text);
        assert_eq!(error.source().map(ToString::to_string), cause);
    }
    assert_eq!(RingError::NotARing(format).source().unwrap().to_string(), format.to_string());
    let recover = RecoverError::from(io());
    assert_eq!(recover.source().unwrap().to_string(), "locked");
    assert!(RecoverError::Nothing.source().is_none());
    let read = ReadError {
        position: 0x40,
        in_ring: false,
        fault: ReadFault::Io(io::ErrorKind::PermissionDenied),
    };
    assert_eq!(read.to_string(), "position 0x40: cannot read: permission denied");
}
