#![no_main]
//! Records of any bytes: all teach, then all are described and written in every form.

use etlring::codec::{RecordView, Records};
use etlring::export::csv::Csv;
use etlring::export::fields::{JsonFields, text_fields};
use etlring::export::{Entry, text::is_unsafe, xml};
use etlring::format::FileTime;
use etlring::schema::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    for record in Records::new(bytes).map_while(Result::ok) {
        decoder.learn(record);
    }
    let (mut json, mut csv) = (JsonFields::default(), Csv::default());
    for record in Records::new(bytes).map_while(Result::ok).take(64) {
        let Ok(view) = RecordView::parse(record) else { continue };
        let event = decoder.describe(&view);
        let mut out = Vec::new();
        let walked = json.write(&mut out, &event);
        assert!(walked.is_none_or(|walked| view.payload().ends_with(walked.rest)));
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(!text.chars().any(is_unsafe));
        assert_eq!(text == "null", walked.is_none());

        let mut out = Vec::new();
        text_fields(&mut out, &event);
        assert!(!String::from_utf8(out).expect("UTF-8").chars().any(is_unsafe));

        let entry = Entry {
            view: &view,
            event: &event,
            time: FileTime(0),
            lane: 0,
            buffer_index: 0,
            process_name: view.process_id().and_then(|pid| decoder.process_name(pid, 1)),
            timer_resolution: 156_250,
        };
        let mut out = Vec::new();
        csv.row(&mut out, &entry);
        assert!(!out.contains(&b'\n'));
        let mut out = Vec::new();
        xml::event(&mut out, &entry);
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.matches('<').count(), text.matches('>').count());
        let _ = event.message();
    }
});
