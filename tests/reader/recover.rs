//! `recover` against logs and rings in every state: what was whole is in the new log, once, and the
//! new log has no fault.

use crate::images::{self, Image, Life, Random, SIZE, id_of};
use crate::log::{Log, START_TIME, classic};
use etlring::codec::checksum::State;
use etlring::format::{BufferState, FileTime, LogFileMode};
use etlring::reader::{Assumed, RecoverError, Recovered, Recovery, RingCopy, Trace, ring_path};
use std::path::PathBuf;

/// The new log and what is said of it.
fn recover(log: Option<&[u8]>, ring: Option<&[u8]>) -> Result<(Vec<u8>, Recovered), RecoverError> {
    let mut recovery = Recovery::new();
    if let Some(log) = &log {
        recovery = recovery.log(log);
    }
    if let Some(ring) = ring {
        match RingCopy::take(&ring) {
            Ok(ring) => recovery = recovery.ring(ring),
            Err(_) if log.is_some() => {}
            Err(_) => return Err(RecoverError::Nothing),
        }
    }
    let found = recovery.examine()?;
    let mut out = Vec::new();
    found.write(&mut out).unwrap();
    Ok((out, found.report().clone()))
}

/// Checks that a log is finished, without a fault, in the order of its numbers; gives the events of
/// each buffer, the buffers whose records a checksum proves, and how many events are not whole.
fn check(log: &[u8], report: &Recovered) -> Events {
    let trace = Trace::from_slice(log).unwrap();
    assert_eq!(trace.damage(), []);
    let logfile = trace.logfile();
    assert!(logfile.end_time().is_some());
    assert_eq!(u64::from(logfile.buffers_written()), report.buffers);
    assert_eq!(trace.buffers().len() as u64, report.buffers);
    assert_eq!(log.len(), trace.buffers().len() * logfile.buffer_size() as usize);
    assert!(trace.buffers()[1..].is_sorted_by_key(|entry| entry.sequence));
    let mut events = Events::default();
    let mut records = 0;
    for (index, entry) in trace.buffers().iter().enumerate() {
        assert!(u32::from(entry.lane) < logfile.number_of_processors());
        assert!(index == 0 || entry.state == BufferState::FLUSH);
        let proven = matches!(trace.verify_checksum(index), Ok(State::Valid { .. }));
        events.unproven += usize::from(!proven);
        let mut cursor = trace.records_of(index..index + 1);
        let mut last = 0;
        while let Some(record) = cursor.next() {
            let view = record.unwrap().view().unwrap();
            records += 1;
            if let Some(ticks) = view.ticks() {
                assert!(ticks >= last, "times run backwards");
                last = ticks;
            }
            match id_of(&view) {
                Some(Ok(id)) => events.ids.push((entry.sequence, id)),
                Some(Err(_)) => events.broken.push((entry.sequence, proven)),
                None if index > 0 => events.broken.push((entry.sequence, proven)),
                None => {}
            }
        }
    }
    assert_eq!(records, report.records);
    assert_eq!(report.buffers_torn, events.unproven as u64);
    events
}

#[derive(Debug, Default)]
struct Events {
    /// Sequence number of the buffer, event.
    ids: Vec<(i64, u32)>,
    /// Records that are no event: the buffer, and whether a checksum says that it is whole.
    broken: Vec<(i64, bool)>,
    unproven: usize,
}

impl Events {
    fn ids(&self) -> Vec<u32> {
        self.ids.iter().map(|(_, id)| *id).collect()
    }
}

#[test]
fn a_killed_session_loses_nothing() {
    for seed in 0..300 {
        let image = Image::killed(seed, 1 + usize::try_from(seed % 25).unwrap());
        let (log, report) = recover(Some(&image.log), Some(&image.ring)).unwrap();
        assert_eq!(report.left_out, []);
        assert_eq!(report.assumed, []);
        let events = check(&log, &report);
        assert_eq!(events.ids(), image.all_ids(), "seed {seed}");
        assert_eq!((events.broken.len(), events.unproven), (0, 0));
        let trace = Trace::from_slice(&log).unwrap();
        assert_eq!(trace.logfile().session_name().to_string(), "test");
        let last = image.lives.last().unwrap().last_ticks;
        assert_eq!(trace.logfile().end_time(), Some(trace.clock().file_time(last)));
        assert_eq!(report.end_time, trace.clock().file_time(last));

        // What is finished stays as it is.
        let (again, report) = recover(Some(&log), None).unwrap();
        assert_eq!((again, report.left_out.len()), (log, 0));
    }
}

/// The events of a file of which only the first `cut` bytes are left: each buffer's that are whole.
fn before(cut: usize, place: usize, life: &Life, count: usize) -> usize {
    (0..=count).rfind(|n| *n == 0 || place * SIZE + life.end(*n) <= cut).unwrap()
}

#[test]
fn a_log_cut_anywhere_gives_the_whole_records_before() {
    let image = Image::killed(11, 6);
    let header = 72 + 32 + 280 + 28;
    for cut in 0..=image.log.len() {
        let log = &image.log[..cut];
        for ring in [None, Some(&image.ring[..])] {
            let Ok((out, report)) = recover(Some(log), ring) else {
                assert!(cut < header && ring.is_none(), "cut at {cut}");
                continue;
            };
            let expected = image.lives.iter().flat_map(|life| {
                let logged = image.in_log.get(&life.sequence);
                let logged = logged.map_or(0, |(count, at)| before(cut, *at, life, *count));
                let ringed = image.in_ring.get(&life.sequence).filter(|_| ring.is_some());
                life.ids(logged.max(ringed.map_or(0, |(count, ..)| *count)))
            });
            let events = check(&out, &report);
            assert_eq!(events.ids(), expected.collect::<Vec<_>>(), "cut at {cut}");
            assert_eq!((events.broken.len(), events.unproven), (0, 0));
            // Damage is told if and only if it took something away, or a piece of a header.
            let missing = image.in_log.iter().any(|(sequence, (count, at))| {
                let life = &image.lives[usize::try_from(*sequence - 1).unwrap()];
                let began = at * SIZE < cut;
                let lost = before(cut, *at, life, *count) < *count;
                // The first byte of a header is zero, as in space that was never written.
                let header = at * SIZE + 1 < cut && at * SIZE + 72 > cut;
                let in_ring = ring.is_some() && image.in_ring.contains_key(sequence);
                header || began && at * SIZE + 72 <= cut && lost && !in_ring
            });
            assert!(cut < SIZE || report.left_out.is_empty() != missing, "{cut}: {report:?}");
        }
    }
}

#[test]
fn a_ring_cut_anywhere_gives_the_whole_records_before() {
    let image = Image::killed(12, 6);
    for cut in (0..=image.ring.len()).step_by(3) {
        let (out, report) = recover(Some(&image.log), Some(&image.ring[..cut])).unwrap();
        let expected = image.lives.iter().flat_map(|life| {
            let logged = image.in_log.get(&life.sequence).map_or(0, |(count, _)| *count);
            let ringed = image.in_ring.get(&life.sequence);
            let kept = ringed.map_or(0, |(count, at, state)| {
                // A sealed buffer that is cut has no checksum that holds: its records are not proven.
                let cut = cut.min(image.ring.len());
                let whole = before(cut, *at, life, *count);
                if whole == *count || logged == 0 || *state == BufferState::GENERAL_LOGGING {
                    whole
                } else {
                    0
                }
            });
            // A whole buffer of the log wins against one that is cut.
            let whole = ringed.is_none_or(|(count, ..)| kept == *count);
            life.ids(if whole || logged == 0 { kept.max(logged) } else { logged })
        });
        let events = check(&out, &report);
        assert_eq!(events.ids(), expected.collect::<Vec<_>>(), "cut at {cut}");
    }
}

/// After a power cut each sector of a file is what it was, or what it became.
fn tear(random: &mut Random, new: &[u8], old: &[u8], every: usize) -> Vec<u8> {
    let mut torn = new.to_vec();
    for (sector, bytes) in torn.chunks_mut(512).enumerate() {
        if random.below(every) == 0 {
            let from = sector * 512;
            bytes.copy_from_slice(&old[from..from + bytes.len()]);
        }
    }
    torn
}

/// What a log was when it was written last before the cut: some buffers shorter, some not there.
struct Synced {
    log: Vec<u8>,
    counts: Vec<(i64, usize)>,
}

fn synced(random: &mut Random, image: &Image) -> Synced {
    let mut log = image.log.clone();
    let mut counts = Vec::new();
    for life in &image.lives {
        let Some((count, place)) = image.in_log.get(&life.sequence) else { continue };
        let old = random.below(count + 1);
        let bytes = match random.below(3) {
            0 => {
                counts.push((life.sequence, 0));
                vec![0; SIZE]
            }
            _ => {
                counts.push((life.sequence, old));
                life.bytes(old, BufferState::FLUSH, &[0; SIZE])
            }
        };
        log[place * SIZE..(place + 1) * SIZE].copy_from_slice(&bytes);
    }
    Synced { log, counts }
}

/// Sectors of a log that are old or new: no synced event is lost, no event is there that was never
/// written, and nothing that is not whole is in a buffer that a checksum proves.
#[test]
fn torn_sectors_of_a_log_lose_no_synced_event() {
    let (mut torn_buffers, mut broken) = (0, 0);
    for seed in 0..3000 {
        let mut random = Random(seed);
        let image = Image::killed(seed, 1 + usize::try_from(seed % 9).unwrap());
        let synced = synced(&mut random, &image);
        let every = 2 + random.below(12);
        let mut log = tear(&mut random, &image.log, &synced.log, every);
        // The header buffer was the same before and after.
        log[..SIZE].copy_from_slice(&image.log[..SIZE]);
        let (out, report) = recover(Some(&log), None).unwrap();
        let events = check(&out, &report);
        let found = events.ids();
        let all = image.all_ids();
        assert!(found.iter().all(|id| all.contains(id)));
        assert!(found.is_sorted() && found.windows(2).all(|two| two[0] != two[1]), "{seed}");
        for (sequence, count) in synced.counts {
            let life = &image.lives[usize::try_from(sequence - 1).unwrap()];
            for id in life.ids(count) {
                assert!(found.contains(&id), "seed {seed}: event {id} of buffer {sequence}");
            }
        }
        assert!(events.broken.iter().all(|(_, proven)| !proven), "seed {seed}");
        torn_buffers += events.unproven;
        broken += events.broken.len();
        for place in &report.left_out {
            assert!(place.error.position < image.log.len() as u64);
        }

        // Asked to, it leaves out what is not proven.
        let torn = &log[..];
        let strict = Recovery::new().log(&torn).leave_out_torn(true).examine().unwrap();
        let mut out = Vec::new();
        strict.write(&mut out).unwrap();
        let strict = check(&out, strict.report());
        assert_eq!((strict.unproven, strict.broken.len()), (0, 0));
        assert!(strict.ids().iter().all(|id| found.contains(id)));
    }
    assert!(torn_buffers > 1000, "{torn_buffers}: a weak test");
    assert_eq!(broken, 0, "sectors that were never written are seen");
}

/// The same of log and ring together: buffers whose checksum holds in either are all there.
#[test]
fn torn_sectors_of_log_and_ring_keep_what_is_whole() {
    for seed in 0..3000 {
        let mut random = Random(seed ^ 0x5555);
        let image = Image::killed(seed, 1 + usize::try_from(seed % 9).unwrap());
        let synced = synced(&mut random, &image);
        let every = 2 + random.below(20);
        let mut log = tear(&mut random, &image.log, &synced.log, every);
        log[..SIZE].copy_from_slice(&image.log[..SIZE]);
        let before: Vec<u8> = (0..image.ring.len() / SIZE)
            .flat_map(|_| images::free(&images::stale(&mut random)))
            .collect();
        let mut ring = tear(&mut random, &image.ring, &before, every);
        ring[..SIZE].copy_from_slice(&image.ring[..SIZE]);

        let (out, report) = recover(Some(&log), Some(&ring)).unwrap();
        let events = check(&out, &report);
        let found = events.ids();
        assert!(found.windows(2).all(|two| two[0] < two[1] || two[1] > 1_000_000));
        for (bytes, places) in [
            (&log, image.in_log.iter().map(|(n, (_, at))| (*n, *at)).collect::<Vec<_>>()),
            (&ring, image.in_ring.iter().map(|(n, (_, at, _))| (*n, *at)).collect()),
        ] {
            for (sequence, place) in places {
                let life = &image.lives[usize::try_from(sequence - 1).unwrap()];
                let buffer = &bytes[place * SIZE..(place + 1) * SIZE];
                let header = images::header(bytes, place);
                let valid =
                    matches!(etlring::codec::checksum::verify(buffer), Ok(State::Valid { .. }));
                if !valid || header.state.get() != BufferState::FLUSH.0 {
                    continue;
                }
                let filled = header.filled_bytes.get() as usize;
                let count = (0..=life.events.len()).find(|n| life.filled(*n) == filled).unwrap();
                assert!(life.ids(count).all(|id| found.contains(&id)), "seed {seed}");
            }
        }
        // Only of a buffer that was open in the ring nothing but its own marks could tell.
        for (sequence, _) in events.broken.iter().filter(|(_, proven)| *proven) {
            let (.., state) = image.in_ring[sequence];
            assert_eq!(state, BufferState::GENERAL_LOGGING, "seed {seed}");
        }
    }
}

#[test]
fn any_flipped_bit_costs_one_buffer_at_most() {
    let image = Image::killed(4, 5);
    let mut random = Random(4);
    for _ in 0..3000 {
        let (mut log, mut ring) = (image.log.clone(), image.ring.clone());
        let bytes = if random.below(2) == 0 { &mut log } else { &mut ring };
        let bit = random.below(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let place = bit / 8 / SIZE;
        let (out, report) = match recover(Some(&log), Some(&ring)) {
            Err(RecoverError::ForeignRing(_)) if place == 0 => continue,
            other => other.unwrap(),
        };
        let trace = Trace::from_slice(&out).unwrap();
        assert_eq!(trace.damage(), []);
        let found = check_ids(&trace);
        let missing = image
            .lives
            .iter()
            .filter(|life| !life.ids(life.events.len()).all(|id| found.contains(&id)));
        assert!(missing.count() <= usize::from(place > 0), "bit {bit}: {report:?}");
    }
}

fn check_ids(trace: &Trace<&[u8]>) -> Vec<u32> {
    let mut records = trace.records();
    let mut ids = Vec::new();
    while let Some(record) = records.next() {
        ids.extend(id_of(&record.unwrap().view().unwrap()).and_then(Result::ok));
    }
    ids
}

#[test]
fn a_lost_header_is_taken_from_the_ring_or_made_up() {
    let image = Image::killed(7, 12);
    let mut zeroed = image.log.clone();
    zeroed[..SIZE].fill(0);
    let mut sector = image.log.clone();
    sector[..512].fill(0);
    let missing = &image.log[SIZE..];
    for log in [&zeroed[..], &sector, missing] {
        let (out, report) = recover(Some(log), Some(&image.ring)).unwrap();
        let events = check(&out, &report);
        assert_eq!(events.ids(), image.all_ids());
        assert!(report.assumed.contains(&Assumed::HeaderFromRing));
        assert!(report.assumed.contains(&Assumed::BufferSize(4096)));
        assert!(report.assumed.contains(&Assumed::RingBelongs));
        assert!(report.left_out.iter().any(|place| place.error.position <= 72));
        let trace = Trace::from_slice(&out).unwrap();
        assert_eq!(trace.logfile().start_time(), FileTime(START_TIME));

        let (out, report) = recover(Some(log), None).unwrap();
        let events = check(&out, &report);
        let logged = image.in_log.iter().flat_map(|(sequence, (count, _))| {
            image.lives[usize::try_from(sequence - 1).unwrap()].ids(*count)
        });
        assert_eq!(events.ids(), logged.collect::<Vec<_>>());
        assert_eq!(report.assumed, [Assumed::BufferSize(4096), Assumed::Clock]);
        let trace = Trace::from_slice(&out).unwrap();
        assert_eq!(trace.logfile().start_time(), FileTime::UNIX_EPOCH);
        assert_eq!(trace.logfile().session_name().to_string(), "recovered");
    }
    let mut ring = image.ring.clone();
    ring[..SIZE].fill(0);
    let (out, report) = recover(Some(&image.log), Some(&ring)).unwrap();
    assert_eq!(check(&out, &report).ids(), image.all_ids());
    assert_eq!(report.assumed, [Assumed::RingBelongs]);
    let (out, report) = recover(None, Some(&ring)).unwrap();
    let ringed = image.in_ring.iter().flat_map(|(sequence, (count, ..))| {
        image.lives[usize::try_from(sequence - 1).unwrap()].ids(*count)
    });
    assert_eq!(check(&out, &report).ids(), ringed.collect::<Vec<_>>());
}

#[test]
fn a_wrong_buffer_size_in_the_header_is_outvoted() {
    let image = Image::killed(7, 12);
    for size in [0u32, 71, 512, 8192, 1 << 20, u32::MAX] {
        let mut log = image.log.clone();
        log[104..108].copy_from_slice(&size.to_le_bytes());
        let (out, report) = recover(Some(&log), None).unwrap();
        let logged = image.in_log.iter().flat_map(|(sequence, (count, _))| {
            image.lives[usize::try_from(sequence - 1).unwrap()].ids(*count)
        });
        assert_eq!(check(&out, &report).ids(), logged.collect::<Vec<_>>(), "{size}");
        assert_eq!(report.assumed, [Assumed::BufferSize(4096)]);
    }
}

#[test]
fn system_time_is_known_by_its_stamps() {
    let mut log = Log::new(4096);
    let now = 133_000_000_000_000_000;
    log.buffer(0, 1, now + 9, &[classic(now, 1, 8), classic(now + 8, 2, 8)]);
    log.bytes[..4096].fill(0);
    let (out, report) = recover(Some(&log.bytes), None).unwrap();
    assert_eq!(report.assumed, [Assumed::BufferSize(4096), Assumed::SystemTime]);
    let trace = Trace::from_slice(&out).unwrap();
    assert_eq!(trace.clock().file_time(now + 8), FileTime(i64::try_from(now).unwrap() + 8));
}

#[test]
fn what_is_neither_log_nor_ring_says_so() {
    for bytes in [&b""[..], b"etl", &b"not a log file. ".repeat(1000), &[0; 9000], &[0xFF; 9000]] {
        assert!(matches!(recover(Some(bytes), None), Err(RecoverError::Nothing)));
        assert!(matches!(recover(None, Some(bytes)), Err(RecoverError::Nothing)));
    }
    assert!(matches!(recover(None, None), Err(RecoverError::Nothing)));
}

#[test]
fn damaged_records_are_taken_out_and_buffers_without_checksums_get_one() {
    let mut log = Log::new(4096);
    let records: Vec<_> = (1..5).map(|n| classic(2_000 + u64::from(n), n, 20)).collect();
    log.buffer(0, 1, 2_009, &records);
    // An event header needs 80 bytes; the record has 68.
    log.bytes[4096 + 72 + 72 + 2] = 19;
    let (out, report) = recover(Some(&log.bytes), None).unwrap();
    assert_eq!(report.left_out.len(), 1);
    assert_eq!(report.left_out[0].error.position, 4096 + 72 + 72);
    assert_eq!(report.left_out[0].records_kept, 3);
    let trace = Trace::from_slice(&out).unwrap();
    let mut cursor = trace.records_of(1..2);
    let mut marks = Vec::new();
    while let Some(record) = cursor.next() {
        marks.push(record.unwrap().view().unwrap().opcode().unwrap());
    }
    assert_eq!(marks, [1, 3, 4]);
    assert!(matches!(trace.verify_checksum(1), Ok(State::Valid { events_lost: 0 })));
}

#[test]
fn a_cut_compressed_buffer_is_packed_anew() {
    let mut log = Log::with_mode(4096, LogFileMode::COMPRESSED.0);
    let records: Vec<_> = (1..20).map(|n| classic(2_000 + u64::from(n), n, 20)).collect();
    log.compressed(0, 1, 2_050, &records);
    let second = log.compressed(1, 2, 2_051, &records);
    for cut in second..=log.bytes.len() {
        let (out, report) = recover(Some(&log.bytes[..cut]), None).unwrap();
        let trace = Trace::from_slice(&out).unwrap();
        assert_eq!(trace.damage(), [], "cut at {cut}");
        let mut cursor = trace.records();
        let mut count = 0;
        while let Some(record) = cursor.next() {
            record.unwrap().view().unwrap();
            count += 1;
        }
        // 36 bytes of the file for 32 of records, of which each takes 68 and padding.
        let stream = cut.saturating_sub(second + 72);
        let whole = (stream / 36 * 32 + (stream % 36).saturating_sub(4) + 4) / 72;
        assert_eq!(count, 1 + 19 + whole.min(19), "cut at {cut}");
        assert_eq!(report.left_out.is_empty(), cut == second || cut == log.bytes.len());
    }
}

/// A circular file is its session's ring: places in any order, some free, one half full.
#[test]
fn a_circular_file_is_read_in_time_order_and_recovered() {
    for seed in 0..50 {
        let mut random = Random(seed);
        let lives = images::lives(&mut random, 40, 3);
        let mut bytes = Log::with_mode(SIZE, LogFileMode::CIRCULAR.0).bytes;
        let kept = &lives[lives.len() - 7..];
        let mut places: Vec<_> = kept
            .iter()
            .enumerate()
            .map(|(at, life)| {
                let open = at + 2 >= kept.len();
                let state = if open { BufferState::GENERAL_LOGGING } else { BufferState::FLUSH };
                life.bytes(life.events.len(), state, &images::stale(&mut random))
            })
            .collect();
        places.extend((0..3).map(|_| images::free(&images::stale(&mut random))));
        for at in (1..places.len()).rev() {
            places.swap(at, random.below(at + 1));
        }
        bytes.extend(places.concat());
        let expected: Vec<u32> = kept.iter().flat_map(|life| life.ids(life.events.len())).collect();
        let trace = Trace::from_slice(&bytes).unwrap();
        assert_eq!(trace.damage(), []);
        let mut by_time = trace.by_time();
        let mut ids = Vec::new();
        while let Some(record) = by_time.next() {
            ids.extend(id_of(&record.unwrap().view().unwrap()).map(Result::unwrap));
        }
        assert_eq!(ids, expected);
        let (out, report) = recover(Some(&bytes), None).unwrap();
        assert_eq!(report.left_out, []);
        assert_eq!(check(&out, &report).ids(), expected);
    }
}

/// `../shared/samples`; `None`, with a message, where they are missing and need not be there.
fn samples() -> Option<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    if directory.join("expected.jsonl").is_file() {
        return Some(directory);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
    eprintln!("skipped: {} is missing", directory.display());
    None
}

/// Where each record lies in its buffer, and a digest of its bytes.
type Known = (i64, u16, u32, u32);

fn known(trace: &Trace<&[u8]>) -> Vec<(Known, u64)> {
    let mut records = trace.records();
    let mut all = Vec::new();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        record.view().unwrap();
        // The logfile header itself is completed.
        if record.buffer_index() == 0 && record.raw().offset == 0 {
            continue;
        }
        let raw = record.raw();
        let key = (record.sequence(), record.lane(), raw.offset, crc32fast::hash(raw.bytes));
        let entry = record.buffer();
        let end = if entry.is_compressed() {
            entry.position + u64::from(entry.size)
        } else {
            record.position() + raw.bytes.len() as u64
        };
        all.push((key, end));
    }
    all
}

#[test]
fn samples_cut_anywhere_give_every_record_before_the_cut() {
    let Some(directory) = samples() else { return };
    let mut cuts = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "etl") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        // The large ones in a few places: reading them takes long without optimization.
        let rounds = if bytes.len() > 1 << 20 { 4 } else { 200 };
        let whole = known(&Trace::from_slice(&bytes).unwrap());
        let mut random = Random(bytes.len() as u64);
        for round in 0..rounds {
            let cut = if round == 0 { bytes.len() } else { random.below(bytes.len()) };
            let Ok((out, report)) = recover(Some(&bytes[..cut]), None) else {
                assert!(cut < 1024, "{} cut at {cut}", path.display());
                continue;
            };
            let trace = Trace::from_slice(&out).unwrap();
            assert_eq!(trace.damage(), [], "{} cut at {cut}", path.display());
            assert!(trace.logfile().end_time().is_some());
            assert_eq!(report.left_out.is_empty() && round == 0, round == 0);
            let mut found: Vec<_> = known(&trace).into_iter().map(|(known, _)| known).collect();
            let before = whole.iter().filter(|(_, end)| *end <= cut as u64);
            let mut expected: Vec<_> = before.map(|(known, _)| *known).collect();
            found.sort_unstable();
            expected.sort_unstable();
            if trace.logfile().mode().has(LogFileMode::COMPRESSED) {
                // The buffer that was cut gives a beginning of its records.
                assert!(expected.iter().all(|known| found.binary_search(known).is_ok()));
                let mut all: Vec<_> = whole.iter().map(|(known, _)| *known).collect();
                all.sort_unstable();
                assert!(found.iter().all(|known| all.binary_search(known).is_ok()));
            } else {
                assert!(found == expected, "{} cut at {cut}", path.display());
            }
            cuts += 1;
        }
    }
    assert!(cuts > 2000, "{cuts}");
}

#[test]
fn the_ring_lies_beside_the_log() {
    assert_eq!(ring_path("logs/a.etl".as_ref()), PathBuf::from("logs/a.etl.ring"));
}
