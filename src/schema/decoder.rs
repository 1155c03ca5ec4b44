//! Finds the schema of a record and what names belong to it.

use crate::codec::{RawRecord, RecordHeader, RecordKind, RecordView};
use crate::format::{EventFlags, ExtType, Guid, HeaderType, MessageFlags};
use crate::schema::description::{Description, Schema};
use crate::schema::event::{Event, EventKey};
use crate::schema::hash::Seed;
use crate::schema::read::text_of;
use crate::schema::take::Take;
use crate::schema::tmf::{self, Message, MessageKey};
use crate::schema::tracelogging::{EventSchema, ProviderTraits};
use crate::schema::{
    SchemaError, Shape, Value, ValueMap, Visitor, binary, iis, kernel, metadata, mof, people,
    providers,
};
#[cfg(feature = "manifest")]
use crate::schema::{XmlError, eventsource, eventsource::Chunks, manifest};
use std::borrow::Cow;
use std::collections::HashMap;

/// Memory that the schemas of one decoder may take, about. Real files stay below a hundredth.
const MOST_BYTES: usize = 32 << 20;

/// Text of manifests that a file may hold; .NET sends each one twice for each process.
#[cfg(feature = "manifest")]
const MOST_CHUNK_BYTES: usize = 64 << 20;

/// What the records of one file mean.
///
/// Schemas found in a file belong to the system that wrote it: use a decoder for each file. Show it
/// the records with [`learn`](Self::learn) first, since a schema may lie behind the events that it
/// describes.
///
/// ```no_run
/// # use etlring::reader::Trace;
/// # use etlring::schema::{Decoder, Shape, Value, Visitor};
/// struct Print;
/// impl Visitor for Print {
///     fn value(&mut self, name: &str, value: &Value<'_>) { println!("  {name} = {value}") }
///     fn begin(&mut self, name: &str, _: Shape) { println!("  {name}:") }
///     fn end(&mut self, _: Shape) {}
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trace = Trace::open("boot.etl")?;
/// let mut decoder = Decoder::new();
/// let mut records = trace.records();
/// while let Some(record) = records.next() {
///     decoder.learn(record?.raw());
/// }
/// let mut records = trace.by_time();
/// while let Some(record) = records.next() {
///     let view = record?.view()?;
///     let event = decoder.describe(&view);
///     println!("{:?}", event.name());
///     event.walk(&mut Print);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    events: HashMap<EventKey, (Source, Event), Seed>,
    maps: Vec<ValueMap>,
    map_numbers: HashMap<(Guid, Box<str>), usize, Seed>,
    providers: HashMap<Guid, Box<str>, Seed>,
    messages: HashMap<MessageKey, Message, Seed>,
    /// Classic events by class and type, each version with its event, oldest first.
    classic: HashMap<(Guid, u8), Vec<(u16, Event)>, Seed>,
    processes: people::Names,
    threads: people::Names,
    /// Processes of threads.
    owners: people::Timed<u32>,
    iis: iis::Learned,
    #[cfg(feature = "manifest")]
    chunks: Chunks,
    /// Text of manifests from the file that was read.
    #[cfg(feature = "manifest")]
    chunk_bytes: usize,
    bytes: usize,
    refused: u64,
}

/// Where the schema of a record is from; of several for one event the first in this order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The event carries it.
    TraceLogging,
    /// The event is one string.
    String,
    /// A metadata record of the file.
    Metadata,
    /// A manifest that .NET put into the file.
    EventSource,
    /// A manifest that the user gave.
    Manifest,
    /// A compiled manifest in a DLL or program that the user gave.
    Binary,
    /// A TMF file that the user gave.
    Tmf,
    /// A MOF file that the user gave.
    Mof,
    /// The built-in table of kernel and merge-tool events.
    Kernel,
    /// A description in the file, or the built-in table, of IIS events.
    Iis,
    /// There is none.
    None,
}

impl Source {
    /// One word for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TraceLogging => "tracelogging",
            Self::String => "string",
            Self::Metadata => "metadata",
            Self::EventSource => "eventsource",
            Self::Manifest => "manifest",
            Self::Binary => "binary",
            Self::Tmf => "tmf",
            Self::Mof => "mof",
            Self::Kernel => "kernel",
            Self::Iis => "iis",
            Self::None => "none",
        }
    }
}

impl Decoder {
    /// Knows the built-in tables only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a record may say anything that [`learn`](Self::learn) takes in. It depends on those
    /// words of the header alone that say what the record is: type of the header, provider, class
    /// or group, id, opcode or type, and task. So who knows records by these can ask once.
    #[must_use]
    pub fn may_learn_from(record: RawRecord<'_>) -> bool {
        may_teach(record)
    }

    /// Takes in what a record says of other records: schemas, and names of processes and threads.
    /// All other records are passed over for the price of a look at their header.
    pub fn learn(&mut self, record: RawRecord<'_>) {
        if !may_teach(record) {
            return;
        }
        let Ok(view) = RecordView::parse(record) else { return };
        match view.header() {
            RecordHeader::Classic(header) => match header.class_type {
                metadata::EVENT_INFO => self.learn_event(view.payload()),
                metadata::MAP_INFO => self.learn_map(view.payload()),
                iis::OUTLINE_TYPE if header.guid == iis::OUTLINE_CLASS => {
                    self.learn_outline(view.payload());
                }
                _ => {}
            },
            #[cfg(feature = "manifest")]
            RecordHeader::Event(header) => {
                let (provider, process) = (header.provider_id, header.process_id.get());
                if let Some(text) = self.chunks.add(provider, process, view.payload()) {
                    self.chunk_bytes = self.chunk_bytes.saturating_add(text.len());
                    if self.chunk_bytes > MOST_CHUNK_BYTES {
                        self.refused = self.refused.saturating_add(1);
                        return;
                    }
                    // What cannot be read describes nothing; the event itself is still shown.
                    let _ = self.add_manifest_of(&text, Some(provider), Source::EventSource);
                }
            }
            _ => self.learn_people(&view),
        }
    }

    /// Takes in an instrumentation manifest (`.man`, XML in UTF-8 or UTF-16) and says how many
    /// events it describes. Schemas from the file itself go before it.
    ///
    /// # Errors
    ///
    /// [`XmlError`] if it is no XML, or more of it than a manifest can mean to be.
    #[cfg(feature = "manifest")]
    pub fn add_manifest(&mut self, text: &[u8]) -> Result<usize, XmlError> {
        self.add_manifest_of(text, None, Source::Manifest)
    }

    #[cfg(feature = "manifest")]
    fn add_manifest_of(
        &mut self,
        text: &[u8],
        fallback: Option<Guid>,
        source: Source,
    ) -> Result<usize, XmlError> {
        manifest::read(&text_of(text), fallback, &mut Taken { decoder: self, source })
    }

    /// Takes in the compiled manifests (resource `WEVT_TEMPLATE`) of a DLL or program and says how
    /// many events they describe; 0 if it has no such resource. `texts` is the `.mui` file beside
    /// it, which holds the texts that it refers to, if there is one. Schemas from the file itself
    /// and from manifests go before it.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if `file` is no PE file, or if it or `texts` is damaged.
    pub fn add_binary(&mut self, file: &[u8], texts: Option<&[u8]>) -> Result<usize, SchemaError> {
        binary::read(file, texts, &mut Taken { decoder: self, source: Source::Binary })
    }

    /// Takes in a MOF file (UTF-8 or UTF-16) and says how many classic events it describes. For
    /// events of exactly the versions in it, it goes before the built-in table; of other versions
    /// behind it.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if it is no MOF, or more of it than event classes can mean to be.
    pub fn add_mof(&mut self, text: &[u8]) -> Result<usize, SchemaError> {
        let mut map = |class, name: &str, map| {
            self.insert_map(class, name, map);
            self.map_number(class, name)
        };
        let events = mof::read(&text_of(text), &mut map)?;
        let mut count = 0usize;
        for mof::Classic { class, kind, version, event } in events {
            if !self.pays(event.bytes()) {
                continue;
            }
            count = count.saturating_add(1);
            let versions = self.classic.entry((class, kind)).or_default();
            match versions.binary_search_by_key(&version, |(own, _)| *own) {
                Ok(at) => {
                    if let Some((_, known)) = versions.get_mut(at) {
                        *known = event;
                    }
                }
                Err(at) => versions.insert(at, (version, event)),
            }
        }
        Ok(count)
    }

    /// Takes in a trace message format file (`.tmf`) and says how many messages it describes. Lines
    /// that are not understood are passed over.
    pub fn add_tmf(&mut self, text: &[u8]) -> usize {
        let text = String::from_utf8_lossy(text);
        let mut maps = Vec::new();
        let first = self.maps.len();
        let mut map = |map: ValueMap| {
            maps.push(map);
            first.saturating_add(maps.len()).saturating_sub(1)
        };
        let messages = tmf::read(&text, &mut map);
        let names = maps.iter().flat_map(ValueMap::entries);
        let names: usize = names.map(|(_, name)| name.len().saturating_add(32)).sum();
        if !self.pays(names.saturating_add(maps.len().saturating_mul(size_of::<ValueMap>()))) {
            return 0;
        }
        self.maps.append(&mut maps);
        let mut count = 0usize;
        for (key, message) in messages {
            if self.pays(message.bytes()) {
                self.messages.insert(key, message);
                count = count.saturating_add(1);
            }
        }
        count
    }

    /// All maps, by the number that fields know them by.
    pub(super) fn maps(&self) -> &[ValueMap] {
        &self.maps
    }

    /// Schemas that were left out because the file holds more of them than the decoder keeps.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The name of a process at a time, if a kernel record told it.
    #[must_use]
    pub fn process_name(&self, process_id: u32, ticks: u64) -> Option<&str> {
        self.processes.get(process_id, ticks)
    }

    /// The name of a thread at a time, if a kernel record told it.
    #[must_use]
    pub fn thread_name(&self, thread_id: u32, ticks: u64) -> Option<&str> {
        self.threads.get(thread_id, ticks)
    }

    /// The process of a thread at a time, if a kernel record told it.
    #[must_use]
    pub fn process_of_thread(&self, thread_id: u32, ticks: u64) -> Option<u32> {
        self.owners.at(thread_id, ticks).copied()
    }

    /// The name of a provider: found in the file, or well known.
    #[must_use]
    pub fn provider_name(&self, provider: Guid) -> Option<&str> {
        let found = self.providers.get(&provider).map(|name| &**name);
        found.or_else(|| providers::provider_name(provider))
    }

    /// Finds the schema of a record.
    #[must_use]
    pub fn describe<'a>(&'a self, record: &RecordView<'a>) -> Description<'a> {
        let mut found = Description {
            decoder: self,
            source: Source::None,
            provider: record.provider(),
            provider_name: None,
            name: None,
            names: None,
            iis: None,
            schema: Schema::None,
            payload: record.payload(),
            pointer: pointer_width(record),
        };
        match record.header() {
            RecordHeader::Event(header) => {
                self.describe_event(record, &mut found);
                if found.source != Source::TraceLogging
                    && header.flags().has(EventFlags::STRING_ONLY)
                {
                    found.schema = Schema::String;
                    found.source = Source::String;
                }
            }
            RecordHeader::Message(message) => {
                let key = message.guid().map(|guid| (guid, message.number()));
                if let Some(known) = key.and_then(|key| self.messages.get(&key)) {
                    found.source = Source::Tmf;
                    found.schema = Schema::Message(known);
                    found.provider_name = Some(Cow::Borrowed(&known.component));
                    found.name = Some(Cow::Borrowed(&known.source));
                }
            }
            RecordHeader::Unknown => {}
            _ => {
                self.describe_classic(record, &mut found);
                if found.source == Source::None && record.group().is_none() {
                    self.iis.describe(record, &mut found);
                }
            }
        }
        found
    }

    fn describe_event<'a>(&'a self, record: &RecordView<'a>, found: &mut Description<'a>) {
        for item in record.items().map_while(Result::ok) {
            match item.ext_type {
                ExtType::PROV_TRAITS => {
                    let traits = ProviderTraits::parse(item.data);
                    found.provider_name = traits.map(|t| t.name()).filter(|name| !name.is_empty());
                }
                ExtType::EVENT_SCHEMA_TL => {
                    if let Some(schema) = EventSchema::parse(item.data) {
                        found.name = Some(schema.name());
                        found.schema = Schema::TraceLogging(schema);
                        found.source = Source::TraceLogging;
                    }
                }
                _ => {}
            }
        }
        if found.source == Source::TraceLogging || self.events.is_empty() {
            return;
        }
        let (Some(provider), Some(descriptor)) = (found.provider, record.descriptor()) else {
            return;
        };
        let key = EventKey { provider, id: descriptor.id.get(), version: descriptor.version };
        if let Some((source, event)) = self.events.get(&key) {
            found.source = *source;
            found.schema = Schema::Layout(&event.layout);
            found.name = event.name.as_deref().map(Cow::Borrowed);
            found.names = Some(&event.names);
            let name = event.names.provider.as_deref();
            found.provider_name = name.map(Cow::Borrowed).or(found.provider_name.take());
        }
    }

    fn describe_classic<'a>(&'a self, record: &RecordView<'a>, found: &mut Description<'a>) {
        let (Some(class), Some(kind), Some(version)) =
            (record.provider(), record.opcode(), record.version())
        else {
            return;
        };
        // The high byte of a kernel record's version holds flags.
        let version = if record.group().is_some() { version & 0xFF } else { version };
        let given = self.classic.get(&(class, kind)).and_then(|versions| {
            // Newer versions usually append fields, so the newest one before it is tried.
            let behind = versions.partition_point(|(own, _)| *own <= version);
            versions.get(behind.checked_sub(1)?)
        });
        let exact = given.filter(|(own, _)| *own == version);
        if let (None, Some((event, layout))) =
            (exact, kernel::find(record.group(), class, kind, version))
        {
            found.source = Source::Kernel;
            found.schema = Schema::Layout(layout);
            found.name = Some(Cow::Borrowed(event.name));
            found.provider_name = event.class.map(Cow::Borrowed);
        } else if let Some((_, event)) = given {
            found.source = Source::Mof;
            found.schema = Schema::Layout(&event.layout);
            found.name = event.name.as_deref().map(Cow::Borrowed);
            found.names = Some(&event.names);
            found.provider_name = event.names.provider.as_deref().map(Cow::Borrowed);
        }
    }

    fn learn_event(&mut self, payload: &[u8]) {
        let mut map = |provider, name: &str| self.map_number(provider, name);
        let Some((key, event)) = metadata::event_info(payload, &mut map) else { return };
        self.insert(key, Source::Metadata, event);
    }

    fn learn_map(&mut self, payload: &[u8]) {
        let Some((provider, name, map)) = metadata::map_info(payload) else { return };
        self.insert_map(provider, &name, map);
    }

    fn learn_outline(&mut self, payload: &[u8]) {
        // Taken out meanwhile: both count the same bytes.
        let mut learned = std::mem::take(&mut self.iis);
        learned.learn(payload, |bytes| self.pays(bytes));
        self.iis = learned;
    }

    /// Keeps the schema of an event, unless a better source described it.
    pub(super) fn insert(&mut self, key: EventKey, source: Source, event: Event) {
        if let Some((known, _)) = self.events.get(&key) {
            if *known < source {
                return;
            }
        }
        if !self.pays(event.bytes()) {
            return;
        }
        if let Some(name) = &event.names.provider {
            self.providers.insert(key.provider, name.clone());
        }
        self.events.insert(key, (source, event));
    }

    /// Keeps a map under the number that fields know it by.
    pub(super) fn insert_map(&mut self, provider: Guid, name: &str, map: ValueMap) {
        let bytes = map.entries().map(|(_, name)| name.len().saturating_add(32)).sum();
        if self.pays(bytes) {
            let number = self.map_number(provider, name);
            if let Some(place) = self.maps.get_mut(number) {
                *place = map;
            }
        }
    }

    /// The number of a map; one that was not heard of is empty until it is.
    pub(super) fn map_number(&mut self, provider: Guid, name: &str) -> usize {
        let key = (provider, Box::from(name));
        if let Some(number) = self.map_numbers.get(&key) {
            return *number;
        }
        if !self.pays(name.len().saturating_add(size_of::<ValueMap>())) {
            return usize::MAX;
        }
        let number = self.maps.len();
        self.maps.push(ValueMap::default());
        self.map_numbers.insert(key, number);
        number
    }

    /// Whether there is room for so many bytes more.
    fn pays(&mut self, bytes: usize) -> bool {
        let all = self.bytes.saturating_add(bytes);
        if all > MOST_BYTES {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.bytes = all;
        true
    }

    /// Names in the kernel's records of processes and threads.
    fn learn_people(&mut self, view: &RecordView<'_>) {
        /// `Start`: from now on; `DCStart`: from before the log.
        const START: u8 = 1;
        const DC_START: u8 = 3;
        const SET_NAME: u8 = 72;
        let (Some(group), Some(kind), Some(ticks)) = (view.group(), view.opcode(), view.ticks())
        else {
            return;
        };
        let mut seen = Seen::default();
        let _ = self.describe(view).walk(&mut seen);
        let (names, number) = match group.0 {
            PROCESS => (&mut self.processes, seen.process),
            _ => (&mut self.threads, seen.thread),
        };
        let Some(number) = number else { return };
        match kind {
            START | SET_NAME => names.add(number, ticks, &seen.name),
            DC_START => names.add(number, 0, &seen.name),
            _ => names.add_untimed(number, &seen.name),
        }
        let Some(owner) = seen.process.filter(|_| group.0 != PROCESS) else { return };
        match kind {
            START => self.owners.set(number, ticks, owner),
            DC_START => self.owners.set(number, 0, owner),
            _ => self.owners.set_untimed(number, owner),
        }
    }
}

/// A decoder that takes in a manifest.
struct Taken<'d> {
    decoder: &'d mut Decoder,
    source: Source,
}

impl Take for Taken<'_> {
    fn event(&mut self, key: EventKey, event: Event) {
        self.decoder.insert(key, self.source, event);
    }

    fn map(&mut self, provider: Guid, name: &str, map: ValueMap) {
        let number = self.decoder.map_number(provider, name);
        // A map that the file told before is of the machine that wrote it.
        let known = self.decoder.maps.get(number);
        if known.is_none_or(|known| known.entries().next().is_none()) {
            self.decoder.insert_map(provider, name, map);
        }
    }

    fn map_number(&mut self, provider: Guid, name: &str) -> usize {
        self.decoder.map_number(provider, name)
    }
}

const PROCESS: u8 = 3;
const THREAD: u8 = 5;

/// Whether a record can say something of other records, from its header's bytes alone.
fn may_teach(record: RawRecord<'_>) -> bool {
    let bytes = record.bytes;
    match record.kind {
        RecordKind::Typed(HeaderType::FULL_HEADER64 | HeaderType::FULL_HEADER32) => {
            let class = bytes.get(24..40);
            class == Some(&metadata::PROVIDER.0) || class == Some(&iis::OUTLINE_CLASS.0)
        }
        #[cfg(feature = "manifest")]
        RecordKind::Typed(HeaderType::EVENT_HEADER64 | HeaderType::EVENT_HEADER32) => {
            eventsource::is_chunk(bytes)
        }
        RecordKind::Typed(header) if header.has_size_at_4() => {
            matches!(bytes.get(6..8), Some(&[1..=4 | 39, PROCESS] | &[1..=4 | 72, THREAD]))
        }
        _ => false,
    }
}

fn pointer_width(record: &RecordView<'_>) -> usize {
    let narrow = match record.header() {
        RecordHeader::Message(message) => message.flags().has(MessageFlags::POINTER32),
        _ => record.bits() == Some(32),
    };
    if narrow { 4 } else { 8 }
}

/// What names need of a process or thread record.
#[derive(Default)]
struct Seen {
    process: Option<u32>,
    thread: Option<u32>,
    name: String,
}

impl Visitor for Seen {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        let number = || value.to_count().and_then(|number| u32::try_from(number).ok());
        match name {
            "ProcessId" => self.process = number(),
            "TThreadId" => self.thread = number(),
            "ImageFileName" | "ThreadName" => self.name = value.to_string(),
            _ => {}
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
