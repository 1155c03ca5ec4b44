//! From the ticks in records to points in time, in whole numbers.

use crate::format::{ClockType, FileTime};

/// What turns ticks into a [`FileTime`]: one known pair and the clock's rate.
///
/// `time = start_time + floor((ticks - start_ticks) * units per tick)`, in 128-bit integers, for
/// each of the three clocks. A rate of zero (a damaged header) counts ticks as 100 ns units, so
/// that records keep their order.
///
/// Source: spec/08-clock.md.
///
/// ```
/// use etlring::codec::TickClock;
/// use etlring::format::{ClockType, FileTime};
/// let clock = TickClock {
///     clock_type: ClockType::QPC,
///     start_ticks: 1_000,
///     start_time: FileTime(132_264_173_104_203_138),
///     perf_freq: 3_000_000,
///     cpu_speed_mhz: 0,
/// };
/// // One tick of a 3 MHz clock is 3 1/3 units of 100 ns, rounded down.
/// assert_eq!(clock.file_time(1_001).0, clock.start_time.0 + 3);
/// assert_eq!(clock.file_time(999).0, clock.start_time.0 - 4);
/// // In nanoseconds it is 333 1/3.
/// assert_eq!(clock.unix_nanos(1_001), clock.start_time.to_unix_nanos() + 333);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TickClock {
    /// Which clock stamped the records.
    pub clock_type: ClockType,
    /// Ticks at [`start_time`](Self::start_time): the stamp of the file's first record.
    pub start_ticks: u64,
    /// `StartTime` of the logfile header.
    pub start_time: FileTime,
    /// Ticks per second of clock 1.
    pub perf_freq: u64,
    /// Million ticks per second of clock 3.
    pub cpu_speed_mhz: u32,
}

impl TickClock {
    /// 100 ns units and ticks that take the same time: `(units, ticks)`.
    const fn rate(&self) -> (i128, i128) {
        match self.clock_type {
            // Today's Windows counts units of 100 ns: nothing to multiply, nothing to divide.
            ClockType::QPC if self.perf_freq == 10_000_000 => (1, 1),
            ClockType::QPC if self.perf_freq != 0 => (10_000_000, self.perf_freq as i128),
            ClockType::CPU_CYCLES if self.cpu_speed_mhz != 0 => (10, self.cpu_speed_mhz as i128),
            _ => (1, 1),
        }
    }

    /// The time of a stamp, exact to the unit and rounded down; saturates at the ends of time.
    #[inline]
    #[must_use]
    pub fn file_time(&self, ticks: u64) -> FileTime {
        let (units, per) = self.rate();
        let since = i128::from(ticks).saturating_sub(i128::from(self.start_ticks));
        if per == 1 && units == 1 {
            return FileTime::saturating(since.saturating_add(i128::from(self.start_time.0)));
        }
        let scaled = since.saturating_mul(units);
        // The quotient of 64-bit numbers is most records' case and costs a tenth.
        let passed = match (i64::try_from(scaled), i64::try_from(per)) {
            (Ok(scaled), Ok(per)) if per > 0 => i128::from(scaled.div_euclid(per)),
            _ => scaled.checked_div_euclid(per).unwrap_or(scaled),
        };
        FileTime::saturating(passed.saturating_add(i128::from(self.start_time.0)))
    }

    /// Nanoseconds since 1970-01-01 UTC of a stamp, rounded down: finer than
    /// [`file_time`](Self::file_time) where the clock is.
    #[must_use]
    pub fn unix_nanos(&self, ticks: u64) -> i128 {
        let (units, per) = self.rate();
        let since = i128::from(ticks).saturating_sub(i128::from(self.start_ticks));
        let scaled = since.saturating_mul(units).saturating_mul(100);
        let passed = scaled.checked_div_euclid(per).unwrap_or(scaled);
        self.start_time.to_unix_nanos().saturating_add(passed)
    }

    /// The stamp of this clock for the moment at which `other` stamped `ticks`; `None` if that lies
    /// before this clock's zero or behind its end.
    ///
    /// Exact in whole numbers and rounded down to a tick, but never to one whose
    /// [`file_time`](Self::file_time) is earlier than that of the original: so both say the same
    /// 100 ns if this clock ticks at 10 MHz or faster, and else the first tick not before them. Of
    /// two stamps the later one never becomes the earlier one.
    #[must_use]
    pub fn ticks_from(&self, other: &Self, ticks: u64) -> Option<u64> {
        let least = self.ticks_at(other.file_time(ticks));
        let exact = self.exact_ticks_from(other, ticks).unwrap_or(least);
        u64::try_from(exact.max(least)).ok()
    }

    /// The same rounded down; `None` if a step does not fit, which no real clock's does.
    fn exact_ticks_from(&self, other: &Self, ticks: u64) -> Option<i128> {
        let (units, per) = self.rate();
        let (other_units, other_per) = other.rate();
        // In 1 / (10 MHz * other_per): from this clock's anchor to the moment.
        let apart = i128::from(other.start_time.0).checked_sub(i128::from(self.start_time.0))?;
        let since = i128::from(ticks).checked_sub(i128::from(other.start_ticks))?;
        let passed = apart.checked_mul(other_per)?.checked_add(since.checked_mul(other_units)?)?;
        let scale = other_per.checked_mul(units)?;
        let (whole, rest) = (passed.checked_div_euclid(scale)?, passed.checked_rem_euclid(scale)?);
        let ticks = whole
            .checked_mul(per)?
            .checked_add(rest.checked_mul(per)?.checked_div_euclid(scale)?)?;
        ticks.checked_add(i128::from(self.start_ticks))
    }

    /// An anchor of the same clock that lies at or before `time`, by whole periods in which ticks
    /// and units of 100 ns meet, so that no time changes by it; the clock itself if there is none.
    #[must_use]
    pub fn anchored_before(&self, time: FileTime) -> Self {
        let early = i128::from(self.start_time.0).saturating_sub(i128::from(time.0)).max(0);
        self.anchored_earlier(early).unwrap_or(*self)
    }

    fn anchored_earlier(&self, by: i128) -> Option<Self> {
        let (units, per) = self.rate();
        let (mut common, mut rest) = (units, per);
        while rest != 0 {
            (common, rest) = (rest, common.checked_rem(rest)?);
        }
        let (units, per) = (units.checked_div(common)?, per.checked_div(common)?);
        // Rounded up, in whole periods.
        let periods = by.checked_add(units.checked_sub(1)?)?.checked_div_euclid(units)?;
        let ticks = i128::from(self.start_ticks).checked_sub(periods.checked_mul(per)?)?;
        let time = i128::from(self.start_time.0).checked_sub(periods.checked_mul(units)?)?;
        let start_time = FileTime(i64::try_from(time).ok()?);
        Some(Self { start_ticks: u64::try_from(ticks).ok()?, start_time, ..*self })
    }

    /// The first stamp whose time is not before `time`: where a seek starts.
    #[must_use]
    pub fn first_ticks(&self, time: FileTime) -> u64 {
        // Times that lie before all that a `FileTime` can say read as this one.
        if time.0 == i64::MIN {
            return 0;
        }
        let ticks = self.ticks_at(time);
        u64::try_from(ticks.clamp(0, i128::from(u64::MAX))).unwrap_or_default()
    }

    /// The same wherever it lies.
    fn ticks_at(&self, time: FileTime) -> i128 {
        let (units, per) = self.rate();
        let passed = i128::from(time.0).saturating_sub(i128::from(self.start_time.0));
        let scaled = passed.saturating_mul(per);
        // Rounded up: floor(ticks * units / per) >= passed needs ticks >= passed * per / units.
        let since = scaled.saturating_neg().checked_div_euclid(units).unwrap_or(0).saturating_neg();
        since.saturating_add(i128::from(self.start_ticks))
    }
}
