//! A visitor that writes down what it is shown.

use etlring::schema::{Shape, Value, Visitor, Walked};

/// `name=value` for each value; `name{`, `}` around structures, `name[`, `]` around arrays.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) lines: Vec<String>,
    /// Structures and arrays that are open.
    pub(crate) open: Vec<Shape>,
}

impl Visitor for Shown {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        self.lines.push(format!("{name}={value}"));
    }

    fn begin(&mut self, name: &str, shape: Shape) {
        self.open.push(shape);
        self.lines.push(format!("{name}{}", if shape == Shape::Struct { '{' } else { '[' }));
    }

    fn end(&mut self, shape: Shape) {
        assert_eq!(self.open.pop(), Some(shape), "what is opened last is closed first");
        self.lines.push(if shape == Shape::Struct { "}".into() } else { "]".into() });
    }
}

impl Shown {
    /// Everything in one line.
    pub(crate) fn text(&self) -> String {
        assert!(self.open.is_empty(), "everything is closed");
        self.lines.join(" ")
    }
}

/// A walk that came to the end of schema and payload.
pub(crate) fn whole(walked: Walked<'_>) {
    assert_eq!((walked.rest, walked.error), (&[][..], None));
}
