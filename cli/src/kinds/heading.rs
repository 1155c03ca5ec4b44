//! What is counted of a record, from one look at its header.

use etlring::codec::{RecordHeader, RecordView};
use etlring::format::EventTraceHeader;

/// What a header says of where its record belongs: its kind, who logged it and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) label: Label,
    pub(crate) process: Option<u32>,
    pub(crate) thread: Option<u32>,
    pub(crate) ticks: Option<u64>,
}

/// What tells the kinds of one file apart, as words of the header: records of one label are of one
/// kind. Not the other way round: one kind may have several labels, since to leave out the bytes
/// that lie between those that count would cost more than it saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Label {
    /// The first word without the size of the record.
    first: u64,
    /// The first half of an event's descriptor; 0 for others.
    descriptor: u64,
    /// Provider or class; 0 where there is none. A group of the kernel is in the first word. Two
    /// words and no array, which would be compared as bytes in memory.
    provider: u64,
    provider_rest: u64,
}

/// Which bits of the first word are the size.
const SIZE_AT_0: u64 = 0xFFFF;
const SIZE_AT_4: u64 = 0xFFFF << 32;

impl Heading {
    pub(crate) fn of(view: &RecordView<'_>) -> Self {
        Self::at_a_glance(view).unwrap_or_else(|| Self::of_other(view))
    }

    /// The same of a record whose fields have their places. What the view answers, but all of it
    /// behind one branch on the kind of header: that is most of what counting a record costs.
    #[inline(always)]
    pub(crate) fn at_a_glance(view: &RecordView<'_>) -> Option<Self> {
        let bytes = view.raw().bytes;
        Some(match view.header() {
            RecordHeader::Event(header) => Self {
                label: Label {
                    descriptor: word(bytes, 40),
                    ..Label::of(bytes, SIZE_AT_0, header.provider_id.0)
                },
                process: Some(header.process_id.get()),
                thread: Some(header.thread_id.get()),
                ticks: Some(header.time_stamp.get()),
            },
            RecordHeader::Classic(header) => Self::classic(bytes, header),
            RecordHeader::Instance(header) => Self::classic(bytes, &header.base),
            RecordHeader::System(header) => Self {
                label: Label::of(bytes, SIZE_AT_4, [0; 16]),
                process: Some(header.process_id.get()),
                thread: Some(header.thread_id.get()),
                ticks: Some(header.system_time.get()),
            },
            RecordHeader::Compact(header) => Self {
                label: Label::of(bytes, SIZE_AT_4, [0; 16]),
                process: Some(header.process_id.get()),
                thread: Some(header.thread_id.get()),
                ticks: Some(header.system_time.get()),
            },
            RecordHeader::PerfInfo(header) => Self {
                label: Label::of(bytes, SIZE_AT_4, [0; 16]),
                process: None,
                thread: None,
                ticks: Some(header.time_stamp.get()),
            },
            _ => return None,
        })
    }

    #[inline(always)]
    fn classic(bytes: &[u8], header: &EventTraceHeader) -> Self {
        Self {
            label: Label::of(bytes, SIZE_AT_0, header.guid.0),
            process: Some(header.process_id.get()),
            thread: Some(header.thread_id.get()),
            ticks: Some(header.time_stamp.get()),
        }
    }

    /// Of messages, whose fields move, and of headers that are not known.
    fn of_other(view: &RecordView<'_>) -> Self {
        let label = match view.header() {
            RecordHeader::Message(message) => {
                Label::of(view.raw().bytes, SIZE_AT_0, message.guid().unwrap_or_default().0)
            }
            _ => Label::UNKNOWN,
        };
        let (process, thread) = (view.process_id(), view.thread_id());
        Self { label, process, thread, ticks: view.ticks() }
    }
}

impl Label {
    /// No record has it: its size is not left out.
    pub(super) const NONE: Self = Self { first: u64::MAX, ..Self::UNKNOWN };
    /// Of headers that are not known.
    const UNKNOWN: Self = Self { first: 0, descriptor: 0, provider: 0, provider_rest: 0 };

    #[inline(always)]
    fn of(bytes: &[u8], size: u64, provider: [u8; 16]) -> Self {
        let (provider, provider_rest) = (word(&provider, 0), word(&provider, 8));
        Self { first: word(bytes, 0) & !size, descriptor: 0, provider, provider_rest }
    }

    /// Where those seen last are looked for first.
    #[inline(always)]
    pub(super) fn place(&self) -> u8 {
        let provider = self.provider ^ self.provider_rest.rotate_left(7);
        let mixed = self.first ^ self.descriptor ^ provider;
        let [.., place] = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        place
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input;
    use crate::kinds::Kind;
    use etlring::format::EventHeader;
    use std::collections::HashMap;
    use std::path::Path;

    #[test]
    fn the_descriptor_is_where_it_is_read() {
        assert!(EventHeader::LAYOUT.contains(&("descriptor", 40, 16)));
    }

    /// Goal: headings say what views say, and no label stands for two kinds. Method: every record
    /// of the samples; kinds are made of the view's own answers.
    #[test]
    fn headings_of_samples_are_what_their_views_say() {
        let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/samples"));
        if !samples.join("expected.jsonl").is_file() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "the samples are missing");
            return eprintln!("skipped: {} is missing", samples.display());
        }
        let (mut files, mut seen) = (0, 0);
        for entry in std::fs::read_dir(samples).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "etl") {
                continue;
            }
            files += 1;
            let mut kinds = HashMap::new();
            input::open(&path).unwrap().each_record(|raw| {
                let Ok(view) = RecordView::parse(raw) else { return };
                let heading = Heading::of(&view);
                let own = (heading.process, heading.thread, heading.ticks);
                assert_eq!(own, (view.process_id(), view.thread_id(), view.ticks()), "{raw:?}");
                let kind = Kind::of(0, &view);
                let label = heading.label;
                assert_ne!(label, Label::NONE);
                let known =
                    *kinds.entry((label.first, label.descriptor, label.provider)).or_insert(kind);
                assert_eq!(known, kind, "{raw:?}");
                seen += 1;
            });
        }
        assert!(files >= 20 && seen > 200_000, "{files} {seen}");
    }
}
