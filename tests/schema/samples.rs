//! Real files from Windows: how much of each is decoded, and what some of it says.

use crate::shown::Shown;
use etlring::codec::RecordView;
use etlring::reader::Trace;
use etlring::schema::{Decoder, Shape, Source, Value, Visitor};
use std::path::PathBuf;

/// `../shared/samples`; `None`, with a message, where they are missing and need not be there.
pub(crate) fn samples() -> Option<PathBuf> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
    if directory.join("expected.jsonl").is_file() {
        return Some(directory);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", directory.display());
    eprintln!("skipped: {} is missing", directory.display());
    None
}

/// Knows what the file says of its records.
pub(crate) fn decoder(trace: &Trace<bytes::Bytes>) -> Decoder {
    let mut decoder = Decoder::new();
    let mut records = trace.records();
    while let Some(record) = records.next() {
        decoder.learn(record.unwrap().raw());
    }
    assert_eq!(decoder.refused(), 0);
    decoder
}

/// File; records whose every byte became fields, by source: TraceLogging, metadata, kernel; records
/// without a schema, or with one in a manifest of .NET, which needs the feature `manifest`; records
/// of which bytes are left.
///
/// Without a schema: events of .NET in files that were not merged, or that the merging machine did
/// not know; messages, which need a TMF file. With bytes left: files that a test program made, with
/// payloads of a 64-bit system behind headers of a 32-bit one.
#[rustfmt::skip]
const COVERAGE: &[(&str, [u64; 5])] = &[
    ("airbus_AMSITrace.etl",                        [19,      0,      2,    0,  0]),
    ("airbus_ShutdownPerfDiagLogger.etl",           [ 0,      0, 17_078,    0,  0]),
    ("airbus_lxcore_kernel.etl",                    [ 2,      0,      2,    0,  0]),
    ("demikernel_PktMon.etl",                       [ 0,    403,     64,    0,  0]),
    ("etwanalyzer_TraceLoggingTester.etl",          [70, 47_490, 125_156,   0,  0]),
    ("hw3d_trace.etl",                              [ 1,      0,      2,    0,  0]),
    ("perfview_SelfDescribingSingleEvent.etl",      [ 1,      0,     22,    0,  0]),
    ("perfview_gcevents.etl",                       [ 0,      0,      2,   69,  0]),
    ("perfview_gcrundownevents.etl",                [ 0,      0,      2,  110,  0]),
    ("perfview_net.4.5.2.x64.etl",                  [ 0, 66_394, 111_331, 1749, 0]),
    ("perfview_primitive-types.etl",                [ 5,      0,      2,    0,  0]),
    ("s4_CldFlt0-2025-12-21-121418.etl",            [ 0,      0,      4,   13,  0]),
    ("s4_CldFlt2-2025-12-21-121418.etl",            [ 0,      0,      2,    0,  0]),
    ("s4_SIH.20230422.034724.362.1.etl",            [10,      0,      2,    0,  0]),
    ("s4_WindowsUpdate.20251008.140245.443.8.etl",  [80,      0,      2,    0,  0]),
    ("s4_waasmedic.20251005_113019_195.etl",        [17,      0,      4,    0,  0]),
    ("sonde_test.etl",                              [ 9,      0,    103,    0,  0]),
    ("syzygyA_image_data_32_v0.etl",                [ 0,      0,     27,    0,  0]),
    ("syzygyA_process_data_64_v2.etl",              [ 0,      0,      1,    0,  8]),
    ("syzygy_image_data_64_v2.etl",                 [ 0,      0,      1,    0, 26]),
    ("syzygy_process_data_32_v2.etl",               [ 0,      0,      9,    0,  0]),
];

#[test]
fn every_record_is_decoded_whole_or_for_a_known_reason_not() {
    let Some(directory) = samples() else { return };
    for (file, expected) in COVERAGE {
        let trace = Trace::open(directory.join(file)).unwrap();
        let decoder = decoder(&trace);
        let mut counts = [0; 5];
        let mut records = trace.records();
        while let Some(record) = records.next() {
            let view = record.unwrap().view().unwrap();
            let found = decoder.describe(&view);
            let mut nothing = Nothing;
            let at = match (found.walk(&mut nothing), found.source()) {
                (None, Source::None) => 3,
                #[cfg(feature = "manifest")]
                (Some(_), Source::EventSource) => 3,
                (Some(walked), _) if walked.error.is_some() || !walked.rest.is_empty() => 4,
                (Some(_), Source::TraceLogging) => 0,
                (Some(_), Source::Metadata) => 1,
                (Some(_), Source::Kernel) => 2,
                other => panic!("{file}: {other:?}"),
            };
            counts[at] += 1;
        }
        assert_eq!(counts, *expected, "{file}");
    }
}

struct Nothing;

impl Visitor for Nothing {
    fn value(&mut self, _: &str, _: &Value<'_>) {}
    fn begin(&mut self, _: &str, _: Shape) {}
    fn end(&mut self, _: Shape) {}
}

/// Calls `each` with provider and event name, id and fields of each record by time.
fn each_event(file: &str, mut each: impl FnMut(&Decoder, &RecordView<'_>, String)) {
    let Some(directory) = samples() else { return };
    let trace = Trace::open(directory.join(file)).unwrap();
    let decoder = decoder(&trace);
    let mut records = trace.by_time();
    while let Some(record) = records.next() {
        let view = record.unwrap().view().unwrap();
        let mut shown = Shown::default();
        decoder.describe(&view).walk(&mut shown);
        each(&decoder, &view, shown.text());
    }
}

/// Packets of event 160 and how many of them each way, as etl2pcapng's authors count them in this
/// file.
#[test]
fn maps_name_the_values_of_packets() {
    let (mut packets, mut received, mut sent) = (0, 0, 0);
    each_event("demikernel_PktMon.etl", |decoder, view, text| {
        if view.id() == Some(160) {
            let found = decoder.describe(view);
            assert_eq!(found.provider_name(), Some("Microsoft-Windows-PktMon"));
            packets += 1;
            received += u32::from(text.contains(" DirTag=Rx "));
            sent += u32::from(text.contains(" DirTag=Tx "));
            assert!(text.contains("PacketType=Ethernet"), "{text}");
        }
    });
    if packets > 0 {
        assert_eq!((packets, received, sent), (114, 38, 76));
    }
}
