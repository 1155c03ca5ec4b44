//! Settings of a session as one line of text, for the environment.
//!
//! ```text
//!   name=web;log=/var/log/web.etl;buffers=64;enable=Example-Orders,level=4
//! ```
//!
//! Settings stand behind one another with semicolons between them, each at most once but for
//! `enable`. A backslash has the next character stand for itself, so that names and paths may hold
//! semicolons, commas and backslashes. spec/19-control.md has the table.

use crate::format::{Guid, MAX_BUFFER_SIZE, MIN_BUFFER_SIZE};
use crate::provider::{Enable, guid_of_name};
use crate::session::{
    ConfigError, FileMode, MAX_BUFFERS, MAX_FLUSH_MS, MAX_NAME, MAX_RING_BYTES, Session,
    SessionBuilder,
};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Most bytes of a line.
const MOST_BYTES: usize = 64 * 1024;
/// Most providers in it.
const MOST_PROVIDERS: usize = 256;

/// Settings of a session that a program is to have without code of its own: what
/// [`ETLRING_SESSION`](crate::outside::VARIABLE) holds, taken apart.
///
/// `%p` in the name and in the log's path stands for the number of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// Its log; `None` for a ring in memory.
    pub log: Option<PathBuf>,
    /// How the log grows.
    pub mode: FileMode,
    /// Size that no log file exceeds, in units of 1,048,576 bytes.
    pub maximum_file_size_mb: Option<u32>,
    /// Bytes of a buffer.
    pub buffer_size: Option<u32>,
    /// Buffers of the session.
    pub maximum_buffers: Option<u32>,
    /// How often the filled part of buffers goes to the log.
    pub flush_interval_ms: Option<u32>,
    /// What is enabled from the start.
    pub enable: Vec<WantedProvider>,
}

/// A provider that is enabled from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedProvider {
    /// Its GUID, or the name that its GUID follows from.
    pub provider: String,
    /// How it is enabled. Properties and filter data have no place in the text.
    pub enable: Enable,
}

impl WantedProvider {
    /// What sessions know it by.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.provider.parse().unwrap_or_else(|_| guid_of_name(&self.provider))
    }
}

/// A line that says no settings: which setting, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingsError {
    /// Not UTF-8.
    Text,
    /// Longer than 65,536 bytes, or with more than 256 providers.
    TooLong,
    /// A backslash is the last character.
    Backslash,
    /// A setting that does not exist.
    Unknown(String),
    /// A setting that was given twice, or one beside what excludes it.
    Twice(String),
    /// A setting without which there is no session.
    Missing(&'static str),
    /// A value that the setting cannot have.
    Value {
        /// The setting.
        setting: String,
        /// What was given.
        value: String,
        /// What it must be: a range with its unit, or the words that there are.
        must_be: String,
    },
    /// The first setting makes no sense without the second.
    Needs(&'static str, &'static str),
    /// No session has such a setting.
    Session(ConfigError),
}

fn wrong(setting: &str, value: impl fmt::Display, must_be: impl fmt::Display) -> SettingsError {
    let [value, must_be] = [value.to_string(), must_be.to_string()];
    SettingsError::Value { setting: setting.to_owned(), value, must_be }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("not UTF-8"),
            Self::TooLong => {
                write!(f, "more than {MOST_BYTES} bytes or {MOST_PROVIDERS} providers")
            }
            Self::Backslash => f.write_str("ends with a backslash"),
            Self::Unknown(name) => write!(f, "{name:?} is no setting"),
            Self::Twice(name) => write!(f, "{name} is given twice, or beside what excludes it"),
            Self::Missing(name) => write!(f, "{name} is missing"),
            Self::Value { setting, value, must_be } => {
                write!(f, "{setting} is {value:?}, must be {must_be}")
            }
            Self::Needs(setting, other) => write!(f, "{setting} needs {other}"),
            Self::Session(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Settings of a session with this name and log, all else as usual.
    #[must_use]
    pub fn new(name: &str, log: impl Into<PathBuf>) -> Self {
        Self { name: name.to_owned(), log: Some(log.into()), ..Self::default() }
    }

    /// Reads a line.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] names the setting that no session can have, and what it must be. `%p`
    /// counts as the number of this process.
    pub fn parse(line: &str) -> Result<Self, SettingsError> {
        if line.len() > MOST_BYTES {
            return Err(SettingsError::TooLong);
        }
        let mut settings = Self::default();
        let mut given: Vec<String> = Vec::new();
        let mut memory = false;
        for setting in split(line, ';')?.into_iter().filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            if name != "enable" {
                if given.iter().any(|given| given == name) {
                    return Err(SettingsError::Twice(name.to_owned()));
                }
                given.push(name.to_owned());
            }
            let text = plain(value);
            match name {
                "name" => settings.name = text,
                "log" => settings.log = Some(text.into()).filter(|_| !value.is_empty()),
                "memory" if value.is_empty() => memory = true,
                "mode" => {
                    let mode = MODES.iter().find(|(known, _)| *known == text);
                    let mode = mode.map(|(_, mode)| *mode);
                    settings.mode = mode.ok_or_else(|| wrong(name, &text, MODE_NAMES))?;
                }
                "max-size-mb" => settings.maximum_file_size_mb = Some(number(name, &text)?),
                "buffer-size" => settings.buffer_size = Some(number(name, &text)?),
                "buffers" => settings.maximum_buffers = Some(number(name, &text)?),
                "flush-ms" => settings.flush_interval_ms = Some(number(name, &text)?),
                "enable" => settings.enable.push(wanted(value)?),
                "memory" => return Err(wrong(name, text, "without a value")),
                _ => return Err(SettingsError::Unknown(name.to_owned())),
            }
        }
        if settings.enable.len() > MOST_PROVIDERS {
            return Err(SettingsError::TooLong);
        }
        if settings.name.is_empty() {
            return Err(SettingsError::Missing("name"));
        }
        match (&settings.log, memory) {
            (None, false) => return Err(SettingsError::Missing("log")),
            (Some(_), true) => return Err(SettingsError::Twice("log".to_owned())),
            (None, true) if given.iter().any(|given| given == "mode") => {
                return Err(SettingsError::Needs("mode", "log"));
            }
            _ => {}
        }
        settings.check().map(|()| settings)
    }

    /// Whether a session can have these settings; those of the builder by their names in the text.
    fn check(&self) -> Result<(), SettingsError> {
        #[cfg(unix)]
        {
            // It is the name of a file, too.
            let (name, _) = self.in_process(std::process::id());
            crate::outside::place::Key::new(&name).map_err(|_| {
                let most = crate::outside::place::MOST_NAME;
                let must_be = format!(
                    "1 to {most} bytes without slashes, backslashes, control characters and a dot \
                     in front"
                );
                wrong("name", &self.name, must_be)
            })?;
        }
        let size = self.buffer_size.unwrap_or(0);
        let mb = self.maximum_file_size_mb.unwrap_or(0);
        // A circular log has as many buffers as it has room for, whatever was asked for.
        if let Some(count) = self.maximum_buffers.filter(|n| !(2..=MAX_BUFFERS).contains(n)) {
            return Err(wrong("buffers", count, range_of("buffers")));
        }
        let units = format!("1 to {MAX_NAME} UTF-16 units without a NUL");
        let log = self.log.as_deref().unwrap_or(Path::new("")).display();
        let refused = match self.builder().check() {
            Ok(_) => return Ok(()),
            Err(refused) => refused,
        };
        Err(match refused {
            ConfigError::OutOfRange { setting: "maximum_buffers", value, most, .. }
                if self.mode == FileMode::Circular && value > most =>
            {
                wrong("max-size-mb", mb, format_args!("room for at most {most} buffers"))
            }
            ConfigError::OutOfRange {
                setting: "maximum_file_size_mb", value, least, most, ..
            } => wrong("max-size-mb", value, format_args!("{least} to {most} MB")),
            ConfigError::OutOfRange { setting, value, .. } => match name_of(setting) {
                Some(name) => wrong(name, value, range_of(name)),
                None => SettingsError::Session(refused),
            },
            ConfigError::Unaligned(_) => wrong("buffer-size", size, range_of("buffer-size")),
            ConfigError::TooMuchMemory(_) if self.mode == FileMode::Circular => {
                wrong("max-size-mb", mb, format_args!("at most {} MB", MAX_RING_BYTES >> 20))
            }
            ConfigError::TooMuchMemory(_) => {
                let most = format!("buffers of at most {MAX_RING_BYTES} bytes together");
                wrong("buffers", self.maximum_buffers.unwrap_or(0), most)
            }
            ConfigError::Name(_) => wrong("name", &self.name, units),
            ConfigError::LogFileName(_) => wrong("log", log, units),
            ConfigError::NamesTooLong(need, room) => {
                let least = size.saturating_add(need.saturating_sub(room)).next_multiple_of(1024);
                wrong("buffer-size", size, format_args!("{least} or more for this name and log"))
            }
            ConfigError::FileNumber => {
                wrong("log", log, "a path with %d once, in the file's name, for mode=newfile")
            }
            ConfigError::Needs("FileMode::NewFile", _) => {
                SettingsError::Needs("mode=newfile", "max-size-mb")
            }
            ConfigError::Needs("FileMode::Circular", _) => {
                SettingsError::Needs("mode=circular", "max-size-mb")
            }
            ConfigError::Needs("maximum_file_size", _) => {
                SettingsError::Needs("max-size-mb", "log")
            }
            _ => SettingsError::Session(refused),
        })
    }

    /// The name and the log as they are in the process of this number.
    #[must_use]
    pub fn in_process(&self, process_id: u32) -> (String, Option<PathBuf>) {
        let number = process_id.to_string();
        let log = self.log.as_ref().map(|log| log.to_string_lossy().replace("%p", &number).into());
        (self.name.replace("%p", &number), log)
    }

    /// A session of these settings in this process, controllable on Unix. Providers are yet to be
    /// enabled.
    pub fn builder(&self) -> SessionBuilder {
        let (name, log) = self.in_process(std::process::id());
        let mut builder = Session::builder(&name);
        builder = match log {
            Some(log) => builder.log_file(log).file_mode(self.mode),
            None => builder.memory_ring(),
        };
        if let Some(mb) = self.maximum_file_size_mb {
            builder = builder.maximum_file_size_mb(mb);
        }
        if let Some(bytes) = self.buffer_size {
            builder = builder.buffer_size(bytes);
        }
        if let Some(count) = self.maximum_buffers {
            builder = builder.maximum_buffers(count);
        }
        if let Some(ms) = self.flush_interval_ms {
            builder = builder.flush_interval(Duration::from_millis(ms.into()));
        }
        if cfg!(unix) { builder.controllable() } else { builder }
    }
}

/// The line that [`Settings::parse`] reads.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name={}", quoted(&self.name))?;
        match &self.log {
            Some(log) => write!(f, ";log={}", quoted(&log.to_string_lossy()))?,
            None => f.write_str(";memory")?,
        }
        if let Some((mode, _)) = MODES[1..].iter().find(|(_, mode)| *mode == self.mode) {
            write!(f, ";mode={mode}")?;
        }
        for (name, value) in [
            ("max-size-mb", self.maximum_file_size_mb),
            ("buffer-size", self.buffer_size),
            ("buffers", self.maximum_buffers),
            ("flush-ms", self.flush_interval_ms),
        ] {
            if let Some(value) = value {
                write!(f, ";{name}={value}")?;
            }
        }
        for WantedProvider { provider, enable } in &self.enable {
            write!(f, ";enable={}", quoted(provider))?;
            if enable.level != 0 {
                write!(f, ",level={}", enable.level)?;
            }
            for (name, mask) in [("any", enable.any), ("all", enable.all)] {
                if mask != 0 {
                    write!(f, ",{name}={mask:#x}")?;
                }
            }
        }
        Ok(())
    }
}

const MODES: &[(&str, FileMode)] = &[
    ("sequential", FileMode::Sequential),
    ("append", FileMode::Append),
    ("newfile", FileMode::NewFile),
    ("circular", FileMode::Circular),
];

const MODE_NAMES: &str = "sequential, append, newfile or circular";

/// What the text calls a setting of the builder.
fn name_of(setting: &str) -> Option<&'static str> {
    match setting {
        "buffer_size" => Some("buffer-size"),
        "maximum_buffers" => Some("buffers"),
        "flush_interval" => Some("flush-ms"),
        "maximum_file_size_mb" => Some("max-size-mb"),
        _ => None,
    }
}

/// What a number must be.
fn range_of(name: &str) -> String {
    match name {
        "buffer-size" => {
            format!("{MIN_BUFFER_SIZE} to {MAX_BUFFER_SIZE} bytes, a multiple of 1024")
        }
        "buffers" => format!("2 to {MAX_BUFFERS} buffers"),
        "flush-ms" => format!("0 to {MAX_FLUSH_MS} ms"),
        _ => format!("1 to {} MB, three buffers at least", u32::MAX),
    }
}

/// `PROVIDER[,level=N][,any=MASK][,all=MASK]`.
impl FromStr for WantedProvider {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        wanted(text)
    }
}

fn wanted(value: &str) -> Result<WantedProvider, SettingsError> {
    let refused = || {
        let must_be = "PROVIDER[,level=0 to 255][,any=MASK][,all=MASK], masks decimal or 0x";
        wrong("enable", value, must_be)
    };
    let mut parts = split(value, ',')?.into_iter();
    let provider = plain(parts.next().unwrap_or_default());
    if provider.is_empty() {
        return Err(refused());
    }
    let mut enable = Enable::new();
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(refused)?;
        let mask = match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => value.parse(),
        };
        enable = match (name, mask) {
            ("level", Ok(level)) => enable.level(u8::try_from(level).map_err(|_| refused())?),
            ("any", Ok(mask)) => enable.any_keyword(mask),
            ("all", Ok(mask)) => enable.all_keywords(mask),
            _ => return Err(refused()),
        };
    }
    Ok(WantedProvider { provider, enable })
}

fn number(name: &str, value: &str) -> Result<u32, SettingsError> {
    value.parse().map_err(|_| wrong(name, value, range_of(name)))
}

/// The parts of `line` between separators that no backslash stands before; backslashes stay.
fn split(line: &str, separator: char) -> Result<Vec<&str>, SettingsError> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == separator => {
                parts.push(&line[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    if escaped { Err(SettingsError::Backslash) } else { Ok(parts) }
}

/// Without the backslashes.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        out.extend(if c == '\\' { rest.next() } else { Some(c) });
    }
    out
}

/// With backslashes where they are needed.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ';' | ',' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
