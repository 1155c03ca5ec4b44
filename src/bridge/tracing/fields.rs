//! Fields of an event as bytes, and the schema that goes with them.
//!
//! The values of an event are put behind each other; which fields came with which types is its
//! *signature*. The schema follows from call site and signature and is kept for the next event
//! from there.

use crate::format::EventDescriptor;
use crate::tracelogging::{
    FieldMeta, begin_schema, end_schema, push_field, put_text, types, without_raw,
};
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use tracing_core::Metadata;
use tracing_core::field::{Field, Visit};

/// Places for schemas in each thread, and how many of them one call site can lie in.
const SITES: usize = 256;
const NEIGHBOURS: usize = 4;
/// Bytes of payload that a thread keeps.
const KEPT: usize = 1 << 16;

thread_local! {
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch::new()) };
}

/// What a thread keeps from event to event.
pub(super) struct Scratch {
    pub(super) values: Values,
    sites: Vec<Site>,
}

/// The values of one event.
pub(super) struct Values {
    pub(super) payload: Vec<u8>,
    signature: Vec<u16>,
}

/// Which schema: the call site's address, what it is written for, and by which layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) opcode: u8,
    pub(super) layer: u32,
}

/// A schema that was made.
#[derive(Clone)]
pub(super) struct Site {
    /// Address, opcode and layer; 0 for none.
    key: (usize, u8, u32),
    signature: Vec<u16>,
    pub(super) descriptor: EventDescriptor,
    /// The extended items: the provider's and the schema.
    pub(super) items: Vec<u8>,
}

impl Scratch {
    const fn new() -> Self {
        Self { values: Values { payload: Vec::new(), signature: Vec::new() }, sites: Vec::new() }
    }

    /// Lends the thread's own, or a new one if that is in use or gone.
    pub(super) fn with<T>(run: impl FnOnce(&mut Self) -> T) -> T {
        let mut run = Some(run);
        let done = SCRATCH.try_with(|scratch| {
            let mut scratch = scratch.try_borrow_mut().ok()?;
            let result = run.take().map(|run| run(&mut scratch));
            scratch.values.shrink();
            result
        });
        match (done, run) {
            (Ok(Some(result)), _) => result,
            (_, Some(run)) => run(&mut Self::new()),
            (_, None) => unreachable!("what ran gave its result"),
        }
    }

    /// The schema of the values, and the values. `provider` is the provider's item; `describe`
    /// makes the descriptor, if the call site is new here.
    pub(super) fn site(
        &mut self,
        key: Key,
        provider: &[u8],
        describe: impl FnOnce() -> EventDescriptor,
    ) -> (&Site, &Values) {
        if self.sites.is_empty() {
            self.sites.resize(SITES, Site::NONE);
        }
        let Self { values, sites } = self;
        let address = std::ptr::from_ref(key.metadata).addr();
        let wanted = (address, key.opcode, key.layer);
        // Metadata are larger than 64 bytes, so that the lower bits say little.
        let hash = (address >> 6) ^ (address >> 14) ^ usize::from(key.opcode) << 6;
        let first = (hash ^ key.layer as usize) % (SITES / NEIGHBOURS) * NEIGHBOURS;
        let neighbours = &mut sites[first..first + NEIGHBOURS];
        let place = neighbours
            .iter()
            .position(|site| site.key == wanted)
            .or_else(|| neighbours.iter().position(|site| site.key.0 == 0))
            .unwrap_or((address >> 4) % NEIGHBOURS);
        let site = &mut neighbours[place];
        if site.key != wanted {
            site.key = wanted;
            site.descriptor = describe();
            site.items.clear();
        }
        if site.items.is_empty() || site.signature != values.signature {
            site.make(key.metadata, provider, &values.signature);
        }
        (site, values)
    }
}

impl Site {
    const NONE: Self = Self {
        key: (0, 0, 0),
        signature: Vec::new(),
        descriptor: EventDescriptor::new(0, 0),
        items: Vec::new(),
    };

    /// Makes the schema anew.
    #[cold]
    fn make(&mut self, metadata: &'static Metadata<'static>, provider: &[u8], signature: &[u16]) {
        self.signature.clear();
        self.signature.extend_from_slice(signature);
        self.items.clear();
        self.items.extend_from_slice(provider);
        let schema = self.items.len();
        begin_schema(&mut self.items, metadata.name());
        for code in signature {
            let index = usize::from(code >> KIND_BITS);
            let name = metadata.fields().iter().nth(index).map_or("", |field| field.name());
            let (in_type, out_type) = KINDS[usize::from(code & KIND_MASK)];
            let field = FieldMeta { name: without_raw(name), in_type, out_type };
            push_field(&mut self.items, &field);
        }
        end_schema(&mut self.items, schema);
    }
}

/// In- and out-type by kind.
const KINDS: [(u8, u8); 8] = [
    (types::U64, 0),
    (types::I64, 0),
    (types::F64, 0),
    (types::U8, types::OUT_BOOLEAN),
    (types::COUNTED_TEXT, types::OUT_UTF8),
    (types::BINARY, 0),
    (0, 0),
    (0, 0),
];
const U64: u16 = 0;
const I64: u16 = 1;
const F64: u16 = 2;
const BOOL: u16 = 3;
const TEXT: u16 = 4;
const BYTES: u16 = 5;

/// A signature's code: the field's number and, below it, its kind.
const KIND_BITS: u16 = 3;
const KIND_MASK: u16 = (1 << KIND_BITS) - 1;

impl Values {
    /// Makes room for the next event.
    pub(super) fn clear(&mut self) {
        self.payload.clear();
        self.signature.clear();
    }

    /// Gives memory back that an unusually long event has taken.
    fn shrink(&mut self) {
        if self.payload.capacity() > 2 * KEPT {
            self.payload.clear();
            self.payload.shrink_to(KEPT);
        }
    }

    /// Notes that a field comes; `None` if it has no number that a code could hold.
    #[inline(always)]
    fn begin(&mut self, field: &Field, kind: u16) -> Option<()> {
        let index = u16::try_from(field.index()).ok().filter(|index| index >> 13 == 0)?;
        self.signature.push(index << KIND_BITS | kind);
        Some(())
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, field: &Field, kind: u16, bytes: [u8; N]) {
        if self.begin(field, kind).is_some() {
            self.payload.extend_from_slice(&bytes);
        }
    }

    /// Bytes behind their count. More than a count can tell make the record too large anyway.
    fn put_counted(&mut self, field: &Field, kind: u16, bytes: &[u8]) {
        if self.begin(field, kind).is_none() {
            return;
        }
        let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.payload.extend_from_slice(&count.to_le_bytes());
        let bytes = &bytes[..bytes.len().min(KEPT)];
        self.payload.extend_from_slice(bytes);
    }

    fn put_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        if self.begin(field, TEXT).is_none() {
            return;
        }
        // A message without arguments: no need to format.
        match text.as_str() {
            Some(text) if text.len() < KEPT => {
                let count = u16::try_from(text.len()).unwrap_or(u16::MAX);
                self.payload.extend_from_slice(&count.to_le_bytes());
                self.payload.extend_from_slice(text.as_bytes());
            }
            _ => put_text(&mut self.payload, text),
        }
    }
}

impl Visit for Values {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, U64, value.to_le_bytes());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, I64, value.to_le_bytes());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, F64, value.to_le_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, BOOL, [u8::from(value)]);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_counted(field, TEXT, value.as_bytes());
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.put_counted(field, BYTES, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put_text(field, format_args!("{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put_text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, format_args!("{}", Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format_args!("{value:?}"));
    }
}

/// An error and where it came from.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More sources than this are a circle.
        const MOST: usize = 32;
        write!(f, "{}", self.0)?;
        let sources = std::iter::successors(self.0.source(), |error| (*error).source());
        sources.take(MOST).try_for_each(|source| write!(f, ": {source}"))
    }
}
