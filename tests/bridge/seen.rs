//! A log as a reader sees it: the events that describe themselves, in the order of their time.

use etlring::codec::RecordHeader;
use etlring::format::{ExtType, Guid};
use etlring::reader::Trace;
use etlring::schema::{Decoder, Shape, Source, Value, Visitor};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An event, decoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) provider: Guid,
    pub(crate) provider_name: String,
    pub(crate) name: String,
    pub(crate) level: u8,
    pub(crate) opcode: u8,
    pub(crate) keyword: u64,
    pub(crate) activity: Guid,
    pub(crate) related: Option<Guid>,
    /// `name=value` for each field.
    pub(crate) fields: String,
}

/// Where a test's log goes. The directory must be kept.
pub(crate) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.etl");
    (directory, path)
}

/// The events of a log, and of its ring if that is still there.
pub(crate) fn read(log: &Path) -> Vec<Seen> {
    let trace = Trace::open(log).unwrap();
    let decoder = Decoder::new();
    let mut records = trace.by_time();
    let mut all = Vec::new();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        let RecordHeader::Event(header) = view.header() else { continue };
        let described = decoder.describe(&view);
        assert_eq!(described.source(), Source::TraceLogging);
        let mut fields = Fields::default();
        let walked = described.walk(&mut fields).unwrap();
        assert_eq!((walked.rest, walked.error), (&[][..], None), "{described:?}");
        let items = view.items().map(Result::unwrap);
        let related = items
            .filter(|item| item.ext_type == ExtType::RELATED_ACTIVITYID)
            .map(|item| Guid(item.data.try_into().unwrap()))
            .next();
        assert_eq!((header.descriptor.channel, header.descriptor.version), (11, 0));
        all.push(Seen {
            provider: header.provider_id,
            provider_name: described.provider_name().unwrap().to_owned(),
            name: described.name().unwrap().to_owned(),
            level: header.descriptor.level,
            opcode: header.descriptor.opcode,
            keyword: header.descriptor.keyword.get(),
            activity: header.activity_id,
            related,
            fields: fields.0.join(" "),
        });
    }
    all
}

/// Their fields alone.
pub(crate) fn fields(log: &Path) -> Vec<String> {
    read(log).into_iter().map(|seen| seen.fields).collect()
}

#[derive(Default)]
struct Fields(Vec<String>);

impl Visitor for Fields {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.0.push(format!("{name}={value}"));
    }

    fn begin(&mut self, name: &str, _: Shape) {
        self.0.push(format!("{name}["));
    }

    fn end(&mut self, _: Shape) {
        self.0.push("]".into());
    }
}
