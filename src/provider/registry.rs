//! Every provider of the process, and what sessions want of it.
//!
//! Two kinds of lock, always taken in this order: the registry's, for whoever controls or
//! registers, and each provider's, which writers take too, for as long as it takes to copy a
//! pointer. Callbacks run outside of both.

use crate::format::Guid;
use crate::provider::{
    enable::{Enable, MAX_PROVIDERS, MAX_SESSIONS, Properties, Rule},
    registration::{Change, Control},
};
use crate::session::{ControlError, Controller, SessionHandle, Setting};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is called when a session changes its mind.
pub(super) type Callback = dyn Fn(&Change<'_>) + Send + Sync;

/// The providers of this process: registered, enabled, or both.
static PROVIDERS: Mutex<Providers> =
    Mutex::new(Providers { by_guid: BTreeMap::new(), free: Vec::new(), next: 0 });

struct Providers {
    by_guid: BTreeMap<Guid, Arc<Shared>>,
    /// Indices that no provider has any more.
    free: Vec<usize>,
    /// The first index that none had yet.
    next: usize,
}

/// A provider: all its registrations, and what sessions want of it.
pub(super) struct Shared {
    summary: AtomicU64,
    /// Of all sessions together, as [`Rule`] has it.
    any: AtomicU64,
    all: AtomicU64,
    /// Events that no session could count.
    pub(super) missed: AtomicU64,
    pub(super) guid: Guid,
    /// Its place in each thread's list; of no other provider while this one lives.
    pub(super) index: usize,
    state: Mutex<State>,
}

/// What may pass, in one word that changes with every change of any provider.
///
/// ```text
///   bits 0..9   levels below this one may pass: 0 none, 256 all
///   bit 9       keyword 0 may pass
///   bits 10..   number of the change
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary(u64);

impl Summary {
    /// That of no change.
    pub(super) const NEVER: Self = Self(0);
    const LEVELS: u64 = 0x1FF;
    const KEYWORD_0: u64 = 0x200;

    /// Of the change that is made now.
    fn new(rule: &Rule) -> Self {
        static CHANGES: AtomicU64 = AtomicU64::new(1);
        let number = CHANGES.fetch_add(1, Ordering::Relaxed);
        let keyword_0 = if rule.keyword_0 { Self::KEYWORD_0 } else { 0 };
        Self(number << 10 | keyword_0 | u64::from(rule.levels))
    }

    /// The most verbose level that may pass.
    pub(super) fn most_verbose(self) -> Option<u8> {
        u8::try_from((self.0 & Self::LEVELS).checked_sub(1)?).ok()
    }

    #[inline(always)]
    pub(super) fn may_pass(self, level: u8) -> bool {
        u64::from(level) < self.0 & Self::LEVELS
    }

    /// Levels below this one may pass: 0 for none, 256 for all.
    #[cfg(any(feature = "tracing", feature = "log"))]
    pub(super) fn levels(self) -> u16 {
        u16::try_from(self.0 & Self::LEVELS).unwrap_or_default()
    }
}

/// A provider's summary in a place that never moves, so that asking it takes one load.
#[derive(Debug)]
pub(crate) struct Watch(AtomicU64);

impl Watch {
    /// Of a provider that is yet to be registered: it says yes, so that whoever asks does that.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(Summary::LEVELS))
    }

    /// Whether what [`may_pass`](Self::may_pass) says is what sessions say.
    #[inline(always)]
    pub(crate) fn is_registered(&self) -> bool {
        // No change has number 0.
        self.0.load(Ordering::Relaxed) != Summary::LEVELS
    }

    /// Whether a session may want an event of this level.
    #[inline(always)]
    pub(crate) fn may_pass(&self, level: u8) -> bool {
        // Relaxed: the word carries no pointer; see `Provider::write`.
        Summary(self.0.load(Ordering::Relaxed)).may_pass(level)
    }
}

/// A session that wants a provider's events.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) rule: Rule,
    pub(super) start_key: bool,
    /// The session's bit among those that have enabled the provider.
    pub(super) instance: u64,
    pub(super) handle: SessionHandle,
}

struct State {
    summary: Summary,
    /// What writers use.
    listeners: Arc<[Listener]>,
    enabled: Vec<Enabled>,
    registered: Vec<Registered>,
    notices: VecDeque<Notice>,
    /// Somebody is calling callbacks, and will call those for new notices, too.
    delivering: bool,
}

struct Enabled {
    session: Controller,
    /// One of the [`MAX_SESSIONS`] lowest bits, unlike that of any other.
    instance: u64,
    enable: Enable,
}

struct Registered {
    number: u64,
    name: Arc<str>,
    callback: Option<Arc<Callback>>,
    /// Where the summary is kept as well.
    watch: Option<&'static Watch>,
}

/// A change that a callback is to be told.
struct Notice {
    callback: Arc<Callback>,
    control: Control,
    session: u64,
    instance: u64,
    rule: Rule,
    filter: Arc<[u8]>,
}

/// A provider of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// What it is known by.
    pub guid: Guid,
    /// The names of its registrations; none if it is only enabled so far.
    pub names: Vec<String>,
    /// The sessions that have enabled it, by [`Controller::id`].
    pub sessions: Vec<u64>,
}

/// Every provider that is registered or enabled, by GUID.
#[must_use]
pub fn all() -> Vec<ProviderInfo> {
    Locked::new().map_or_else(Vec::new, |locked| {
        locked.providers.by_guid.values().map(|provider| provider.info()).collect()
    })
}

thread_local! {
    /// Whether this thread is in a lock: it must not wait for itself, in a signal handler.
    static IN_LOCK: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread as being in a lock.
struct InLock;

impl InLock {
    /// `None` if it is already.
    fn new() -> Option<Self> {
        (!IN_LOCK.replace(true)).then_some(Self)
    }
}

impl Drop for InLock {
    fn drop(&mut self) {
        IN_LOCK.set(false);
    }
}

/// The registry, locked.
pub(super) struct Locked {
    // In this order they are dropped: the mark outlives the lock.
    providers: MutexGuard<'static, Providers>,
    _mark: InLock,
}

impl Locked {
    /// `None` only in a signal handler.
    fn new() -> Option<Self> {
        let mark = InLock::new()?;
        // A panic between two steps is one of the allocator's; what is there is whole.
        let providers = PROVIDERS.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self { providers, _mark: mark })
    }

    /// The provider of this GUID, made if need be.
    fn provider(&mut self, guid: Guid) -> Arc<Shared> {
        let Providers { by_guid, free, next } = &mut *self.providers;
        let provider = by_guid.entry(guid).or_insert_with(|| {
            let index = free.pop().unwrap_or_else(|| {
                *next += 1;
                *next - 1
            });
            Arc::new(Shared::new(guid, index))
        });
        Arc::clone(provider)
    }

    /// Forgets a provider that is neither registered nor enabled.
    fn forget_if_unused(&mut self, provider: &Shared) {
        let state = provider.state();
        if state.registered.is_empty() && state.enabled.is_empty() {
            self.providers.by_guid.remove(&provider.guid);
            self.providers.free.push(provider.index);
        }
    }
}

/// Registers a provider, and tells its callback and its watch what sessions want already.
pub(super) fn register(
    guid: Guid,
    name: &str,
    callback: Option<Arc<Callback>>,
    watch: Option<&'static Watch>,
) -> (Arc<Shared>, u64) {
    static REGISTRATIONS: AtomicU64 = AtomicU64::new(1);
    let number = REGISTRATIONS.fetch_add(1, Ordering::Relaxed);
    let Some(mut locked) = Locked::new() else {
        // In a signal handler, against the rules: a provider that nobody ever enables.
        return (Arc::new(Shared::new(guid, usize::MAX)), number);
    };
    let provider = locked.provider(guid);
    {
        let mut state = provider.state();
        if let Some(callback) = &callback {
            let State { enabled, notices, .. } = &mut *state;
            let rule = rule_of(enabled);
            notices.extend(enabled.iter().map(|enabled| {
                let callback = Arc::clone(callback);
                Notice::new(callback, Control::Enable, enabled.id(), rule, &enabled.enable)
            }));
        }
        if let Some(Watch(word)) = watch {
            word.store(state.summary.0, Ordering::Relaxed);
        }
        state.registered.push(Registered { number, name: name.into(), callback, watch });
    }
    drop(locked);
    provider.deliver();
    (provider, number)
}

/// Ends a registration. What sessions want stays, for the next one.
pub(super) fn unregister(provider: &Shared, number: u64) {
    let Some(mut locked) = Locked::new() else { return };
    let gone = {
        let mut state = provider.state();
        let at = state.registered.iter().position(|registered| registered.number == number);
        let gone = at.map(|at| state.registered.remove(at));
        if let Some(Registered { callback: Some(callback), .. }) = &gone {
            state.notices.retain(|notice| !Arc::ptr_eq(&notice.callback, callback));
        }
        gone
    };
    if gone.is_some() {
        locked.forget_if_unused(provider);
    }
    drop(locked);
    // The callback, and what it owns, goes outside of the locks.
    drop(gone);
}

/// Enables a provider for a session, or changes what the session wants of it.
pub(super) fn enable(
    session: &Controller,
    guid: Guid,
    enable: &Enable,
) -> Result<(), ControlError> {
    enable.check()?;
    let Some(mut locked) = Locked::new() else { return Err(ControlError::Reentered) };
    // Under the registry's lock, which `end_of_session` takes: either it sees this session, or the
    // session is known to be ending here.
    if !session.at_end(end_of_session) {
        return Err(ControlError::Stopped);
    }
    let known = &locked.providers.by_guid;
    if known.len() >= MAX_PROVIDERS && !known.contains_key(&guid) {
        return Err(ControlError::TooManyProviders(MAX_PROVIDERS));
    }
    let provider = locked.provider(guid);
    let mut state = provider.state();
    let known = state.enabled.iter_mut().find(|enabled| enabled.session.id() == session.id());
    let id = if let Some(enabled) = known {
        enabled.enable = enable.clone();
        enabled.id()
    } else if let Some(instance) = state.free_instance() {
        let enabled = Enabled { session: session.clone(), instance, enable: enable.clone() };
        let id = enabled.id();
        state.enabled.push(enabled);
        id
    } else {
        return Err(ControlError::TooManySessions(MAX_SESSIONS));
    };
    let old = provider.changed(&mut state);
    state.notify(Control::Enable, id, enable);
    drop(state);
    // Under the registry's lock, so that processes are told in the order in which it was done.
    let Enable { level, any, all, properties: Properties(properties), ref filter } = *enable;
    let filter = filter.clone();
    session.tell_attached(&Setting::Enable { guid, level, any, all, properties, filter });
    drop(locked);
    drop(old);
    provider.deliver();
    Ok(())
}

/// Disables a provider for a session.
pub(super) fn disable(session: &Controller, guid: Guid) -> Result<(), ControlError> {
    let Some(mut locked) = Locked::new() else { return Err(ControlError::Reentered) };
    let Some(provider) = locked.providers.by_guid.get(&guid).cloned() else { return Ok(()) };
    let gone = provider.without(session.id());
    locked.forget_if_unused(&provider);
    session.tell_attached(&Setting::Disable { guid });
    drop(locked);
    drop(gone);
    provider.deliver();
    Ok(())
}

/// Has a provider log its state for a session.
pub(super) fn capture_state(session: &Controller, guid: Guid) -> Result<(), ControlError> {
    let Some(locked) = Locked::new() else { return Err(ControlError::Reentered) };
    let provider = locked.providers.by_guid.get(&guid).cloned().ok_or(ControlError::NotEnabled)?;
    let mut state = provider.state();
    let enabled = state.enabled.iter().find(|enabled| enabled.session.id() == session.id());
    let enabled = enabled.ok_or(ControlError::NotEnabled)?;
    let (id, enable) = (enabled.id(), enabled.enable.clone());
    state.notify(Control::CaptureState, id, &enable);
    drop(state);
    session.tell_attached(&Setting::Capture { guid });
    drop(locked);
    provider.deliver();
    Ok(())
}

/// Disables everything that a session has enabled: it is about to stop.
fn end_of_session(session: u64) {
    let Some(mut locked) = Locked::new() else { return };
    let all: Vec<_> = locked.providers.by_guid.values().cloned().collect();
    let gone: Vec<_> = all.iter().map(|provider| provider.without(session)).collect();
    for (provider, gone) in all.iter().zip(&gone) {
        if gone.is_some() {
            locked.forget_if_unused(provider);
        }
    }
    drop(locked);
    for (provider, gone) in all.iter().zip(gone) {
        if gone.is_some() {
            drop(gone);
            provider.deliver();
        }
    }
}

/// What passes for at least one session.
fn rule_of(enabled: &[Enabled]) -> Rule {
    let rules = enabled.iter().map(|enabled| Rule::of(&enabled.enable));
    rules.fold(Rule::NOTHING, Rule::or)
}

impl Shared {
    fn new(guid: Guid, index: usize) -> Self {
        let summary = Summary::new(&Rule::NOTHING);
        Self {
            summary: AtomicU64::new(summary.0),
            any: AtomicU64::new(Rule::NOTHING.any),
            all: AtomicU64::new(Rule::NOTHING.all),
            missed: AtomicU64::new(0),
            guid,
            index,
            state: Mutex::new(State {
                summary,
                listeners: Arc::new([]),
                enabled: Vec::new(),
                registered: Vec::new(),
                notices: VecDeque::new(),
                delivering: false,
            }),
        }
    }

    /// The one load of an event that nobody wants. Relaxed: the word carries nothing but itself.
    #[inline(always)]
    pub(super) fn summary(&self) -> Summary {
        Summary(self.summary.load(Ordering::Relaxed))
    }

    /// Whether a session may want this keyword. Three words that change one after the other: while
    /// they do, the answer may be that of neither state.
    #[inline]
    pub(super) fn may_pass_keyword(&self, summary: Summary, keyword: u64) -> bool {
        let rule = Rule {
            levels: 0,
            any: self.any.load(Ordering::Relaxed),
            all: self.all.load(Ordering::Relaxed),
            keyword_0: summary.0 & Summary::KEYWORD_0 != 0,
        };
        rule.passes_keyword(keyword)
    }

    /// The keywords that sessions want, all of them together.
    pub(super) fn any_keyword(&self) -> u64 {
        self.any.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // As in `Locked::new`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What sessions want now; `None` if this thread is in a lock already.
    pub(super) fn listeners(&self) -> Option<(Summary, Arc<[Listener]>)> {
        let _mark = InLock::new()?;
        let state = self.state();
        Some((state.summary, Arc::clone(&state.listeners)))
    }

    /// Makes the new list and summary. Gives the old list, to be dropped outside of the locks: it
    /// may be a session's last owner.
    fn changed(&self, state: &mut State) -> Arc<[Listener]> {
        let rule = rule_of(&state.enabled);
        let listeners = state.enabled.iter().map(|enabled| Listener {
            rule: Rule::of(&enabled.enable),
            start_key: enabled.enable.properties.has(Properties::PROCESS_START_KEY),
            instance: enabled.instance,
            handle: enabled.session.handle(),
        });
        let old = std::mem::replace(&mut state.listeners, listeners.collect());
        state.summary = Summary::new(&rule);
        self.any.store(rule.any, Ordering::Relaxed);
        self.all.store(rule.all, Ordering::Relaxed);
        self.summary.store(state.summary.0, Ordering::Relaxed);
        for Watch(word) in state.registered.iter().filter_map(|registered| registered.watch) {
            word.store(state.summary.0, Ordering::Relaxed);
        }
        old
    }

    /// Ends what `session` wants. Gives what is to be dropped outside of the locks, if it wanted
    /// something.
    fn without(&self, session: u64) -> Option<(Enabled, Arc<[Listener]>)> {
        let mut state = self.state();
        let at = state.enabled.iter().position(|enabled| enabled.session.id() == session)?;
        let gone = state.enabled.remove(at);
        let old = self.changed(&mut state);
        state.notify(Control::Disable, gone.id(), &Enable::default());
        Some((gone, old))
    }

    fn info(&self) -> ProviderInfo {
        let state = self.state();
        ProviderInfo {
            guid: self.guid,
            names: state.registered.iter().map(|r| (*r.name).to_owned()).collect(),
            sessions: state.enabled.iter().map(|enabled| enabled.session.id()).collect(),
        }
    }

    /// Calls the callbacks for all notices, one at a time and in their order, unless somebody is at
    /// it: then that thread will do so. A callback may itself control, register and write.
    fn deliver(&self) {
        let mut first = true;
        loop {
            let Some(mark) = InLock::new() else { return };
            let mut state = self.state();
            if first && state.delivering {
                return;
            }
            first = false;
            let notice = state.notices.pop_front();
            state.delivering = notice.is_some();
            drop(state);
            drop(mark);
            let Some(notice) = notice else { return };
            // A panic is the callback's own; the hook has told of it. Others must not miss theirs.
            let _ = catch_unwind(AssertUnwindSafe(|| notice.tell()));
        }
    }
}

impl Enabled {
    /// How callbacks know the session: its number, and its bit.
    fn id(&self) -> (u64, u64) {
        (self.session.id(), self.instance)
    }
}

impl State {
    /// The lowest bit that no session has.
    fn free_instance(&self) -> Option<u64> {
        let taken = self.enabled.iter().fold(0, |bits, enabled| bits | enabled.instance);
        let mut bits = (0..MAX_SESSIONS).map(|at| 1 << at);
        bits.find(|bit| taken & bit == 0)
    }

    /// Queues a notice for every callback.
    fn notify(&mut self, control: Control, id: (u64, u64), enable: &Enable) {
        let rule = rule_of(&self.enabled);
        let callbacks = self.registered.iter().filter_map(|r| r.callback.clone());
        let notices = callbacks.map(|callback| Notice::new(callback, control, id, rule, enable));
        self.notices.extend(notices);
    }
}

impl Notice {
    fn new(
        callback: Arc<Callback>,
        control: Control,
        (session, instance): (u64, u64),
        rule: Rule,
        enable: &Enable,
    ) -> Self {
        Self { callback, control, session, instance, rule, filter: enable.filter.as_slice().into() }
    }

    fn tell(&self) {
        let Self { callback, control, session, instance, rule, filter } = self;
        let enabled = rule.levels != 0;
        callback(&Change {
            control: *control,
            session: *session,
            instance: *instance,
            enabled,
            level: rule.level(),
            any_keyword: rule.any,
            all_keywords: if enabled { rule.all } else { 0 },
            filter,
        });
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("guid", &self.guid).field("index", &self.index).finish()
    }
}
