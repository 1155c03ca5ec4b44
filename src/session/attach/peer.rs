//! Whether the process at the other end of a connection lives.
//!
//! A connection ends when the last process closes it that has it open. A child that was forked has
//! its parent's open, whether it knows of it or not, so that a parent may be dead for long before
//! its connection ends. Where the system tells of the death of a process itself it is asked.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The process at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    #[cfg(target_os = "linux")]
    process: Option<std::os::fd::OwnedFd>,
}

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Bytes, or the connection's end.
    Something,
    /// The end of the process, and nothing is left to be read.
    Death,
}

#[cfg(target_os = "linux")]
impl Peer {
    /// Who has connected, or who listened. Nobody is known on a kernel before 5.3, or of another
    /// namespace.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        use rustix::process::{PidfdFlags, pidfd_open};
        let id = rustix::net::sockopt::socket_peercred(stream).map(|peer| peer.pid);
        Self { process: id.and_then(|id| pidfd_open(id, PidfdFlags::empty())).ok() }
    }

    /// Waits for what comes first.
    pub(crate) fn wait(&self, stream: &UnixStream, timeout: Option<Duration>) -> io::Result<Came> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(process) = &self.process else { return Ok(Came::Something) };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        loop {
            let mut polled =
                [PollFd::new(stream, PollFlags::IN), PollFd::new(process, PollFlags::IN)];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // What it had sent is read first.
                Ok(_) if polled[0].revents().is_empty() => return Ok(Came::Death),
                Ok(_) => return Ok(Came::Something),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether it is known to be dead.
    pub(crate) fn is_dead(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        self.process.as_ref().is_some_and(|process| {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now)) == Ok(1)
        })
    }
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_self, reason = "as where a process is known")]
impl Peer {
    pub(crate) fn of(_: &UnixStream) -> Self {
        Self {}
    }

    pub(crate) fn wait(&self, _: &UnixStream, _: Option<Duration>) -> io::Result<Came> {
        Ok(Came::Something)
    }

    pub(crate) fn is_dead(&self) -> bool {
        false
    }
}
