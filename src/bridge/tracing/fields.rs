//! Fields of an event as bytes, and the schema that goes with them.
//!
//! The values of an event are put behind each other; which fields came with which types is its
//! *signature*. The schema follows from call site and signature and is kept for the next event
//! from there.

use crate::format::EventDescriptor;
use crate::tracelogging::{
    Described, FieldMeta, begin_schema, end_schema, push_field, put_text, types, without_raw,
};
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::mem::ManuallyDrop;
use tracing_core::Metadata;
use tracing_core::field::{Field, Visit};

/// Places for schemas in each thread, and how many of them one call site can lie in.
const SITES: usize = 256;
const NEIGHBOURS: usize = 4;
/// Bytes of payload that a thread keeps.
const KEPT: usize = 1 << 16;

thread_local! {
    /// Emptied by [`FORGET`]: a thread-local with a destructor may be gone, and an event would need
    /// a second path for that.
    static SCRATCH: RefCell<ManuallyDrop<Scratch>> =
        const { RefCell::new(ManuallyDrop::new(Scratch::new())) };
    /// Touched before anything is left in [`SCRATCH`].
    static FORGET: Forget = const { Forget };
}

/// Empties the thread's scratch when the thread ends.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        SCRATCH.with(|scratch| {
            if let Ok(mut scratch) = scratch.try_borrow_mut() {
                **scratch = Scratch::new();
            }
        });
    }
}

/// What a thread keeps from event to event.
pub(super) struct Scratch {
    payload: Vec<u8>,
    sites: Vec<Site>,
    /// Whether somebody will empty it when the thread ends.
    is_kept: bool,
}

/// The values of one event, as they come.
pub(super) struct Values<'a> {
    payload: &'a mut Vec<u8>,
    /// Its signature is that of the last event from there: each field is compared as it comes.
    site: &'a mut Site,
    /// Fields that came.
    count: usize,
}

/// Which schema: the call site's address, what it is written for, and by which layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) metadata: &'static Metadata<'static>,
    pub(super) opcode: u8,
    pub(super) layer: u32,
}

/// A call site, and the schema that was made for its last event.
#[derive(Clone)]
pub(super) struct Site {
    /// Address, layer and opcode; 0 for none.
    key: (usize, u64),
    signature: Vec<u16>,
    /// The descriptor, and the extended items: the provider's and the schema. Those are empty until
    /// the schema is made, or when it is another one by now.
    described: Described,
}

impl Key {
    fn words(self) -> (usize, u64) {
        let address = std::ptr::from_ref(self.metadata).addr();
        (address, u64::from(self.layer) << 8 | u64::from(self.opcode))
    }
}

impl Scratch {
    const fn new() -> Self {
        Self { payload: Vec::new(), sites: Vec::new(), is_kept: false }
    }

    /// Lends the thread's own, or a new one if that is in use.
    #[inline(always)]
    pub(super) fn with(run: impl FnOnce(&mut Self)) {
        // Never fails: it has no destructor. Not `with`, which is not inlined.
        let _ = SCRATCH.try_with(|scratch| {
            // One call of `run` for both, or it would be a function apart.
            let (mut own, mut new);
            let lent = match scratch.try_borrow_mut() {
                Ok(scratch) => {
                    own = scratch;
                    &mut **own
                }
                Err(_) => {
                    new = Self::new();
                    &mut new
                }
            };
            run(lent);
            if !lent.is_kept || lent.payload.capacity() > 2 * KEPT {
                lent.tidy();
            }
        });
    }

    /// Begins an event of a call site. `describe` makes the descriptor, if the call site is new
    /// here.
    #[inline(always)]
    pub(super) fn begin(
        &mut self,
        key: Key,
        describe: impl FnOnce() -> EventDescriptor,
    ) -> Values<'_> {
        self.payload.clear();
        let (address, rest) = key.words();
        // Metadata are larger than 64 bytes, so that the lower bits say little.
        let hash = (address >> 6) ^ (address >> 14) ^ usize::from(key.opcode) << 6;
        let first = (hash ^ key.layer as usize) % (SITES / NEIGHBOURS) * NEIGHBOURS;
        let place = match self.sites.get(first) {
            Some(site) if site.key == (address, rest) => first,
            _ => first + self.neighbour(first, (address, rest)),
        };
        let Self { payload, sites, .. } = self;
        let site = &mut sites[place];
        if site.key != (address, rest) {
            // In this order: what describes is foreign code.
            site.described.descriptor = describe();
            site.described.items.clear();
            site.key = (address, rest);
        }
        Values { payload, site, count: 0 }
    }

    /// Which of the places from `first` on is that of a call site, or is to be.
    #[inline(never)]
    fn neighbour(&mut self, first: usize, wanted: (usize, u64)) -> usize {
        if self.sites.is_empty() {
            self.is_kept = FORGET.try_with(|_| ()).is_ok();
            self.sites.resize(SITES, Site::NONE);
        }
        let neighbours = &self.sites[first..first + NEIGHBOURS];
        neighbours
            .iter()
            .position(|site| site.key == wanted)
            .or_else(|| neighbours.iter().position(|site| site.key.0 == 0))
            .unwrap_or((wanted.0 >> 4) % NEIGHBOURS)
    }

    /// Gives memory back that an unusually long event has taken, and all of it if the thread is
    /// ending.
    #[cold]
    #[inline(never)]
    fn tidy(&mut self) {
        if self.is_kept {
            self.payload.clear();
            self.payload.shrink_to(KEPT);
        } else {
            *self = Self::new();
        }
    }
}

impl Site {
    const NONE: Self = Self {
        key: (0, 0),
        signature: Vec::new(),
        described: Described { descriptor: EventDescriptor::new(0, 0), items: Vec::new() },
    };

    /// Makes the schema anew.
    #[cold]
    fn make(&mut self, metadata: &'static Metadata<'static>, provider: &[u8]) {
        let items = &mut self.described.items;
        items.clear();
        items.extend_from_slice(provider);
        let schema = items.len();
        begin_schema(items, metadata.name());
        for code in &self.signature {
            let index = usize::from(code >> KIND_BITS);
            let name = metadata.fields().iter().nth(index).map_or("", |field| field.name());
            let (in_type, out_type) = KINDS[usize::from(code & KIND_MASK)];
            let field = FieldMeta { name: without_raw(name), in_type, out_type };
            push_field(items, &field);
        }
        end_schema(items, schema);
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

impl<'a> Values<'a> {
    /// The schema of the values that came, and the values. `provider` is the provider's item.
    #[inline(always)]
    pub(super) fn end(
        self,
        metadata: &'static Metadata<'static>,
        provider: &[u8],
    ) -> (&'a Described, &'a [u8]) {
        let Self { payload, site, count } = self;
        if site.described.items.is_empty() || site.signature.len() != count {
            site.signature.truncate(count);
            site.make(metadata, provider);
        }
        (&site.described, payload)
    }

    /// Notes that a field comes; `None` if it has no number that a code could hold.
    #[inline(always)]
    fn begin(&mut self, field: &Field, kind: u16) -> Option<()> {
        let code = field.index() << KIND_BITS | usize::from(kind);
        match self.site.signature.get(self.count) {
            Some(known) if usize::from(*known) == code => self.count += 1,
            _ => self.differ(code)?,
        }
        Some(())
    }

    /// Notes a field that the last event from here had not.
    #[cold]
    #[inline(never)]
    fn differ(&mut self, code: usize) -> Option<()> {
        let code = u16::try_from(code).ok()?;
        // Emptied first, and made when all fields are known: one in between may panic.
        self.site.described.items.clear();
        self.site.signature.truncate(self.count);
        self.site.signature.push(code);
        self.count += 1;
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
            _ => put_text(self.payload, text),
        }
    }
}

impl Visit for Values<'_> {
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
