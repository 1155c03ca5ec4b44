#![no_main]
//! A DLL of any bytes, also as its own file of texts, and an event of each id that it may describe.

use etlring::codec::{RecordView, Records};
use etlring::export::fields::JsonFields;
use etlring::schema::Decoder;
use libfuzzer_sys::fuzz_target;

/// The seed's provider.
const PROVIDER: [u8; 16] = [0x11; 16];

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    match decoder.add_binary(bytes, Some(bytes)) {
        Ok(count) => assert!(count <= bytes.len()),
        // Events before the damage are kept, so what follows is worth while. An offset in the file
        // is a sum of at most three numbers of 32 bits.
        Err(error) => assert!(error.position < 1 << 34, "{error}"),
    }
    for id in 0..4u8 {
        let mut record = vec![0; 80 + 64];
        record[..4].copy_from_slice(&[144, 0, 19, 0xC0]);
        record[24..40].copy_from_slice(&PROVIDER);
        (record[40], record[42]) = (id, 7);
        record[80..].copy_from_slice(&[2; 64]);
        let view = RecordView::parse(Records::new(&record).next().unwrap().unwrap()).unwrap();
        let event = decoder.describe(&view);
        let mut out = Vec::new();
        JsonFields::default().write(&mut out, &event);
        String::from_utf8(out).expect("UTF-8");
        let _ = event.message();
    }
});
