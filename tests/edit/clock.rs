//! Stamps of one clock on another.

use etlring::codec::TickClock;
use etlring::format::{ClockType, FileTime};

fn qpc(start_ticks: u64, start_time: i64, perf_freq: u64) -> TickClock {
    TickClock {
        clock_type: ClockType::QPC,
        start_ticks,
        start_time: FileTime(start_time),
        perf_freq,
        cpu_speed_mhz: 0,
    }
}

const TIME: i64 = 132_264_173_104_203_138;

#[test]
fn times_stay_the_same_on_clocks_that_can_say_them() {
    let clocks = [
        qpc(1 << 40, TIME, 10_000_000),
        qpc(77_000_000_123, TIME - 999_999_999, 2_596_123_457),
        qpc(50_000_000_000, TIME + 12_345, 3_579_545),
        qpc(50_000_000_000, TIME + 12_345, 14_318_180),
        TickClock {
            clock_type: ClockType::SYSTEM_TIME,
            start_ticks: TIME as u64,
            ..qpc(0, TIME, 1)
        },
        TickClock {
            clock_type: ClockType::CPU_CYCLES,
            cpu_speed_mhz: 2_398,
            ..qpc(9 << 40, TIME, 0)
        },
    ];
    for one in &clocks {
        for other in &clocks {
            let rate = if one.clock_type == ClockType::QPC { one.perf_freq } else { 10_000_000 };
            let mut last = 0;
            for step in 0..20_000u64 {
                let ticks = other.start_ticks + step * 7_919 + step % 3;
                let Some(new) = one.ticks_from(other, ticks) else { panic!("{one:?} {other:?}") };
                assert!(new >= last, "order is kept");
                last = new;
                let (was, is) = (other.file_time(ticks).0, one.file_time(new).0);
                if rate >= 10_000_000 {
                    assert_eq!(is, was, "{one:?} {other:?} {ticks}");
                } else {
                    // The first tick that is not before it.
                    assert!(was <= is && is - was <= 10_000_000 / rate as i64 + 1);
                    assert!(one.file_time(new - 1).0 < was);
                }
                if one == other {
                    assert_eq!(new, ticks);
                }
            }
        }
    }
}

#[test]
fn exact_to_the_tick_where_a_tick_is_less_than_100_ns() {
    // Of 3 GHz on 2 GHz: two ticks for three, and nothing of the 100 ns between.
    let (one, other) = (qpc(1_000, TIME, 2_000_000_000), qpc(5_000, TIME, 3_000_000_000));
    for ticks in 0..1_000 {
        assert_eq!(one.ticks_from(&other, 5_000 + ticks), Some(1_000 + ticks * 2 / 3));
    }
}

#[test]
fn what_cannot_be_said_is_none() {
    let (one, earlier) = (qpc(1_000, TIME, 10_000_000), qpc(0, TIME - 1_001, 10_000_000));
    assert_eq!(one.ticks_from(&earlier, 1), Some(0));
    assert_eq!(one.ticks_from(&earlier, 0), None);
    // Whatever a header says, nothing overflows.
    let odd = [0, 1, u64::MAX >> 1, u64::MAX];
    for freq in odd {
        for ticks in odd {
            for time in [i64::MIN, -1, 0, i64::MAX] {
                let clock = qpc(ticks, time, freq);
                let _ = one.ticks_from(&clock, ticks);
                let _ = clock.ticks_from(&one, ticks);
                let _ = clock.anchored_before(FileTime(-time.saturating_add(1)));
            }
        }
    }
}

#[test]
fn an_earlier_anchor_changes_no_time() {
    for freq in [10_000_000, 2_338_525, 2_596_123_457, 0] {
        let clock = qpc(1 << 50, TIME, freq);
        let early = clock.anchored_before(FileTime(TIME - 123_456_789));
        assert!(early.start_time.0 <= TIME - 123_456_789 && early.start_ticks < clock.start_ticks);
        for step in 0..10_000 {
            let ticks = early.start_ticks + step * 104_729;
            assert_eq!(early.file_time(ticks), clock.file_time(ticks));
        }
        assert_eq!(clock.anchored_before(FileTime(TIME)), clock);
    }
}
