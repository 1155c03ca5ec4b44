//! Providers and events whose names are only known at run time.

use crate::format::{EventDescriptor, ExtType, Guid};
use crate::outside;
use crate::provider::{Change, Provider, activity};
use crate::session::{Discarded, Shape};
use crate::tracelogging::{
    CHANNEL, Field, FieldMeta, Level, ProviderMeta,
    field::types,
    guid_of_name,
    metadata::{item_size, provider_item, provider_item_size},
};
use std::fmt;

/// A provider of self-describing events whose name is only known at run time.
///
/// ```
/// use etlring::provider::Enable;
/// use etlring::session::Session;
/// use etlring::tracelogging::{DynamicProvider, EventBuilder, Level};
///
/// # let (sink, _log) = etlring::sink::MemorySink::new();
/// let provider = DynamicProvider::register("Example-Plugins");
/// let session = Session::builder("plugins").sink(sink).start()?;
/// session.enable_provider(provider.guid(), &Enable::new())?;
///
/// let mut event = EventBuilder::new(); // one for many events: it keeps its memory
/// event.begin("Loaded", Level::INFO).field("size", 17u64).field("path", "/lib/plugin.so");
/// assert_eq!(provider.write(&mut event), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DynamicProvider {
    provider: Provider,
    /// The provider's item, which is followed by the event's.
    item: Box<[u8]>,
}

impl DynamicProvider {
    /// Registers a provider under the GUID of its name. The name ends at its first NUL.
    #[must_use = "dropping it ends the registration"]
    pub fn register(name: &str) -> Self {
        Self::new(name, |name| Provider::register(guid_of_name(name), name))
    }

    /// Registers a provider with a callback, as [`Provider::register_with`] does.
    #[must_use = "dropping it ends the registration"]
    pub fn register_with(
        name: &str,
        callback: impl Fn(&Change<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, |name| Provider::register_with(guid_of_name(name), name, callback))
    }

    fn new(name: &str, register: impl FnOnce(&str) -> Provider) -> Self {
        /// Longest name: a record must have room for more than that.
        const MOST: usize = 4096;
        outside::at_first_provider();
        let name = cut(until_nul(name), MOST);
        let meta = ProviderMeta { name, group: None };
        let mut item = vec![0; provider_item_size(&meta)];
        provider_item(&mut item, &meta);
        Self { provider: register(name), item: item.into() }
    }

    /// What sessions know it by.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.provider.guid()
    }

    /// What people know it by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.provider.name()
    }

    /// Whether a session may want an event of this level and keyword: see
    /// [`Provider::is_enabled`].
    #[inline]
    #[must_use]
    pub fn is_enabled(&self, level: Level, keyword: u64) -> bool {
        self.provider.is_enabled(level.0, keyword)
    }

    /// The provider without its name.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Writes an event. It belongs to the thread's [`activity`].
    ///
    /// # Errors
    ///
    /// As [`Provider::write`].
    pub fn write(&self, event: &mut EventBuilder) -> Result<u32, Discarded> {
        event.seal();
        let EventBuilder { descriptor, schema, payload, .. } = event;
        let items = self.item.len() + schema.len();
        let fill = |out: &mut [u8]| {
            let (front, rest) = out.split_at_mut(self.item.len());
            front.copy_from_slice(&self.item);
            let (middle, rest) = rest.split_at_mut(schema.len());
            middle.copy_from_slice(schema);
            rest.copy_from_slice(payload);
        };
        let shape = self.shape(items, payload);
        self.provider.write_shaped(descriptor, (activity::current, None), shape, fill)
    }

    /// The provider's item, which the event's follows.
    #[cfg(feature = "tracing")]
    pub(crate) fn item(&self) -> &[u8] {
        &self.item
    }

    /// Writes an event whose items begin with the provider's; `activity` is asked by each session.
    ///
    /// Apart and with no more arguments than there are registers for them; generic, so that it is
    /// compiled in the caller's crate, where thread-locals are a load away.
    #[cfg(feature = "tracing")]
    #[inline(never)]
    pub(crate) fn send(
        &self,
        described: &Described,
        payload: &[u8],
        activity: impl Fn() -> Guid,
    ) -> Result<u32, Discarded> {
        let Described { descriptor, items } = described;
        let shape = self.shape(items.len(), payload);
        self.provider.write_shaped(descriptor, (activity, None), shape, join(items, payload))
    }

    /// The same of an event whose activity came from another one.
    #[cfg(feature = "tracing")]
    #[inline(never)]
    pub(crate) fn send_related(
        &self,
        described: &Described,
        payload: &[u8],
        activity: Guid,
        related: Guid,
    ) -> Result<u32, Discarded> {
        let Described { descriptor, items } = described;
        let (shape, activities) = (self.shape(items.len(), payload), (|| activity, Some(&related)));
        self.provider.write_shaped(descriptor, activities, shape, join(items, payload))
    }

    /// Of so many bytes of items, the last of which is the event's, and a payload.
    #[inline(always)]
    fn shape(&self, items: usize, payload: &[u8]) -> Shape {
        Shape { items, last_item: self.item.len(), len: items.saturating_add(payload.len()) }
    }
}

/// Writes items and payload into as many bytes.
#[cfg(feature = "tracing")]
#[inline(always)]
fn join<'a>(items: &'a [u8], payload: &'a [u8]) -> impl Fn(&mut [u8]) + Copy + 'a {
    move |out| {
        let (front, rest) = out.split_at_mut(items.len());
        front.copy_from_slice(items);
        rest.copy_from_slice(payload);
    }
}

/// An event as it is but for its values.
#[cfg(feature = "tracing")]
#[derive(Clone)]
pub(crate) struct Described {
    pub(crate) descriptor: EventDescriptor,
    /// The extended items: the provider's and the schema's.
    pub(crate) items: Vec<u8>,
}

/// An event in the making. It keeps its memory from one event to the next.
#[derive(Clone, Debug)]
pub struct EventBuilder {
    descriptor: EventDescriptor,
    /// The schema's item, sealed or still growing.
    schema: Vec<u8>,
    is_sealed: bool,
    payload: Vec<u8>,
}

impl EventBuilder {
    pub(crate) const EMPTY: Self = Self {
        descriptor: EventDescriptor { channel: CHANNEL, ..EventDescriptor::new(0, 0) },
        schema: Vec::new(),
        is_sealed: false,
        payload: Vec::new(),
    };

    /// An event without a name.
    #[must_use]
    pub fn new() -> Self {
        Self::EMPTY
    }

    /// Starts anew, with an event of this name, up to its first NUL.
    pub fn begin(&mut self, name: &str, level: Level) -> &mut Self {
        self.descriptor = EventDescriptor { channel: CHANNEL, ..EventDescriptor::new(0, level.0) };
        self.schema.clear();
        begin_schema(&mut self.schema, name);
        self.is_sealed = false;
        self.payload.clear();
        self
    }

    /// Bits of the groups that the event belongs to; 0 for all.
    pub fn keyword(&mut self, keyword: u64) -> &mut Self {
        self.descriptor.keyword = keyword.into();
        self
    }

    /// What the event is about: 1 for the start of an activity, 2 for its end.
    pub fn opcode(&mut self, opcode: u8) -> &mut Self {
        self.descriptor.opcode = opcode;
        self
    }

    /// Adds a field. Its name ends at its first NUL.
    pub fn field<T: Field>(&mut self, name: &str, value: T) -> &mut Self {
        self.add_type(name, T::IN_TYPE, T::OUT_TYPE);
        let start = self.payload.len();
        // A value beyond the size of a record is left out: there is no room for it, and the record
        // is refused by the size that it would have had.
        self.payload.resize(start.saturating_add(value.size().min(TOO_LARGE)), 0);
        if value.size() < TOO_LARGE {
            value.put(&mut &mut self.payload[start..]);
        }
        self
    }

    /// Adds a field of text that is formatted into the event.
    pub fn text(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.add_type(name, types::COUNTED_TEXT, types::OUT_UTF8);
        put_text(&mut self.payload, format_args!("{value}"));
        self
    }

    /// Gives memory back that an unusually long event has taken.
    #[cfg(feature = "log")]
    pub(crate) fn shrink(&mut self) {
        if self.payload.capacity() > 2 * TOO_LARGE {
            self.payload.clear();
            self.payload.shrink_to(TOO_LARGE);
        }
    }

    fn add_type(&mut self, name: &str, in_type: u8, out_type: u8) {
        if self.schema.is_empty() {
            begin_schema(&mut self.schema, "");
        }
        if self.is_sealed {
            self.schema.truncate(unsealed_len(&self.schema));
            self.is_sealed = false;
        }
        push_field(&mut self.schema, &FieldMeta { name, in_type, out_type });
    }

    fn seal(&mut self) {
        if self.schema.is_empty() {
            begin_schema(&mut self.schema, "");
        }
        if !self.is_sealed {
            end_schema(&mut self.schema, 0);
            self.is_sealed = true;
        }
    }
}

impl Default for EventBuilder {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// More than a record can hold.
const TOO_LARGE: usize = 1 << 16;

/// Formats text behind its count. Text beyond the size of a record breaks off: that record is
/// refused.
pub(crate) fn put_text(payload: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    /// Takes text until there is too much.
    struct Sink<'a>(&'a mut Vec<u8>);

    impl fmt::Write for Sink<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = (2 * TOO_LARGE).saturating_sub(self.0.len());
            self.0.extend_from_slice(&text.as_bytes()[..text.len().min(room)]);
            if text.len() > room { Err(fmt::Error) } else { Ok(()) }
        }
    }

    let start = payload.len();
    payload.extend_from_slice(&[0; 2]);
    // An error is one of the value's own, or too much text: what is there stays.
    let _ = fmt::Write::write_fmt(&mut Sink(payload), text);
    let count = u16::try_from(payload.len() - start - 2).unwrap_or(u16::MAX);
    payload[start..start + 2].copy_from_slice(&count.to_le_bytes());
}

/// Appends the beginning of a schema's item: room for the sizes, no tag, the name.
pub(crate) fn begin_schema(items: &mut Vec<u8>, name: &str) {
    items.extend_from_slice(&[0; 11]);
    items.extend_from_slice(until_nul(name).as_bytes());
    items.push(0);
}

/// Adds a field to a schema that was begun.
pub(crate) fn push_field(schema: &mut Vec<u8>, field: &FieldMeta<'_>) {
    schema.extend_from_slice(until_nul(field.name).as_bytes());
    if field.out_type == 0 {
        schema.extend_from_slice(&[0, field.in_type]);
    } else {
        schema.extend_from_slice(&[0, field.in_type | 0x80, field.out_type]);
    }
}

/// Ends the schema's item that begins at `start`: sizes, and padding. One that is too large for an
/// item is too large for a record.
pub(crate) fn end_schema(items: &mut Vec<u8>, start: usize) {
    let data = items.len() - start - 8;
    let size16 = |size: usize| u16::try_from(size).unwrap_or(u16::MAX).to_le_bytes();
    items.resize(start + item_size(data), 0);
    let item = &mut items[start..];
    item[..2].copy_from_slice(&size16(item_size(data)));
    item[2..4].copy_from_slice(&ExtType::EVENT_SCHEMA_TL.0.to_le_bytes());
    item[6..8].copy_from_slice(&size16(data));
    item[8..10].copy_from_slice(&size16(data));
}

/// The length of a schema's item before it was ended.
fn unsealed_len(schema: &[u8]) -> usize {
    8 + usize::from(u16::from_le_bytes([schema[6], schema[7]]))
}

fn until_nul(name: &str) -> &str {
    name.split('\0').next().unwrap_or_default()
}

/// `text` cut to at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
