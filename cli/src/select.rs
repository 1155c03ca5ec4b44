//! The filters of the command line.

use crate::input::Input;
use crate::names::{Extras, Names};
use crate::outcome::{Failure, complain};
use crate::text;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use etlring::codec::RecordView;
use etlring::format::{FileTime, Guid};
use etlring::reader::Filter;
use etlring::schema::{Shape, Value, Visitor, providers_named};
use std::cell::Cell;

/// Which records to take; all conditions must hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    open: OpenSelectArgs,
    /// Not after this time
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    to: Option<Moment>,
}

/// The same where `--to` means something else.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(crate) struct UntilSelectArgs {
    #[command(flatten)]
    open: OpenSelectArgs,
    /// Not after this time
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    until: Option<Moment>,
}

/// Everything but the end of the time.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
struct OpenSelectArgs {
    /// Provider or kernel class, by GUID or by name; may be given several times
    #[arg(long, value_name = "GUID|NAME", value_parser = NonEmptyStringValueParser::new())]
    provider: Vec<String>,
    /// Event id, decimal or 0x; may be given several times
    #[arg(long, value_name = "ID", value_parser = number::<u16>)]
    id: Vec<u16>,
    /// This level and more severe ones: 1 critical, 2 error, 3 warning, 4 info, 5 verbose, or a
    /// name of these
    #[arg(long, value_name = "N", value_parser = level)]
    level: Option<u8>,
    /// Any of these keyword bits, decimal or 0x
    #[arg(long, value_name = "MASK", value_parser = mask)]
    keyword: Option<u64>,
    /// Process id, decimal or 0x
    #[arg(long, value_name = "PID", value_parser = number::<u32>)]
    pid: Option<u32>,
    /// Thread id, decimal or 0x
    #[arg(long, value_name = "TID", value_parser = number::<u32>)]
    tid: Option<u32>,
    /// Activity id
    #[arg(long, value_name = "GUID", value_parser = guid)]
    activity: Option<Guid>,
    /// Text in the name of the provider or event or in a field, in any case of letters
    #[arg(long = "match", value_name = "TEXT")]
    text: Option<String>,
    /// At this time or later: RFC 3339, in UTC if it names no zone, or seconds from the start of
    /// the log
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    from: Option<Moment>,
}

/// A point in time as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    At(FileTime),
    /// 100 ns units from the start of the log.
    After(i64),
}

impl Moment {
    pub(crate) fn resolve(self, start: FileTime) -> FileTime {
        match self {
            Self::At(time) => time,
            Self::After(units) => FileTime::saturating(i128::from(start.0) + i128::from(units)),
        }
    }
}

/// The filters, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) filter: Filter,
    providers: Vec<Wanted>,
    /// Whether one of them is a name; the file may tell its GUID.
    names: bool,
    text: Option<String>,
    nothing_to_check: bool,
    /// Providers of which no record was seen.
    unseen: Cell<usize>,
}

/// A provider as the user names it.
#[derive(Clone, Debug)]
struct Wanted {
    text: String,
    guids: Vec<Guid>,
    is_name: bool,
    /// Whether any record is of it, wanted or not.
    seen: Cell<bool>,
}

impl Wanted {
    fn new(text: &str) -> Self {
        let seen = Cell::new(false);
        match text.parse() {
            Ok(guid) => Self { text: text.into(), guids: vec![guid], is_name: false, seen },
            Err(_) => {
                let guids = providers_named(text).collect();
                Self { text: text.into(), guids, is_name: true, seen }
            }
        }
    }

    /// Whether a record of this provider, and of these names, is of it. An image load is of the
    /// class Image in a group of another name; both are right.
    fn is(&self, guid: Option<Guid>, names: [&str; 2]) -> bool {
        guid.is_some_and(|guid| self.guids.contains(&guid))
            || self.is_name && names.iter().any(|name| self.text.eq_ignore_ascii_case(name))
    }
}

impl SelectArgs {
    /// Makes the filters of a log that started at `start`.
    pub(crate) fn resolve(&self, start: FileTime) -> Result<Selection, Failure> {
        self.open.resolve(start, self.to)
    }
}

impl UntilSelectArgs {
    /// Whether kinds of events are chosen, and not only a time or who logged them.
    pub(crate) fn chooses_events(&self) -> bool {
        let open = &self.open;
        !open.provider.is_empty() || !open.id.is_empty() || open.text.is_some()
    }

    /// Makes the filters of a log that started at `start`.
    pub(crate) fn resolve(&self, start: FileTime) -> Result<Selection, Failure> {
        self.open.resolve(start, self.until)
    }
}

impl OpenSelectArgs {
    fn resolve(&self, start: FileTime, to: Option<Moment>) -> Result<Selection, Failure> {
        let providers: Vec<_> = self.provider.iter().map(|text| Wanted::new(text)).collect();
        let mut selection = Selection {
            names: providers.iter().any(|wanted| wanted.is_name),
            unseen: Cell::new(providers.len()),
            ..Selection::default()
        };
        selection.text = self.text.as_ref().map(|text| text.to_lowercase());
        selection.filter = Filter {
            // With names to learn from the file, providers are compared here and not there.
            providers: if selection.names {
                Vec::new()
            } else {
                providers.iter().flat_map(|wanted| wanted.guids.iter().copied()).collect()
            },
            ids: self.id.clone(),
            level: self.level,
            keyword: self.keyword,
            process_id: self.pid,
            thread_id: self.tid,
            activity: self.activity,
            from: self.from.map(|moment| moment.resolve(start)),
            to: to.map(|moment| moment.resolve(start)),
        };
        selection.providers = providers;
        selection.nothing_to_check = selection.filter.is_empty() && !selection.by_name();
        if selection.filter.from.zip(selection.filter.to).is_some_and(|(from, to)| from > to) {
            return Err(Failure::new("--from lies after the end; give the earlier time first"));
        }
        Ok(selection)
    }
}

impl Selection {
    fn by_name(&self) -> bool {
        self.names || self.text.is_some()
    }

    /// Says which providers no record was of: a name may be misspelt.
    pub(crate) fn complain_of_unseen(&self) {
        for wanted in self.providers.iter().filter(|wanted| !wanted.seen.get()) {
            complain(format_args!(
                "--provider {}: no event is of it; etlring stats lists the providers of a log",
                wanted.text
            ));
        }
    }

    /// Marks the providers that a record is of.
    fn see(&self, record: &RecordView<'_>, names: &mut Names, input: &Input) {
        let guid = record.provider();
        let event = self.names.then(|| input.decoder().describe(record));
        let own = event.as_ref().and_then(|event| event.provider_name()).unwrap_or_default();
        let name = guid.and_then(|guid| names.provider(guid)).unwrap_or_default();
        for wanted in &self.providers {
            if !wanted.seen.get() && wanted.is(guid, [name, own]) {
                wanted.seen.set(true);
                self.unseen.set(self.unseen.get().saturating_sub(1));
            }
        }
    }

    /// Whether a record is wanted.
    pub(crate) fn takes(
        &self,
        record: &RecordView<'_>,
        time: FileTime,
        names: &mut Names,
        input: &Input,
    ) -> bool {
        if self.nothing_to_check {
            return true;
        }
        if self.unseen.get() > 0 {
            self.see(record, names, input);
        }
        if !self.filter.matches(record, time) {
            return false;
        }
        !self.by_name() || self.takes_names(record, names, input)
    }

    fn takes_names(&self, record: &RecordView<'_>, names: &mut Names, input: &Input) -> bool {
        let extras = Extras::of(record);
        names.learn(record, &extras);
        let event = input.decoder().describe(record);
        let guid = record.provider();
        let name = guid.and_then(|guid| names.provider(guid)).unwrap_or_default();
        let own = event.provider_name().unwrap_or_default();
        let by_provider = self.providers.is_empty()
            || self.providers.iter().any(|wanted| wanted.is(guid, [name, own]));
        let by_text = || {
            self.text.as_ref().is_none_or(|text| {
                let known = [name, own, event.name().unwrap_or_default()];
                let mut find = Find { text, found: false };
                known.iter().any(|name| name.to_lowercase().contains(text)) || {
                    event.walk(&mut find);
                    find.found
                }
            })
        };
        by_provider && by_text()
    }
}

/// Looks for text in names and values of fields.
struct Find<'t> {
    /// In lower case.
    text: &'t str,
    found: bool,
}

impl Visitor for Find<'_> {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.found = self.found
            || name.to_lowercase().contains(self.text)
            || value.to_string().to_lowercase().contains(self.text);
    }

    fn begin(&mut self, name: &str, _: Shape) {
        self.found = self.found || name.to_lowercase().contains(self.text);
    }

    fn end(&mut self, _: Shape) {}
}

fn guid(text: &str) -> Result<Guid, String> {
    text.parse().map_err(|error: etlring::format::ParseGuidError| error.to_string())
}

pub(crate) fn mask(text: &str) -> Result<u64, String> {
    in_two_bases(text).map_err(|_| "not a mask such as 0x8000000000000010".to_owned())
}

/// A number of so many bits; other tools write process and thread ids in hex.
fn number<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let most = u64::MAX >> (64 - 8 * size_of::<T>());
    let number = in_two_bases(text).ok().and_then(|number| number.try_into().ok());
    number.ok_or_else(|| format!("not a number from 0 to {most}, decimal or 0x"))
}

fn in_two_bases(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    }
}

/// A level as a number or by the name that `dump` shows.
fn level(text: &str) -> Result<u8, String> {
    let named = (1..=5).find(|level| text::level(*level).eq_ignore_ascii_case(text));
    named.or_else(|| text.parse().ok()).ok_or_else(|| {
        "neither a number from 0 to 255 nor critical, error, warning, info or verbose".to_owned()
    })
}

pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    if let Some(units) = seconds(text) {
        return Ok(Moment::After(units));
    }
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| without_zone(text));
    stamp.map(|stamp| Moment::At(FileTime::from_unix_nanos(stamp.as_nanosecond()))).ok_or_else(
        || "neither RFC 3339 such as 2020-02-18T11:28:30.5Z nor seconds such as 12.5".to_owned(),
    )
}

/// A time of the day, or a day, that says no zone: all that this command prints is UTC.
fn without_zone(text: &str) -> Option<jiff::Timestamp> {
    // The parser passes over an offset.
    let (_, time) = text.split_once(['T', 't', ' ']).unwrap_or_default();
    if !time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')) {
        return None;
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    jiff::tz::Offset::UTC.to_timestamp(civil).ok()
}

/// Decimal seconds in units of 100 ns, exactly; further digits are cut.
fn seconds(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    let units = whole.parse::<i64>().ok()?.checked_mul(10_000_000)?;
    let units = units.checked_add(fraction.parse().ok()?)?;
    Some(if negative { -units } else { units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_exact() {
        assert_eq!(moment("12.5"), Ok(Moment::After(125_000_000)));
        assert_eq!(moment("0.00000019"), Ok(Moment::After(1)));
        assert_eq!(moment("-1"), Ok(Moment::After(-10_000_000)));
        assert_eq!(
            moment("1970-01-01T00:00:00.0000001Z"),
            Ok(Moment::At(FileTime(116_444_736_000_000_001)))
        );
        for wrong in ["yesterday", "", "1e5", "2020-02-18T11:28:30+99:99", "2020-02-30", "11:28"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let expected = moment("2020-02-18T11:28:30.5Z");
        assert!(matches!(expected, Ok(Moment::At(_))));
        for text in ["2020-02-18T11:28:30.5", "2020-02-18 11:28:30.50", "2020-02-18t11:28:30.5"] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("2020-02-18T13:28:30.5+02:00"), expected);
        assert_eq!(moment("2020-02-18T11:28"), moment("2020-02-18T11:28:00Z"));
        assert_eq!(moment("2020-02-18"), moment("2020-02-18T00:00:00Z"));
    }

    #[test]
    fn masks_come_in_two_bases() {
        assert_eq!((mask("0x10"), mask("16")), (Ok(16), Ok(16)));
        assert!(mask("ten").is_err());
        assert_eq!((number::<u32>("0x1F4"), number::<u32>("500")), (Ok(500), Ok(500)));
        assert_eq!(number::<u32>("0xffffffff"), Ok(u32::MAX));
        assert!(number::<u32>("0x100000000").is_err() && number::<u32>("-1").is_err());
        assert!(number::<u16>("65536").is_err() && number::<u16>("").is_err());
    }

    #[test]
    fn levels_have_names() {
        assert_eq!((level("warning"), level("Verbose"), level("3")), (Ok(3), Ok(5), Ok(3)));
        assert_eq!((level("0"), level("255")), (Ok(0), Ok(255)));
        assert!(level("").is_err() && level("256").is_err() && level("loud").is_err());
    }
}
