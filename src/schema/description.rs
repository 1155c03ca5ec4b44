//! A record whose schema is found: its names, and its fields when they are asked for.

use crate::format::Guid;
use crate::schema::event::EventNames;
use crate::schema::iis::{self, IisEvent};
use crate::schema::layout::Layout;
use crate::schema::message::{self, TopLevel};
use crate::schema::tmf::{self, Message};
use crate::schema::tracelogging::EventSchema;
use crate::schema::walk::Walk;
use crate::schema::{
    Decoder, InType, OutType, Shape, Source, Value, ValueMap, Visitor, Walked, read::Spec,
};
use std::borrow::Cow;

/// A record with its schema and names, before its payload is walked.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) source: Source,
    pub(super) provider: Option<Guid>,
    pub(super) provider_name: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) names: Option<&'a EventNames>,
    pub(super) iis: Option<IisEvent<'a>>,
    pub(super) schema: Schema<'a>,
    pub(super) payload: &'a [u8],
    /// Width of the writer's pointers, 4 or 8.
    pub(super) pointer: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Schema<'a> {
    TraceLogging(EventSchema<'a>),
    Layout(&'a Layout),
    /// With the maps that its fields name, which are no decoder's.
    Iis(&'a Layout, &'a [ValueMap]),
    Message(&'a Message),
    String,
    /// Items that are told from the bytes alone.
    Guessed,
    None,
}

impl<'a> Description<'a> {
    /// Where the schema is from.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The provider's name: from the record, from the file, or well known. The class of a kernel
    /// event where that differs from its group's.
    #[must_use]
    pub fn provider_name(&self) -> Option<&str> {
        let known = || self.provider.and_then(|guid| self.decoder.provider_name(guid));
        self.provider_name.as_deref().or_else(known)
    }

    /// The event's name: its own, its task and opcode, or the type of a kernel event.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What a manifest says of the event.
    #[must_use]
    pub fn names(&self) -> Option<&'a EventNames> {
        self.names
    }

    /// What is known of the provider of an event of IIS, or raised as IIS does.
    #[must_use]
    pub fn iis(&self) -> Option<IisEvent<'a>> {
        self.iis
    }

    /// Tag of a TraceLogging event; 0 for none.
    #[must_use]
    pub fn tag(&self) -> u32 {
        match self.schema {
            Schema::TraceLogging(schema) => schema.tag(),
            _ => 0,
        }
    }

    /// The event's message with the texts of its fields, if a manifest or a TMF file gives it one.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        if let Schema::Message(message) = self.schema {
            let mut arguments = Arguments::default();
            self.walk(&mut arguments)?;
            return Some(tmf::render(message, &arguments.0));
        }
        let message = self.names?.message.as_deref()?;
        let mut fields = TopLevel::default();
        self.walk(&mut fields)?;
        let mut text = message::format(message, &fields.texts);
        text.truncate(text.trim_end().len());
        Some(text)
    }

    /// Shows the fields, in their order, and hands back what none of them took; `None` if there is
    /// no schema.
    pub fn walk(&self, visitor: &mut impl Visitor) -> Option<Walked<'a>> {
        match self.schema {
            Schema::TraceLogging(schema) => Some(schema.walk(self.payload, self.pointer, visitor)),
            Schema::Layout(layout) => {
                Some(layout.walk(self.payload, self.pointer, self.decoder.maps(), visitor))
            }
            Schema::Message(message) => {
                Some(message.layout.walk(self.payload, self.pointer, self.decoder.maps(), visitor))
            }
            Schema::String => {
                let text = InType::UNICODE_STRING;
                let spec = Spec { in_type: text, out_type: OutType::Default, length: None };
                let mut walk = Walk::new(self.payload, self.pointer, visitor);
                let result = walk.value("Message", spec).map(drop);
                Some(walk.finish(result))
            }
            Schema::Iis(layout, maps) => {
                Some(layout.walk(self.payload, self.pointer, maps, visitor))
            }
            Schema::Guessed => Some(iis::walk_guessed(self.payload, visitor)),
            Schema::None => None,
        }
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Texts and numbers of a message's arguments; a number with a sign is text alone.
#[derive(Default)]
struct Arguments(Vec<(String, Option<u64>)>);

impl Visitor for Arguments {
    fn value(&mut self, _: &str, value: &Value<'_>) {
        let number = match value {
            Value::Mapped { .. } => None,
            value => value.to_count(),
        };
        self.0.push((value.to_string(), number));
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
