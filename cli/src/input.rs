//! Log files named on the command line, opened, or a line that says why not.
//!
//! They are read and not mapped: a file that shrinks meanwhile is damaged, and the command does not
//! die of it.

use crate::outcome::{Failure, complain};
use crate::text;
use bytes::Bytes;
use etlring::codec::RawRecord;
use etlring::error::{Fault, Part};
use etlring::reader::{
    FileOrBytes, MOST_STREAM_BYTES, OpenError, OpenOptions, RingState, Trace, read_stream,
};
use etlring::schema::Decoder;
use etlring::schema::stacks::StackKeys;
use std::cell::OnceCell;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Arguments of subcommands that look at one log.
#[derive(Debug, clap::Args)]
pub(crate) struct OneLog {
    /// Log file; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A log file and the name it goes by in messages.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) trace: Trace<FileOrBytes>,
    /// Threads that were asked for; see [`threads`](Self::threads).
    pub(crate) threads: Option<NonZeroUsize>,
    /// Knows what the user gave.
    given: Decoder,
    learned: OnceCell<Learned>,
}

/// What a walk over the whole file taught.
#[derive(Debug)]
struct Learned {
    decoder: Decoder,
    stack_keys: StackKeys,
}

impl Input {
    fn new(name: String, trace: Trace<FileOrBytes>) -> Self {
        Self { name, trace, threads: None, given: Decoder::new(), learned: OnceCell::new() }
    }

    /// A part of a log, whose records are decoded with what `given` knows, too.
    pub(crate) fn part(name: String, trace: Trace<FileOrBytes>, given: Decoder) -> Self {
        Self { given, ..Self::new(name, trace) }
    }

    /// What is known behind it: what was given, and what it taught if anybody asked.
    pub(crate) fn into_decoder(self) -> Decoder {
        self.learned.into_inner().map_or(self.given, |learned| learned.decoder)
    }

    /// What the user gave, and what is built in: for names that need no look at the whole file.
    pub(crate) fn given(&self) -> &Decoder {
        &self.given
    }

    /// What its records mean. The first call reads the file once: a schema may lie behind the
    /// events that it describes.
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.learned().decoder
    }

    /// What the keys of its stacks mean.
    pub(crate) fn stack_keys(&self) -> &StackKeys {
        &self.learned().stack_keys
    }

    fn learned(&self) -> &Learned {
        self.learned.get_or_init(|| {
            let mut decoder = self.given.clone();
            let mut stack_keys = StackKeys::new();
            self.each_record(|record| {
                decoder.learn(record);
                stack_keys.learn(record);
            });
            stack_keys.finish();
            self.complain_of(decoder.refused(), "schemas", "their events are shown as bytes");
            self.complain_of(stack_keys.refused(), "stacks", "their events are shown without");
            Learned { decoder, stack_keys }
        })
    }

    /// Shows every record, in the order of the file.
    pub(crate) fn each_record(&self, mut each: impl FnMut(RawRecord<'_>)) {
        self.trace.read_ahead(self.threads(), |ahead| {
            let mut records = ahead.records();
            while let Some(record) = records.next() {
                // Damage is named by the walk that shows the records.
                if let Ok(record) = record {
                    each(record.raw());
                }
            }
        });
    }

    /// Says that `count` things were more than is kept.
    pub(crate) fn complain_of(&self, count: u64, what: &str, so: &str) {
        if count > 0 {
            complain(format_args!("{}: {count} {what} are too many to keep; {so}", self.name));
        }
    }
}

/// Opens `path`; `-` is standard input, read to its end.
pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "standard input".to_owned() } else { text::path(path) };
    let trace = if is_stdin {
        let bytes = read_stream(io::stdin().lock(), MOST_STREAM_BYTES);
        bytes.and_then(|bytes| Trace::new(FileOrBytes::Bytes(bytes)))
    } else {
        OpenOptions::new().open_any(path)
    };
    match trace {
        Ok(trace) => {
            if let RingState::LeftAlone(why) = trace.ring() {
                complain(format_args!("{name}.ring: {why}; left alone"));
            }
            Ok(Input::new(name, trace))
        }
        Err(error) => Err(Failure::new(explain(&name, &error))),
    }
}

/// Opens all of `paths`; their records are decoded with what `given` knows, too.
pub(crate) fn open_with(paths: &[PathBuf], given: &Decoder) -> Result<Vec<Input>, Failure> {
    let mut inputs = open_all(paths)?;
    for input in &mut inputs {
        input.given = given.clone();
    }
    Ok(inputs)
}

/// Opens all of `paths`.
pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Failure::new("standard input can be read once; give - once"));
    }
    paths.iter().map(|path| open(path)).collect()
}

/// All of a stream, whatever it begins with.
pub(crate) fn read_any_stream(stream: impl Read) -> Result<Bytes, OpenError> {
    let mut bytes = Vec::new();
    stream.take(MOST_STREAM_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_STREAM_BYTES {
        return Err(OpenError::TooLong(MOST_STREAM_BYTES));
    }
    Ok(bytes.into())
}

/// One line: what is wrong with a file and what would help.
pub(crate) fn explain(name: &str, error: &OpenError) -> String {
    if let OpenError::NotALogfile(error) = error {
        if matches!((error.part, error.fault), (Part::Buffer, Fault::Truncated(_, 0))) {
            return format!("{name}: is empty; give a log that Windows or etlring wrote");
        }
    }
    let help = match error {
        OpenError::Io(error) => match error.kind() {
            ErrorKind::NotFound => "check the path",
            ErrorKind::PermissionDenied => "make it readable, or copy it",
            ErrorKind::IsADirectory => "name a file in it",
            _ => "copy the file to a local disk and try again",
        },
        OpenError::TooLong(_) => "save it to a file: that is read where it lies",
        OpenError::NotALogfile(_) => {
            "give a log that Windows or etlring wrote; if its start is damaged, try etlring recover"
        }
        _ => "relog it without compression on Windows: tracerpt or xperf -merge",
    };
    format!("{name}: {error}; {help}")
}
