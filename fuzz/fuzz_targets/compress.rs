#![no_main]
//! What is packed comes out again, both ways, within the bound, whatever was packed before.

#[path = "../../tests/common/xpress.rs"]
mod naive;

use etlring::codec::xpress::{self, Compressor};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static COMPRESSOR: RefCell<Box<Compressor>> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| {
    COMPRESSOR.with_borrow_mut(|compressor| {
        let mut stream = vec![0xA5; Compressor::bound(bytes.len())];
        let size = compressor.compress(bytes, &mut stream).expect("it has the room");
        let stream = &stream[..size];
        let mut out = vec![0; bytes.len()];
        assert_eq!(xpress::decompress(stream, &mut out), Ok(()));
        assert!(out == bytes);
        assert!(naive::decompress(stream, bytes.len()).as_deref() == Ok(bytes));
    });
});
