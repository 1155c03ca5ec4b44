//! Logging into the session of another process.

use crate::outside::error::OutsideError;
use crate::session::{Clock, ConfigError, Session, SessionBuilder, SessionError, WhenFull};
use std::fmt;
use std::io;
use std::time::Duration;

/// Being attached to the session of another process. In `outside`, because sessions know nothing of
/// it.
impl Session {
    /// Has this process log into the session of this name, which another process of the user made
    /// [`controllable`](SessionBuilder::controllable).
    ///
    /// What comes of it is a session of this process: threads log through it as through any other,
    /// at the same cost, and its providers are those of this process, enabled as the owner's
    /// session says, now and from then on. Its events are in the owner's log. See spec/20-attach.md
    /// for what becomes of them when one of the processes dies.
    ///
    /// ```no_run
    /// use etlring::format::Guid;
    /// use etlring::session::{ClassicEvent, Session};
    ///
    /// let session = Session::attach("web").start()?;
    /// let event = ClassicEvent::new(Guid::from_u128(7), 10, 4);
    /// session.write_classic(&event, b"from another process")?;
    /// session.stop()?; // waits until all of it is in the owner's log
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach(name: &str) -> Attach {
        Attach {
            name: name.to_owned(),
            builder: Session::builder(name),
            maximum_buffers: None,
            clock: None,
            flush_interval: None,
        }
    }
}

/// Settings of this process's part in a session of another one. Made by [`Session::attach`].
///
/// The size of a buffer, the clock and the flush interval are the owner's. The buffers are this
/// process's own: they lie in a file in the directory of sessions, whose room is taken at start.
#[derive(Debug)]
#[must_use = "nothing is attached before it is started"]
pub struct Attach {
    name: String,
    builder: SessionBuilder,
    maximum_buffers: Option<u32>,
    clock: Option<Clock>,
    flush_interval: Option<Duration>,
}

/// A process could not be attached to a session.
#[derive(Debug)]
#[non_exhaustive]
pub enum AttachError {
    /// The session was not reached, or did not let this process in.
    Outside(OutsideError),
    /// The owner's clock is another one than what was asked for, or cannot be read here.
    Clock {
        /// The owner's, if it is one that is known here.
        owner: Option<Clock>,
        /// What this process asked for.
        wanted: Option<Clock>,
    },
    /// The two processes read different counters: they do not run on one machine.
    Counter,
    /// The owner speaks another version of the messages: its version.
    Version(u32),
    /// The owner refuses.
    Refused(AttachRefusal),
    /// A setting is wrong; the most buffers that the owner allows are in the error.
    Config(ConfigError),
    /// This process's part could not be started.
    Session(SessionError),
    /// The connection ended, or what came is no message.
    Connection(io::Error),
}

/// Why an owner refuses a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachRefusal {
    /// As many processes as there can be are attached.
    Full,
    /// The session overwrites its oldest buffers, so it takes none of others.
    Ring,
    /// The session is ending.
    Ending,
    /// It found no ring file of this process.
    RingFile,
    /// Another reason, by number.
    Other(u64),
}

impl Attach {
    /// Buffers of this process; 128 or as many as the owner has if nothing is said, never more than
    /// that.
    pub fn maximum_buffers(self, count: u32) -> Self {
        Self { maximum_buffers: Some(count), ..self }
    }

    /// Buffers whose memory is there from the start; the others get theirs when first used.
    pub fn minimum_buffers(self, count: u32) -> Self {
        Self { builder: self.builder.minimum_buffers(count), ..self }
    }

    /// What a writer does when no buffer is free. [`WhenFull::Overwrite`] is refused: the owner is
    /// to have every buffer.
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { builder: self.builder.when_full(when_full), ..self }
    }

    /// How often the filled part of buffers in use goes to the owner; as often as its session
    /// flushes if nothing is said.
    pub fn flush_interval(self, interval: Duration) -> Self {
        Self { flush_interval: Some(interval), ..self }
    }

    /// The clock that the owner's session must have; whichever it has if nothing is said.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Attaches this process.
    ///
    /// # Errors
    ///
    /// [`AttachError`]; nothing is left behind then.
    pub fn start(self) -> Result<Session, AttachError> {
        #[cfg(unix)]
        return self.join();
        #[cfg(not(unix))]
        {
            let Self { name, builder, maximum_buffers, clock, flush_interval } = self;
            drop((name, builder, maximum_buffers, clock, flush_interval));
            Err(AttachError::Outside(OutsideError::Unsupported))
        }
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(error) => error.fmt(f),
            Self::Clock { owner: Some(owner), wanted: Some(wanted) } => {
                write!(f, "the session's clock is {owner:?}, and {wanted:?} was asked for")
            }
            Self::Clock { owner: Some(owner), wanted: None } => {
                write!(f, "the session's clock, {owner:?}, is read in another way here")
            }
            Self::Clock { owner: None, .. } => f.write_str("the session's clock is not known here"),
            Self::Counter => f.write_str("the session's clock is that of another machine"),
            Self::Version(version) => {
                write!(f, "the session speaks version {version} of the messages")
            }
            Self::Refused(refusal) => write!(f, "the session refuses: {refusal}"),
            Self::Config(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Connection(error) => write!(f, "the connection to the session failed: {error}"),
        }
    }
}

impl fmt::Display for AttachRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many processes are attached"),
            Self::Ring => f.write_str("it overwrites its oldest buffers and takes none of others"),
            Self::Ending => f.write_str("it is ending"),
            Self::RingFile => f.write_str("it found no ring file"),
            Self::Other(number) => write!(f, "reason {number}"),
        }
    }
}

impl std::error::Error for AttachError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Outside(error) => Some(error),
            Self::Config(error) => Some(error),
            Self::Session(error) => Some(error),
            Self::Connection(error) => Some(error),
            Self::Clock { .. } | Self::Counter | Self::Version(_) | Self::Refused(_) => None,
        }
    }
}

impl From<OutsideError> for AttachError {
    fn from(error: OutsideError) -> Self {
        Self::Outside(error)
    }
}

#[cfg(unix)]
mod joining {
    use super::{Attach, AttachError, AttachRefusal};
    use crate::outside::client::Way;
    use crate::outside::error::OutsideError;
    use crate::outside::message::{Answer, Request};
    use crate::outside::wire;
    use crate::provider;
    use crate::session::{
        Claim, Clock, Controller, FRAMES, Frames, Link, Refusal, Session, SessionError, Setting,
        Source, Welcome, frequency, kind, number, number_frame, send,
    };
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// How long the owner may take for each step.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// Buffers if nothing is said.
    const BUFFERS: u32 = 128;

    impl Attach {
        pub(super) fn join(self) -> Result<Session, AttachError> {
            let in_use = || SessionError::NameInUse(self.name.clone());
            let claim = Claim::new(&self.name).ok_or_else(in_use).map_err(AttachError::Session)?;
            let way = Way::to(&self.name)?;
            if way.owner() != wire::user() {
                // Root may look at the sessions of others, but its files are not theirs.
                return Err(OutsideError::Denied(self.name).into());
            }
            let before = [Source::of(Clock::PerformanceCounter).now(), monotonic()];
            let stream = ask(&way, &self.name)?;
            let link = Arc::new(Link::new(stream).map_err(AttachError::Connection)?);
            // Whatever goes wrong from here on, the owner sees the connection end.
            let ending = Ending(Some(&link));
            let stream = link.stream().try_clone().map_err(AttachError::Connection)?;
            let mut frames = Frames::new(stream);
            frames.set_timeout(Some(PATIENCE)).map_err(AttachError::Connection)?;
            let welcome = match next(&mut frames)? {
                (kind::WELCOME, payload) => {
                    Welcome::parse(payload).map_err(AttachError::Connection)?
                }
                _ => return Err(no_message()),
            };
            if welcome.version != FRAMES {
                return Err(AttachError::Version(welcome.version));
            }
            let clock = self.check_clock(&welcome, before)?;
            let ring = Path::new(OsStr::from_bytes(&welcome.ring));
            if ring.parent() != Some(way.directory()) {
                return Err(no_message());
            }

            let buffers = self.maximum_buffers.unwrap_or(BUFFERS.min(welcome.most_buffers));
            let interval = Duration::from_nanos(welcome.flush_interval_ns);
            let builder = self.builder.clock(clock).maximum_buffers(buffers);
            let builder = builder.flush_interval(self.flush_interval.unwrap_or(interval));
            let config = builder.attached(&welcome).map_err(AttachError::Config)?;
            let started = Session::start_attached(config, claim, &link, ring);
            let session = started.map_err(AttachError::Session)?;
            let mut ring = RemoveUnlessJoined(Some(ring));
            let ready = number_frame(kind::READY, buffers.into());
            let until = Instant::now() + PATIENCE;
            send(link.stream(), &ready, || Instant::now() < until)
                .map_err(AttachError::Connection)?;
            link.set_ready();
            loop {
                let (kind, payload) = next(&mut frames)?;
                match Setting::parse(kind, payload).map_err(AttachError::Connection)? {
                    Some(setting) => provider::apply(&session, setting),
                    None if kind == kind::BEGIN => break,
                    None => return Err(no_message()),
                }
            }
            frames.set_timeout(None).map_err(AttachError::Connection)?;
            let listener =
                Listener { frames, link: Arc::clone(&link), session: session.controller() };
            std::thread::Builder::new()
                .name("etlring-listener".to_owned())
                .spawn(move || listener.run())
                .map_err(AttachError::Connection)?;
            ring.0 = None;
            ending.disarm();
            Ok(session)
        }

        /// The owner's clock, if it is the one that is read here.
        fn check_clock(&self, welcome: &Welcome, before: [u64; 2]) -> Result<Clock, AttachError> {
            let owner = Clock::of_number(welcome.clock);
            let refused = AttachError::Clock { owner, wanted: self.clock };
            let Some(clock) = owner else { return Err(refused) };
            let source = Source::of(clock);
            if self.clock.is_some_and(|wanted| wanted != clock) || source.number() != welcome.source
            {
                return Err(refused);
            }
            // The owner read its clock between the request and the answer: so did it if it is the
            // same one. That of the system may be set at any time.
            let earliest = match source {
                Source::Counter | Source::Tick => before[0],
                Source::Monotonic => before[1],
                Source::SystemTime => return Ok(clock),
            };
            let rate = frequency(source);
            // Processors of one machine may differ by less.
            let slack = rate / 10;
            let latest = source.now().saturating_add(slack);
            // Its rate each process measures for itself, a busy one badly.
            let same = (earliest.saturating_sub(slack)..=latest).contains(&welcome.ticks)
                && rate.abs_diff(welcome.frequency) <= rate / 2;
            if same { Ok(clock) } else { Err(AttachError::Counter) }
        }
    }

    fn monotonic() -> u64 {
        Source::Monotonic.now()
    }

    /// A connection on which the owner begins to speak.
    fn ask(way: &Way, name: &str) -> Result<UnixStream, AttachError> {
        let until = Instant::now() + PATIENCE;
        let stream = way.open(name, until)?;
        match Way::ask_on(&stream, name, &Request::Attach, until)? {
            Answer::Done => Ok(stream),
            Answer::Refused(code, why) => Err(OutsideError::Refused(code, why).into()),
            _ => Err(OutsideError::WrongAnswer("an attach").into()),
        }
    }

    /// The next message, which must come.
    fn next(frames: &mut Frames) -> Result<(u16, &[u8]), AttachError> {
        match frames.next().map_err(AttachError::Connection)? {
            None => Err(AttachError::Connection(io::ErrorKind::UnexpectedEof.into())),
            Some((kind::REFUSED, payload)) => {
                let why = number(payload).map_err(AttachError::Connection)?;
                let refusal = match Refusal(u32::try_from(why).unwrap_or(u32::MAX)) {
                    Refusal::FULL => AttachRefusal::Full,
                    Refusal::RING => AttachRefusal::Ring,
                    Refusal::ENDING => AttachRefusal::Ending,
                    Refusal::FILE => AttachRefusal::RingFile,
                    _ => AttachRefusal::Other(why),
                };
                Err(AttachError::Refused(refusal))
            }
            Some(message) => Ok(message),
        }
    }

    fn no_message() -> AttachError {
        let what = "the session sent something else than was to come";
        AttachError::Connection(io::Error::new(io::ErrorKind::InvalidData, what))
    }

    /// Ends the connection when a process could not be attached.
    struct Ending<'a>(Option<&'a Arc<Link>>);

    impl Ending<'_> {
        fn disarm(mut self) {
            self.0 = None;
        }
    }

    impl Drop for Ending<'_> {
        fn drop(&mut self) {
            if let Some(link) = self.0 {
                link.set_gone();
            }
        }
    }

    /// Removes a new ring file when the process could not be attached.
    struct RemoveUnlessJoined<'a>(Option<&'a Path>);

    impl Drop for RemoveUnlessJoined<'_> {
        fn drop(&mut self) {
            if let Some(path) = self.0 {
                // Nothing is in it.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Does what the owner says, until one of the two goes.
    struct Listener {
        frames: Frames,
        link: Arc<Link>,
        session: Controller,
    }

    impl Listener {
        fn run(mut self) {
            while self.turn().is_ok_and(|goes_on| goes_on) {}
            self.link.set_gone();
            // Nobody takes events any more. Where this process has stopped by itself nothing
            // happens.
            self.session.ask_to_end();
        }

        /// Takes one message; `false` if there are no more.
        fn turn(&mut self) -> io::Result<bool> {
            let Some((kind, payload)) = self.frames.next()? else { return Ok(false) };
            match kind {
                kind::TAKEN => self.link.set_taken(number(payload)?),
                kind::FLUSH => {
                    self.link.want_flush(number(payload)?);
                    self.session.ask_to_flush();
                }
                // The flusher says goodbye when all is sent, and the owner then.
                kind::STOP => self.session.ask_to_end(),
                kind::BYE => {
                    self.link.set_bye();
                    return Ok(false);
                }
                _ => {
                    if let Some(setting) = Setting::parse(kind, payload)? {
                        provider::apply(&self.session, setting);
                    }
                }
            }
            Ok(true)
        }
    }
}
