//! `etlring info`: what a log file says of itself, and what its buffers say.

use crate::input::{Input, OneLog, open};
use crate::json::report;
use crate::loss::Losses;
use crate::outcome::{Failure, Outcome};
use crate::text::{self, count, counted, escaped, size, span};
use crate::walk::Complaints;
use etlring::codec::checksum::State;
use etlring::format::{BufferState, FileTime, LogFileMode, TimeZoneInformation};
use etlring::reader::{BufferEntry, ReadError, RingState, Source};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: etlring info boot.etl")]
pub(crate) struct Args {
    #[command(flatten)]
    log: OneLog,
}

/// Runs `info`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let input = open(&args.log.file)?;
    let mut complaints = Complaints::default();
    for error in input.trace.damage() {
        complaints.add(&input, error);
    }
    let found = Found::of(&input, &mut complaints);
    let text = if args.log.json { found.json(&input) } else { found.text(&input) };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(complaints.outcome())
}

/// What the buffers say.
struct Found {
    lanes: usize,
    compressed: usize,
    checksums: Checksums,
    losses: Losses,
    /// Damaged places, those that a wrong checksum names not counted.
    damaged: u64,
    free: usize,
    open: usize,
    in_ring: usize,
}

/// How many buffers carry a checksum, and how many of these are right.
#[derive(Default)]
struct Checksums {
    valid: usize,
    wrong: usize,
    absent: usize,
}

impl Checksums {
    fn word(&self) -> &'static str {
        match (self.valid, self.wrong) {
            (0, 0) => "absent",
            (_, 0) => "valid",
            _ => "wrong",
        }
    }
}

impl Found {
    fn of(input: &Input, complaints: &mut Complaints) -> Self {
        let buffers = input.trace.buffers();
        let lanes: BTreeSet<u16> = buffers.iter().map(|buffer| buffer.lane).collect();
        let mut checksums = Checksums::default();
        let mut told = Vec::new();
        for index in 0..buffers.len() {
            match input.trace.verify_checksum(index) {
                Ok(State::Valid { .. }) => checksums.valid += 1,
                Ok(State::Absent) => checksums.absent += 1,
                Err(error) => {
                    checksums.wrong += 1;
                    // Of a buffer of the ring the index said it already.
                    if !error.in_ring {
                        complaints.add(input, &error);
                        told.push(error);
                    }
                }
            }
        }
        let (losses, damaged) = records(input, &told, complaints);
        Self {
            lanes: lanes.len(),
            compressed: buffers.iter().filter(|buffer| buffer.is_compressed()).count(),
            checksums,
            losses,
            damaged: input.trace.damage().len() as u64 + damaged,
            free: count_of(input, |buffer| buffer.state == BufferState::FREE),
            open: count_of(input, |buffer| buffer.state == BufferState::GENERAL_LOGGING),
            in_ring: count_of(input, BufferEntry::in_ring),
        }
    }

    fn json(&self, input: &Input) -> String {
        let trace = &input.trace;
        let logfile = trace.logfile();
        let [major, minor, sub, sub_minor] = logfile.version();
        let time = |time: FileTime| Some(time).filter(|time| time.0 != 0).map(text::time);
        let mut value: Value = json!({
            "file": input.name,
            "bytes": trace.source().size(),
            "session_name": logfile.session_name().to_string(),
            "log_file_name": logfile.log_file_name().to_string(),
            "bits": logfile.bits(),
            "os_version": format!("{major}.{minor}"),
            "os_build": logfile.provider_version(),
            "layout_version": format!("{sub}.{sub_minor}"),
            "processors": logfile.number_of_processors(),
            "cpu_mhz": logfile.cpu_speed_mhz(),
            "mode": logfile.mode().0,
            "mode_names": mode_names(logfile.mode()),
            "maximum_file_size": logfile.maximum_file_size(),
            "clock": logfile.clock_type().name(),
            "clock_type": logfile.clock_type().0,
            "ticks_per_second": logfile.perf_freq(),
            "start_ticks": trace.clock().start_ticks,
            "timer_resolution": logfile.timer_resolution(),
            "start_time": time(logfile.start_time()),
            "end_time": logfile.end_time().and_then(time),
            "boot_time": time(logfile.boot_time()),
            "time_zone": time_zone_json(logfile.time_zone()),
            "finished": logfile.end_time().is_some(),
            "buffer_size": logfile.buffer_size(),
            "buffers": trace.buffers().len(),
            "buffers_written": logfile.buffers_written(),
            "unused_bytes": trace.unused_tail(),
            "compressed": self.compressed > 0,
            "compressed_buffers": self.compressed,
            "lanes": self.lanes,
            "buffers_free": self.free,
            "buffers_open": self.open,
            "buffers_from_ring": self.in_ring,
            "ring": ring(input),
            "checksums": self.checksums.word(),
            "checksums_valid": self.checksums.valid,
            "checksums_wrong": self.checksums.wrong,
            "damage": self.damaged,
        });
        self.losses.put_json(&mut value);
        report(&value)
    }

    fn text(&self, input: &Input) -> String {
        let trace = &input.trace;
        let logfile = trace.logfile();
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{name:14}{value}");
        };
        let session = logfile.session_name().to_string();
        let log_file = logfile.log_file_name().to_string();
        let bytes = trace.source().size();
        line("file", format!("{}, {}", escaped(&input.name), size(bytes)));
        line("session", escaped(&session).to_string());
        line("log file", escaped(&log_file).to_string());
        line("state", self.state(input));
        line("system", system(input));
        line("mode", mode(logfile.mode()));
        line("clock", clock(input));
        for (name, time) in times(input) {
            line(name, time);
        }
        line("time zone", time_zone(logfile.time_zone()));
        line("buffers", self.buffers(input));
        line("lanes", self.lanes.to_string());
        if trace.ring().is_joined() {
            line("ring", format!("{} read from it", counted(self.in_ring as u64, "buffer")));
        }
        let mut name = "lost";
        for loss in self.losses.lines() {
            line(std::mem::take(&mut name), loss);
        }
        line("checksums", self.checksum_text());
        out
    }

    fn state(&self, input: &Input) -> String {
        let finished = match input.trace.logfile().end_time() {
            Some(_) => "finished",
            None => "not finished: still open, or its session was killed",
        };
        let damage = match self.damaged {
            0 => String::new(),
            n => format!(", {}", counted(n, "damaged place")),
        };
        let compressed = if self.compressed > 0 { ", compressed" } else { ", not compressed" };
        format!("{finished}{compressed}{damage}")
    }

    fn buffers(&self, input: &Input) -> String {
        let logfile = input.trace.logfile();
        let mut text = format!(
            "{} of {}, header says {}",
            count(input.trace.buffers().len() as u64),
            size(u64::from(logfile.buffer_size())),
            count(u64::from(logfile.buffers_written()))
        );
        if self.compressed > 0 {
            let _ = write!(text, ", {} compressed", count(self.compressed as u64));
        }
        for (number, what) in [(self.free, "free"), (self.open, "being filled")] {
            if number > 0 {
                let _ = write!(text, ", {} {what}", count(number as u64));
            }
        }
        if input.trace.unused_tail() > 0 {
            let _ = write!(text, ", {} unused at the end", size(input.trace.unused_tail()));
        }
        text
    }

    fn checksum_text(&self) -> String {
        let Checksums { valid, wrong, absent } = self.checksums;
        match (valid, wrong) {
            (0, 0) => "absent, as in all files from Windows".to_owned(),
            (valid, 0) => format!("{valid} valid, {absent} buffers without"),
            (valid, wrong) => format!("{wrong} WRONG, {valid} valid, {absent} buffers without"),
        }
    }
}

/// Looks at every record: for what is said of losses, and for damage, of which it gives the number.
/// `told` are the buffers' faults that were named already.
fn records(input: &Input, told: &[ReadError], complaints: &mut Complaints) -> (Losses, u64) {
    let mut losses = Losses::default();
    losses.add_log(input);
    let mut damaged = 0;
    // Both come in the order of the file.
    let mut told = told.iter().peekable();
    let mut records = input.trace.records();
    while let Some(record) = records.next() {
        match record.and_then(|record| record.view()) {
            Ok(view) => losses.add_record(&view, input.trace.clock()),
            Err(error) => {
                while told.next_if(|known| known.position < error.position).is_some() {}
                // A buffer that cannot be unpacked has no checksum either.
                if told.peek() != Some(&&error) {
                    damaged += 1;
                    complaints.add(input, &error);
                }
            }
        }
    }
    (losses, damaged)
}

/// Data buffers of a kind.
fn count_of(input: &Input, kind: impl Fn(&BufferEntry) -> bool) -> usize {
    input.trace.buffers().iter().skip(1).filter(|buffer| kind(buffer)).count()
}

/// `absent`, `joined` or `left alone`.
fn ring(input: &Input) -> &'static str {
    match input.trace.ring() {
        RingState::Joined { .. } => "joined",
        RingState::LeftAlone(_) => "left alone",
        _ => "absent",
    }
}

fn mode_names(mode: LogFileMode) -> Vec<&'static str> {
    let names = LogFileMode::NAMES.iter();
    names.filter(|(bit, _)| mode.0 & bit != 0).map(|(_, name)| *name).collect()
}

fn mode(mode: LogFileMode) -> String {
    let names = mode_names(mode);
    let names = if mode.0 == 0 { "NONE".to_owned() } else { names.join(" ") };
    format!("{:#x} {names}", mode.0).trim_end().to_owned()
}

/// Offsets of the recording machine's local time: `UTC+01:00, UTC+02:00 in daylight saving time`.
fn time_zone(zone: &TimeZoneInformation) -> String {
    let offset = |bias: i32| {
        // `local = UTC - bias`; a bias that makes no sense is shown as it is.
        let minutes = -i64::from(zone.bias.get()) - i64::from(bias);
        let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.unsigned_abs());
        format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    };
    let standard = offset(zone.standard_bias.get());
    match has_daylight_time(zone) {
        true => format!("{standard}, {} in daylight saving time", offset(zone.daylight_bias.get())),
        false => standard,
    }
}

/// As in the file: minutes that are added to local time for UTC.
fn time_zone_json(zone: &TimeZoneInformation) -> Value {
    let name = |units: Vec<u16>| {
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        String::from_utf16_lossy(&units[..end])
    };
    let standard = zone.standard_name.iter().map(|unit| unit.get()).collect();
    let in_summer = zone.daylight_name.iter().map(|unit| unit.get()).collect();
    let daylight = has_daylight_time(zone);
    json!({
        "bias_minutes": zone.bias.get(),
        "standard_bias_minutes": zone.standard_bias.get(),
        "standard_name": name(standard),
        "daylight_bias_minutes": daylight.then(|| zone.daylight_bias.get()),
        "daylight_name": daylight.then(|| name(in_summer)),
    })
}

/// Without a date there is none.
fn has_daylight_time(zone: &TimeZoneInformation) -> bool {
    zone.daylight_date.month.get() != 0
}

fn system(input: &Input) -> String {
    let logfile = input.trace.logfile();
    let [major, minor, ..] = logfile.version();
    format!(
        "{major}.{minor} build {}, {}-bit, {} at {} MHz",
        logfile.provider_version(),
        logfile.bits(),
        counted(logfile.number_of_processors().into(), "processor"),
        count(u64::from(logfile.cpu_speed_mhz()))
    )
}

fn clock(input: &Input) -> String {
    let logfile = input.trace.logfile();
    let name = logfile.clock_type().name();
    let name = name.map_or_else(|| format!("type {}", logfile.clock_type().0), str::to_owned);
    format!("{name}, {} ticks a second", count(logfile.perf_freq()))
}

fn times(input: &Input) -> Vec<(&'static str, String)> {
    let logfile = input.trace.logfile();
    let start = logfile.start_time();
    let mut times = vec![("started", text::time(start))];
    if let Some(end) = logfile.end_time() {
        let lasted = span(end.0.saturating_sub(start.0));
        times.push(("ended", format!("{}, after {lasted}", text::time(end))));
    }
    if logfile.boot_time().0 != 0 {
        times.push(("booted", text::time(logfile.boot_time())));
    }
    times
}
