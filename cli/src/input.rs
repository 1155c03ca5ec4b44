//! Log files named on the command line, opened, or a line that says why not.

use crate::outcome::Failure;
use bytes::Bytes;
use etlring::reader::{OpenError, Trace};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A log file and the name it goes by in messages.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) trace: Trace<Bytes>,
}

/// Opens `path`; `-` is standard input, read to its end.
pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
    let name = path.display().to_string();
    let trace = if name == "-" { read_stdin() } else { Trace::open(path) };
    match trace {
        Ok(trace) => {
            Ok(Input { name: if name == "-" { "standard input".into() } else { name }, trace })
        }
        Err(error) => Err(Failure::new(explain(&name, &error))),
    }
}

/// Opens all of `paths`.
pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    paths.iter().map(|path| open(path)).collect()
}

fn read_stdin() -> Result<Trace<Bytes>, OpenError> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Trace::from_bytes(bytes)
}

/// One line: what is wrong with a file and what would help.
fn explain(name: &str, error: &OpenError) -> String {
    let help = match error {
        OpenError::Io(error) => match error.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied => "make it readable, or copy it",
            ErrorKind::IsADirectory => "name a file in it",
            _ => "copy the file to a local disk and try again",
        },
        OpenError::NotALogfile(_) => {
            "give a file that begins with its header buffer, as Windows or etlring wrote it"
        }
        _ => "relog it without compression on Windows: tracerpt or xperf -merge",
    };
    format!("{name}: {error}; {help}")
}
