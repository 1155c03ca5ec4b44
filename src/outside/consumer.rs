//! The events of another process's session, while they are recorded.

use crate::codec::TickClock;
use crate::outside::client::Way;
use crate::outside::error::OutsideError;
use crate::session::{Delivery, LiveBuffer, Missed};
use std::fmt;
use std::time::Duration;

/// Reads the events of a session of another process, within some 20 ms of their recording.
///
/// Made by [`consume`](crate::outside::consume) and
/// [`Client::consumer`](crate::outside::Client::consumer), for any session that is
/// [`controllable`](crate::session::SessionBuilder::controllable) and does not overwrite its oldest
/// buffers; whether it has a log file makes no difference. It is an iterator that waits for the
/// next [`Delivery`] and ends when the session has stopped and everything is read; if the session's
/// process has died instead, its last item is the error that says so. Dropping it detaches it.
///
/// It gets what is recorded after it was made. What [`session::Consumer`] promises holds here, too:
/// one that is slow is told what it has missed, in its place, and holds up nobody. Events of
/// processes that are attached to the session come when those flush.
///
/// Nothing that comes is believed: a buffer is looked at before it is given, and takes no more
/// memory than its session's buffers do.
///
/// ```no_run
/// use etlring::codec::RecordView;
/// use etlring::outside;
/// use etlring::session::Delivery;
///
/// for delivery in outside::consume("web")? {
///     match delivery? {
///         Delivery::Buffer(buffer) => {
///             for record in buffer.records() {
///                 println!("{:?}", RecordView::parse(record?)?.payload());
///             }
///         }
///         Delivery::Missed(missed) => eprintln!("too slow: {missed}"),
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`session::Consumer`]: crate::session::Consumer
#[derive(Debug)]
pub struct Consumer {
    header: LiveBuffer,
    missed: Missed,
    /// `None` once there is nothing more to come.
    line: Option<line::Line>,
}

/// Why there is nothing to deliver.
#[derive(Debug)]
pub enum NoDelivery {
    /// Nothing came within the time.
    Yet,
    /// The session has stopped and everything is read; or it was told before that it has failed.
    Ended,
    /// The session's process has died, or what came is no message. All that came before was given.
    Failed(OutsideError),
}

impl Consumer {
    pub(super) fn open(
        way: &Way,
        name: &str,
        bytes: u32,
        patience: Duration,
    ) -> Result<Self, OutsideError> {
        let (line, header) = line::Line::open(way, name, bytes, patience)?;
        Ok(Self { header, missed: Missed::default(), line: Some(line) })
    }

    /// The next delivery, waited for no longer than `timeout`; zero does not wait.
    ///
    /// # Errors
    ///
    /// [`NoDelivery`] says why there is none, and whether there may be one later.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Delivery, NoDelivery> {
        let Some(line) = &mut self.line else { return Err(NoDelivery::Ended) };
        let next = line.next_within(timeout);
        match &next {
            Ok(Delivery::Missed(missed)) => self.missed.add(*missed),
            Ok(_) | Err(NoDelivery::Yet) => {}
            Err(_) => self.line = None,
        }
        next
    }

    /// The session's header buffer as it was at the start. Its first record is what
    /// [`LogfileView`](crate::codec::LogfileView) reads: names, clock, sizes. Behind it stand those
    /// that explain others and were written before this consumer was made.
    #[must_use]
    pub fn header(&self) -> &LiveBuffer {
        &self.header
    }

    /// Turns the ticks of the session's records into times.
    #[must_use]
    pub fn clock(&self) -> Option<TickClock> {
        self.header.clock()
    }

    /// All that this consumer was told so far that it has missed.
    #[must_use]
    pub fn missed_so_far(&self) -> Missed {
        self.missed
    }
}

impl Iterator for Consumer {
    type Item = Result<Delivery, OutsideError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_within(Duration::MAX) {
                Ok(delivery) => return Some(Ok(delivery)),
                Err(NoDelivery::Yet) => {}
                Err(NoDelivery::Ended) => return None,
                Err(NoDelivery::Failed(error)) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Display for NoDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yet => f.write_str("nothing came within the time"),
            Self::Ended => f.write_str("the session has stopped"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoDelivery {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Yet | Self::Ended => None,
        }
    }
}

#[cfg(unix)]
mod line {
    use super::NoDelivery;
    use crate::codec::LogfileView;
    use crate::outside::client::{Way, until};
    use crate::outside::error::OutsideError;
    use crate::outside::message::{
        Answer, HEAD, Head, Live, MOST_ANSWER, MOST_LIVE, MessageError, Request,
    };
    use crate::outside::wire;
    use crate::session::{Delivery, LiveBuffer, win32};
    use bytes::Bytes;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::{self, ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    /// Bytes that are read at once, and memory that is taken before they are there.
    const STEP: usize = 64 * 1024;
    /// How long the system may take to let go of what a process had that has died.
    const SETTLES: Duration = Duration::from_secs(3);

    /// A connection over which events come.
    #[derive(Debug)]
    pub(super) struct Line {
        way: Way,
        name: String,
        stream: UnixStream,
        /// What has come of the next message, and no byte behind it.
        input: Vec<u8>,
        /// Most bytes of a body.
        most: u32,
    }

    impl Line {
        /// Asks to be let in, and waits for the session's header buffer.
        pub(super) fn open(
            way: &Way,
            name: &str,
            bytes: u32,
            patience: Duration,
        ) -> Result<(Self, LiveBuffer), OutsideError> {
            let until = until(patience);
            let stream = way.open(name, until)?;
            // One that was refused at the door has an answer to read all the same.
            let _ = wire::send_all(&stream, &Request::Consume(bytes).encode(), until);
            stream.set_nonblocking(true).map_err(OutsideError::io("reach the session"))?;
            let (way, name) = (way.clone(), name.to_owned());
            let mut line = Self { way, name, stream, input: Vec::new(), most: MOST_LIVE };
            let message = match line.message(Some(until)) {
                Ok(Some(message)) => message,
                Ok(None) => return Err(OutsideError::NoAnswer(line.name)),
                Err(error) => return Err(line.failed(error)),
            };
            let head = message.first_chunk().copied().unwrap_or_default();
            if !Live::begins(&Head::parse(head, MOST_LIVE)?) {
                return Err(match Answer::decode(&message)? {
                    Answer::Refused(win32::NOT_SUPPORTED, _) => {
                        OutsideError::NotRealTime(line.name)
                    }
                    Answer::Refused(code, why) => OutsideError::Refused(code, why),
                    _ => OutsideError::WrongAnswer("a consume"),
                });
            }
            let Live::Header(header) = Live::decode(&message, MOST_LIVE)? else {
                return Err(OutsideError::WrongAnswer("a consume"));
            };
            let record = header.records().next().and_then(Result::ok);
            let logfile = record.and_then(|record| LogfileView::parse(record).ok());
            // No buffer is larger, and every other message is smaller.
            line.most = logfile
                .ok_or(OutsideError::WrongAnswer("a consume"))?
                .buffer_size()
                .clamp(MOST_ANSWER, MOST_LIVE);
            Ok((line, header))
        }

        pub(super) fn next_within(&mut self, timeout: Duration) -> Result<Delivery, NoDelivery> {
            let until = Instant::now().checked_add(timeout);
            let message = match self.message(until) {
                Ok(Some(message)) => message,
                Ok(None) => return Err(NoDelivery::Yet),
                Err(error) => return Err(NoDelivery::Failed(self.failed(error))),
            };
            match Live::decode(&message, self.most) {
                Ok(Live::Buffer(buffer)) => Ok(Delivery::Buffer(buffer)),
                Ok(Live::Missed(missed)) => Ok(Delivery::Missed(missed)),
                Ok(Live::Ended) => Err(NoDelivery::Ended),
                Ok(Live::Header(_)) => {
                    Err(NoDelivery::Failed(OutsideError::WrongAnswer("a consume")))
                }
                Err(error) => Err(NoDelivery::Failed(error.into())),
            }
        }

        /// The next message whole; `None` if it did not come in time. What has come of it stays.
        fn message(&mut self, until: Option<Instant>) -> io::Result<Option<Bytes>> {
            loop {
                let need = match self.input.first_chunk() {
                    None => HEAD,
                    Some(head) => {
                        let head = Head::parse(*head, self.most).map_err(no_message)?;
                        HEAD + head.body as usize
                    }
                };
                if self.input.len() >= HEAD && self.input.len() == need {
                    return Ok(Some(std::mem::take(&mut self.input).into()));
                }
                if !self.read(need)? && !self.wait(until)? {
                    return Ok(None);
                }
            }
        }

        /// Reads what is there, until there are `need` bytes; `false` if there is nothing.
        fn read(&mut self, need: usize) -> io::Result<bool> {
            let have = self.input.len();
            self.input.resize(need.min(have + STEP), 0);
            let read = self.stream.read(&mut self.input[have..]);
            self.input.truncate(have + read.as_ref().copied().unwrap_or_default());
            match read {
                Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(true),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => Ok(true),
                    ErrorKind::WouldBlock => Ok(false),
                    _ => Err(error),
                },
            }
        }

        /// Waits until there is something to read; `false` if the time is up.
        fn wait(&self, until: Option<Instant>) -> io::Result<bool> {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            // What does not fit is for ever.
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => Ok(true),
                Err(error) => Err(error.into()),
            }
        }

        /// Why nothing more comes.
        fn failed(&self, error: io::Error) -> OutsideError {
            if error.kind() == ErrorKind::InvalidData {
                if let Some(message) = error.get_ref().and_then(|e| e.downcast_ref()) {
                    return OutsideError::Message(*message);
                }
            }
            // Nobody is there to be asked if its process has died.
            match self.way.open(&self.name, Instant::now() + SETTLES) {
                Err(error @ OutsideError::Dead(_)) => error,
                _ => OutsideError::HungUp(self.name.clone()),
            }
        }
    }

    fn no_message(error: MessageError) -> io::Error {
        io::Error::new(ErrorKind::InvalidData, error)
    }
}

#[cfg(not(unix))]
mod line {
    use super::NoDelivery;
    use crate::outside::client::Way;
    use crate::outside::error::OutsideError;
    use crate::session::{Delivery, LiveBuffer};
    use std::time::Duration;

    /// There is none.
    #[derive(Debug)]
    pub(super) enum Line {}

    impl Line {
        pub(super) fn open(
            way: &Way,
            _name: &str,
            _bytes: u32,
            _patience: Duration,
        ) -> Result<(Self, LiveBuffer), OutsideError> {
            match *way {}
        }

        pub(super) fn next_within(&mut self, _timeout: Duration) -> Result<Delivery, NoDelivery> {
            match *self {}
        }
    }
}
