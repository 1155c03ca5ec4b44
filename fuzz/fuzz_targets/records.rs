#![no_main]
//! Records of any bytes: they lie in order and inside the input, and each answers every question.

use etlring::codec::{RecordHeader, RecordView, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut records = Records::new(bytes);
    let mut end = 0;
    while let Some(record) = records.next() {
        let Ok(record) = record else {
            return assert!(records.next().is_none(), "an error is the last thing");
        };
        assert_eq!(record.offset as usize, end);
        assert!(record.bytes.len() >= 8);
        assert_eq!(record.bytes, &bytes[end..end + record.bytes.len()]);
        end += record.bytes.len().next_multiple_of(8);
        assert_eq!(records.offset() as usize, end);

        let Ok(view) = RecordView::parse(record) else { continue };
        assert!(view.payload().len() + 8 <= record.bytes.len());
        assert!(record.bytes.ends_with(view.payload()));
        let known = !matches!(view.header(), RecordHeader::Unknown);
        assert_eq!(view.header_name() != "unknown", known);
        assert_eq!(view.id().is_some(), known);
        assert!(view.items().all(|item| item.is_ok()), "the view has checked them");
        let answers = (view.ticks(), view.process_id(), view.thread_id(), view.bits());
        let names = (view.provider(), view.group(), view.activity_id(), view.descriptor());
        let numbers = (view.version(), view.level(), view.opcode());
        let _ = format!("{answers:?} {names:?} {numbers:?}");
    }
    assert!(end >= bytes.len());
});
