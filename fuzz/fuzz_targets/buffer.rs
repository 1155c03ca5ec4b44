#![no_main]
//! A buffer of any bytes: what the view promises about itself holds, and its content can be read.

use etlring::codec::{BufferView, Content, Records};
use etlring::error::Fault;
use libfuzzer_sys::fuzz_target;

/// Most bytes that are unpacked for one input, so that a header's claim costs no time.
const MOST: u32 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let (view, error) = BufferView::parse_damaged(bytes);
    assert_eq!(BufferView::parse(bytes).err(), error);
    let Some(view) = view else { return assert!(error.is_some()) };
    let header = view.header();
    assert!(view.bytes().len() <= bytes.len() && view.bytes().len() >= 72);
    if error.is_none() {
        assert_eq!(view.bytes().len(), header.buffer_size.get() as usize);
    }
    assert!(header.lane() <= 0x07FF);
    let _ = view.verify_checksum();

    match view.content() {
        Content::Records(records) => {
            assert!(records.len() + 72 <= view.bytes().len());
            assert_eq!(view.records().count(), Records::new(records).count());
        }
        Content::Compressed { stream, size } => {
            assert_eq!(stream.len() + 72, view.bytes().len());
            assert_eq!(view.records().count(), 0);
            let mut out = vec![0; size.min(MOST) as usize];
            match view.decompress(&mut out) {
                Ok(records) => drop(Records::new(records).count()),
                Err(error) => {
                    assert_eq!(matches!(error.fault, Fault::NoSpace(..)), size > MOST, "{error}")
                }
            }
        }
    }
});
