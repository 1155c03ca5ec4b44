//! `etlring start`: a command with a session prepared in its environment.

use crate::outcome::{Failure, Outcome, complain};
use crate::recover;
use crate::sessions::explain;
use crate::text;
use clap::ValueEnum;
use etlring::outside::{
    self, DeadSession, Found, OutsideError, Settings, VARIABLE, WantedProvider,
};
use etlring::session::FileMode;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring start web --enable Example-Orders,level=4 -- ./server\n\n\
The command is run with ETLRING_SESSION in its environment. A program that declares its providers \
with the library's macros or bridges is recorded without code of its own; etlring enable, stop and \
the others reach it by NAME. When the command has ended its log is finished. %p in NAME and in the \
log's path is the number of the process: without it one process has the session, the first one. \
Exits with the status of the command, or with 128 and the number of the signal that ended it."
)]
pub(crate) struct Args {
    /// Name of the session
    #[arg(value_name = "NAME")]
    name: String,
    /// The log file [default: NAME.etl]
    #[arg(long, value_name = "PATH", conflicts_with = "memory")]
    log: Option<PathBuf>,
    /// No log: the newest events stay in memory, for etlring snapshot
    #[arg(long)]
    memory: bool,
    /// Remove a log that lies there
    #[arg(long, conflicts_with = "memory")]
    force: bool,
    /// How the log grows
    #[arg(long, value_enum, default_value = "sequential", value_name = "MODE")]
    mode: Mode,
    /// Size that no log file exceeds, in MiB; newfile and circular need one
    #[arg(long, value_name = "N")]
    max_size_mb: Option<u32>,
    /// Bytes of a buffer
    #[arg(long, value_name = "BYTES")]
    buffer_size: Option<u32>,
    /// Buffers of the session
    #[arg(long, value_name = "N")]
    buffers: Option<u32>,
    /// How often the filled part of buffers goes to the log; 0 for only when full
    #[arg(long, value_name = "MS")]
    flush_ms: Option<u32>,
    /// Provider to enable, by GUID or name: NAME[,level=N][,any=MASK][,all=MASK]
    #[arg(long, value_name = "PROVIDER")]
    enable: Vec<WantedProvider>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How the log grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Up to the maximum size, if there is one
    Sequential,
    /// Behind the finished log that lies there
    Append,
    /// In numbered files; %d in the path is the number
    Newfile,
    /// A file of the maximum size, whose oldest events are overwritten
    Circular,
}

/// Runs `start`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    // The command would be refused the session when it asks for it, and not be recorded.
    if matches!(args.mode, Mode::Newfile | Mode::Circular)
        && !args.memory
        && args.max_size_mb.is_none()
    {
        return Err(Failure::new("this --mode needs a size of the files; give --max-size-mb"));
    }
    let settings = settings(args)?;
    let many = args.name.contains("%p");
    if !many {
        check_name(&args.name)?;
    }
    if let (Some(log), false) = (&settings.log, many) {
        make_room(log, args)?;
    }
    let line = settings.to_string();
    // Whatever the child would say only when it has started.
    Settings::parse(&line).map_err(|error| Failure::new(format!("{error}; try --help")))?;
    let (program, rest) = args.command.split_first().unwrap_or_else(|| unreachable!("required"));
    let mut command = Command::new(program);
    command.args(rest).env(VARIABLE, &line);
    let shown = program.to_string_lossy();
    let left = dead()?;
    let signals = Signals::new()?;
    let child = command
        .spawn()
        .map_err(|error| Failure::new(format!("cannot run {shown}: {error}; check the command")))?;
    let status = signals
        .wait(child)
        .map_err(|error| Failure::new(format!("cannot wait for {shown}: {error}")))?;
    finish(&settings, &left)?;
    Ok(Outcome::Status(status_of(status)))
}

fn settings(args: &Args) -> Result<Settings, Failure> {
    let mut settings = Settings::new(&args.name, "");
    settings.log = match (&args.log, args.memory) {
        (_, true) => None,
        (Some(path), _) => Some(path.clone()),
        (None, _) => Some(format!("{}.etl", args.name).into()),
    };
    if let Some(log) = &mut settings.log {
        let refuse =
            |why: &str| Failure::new(format!("{}: {why}; name another file", text::path(log)));
        if log.to_str().is_none() {
            return Err(refuse("its path is not UTF-8"));
        }
        *log = std::path::absolute(&*log).map_err(|error| refuse(&error.to_string()))?;
    }
    settings.mode = match args.mode {
        Mode::Sequential => FileMode::Sequential,
        Mode::Append => FileMode::Append,
        Mode::Newfile => FileMode::NewFile,
        Mode::Circular => FileMode::Circular,
    };
    settings.maximum_file_size_mb = args.max_size_mb;
    settings.buffer_size = args.buffer_size;
    settings.maximum_buffers = args.buffers;
    settings.flush_interval_ms = args.flush_ms;
    settings.enable.clone_from(&args.enable);
    Ok(settings)
}

/// A name that can be had.
fn check_name(name: &str) -> Result<(), Failure> {
    match outside::connect(name) {
        Ok(_) => Err(Failure::new(format!(
            "a session named {name:?} is running already; etlring stop {name} ends it"
        ))),
        Err(OutsideError::NotFound(_) | OutsideError::Dead(_) | OutsideError::Unsupported) => {
            Ok(())
        }
        Err(OutsideError::Name(_)) => Err(Failure::new(format!(
            "{}; choose another one",
            OutsideError::Name(name.to_owned())
        ))),
        Err(error) => Err(explain(&error)),
    }
}

/// The child replaces no log: it may be that of another child of the same command.
fn make_room(log: &PathBuf, args: &Args) -> Result<(), Failure> {
    if matches!(args.mode, Mode::Append | Mode::Newfile) {
        return Ok(());
    }
    let refuse = |why: &dyn std::fmt::Display, help: &str| {
        Failure::new(format!("{}: {why}; {help}", text::path(log)))
    };
    match fs::symlink_metadata(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(refuse(&error, "check the path")),
        Ok(found) if !found.is_file() => Err(refuse(&"it is no regular file", "name another one")),
        Ok(_) if args.force => {
            fs::remove_file(log).map_err(|error| refuse(&error, "name another one"))
        }
        Ok(_) => Err(refuse(&"it is there already", "name another one, or give --force")),
    }
}

/// What lies there dead before the command is run: it is not the command's.
fn dead() -> Result<Vec<DeadSession>, Failure> {
    match outside::list() {
        Ok(found) => Ok(found
            .into_iter()
            .filter_map(|found| match found {
                Found::Dead(dead) => Some(dead),
                _ => None,
            })
            .collect()),
        Err(OutsideError::Unsupported) => Ok(Vec::new()),
        Err(error) => Err(explain(&error)),
    }
}

/// Finishes the logs of processes that have ended without doing so.
fn finish(settings: &Settings, left: &[DeadSession]) -> Result<(), Failure> {
    let found = match outside::list() {
        Ok(found) => found,
        Err(OutsideError::Unsupported) => return Ok(()),
        Err(error) => return Err(explain(&error)),
    };
    let mut taken_up = false;
    for found in &found {
        match found {
            Found::Running(status) if is_ours(settings, &status.properties.name) => {
                taken_up = true;
                complain(format_args!(
                    "session {} goes on in process {}",
                    status.properties.name, status.process_id
                ));
            }
            Found::Dead(dead) if is_ours(settings, &dead.name) && !left.contains(dead) => {
                taken_up = true;
                if let Some(log) = dead.log_file.as_ref().filter(|log| log.is_file()) {
                    let _ = recover::finish(log)?;
                }
                outside::remove_dead(&dead.name).map_err(|error| explain(&error))?;
            }
            _ => {}
        }
    }
    let made = settings.log.as_ref().is_none_or(|log| fs::symlink_metadata(log).is_ok());
    let numbered = settings.name.contains("%p");
    if !taken_up && !made && !numbered && settings.mode != FileMode::NewFile {
        complain(format_args!(
            "no program of the command has taken up session {}; it must declare providers with \
             etlring's macros or bridges, or call etlring::outside::default_session",
            settings.name
        ));
    }
    Ok(())
}

/// Whether a session is of these settings, in whatever process.
fn is_ours(settings: &Settings, name: &str) -> bool {
    let pattern = settings.name.to_lowercase();
    let name = name.to_lowercase();
    match pattern.split_once("%p") {
        None => name == pattern,
        Some((before, behind)) => {
            let number = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        }
    }
}

#[cfg(unix)]
fn status_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal().map(|signal| signal + 128);
    signal.or(status.code()).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(not(unix))]
fn status_of(status: ExitStatus) -> u8 {
    // Larger ones do not fit; that it was not zero must not get lost.
    status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
}

/// Signals that would end this command before its child.
#[cfg(unix)]
struct Signals(signal_hook::iterator::Signals);

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Failure> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        let signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]);
        signals.map(Self).map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))
    }

    /// Waits for the child. What a terminal sends it sends to both; what was sent to this process
    /// alone is handed on.
    fn wait(mut self, mut child: Child) -> std::io::Result<ExitStatus> {
        use rustix::process::{Pid, Signal, kill_process};
        use signal_hook::consts::{SIGHUP, SIGTERM};
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let handle = self.0.handle();
        let hand_on = std::thread::spawn(move || {
            for signal in self.0.forever() {
                let signal = match signal {
                    SIGTERM => Signal::TERM,
                    SIGHUP => Signal::HUP,
                    _ => continue,
                };
                // One that has ended meanwhile needs no signal.
                let _ = pid.map(|pid| kill_process(pid, signal));
            }
        });
        let status = child.wait();
        handle.close();
        let _ = hand_on.join();
        status
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    fn wait(self, mut child: Child) -> std::io::Result<ExitStatus> {
        child.wait()
    }
}
