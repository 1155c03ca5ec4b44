#![no_main]
//! A schema and a payload of any bytes: what was shown is balanced and bounded, what is left is the
//! payload's end.

use etlring::schema::tracelogging::{EventSchema, ProviderTraits};
use etlring::schema::{MOST_DEPTH, MOST_WORK, Shape, Value, Visitor};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Count {
    open: Vec<Shape>,
    shown: u64,
}

impl Visitor for Count {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.shown += 1 + name.len() as u64 / 16;
        if self.shown < 1000 {
            let _ = value.to_string();
        }
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        self.shown += 1 + name.len() as u64 / 16;
        self.open.push(shape);
        assert!(self.open.len() <= 2 * MOST_DEPTH + 2);
    }

    fn end(&mut self, shape: Shape) {
        assert_eq!(self.open.pop(), Some(shape));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, _)) = bytes.split_first_chunk() else { return };
    let size = usize::from(u16::from_le_bytes(*size)).min(bytes.len());
    let (item, payload) = bytes.split_at(size);
    if let Some(traits) = ProviderTraits::parse(item) {
        let _ = (traits.name(), traits.group());
    }
    let Some(schema) = EventSchema::parse(item) else { return };
    for pointer in [4, 8] {
        let mut count = Count::default();
        let walked = schema.walk(payload, pointer, &mut count);
        assert!(count.open.is_empty());
        assert!(count.shown <= u64::from(MOST_WORK));
        assert!(payload.ends_with(walked.rest));
        if let Some(error) = walked.error {
            assert_eq!(error.offset as usize, payload.len() - walked.rest.len());
        }
    }
});
