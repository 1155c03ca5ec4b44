//! Which module lies at an address: the images that kernel records name.
//!
//! An image lies in a process from its load to its unload. What was loaded before the log started,
//! or is told only when the log ends (`DCStart`, `DCEnd`), lies there from the start. Modules of
//! the kernel are recorded for the processes 0 and 4 and lie in all of them.

use crate::codec::{RawRecord, RecordKind, RecordView};
use crate::schema::{Decoder, Shape, Value, Visitor};
use std::collections::HashMap;

/// Records of images that are kept: 8 MiB.
const MOST_IMAGES: usize = 1 << 17;
/// Bytes of all names.
const MOST_NAME_BYTES: usize = 8 << 20;
/// Images of one process that are looked at for an address: those that lay there one after another.
const MOST_AT_ONCE: usize = 64;

const PROCESS: u8 = 3;
const IMAGE: u8 = 0x14;
const UNLOAD: u8 = 2;
const DC_START: u8 = 3;
const DC_END: u8 = 4;
const LOAD: u8 = 10;

/// The images of one log, learned from all of it before it is asked.
#[derive(Clone, Debug, Default)]
pub struct Images {
    records: Vec<Record>,
    images: Vec<Image>,
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    name_bytes: usize,
    refused: u64,
    decoder: Decoder,
}

/// What one record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    process: u32,
    base: u64,
    ticks: u64,
    kind: u8,
    size: u64,
    name: u32,
}

/// An image that lay at a place for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    process: u32,
    base: u64,
    size: u64,
    name: u32,
    from: u64,
    to: u64,
}

/// A place within a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'i> {
    /// The file, without its directories.
    pub module: &'i str,
    /// Bytes from the start of the image.
    pub offset: u64,
}

impl Images {
    /// Knows none.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what a record says of an image; all others are passed over for the price of a look
    /// at their header.
    pub fn learn(&mut self, record: RawRecord<'_>) {
        let Some(kind) = image_kind(record) else { return };
        let Ok(view) = RecordView::parse(record) else { return };
        let mut seen = Seen::default();
        let _ = self.decoder.describe(&view).walk(&mut seen);
        let (Some(process), Some(base), Some(size), Some(ticks)) =
            (seen.process, seen.base, seen.size, view.ticks())
        else {
            return;
        };
        if self.records.len() >= MOST_IMAGES {
            self.refused = self.refused.saturating_add(1);
            return;
        }
        let Some(name) = self.number(file_name(&seen.name)) else { return };
        self.records.push(Record { process, base, ticks, kind, size, name });
    }

    /// Puts what was learned in order; to be called once, behind the last record.
    pub fn finish(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        records.sort_unstable();
        for record in records {
            let Record { process, base, ticks, kind, size, name } = record;
            let last = self.images.last_mut();
            let here = last.filter(|last| (last.process, last.base) == (process, base));
            let image = |from, to| Image { process, base, size, name, from, to };
            let before = here.as_ref().map_or(0, |last| last.to);
            let open = here.filter(|last| last.to == u64::MAX);
            match (kind, open) {
                (LOAD, open) => {
                    if let Some(open) = open {
                        open.to = ticks;
                    }
                    self.images.push(image(ticks, u64::MAX));
                }
                (UNLOAD, Some(open)) => open.to = ticks,
                (UNLOAD, None) => self.images.push(image(before, ticks)),
                (_, Some(_)) => {}
                (_, None) => self.images.push(image(before, u64::MAX)),
            }
        }
    }

    /// Records that were left out because the log holds more of them than are kept.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The module at an address of a process at a time.
    #[must_use]
    pub fn find(&self, process: u32, address: u64, ticks: u64) -> Option<Place<'_>> {
        [process, 0, 4].into_iter().find_map(|process| self.find_in(process, address, ticks))
    }

    fn find_in(&self, process: u32, address: u64, ticks: u64) -> Option<Place<'_>> {
        let behind = self.images.partition_point(|i| (i.process, i.base) <= (process, address));
        let before = self.images.get(..behind).unwrap_or_default().iter().rev();
        let holds = |image: &&Image| {
            let offset = address.wrapping_sub(image.base);
            offset < image.size && image.from <= ticks && ticks <= image.to
        };
        let own = before.take_while(|image| image.process == process);
        let image = own.take(MOST_AT_ONCE).find(holds)?;
        let module = self.names.get(image.name as usize)?;
        Some(Place { module, offset: address.wrapping_sub(image.base) })
    }

    fn number(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        self.name_bytes = self.name_bytes.saturating_add(name.len());
        if self.name_bytes > MOST_NAME_BYTES {
            self.refused = self.refused.saturating_add(1);
            return None;
        }
        let number = u32::try_from(self.names.len()).ok()?;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        Some(number)
    }
}

/// What stands behind the last separator of either kind.
fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

/// The type of a record of an image, from its header's bytes alone; a load has the group of
/// processes.
fn image_kind(record: RawRecord<'_>) -> Option<u8> {
    match record.kind {
        RecordKind::Typed(header) if header.has_size_at_4() => match record.bytes.get(6..8) {
            Some(&[LOAD, PROCESS | IMAGE]) => Some(LOAD),
            Some(&[kind @ (UNLOAD | DC_START | DC_END), IMAGE]) => Some(kind),
            _ => None,
        },
        _ => None,
    }
}

/// The fields of an image's record.
#[derive(Default)]
struct Seen {
    process: Option<u32>,
    base: Option<u64>,
    size: Option<u64>,
    name: String,
}

impl Visitor for Seen {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        match name {
            "ProcessId" => self.process = value.to_count().and_then(|pid| u32::try_from(pid).ok()),
            "ImageBase" => self.base = value.to_count(),
            "ImageSize" => self.size = value.to_count(),
            "FileName" => self.name = value.to_string(),
            _ => {}
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
