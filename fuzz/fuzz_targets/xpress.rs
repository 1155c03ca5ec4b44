#![no_main]
//! Any stream gives what the naive way gives: the same bytes, or the same error.

#[path = "../../tests/common/xpress.rs"]
mod naive;

use etlring::codec::xpress;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (size, stream) = input;
    let size = usize::from(size);
    let mut out = vec![0xA5; size];
    let found = xpress::decompress(stream, &mut out);
    match naive::decompress(stream, size) {
        Ok(expected) => {
            assert_eq!(found, Ok(()));
            assert!(out == expected);
        }
        Err(expected) => assert_eq!(found, Err(expected)),
    }
});
