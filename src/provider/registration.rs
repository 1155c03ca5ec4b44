//! A provider as the program holds it.

use crate::format::Guid;
use crate::provider::registry::{self, Shared, Watch};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A registered provider: writes events to the sessions that have enabled it.
///
/// Registered by GUID, any number of times; all registrations of a GUID are one provider with
/// several callbacks. Dropping it ends the registration (`EventUnregister`); what sessions want of
/// the GUID stays for the next one. To share it between threads, borrow it or put it into an `Arc`
/// or a `static`.
pub struct Provider {
    pub(super) shared: Arc<Shared>,
    number: u64,
    name: Arc<str>,
}

/// What a session asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Control {
    /// It wants nothing any more (`EVENT_CONTROL_CODE_DISABLE_PROVIDER`).
    Disable = 0,
    /// It wants events, or other ones than before (`EVENT_CONTROL_CODE_ENABLE_PROVIDER`).
    Enable = 1,
    /// It wants the provider's state logged now (`EVENT_CONTROL_CODE_CAPTURE_STATE`).
    CaptureState = 2,
}

/// What a provider's callback is told (the arguments of an `EnableCallback`).
///
/// Level and keywords are those of all sessions together after the change: what passes none of
/// them, no session wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change<'a> {
    /// What was asked.
    pub control: Control,
    /// By which session: its [`id`](crate::session::Controller::id).
    pub session: u64,
    /// That session's bit among those that have enabled the provider, for
    /// [`Provider::write_except`] (`EVENT_FILTER_HEADER.InstanceId`). Another session may get it
    /// once this one has disabled the provider.
    pub instance: u64,
    /// Whether any session wants events now.
    pub enabled: bool,
    /// The most verbose level wanted; 0 for all, or for none if nothing is enabled.
    pub level: u8,
    /// Bits of which a keyword must have one, all ones if any will do; 0 if nothing is enabled.
    pub any_keyword: u64,
    /// Bits of which a keyword must have every one.
    pub all_keywords: u64,
    /// The filter data that this session gave.
    pub filter: &'a [u8],
}

impl Provider {
    /// Registers a provider. The name is for people: sessions go by the GUID.
    #[must_use = "dropping it ends the registration"]
    pub fn register(guid: Guid, name: &str) -> Self {
        let (shared, number) = registry::register(guid, name, None, None);
        Self { shared, number, name: name.into() }
    }

    /// Registers a provider with a callback for every change of what sessions want, and at once for
    /// each session that has enabled it before.
    ///
    /// The callback runs on the thread of whoever made the change, outside of all locks: it may
    /// write, control, register. Changes come one at a time and in their order; those made while a
    /// callback runs, by it or by other threads, are told by the thread that is at it. A panic ends
    /// only that call. A callback may still run on another thread when the provider is dropped.
    #[must_use = "dropping it ends the registration"]
    pub fn register_with(
        guid: Guid,
        name: &str,
        callback: impl Fn(&Change<'_>) + Send + Sync + 'static,
    ) -> Self {
        let (shared, number) = registry::register(guid, name, Some(Arc::new(callback)), None);
        Self { shared, number, name: name.into() }
    }

    /// Registers a provider whose summary is kept in `watch`, too. From the call on it is never the
    /// watch of an unregistered one again.
    pub(crate) fn register_watched(guid: Guid, name: &str, watch: &'static Watch) -> Self {
        let (shared, number) = registry::register(guid, name, None, Some(watch));
        Self { shared, number, name: name.into() }
    }

    /// What it is known by.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.shared.guid
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a session may want an event of this level and keyword: one load and a branch if none
    /// does. Where several sessions want different things it may say yes to what each of them
    /// refuses, never no to what one wants.
    #[inline]
    #[must_use]
    pub fn is_enabled(&self, level: u8, keyword: u64) -> bool {
        let summary = self.shared.summary();
        summary.may_pass(level) && self.shared.may_pass_keyword(summary, keyword)
    }

    /// Levels below this one a session may want: 0 for none, 256 for all.
    #[cfg(any(feature = "tracing", feature = "log"))]
    pub(crate) fn levels(&self) -> u16 {
        self.shared.summary().levels()
    }

    /// The most verbose level and the keywords that sessions want, all of them together; `None` if
    /// there are none. Level 255 and all ones are for everything.
    pub(crate) fn wanted(&self) -> Option<(u8, u64)> {
        let summary = self.shared.summary();
        let level = summary.most_verbose()?;
        Some((level, self.shared.any_keyword()))
    }

    /// Events that could not even be offered to a session, over all registrations of the GUID:
    /// written by a signal handler that interrupted its thread in the provider's lock.
    #[must_use]
    pub fn events_missed(&self) -> u64 {
        self.shared.missed.load(Ordering::Relaxed)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        registry::unregister(&self.shared, self.number);
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("guid", &self.guid())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
