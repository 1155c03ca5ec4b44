//! What takes in the events and maps of a file that describes them.

use crate::format::Guid;
use crate::schema::event::{Event, EventKey};
use crate::schema::map::ValueMap;

/// Takes in the parts of a manifest.
pub(super) trait Take {
    /// An event.
    fn event(&mut self, key: EventKey, event: Event);
    /// A map.
    fn map(&mut self, provider: Guid, name: &str, map: ValueMap);
    /// The number by which a field knows a map.
    fn map_number(&mut self, provider: Guid, name: &str) -> usize;
}
