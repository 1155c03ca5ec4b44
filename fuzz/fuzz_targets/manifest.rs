#![no_main]
//! A manifest of any bytes, and an event of each id that it may describe.

use etlring::codec::{RecordView, Records};
use etlring::export::fields::JsonFields;
use etlring::schema::Decoder;
use libfuzzer_sys::fuzz_target;

/// `{11111111-1111-1111-1111-111111111111}` is easy to come to.
const PROVIDER: [u8; 16] = [0x11; 16];

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    match decoder.add_manifest(bytes) {
        Ok(count) => assert!(count <= bytes.len()),
        Err(error) => return assert!(error.position <= 3 * bytes.len() as u64 + 8, "{error}"),
    }
    for id in 0..4u8 {
        let mut record = vec![0; 80 + 32];
        record[..4].copy_from_slice(&[112, 0, 19, 0xC0]);
        record[24..40].copy_from_slice(&PROVIDER);
        record[40] = id;
        record[80..].copy_from_slice(&[2; 32]);
        let view = RecordView::parse(Records::new(&record).next().unwrap().unwrap()).unwrap();
        let event = decoder.describe(&view);
        let mut out = Vec::new();
        JsonFields::default().write(&mut out, &event);
        String::from_utf8(out).expect("UTF-8");
        let _ = event.message();
    }
});
