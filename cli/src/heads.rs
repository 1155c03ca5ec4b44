//! The part of a JSON line that all records of one kind share, kept as text.

use crate::json;
use etlring::codec::RecordView;
use etlring::format::Guid;

/// Kinds that are kept; a power of two. A kind that meets another one in its place is written anew.
const PLACES: usize = 256;

/// What kind of record one is: all that its shared text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    header: &'static str,
    provider: Option<Guid>,
    numbers: [Option<u16>; 3],
    bytes: [Option<u8>; 2],
}

impl Kind {
    fn of(view: &RecordView<'_>) -> Self {
        Self {
            header: view.header_name(),
            provider: view.provider(),
            numbers: [view.bits().map(u16::from), view.id(), view.version()],
            bytes: [view.level(), view.opcode()],
        }
    }

    /// Where it is kept.
    fn place(&self) -> usize {
        let guid = self.provider.unwrap_or_default().0;
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let (low, high) = (word(&guid[..8]), word(&guid[8..]));
        let [_, id, version] = self.numbers.map(|number| u64::from(number.unwrap_or(0)));
        let opcode = u64::from(self.bytes[1].unwrap_or(0));
        let mixed = low ^ high.rotate_left(7) ^ id << 40 ^ opcode << 24 ^ version << 8;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize % PLACES
    }

    /// From `header` to `opcode`.
    fn write(&self, out: &mut Vec<u8>) {
        let [bits, id, version] = self.numbers;
        let [level, opcode] = self.bytes;
        json::key(out, "header");
        json::string(out, self.header);
        json::key(out, "bits");
        json::optional(out, bits);
        json::key(out, "provider");
        match self.provider {
            Some(guid) => json::guid(out, guid),
            None => out.extend_from_slice(b"null"),
        }
        json::key(out, "id");
        json::optional(out, id);
        json::key(out, "version");
        json::optional(out, version);
        json::key(out, "level");
        json::optional(out, level);
        json::key(out, "opcode");
        json::optional(out, opcode);
    }
}

/// One kind and its texts.
#[derive(Clone, Debug, Default)]
struct Place {
    kind: Option<Kind>,
    head: Vec<u8>,
    /// The file whose decoder gave the names, and `provider_name` and `name`.
    names: Option<(usize, Vec<u8>)>,
}

/// The shared texts of the kinds that were seen last.
#[derive(Debug)]
pub(crate) struct Heads {
    places: Vec<Place>,
    /// The place of the record that was asked for last.
    at: usize,
}

impl Default for Heads {
    fn default() -> Self {
        Self { places: vec![Place::default(); PLACES], at: 0 }
    }
}

impl Heads {
    /// `,"header":...` to `"opcode":...` of a record.
    pub(crate) fn head(&mut self, view: &RecordView<'_>) -> &[u8] {
        let kind = Kind::of(view);
        self.at = kind.place();
        let place = &mut self.places[self.at];
        if place.kind != Some(kind) {
            place.kind = Some(kind);
            place.names = None;
            place.head.clear();
            kind.write(&mut place.head);
        }
        &place.head
    }

    /// The names that were kept hold no longer.
    pub(crate) fn forget_names(&mut self) {
        self.places.iter_mut().for_each(|place| place.names = None);
    }

    /// `,"provider_name":...,"name":...` of the record whose head was asked for last, which is of
    /// this file; `write` makes the text the first time. Only for records that carry no names of
    /// their own.
    pub(crate) fn names(&mut self, file: usize, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let place = &mut self.places[self.at];
        match &mut place.names {
            Some((own, _)) if *own == file => {}
            names => {
                let mut text = Vec::new();
                write(&mut text);
                *names = Some((file, text));
            }
        }
        place.names.as_ref().map_or(&[], |(_, text)| text)
    }
}
