//! Dates and times as text, without a calendar library.

use core::fmt;

const UNITS_PER_DAY: u64 = 864_000_000_000;
/// Days from 0000-03-01, where a cycle of 400 years starts, to 1601-01-01.
const DAYS_TO_1601: u64 = 584_694;
const DAYS_PER_CYCLE: u64 = 146_097;

/// Writes 100 ns units since 1601 as RFC 3339 in UTC with seven digits of the second:
/// `2020-02-17T12:48:30.4203138Z`. A year beyond 9999 is written as the number.
pub(super) fn file_time(f: &mut fmt::Formatter<'_>, units: u64) -> fmt::Result {
    let (day, rest) = (units / UNITS_PER_DAY, units % UNITS_PER_DAY);
    let (year, month, day) = civil(day.saturating_add(DAYS_TO_1601));
    if year > 9999 {
        return write!(f, "{units}");
    }
    let (second, fraction) = (rest / 10_000_000, rest % 10_000_000);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z")
}

/// Year, month and day of a number of days since 0000-03-01. The year is counted from March, so
/// that the leap day is its last day, and a month's start is a linear function of its number.
#[expect(clippy::arithmetic_side_effects, reason = "days of 64-bit FILETIMEs are below 2^25")]
fn civil(days: u64) -> (u64, u64, u64) {
    let (cycle, in_cycle) = (days / DAYS_PER_CYCLE, days % DAYS_PER_CYCLE);
    let year = (in_cycle - in_cycle / 1460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + carry, month, day)
}

/// Writes the eight words of a `SYSTEMTIME` as `2020-02-17T12:48:30.420`, with a `Z` if it is UTC.
pub(super) fn system_time(f: &mut fmt::Formatter<'_>, words: [u16; 8], utc: bool) -> fmt::Result {
    let [year, month, _, day, hour, minute, second, milli] = words;
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}")?;
    if utc { f.write_str("Z") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    struct At(u64);
    impl core::fmt::Display for At {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            super::file_time(f, self.0)
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(At(0).to_string(), "1601-01-01T00:00:00.0000000Z");
        assert_eq!(At(132_264_173_104_203_138).to_string(), "2020-02-17T12:48:30.4203138Z");
        assert_eq!(At(116_444_736_000_000_000).to_string(), "1970-01-01T00:00:00.0000000Z");
        // 2000-02-29, a leap day in a year that is a multiple of 400, and the day behind it.
        assert_eq!(At(125_962_560_000_000_000).to_string(), "2000-02-29T00:00:00.0000000Z");
        assert_eq!(At(125_963_424_000_000_000).to_string(), "2000-03-01T00:00:00.0000000Z");
        assert_eq!(At(2_650_467_743_999_999_999).to_string(), "9999-12-31T23:59:59.9999999Z");
        assert_eq!(At(2_650_467_744_000_000_000).to_string(), "2650467744000000000");
        assert_eq!(At(u64::MAX).to_string(), u64::MAX.to_string());
    }

    #[test]
    fn days_follow_each_other() {
        let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut at = super::DAYS_TO_1601;
        for year in 1601..2500u64 {
            for (month, length) in (1..).zip(days) {
                let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
                let length = if month == 2 && leap { 29 } else { length };
                for day in 1..=length {
                    assert_eq!(super::civil(at), (year, month, day));
                    at += 1;
                }
            }
        }
    }
}
