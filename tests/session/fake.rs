//! A storage in memory whose calls can be made to fail, and that remembers what was done to it.

use crate::overwrite::Gate;
use etlring::sink::storage::{Found, MOST_GATHERED, Storage, StoredFile};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What is asked of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Create,
    Open,
    Find,
    List,
    Rename,
    Remove,
    SyncNames,
    Size,
    Read,
    Write,
    Allocate,
    Truncate,
    Sync,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Error(io::ErrorKind),
    /// Half of the bytes are written, or read, and the call says so.
    Short,
    /// Half of the bytes are written, and the next call says that the disk is full.
    Torn,
    /// So many bytes are written at most, and so many calls from the next on say that it is full.
    Cut(usize, u64),
    /// All bytes are written, and the call says that the disk is full.
    Spoiled,
}

/// Calls that go wrong: of one kind, the `nth` from 1 on, so many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    pub(crate) nth: u64,
    pub(crate) times: u64,
    pub(crate) wrong: Wrong,
}

/// What was done, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(usize, PathBuf),
    Write(usize, u64, Vec<u8>),
    Length(usize, u64),
    Sync(usize),
    SyncNames,
    Remove(PathBuf),
}

#[derive(Debug, Default)]
pub(crate) struct World {
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
    calls: HashMap<Call, u64>,
    fault: Option<Fault>,
    /// Calls that went wrong so far.
    pub(crate) wrong: u64,
    /// Writes from now on that fail.
    failures: u64,
    /// Whether each buffer is written by itself, as a storage does that can do no better.
    pub(crate) alone: bool,
    /// How many buffers were in each gathered write.
    pub(crate) gathered: Vec<usize>,
    pub(crate) ops: Vec<Op>,
    /// Where writes wait.
    pub(crate) gate: Option<Arc<Gate>>,
}

/// The storage; clones are of the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Arc<Mutex<World>>);

impl Fake {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Makes calls from here on go wrong.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        let mut world = self.world();
        world.calls.clear();
        world.wrong = 0;
        world.failures = 0;
        world.fault = fault;
    }

    /// The files that have a name.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let world = self.world();
        world.names.iter().map(|(path, file)| (path.clone(), world.files[*file].clone())).collect()
    }
}

impl World {
    /// Counts a call; gives how it goes wrong.
    fn count(&mut self, call: Call) -> io::Result<Option<Wrong>> {
        let count = self.calls.entry(call).or_default();
        *count += 1;
        if call == Call::Write && self.failures > 0 {
            self.failures -= 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let Some(fault) = self.fault.filter(|fault| fault.call == call) else { return Ok(None) };
        if *count < fault.nth || *count - fault.nth >= fault.times {
            return Ok(None);
        }
        self.wrong += 1;
        self.failures = match fault.wrong {
            Wrong::Torn => 1,
            Wrong::Cut(_, failures) => failures,
            _ => 0,
        };
        match fault.wrong {
            Wrong::Error(kind) => Err(kind.into()),
            wrong => Ok(Some(wrong)),
        }
    }
}

impl Storage for Fake {
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut world = self.world();
        world.count(Call::Create)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = world.files.len();
        world.files.push(Vec::new());
        world.names.insert(path.to_owned(), file);
        world.ops.push(Op::Create(file, path.to_owned()));
        Ok(Box::new(FakeFile { fake: self.clone(), file }))
    }

    fn open(&mut self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        let mut world = self.world();
        world.count(Call::Open)?;
        let file = *world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FakeFile { fake: self.clone(), file }))
    }

    fn find(&mut self, path: &Path) -> io::Result<Found> {
        let mut world = self.world();
        world.count(Call::Find)?;
        let file = world.names.get(path).copied();
        Ok(file.map_or(Found::Nothing, |file| Found::File(world.files[file].len() as u64)))
    }

    fn list(&mut self, _directory: &Path) -> io::Result<Vec<OsString>> {
        let mut world = self.world();
        world.count(Call::List)?;
        Ok(world.names.keys().filter_map(|path| Some(path.file_name()?.to_owned())).collect())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count(Call::Rename)?;
        if world.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count(Call::Remove)?;
        world.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        world.ops.push(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&mut self, _directory: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count(Call::SyncNames)?;
        world.ops.push(Op::SyncNames);
        Ok(())
    }
}

struct FakeFile {
    fake: Fake,
    file: usize,
}

impl FakeFile {
    /// Writes what came in so many buffers, if they were gathered.
    fn put(&mut self, bytes: &[u8], offset: u64, gathered: Option<usize>) -> io::Result<usize> {
        let gate = self.fake.world().gate.clone();
        if let Some(gate) = gate {
            gate.pass();
        }
        let mut world = self.fake.world();
        world.gathered.extend(gathered);
        let wrong = world.count(Call::Write)?;
        let len = match wrong {
            None | Some(Wrong::Spoiled) => bytes.len(),
            Some(Wrong::Cut(at, _)) => bytes.len().min(at),
            Some(_) => bytes.len().div_ceil(2),
        };
        let all = &mut world.files[self.file];
        let (start, end) = (offset as usize, offset as usize + len);
        all.resize(all.len().max(end), 0);
        all[start..end].copy_from_slice(&bytes[..len]);
        world.ops.push(Op::Write(self.file, offset, bytes[..len].to_vec()));
        if wrong == Some(Wrong::Spoiled) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(len)
    }
}

impl StoredFile for FakeFile {
    fn size(&mut self) -> io::Result<u64> {
        let mut world = self.fake.world();
        world.count(Call::Size)?;
        Ok(world.files[self.file].len() as u64)
    }

    fn read_at(&mut self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.fake.world();
        let wrong = world.count(Call::Read)?;
        let all = &world.files[self.file];
        let have = all.get(offset as usize..).unwrap_or_default();
        let mut len = have.len().min(bytes.len());
        if wrong.is_some() {
            len = len.div_ceil(2);
        }
        bytes[..len].copy_from_slice(&have[..len]);
        Ok(len)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.put(bytes, offset, None)
    }

    fn write_gathered_at(&mut self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        assert!(buffers.len() <= MOST_GATHERED && buffers.iter().all(|bytes| !bytes.is_empty()));
        if self.fake.world().alone {
            return self.write_at(&buffers[0], offset);
        }
        let bytes: Vec<u8> = buffers.iter().flat_map(|bytes| bytes.iter().copied()).collect();
        self.put(&bytes, offset, Some(buffers.len()))
    }

    fn allocate(&mut self, size: u64) -> io::Result<()> {
        let mut world = self.fake.world();
        world.count(Call::Allocate)?;
        let all = &mut world.files[self.file];
        all.resize(all.len().max(size as usize), 0);
        let length = all.len() as u64;
        world.ops.push(Op::Length(self.file, length));
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let mut world = self.fake.world();
        world.count(Call::Truncate)?;
        world.files[self.file].truncate(size as usize);
        world.ops.push(Op::Length(self.file, size));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.fake.world();
        world.count(Call::Sync)?;
        world.ops.push(Op::Sync(self.file));
        Ok(())
    }

    fn has_name(&mut self) -> io::Result<bool> {
        Ok(self.fake.world().names.values().any(|file| *file == self.file))
    }
}
