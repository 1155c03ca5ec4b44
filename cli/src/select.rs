//! The filters of the command line.

use crate::input::Input;
use crate::names::{self, Extras, Names};
use crate::outcome::{Failure, complain};
use crate::text;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use etlring::codec::RecordView;
use etlring::format::{FileTime, Guid};
use etlring::reader::{Filter, Unwanted};
use etlring::schema::{Shape, Value, Visitor, providers_named};
use std::cell::Cell;

/// Which records to take; all conditions must hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(crate) struct SelectArgs {
    #[command(flatten)]
    open: OpenSelectArgs,
    /// Not after this time
    #[arg(
        long,
        value_name = "TIME",
        value_parser = moment,
        allow_hyphen_values = true,
        help_heading = "Filters"
    )]
    to: Option<Moment>,
}

/// The same where `--to` means something else.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
pub(crate) struct UntilSelectArgs {
    #[command(flatten)]
    open: OpenSelectArgs,
    /// Not after this time
    #[arg(
        long,
        value_name = "TIME",
        value_parser = moment,
        allow_hyphen_values = true,
        help_heading = "Filters"
    )]
    until: Option<Moment>,
}

/// Everything but the end of the time.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters")]
struct OpenSelectArgs {
    /// Provider or kernel class, by GUID or by name; several with commas or by repeating it: any
    /// of them, as with all below that take several
    #[arg(
        long,
        value_name = "GUID|NAME",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    provider: Vec<String>,
    /// Event id, decimal or 0x; several with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = number::<u16>)]
    id: Vec<u16>,
    /// Opcode, or type of a kernel or classic event: decimal, 0x or a name such as start, stop,
    /// dcstart; several with commas
    #[arg(long, value_name = "OPCODE", value_delimiter = ',', value_parser = opcode)]
    opcode: Vec<u8>,
    /// Task of an event, decimal or 0x; several with commas
    #[arg(long, value_name = "TASK", value_delimiter = ',', value_parser = number::<u16>)]
    task: Vec<u16>,
    /// This level and more severe ones: 1 critical, 2 error, 3 warning, 4 info, 5 verbose, or a
    /// name of these
    #[arg(long, value_name = "N", value_parser = level)]
    level: Option<u8>,
    /// Any of these keyword bits, decimal or 0x
    #[arg(long, value_name = "MASK", value_parser = mask)]
    keyword: Option<u64>,
    /// Process id, decimal or 0x; several with commas
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = number::<u32>)]
    pid: Vec<u32>,
    /// Thread id, decimal or 0x; several with commas
    #[arg(long, value_name = "TID", value_delimiter = ',', value_parser = number::<u32>)]
    tid: Vec<u32>,
    /// Activity id; several with commas
    #[arg(long, value_name = "GUID", value_delimiter = ',', value_parser = guid)]
    activity: Vec<Guid>,
    /// Lane, the processor of a log from Windows; several with commas
    #[arg(long, value_name = "LANE", value_delimiter = ',', value_parser = number::<u16>)]
    lane: Vec<u16>,
    /// Text in the name of the provider or event or in a field, in any case of letters; may be
    /// given several times
    #[arg(long = "match", value_name = "TEXT")]
    text: Vec<String>,
    /// At this time or later: RFC 3339, in UTC if it names no zone, or seconds from the start of
    /// the log
    #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
    from: Option<Moment>,
    #[command(flatten)]
    not: NotArgs,
}

/// What leaves a record out. One that has no such thing stays.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Filters that leave out")]
struct NotArgs {
    /// Not of this provider or kernel class; several with commas or by repeating it: none of them,
    /// as with all below
    #[arg(
        long,
        value_name = "GUID|NAME",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    not_provider: Vec<String>,
    /// Not of this event id
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = number::<u16>)]
    not_id: Vec<u16>,
    /// Not of this opcode
    #[arg(long, value_name = "OPCODE", value_delimiter = ',', value_parser = opcode)]
    not_opcode: Vec<u8>,
    /// Not of this task
    #[arg(long, value_name = "TASK", value_delimiter = ',', value_parser = number::<u16>)]
    not_task: Vec<u16>,
    /// Not of this level, where --level takes all that are more severe, 0 too
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = level)]
    not_level: Vec<u8>,
    /// Not of this process
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = number::<u32>)]
    not_pid: Vec<u32>,
    /// Not of this thread
    #[arg(long, value_name = "TID", value_delimiter = ',', value_parser = number::<u32>)]
    not_tid: Vec<u32>,
    /// Not of this activity
    #[arg(long, value_name = "GUID", value_delimiter = ',', value_parser = guid)]
    not_activity: Vec<Guid>,
    /// Not in this lane
    #[arg(long, value_name = "LANE", value_delimiter = ',', value_parser = number::<u16>)]
    not_lane: Vec<u16>,
    /// Without this text in names and fields; may be given several times
    #[arg(long = "not-match", value_name = "TEXT")]
    not_text: Vec<String>,
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
    /// Those that are wanted and those that are not.
    providers: Vec<Named>,
    /// Whether one of them is a name; the file may tell its GUID.
    names: bool,
    lanes: Vec<u16>,
    not_lanes: Vec<u16>,
    /// In lower case.
    texts: Vec<String>,
    not_texts: Vec<String>,
    nothing_to_check: bool,
    /// Providers of which no record was seen.
    unseen: Cell<usize>,
}

/// A provider as the user names it.
#[derive(Clone, Debug)]
struct Named {
    text: String,
    guids: Vec<Guid>,
    is_name: bool,
    is_wanted: bool,
    /// Whether any record is of it, wanted or not.
    seen: Cell<bool>,
}

impl Named {
    fn new(text: &str, is_wanted: bool) -> Self {
        let (guids, is_name) = match text.parse() {
            Ok(guid) => (vec![guid], false),
            Err(_) => (providers_named(text).collect(), true),
        };
        Self { text: text.into(), guids, is_name, is_wanted, seen: Cell::new(false) }
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
        let OpenSelectArgs { provider, id, opcode, task, text, not, .. } = &self.open;
        let NotArgs { not_provider, not_id, not_opcode, not_task, not_text, .. } = not;
        let texts = [provider, text, not_provider, not_text];
        let numbers = [id, task, not_id, not_task];
        texts.iter().any(|list| !list.is_empty())
            || numbers.iter().any(|list| !list.is_empty())
            || [opcode, not_opcode].iter().any(|list| !list.is_empty())
    }

    /// Makes the filters of a log that started at `start`.
    pub(crate) fn resolve(&self, start: FileTime) -> Result<Selection, Failure> {
        self.open.resolve(start, self.until)
    }
}

impl OpenSelectArgs {
    fn resolve(&self, start: FileTime, to: Option<Moment>) -> Result<Selection, Failure> {
        let not = &self.not;
        let wanted = self.provider.iter().map(|text| Named::new(text, true));
        let unwanted = not.not_provider.iter().map(|text| Named::new(text, false));
        let providers: Vec<_> = wanted.chain(unwanted).collect();
        let names = providers.iter().any(|named| named.is_name);
        // With names to learn from the file, providers are compared here and not there.
        let guids = |is_wanted| {
            let those = |named: &&Named| named.is_wanted == is_wanted && !names;
            providers.iter().filter(those).flat_map(|named| named.guids.iter().copied()).collect()
        };
        let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect();
        let filter = Filter {
            providers: guids(true),
            ids: self.id.clone(),
            opcodes: self.opcode.clone(),
            tasks: self.task.clone(),
            level: self.level,
            keyword: self.keyword,
            process_ids: self.pid.clone(),
            thread_ids: self.tid.clone(),
            activities: self.activity.clone(),
            from: self.from.map(|moment| moment.resolve(start)),
            to: to.map(|moment| moment.resolve(start)),
            not: Unwanted {
                providers: guids(false),
                ids: not.not_id.clone(),
                opcodes: not.not_opcode.clone(),
                tasks: not.not_task.clone(),
                levels: not.not_level.clone(),
                process_ids: not.not_pid.clone(),
                thread_ids: not.not_tid.clone(),
                activities: not.not_activity.clone(),
            },
        };
        if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
            return Err(Failure::new("--from lies after the end; give the earlier time first"));
        }
        let mut selection = Selection {
            filter,
            names,
            lanes: self.lane.clone(),
            not_lanes: not.not_lane.clone(),
            texts: lower(&self.text),
            not_texts: lower(&not.not_text),
            unseen: Cell::new(providers.len()),
            providers,
            nothing_to_check: false,
        };
        selection.nothing_to_check = selection.filter.is_empty()
            && self.lane.is_empty()
            && not.not_lane.is_empty()
            && !selection.by_name();
        Ok(selection)
    }
}

impl Selection {
    fn by_name(&self) -> bool {
        self.names || !self.texts.is_empty() || !self.not_texts.is_empty()
    }

    /// Says which providers no record was of: a name may be misspelt.
    pub(crate) fn complain_of_unseen(&self) {
        for named in self.providers.iter().filter(|named| !named.seen.get()) {
            complain(format_args!(
                "--{}provider {}: no event is of it; etlring stats lists the providers of a log",
                if named.is_wanted { "" } else { "not-" },
                named.text
            ));
        }
    }

    /// Marks the providers that a record is of.
    fn see(&self, record: &RecordView<'_>, names: &mut Names, input: &Input) {
        let guid = record.provider();
        let event = self.names.then(|| input.decoder().describe(record));
        let own = event.as_ref().and_then(|event| event.provider_name()).unwrap_or_default();
        let name = guid.and_then(|guid| names.provider(guid)).unwrap_or_default();
        for named in &self.providers {
            if !named.seen.get() && named.is(guid, [name, own]) {
                named.seen.set(true);
                self.unseen.set(self.unseen.get().saturating_sub(1));
            }
        }
    }

    /// Whether every record is wanted, so that nobody needs to ask for each.
    pub(crate) fn takes_all(&self) -> bool {
        self.nothing_to_check
    }

    /// Whether a record of a lane is wanted.
    pub(crate) fn takes(
        &self,
        record: &RecordView<'_>,
        lane: u16,
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
        let in_lane = self.lanes.is_empty() || self.lanes.contains(&lane);
        let is_left_out = !self.not_lanes.is_empty() && self.not_lanes.contains(&lane);
        if !in_lane || is_left_out || !self.filter.matches(record, time) {
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
        let is_of = |named: &&Named| named.is(guid, [name, own]);
        let mut wanted = self.providers.iter().filter(|named| named.is_wanted).peekable();
        let mut unwanted = self.providers.iter().filter(|named| !named.is_wanted);
        if wanted.peek().is_some() && !wanted.any(|named| is_of(&named))
            || unwanted.any(|named| is_of(&named))
        {
            return false;
        }
        let says = |text: &String| {
            let known = [name, own, event.name().unwrap_or_default()];
            let mut find = Find { text, found: false };
            known.iter().any(|name| name.to_lowercase().contains(text)) || {
                event.walk(&mut find);
                find.found
            }
        };
        (self.texts.is_empty() || self.texts.iter().any(says)) && !self.not_texts.iter().any(says)
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
    let named = (0..=5).find(|level| text::level(*level).eq_ignore_ascii_case(text));
    named.or_else(|| text.parse().ok()).ok_or_else(|| {
        "neither a number from 0 to 255 nor always, critical, error, warning, info or verbose"
            .to_owned()
    })
}

/// An opcode as a number or by the name that `dump` shows.
fn opcode(text: &str) -> Result<u8, String> {
    let named = (0..=255)
        .find(|opcode| names::opcode(*opcode).is_some_and(|name| name.eq_ignore_ascii_case(text)));
    named.or_else(|| number(text).ok()).ok_or_else(|| {
        "neither a number from 0 to 255 nor info, start, stop, dcstart, dcstop, extension, reply, \
         resume, suspend, send or receive"
            .to_owned()
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
    fn opcodes_have_names() {
        assert_eq!((opcode("start"), opcode("DCStop"), opcode("0xF0")), (Ok(1), Ok(4), Ok(240)));
        assert_eq!((opcode("0"), opcode("info"), opcode("255")), (Ok(0), Ok(0), Ok(255)));
        assert!(opcode("").is_err() && opcode("256").is_err() && opcode("go").is_err());
    }

    #[test]
    fn levels_have_names() {
        assert_eq!((level("warning"), level("Verbose"), level("3")), (Ok(3), Ok(5), Ok(3)));
        assert_eq!((level("0"), level("always"), level("255")), (Ok(0), Ok(0), Ok(255)));
        assert!(level("").is_err() && level("256").is_err() && level("loud").is_err());
    }
}
