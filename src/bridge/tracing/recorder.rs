//! The layer, and the filter that tells `tracing` what sessions want.

use super::fields::{Key, Scratch};
use crate::bridge::TRACE;
use crate::format::{EventDescriptor, Guid};
use crate::provider::activity;
use crate::tracelogging::{CHANNEL, DynamicProvider, Level};
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tracing_core::dispatcher::WeakDispatch;
use tracing_core::field::Visit;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber, callsite, dispatcher};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// What events are about (`WINEVENT_OPCODE_*`).
const INFO: u8 = 0;
const START: u8 = 1;
const STOP: u8 = 2;
const RESUME: u8 = 7;
const SUSPEND: u8 = 8;

/// A [`Recorder`] that gets what sessions want and nothing else.
pub type Layer<S> = Filtered<Recorder, Wanted, S>;

/// Gives a call site its keyword.
type Keyword = dyn Fn(&Metadata<'_>) -> u64 + Send + Sync;

/// Settings of a layer.
#[must_use = "a builder is no layer yet"]
pub struct Builder {
    provider: String,
    keyword: Box<Keyword>,
    enter_and_exit: bool,
}

impl Builder {
    /// Of a layer that writes as the provider of this name.
    pub fn new(provider: &str) -> Self {
        Self { provider: provider.into(), keyword: Box::new(|_| 0), enter_and_exit: false }
    }

    /// How a call site comes to its keyword, by its target, say. It is called when sessions change
    /// their mind, and when an event is the first of its call site on a thread; it must always
    /// give the same answer. Without it all have keyword 0, which passes every session.
    pub fn keyword(self, keyword: impl Fn(&Metadata<'_>) -> u64 + Send + Sync + 'static) -> Self {
        Self { keyword: Box::new(keyword), ..self }
    }

    /// Whether it is recorded when spans are entered and left. Without it only their beginning
    /// and end are.
    pub fn enter_and_exit(self, enter_and_exit: bool) -> Self {
        Self { enter_and_exit, ..self }
    }

    /// The layer. Its provider is registered as long as the layer lives.
    #[must_use]
    pub fn build<S>(self) -> Layer<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        let subscriber = Arc::new(OnceLock::new());
        let asks = Arc::clone(&subscriber);
        // The change is there before the callback: who asks now gets the new answer.
        let provider = DynamicProvider::register_with(&self.provider, move |_| ask_again(&asks));
        let source = Arc::new(Source {
            provider,
            keyword: self.keyword,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            enter_and_exit: self.enter_and_exit,
            subscriber,
        });
        Filtered::new(Recorder(Arc::clone(&source)), Wanted(source))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Builder");
        out.field("provider", &self.provider).field("enter_and_exit", &self.enter_and_exit);
        out.finish_non_exhaustive()
    }
}

/// What layer and filter share.
struct Source {
    provider: DynamicProvider,
    keyword: Box<Keyword>,
    /// Which layer, unlike any other of the process.
    number: u32,
    enter_and_exit: bool,
    /// What the layer is part of.
    subscriber: Arc<OnceLock<WeakDispatch>>,
}

/// Has `tracing` ask for the interest in all call sites again.
///
/// Where a program has but one subscriber, `tracing` asks that of the calling thread. A session may
/// be controlled by a thread that has none, so the layer's own is made its for the moment. A
/// layer whose subscriber is gone, or to come, has nothing to ask: a new one is asked anyway.
///
/// Two threads that ask at once may store their answers in either order, so each asks until nobody
/// else has begun to meanwhile: then the last answer is younger than every change.
fn ask_again(subscriber: &OnceLock<WeakDispatch>) {
    static BEGUN: AtomicU32 = AtomicU32::new(0);
    let Some(subscriber) = subscriber.get().and_then(WeakDispatch::upgrade) else { return };
    BEGUN.fetch_add(1, Ordering::SeqCst);
    dispatcher::with_default(&subscriber, || {
        loop {
            let begun = BEGUN.load(Ordering::SeqCst);
            callsite::rebuild_interest_cache();
            if BEGUN.load(Ordering::SeqCst) == begun {
                return;
            }
        }
    });
}

impl Source {
    fn is_wanted(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(metadata);
        // Most often the level decides, and the keyword need not be asked for.
        u16::from(level.0) < self.provider.provider().levels()
            && self.provider.is_enabled(level, (self.keyword)(metadata))
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing_core::Level::ERROR => Level::ERROR,
        tracing_core::Level::WARN => Level::WARNING,
        tracing_core::Level::INFO => Level::INFO,
        tracing_core::Level::DEBUG => Level::VERBOSE,
        tracing_core::Level::TRACE => TRACE,
    }
}

/// Lets pass what a session may want. Its answers hold for the layer that it is put around, not
/// for others.
pub struct Wanted(Arc<Source>);

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.is_wanted(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.is_wanted(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.0.provider.provider().levels() {
            0..=2 => LevelFilter::OFF,
            3 => LevelFilter::ERROR,
            4 => LevelFilter::WARN,
            5 => LevelFilter::INFO,
            6 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wanted").field(&self.0.provider.name()).finish()
    }
}

/// Writes events and spans. It comes with its filter, as a [`Layer`].
pub struct Recorder(Arc<Source>);

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.provider.name()).finish()
    }
}

impl Recorder {
    /// As [`write`](Self::write), once for all that becomes of spans.
    fn write_of_span(
        &self,
        metadata: &'static Metadata<'static>,
        opcode: u8,
        activities: (Guid, Option<Guid>),
        record: &dyn Fn(&mut dyn Visit),
    ) {
        self.write(metadata, opcode, activities, record);
    }

    #[inline(always)]
    fn write(
        &self,
        metadata: &'static Metadata<'static>,
        opcode: u8,
        (activity, related): (Guid, Option<Guid>),
        record: impl FnOnce(&mut dyn Visit),
    ) {
        let Source { provider, keyword, number, .. } = &*self.0;
        let level = level_of(metadata);
        if u16::from(level.0) >= provider.provider().levels() {
            return;
        }
        Scratch::with(|scratch| {
            let key = Key { metadata, opcode, layer: *number };
            let mut values = scratch.begin(key, || EventDescriptor {
                channel: CHANNEL,
                opcode,
                keyword: keyword(metadata).into(),
                ..EventDescriptor::new(0, level.0)
            });
            record(&mut values);
            let (described, payload) = values.end(metadata, provider.item());
            // Who discarded it has counted it; there is nobody here to be told.
            let _ = match related {
                None => provider.send(described, payload, move || activity),
                Some(related) => provider.send_related(described, payload, activity, related),
            };
        });
    }
}

/// The activity of a span, shared by all layers of this kind.
struct SpanActivity(Guid);

fn activity_of<S: for<'a> LookupSpan<'a>>(span: Option<SpanRef<'_, S>>) -> Guid {
    let known = span.and_then(|span| span.extensions().get().map(|SpanActivity(id)| *id));
    known.unwrap_or(Guid::ZERO)
}

thread_local! {
    /// The spans that this thread has entered, and what its activity was before each.
    static ENTERED: RefCell<Vec<(u64, Guid)>> = const { RefCell::new(Vec::new()) };
}

fn enter(span: &Id, own: Guid) {
    let _ = ENTERED.try_with(|entered| {
        if let Ok(mut entered) = entered.try_borrow_mut() {
            entered.push((span.into_u64(), activity::set(own)));
        }
    });
}

/// Leaves a span, the last one that was entered or another one.
fn exit(span: &Id) {
    let _ = ENTERED.try_with(|entered| {
        let Ok(mut entered) = entered.try_borrow_mut() else { return };
        let Some(at) = entered.iter().rposition(|(id, _)| *id == span.into_u64()) else { return };
        let (_, before) = entered.remove(at);
        match entered.get_mut(at) {
            // Whoever leaves the one entered after it goes back to what was before this one.
            Some((_, after)) => *after = before,
            None => drop(activity::set(before)),
        }
    });
}

impl<S> tracing_subscriber::Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // A layer is part of one subscriber; the first is the one.
        let _ = self.0.subscriber.set(subscriber.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let activity = if event.is_contextual() {
            activity::current()
        } else {
            activity_of(event.parent().and_then(|parent| context.span(parent)))
        };
        self.write(event.metadata(), INFO, (activity, None), |visitor| event.record(visitor));
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let own = {
            let mut extensions = span.extensions_mut();
            if let Some(SpanActivity(own)) = extensions.get_mut() {
                *own
            } else {
                let own = activity::create();
                extensions.insert(SpanActivity(own));
                own
            }
        };
        let parent = if attributes.is_contextual() {
            activity::current()
        } else {
            activity_of(attributes.parent().and_then(|parent| context.span(parent)))
        };
        let related = (!parent.is_zero()).then_some(parent);
        self.write_of_span(attributes.metadata(), START, (own, related), &|visitor| {
            attributes.record(visitor);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let metadata = span.metadata();
        let own = activity_of(Some(span));
        self.write_of_span(metadata, INFO, (own, None), &|visitor| values.record(visitor));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let metadata = span.metadata();
        let (own, cause) = (activity_of(Some(span)), activity_of(context.span(follows)));
        let related = (!cause.is_zero()).then_some(cause);
        self.write_of_span(metadata, INFO, (own, related), &|_| ());
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let metadata = span.metadata();
        let own = activity_of(Some(span));
        enter(id, own);
        if self.0.enter_and_exit {
            self.write_of_span(metadata, RESUME, (own, None), &|_| ());
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if self.0.enter_and_exit {
            if let Some(span) = context.span(id) {
                let metadata = span.metadata();
                let own = activity_of(Some(span));
                self.write_of_span(metadata, SUSPEND, (own, None), &|_| ());
            }
        }
        exit(id);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let metadata = span.metadata();
        let own = activity_of(Some(span));
        self.write_of_span(metadata, STOP, (own, None), &|_| ());
    }
}
