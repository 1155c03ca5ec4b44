//! A plain reader on top of the codec: what each vector says, in the words of its expectation.
//!
//! It is the naive twin of the real reader: no merge, no seek, everything in lists.

use etlring::codec::{
    BufferView, LogfileView, RecordHeader, RecordView, Records, TickClock, xpress,
};
use etlring::error::{Fault, FormatError, Part};
use etlring::format::{BufferHeader, LogFileMode};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, hint::black_box};
use zerocopy::FromBytes;

/// Most bytes that a compressed buffer may unpack to in these tests.
pub(crate) const UNPACKED: usize = 1 << 17;

/// What was read: records and errors in file order, and what else the vector asks for.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) says: Vec<Value>,
    pub(crate) rest: Map<String, Value>,
    /// Whether every question is asked but no answer kept: the hostile tests ask often.
    quiet: bool,
    /// Sort keys of the records (not of the errors) in `says`.
    keys: Vec<Key>,
}

/// What time order compares, and whether the record has a stamp of its own.
#[derive(Clone, Copy)]
struct Key {
    ticks: u64,
    lane: u16,
    sequence: i64,
    offset: u32,
    buffer: Option<u64>,
    stamped: bool,
}

/// Where a record lies, for its keys.
#[derive(Clone, Copy)]
struct Place {
    buffer: Option<u64>,
    lane: u16,
    sequence: i64,
    stamp: u64,
    /// Position of the buffer's first record in the file.
    position: u32,
    clock: Option<TickClock>,
}

/// Reads `bytes` as what the expectation says they are.
pub(crate) fn read(what: &str, bytes: &[u8], size: usize) -> Said {
    read_as(what, bytes, size, false)
}

/// The same walk with nothing kept of it.
pub(crate) fn walk(what: &str, bytes: &[u8], size: usize) {
    read_as(what, bytes, size, true);
}

fn read_as(what: &str, bytes: &[u8], size: usize, quiet: bool) -> Said {
    let mut said = Said { quiet, ..Said::default() };
    match what {
        "records" => said.records(bytes, None),
        "buffer" => said.buffer(bytes),
        "file" => said.file(bytes),
        "stream" => said.stream(bytes, size),
        other => panic!("unknown vector: {other}"),
    }
    said
}

impl Said {
    fn stream(&mut self, bytes: &[u8], size: usize) {
        let mut out = vec![0; size.min(UNPACKED)];
        match xpress::decompress(bytes, &mut out) {
            Ok(()) if self.quiet => {}
            Ok(()) => {
                self.rest.insert("crc32".into(), json!(crc32(&out)));
                self.rest.insert("text".into(), json!(String::from_utf8_lossy(&out)));
            }
            Err(error) => self.error(error, 0),
        }
    }

    fn buffer(&mut self, bytes: &[u8]) {
        let (view, error) = BufferView::parse_damaged(bytes);
        if let Some(error) = error {
            self.error(error, 0);
        }
        assert_eq!(BufferView::parse(bytes).err(), error, "the strict view says the same");
        let Some(view) = view else { return };
        let header = view.header();
        let facts = json!({
            "lane": header.lane(),
            "sequence": header.sequence_number.get(),
            "time_stamp": header.time_stamp.get(),
            "filled": header.filled_bytes.get(),
            "state": header.state.get(),
            "flags": header.buffer_flags.get(),
            "type": header.buffer_type.get(),
            "logger": header.logger_id.get(),
        });
        self.rest.insert("buffer".into(), facts);
        let checksum = match view.verify_checksum() {
            Ok(etlring::codec::checksum::State::Absent) => "absent",
            Ok(etlring::codec::checksum::State::Valid { events_lost }) => {
                self.rest.insert("events_lost".into(), json!(events_lost));
                "valid"
            }
            Err(error) => {
                assert!(matches!(error.fault, Fault::Mismatch(..) | Fault::Truncated(..)));
                "mismatch"
            }
        };
        self.rest.insert("checksum".into(), json!(checksum));
        self.body(&view, Place::of(header, None, 0, None));
    }

    /// The records of a buffer, unpacked if they must be.
    fn body(&mut self, view: &BufferView<'_>, place: Place) {
        if !view.header().is_compressed() {
            return self.records_at(view.records(), place);
        }
        let mut out = vec![0; UNPACKED];
        match view.decompress(&mut out) {
            Ok(records) => self.records_at(Records::new(records), place),
            Err(error) => {
                self.error(error, place.position.saturating_sub(72));
                // What was unpacked before the damage is good; a record cut by it is part of it.
                let good = match error.fault {
                    Fault::Distance(_, done) => done,
                    Fault::Produced(done, promised) if done <= promised => done,
                    _ => 0,
                };
                let good = out.get(..good as usize).unwrap_or_default();
                let whole = Records::new(good).map_while(Result::ok).last();
                let end = whole.map_or(0, |raw| raw.offset as usize + raw.bytes.len());
                self.records_at(Records::new(&good[..end]), place);
            }
        }
    }

    fn file(&mut self, bytes: &[u8]) {
        let mut at = 0;
        let mut index = 0;
        let mut log: Option<LogfileView<'_>> = None;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let position = u32::try_from(at).unwrap();
            let (view, error) = BufferView::parse_damaged(rest);
            let zero = rest.iter().take(72).all(|b| *b == 0);
            let uniform = log.filter(|log| !log.mode().has(LogFileMode::COMPRESSED));
            let file_size = uniform.map(|log| log.buffer_size()).filter(|size| *size >= 72);
            let found = rest.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));

            let mut mended = Vec::new();
            let view = match file_size {
                _ if zero && rest.len() < 72 => break,
                Some(size) if rest.len() >= 72 && (zero || found != size) => {
                    let next = next_header(bytes, at, size);
                    if zero && next.is_none() {
                        break;
                    }
                    let least = if zero { 72 } else { size };
                    self.error(Fault::Length(found, least, size).at(Part::Buffer, 0), position);
                    if zero || !is_sound(rest, found) {
                        let Some(next) = next else { break };
                        at = next;
                        continue;
                    }
                    mended.extend_from_slice(rest);
                    mended[..4].copy_from_slice(&size.to_le_bytes());
                    BufferView::parse_damaged(&mended).0
                }
                None if zero && index > 0 => break,
                _ => {
                    if let Some(error) = error {
                        self.error(error, position);
                    }
                    view
                }
            };
            let Some(view) = view else { break };
            if log.is_none() {
                let first = BufferView::parse_damaged(rest).0.and_then(|v| v.records().next());
                match first.map(|raw| raw.and_then(LogfileView::parse)) {
                    Some(Ok(found)) => log = Some(found),
                    Some(Err(error)) => return self.error(error, position + 72),
                    None => return,
                }
            }
            let clock = log.map(|log| log.clock());
            self.body(&view, Place::of(view.header(), Some(index), position + 72, clock));
            at = at.saturating_add(view.header().buffer_size.get() as usize);
            index += 1;
        }
        if self.quiet {
            return;
        }
        if let Some(log) = log {
            self.rest.insert("logfile".into(), logfile(&log));
        }
        let order = self.time_order();
        self.rest.insert("time_order".into(), json!(order));
    }

    fn records(&mut self, bytes: &[u8], clock: Option<TickClock>) {
        let place = Place { buffer: None, lane: 0, sequence: 0, stamp: 0, position: 0, clock };
        self.records_at(Records::new(bytes), place);
    }

    fn records_at(&mut self, records: Records<'_>, place: Place) {
        for raw in records {
            match raw.and_then(RecordView::parse) {
                Ok(record) if self.quiet => ask(&record),
                Ok(record) => {
                    self.keys.push(Key {
                        ticks: record.ticks().unwrap_or(place.stamp),
                        lane: place.lane,
                        sequence: place.sequence,
                        offset: record.raw().offset,
                        buffer: place.buffer,
                        stamped: record.ticks().is_some(),
                    });
                    self.says.push(record_said(&record, place));
                }
                Err(error) => self.error(error, place.position),
            }
        }
    }

    fn error(&mut self, error: FormatError, position: u32) {
        if self.quiet {
            return;
        }
        assert!(!error.to_string().is_empty());
        let (fault, numbers) = fault(error.fault);
        let offset = error.offset.saturating_add(position);
        let part = error.part.to_string();
        self.says.push(json!({"error": {
            "part": part, "offset": offset, "fault": fault, "numbers": numbers
        }}));
    }

    /// Records by ticks, lane, sequence, offset; a stamp that runs backwards in its lane counts as
    /// the greatest before it; a record without a stamp counts with its buffer's.
    fn time_order(&self) -> Vec<usize> {
        let mut in_lane: Vec<usize> = (0..self.keys.len()).collect();
        in_lane.sort_by_key(|&i| (self.keys[i].sequence, self.keys[i].buffer, self.keys[i].offset));
        let mut keys = self.keys.clone();
        let mut greatest = BTreeMap::new();
        for i in in_lane {
            let key = &mut keys[i];
            if key.stamped {
                // The first buffer of a file is a lane of its own.
                let lane = (key.lane, key.buffer == Some(0));
                let greatest = greatest.entry(lane).or_insert(0);
                *greatest = key.ticks.max(*greatest);
                key.ticks = *greatest;
            }
        }
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|&i| {
            let key = &keys[i];
            (key.ticks, key.lane, key.sequence, key.offset, key.buffer)
        });
        order
    }
}

impl Place {
    fn of(
        header: &BufferHeader,
        buffer: Option<u64>,
        position: u32,
        clock: Option<TickClock>,
    ) -> Self {
        Self {
            buffer,
            lane: header.lane(),
            sequence: header.sequence_number.get(),
            stamp: header.time_stamp.get(),
            position,
            clock,
        }
    }
}

/// Asks a record everything.
fn ask(record: &RecordView<'_>) {
    let ids = (record.process_id(), record.thread_id(), record.id(), record.version());
    let guids = (record.provider(), record.activity_id(), record.group());
    let rest = (record.level(), record.opcode(), record.ticks(), record.bits());
    black_box((ids, guids, rest, record.header_name(), record.payload()));
    for item in record.items() {
        black_box(item.expect("checked when the record was parsed").guid());
    }
}

/// The next sound header of this size, at steps of it.
fn next_header(bytes: &[u8], at: usize, size: u32) -> Option<usize> {
    (1..).map(|k| at + k * size as usize).take_while(|at| *at < bytes.len()).find(|at| {
        let rest = &bytes[*at..];
        is_sound(rest, size) && rest[..4] == size.to_le_bytes()
    })
}

/// Whether `bytes` starts with a header that no writer would have written otherwise.
fn is_sound(bytes: &[u8], size: u32) -> bool {
    let Ok((header, _)) = BufferHeader::ref_from_prefix(bytes) else { return false };
    let most = if header.is_compressed() { (16 << 20) + 72 } else { size };
    (72..=most).contains(&header.filled_bytes.get())
        && header.buffer_flags.get() <= 0x7F
        && header.buffer_type.get() <= 7
        && header.state.get() <= 6
        && header.reference_count.get() == 0
}

/// All that a record can say; an expectation asks for a part of it.
fn record_said(record: &RecordView<'_>, place: Place) -> Value {
    let text = |guid: etlring::format::Guid| guid.to_string();
    let raw = record.raw();
    let mut said = json!({
        "header": record.header_name(),
        "bits": record.bits(),
        "provider": record.provider().map(text),
        "id": record.id(),
        "version": record.version(),
        "level": record.level(),
        "opcode": record.opcode(),
        "pid": record.process_id(),
        "tid": record.thread_id(),
        "ticks": record.ticks(),
        "len": record.payload().len(),
        "crc32": crc32(record.payload()),
        "size": raw.bytes.len(),
        "offset": raw.offset,
        "lane": place.lane,
        "buffer": place.buffer,
        "filetime": place.clock.and_then(|c| record.ticks().map(|t| c.file_time(t).0)),
        "activity": record.activity_id().map(text),
        "items": record.items().map(|item| {
            let item = item.expect("checked when the record was parsed");
            json!([item.ext_type.0, item.data.iter().map(|b| format!("{b:02x}")).collect::<String>()])
        }).collect::<Vec<_>>(),
    });
    let mut add = |key: &str, value: Value| said[key] = value;
    if let Some(descriptor) = record.descriptor() {
        add("channel", json!(descriptor.channel));
        add("task", json!(descriptor.task.get()));
        add("keyword", json!(format!("{:#x}", descriptor.keyword.get())));
    }
    match record.header() {
        RecordHeader::Message(message) => {
            add("sequence", json!(message.sequence()));
            add("component", json!(message.component()));
        }
        RecordHeader::Instance(header) => {
            add("instance", json!(header.instance_id.get()));
            add("parent_instance", json!(header.parent_instance_id.get()));
            add("parent_class", json!(text(header.parent_guid)));
        }
        _ => {}
    }
    said
}

fn logfile(log: &LogfileView<'_>) -> Value {
    json!({
        "bits": log.bits(),
        "buffer_size": log.buffer_size(),
        "version": log.version(),
        "provider_version": log.provider_version(),
        "processors": log.number_of_processors(),
        "end_time": log.end_time().map(|t| t.0),
        "timer_resolution": log.timer_resolution(),
        "maximum_file_size": log.maximum_file_size(),
        "mode": log.mode().0,
        "buffers_written": log.buffers_written(),
        "pointer_size": log.pointer_size(),
        "events_lost": log.events_lost(),
        "buffers_lost": log.buffers_lost(),
        "cpu_speed_mhz": log.cpu_speed_mhz(),
        "bias": log.time_zone().bias.get(),
        "boot_time": log.boot_time().0,
        "perf_freq": log.perf_freq(),
        "start_time": log.start_time().0,
        "start_ticks": log.record_header().system_time.get(),
        "clock": log.clock_type().0,
        "session": log.session_name().to_string(),
        "name": log.log_file_name().to_string(),
    })
}

/// The word for a fault and its numbers.
fn fault(fault: Fault) -> (&'static str, Vec<u32>) {
    match fault {
        Fault::Truncated(a, b) => ("truncated", vec![a, b]),
        Fault::Length(a, b, c) => ("length", vec![a, b, c]),
        Fault::Marker(a) => ("marker", vec![a]),
        Fault::NotLogfileHeader(a, b) => ("not-logfile-header", vec![a.into(), b.into()]),
        Fault::Distance(a, b) => ("distance", vec![a, b]),
        Fault::Produced(a, b) => ("produced", vec![a, b]),
        Fault::Mismatch(a, b) => ("mismatch", vec![a, b]),
        Fault::NoSpace(a, b) => ("no-space", vec![a, b]),
        other => panic!("a fault without a word: {other:?}"),
    }
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> String {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xEDB8_8320 }
        })
    });
    format!("{:08x}", !crc)
}
