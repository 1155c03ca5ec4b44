//! Names of providers: built in, of kernel groups, and found in the file; and what else the items
//! of an event say.

use etlring::codec::{RecordHeader, RecordView};
use etlring::format::{ExtType, Guid};
use etlring::schema::tracelogging::ProviderTraits;
use etlring::schema::{Description, provider_name};
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

/// What Windows calls an opcode that means the same for all providers (`EVENT_TRACE_TYPE_*`,
/// `WINEVENT_OPCODE_*`).
pub(crate) fn opcode(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        0 => "Info",
        1 => "Start",
        2 => "Stop",
        3 => "DCStart",
        4 => "DCStop",
        5 => "Extension",
        6 => "Reply",
        7 => "Resume",
        8 => "Suspend",
        9 => "Send",
        240 => "Receive",
        _ => return None,
    })
}

/// A number and its name: `1 Start`, `134`.
fn with_name(number: u8) -> String {
    match opcode(number) {
        Some(name) => format!("{number} {name}"),
        None => number.to_string(),
    }
}

/// What kind of event a record is, where it has no name: `id 12 op 1 Start task 3 v1`, `type 36`,
/// `message 43`. Task and version are left out where they are 0.
pub(crate) fn kind(record: &RecordView<'_>) -> String {
    let version = record.version().filter(|v| *v != 0).map(|v| format!(" v{v}"));
    let version = version.unwrap_or_default();
    match record.header() {
        RecordHeader::Event(header) => {
            let descriptor = &header.descriptor;
            let task = descriptor.task.get();
            let task = if task == 0 { String::new() } else { format!(" task {task}") };
            format!("id {} op {}{task}{version}", descriptor.id, with_name(descriptor.opcode))
        }
        RecordHeader::Message(message) => format!("message {}", message.number()),
        RecordHeader::Unknown => "unknown header".to_owned(),
        RecordHeader::Classic(_) | RecordHeader::Instance(_) => {
            format!("type {}{version}", with_name(record.opcode().unwrap_or(0)))
        }
        // Of the kernel's types each group has its own.
        _ => format!("type {}{version}", record.opcode().unwrap_or(0)),
    }
}

/// What the name of an event leaves unsaid: ` op 1 Start`. Most names of a manifest are made of
/// task and opcode.
pub(crate) fn opcode_beside(record: &RecordView<'_>, event: &Description<'_>) -> String {
    let opcode = record.descriptor().map_or(0, |descriptor| descriptor.opcode);
    let in_name =
        event.names().is_some_and(|names| names.opcode.is_some() && names.event.is_none());
    if opcode == 0 || in_name { String::new() } else { format!(" op {}", with_name(opcode)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etlring::codec::{RawRecord, RecordKind};
    use etlring::format::{EventDescriptor, EventHeader, HeaderType};
    use zerocopy::{FromZeros, IntoBytes};

    fn of(id: u16, opcode: u8, task: u16, version: u8) -> String {
        let mut header = EventHeader::new_zeroed();
        header.descriptor = EventDescriptor::new(id, 4);
        header.descriptor.opcode = opcode;
        header.descriptor.task = task.into();
        header.descriptor.version = version;
        let kind = RecordKind::Typed(HeaderType::EVENT_HEADER64);
        kind_of(RawRecord { kind, offset: 0, bytes: header.as_bytes() })
    }

    fn kind_of(raw: RawRecord<'_>) -> String {
        kind(&RecordView::parse(raw).unwrap())
    }

    #[test]
    fn an_event_without_a_name_says_its_numbers_and_what_they_mean() {
        assert_eq!(of(160, 0, 0, 0), "id 160 op 0 Info");
        assert_eq!(of(187, 1, 19, 0), "id 187 op 1 Start task 19");
        assert_eq!(of(5, 134, 1, 1), "id 5 op 134 task 1 v1");
        assert_eq!(of(7, 240, 0, 2), "id 7 op 240 Receive v2");
    }
}
