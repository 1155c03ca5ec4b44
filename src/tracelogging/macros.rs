//! The shortest way: [`provider!`](crate::provider!) and [`event!`](crate::event!).

/// Declares a provider of self-describing events.
///
/// It makes a type of that name, with `GUID`, `NAME`, `is_enabled` and `get`. The GUID is that of
/// the name ([`guid_of_name`](crate::tracelogging::guid_of_name)), unless it is given; a group may
/// be given, too. Nothing needs to be called at start: the provider registers itself when it is
/// first used.
///
/// ```
/// use etlring::format::Guid;
///
/// etlring::provider! {
///     /// What happens to orders.
///     pub Orders = "Example-Orders"
/// }
/// etlring::provider!(Stock = "Example-Stock", guid: 0x6f1f_3a9a_7701, group: 0x6f1f_3a9a_7702);
///
/// assert_eq!(Orders::NAME, "Example-Orders");
/// assert_eq!(Orders::GUID.to_string(), "a45f3aed-57b5-5f19-55f6-dac13bb8aa8a");
/// assert_eq!(Stock::GUID, Guid::from_u128(0x6f1f_3a9a_7701));
/// ```
#[macro_export]
macro_rules! provider {
    (
        $(#[$attribute:meta])*
        $visibility:vis $provider:ident = $name:expr
        $(, guid: $guid:expr)? $(, group: $group:expr)? $(,)?
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug)]
        $visibility struct $provider;

        #[allow(dead_code)]
        impl $provider {
            /// What sessions know the provider by.
            $visibility const GUID: $crate::format::Guid = {
                const NAMES: &[$crate::format::Guid] =
                    &[$($crate::format::Guid::from_u128($guid))?];
                if NAMES.is_empty() {
                    $crate::tracelogging::guid_of_ascii_name($name)
                } else {
                    NAMES[0]
                }
            };
            /// What people know it by.
            $visibility const NAME: &'static str = $name;

            /// Whether a session may want an event of this level and keyword.
            #[inline]
            #[must_use]
            $visibility fn is_enabled(
                level: $crate::tracelogging::Level,
                keyword: u64,
            ) -> bool {
                Self::get().is_enabled(level.0, keyword)
            }

            /// The provider itself, registered now if it was not before.
            #[inline]
            #[must_use]
            $visibility fn get() -> &'static $crate::provider::Provider {
                $crate::tracelogging::registered::<Self>()
            }
        }

        impl $crate::tracelogging::Declared for $provider {
            const GUID: $crate::format::Guid = Self::GUID;
            const META: $crate::tracelogging::ProviderMeta<'static> =
                $crate::tracelogging::ProviderMeta {
                    name: $name,
                    group: {
                        const GROUPS: &[$crate::format::Guid] =
                            &[$($crate::format::Guid::from_u128($group))?];
                        if GROUPS.is_empty() { None } else { Some(GROUPS[0]) }
                    },
                };

            #[inline(always)]
            fn place() -> &'static $crate::tracelogging::Place {
                static PLACE: $crate::tracelogging::Place = $crate::tracelogging::Place::new();
                &PLACE
            }
        }
    };
}

/// Writes a self-describing event of a provider that [`provider!`](crate::provider!) declared.
///
/// ```text
///   event!(Provider, level, "Name", { keyword: 0x2, opcode: 1, .. }, field: type = value, ..)
/// ```
///
/// Level, name and options are constants: names and types are made into bytes when the program is
/// compiled, and written into the session's buffer together with the values in one go. The types
/// are those of [`Field`](crate::tracelogging::Field), the options, all of which may be left out,
/// those of [`Options`](crate::tracelogging::Options). The values are only computed if a session
/// may want the event; if none does, the event is one relaxed load and a branch.
///
/// It gives the number of sessions that recorded the event. Those that discarded it have counted
/// it. The event belongs to the thread's [`activity`](crate::provider::activity).
///
/// ```
/// use etlring::provider::Enable;
/// use etlring::session::Session;
/// use etlring::tracelogging::{Hex, Level};
/// use etlring::{event, provider};
///
/// provider!(Orders = "Example-Orders");
///
/// # let (sink, _log) = etlring::sink::MemorySink::new();
/// let session = Session::builder("orders").sink(sink).start()?;
/// session.enable_provider(Orders::GUID, &Enable::new().level(4))?;
/// let customer = String::from("Ada");
/// let recorded = event!(
///     Orders, Level::INFO, "Placed", { keyword: 0x2 },
///     number: u64 = 17, customer: &str = &customer, flags: Hex<u32> = Hex(0x11)
/// );
/// assert_eq!(recorded, 1);
/// assert_eq!(event!(Orders, Level::VERBOSE, "Too verbose"), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! event {
    (
        $provider:ty, $level:expr, $name:expr
        $(, { $($option:ident : $setting:expr),* $(,)? })?
        $(, $field:ident : $type:ty = $value:expr)*
        $(,)?
    ) => {{
        const OPTIONS: $crate::tracelogging::Options = $crate::tracelogging::Options {
            $($($option: $setting,)*)?
            ..$crate::tracelogging::Options::NONE
        };
        const DESCRIPTOR: $crate::format::EventDescriptor = OPTIONS.descriptor($level);
        let place = <$provider as $crate::tracelogging::Declared>::place();
        if place.may_pass::<$provider>(DESCRIPTOR.level) {
            const PROVIDER: &$crate::tracelogging::ProviderMeta<'static> =
                &<$provider as $crate::tracelogging::Declared>::META;
            const EVENT: &$crate::tracelogging::EventMeta<'static> =
                &$crate::tracelogging::EventMeta {
                    name: $name,
                    tag: OPTIONS.tag,
                    fields: &[$(
                        $crate::tracelogging::field_meta::<$type>(stringify!($field)),
                    )*],
                };
            const LAST: usize = $crate::tracelogging::provider_item_size(PROVIDER);
            const SIZE: usize = $crate::tracelogging::items_size(PROVIDER, EVENT);
            static ITEMS: [u8; SIZE] = $crate::tracelogging::items(PROVIDER, EVENT);
            // A match, so that what the values borrow lives until they are written.
            match $crate::__values!($($type = $value,)*) {
                values => $crate::tracelogging::write::<$provider, SIZE>(
                    &DESCRIPTOR, &ITEMS, LAST, values,
                )
                .unwrap_or(0),
            }
        } else {
            0
        }
    }};
}

/// Pairs in pairs: `Values(first, Values(second, ()))`.
#[doc(hidden)]
#[macro_export]
macro_rules! __values {
    () => { () };
    ($type:ty = $value:expr, $($rest:tt)*) => {
        $crate::tracelogging::Values(
            $crate::tracelogging::typed::<$type>($value),
            $crate::__values!($($rest)*),
        )
    };
}
