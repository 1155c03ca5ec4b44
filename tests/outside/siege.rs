//! Processes that do what they should not, at full speed and for as long as `ETLRING_SIEGE_SECONDS`
//! says: while they are at it, killed and started again, the owner and a process that keeps the rules
//! lose nothing unsaid. `tests/sanitizers.sh address` runs this with every access of memory checked.

use crate::attach::{
    EVENT, GIVE_UP, NAME, check_one, line, numbers, owner, payload, role_of, until, words,
};
use crate::rogue::{BUFFER, BUFFERS, COUNTS, Dice, GOODBYE, READY, Rogue, SIZE, buffers, sum};
use crate::{Ending, FIGURES, alone};
use etlring::session::{AttachDamage, Session, SessionHandle};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one of them lives.
const LIFE: Duration = Duration::from_millis(300);
/// Events at a time, and the time between them: the log stays small, however long this takes.
const BURST: (u64, Duration) = (20, Duration::from_millis(2));

/// Logs until it is told to end; gives how many events were attempted, and accepted.
fn log_until(end: &AtomicBool, session: &SessionHandle, process: u32, thread: u32) -> (u64, u64) {
    let (mut number, mut accepted) = (0, 0);
    while !end.load(Ordering::Relaxed) {
        for _ in 0..BURST.0 {
            let payload = payload(process, thread, number);
            accepted += u64::from(session.write_classic(&EVENT, &payload).is_ok());
            number += 1;
        }
        std::thread::sleep(BURST.1);
    }
    (number, accepted)
}

/// Keeps the rules until the standard input ends.
#[test]
#[ignore = "run by others"]
fn honest() {
    if words().is_none() {
        return;
    }
    let session = Session::attach(NAME).start().unwrap();
    let end = AtomicBool::new(false);
    let attempted = std::thread::scope(|scope| {
        let writers = [0, 1].map(|thread| {
            let (session, end) = (session.handle(), &end);
            scope.spawn(move || log_until(end, &session, 1, thread))
        });
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::Relaxed);
        writers.map(|writer| writer.join().unwrap().0).iter().sum::<u64>()
    });
    let stats = session.stop().unwrap();
    println!("\ndone {} {} {attempted}", stats.events_accepted, stats.lost.total());
}

/// Keeps some of the rules some of the time, until it is killed.
#[test]
#[ignore = "run by others"]
fn besieger() {
    let Some(words) = words() else { return };
    let mut dice = Dice(words[0].parse::<u64>().unwrap() * 2 + 0x51E6E);
    let directory = PathBuf::from(std::env::var_os("ETLRING_DIR").unwrap());
    let directory = directory.parent().unwrap();
    println!("\nready");
    let own = tempfile::tempdir().unwrap();
    let old = buffers(own.path());
    loop {
        let mut rogue = Rogue::attached(directory);
        let ring = rogue.ring();
        // Stamps from before the attaching are damage, so most are of now.
        let good = if dice.below(4) == 0 { old.clone() } else { buffers(own.path()) };
        for _ in 0..dice.below(400) {
            if !misbehave(&mut rogue, &ring, &good, &mut dice) {
                break;
            }
        }
    }
}

/// Does one thing that it should not, or should; `false` when the owner has hung up.
fn misbehave(rogue: &mut Rogue, ring: &File, good: &[Vec<u8>], dice: &mut Dice) -> bool {
    let mut buffer = good[dice.below(good.len())].clone();
    for _ in 0..dice.below(6) {
        // Mostly its header and its first records: there is more to be got wrong.
        let most = if dice.below(2) == 0 { 160 } else { buffer.len() };
        let at = dice.below(most);
        buffer[at] = dice.next() as u8;
    }
    if dice.below(3) > 0 {
        sum(&mut buffer);
    }
    match dice.below(64) {
        0 => rogue.stream.write_all(&dice.bytes(600)).is_ok(),
        1 => {
            let bytes = dice.bytes(64);
            rogue.send(dice.below(40) as u16, &bytes)
        }
        2 => rogue.send(GOODBYE, &[]),
        3 => rogue.send(READY, &BUFFERS.to_le_bytes()),
        4..8 => {
            let counts = dice.bytes(64);
            rogue.send(COUNTS, &counts)
        }
        8 => {
            let len = dice.below(SIZE + 64);
            let bytes = dice.bytes(len);
            rogue.send(BUFFER, &bytes)
        }
        9 => ring.set_len(dice.next() % (2 * BUFFERS * SIZE as u64)).is_ok(),
        10..28 => {
            // Its ring: whole places, or single bytes, wherever.
            let at = dice.next() % ((BUFFERS + 1) * SIZE as u64);
            let (at, bytes) = match dice.below(3) {
                0 => (at, dice.bytes(SIZE)),
                1 => (at, dice.bytes(8)),
                _ => (at / SIZE as u64 * SIZE as u64, buffer),
            };
            ring.write_all_at(&bytes, at).is_ok()
        }
        _ => rogue.send_buffer(&buffer, dice.below(2) as u8),
    }
}

/// Tells writers to end, also when a test fails.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether damage of every kind that a message can have was found.
fn is_thorough(damage: &AttachDamage) -> bool {
    let AttachDamage { messages, headers, lanes, checksums, records, stamps, sequences, .. } =
        damage;
    [messages, headers, lanes, checksums, records, stamps, sequences]
        .iter()
        .all(|count| **count > 0)
}

fn besiege(directory: &Path, time: Duration) {
    let (session, log) = owner(directory);
    let mut honest = Ending(role_of("siege::honest", directory, &[]));
    let mut out = BufReader::new(honest.0.stdout.take().unwrap());
    until("the honest one", || session.attached().processes > 0);
    let end = AtomicBool::new(false);
    let (own, besiegers) = std::thread::scope(|scope| {
        let own = scope.spawn(|| log_until(&end, &session, 0, 0));
        let ends = AtEnd(&end);
        let started = Instant::now();
        let mut besiegers = 0u64;
        while started.elapsed() < time || !is_thorough(&session.attached().damage) {
            assert!(started.elapsed() < time + GIVE_UP, "{:?}", session.attached());
            let mut two = [(); 2].map(|()| {
                besiegers += 1;
                Ending(role_of("siege::besieger", directory, &[&besiegers.to_string()]))
            });
            for one in &mut two {
                line(&mut BufReader::new(one.0.stdout.take().unwrap()), "ready");
            }
            std::thread::sleep(LIFE);
            // They were at it until now, and are killed with this.
            assert!(two.iter_mut().all(|one| one.0.try_wait().unwrap().is_none()), "gave up");
        }
        drop(ends);
        (own.join().unwrap(), besiegers)
    });
    drop(honest.0.stdin.take());
    let told = numbers(&line(&mut out, "done "));
    assert!(honest.0.wait().unwrap().success());
    assert_eq!(told[0] + told[1], told[2]);
    until("their leaving", || session.attached().processes == 0);
    let attached = session.attached();
    session.stop().unwrap();
    let damage = attached.damage;
    println!(
        "\n{FIGURES}{} s, {besiegers} hostile processes, {} attachings, damage {damage:?}; owner {} of {} \
         events, honest {} of {}",
        time.as_secs(),
        attached.died + attached.detached,
        own.1,
        own.0,
        told[0],
        told[2],
    );
    // The owner's own and the other one's: each that was accepted, whole, once and in order.
    check_one(&log, 1, told[0]);
    check_one(&log, 0, own.1);
}

#[test]
fn a_siege_harms_nobody() {
    alone("siege::a_siege_harms_nobody", |directory| {
        let seconds = std::env::var("ETLRING_SIEGE_SECONDS").ok();
        let seconds = seconds.map_or(2, |seconds| seconds.parse().unwrap());
        besiege(directory, Duration::from_secs(seconds));
    });
}
