//! What the benches that run whole recordings measure with.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The cheapest of many rounds of clock reads.
pub(crate) fn clock_ns() -> f64 {
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    // SAFETY: every x86-64 processor has the instruction.
    let read = || unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    let read = Instant::now;
    let round = |_| {
        let start = Instant::now();
        for _ in 0..100_000 {
            black_box(read());
        }
        start.elapsed().as_secs_f64() * 1e9 / 100_000.0
    };
    (0..20).map(round).fold(f64::INFINITY, f64::min)
}

/// CPU time of the whole process.
pub(crate) fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Nanoseconds until a word that one processor writes is seen on another.
///
/// A host moves the processors of a virtual machine about: on one core 20 to 30, in one complex of
/// cores 50 to 80, far apart 250. What is recorded passes from the writer's processor to the
/// flusher's, so no figure of the two means anything without this one. Not a number where there is
/// but one processor.
#[allow(dead_code, reason = "not every bench has two threads")]
pub(crate) fn handover_ns() -> f64 {
    const TIMES: u32 = 20_000;
    if !std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1) {
        return f64::NAN;
    }
    #[repr(align(128))]
    struct Line(AtomicU32);
    let (there, back) = (Line(AtomicU32::new(0)), Line(AtomicU32::new(0)));
    let wait = |line: &Line, turn| while line.0.load(Ordering::Acquire) != turn {};
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1..=TIMES {
                wait(&there, turn);
                back.0.store(turn, Ordering::Release);
            }
        });
        let start = Instant::now();
        for turn in 1..=TIMES {
            there.0.store(turn, Ordering::Release);
            wait(&back, turn);
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(2 * TIMES)
    })
}
