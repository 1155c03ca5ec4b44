#![no_main]
//! A TMF file of any bytes, and messages of the first numbers with the same bytes as arguments.

use etlring::codec::{RecordView, Records};
use etlring::export::fields::JsonFields;
use etlring::schema::Decoder;
use libfuzzer_sys::fuzz_target;

/// `11111111-1111-1111-1111-111111111111` is easy to come to.
const GUID: [u8; 16] = [0x11; 16];

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    let count = decoder.add_tmf(bytes);
    assert!(count <= bytes.len());
    let arguments = bytes.get(..64).unwrap_or(bytes);
    for number in 10..18u8 {
        let mut record =
            vec![24 + u8::try_from(arguments.len()).unwrap(), 0, 0, 0x90, number, 0, 0x82, 0];
        record.extend_from_slice(&GUID);
        record.extend_from_slice(arguments);
        let view = RecordView::parse(Records::new(&record).next().unwrap().unwrap()).unwrap();
        let event = decoder.describe(&view);
        let mut out = Vec::new();
        let walked = JsonFields::default().write(&mut out, &event);
        String::from_utf8(out).expect("UTF-8");
        assert_eq!(walked.is_some(), event.message().is_some());
        assert!(event.message().is_none_or(|message| message.len() <= 1 << 18));
    }
});
