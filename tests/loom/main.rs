//! The ring's protocol under every interleaving that loom finds.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --test loom`; without the flag this file is empty.
//! Events are numbers: whatever the schedule, each accepted one must be collected exactly once, in
//! its writer's order, and no byte may be read that another thread is writing. `planted.sh` shows
//! that the models notice what they are there for.
//!
//! Some models are too large to be explored whole and are bounded in how often a thread is preempted;
//! the others are not. loom remembers one last access of each atomic and so misses some
//! orders, depending on who runs first: each model of two threads is therefore explored twice, with
//! either one as the thread that loom starts with.
#![cfg(loom)]

use etlring::session::Discarded;
use etlring::session::model::{Collected, Model};
use loom::model::Builder;
use loom::thread;
use std::sync::Arc;

/// Explores `model` with either thread first.
fn explore(model: fn(Race)) {
    explore_within(None, model);
}

/// The same with at most so many preemptions.
fn explore_within(preemptions: Option<usize>, model: fn(Race)) {
    for writer_first in [false, true] {
        check(preemptions, move || model(Race { writer_first }));
    }
}

fn check(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Runs a writer against the collector.
struct Race {
    writer_first: bool,
}

impl Race {
    /// Both at the same time; gives back what they gave, and the collector.
    fn run<W, C>(
        self,
        model: &Arc<Model>,
        mut collected: Collected,
        writer: impl FnOnce(&Model) -> W + Send + 'static,
        collector: impl FnOnce(&mut Collected) -> C + Send + 'static,
    ) -> (W, C, Collected)
    where
        W: Send + 'static,
        C: Send + 'static,
    {
        let model = Arc::clone(model);
        if self.writer_first {
            let collector = thread::spawn(move || (collector(&mut collected), collected));
            let written = writer(&model);
            let (result, collected) = collector.join().unwrap();
            (written, result, collected)
        } else {
            let writer = thread::spawn(move || writer(&model));
            let result = collector(&mut collected);
            (writer.join().unwrap(), result, collected)
        }
    }
}

/// Writes `events` into `lane`; gives those that were accepted.
fn write_all(model: &Model, lane: usize, events: &[u64]) -> Vec<u64> {
    events.iter().copied().filter(|event| model.write(lane, *event).is_ok()).collect()
}

/// The flusher takes the filled part of a buffer while its writer goes on.
#[test]
fn peek_sees_whole_records_only() {
    explore(|race| {
        let (model, collected) = Model::new(1, 3, 1);
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| [collected.peek(0), collected.peek(0)];
        let (accepted, seen, collected) = race.run(&model, collected, writer, collector);
        assert_eq!(accepted, [11, 12]);
        assert!(seen[1].starts_with(&seen[0]), "{seen:?}");
        assert!([11, 12].starts_with(&seen[1]), "{seen:?}");
        assert_eq!(collected.peek(0), [11, 12]);
    });
}

/// Buffers are switched, collected and used again.
#[test]
fn switch_and_recycle() {
    explore(|race| {
        let (model, collected) = Model::new(2, 1, 1);
        let writer = |model: &Model| write_all(model, 0, &[11, 12, 13]);
        let collector = |collected: &mut Collected| {
            collected.collect();
            collected.collect();
        };
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        assert!(accepted.len() >= 2, "two buffers were free");
        assert_eq!(collected.events(), accepted);
    });
}

/// The flusher takes a buffer back from a lane whose owner wakes up at that moment.
#[test]
fn steal_from_a_waking_lane() {
    explore(|race| {
        let (model, collected) = Model::new(2, 3, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| collected.steal(0);
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        assert_eq!(accepted, [11, 12], "a buffer was free all the time");
        assert_eq!(collected.events(), [10, 11, 12]);
    });
}

/// The same while the owner switches buffers.
#[test]
fn steal_from_a_switching_lane() {
    explore_within(Some(4), |race| {
        let (model, collected) = Model::new(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| {
            collected.steal(0);
            collected.collect();
        };
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        let mut expected = vec![10];
        expected.extend(accepted);
        assert_eq!(collected.events(), expected);
    });
}

/// A thread ends and another one takes its lane, with the buffer that is in it.
#[test]
fn a_lane_changes_hands() {
    let events_of_a_thread = |model: &Model, event: u64| {
        let Some(lane) = model.claim() else { return Vec::new() };
        let accepted = write_all(model, lane, &[event, event + 1]);
        model.disown(lane);
        accepted
    };
    check(None, move || {
        let (model, mut collected) = Model::new(2, 3, 1);
        let other = Arc::clone(&model);
        let other = thread::spawn(move || events_of_a_thread(&other, 11));
        let mine = events_of_a_thread(&model, 21);
        let theirs = other.join().unwrap();
        collected.finish();
        let events = collected.events();
        let of = |number: u64| events.iter().copied().filter(move |event| event / 10 == number);
        assert!(of(1).eq(theirs) && of(2).eq(mine), "{events:?}");
        assert!(!events.is_empty(), "one of them had the lane");
    });
}

/// Whatever was accepted before the stop is in the log; behind it nothing is accepted.
#[test]
fn stop_takes_everything_accepted() {
    explore(|race| {
        let (model, collected) = Model::new(2, 2, 1);
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| {
            collected.finish();
            collected.events()
        };
        let (accepted, in_log, _) = race.run(&model, collected, writer, collector);
        assert_eq!(in_log, accepted);
        assert_eq!(model.write(0, 13), Err(Discarded::Stopped));
    });
}

/// A reservation is open when the session is closed: its commit says what became of it.
#[test]
fn close_out_an_open_reservation() {
    explore(|race| {
        let (model, collected) = Model::new(1, 2, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| {
            let result = model.write(0, 11);
            assert!(model.is_left(0), "whatever became of the record");
            result
        };
        let collector = |collected: &mut Collected| collected.stop_and_close(0);
        let (result, in_log, _) = race.run(&model, collected, writer, collector);
        let mut expected = vec![10];
        if result.is_ok() {
            expected.push(11);
        }
        assert_eq!(in_log, expected);
    });
}

/// The same, but the writer needs a new buffer at that moment.
#[test]
fn close_out_a_writer_that_switches() {
    explore(|race| {
        let (model, collected) = Model::new(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| model.write(0, 11);
        let collector = |collected: &mut Collected| {
            let published = collected.stop_and_close(0);
            collected.collect();
            [collected.events(), published].concat()
        };
        let (result, in_log, _) = race.run(&model, collected, writer, collector);
        assert!(in_log.contains(&10), "{in_log:?}");
        assert_eq!(in_log.contains(&11), result.is_ok());
    });
}

/// Two writers and the collector: what was accepted and what is in the log.
fn two_writers(buffers: u32, collector: fn(&mut Collected)) {
    let (model, mut collected) = Model::new(buffers, 1, 2);
    let writers: Vec<_> = (0..2)
        .map(|lane| {
            let model = Arc::clone(&model);
            let first = (lane as u64 + 1) * 10;
            thread::spawn(move || write_all(&model, lane, &[first, first + 1]))
        })
        .collect();
    collector(&mut collected);
    let accepted: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    collected.finish();
    let events = collected.events();
    for (number, accepted) in (1..).zip(&accepted) {
        let mine: Vec<_> = events.iter().copied().filter(|event| event / 10 == number).collect();
        assert_eq!(&mine, accepted, "writer {number}");
    }
    assert_eq!(events.len(), accepted.concat().len());
    assert!(!events.is_empty());
}

/// More writers than buffers: somebody is refused, nobody waits, nothing is lost unsaid.
#[test]
fn exhaustion_balances() {
    check(None, || two_writers(1, Collected::collect));
}

/// Two writers, two buffers, a collector that does everything it can.
#[test]
fn everything_at_once() {
    check(Some(3), || {
        two_writers(2, |collected| {
            collected.steal(0);
            collected.collect();
        })
    });
}

/// A snapshot reads buffers whose turn to be overwritten comes meanwhile.
#[test]
fn pinned_buffers_are_not_overwritten() {
    explore_within(Some(3), |race| {
        let (model, collected) = Model::overwriting(2, 1, 1);
        assert_eq!(model.write(0, 11), Ok(()));
        let reader = Arc::clone(&model);
        let writer = |model: &Model| write_all(model, 0, &[12, 13]);
        let read = move |_: &mut Collected| [0, 1].map(|index| reader.pin(index));
        let (written, read, _) = race.run(&model, collected, writer, read);
        for (_, sequence, previous, events) in read.into_iter().flatten() {
            assert!(events.len() <= 1 && previous < sequence.max(1));
            if sequence == 1 {
                assert_eq!(events, [11]);
            }
            assert!(events.iter().all(|event| *event == 11 || written.contains(event)));
        }
        // None is lost: one is in hand, unless the last event found none.
        let in_hand = u32::from(written.contains(&13));
        assert_eq!(model.free() + in_hand, 2);
        let now: Vec<_> = [0, 1].iter().filter_map(|index| model.pin(*index)).collect();
        assert_eq!(now.len(), 2);
        let newest = now.iter().max_by_key(|(_, sequence, ..)| *sequence).unwrap();
        assert_eq!(newest.3.last(), written.last().or(Some(&11)));
    });
}

/// Two writers overwrite each other's buffers.
#[test]
fn overwriting_writers_share_no_buffer() {
    check(Some(2), || {
        let (model, _) = Model::overwriting(3, 1, 2);
        let other = Arc::clone(&model);
        let writer = thread::spawn(move || write_all(&other, 0, &[11, 12]));
        let mine = write_all(&model, 1, &[21, 22]);
        let theirs = writer.join().unwrap();
        let now: Vec<_> = (0..3).filter_map(|index| model.pin(index)).collect();
        let events: Vec<u64> = now.iter().flat_map(|(.., events)| events.clone()).collect();
        // Each one's last event is there: it is in its hand.
        for last in [mine.last(), theirs.last()].into_iter().flatten() {
            assert_eq!(events.iter().filter(|event| *event == last).count(), 1);
        }
        assert!(events.iter().all(|event| mine.contains(event) || theirs.contains(event)));
    });
}

/// Every accepted event is in the log or gave way to a newer one, and was counted then.
fn nothing_is_lost_unsaid(model: &Model, in_log: &[u64], accepted: &[u64]) {
    let (gave_way, counted) = model.gave_way();
    assert_eq!(gave_way.len() as u64, counted);
    let mut all = [in_log, &gave_way].concat();
    all.sort_unstable();
    let mut accepted = accepted.to_vec();
    accepted.sort_unstable();
    assert_eq!(all, accepted, "{in_log:?} in the log, {gave_way:?} gave way");
}

/// A writer takes the oldest full buffer back while the flusher collects it.
#[test]
fn a_full_buffer_is_taken_once() {
    explore(|race| {
        let (model, collected) = Model::taking_back(2, 1, 1);
        let writer = |model: &Model| write_all(model, 0, &[11, 12, 13]);
        let collector = |collected: &mut Collected| collected.collect();
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        let in_log = collected.events();
        assert!(in_log.is_sorted());
        assert_eq!(in_log.last(), accepted.last(), "the newest is kept");
        nothing_is_lost_unsaid(&model, &in_log, &accepted);
        assert_eq!(model.free(), 2);
    });
}

/// The flusher writes a part of a buffer that its writer gives up, and wants back, meanwhile.
#[test]
fn what_is_being_written_is_not_taken_back() {
    explore_within(Some(4), |race| {
        let (model, collected) = Model::taking_back(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| collected.put_partial(0);
        let (accepted, mut in_log, mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        let mut written = vec![10];
        written.extend(accepted);
        assert!(in_log.iter().all(|event| written.contains(event)));
        for event in collected.events() {
            if !in_log.contains(&event) {
                in_log.push(event);
            }
        }
        nothing_is_lost_unsaid(&model, &in_log, &written);
    });
}

/// The flusher takes a buffer from the hand, finds its writer busy, and puts it back when that has
/// filled the next one.
#[test]
fn a_buffer_put_back_has_its_own_events() {
    explore_within(Some(3), |race| {
        let (model, collected) = Model::taking_back(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| write_all(model, 0, &[11, 12, 13]);
        let collector = |collected: &mut Collected| collected.steal(0);
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        collected.finish();
        let mut written = vec![10];
        written.extend(accepted);
        let in_log = collected.events();
        nothing_is_lost_unsaid(&model, &in_log, &written);
        assert_eq!(model.free(), 2);
    });
}

/// The session stops while a writer takes a buffer back.
#[test]
fn a_stop_finds_what_was_not_taken_back() {
    explore_within(Some(4), |race| {
        let (model, collected) = Model::taking_back(2, 1, 1);
        model.write(0, 10).unwrap();
        let writer = |model: &Model| write_all(model, 0, &[11, 12]);
        let collector = |collected: &mut Collected| collected.finish();
        let (accepted, (), mut collected) = race.run(&model, collected, writer, collector);
        let mut written = vec![10];
        written.extend(accepted);
        let in_log = collected.events();
        assert_eq!(in_log.last(), written.last(), "the newest is kept");
        nothing_is_lost_unsaid(&model, &in_log, &written);
        assert_eq!(model.free(), 2);
    });
}

/// A lane is closed out whose writer was about to take a buffer back: it does so before, or not at
/// all, or what gave way would be missing from the last counts.
#[test]
fn nothing_gives_way_behind_the_end() {
    explore_within(Some(3), |race| {
        let (model, collected) = Model::taking_back(2, 1, 1);
        assert_eq!(write_all(&model, 0, &[10, 11]), [10, 11]);
        let at_end = Arc::clone(&model);
        let writer = |model: &Model| model.write(0, 12);
        let collector = move |collected: &mut Collected| {
            collected.stop_and_close(0);
            at_end.gave_way().1
        };
        let (_, told, _) = race.run(&model, collected, writer, collector);
        assert_eq!(model.gave_way().1, told);
    });
}

/// Two writers want the same oldest buffer, and so does the flusher.
#[test]
fn two_writers_take_back_what_one_gave_up() {
    check(Some(2), || {
        let (model, mut collected) = Model::taking_back(3, 1, 2);
        let other = Arc::clone(&model);
        let writer = thread::spawn(move || write_all(&other, 0, &[11, 12]));
        let accepted = write_all(&model, 1, &[21, 22]);
        collected.collect();
        let accepted = [accepted, writer.join().unwrap()].concat();
        collected.finish();
        let in_log = collected.events();
        nothing_is_lost_unsaid(&model, &in_log, &accepted);
        assert_eq!(model.free(), 3);
    });
}

/// A writer whose lane has nothing yet takes back what another one gave up.
#[test]
fn a_writer_takes_what_another_gave_up() {
    check(None, || {
        let (model, mut collected) = Model::taking_back(2, 1, 2);
        let other = Arc::clone(&model);
        let writer = thread::spawn(move || write_all(&other, 0, &[11, 12]));
        let mine = write_all(&model, 1, &[21]);
        let accepted = [mine, writer.join().unwrap()].concat();
        collected.finish();
        let in_log = collected.events();
        nothing_is_lost_unsaid(&model, &in_log, &accepted);
        assert_eq!(model.free(), 2);
    });
}
