//! How a peer is measured; see the top of `main.rs`.

use crate::Peer;
use std::fmt;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// Calls of one burst, and the pause behind it.
const BURST: u64 = 1_000;
const PAUSE: Duration = Duration::from_millis(2);
/// Bursts that are not measured: threads start, pages are touched.
const WARM_UP: u64 = 20;
/// Calls that are paced come so often, nanoseconds apart.
const PACE: f64 = 1_000.0;
/// Calls that are timed, at most: 300 bursts, or as many that are paced.
const MOST_CALLS: u64 = 300 * BURST;

const TEXT: &str = "sixteen letters!";

/// One measurement.
pub struct Task {
    pub long: bool,
    pub way: Way,
    /// Events of each thread.
    pub events: u64,
    pub directory: PathBuf,
}

/// How events come.
#[derive(Clone, Copy)]
pub enum Way {
    /// Single calls, in bursts with pauses between them.
    Bursts,
    /// Single calls, one each microsecond, by a thread that never sleeps.
    Paced,
    /// So many threads log flat out.
    FlatOut(usize),
}

impl Way {
    /// By its word on the command line.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "calls" => Some(Self::Bursts),
            "paced" => Some(Self::Paced),
            threads => threads.parse().ok().map(Self::FlatOut),
        }
    }
}

/// What came out of it.
pub enum Outcome {
    /// Nanoseconds of a call.
    Calls {
        p50: f64,
        p99: f64,
        p999: f64,
    },
    Kept {
        attempted: u64,
        kept: u64,
        seconds: f64,
        cpu_seconds: f64,
        bytes: u64,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Calls { p50, p99, p999 } => {
                write!(f, "p50={p50:.0} p99={p99:.0} p99.9={p999:.0}")
            }
            Self::Kept { attempted, kept, seconds, cpu_seconds, bytes } => {
                let each = |what: f64| if kept == 0 { f64::NAN } else { what / kept as f64 };
                let lost = 100.0 * attempted.saturating_sub(kept) as f64 / attempted as f64;
                write!(
                    f,
                    "kept={:.2} lost={lost:.1} cpu={:.1} bytes={:.1}",
                    kept as f64 / seconds / 1e6,
                    each(cpu_seconds * 1e9),
                    each(bytes as f64)
                )
            }
        }
    }
}

/// Measures one peer.
pub fn run<P: Peer>(task: &Task) -> Outcome {
    if task.long {
        each::<P>(task, |peer, n| peer.long(n, 7, black_box(TEXT)))
    } else {
        each::<P>(task, |peer, n| peer.short(n))
    }
}

fn each<P: Peer>(task: &Task, write: impl Fn(&P, u64) + Sync) -> Outcome {
    match task.way {
        Way::Bursts => bursts::<P>(task, write),
        Way::Paced => paced::<P>(task, write),
        Way::FlatOut(threads) => flat_out::<P>(task, threads, write),
    }
}

fn paced<P: Peer>(task: &Task, write: impl Fn(&P, u64)) -> Outcome {
    let peer = P::start(&task.directory);
    let (warm_up, measured) = (WARM_UP * BURST, task.events.min(MOST_CALLS));
    let mut times = Vec::with_capacity(measured as usize);
    let step = (PACE / clock::ns_per_tick()) as u64;
    let mut next = clock::now();
    peer.batch(|| {
        for n in 0..warm_up + measured {
            while clock::now() < next {}
            next += step;
            let start = clock::now();
            write(&peer, black_box(n));
            let ticks = clock::now() - start;
            if n >= warm_up {
                times.push(ticks);
            }
        }
    });
    peer.finish();
    of_calls(times)
}

fn bursts<P: Peer>(task: &Task, write: impl Fn(&P, u64)) -> Outcome {
    let peer = P::start(&task.directory);
    let measured = task.events.min(MOST_CALLS).next_multiple_of(BURST);
    let mut times = Vec::with_capacity(measured as usize);
    for burst in 0..WARM_UP + measured / BURST {
        peer.batch(|| {
            for n in 0..BURST {
                let start = clock::now();
                write(&peer, black_box(n));
                let ticks = clock::now() - start;
                if burst >= WARM_UP {
                    times.push(ticks);
                }
            }
        });
        std::thread::sleep(PAUSE);
    }
    peer.finish();
    of_calls(times)
}

/// What calls took, without the clock that timed them.
fn of_calls(mut times: Vec<u64>) -> Outcome {
    let nothing = {
        let mut empty: Vec<_> = (0..10_000)
            .map(|_| {
                let start = clock::now();
                clock::now() - start
            })
            .collect();
        empty.sort_unstable();
        empty[empty.len() / 2]
    };
    times.sort_unstable();
    let ns = clock::ns_per_tick();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share) as usize).min(times.len() - 1);
        times[index].saturating_sub(nothing) as f64 * ns
    };
    Outcome::Calls { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

fn flat_out<P: Peer>(task: &Task, threads: usize, write: impl Fn(&P, u64) + Sync) -> Outcome {
    let peer = P::start(&task.directory);
    // One event of each thread before the start: what a thread's first event takes is not
    // measured. It is attempted and may be kept, like any other.
    let together = Barrier::new(threads + 1);
    let (start, cpu) = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                peer.batch(|| write(&peer, 0));
                together.wait();
                for first in (1..task.events).step_by(BURST as usize) {
                    let end = task.events.min(first + BURST);
                    peer.batch(|| (first..end).for_each(|n| write(&peer, black_box(n))));
                }
            });
        }
        // Taken before anybody may go: a thread that is quick must not be left out.
        let start = (Instant::now(), cpu_seconds());
        together.wait();
        start
    });
    peer.finish();
    Outcome::Kept {
        attempted: task.events * threads as u64,
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
        kept: P::kept(&task.directory),
        bytes: bytes(&task.directory),
    }
}

/// CPU time of the whole process.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writes.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the process has a clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The files of a directory.
pub fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory of the logs");
    entries.map(|entry| entry.expect("readable").path()).filter(|path| path.is_file())
}

fn bytes(directory: &Path) -> u64 {
    files(directory).map(|path| fs::metadata(path).expect("readable").len()).sum()
}

/// Lines that are events: other lines, about lost ones, say, do not count.
pub fn lines(directory: &Path) -> u64 {
    let mut count = 0;
    for path in files(directory) {
        let mut text = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut text)).expect("readable");
        count += text.split(|byte| *byte == b'\n').filter(|line| is_event(line)).count() as u64;
    }
    count
}

/// Every peer writes the first value as `a=`.
fn is_event(line: &[u8]) -> bool {
    line.windows(2).any(|pair| pair == b"a=")
}

/// The stamp of an event that nobody else stamps.
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has the instruction.
    unsafe {
        core::arch::x86_64::_rdtsc()
    }
    #[cfg(not(target_arch = "x86_64"))]
    clock::now()
}

/// The processor's counter, with what stands before it done: a call must not leak out of its
/// measurement.
#[cfg(target_arch = "x86_64")]
mod clock {
    use core::arch::x86_64::{_mm_lfence, _rdtsc};
    use std::time::{Duration, Instant};

    #[inline(always)]
    pub fn now() -> u64 {
        // SAFETY: every x86-64 processor has both instructions.
        unsafe {
            _mm_lfence();
            let now = _rdtsc();
            _mm_lfence();
            now
        }
    }

    pub fn ns_per_tick() -> f64 {
        let (time, ticks) = (Instant::now(), now());
        std::thread::sleep(Duration::from_millis(50));
        time.elapsed().as_nanos() as f64 / (now() - ticks) as f64
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod clock {
    use std::sync::OnceLock;
    use std::time::Instant;

    pub fn now() -> u64 {
        static ZERO: OnceLock<Instant> = OnceLock::new();
        ZERO.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub fn ns_per_tick() -> f64 {
        1.0
    }
}
