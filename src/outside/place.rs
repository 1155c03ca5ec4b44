//! Where sessions lie that can be reached from outside: a directory of the user's own.
//!
//! ```text
//!   $ETLRING_DIR, else $XDG_RUNTIME_DIR/etlring, else /tmp/etlring-UID        0700
//!   ├── web.lock   locked while the session runs; what it is: an `Entry`      0600
//!   └── web.sock   where it listens                                           0600
//! ```
//!
//! A session takes the lock before it touches anything, so a name has one session at a time. The
//! system takes the lock from the dead: who finds the file unlocked, or nobody listening, has found
//! a session that did not end. Nothing here follows a link, waits for a pipe, or replaces what a
//! session did not make.
//!
//! Cleaners of /tmp remove what was not touched for some days. So a session touches its lock file
//! now and then, and makes it again, and its socket, where they were removed all the same.

use crate::outside::error::{DirectoryFault, OutsideError};
use crate::outside::message::{Entry, Head, MOST_ANSWER};
use crate::outside::wire;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Most bytes of a name.
pub(crate) const MOST_NAME: usize = 64;
/// Most bytes of a lock file.
const MOST_ENTRY: u64 = 16 * 1024;
/// Most bytes of a socket's path, the NUL behind it not counted: what every Unix takes.
const MOST_SOCKET_PATH: usize = 103;
/// How long a lock that nobody listens behind is waited for: its session starts, or ends, or
/// somebody looks whether it is alive.
const SETTLES: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);
/// How old a lock file may become: cleaners of /tmp look for ages of days.
const TOUCHED_EVERY: Duration = Duration::from_secs(60 * 60);

/// The directory of sessions, looked at and found good.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// Whose it is.
    owner: u32,
}

/// How a name is written in the directory: names are the same whatever the case of their letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of `name`, if it can be the name of a file.
    pub(crate) fn new(name: &str) -> Result<Self, OutsideError> {
        let key: String = name.chars().flat_map(char::to_lowercase).collect();
        let wrong = |c: char| c == '/' || c == '\\' || c.is_control();
        if !(1..=MOST_NAME).contains(&key.len()) || key.starts_with('.') || key.contains(wrong) {
            return Err(OutsideError::Name(name.to_owned()));
        }
        Ok(Self(key))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The path of the directory, whatever lies there.
pub(crate) fn path() -> Result<PathBuf, OutsideError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = match (set("ETLRING_DIR"), set("XDG_RUNTIME_DIR")) {
        (Some(path), _) if path.is_relative() => {
            return Err(OutsideError::Directory(path, DirectoryFault::Relative));
        }
        (Some(path), _) => path,
        (None, Some(path)) if path.is_absolute() => path.join("etlring"),
        (None, _) => format!("/tmp/etlring-{}", geteuid().as_raw()).into(),
    };
    // Without a slash at its end, which would have a link followed.
    Ok(path.components().collect())
}

impl Place {
    /// The directory for a session of this process: made where it is not, and its owner's alone.
    pub(crate) fn to_serve() -> Result<Self, OutsideError> {
        let path = path()?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(OutsideError::io(format!("create {}", path.display()))(error));
            }
        }
        let place = Self::examine(path)?;
        if place.owner != geteuid().as_raw() {
            let fault = DirectoryFault::Owner(place.owner);
            return Err(OutsideError::Directory(place.path, fault));
        }
        Ok(place)
    }

    /// The directory to look into; `None` if there is none, so no session either. Root may look
    /// into that of another user.
    pub(crate) fn to_look() -> Result<Option<Self>, OutsideError> {
        let path = path()?;
        match Self::examine(path) {
            Err(OutsideError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(place) if place.owner != geteuid().as_raw() && !geteuid().is_root() => {
                let fault = DirectoryFault::Owner(place.owner);
                Err(OutsideError::Directory(place.path, fault))
            }
            Ok(place) => Ok(Some(place)),
        }
    }

    fn examine(path: PathBuf) -> Result<Self, OutsideError> {
        let found = fs::symlink_metadata(&path)
            .map_err(OutsideError::io(format!("look at {}", path.display())))?;
        let mode = found.mode() & 0o7777;
        let fault = match () {
            () if found.is_symlink() => Some(DirectoryFault::Link),
            () if !found.is_dir() => Some(DirectoryFault::NoDirectory),
            () if mode & 0o077 != 0 => Some(DirectoryFault::Mode(mode)),
            () => None,
        };
        match fault {
            None => Ok(Self { path, owner: found.uid() }),
            // Whose it is says more than what they may do in it.
            Some(DirectoryFault::Mode(_)) if found.uid() != geteuid().as_raw() => {
                let fault = DirectoryFault::Owner(found.uid());
                Err(OutsideError::Directory(path, fault))
            }
            Some(fault) => Err(OutsideError::Directory(path, fault)),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whose sessions lie here.
    pub(crate) fn owner(&self) -> u32 {
        self.owner
    }

    fn lock_path(&self, key: &Key) -> PathBuf {
        self.path.join(format!("{}.lock", key.0))
    }

    pub(crate) fn socket_path(&self, key: &Key) -> PathBuf {
        self.path.join(format!("{}.sock", key.0))
    }

    /// The keys of all that lie here, in their order; at most some thousands.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, OutsideError> {
        const MOST: usize = 4096;
        let failed = || OutsideError::io(format!("read {}", self.path.display()));
        let mut keys = Vec::new();
        for found in fs::read_dir(&self.path).map_err(failed())?.take(MOST) {
            let name = found.map_err(failed())?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(".lock"));
            keys.extend(name.and_then(|name| Key::new(name).ok()).filter(|key| {
                // A file that this library did not name.
                Some(key.as_str()) == name
            }));
        }
        keys.sort_by(|a: &Key, b| a.0.cmp(&b.0));
        Ok(keys)
    }

    /// What the lock file says of a session that nobody listens for; `None` if there is no lock
    /// file. An error of kind `WouldBlock` if the session is alive.
    pub(crate) fn dead(
        &self,
        key: &Key,
    ) -> Result<Option<Result<Entry, OutsideError>>, OutsideError> {
        let path = self.lock_path(key);
        let mut file = match open_lock(&path, false, self.owner) {
            Ok(file) => file,
            Err(OutsideError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            // Its session has just ended, and removed it.
            Ok(()) if !is_at(&file, &path) => Ok(None),
            Ok(()) => {
                let entry = read_entry(&mut file, &path);
                // The lock goes with the file.
                Ok(Some(entry))
            }
            Err(error) => Err(OutsideError::io(format!("lock {}", path.display()))(error.into())),
        }
    }

    /// Removes what a dead session left; `false` if it is alive, or not there.
    pub(crate) fn remove_dead(&self, key: &Key) -> Result<bool, OutsideError> {
        let path = self.lock_path(key);
        let file = match open_lock(&path, false, self.owner) {
            Ok(file) => file,
            Err(OutsideError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() || !is_at(&file, &path) {
            return Ok(false);
        }
        clear_socket(&self.socket_path(key))?;
        fs::remove_file(&path).map_err(OutsideError::io(format!("remove {}", path.display())))?;
        Ok(true)
    }
}

/// A name taken: the lock is held.
#[derive(Debug)]
pub(crate) struct Taken {
    lock: File,
    lock_path: PathBuf,
    socket_path: PathBuf,
    /// Where the socket was bound, it is removed at the end.
    bound: bool,
    /// A forked child has the lock's file, too, but nothing here is the child's.
    process_id: u32,
}

impl Taken {
    /// Takes `name`, unless a running session has it.
    pub(crate) fn new(name: &str) -> Result<Self, OutsideError> {
        let key = Key::new(name)?;
        let place = Place::to_serve()?;
        let (lock_path, socket_path) = (place.lock_path(&key), place.socket_path(&key));
        if socket_path.as_os_str().len() > MOST_SOCKET_PATH {
            return Err(OutsideError::PathTooLong(socket_path, MOST_SOCKET_PATH));
        }
        let started = Instant::now();
        loop {
            let lock = open_lock(&lock_path, true, place.owner)?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                // Its session may have removed it just before.
                Ok(()) if is_at(&lock, &lock_path) => {
                    clear_socket(&socket_path)?;
                    let process_id = std::process::id();
                    return Ok(Self { lock, lock_path, socket_path, bound: false, process_id });
                }
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    // Somebody listens: a session. Nobody: it starts, ends, or is looked at.
                    if wire::listens(&socket_path) || started.elapsed() > SETTLES {
                        return Err(OutsideError::InUse(name.to_owned()));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => {
                    let what = format!("lock {}", lock_path.display());
                    return Err(OutsideError::io(what)(error.into()));
                }
            }
            if started.elapsed() > SETTLES {
                return Err(OutsideError::InUse(name.to_owned()));
            }
        }
    }

    /// Listens. For its owner alone: the directory is, and the socket, too.
    pub(crate) fn listen(&mut self) -> io::Result<UnixListener> {
        let listener = UnixListener::bind(&self.socket_path)?;
        self.bound = true;
        fs::set_permissions(&self.socket_path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// What the names of ring files of attached processes start with.
    pub(crate) fn ring_base(&self) -> PathBuf {
        self.lock_path.with_extension("")
    }

    /// Says what this session is, for those who find it dead.
    pub(crate) fn describe(&mut self, entry: &Entry) -> io::Result<()> {
        let bytes = entry.encode();
        self.lock.seek(SeekFrom::Start(0))?;
        self.lock.write_all(&bytes)?;
        // A kill in between leaves the end of a longer one behind it, which readers pass over.
        self.lock.set_len(bytes.len() as u64)
    }

    /// Makes again what somebody has removed, unless another session has the name by now. A new
    /// listener takes the place of the one whose socket is gone.
    pub(crate) fn look_after(&mut self, entry: &Entry) -> io::Result<Option<UnixListener>> {
        let listens = if is_at(&self.lock, &self.lock_path) {
            let age = self.lock.metadata()?.modified()?.elapsed();
            if age.is_ok_and(|age| age >= TOUCHED_EVERY) {
                self.lock.set_modified(SystemTime::now())?;
            }
            fs::symlink_metadata(&self.socket_path).is_ok()
        } else {
            let Some(lock) = self.lock_again() else { return Ok(None) };
            self.lock = lock;
            self.describe(entry)?;
            // The socket may be that of one who had the name meanwhile, and was killed.
            wire::listens(&self.socket_path)
        };
        if listens || clear_socket(&self.socket_path).is_err() {
            return Ok(None);
        }
        self.listen().map(Some)
    }

    /// The lock file, made and locked again; `None` if that cannot be.
    fn lock_again(&self) -> Option<File> {
        let directory = self.lock_path.parent()?;
        // It may have gone with all that was in it, and be somebody else's by now.
        let _ = DirBuilder::new().mode(0o700).create(directory);
        let place = Place::examine(directory.to_owned()).ok()?;
        if place.owner != geteuid().as_raw() {
            return None;
        }
        let lock = open_lock(&self.lock_path, true, place.owner).ok()?;
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        (locked && is_at(&lock, &self.lock_path)).then_some(lock)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.process_id != std::process::id() {
            return;
        }
        // Somebody may have cleared the directory, and another session have the name by now.
        if !is_at(&self.lock, &self.lock_path) {
            return;
        }
        // The lock is held until both are gone; what cannot be removed is found dead.
        if self.bound {
            let _ = fs::remove_file(&self.socket_path);
        }
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Opens a lock file, makes it if `make`, and makes sure that it is one.
fn open_lock(path: &Path, make: bool, owner: u32) -> Result<File, OutsideError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).write(make).create(make).mode(0o600);
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    let file = options.open(path).map_err(|error| {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            // A link; a directory; a socket, or a pipe that nobody reads.
            Some(Errno::LOOP | Errno::MLINK | Errno::ISDIR | Errno::NXIO) => {
                OutsideError::Planted(path.to_owned())
            }
            _ => OutsideError::io(format!("open {}", path.display()))(error),
        }
    })?;
    let found = file.metadata().map_err(OutsideError::io(format!("look at {}", path.display())))?;
    let ours = found.is_file() && found.uid() == owner && found.mode() & 0o077 == 0;
    // A second name would be somebody's file; none at all is a session's that has just ended.
    if ours && found.nlink() <= 1 { Ok(file) } else { Err(OutsideError::Planted(path.to_owned())) }
}

/// Whether `file` is what lies at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(file), Ok(found)) => same(&file, &found),
        _ => false,
    }
}

fn read_entry(file: &mut File, path: &Path) -> Result<Entry, OutsideError> {
    let mut bytes = Vec::new();
    let read = file.take(MOST_ENTRY).read_to_end(&mut bytes);
    read.map_err(OutsideError::io(format!("read {}", path.display())))?;
    if let Some(end) = Head::of(&bytes, MOST_ANSWER)? {
        bytes.truncate(end);
    }
    Ok(Entry::decode(&bytes)?)
}

/// Removes a socket that nobody listens at any more, and nothing else.
fn clear_socket(path: &Path) -> Result<(), OutsideError> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OutsideError::io(format!("look at {}", path.display()))(error)),
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).map_err(OutsideError::io(format!("remove {}", path.display())))
        }
        Ok(_) => Err(OutsideError::Planted(path.to_owned())),
    }
}
