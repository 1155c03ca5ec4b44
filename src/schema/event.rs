//! What is known of one kind of manifest event.

use crate::format::Guid;
use crate::schema::layout::Layout;

/// Which event: provider, id and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    /// The provider.
    pub provider: Guid,
    /// The event's id.
    pub id: u16,
    /// The version of its fields.
    pub version: u8,
}

/// Names and texts that a manifest gives to an event, in the language of the machine that added
/// them to the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventNames {
    /// The provider.
    pub provider: Option<Box<str>>,
    /// The event itself; few have such a name.
    pub event: Option<Box<str>>,
    /// The task.
    pub task: Option<Box<str>>,
    /// The opcode.
    pub opcode: Option<Box<str>>,
    /// The level.
    pub level: Option<Box<str>>,
    /// The channel.
    pub channel: Option<Box<str>>,
    /// The keywords.
    pub keywords: Vec<Box<str>>,
    /// The message, with `%1` for the first field.
    pub message: Option<Box<str>>,
}

/// Schema of an event, as a metadata record or a manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) names: EventNames,
    /// What a line about the event calls it.
    pub(super) name: Option<Box<str>>,
    pub(super) layout: Layout,
}

impl Event {
    pub(super) fn new(names: EventNames, layout: Layout) -> Self {
        Self { name: short_name(&names), names, layout }
    }

    /// Memory that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let EventNames { provider, event, task, opcode, level, channel, keywords, message } =
            &self.names;
        let texts = [provider, event, task, opcode, level, channel, message, &self.name];
        let texts = texts.into_iter().flatten().chain(keywords);
        let texts: usize = texts.map(|text| text.len()).sum();
        texts.saturating_add(self.layout.bytes()).saturating_add(size_of::<Self>())
    }
}

/// The event's own name, or task and opcode as `Task/Opcode`.
fn short_name(names: &EventNames) -> Option<Box<str>> {
    if names.event.is_some() {
        return names.event.clone();
    }
    let opcode = names.opcode.as_deref().filter(|opcode| !matches!(*opcode, "win:Info" | "Info"));
    let opcode = opcode.map(|opcode| opcode.strip_prefix("win:").unwrap_or(opcode));
    match (names.task.as_deref(), opcode) {
        (Some(task), Some(opcode)) => Some(format!("{task}/{opcode}").into()),
        (Some(task), None) => Some(task.into()),
        (None, Some(opcode)) => Some(opcode.into()),
        (None, None) => None,
    }
}
