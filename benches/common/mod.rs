//! What the benches that run whole recordings measure with.

use std::hint::black_box;
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
