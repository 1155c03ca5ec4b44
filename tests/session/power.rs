//! The power fails: of what was written since the last sync each sector of 512 bytes is there or
//! not, whatever was written before or behind it.

use crate::fake::{Fake, Op};
use crate::replay::{PER_BUFFER, Replay, write_all};
use etlring::session::{FileMode, Session, SyncMode};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const SECTOR: usize = 512;

/// A small generator, so that a failure is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as usize
    }
}

/// What a session did to its files, and how far it was synced when.
struct Run {
    ops: Vec<Op>,
    /// Operations done, events that were synced by then.
    synced: Vec<(usize, u64)>,
    events: u64,
}

/// Records with a flush now and then: buffers are written before they are full, and again.
fn record(mode: usize, seed: u64) -> Run {
    let fake = Fake::default();
    let builder = Session::builder(&crate::name("power"))
        .storage(fake.clone())
        .buffer_size(4096)
        .flush_interval(Duration::ZERO)
        .sync(SyncMode::Flush);
    let builder = match mode {
        0 => builder.log_file("log.etl"),
        1 => builder.log_file("log.etl").maximum_file_size_kb(128).preallocate(true),
        _ => builder.log_file("%d.etl").file_mode(FileMode::NewFile).maximum_file_size_kb(16),
    };
    let session = builder.start().unwrap();
    let mut random = Random(seed);
    let (mut events, mut synced) = (0, Vec::new());
    while events < 20 * PER_BUFFER {
        let more = 1 + random.below(40) as u64;
        write_all(&session, events..events + more);
        events += more;
        if random.below(3) != 0 {
            session.flush().unwrap();
            synced.push((fake.world().ops.len(), events));
        }
    }
    session.stop().unwrap();
    let ops = std::mem::take(&mut fake.world().ops);
    synced.push((ops.len(), events));
    Run { ops, synced, events }
}

/// A file while the power fails.
#[derive(Default)]
struct Torn {
    bytes: Vec<u8>,
    /// By sector: what it may be, beside what it is.
    versions: BTreeMap<usize, Vec<[u8; SECTOR]>>,
    lengths: Vec<usize>,
}

impl Torn {
    fn sector(&self, at: usize) -> [u8; SECTOR] {
        let mut sector = [0; SECTOR];
        let start = (at * SECTOR).min(self.bytes.len());
        let bytes = &self.bytes[start..(start + SECTOR).min(self.bytes.len())];
        sector[..bytes.len()].copy_from_slice(bytes);
        sector
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        for at in offset / SECTOR..end.div_ceil(SECTOR) {
            let before = self.sector(at);
            self.versions.entry(at).or_default().push(before);
        }
        self.lengths.push(self.bytes.len());
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[offset..end].copy_from_slice(bytes);
    }

    fn set_len(&mut self, len: usize) {
        self.lengths.push(self.bytes.len());
        self.bytes.resize(len, 0);
    }

    fn sync(&mut self) {
        self.versions.clear();
        self.lengths.clear();
    }

    /// One of the things that may be left.
    fn image(mut self, random: &mut Random) -> Vec<u8> {
        for (at, versions) in std::mem::take(&mut self.versions) {
            let start = at * SECTOR;
            if let Some(version) = versions.get(random.below(versions.len() + 1)) {
                let end = (start + SECTOR).min(self.bytes.len());
                if start < end {
                    self.bytes[start..end].copy_from_slice(&version[..end - start]);
                }
            }
        }
        if let Some(length) = self.lengths.get(random.below(self.lengths.len() + 1)) {
            self.bytes.resize(*length, 0);
        }
        self.bytes
    }
}

/// The files after the power failed behind the first `cut` operations.
fn image(run: &Run, cut: usize, random: &mut Random) -> Vec<Vec<u8>> {
    let mut files: BTreeMap<usize, Torn> = BTreeMap::new();
    let mut names: BTreeMap<PathBuf, (usize, bool)> = BTreeMap::new();
    for op in &run.ops[..cut] {
        match op {
            Op::Create(file, path) => {
                files.insert(*file, Torn::default());
                names.insert(path.clone(), (*file, false));
            }
            Op::Write(file, offset, bytes) => {
                files.get_mut(file).unwrap().write(*offset as usize, bytes);
            }
            Op::Length(file, len) => files.get_mut(file).unwrap().set_len(*len as usize),
            Op::Sync(file) => files.get_mut(file).unwrap().sync(),
            Op::SyncNames => names.values_mut().for_each(|(_, synced)| *synced = true),
            Op::Remove(path) => drop(names.remove(path)),
        }
    }
    let there = |random: &mut Random, synced| synced || random.below(2) == 0;
    let left: Vec<_> = names.into_values().filter(|(_, s)| there(random, *s)).collect();
    left.into_iter().map(|(file, _)| files.remove(&file).unwrap().image(random)).collect()
}

/// What was found in all images.
#[derive(Debug, Default)]
struct Found {
    images: usize,
    torn_buffers: usize,
    /// Events beyond those that were synced.
    more: usize,
}

fn check(run: &Run, cut: usize, random: &mut Random, found: &mut Found) {
    let synced = run.synced.iter().rev().find(|(ops, _)| *ops <= cut).map_or(0, |(_, n)| *n);
    let mut events = Vec::new();
    for file in image(run, cut, random) {
        // An event that is torn in a buffer that verifies fails here.
        if let Ok(log) = Replay::read(file) {
            found.torn_buffers += log.torn;
            events.extend(log.events);
        }
    }
    events.sort_unstable();
    let all = events.len();
    events.dedup();
    assert_eq!(events.len(), all, "an event is there twice");
    assert!(events.last().is_none_or(|last| *last < run.events));
    let there = events.iter().take_while(|n| **n < synced).count() as u64;
    assert_eq!(there, synced, "synced events are missing");
    found.more += events.len() - there as usize;
    found.images += 1;
}

/// Cuts the power `images` times: of three kinds of session, at any moment.
fn cut_power(images: usize) {
    let mut random = Random(0xE71);
    let mut found = Found::default();
    while found.images < images {
        let run = record(found.images % 3, found.images as u64);
        for _ in 0..100 {
            let cut = random.below(run.ops.len() + 1);
            check(&run, cut, &mut random, &mut found);
        }
        // The end of a session is where most happens at once.
        for cut in run.ops.len() - 8..=run.ops.len() {
            check(&run, cut, &mut random, &mut found);
        }
    }
    println!("{found:?}");
    // The images are not too kind.
    assert!(found.torn_buffers > images / 20 && found.more > images, "{found:?}");
}

#[test]
fn what_was_synced_survives_a_power_cut() {
    let images = std::env::var("ETLRING_POWER_CUTS").ok().and_then(|n| n.parse().ok());
    cut_power(images.unwrap_or(1000));
}

#[test]
#[ignore = "10,000 images"]
fn what_was_synced_survives_ten_thousand_power_cuts() {
    cut_power(10_000);
}
