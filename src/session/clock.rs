//! The session's clock: one read per event, and its anchors to the wall clock.
//!
//! The performance counter is the processor's invariant counter where it has one (the TSC on
//! x86-64, the generic timer on aarch64), read in user mode without a fence: 9 ns where
//! `clock_gettime` takes 21. Elsewhere it is the system's monotonic clock in nanoseconds.
//!
//! # Rate
//!
//! A counter's rate is what the processor says, where it does (aarch64), or measured against the
//! monotonic clock, once per process over 10 ms; and measured again at stop, over the session's
//! whole life and against the wall clock. A pair (ticks, time) is taken by reading the counter
//! before and after the clock, eight times, and keeping the tightest pair. It is good to some
//! 20 ns, so the first measure is good to some parts per million and the last one to much less.

use crate::format::{ClockType, FileTime};
use std::sync::OnceLock;
#[cfg(not(unix))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far two rates of one clock, or a clock and the wall clock, may drift apart, in parts per
/// million: more is slewed by no system.
pub(crate) const DRIFT_PPM: u64 = 500;

/// Which clock stamps the events of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Clock {
    /// Clock type 1: the invariant cycle counter at its measured rate where there is one, else the
    /// monotonic clock in nanoseconds. Cheapest and finest.
    #[default]
    PerformanceCounter,
    /// Clock type 2: the wall clock, a `FILETIME` per event. May be set back by the system; stamps
    /// of one lane still never run backwards.
    SystemTime,
    /// Clock type 3: the cycle counter, whose rate a log tells in whole megahertz. Where that would
    /// be off by more than a clock may drift (generic timers count 19.2 or 62.5 MHz), it is the
    /// monotonic clock, at 1,000 MHz.
    CpuCycles,
    /// Clock type 1 as the session's flusher last looked at it: the cheapest stamp, a load. It
    /// stands still between two turns of the flusher, 2 ms when it has little to do and as long as
    /// the disk takes when it has much.
    FlusherTick,
}

impl Clock {
    /// The number that the logfile header has for it.
    #[must_use]
    pub fn clock_type(self) -> ClockType {
        match self {
            Self::PerformanceCounter | Self::FlusherTick => ClockType::QPC,
            Self::SystemTime => ClockType::SYSTEM_TIME,
            Self::CpuCycles => ClockType::CPU_CYCLES,
        }
    }
}

/// Numbers of clocks and of ways to read them, for other processes.
#[cfg(unix)]
impl Clock {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::PerformanceCounter => 1,
            Self::SystemTime => 2,
            Self::CpuCycles => 3,
            Self::FlusherTick => 4,
        }
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        let all = [Self::PerformanceCounter, Self::SystemTime, Self::CpuCycles, Self::FlusherTick];
        all.into_iter().find(|clock| clock.number() == number)
    }
}

#[cfg(unix)]
impl Source {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Counter => 1,
            Self::Tick => 2,
            Self::Monotonic => 3,
            Self::SystemTime => 4,
        }
    }
}

/// How a session's clock is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// The processor's invariant counter.
    Counter,
    /// The same, read by the flusher for everybody.
    Tick,
    /// Nanoseconds of the monotonic clock.
    Monotonic,
    /// A `FILETIME`.
    SystemTime,
}

impl Source {
    /// The best source for `clock` on this machine.
    pub(crate) fn of(clock: Clock) -> Self {
        match clock {
            Clock::SystemTime => Self::SystemTime,
            _ if !counter::is_invariant() => Self::Monotonic,
            Clock::FlusherTick => Self::Tick,
            Clock::CpuCycles if !is_whole_megahertz(counter_frequency()) => Self::Monotonic,
            Clock::PerformanceCounter | Clock::CpuCycles => Self::Counter,
        }
    }

    /// The time now, in ticks.
    #[inline(always)]
    pub(crate) fn now(self) -> u64 {
        if self.is_quick() { counter::read() } else { self.ask_the_system() }
    }

    /// Whether a stamp is had without a call.
    #[inline(always)]
    pub(crate) fn is_quick(self) -> bool {
        matches!(self, Self::Counter | Self::Tick)
    }

    /// Apart, so that the hot path stays small where it is inlined.
    #[inline(never)]
    fn ask_the_system(self) -> u64 {
        match self {
            Self::Counter | Self::Tick => counter::read(),
            Self::Monotonic => monotonic_nanos(),
            Self::SystemTime => u64::try_from(wall_clock().0).unwrap_or_default(),
        }
    }
}

/// The same moment on the session's clock, the monotonic clock and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) ticks: u64,
    pub(crate) nanos: u64,
    pub(crate) time: FileTime,
}

impl Anchor {
    /// The tightest of eight readings.
    pub(crate) fn take(source: Source) -> Self {
        let read = || {
            let before = source.now();
            let (time, nanos) = (wall_clock(), monotonic_nanos());
            let after = source.now();
            let gap = after.saturating_sub(before);
            (gap, Self { ticks: before.saturating_add(gap / 2), nanos, time })
        };
        let best = (0..8).map(|_| read()).min_by_key(|(gap, _)| *gap);
        let (_, mut anchor) = best.unwrap_or_else(read);
        if matches!(source, Source::SystemTime) {
            // The stamp is the time: the first record's must equal StartTime.
            anchor.ticks = u64::try_from(anchor.time.0).unwrap_or_default();
        }
        anchor
    }
}

/// Ticks per second of `source`, as well as this process knows it by now.
pub(crate) fn frequency(source: Source) -> u64 {
    match source {
        Source::Counter | Source::Tick => counter_frequency(),
        Source::Monotonic => 1_000_000_000,
        Source::SystemTime => 10_000_000,
    }
}

/// Ticks per second between two anchors of a session, for its whole life.
///
/// Against the wall clock, so that the end of a long log meets it; but against the monotonic clock
/// if somebody set the wall clock in between. `None` if the anchors are too close to do better
/// than `frequency`.
pub(crate) fn refined_frequency(source: Source, start: &Anchor, stop: &Anchor) -> Option<u64> {
    if !source.is_quick() {
        return None;
    }
    let ticks = u128::from(stop.ticks.checked_sub(start.ticks)?);
    let nanos = u128::from(stop.nanos.checked_sub(start.nanos)?);
    if nanos < 1_000_000_000 {
        return None;
    }
    let wall = u128::try_from((stop.time.0.checked_sub(start.time.0)?).checked_mul(100)?).ok()?;
    // A disciplined clock is slewed by at most 500 ppm; more than that was a step.
    let nanos = if wall.abs_diff(nanos) <= nanos / 1_000_000 * u128::from(DRIFT_PPM) {
        wall
    } else {
        nanos
    };
    u64::try_from((ticks * 1_000_000_000 + nanos / 2) / nanos).ok()
}

/// Whole megahertz, as a log has the rate of clock type 3.
pub(crate) fn megahertz(rate: u64) -> u32 {
    u32::try_from((rate + 500_000) / 1_000_000).unwrap_or(u32::MAX).max(1)
}

/// Whether a rate is told by its whole megahertz, to within the drift that clocks have anyway.
fn is_whole_megahertz(rate: u64) -> bool {
    (u64::from(megahertz(rate)) * 1_000_000).abs_diff(rate) <= rate / 1_000_000 * DRIFT_PPM
}

/// What the processor says, or what is measured: once per process, and better at each later call.
fn counter_frequency() -> u64 {
    static FIRST: OnceLock<(Anchor, u64)> = OnceLock::new();
    const FIRST_SPAN: Duration = Duration::from_millis(10);

    let between = |start: &Anchor, stop: &Anchor| {
        let ticks = u128::from(stop.ticks.saturating_sub(start.ticks));
        let nanos = u128::from(stop.nanos.saturating_sub(start.nanos)).max(1);
        u64::try_from(ticks * 1_000_000_000 / nanos).unwrap_or(u64::MAX).max(1)
    };
    if let Some(told) = counter::frequency() {
        return told;
    }
    let (start, first) = FIRST.get_or_init(|| {
        let start = Anchor::take(Source::Counter);
        std::thread::sleep(FIRST_SPAN);
        (start, between(&start, &Anchor::take(Source::Counter)))
    });
    let now = Anchor::take(Source::Counter);
    if now.nanos.saturating_sub(start.nanos) > 100_000_000 { between(start, &now) } else { *first }
}

/// Whoever reads the clock behind this reads it behind all that was loaded before.
///
/// A processor may read its counter while it still waits for a word that another thread has
/// written. Where a lane passes from thread to thread, the stamp of the new one's first event could
/// so lie before that of the old one's last.
#[inline(always)]
pub(crate) fn after_loads() {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    #[allow(unused_unsafe, reason = "safe from Rust 1.87 on")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        core::arch::x86_64::_mm_lfence();
    }
}

/// The wall clock.
pub(crate) fn wall_clock() -> FileTime {
    let now = SystemTime::now();
    let nanos = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    };
    FileTime::from_unix_nanos(nanos)
}

/// When the machine started, as far as the system tells.
pub(crate) fn boot_time() -> FileTime {
    #[cfg(target_os = "linux")]
    {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let nanos = i128::from(up.tv_sec) * 1_000_000_000 + i128::from(up.tv_nsec);
        FileTime::saturating(i128::from(wall_clock().0) - nanos / 100)
    }
    #[cfg(not(target_os = "linux"))]
    wall_clock()
}

/// The calling thread's number, as other tools show it.
pub(crate) fn thread_id() -> u32 {
    #[cfg(target_os = "linux")]
    {
        u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or_default()
    }
    #[cfg(not(target_os = "linux"))]
    {
        // No portable number: the order in which threads first asked.
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(1);
        thread_local!(static MINE: u32 = NEXT.fetch_add(1, Ordering::Relaxed));
        MINE.try_with(|mine| *mine).unwrap_or_default()
    }
}

#[inline]
fn monotonic_nanos() -> u64 {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        u64::try_from(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec))
            .unwrap_or_default()
    }
    #[cfg(not(unix))]
    {
        static ZERO: OnceLock<Instant> = OnceLock::new();
        u64::try_from(ZERO.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    use core::arch::x86_64::{__cpuid, _rdtsc, CpuidResult};
    use std::sync::OnceLock;

    /// Whether the TSC runs at one rate through every power state (CPUID 8000_0007, EDX bit 8).
    pub(super) fn is_invariant() -> bool {
        static INVARIANT: OnceLock<bool> = OnceLock::new();
        *INVARIANT.get_or_init(|| {
            const POWER: u32 = 0x8000_0007;
            cpuid(0x8000_0000).eax >= POWER && cpuid(POWER).edx & 1 << 8 != 0
        })
    }

    fn cpuid(leaf: u32) -> CpuidResult {
        #[allow(unused_unsafe, reason = "a safe function in newer compilers")]
        // SAFETY: every x86-64 processor has the instruction.
        unsafe {
            __cpuid(leaf)
        }
    }

    /// Not told: it is measured.
    pub(super) fn frequency() -> Option<u64> {
        None
    }

    /// The counter, unfenced: the order that matters is that of one thread's own reads. Where a
    /// lane changes hands there is `after_loads`.
    #[inline(always)]
    pub(super) fn read() -> u64 {
        // SAFETY:
        // - RDTSC exists on every x86-64 processor and has no operands.
        // - A system that forbids it in user mode (CR4.TSD) faults; no such system runs programs
        //   of this kind, since the vDSO of Linux uses the instruction too.
        unsafe { _rdtsc() }
    }
}

#[cfg(target_arch = "aarch64")]
mod counter {
    /// The generic timer runs at one rate by architecture.
    pub(super) fn is_invariant() -> bool {
        true
    }

    /// Ticks per second, as the system's firmware has set it; zero where it forgot to.
    pub(super) fn frequency() -> Option<u64> {
        let rate: u64;
        // SAFETY:
        // - CNTFRQ_EL0 is readable in user mode wherever CNTVCT_EL0 is: one bit allows both.
        // - The instruction writes one register and touches no memory.
        unsafe {
            core::arch::asm!("mrs {}, cntfrq_el0", out(reg) rate, options(nomem, nostack));
        }
        Some(rate).filter(|rate| *rate != 0)
    }

    /// The virtual counter.
    #[inline(always)]
    pub(super) fn read() -> u64 {
        let ticks: u64;
        // SAFETY:
        // - CNTVCT_EL0 is readable in user mode on every system that the standard library
        //   supports; the vDSO of Linux reads it too.
        // - The instruction writes one register and touches no memory.
        unsafe {
            core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack));
        }
        ticks
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod counter {
    pub(super) fn is_invariant() -> bool {
        false
    }

    pub(super) fn frequency() -> Option<u64> {
        None
    }

    pub(super) fn read() -> u64 {
        super::monotonic_nanos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_in_megahertz_if_that_is_no_more_than_drift() {
        for rate in [24_000_000, 25_000_000, 1_000_000_000, 2_595_998_112, 2_449_500_000] {
            assert!(is_whole_megahertz(rate), "{rate}");
        }
        for rate in [19_200_000, 62_500_000, 24_576_000, 800_500_000] {
            assert!(!is_whole_megahertz(rate), "{rate}");
        }
    }

    #[test]
    fn a_rate_that_the_processor_tells_is_that_of_its_counter() {
        let Some(rate) = counter::frequency() else { return };
        let (ticks, nanos) = (counter::read(), monotonic_nanos());
        std::thread::sleep(Duration::from_millis(100));
        let (ticks, nanos) = (counter::read() - ticks, monotonic_nanos() - nanos);
        let measured = u128::from(ticks) * 1_000_000_000 / u128::from(nanos);
        // A thread may be put aside between the two readings, for milliseconds.
        assert!(u128::from(rate).abs_diff(measured) < measured / 4, "{rate} {measured}");
    }
}
