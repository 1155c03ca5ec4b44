#![no_main]
//! A MOF file of any bytes, and an event of each type that it may describe.

use etlring::codec::{RecordView, Records};
use etlring::export::fields::JsonFields;
use etlring::schema::Decoder;
use libfuzzer_sys::fuzz_target;

/// `{11111111-1111-1111-1111-111111111111}` is easy to come to.
const CLASS: [u8; 16] = [0x11; 16];

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    match decoder.add_mof(bytes) {
        Ok(count) => assert!(count <= bytes.len()),
        Err(error) => return assert!(error.position <= 3 * bytes.len() as u64 + 8, "{error}"),
    }
    let payload = bytes.get(..64).unwrap_or(bytes);
    for kind in 0..6u8 {
        let mut record = vec![0; 48];
        let size = 48 + u8::try_from(payload.len()).unwrap();
        record[..5].copy_from_slice(&[size, 0, 20, 0xC0, kind]);
        record[6] = 2;
        record[24..40].copy_from_slice(&CLASS);
        record.extend_from_slice(payload);
        let view = RecordView::parse(Records::new(&record).next().unwrap().unwrap()).unwrap();
        let event = decoder.describe(&view);
        let mut out = Vec::new();
        JsonFields::default().write(&mut out, &event);
        String::from_utf8(out).expect("UTF-8");
    }
});
