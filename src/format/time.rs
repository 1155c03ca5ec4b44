//! Points in time and the clocks that stamp records.

/// Units of a [`FileTime`] in a second.
pub const TICKS_PER_SECOND: i64 = 10_000_000;

/// A `FILETIME`: 100-nanosecond units since 1601-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime(pub i64);

impl FileTime {
    /// 1970-01-01 00:00 UTC.
    pub const UNIX_EPOCH: Self = Self(116_444_736_000_000_000);

    /// From nanoseconds since 1970-01-01 UTC, rounded down; saturates at the ends of the range.
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Self {
        let units = nanos.div_euclid(100).saturating_add(i128::from(Self::UNIX_EPOCH.0));
        Self::saturating(units)
    }

    /// Nanoseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn to_unix_nanos(self) -> i128 {
        i128::from(self.0).saturating_sub(i128::from(Self::UNIX_EPOCH.0)).saturating_mul(100)
    }

    /// The nearest representable time to this many units since 1601.
    #[must_use]
    pub fn saturating(units: i128) -> Self {
        let clamped = units.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self(i64::try_from(clamped).unwrap_or_default())
    }
}

/// Which clock stamped the records of a log file (`TRACE_LOGFILE_HEADER.ReservedFlags`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockType(pub u32);

named_values!(ClockType {
    /// A counter of `PerfFreq` ticks a second (`QueryPerformanceCounter`).
    QPC = 1 "performance counter",
    /// A `FILETIME` in every record.
    SYSTEM_TIME = 2 "system time",
    /// The processor's cycle counter, `CpuSpeedInMHz` million ticks a second.
    CPU_CYCLES = 3 "cpu cycles",
});
