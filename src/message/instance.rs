//! Registered classes and their instances.

use crate::format::Guid;
use crate::message::error::TraceError;
use std::sync::atomic::{AtomicU32, Ordering};

/// A registered event trace class (`TRACE_GUID_REGISTRATION`), best put into a `static`. It counts
/// the instances of its class.
#[derive(Debug)]
pub struct ClassRegistration {
    class: Guid,
    instances: AtomicU32,
}

impl ClassRegistration {
    /// Of this class, without an instance so far.
    #[must_use]
    pub const fn new(class: Guid) -> Self {
        Self { class, instances: AtomicU32::new(0) }
    }

    /// The class.
    #[must_use]
    pub const fn class(&self) -> Guid {
        self.class
    }
}

/// An instance of a class (`EVENT_INSTANCE_INFO`). Made by [`create_trace_instance_id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventInstanceInfo {
    class: Guid,
    instance_id: u32,
}

impl EventInstanceInfo {
    /// The class whose instance it is.
    #[must_use]
    pub const fn class(&self) -> Guid {
        self.class
    }

    /// Its number within the registration, never 0.
    #[must_use]
    pub const fn instance_id(&self) -> u32 {
        self.instance_id
    }
}

/// A new instance of a class (`CreateTraceInstanceId`): numbers go from 1 up, and start again at 1
/// behind the largest.
///
/// # Errors
///
/// [`TraceError::InvalidParameter`] for a null handle.
pub fn create_trace_instance_id<'c>(
    class: impl Into<Option<&'c ClassRegistration>>,
) -> Result<EventInstanceInfo, TraceError> {
    let class = class.into().ok_or(TraceError::InvalidParameter("class handle is null"))?;
    // Relaxed: the number says nothing about other memory.
    let next = || class.instances.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    let mut instance_id = next();
    if instance_id == 0 {
        instance_id = next();
    }
    Ok(EventInstanceInfo { class: class.class, instance_id })
}
