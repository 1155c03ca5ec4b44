//! The ring's protocol under every interleaving that loom's bounds allow.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom`; without the flag this file is empty.
//! Events are numbers: whatever the schedule, each accepted one must be collected exactly once, in
//! its writer's order, and no byte may be read that another thread is writing. `planted.sh` shows
//! that the models notice what they are there for.
#![cfg(loom)]

use etlring::session::Discarded;
use etlring::session::model::{Collected, Model};
use loom::model::Builder;
use loom::thread;
use std::sync::Arc;

fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Writes `events` into `lane`; gives those that were accepted.
fn write_all(model: &Model, lane: usize, events: &[u64]) -> Vec<u64> {
    events.iter().copied().filter(|event| model.write(lane, *event).is_ok()).collect()
}

/// The events of one writer (its number in the high digits), in the order collected.
fn of(all: &[u64], writer: u64) -> Vec<u64> {
    all.iter().copied().filter(|event| event / 10 == writer).collect()
}

/// The flusher takes the filled part of a buffer while its writer goes on.
#[test]
fn peek_sees_whole_records_only() {
    explore(3, || {
        let (model, collected) = Model::new(1, 3, 1);
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || write_all(&model, 0, &[11, 12])
        });
        let seen = [collected.peek(0), collected.peek(0)];
        assert_eq!(writer.join().unwrap(), [11, 12]);
        for seen in seen {
            assert!([11, 12].starts_with(&seen), "{seen:?}");
        }
        assert_eq!(collected.peek(0), [11, 12]);
    });
}

/// Buffers are switched, collected and used again.
#[test]
fn switch_and_recycle() {
    explore(3, || {
        let (model, mut collected) = Model::new(2, 1, 1);
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || write_all(&model, 0, &[11, 12, 13])
        });
        collected.collect();
        collected.collect();
        let accepted = writer.join().unwrap();
        collected.finish();
        assert!(accepted.len() >= 2, "two buffers were free");
        assert_eq!(collected.events(), accepted);
    });
}

/// More writers than buffers: somebody is refused, nobody waits, nothing is lost unsaid.
#[test]
fn exhaustion_balances() {
    explore(2, || {
        let (model, mut collected) = Model::new(1, 1, 2);
        let writers: Vec<_> = (0..2)
            .map(|lane| {
                let model = Arc::clone(&model);
                let first = (lane as u64 + 1) * 10;
                thread::spawn(move || write_all(&model, lane, &[first, first + 1]))
            })
            .collect();
        collected.collect();
        let accepted: Vec<Vec<u64>> = writers.into_iter().map(|w| w.join().unwrap()).collect();
        collected.finish();
        let events = collected.events();
        assert_eq!(events.len(), accepted[0].len() + accepted[1].len());
        assert_eq!(of(&events, 1), accepted[0]);
        assert_eq!(of(&events, 2), accepted[1]);
        assert!(!events.is_empty());
    });
}

/// The flusher takes a buffer back from a lane whose owner wakes up at that moment.
#[test]
fn steal_from_a_waking_lane() {
    explore(3, || {
        let (model, mut collected) = Model::new(2, 3, 1);
        model.write(0, 10).unwrap();
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || write_all(&model, 0, &[11, 12])
        });
        collected.steal(0);
        let accepted = writer.join().unwrap();
        collected.finish();
        assert_eq!(accepted, [11, 12], "a buffer was free all the time");
        assert_eq!(collected.events(), [10, 11, 12]);
    });
}

/// The same while the owner switches buffers.
#[test]
fn steal_from_a_switching_lane() {
    explore(3, || {
        let (model, mut collected) = Model::new(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || write_all(&model, 0, &[11, 12])
        });
        collected.steal(0);
        collected.collect();
        let accepted = writer.join().unwrap();
        collected.finish();
        let mut expected = vec![10];
        expected.extend(accepted);
        assert_eq!(collected.events(), expected);
    });
}

/// Whatever was accepted before the stop is in the log; behind it nothing is accepted.
#[test]
fn stop_takes_everything_accepted() {
    explore(3, || {
        let (model, mut collected) = Model::new(2, 2, 1);
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || write_all(&model, 0, &[11, 12])
        });
        collected.finish();
        let in_log = collected.events();
        let accepted = writer.join().unwrap();
        assert_eq!(in_log, accepted);
        assert_eq!(model.write(0, 13), Err(Discarded::Stopped));
    });
}

/// A reservation is open when the session is closed: its commit says what became of it.
#[test]
fn close_out_an_open_reservation() {
    explore(3, || {
        let (model, mut collected) = Model::new(1, 2, 1);
        model.write(0, 10).unwrap();
        let writer = thread::spawn({
            let model = Arc::clone(&model);
            move || model.write(0, 11)
        });
        let in_log = collected.stop_and_close(0);
        let mut expected = vec![10];
        if writer.join().unwrap().is_ok() {
            expected.push(11);
        }
        assert_eq!(in_log, expected);
    });
}

/// Two writers, two buffers, a collector that does everything it can.
#[test]
fn everything_at_once() {
    explore(2, || {
        let (model, mut collected) = Model::new(2, 1, 2);
        let writers: Vec<_> = (0..2)
            .map(|lane| {
                let model = Arc::clone(&model);
                let first = (lane as u64 + 1) * 10;
                thread::spawn(move || write_all(&model, lane, &[first, first + 1]))
            })
            .collect();
        collected.steal(0);
        collected.collect();
        finish(&mut collected, writers.into_iter().map(|w| w.join().unwrap()).collect());
    });
}

fn finish(collected: &mut Collected, accepted: Vec<Vec<u64>>) {
    collected.finish();
    let events = collected.events();
    assert_eq!(of(&events, 1), accepted[0]);
    assert_eq!(of(&events, 2), accepted[1]);
    assert_eq!(events.len(), accepted[0].len() + accepted[1].len());
}
