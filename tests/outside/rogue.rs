//! Processes that do what they should not: what they send and leave, spoken by hand.
//!
//! The bytes are those of spec/19-control.md and spec/20-attach.md, put together here and not by the
//! library. Whatever is sent, the owner lives, damage is told by its kind, and the events of a
//! process that keeps the rules are all there.

use crate::alone;
use crate::attach::{check_one, files, line, numbers, owner, role, until};
use etlring::codec::{BufferView, checksum};
use etlring::format::Guid;
use etlring::reader::Trace;
use etlring::session::{AttachStats, ClassicEvent, Session};
use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const CLASS: Guid = Guid::from_u128(0x0bad_0bad_0bad_0bad_0bad_0bad_0bad_0bad);
pub(crate) const BUFFERS: u64 = 8;
pub(crate) const SIZE: usize = 16 * 1024;

pub(crate) const READY: u16 = 17;
pub(crate) const BUFFER: u16 = 18;
pub(crate) const COUNTS: u16 = 19;
pub(crate) const GOODBYE: u16 = 21;
const TAKEN: u16 = 8;
const STOP: u16 = 9;
const BYE: u16 = 10;

/// Numbers that look random, the same in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// A process that speaks the messages by itself.
pub(crate) struct Rogue {
    pub(crate) stream: UnixStream,
    pub(crate) ring: PathBuf,
}

impl Rogue {
    /// Asks to be attached and reads where its ring is to be.
    fn welcomed(directory: &Path) -> Self {
        let mut stream = UnixStream::connect(directory.join("run/shared.sock")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Version 1, request 16, no body; the answer is 0x8000.
        stream.write_all(&[1, 0, 16, 0, 0, 0, 0, 0]).unwrap();
        let mut done = [0; 8];
        stream.read_exact(&mut done).unwrap();
        assert_eq!(done, [1, 0, 0, 0x80, 0, 0, 0, 0]);
        let mut head = [0; 8];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[4..], [1, 0, 0, 0], "no welcome");
        let mut welcome = vec![0; u32::from_le_bytes(head[..4].try_into().unwrap()) as usize];
        stream.read_exact(&mut welcome).unwrap();
        let word = |at: usize| u32::from_le_bytes(welcome[at..at + 4].try_into().unwrap());
        assert_eq!((word(0), word(44)), (1, SIZE as u32), "version, buffer size");
        let ring = std::ffi::OsString::from_vec(welcome[64..].to_vec());
        Self { stream, ring: ring.into() }
    }

    /// The same, with a ring in place.
    pub(crate) fn attached(directory: &Path) -> Self {
        let mut rogue = Self::welcomed(directory);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let ring = options.open(&rogue.ring).unwrap();
        ring.set_len((BUFFERS + 1) * SIZE as u64).unwrap();
        rogue.send(READY, &BUFFERS.to_le_bytes());
        // All that the session wants is told: message 6.
        let mut head = [0; 8];
        rogue.stream.read_exact(&mut head).unwrap();
        assert_eq!(head, [8, 0, 0, 0, 6, 0, 0, 0]);
        rogue.stream.read_exact(&mut head).unwrap();
        rogue
    }

    /// Sends a message, unless the owner has hung up.
    pub(crate) fn send(&mut self, kind: u16, payload: &[u8]) -> bool {
        let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
        frame.extend(kind.to_le_bytes());
        frame.extend([0, 0]);
        frame.extend(payload);
        self.stream.write_all(&frame).is_ok()
    }

    /// The number that comes with the next message of this kind; others are passed over.
    fn number(&mut self, wanted: u16) -> u64 {
        loop {
            let mut frame = [0; 16];
            self.stream.read_exact(&mut frame).unwrap();
            assert_eq!(frame[..4], [8, 0, 0, 0]);
            if u16::from_le_bytes([frame[4], frame[5]]) == wanted {
                return u64::from_le_bytes(frame[8..].try_into().unwrap());
            }
        }
    }

    pub(crate) fn send_buffer(&mut self, buffer: &[u8], last: u8) -> bool {
        self.send(BUFFER, &[&[last, 0, 0, 0, 0, 0, 0, 0], buffer].concat())
    }

    pub(crate) fn ring(&self) -> File {
        OpenOptions::new().write(true).open(&self.ring).unwrap()
    }
}

/// Data buffers of a log that was recorded just now, each up to its end.
pub(crate) fn buffers(directory: &Path) -> Vec<Vec<u8>> {
    let log = directory.join("template.etl");
    let builder = Session::builder("template").log_file(&log).buffer_size(SIZE as u32);
    let session = builder.start().unwrap();
    let event = ClassicEvent::new(CLASS, 10, 4);
    for number in 0..1000u32 {
        session.write_classic(&event, &number.to_le_bytes()).unwrap();
    }
    session.stop().unwrap();
    let bytes = fs::read(&log).unwrap();
    let views = bytes.chunks(SIZE).skip(1).map(|chunk| BufferView::parse(chunk).unwrap());
    views.map(|view| view.bytes()[..view.header().filled_bytes.get() as usize].to_vec()).collect()
}

/// Makes the checksum of a buffer hold.
pub(crate) fn sum(buffer: &mut [u8]) {
    if let Ok(field) = checksum::field(buffer, 0) {
        buffer[0x38..0x48].copy_from_slice(&field);
    }
}

/// Owner, a process that keeps the rules, and what `rogue` does meanwhile. The events of the former
/// are all there; gives what the owner says of the latter.
fn beside_an_honest_process(directory: &Path, rogue: impl FnOnce(&Session)) -> AttachStats {
    const EVENTS: u64 = 20_000;
    let (session, log) = owner(directory);
    let mut honest = role("writer", directory, &["1", &EVENTS.to_string()]);
    rogue(&session);
    let mut out = BufReader::new(honest.stdout.take().unwrap());
    let told = numbers(&line(&mut out, "done "));
    assert_eq!(told[0] + told[1], 2 * EVENTS);
    assert!(honest.wait().unwrap().success());
    until("their leaving", || session.attached().processes == 0);
    session.flush().unwrap();
    let attached = session.attached();
    session.stop().unwrap();
    check_one(&log, 1, told[0]);
    attached
}

#[test]
fn bytes_that_are_no_messages_end_one_connection() {
    alone("rogue::bytes_that_are_no_messages_end_one_connection", |directory| {
        let mut dice = Dice(0x5EED);
        let stats = beside_an_honest_process(directory, |session| {
            for round in 0..40u64 {
                let mut rogue = Rogue::attached(directory);
                match round % 4 {
                    0 => drop(rogue.stream.write_all(&dice.bytes(4096))),
                    // A kind that is none; a length that its kind cannot have.
                    1 => drop(rogue.send(dice.below(1000) as u16 + 100, &dice.bytes(64))),
                    2 => drop(rogue.stream.write_all(&[0xFF, 0xFF, 0xFF, 0x7F, 18, 0, 0, 0])),
                    _ => drop(rogue.send(COUNTS, &dice.bytes(63))),
                }
                // Read to its end: the owner has hung up.
                let mut rest = Vec::new();
                let _ = rogue.stream.read_to_end(&mut rest);
                until("its leaving", || session.attached().died > round);
            }
        });
        assert_eq!((stats.died, stats.damage.messages, stats.damage.total()), (40, 40, 40));
    });
}

#[test]
fn damaged_buffers_are_left_out_and_counted() {
    alone("rogue::damaged_buffers_are_left_out_and_counted", |directory| {
        let mut dice = Dice(0xB0FF);
        let stats = beside_an_honest_process(directory, |session| {
            let before = session.attached().damage;
            assert_eq!(before.total(), 0);
            let mut rogue = Rogue::attached(directory);
            let good = buffers(directory);
            assert!(good.len() >= 3);
            let changed = |at: usize, bytes: &[u8]| {
                let mut buffer = good[1].clone();
                buffer[at..at + bytes.len()].copy_from_slice(bytes);
                sum(&mut buffer);
                buffer
            };
            // The first one is right, and right once.
            assert!(rogue.send_buffer(&good[0], 1));
            assert!(rogue.send_buffer(&good[0], 1));
            let cases: [(&str, Vec<u8>); 9] = [
                ("checksum", {
                    let mut buffer = good[1].clone();
                    buffer[100] ^= 1;
                    buffer
                }),
                ("size", changed(0, &4096u32.to_le_bytes())),
                ("filled", changed(0x30, &64u32.to_le_bytes())),
                ("state", changed(0x2C, &1u32.to_le_bytes())),
                ("type", changed(0x36, &4u16.to_le_bytes())),
                ("lane", changed(0x28, &(BUFFERS as u16).to_le_bytes())),
                ("marker", changed(72, &[0; 4])),
                // The first record's time: in the future, then in the past.
                ("future", changed(72 + 16, &u64::MAX.to_le_bytes())),
                ("past", changed(72 + 16, &1u64.to_le_bytes())),
            ];
            for (what, buffer) in &cases {
                assert!(rogue.send_buffer(buffer, 1), "{what}");
            }
            for _ in 0..500 {
                let mut buffer = good[dice.below(good.len())].clone();
                for _ in 0..=dice.below(8) {
                    let at = dice.below(buffer.len());
                    buffer[at] = dice.next() as u8;
                }
                if dice.below(2) == 0 {
                    sum(&mut buffer);
                }
                assert!(rogue.send_buffer(&buffer, dice.below(2) as u8));
            }
            // A number that it made up does not hide what others lost.
            assert!(rogue.send(COUNTS, &[0xFF; 64]));
            assert!(rogue.send(GOODBYE, &[]));
            let mut rest = Vec::new();
            let _ = rogue.stream.read_to_end(&mut rest);
            // "Bye" comes last, since all that was right is in the log.
            assert_eq!(rest[rest.len() - 16..][4..6], [10, 0], "{rest:?}");
            assert!(!rogue.ring.exists(), "all of it is in the log");
        });
        let damage = stats.damage;
        assert!(damage.sequences >= 1 && damage.checksums >= 1, "{damage:?}");
        assert!(damage.headers >= 4 && damage.lanes >= 1, "{damage:?}");
        assert!(damage.records >= 1 && damage.stamps >= 2, "{damage:?}");
        assert_eq!((damage.messages, damage.rings, stats.detached), (0, 0, 2), "{damage:?}");
    });
}

#[test]
fn a_scribbled_ring_harms_nobody_else() {
    alone("rogue::a_scribbled_ring_harms_nobody_else", |directory| {
        let mut dice = Dice(0x0DD);
        let stats = beside_an_honest_process(directory, |session| {
            for round in 0..12u64 {
                let rogue = Rogue::attached(directory);
                let good = buffers(directory);
                let ring = rogue.ring();
                for place in 0..BUFFERS {
                    let mut buffer = match round % 3 {
                        0 => dice.bytes(SIZE),
                        _ => good[dice.below(good.len())].clone(),
                    };
                    for _ in 0..dice.below(60) {
                        let at = dice.below(buffer.len().min(400));
                        buffer[at] = dice.next() as u8;
                    }
                    ring.write_all_at(&buffer, (place + 1) * SIZE as u64).unwrap();
                }
                if round % 4 == 3 {
                    ring.set_len(dice.next() % (BUFFERS * SIZE as u64)).unwrap();
                }
                drop(rogue);
                until("its leaving", || session.attached().died > round);
            }
        });
        assert!(stats.damage.total() > 0, "{stats:?}");
        assert_eq!((stats.died, stats.damage.messages), (12, 0));
        assert_eq!(files(directory, ".ring"), Vec::<PathBuf>::new());
    });
}

#[test]
fn what_is_no_ring_file_is_refused() {
    alone("rogue::what_is_no_ring_file_is_refused", |directory| {
        let secret = directory.join("secret");
        fs::write(&secret, b"not a ring").unwrap();
        let stats = beside_an_honest_process(directory, |session| {
            for round in 0..5u64 {
                let mut rogue = Rogue::welcomed(directory);
                match round {
                    0 => {}
                    1 => std::os::unix::fs::symlink(&secret, &rogue.ring).unwrap(),
                    2 => fs::create_dir(&rogue.ring).unwrap(),
                    3 => {
                        let path = rustix::fs::CWD;
                        let mode = rustix::fs::Mode::RUSR;
                        let kind = rustix::fs::FileType::Fifo;
                        rustix::fs::mknodat(path, &rogue.ring, kind, mode, 0).unwrap();
                    }
                    _ => fs::hard_link(&secret, &rogue.ring).unwrap(),
                }
                rogue.send(READY, &BUFFERS.to_le_bytes());
                let mut answer = [0; 16];
                rogue.stream.read_exact(&mut answer).unwrap();
                // Refused for its ring file: message 2, reason 5.
                assert_eq!(answer[..9], [8, 0, 0, 0, 2, 0, 0, 0, 5], "round {round}");
                until("its damage", || session.attached().damage.rings > round);
                if round == 2 {
                    fs::remove_dir(&rogue.ring).unwrap();
                } else if round > 0 {
                    fs::remove_file(&rogue.ring).unwrap();
                }
            }
        });
        assert_eq!((stats.damage.rings, stats.damage.total()), (5, 5));
        assert_eq!(fs::read(secret).unwrap(), b"not a ring");
    });
}

#[test]
fn who_stops_second_waits_for_the_processes_too() {
    alone("rogue::who_stops_second_waits_for_the_processes_too", |directory| {
        let (session, log) = owner(directory);
        let mut slow = Rogue::attached(directory);
        let good = buffers(directory);
        let client = etlring::outside::connect(crate::attach::NAME).unwrap();
        let first = std::thread::spawn(move || client.stop());
        slow.number(STOP);
        // The first one waits for this process now.
        let second = std::thread::spawn(move || session.stop().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        assert!(slow.send_buffer(&good[0], 1) && slow.send(GOODBYE, &[]));
        slow.number(BYE);
        drop(slow);
        let stats = second.join().unwrap();
        // Its answer may come too late for the connection.
        let _ = first.join().unwrap();
        let written = events(&log);
        assert!(stats.events_accepted > 0);
        assert_eq!((written, stats.lost.total()), (stats.events_accepted, 0));
    });
}

/// Events of the class of this file in a log.
fn events(log: &Path) -> u64 {
    let trace = Trace::open(log).unwrap();
    let mut records = trace.by_time();
    let mut count = 0;
    while let Some(record) = records.next() {
        count += u64::from(record.unwrap().view().unwrap().provider() == Some(CLASS));
    }
    count
}

#[test]
fn a_damaged_buffer_is_told_in_its_turn() {
    alone("rogue::a_damaged_buffer_is_told_in_its_turn", |directory| {
        let stats = beside_an_honest_process(directory, |_| {
            let mut rogue = Rogue::attached(directory);
            let good = buffers(directory);
            let mut bad = good[1].clone();
            bad[100] ^= 1;
            for buffer in [&good[0], &bad, &good[2]] {
                assert!(rogue.send_buffer(buffer, 1));
            }
            while rogue.number(TAKEN) < 3 {}
            assert!(rogue.send(GOODBYE, &[]));
            rogue.number(BYE);
        });
        assert_eq!((stats.damage.checksums, stats.damage.total()), (1, 1));
    });
}

#[test]
fn empty_buffers_take_no_place_in_the_log() {
    alone("rogue::empty_buffers_take_no_place_in_the_log", |directory| {
        const EMPTY: u64 = 5_000;
        let (session, log) = owner(directory);
        let mut rogue = Rogue::attached(directory);
        let mut empty = buffers(directory).swap_remove(0);
        empty.truncate(72);
        empty[0x30..0x34].copy_from_slice(&72u32.to_le_bytes());
        for number in 1..=EMPTY {
            empty[0x18..0x20].copy_from_slice(&number.to_le_bytes());
            sum(&mut empty);
            assert!(rogue.send_buffer(&empty, 1));
        }
        while rogue.number(TAKEN) < EMPTY {}
        assert!(rogue.send(GOODBYE, &[]));
        rogue.number(BYE);
        assert_eq!(session.attached().damage.total(), 0);
        session.stop().unwrap();
        let places = fs::metadata(log).unwrap().len() / SIZE as u64;
        assert!(places < 10, "{places}");
    });
}
