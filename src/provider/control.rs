//! What sessions ask of providers (`EnableTraceEx2`).

use crate::format::Guid;
#[cfg(unix)]
use crate::provider::enable::Properties;
use crate::provider::{enable::Enable, registry};
#[cfg(unix)]
use crate::session::Setting;
use crate::session::{ControlError, Controller};

/// Does in an attached process what its session's owner wants of a provider. What is refused stays
/// as it was: nobody is there to be told.
#[cfg(unix)]
pub(crate) fn apply(session: &Controller, setting: Setting) {
    let _ = match setting {
        Setting::Enable { guid, level, any, all, properties, filter } => {
            let properties = Properties(properties);
            registry::enable(session, guid, &Enable { level, any, all, properties, filter })
        }
        Setting::Disable { guid } => registry::disable(session, guid),
        Setting::Capture { guid } => registry::capture_state(session, guid),
    };
}

/// Controlling providers. In `provider`, because sessions know nothing of them.
impl Controller {
    /// Enables a provider for this session, or changes what the session wants of it. The provider
    /// need not be registered yet. It holds until it is disabled or the session stops.
    ///
    /// # Errors
    ///
    /// [`ControlError::TooManySessions`] if eight others have enabled the provider,
    /// [`ControlError::TooManyProviders`] if it is new and this process knows
    /// [`MAX_PROVIDERS`](crate::provider::MAX_PROVIDERS) already,
    /// [`ControlError::Properties`] and [`ControlError::Filter`] for what `enable` must not have,
    /// [`ControlError::Stopped`].
    pub fn enable_provider(&self, provider: Guid, enable: &Enable) -> Result<(), ControlError> {
        registry::enable(self, provider, enable)
    }

    /// Disables a provider for this session; nothing happens if it was not enabled. Events that
    /// other threads are writing at this moment may still come.
    ///
    /// # Errors
    ///
    /// [`ControlError::Reentered`].
    pub fn disable_provider(&self, provider: Guid) -> Result<(), ControlError> {
        registry::disable(self, provider)
    }

    /// Asks a provider to log its state: tells its callbacks so.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotEnabled`] if this session has not enabled the provider.
    pub fn capture_state(&self, provider: Guid) -> Result<(), ControlError> {
        registry::capture_state(self, provider)
    }
}
