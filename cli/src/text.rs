//! Text for people: times, sizes, colours, and nothing that could steer a terminal.

use crate::When;
use etlring::format::FileTime;
use jiff::Timestamp;
use std::io::IsTerminal;
use std::path::Path;

use etlring::export::json;
pub(crate) use etlring::export::text::escaped;

/// A time as RFC 3339 in UTC, to 100 ns: `2020-02-18T11:28:30.4203138Z`.
pub(crate) fn time(time: FileTime) -> String {
    let mut text = Vec::with_capacity(32);
    Times::default().push(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}

/// Writes times; the part down to the second is kept from one to the next.
#[derive(Debug)]
pub(crate) struct Times {
    second: i64,
    /// The second as a number and as text.
    number: Vec<u8>,
    text: Vec<u8>,
}

impl Default for Times {
    fn default() -> Self {
        Self { second: i64::MIN, number: Vec::new(), text: Vec::new() }
    }
}

impl Times {
    /// Appends `time` to `out`.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, time: FileTime) {
        let fraction = self.fraction(time);
        out.extend_from_slice(&self.text);
        self.end(out, fraction);
    }

    /// Appends `time` as a number, then as text with the key and the quote before it.
    pub(crate) fn push_both(&mut self, out: &mut Vec<u8>, time: FileTime) {
        let fraction = self.fraction(time);
        if self.second > 0 {
            out.extend_from_slice(&self.number);
            out.extend_from_slice(&fraction[1..]);
        } else {
            json::signed(out, time.0);
        }
        out.extend_from_slice(b",\"time\":\"");
        out.extend_from_slice(&self.text);
        self.end(out, fraction);
    }

    fn end(&self, out: &mut Vec<u8>, mut fraction: [u8; 8]) {
        fraction[0] = b'.';
        out.extend_from_slice(&fraction);
        out.push(b'Z');
    }

    /// Eight digits of the 100 ns units behind the second, which becomes the one that is kept.
    fn fraction(&mut self, time: FileTime) -> [u8; 8] {
        const PER_SECOND: i64 = 10_000_000;
        let second = time.0.div_euclid(PER_SECOND);
        if second != self.second {
            self.second = second;
            self.number.clear();
            json::signed(&mut self.number, second);
            self.text.clear();
            let unix = second - FileTime::UNIX_EPOCH.0 / PER_SECOND;
            // Times outside jiff's years are damage; they are shown as what they are.
            match Timestamp::from_second(unix) {
                Ok(stamp) => {
                    self.text.extend(stamp.strftime("%Y-%m-%dT%H:%M:%S").to_string().bytes())
                }
                Err(_) => self.text.extend(format!("@{unix}").bytes()),
            }
        }
        json::eight_digits(u64::try_from(time.0.rem_euclid(PER_SECOND)).unwrap_or_default())
    }
}

/// A path as text; bytes of it that are no UTF-8 as `\xff`, so that two files have two names.
pub(crate) fn path(path: &Path) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        utf8(path.as_os_str().as_bytes())
    }
    #[cfg(not(unix))]
    {
        path.display().to_string()
    }
}

/// Text in bytes; those that are none as `\xff`.
#[cfg(any(unix, test))]
fn utf8(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    out
}

/// A number and what it counts: `1 buffer`, `1,234 buffers`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A number of bytes that can be read at a glance: `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let whole = (value * 10.0).round() % 10.0 == 0.0;
    let digits = usize::from(!whole && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span of time in 100 ns units: `12.5 s`, `3 min 20 s`.
pub(crate) fn span(units: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let seconds = units as f64 / 1e7;
    let (value, unit) = match seconds.abs() {
        s if s >= 3600.0 => (seconds / 3600.0, "h"),
        s if s >= 120.0 => (seconds / 60.0, "min"),
        s if s >= 1.0 || s == 0.0 => (seconds, "s"),
        s if s >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    format!("{value:.3} {unit}").replace(".000 ", " ")
}

/// The name of a level, as ETW's tools write it.
pub(crate) fn level(level: u8) -> &'static str {
    match level {
        0 => "always",
        1 => "critical",
        2 => "error",
        3 => "warning",
        4 => "info",
        5 => "verbose",
        _ => "",
    }
}

/// Whether to colour standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colors(bool);

impl Colors {
    pub(crate) fn choose(when: When) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(match when {
            When::Always => true,
            When::Never => false,
            When::Auto => !no_color && std::io::stdout().is_terminal(),
        })
    }

    /// `text` in the colour of a level; nothing but `text` without colours.
    pub(crate) fn level(self, level: Option<u8>, text: &str) -> String {
        let code = match level {
            Some(1) => "1;31",
            Some(2) => "31",
            Some(3) => "33",
            Some(5) => "2",
            _ => return text.to_owned(),
        };
        self.paint(code, text)
    }

    /// `text` with an SGR code around it.
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_counts_and_times_read_well() {
        assert_eq!(
            [size(12), size(1024), size(1536), size(43 << 20), size(1_048_575)],
            ["12 B", "1 KiB", "1.5 KiB", "43 MiB", "1 MiB"]
        );
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!(time(FileTime(132_264_173_104_203_138)), "2020-02-17T12:48:30.4203138Z");
        assert_eq!(time(FileTime(-1)), "1600-12-31T23:59:59.9999999Z");
        assert_eq!(
            [counted(0, "lane"), counted(1, "lane"), counted(1000, "lane")],
            ["0 lanes", "1 lane", "1,000 lanes"]
        );
    }

    #[test]
    fn names_that_are_no_text_stay_apart() {
        assert_eq!(utf8(b"a\xff\xc3\xa9\xf0\x9f.etl"), "a\\xffé\\xf0\\x9f.etl");
    }
}
