//! A follower of logs that are made by hand, store by store, beside the rules of the format.

use crate::images::{Life, Random, SIZE, id_of, lives};
use crate::log::Log;
use etlring::error::{Fault, FormatError};
use etlring::format::BufferState;
use etlring::reader::{Follow, Following, News, ReadFault};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// A log whose bytes are stored one stretch after the other. It has no ring.
struct Made {
    file: File,
    lives: Vec<Life>,
    follow: Follow,
}

/// `EndTime` of the logfile header: what makes a log finished.
const END_TIME: usize = 72 + 32 + 0x10;

impl Made {
    /// With its header buffer, and buffers to come.
    fn new(directory: &Path, lanes: usize) -> Self {
        let path = directory.join("made.etl");
        std::fs::write(&path, Log::new(SIZE).bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let mut follow = Follow::open(&path).unwrap();
        let first = follow.poll().unwrap();
        assert_eq!((ids(&first), first.state()), (vec![], Following::Live));
        assert!(!first.is_empty(), "the header is a record");
        Self { file, lives: lives(&mut Random(9), 12, lanes), follow }
    }

    fn store(&mut self, position: usize, bytes: &[u8]) {
        self.file.seek(SeekFrom::Start(position as u64)).unwrap();
        self.file.write_all(bytes).unwrap();
    }

    /// Stores a buffer, with all or some of its events.
    fn put(&mut self, place: usize, life: usize, count: usize) {
        let bytes = self.lives[life].bytes(count, BufferState::FLUSH, &[0; SIZE]);
        self.store(place * SIZE, &bytes);
    }

    fn put_whole(&mut self, place: usize, life: usize) {
        self.put(place, life, self.lives[life].events.len());
    }

    fn all(&self, life: usize) -> Vec<u32> {
        self.lives[life].ids(self.lives[life].events.len()).collect()
    }

    fn poll(&mut self) -> News {
        self.follow.poll().unwrap()
    }

    fn finish(&mut self) {
        self.store(END_TIME, &133_000_000_000_000_000u64.to_le_bytes());
    }
}

fn ids(news: &News) -> Vec<u32> {
    let mut records = news.by_time();
    let mut ids = Vec::new();
    while let Some(record) = records.next() {
        let record = record.unwrap();
        ids.extend(id_of(&record.view().unwrap()).map(Result::unwrap));
    }
    ids
}

/// Positions of what is damaged.
fn damage(news: &News) -> Vec<u64> {
    news.trace().damage().iter().map(|error| error.position).collect()
}

#[test]
fn damage_at_the_end_may_still_be_written_and_is_told_once_when_it_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Made::new(directory.path(), 1);
    log.put_whole(1, 0);
    assert_eq!(ids(&log.poll()), log.all(0));
    log.store(2 * SIZE, &[0xA5; SIZE]);
    for _ in 0..3 {
        let news = log.poll();
        assert!(news.is_empty() && news.state() == Following::Live);
    }
    // Now it is whole, as if its writer had been in the middle of it.
    log.put_whole(2, 1);
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), (log.all(1), vec![]));

    // And now it is not, and another buffer lies behind it.
    log.store(3 * SIZE, &[0xA5; SIZE]);
    log.put_whole(4, 3);
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), (log.all(3), vec![3 * SIZE as u64]));
    assert!(log.poll().is_empty());
    log.put_whole(5, 4);
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), (log.all(4), vec![]));

    // At the end nobody will write it any more.
    log.store(6 * SIZE, &[0xA5; SIZE]);
    assert!(log.poll().is_empty());
    log.finish();
    let news = log.poll();
    assert_eq!((damage(&news), news.state()), (vec![6 * SIZE as u64], Following::Finished));
}

#[test]
fn a_place_that_was_never_written_is_waited_for_and_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Made::new(directory.path(), 1);
    // What is behind it does not say that it will not come.
    log.put_whole(2, 1);
    assert!(log.poll().is_empty());
    log.put_whole(1, 0);
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), ([log.all(0), log.all(1)].concat(), vec![]));
    log.put_whole(4, 3);
    assert!(log.poll().is_empty());
    log.finish();
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), (log.all(3), vec![]));
    assert_eq!(news.state(), Following::Finished);
    // The third number was in neither file.
    assert_eq!(news.gaps(), [3..=3]);
}

#[test]
fn a_buffer_that_is_not_there_whole_comes_when_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Made::new(directory.path(), 1);
    let life = log.lives[0].clone();
    let all = life.events.len();
    let bytes = life.bytes(all, BufferState::FLUSH, &[0; SIZE]);
    // In the middle of a header, behind it, in the middle of a record.
    for end in [40, 72, life.filled(3) + 20] {
        log.store(SIZE, &bytes[..end]);
        let news = log.poll();
        assert!(news.is_empty() && news.state() == Following::Live, "{end} bytes");
    }
    log.store(SIZE, &bytes);
    let news = log.poll();
    assert_eq!((ids(&news), damage(&news)), (log.all(0), vec![]));

    // What has not come when the log is finished was lost.
    let next = log.lives[1].clone();
    let bytes = next.bytes(next.events.len(), BufferState::FLUSH, &[0; SIZE]);
    let end = next.filled(2) + 20;
    log.store(2 * SIZE, &bytes[..end]);
    assert!(log.poll().is_empty());
    log.finish();
    let news = log.poll();
    let mut records = news.by_time();
    let mut found = Vec::new();
    while let Some(record) = records.next() {
        let Ok(record) = record else { continue };
        found.extend(id_of(&record.view().unwrap()).map(Result::unwrap));
    }
    assert_eq!(found, next.ids(2).collect::<Vec<_>>());
    let [cut] = news.trace().damage() else { panic!("{:?}", news.trace().damage()) };
    let (want, have) = (next.filled(next.events.len()), end / 8 * 8);
    let fault = Fault::Truncated(want.try_into().unwrap(), have.try_into().unwrap());
    assert!(
        matches!(cut.fault, ReadFault::Format(FormatError { fault: found, .. }) if found == fault),
        "{cut:?}"
    );
    assert_eq!(cut.position, 2 * SIZE as u64);
}

/// Goal: where there is no ring, a buffer is looked at again until three later ones of its lane are
/// there. Method: one that grows, many behind it of another lane and two of its own.
#[test]
fn a_buffer_grows_until_three_later_ones_of_its_lane_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Made::new(directory.path(), 1);
    let first = log.lives.iter().position(|life| life.events.len() > 9).unwrap();
    let others: Vec<_> = (0..log.lives.len()).filter(|life| *life != first).take(9).collect();
    for (step, other) in others.iter().copied().enumerate() {
        log.lives[other].lane = u16::from(step < 7);
        log.put(1, first, step + 1);
        log.put_whole(2 + step, other);
        let news = log.poll();
        assert_eq!(news.trace().damage(), []);
        let id = log.lives[first].first_id + u32::try_from(step).unwrap();
        let (mut found, mut expected) = (ids(&news), log.all(other));
        expected.push(id);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "step {step}");
        assert!(log.poll().is_empty());
    }
    // It is done with all the same when the log is finished.
    log.put(1, first, others.len() + 1);
    log.finish();
    let news = log.poll();
    assert_eq!((ids(&news).len(), news.state()), (1, Following::Finished));
}

#[test]
fn numbers_that_never_came_are_told_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Made::new(directory.path(), 3);
    // Buffers 1, 2, 5, 6 and 9.
    for (place, life) in [0, 1, 4, 5, 8].into_iter().enumerate() {
        log.put_whole(1 + place, life);
        let news = log.poll();
        assert_eq!((ids(&news), news.gaps()), (log.all(life), &[][..]));
    }
    log.finish();
    let news = log.poll();
    assert_eq!((news.gaps(), news.state()), (&[3..=4, 7..=8][..], Following::Finished));
    assert!(log.poll().is_empty());
}
