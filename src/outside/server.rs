//! The session's side: one thread that answers whoever calls.
//!
//! ```text
//!   bind, listen ──► poll ──┬─► caller: read ─► whole request? ─► answer ─► sent
//!                           ├─► listener: accept, look who it is, at most a few a turn
//!                           └─► woken: the session has ended
//! ```
//!
//! # What callers can do to it
//!
//! - At most [`MOST_CALLERS`] are connected; a further one takes the place of the one that has said
//!   nothing for longest. Few are let in at a time, so that each has its turns before that.
//! - One that sends no whole request within [`PATIENCE`], or does not take its answer, is dropped.
//! - One request of each caller is answered in a turn, so nobody keeps the others waiting by
//!   asking much. A request that takes long, a snapshot for instance, does.
//! - Bytes that are no request are told what is wrong with them, and then the caller is dropped.
//!
//! What a request asks of the session is done on this thread, callbacks of providers too; writers
//! notice nothing of it. A connection that is to live longer than a request is handed over:
//! [`Reply::HandOver`].

use crate::outside::answers::{Reply, Served, reply};
use crate::outside::message::{Answer, Head, MOST_REQUEST, Request};
use crate::outside::place::Taken;
use crate::outside::stream::Callers;
use crate::outside::wire::{is_allowed, send, send_all, user};
use crate::session::win32;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Callers at a time.
const MOST_CALLERS: usize = 64;
/// Callers let in at a time.
const LET_IN: usize = 16;
/// How long a caller may take for a request, and for reading its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a listener that fails is left alone. One wait for callers takes as long at most, too:
/// then the lock file is compared with what the session does.
const ROUND: Duration = Duration::from_secs(1);

/// How often the session looks whether its lock and its socket are still there. It does so, too,
/// whenever somebody has called.
const LOOKS_EVERY: Duration = Duration::from_secs(60);

/// A door that is open, until it is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    /// One byte, or its end, wakes the thread.
    wake: Option<UnixStream>,
    ended: Arc<AtomicBool>,
    taken: Arc<Mutex<Option<Taken>>>,
    callers: Arc<Callers>,
    /// A forked child has this, too, but none of the threads.
    process_id: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Not waited for: it may be this very thread, or in a callback that waits for this one.
        self.ended.store(true, Ordering::Relaxed);
        self.wake = None;
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(taken);
        // The process may end next, and consumers are to have all that it recorded.
        if self.process_id == std::process::id() {
            self.callers.wait();
        }
    }
}

/// Listens for callers, on a thread of its own.
pub(crate) fn open(mut taken: Taken, served: Served) -> io::Result<Open> {
    let listener = taken.listen()?;
    taken.describe(&served.entry())?;
    let (wake, woken) = UnixStream::pair()?;
    let ended = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(Mutex::new(Some(taken)));
    let callers = served.callers();
    let server = Server {
        listener,
        woken,
        ended: Arc::clone(&ended),
        taken: Arc::clone(&taken),
        described: served.log_file(),
        served,
        callers: Vec::new(),
        not_before: None,
        looked: Instant::now(),
    };
    std::thread::Builder::new().name("etlring-control".to_owned()).spawn(move || server.run())?;
    Ok(Open { wake: Some(wake), ended, taken, callers, process_id: std::process::id() })
}

struct Server {
    listener: UnixListener,
    woken: UnixStream,
    ended: Arc<AtomicBool>,
    taken: Arc<Mutex<Option<Taken>>>,
    /// The log file that the lock file names.
    described: Option<std::path::PathBuf>,
    served: Served,
    callers: Vec<Caller>,
    /// When the listener, having failed, is looked at again.
    not_before: Option<Instant>,
    /// When the session's files were last looked after.
    looked: Instant,
}

/// Somebody who is connected.
struct Caller {
    stream: UnixStream,
    /// What has come of a request.
    input: Vec<u8>,
    /// What is to be sent of an answer.
    output: Vec<u8>,
    /// Of the last step forward.
    since: Instant,
    /// To be dropped once the answer is sent.
    last: bool,
}

/// What becomes of a caller.
enum Turn {
    Stays,
    Goes,
    Leaves(Box<dyn FnOnce(UnixStream, Vec<u8>) + Send>),
}

impl Server {
    fn run(mut self) {
        while !self.ended.load(Ordering::Relaxed) {
            let Ok(ready) = self.wait() else {
                // Only for want of memory: nothing else can be wrong with the call.
                std::thread::sleep(ROUND);
                continue;
            };
            self.serve(&ready.callers);
            if ready.listener {
                self.let_in();
            }
            self.describe();
            let called = ready.listener || ready.callers.contains(&true);
            if called || self.looked.elapsed() >= LOOKS_EVERY {
                self.look_after_files();
            }
        }
        // Whoever had the session stop is told how it went.
        for caller in &mut self.callers {
            let _ = caller.stream.set_nonblocking(false);
            let until = Instant::now() + Duration::from_millis(100);
            let _ = send_all(&caller.stream, &caller.output, until);
        }
    }

    fn wait(&self) -> io::Result<Ready> {
        let now = Instant::now();
        let listens = self.not_before.is_none_or(|time| time <= now);
        let mut polled = Vec::with_capacity(self.callers.len() + 2);
        polled.push(PollFd::new(&self.woken, PollFlags::IN));
        let events = if listens { PollFlags::IN } else { PollFlags::empty() };
        polled.push(PollFd::new(&self.listener, events));
        for caller in &self.callers {
            let wants = if caller.output.is_empty() { PollFlags::IN } else { PollFlags::OUT };
            polled.push(PollFd::new(&caller.stream, wants));
        }
        // What has come already the system does not tell again.
        let waiting = self.callers.iter().any(Caller::has_request);
        let timeout = Timespec { tv_sec: i64::from(!waiting), tv_nsec: 0 };
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        Ok(Ready {
            listener: listens && is_ready(&polled[1]),
            callers: std::iter::zip(&polled[2..], &self.callers)
                .map(|(fd, caller)| is_ready(fd) || caller.has_request())
                .collect(),
        })
    }

    /// Gives each caller that is ready its turn, and lets those go who have kept still for too long
    /// by now: what a request takes is not the time of those who wait behind it.
    fn serve(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let mut ready = ready.iter();
        let callers = std::mem::take(&mut self.callers);
        for mut caller in callers {
            let turn = match ready.next() {
                Some(true) => caller.turn(&self.served),
                _ => Turn::Stays,
            };
            match turn {
                // Nor does a byte now and then help.
                Turn::Stays if now.duration_since(caller.since) >= PATIENCE => {}
                Turn::Stays => self.callers.push(caller),
                Turn::Goes => {}
                Turn::Leaves(take) => {
                    if caller.stream.set_nonblocking(false).is_ok() {
                        take(caller.stream, caller.input);
                    }
                }
            }
        }
    }

    fn let_in(&mut self) {
        for _ in 0..LET_IN {
            match self.listener.accept() {
                Ok((stream, _)) => self.meet(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // No more files, or no memory: later.
                Err(_) => {
                    self.not_before = Some(Instant::now() + ROUND);
                    break;
                }
            }
        }
    }

    /// Looks who has come.
    fn meet(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        if is_allowed(&stream, user()) == Some(false) {
            let no = "the session belongs to another user".to_owned();
            let answer = Answer::Refused(win32::ACCESS_DENIED, no).encode();
            // It fits what a new connection takes, or is not sent.
            let _ = send(&stream, &answer);
            return;
        }
        if self.callers.len() >= MOST_CALLERS {
            let oldest = (0..self.callers.len()).min_by_key(|at| self.callers[*at].since);
            self.callers.swap_remove(oldest.unwrap_or_default());
        }
        let since = Instant::now();
        let (input, output) = (Vec::new(), Vec::new());
        self.callers.push(Caller { stream, input, output, since, last: false });
    }

    /// Has the lock file name the log that is written now.
    fn describe(&mut self) {
        let log_file = self.served.log_file();
        if log_file.is_none() || log_file == self.described {
            return;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = &mut *taken {
            // On a full disk it names the one before, beside which the new one lies.
            let _ = taken.describe(&self.served.entry());
        }
        self.described = log_file;
    }

    /// Sees to it that the session can be found, whatever was removed.
    fn look_after_files(&mut self) {
        self.looked = Instant::now();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(taken) = &mut *taken else { return };
        // What cannot be made now is tried again later.
        if let Ok(Some(listener)) = taken.look_after(&self.served.entry()) {
            self.listener = listener;
        }
    }
}

/// Who has something to say, or can be told something.
struct Ready {
    listener: bool,
    callers: Vec<bool>,
}

impl Caller {
    /// Reads, answers and sends as far as that goes without waiting.
    fn turn(&mut self, served: &Served) -> Turn {
        if self.output.is_empty() {
            match self.read() {
                Ok(true) => {}
                Ok(false) => return Turn::Goes,
                Err(error) => {
                    return if is_later(&error) { Turn::Stays } else { Turn::Goes };
                }
            }
            match Head::of(&self.input, MOST_REQUEST) {
                Ok(None) => return Turn::Stays,
                Ok(Some(end)) => {
                    let request = Request::decode(&self.input[..end]);
                    self.input.drain(..end);
                    let reply = match request {
                        Ok(request) => reply(served, request),
                        Err(error) => self.refuse(&error),
                    };
                    match reply {
                        Reply::Answer(answer) => self.output = answer.encode(),
                        Reply::HandOver(take) => return Turn::Leaves(take),
                    }
                }
                Err(error) => {
                    if let Reply::Answer(answer) = self.refuse(&error) {
                        self.output = answer.encode();
                    }
                }
            }
            self.since = Instant::now();
        }
        match send(&self.stream, &self.output) {
            Ok(sent) => {
                self.output.drain(..sent);
                if self.output.is_empty() && self.last { Turn::Goes } else { Turn::Stays }
            }
            Err(error) if is_later(&error) => Turn::Stays,
            Err(_) => Turn::Goes,
        }
    }

    /// What is no request ends the connection: nobody knows where the next one starts.
    fn refuse(&mut self, error: &dyn std::error::Error) -> Reply {
        self.last = true;
        Reply::Answer(Answer::Refused(win32::INVALID_PARAMETER, error.to_string()))
    }

    /// Whether a request, or what is none, came with the last one and can be answered now.
    fn has_request(&self) -> bool {
        let head = || Head::of(&self.input, MOST_REQUEST);
        self.output.is_empty() && !self.last && matches!(head(), Ok(Some(_)) | Err(_))
    }

    /// Reads what is there, up to one request; `false` if the caller has hung up.
    fn read(&mut self) -> io::Result<bool> {
        const MOST: usize = MOST_REQUEST as usize + crate::outside::message::HEAD;
        if self.has_request() {
            return Ok(true);
        }
        let have = self.input.len();
        self.input.resize(MOST, 0);
        let read = self.stream.read(&mut self.input[have..]);
        self.input.truncate(have + read.as_ref().copied().unwrap_or_default());
        Ok(read? != 0)
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
