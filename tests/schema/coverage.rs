//! The table of `spec/coverage.md`, made anew from the samples and compared.

use crate::samples::{decoder, samples};
use etlring::codec::{RecordHeader, RecordView};
use etlring::reader::Trace;
use etlring::schema::{Coverage, Source};
use std::fmt::Write;
use std::path::Path;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/coverage.md");

/// Calls `each` with every record of a file and what is known of it.
fn each_record(
    path: &Path,
    mut each: impl FnMut(&RecordView<'_>, &etlring::schema::Description<'_>),
) {
    let trace = Trace::open(path).unwrap();
    let decoder = decoder(&trace);
    let mut records = trace.records();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        each(&view, &decoder.describe(&view));
    }
}

/// One row, its per cent cut and not rounded: 100 means all.
fn row(path: &Path) -> String {
    let mut coverage = Coverage::default();
    each_record(path, |view, event| coverage.add(view, event));
    let (all, whole) = (coverage.records(), coverage.whole());
    let share = whole * 10_000 / all.max(1);
    let mut row = format!(
        "| {} | {all} | {}.{:02} % | ",
        path.file_name().unwrap().to_string_lossy(),
        share / 100,
        share % 100
    );
    let mut comma = "";
    for (source, counted) in coverage.sources().filter(|(source, _)| *source != Source::None) {
        let _ = write!(row, "{comma}{} {}", source.name(), counted.whole);
        comma = ", ";
    }
    row.push_str(" | ");
    comma = "";
    for (reason, count) in coverage.reasons() {
        let _ = write!(row, "{comma}{count} {}", reason.name());
        comma = ", ";
    }
    row.push_str(" |");
    row
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "etl")).collect();
    files.sort();
    files
}

/// On a difference the message has the rows as they should be.
#[test]
fn the_table_of_the_document_is_true() {
    let Some(directory) = samples() else { return };
    let rows: Vec<_> = files(&directory).iter().map(|path| row(path)).collect();
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let written: Vec<_> = document.lines().filter(|line| line.contains(".etl |")).collect();
    assert!(written == rows, "spec/coverage.md should say\n{}", rows.join("\n"));
}

/// What the project promises of real files: of those that Windows wrote, and of their merged ones.
#[test]
fn what_a_file_says_of_itself_is_enough() {
    let Some(directory) = samples() else { return };
    let (mut manifest, mut described) = (0u64, 0u64);
    for path in files(&directory) {
        // Made by a test program, whose payloads are of another system than their headers.
        let synthetic = path.to_string_lossy().contains("syzygy");
        let (mut merged, mut events, mut known) = (false, 0, 0);
        each_record(&path, |view, event| {
            let mut one = Coverage::default();
            one.add(view, event);
            merged |= event.provider_name() == Some("KernelTraceControl-EventMetadata");
            match (view.header(), event.source()) {
                (_, Source::TraceLogging) => assert_eq!(one.whole(), 1, "{}", path.display()),
                (RecordHeader::Event(_), _) => {
                    events += 1;
                    known += one.whole();
                }
                (RecordHeader::Message(_), _) => {}
                _ => assert!(synthetic || one.whole() == 1, "{}", path.display()),
            }
        });
        if merged {
            manifest += events;
            described += known;
        }
    }
    assert!(manifest > 100_000, "{manifest} events in merged files");
    assert!(described * 100 >= manifest * 98, "{described} of {manifest}");
}
