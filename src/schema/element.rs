//! An XML text as a tree of elements and attributes; text between tags is left out.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::fmt;

/// Elements may lie this deep in each other.
const MOST_DEPTH: usize = 64;
/// Elements that a text may have.
const MOST_ELEMENTS: usize = 1 << 18;
/// Attributes that an element may have.
const MOST_ATTRIBUTES: usize = 64;

/// Why a text is no tree, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XmlError {
    /// Bytes from the start of the text, in UTF-8.
    pub position: u64,
    /// What is wrong there.
    pub reason: Box<str>,
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.position, self.reason)
    }
}

impl std::error::Error for XmlError {}

/// An element. Names are without their prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: Box<str>,
    attributes: Vec<(Box<str>, Box<str>)>,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a text; the element that is returned holds its root.
    pub(super) fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        let mut count = 0usize;
        loop {
            let position = reader.buffer_position();
            let event = reader.read_event().map_err(|error| XmlError {
                position: reader.error_position(),
                reason: error.to_string().into(),
            })?;
            let wrong = |reason: &str| Err(XmlError { position, reason: reason.into() });
            let (start, empty) = match event {
                Event::Start(start) => (start, false),
                Event::Empty(start) => (start, true),
                Event::End(_) => {
                    close(&mut open);
                    continue;
                }
                Event::Eof => break,
                _ => continue,
            };
            count = count.saturating_add(1);
            if count > MOST_ELEMENTS {
                return wrong("too many elements");
            }
            if open.len() > MOST_DEPTH {
                return wrong("elements are nested too deeply");
            }
            match Self::open(&start) {
                Ok(element) => open.push(element),
                Err(reason) => return wrong(&reason),
            }
            if empty {
                close(&mut open);
            }
        }
        if open.len() != 1 {
            let position = reader.buffer_position();
            return Err(XmlError { position, reason: "ends within an element".into() });
        }
        Ok(open.pop().unwrap_or_default())
    }

    fn open(start: &BytesStart<'_>) -> Result<Self, String> {
        let text = |bytes: &[u8]| Box::from(String::from_utf8_lossy(bytes));
        let mut element = Self { name: text(start.local_name().as_ref()), ..Self::default() };
        // Without its own check for attributes that stand twice, which compares each with each.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            if element.attributes.len() == MOST_ATTRIBUTES {
                return Err("too many attributes".to_owned());
            }
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|error| error.to_string())?;
            element.attributes.push((text(attribute.key.local_name().as_ref()), value.into()));
        }
        Ok(element)
    }

    /// The value of an attribute.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| **own == *name).map(|(_, value)| &**value)
    }

    /// Children of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| *child.name == *name)
    }

    /// Children of a child.
    pub(super) fn within<'a>(&'a self, child: &'a str) -> impl Iterator<Item = &'a Self> {
        self.all(child).flat_map(|child| &child.children)
    }

    /// Elements of a name at any depth.
    pub(super) fn find<'a>(&'a self, name: &'a str) -> Vec<&'a Self> {
        let (mut found, mut rest) = (Vec::new(), vec![self]);
        while let Some(element) = rest.pop() {
            if *element.name == *name {
                found.push(element);
            }
            rest.extend(element.children.iter().rev());
        }
        found
    }
}

/// Puts the innermost element into the one around it.
fn close(open: &mut Vec<Element>) {
    if open.len() > 1 {
        if let Some(element) = open.pop() {
            if let Some(parent) = open.last_mut() {
                parent.children.push(element);
            }
        }
    }
}
