//! A log in the formats of other tools.

use crate::File;
use crate::edited::decoder;
use etlring::export::chrome::Chrome;
use etlring::export::csv::{self, Csv};
use etlring::export::fields::{JsonFields, text_fields};
use etlring::export::folded::Folded;
use etlring::export::page::Page;
use etlring::export::pcapng::Pcapng;
use etlring::export::requests::{FailureRules, Request, Requests};
use etlring::export::{Entry, xml};
use etlring::reader::Trace;
use etlring::schema::images::Images;
use etlring::schema::stacks::{StackKeys, Stacks};

type Log = Trace<bytes::Bytes>;

/// Every format once.
pub(crate) fn files_of(trace: &Log) -> Vec<File> {
    let mut files = vec![
        rows(trace),
        objects(trace),
        elements(trace),
        chrome(trace),
        packets(trace),
        stacks(trace),
    ];
    #[cfg(feature = "otlp")]
    files.extend(otlp(trace));
    files.extend(requests(trace));
    files
}

/// Calls `each` with every whole record by time, and its nanoseconds since 1970.
fn each_entry(trace: &Log, mut each: impl FnMut(&Entry<'_, '_>, i128)) {
    let decoder = decoder(trace);
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let Ok((record, view)) = record.and_then(|record| Ok((record, record.view()?))) else {
            continue;
        };
        let ticks = view.ticks();
        let process = view.process_id();
        let time = trace.time(&record);
        let entry = Entry {
            view: &view,
            event: &decoder.describe(&view),
            time,
            lane: record.lane(),
            buffer_index: record.buffer_index(),
            process_name: process
                .and_then(|process| decoder.process_name(process, ticks.unwrap_or_default())),
            timer_resolution: trace.logfile().timer_resolution(),
        };
        let nanos = ticks.map(|ticks| trace.clock().unix_nanos(ticks));
        each(&entry, nanos.unwrap_or_else(|| time.to_unix_nanos()));
    }
}

fn rows(trace: &Log) -> File {
    let mut out = csv::HEADER.as_bytes().to_vec();
    let mut csv = Csv::default();
    each_entry(trace, |entry, _| {
        out.push(b'\n');
        csv.row(&mut out, entry);
    });
    ("rows.csv".to_owned(), out)
}

fn objects(trace: &Log) -> File {
    let mut out = Vec::new();
    let mut fields = JsonFields::default();
    each_entry(trace, |entry, nanos| {
        out.extend_from_slice(format!("{nanos} ").as_bytes());
        fields.write(&mut out, entry.event);
        out.push(b' ');
        text_fields(&mut out, entry.event);
        out.push(b'\n');
    });
    ("fields.txt".to_owned(), out)
}

fn elements(trace: &Log) -> File {
    let mut out = xml::HEAD.as_bytes().to_vec();
    each_entry(trace, |entry, _| xml::event(&mut out, entry));
    out.extend_from_slice(xml::TAIL.as_bytes());
    ("events.xml".to_owned(), out)
}

fn chrome(trace: &Log) -> File {
    let mut out = Vec::new();
    let mut chrome = Chrome::new(trace.logfile().start_time().to_unix_nanos());
    let decoder = decoder(trace);
    chrome.head(&mut out);
    each_entry(trace, |entry, nanos| chrome.event(&mut out, entry, nanos, &decoder));
    chrome.tail(&mut out);
    ("chrome.json".to_owned(), out)
}

fn packets(trace: &Log) -> File {
    let mut out = Vec::new();
    let mut pcapng = Pcapng::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        if let Ok(record) = record {
            pcapng.learn(record.raw());
        }
    }
    pcapng.head(&mut out);
    each_entry(trace, |entry, nanos| pcapng.event(&mut out, entry, nanos));
    pcapng.tail(&mut out);
    ("packets.pcapng".to_owned(), out)
}

fn stacks(trace: &Log) -> File {
    let (mut images, mut keys) = (Images::new(), StackKeys::new());
    let mut records = trace.records();
    while let Some(record) = records.next() {
        if let Ok(record) = record {
            images.learn(record.raw());
            keys.learn(record.raw());
        }
    }
    images.finish();
    keys.finish();
    let decoder = decoder(trace);
    let (mut stacks, mut ahead) = (Stacks::new(&keys), trace.by_time());
    let (mut out, mut folded) = (Vec::new(), Folded::new());
    each_entry(trace, |entry, _| {
        let Some(ticks) = entry.view.ticks() else { return };
        stacks.pass(ticks);
        while stacks.has_room() {
            match ahead.next() {
                Some(Ok(record)) => stacks.look_ahead(record.raw()),
                Some(Err(_)) => {}
                None => break,
            }
        }
        let stack = stacks.of(entry.view, &decoder);
        folded.event(&mut out, entry, stack, (&decoder, &images), true);
    });
    folded.finish(&mut out);
    ("stacks.folded".to_owned(), out)
}

#[cfg(feature = "otlp")]
fn otlp(trace: &Log) -> [File; 2] {
    use etlring::export::otlp::{Encoding, Otlp};
    [("otlp.bin", Encoding::Protobuf), ("otlp.jsonl", Encoding::Json)].map(|(name, encoding)| {
        let (mut out, mut otlp) = (Vec::new(), Otlp::new(encoding));
        each_entry(trace, |entry, nanos| otlp.event(&mut out, entry, nanos));
        otlp.finish(&mut out);
        (name.to_owned(), out)
    })
}

/// The page of requests, and a document for each.
fn requests(trace: &Log) -> Vec<File> {
    let rules = FailureRules::default();
    let (mut page, mut files) = (Page::new(), Vec::new());
    let mut done = |request: Request| {
        let failure = rules.judge(&request);
        page.add(&request, failure.as_ref());
        #[cfg(feature = "freb")]
        if let Some(failure) = failure {
            use etlring::export::freb::{Options, document, file_name};
            let name = file_name(files.len() as u64 + 1);
            files.push((name, document(&request, &failure, &Options::default())));
        }
    };
    let mut requests = Requests::new(1 << 20);
    each_entry(trace, |entry, _| requests.add(entry, &mut done));
    requests.finish(&mut done);
    files.push(("page.html".to_owned(), page.finish("log")));
    files
}
