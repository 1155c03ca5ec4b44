#![no_main]
//! A chain of extended items of any bytes: it ends, and its items lie in it one after the other.

use etlring::codec::ExtendedItems;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut items = ExtendedItems::new(bytes).at(80);
    let mut end = 0;
    while let Some(item) = items.next() {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                assert!(error.offset as usize == 80 + end);
                return assert!(items.next().is_none(), "an error is the last thing");
            }
        };
        assert_eq!(item.data, &bytes[end + 8..end + 8 + item.data.len()]);
        assert_eq!(item.guid().is_some(), item.data.len() == 16);
        assert!(items.consumed() >= end + 8 + item.data.len());
        end = items.consumed();
    }
    assert!(end <= bytes.len());
    assert!(end != 0, "a chain has an item or an error");
});
