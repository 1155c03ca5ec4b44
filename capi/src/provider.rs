//! Providers, and what their callbacks are told.

use crate::promise::{Layout, Place, Text, give, layout};
use crate::status::{self, Failure, Status};
use crate::types::Guid;
use etlring::provider::{self, Change};
use std::ffi::{c_int, c_void};

/// `etlring_provider`.
#[derive(Debug)]
pub struct Provider(pub(crate) provider::Provider);

/// `etlring_change`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "named as in the header and in Change")]
pub struct CChange {
    pub size: usize,
    pub session_id: u64,
    pub instance: u64,
    pub any_keyword: u64,
    pub all_keywords: u64,
    pub control: u32,
    pub level: u8,
    pub enabled: u8,
    pub reserved: [u8; 2],
}

impl From<&Change<'_>> for CChange {
    fn from(change: &Change<'_>) -> Self {
        Self {
            size: size_of::<Self>(),
            session_id: change.session,
            instance: change.instance,
            any_keyword: change.any_keyword,
            all_keywords: change.all_keywords,
            control: change.control as u32,
            level: change.level,
            enabled: change.enabled.into(),
            reserved: [0; 2],
        }
    }
}

/// `etlring_callback`.
pub type Callback = extern "C" fn(change: &CChange, context: *mut c_void);

/// `etlring_release`.
pub type Release = extern "C" fn(context: *mut c_void);

/// A callback and what is handed to it, until nobody can call it any more.
struct Told {
    callback: Callback,
    context: *mut c_void,
    release: Option<Release>,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            release(self.context);
        }
    }
}

// SAFETY: the header says that the callback runs on any thread, with this context.
unsafe impl Send for Told {}
// SAFETY: as above, and also on two threads at the same time.
unsafe impl Sync for Told {}

impl Told {
    fn tell(&self, change: &Change<'_>) {
        (self.callback)(&CChange::from(change), self.context);
    }
}

/// The constants of the header that start with `ETLRING_`, by the rest of their names.
pub const CONSTANTS: &[(&str, u32)] = &[
    ("CONTROL_DISABLE", provider::Control::Disable as u32),
    ("CONTROL_ENABLE", provider::Control::Enable as u32),
    ("CONTROL_CAPTURE_STATE", provider::Control::CaptureState as u32),
];

/// `etlring_provider_register`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_provider_register(
    guid: Option<&Guid>,
    name: Text<'_>,
    callback: Option<Callback>,
    context: *mut c_void,
    release: Option<Release>,
    provider: Place<'_, Provider>,
) -> Status {
    status::call(|| {
        let place = provider.ok_or_else(|| Failure::null("provider"))?;
        let guid = (*guid.ok_or_else(|| Failure::null("guid"))?).into();
        let name = name.utf8("name")?;
        let registered = match callback {
            None => provider::Provider::register(guid, name),
            Some(callback) => {
                let told = Told { callback, context, release };
                provider::Provider::register_with(guid, name, move |change| told.tell(change))
            }
        };
        give(Some(place), "provider", Provider(registered))
    })
}

/// `etlring_provider_unregister`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_provider_unregister(provider: Option<Box<Provider>>) {
    status::call_or((), || drop(provider));
}

/// `etlring_provider_enabled`.
#[unsafe(no_mangle)]
pub extern "C" fn etlring_provider_enabled(
    provider: Option<&Provider>,
    level: u8,
    keyword: u64,
) -> c_int {
    status::call_or(0, || provider.is_some_and(|one| one.0.is_enabled(level, keyword)).into())
}

/// The structures of the header that lie here.
pub const LAYOUTS: &[Layout] = &[layout!("etlring_change": CChange {
    size, session_id, instance, any_keyword, all_keywords, control, level, enabled, reserved,
})];
