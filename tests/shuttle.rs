//! The ring's protocol with more threads than loom can explore, under random schedules.
//!
//! `RUSTFLAGS="--cfg loom --cfg shuttle" cargo test --release --test shuttle`; without the flags
//! this file is empty. `ETLRING_SCHEDULES` says how many schedules of each model are tried, half of
//! them random and half with few preemptions at random places (PCT). shuttle knows no weak memory:
//! that is `tests/loom`'s part.
#![cfg(shuttle)]

use etlring::session::model::{Collected, Model};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread;
use std::sync::Arc;

fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
    let schedules = std::env::var("ETLRING_SCHEDULES").ok().and_then(|n| n.parse().ok());
    let each = schedules.unwrap_or(10_000usize).div_ceil(2);
    shuttle::check_random(model, each);
    shuttle::check_pct(model, each, 3);
}

/// Number of an event: its writer and its place among that writer's.
fn event(writer: usize, place: u64) -> u64 {
    writer as u64 * 1000 + place
}

fn write_all(model: &Model, lane: usize, writer: usize, events: u64) -> Vec<u64> {
    (0..events)
        .map(|place| event(writer, place))
        .filter(|event| model.write(lane, *event).is_ok())
        .collect()
}

/// Each writer's accepted events are in the log once, in its order.
fn balance(collected: &mut Collected, accepted: &[Vec<u64>]) {
    let events = collected.events();
    for (writer, accepted) in accepted.iter().enumerate() {
        let mine: Vec<u64> =
            events.iter().copied().filter(|event| event / 1000 == writer as u64).collect();
        assert_eq!(&mine, accepted, "writer {writer}");
    }
    assert_eq!(events.len(), accepted.concat().len(), "invented: {events:?}");
}

/// Eight writers, few buffers, a collector that looks, steals and collects, and stops while they
/// write.
#[test]
fn eight_writers_and_a_stop() {
    check(|| {
        let (model, mut collected) = Model::new(6, 3, 8);
        let writers: Vec<_> = (0..8)
            .map(|lane| {
                let model = Arc::clone(&model);
                thread::spawn(move || write_all(&model, lane, lane, 7))
            })
            .collect();
        for lane in 0..8 {
            let seen = collected.peek(lane);
            assert!(seen.is_sorted() && seen.iter().all(|event| event / 1000 == lane as u64));
            collected.steal(lane);
            collected.collect();
        }
        collected.finish();
        let accepted: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        collected.collect();
        balance(&mut collected, &accepted);
        assert_eq!(model.free(), 6);
    });
}

/// More threads than lanes, one after the other in the same lane, whose buffer the collector wants.
#[test]
fn lanes_change_hands() {
    check(|| {
        let (model, mut collected) = Model::new(4, 3, 2);
        let threads: Vec<_> = (0..6)
            .map(|writer| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    let Some(lane) = model.claim() else { return Vec::new() };
                    let accepted = write_all(&model, lane, writer, 4);
                    model.disown(lane);
                    accepted
                })
            })
            .collect();
        for lane in [0, 1, 0, 1] {
            collected.steal(lane);
            collected.collect();
        }
        let accepted: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        collected.finish();
        balance(&mut collected, &accepted);
        assert_eq!(model.free(), 4);
    });
}

/// A writer that holds a reservation is closed out; what it was told is what is in the log.
#[test]
fn close_out_while_others_write() {
    check(|| {
        let (model, mut collected) = Model::new(4, 2, 3);
        let writers: Vec<_> = (0..3)
            .map(|lane| {
                let model = Arc::clone(&model);
                thread::spawn(move || write_all(&model, lane, lane, 4))
            })
            .collect();
        let published = collected.stop_and_close(0);
        let accepted: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        // What the closed lane has in hand stays there, and counts up to where it was closed.
        collected.collect();
        for lane in [1, 2] {
            collected.steal(lane);
        }
        // A writer that needed a new buffer at that moment gave its old one up all the same: it goes
        // to the place in the log that its published part has.
        let again = |events: &Vec<u64>| !published.is_empty() && events.starts_with(&published);
        let gave_up = collected.buffers.iter().any(|(_, events)| again(events));
        let mut all = collected.events();
        if !gave_up {
            all.extend(published);
        }
        all.sort_unstable();
        let mut told = accepted.concat();
        told.sort_unstable();
        assert_eq!(all, told);
    });
}

/// Four writers overwrite the oldest while two snapshots are taken.
#[test]
fn snapshots_of_a_ring_that_overwrites() {
    const BUFFERS: u32 = 8;
    check(|| {
        let (model, _collected) = Model::overwriting(BUFFERS, 2, 4);
        let written = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..4)
            .map(|lane| {
                let (model, written) = (Arc::clone(&model), Arc::clone(&written));
                thread::spawn(move || {
                    let accepted = write_all(&model, lane, lane, 9);
                    written.fetch_add(1, Ordering::SeqCst);
                    accepted
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || -> Vec<_> {
                    (0..BUFFERS).filter_map(|index| model.pin(index)).collect()
                })
            })
            .collect();
        let snapshots: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
        let accepted: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        for (_, sequence, previous, events) in snapshots.concat() {
            // Of one writer, without a hole within the buffer, and nothing of a later turn.
            assert!(previous < sequence.max(1));
            let Some(first) = events.first() else { continue };
            let of = &accepted[*first as usize / 1000];
            let at = of.iter().position(|event| event == first).expect("it was accepted");
            assert_eq!(events, of[at..at + events.len()]);
        }
        // At the end each writer's newest are there, however often a turn was let pass.
        let now: Vec<_> = (0..BUFFERS).filter_map(|index| model.pin(index)).collect();
        for last in accepted.iter().filter_map(|of| of.last()) {
            let buffers = now.iter().filter(|(.., events)| events.contains(last));
            assert_eq!(buffers.count(), 1, "{last}");
        }
    });
}

/// Six writers of three buffers: a writer keeps its lane's number while it is without a buffer, so
/// there are more numbers than buffers, and each buffer knows the one before it all the same.
#[test]
fn a_ring_with_more_lanes_than_buffers() {
    check(|| {
        let (model, _collected) = Model::overwriting(3, 1, 6);
        let writers: Vec<_> = (0..6)
            .map(|lane| {
                let model = Arc::clone(&model);
                thread::spawn(move || write_all(&model, lane, lane, 3))
            })
            .collect();
        let accepted: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        for (number, _, previous, events) in (0..3).filter_map(|index| model.pin(index)) {
            let of = &accepted[events[0] as usize / 1000];
            // Whom nothing was refused had a buffer for each event, under one number.
            if of.len() == 3 && events[0] != of[0] {
                assert_ne!(previous, 0, "{events:?} of number {number}");
            }
        }
    });
}

/// Eight writers that take buffers back from each other and from the flusher, until it stops them.
#[test]
fn full_buffers_are_taken_back() {
    check(|| {
        let (model, mut collected) = Model::taking_back(10, 2, 8);
        let writers: Vec<_> = (0..8)
            .map(|lane| {
                let model = Arc::clone(&model);
                thread::spawn(move || write_all(&model, lane, lane, 9))
            })
            .collect();
        let mut partial = Vec::new();
        for lane in 0..8 {
            let seen = collected.put_partial(lane);
            assert!(seen.is_sorted() && seen.iter().all(|event| event / 1000 == lane as u64));
            partial.extend(seen);
            collected.steal(lane);
            if lane % 2 == 0 {
                collected.collect();
            }
        }
        collected.finish();
        let accepted: Vec<_> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        collected.collect();
        let (gave_way, counted) = model.gave_way();
        assert_eq!(gave_way.len() as u64, counted);
        // A part that was written first may be there again with the rest of its buffer.
        let mut all = [collected.events(), partial].concat();
        all.sort_unstable();
        all.dedup();
        assert!(gave_way.iter().all(|event| !all.contains(event)), "{gave_way:?} of {all:?}");
        all.extend(gave_way);
        all.sort_unstable();
        let mut told = accepted.concat();
        told.sort_unstable();
        assert_eq!(all, told);
        assert_eq!(model.free(), 10);
    });
}

/// What a process had sent when it died, so much of it, and what lay in its ring: buffers 1 and 2
/// come piece by piece, 1 is given up, 3 is only in the ring. Two threads end the session meanwhile.
/// Each event is in the log once, and the flusher is not stopped before.
#[cfg(unix)]
#[test]
fn a_dead_process_is_in_the_log_once() {
    use etlring::session::attached_model::Attached;

    const COMES: [((i64, u64), bool); 5] =
        [((1, 2), false), ((2, 1), false), ((1, 3), true), ((2, 1), false), ((2, 3), false)];
    const RING: [(i64, u64); 3] = [(1, 3), (2, 4), (3, 1)];
    for sent in 0..=COMES.len() {
        check(move || {
            let attached = Attached::new();
            let listener = {
                let attached = Arc::clone(&attached);
                thread::spawn(move || attached.listen(4, &COMES[..sent], &RING))
            };
            let ended = Arc::new(AtomicUsize::new(0));
            let ends: Vec<_> = (0..2)
                .map(|_| {
                    let (attached, ended) = (Arc::clone(&attached), Arc::clone(&ended));
                    thread::spawn(move || {
                        attached.end();
                        ended.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            let mut log = Vec::new();
            // Whoever is first stops the flusher.
            while ended.load(Ordering::SeqCst) == 0 {
                log.extend(attached.turn());
                thread::yield_now();
            }
            assert_eq!(attached.close(), 0, "left lying");
            for thread in ends {
                thread.join().unwrap();
            }
            listener.join().unwrap();
            for (number, events) in RING {
                let found: u64 =
                    log.iter().filter(|(of, _)| *of == number).map(|(_, new)| new).sum();
                assert_eq!(found, events, "buffer {number} after {sent}: {log:?}");
            }
        });
    }
}
