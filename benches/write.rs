//! What one event costs its caller.
//!
//! Unit: nanoseconds per event. Floors in the same run: `clock` reads the session's clock and does
//! nothing else; `clock+copy` adds the copy of as many bytes as the record has into one 64 KiB
//! buffer. Only accepted events count: a burst fits the ring, and the time until the flusher has
//! emptied it again is not measured. With two threads the slower one's time counts.

use criterion::{Criterion, criterion_group, criterion_main};
use etlring::format::{EventDescriptor, Guid};
use etlring::provider::{Enable, Provider};
use etlring::session::{ClassicEvent, Event, Session};
use etlring::sink::{NullSink, Sink};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Events of one burst and thread: about a buffer full, so that a burst meets the caches as it
/// would in a service and not as a flood would leave them.
const BURST: u64 = 1_000;
const CLASS: ClassicEvent =
    ClassicEvent::new(Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701), 10, 4);
const EVENT: Event<'static> =
    Event::new(Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa), EventDescriptor::new(7, 4));

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    group.sample_size(50);
    floors(&mut group);

    for payload in [8, 28] {
        for threads in [1, 2] {
            group.bench_function(format!("memory/classic/{payload}B/{threads}T"), |b| {
                let session = session(NullSink);
                let bytes = vec![0x5A; payload];
                b.iter_custom(|events| {
                    bursts(&session, events, threads, |s| {
                        s.write_classic(black_box(&CLASS), black_box(&bytes[..])).is_ok()
                    })
                });
                assert_eq!(session.stop().map(|s| s.lost.total()).ok(), Some(0));
            });
        }
    }
    group.bench_function("memory/classic/[u8; 28]/1T", |b| {
        let session = session(NullSink);
        b.iter_custom(|events| {
            bursts(&session, events, 1, |s| {
                s.write_classic(black_box(&CLASS), black_box(&[0x5A; 28])).is_ok()
            })
        });
    });
    group.bench_function("memory/event/28B/1T", |b| {
        let session = session(NullSink);
        b.iter_custom(|events| {
            bursts(&session, events, 1, |s| {
                s.write_event(black_box(&EVENT), black_box(&[0x5A; 28])).is_ok()
            })
        });
    });
    group.bench_function("memory/reserve/28B/1T", |b| {
        use bytes::BufMut;
        let session = session(NullSink);
        b.iter_custom(|events| {
            bursts(&session, events, 1, |s| {
                s.reserve_classic(black_box(&CLASS), 28).is_ok_and(|mut record| {
                    record.put_slice(black_box(&[0x5A; 28]));
                    record.commit().is_ok()
                })
            })
        });
    });
    group.bench_function("disabled", |b| {
        let session = session(NullSink);
        session.set_enabled(false);
        b.iter(|| session.write_classic(black_box(&CLASS), black_box(&[0x5A; 28])));
    });
    group.finish();
}

/// An event through a provider: what it adds to `memory/event`, and what one costs that nobody
/// wants.
fn provider(c: &mut Criterion) {
    let mut group = c.benchmark_group("write-provider");
    group.sample_size(50);
    let guid = EVENT.provider;
    let provider = Provider::register(guid, "Bench");
    let write = || provider.write(black_box(&EVENT.descriptor), black_box(&[0x5A; 28]));
    group.bench_function("disabled", |b| b.iter(write));
    for payload in [28, 100] {
        for threads in [1, 2] {
            group.bench_function(format!("enabled/event/{payload}B/{threads}T"), |b| {
                let session = session(NullSink);
                session.enable_provider(guid, &Enable::new()).expect("enables");
                let bytes = vec![0x5A; payload];
                b.iter_custom(|events| {
                    bursts(&session, events, threads, |_| {
                        provider.write(black_box(&EVENT.descriptor), black_box(&bytes[..])) == Ok(1)
                    })
                });
            });
        }
    }
    group.bench_function("enabled/less-verbose", |b| {
        let session = session(NullSink);
        session.enable_provider(guid, &Enable::new().level(3)).expect("enables");
        b.iter(write);
    });
    group.bench_function("enabled/other-keywords", |b| {
        let session = session(NullSink);
        session.enable_provider(guid, &Enable::new().any_keyword(2)).expect("enables");
        let other = EventDescriptor { keyword: 1.into(), ..EVENT.descriptor };
        b.iter(|| provider.write(black_box(&other), black_box(&[0x5A; 28])));
    });
    group.finish();
}

fn file(c: &mut Criterion) {
    let mut group = c.benchmark_group("write-file");
    group.sample_size(20);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for payload in [8, 28] {
        for threads in [1, 2] {
            group.bench_function(format!("classic/{payload}B/{threads}T"), |b| {
                let path = directory.path().join("bench.etl");
                let session = Session::builder("bench").log_file(&path).start().expect("starts");
                let bytes = vec![0x5A; payload];
                b.iter_custom(|events| {
                    bursts(&session, events, threads, |s| {
                        s.write_classic(black_box(&CLASS), black_box(&bytes[..])).is_ok()
                    })
                });
                drop(session);
            });
        }
    }
    group.finish();
}

fn floors(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    group.bench_function("floor/clock", |b| b.iter(clock));
    group.bench_function("floor/clock+copy/76B", |b| {
        let mut buffer = vec![0u8; 64 * 1024];
        let record = [0x5A; 76];
        let mut at = 0;
        b.iter(|| {
            if at + 80 > buffer.len() {
                at = 0;
            }
            let target = &mut buffer[at..at + 76];
            target.copy_from_slice(black_box(&record));
            target[16..24].copy_from_slice(&clock().to_le_bytes());
            at += 80;
        });
        black_box(&buffer);
    });
}

/// The instruction that the session's clock is.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn clock() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn clock() -> u64 {
    static ZERO: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    ZERO.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn session(sink: impl Sink + 'static) -> Session {
    // All memory from the start: page faults are not what is measured.
    Session::builder("bench").sink(sink).minimum_buffers(512).start().expect("starts")
}

/// Time of the slowest of `threads` for `events` each, in bursts that the ring holds.
fn bursts(
    session: &Session,
    events: u64,
    threads: usize,
    write: impl Fn(&Session) -> bool + Sync,
) -> Duration {
    let together = Barrier::new(threads);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut time = Duration::ZERO;
                    let mut left = events;
                    while left > 0 {
                        let burst = left.min(BURST);
                        together.wait();
                        let start = Instant::now();
                        let accepted = (0..burst).filter(|_| write(session)).count() as u64;
                        time += start.elapsed();
                        assert_eq!(accepted, burst, "an event was lost");
                        left -= burst;
                        together.wait();
                        session.flush().expect("flushes");
                    }
                    time
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).max()
    })
    .unwrap_or_default()
}

criterion_group!(benches, write, provider, file);
criterion_main!(benches);
