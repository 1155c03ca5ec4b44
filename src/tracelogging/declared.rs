//! Providers that are declared once and events that are written where they happen.

use crate::format::{EventDescriptor, Guid};
use crate::outside;
use crate::provider::{Provider, Watch, activity};
use crate::session::{Discarded, Shape};
use crate::tracelogging::{CHANNEL, Fields, Level, ProviderMeta};
use std::sync::OnceLock;
use zerocopy::little_endian::{U16, U64};

/// A provider that [`provider!`](crate::provider!) declared.
pub trait Declared {
    /// What sessions know it by.
    const GUID: Guid;
    /// What its events say of it.
    const META: ProviderMeta<'static>;

    #[doc(hidden)]
    fn place() -> &'static Place;
}

/// Where a declared provider keeps what it knows of its sessions.
///
/// The provider is registered when it is first asked whether anybody listens. From then on an
/// event that nobody wants is one relaxed load and a branch.
#[derive(Debug)]
#[doc(hidden)]
pub struct Place {
    watch: Watch,
    provider: OnceLock<Provider>,
}

impl Place {
    #[expect(clippy::new_without_default, reason = "for statics, made by a macro")]
    #[must_use]
    pub const fn new() -> Self {
        Self { watch: Watch::new(), provider: OnceLock::new() }
    }

    /// Whether a session may want an event of this level of `P`, whose place this is.
    #[inline(always)]
    pub fn may_pass<P: Declared>(&self, level: u8) -> bool {
        self.watch.may_pass(level) && (self.watch.is_registered() || self.register::<P>(level))
    }

    #[cold]
    fn register<P: Declared>(&self, level: u8) -> bool {
        registered::<P>();
        self.watch.may_pass(level)
    }
}

/// The registered provider.
#[inline]
pub fn registered<P: Declared>() -> &'static Provider {
    P::place().provider.get().unwrap_or_else(register::<P>)
}

#[cold]
fn register<P: Declared>() -> &'static Provider {
    // Before the place is locked: what it starts may come here again.
    outside::at_first_provider();
    let place = P::place();
    place
        .provider
        .get_or_init(|| Provider::register_watched(P::GUID, P::META.name, &P::place().watch))
}

/// What an event's descriptor may have beside its level. Used through [`event!`](crate::event!).
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bits of the groups that the event belongs to; 0 for all.
    pub keyword: u64,
    /// What it is about: 0 for information, 1 for the start of an activity, 2 for its end.
    pub opcode: u8,
    /// The part of the provider that it comes from.
    pub task: u16,
    /// Its number; most have none.
    pub id: u16,
    /// The version of its fields.
    pub version: u8,
    /// 28 bits of the provider's own meaning.
    pub tag: u32,
}

impl Options {
    /// None of all that.
    pub const NONE: Self = Self { keyword: 0, opcode: 0, task: 0, id: 0, version: 0, tag: 0 };

    /// The descriptor of an event of this level.
    #[must_use]
    pub const fn descriptor(&self, level: Level) -> EventDescriptor {
        EventDescriptor {
            version: self.version,
            channel: CHANNEL,
            opcode: self.opcode,
            task: U16::from_bytes(self.task.to_le_bytes()),
            keyword: U64::from_bytes(self.keyword.to_le_bytes()),
            ..EventDescriptor::new(self.id, level.0)
        }
    }
}

/// Writes an event whose items were made when the program was compiled: what
/// [`event!`](crate::event!) comes to.
#[doc(hidden)]
#[inline]
pub fn write<P: Declared, const N: usize>(
    descriptor: &EventDescriptor,
    items: &'static [u8; N],
    last_item: usize,
    fields: impl Fields,
) -> Result<u32, Discarded> {
    let fill = |out: &mut [u8]| {
        let (front, mut rest) = out.split_at_mut(N);
        front.copy_from_slice(items);
        fields.put(&mut rest);
    };
    let shape = Shape { items: N, last_item, len: fields.size().saturating_add(N) };
    write_filled::<P>(descriptor, activity::current, shape, &fill)
}

/// Apart and without the types of the fields: one for each provider and not for each event.
///
/// It is compiled in the caller's crate: in a program thread-locals are a load away, in a library a
/// call.
#[inline(never)]
fn write_filled<P: Declared>(
    descriptor: &EventDescriptor,
    activity: impl Fn() -> Guid,
    shape: Shape,
    fill: &dyn Fn(&mut [u8]),
) -> Result<u32, Discarded> {
    registered::<P>().write_shaped(descriptor, (activity, None), shape, fill)
}

/// Gives a value the type that its field was declared with.
#[doc(hidden)]
#[inline(always)]
pub fn typed<T>(value: T) -> T {
    value
}
