//! Manifests that .NET's `EventSource` sends through the trace, in events of its own.
//!
//! Such an event is `ManifestData`: id 0xFFFE, opcode 0xFE, task 0xFFFE. Its payload is a chunk:
//! format 1, version (2 bytes), 0x5B, number of chunks, this one's number from 0, text in UTF-8.
//! A process sends the chunks in their order; the first one begins a manifest anew.

use crate::format::Guid;
use crate::schema::read::little;
use std::collections::HashMap;

/// Bytes of a manifest that is put together; the largest of .NET's own have 300 KiB.
const MOST_BYTES: usize = 1 << 20;
/// Manifests that may be in the making at one time.
const MOST_OPEN: usize = 64;

/// Whether an event's header says that it holds a chunk.
pub(super) fn is_chunk(record: &[u8]) -> bool {
    record.get(40..42) == Some(&[0xFE, 0xFF]) && record.get(45..48) == Some(&[0xFE, 0xFE, 0xFF])
}

/// Manifests in the making, by provider and process.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    open: HashMap<(Guid, u32), (u64, Vec<u8>)>,
}

impl Chunks {
    /// Takes in the payload of such an event; gives the manifest when it is complete.
    pub(super) fn add(&mut self, provider: Guid, process: u32, payload: &[u8]) -> Option<Vec<u8>> {
        const FORMAT: u8 = 1;
        const MAGIC: u8 = 0x5B;
        let (header, text) = payload.split_first_chunk::<8>()?;
        let [FORMAT, _, _, MAGIC, count @ .., n0, n1] = header else { return None };
        let (count, number) = (little(count), little(&[*n0, *n1]));
        let key = (provider, process);
        if number == 0 {
            if self.open.len() >= MOST_OPEN {
                self.open.clear();
            }
            self.open.insert(key, (0, Vec::new()));
        }
        let (next, bytes) = self.open.get_mut(&key)?;
        if *next != number || bytes.len().saturating_add(text.len()) > MOST_BYTES {
            self.open.remove(&key);
            return None;
        }
        bytes.extend_from_slice(text);
        *next = next.saturating_add(1);
        if *next < count {
            return None;
        }
        self.open.remove(&key).map(|(_, bytes)| bytes)
    }
}
