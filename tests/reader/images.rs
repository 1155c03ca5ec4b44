//! Logs and rings as a session leaves them when it is killed, made by hand: every event proves
//! itself, so that a reader's answer can be held against a list.

use crate::log::{Log, START_TICKS};
use etlring::codec::{RecordView, checksum, encode};
use etlring::format::{BufferFlags, BufferHeader, BufferState, EventTraceHeader, Guid};
use std::collections::BTreeMap;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

pub(crate) const SIZE: usize = 4096;

/// A small generator, so that a failure is the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

pub(crate) const PROVIDER: Guid = Guid::from_u128(0x7a0b_61d2_0000_4000_8000_0000_0000_0001);

/// The record of event `id`: a payload that nothing but this event has.
pub(crate) fn event(id: u32, ticks: u64) -> Vec<u8> {
    let mut payload = id.to_le_bytes().to_vec();
    let mut random = Random(u64::from(id));
    payload.extend((0..random.below(300)).map(|_| u8::try_from(random.below(255)).unwrap()));
    let mut header = EventTraceHeader::new_zeroed();
    header.guid = PROVIDER;
    header.time_stamp = ticks.into();
    let mut out = vec![0; EventTraceHeader::SIZE + payload.len()];
    encode::classic(&mut out, &header, 64, &payload).unwrap();
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// The event of a record: `None` if the record is none of ours, an error if it is not whole.
pub(crate) fn id_of(view: &RecordView<'_>) -> Option<Result<u32, String>> {
    if view.provider() != Some(PROVIDER) {
        return None;
    }
    let payload = view.payload();
    let Some(id) = payload.first_chunk() else { return Some(Err("short".into())) };
    let id = u32::from_le_bytes(*id);
    let mut whole = event(id, view.ticks().unwrap());
    whole.truncate(view.raw().bytes.len());
    let same = view.raw().bytes == whole && Random(u64::from(id)).below(300) + 4 == payload.len();
    Some(if same { Ok(id) } else { Err(format!("event {id} is not whole")) })
}

/// One buffer of a session at all moments of its life.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) sequence: i64,
    pub(crate) lane: u16,
    pub(crate) first_id: u32,
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) last_ticks: u64,
}

impl Life {
    /// End of the first `count` events.
    pub(crate) fn filled(&self, count: usize) -> usize {
        72 + self.events[..count].iter().map(Vec::len).sum::<usize>()
    }

    /// End of the last of the first `count` events, without its padding.
    pub(crate) fn end(&self, count: usize) -> usize {
        let Some(last) = count.checked_sub(1) else { return 72 };
        let event = &self.events[last];
        self.filled(last) + usize::from(u16::from_le_bytes([event[0], event[1]]))
    }

    pub(crate) fn ids(&self, count: usize) -> std::ops::Range<u32> {
        self.first_id..self.first_id + u32::try_from(count).unwrap()
    }

    /// The buffer with its first `count` events, in a state, over what was there before.
    pub(crate) fn bytes(&self, count: usize, state: BufferState, before: &[u8]) -> Vec<u8> {
        let filled = self.filled(count);
        let mut bytes = before.to_vec();
        let mut at = 72;
        for event in &self.events[..count] {
            bytes[at..at + event.len()].copy_from_slice(event);
            at += event.len();
        }
        let size = u32::try_from(bytes.len()).unwrap();
        let end = u32::try_from(filled).unwrap();
        let mut header = encode::sealed_header(size, end, self.lane, self.sequence);
        header.state = state.0.into();
        header.buffer_flags = BufferFlags::PROC_INDEX.0.into();
        if state == BufferState::FLUSH {
            header.time_stamp = (self.last_ticks + 1).into();
            encode::seal(&mut bytes, &header).unwrap();
            header.reserved = checksum::field(&bytes, 0).unwrap();
        } else {
            header.saved_offset = 72.into();
            header.current_offset = 72.into();
        }
        bytes[..72].copy_from_slice(header.as_bytes());
        bytes
    }
}

/// A place of the pool with nothing in it; the records of its last use are still there.
pub(crate) fn free(before: &[u8]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let size = u32::try_from(bytes.len()).unwrap();
    let mut header = encode::sealed_header(size, 72, 0, 0);
    header.state = BufferState::FREE.0.into();
    header.buffer_flags = 0.into();
    bytes[..72].copy_from_slice(header.as_bytes());
    bytes
}

/// What a killed session left.
pub(crate) struct Image {
    pub(crate) log: Vec<u8>,
    pub(crate) ring: Vec<u8>,
    pub(crate) lives: Vec<Life>,
    /// How many events of each buffer the log has, at which place; the ring likewise.
    pub(crate) in_log: BTreeMap<i64, (usize, usize)>,
    pub(crate) in_ring: BTreeMap<i64, (usize, usize, BufferState)>,
}

/// The buffers of a session of `lanes`, filled one after another.
pub(crate) fn lives(random: &mut Random, count: usize, lanes: usize) -> Vec<Life> {
    let mut ticks = START_TICKS;
    let mut next_id = 1;
    (1..=count)
        .map(|sequence| {
            let lane = u16::try_from(random.below(lanes)).unwrap();
            let (mut events, mut filled) = (Vec::new(), 72);
            let first_id = next_id;
            let most = if random.below(4) == 0 { 1 + random.below(5) } else { usize::MAX };
            while events.len() < most {
                let next = ticks + u64::try_from(random.below(3)).unwrap() + 1;
                let event = event(next_id, next);
                if filled + event.len() > SIZE {
                    break;
                }
                ticks = next;
                filled += event.len();
                events.push(event);
                next_id += 1;
            }
            let sequence = i64::try_from(sequence).unwrap();
            Life { sequence, lane, first_id, events, last_ticks: ticks }
        })
        .collect()
}

impl Image {
    /// The files of a session that was killed at some moment: every buffer is whole in one of them.
    pub(crate) fn killed(seed: u64, count: usize) -> Self {
        let mut random = Random(seed);
        let lives = lives(&mut random, count, 3);
        let header = Log::new(SIZE).bytes;
        let (mut log, mut ring) = (vec![header.clone()], Vec::new());
        let (mut in_log, mut in_ring) = (BTreeMap::new(), BTreeMap::new());
        for life in &lives {
            let all = life.events.len();
            let part = random.below(all + 1);
            let stale = stale(&mut random);
            // What the log has, and what the ring.
            let (logged, ringed) = match random.below(6) {
                0 | 1 => (Some(all), None),
                2 => (Some(all), Some((all, BufferState::FLUSH))),
                3 => (Some(part), Some((all, BufferState::GENERAL_LOGGING))),
                4 => (Some(part), Some((all, BufferState::FLUSH))),
                _ => (None, Some((all, BufferState::GENERAL_LOGGING))),
            };
            if let Some(events) = logged {
                in_log.insert(life.sequence, (events, log.len()));
                log.push(life.bytes(events, BufferState::FLUSH, &[0; SIZE]));
            }
            if let Some((events, state)) = ringed {
                in_ring.insert(life.sequence, (events, 0, state));
                ring.push((Some(life.sequence), life.bytes(events, state, &stale)));
            } else {
                ring.push((None, free(&stale)));
            }
        }
        // Places of the ring in any order.
        for at in (1..ring.len()).rev() {
            ring.swap(at, random.below(at + 1));
        }
        let mut bytes = header;
        for (place, (sequence, buffer)) in ring.iter().enumerate() {
            bytes.extend_from_slice(buffer);
            if let Some(known) = sequence.and_then(|sequence| in_ring.get_mut(&sequence)) {
                known.1 = place + 1;
            }
        }
        Self { log: log.concat(), ring: bytes, lives, in_log, in_ring }
    }

    /// Every event that was committed.
    pub(crate) fn all_ids(&self) -> Vec<u32> {
        self.lives.iter().flat_map(|life| life.ids(life.events.len())).collect()
    }
}

/// What a place of the ring held before: an older buffer, with stamps before all others.
pub(crate) fn stale(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; SIZE];
    if random.below(3) != 0 {
        let mut at = 72;
        loop {
            let event = event(1_000_000 + u32::try_from(random.below(1000)).unwrap(), 1);
            if at + event.len() > SIZE {
                break;
            }
            bytes[at..at + event.len()].copy_from_slice(&event);
            at += event.len();
        }
    }
    bytes
}

/// Reads one header of an image.
pub(crate) fn header(bytes: &[u8], place: usize) -> BufferHeader {
    BufferHeader::read_from_prefix(&bytes[place * SIZE..]).unwrap().0
}
