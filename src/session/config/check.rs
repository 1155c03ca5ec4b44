//! Whether the settings go together, and what comes of them.

use super::{
    ConfigError, FileMode, FileSize, MAX_BUFFERS, MAX_FLUSH_MS, MAX_NAME, MAX_RING_BYTES,
    RESIDENT_BYTES, SequenceMode, SessionBuilder, SyncMode, WhenFull,
    checked::{Config, FileConfig, RingConfig},
};
use crate::codec::LogfileView;
use crate::format::{LogFileMode, MAX_BUFFER_SIZE, MAX_LANES, MIN_BUFFER_SIZE};
use crate::session::lane::HEADER_BYTES;
use crate::sink::Series;

impl SessionBuilder {
    /// What the settings say of the log file, and their bits of its mode.
    fn check_file(&self) -> Result<(FileConfig, LogFileMode), ConfigError> {
        let new_file = self.file_mode == FileMode::NewFile;
        let append = self.file_mode == FileMode::Append;
        let sized = self.maximum_file_size.is_some();
        let needs = |set: bool, setting, there: bool, other| {
            if set && !there { Err(ConfigError::Needs(setting, other)) } else { Ok(()) }
        };
        let asked = [
            ("file_mode", self.file_mode != FileMode::Sequential),
            ("maximum_file_size", sized),
            ("preallocate", self.preallocate),
            ("delay_open", self.delay_open),
            ("sync", self.sync != SyncMode::Never),
            ("storage", self.storage.is_some()),
        ];
        for (setting, set) in asked {
            needs(set, setting, self.log_file.is_some(), "log_file")?;
        }
        let timed = self.new_file_interval.is_some();
        needs(timed, "new_file_interval", new_file, "FileMode::NewFile")?;
        needs(self.files_kept.is_some(), "files_kept", new_file, "FileMode::NewFile")?;
        needs(self.preallocate, "preallocate", sized, "maximum_file_size")?;
        needs(
            new_file,
            "FileMode::NewFile",
            sized || timed,
            "maximum_file_size or new_file_interval",
        )?;
        let circular = self.file_mode == FileMode::Circular;
        needs(circular, "FileMode::Circular", sized, "maximum_file_size")?;
        if circular {
            let excluded = [
                ("preallocate", self.preallocate),
                ("delay_open", self.delay_open),
                ("sync", self.sync != SyncMode::Never),
                ("storage", self.storage.is_some()),
                ("ring_file", self.ring_file == Some(true)),
            ];
            if let Some((setting, _)) = excluded.into_iter().find(|(_, set)| *set) {
                return Err(ConfigError::Excludes(setting, "FileMode::Circular"));
            }
        }
        if append && self.delay_open {
            return Err(ConfigError::Excludes("delay_open", "FileMode::Append"));
        }
        if new_file && self.log_file.as_deref().and_then(Series::new).is_none() {
            return Err(ConfigError::FileNumber);
        }

        let mut mode = match self.file_mode {
            FileMode::Sequential => LogFileMode::SEQUENTIAL,
            FileMode::Append => LogFileMode::SEQUENTIAL.with(LogFileMode::APPEND),
            FileMode::NewFile => LogFileMode::NEWFILE,
            FileMode::Circular => LogFileMode::CIRCULAR,
        };
        if self.memory_ring {
            mode = LogFileMode::BUFFERING;
        }
        if self.real_time {
            let file = if self.log_file.is_some() || self.sink.is_some() { mode.0 } else { 0 };
            mode = LogFileMode(file).with(LogFileMode::REAL_TIME);
        }
        for (bit, set) in [
            (LogFileMode::NO_PER_PROCESSOR_BUFFERING, self.one_lane),
            (LogFileMode::PREALLOCATE, self.preallocate),
            (LogFileMode::DELAY_OPEN_FILE, self.delay_open),
            (
                LogFileMode::USE_KBYTES_FOR_SIZE,
                matches!(self.maximum_file_size, Some(FileSize::Kb(_))),
            ),
        ] {
            if set {
                mode = mode.with(bit);
            }
        }
        let mut file = FileConfig {
            new_file_interval: self.new_file_interval,
            delay_open: self.delay_open,
            append,
            ..FileConfig::default()
        };
        if let Some(size @ (FileSize::Mb(told) | FileSize::Kb(told))) = self.maximum_file_size {
            (file.maximum_bytes, file.maximum_size) = (size.bytes(), told);
        }
        Ok((file, mode))
    }

    fn check_file_numbers(&self) -> Result<(), ConfigError> {
        let three = 3 * u64::from(self.buffer_size);
        match self.maximum_file_size {
            // The header, a buffer of events, and one that tells what was lost.
            Some(FileSize::Mb(mb)) => {
                let least = three.div_ceil(1 << 20);
                range("maximum_file_size_mb", mb.into(), least, u32::MAX.into(), "MB")?;
            }
            Some(FileSize::Kb(kb)) => {
                let least = three.div_ceil(1 << 10);
                range("maximum_file_size_kb", kb.into(), least, u32::MAX.into(), "KB")?;
            }
            None => {}
        }
        if let Some(interval) = self.new_file_interval {
            range("new_file_interval", interval.as_secs(), 1, 366 * 86_400, "s")?;
        }
        if let Some(kept) = self.files_kept {
            range("files_kept", kept.into(), 2, 1_000_000, "files")?;
        }
        Ok(())
    }

    /// The settings, if a session can have them. Nothing is looked at but they.
    pub(crate) fn check(&self) -> Result<Config, ConfigError> {
        let size = self.buffer_size;
        let (least, most) = (u64::from(MIN_BUFFER_SIZE), u64::from(MAX_BUFFER_SIZE));
        range("buffer_size", u64::from(size), least, most, "bytes")?;
        if size % 1024 != 0 {
            return Err(ConfigError::Unaligned(size));
        }
        self.check_file_numbers()?;
        let ring = self.check_ring()?;
        let maximum = match (ring, self.maximum_file_size) {
            (RingConfig::Circular, Some(told)) => {
                let buffers = (told.bytes() / u64::from(size)).saturating_sub(1);
                u32::try_from(buffers).unwrap_or(u32::MAX)
            }
            _ => self.maximum_buffers,
        };
        range("maximum_buffers", u64::from(maximum), 2, u64::from(MAX_BUFFERS), "buffers")?;
        let usual = match ring {
            RingConfig::Memory | RingConfig::BesideLog { .. } => 32,
            // All of them will be used.
            _ => RESIDENT_BYTES / size,
        };
        let minimum = self.minimum_buffers.unwrap_or(maximum.min(usual.max(1)));
        range("minimum_buffers", u64::from(minimum), 1, u64::from(maximum), "buffers")?;
        let memory = u64::from(size) * u64::from(maximum);
        if memory > MAX_RING_BYTES {
            return Err(ConfigError::TooMuchMemory(memory));
        }
        if !self.flush_interval.is_zero() {
            let ms = u64::try_from(self.flush_interval.as_millis()).unwrap_or(u64::MAX);
            range("flush_interval", ms, 1, MAX_FLUSH_MS.into(), "ms")?;
        }
        let units = |name: &str| name.encode_utf16().count();
        let name_units = units(&self.name);
        if !(1..=MAX_NAME).contains(&name_units) || self.name.contains('\0') {
            return Err(ConfigError::Name(name_units));
        }
        let targets = [self.log_file.is_some(), self.sink.is_some(), self.memory_ring];
        match targets.into_iter().filter(|set| *set).count() {
            1 => {}
            0 if self.real_time => {}
            _ => return Err(ConfigError::Target),
        }
        let (file, file_mode) = self.check_file()?;
        let log_file_name = self
            .log_file
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default();
        let file_units = units(&log_file_name);
        let empty = self.log_file.is_some() && log_file_name.is_empty();
        if file_units > MAX_NAME || empty || log_file_name.contains('\0') {
            return Err(ConfigError::LogFileName(file_units));
        }
        // A number may take ten digits where the pattern has two signs.
        let digits = if self.file_mode == FileMode::NewFile { 8 } else { 0 };
        let header = LogfileView::record_size(name_units, file_units + digits);
        let header = u32::try_from(header).unwrap_or(u32::MAX);
        if header > size - HEADER_BYTES {
            return Err(ConfigError::NamesTooLong(header, size - HEADER_BYTES));
        }

        let sequence = match self.sequence {
            SequenceMode::None => LogFileMode(0),
            SequenceMode::Local => LogFileMode::USE_LOCAL_SEQUENCE,
            SequenceMode::Global => LogFileMode::USE_GLOBAL_SEQUENCE,
        };
        Ok(Config {
            name: self.name.clone(),
            log_file_name,
            buffer_size: size,
            minimum_buffers: minimum,
            maximum_buffers: maximum,
            flush_interval: self.flush_interval,
            clock: self.clock,
            mode: file_mode.with(sequence),
            sequence: self.sequence,
            file,
            ring,
            one_lane: self.one_lane,
            patience: match self.when_full {
                WhenFull::Discard | WhenFull::Overwrite => None,
                WhenFull::Block(patience) => Some(patience),
            },
            overwrites: self.when_full == WhenFull::Overwrite
                && !matches!(ring, RingConfig::Recorder | RingConfig::Circular),
            logger_id: 0,
            most_lanes: MAX_LANES,
        })
    }

    fn check_ring(&self) -> Result<RingConfig, ConfigError> {
        let ring = match (self.memory_ring, self.file_mode) {
            (true, _) if self.ring_file == Some(true) => {
                return Err(ConfigError::Needs("ring_file", "log_file"));
            }
            (true, _) => RingConfig::Recorder,
            (false, FileMode::Circular) => RingConfig::Circular,
            (false, _) if self.log_file.is_some() && self.storage.is_none() => {
                match self.ring_file {
                    Some(false) => RingConfig::Memory,
                    asked => RingConfig::BesideLog { required: asked.is_some() },
                }
            }
            (false, _) if self.ring_file == Some(true) => {
                let other =
                    if self.log_file.is_some() { "Disk as its storage" } else { "log_file" };
                return Err(ConfigError::Needs("ring_file", other));
            }
            (false, _) => RingConfig::Memory,
        };
        if self.real_time {
            match ring {
                RingConfig::Recorder => {
                    return Err(ConfigError::Excludes("real_time", "memory_ring"));
                }
                RingConfig::Circular => {
                    return Err(ConfigError::Excludes("real_time", "FileMode::Circular"));
                }
                _ => {}
            }
            if self.file_mode == FileMode::Append {
                return Err(ConfigError::Excludes("real_time", "FileMode::Append"));
            }
        }
        if let WhenFull::Block(patience) = self.when_full {
            match ring {
                RingConfig::Recorder => {
                    return Err(ConfigError::Excludes("WhenFull::Block", "memory_ring"));
                }
                RingConfig::Circular => {
                    return Err(ConfigError::Excludes("WhenFull::Block", "FileMode::Circular"));
                }
                _ => {}
            }
            let ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
            range("when_full", ms, 1, 3_600_000, "ms")?;
        }
        Ok(ring)
    }
}

/// Whether a number is in its range.
pub(super) fn range(
    setting: &'static str,
    value: u64,
    least: u64,
    most: u64,
    unit: &'static str,
) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::OutOfRange { setting, value, least, most, unit })
    }
}
