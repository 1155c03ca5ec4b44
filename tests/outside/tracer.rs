//! A process that is killed at a system call of its own, whichever of its threads makes it.
//!
//! strace counts the calls of each thread by itself, so it cannot be told "the hundredth of this
//! process". This stops a process at each call, entering and leaving it, and counts them all.

use std::fs;
use std::io::Error;
use std::ptr::null_mut;

/// What became of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traced {
    /// How often it stopped at a call.
    pub(crate) stops: u32,
    /// It did not get further than that.
    pub(crate) killed: bool,
    /// How it ended, as `waitpid` tells it.
    pub(crate) status: i32,
}

/// Kills `process` when it stops for the `nth` time at a call, counted from when `go` is called, and
/// waits for its end. `None` if it cannot be traced here.
///
/// The process must be a child of this one, and is nobody's afterwards: it has been waited for.
pub(crate) fn kill_at(process: i32, nth: u32, go: impl FnOnce()) -> Option<Traced> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let threads = threads.map(|thread| thread.unwrap().file_name().to_string_lossy().parse());
    for thread in threads.map(Result::unwrap) {
        if let Err(error) = request(libc::PTRACE_SEIZE, thread, OPTIONS) {
            eprintln!("skipped: a process cannot be traced here: {error}");
            return None;
        }
        request(libc::PTRACE_INTERRUPT, thread, 0).unwrap();
    }
    go();
    let mut traced = Traced { stops: 0, killed: false, status: 0 };
    loop {
        let (thread, status) = wait();
        if !libc::WIFSTOPPED(status) {
            if thread == process {
                return Some(Traced { status, ..traced });
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        let at_call = signal == libc::SIGTRAP | 0x80;
        if at_call && !traced.killed {
            traced.stops += 1;
            if traced.stops == nth {
                traced.killed = true;
                kill(process);
            }
        }
        // A signal of its own goes on to it; what stops it for the tracer does not.
        let passed = if at_call || status >> 16 != 0 { 0 } else { signal };
        // It may be dead by now.
        let _ = request(libc::PTRACE_SYSCALL, thread, passed);
    }
}

/// Every thread is traced from its start, and calls are told from signals.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE;

#[allow(unsafe_code)]
fn request(request: libc::c_uint, thread: i32, data: i32) -> Result<(), Error> {
    let data = null_mut::<u8>().wrapping_add(data as usize);
    // SAFETY: these requests take numbers, and touch no memory of this process.
    let failed = unsafe { libc::ptrace(request, thread, null_mut::<u8>(), data) } == -1;
    if failed { Err(Error::last_os_error()) } else { Ok(()) }
}

/// The next thread of those this one traces, and what happened to it.
#[allow(unsafe_code)]
fn wait() -> (i32, i32) {
    let mut status = 0;
    // SAFETY: the pointer is to a number that lives.
    let thread = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(thread > 0, "{}", Error::last_os_error());
    (thread, status)
}

fn kill(process: i32) {
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
}
