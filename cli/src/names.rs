//! Names of providers: built in, of kernel groups, and found in the file; and what else the items
//! of an event say.

use etlring::codec::{RecordHeader, RecordView};
use etlring::format::{ExtType, Guid};
use etlring::schema::provider_name;
use etlring::schema::tracelogging::ProviderTraits;
use std::borrow::Cow;
use std::collections::HashMap;

/// What a record's extended items say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras<'a> {
    /// Name of the provider, from its traits.
    pub(crate) provider: Option<Cow<'a, str>>,
    /// Whether it has any name of its own.
    pub(crate) names: bool,
    /// The activity that this one came from.
    pub(crate) related: Option<Guid>,
    /// Return addresses, 4 or 8 bytes each.
    pub(crate) stack: Option<Stack<'a>>,
}

/// A call stack as it lies in the record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<'a> {
    addresses: &'a [u8],
    width: usize,
}

impl Stack<'_> {
    /// The addresses, innermost first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + '_ {
        self.addresses.chunks_exact(self.width).map(|address| {
            address.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        })
    }
}

impl<'a> Extras<'a> {
    /// Reads the items of `record`. Items that are not what they should be say nothing.
    pub(crate) fn of(record: &RecordView<'a>) -> Self {
        let mut extras = Self::default();
        for item in record.items().map_while(Result::ok) {
            match item.ext_type {
                ExtType::PROV_TRAITS => {
                    extras.names = true;
                    extras.provider = ProviderTraits::parse(item.data).map(|traits| traits.name());
                }
                ExtType::EVENT_SCHEMA_TL => extras.names = true,
                ExtType::RELATED_ACTIVITYID => extras.related = item.guid(),
                ExtType::STACK_TRACE32 => extras.stack = stack(item.data, 4),
                ExtType::STACK_TRACE64 => extras.stack = stack(item.data, 8),
                _ => {}
            }
        }
        extras
    }
}

/// Addresses behind the match id.
fn stack(data: &[u8], width: usize) -> Option<Stack<'_>> {
    Some(Stack { addresses: data.get(8..)?, width })
}

/// Provider names, those found in the file included.
#[derive(Debug, Default)]
pub(crate) struct Names {
    found: HashMap<Guid, Box<str>>,
    /// The answer to the last question; records come in runs of one provider.
    last: Option<(Guid, Option<&'static str>)>,
}

impl Names {
    /// Remembers the name that a record tells of its provider; says whether it is new.
    pub(crate) fn learn(&mut self, record: &RecordView<'_>, extras: &Extras<'_>) -> bool {
        let (Some(guid), Some(name)) = (record.provider(), &extras.provider) else { return false };
        let is_new =
            !name.is_empty() && self.found.get(&guid).is_none_or(|known| **known != **name);
        if is_new {
            self.found.insert(guid, name.as_ref().into());
        }
        is_new
    }

    /// The name of a provider, class or group.
    pub(crate) fn provider(&mut self, guid: Guid) -> Option<&str> {
        if !self.found.is_empty() {
            if let Some(name) = self.found.get(&guid) {
                return Some(name);
            }
        }
        match self.last {
            Some((last, name)) if last == guid => name,
            _ => {
                let name = provider_name(guid);
                self.last = Some((guid, name));
                name
            }
        }
    }
}

/// What kind of event a record is, where it has no name: `id 12 v1`, `type 36`, `message 43`.
pub(crate) fn kind(record: &RecordView<'_>) -> String {
    let version = record.version().filter(|v| *v != 0).map(|v| format!(" v{v}"));
    let version = version.unwrap_or_default();
    match record.header() {
        RecordHeader::Event(header) => match header.descriptor.opcode {
            0 => format!("id {}{version}", header.descriptor.id),
            opcode => format!("id {} op {opcode}{version}", header.descriptor.id),
        },
        RecordHeader::Message(message) => format!("message {}", message.number()),
        RecordHeader::Unknown => "unknown header".to_owned(),
        _ => format!("type {}{version}", record.opcode().unwrap_or(0)),
    }
}
