//! Fields as OTLP's values.

use crate::schema::{Shape, Value, Visitor};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value as Any,
};
use std::collections::HashMap;

/// Lists in each other, that of the event among them. A list in a list is three messages in each
/// other, and readers of protobuf give up at the hundredth.
const MOST_LEVELS: usize = 24;

/// Gathers fields, nested as they are, as far as readers follow.
#[derive(Debug)]
pub(super) struct Fields {
    /// Open lists, innermost last; the first is the event.
    levels: Vec<Level>,
    /// How many more are open in the innermost one, which takes what is in them.
    deeper: usize,
}

#[derive(Debug, Default)]
struct Level {
    name: String,
    array: bool,
    values: Vec<KeyValue>,
    /// The last number that each name got.
    names: HashMap<String, u32>,
}

impl Fields {
    pub(super) fn new() -> Self {
        Self { levels: vec![Level::default()], deeper: 0 }
    }

    /// What was gathered: a list of keys and values.
    pub(super) fn finish(mut self) -> Any {
        // A walk closes what it opens.
        self.levels.truncate(1);
        self.levels.pop().unwrap_or_default().into_value()
    }

    fn put(&mut self, name: &str, value: Any) {
        let Some(level) = self.levels.last_mut() else { return };
        let key = if level.array { String::new() } else { level.unique(name) };
        let value = Some(AnyValue { value: Some(value) });
        level.values.push(KeyValue { key, value, ..KeyValue::default() });
    }
}

impl Level {
    /// The name, or with a number behind it if it stands already.
    fn unique(&mut self, name: &str) -> String {
        let Some(mut count) = self.names.get(name).copied() else {
            self.names.insert(name.to_owned(), 1);
            return name.to_owned();
        };
        let key = loop {
            count = count.saturating_add(1);
            let key = format!("{name}_{count}");
            // The name with its number may itself stand there already.
            if !self.names.contains_key(&key) {
                break key;
            }
        };
        self.names.insert(name.to_owned(), count);
        self.names.insert(key.clone(), 1);
        key
    }

    fn into_value(self) -> Any {
        if self.array {
            let values = self.values.into_iter().filter_map(|one| one.value).collect();
            return Any::ArrayValue(ArrayValue { values });
        }
        Any::KvlistValue(KeyValueList { values: self.values })
    }
}

impl Visitor for Fields {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.put(name, any(value));
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        if self.levels.len() == MOST_LEVELS {
            self.deeper += 1;
            return;
        }
        let array = shape == Shape::Array;
        self.levels.push(Level { name: name.to_owned(), array, ..Level::default() });
    }

    fn end(&mut self, _: Shape) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else if let Some(mut level) = self.levels.pop() {
            let name = std::mem::take(&mut level.name);
            self.put(&name, level.into_value());
        }
    }
}

fn any(value: &Value<'_>) -> Any {
    match *value {
        Value::Signed(number) => Any::IntValue(number),
        Value::Unsigned(number) => match i64::try_from(number) {
            Ok(number) => Any::IntValue(number),
            Err(_) => Any::StringValue(number.to_string()),
        },
        Value::Bool(value) => Any::BoolValue(value),
        Value::Float(number) => Any::DoubleValue(f64::from(number)),
        Value::Double(number) => Any::DoubleValue(number),
        Value::Binary(bytes) => Any::BytesValue(bytes.to_vec()),
        ref other => Any::StringValue(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_structures_can_be_read() {
        use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
        use prost::Message;

        let mut fields = Fields::new();
        for shape in [Shape::Struct; 64] {
            fields.begin("s", shape);
        }
        fields.value("inner", &Value::Unsigned(7));
        for shape in [Shape::Struct; 64] {
            fields.end(shape);
        }
        fields.value("outer", &Value::Unsigned(8));
        let value = Some(AnyValue { value: Some(fields.finish()) });
        let attributes = vec![KeyValue { key: "fields".into(), value, ..KeyValue::default() }];
        let log_records = vec![LogRecord { attributes, ..LogRecord::default() }];
        let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let data = LogsData { resource_logs };

        let read = LogsData::decode(&data.encode_to_vec()[..]).unwrap();
        assert_eq!(read, data);
        let text = format!("{read:?}");
        for there in [r#"key: "inner""#, "IntValue(7)", r#"key: "outer""#, "IntValue(8)"] {
            assert_eq!(text.matches(there).count(), 1, "{there}");
        }
    }

    #[test]
    fn names_stand_once() {
        let mut fields = Fields::new();
        for (name, value) in [("a", 1), ("a_2", 2), ("a", 3), ("a", 4), ("a_2", 5)] {
            fields.value(name, &Value::Unsigned(value));
        }
        let Any::KvlistValue(list) = fields.finish() else { panic!("a list") };
        let keys: Vec<_> = list.values.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["a", "a_2", "a_3", "a_4", "a_2_2"]);
    }
}
