//! What a session wants of a provider.

use crate::session::ControlError;

/// Sessions that may enable one provider at a time.
pub const MAX_SESSIONS: usize = 8;
/// Providers that a process may know, registered or enabled, when a session enables a further one:
/// far more than a system has, so that nobody who enables from outside fills the memory.
pub const MAX_PROVIDERS: usize = 16_384;
/// Bytes of filter data, at most.
pub const MAX_FILTER: usize = 1024;

/// How a session enables a provider (the arguments of `EnableTraceEx2`). What is not named is
/// wanted whole: every level, every keyword.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "enables nothing until it is given to a session"]
pub struct Enable {
    pub(crate) level: u8,
    pub(crate) any: u64,
    pub(crate) all: u64,
    pub(crate) properties: Properties,
    pub(crate) filter: Vec<u8>,
}

impl Enable {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most verbose level wanted: 1 critical to 5 verbose, up to 255; 0 for all.
    pub fn level(self, level: u8) -> Self {
        Self { level, ..self }
    }

    /// Bits of which an event's keyword must have at least one (`MatchAnyKeyword`); 0 for all bits.
    pub fn any_keyword(self, any: u64) -> Self {
        Self { any, ..self }
    }

    /// Bits of which an event's keyword must have every one (`MatchAllKeyword`).
    pub fn all_keywords(self, all: u64) -> Self {
        Self { all, ..self }
    }

    /// What else is wanted, or not.
    pub fn properties(self, properties: Properties) -> Self {
        Self { properties, ..self }
    }

    /// Bytes for the provider's callback, up to [`MAX_FILTER`] of them (a schematized filter). The
    /// session itself does not look at them.
    pub fn filter(self, bytes: impl Into<Vec<u8>>) -> Self {
        Self { filter: bytes.into(), ..self }
    }

    pub(crate) fn check(&self) -> Result<(), ControlError> {
        let unknown = self.properties.0 & !Properties::SUPPORTED.0;
        if unknown != 0 {
            return Err(ControlError::Properties(unknown));
        }
        if self.filter.len() > MAX_FILTER {
            return Err(ControlError::Filter(self.filter.len(), MAX_FILTER));
        }
        Ok(())
    }
}

/// Further wishes of a session (`EVENT_ENABLE_PROPERTY_*`), one bit each.
///
/// Not supported, and refused by name, are those that make no sense without Windows or that the
/// recorder cannot fulfil: the user's and the terminal session's id, stack traces, package keys,
/// provider groups, event keys, private browsing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Properties(pub u32);

impl Properties {
    /// Events with keyword 0 are not wanted.
    pub const IGNORE_KEYWORD_0: Self = Self(0x10);
    /// Events with keyword 0 are wanted, as they are anyway. [`IGNORE_KEYWORD_0`] wins.
    ///
    /// [`IGNORE_KEYWORD_0`]: Self::IGNORE_KEYWORD_0
    pub const ENABLE_KEYWORD_0: Self = Self(0x40);
    /// Each event carries the process's start key as an extended item: a number that no other
    /// process has had since the system started.
    pub const PROCESS_START_KEY: Self = Self(0x80);

    /// All of the above.
    const SUPPORTED: Self =
        Self::IGNORE_KEYWORD_0.with(Self::ENABLE_KEYWORD_0).with(Self::PROCESS_START_KEY);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Which events pass: the settings in the form that is quickest to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Levels below this one pass: 0 for none, 256 for all.
    pub(super) levels: u16,
    pub(super) any: u64,
    pub(super) all: u64,
    pub(super) keyword_0: bool,
}

impl Rule {
    /// Nothing passes.
    pub(super) const NOTHING: Self = Self { levels: 0, any: 0, all: u64::MAX, keyword_0: false };

    pub(super) fn of(enable: &Enable) -> Self {
        Self {
            levels: if enable.level == 0 { 256 } else { u16::from(enable.level) + 1 },
            any: if enable.any == 0 { u64::MAX } else { enable.any },
            all: enable.all,
            keyword_0: !enable.properties.has(Properties::IGNORE_KEYWORD_0),
        }
    }

    #[inline]
    pub(super) fn passes(&self, level: u8, keyword: u64) -> bool {
        u16::from(level) < self.levels && self.passes_keyword(keyword)
    }

    #[inline]
    pub(super) fn passes_keyword(&self, keyword: u64) -> bool {
        if keyword == 0 {
            self.keyword_0
        } else {
            keyword & self.any != 0 && keyword & self.all == self.all
        }
    }

    /// What passes at least one of the two passes this.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            levels: self.levels.max(other.levels),
            any: self.any | other.any,
            all: self.all & other.all,
            keyword_0: self.keyword_0 | other.keyword_0,
        }
    }

    /// The level as a controller names it; 0 for all, and for none.
    pub(super) fn level(&self) -> u8 {
        u8::try_from(self.levels.saturating_sub(1)).unwrap_or_default()
            * u8::from(self.levels < 256)
    }
}
