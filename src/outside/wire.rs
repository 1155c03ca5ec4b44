//! A connection to a session, and who is at its other end.

use crate::outside::error::OutsideError;
use crate::outside::message::{HEAD, Head, MOST_ANSWER};
use crate::outside::place::{Key, Place};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Whether who is at the other end may control the sessions of `owner`: the same user, or root.
/// `None` where the system does not tell; there the directory keeps others out.
pub(crate) fn is_allowed(stream: &UnixStream, owner: u32) -> Option<bool> {
    let uid = peer(stream)?;
    Some(uid == owner || uid == 0)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer(stream: &UnixStream) -> Option<u32> {
    let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
    Some(peer.uid.as_raw())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer(_stream: &UnixStream) -> Option<u32> {
    None
}

/// This process's user.
pub(crate) fn user() -> u32 {
    geteuid().as_raw()
}

/// Sends some of `bytes`, and no signal if nobody reads them.
pub(crate) fn send(stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(not(target_vendor = "apple"))]
    return Ok(rustix::net::send(stream, bytes, rustix::net::SendFlags::NOSIGNAL)?);
    // The standard library has asked for none where that is a property of the socket.
    #[cfg(target_vendor = "apple")]
    return io::Write::write(&mut &*stream, bytes);
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoStream {
    /// Nobody listens, or nothing is there.
    Nobody,
    /// Whoever listens is not served within the time.
    Busy,
    /// It is another user's.
    Denied,
    Other(io::Error),
}

/// Connects to the session of `key`.
pub(crate) fn connect(place: &Place, key: &Key, until: Instant) -> Result<UnixStream, NoStream> {
    let path = place.socket_path(key);
    loop {
        match connect_now(&path) {
            Ok(stream) => {
                return match is_allowed(&stream, place.owner()) {
                    Some(false) => Err(NoStream::Denied),
                    _ => Ok(stream),
                };
            }
            Err(error) => match error.kind() {
                ErrorKind::ConnectionRefused | ErrorKind::NotFound => return Err(NoStream::Nobody),
                ErrorKind::PermissionDenied => return Err(NoStream::Denied),
                // Its queue of callers is full.
                ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                _ => return Err(NoStream::Other(error)),
            },
        }
        if Instant::now() >= until {
            return Err(NoStream::Busy);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether anybody listens at `path`.
pub(crate) fn listens(path: &Path) -> bool {
    match connect_now(path) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

/// Connects without waiting for room in the listener's queue.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn connect_now(path: &Path) -> io::Result<UnixStream> {
    use rustix::net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    };
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn connect_now(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(path)
}

/// Sends a whole message within the time.
pub(crate) fn send_all(stream: &UnixStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match send(stream, bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads a whole answer within the time.
pub(crate) fn read_answer(stream: &UnixStream, until: Instant) -> Result<Vec<u8>, OutsideError> {
    let io = |error| OutsideError::io("read the session's answer")(error);
    let mut message = vec![0; HEAD];
    read_exact(stream, &mut message, until).map_err(io)?;
    let head = message.first_chunk().copied().unwrap_or_default();
    let head = Head::parse(head, MOST_ANSWER)?;
    message.resize(HEAD + head.body as usize, 0);
    read_exact(stream, &mut message[HEAD..], until).map_err(io)?;
    Ok(message)
}

fn read_exact(mut stream: &UnixStream, mut bytes: &mut [u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes = &mut bytes[read..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How much time is left; never zero, which would mean for ever.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Errno::TIMEDOUT.into()) } else { Ok(left) }
}
