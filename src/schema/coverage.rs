//! How much of a log is decoded, by what, and why the rest is not.

use crate::codec::{RecordHeader, RecordView};
use crate::schema::{DecodeFault, Description, Shape, Source, Value, Visitor};
use std::collections::BTreeMap;

/// Counts records whose every byte became a named field, and reasons for the others.
///
/// ```no_run
/// # use etlring::reader::Trace;
/// # use etlring::schema::{Coverage, Decoder};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (trace, decoder) = (Trace::open("boot.etl")?, Decoder::new());
/// let mut coverage = Coverage::default();
/// let mut records = trace.records();
/// while let Some(record) = records.next() {
///     let view = record?.view()?;
///     coverage.add(&view, &decoder.describe(&view));
/// }
/// println!("{} of {} records are decoded", coverage.whole(), coverage.records());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    sources: BTreeMap<Source, Counted>,
    reasons: BTreeMap<Undecoded, u64>,
}

/// Records of one kind of schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub records: u64,
    /// Those whose every byte became a field.
    pub whole: u64,
}

/// Why a record is not decoded to its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Undecoded {
    /// An event of a provider whose manifest nobody gave.
    Manifest,
    /// A classic event whose class is not known.
    Class,
    /// A message without its TMF file.
    Message,
    /// A record with a header that is not known.
    Header,
    /// Fields, and bytes behind the last one.
    Rest,
    /// The payload ends within a field.
    Short,
    /// The schema cannot be followed to its end.
    Schema,
}

impl Undecoded {
    /// A few words for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "events without a manifest",
            Self::Class => "classic events of an unknown class",
            Self::Message => "messages without a TMF file",
            Self::Header => "records with an unknown header",
            Self::Rest => "records with bytes behind their fields",
            Self::Short => "records that end within a field",
            Self::Schema => "records whose schema cannot be followed",
        }
    }
}

impl Coverage {
    /// Counts one record.
    pub fn add(&mut self, record: &RecordView<'_>, event: &Description<'_>) {
        let counted = self.sources.entry(event.source()).or_default();
        counted.records = counted.records.saturating_add(1);
        match reason(record, event) {
            None => counted.whole = counted.whole.saturating_add(1),
            Some(reason) => {
                let count = self.reasons.entry(reason).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// All records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.sources.values().map(|counted| counted.records).sum()
    }

    /// Records whose every byte became a field.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.sources.values().map(|counted| counted.whole).sum()
    }

    /// Records by the kind of schema that they were decoded by.
    pub fn sources(&self) -> impl Iterator<Item = (Source, Counted)> + '_ {
        self.sources.iter().map(|(source, counted)| (*source, *counted))
    }

    /// Records that are not decoded to their last byte, by reason.
    pub fn reasons(&self) -> impl Iterator<Item = (Undecoded, u64)> + '_ {
        self.reasons.iter().map(|(reason, count)| (*reason, *count))
    }
}

fn reason(record: &RecordView<'_>, event: &Description<'_>) -> Option<Undecoded> {
    let Some(walked) = event.walk(&mut Nothing) else {
        return Some(match record.header() {
            RecordHeader::Event(_) => Undecoded::Manifest,
            RecordHeader::Message(_) => Undecoded::Message,
            RecordHeader::Unknown => Undecoded::Header,
            _ => Undecoded::Class,
        });
    };
    match walked.error.map(|error| error.fault) {
        None => (!walked.rest.is_empty()).then_some(Undecoded::Rest),
        Some(DecodeFault::Truncated(..)) => Some(Undecoded::Short),
        Some(_) => Some(Undecoded::Schema),
    }
}

/// Looks at no field.
struct Nothing;

impl Visitor for Nothing {
    fn value(&mut self, _: &str, _: &Value<'_>) {}
    fn begin(&mut self, _: &str, _: Shape) {}
    fn end(&mut self, _: Shape) {}
}
