#![no_main]
//! The first record of a file: every field can be asked for, and its clock turns any stamp.

use etlring::codec::{LogfileView, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(Ok(record)) = Records::new(bytes).next() else { return };
    let Ok(view) = LogfileView::parse(record) else { return };
    assert!(matches!(view.bits(), 32 | 64));
    let names = (view.session_name(), view.log_file_name());
    assert!(names.0.0.len() + names.1.0.len() <= record.bytes.len());
    let _ = format!("{} {} {:?}", names.0, names.1, view.time_zone());
    let sizes = (view.buffer_size(), view.buffers_written(), view.maximum_file_size());
    let lost = (view.events_lost(), view.buffers_lost(), view.end_time(), view.boot_time());
    let machine = (view.version(), view.number_of_processors(), view.pointer_size());
    let _ = format!("{sizes:?} {lost:?} {machine:?} {:?}", view.mode());

    let clock = view.clock();
    let mut before = clock.file_time(0);
    for shift in 0..64 {
        let time = clock.file_time(1 << shift);
        assert!(before <= time, "a later stamp is no earlier time");
        before = time;
    }
    assert_eq!(clock.file_time(clock.start_ticks), clock.start_time);
    let first = clock.first_ticks(before);
    assert!(clock.file_time(first) >= before || first == u64::MAX);
});
